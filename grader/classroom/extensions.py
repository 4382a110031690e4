"""Per-student due dates from a CSV file: strict, aware, every mistake with its line."""

from __future__ import annotations

import csv
import difflib
import io
from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from types import MappingProxyType

from grader.assignment import Assignment, aware_time
from grader.errors import AssignmentError
from grader.intake.names import safe_id

COLUMNS = ("student_id", "due")


def load_extensions(assignment: Assignment) -> Mapping[str, datetime]:
    """Read the assignment's extensions file.

    A due time without offset is taken in the assignment's zone.

    Args:
        assignment: Names the file, the zone and the ordinary due date.

    Returns:
        Student id, as submissions have it → aware due time; empty where the assignment names
        no file.

    Raises:
        AssignmentError: The file or a line of it is wrong: file, line, value, what to do.
    """
    file = assignment.extensions_file
    if file is None:
        return MappingProxyType({})
    extensions: dict[str, datetime] = {}
    for line, student_id, written in _rows(file):
        place = f"{file}, line {line}"
        key = safe_id(student_id)
        if key in extensions:
            raise AssignmentError(
                f"{place}: student_id: expected each student once. Received again: "
                f"{student_id!r}. Keep one line."
            )
        extensions[key] = _due(assignment, place, written)
    return MappingProxyType(extensions)


def named_nobody(extensions: Iterable[str], students: Mapping[str, Collection[str]]) -> list[str]:
    """A notice for each student of the extensions file who is none of the class.

    Args:
        extensions: The student ids of the file.
        students: Those of the class, each with all further ids.
    """
    everybody = {*students, *(id for ids in students.values() for id in ids)}
    by_case = {student.casefold(): student for student in students}
    notices = []
    for student in extensions:
        if student not in everybody:
            near = difflib.get_close_matches(student.casefold(), by_case, n=1, cutoff=0.5)
            advice = f" Did you mean {by_case[near[0]]}?" if near else ""
            notices.append(
                f"extensions: {student!r} is the student_id of no submission here.{advice}"
            )
    return notices


def _due(assignment: Assignment, place: str, written: str) -> datetime:
    try:
        due = aware_time(written, assignment.deadline.zone_info)
    except ValueError as error:
        raise AssignmentError(f"{place}: due: {error}") from error
    if due < assignment.deadline.due:
        raise AssignmentError(
            f"{place}: due: expected a time after the assignment's own due date, "
            f"{assignment.deadline.due.isoformat()}. Received: {written!r}."
        )
    return due


def _rows(file: Path) -> Iterator[tuple[int, str, str]]:
    """Line number, student id and written due time of each row, without the empty lines."""
    # Excel marks UTF-8 with a byte order mark.
    reader = csv.reader(io.StringIO(_text(file), newline=""), strict=True)
    header: tuple[str, ...] | None = None
    try:
        for cells in reader:
            row = tuple(cell.strip() for cell in cells)
            if not any(row):
                continue
            if header is None:
                header = _header(row, f"{file}, line {reader.line_num}")
                continue
            yield reader.line_num, *_cells(row, header, f"{file}, line {reader.line_num}")
    except csv.Error as error:
        raise AssignmentError(
            f"{file}, line {reader.line_num}: not valid CSV: {error}. Correct that line."
        ) from error
    if header is None:
        raise AssignmentError(f"{file}: expected the first line {','.join(COLUMNS)}. It is empty.")


def _header(row: tuple[str, ...], place: str) -> tuple[str, ...]:
    if sorted(row) != sorted(COLUMNS):
        raise AssignmentError(
            f"{place}: expected the columns {','.join(COLUMNS)}, separated by commas. "
            f"Received: {','.join(row)!r}."
        )
    return row


def _cells(row: tuple[str, ...], header: tuple[str, ...], place: str) -> tuple[str, str]:
    if len(row) != len(header) or not all(row):
        raise AssignmentError(
            f"{place}: expected the {len(header)} values {','.join(header)}. "
            f"Received: {','.join(row)!r}."
        )
    values = dict(zip(header, row, strict=True))
    return values["student_id"], values["due"]


def _text(file: Path) -> str:
    try:
        return file.read_bytes().decode("utf-8-sig")
    except FileNotFoundError as error:
        raise AssignmentError(
            f"{file}: no such file, but deadline.extensions names it. "
            f"Create it with the line {','.join(COLUMNS)}, or remove the key."
        ) from error
    except OSError as error:
        raise AssignmentError(f"{file}: cannot be read ({error.strerror}).") from error
    except UnicodeDecodeError as error:
        raise AssignmentError(f"{file}: not UTF-8 text. Save the file as UTF-8.") from error
