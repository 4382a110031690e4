"""The submissions of a class: found, each with its student, and what the instructor should know."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from grader.assignment import Assignment
from grader.classroom.extensions import load_extensions, named_nobody
from grader.errors import UsageError
from grader.intake import Discovery, IntakePolicy, Item, discover
from grader.intake.bulk import Unpacked, holds_a_class, unpack
from grader.intake.names import Platform, safe_id
from grader.intake.refusal import listed, shown
from grader.intake.roster import Roster


def find_submissions(
    paths: Sequence[Path],
    assignment: Assignment,
    *,
    platform: Platform | None = None,
    student_id: str | None = None,
    scratch: Path | None = None,
    roster: Roster | None = None,
) -> Discovery:
    """The submissions behind paths.

    Args:
        paths: What the command line names.
        assignment: Names the module, the zone and the extensions.
        platform: What named the submissions; None lets their names decide.
        student_id: Whose the one submission is.
        scratch: Where a class's one big zip is unpacked; without it each zip is one submission.
        roster: The students of the class.

    Returns:
        The submissions, with a notice for all that the instructor should know.

    Raises:
        UsageError: A path is wrong, there is nothing to grade, or more than one submission has
            the student_id given.
        AssignmentError: The extensions file is wrong.
    """
    policy = IntakePolicy.of(assignment)
    opened = [] if student_id or scratch is None else _opened(paths, assignment, platform, scratch)
    named = [unpacked.folder for unpacked in opened] or paths
    found = discover(named, policy, assignment.deadline.zone_info, platform, roster)
    left = [name for unpacked in opened for name in unpacked.left_out]
    if opened:
        names = ", ".join(shown(path.name) for path in paths)
        told = [f"{names}: read as the submissions of a class, not as one (--from files)."]
        told += (
            [f"Not unpacked, as no plain file with a safe name: {listed(left)}."] if left else []
        )
        found = replace(found, notices=(*told, *found.notices), is_class=True)
    if student_id:
        return _of_one_student(found, student_id)
    if roster is not None:
        found = replace(found, notices=(*found.notices, *_strangers(found.items, roster)))
    if not found.is_class:
        return found
    found = replace(found, items=tuple(_with_sure_names(found.items)))
    students = {_person(item): set(item.identity.known_as) for item in found.items}
    absent = roster.missing(students.keys()) if roster is not None else ()
    students |= {each.student_id: set(each.ids) for each in absent}
    unknown = named_nobody(load_extensions(assignment), students)
    return replace(found, notices=(*found.notices, *unknown))


def _person(item: Item) -> str:
    return item.identity.person or item.identity.student_id


def _strangers(items: Sequence[Item], roster: Roster) -> list[str]:
    """A notice of those who are not in the roster."""
    strange = sorted({_person(i) for i in items if roster.find([_person(i)]) is None})
    return [f"Not in the roster: {listed(strange)}."] if strange else []


def _with_sure_names(items: Sequence[Item]) -> Iterator[Item]:
    """The items, without names that two students have: an extension by such a name is nobody's."""
    owners: dict[str, set[str]] = {}
    for item in items:
        for name in (_person(item), *item.identity.known_as):
            owners.setdefault(name, set()).add(_person(item))
    for item in items:
        sure = tuple(name for name in item.identity.known_as if len(owners[name]) == 1)
        yield replace(item, identity=replace(item.identity, known_as=sure))


def _opened(
    paths: Sequence[Path], assignment: Assignment, platform: Platform | None, scratch: Path
) -> list[Unpacked]:
    """The classes whose zips were named; none where one of the paths is anything else.

    A student's zip may be made to look like a class's: among others of students it stays one.
    """
    policy = IntakePolicy.of(assignment)
    if not all(path.is_file() and holds_a_class(path, policy, platform) for path in paths):
        return []
    zone = assignment.deadline.zone_info
    places = [scratch / str(number) for number, _ in enumerate(paths)]
    return [unpack(path, at, policy, zone) for path, at in zip(paths, places, strict=True)]


def _of_one_student(found: Discovery, student_id: str) -> Discovery:
    if len(found.items) > 1:
        raise UsageError(
            f"--student-id: expected one submission with it. Received: {len(found.items)}. "
            "Grade one at a time."
        )
    (item,) = found.items
    identity = replace(item.identity, student_id=safe_id(student_id))
    return replace(found, items=(replace(item, identity=identity),))
