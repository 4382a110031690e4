"""Grades as a CSV table; no cell is ever a formula when a spreadsheet opens it."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Sequence
from pathlib import Path

from grader.domain import Grade, GradeStatus
from grader.export.files import write_out
from grader.intake.roster import Roster, Student
from grader.report.text import safe_line
from grader.scoring import open_points

_FORMULA_STARTS = ("=", "+", "-", "@", "＝", "＋", "－", "＠", "|", "%")
"""What spreadsheets read as the start of a formula, also in full width (OWASP, CSV injection)."""

COLUMNS = (
    "student_id",
    "status",
    "score",
    "max_score",
    "shape",
    "parameters",
    "architecture",
    "accuracy_points",
    "open_points",
    "accuracy",
    "threshold_met",
    "received_at",
    "received_from",
    "seconds_late",
    "penalty",
    "set_by",
    "set_why",
    "isolation",
    "cause",
    "message",
    "source",
    "submission_sha256",
    "assignment_sha256",
    "grader",
)


OF_ROSTER = ("name", "email", "section")
"""Further columns, where a roster was given."""


def safe_cell(text: str, limit: int = 400) -> str:
    """Untrusted text as a cell: one harmless line that no spreadsheet computes."""
    line = safe_line(text, limit)
    return f"'{line}" if line.startswith(_FORMULA_STARTS) else line


def to_table(rows: Iterable[Sequence[str]]) -> bytes:
    """Rows as CSV (RFC 4180) in UTF-8."""
    stream = io.StringIO(newline="")
    csv.writer(stream).writerows(rows)
    return stream.getvalue().encode("utf-8")


def write_csv(grades: Iterable[Grade], file: Path, roster: Roster | None = None) -> None:
    """Write a line for each grade, all or nothing. The score is empty where there is none.

    With a roster each line says who it is, and whoever handed nothing in has one as well.

    Raises:
        UsageError: The place cannot be written to.
        InfrastructureError: The disk failed or is full.
    """
    if roster is None:
        write_out(Path(file), to_table([COLUMNS, *(_row(grade) for grade in grades)]))
        return
    grades = list(grades)
    missing = roster.missing({grade.student_id for grade in grades})
    rows = [
        [*COLUMNS, *OF_ROSTER],
        *([*_row(grade), *_about(roster.recorded(grade.student_id))] for grade in grades),
        *([*_missing(student), *_about(student)] for student in missing),
    ]
    write_out(Path(file), to_table(rows))


def _about(student: Student | None) -> list[str]:
    known = student or Student("")
    return [safe_cell(text) for text in (known.name, known.email, known.section)]


def _missing(student: Student) -> list[str]:
    return [safe_cell(student.student_id), "missing", *[""] * (len(COLUMNS) - 2)]


def score_cell(grade: Grade) -> str:
    """The score, or nothing where nobody has earned or lost anything yet.

    Rejected is left empty too: whether that is a zero is for the course to say.
    """
    return f"{grade.score:g}" if grade.status is GradeStatus.GRADED else ""


def _row(grade: Grade) -> list[str]:
    deadline, measured = grade.deadline, grade.evaluation
    received = grade.submission.received_at
    return [
        safe_cell(grade.student_id),
        grade.status.value,
        score_cell(grade),
        f"{grade.max_score:g}",
        *(_points(grade, group) for group in ("shape", "parameters", "architecture", "accuracy")),
        f"{open_points(grade):g}",
        f"{measured.accuracy:.4f}" if measured else "",
        str(measured.met).lower() if measured else "",
        received.isoformat() if received else "",
        grade.submission.received_from or "",
        f"{deadline.seconds_late:g}" if deadline else "",
        f"{deadline.penalty:g}" if deadline else "",
        safe_cell(grade.override.by) if grade.override else "",
        safe_cell(grade.override.why) if grade.override else "",
        grade.isolation or "",
        grade.cause.value if grade.cause else "",
        safe_cell(grade.message or ""),
        safe_cell(grade.submission.source),
        grade.submission.sha256 or "",
        grade.provenance.assignment_sha256,
        safe_cell(grade.provenance.grader),
    ]


def _points(grade: Grade, group: str) -> str:
    scores = [check.score for check in grade.checks if check.group == group]
    return f"{round(math.fsum(scores), 2):g}" if scores else ""
