"""What went wrong in student code, and where in the student's own files."""

from __future__ import annotations

import difflib
import os
import re
import traceback
from pathlib import Path
from typing import Any

from . import printed

TEXT = 600
"""Characters kept of any text that student code produced."""
CALLERS = 3
"""Places kept of the way to an exception, beside its own."""


def attempt(tree: Path, work: Any, *arguments: Any) -> dict[str, Any]:
    """What some work on student code gives, with its failure, None if it did not fail, and what
    it printed."""
    with printed.kept() as said:
        try:
            answer = {"failure": None, **work(*arguments)}
        except BaseException as error:  # reported as data: the other probes still get their turn
            answer = {"failure": failure(error, tree)}
    return {**answer, "printed": said.text}


def failure(error: BaseException, tree: Path) -> dict[str, Any]:
    """What went wrong and where in the student's own files; no path of this machine."""
    where = line = text = through = ""
    try:
        where, line, through = _place(error, tree)
        told = (error.msg if isinstance(error, SyntaxError) else None) or str(error)
        text = _without_our_paths(_own_words(told), tree) + _meant(error)
    except Exception:  # an exception's own __str__ is student code
        text = ""
    record = {
        "type": type(error).__name__[:80],
        "message": text[:TEXT],
        "where": where[:200],
        "line": line[:200],
        "through": through[:200],
    }
    # Half characters, as file names can hold them, are no JSON that the other side takes.
    return {key: value.encode("utf-8", "replace").decode() for key, value in record.items()}


def _place(error: BaseException, tree: Path) -> tuple[str, str, str]:
    """The last place in the student's own files that an exception passed, the line there, and the
    places of theirs before it.

    A line that is no Python was passed by nobody: the exception names its place itself.

    Returns:
        Three texts, all empty where there is no such place.
    """
    where = line = ""
    passed: dict[str, None] = {}
    for frame in traceback.extract_tb(error.__traceback__):
        if own := _own_file(frame.filename, tree):
            where, line = f"{own}, line {frame.lineno}, in {frame.name}", frame.line or ""
            passed[f"line {frame.lineno}, in {frame.name}"] = None
    if isinstance(error, SyntaxError) and (own := _own_file(error.filename or "", tree)):
        where, line = f"{own}, line {error.lineno}", error.text or ""
    before = [place for place in passed if not place.endswith("in <module>")][-CALLERS - 1 : -1]
    return where, line.strip(), "; ".join(before)


def _meant(error: BaseException) -> str:
    """The name that was nearly written, as Python says it where nobody catches the exception."""
    if type(error) is not NameError or not isinstance(error.name, str):
        return ""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None:
        return ""
    known = {*trace.tb_frame.f_locals, *trace.tb_frame.f_globals} - {error.name}
    near = difflib.get_close_matches(error.name, sorted(map(str, known)), n=1, cutoff=0.6)
    return f". Did you mean: '{near[0][:80]}'?" if near else ""


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
