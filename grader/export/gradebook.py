"""Scores filled into the table that a course platform exported: Canvas and Moodle.

A platform takes back its own table best: it names the students as it knows them, in the language,
with the decimal sign and the separator of its site. So the table is changed in one column (and in
Moodle's feedback), and every other cell stays as it was. A cell is written only where the grade is
final; whoever is left out is named with the reason.

Sources: Canvas, "How do I import grades"; Moodle, `mod/assign/feedback/offline`.
"""

from __future__ import annotations

import csv
import html
import io
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from grader.domain import Grade, GradeStatus
from grader.errors import UsageError
from grader.export.csv import safe_cell
from grader.export.files import write_out
from grader.files import read_marked
from grader.intake.names import safe_id
from grader.intake.roster import Roster, Student
from grader.report.feedback import student_lines
from grader.scoring import open_points

CANVAS_IDS = ("SIS Login ID", "SIS User ID", "ID")
MOODLE_IDS = ("Identifier", "ID number", "Username", "Email address")
CANVAS_FIXED = ("Student", "ID", "SIS User ID", "SIS Login ID", "Root Account", "Section")
CANVAS_POSSIBLE = "Points Possible"
EXCUSED = "EX"
"""Canvas's word for a student who need not hand in."""

MAX_FEEDBACK = 8000
"""Characters of feedback in one cell."""
_SEPARATORS = ",;\t"


class Why(StrEnum):
    """Why a student's cell was left as it was."""

    NO_SCORE = "no score: rejected, withheld or to be reviewed"
    OPEN = "points are still open; --partial writes what is earned so far"
    SEVERAL = "several grades; a person must say which counts"
    NOT_IN_SHEET = "not in the sheet"
    EXCUSED = "excused in the sheet"
    LOCKED = "the sheet says that this grade cannot be changed"


@dataclass(frozen=True)
class Filled:
    """What became of the grades.

    Attributes:
        filled: Student ids whose score was written.
        left: (student id, reason) of all others.
        without: How many students of the sheet have no grade.
    """

    filled: tuple[str, ...]
    left: tuple[tuple[str, Why], ...]
    without: int


@dataclass
class Sheet:
    """A table as a platform exported it.

    Attributes:
        file: Its name, for messages.
        header: The first line.
        rows: The lines of students, each as wide as the header.
        above: The lines between the header and the students (Canvas's points possible).
        separator: Between cells.
        encoding: Of the file, to be written alike.
    """

    file: Path
    header: list[str]
    rows: list[list[str]]
    above: list[list[str]]
    separator: str
    encoding: str

    def content(self) -> bytes:
        """The table in its own separator and encoding."""
        stream = io.StringIO(newline="")
        lines = [self.header, *self.above, *self.rows]
        csv.writer(stream, delimiter=self.separator).writerows(lines)
        return stream.getvalue().encode(self.encoding)


def write_canvas(
    grades: Sequence[Grade],
    gradebook: Path,
    column: str,
    file: Path,
    *,
    partial: bool = False,
    roster: Roster | None = None,
) -> Filled:
    """Fill scores into a gradebook exported from Canvas.

    Args:
        grades: Matched by "SIS Login ID", "SIS User ID" or "ID". Canvas's downloads are named by
            login and "ID", of which the latter counts.
        gradebook: The exported CSV.
        column: The assignment's, with or without Canvas's number: "DenseNet (12345)".
        file: Where; may be `gradebook` itself.
        partial: Whether to write scores of which points are still open.
        roster: Further ids of the students.

    Returns:
        Whose score was written, and why others' was not.

    Raises:
        UsageError: The table is not Canvas's, lacks the column, or has another maximum.
    """
    sheet = _read(gradebook)
    at = _named_column(sheet, column)
    if sheet.header[at] in CANVAS_FIXED:
        raise UsageError(f"{gradebook}: {column!r} is no assignment's column.")
    while sheet.rows and sheet.rows[0][0].strip() in ("", CANVAS_POSSIBLE):
        sheet.above.append(sheet.rows.pop(0))
    possible = [line[at] for line in sheet.above if line[0].strip() == CANVAS_POSSIBLE]
    _same_maximum(sheet, grades, possible)

    def fill(row: list[str], grade: Grade) -> Why | None:
        if row[at].strip().upper() == EXCUSED:
            return Why.EXCUSED
        row[at] = _number(grade.score, like=possible)
        return None

    numbers = _position(sheet, CANVAS_IDS[-1])
    rows = Rows(sheet, CANVAS_IDS, numbers, _position(sheet, CANVAS_FIXED[0]), roster)
    filled = _fill(grades, rows, fill, partial)
    write_out(Path(file), sheet.content())
    return filled


