"""`grade bundle`: what a platform is given, in a new folder."""

from __future__ import annotations

from functools import cache, partial
from pathlib import Path

from grader import files
from grader.assignment import load_assignment
from grader.bundle.parts import find_wheel
from grader.bundle.platform import Order
from grader.bundle.platforms import PLATFORMS
from grader.course import KNOWN_CHECKS
from grader.errors import UsageError


def write_bundle(
    platform: str,
    folder: Path,
    assignment_dir: Path,
    *,
    wheel: Path | None = None,
    image: str | None = None,
    evaluation: bool = False,
) -> list[str]:
    """Write a bundle.

    Args:
        platform: Of `PLATFORMS`.
        folder: New or empty.
        assignment_dir: Folder of assignment.toml.
        wheel: The grader's wheel, without the answers.
        image: Name of the image that the platform starts.
        evaluation: Whether the accuracy is measured on the platform.

    Returns:
        What to do next, in lines.

    Raises:
        UsageError: The assignment or an option is wrong, or the folder is not empty.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"{folder}: expected a new or empty folder. Nothing was written.")
    assignment = load_assignment(assignment_dir, KNOWN_CHECKS)
    if evaluation and assignment.evaluation is None:
        raise UsageError("--evaluation: the assignment measures no accuracy.")
    with files.scratch("bundle") as scratch:
        find = cache(partial(find_wheel, wheel, scratch))
        order = Order(assignment, find, image, evaluation)
        folder.mkdir(parents=True, exist_ok=True)
        return PLATFORMS[platform].write(order, folder)
