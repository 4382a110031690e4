"""`grade init`: the template to start from."""

from __future__ import annotations

import shutil
from pathlib import Path

from grader.errors import UsageError
from grader.resources import template_dir


def write_template(folder: Path) -> list[Path]:
    """Copy the template into a folder. Nothing that stands there is ever replaced.

    Args:
        folder: New or existing.

    Returns:
        The files written.

    Raises:
        UsageError: The folder is a file, holds a file of the template's names already, or cannot
            be written to.
    """
    source = template_dir()
    names = sorted(path.name for path in source.iterdir() if _handed_out(path))
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder}: expected a folder, found a file. Name another.")
    taken = [name for name in names if (folder / name).exists()]
    if taken:
        raise UsageError(
            f"{folder} already has {', '.join(taken)}. Nothing was written; name a new folder."
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return [Path(shutil.copyfile(source / name, folder / name)) for name in names]
    except OSError as error:
        raise UsageError(
            f"{folder}: cannot be written: {error.strerror or error}. Name another folder."
        ) from error


def _handed_out(path: Path) -> bool:
    return path.is_file() and path.suffix in {".py", ".toml", ".md"}
