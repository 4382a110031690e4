"""From what stands on the command line to the list of submissions to grade."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from grader.errors import UsageError
from grader.intake.kinds import ARCHIVE_ENDINGS, clutter
from grader.intake.names import identify
from grader.intake.policy import DEFAULT, IntakePolicy
from grader.intake.refusal import shown

LEDGER = "ledger.jsonl"
"""A folder with this file is a results folder, not a submission."""


def discover(paths: Iterable[Path], policy: IntakePolicy = DEFAULT) -> tuple[Path, ...]:
    """Find the submissions behind paths.

    A path is a zip (or what was handed in for one), a folder with densenet.py or densenet.ipynb,
    or a folder of such zips and folders. A folder in a class folder is one submission, whatever
    it holds, so that an empty or misnamed one is told so rather than forgotten; where it holds
    just archives, as Moodle unpacks them, these are the submissions. Hidden files, clutter and
    results folders are not looked at.

    Args:
        paths: As given, each must exist.
        policy: Names the module that a submission has.

    Returns:
        Each submission once; the given order of paths, names in order below each.

    Raises:
        UsageError: A path does not exist, or nothing was found.
    """
    given = tuple(paths)
    found: dict[Path, Path] = {}
    for path in given:
        for item in _behind(path, policy):
            found.setdefault(item.resolve(), item)
    if not found:
        names = ", ".join(shown(str(path)) for path in given) or "no path"
        raise UsageError(
            f"expected a zip, a folder with {policy.module}, or a folder of these. "
            f"Received: {names}, with nothing of the kind in it."
        )
    return tuple(found.values())


def _behind(path: Path, policy: IntakePolicy) -> Iterator[Path]:
    if path.is_file():
        yield path
    elif path.is_dir():
        if _has_module(path, policy):
            yield path
        else:
            for child in _children(path):
                yield from _in_class(child)
    else:
        raise UsageError(
            f"{shown(str(path))}: expected a zip or a folder. Received: nothing of that name."
        )


def _children(folder: Path) -> list[Path]:
    try:
        names = sorted(os.listdir(folder))
    except OSError as error:
        raise UsageError(
            f"{shown(str(folder))}: the folder cannot be read: {error.strerror}."
        ) from error
    return [folder / n for n in names if not n.startswith(".") and not clutter((n,))]


def _in_class(child: Path) -> Iterator[Path]:
    """The submissions that one entry of a class folder stands for."""
    if child.is_file():
        if _handed_in(child):
            yield child
    elif child.is_dir() and not (child / LEDGER).exists():
        inside = _children(child)
        archives = [item for item in inside if item.is_file() and _is_archive(item)]
        others = [i for i in inside if i.is_dir() or i.suffix in (".py", ".ipynb")]
        yield from archives if archives and not others else [child]


def _handed_in(file: Path) -> bool:
    """An archive of any kind, or a loose module or notebook that a platform gave a name."""
    if _is_archive(file):
        return True
    loose = file.suffix.casefold() in (".py", ".ipynb")
    return loose and identify(file).platform != "file"


def _is_archive(file: Path) -> bool:
    return file.name.casefold().endswith(ARCHIVE_ENDINGS)


def _has_module(folder: Path, policy: IntakePolicy) -> bool:
    return any((folder / name).is_file() for name in (policy.module, policy.notebook))
