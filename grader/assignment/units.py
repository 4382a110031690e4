"""The units of the course that ships: seven assignments, each named by its topic.

A unit is a folder `assignment/units/<nn-topic>/` with the same parts as any assignment, and with a
template beside them:

    assignment.toml   what is asked, and what it is worth
    README.md         the sheet that students read
    figures/          its pictures
    template/         what is handed out
    reference/        the solution; students have none

The DenseNet is the last unit and the default. Its parts lie where they always did.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from grader.domain import MODULE
from grader.errors import UsageError
from grader.resources import assignment_dir, template_dir

FILE_NAME = "assignment.toml"
SHEET, FIGURES, TEMPLATE, REFERENCE = "README.md", "figures", "template", "reference"
"""Parts of a unit's folder."""
SHEET_BESIDE_README = "assignment.md"
"""The DenseNet's sheet in a student's folder, whose README.md says how to work."""
DENSENET = "07-densenet"
HANDED_OUT = frozenset({".py", ".toml", ".md"})
"""Of the DenseNet's template, the kinds of files that students get."""
NEAR = 0.75
"""From this likeness on a word is a mistyped name of a unit."""


@dataclass(frozen=True)
class Unit:
    """One assignment of the course that ships.

    Attributes:
        name: Number and topic, such as "05-residual".
        folder: Where its assignment.toml and its sheet lie.
        title: What it is called in reports.
        module: The file that a student writes.
    """

    name: str
    folder: Path
    title: str
    module: str

    @property
    def topic(self) -> str:
        """Its name without the number."""
        return re.sub(r"^\d+-", "", self.name)

    @property
    def handed_out(self) -> dict[str, Path]:
        """What `grade init` writes: path in the student's folder → the file that is copied."""
        if self.name == DENSENET:
            given = sorted(template_dir().iterdir())
            files = {file.name: file for file in given if file.suffix in HANDED_OUT}
            return {**files, SHEET_BESIDE_README: self.folder / SHEET}
        template = self.folder / TEMPLATE
        files = {f.relative_to(template).as_posix(): f for f in _files_below(template)}
        figures = {f"{FIGURES}/{f.name}": f for f in _files_below(self.folder / FIGURES)}
        return {SHEET: self.folder / SHEET, **figures, **files}

    def lies_in(self, folder: Path) -> bool:
        """Whether a student works on it in a folder: its module, or the notebook, is there."""
        names = (self.module, f"{Path(self.module).stem}.ipynb")
        return any((folder / name).is_file() for name in names)


def units(home: Path | None = None) -> tuple[Unit, ...]:
    """All units of a course, in its order; the DenseNet is the last.

    Args:
        home: The course's folder; None for the one that ships.
    """
    folder = (home or assignment_dir()) / "units"
    there = sorted(folder.iterdir()) if folder.is_dir() else []
    own = [_unit(place.name, place) for place in there if (place / FILE_NAME).is_file()]
    return (*own, densenet(home))


def densenet(home: Path | None = None) -> Unit:
    """The assignment that is meant where none is named: the one at the top of the course."""
    return _unit(DENSENET, home or assignment_dir())


def _unit(name: str, folder: Path) -> Unit:
    told = tomllib.loads((folder / FILE_NAME).read_text("utf-8"))
    return Unit(name, folder, str(told.get("title", name)), str(told.get("module", MODULE)))


def _files_below(folder: Path) -> Iterator[Path]:
    """Files to hand out, without caches and what editors leave."""
    for path in sorted(folder.rglob("*")):
        parts = path.relative_to(folder).parts
        if path.is_file() and not any(part.startswith((".", "__pycache__")) for part in parts):
            yield path


# --- by name, and by what lies in a folder ------------------------------------------------------


def named(word: str) -> Unit | None:
    """The unit of a name: its topic or its whole name; None where no unit is called so."""
    word = word.rstrip("/\\").casefold()
    return next((unit for unit in units() if word in (unit.topic, unit.name)), None)


def unit_at(folder: Path) -> Unit | None:
    """The unit of a teacher's own in a folder; None where there is none."""
    return _unit(folder.resolve().name, folder) if (folder / FILE_NAME).is_file() else None


def folder_named(word: str) -> Path:
    """The folder of an assignment: the one at this path, or the unit of this name."""
    path = Path(word)
    if path.is_file() or (path / FILE_NAME).is_file():
        return path
    unit = named(word)
    return path if unit is None else unit.folder


def unit_in(folder: Path, home: Path | None = None) -> Unit:
    """The unit that a student works on in a folder, by its module; the DenseNet where none is.

    Args:
        folder: The student's.
        home: The course's folder; None for the one that ships.

    Raises:
        UsageError: There are the modules of several.
    """
    found = [unit for unit in units(home) if unit.lies_in(folder)]
    if len(found) > 1:
        modules = " and ".join(unit.module for unit in found)
        raise UsageError(
            f"{folder}: {modules} belong to several units. Name the one that you mean: "
            f"--assignment {found[0].topic}."
        )
    return found[0] if found else densenet(home)


def mistyped(word: str) -> str:
    """A question after the unit whose name is like a word that is none; nothing where none is."""
    likeness = {unit.topic: _likeness(word.casefold(), unit) for unit in units()}
    best = max(likeness.values())
    near = [topic for topic, like in likeness.items() if like == best >= NEAR]
    return f" Did you mean {' or '.join(near)}?" if near else ""


def _likeness(word: str, unit: Unit) -> float:
    """How like a name of the unit a word is, from 0 to 1; a part of a topic may stand for it."""
    long_parts = [part for part in unit.topic.split("-") if len(part) > 3]
    names = [unit.topic, unit.name, *long_parts]
    return max(difflib.SequenceMatcher(None, word, name).ratio() for name in names)
