"""Whether a folder is one that the grader wrote its results into, and not somebody's submission."""

from __future__ import annotations

import json
from pathlib import Path

from grader.domain import LEDGER, LEDGER_APPLICATION_ID

BEFORE_SQLITE = "ledger.jsonl"
"""The record of grades of earlier versions."""
_BEGIN = b"SQLite format 3\0"
_ID_AT = 68
"""Where SQLite's file format has the number of the program that made the file."""


def is_results(folder: Path) -> bool:
    """Whether a folder holds a record of grades beside runs; its name alone says nothing."""
    if not any((folder / name).is_dir() for name in ("runs", "grades")):
        return False
    return _is_ledger(folder / LEDGER) or _is_old_ledger(folder / BEFORE_SQLITE)


def holds_record(folder: Path) -> bool:
    """Whether a file in a folder is named as a record of grades."""
    return any((folder / name).exists() for name in (LEDGER, BEFORE_SQLITE))


def _is_ledger(file: Path) -> bool:
    try:
        with file.open("rb") as stream:
            start = stream.read(_ID_AT + 4)
    except OSError:
        return False
    return start.startswith(_BEGIN) and start[_ID_AT:] == LEDGER_APPLICATION_ID.to_bytes(4, "big")


def _is_old_ledger(file: Path) -> bool:
    try:
        with file.open("rb") as stream:
            first = json.loads(stream.readline(2**16) or b"{}")
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(first, dict) and {"seq", "grade_file", "mac"} <= first.keys()
