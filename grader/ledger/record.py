"""One event of the ledger: a grade, or what a person decided, sealed and chained to the last."""

from __future__ import annotations

import hashlib
import hmac
import json
import sqlite3
from typing import Any, Literal

from pydantic import AwareDatetime, Field, ValidationError

from grader.domain import STANDING, Grade, GradeStatus, ReceivedFrom, Record, Sha256
from grader.errors import Cause
from grader.ledger.key import CourseKey

GENESIS = "0" * 64
"""What the first event has for the one before it."""
PURPOSE = "ledger event"

Subject = tuple[str, str]
"""Student, and SHA-256 of the submission (its name, where it could not be read)."""


class Entry(Record):
    """One sealed event; its fields are the columns of the table `event`."""

    seq: int = Field(ge=1)
    """1, 2, 3, …; a clock may jump, this does not."""
    kind: Literal["grade", "override", "lift"] = "grade"
    """A grade was made; a person set a score in its place; a person took that back."""
    written_at: AwareDatetime
    """This machine's clock; for reading only, no rule depends on it."""
    student_id: str
    source: str
    """The path that the submission came under."""
    submission_sha256: str | None
    """None where the submission could not be read."""
    assignment_sha256: str | None = None
    """Of the assignment.toml that it was graded by; its text lies in the table `content`."""
    run: str | None = None
    """Name of the run directory that the grade was made from; None where nothing ran."""
    status: GradeStatus | None = None
    cause: Cause | None = None
    score: float | None = None
    """Of a grade its score, of an override the one that a person set."""
    max_score: float | None = None
    received_at: AwareDatetime | None = None
    received_from: ReceivedFrom | None = None
    """What told when it was received; `argument`: a person has set it."""
    grade_sha256: Sha256 | None = None
    """Of the whole grade as JSON, which lies in the table `content`."""
    why: str | None = None
    """Of an override or of taking it back: the reason that a person gave."""
    by_whom: str | None = None
    """Who that person is, in their own words."""
    key_id: str
    """Names the course key the seal was made with."""
    previous: Sha256
    """`Entry.sha256` of the event before; GENESIS for the first."""
    mac: Sha256 = GENESIS
    """HMAC-SHA256 over all other fields."""

    @property
    def subject(self) -> Subject:
        """Whose, and of which bytes: what a person decides is decided of this."""
        return self.student_id, self.submission_sha256 or self.source

    @property
    def attempt(self) -> tuple[str, str | None, str]:
        """What a later grade with the same value takes the place of."""
        return self.student_id, self.submission_sha256, self.source

    @property
    def sha256(self) -> str:
        """What the next event calls `previous`."""
        return hashlib.sha256(canonical(self.model_dump(mode="json"))).hexdigest()

    def sealed(self, key: CourseKey) -> Entry:
        """This event with its seal."""
        return self.model_copy(update={"mac": self._mac(key)})

    def holds(self, key: CourseKey) -> bool:
        """Whether the key has sealed it."""
        return hmac.compare_digest(self.mac, self._mac(key))

    def _mac(self, key: CourseKey) -> str:
        fields = canonical(self.model_dump(mode="json", exclude={"mac"}))
        return hmac.new(key.derive("", PURPOSE), fields, "sha256").hexdigest()


class Head(Record):
    """How far the ledger goes; sealed, so that a missing end is seen."""

    count: int = Field(ge=0)
    """Events."""
    last: Sha256
    """`Entry.sha256` of the last one."""
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


EMPTY = Head(count=0, last=GENESIS)


def canonical(value: Any) -> bytes:
    """JSON with sorted keys and no spaces: equal values, equal bytes, on one line."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode()


def grade_bytes(grade: Grade) -> bytes:
    """A grade as it is stored: indented JSON, the same bytes for the same grade."""
    data = grade.model_dump(mode="json", exclude=STANDING)
    return json.dumps(data, sort_keys=True, indent=1, ensure_ascii=True).encode() + b"\n"


def read_row(row: sqlite3.Row) -> Entry | None:
    """The event of a row; None where the row is not one that this program has written."""
    try:
        entry = Entry.model_validate(dict(row))
    except (ValidationError, ValueError):
        return None
    return entry if entry.model_dump(mode="json") == dict(row) else None
