"""Scores filled into the table that a course platform exported: Canvas and Moodle.

Platforms take back their own table best: it names the students as they know them. A cell is only
written for a submission that was graded; all others keep what they hold.
"""

from __future__ import annotations

import csv
import html
import io
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from grader.domain import Grade, GradeStatus
from grader.errors import UsageError
from grader.export.csv import safe_cell, score_cell, to_table
from grader.export.files import write_atomically
from grader.report.feedback import student_lines

_Writer = Callable[[list[str], Grade], None]

CANVAS_IDS = ("SIS Login ID", "SIS User ID", "ID")
MOODLE_IDS = ("Identifier", "ID number", "Username", "Email address")
MOODLE_PREFIX = "Participant "
"""Moodle's worksheet says "Participant 123" where its folder and file names say "123"."""


MAX_FEEDBACK = 8000
"""Characters of feedback in one cell."""


@dataclass(frozen=True)
class Filled:
    """What became of the grades.

    Attributes:
        filled: Student ids whose score was written.
        unscored: Student ids in the table without a score: review, withheld, rejected.
        unknown: Student ids that the table does not hold.
    repeated: Student ids with several grades: a person must say which counts.
    """

    filled: tuple[str, ...]
    unscored: tuple[str, ...]
    unknown: tuple[str, ...]
    repeated: tuple[str, ...]


def write_canvas(
    grades: Sequence[Grade], gradebook: Path, assignment_column: str, file: Path
) -> Filled:
    """Fill scores into a gradebook exported from Canvas.

    Args:
        grades: Matched by "SIS Login ID", "SIS User ID" or "ID".
        gradebook: The exported CSV.
        assignment_column: Its column, with or without Canvas's number: "DenseNet (12345)".
        file: Where; may be `gradebook` itself.

    Returns:
        Whose score was written and whose was not.

    Raises:
        UsageError: The table is not Canvas's, or lacks the column.
    """
    table = _read(gradebook)
    column = _assignment_column(table, assignment_column, gradebook)
    rows = _rows_by_id(table, CANVAS_IDS, gradebook)

    def fill(row: list[str], grade: Grade) -> None:
        row[column] = score_cell(grade)

    filled = _fill(grades, rows, fill)
    write_atomically(Path(file), to_table(table))
    return filled


def write_moodle(
    grades: Sequence[Grade], worksheet: Path, file: Path, *, after_due: bool = False
) -> Filled:
    """Fill scores and feedback into a grading worksheet downloaded from Moodle.

    Args:
        grades: Matched by "Identifier", "ID number", "Username" or "Email address".
        worksheet: The downloaded CSV, with the columns Grade and Feedback comments.
        file: Where; may be `worksheet` itself.
        after_due: Whether the due date has passed for all, so that the feedback tells of the checks
            that are shown only then.

    Returns:
        Whose score was written and whose was not.

    Raises:
        UsageError: The table is not Moodle's grading worksheet.
    """
    table = _read(worksheet)
    header = table[0]
    if "Grade" not in header:
        raise UsageError(f"{worksheet}: expected the column Grade of Moodle's grading worksheet.")
    grade_column = header.index("Grade")
    comments = header.index("Feedback comments") if "Feedback comments" in header else None
    rows = _rows_by_id(table, MOODLE_IDS, worksheet)

    def fill(row: list[str], grade: Grade) -> None:
        row[grade_column] = score_cell(grade)
        if comments is not None:
            row[comments] = _html_feedback(grade, after_due)

    filled = _fill(grades, rows, fill)
    write_atomically(Path(file), to_table(table))
    return filled


def _fill(grades: Sequence[Grade], rows: Mapping[str, list[str]], write: _Writer) -> Filled:
    counts = Counter(grade.student_id for grade in grades)
    filled, unscored, unknown = [], [], []
    for grade in grades:
        row = rows.get(grade.student_id)
        if counts[grade.student_id] > 1:
            continue
        if row is None:
            unknown.append(grade.student_id)
        elif grade.status is GradeStatus.GRADED:
            write(row, grade)
            filled.append(grade.student_id)
        else:
            unscored.append(grade.student_id)
    repeated = tuple(student_id for student_id, count in counts.items() if count > 1)
    return Filled(tuple(filled), tuple(unscored), tuple(unknown), repeated)


def _html_feedback(grade: Grade, after_due: bool) -> str:
    """Feedback for a field that Moodle shows as HTML: whole lines, escaped, bounded."""
    kept: list[str] = []
    room = MAX_FEEDBACK
    for line in map(html.escape, student_lines(grade, after_due)):
        room -= len(line) + len("<br>")
        if room < 0:
            kept.append("…")
            break
        kept.append(line)
    return safe_cell("<br>".join(kept), 2 * MAX_FEEDBACK)


def _read(file: Path) -> list[list[str]]:
    try:
        text = Path(file).read_bytes().decode("utf-8-sig")
        table = [row for row in csv.reader(io.StringIO(text, newline=""), strict=True) if row]
    except OSError as error:
        raise UsageError(f"{file}: cannot be read ({error.strerror}).") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"{file}: not a CSV file in UTF-8: {error}.") from error
    if not table:
        raise UsageError(f"{file}: the table is empty.")
    width = len(table[0])
    for number, row in enumerate(table, 1):
        if len(row) > width:
            raise UsageError(
                f"{file}, row {number}: expected at most {width} cells. Received: {len(row)}."
            )
        row.extend([""] * (width - len(row)))
    return table


def _assignment_column(table: list[list[str]], wanted: str, file: Path) -> int:
    header = table[0]
    matches = [
        number
        for number, name in enumerate(header)
        if name == wanted or name.rpartition(" (")[0] == wanted
    ]
    if len(matches) != 1:
        found = "no column" if not matches else f"{len(matches)} columns"
        raise UsageError(
            f"{file}: expected one column {wanted!r}, found {found}. Name it as it stands in the "
            'first line, such as "DenseNet (12345)".'
        )
    return matches[0]


def _rows_by_id(
    table: list[list[str]], id_columns: Sequence[str], file: Path
) -> dict[str, list[str]]:
    """Each student's row by every id it is known by; an id of two students is of none."""
    header = table[0]
    columns = [header.index(name) for name in id_columns if name in header]
    if not columns:
        raise UsageError(f"{file}: expected one of the columns {', '.join(id_columns)}.")
    rows: dict[str, list[str]] = {}
    ambiguous: set[str] = set()
    for row in table[1:]:
        for student_id in {row[column].strip().removeprefix(MOODLE_PREFIX) for column in columns}:
            if student_id and rows.setdefault(student_id, row) is not row:
                ambiguous.add(student_id)
    return {student_id: row for student_id, row in rows.items() if student_id not in ambiguous}
