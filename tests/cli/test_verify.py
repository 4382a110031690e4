"""`grade verify`: 0 where every record is as it was written, 1 where one is not."""

import contextlib
import sqlite3

import pytest

from grader.cli import run
from grader.domain import Grade, GradeStatus, Provenance, SubmissionRef
from grader.ledger import write_grade


@pytest.fixture
def results(tmp_path, monkeypatch):
    """Two recorded grades, with a course key that no other test sees."""
    monkeypatch.setenv("GRADER_KEY_FILE", str(tmp_path / "course.key"))
    folder = tmp_path / "results"
    for student in ("s1", "s2"):
        grade = Grade(
            student_id=student,
            submission=SubmissionRef(source=f"{student}.zip", sha256=student[1] * 64),
            status=GradeStatus.GRADED,
            score=82.0,
            max_score=100.0,
            provenance=Provenance(grader="0.1.0", assignment_sha256="0" * 64),
        )
        write_grade(folder, grade)
    return folder


def test_untouched_records_end_in_0(results, capsys):
    status = run(["verify", str(results)])

    assert status == 0
    assert "as it was written" in capsys.readouterr().out


def test_a_changed_record_ends_in_1_and_is_named(results, capsys):
    with contextlib.closing(sqlite3.connect(results / "ledger.sqlite")) as ledger, ledger:
        ledger.execute("UPDATE event SET score = 99 WHERE seq = 1")

    status = run(["verify", str(results)])
    assert status == 1
    assert "changed: record 1" in capsys.readouterr().out


def test_a_folder_that_is_not_there_is_a_usage_error(tmp_path, capsys):
    status = run(["verify", str(tmp_path / "none")])

    assert status == 2
    assert "expected a results folder" in capsys.readouterr().err


def test_without_the_course_key_nothing_is_proved_and_no_key_is_made(
    results, tmp_path, monkeypatch, capsys
):
    monkeypatch.setenv("GRADER_KEY_FILE", str(tmp_path / "none" / "course.key"))

    status = run(["verify", str(results)])

    assert status == 1
    assert capsys.readouterr().out.startswith("other-key: ledger.sqlite is sealed with another")
    assert not (tmp_path / "none").exists()
