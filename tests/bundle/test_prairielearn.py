"""PrairieLearn gets a question that it can read, and a result within its rules."""

from __future__ import annotations

import json
import subprocess
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest

from grader.bundle import prairielearn
from grader.domain import Grade
from tests import examples

IMAGE = "registry.example.edu/densenet-grader:1"


def laid_out(root: Path) -> Path:
    """A submission as PrairieLearn lays it out; results/ is not there."""
    (root / "student").mkdir(parents=True)
    (root / "student/submission.zip").write_bytes(b"")
    (root / "data").mkdir()
    (root / "data/data.json").write_text("{}")
    return root


def test_the_question_has_what_prairielearn_requires(bundled: Callable[..., Path]) -> None:
    question = bundled("prairielearn", image=IMAGE) / "question"

    info = json.loads((question / "info.json").read_text())
    assert uuid.UUID(info["uuid"])
    assert {"title", "topic", "type"} <= set(info)
    assert info["gradingMethod"] == "External"
    options = info["externalGradingOptions"]
    assert options["enabled"] is True
    assert options["image"] == IMAGE
    assert options["timeout"] <= 600
    assert options["enableNetworking"] is False
    assert options["entrypoint"].startswith("/grade/")
    entry = question / options["entrypoint"].removeprefix("/grade/")
    assert entry.stat().st_mode & 0o111
    subprocess.run(["sh", "-n", entry], check=True)
    assert (question / "tests/assignment/assignment.toml").is_file()


def test_the_page_takes_the_zip_and_shows_the_results(bundled: Callable[..., Path]) -> None:
    page = (bundled("prairielearn", image=IMAGE) / "question/question.html").read_text()

    assert '<pl-file-upload file-names="submission.zip">' in page
    assert "<pl-external-grader-results>" in page


def test_the_same_assignment_is_the_same_question(
    bundled: Callable[..., Path], tmp_path: Path
) -> None:
    first = json.loads((bundled("prairielearn", image=IMAGE) / "question/info.json").read_text())
    (tmp_path / "written").rename(tmp_path / "earlier")
    second = json.loads((bundled("prairielearn", image=IMAGE) / "question/info.json").read_text())

    assert first["uuid"] == second["uuid"]


def test_the_zip_is_the_submission_of_a_student_who_is_in_time(tmp_path: Path) -> None:
    item = prairielearn.received(laid_out(tmp_path))

    assert item.path.name == "submission.zip"
    assert item.identity.in_time


@pytest.mark.parametrize("make", [examples.full_marks, examples.deviating])
def test_what_was_graded_has_a_share_and_a_test_for_each_check(
    make: Callable[[], Grade], graded: Callable[[Grade, str, Path], int], tmp_path: Path
) -> None:
    grade = make()

    assert graded(grade, "prairielearn", laid_out(tmp_path)) == 0

    file = tmp_path / "results/results.json"
    result = json.loads(file.read_text())
    assert result["gradable"] is True
    assert result["score"] == pytest.approx(grade.score / grade.max_score, abs=1e-5)
    assert file.stat().st_size <= 2**20
    assert all({"points", "max_points"} <= set(test) for test in result["tests"])


@pytest.mark.parametrize("make", [examples.under_review, examples.withheld, examples.rejected])
def test_what_is_no_grade_is_not_gradable_and_costs_nothing(
    make: Callable[[], Grade], graded: Callable[[Grade, str, Path], int], tmp_path: Path
) -> None:
    """Any other exit status than 0 is a 0 on PrairieLearn."""
    assert graded(make(), "prairielearn", laid_out(tmp_path)) == 0

    result = json.loads((tmp_path / "results/results.json").read_text())
    assert result["gradable"] is False
    assert result["format_errors"]


def test_whatever_ends_the_grading_nobody_gets_a_0_for_it(
    bundled: Callable[..., Path], tmp_path: Path
) -> None:
    entry = bundled("prairielearn", image=IMAGE) / "question/tests/run.sh"

    assert subprocess.run(["/bin/sh", entry], env={"PATH": "/nowhere"}, check=False).returncode == 0

    prairielearn.received(laid_out(tmp_path / "grade"))  # and then the process is killed
    result = json.loads((tmp_path / "grade/results/results.json").read_text())
    assert result["gradable"] is False


def test_unseen_checks_are_in_neither_score_nor_tests(
    graded: Callable[[Grade, str, Path], int], tmp_path: Path
) -> None:
    whole = examples.deviating()
    hidden = tuple(
        c.model_copy(update={"visibility": "hidden"}) if c.name == "bottleneck" else c
        for c in whole.checks
    )
    (bottleneck,) = [c for c in whole.checks if c.name == "bottleneck"]
    seen = whole.model_copy(update={"checks": hidden})

    graded(seen, "prairielearn", laid_out(tmp_path))

    result = json.loads((tmp_path / "results/results.json").read_text())
    points = sum(test["points"] for test in result["tests"])
    most = sum(test["max_points"] for test in result["tests"])
    assert most == pytest.approx(whole.max_score - bottleneck.max_score)
    assert whole.deadline is not None
    assert result["score"] == pytest.approx((points - whole.deadline.penalty) / most, abs=1e-5)
    assert "bottleneck" not in {test["description"] for test in result["tests"]}
