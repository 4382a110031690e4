"""The submissions of a class: found, each with its student, and what the instructor should know."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from grader.assignment import Assignment
from grader.classroom.extensions import load_extensions, named_nobody
from grader.errors import UsageError
from grader.intake import Discovery, IntakePolicy, discover
from grader.intake.names import Platform, safe_id


def find_submissions(
    paths: Sequence[Path],
    assignment: Assignment,
    *,
    platform: Platform | None = None,
    student_id: str | None = None,
) -> Discovery:
    """The submissions behind paths.

    Args:
        paths: What the command line names.
        assignment: Names the module, the zone and the extensions.
        platform: What named the submissions; None lets their names decide.
        student_id: Whose the one submission is.

    Returns:
        The submissions, with a notice for all that the instructor should know.

    Raises:
        UsageError: A path is wrong, there is nothing to grade, or more than one submission has
            the student_id given.
        AssignmentError: The extensions file is wrong.
    """
    policy = IntakePolicy(module=assignment.module)
    found = discover(paths, policy, assignment.deadline.zone_info, platform)
    if student_id:
        return _of_one_student(found, student_id)
    if not found.is_class:
        return found
    students = {i.identity.person or i.identity.student_id for i in found.items}
    unknown = named_nobody(load_extensions(assignment), students)
    return replace(found, notices=(*found.notices, *unknown))


def _of_one_student(found: Discovery, student_id: str) -> Discovery:
    if len(found.items) > 1:
        raise UsageError(
            f"--student-id: expected one submission with it. Received: {len(found.items)}. "
            "Grade one at a time."
        )
    (item,) = found.items
    identity = replace(item.identity, student_id=safe_id(student_id))
    return replace(found, items=(replace(item, identity=identity),))
