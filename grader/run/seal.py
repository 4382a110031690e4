"""Records of a run, sealed: whoever has no course key cannot change one, or put one in the place
of another, unseen.

    {"format": 2, "key_id": "…", "run": "…", "seal": "…", "record": {…}}

The seal is an HMAC over the record, over what kind of record it is, and over the name of its run.
"""

from __future__ import annotations

import hmac
import json
from enum import StrEnum
from pathlib import Path
from typing import Any

from grader.domain import Record
from grader.errors import Cause, InfrastructureError, UsageError
from grader.ledger.key import CourseKey
from grader.ledger.record import canonical

FORMAT = 2
PURPOSE = "run record"
AGAIN = "Grade the submission again: `grade SUBMISSION`."


class Seal(StrEnum):
    """What a look at a sealed file shows."""

    WHOLE = "whole"
    CHANGED = "changed"
    OTHER_KEY = "other-key"
    OLDER = "older"
    """Written by a version of the grader that seals otherwise, or not at all."""


def sealed_bytes(record: Record, file: str, run: str, key: CourseKey) -> bytes:
    """A record as it is stored.

    Args:
        record: What is stored.
        file: Name of the file, which says what kind of record it is.
        run: Name of the run directory.
        key: The course key.
    """
    body = record.model_dump(mode="json")
    seal = _mac(body, file, run, key)
    whole = {"format": FORMAT, "key_id": key.id, "run": run, "seal": seal, "record": body}
    return json.dumps(whole, indent=1, ensure_ascii=True).encode() + b"\n"


def named_run(content: bytes) -> str | None:
    """The run that a stored record says it is of; its seal shows whether it is."""
    try:
        named = json.loads(content)["run"]
    except (ValueError, RecursionError, KeyError, TypeError):
        return None
    return named if isinstance(named, str) else None


def look(content: bytes, file: str, run: str, key: CourseKey) -> tuple[Seal, Any]:
    """Whether a stored record is as it was written, and the record as plain data where it is.

    Args:
        content: The file's bytes.
        file: Its name.
        run: Name of the run directory.
        key: The course key.
    """
    try:
        whole = json.loads(content)
    except (ValueError, RecursionError):
        return Seal.CHANGED, None
    if not isinstance(whole, dict):
        return Seal.CHANGED, None
    if whole.get("format") != FORMAT:
        return Seal.OLDER, None
    if whole.get("key_id") != key.id:
        return Seal.OTHER_KEY, None
    seal, body = whole.get("seal"), whole.get("record")
    if not isinstance(seal, str) or not seal.isascii():
        return Seal.CHANGED, None
    if not hmac.compare_digest(seal, _mac(body, file, run, key)):
        return Seal.CHANGED, None
    return Seal.WHOLE, body


def opened(path: Path, run: str, key: CourseKey) -> bytes:
    """A stored record as JSON, where it is as it was written.

    Args:
        path: The file.
        run: Name of the run directory.
        key: The course key.

    Raises:
        UsageError: Another version of the grader wrote it.
        InfrastructureError: INFRA_DISK: it cannot be read, was changed, or has another key's seal.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise damaged(path.name, error) from error
    seal, body = look(content, path.name, run, key)
    if seal is Seal.OLDER:
        raise UsageError(f"{path}: written by another version of the grader. {AGAIN}")
    if seal is Seal.OTHER_KEY:
        raise InfrastructureError(
            Cause.INFRA_DISK,
            f"{path.name} of run {run} is sealed with another course key than {key.id}",
            "Name the file of that key with GRADER_KEY_FILE.",
        )
    if seal is Seal.CHANGED:
        raise damaged(path.name, f"it is not what the grader wrote, in run {run}")
    return canonical(body)


def damaged(name: str, why: object) -> InfrastructureError:
    """A file of a run that cannot be trusted.

    Args:
        name: The file's.
        why: What is wrong with it.
    """
    return InfrastructureError(
        Cause.INFRA_DISK,
        f"{name} of the run directory cannot be read: {why}",
        "Delete the run directory and grade the submission again.",
    )


def _mac(body: object, file: str, run: str, key: CourseKey) -> str:
    content = canonical([FORMAT, file, run, body])
    return hmac.new(key.derive("", PURPOSE), content, "sha256").hexdigest()
