"""Where the folders that ship with the grader lie: in a checkout beside the package, in a wheel
inside it."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent
_IN_WHEEL = _PACKAGE / "_data"


def folder(name: str) -> Path:
    """One of the shipped folders: assignment, student_template or reference_solution.

    Args:
        name: The folder's name as it stands in a checkout.

    Returns:
        Its absolute path.

    Raises:
        FileNotFoundError: Neither a checkout nor a wheel has it; the installation is damaged.
    """
    for base in (_IN_WHEEL, _PACKAGE.parent):
        if (base / name).is_dir():
            return base / name
    raise FileNotFoundError(f"{name}: expected beside or inside the package {_PACKAGE.name}")


def assignment_dir() -> Path:
    """The assignment that is graded where no --assignment is given."""
    return folder("assignment")


def template_dir() -> Path:
    """What `grade init` hands out."""
    return folder("student_template")


def reference_dir() -> Path:
    """The template filled in, with trained weights."""
    return folder("reference_solution")
