"""`grade export`: recorded grades in the form that another program reads."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial as partly
from pathlib import Path
from typing import Any, Literal

from grader.domain import Grade
from grader.errors import UsageError
from grader.export.csv import write_csv
from grader.export.files import digest_of, stem_of, write_out
from grader.export.gradebook import Filled, write_canvas, write_moodle
from grader.export.gradescope import to_gradescope
from grader.export.json import write_json
from grader.export.junit import write_junit
from grader.export.platforms import (
    feedback_name,
    feedback_text,
    is_decided,
    to_autolab,
    to_classroom50,
    to_prairielearn,
)
from grader.intake.roster import Roster
from grader.report.visibility import all_due_passed

Format = Literal[
    "csv", "json", "junit", "canvas", "moodle", "gradescope", "autolab", "prairielearn",
    "classroom50", "feedback",
]  # fmt: skip
SHEETS = ("canvas", "moodle")
"""Formats that fill in a sheet which the platform exported."""
ONE_FILE: dict[str, tuple[str, Callable[[Sequence[Grade], Path, Roster | None], None]]] = {
    "csv": ("grades.csv", write_csv),
    "json": ("grades.json", write_json),
    "junit": ("grades.xml", lambda grades, file, _: write_junit(grades, file)),
}
UNDECIDED = ("feedback",)
"""Formats with a file for each student that can say that a person has to decide first."""
OF_ROSTER = ("csv", "json", *SHEETS)
"""Formats that say who the students are, or find them by further ids."""


@dataclass(frozen=True)
class Exported:
    """What was written.

    Attributes:
        place: The file, or the folder of files.
        count: Grades in it.
        filled: What became of each grade where a sheet was filled in.
        left: Students whose grade a person has to decide on first.
    """

    place: Path
    count: int
    filled: Filled | None = None
    left: tuple[str, ...] = ()


def export(
    grades: Sequence[Grade],
    to: Format,
    *,
    into: Path | None = None,
    column: str | None = None,
    output: Path | None = None,
    partial: bool = False,
    roster: Roster | None = None,
    classroom: str | None = None,
    page: Callable[[Grade], str] | None = None,
) -> Exported:
    """Write grades in another program's form.

    Args:
        grades: The recorded ones.
        to: Whose form.
        into: The sheet that the platform exported; of `SHEETS` only, and needed there.
        column: The sheet's column of this assignment.
        output: Where; by default a name that says the format, in the working folder.
        partial: Whether a sheet gets scores of which points are still open.
        roster: The students of the class; for `OF_ROSTER` only.
        classroom: Classroom 50's short name and assignment, "dl-2027/densenet"; needed there.
        page: The page of a student, for feedback; None for text.

    Returns:
        What was written.

    Raises:
        UsageError: An option is missing or of another format, or the sheet is not the platform's.
        InfrastructureError: The disk failed or is full.
    """
    _refuse_other_options(to, into, column, partial)
    if (to == "classroom50") != bool(re.fullmatch(r"[\w.-]+/[\w.-]+", classroom or "")):
        raise UsageError(
            "--to classroom50 needs --classroom CLASSROOM/ASSIGNMENT, such as dl-2027/densenet; no "
            "other format takes it."
        )
    if roster is not None and to not in OF_ROSTER:
        raise UsageError(f"--roster is for {', '.join(OF_ROSTER[:-1])} and {OF_ROSTER[-1]}.")
    if to in ONE_FILE:
        name, write = ONE_FILE[to]
        place = output or Path(name)
        write(grades, place, roster)
        return Exported(place, len(grades))
    if into is not None:
        return _fill(grades, to, into, column, output, partial, roster)
    return _one_each(grades, to, output or Path(to), classroom or "", page)


def _refuse_other_options(to: Format, into: Path | None, column: str | None, partial: bool) -> None:
    if to in SHEETS and into is None:
        raise UsageError(f"--to {to} needs --into SHEET: the CSV file that {to} exported.")
    if to == "canvas" and column is None:
        raise UsageError("--to canvas needs --column: the assignment's column in the sheet.")
    if to not in SHEETS and (into or column or partial):
        raise UsageError(f"--into, --column and --partial are for {' and '.join(SHEETS)}.")


def _fill(
    grades: Sequence[Grade],
    to: Format,
    into: Path,
    column: str | None,
    output: Path | None,
    partial: bool,
    roster: Roster | None,
) -> Exported:
    # The platform's own file stays as it is unless somebody names it.
    place = output or into.with_name(f"{into.stem}-graded{into.suffix}")
    if to == "canvas":
        filled = write_canvas(grades, into, column or "", place, partial=partial, roster=roster)
    else:
        filled = write_moodle(
            grades,
            into,
            place,
            column=column or "Grade",
            after_due=after_due(grades),
            partial=partial,
            roster=roster,
        )
    return Exported(place, len(filled.filled), filled)


def _one_each(
    grades: Sequence[Grade],
    to: Format,
    folder: Path,
    classroom: str,
    page: Callable[[Grade], str] | None,
) -> Exported:
    names = [grade.student_id for grade in grades]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise UsageError(f"--to {to}: one grade each, but several are of {', '.join(twice)}.")
    told = [grade for grade in grades if to in UNDECIDED or is_decided(grade)]
    open_to_all = after_due(grades)
    taken: set[str] = set()
    for grade in told:
        if to == "feedback" and page is not None:
            name, text = feedback_name(grade, "html"), page(grade)
        elif to == "feedback":
            name, text = feedback_name(grade, "txt"), feedback_text(grade, open_to_all)
        else:
            name, text = _for_one(grade, to, classroom)
        write_out(folder / _own_name(name, grade, taken), text.encode())
    left = tuple(grade.student_id for grade in grades if grade not in told)
    return Exported(folder, len(told), left=left)


def _own_name(name: str, grade: Grade, taken: set[str]) -> str:
    """A name that no other file of the folder has, also where capitals make no difference.

    A group's feedback would have one name, and so have students whose ids differ in capitals alone.
    """
    suffix = Path(name).suffix
    stem = stem_of(grade.student_id)
    for own in (name, f"{stem}{suffix}", f"{stem}-{digest_of(grade.student_id)}{suffix}"):
        if own.casefold() not in taken:
            break
    taken.add(own.casefold())
    return own


def _for_one(grade: Grade, to: Format, classroom: str) -> tuple[str, str]:
    """Name and content of one student's file."""
    if to == "autolab":
        return f"{stem_of(grade.student_id)}.txt", to_autolab(grade)
    short, _, slug = classroom.partition("/")
    writers: dict[str, Callable[[Grade], dict[str, Any]]] = {
        "gradescope": to_gradescope,
        "prairielearn": to_prairielearn,
        "classroom50": partly(to_classroom50, classroom=short, assignment=slug),
    }
    content = writers[to](grade)
    text = json.dumps(content, ensure_ascii=False, indent=2, allow_nan=False)
    return f"{stem_of(grade.student_id)}.json", f"{text}\n"


def after_due(grades: Sequence[Grade]) -> bool:
    """Whether what waits for the due date may be told now."""
    return all_due_passed(grades, datetime.now(UTC))
