"""Grading where a platform started us: one submission, in the strongest sandbox there."""

from __future__ import annotations

from pathlib import Path

from grader import files
from grader.course import GradeOptions
from grader.domain import Grade
from grader.intake import Item
from grader.pipeline import grade_items
from grader.sandbox import strongest_or_bare


def grade_here(item: Item, assignment_dir: Path, *, evaluate: bool) -> Grade:
    """Grade the submission that a platform handed over.

    Where no sandbox works it runs as a bare process, which is stamped on the grade: such code can
    read what the grader can, so that no test image may be read then.

    Args:
        item: The submission.
        assignment_dir: Folder of assignment.toml in the bundle.
        evaluate: Whether the bundle was made to measure the accuracy.

    Raises:
        UsageError: The bundle is wrong.
        InfrastructureError: The machine is.
    """
    sandbox = strongest_or_bare()
    with files.scratch("bundle") as scratch:
        options = GradeOptions(
            assignment_dir,
            results_dir=scratch / "results",
            evaluate=evaluate and sandbox != "process",
            sandbox=sandbox,
        )
        (grade,) = grade_items([item], options, lambda _: None)
    return grade
