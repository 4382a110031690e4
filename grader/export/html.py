"""Pages: one file for each student, to hand out, and one for the class, to keep.

DIR/index.html              the class: for those who grade
DIR/students/WHO.html       one student's: what they may see, and nothing of others
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path

from grader.domain import Grade
from grader.errors import UsageError
from grader.export.files import stem_of, write_out
from grader.export.pseudonyms import Pseudonyms
from grader.intake.roster import Roster
from grader.report.html.classpage import class_page
from grader.report.html.student import Beside, student_page
from grader.report.visibility import all_due_passed

STUDENTS = "students"


def write_pages(
    grades: Sequence[Grade],
    folder: Path,
    *,
    beside: Callable[[Grade], Beside],
    now: datetime,
    pseudonyms: Pseudonyms | None = None,
    title: str = "",
    roster: Roster | None = None,
    others: Sequence[Grade] = (),
) -> None:
    """Write a page for each grade, and the class page last.

    Args:
        grades: In order.
        folder: Where.
        beside: What lies beside a grade in its run directory.
        now: What is "after the due date" is decided by this moment, which is aware.
        pseudonyms: Other names for all students; None for their own.
        title: Of the assignment.
        roster: The students of the class; not with pseudonyms.
        others: Submissions in whose place another of the same student counts; not with pseudonyms.

    Raises:
        UsageError: The place cannot be written to, or holds pages of others.
        InfrastructureError: The disk failed or is full.
    """
    after_due = all_due_passed(grades, now)
    pairs = [(grade, grade) for grade in grades]
    if pseudonyms is not None:
        pairs = [(pseudonyms.grade(grade), grade) for grade in grades]
        # The order of the class is the order of the names.
        pairs.sort(key=lambda pair: pair[0].student_id)
    shown = [one for one, _ in pairs]
    names = file_names([one.student_id for one in shown])
    _refuse_others(folder / STUDENTS, names)
    for (one, whole), name in zip(pairs, names, strict=True):
        found = beside(whole)
        if pseudonyms is not None:
            drawing = pseudonyms.drawing(whole.student_id, found.drawing)
            found = Beside(drawing, found.mistakes)
        text = student_page(one, found, after_due=after_due, title=title)
        write_out(folder / STUDENTS / name, text.encode())
    links = {place: f"{STUDENTS}/{name}" for place, name in enumerate(names)}
    write_out(
        folder / "index.html",
        class_page(shown, links, title=title, roster=roster, others=others).encode(),
    )


def file_names(students: Sequence[str]) -> list[str]:
    """A file name for each student: harmless, different from all others on any file system."""
    taken: set[str] = set()
    found = []
    for student in students:
        stem = stem_of(student)
        name, number = f"{stem}.html", 2
        while name.casefold() in taken:
            name, number = f"{stem}-{number}.html", number + 1
        taken.add(name.casefold())
        found.append(name)
    return found


def _refuse_others(folder: Path, names: Sequence[str]) -> None:
    """Refuse a folder with pages that would be taken for ones of this class.

    Raises:
        UsageError: Names one of them.
    """
    known = {name.casefold() for name in names}
    others = sorted(f.name for f in folder.glob("*.html") if f.name.casefold() not in known)
    if others:
        raise UsageError(
            f"{folder}: expected an empty folder, or these students' pages. Received: "
            f"{others[0][:80]} as well. Remove the folder, or name another with --output."
        )
