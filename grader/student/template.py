"""`grade init`: the template of a unit to start from."""

from __future__ import annotations

import shutil
from pathlib import Path

from grader.assignment.units import Unit, densenet, mistyped, named, units
from grader.errors import UsageError


def chosen(words: tuple[str, ...]) -> tuple[Unit, Path]:
    """The unit and the folder that `grade init` was told.

    One word is a unit's name, and then the folder is called like its topic, or a folder for the
    DenseNet. Two are a unit and a folder.

    Args:
        words: What follows `grade init`.

    Raises:
        UsageError: There is no such unit, or one word is like a unit's name and is none.
    """
    if not words:
        return densenet(), Path(densenet().topic)
    first, *rest = words
    unit = named(first)
    if unit is not None and len(rest) <= 1:
        return unit, Path(rest[0] if rest else unit.topic)
    if unit is None and not rest:
        return densenet(), _folder_for_the_densenet(first)
    if unit is not None:
        raise UsageError(f"grade init: expected a unit and a folder. Received: {len(words)} words.")
    raise UsageError(
        f"grade init: no unit is called {first!r}.{mistyped(first)} "
        f"The units: {', '.join(unit.topic for unit in units())}."
    )


def _folder_for_the_densenet(word: str) -> Path:
    """One word that is no unit's name: a folder, unless it looks like a slip."""
    plain = "/" not in word and densenet().topic not in word.casefold()
    question = mistyped(word) if plain else ""
    if question:
        raise UsageError(
            f"grade init: no unit is called {word!r}.{question} For a folder of that name write "
            f"grade init {densenet().topic} {word}."
        )
    return Path(word)


def write_template(folder: Path, unit: Unit | None = None) -> list[Path]:
    """Copy what a unit hands out into a folder. Nothing that stands there is ever replaced.

    Args:
        folder: New or existing.
        unit: Which one; None for the DenseNet.

    Returns:
        The files written.

    Raises:
        UsageError: The folder is a file, holds a file of the template's names already, or cannot
            be written to.
    """
    files = (unit or densenet()).handed_out
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder}: expected a folder, found a file. Name another.")
    taken = [name for name in files if (folder / name).exists()]
    if taken:
        raise UsageError(
            f"{folder} already has {', '.join(taken)}. Nothing was written; name a new folder."
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return [_copied(source, folder / name) for name, source in files.items()]
    except OSError as error:
        raise UsageError(
            f"{folder}: cannot be written: {error.strerror or error}. Name another folder."
        ) from error


def _copied(source: Path, place: Path) -> Path:
    place.parent.mkdir(parents=True, exist_ok=True)
    return Path(shutil.copyfile(source, place))
