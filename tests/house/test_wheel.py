"""What pip installs has all it needs, without the checkout beside it."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """The wheel's content in a folder of its own."""
    wheel_builder = pytest.importorskip("hatchling.builders.wheel").WheelBuilder
    folder = tmp_path_factory.mktemp("wheel")
    (wheel,) = wheel_builder(str(ROOT)).build(directory=str(folder), versions=["standard"])
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


def run_in(installed, folder, *words):
    """Run the installed grader with no way to find the checkout."""
    return subprocess.run(
        [sys.executable, "-P", "-m", "grader.cli", *words],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(installed)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_installed_grader_hands_out_the_template(installed, tmp_path):
    ran = run_in(installed, tmp_path, "init", "mine")

    assert ran.returncode == 0, ran.stderr
    assert (tmp_path / "mine" / "densenet.py").is_file()


def test_the_installed_grader_reads_the_assignment_that_ships(installed, tmp_path):
    code = (
        "import grader.resources as r; from grader.assignment import load_assignment; "
        "print(r.assignment_dir()); load_assignment(r.assignment_dir())"
    )

    ran = subprocess.run(
        [sys.executable, "-P", "-c", code],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(installed)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert Path(ran.stdout.strip()).is_relative_to(installed)


def test_the_installed_grader_writes_bundles_and_says_which_wheel_it_lacks(installed, tmp_path):
    wrote = run_in(installed, tmp_path, "bundle", "codabench", "out", "--image", "grader:1")
    lacks = run_in(installed, tmp_path, "bundle", "gradescope", "other")

    assert wrote.returncode == 0, wrote.stderr
    assert (tmp_path / "out" / "competition.zip").is_file()
    assert lacks.returncode == 2
    assert "--wheel" in lacks.stderr


def test_the_wheel_holds_the_reference_and_every_data_file_of_the_package(installed):
    wanted = {
        path.relative_to(ROOT)
        for path in (ROOT / "grader").rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    }

    assert [str(path) for path in wanted if not (installed / path).is_file()] == []
    assert (installed / "grader/_data/reference_solution/densenet.py").is_file()
    assert (installed / "grader/_data/assignment/units/05-residual/reference").is_dir()
