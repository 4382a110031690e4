"""The disk of a run: what it takes, and how it is removed, whatever a program made there.

Standard library only. Everything goes by descriptors and one folder at a time: a tree may be deeper
than Python recurses, a path longer than the kernel takes, and a folder may forbid its own listing.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import stat
import sys

MAX_ENTRIES = 10_000
"""More files and folders than this count as a full disk; it also bounds the time a look takes."""
MAX_DEPTH = 100
"""Folders nested deeper count as a full disk."""
_FOLDER = 0
for _flag in ("O_RDONLY", "O_DIRECTORY", "O_NOFOLLOW", "O_CLOEXEC"):
    _FOLDER |= getattr(os, _flag, 0)  # Windows has not all


# --- removal ------------------------------------------------------------------------------


class _Place:
    """The folder that a removal stands in: one open descriptor, however deep it is."""

    def __init__(self, path: str) -> None:
        self.fd = _opened_for_good(path, None)

    def go(self, name: str) -> None:
        """Step into a folder below, or to ".."."""
        fd = _opened_for_good(name, self.fd)
        os.close(self.fd)
        self.fd = fd

    @property
    def identity(self) -> tuple[int, int]:
        """What tells this folder from every other."""
        found = os.fstat(self.fd)
        return found.st_dev, found.st_ino


def remove(path: str) -> None:
    """Remove a folder and all below it. Nothing that still runs may write there.

    Args:
        path: A folder; one that is not there is fine.

    Raises:
        OSError: Something is left.
    """
    if sys.platform == "win32":  # folders have no descriptors there, and nothing hostile runs
        shutil.rmtree(path)
        return
    with contextlib.suppress(FileNotFoundError):
        clear(path)
        os.rmdir(path)


def clear(path: str) -> None:
    """Remove all below a folder, as `remove` does."""
    place = _Place(path)
    way: list[tuple[tuple[int, int], str]] = []
    try:
        while True:
            below = _remove_files(place.fd)
            if below is not None:
                way.append((place.identity, below))
                place.go(below)
            elif way:
                above, name = way.pop()
                place.go("..")
                if place.identity != above:
                    raise OSError(errno.ESTALE, "a folder was moved while it was removed", path)
                os.rmdir(name, dir_fd=place.fd)
            else:
                return
    finally:
        os.close(place.fd)


def _opened_for_good(name: str, folder: int | None) -> int:
    """Open a folder and take it for our own: it may forbid being read, or changed."""
    try:
        fd = os.open(name, _FOLDER, dir_fd=folder)
    except PermissionError:
        os.chmod(name, stat.S_IRWXU, dir_fd=folder)
        fd = os.open(name, _FOLDER, dir_fd=folder)
    with contextlib.suppress(OSError):  # where it matters, what follows fails
        os.fchmod(fd, stat.S_IRWXU)
    return fd


def _remove_files(folder: int) -> str | None:
    """Remove what is no folder. Returns the first folder met, None when nothing is left."""
    while True:
        with os.scandir(folder) as entries:
            empty = True
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    return entry.name
                os.unlink(entry.name, dir_fd=folder)
                empty = False
        if empty:  # some file systems skip entries while others are removed
            return None


# --- use ----------------------------------------------------------------------------------


class _Full(Exception):
    """There is more than may be, or what is there cannot be counted."""


class _Count:
    """What is found, each file once, however many names it has."""

    def __init__(self) -> None:
        self.found: dict[tuple[int, int], int] = {}
        self._entries = 0

    def below(self, folder: int, depth: int = 0) -> None:
        """Count what lies below an open folder, and close it."""
        try:
            with os.scandir(folder) as entries:
                for entry in entries:
                    self._entries += 1
                    if self._entries > MAX_ENTRIES or depth > MAX_DEPTH:
                        raise _Full
                    # What ends or changes its kind while we look is seen at the next look.
                    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
                        self._entry(entry, folder, depth)
        finally:
            os.close(folder)

    def unlinked(self, pid: int) -> None:
        """Count the files that a process has open and that have no name any more."""
        with contextlib.suppress(OSError):
            for fd in os.listdir(f"/proc/{pid}/fd"):
                with contextlib.suppress(OSError):
                    file = os.stat(f"/proc/{pid}/fd/{fd}")
                    if stat.S_ISREG(file.st_mode) and file.st_nlink == 0:
                        self._keep(file)

    def mapped(self, pid: int, folder: str) -> None:
        """Give up where a process has mapped a file that has neither name nor descriptor: its size
        cannot be seen."""
        facts = b""
        with contextlib.suppress(OSError), open(f"/proc/{pid}/maps", "rb") as file:
            facts = file.read()
        if b" (deleted)" not in facts:
            return
        self.unlinked(pid)  # it may have been opened since the last look
        begin = os.fsencode(os.path.join(os.path.realpath(folder), ""))
        for line in facts.splitlines():
            parts = line.split(None, 5)
            if len(parts) == 6 and parts[5].startswith(begin) and line.endswith(b" (deleted)"):
                if int(parts[4]) not in {number for _, number in self.found}:
                    raise _Full

    def _entry(self, entry: os.DirEntry[str], folder: int, depth: int) -> None:
        self._keep(os.stat(entry.name, dir_fd=folder, follow_symlinks=False))
        if entry.is_dir(follow_symlinks=False):
            self.below(os.open(entry.name, _FOLDER, dir_fd=folder), depth + 1)

    def _keep(self, file: os.stat_result) -> None:
        size = file.st_size if stat.S_ISREG(file.st_mode) else 0
        self.found[file.st_dev, file.st_ino] = max(size, file.st_blocks * 512)


def use_of_all(folder: str) -> int:
    """Return the bytes taken of the file system that a folder lies in."""
    system = os.statvfs(folder)
    if system.f_files - system.f_ffree > MAX_ENTRIES:
        return sys.maxsize
    return (system.f_blocks - system.f_bfree) * system.f_frsize


def left(folder: str) -> int:
    """Return the bytes that may still be written where a folder lies."""
    system = os.statvfs(folder)
    return system.f_bavail * system.f_frsize


def use(folder: str, pids: list[int]) -> int:
    """Return the bytes that a run's files take, with those that have no name any more.

    Args:
        folder: Its private folder.
        pids: Its processes.

    Returns:
        The bytes; very many where they cannot be counted: too many or too deep folders, or one
        that may not be listed.
    """
    count = _Count()
    try:
        count.below(os.open(folder, _FOLDER))
        for pid in pids:
            count.unlinked(pid)
            count.mapped(pid, folder)
    except FileNotFoundError:
        return 0
    except (_Full, PermissionError):
        return sys.maxsize
    return sum(count.found.values())
