"""Files that are whole or not there, and what killed processes leave, named so that it is swept.

A file is written under another name in its folder, flushed, renamed, and the folder is flushed:
whoever is killed in between leaves the old file or the new one. The other name, like that of a
scratch folder, says which machine and process it belongs to; what a dead one left is removed by
the next that writes there.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import platform
import re
import secrets
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from grader.errors import UsageError
from grader.inside import disk

STALE_S = 24 * 3600.0
"""A leftover of another machine, or under a process number that is somebody else's by now, is
taken for dead after so long; nothing that is unfinished for a good reason gets that old."""
BUSY_S = (0.05, 0.1, 0.2, 0.4, 0.8)
"""Pauses before a file is renamed once more."""
_MARK = re.compile(r"\.new-([0-9a-f]{8})-([0-9]{1,19})-([0-9a-f]{8})-")
_START = secrets.token_hex(4)
"""Tells this process from an earlier one with its number, as all first ones of a container are."""


def write_atomically(path: Path, content: bytes, *, mode: int = 0o644) -> None:
    """Put a file in its place, durable and whole.

    Args:
        path: Its place; folders above are made.
        content: All of it.
        mode: Permission bits.

    Raises:
        OSError: The disk did not take it. The old file, if any, is untouched.
    """
    with drafted(path, mode=mode) as stream:
        stream.write(content)


@contextmanager
def drafted(path: Path, *, mode: int = 0o644) -> Iterator[IO[bytes]]:
    """A stream whose content takes the place of a file when the block ends well.

    Args:
        path: Its place; folders above are made.
        mode: Permission bits.

    Raises:
        OSError: The disk did not take it. The old file, if any, is untouched.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    start = f".{path.name[:40]}"
    sweep(path.parent, start)
    handle, name = tempfile.mkstemp(prefix=f"{start}{mark()}", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        os.chmod(name, mode)
        put_in_place(name, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(name)
        raise
    flush_folder(path.parent)


def put_in_place(source: str | Path, target: Path) -> None:
    """Rename a file or folder; a file that is there is replaced.

    Windows refuses while another program looks at either, as virus scanners and synchronised
    folders do for a moment after each write.

    Raises:
        OSError: It is refused for longer than a moment, or for another reason.
    """
    for pause in BUSY_S if sys.platform == "win32" else ():
        try:
            os.replace(source, target)
            return
        except PermissionError:
            time.sleep(pause)
    os.replace(source, target)


def flush_folder(folder: Path) -> None:
    """Make renames in a folder durable, where the system can (Windows opens no folders)."""
    if sys.platform == "win32":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def read_marked(path: Path) -> tuple[bytes, str]:
    """A text's bytes, and the encoding that its byte order mark names: UTF-8 without one.

    Args:
        path: A file that the command line names, such as a platform's CSV.

    Raises:
        UsageError: It cannot be read.
    """
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror}).") from error
    marks = {b"\xef\xbb\xbf": "utf-8-sig", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}
    return content, next(
        (name for mark, name in marks.items() if content.startswith(mark)), "utf-8"
    )


@contextmanager
def scratch(purpose: str) -> Iterator[Path]:
    """A temporary folder that is gone after the block, or swept later if this process is killed.

    Args:
        purpose: Begins its name.
    """
    start = f"grade-{purpose}"
    with tempfile.TemporaryDirectory(prefix=f"{start}{mark()}") as folder:
        yield Path(folder)


def sweep_scratch() -> int:
    """Remove the scratch folders that killed processes left. Returns how many."""
    return sweep(Path(tempfile.gettempdir()), "grade-")


def mark() -> str:
    """What tells from a name whose unfinished work it is: this machine's and this process's.

    A folder may be shared by machines whose process numbers mean nothing here.
    """
    return f".new-{_machine()}-{os.getpid()}-{_START}-"


def sweep(folder: Path, start: str) -> int:
    """Remove the unfinished files and folders in a folder whose process is dead.

    Args:
        folder: Where; one that is not there has none.
        start: How their names begin, before the mark.

    Returns:
        How many were removed; those of living processes stay.
    """
    found = []
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        found = [e.path for e in entries if e.name.startswith(start) and _left_behind(e)]
    for path in found:
        if os.path.isdir(path) and not os.path.islink(path):
            with contextlib.suppress(OSError):
                disk.remove(path)
        else:
            with contextlib.suppress(OSError):
                os.unlink(path)
    return len(found)


def _left_behind(entry: os.DirEntry[str]) -> bool:
    marked = _MARK.search(entry.name)
    if marked is None:
        return False
    machine, process, start = marked.groups()
    before_us = int(process) == os.getpid() and start != _START
    if machine == _machine() and (before_us or not _alive(int(process))):
        return True
    try:
        return time.time() - entry.stat(follow_symlinks=False).st_mtime > STALE_S
    except OSError:
        return False


def _machine() -> str:
    return hashlib.sha256(platform.node().encode()).hexdigest()[:8]


def _alive(process: int) -> bool:
    if process <= 0 or sys.platform == "win32":  # there, os.kill always ends the process
        return process > 0
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:
        return True
    return True
