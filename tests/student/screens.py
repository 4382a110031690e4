"""What stands on a terminal after a program has moved its cursor about; and golden files of it."""

from __future__ import annotations

import os
import re
from pathlib import Path

GOLDEN = Path(__file__).parent / "golden"
_PART = re.compile(r"\x1b\[(\??[0-9;]*)([A-Za-z])|\r|\n|[^\x1b\r\n]+")
_CHANGES_NO_LETTER = {"m", "h", "l"}
"""Colours; the cursor shown and hidden."""


def on_screen(told: str, width: int = 80) -> str:
    """The lines of a terminal that was told this. What it does not know is an error."""
    lines, row, column = [""], 0, 0
    at = 0
    while at < len(told):
        part = _PART.match(told, at)
        assert part is not None, repr(told[at : at + 20])
        at = part.end()
        text, (number, action) = part[0], (part[1], part[2])
        if action in _CHANGES_NO_LETTER:
            continue
        if action == "A":
            row = max(0, row - int(number or 1))
        elif action == "K":
            assert number == "2", text
            lines[row] = ""
        elif action is not None:
            raise AssertionError(f"{text!r} is not known")
        elif text == "\r":
            column = 0
        elif text == "\n":
            row, column = row + 1, 0
        else:
            row, column = _write(lines, row, column, text, width)
        lines += [""] * (row + 1 - len(lines))
    return "".join(f"{line.rstrip()}\n" for line in lines).rstrip("\n") + "\n"


def _write(lines: list[str], row: int, column: int, text: str, width: int) -> tuple[int, int]:
    for letter in text:
        if column == width:  # the terminal goes on in the next line
            row, column = row + 1, 0
            lines += [""] * (row + 1 - len(lines))
        line = lines[row].ljust(column)
        lines[row] = line[:column] + letter + line[column + 1 :]
        column += 1
    return row, column


def hold(name: str, text: str) -> None:
    """Compare with the golden file, or write it where GOLDEN=write asks for it."""
    file = GOLDEN / name
    text = "".join(f"{line.rstrip()}\n" for line in text.splitlines())
    if os.environ.get("GOLDEN") == "write":
        file.parent.mkdir(exist_ok=True)
        file.write_text(text, encoding="utf-8")
    assert text == file.read_text(encoding="utf-8")