def write_moodle(
    grades: Sequence[Grade],
    worksheet: Path,
    file: Path,
    *,
    column: str = "Grade",
    after_due: bool = False,
    partial: bool = False,
    roster: Roster | None = None,
) -> Filled:
    """Fill scores and feedback into a grading worksheet downloaded from Moodle.

    Args:
        grades: Matched by "Identifier", "ID number", "Username" or "Email address"; in another
            language than English by the participant's number in the first column.
        worksheet: The downloaded CSV.
        file: Where; may be `worksheet` itself.
        column: The column of the grade, in the language of the site; the maximum stands behind it.
            Feedback is written where the site is English.
        after_due: Whether the due date has passed for all, so that the feedback tells of the checks
            that are shown only then.
        partial: Whether to write scores of which points are still open.
        roster: Further ids of the students.

    Returns:
        Whose score was written, and why others' was not.

    Raises:
        UsageError: The table is not Moodle's grading worksheet, or has another maximum.
    """
    sheet = _read(worksheet)
    at = _named_column(sheet, column)
    maximum = (
        sorted({row[at + 1].strip() for row in sheet.rows}) if at + 1 < len(sheet.header) else []
    )
    _same_maximum(sheet, grades, maximum)
    fixed = _position(sheet, "Grade can be changed")
    comments = _position(sheet, "Feedback comments")
    known = [name for name in MOODLE_IDS if name in sheet.header]

    def fill(row: list[str], grade: Grade) -> Why | None:
        if fixed is not None and row[fixed].strip().lower() == "no":
            return Why.LOCKED
        row[at] = _number(grade.score, like=maximum)
        if comments is not None:
            row[comments] = _html_feedback(grade, after_due)
        return None

    names = MOODLE_IDS if known else sheet.header[:1]
    rows = Rows(sheet, names, 0, _position(sheet, "Full name"), roster)
    filled = _fill(grades, rows, fill, partial)
    write_out(Path(file), sheet.content())
    return filled


# --- whose row ------------------------------------------------------------------------------


def _fill(
    grades: Sequence[Grade],
    rows: Rows,
    write: Callable[[list[str], Grade], Why | None],
    partial: bool,
) -> Filled:
    counts = Counter(grade.student_id for grade in grades)
    found = {student: rows.of(student) for student in counts}
    filled, left = [], []
    several = _of_one_row(grades, found)
    for grade in {grade.student_id: grade for grade in grades}.values():
        row = found[grade.student_id]
        why = _not_final(grade, counts, partial) or (Why.NOT_IN_SHEET if row is None else None)
        if why is None and grade.student_id in several:
            why = Why.SEVERAL
        if row is not None and why is None:
            why = write(row, grade)
        if why is None:
            filled.append(grade.student_id)
        else:
            left.append((grade.student_id, why))
    graded = {id(row) for row in found.values() if row is not None}
    return Filled(tuple(filled), tuple(left), sum(id(row) not in graded for row in rows.all))


def _of_one_row(grades: Sequence[Grade], found: Mapping[str, list[str] | None]) -> set[str]:
    """The ids that mean one row together, with different scores: nobody knows which counts."""
    scores: dict[int, set[float]] = {}
    for grade in grades:
        if grade.status is GradeStatus.GRADED:
            scores.setdefault(id(found[grade.student_id]), set()).add(grade.score)
    return {student for student, row in found.items() if len(scores.get(id(row), ())) > 1}


def _not_final(grade: Grade, counts: Counter[str], partial: bool) -> Why | None:
    if counts[grade.student_id] > 1:
        return Why.SEVERAL
    if grade.status is not GradeStatus.GRADED:
        return Why.NO_SCORE
    return Why.OPEN if open_points(grade) and not partial else None


