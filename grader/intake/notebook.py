"""densenet.ipynb → the text of densenet.py, cell by cell, with what was left out.

The notebook is hostile JSON: it is read as plain data and its cells are never parsed as Python,
let alone run, on this side of the sandbox. One linear pass over each cell knows strings, brackets
and continued lines; that is enough, because no statement of Python begins with `%`, `!` or `?` or
ends with `?`, so whatever does is IPython's, and a line inside a string is left alone. A line that
is left out becomes `pass`, so that the other lines keep their numbers and no block becomes empty.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from grader.intake.policy import DEFAULT, IntakePolicy
from grader.intake.refusal import bad_notebook, listed, shown, size
from grader.intake.text import as_utf8

HEADER = "# {module}, read from {notebook}. Below, '# cell N' opens the N-th cell.\n"
"""Line 1. With the blank line below it keeps a cell from declaring another source encoding."""

SAVE_AGAIN = (
    "Open it in Jupyter, run 'Restart and run all', save it and repack, or export it as .py."
)

CODE_BYTES = 2 * 2**20
"""All code cells together; the rest of a large notebook is pictures."""

RUNS_ITS_BODY = frozenset({"time", "capture", "prun"})
"""Cell magics that run the cell as ordinary Python around something of their own."""

_MASKED = re.compile(
    r"""(?P<comment>\#[^\n]*)
      | (?P<string>[rRbBuUfF]{0,2}(?P<quote>\"\"\"|'''|"|'))
      | (?P<open>[\[({]) | (?P<close>[\])}])
      | (?P<joined>\\\n) | (?P<line>\n)""",
    re.VERBOSE,
)
_END_OF_STRING = {
    quote: re.compile(rf"(?:[^\\{quote[0]}]++|\\.|{quote[0]}(?!{quote[1:]}))*+{quote}", re.DOTALL)
    for quote in ('"""', "'''")
} | {quote: re.compile(rf"(?:[^\\\n{quote}]++|\\.)*+{quote}", re.DOTALL) for quote in ('"', "'")}
"""From behind the opening quote to behind the closing one; possessive, so it takes no stack."""

_TIME_MAGIC = re.compile(r"([ \t]*)%time[ \t]+(?=\S)")
_ASSIGNED_MAGIC = re.compile(r"[\w.,\s\[\]*]+?=\s*[!%]")
_COSTLY = re.compile(
    r"\.(fit|fit_generator|evaluate|predict|train_on_batch)\s*\(|\b(load_data)\s*\("
)
_DATA_CELL = re.compile(r"\s*(?:%%(?:writefile|file)|#)[ \t]+([\w.-]+)[ \t]*(?:\n|$)")
_DEFINES = re.compile(r"(?:async\s+def|def|class|@|if\s+__name__\b)")


@dataclass(frozen=True)
class Converted:
    """A notebook as a module.

    Attributes:
        source: Text of the module; '# cell N' lines say where each cell begins.
        remarks: What was left out or will cost time, naming the cell.
        data: Name → text of the data files that cells of their own hold.
    """

    source: str
    remarks: tuple[str, ...]
    data: Mapping[str, str] = field(default_factory=dict)


class _Unreadable(Exception):
    """Why it cannot be read; the file's name is put before it."""


def convert(content: bytes, policy: IntakePolicy = DEFAULT) -> Converted:
    """Read a notebook of format 3 or 4 as one Python module.

    Args:
        content: The file's bytes.
        policy: Names the module that it stands for, and the data files that it may hold.

    Returns:
        The module and the remarks.

    Raises:
        SubmissionRejected: SUBMISSION_BAD_NOTEBOOK: not JSON, not a notebook, not Python, or
            text that cannot be written as UTF-8.
    """
    try:
        return _converted(_parsed(content), policy)
    except _Unreadable as problem:
        raise bad_notebook(f"{policy.notebook}: {problem}", SAVE_AGAIN) from None


def _converted(notebook: dict[str, Any], policy: IntakePolicy) -> Converted:
    _refuse_other_languages(notebook)
    sources, data = _without_data(_code_cells(notebook), policy.data_files)
    if not any(text.strip() for _, text in sources):
        raise _Unreadable("there is no code in it.")
    if sum(len(text) for _, text in sources) > CODE_BYTES:
        raise _Unreadable(f"more than {size(CODE_BYTES)} of code.")
    cells = [_clean(number, text, policy.module) for number, text in sources]
    future = sorted({line for cell in cells for line in cell.future})
    body = "".join(f"# cell {cell.number}\n{cell.text}\n" for cell in cells if cell.text.strip())
    head = HEADER.format(module=policy.module, notebook=policy.notebook)
    source = head + "\n" + "".join(f"{line}\n" for line in future) + body
    try:
        source.encode("utf-8")
    except UnicodeEncodeError:
        raise _Unreadable("it holds characters that are no text.") from None
    return Converted(source, tuple(remark for cell in cells for remark in cell.remarks), data)


def _without_data(
    sources: list[tuple[int, str]], names: Sequence[str]
) -> tuple[list[tuple[int, str]], dict[str, str]]:
    """The cells of code, and what the others write into a data file.

    Such a cell begins with `%%writefile NAME`, or with the name alone as a comment. Of several
    for one file the last counts, as in Jupyter.
    """
    code, data = [], {}
    for number, text in sources:
        first = _DATA_CELL.match(text)
        if first is not None and first[1] in names:
            data[first[1]] = text[first.end() :]
        else:
            code.append((number, text))
    return code, data


# --- the JSON -----------------------------------------------------------------------------


def _parsed(content: bytes) -> dict[str, Any]:
    try:
        notebook = json.loads(as_utf8(content)[0].decode("utf-8-sig"))
    except (ValueError, RecursionError):
        raise _Unreadable("it is not a notebook (not valid JSON).") from None
    if not isinstance(notebook, dict):
        raise _Unreadable("it is JSON, but not a notebook.")
    return notebook


def _refuse_other_languages(notebook: dict[str, Any]) -> None:
    metadata = _dict(notebook.get("metadata"))
    named = (
        _dict(metadata.get("kernelspec")).get("language")
        or _dict(metadata.get("language_info")).get("name")
        or "python"
    )
    if not isinstance(named, str) or not named.casefold().startswith(("python", "ipython")):
        raise _Unreadable(f"expected a Python notebook. Received: {shown(str(named))}.")


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _code_cells(notebook: dict[str, Any]) -> list[tuple[int, str]]:
    """(number, text) of each code cell; numbers count all cells from 1, as a reader would."""
    cells, field = _cells(notebook)
    found = []
    for number, cell in enumerate(cells, start=1):
        if not isinstance(cell, dict):
            raise _malformed(number)
        if cell.get("cell_type") == "code":
            found.append((number, _text(cell.get(field), number)))
    return found


def _cells(notebook: dict[str, Any]) -> tuple[list[Any], str]:
    if notebook.get("nbformat") == 3:
        sheets = notebook.get("worksheets")
        if not isinstance(sheets, list) or not all(isinstance(sheet, dict) for sheet in sheets):
            raise _malformed(None)
        lists, field = [sheet.get("cells") for sheet in sheets], "input"
    elif notebook.get("nbformat") == 4:
        lists, field = [notebook.get("cells")], "source"
    else:
        raise _Unreadable(
            f"expected notebook format 3 or 4. Received: {shown(repr(notebook.get('nbformat')))}."
        )
    cells: list[Any] = []
    for part in lists:
        if not isinstance(part, list):
            raise _malformed(None)
        cells += part
    return cells, field


def _text(source: Any, number: int) -> str:
    if isinstance(source, list) and all(isinstance(line, str) for line in source):
        source = "".join(source)
    if not isinstance(source, str) or "\0" in source:
        raise _malformed(number)
    return source.replace("\r\n", "\n").replace("\r", "\n")


def _malformed(number: int | None) -> _Unreadable:
    where = f"cell {number}" if number else "its list of cells"
    return _Unreadable(f"{where} is malformed.")


# --- one cell -----------------------------------------------------------------------------


@dataclass(frozen=True)
class _Cell:
    number: int
    text: str
    remarks: tuple[str, ...] = ()
    future: tuple[str, ...] = ()


def _clean(number: int, text: str, module: str) -> _Cell:
    magic = re.match(r"\s*%%(\w*)[ \t]*([^\n]*)\n?", text)
    if magic is None:
        return _clean_lines(number, text)
    name, argument = magic[1], magic[2].strip()
    itself = name in ("writefile", "file") and argument == module
    if name in RUNS_ITS_BODY or itself:
        kept = _clean_lines(number, "\n" * magic[0].count("\n") + text[magic.end() :])
        remark = f"cell {number}: the magic %%{name} was left out, its code was kept."
        return _Cell(number, kept.text, (remark, *kept.remarks), kept.future)
    hint = " Put that file into the zip." if name in ("writefile", "file") else ""
    return _Cell(number, "", (f"cell {number}: left out as a whole (%%{shown(name)}).{hint}",))


def _clean_lines(number: int, text: str) -> _Cell:
    lines, dropped, future = [], [], []
    for line in _logical_lines(text):
        timed = _TIME_MAGIC.match(line.text)
        what = None if timed else _not_python(line)
        if line.code.strip().startswith("from __future__ import "):
            future.append(line.code.strip())
            lines.append(_blank(line.text))
        elif what:
            dropped.append(what)
            lines.append(_pass(line.text))
        elif timed:
            dropped.append("the magic %time")
            lines.append(timed[1] + line.text[timed.end() :])
        else:
            lines.append(line.text)
    remarks = [f"cell {number}: left out {listed(dropped)}."] if dropped else []
    cleaned = "".join(lines)
    return _Cell(number, cleaned, (*remarks, *_costly(number, cleaned)), tuple(future))


def _costly(number: int, text: str) -> tuple[str, ...]:
    """A remark on calls that run at import: training, and loading data that is not there."""
    calls: dict[str, None] = {}
    guarded = False
    for line in _logical_lines(text):
        if line.code.strip() and not line.code[0].isspace():
            guarded = bool(_DEFINES.match(line.code))
        if not guarded:
            calls.update((f"{a or b}()", None) for a, b in _COSTLY.findall(line.code))
    if not calls:
        return ()
    return (
        f"cell {number} calls {listed(list(calls))} whenever it is imported; put that under "
        "`if __name__ == '__main__':`, it costs time and no data can be reached here.",
    )


def _not_python(line: _Line) -> str | None:
    """What IPython construct a logical line is, None for Python."""
    code = line.code.strip()
    for sign, what in (("%", "magic"), ("!", "shell command"), ("?", "help request")):
        if code.startswith(sign):
            word = re.match(r"[%!?]+\s*([\w./-]{0,20})", code)
            return f"the {what} {sign}{word[1] if word else ''}"
    if code.endswith("?"):
        return "a help request"
    if _ASSIGNED_MAGIC.match(code):
        return "a magic or shell command that is assigned"
    return None


def _pass(text: str) -> str:
    indent = re.match(r"[ \t]*", text)
    return (indent[0] if indent else "") + "pass\n" + _blank(text)[1:]


def _blank(text: str) -> str:
    return "\n" * max(1, text.count("\n"))


# --- logical lines ------------------------------------------------------------------------


@dataclass(frozen=True)
class _Line:
    """One logical line.

    Attributes:
        text: As written, its line break included.
        code: The same without comments and with the inside of strings left out.
    """

    text: str
    code: str


def _logical_lines(text: str) -> list[_Line]:
    """Split a cell where Python would end a statement's line.

    A line that begins with a sign of IPython ends at its line break (or goes on after a
    backslash), whatever quotes and brackets it holds. Linear in the length of the text.
    """
    if not text.endswith("\n"):
        text += "\n"
    found, start = [], 0
    while start < len(text):
        timed = _TIME_MAGIC.match(text, start)
        if timed:
            stop, code = _python_line(text, timed.end())
        else:
            stop, code = _foreign_line(text, start) or _python_line(text, start)
        found.append(_Line(text[start:stop], code))
        start = stop
    return found


_FOREIGN = re.compile(r"[ \t]*[%!?](?:[^\n\\]++|\\[\s\S])*+\n?")


def _foreign_line(text: str, start: int) -> tuple[int, str] | None:
    found = _FOREIGN.match(text, start)
    return (found.end(), found[0]) if found else None


def _python_line(text: str, start: int) -> tuple[int, str]:
    depth, at, code = 0, start, []
    while found := _MASKED.search(text, at):
        code.append(text[at : found.start()])
        at = found.end()
        if found["string"]:
            at = _after_string(text, at, found["quote"])
            code.append("''")
        elif found["open"] or found["close"]:
            depth = depth + 1 if found["open"] else max(0, depth - 1)
            code.append(found[0])
        elif found["joined"]:
            code.append(" ")
        elif found["line"]:
            if depth == 0:
                return at, "".join(code)
            code.append(" ")
    code.append(text[at:])
    return len(text), "".join(code)


def _after_string(text: str, at: int, quote: str) -> int:
    """Where a string that opened before `at` ends; an unclosed one ends with its line or text."""
    closed = _END_OF_STRING[quote].match(text, at)
    if closed:
        return closed.end()
    if len(quote) == 3:
        return len(text)
    line = text.find("\n", at)
    return line if line >= 0 else len(text)
