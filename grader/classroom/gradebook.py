"""A class's grades in nbgrader's words: whose work of which assignment, due when."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from pathlib import Path

from grader.assignment import Assignment
from grader.checks import checks_of
from grader.classroom.extensions import load_extensions
from grader.domain import Grade
from grader.errors import UsageError
from grader.export.nbgrader import Work, Written, write_gradebook
from grader.intake import Item
from grader.intake.names import collected
from grader.report.visibility import is_after_due
from grader.scoring import ACCURACY


def into_gradebook(
    place: str,
    assignment: Assignment,
    items: Sequence[Item],
    grades: Sequence[Grade],
    recorded: Iterable[Grade] = (),
) -> Written:
    """Write the grades of a class into nbgrader's gradebook: of each student the one that counts.

    Args:
        place: Path of gradebook.db, or a database URL.
        assignment: Rubric, due date, extensions.
        items: The submissions.
        grades: Theirs, in the same order.
        recorded: The grades that count of all that are recorded, also those made earlier.

    Raises:
        UsageError: The submissions are of several assignments, or it is no gradebook.
    """
    names = [_student_of(item) for item in items]
    extensions = load_extensions(assignment)
    own_due = {}
    for name, item in zip(names, items, strict=True):
        ids = (item.identity.person or item.identity.student_id, *item.identity.known_as)
        if (known := next((id for id in ids if id in extensions), None)) is not None:
            own_due[name] = extensions[known]
    module = assignment.module.removesuffix(".py") or assignment.file.parent.name
    work = Work(
        assignment=assignment_of(items) or module,
        notebook=module,
        due=assignment.deadline.due,
        extensions=own_due,
        groups=points_of_groups(assignment),
    )
    counting = {grade.student_id: grade for grade in recorded}
    chosen = {}
    for name, grade in zip(names, grades, strict=True):
        if grade.student_id in counting or grade.counts:
            chosen[name] = counting.get(grade.student_id, grade)
    pairs = list(chosen.items())
    return write_gradebook(place, work, pairs, after_due=is_after_due(assignment))


def points_of_groups(assignment: Assignment) -> dict[str, float]:
    """Group of checks → its points by the rubric, in the order of the report."""
    checks = [(check.name, check.group) for check in checks_of(assignment)]
    lines: dict[str, list[float]] = {}
    for name, group in (*checks, (ACCURACY, ACCURACY)):
        if name in assignment.rubric:
            lines.setdefault(group, []).append(assignment.rubric[name].points)
    return {group: math.fsum(points) for group, points in lines.items()}


def assignment_of(items: Sequence[Item]) -> str | None:
    """nbgrader's name of what was graded; None where nbgrader collected nothing of it.

    Raises:
        UsageError: The submissions are of several assignments.
    """
    found = {place[1].name for item in items if (place := _collected(item)) and place[1]}
    if len(found) > 1:
        raise UsageError(
            f"--gradebook: expected submissions of one assignment. Received: "
            f"{', '.join(sorted(found))}. Grade one at a time."
        )
    return next(iter(found), None)


def _student_of(item: Item) -> str:
    """The student's name as nbgrader has it, which is the folder's."""
    place = _collected(item)
    if place is not None:
        return place[0]
    return item.identity.person or item.identity.student_id


def _collected(item: Item) -> tuple[str, Path | None] | None:
    if item.identity.platform != "nbgrader":
        return None
    for path in (item.path, item.path.resolve()):
        if (place := collected(path)) is not None:
            return path.parts[place[0]], place[1]
    return None
