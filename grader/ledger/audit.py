"""Which record of a ledger was changed by whoever has no key."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterator, Sequence
from enum import StrEnum
from pathlib import Path

from grader.domain import LEDGER, Record
from grader.errors import Cause, InfrastructureError, UsageError
from grader.ledger import migration
from grader.ledger.database import opened
from grader.ledger.key import CourseKey, key_to_read
from grader.ledger.record import EMPTY, GENESIS, Entry, Head, read_row
from grader.ledger.rows import events_after, read_head


class ProblemKind(StrEnum):
    """What is wrong."""

    CHANGED = "changed"
    DROPPED = "dropped"
    ADDED = "added"
    GRADE_CHANGED = "grade-changed"
    GRADE_MISSING = "grade-missing"
    UNRECORDED = "unrecorded"
    RUN_CHANGED = "run-changed"
    HEAD = "head"
    OTHER_KEY = "other-key"
    DAMAGED = "damaged"


class Problem(Record):
    """One thing that is not as it was written."""

    kind: ProblemKind
    seq: int | None = None
    """The record that it is about; None where it is about no single one."""
    message: str
    """One sentence for a person."""


def verify(results_dir: Path, key: CourseKey | None = None) -> list[Problem]:
    """Compare the record of a results folder with its seals. Reads only.

    Args:
        results_dir: The results folder.
        key: The course key; this machine's if None.

    Returns:
        What is wrong, in order of records; empty where all is as it was written.

    Raises:
        InfrastructureError: It cannot be read.
    """
    key = key if key is not None else key_to_read()
    if migration.waits_in(results_dir):
        trouble = migration.old_problem(results_dir, key)
        return [Problem(kind=ProblemKind.CHANGED, message=f"{trouble}.")] if trouble else []
    try:
        with opened(results_dir, to_write=False) as database:
            found = list(_problems(database, key))
            return found or list(_without_record(database))
    except InfrastructureError as error:
        if error.cause is not Cause.INFRA_DISK:
            raise
        return [Problem(kind=ProblemKind.DAMAGED, message=f"{error.message}.")]
    except UsageError as error:  # the version that it names
        return [Problem(kind=ProblemKind.DAMAGED, message=str(error))]


def _problems(database: sqlite3.Connection, key: CourseKey) -> Iterator[Problem]:
    rows = {row["seq"]: row for row in events_after(database, -(2**63))}
    entries = {seq: read_row(row) for seq, row in rows.items()}
    sealed = {seq: entry for seq, entry in entries.items() if entry and entry.holds(key)}
    if rows and not sealed and all(e and e.key_id != key.id for e in entries.values()):
        message = (
            f"{LEDGER} is sealed with another course key than this machine has, if it has one."
        )
        yield Problem(kind=ProblemKind.OTHER_KEY, message=message)
        return
    head = _head(database, key)
    if head is None:
        message = "the head is missing or was changed, so records taken from the end are not seen."
        yield Problem(kind=ProblemKind.HEAD, message=message)
    count = head.count if head else max(sealed, default=0)
    yield from _of_chain(sorted({*rows, *range(1, count + 1)}), rows, sealed, count)
    if head and (last := sealed.get(count)) and last.sha256 != head.last:
        message = f"record {count} is not the one that stood at the end: it is of another record."
        yield Problem(kind=ProblemKind.ADDED, seq=count, message=message)
    yield from _of_contents(database, sealed)


def _head(database: sqlite3.Connection, key: CourseKey) -> Head | None:
    try:
        head = read_head(database)
    except InfrastructureError:
        return None
    if head == EMPTY:
        return EMPTY if not events_after(database, 0) else None
    return head if head.holds(key) else None


def _of_chain(
    numbers: Sequence[int],
    rows: dict[int, sqlite3.Row],
    sealed: dict[int, Entry],
    count: int,
) -> Iterator[Problem]:
    """What is wrong with the events themselves, by their numbers."""
    for seq in numbers:
        entry, before = sealed.get(seq), sealed.get(seq - 1)
        if seq not in rows:
            message = f"record {seq} was taken away."
            yield Problem(kind=ProblemKind.DROPPED, seq=seq, message=message)
        elif not 1 <= seq <= count:
            message = f"record {seq} was added."
            yield Problem(kind=ProblemKind.ADDED, seq=seq, message=message)
        elif entry is None:
            message = f"record {seq} was changed."
            yield Problem(kind=ProblemKind.CHANGED, seq=seq, message=message)
        elif (before or seq == 1) and entry.previous != (before.sha256 if before else GENESIS):
            message = f"record {seq} was added: it is of another record of grades."
            yield Problem(kind=ProblemKind.ADDED, seq=seq, message=message)


def _of_contents(database: sqlite3.Connection, sealed: dict[int, Entry]) -> Iterator[Problem]:
    """What is wrong with the grades that the events name."""
    right: set[str | None] = set()
    wrong: set[str | None] = set()
    for digest, text in database.execute("SELECT sha256, text FROM content"):
        whole = isinstance(text, str) and hashlib.sha256(text.encode()).hexdigest() == digest
        (right if whole else wrong).add(digest)
    for seq, entry in sealed.items():
        if entry.kind == "grade" and entry.grade_sha256 not in right:
            changed = entry.grade_sha256 in wrong
            kind = ProblemKind.GRADE_CHANGED if changed else ProblemKind.GRADE_MISSING
            what = "was changed" if changed else "is missing"
            message = f"the grade of {entry.student_id} in record {seq} {what}."
            yield Problem(kind=kind, seq=seq, message=message)
    rules = {entry.assignment_sha256 for entry in sealed.values()}
    for digest in sorted(str(each) for each in wrong & rules):
        message = f"the assignment.toml ({digest[:12]}) that grades were made by was changed."
        yield Problem(kind=ProblemKind.CHANGED, message=message)


def _without_record(database: sqlite3.Connection) -> Iterator[Problem]:
    """Grades that no event names, and damage that no event shows, where the events hold."""
    (damage,) = database.execute("PRAGMA integrity_check(1)").fetchone()
    if damage != "ok":
        message = f"{LEDGER} is damaged: {damage[:200]}"
        yield Problem(kind=ProblemKind.DAMAGED, message=message)
    query = """
        SELECT sha256 FROM content EXCEPT SELECT grade_sha256 FROM event
        EXCEPT SELECT assignment_sha256 FROM event
    """
    for (digest,) in database.execute(query):
        message = f"a text ({digest[:12]}) has no record: it was added, or its record taken away."
        yield Problem(kind=ProblemKind.UNRECORDED, message=message)
