"""The results folder: every grade whole, every grade recorded once, every change visible.

    results/ledger.sqlite     the record of grades (docs/ledger.md)
    results/runs/             what the grades were made from

An event is written with the grade it is of, and with the sealed head that says how many events
there are, in one transaction: killed at any point, all of it is there or nothing. A grade that
stands there already is not recorded again.

What this cannot show: somebody without the key who puts back an older copy of the whole file.
Keep `Ledger.head().count` elsewhere, or a copy of the folder, where that matters.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

from pydantic import ValidationError

from grader.domain import LEDGER, Grade
from grader.errors import Cause, InfrastructureError
from grader.ledger import migration
from grader.ledger.database import explained, foreign_hand, opened, transaction
from grader.ledger.key import CourseKey, key_to_read, load_or_create_key
from grader.ledger.record import EMPTY, Entry, Head, Subject, grade_bytes, read_row
from grader.ledger.rows import (
    add_event,
    decision_of,
    entry_of,
    events_after,
    keep_content,
    read_content,
    read_head,
    text_of,
    write_head,
)


class Ledger:
    """The record of a results folder, for one process at a time or many.

    Used as a context manager it keeps its file open; without, it opens it for each call.

    Args:
        results_dir: The results folder; made with the first grade.
        key: Seals the events; the course key of this machine if None.
    """

    def __init__(self, results_dir: Path, key: CourseKey | None = None) -> None:
        self.results_dir = results_dir
        self.key = key if key is not None else load_or_create_key()
        self.unproved: str | None = None
        """The course key that seals the record, where this machine does not have it."""
        self._only_reads = False
        self._seen = EMPTY
        self._current: dict[tuple[str, str | None, str], Entry] = {}
        self._overrides: dict[Subject, Entry] = {}
        self._entries: list[Entry] = []
        self._kept: contextlib.ExitStack | None = None
        self._connection: sqlite3.Connection | None = None
        self._lock = threading.RLock()

    @classmethod
    def to_read(cls, results_dir: Path) -> Ledger:
        """The record, on a machine that may have no course key, or another: the chain holds
        together, but who has sealed it is not proved (`unproved`), and nothing can be written.

        Raises:
            InfrastructureError: The record does not hold together.
        """
        ledger = cls(results_dir, key_to_read())
        ledger._only_reads = True
        ledger.head()
        return ledger

    def __enter__(self) -> Self:
        self._kept = contextlib.ExitStack()
        return self

    def __exit__(self, *_: object) -> None:
        if self._kept is not None:
            self._kept.close()
        self._kept = self._connection = None

    def write_grade(self, grade: Grade, rules: bytes = b"") -> Entry:
        """Store a grade and record it; safe against being killed at any point.

        Args:
            grade: The grade.
            rules: The assignment.toml that it was made by, so that a later change can be named.

        Returns:
            Its entry; the one that stood there already if the same grade was recorded before and
            is still the last one for its student and submission.

        Raises:
            InfrastructureError: INFRA_DISK: the disk is full or read-only, or the ledger was
                changed by another hand. Nothing was recorded.
        """
        content = grade_bytes(grade)
        digest = hashlib.sha256(content).hexdigest()
        with self._writing() as database:
            entry = self._entry(grade, digest)
            known = self._current.get(entry.attempt)
            if known is not None and self._is(known, content, database):
                return known
            keep_content(database, content)
            if hashlib.sha256(rules).hexdigest() == entry.assignment_sha256:
                keep_content(database, rules)
            add_event(database, entry)
            self._write_head(database, Head(count=entry.seq, last=entry.sha256))
        self._take(entry)
        return entry

    @staticmethod
    def _is(known: Entry, content: bytes, database: sqlite3.Connection) -> bool:
        """Whether a record holds this very grade. An older version of the grader wrote the same
        grade without the fields that have come since."""
        if known.grade_sha256 == hashlib.sha256(content).hexdigest():
            read_content(database, known)  # what was lost or changed is not healed in silence
            return True
        text = text_of(database, known.grade_sha256)
        try:
            return text is not None and grade_bytes(Grade.model_validate_json(text)) == content
        except ValidationError:
            return False

    def decide(self, of: Entry, score: float | None, *, why: str, by: str) -> Entry:
        """Record what a person decided of a submission.

        Args:
            of: A record of its grade.
            score: The score that stands from now on; None takes back what was set.
            why: The reason.
            by: Who decides.

        Raises:
            InfrastructureError: INFRA_DISK, or the record does not hold together.
        """
        key = self._writing_key()
        with self._writing() as database:
            entry = decision_of(of, score, why, by, self._seen, key, datetime.now(UTC))
            add_event(database, entry)
            self._write_head(database, Head(count=entry.seq, last=entry.sha256))
        self._take(entry)
        return entry

    def current(self) -> tuple[Entry, ...]:
        """The last grade of each student, submission and path, in order of recording."""
        with self._database() as database:
            self._catch_up(database)
        return tuple(self._current.values())

    def events(self) -> tuple[Entry, ...]:
        """Everything that was recorded, in order."""
        with self._database() as database:
            self._catch_up(database)
        return tuple(self._entries)

    def overrides(self) -> dict[Subject, Entry]:
        """What a person has decided and not taken back, by student and submission."""
        with self._database() as database:
            self._catch_up(database)
        return dict(self._overrides)

    def rules(self, assignment_sha256: str | None) -> str | None:
        """The text of an assignment.toml that grades were made by; None where it is not kept.

        Raises:
            InfrastructureError: It is not what was written.
        """
        with self._database() as database:
            text = text_of(database, assignment_sha256)
        if text is not None and hashlib.sha256(text.encode()).hexdigest() != assignment_sha256:
            raise foreign_hand("an assignment.toml in it was changed")
        return text

    def rules_of_last(self) -> str | None:
        """The text of the assignment.toml that the last grade was made by."""
        grades = [entry for entry in self.events() if entry.kind == "grade"]
        return self.rules(grades[-1].assignment_sha256) if grades else None

    @staticmethod
    def stands_in(results_dir: Path) -> bool:
        """Whether a folder holds a record of grades."""
        return any((results_dir / name).is_file() for name in (LEDGER, migration.OLD))

    def received_by_hand(self) -> dict[Subject, datetime]:
        """Times of receipt that a person has set: each stands until a person sets another.

        Raises:
            InfrastructureError: The record does not hold together.
        """
        return {
            entry.subject: entry.received_at
            for entry in self.current()
            if entry.received_from == "argument" and entry.received_at is not None
        }

    def grade_of_run(self, run: str) -> Grade | None:
        """The grade that was recorded last of a run, None where none was.

        Args:
            run: Name of its directory.

        Raises:
            InfrastructureError: The record does not hold together.
        """
        with self._database() as database:
            self._catch_up(database)
            for entry in reversed(self._entries):
                if entry.run == run:
                    return self._grade(database, entry)
        return None

    def read_grade(self, entry: Entry) -> Grade:
        """The whole grade of an entry.

        Raises:
            InfrastructureError: INFRA_DISK: it is gone or is not what was recorded.
        """
        with self._database() as database:
            return self._grade(database, entry)

    def head(self) -> Head:
        """How far the ledger goes; keep its count elsewhere to notice an older copy."""
        with self._database() as database:
            self._catch_up(database)
        return self._seen

    # --- how it is kept ---

    @contextmanager
    def _database(self, *, to_write: bool = False) -> Iterator[sqlite3.Connection]:
        """The file; kept open where this ledger is used as a context manager."""
        with self._lock, explained(self.results_dir), contextlib.ExitStack() as stack:
            if self._kept is None:
                yield stack.enter_context(self._opened(to_write))
                return
            if self._connection is None:
                writes = not self._only_reads
                self._connection = self._kept.enter_context(self._opened(writes))
            yield self._connection

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """The file, for one transaction, with all that others have added read."""
        with self._database(to_write=True) as database, transaction(database):
            self._catch_up(database)
            yield database

    @contextmanager
    def _opened(self, to_write: bool) -> Iterator[sqlite3.Connection]:
        old = migration.waits_in(self.results_dir)
        if old and self._only_reads:
            raise foreign_hand(f"{migration.OLD} is of an earlier version of the grader")
        with opened(self.results_dir, to_write=to_write or old) as database:
            if old:
                migration.move_in(database, self.results_dir, self.key)
            yield database

    def _entry(self, grade: Grade, digest: str) -> Entry:
        key = self._writing_key()
        return entry_of(grade, digest, self._seen, key, datetime.now(UTC))

    def _writing_key(self) -> CourseKey:
        if self._only_reads:
            raise foreign_hand("it was opened to be read")
        return self.key

    def _write_head(self, database: sqlite3.Connection, head: Head) -> None:
        write_head(database, head.sealed(self._writing_key()))

    def _grade(self, database: sqlite3.Connection, entry: Entry) -> Grade:
        return Grade.model_validate(json.loads(read_content(database, entry)))

    def _take(self, entry: Entry) -> None:
        self._seen = Head(count=entry.seq, last=entry.sha256)
        self._entries.append(entry)
        if entry.kind == "grade":
            self._current.pop(entry.attempt, None)
            self._current[entry.attempt] = entry
        elif entry.kind == "override":
            self._overrides[entry.subject] = entry
        else:
            self._overrides.pop(entry.subject, None)

    def _catch_up(self, database: sqlite3.Connection) -> None:
        """Read what others have added since.

        Raises:
            InfrastructureError: The events are not the ones that were written.
        """
        with self._snapshot(database):
            rows = events_after(database, self._seen.count)
            head = read_head(database)
        for row in rows:
            entry = read_row(row)
            after = self._seen.count + 1, self._seen.last
            if entry is None or (entry.seq, entry.previous) != after:
                raise foreign_hand(f"record {self._seen.count + 1} was changed or taken away")
            self._prove(entry)
            self._take(entry)
        if (head.count, head.last) != (self._seen.count, self._seen.last):
            raise foreign_hand("records at its end are missing, or its head was changed")
        if self._seen.count and not self._holds(head):
            raise foreign_hand("its head was changed")

    @contextmanager
    def _snapshot(self, database: sqlite3.Connection) -> Iterator[None]:
        """One state of the file for several reads, where no transaction holds it already."""
        if database.in_transaction:
            yield
            return
        database.execute("BEGIN")
        try:
            yield
        finally:
            database.execute("COMMIT")

    def _prove(self, entry: Entry) -> None:
        if self._holds(entry, entry.key_id):
            return
        if entry.key_id == self.key.id:
            raise foreign_hand(f"record {entry.seq} was changed")
        raise InfrastructureError(
            Cause.INFRA_DISK,
            f"the record of grades is sealed with course key {entry.key_id[:40]}, and this is "
            f"{self.key.id}",
            "Name the file of that key with GRADER_KEY_FILE (in a container, mount the volume at "
            "/cache that it was made in), or use a new folder with --results.",
        )

    def _holds(self, sealed: Entry | Head, key_id: str | None = None) -> bool:
        """Whether a seal is right; one of a key that is not here is let pass where only read."""
        if self._only_reads and key_id is not None and key_id != self.key.id:
            self.unproved = key_id
        if self.unproved is not None:
            return True
        return sealed.holds(self.key)


def write_grade(results_dir: Path, grade: Grade, key: CourseKey | None = None) -> Entry:
    """Store and record one grade; for many, keep one `Ledger`.

    Args:
        results_dir: The results folder.
        grade: The grade.
        key: The course key; this machine's if None.

    Returns:
        Its entry.

    Raises:
        InfrastructureError: INFRA_DISK.
    """
    return Ledger(results_dir, key).write_grade(grade)