class Rows:
    """The students' rows, by every id they are known by; an id of two students is of none."""

    def __init__(
        self,
        sheet: Sheet,
        names: Sequence[str],
        numbers: int | None,
        person: int | None,
        roster: Roster | None = None,
    ) -> None:
        """Read the ids.

        Args:
            sheet: The table.
            names: Of the columns that hold ids.
            numbers: The column with the platform's own number, the last word in it: Moodle writes
                "Participant 123" there, in the site's language. Downloads are named by it, at the
                end: doejane_12345.
            person: The column with the students' names.
            roster: Further ids of the students.

        Raises:
            UsageError: None of the columns is there.
        """
        columns = [sheet.header.index(name) for name in names if name in sheet.header]
        if not columns:
            raise UsageError(f"{sheet.file}: expected one of the columns {', '.join(names)}.")
        self.all, self._roster, self._person = sheet.rows, roster, person
        students = roster.students if roster is not None else ()
        uses = Counter(id for s in students for id in {known.casefold() for known in s.ids})
        self._shared = {id for id, count in uses.items() if count > 1}
        self._by_id = _unique((row[at].strip(), row) for row in self.all for at in columns)
        self._by_number: dict[str, list[str] | None] = {}
        if numbers is not None:
            last = ((row[numbers].rpartition(" ")[2].strip(), row) for row in self.all)
            self._by_number = _unique(last)

    def of(self, student: str) -> list[str] | None:
        """The row of a student; None where the sheet has none, or not one alone."""
        known = self._roster.recorded(student) if self._roster is not None else None
        names = dict.fromkeys((student, *(known.ids if known else ())))
        return next((row for name in names if (row := self._own(name, known)) is not None), None)

    def _own(self, name: str, student: Student | None) -> list[str] | None:
        """The row that an id means, unless it is another's: one number may be two kinds of id."""
        row = self._named(name)
        if row is None or self._roster is None:
            return row
        written = "" if self._person is None else safe_id(row[self._person])
        person = self._roster.find([written]) if written else None
        if person is not None:
            return row if person is student else None
        return row if name.casefold() not in self._shared else None

    def _named(self, student: str) -> list[str] | None:
        if student in self._by_id:
            return self._by_id[student]
        return self._by_number.get(student.rpartition("_")[2])


def _unique(pairs: Iterable[tuple[str, list[str]]]) -> dict[str, list[str] | None]:
    """Each id's row; None where two students have it."""
    found: dict[str, list[str] | None] = {}
    for known, row in pairs:
        if known and found.setdefault(known, row) is not row:
            found[known] = None
    return found


# --- the table ------------------------------------------------------------------------------


def _read(file: Path) -> Sheet:
    text, encoding = _decoded(file)
    separator = max(_SEPARATORS, key=text.partition("\n")[0].count)
    try:
        reader = csv.reader(io.StringIO(text, newline=""), strict=True, delimiter=separator)
        table = [row for row in reader if row]
    except csv.Error as error:
        raise UsageError(f"{file}: not a CSV file: {error}.") from error
    if not table:
        raise UsageError(f"{file}: the table is empty.")
    width = len(table[0])
    for number, row in enumerate(table, 1):
        if len(row) > width:
            raise UsageError(
                f"{file}, row {number}: expected at most {width} cells. Received: {len(row)}."
            )
        row.extend([""] * (width - len(row)))
    return Sheet(Path(file), table[0], table[1:], [], separator, encoding)


def _decoded(file: Path) -> tuple[str, str]:
    content, encoding = read_marked(file)
    try:
        return content.decode(encoding), encoding
    except UnicodeDecodeError as error:
        raise UsageError(f"{file}: expected a CSV file in UTF-8. {error}.") from error


def _named_column(sheet: Sheet, wanted: str) -> int:
    matches = [
        number
        for number, name in enumerate(sheet.header)
        if wanted in (name, name.rpartition(" (")[0])
    ]
    if len(matches) != 1:
        found = "no column" if not matches else f"{len(matches)} columns"
        raise UsageError(
            f"{sheet.file}: expected one column {wanted!r}, found {found}. Name it with --column "
            f"as it stands in the first line: {', '.join(map(repr, sheet.header))[:400]}."
        )
    return matches[0]


def _position(sheet: Sheet, name: str) -> int | None:
    return sheet.header.index(name) if name in sheet.header else None


def _same_maximum(sheet: Sheet, grades: Sequence[Grade], cells: Sequence[str]) -> None:
    """Refuse a table that counts to another maximum: its percentages would be wrong.

    Raises:
        UsageError: Says both.
    """
    theirs = {number for cell in cells if (number := _read_number(cell)) is not None}
    ours = {grade.max_score for grade in grades}
    if theirs and ours and theirs != ours:
        raise UsageError(
            f"{sheet.file}: expected a maximum of {_list(ours)} points, as in the rubric. "
            f"Received: {_list(theirs)}. Set the same on the platform and export the sheet again."
        )


def _read_number(cell: str) -> float | None:
    try:
        return float(cell.strip().replace(",", "."))
    except ValueError:
        return None


def _list(numbers: Iterable[float]) -> str:
    return " or ".join(f"{number:g}" for number in sorted(numbers))


def _number(score: float, like: Sequence[str]) -> str:
    """A score with the decimal sign that the sheet's own numbers have."""
    comma = any("," in cell for cell in like)
    return f"{score:g}".replace(".", ",") if comma else f"{score:g}"


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
