"""`grade init`: the template of a unit to start from."""

from __future__ import annotations

from pathlib import Path

from grader.assignment import load_assignment
from grader.assignment.tables import experiments
from grader.assignment.tables.answers import ANSWERS_FILE, sheet
from grader.assignment.units import Unit, densenet, mistyped, named, unit_at, units
from grader.errors import UsageError
from grader.student.notebook import as_notebook


def chosen(words: tuple[str, ...]) -> tuple[Unit, Path]:
    """The unit and the folder that `grade init` was told.

    One word is a unit's name, and then the folder is called like its topic, or a folder for the
    DenseNet. Two are a unit and a folder. A unit of a teacher's own is named by its folder.

    Args:
        words: What follows `grade init`.

    Raises:
        UsageError: There is no such unit, or one word is like a unit's name and is none.
    """
    if not words:
        return densenet(), Path(densenet().topic)
    first, *rest = words
    unit = unit_at(Path(first)) or named(first)
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


def write_template(folder: Path, unit: Unit | None = None, *, notebook: bool = False) -> list[Path]:
    """Copy what a unit hands out into a folder. Nothing that stands there is ever replaced.

    Args:
        folder: New or existing.
        unit: Which one; None for the DenseNet.
        notebook: Whether its module is written as a notebook.

    Returns:
        The files written.

    Raises:
        UsageError: The folder is a file, holds a file of the template's names already, or cannot
            be written to.
    """
    unit = unit or densenet()
    files = contents(unit)
    if notebook:  # in the module's place: where both stand, the module counts
        text = files.pop(unit.module).decode()
        files[f"{Path(unit.module).stem}.ipynb"] = as_notebook(text, unit.title)
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder}: expected a folder, found a file. Name another.")
    taken = [name for name in files if (folder / name).exists()]
    if taken:
        raise UsageError(
            f"{folder} already has {', '.join(taken)}. Nothing was written; name a new folder."
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return [_written(content, folder / name) for name, content in files.items()]
    except OSError as error:
        raise UsageError(
            f"{folder}: cannot be written: {error.strerror or error}. Name another folder."
        ) from error


def contents(unit: Unit) -> dict[str, bytes]:
    """What a unit hands out, by path; answers.toml is written from what the assignment asks."""
    files = {name: source.read_bytes() for name, source in unit.handed_out.items()}
    asked = load_assignment(unit.folder)
    if ANSWERS_FILE in asked.data_files and ANSWERS_FILE not in files:
        text = sheet(asked.answers) + "\n" + experiments.sheet(asked.conclusions)
        files[ANSWERS_FILE] = text.rstrip("\n").encode() + b"\n"
    return files


def _written(content: bytes, place: Path) -> Path:
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(content)
    return place
