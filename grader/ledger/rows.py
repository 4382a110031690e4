"""The rows of the ledger: events, the contents that they name, the head."""

from __future__ import annotations

import hashlib
import sqlite3
from datetime import datetime

from grader.domain import Grade
from grader.ledger.database import foreign_hand
from grader.ledger.key import CourseKey
from grader.ledger.record import EMPTY, Entry, Head

_COLUMNS = tuple(Entry.model_fields)
_ADD = f"INSERT INTO event ({', '.join(_COLUMNS)}) VALUES ({', '.join(f':{c}' for c in _COLUMNS)})"


def entry_of(grade: Grade, digest: str, after: Head, key: CourseKey, now: datetime) -> Entry:
    """The sealed event that records a grade.

    Args:
        grade: The grade.
        digest: SHA-256 of it as it is stored.
        after: The head before it.
        key: The course key.
        now: When.
    """
    entry = Entry(
        seq=after.count + 1,
        written_at=now,
        student_id=storable(grade.student_id),
        source=storable(grade.submission.source),
        submission_sha256=grade.submission.sha256,
        assignment_sha256=grade.provenance.assignment_sha256,
        run=grade.provenance.run,
        status=grade.status,
        cause=grade.cause,
        score=grade.score,
        max_score=grade.max_score,
        received_at=grade.submission.received_at,
        received_from=grade.submission.received_from,
        grade_sha256=digest,
        key_id=key.id,
        previous=after.last,
    )
    return entry.sealed(key)


def decision_of(
    of: Entry, score: float | None, why: str, by: str, after: Head, key: CourseKey, now: datetime
) -> Entry:
    """The sealed event that records what a person decided.

    Args:
        of: A record of the submission.
        score: The score that was set; None where that is taken back.
        why: The reason.
        by: Who decided.
        after: The head before it.
        key: The course key.
        now: When.
    """
    entry = Entry(
        seq=after.count + 1,
        kind="lift" if score is None else "override",
        written_at=now,
        student_id=of.student_id,
        source=of.source,
        submission_sha256=of.submission_sha256,
        score=score,
        why=storable(why),
        by_whom=storable(by),
        key_id=key.id,
        previous=after.last,
    )
    return entry.sealed(key)


def storable(text: str) -> str:
    """Without half characters, which no file in UTF-8 can hold."""
    return text.encode("utf-8", "replace").decode("utf-8")


def keep_content(database: sqlite3.Connection, content: bytes) -> None:
    """Store a text under its SHA-256, once."""
    digest = hashlib.sha256(content).hexdigest()
    database.execute("INSERT OR IGNORE INTO content VALUES (?, ?)", (digest, content.decode()))


def add_event(database: sqlite3.Connection, entry: Entry) -> None:
    """Add a row; its head is written in the same transaction."""
    database.execute(_ADD, entry.model_dump(mode="json"))


def write_head(database: sqlite3.Connection, head: Head) -> None:
    """Put a sealed head in the place of the one before."""
    values = head.count, head.last, head.mac
    database.execute("REPLACE INTO head (one, count, last, mac) VALUES (1, ?, ?, ?)", values)


def read_head(database: sqlite3.Connection) -> Head:
    """The head as it stands there, whatever its seal; of an empty ledger EMPTY.

    Raises:
        InfrastructureError: It is no head.
    """
    row = database.execute("SELECT count, last, mac FROM head").fetchone()
    try:
        return EMPTY if row is None else Head.model_validate(dict(row))
    except ValueError:
        raise foreign_hand("its head was changed") from None


def events_after(database: sqlite3.Connection, count: int) -> list[sqlite3.Row]:
    """The rows of the events after the first so many."""
    return database.execute("SELECT * FROM event WHERE seq > ? ORDER BY seq", (count,)).fetchall()


def text_of(database: sqlite3.Connection, sha256: str | None) -> str | None:
    """A stored text by its SHA-256; None where there is none."""
    row = database.execute("SELECT text FROM content WHERE sha256 = ?", (sha256,)).fetchone()
    return row["text"] if row is not None and isinstance(row["text"], str) else None


def read_content(database: sqlite3.Connection, entry: Entry) -> str:
    """The grade of an event as it was stored.

    Raises:
        InfrastructureError: It is gone or is not what was recorded.
    """
    text = text_of(database, entry.grade_sha256)
    if text is None:
        raise foreign_hand(f"the grade of record {entry.seq} is missing")
    if hashlib.sha256(text.encode()).hexdigest() != entry.grade_sha256:
        raise foreign_hand(f"the grade of record {entry.seq} is not what was recorded")
    return text
