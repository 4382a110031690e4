"""The results folder: every grade whole, every grade recorded once, every change visible.

    results/
      ledger.jsonl          one sealed line per grade, each with the hash of the one before
      ledger.head.json      how many lines there are, sealed, so that a missing end is seen
      ledger.lock           held while a line is added
      grades/<who>-<hash>.json   the grades, named by content, never overwritten

A grade is stored in three steps: the file, the line, the head. Killed after the first, there is a
file nobody refers to, which the next grade removes. Killed after the second, the head is one
line behind and catches up at the next start, because the line is sealed. Killed in the middle of
the line, it has no line break; the next start moves the piece to ledger.damaged. A grade that
stands there already is not recorded again.

What this cannot show: somebody without the key who puts back an older copy of the whole folder.
Keep `Ledger.head().count` elsewhere, or a copy of the folder, where that matters.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import re
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

from pydantic import Field, ValidationError

from grader.domain import LEDGER, Grade, Record, Sha256
from grader.errors import Cause, InfrastructureError
from grader.ledger.durable import append_durably, disk_error, locked, store
from grader.ledger.key import CourseKey, load_or_create_key
from grader.ledger.record import (
    GENESIS,
    Entry,
    Subject,
    canonical,
    grade_bytes,
    line_of,
    line_sha256,
    read_line,
    sealed,
)

HEAD = "ledger.head.json"
LOCK = "ledger.lock"
DAMAGED = "ledger.damaged"
GRADES = "grades"


class Head(Record):
    """How far the ledger goes; sealed."""

    count: int = Field(ge=0)
    """Lines."""
    size_bytes: int = Field(ge=0)
    """Length of the ledger up to there."""
    last: Sha256
    """sha256 of the last line."""
    mac: Sha256 = GENESIS

    def sealed(self, key: CourseKey) -> Head:
        """This head with its seal."""
        return self.model_copy(update={"mac": self._mac(key)})

    def holds(self, key: CourseKey) -> bool:
        """Whether the key has sealed it."""
        return hmac.compare_digest(self.mac, self._mac(key))

    def _mac(self, key: CourseKey) -> str:
        fields = canonical(self.model_dump(mode="json", exclude={"mac"}))
        return hmac.new(key.derive("", "ledger head"), fields, "sha256").hexdigest()


EMPTY = Head(count=0, size_bytes=0, last=GENESIS)


class Ledger:
    """The record of a results folder, for one process at a time or many.

    Args:
        results_dir: The results folder; made with the first grade.
        key: Seals the lines; the course key of this machine if None.
    """

    def __init__(self, results_dir: Path, key: CourseKey | None = None) -> None:
        self.results_dir = results_dir
        self.key = key if key is not None else load_or_create_key()
        self._seen = EMPTY
        self._current: dict[Subject, Entry] = {}
        self._entries: list[Entry] = []
        self._unfinished: list[str] = []

    def write_grade(self, grade: Grade) -> Entry:
        """Store a grade and record it; safe against being killed at any point.

        Args:
            grade: The grade.

        Returns:
            Its entry; the one that stood there already if the same grade was recorded before and
            is still the last one for its student and submission.

        Raises:
            InfrastructureError: INFRA_DISK: the disk is full or read-only, or the ledger was
                changed by another hand. Nothing was recorded.
        """
        content = grade_bytes(grade)
        digest = hashlib.sha256(content).hexdigest()
        with locked(self.results_dir / LOCK):
            self._catch_up()
            entry = self._entry(grade, digest)
            known = self._current.get(entry.subject)
            if known and known.grade_sha256 == digest and self._stands(known):
                return known
            self._clear_unfinished()
            store(self.results_dir / entry.grade_file, content)
            self._unfinished = [entry.grade_file]
            try:
                self._append(entry)
            finally:
                self._clear_unfinished()
        return entry

    def current(self) -> tuple[Entry, ...]:
        """The entry that counts for each student and submission, in order of recording."""
        with locked(self.results_dir / LOCK):
            self._catch_up()
        return tuple(sorted(self._current.values(), key=lambda entry: entry.seq))

    @staticmethod
    def stands_in(results_dir: Path) -> bool:
        """Whether a folder holds a record of grades, or what is left of one."""
        return (results_dir / LEDGER).is_file() or (results_dir / GRADES).is_dir()

    def received_by_hand(self) -> dict[Subject, datetime]:
        """Times of receipt that a person has set: each stands until a person sets another.

        Raises:
            InfrastructureError: The record does not hold together.
        """
        found = {}
        for entry in self.current():
            if (self.results_dir / entry.grade_file).exists():
                submission = self.read_grade(entry).submission
                if submission.received_from == "argument" and submission.received_at is not None:
                    found[entry.subject] = submission.received_at
        return found

    def grade_of_run(self, run: str) -> Grade | None:
        """The grade that was recorded last of a run, None where none was.

        Args:
            run: Name of its directory, which begins with the submission's SHA-256.

        Raises:
            InfrastructureError: The record does not hold together.
        """
        self.current()
        for entry in reversed(self._entries):
            if run.startswith((entry.submission_sha256 or "-")[:16]):
                grade = self.read_grade(entry)
                if grade.provenance.run == run:
                    return grade
        return None

    def read_grade(self, entry: Entry) -> Grade:
        """The whole grade of an entry.

        Raises:
            InfrastructureError: INFRA_DISK: the file is gone or is not what was recorded.
        """
        try:
            content = (self.results_dir / entry.grade_file).read_bytes()
        except OSError as error:
            raise disk_error(entry.grade_file, error) from error
        if hashlib.sha256(content).hexdigest() != entry.grade_sha256:
            raise _foreign_hand(f"{entry.grade_file} is not the file that was recorded")
        return Grade.model_validate_json(content)

    def head(self) -> Head:
        """How far the ledger goes; keep its count elsewhere to notice an older copy."""
        with locked(self.results_dir / LOCK):
            self._catch_up()
        return self._seen

    # --- how it is kept ---

    def _entry(self, grade: Grade, digest: str) -> Entry:
        who = re.sub(r"[^A-Za-z0-9.@-]", "_", grade.student_id)[:40].strip(".")
        entry = Entry(
            seq=self._seen.count + 1,
            written_at=datetime.now(UTC),
            student_id=grade.student_id,
            source=grade.submission.source,
            submission_sha256=grade.submission.sha256,
            assignment_sha256=grade.provenance.assignment_sha256,
            status=grade.status,
            cause=grade.cause,
            score=grade.score,
            max_score=grade.max_score,
            received_at=grade.submission.received_at,
            grade_file=f"{GRADES}/{who}-{digest[:16]}.json",
            grade_sha256=digest,
            key_id=self.key.id,
            previous=self._seen.last,
        )
        return sealed(entry, self.key)

    def _stands(self, entry: Entry) -> bool:
        try:
            content = (self.results_dir / entry.grade_file).read_bytes()
        except OSError:
            return False
        return hashlib.sha256(content).hexdigest() == entry.grade_sha256

    def _append(self, entry: Entry) -> None:
        line = line_of(entry)
        append_durably(self.results_dir / LEDGER, line + b"\n")
        self._unfinished = []
        self._take(entry, line)
        self._write_head()

    def _clear_unfinished(self) -> None:
        """Remove grades that got no line, so that one without a line is always the last one."""
        for file in self._unfinished:
            with contextlib.suppress(OSError):
                (self.results_dir / file).unlink()
        self._unfinished = []

    def _write_head(self) -> None:
        head = self._seen.sealed(self.key)
        content = canonical(head.model_dump(mode="json")) + b"\n"
        store(self.results_dir / HEAD, content)

    def _take(self, entry: Entry, line: bytes) -> None:
        self._seen = Head(
            count=entry.seq,
            size_bytes=self._seen.size_bytes + len(line) + 1,
            last=line_sha256(line),
        )
        self._current[entry.subject] = entry
        self._entries.append(entry)

    def _catch_up(self) -> None:
        """Read what others have added since, and mend what a killed process left.

        Raises:
            InfrastructureError: The lines are not the ones that were written.
        """
        lines, torn = _lines_from(self.results_dir / LEDGER, self._seen.size_bytes)
        first = self._seen == EMPTY
        if lines and first:
            _refuse_other_key(lines[0], self.key)
        head = read_head(self.results_dir, self.key)
        for line in lines:
            entry = read_line(line, self.key)
            if entry is None or (entry.seq, entry.previous) != (
                self._seen.count + 1,
                self._seen.last,
            ):
                raise _foreign_hand(f"line {self._seen.count + 1} of {LEDGER} was changed")
            self._take(entry, line)
        behind = self._seen.count - (head.count if head else 0)
        if behind < 0 or (head is None and self._seen.count > 1):
            raise _foreign_hand(f"lines at the end of {LEDGER} are missing, or {HEAD} is")
        if first:
            self._unfinished = unrecorded(self.results_dir, self._entries)
            if len(self._unfinished) > (0 if behind else 1):
                named = f"{self._unfinished[0]} and {len(self._unfinished) - 1} more grades"
                raise _foreign_hand(f"{named} have no line in {LEDGER}")
        if torn:
            self._put_aside(torn)
        if behind > 0:
            self._write_head()

    def _put_aside(self, torn: bytes) -> None:
        append_durably(self.results_dir / DAMAGED, torn + b"\n")
        try:
            with (self.results_dir / LEDGER).open("r+b") as file:
                file.truncate(self._seen.size_bytes)
        except OSError as error:
            raise disk_error(LEDGER, error) from error


def read_head(results_dir: Path, key: CourseKey) -> Head | None:
    """The sealed head, None where there is none yet.

    Raises:
        InfrastructureError: It is not one that the key has sealed.
    """
    try:
        content = (results_dir / HEAD).read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise disk_error(HEAD, error) from error
    try:
        head = Head.model_validate_json(content)
    except (ValidationError, ValueError):
        raise _foreign_hand(f"{HEAD} was changed") from None
    if not head.holds(key):
        raise _foreign_hand(f"{HEAD} was changed, or was written with another course key")
    return head


def unrecorded(results_dir: Path, entries: Iterable[Entry]) -> list[str]:
    """Files of grades that no line names. A kill between file and line leaves one, and the head
    up to date; more are a sign that lines were taken away.

    Args:
        results_dir: The results folder.
        entries: The lines.
    """
    named = {entry.grade_file for entry in entries}
    found = (f"{GRADES}/{file.name}" for file in (results_dir / GRADES).glob("*.json"))
    return sorted(file for file in found if file not in named)


def of_other_key(line: bytes, key: CourseKey) -> str | None:
    """The key a line says it was sealed with, None where it is this one; a forger gains nothing by
    saying it."""
    try:
        named = Entry.model_validate_json(line).key_id
    except ValueError:
        return None
    return None if named == key.id else named


def _refuse_other_key(line: bytes, key: CourseKey) -> None:
    named = of_other_key(line, key)
    if named is not None:
        raise InfrastructureError(
            Cause.INFRA_DISK,
            f"the record of grades is sealed with course key {named[:40]}, and this is {key.id}",
            "Name the file of that key with GRADER_KEY_FILE (in a container, mount the volume at "
            "/cache that it was made in), or use a new folder with --results.",
        )


def _lines_from(path: Path, offset: int) -> tuple[list[bytes], bytes]:
    """Whole lines from an offset on, and what stands after the last line break."""
    try:
        with path.open("rb") as file:
            file.seek(offset)
            content = file.read()
    except FileNotFoundError:
        return [], b""
    except OSError as error:
        raise disk_error(path.name, error) from error
    *lines, torn = content.split(b"\n")
    return lines, torn


def _foreign_hand(what: str) -> InfrastructureError:
    return InfrastructureError(
        Cause.INFRA_DISK,
        f"the record of grades does not hold together: {what}",
        "Run `grade verify` on the results folder to see which line it is, and use a new folder "
        "with --results until that is cleared up.",
    )


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
