"""The way of `grade PATH...`, without the command line."""

from collections.abc import Callable, Sequence
from pathlib import Path

from grader.classroom.submissions import find_submissions
from grader.course import GradeOptions
from grader.domain import Grade
from grader.pipeline import grade_items


def grade_paths(
    paths: Sequence[Path], options: GradeOptions, on_grade: Callable[[Grade], None]
) -> list[Grade]:
    """Grade zips, folders, and folders of them."""
    found = find_submissions(
        paths, options.assignment, platform=options.platform, student_id=options.student_id
    )
    return grade_items(found.items, options, on_grade)
