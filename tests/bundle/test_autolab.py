"""Autolab gets its two files and an image, and scores in the last line."""

from __future__ import annotations

import json
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from grader.assignment import load_assignment
from grader.bundle import autolab
from grader.domain import Grade
from grader.errors import UsageError
from grader.resources import assignment_dir
from tests import examples
from tests.bundle.conftest import WHEEL


def laid_out(root: Path) -> Path:
    """A submission as Autolab lays it out."""
    (root / "submission.zip").write_bytes(b"")
    return root


def test_make_unpacks_the_tar_and_runs_the_driver(bundled: Callable[..., Path]) -> None:
    folder = bundled("autolab")
    words = ["make", "--no-print-directory", "--dry-run", "--file", folder / "autograde-Makefile"]

    made = subprocess.run(words, capture_output=True, text=True, check=True).stdout

    assert made.splitlines() == [
        "python3 -I -m tarfile -e autograde.tar",
        "sh densenet-grader/driver.sh",
    ]


def test_the_tar_has_the_driver_and_the_course(bundled: Callable[..., Path]) -> None:
    folder = bundled("autolab")

    with tarfile.open(folder / "autograde.tar") as archive:
        assert archive.getnames() == [
            "densenet-grader/assignment/assignment.toml",
            "densenet-grader/driver.sh",
        ]
        assert archive.getmember("densenet-grader/driver.sh").mode == 0o755
        archive.extractall(folder, filter="data")
    subprocess.run(["sh", "-n", folder / "densenet-grader/driver.sh"], check=True)


def test_a_grader_that_fails_leaves_every_problem_open(
    bundled: Callable[..., Path], tmp_path: Path
) -> None:
    """Without a score for any problem, Autolab gives 0 for all."""
    folder = bundled("autolab")
    with tarfile.open(folder / "autograde.tar") as archive:
        archive.extractall(tmp_path, filter="data")

    ran = subprocess.run(
        ["/bin/sh", tmp_path / "densenet-grader/driver.sh"],
        env={"PATH": "/nowhere"},
        capture_output=True,
        text=True,
        check=True,  # else make would have the last word
    )

    assert json.loads(ran.stdout.splitlines()[-1]) == {"scores": {"lateness": 0.0}}


def test_the_image_has_all_that_it_copies(bundled: Callable[..., Path]) -> None:
    image = bundled("autolab") / "image"

    assert {path.name for path in image.iterdir()} == {
        "Dockerfile",
        "setup.sh",
        "requirements.txt",
        WHEEL,
    }
    subprocess.run(["sh", "-n", image / "setup.sh"], check=True)


def test_the_problems_are_those_of_the_scores() -> None:
    problems = autolab.problems_of(load_assignment(assignment_dir()))

    assert problems == {
        "shape": 20,
        "parameters": 17,
        "architecture": 45,
        "accuracy": 18,
        "lateness": 0,
    }


@pytest.mark.parametrize("make", [examples.full_marks, examples.deviating, examples.rejected])
def test_every_settled_grade_gives_scores_to_problems_that_the_lab_has(
    make: Callable[[], Grade],
    graded: Callable[[Grade, str, Path], int],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    grade = make()

    assert graded(grade, "autolab", laid_out(tmp_path)) == 0

    said = capsys.readouterr()
    stages, scores = map(json.loads, said.out.splitlines())
    assert said.err.startswith("isolation: ")
    assert stages["_presentation"] == "semantic"
    names = set(autolab.problems_of(load_assignment(assignment_dir())))
    assert {"shape", "parameters", "architecture", "accuracy"} <= set(scores["scores"]) <= names
    assert sum(scores["scores"].values()) == pytest.approx(grade.score, abs=0.05)


def test_points_that_stay_open_get_no_score(
    graded: Callable[[Grade, str, Path], int],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    graded(examples.without_evaluation(), "autolab", laid_out(tmp_path))

    scores = json.loads(capsys.readouterr().out.splitlines()[-1])["scores"]
    assert "accuracy" not in scores
    assert {"shape", "parameters", "architecture"} <= set(scores)


@pytest.mark.parametrize("make", [examples.under_review, examples.withheld])
def test_what_is_not_settled_prints_no_scores(
    make: Callable[[], Grade],
    graded: Callable[[Grade, str, Path], int],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert graded(make(), "autolab", laid_out(tmp_path)) == 3

    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.strip()


def test_a_submission_of_another_name_is_the_labs_mistake(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"submission\.zip"):
        autolab.received(tmp_path)
