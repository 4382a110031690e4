"""What student code prints, kept beside the log: print is how beginners look into a program."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from typing import Any

LENGTH = 1500
"""Characters kept of what one call prints: the last ones."""


class Kept:
    """Standard output as before, of which the end is kept.

    Args:
        stream: Where it goes in any case.
    """

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self._tail = ""

    def write(self, text: str) -> int:
        """Take what is printed."""
        self._tail = (self._tail + str(text))[-2 * LENGTH :]
        return int(self._stream.write(text))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    @property
    def text(self) -> str:
        """The end of it; half characters, which no JSON takes, are replaced."""
        return self._tail.strip("\n")[-LENGTH:].encode("utf-8", "replace").decode()


@contextlib.contextmanager
def kept() -> Iterator[Kept]:
    """Keep what is printed within the block."""
    before = sys.stdout
    tail = Kept(before)
    sys.stdout = tail
    try:
        yield tail
    finally:
        sys.stdout = before
