"""What every platform has in common: a place for submissions, and a form for grades."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from grader.assignment import Assignment
from grader.domain import Grade, GradeStatus
from grader.errors import EXIT_GRADED, EXIT_INFRASTRUCTURE, UsageError
from grader.intake import Item
from grader.intake.kinds import ARCHIVE
from grader.intake.names import Identity
from grader.report.visibility import for_student

MODULE = "python3 -I -m grader.bundle"
"""How a platform's script calls us. -I: the folder that we are called in is the student's on some
platforms, and nothing in it may be imported."""


@dataclass(frozen=True)
class Order:
    """What a bundle is made of.

    Attributes:
        assignment: As it was read.
        wheel: What installs the grader, without the answers.
        image: Name of the image that the platform starts; None where none was named.
        evaluation: Whether the accuracy is measured on the platform.
    """

    assignment: Assignment
    wheel: Callable[[], Path]
    image: str | None = None
    evaluation: bool = False

    @property
    def options(self) -> str:
        """What the call of `MODULE` ends with."""
        return " --evaluation" if self.evaluation else ""

    def needs_image(self, platform: str) -> str:
        """The image's name.

        Raises:
            UsageError: None was given.
        """
        if self.image is None:
            raise UsageError(
                f"{platform} runs the grader in an image: name it as you push it, such as "
                "--image registry.example.edu/densenet-grader:1."
            )
        return self.image


@dataclass(frozen=True)
class Platform:
    """One platform.

    Attributes:
        root: Where it puts things while it grades.
        write: Writes what it is given into a folder; says what to do with it, in lines.
        received: The submission below the root, whose it is and when it came.
        answer: Leaves the grade below the root; gives the exit status that the platform wants.
        failed: The exit status where the machine or the bundle failed: whatever the platform takes
            for no grade, and never for a 0.
    """

    root: Path
    write: Callable[[Order, Path], list[str]]
    received: Callable[[Path], Item]
    answer: Callable[[Grade, Path, Assignment], int]
    failed: int = EXIT_INFRASTRUCTURE


def in_time(student_id: str) -> Identity:
    """A student of a platform that keeps the time itself and does not tell it."""
    return Identity(student_id, "files", in_time=True)


def handed_in(folder: Path, identity: Identity) -> Item:
    """What a student put into a folder: the one archive in it, or the folder.

    Raises:
        UsageError: There is no such folder.
    """
    if not folder.is_dir():
        raise UsageError(f"{folder}: expected the folder with the submission.")
    own = [path for path in folder.iterdir() if not path.name.startswith(".")]
    zips = [path for path in own if path.is_file() and path.suffix.casefold() == ".zip"]
    alone = zips if len(own) == 1 else [path for path in zips if path.name == ARCHIVE]
    path = alone[0] if alone else folder
    return Item(path, identity, path.name)


def handed_in_as(file: Path, identity: Identity) -> Item:
    """What a platform keeps under one name.

    Raises:
        UsageError: There is no such file.
    """
    if not file.is_file():
        raise UsageError(f"{file}: expected the submission under this name.")
    return Item(file, identity, file.name)


def exit_status(grade: Grade) -> int:
    """0 where a grade stands; else the machine's failure, which no platform takes for points."""
    settled = grade.status in (GradeStatus.GRADED, GradeStatus.REJECTED)
    return EXIT_GRADED if settled else EXIT_INFRASTRUCTURE


def shown(grade: Grade) -> Grade:
    """The grade as its student may see it, for a platform that shows at once all it is given.

    What waits for the due date waits there for ever: nothing is sent a second time.
    """
    return for_student(grade, after_due=False)
