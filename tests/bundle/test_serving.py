"""What is graded with where a platform started us."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from grader.bundle import __main__ as entry
from grader.bundle import serving
from grader.bundle.platform import in_time
from grader.course import GradeOptions
from grader.domain import Grade
from grader.errors import Cause, InfrastructureError
from grader.intake import Item
from grader.ledger.key import ENVIRONMENT
from grader.resources import assignment_dir
from tests import examples
from tests.bundle.test_codabench import laid_out as codabench_room
from tests.bundle.test_prairielearn import laid_out as prairielearn_room


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., GradeOptions]:
    """What the grading is asked for where this sandbox is the strongest that works."""

    def ask(sandbox: str, evaluate: bool) -> GradeOptions:
        seen: list[GradeOptions] = []

        def grade_items(items: list[Item], options: GradeOptions, _: object) -> list[Grade]:
            seen.append(options)
            return [examples.full_marks()]

        monkeypatch.setattr(serving, "strongest_or_bare", lambda: sandbox)
        monkeypatch.setattr(serving, "grade_items", grade_items)
        item = Item(tmp_path, in_time("s1"), "s1")
        serving.grade_here(item, assignment_dir(), evaluate=evaluate)
        return seen[0]

    return ask


@pytest.mark.parametrize("sandbox", ["auto", "process"])
def test_no_label_is_read_where_student_code_could_read_it_too(
    sandbox: str, asked: Callable[..., GradeOptions]
) -> None:
    options = asked(sandbox, True)

    assert options.sandbox == sandbox
    assert options.evaluate is (sandbox == "auto")


def test_no_accuracy_is_measured_by_a_bundle_that_was_made_without(
    asked: Callable[..., GradeOptions],
) -> None:
    assert asked("auto", False).evaluate is False


def test_nothing_is_kept_where_it_was_graded(asked: Callable[..., GradeOptions]) -> None:
    assert not asked("auto", False).results_dir.parent.exists()


def test_a_key_is_made_for_one_grading_and_goes_with_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv(ENVIRONMENT)
    keys = []

    def grade_here(*_: object, **__: object) -> Grade:
        keys.append(Path(os.environ[ENVIRONMENT]))
        return examples.full_marks()

    monkeypatch.setattr(entry, "grade_here", grade_here)
    assert entry.main(["prairielearn", str(assignment_dir())], prairielearn_room(tmp_path)) == 0

    assert ENVIRONMENT not in os.environ
    assert not keys[0].parent.exists()


def test_a_key_that_the_platform_names_is_used(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv(ENVIRONMENT, str(tmp_path / "course.key"))
    monkeypatch.setattr(entry, "grade_here", lambda *_, **__: examples.full_marks())

    entry.main(["prairielearn", str(assignment_dir())], prairielearn_room(tmp_path))

    assert os.environ[ENVIRONMENT] == str(tmp_path / "course.key")


FAILURES = (
    InfrastructureError(Cause.INFRA_DISK, "the disk is full", "Free space."),
    ZeroDivisionError("a bug"),
)


@pytest.mark.parametrize("error", FAILURES, ids=["machine", "bug"])
@pytest.mark.parametrize("platform", ["prairielearn", "codabench"])
def test_a_machine_that_fails_leaves_no_score_and_says_why(
    platform: str,
    error: Exception,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def grade_here(*_: object, **__: object) -> Grade:
        raise error

    monkeypatch.setattr(entry, "grade_here", grade_here)
    lay_out = {"prairielearn": prairielearn_room, "codabench": codabench_room}[platform]

    status = entry.main([platform, str(assignment_dir())], lay_out(tmp_path))

    assert status == {"prairielearn": 0, "codabench": 3}[platform]
    assert str(error) in capsys.readouterr().err
    if platform == "prairielearn":
        result = json.loads((tmp_path / "results/results.json").read_text())
        assert result["gradable"] is False
    assert not (tmp_path / "output/scores.json").exists()
