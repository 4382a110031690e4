"""The class's list of students, from whatever table a course has: who they are, by every id.

A roster is Canvas's gradebook, Moodle's participants or grading worksheet, Gradescope's roster,
Brightspace's or GitHub Classroom's list, or a CSV file of the course's own. Its columns are known
by their names, in any order. One id is the course's, the first of `ID_COLUMNS` that is there; all
others find the same student.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from pathlib import Path
from zoneinfo import ZoneInfo

from grader.assignment.times import aware_time
from grader.errors import UsageError
from grader.files import read_marked
from grader.intake.names import safe_id
from grader.intake.times import brightspace_time
from grader.intake.words import Keys

ID_COLUMNS = (
    "student_id", "studentid", "student number", "matriculation number", "sid", "id number",
    "sis user id", "orgdefinedid", "org defined id", "roster_identifier", "username",
    "sis login id", "login", "login id", "user", "user id", "netid", "display id", "id", "student",
    "email", "email address", "e-mail", "mail", "identifier", "github_username",
)  # fmt: skip
"""Columns that may hold the course's own id, the likeliest first."""
EMAIL_COLUMNS = ("email", "email address", "e-mail", "mail")
NAME_COLUMNS = ("name", "full name", "student name", "display name", "student")
FIRST_NAMES = ("first name", "given name", "firstname", "vorname", "first")
LAST_NAMES = ("last name", "surname", "family name", "lastname", "nachname", "last")
SECTION_COLUMNS = ("section", "sections", "section name", "class")
GROUP_COLUMNS = ("group", "groups", "group name", "group_name", "team", "team name")
TIME_COLUMNS = ("received_at", "submitted_at", "submission_timestamp", "last modified (submission)")
_FURTHER_ID = re.compile(
    r"\b(id|ids|login|user|username|number|no|lms|alias|aka|canvas|moodle|blackboard|brightspace|"
    r"gradescope|github|sakai|participant|repository|repo)\b"
)
TITLE_CELLS = 2
"""Most cells of a line that is a title; a line of names of columns has more."""
_SEPARATORS = ",;\t|"
_NO_TIME = ("", "-", "–")


@dataclass(frozen=True)
class Student:
    """One student of the class.

    Attributes:
        student_id: The course's id, safe.
        name: As the roster has it.
        email: The address.
        section: Of the course.
        group: Those who hand in together.
        ids: All ids, safe: those of platforms, logins, the address.
        names: How platforms write the name, safe; two students may have one.
        received_at: When the work came, where the roster says it.
    """

    student_id: str
    name: str = ""
    email: str = ""
    section: str = ""
    group: str = ""
    ids: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    received_at: datetime | None = None


