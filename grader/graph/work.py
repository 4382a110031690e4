"""How much reading one description may cost, counted by us: the same on every machine.

What this module protects: the time and the memory of whoever reads what came out of the sandbox.
A clock would refuse an honest network on a slow machine; a count refuses the same ones everywhere.
Whatever grows with the description spends from it, in numbers (eight bytes, some nanoseconds) or
pieces (Python objects, some microseconds), before it is made.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from grader.errors import Cause, StageFailed

LIMIT = 4 * 10**9
"""For all that one submission brings, some 20 s. BC L=250 k=24 takes a fifth of it, BC L=100 k=12 a
twenty-fifth."""
KEPT = 3 * 2**24
"""Numbers that may be held at the same time (384 MiB); the constants of two modes are 2^25."""
KEPT_PIECES = 2**21
"""Python objects that may be held at the same time, some 150 bytes each; BC L=250 k=24 brings an
eighth of them."""
PIECE = 500
"""What one Python object costs, counted in numbers."""
CHARACTER = 100
"""What one byte of a record costs, parsed and checked."""


@dataclass(frozen=True)
class Cost:
    """What some work took.

    Attributes:
        numbers: Made or read.
        kept: Of these held until the end.
        pieces: Python objects held until the end.
    """

    numbers: int
    kept: int
    pieces: int

    def __sub__(self, before: Cost) -> Cost:
        """What came since then."""
        return Cost(
            self.numbers - before.numbers, self.kept - before.kept, self.pieces - before.pieces
        )


class Work:
    """A count that runs down.

    Args:
        limit: How much there is of it.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.left = limit
        self.kept = 0
        self.pieces = 0

    def cost(self) -> Cost:
        """What all until now took."""
        return Cost(self.limit - self.left, self.kept, self.pieces)

    def spend(self, numbers: int) -> None:
        """Take away from what is left.

        Raises:
            StageFailed: STUDENT_BAD_OUTPUT; nothing is left.
        """
        if numbers > 0:
            self.left -= numbers
            if self.left < 0:
                raise _too_much("takes more work to read")

    def keep(self, numbers: int) -> None:
        """Count numbers that are held until the end.

        Raises:
            StageFailed: STUDENT_BAD_OUTPUT; they would take too much memory.
        """
        self.kept += numbers
        if self.kept > KEPT:
            raise _too_much("takes more memory to read")

    def keep_pieces(self, pieces: int) -> None:
        """Count Python objects that are held until the end.

        Raises:
            StageFailed: STUDENT_BAD_OUTPUT; they would take too much memory.
        """
        self.pieces += pieces
        if self.pieces > KEPT_PIECES:
            raise _too_much("takes more memory to read")


def _too_much(what: str) -> StageFailed:
    return StageFailed(
        Cause.STUDENT_BAD_OUTPUT,
        f"the description of the network {what} than any network of the paper",
    )


_RUNNING: ContextVar[Work | None] = ContextVar("work", default=None)


@contextmanager
def limited(limit: int | None = None) -> Iterator[Work]:
    """Count the work of the block; inside another such block, that one goes on counting.

    Args:
        limit: How much it may cost; None for `LIMIT`.
    """
    outer = _RUNNING.get()
    if outer is not None:
        yield outer
        return
    token = _RUNNING.set(Work(LIMIT if limit is None else limit))
    try:
        running = _RUNNING.get()
        assert running is not None
        yield running
    finally:
        _RUNNING.reset(token)


def charge(cost: Cost) -> None:
    """Count once more what the same work took before.

    Raises:
        StageFailed: STUDENT_BAD_OUTPUT; as the work itself.
    """
    spend(cost.numbers)
    keep(cost.kept)
    keep_pieces(cost.pieces)


def spend(numbers: int) -> None:
    """Count arrays: how many numbers are about to be made or read."""
    running = _RUNNING.get()
    if running is not None:
        running.spend(numbers)


def keep(numbers: int) -> None:
    """Count numbers that are about to be held as long as the description is."""
    running = _RUNNING.get()
    if running is not None:
        running.keep(numbers)


def spend_pieces(pieces: int) -> None:
    """Count Python objects that are about to be made or walked."""
    spend(PIECE * pieces)


def keep_pieces(pieces: int) -> None:
    """Count Python objects that are about to be made and held as long as the description is.

    Raises:
        StageFailed: STUDENT_BAD_OUTPUT; there are too many, with those before or alone.
    """
    (_RUNNING.get() or Work(LIMIT)).keep_pieces(pieces)
