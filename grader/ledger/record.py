"""One line of the ledger: what a grade was, sealed and chained to the line before it."""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import Any

from pydantic import AwareDatetime, Field, ValidationError

from grader.domain import Grade, GradeStatus, Record, Sha256
from grader.errors import Cause
from grader.ledger.key import CourseKey

GENESIS = "0" * 64
"""What the first line has for the line before it."""
PURPOSE = "ledger"

Subject = tuple[str, str]
"""Student, and SHA-256 of the submission (its name, where it could not be read)."""


class Entry(Record):
    """One sealed line of ledger.jsonl."""

    seq: int = Field(ge=1)
    """1, 2, 3, …; a clock may jump, this does not."""
    written_at: AwareDatetime
    """This machine's clock; for reading only, no rule depends on it."""
    student_id: str
    source: str
    """The name the submission came under."""
    submission_sha256: str | None
    """None where the submission could not be read."""
    assignment_sha256: str
    status: GradeStatus
    cause: Cause | None
    score: float
    max_score: float
    received_at: AwareDatetime | None
    grade_file: str
    """Path of the whole grade as JSON, relative to the results folder."""
    grade_sha256: Sha256
    """Of that file's bytes."""
    key_id: str
    """Names the course key the seal was made with."""
    previous: Sha256
    """sha256 of the line before, without its line break; GENESIS for the first."""
    mac: Sha256 = GENESIS
    """HMAC-SHA256 over all other fields."""

    @property
    def subject(self) -> Subject:
        """What a later entry with the same value replaces, by whatever assignment it was made."""
        return self.student_id, self.submission_sha256 or self.source


def canonical(value: Any) -> bytes:
    """JSON with sorted keys and no spaces: equal values, equal bytes, on one line."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode()


def grade_bytes(grade: Grade) -> bytes:
    """A grade as it is stored: indented JSON, the same bytes for the same grade."""
    data = grade.model_dump(mode="json")
    return json.dumps(data, sort_keys=True, indent=1, ensure_ascii=True).encode() + b"\n"


def sealed(entry: Entry, key: CourseKey) -> Entry:
    """The entry with its seal."""
    return entry.model_copy(update={"mac": _mac(entry, key)})


def line_of(entry: Entry) -> bytes:
    """The entry's line, without line break."""
    return canonical(entry.model_dump(mode="json"))


def read_line(line: bytes, key: CourseKey) -> Entry | None:
    """Read a line.

    Returns:
        The entry, or None where the line is not exactly one that the key has sealed.
    """
    try:
        entry = Entry.model_validate_json(line)
    except (ValidationError, ValueError):
        return None
    whole = line_of(entry) == line and hmac.compare_digest(entry.mac, _mac(entry, key))
    return entry if whole else None


def line_sha256(line: bytes) -> str:
    """What the next line calls `previous`."""
    return hashlib.sha256(line).hexdigest()


def _mac(entry: Entry, key: CourseKey) -> str:
    fields = entry.model_dump(mode="json", exclude={"mac"})
    return hmac.new(key.derive("", PURPOSE), canonical(fields), "sha256").hexdigest()
