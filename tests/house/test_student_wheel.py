"""What students install works, and the answer is not in it."""

import importlib.util
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
ANSWER = "concatenate"
"""No DenseNet is written in Keras without joining maps; the rest of the package has no layers."""


def wheel_builder() -> Any:
    """student_wheel.py as a module."""
    pytest.importorskip("hatchling.builders.wheel")
    spec = importlib.util.spec_from_file_location("student_wheel", ROOT / "student_wheel.py")
    assert spec is not None
    assert spec.loader is not None
    builder = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(builder)
    return builder


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel's content in a folder of its own."""
    folder = tmp_path_factory.mktemp("student")
    with zipfile.ZipFile(wheel_builder().build(folder)) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


def run_in(installed: Path, folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run Python with the wheel and no way to find the checkout."""
    return subprocess.run(
        [sys.executable, "-P", *words],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(installed)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_no_answer_is_in_it(installed: Path) -> None:
    names = [path.relative_to(installed).as_posix() for path in installed.rglob("*")]

    assert [n for n in names if "reference_solution" in n or "selftest" in n] == []
    assert [n for n in names if "/reference/" in n] == []
    assert "grader/_data/assignment/units/05-residual/template/residual.py" in names
    assert [n for n in names if n.endswith((".h5", ".keras", ".ipynb", ".npz"))] == []


def test_no_file_in_it_holds_the_functions_that_are_asked_for(installed: Path) -> None:
    answers = {
        line.strip()
        for line in (ROOT / "reference_solution" / "densenet.py").read_text().splitlines()
        if ANSWER in line.casefold() and "layers." in line
    }
    files = [*installed.rglob("*.py"), *installed.rglob("*.txt")]
    texts = {path: path.read_text("utf-8") for path in files}

    assert answers
    assert [path for path, text in texts.items() if any(line in text for line in answers)] == []


def test_everything_else_of_the_package_is_in_it(installed: Path) -> None:
    wanted = {
        path.relative_to(ROOT)
        for path in (ROOT / "grader").rglob("*.py")
        if "selftest" not in path.parts
    }

    assert [str(path) for path in wanted if not (installed / path).is_file()] == []
    assert (installed / "grader/_data/assignment/assignment.toml").is_file()


def test_it_hands_out_the_template_packs_and_says_what_it_lacks(
    installed: Path, tmp_path: Path
) -> None:
    code = "import sys; from grader.cli import run; sys.exit(run(sys.argv[1:]))"

    begun = run_in(installed, tmp_path, "-c", code, "init", "mine")
    packed = run_in(installed, tmp_path, "-c", code, "pack", "mine")
    lacking = run_in(installed, tmp_path, "-c", code, "selftest")

    assert begun.returncode == 0, begun.stderr
    assert packed.returncode == 0, packed.stderr
    assert (tmp_path / "mine" / "submission.zip").is_file()
    assert lacking.returncode == 2
    assert "not in the wheel for students" in lacking.stderr


def test_every_room_that_a_student_uses_can_be_imported(installed: Path, tmp_path: Path) -> None:
    code = (
        "import grader, grader.cli, grader.pipeline, grader.doctor, "
        "grader.student.checks, grader.student.pack, grader.student.train; print(grader.__file__)"
    )

    ran = run_in(installed, tmp_path, "-c", code)

    assert ran.returncode == 0, ran.stderr
    assert Path(ran.stdout.strip()).is_relative_to(installed)
