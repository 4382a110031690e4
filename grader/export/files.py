"""Writing a file so that a reader sees the old content or the new one, never a part."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from grader import files
from grader.errors import Cause, InfrastructureError, UsageError

LONGEST_NAME = 80
_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]*")
_DEVICES = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\.|$)", re.IGNORECASE)
"""What Windows takes for a device."""


def write_out(file: Path, content: bytes) -> None:
    """Write through a temporary file beside it, flushed to the disk, then renamed.

    What is no regular file (/dev/stdout, a named pipe) is written to directly. A symbolic link is
    followed, so that the file it names is replaced and not the link.

    Args:
        file: Where; its folder is created.
        content: All bytes of it.

    Raises:
        UsageError: The place cannot be written to.
        InfrastructureError: The disk failed or is full.
    """
    try:
        if file.exists() and not file.is_file():
            _write_directly(file, content)
        else:
            _replace(file.resolve(), content)
    except (PermissionError, IsADirectoryError, NotADirectoryError, FileExistsError) as error:
        raise UsageError(f"{file}: cannot be written ({error.strerror}).") from error
    except OSError as error:
        raise InfrastructureError(
            Cause.INFRA_DISK, f"{file}: cannot be written: {error}", "Free space on that disk."
        ) from error


def _write_directly(file: Path, content: bytes) -> None:
    with file.open("wb") as stream:
        stream.write(content)


def _replace(file: Path, content: bytes) -> None:
    # Grades are private; a file that is there keeps its mode.
    mode = file.stat().st_mode & 0o777 if file.exists() else 0o600
    files.write_atomically(file, content, mode=mode)


def stem_of(student: str) -> str:
    """A student_id as the start of a file name: itself where that is harmless everywhere."""
    plain = _PLAIN.fullmatch(student) and not student.endswith(".")
    if plain and len(student) <= LONGEST_NAME and not _DEVICES.match(student):
        return student
    kept = re.sub(r"[^A-Za-z0-9-]+", "_", student)[:40].strip("_-")
    return f"{kept or 'student'}-{digest_of(student)}"


def digest_of(student: str) -> str:
    """A few letters and digits that tell one student_id from others."""
    return hashlib.sha256(student.encode("utf-8", "surrogatepass")).hexdigest()[:8]
