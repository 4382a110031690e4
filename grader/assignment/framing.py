"""`grade new-unit`: the frame of a unit of a teacher's own, which can be graded as it stands."""

from __future__ import annotations

import keyword
import re
import sys
from datetime import UTC, datetime, timedelta
from importlib.util import find_spec
from pathlib import Path

from grader.assignment.units import named, units
from grader.errors import UsageError

FRAME = Path(__file__).parent / "frame"
MODULES = {"template.py", "reference.py"}
"""Of the frame, the two that become a folder with the unit's module."""
TIME_TO_DUE = timedelta(days=28)
"""The due date of a new unit; its author sets the real one."""

_NAME = re.compile(r"(?:\d\d-)?([a-z][a-z0-9]*(?:-[a-z0-9]+)*)", re.ASCII)


def write_frame(name: str, folder: Path, now: datetime | None = None) -> list[Path]:
    """Write the frame of a unit into a new or empty folder.

    Args:
        name: Its topic, such as "lenet" or "08-lenet"; its module is called like it.
        folder: Where.
        now: Today, for the due date.

    Returns:
        The files written.

    Raises:
        UsageError: The name cannot be a module's or is taken, or the folder holds something.
    """
    module = _module_of(name)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"{folder}: expected a new or empty folder. Nothing was written.")
    due = (now or datetime.now(UTC)) + TIME_TO_DUE
    values = {"title": module.replace("_", " ").capitalize(), "module": module,
              "due": due.strftime("%Y-%m-%dT23:00:00")}  # fmt: skip
    try:
        return [_written(source, folder, values) for source in sorted(FRAME.glob("*.in"))]
    except OSError as error:
        raise UsageError(
            f"{folder}: cannot be written: {error.strerror or error}. Name another folder."
        ) from error


def _module_of(name: str) -> str:
    """The module of a unit: its topic with low lines."""
    match = _NAME.fullmatch(name)
    module = match.group(1).replace("-", "_") if match else ""
    if not module or keyword.iskeyword(module) or _is_taken(module):
        why = "that is a module of Python or of a library" if module else "small letters and digits"
        raise UsageError(
            f"grade new-unit: expected a name such as lenet or 08-lenet ({why}). Received: {name!r}"
        )
    if named(name) or any(unit.module == f"{module}.py" for unit in units()):
        raise UsageError(
            f"grade new-unit: {name!r} is a unit of the course already. Choose another."
        )
    return module


def _is_taken(module: str) -> bool:
    """Whether `import module` means something else here, as it would beside a student's code."""
    return module in sys.stdlib_module_names or find_spec(module) is not None


def _written(source: Path, folder: Path, values: dict[str, str]) -> Path:
    part = source.stem
    if part in MODULES:
        part = f"{part.removesuffix('.py')}/{values['module']}.py"
    place = folder / part
    place.parent.mkdir(parents=True, exist_ok=True)
    text = source.read_text(encoding="utf-8")
    for name, value in values.items():
        text = text.replace(f"@{name}@", value)
    place.write_text(text, encoding="utf-8")
    return place
