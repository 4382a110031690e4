"""The record of grades of earlier versions, moved into the ledger's file.

It was `ledger.jsonl`, a sealed line for each grade; `ledger.head.json`, how many lines there are;
and a file in `grades/` for each grade. It is moved whole, with the times at which it was written,
by the first command that opens it and has the course key; the old files are put aside unchanged. A
record that does not hold together is not moved.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import sqlite3
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from grader import files
from grader.domain import Grade
from grader.errors import InfrastructureError
from grader.intake.results import BEFORE_SQLITE
from grader.ledger.database import foreign_hand, transaction
from grader.ledger.durable import disk_error
from grader.ledger.key import CourseKey
from grader.ledger.record import EMPTY, GENESIS, Head, canonical
from grader.ledger.rows import add_event, entry_of, keep_content, read_head, write_head

OLD = BEFORE_SQLITE
OLD_FILES = (OLD, "ledger.head.json", "ledger.lock", "ledger.damaged", "grades")
ASIDE = "ledger-before-sqlite"
"""The folder that the old files are put into."""


def waits_in(results_dir: Path) -> bool:
    """Whether there is an old record that was not moved yet."""
    return (results_dir / OLD).is_file()


def move_in(database: sqlite3.Connection, results_dir: Path, key: CourseKey) -> None:
    """Move an old record into an empty ledger, and put the old files aside.

    Args:
        database: The ledger.
        results_dir: Where the old files lie.
        key: The course key that has sealed them.

    Raises:
        InfrastructureError: The old record is not what was written; nothing was moved.
    """
    if read_head(database) == EMPTY:
        with transaction(database):
            head = EMPTY
            for line, content in old_grades(results_dir, key):
                keep_content(database, content)
                grade = Grade.model_validate_json(content)
                digest = hashlib.sha256(content).hexdigest()
                entry = entry_of(grade, digest, head, key, _time(line["written_at"]))
                add_event(database, entry)
                head = Head(count=entry.seq, last=entry.sha256)
            if head.count:
                write_head(database, head.sealed(key))
    _put_aside(results_dir)


def old_grades(results_dir: Path, key: CourseKey) -> Iterator[tuple[dict[str, Any], bytes]]:
    """The lines of an old record, each with its grade as it was stored.

    Raises:
        InfrastructureError: A line, the head or a grade is not what was written.
    """
    *lines, _ = _read(results_dir / OLD).split(b"\n")  # a piece of a line was never recorded
    previous = GENESIS
    for number, line in enumerate(lines, start=1):
        fields = _json(line)
        chained = (fields.get("seq"), fields.get("previous")) == (number, previous)
        if not chained or canonical(fields) != line or not _holds(fields, "ledger", key):
            raise foreign_hand(f"line {number} of {OLD} was changed, or is of another course key")
        content = _read(results_dir / str(fields["grade_file"]))
        if hashlib.sha256(content).hexdigest() != fields["grade_sha256"]:
            raise foreign_hand(f"{fields['grade_file']} is not the file that was recorded")
        previous = hashlib.sha256(line).hexdigest()
        yield fields, content
    head = _json(_read(results_dir / OLD_FILES[1]) or b'{"count": 0}')
    # Killed between a line and its head, the head was one behind.
    if head.get("count") not in (len(lines), len(lines) - 1) or (
        head["count"] and not _holds(head, "ledger head", key)
    ):
        raise foreign_hand(f"lines at the end of {OLD} are missing, or {OLD_FILES[1]} was changed")


def _holds(fields: dict[str, Any], purpose: str, key: CourseKey) -> bool:
    rest = canonical({name: value for name, value in fields.items() if name != "mac"})
    mac = hmac.new(key.derive("", purpose), rest, "sha256").hexdigest()
    return hmac.compare_digest(str(fields.get("mac")).encode(), mac.encode())


def _time(written: str) -> datetime:
    return datetime.fromisoformat(written)


def _put_aside(results_dir: Path) -> None:
    try:
        (results_dir / ASIDE).mkdir(exist_ok=True)
        # The first of them last: as long as it stands there, this is done again.
        for name in reversed(OLD_FILES):
            if (results_dir / name).exists():
                files.put_in_place(results_dir / name, results_dir / ASIDE / name)
    except OSError as error:
        raise disk_error(OLD, error) from error


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except FileNotFoundError:
        return b""
    except OSError as error:
        raise disk_error(file.name, error) from error


def _json(content: bytes) -> dict[str, Any]:
    try:
        value = json.loads(content)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise foreign_hand(f"a line of {OLD} was changed")
    return value


def old_problem(results_dir: Path, key: CourseKey) -> str | None:
    """What is wrong with an old record that waits to be moved; None where nothing is."""
    try:
        for _ in old_grades(results_dir, key):
            pass
    except InfrastructureError as error:
        return error.message
    return None
