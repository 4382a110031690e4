"""Of several submissions of a student one counts, and the others say which."""

import hashlib
import os
import shutil
import sqlite3
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from grader.domain import LEDGER, Grade, GradeStatus, SubmissionRef
from grader.ledger import Ledger, counting_grades, standing
from grader.ledger.record import grade_bytes
from tests.ledger.grades import grade

START = datetime(2027, 9, 1, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _own_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRADER_KEY_FILE", str(tmp_path / "course.key"))


def handed_in(name: str, hour: int | None, score: float = 50.0, **more: Any) -> Grade:
    """A submission whose bytes are named by the first letter of its name."""
    received = None if hour is None else START + timedelta(hours=hour)
    submission = SubmissionRef(
        source=f"{name}.zip", sha256=name[0] * 64, received_at=received, received_from="lms"
    )
    return grade(more.pop("student", "mina"), score, **{"submission": submission} | more)


def recorded(results: Path, *grades: Grade, rules: bytes = b"") -> dict[str, str | None]:
    """What counts (None) or what it is superseded by, for each path."""
    with Ledger(results) as book:
        for each in grades:
            book.write_grade(by(each, rules) if rules else each, rules)
    found = standing(results).grades
    assert all(g.counts is (g.superseded_by is None) for g in found)
    return {g.submission.source: (g.superseded_by or "")[:1] or None for g in found}


def by(made: Grade, rules: bytes) -> Grade:
    provenance = made.provenance.model_copy(update={"assignment_sha256": sha256(rules)})
    return made.model_copy(update={"provenance": provenance})


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


BEST = b'attempt = "best"\n'
FIRST, SECOND = handed_in("a", 1, 80.0), handed_in("b", 2, 60.0)


def test_the_latest_received_counts_in_whatever_order_they_were_graded(tmp_path: Path) -> None:
    assert recorded(tmp_path / "one", FIRST, SECOND) == {"a.zip": "b", "b.zip": None}
    assert recorded(tmp_path / "two", SECOND, FIRST) == {"b.zip": None, "a.zip": "b"}


def test_the_best_counts_where_the_assignment_says_so(tmp_path: Path) -> None:
    assert recorded(tmp_path, FIRST, SECOND, rules=BEST) == {"a.zip": None, "b.zip": "a"}


def test_of_two_equally_good_ones_the_latest_counts(tmp_path: Path) -> None:
    twice = [handed_in("a", 1, 70.0), handed_in("b", 2, 70.0)]

    assert recorded(tmp_path, *twice, rules=BEST) == {"a.zip": "b", "b.zip": None}


REJECTED = {"status": GradeStatus.REJECTED, "score": 0.0}
WITHHELD = {"status": GradeStatus.WITHHELD, "score": 0.0}


@pytest.mark.parametrize("rules", [b"", BEST])
def test_one_that_was_rejected_takes_the_place_of_none_that_was_not(
    tmp_path: Path, rules: bytes
) -> None:
    late = handed_in("b", 99, **REJECTED)

    assert recorded(tmp_path, FIRST, late, rules=rules) == {"a.zip": None, "b.zip": "a"}


def test_of_rejected_ones_alone_the_latest_counts(tmp_path: Path) -> None:
    both = [handed_in("a", 1, **REJECTED), handed_in("b", 2, **REJECTED)]

    assert recorded(tmp_path, *both) == {"a.zip": "b", "b.zip": None}


def test_our_fault_is_not_hidden_by_an_earlier_grade(tmp_path: Path) -> None:
    assert recorded(tmp_path, FIRST, handed_in("b", 2, **WITHHELD)) == {"a.zip": "b", "b.zip": None}


def test_without_a_time_of_receipt_the_last_recorded_counts(tmp_path: Path) -> None:
    both = [handed_in("a", None), handed_in("b", None)]

    assert recorded(tmp_path, *both) == {"a.zip": "b", "b.zip": None}


def test_the_same_file_once_more_is_no_later_work(tmp_path: Path) -> None:
    again = handed_in("again", 30)

    assert recorded(tmp_path, FIRST, again) == {"a.zip": None, "again.zip": "a"}


def test_the_first_work_handed_in_again_after_another_counts(tmp_path: Path) -> None:
    again = handed_in("again", 30)

    found = recorded(tmp_path, FIRST, SECOND, again)
    assert found == {"a.zip": "a", "b.zip": "a", "again.zip": None}


def test_the_same_submission_under_another_path_is_there_once(tmp_path: Path) -> None:
    moved = FIRST.submission.model_copy(update={"source": "class/a.zip"})

    found = recorded(tmp_path, FIRST, FIRST.model_copy(update={"submission": moved}))
    assert found == {"class/a.zip": None}


def test_students_are_not_mixed(tmp_path: Path) -> None:
    other = handed_in("a", 9, student="asha")

    recorded(tmp_path, FIRST, SECOND, other)
    found = {(g.student_id, g.submission.source) for g in counting_grades(tmp_path)}
    assert found == {("mina", "b.zip"), ("asha", "a.zip")}


def test_a_regrade_takes_the_place_of_the_grade_before_and_counts_once(tmp_path: Path) -> None:
    recorded(tmp_path, FIRST, handed_in("a", 1, 90.0))

    assert [g.score for g in counting_grades(tmp_path)] == [90.0]


def test_how_a_grade_stands_is_not_part_of_what_is_recorded() -> None:
    told = FIRST.model_copy(update={"counts": False, "superseded_by": "x"})

    assert grade_bytes(told) == grade_bytes(FIRST)
    assert b"counts" not in grade_bytes(FIRST)


def test_without_a_course_key_it_can_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorded(tmp_path / "results", FIRST)
    monkeypatch.setenv("GRADER_KEY_FILE", str(tmp_path / "none"))
    first = standing(tmp_path / "results")

    assert first.unproved is not None
    assert [g.score for g in first.counting] == [80.0]
    assert not (tmp_path / "none").exists()


def test_a_folder_that_may_not_be_written_is_read_and_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As of a teaching assistant; half of the record lies in the log beside the file."""
    results = tmp_path / "results"
    with Ledger(results) as book:
        book.write_grade(FIRST)
        kept = shutil.copytree(results, tmp_path / "copy")
    before = {path.name: path.read_bytes() for path in kept.iterdir()}
    opened: list[str] = []
    connect = sqlite3.connect

    def watched(place: object, **more: Any) -> sqlite3.Connection:
        opened.append(str(place))
        return connect(str(place), **more)

    monkeypatch.setattr(sqlite3, "connect", watched)
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    found = counting_grades(kept)
    monkeypatch.undo()

    assert f"{LEDGER}-wal" in before
    assert [grade.score for grade in found] == [80.0]
    assert {path.name: path.read_bytes() for path in kept.iterdir()} == before
    assert not [place for place in opened if place.startswith(str(kept))]
