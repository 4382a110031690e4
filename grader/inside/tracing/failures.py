"""What went wrong in student code, and where in the student's own files."""

from __future__ import annotations

import os
import re
import traceback
from pathlib import Path
from typing import Any

TEXT = 600
"""Characters kept of any text that student code produced."""


def attempt(tree: Path, work: Any, *arguments: Any) -> dict[str, Any]:
    """What some work on student code gives, with its failure, None if it did not fail."""
    try:
        return {"failure": None, **work(*arguments)}
    except BaseException as error:  # reported as data: the other probes still get their turn
        return {"failure": failure(error, tree)}


def failure(error: BaseException, tree: Path) -> dict[str, Any]:
    """What went wrong and where in the student's own files; no path of this machine."""
    where = line = text = ""
    try:
        where, line = _place(error, tree)
        told = (error.msg if isinstance(error, SyntaxError) else None) or str(error)
        text = _without_our_paths(_own_words(told), tree)
    except Exception:  # an exception's own __str__ is student code
        text = ""
    record = {
        "type": type(error).__name__[:80],
        "message": text[:TEXT],
        "where": where[:200],
        "line": line[:200],
    }
    # Half characters, as file names can hold them, are no JSON that the other side takes.
    return {key: value.encode("utf-8", "replace").decode() for key, value in record.items()}


def _place(error: BaseException, tree: Path) -> tuple[str, str]:
    """The last place in the student's own files that an exception passed, and the line there.

    A line that is no Python was passed by nobody: the exception names its place itself.

    Returns:
        Two texts, both empty where there is no such place.
    """
    where = line = ""
    for frame in traceback.extract_tb(error.__traceback__):
        if own := _own_file(frame.filename, tree):
            where, line = f"{own}, line {frame.lineno}, in {frame.name}", frame.line or ""
    if isinstance(error, SyntaxError) and (own := _own_file(error.filename or "", tree)):
        where, line = f"{own}, line {error.lineno}", error.text or ""
    return where, line.strip()


def _own_file(name: str, tree: Path) -> str:
    """The name of a file of the student's, below their folder; "" for any other.

    Python's own frames are no files: "<frozen os>" would be one of the working folder.
    """
    root, path = os.path.realpath(tree), os.path.realpath(name)
    inside = path.startswith(root + os.sep) and os.path.isfile(path)
    return os.path.relpath(path, root).replace(os.sep, "/") if inside else ""


def _without_our_paths(text: str, tree: Path) -> str:
    """A text with the student's files named as they are at home: relative to their folder."""
    for folder in (os.path.realpath(tree), str(tree)):
        text = text.replace(folder + os.sep, "")
    return text.replace(os.path.expanduser("~"), "~")


def _own_words(text: str) -> str:
    """What an exception says, out of the wrapping that Keras adds for each layer it passes.

    What went wrong stands last in that wrapping, behind hundreds of characters that name layers
    and arguments; TEXT would keep the wrapping and cut off the cause.
    """
    text = re.sub(r"\x1b\[[0-9;]*m| at 0x[0-9a-f]+", "", text)
    text = re.sub(r"/\S*/site-packages/|[A-Za-z]:\\[^\n'\"]*\\site-packages\\", "", text)
    text = text.rpartition("Error encountered:\n\n")[2]
    text = text.partition("\n\nArguments received by ")[0]
    text = re.sub(r"^(Exception encountered when calling [^\n]*\n\n)+", "", text)
    return text.partition(" You are likely doing something like:\n")[0].strip()
