"""Bytes that are on the disk when the call returns, whole or not at all.

A file is put in its place by `grader.files`. Every failure says what could not be stored, and what
to do.
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from grader import files
from grader.errors import Cause, InfrastructureError

_NO_LOCKS = (
    "That file system has no locks, so two graders could write over each other; choose a folder "
    "on a local disk with --results."
)
_HELP = {
    errno.ENOSPC: "Free some space on that disk and run the same command again.",
    errno.EDQUOT: "Free some of your quota and run the same command again.",
    errno.EROFS: "The folder is read-only; choose another one with --results.",
    errno.EACCES: "You may not write there; choose another folder with --results.",
    errno.EPERM: "You may not write there; choose another folder with --results.",
    errno.EFBIG: "The system limits the size of files; raise the limit (ulimit -f).",
    errno.ENOLCK: _NO_LOCKS,
    errno.ENOSYS: _NO_LOCKS,
    errno.ENOTSUP: _NO_LOCKS,
    errno.EOPNOTSUPP: _NO_LOCKS,
}


def disk_error(what: str, error: OSError) -> InfrastructureError:
    """A failure of the disk that holds results.

    Args:
        what: What could not be written or read, e.g. "the grade".
        error: The underlying error; chain it with `from`.
    """
    help = _HELP.get(error.errno or 0, "Check the disk and run the same command again.")
    return InfrastructureError(
        Cause.INFRA_DISK, f"{what} could not be stored: {error.strerror or error}", help
    )


def store(path: Path, content: bytes) -> None:
    """Put a file in its place, durable and whole.

    Args:
        path: Its place; folders above are made.
        content: All of it.

    Raises:
        InfrastructureError: INFRA_DISK. The old file, if any, is untouched.
    """
    try:
        files.write_atomically(path, content)
    except OSError as error:
        raise disk_error(path.name, error) from error


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a lock among processes; the system lets go of it when the holder dies.

    Args:
        path: A file that stands for the lock; made where missing, never removed.

    Raises:
        InfrastructureError: INFRA_DISK: it cannot be made, or its file system has no locks.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise disk_error(path.name, error) from error
    try:
        try:
            _lock(handle)
        except OSError as error:
            raise disk_error(path.name, error) from error
        yield
    finally:
        os.close(handle)


def _lock(handle: int) -> None:
    if sys.platform == "win32":
        import msvcrt

        msvcrt.locking(handle, msvcrt.LK_LOCK, 1)
    else:
        import fcntl

        fcntl.flock(handle, fcntl.LOCK_EX)
