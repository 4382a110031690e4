"""When a student has saved: what a folder's files look like, and what its code says.

The files are asked, several times a second, when they were changed. A student's folder has a dozen
that matter, so that this costs next to nothing, and unlike the system's own notices it works on
every disk: on Windows' drives in WSL 2, in containers and on a network.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from pathlib import Path

from grader.errors import SubmissionRejected
from grader.intake import IntakePolicy, code_of

State = frozenset[tuple[str, int, int]]
"""Path, time of change in ns and size of each file that may matter."""
SOURCES = (".py", ".ipynb")
MOST = 2000
"""Entries of one folder that are looked at; a folder of code has fewer."""


class Look:
    """Looks at one working folder.

    Args:
        folder: With the module, or with one folder that has it.
        policy: Names the module.
    """

    def __init__(self, folder: Path, policy: IntakePolicy) -> None:
        self.folder = folder
        self._policy = policy
        self._needed: tuple[str, ...] = ()

    def state(self) -> State:
        """What there is now: sources, folders, and what the code was seen to need."""
        found: set[tuple[str, int, int]] = set()
        places = {self.folder, *[(self.folder / path).parent for path in self._needed]}
        for place in places:
            found |= _sources(place)
        for path in self._needed:
            found |= _stamp(self.folder / path)
        return frozenset(found)

    def said(self) -> str:
        """Names what the code says now, byte by byte, as the place of a line matters too."""
        whole = hashlib.sha256()
        code: dict[str, bytes] = {}
        # Without a module everything in the folder would be read.
        if any(file.is_file() for file in self._modules()):
            with contextlib.suppress(OSError, SubmissionRejected):  # it is being replaced
                code = code_of(self.folder, self._policy)
        self._needed = tuple(sorted(code))
        for path, content in sorted(code.items()):
            whole.update(f"{path} {len(content)} ".encode() + content)
        if not code:
            whole.update(repr(sorted(map(_kind, self._modules()))).encode())
        return whole.hexdigest()

    def _modules(self) -> list[Path]:
        """What is called like the module, here or one folder below, whatever it is."""
        with contextlib.suppress(OSError):
            there = (*self.folder.glob("*"), *self.folder.glob("*/*"))
            return [file for file in there if self._policy.is_module(file.name)]
        return []


def _sources(place: Path) -> set[tuple[str, int, int]]:
    found: set[tuple[str, int, int]] = set()
    try:
        with os.scandir(place) as entries:
            for _, entry in zip(range(MOST), entries, strict=False):
                hidden = entry.name.startswith((".", "__"))
                if not hidden and (entry.name.endswith(SOURCES) or entry.is_dir()):
                    found |= _stamp(Path(entry.path))
    except OSError:  # it is being replaced
        pass
    return found


def _kind(path: Path) -> tuple[str, int, int]:
    """What a file is that cannot be read as code: a link, a folder, one that is too large."""
    try:
        stat = path.lstat()
    except OSError:
        return (str(path), 0, 0)
    return (str(path), stat.st_mode, stat.st_size)


def _stamp(path: Path) -> set[tuple[str, int, int]]:
    try:
        stat = path.stat()
    except OSError:
        return set()
    return {(str(path), stat.st_mtime_ns, stat.st_size)}
