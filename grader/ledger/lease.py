"""One grader at a time in a results folder: the second waits, and says for whom."""

from __future__ import annotations

import contextlib
import os
import platform
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from grader.ledger.durable import disk_error

LEASE = "grading.lock"
_PLACE = 2**30
"""The byte that Windows locks; what others read stands before it."""


@contextmanager
def hold(results_dir: Path, on_wait: Callable[[str], None]) -> Iterator[None]:
    """Hold a results folder while grading; the system lets go of it when the holder dies.

    The record of grades needs no such lock: two graders at once lose nothing and double nothing.
    They would only do the same work twice.

    Args:
        results_dir: The results folder; made where missing.
        on_wait: Told who holds it, once, before the wait.

    Raises:
        InfrastructureError: INFRA_DISK: the lock cannot be made, or its file system has no locks.
    """
    place = results_dir / LEASE
    try:
        results_dir.mkdir(parents=True, exist_ok=True)
        handle = os.open(place, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o644)
    except OSError as error:
        raise disk_error(LEASE, error) from error
    try:
        try:
            if not _taken(handle, wait=False):
                on_wait(_words(results_dir, handle))
                _taken(handle, wait=True)
            _sign(handle)
        except OSError as error:
            raise disk_error(LEASE, error) from error
        yield
    finally:
        os.close(handle)


def _words(results_dir: Path, handle: int) -> str:
    with contextlib.suppress(OSError):
        os.lseek(handle, 0, os.SEEK_SET)
        holder = os.read(handle, 200).decode("utf-8", "replace").strip()
        if holder:
            return f"{results_dir}: held by {holder}. Waiting for it to end."
    return f"{results_dir}: held by another grader. Waiting for it to end."


def _sign(handle: int) -> None:
    """Say who holds it; a note for people, which no decision depends on."""
    since = datetime.now().astimezone().strftime("%d %b %H:%M")
    note = f"process {os.getpid()} on {platform.node()} since {since}\n"
    with contextlib.suppress(OSError):  # a full disk has room for no note
        os.ftruncate(handle, 0)
        os.lseek(handle, 0, os.SEEK_SET)
        os.write(handle, note.encode())


def _taken(handle: int, *, wait: bool) -> bool:
    """Whether the lock is ours now."""
    try:
        _lock(handle, wait)
    except (BlockingIOError, PermissionError):  # the second is what Windows says
        if wait:
            raise
        return False
    return True


def _lock(handle: int, wait: bool) -> None:
    if sys.platform == "win32":
        import msvcrt

        os.lseek(handle, _PLACE, os.SEEK_SET)
        while wait and not _taken(handle, wait=False):  # LK_LOCK would give up after ten seconds
            time.sleep(1)
        if not wait:
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
    else:
        import fcntl

        fcntl.flock(handle, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