@dataclass(frozen=True)
class Roster:
    """The students, and who is meant by an id.

    Attributes:
        students: In the order of the file.
    """

    students: tuple[Student, ...]
    _by_key: dict[str, Student | None] = field(init=False, default_factory=dict, repr=False)
    _by_id: dict[str, Student] = field(init=False, default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        """Read the keys; one that two students share means nobody."""
        for student in self.students:
            for key in {k.casefold() for k in (*student.ids, *student.names) if k}:
                known = self._by_key.setdefault(key, student)
                self._by_key[key] = student if known is student else None
        for student in self.students:  # the course's own id always means its student
            self._by_key[student.student_id.casefold()] = student
            self._by_id[student.student_id] = student

    @cached_property
    def _keys(self) -> Keys:
        return Keys({s.student_id: {*s.ids, *s.names, s.name} for s in self.students})

    def find(self, names: Iterable[str]) -> Student | None:
        """The one student that ids or names speak of.

        Args:
            names: Any that are known of somebody, safe.

        Returns:
            None where they speak of nobody, or of several.
        """
        found = {s.student_id: s for name in names if (s := self._by_key.get(name.casefold()))}
        return next(iter(found.values())) if len(found) == 1 else None

    def of(self, student_id: str) -> Student | None:
        """The student of an id that a submission was recorded under.

        Downloads are named by name and number, such as doejane_48213, or begin with an address,
        such as jane@uni.edu_3_densenet; several submissions of one student bear a number at the
        end. Where a name merely begins as another it is another student's: li_wei is not li.
        """
        whole = [student_id, re.sub(r"-\d+$", "", student_id)]
        for name in whole:
            start, _, end = name.rpartition("_")
            found = self.find([name]) or (self.find([end, start]) if end.isdecimal() else None)
            if found is not None:
                return found
        address = re.match(r"[^@_]+(?:_[^@_]+)*@[^@_]+(?=_)", student_id)
        return self.find([address[0]]) if address else None

    def within(self, name: str, common: Collection[str] = ()) -> tuple[Student, ...]:
        """Those whose id, address or name stands in a longer name; several where that is unclear.

        Args:
            name: As a platform that is not known writes it, such as Doe_Jane_jdoe_6123.
            common: Words of the class's names that say nothing.
        """
        return tuple(self._by_id[id] for id in sorted(self._keys.within(name, common)))

    def together(self, name: str) -> tuple[Student, ...]:
        """Those whose names or ids stand side by side in a team's name, such as Team 7 (Doe, Roe).

        Args:
            name: As a platform writes it.

        Returns:
            In the order of their ids; nobody where one of them could be somebody else.
        """
        return tuple(self._by_id[id] for id in sorted(self._keys.together(name)))

    def recorded(self, student_id: str) -> Student | None:
        """The student of a recorded id, also one that was recorded without the roster."""
        found = self.of(student_id)
        inside = self.within(student_id) if found is None else ()
        return inside[0] if len(inside) == 1 else found

    def members(self, names: Iterable[str]) -> tuple[Student, ...]:
        """The students of the group that a name is of; none where it is of no group.

        Args:
            names: Any that are known of whoever handed in, safe.
        """
        wanted = {_squeezed(name) for name in names}
        return tuple(s for s in self.students if s.group and _squeezed(s.group) in wanted)

    def missing(self, student_ids: Collection[str]) -> tuple[Student, ...]:
        """Those of whom there is no submission.

        Args:
            student_ids: Of those of whom there is one.
        """
        there = {found.student_id for id in student_ids if (found := self.recorded(id))}
        return tuple(each for each in self.students if each.student_id not in there)


def load_roster(file: Path, zone: ZoneInfo | None = None) -> Roster:
    """Read a roster.

    Args:
        file: A CSV file, separated by comma, semicolon, tab or bar, in UTF-8, UTF-16 or
            Windows-1252.
        zone: Of times without an offset; None where no times are asked for.

    Raises:
        UsageError: It cannot be read, has no column with an id, or a line is wrong: file, line,
            value, what to do.
    """
    table = _table(file)
    first = next(table, None)
    if first is None:
        raise UsageError(f"{file}: expected a first line with the names of columns. It is empty.")
    header_line, header = first
    if not _has_id(header) and len([cell for cell in header if cell]) <= TITLE_CELLS:
        # Sakai writes the assignment's title above the names of the columns.
        header_line, header = next(table, first)
    columns = _Columns(file, header_line, [_plain(name) for name in header])
    students: dict[str, Student] = {}
    lines: dict[str, int] = {}
    for line, row in table:
        if len(row) > len(header) and any(row[len(header) :]):
            raise UsageError(
                f"{file}, line {line}: expected at most {len(header)} values, as in the first "
                f"line. Received: {len(row)}. Put quotes around a value with a separator in it."
            )
        if columns.is_no_student(row):
            continue
        student = columns.student(row, line, zone)
        if student.student_id in students:
            raise UsageError(
                f"{file}, line {line}: {columns.id_name}: expected each student once. Received "
                f"{student.student_id!r} again, which stands in line {lines[student.student_id]}. "
                "Keep one line."
            )
        students[student.student_id], lines[student.student_id] = student, line
    if not students:
        raise UsageError(f"{file}: expected a line for each student. There is none.")
    return Roster(tuple(students.values()))


def _has_id(header: Sequence[str]) -> bool:
    return any(_plain(name) in ID_COLUMNS for name in header)


class _Columns:
    """What stands in which column."""

    def __init__(self, file: Path, line: int, header: Sequence[str]) -> None:
        self.file, self.header = file, header
        ids = [name for name in ID_COLUMNS if name in header]
        if "student" in ids and ids[0] != "student":  # Canvas has names there
            ids.remove("student")
        if not ids:
            raise UsageError(
                f"{file}, line {line}: expected a column with an id, such as student_id, SID, "
                f"SIS User ID, Username or Email. Received: {', '.join(header)[:300]}."
            )
        self.id_name = ids[0]
        names = [name for name in NAME_COLUMNS if name in header and name != self.id_name]
        self.name = names[0] if names else ""
        self.is_canvas = {"student", "section"} <= set(header) and any("sis" in n for n in header)
        of_names = {self.name, *FIRST_NAMES, *LAST_NAMES, *SECTION_COLUMNS, *GROUP_COLUMNS}
        of_names |= set(TIME_COLUMNS)
        self.further = [
            name
            for name in dict.fromkeys(header)
            if name not in of_names
            and (name in ID_COLUMNS or _FURTHER_ID.search(name.replace("_", " ")))
        ]

    def value(self, row: Sequence[str], names: Iterable[str]) -> str:
        """The first cell of these columns that holds something."""
        for name in names:
            if name in self.header and (at := self.header.index(name)) < len(row) and row[at]:
                return row[at]
        return ""

    def is_no_student(self, row: Sequence[str]) -> bool:
        """Whether it is a line that Canvas writes between header and students, or its test user."""
        name = self.value(row, [self.name]) if self.is_canvas else ""
        no_id = not any(self.value(row, [each]) for each in self.further)
        return self.is_canvas and (name in ("Points Possible", "Student, Test") or no_id)

    def student(self, row: Sequence[str], line: int, zone: ZoneInfo | None) -> Student:
        """The student of a line."""
        # A student without the first id, such as a guest without one of the SIS, has another.
        own = self.value(
            row, [name for name in ID_COLUMNS if name in (self.id_name, *self.further)]
        )
        if not own:
            raise UsageError(
                f"{self.file}, line {line}: {self.id_name}: expected an id. Received: nothing. "
                "Fill it in, or remove the line."
            )
        email = self.value(row, EMAIL_COLUMNS)
        first, last = self.value(row, FIRST_NAMES), self.value(row, LAST_NAMES)
        name = self.value(row, [self.name]) or " ".join(filter(None, (first, last)))
        cells = [self.value(row, [each]) for each in self.further]
        further = [re.sub(r"^\S+ (?=\d+$)", "", cell) for cell in cells]  # "Participant 48213"
        ids = [safe_id(each) for each in dict.fromkeys((own, *cells, *further)) if each]
        names = [email.partition("@")[0], *_ways_to_write(name, first, last)]
        return Student(
            student_id=safe_id(own),
            name=name,
            email=email,
            section=self.value(row, (*SECTION_COLUMNS, *GROUP_COLUMNS)),
            group=self.value(row, GROUP_COLUMNS),
            ids=tuple(ids),
            names=tuple(safe_id(each) for each in names if each),
            received_at=self._received(row, line, zone),
        )

    def _received(self, row: Sequence[str], line: int, zone: ZoneInfo | None) -> datetime | None:
        written = self.value(row, TIME_COLUMNS)
        if zone is None or written in _NO_TIME:
            return None
        place = f"{self.file}, line {line}: time of receipt"
        try:
            moment = _moment(written, zone)
        except ValueError as error:
            raise UsageError(f"{place}: {error}") from error
        if moment is None:
            raise UsageError(
                f"{place}: expected a time such as 2027-09-30T22:58:41+05:30. "
                f"Received: {written!r}."
            )
        return moment


def _moment(written: str, zone: ZoneInfo) -> datetime | None:
    """An instant; None where it cannot be read.

    Raises:
        ValueError: The zone's clocks show that time twice or never.
    """
    try:
        moment: datetime | None = datetime.fromisoformat(written)
    except ValueError:  # as Moodle writes it: Thursday, 30 September 2027, 10:58 PM
        moment = brightspace_time(re.sub(r"^[A-Za-z]+, ", "", written))
    if moment is None or moment.tzinfo is not None:
        return moment
    return aware_time(moment.isoformat(timespec="seconds"), zone)


def _squeezed(name: str) -> str:
    """A group's name as platforms write it: Canvas leaves out what is no letter and no digit."""
    return re.sub(r"[\W_]", "", name).casefold()


def _ways_to_write(name: str, first: str, last: str) -> Iterator[str]:
    """A name as platforms write it: Jane Doe, Doe Jane, and Canvas's doejane."""
    if "," in name and not (first or last):
        last, _, first = (part.strip() for part in name.partition(","))
    elif not (first or last):
        first, _, last = name.rpartition(" ")
    if first or last:
        yield f"{first} {last}".strip()
        yield f"{last}, {first}"
        yield re.sub(r"\W", "", f"{last}{first}").lower()
    yield name


# --- the table ------------------------------------------------------------------------------


def _table(file: Path) -> Iterator[tuple[int, list[str]]]:
    """Line number and cells of each line that holds something."""
    text = _text(file)
    first = next((line for line in text.splitlines() if line.strip()), "")
    separator = max(_SEPARATORS, key=first.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    try:
        for row in reader:
            cells = [_cell(cell) for cell in row]
            if any(cells):
                yield reader.line_num, cells
    except csv.Error as error:
        raise UsageError(
            f"{file}, line {reader.line_num}: not valid CSV: {error}. Correct that line."
        ) from error


def _cell(text: str) -> str:
    """A cell without what keeps spreadsheets and platforms from reading it as something else."""
    text = text.strip()
    if text.startswith('="') and text.endswith('"'):  # so that 007 stays 007
        text = text[2:-1]
    return text.removeprefix("#").strip()


def _plain(name: str) -> str:
    return re.sub(r"\s+", " ", name).strip().casefold()


def _text(file: Path) -> str:
    content, encoding = read_marked(file)
    try:
        return content.decode(encoding)
    except UnicodeDecodeError:
        return content.decode("cp1252", "replace")
