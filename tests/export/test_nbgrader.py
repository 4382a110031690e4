"""Grades in nbgrader's gradebook, written and read by nbgrader's own API."""

import contextlib
import math
import shutil
from datetime import UTC, timedelta
from pathlib import Path

import pytest

from grader.domain import Grade, Override
from grader.errors import UsageError
from grader.export.nbgrader import Work, require_gradebook, write_gradebook
from tests import examples

pytest.importorskip("nbgrader", reason="nbgrader is not installed (extra nbgrader)")
pytestmark = pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SAWarning")

GROUPS = {
    group: math.fsum(c.max_score for c in examples.full_marks().checks if c.group == group)
    for group in ("shape", "parameters", "architecture", "accuracy")
}
WORK = Work("densenet", "densenet", examples.DUE, {}, GROUPS)


@contextlib.contextmanager
def opened(db: Path):
    from nbgrader.api import Gradebook

    book = Gradebook(f"sqlite:///{db}", course_id="")
    try:
        yield book
    finally:
        book.close()


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new gradebook: nbgrader starts a program for each."""
    db = tmp_path_factory.mktemp("course") / "gradebook.db"
    require_gradebook(str(db))
    return db


@pytest.fixture
def db(empty: Path, tmp_path: Path) -> Path:
    """A gradebook as generate_assignment leaves it, with a second assignment."""
    file = Path(shutil.copy(empty, tmp_path / "gradebook.db"))
    with opened(file) as book:
        book.check_course("dl101")
        for assignment in ("densenet", "hw1"):
            book.add_assignment(assignment, course_id="dl101")
            book.add_notebook(assignment, assignment)
        for group in ("shape", "parameters", "architecture"):
            book.add_grade_cell(
                group, "densenet", "densenet", max_score=GROUPS[group], cell_type="code"
            )
        book.add_task_cell("accuracy", "densenet", "densenet", max_score=18, cell_type="markdown")
        book.add_solution_cell("dense-block", "densenet", "densenet")
        book.add_grade_cell("q1", "hw1", "hw1", max_score=5, cell_type="code")
    return file


def told(db: Path, student: str, assignment: str = "densenet") -> dict[str, object]:
    with opened(db) as book:
        found = book.find_submission(assignment, student)
        notebook = found.notebooks[0]
        return {
            "score": found.score,
            "penalty": notebook.late_submission_penalty,
            "timestamp": found.timestamp,
            "late": found.total_seconds_late,
            "due": found.assignment.duedate,
            "needs": found.needs_manual_grade,
            "comment": next((c.comment for c in notebook.comments if c.name == "accuracy"), None),
            "cells": {g.name: g.score for g in notebook.grades},
        }


def late_by(grade: Grade, hours: int, penalty: float) -> Grade:
    moment = examples.DUE + timedelta(hours=hours)
    told_at = {"received_at": moment, "received_from": "lms"}
    deadline = grade.deadline.model_copy(
        update={**told_at, "seconds_late": hours * 3600.0, "penalty": penalty}
    )
    submission = grade.submission.model_copy(update=told_at)
    before = grade.score + grade.deadline.penalty
    return grade.model_copy(
        update={"deadline": deadline, "submission": submission, "score": before - penalty}
    )


@pytest.mark.parametrize("times", [1, 2])
def test_scores_penalty_time_and_feedback_are_in_the_gradebook_however_often_they_are_written(
    db: Path, times: int
) -> None:
    late = late_by(examples.deviating(), 30, 12.5)

    for _ in range(times):
        written = write_gradebook(str(db), WORK, [("jane", examples.full_marks()), ("max", late)])

    assert (written.scored, written.open, written.notices) == (("jane", "max"), (), ())
    jane, max_ = told(db, "jane"), told(db, "max")
    assert (jane["score"], jane["penalty"], jane["needs"]) == (100, 0, False)
    assert jane["cells"] == GROUPS
    assert max_["score"] - max_["penalty"] == late.score
    assert max_["late"] == 30 * 3600
    assert max_["due"] == examples.DUE.astimezone(UTC).replace(tzinfo=None)
    assert "Each layer receives" in max_["comment"]
    with opened(db) as book:
        assert {s.assignment.name for s in book.student_submissions("jane")} == {"densenet"}
        assert len(book.assignments) == 2


def test_what_a_person_has_given_stays_and_the_penalty_goes_by_what_counts(
    db: Path,
) -> None:
    late = late_by(examples.full_marks(), 30, 90.0)
    write_gradebook(str(db), WORK, [("jane", late)])
    with opened(db) as book:
        book.find_grade("architecture", "densenet", "densenet", "jane").manual_score = 1
        book.find_comment("accuracy", "densenet", "densenet", "jane").manual_comment = "By hand."
        book.db.commit()

    write_gradebook(str(db), WORK, [("jane", late)])

    jane = told(db, "jane")
    assert jane["cells"]["architecture"] == 1
    assert jane["comment"] == "By hand."
    assert jane["penalty"] == jane["score"] == 100 - GROUPS["architecture"] + 1


def test_what_nobody_has_earned_or_lost_waits_for_a_person(db: Path) -> None:

    written = write_gradebook(
        str(db),
        WORK,
        [
            ("unmeasured", examples.without_evaluation()),
            ("review", examples.under_review()),
            ("withheld", examples.withheld()),
            ("rejected", examples.rejected()),
        ],
    )

    assert written.scored == ("rejected",)
    assert dict(written.open)["unmeasured"] == "accuracy: not measured yet"
    assert dict(written.open).keys() == {"unmeasured", "review", "withheld"}
    assert told(db, "unmeasured")["cells"]["accuracy"] == 0
    assert all(told(db, name)["needs"] for name, _ in written.open)
    assert (told(db, "rejected")["score"], told(db, "rejected")["needs"]) == (0, False)


@pytest.mark.parametrize("score", [0, 37.5, 100, 104])
def test_a_score_that_the_staff_has_set_is_the_total_and_lifting_it_undoes_that(
    db: Path, score: float
) -> None:
    late = late_by(examples.full_marks(), 30, 20.0)
    decided = Override(
        score=score, why="heard", by="staff", at=examples.DUE,
        computed_status=late.status, computed_score=late.score,
    )  # fmt: skip

    write_gradebook(
        str(db), WORK, [("jane", late.model_copy(update={"override": decided, "score": score}))]
    )
    jane = told(db, "jane")
    assert (jane["score"] - jane["penalty"], jane["needs"]) == (score, False)

    write_gradebook(str(db), WORK, [("jane", late)])
    jane = told(db, "jane")
    assert jane["score"] - jane["penalty"] == 80


def test_points_above_a_cells_are_cut_and_said(db: Path) -> None:
    with opened(db) as book:
        book.find_grade_cell("shape", "densenet", "densenet").max_score = 3
        book.db.commit()

    written = write_gradebook(str(db), WORK, [("jane", examples.full_marks())])

    assert told(db, "jane")["cells"]["shape"] == 3
    assert "'shape' counts to 3 points" in written.notices[0]


def test_a_gradebook_that_knows_nothing_of_the_assignment_learns_it(
    empty: Path, tmp_path: Path
) -> None:
    db = Path(shutil.copy(empty, tmp_path / "gradebook.db"))

    written = write_gradebook(str(db), WORK, [("jane", examples.full_marks())])

    assert told(db, "jane")["score"] == 100
    assert "was no assignment of the gradebook" in written.notices[0]


def test_a_cell_that_is_newer_than_a_submission_is_filled_all_the_same(db: Path) -> None:
    with opened(db) as book:
        book.add_student("jane")
        book.add_submission("densenet", "jane")

    work = Work("densenet", "densenet", examples.DUE, {}, {**GROUPS, "ResNet block": 7})
    write_gradebook(str(db), work, [("jane", examples.full_marks())])

    assert told(db, "jane")["cells"]["accuracy"] == 18


def test_an_extension_is_the_students_own_due_date(db: Path) -> None:
    work = Work(
        "densenet", "densenet", examples.DUE, {"jane": examples.DUE + timedelta(days=2)}, GROUPS
    )

    write_gradebook(str(db), work, [("jane", late_by(examples.full_marks(), 30, 0.0))])

    assert told(db, "jane")["late"] == 0


def test_what_is_no_gradebook_is_an_error_of_usage(tmp_path: Path) -> None:
    (tmp_path / "no.db").write_text("no database, but long enough to be looked at" * 50)

    with pytest.raises(UsageError, match=r"no\.db"):
        require_gradebook(str(tmp_path / "no.db"))
    with pytest.raises(UsageError, match="no such folder"):
        require_gradebook(str(tmp_path / "none" / "gradebook.db"))
