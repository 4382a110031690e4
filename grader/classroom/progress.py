"""How far a class is: which submission is at which stage, and how long the rest will take."""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType

from grader.domain import GradeStatus

RECENT = 20
"""Finished submissions that the time left is measured by."""


class Stage(StrEnum):
    """What is being done with a submission, in the words of the board."""

    READING = "reading"
    """Its code runs in the sandbox."""
    MEASURING = "measuring"
    """Its network classifies the test images, or waits for another that does."""
    JUDGING = "judging"
    """What it gave is compared with the paper."""


@dataclass(frozen=True)
class Lane:
    """One submission that is being worked on.

    Attributes:
        who: Whose it is.
        stage: What is being done with it.
        seconds: For how long.
    """

    who: str
    stage: Stage
    seconds: float


@dataclass(frozen=True)
class Snapshot:
    """A class at one moment.

    Attributes:
        total: Submissions in all.
        done: Of these, finished.
        lanes: What is being worked on, the longest first.
        outcomes: How many grades of each status.
        elapsed_s: Since the beginning, in seconds.
        left_s: Until the end, in seconds; None before the first is finished.
    """

    total: int
    done: int
    lanes: tuple[Lane, ...] = ()
    outcomes: Mapping[GradeStatus, int] = field(default_factory=lambda: MappingProxyType({}))
    elapsed_s: float = 0.0
    left_s: float | None = None


class Progress:
    """Told by the threads that grade, asked by the screen.

    Args:
        total: Submissions to come.
        clock: Seconds.
    """

    def __init__(self, total: int = 1, clock: Callable[[], float] = time.monotonic) -> None:
        self.total, self._clock = total, clock
        self._start = clock()
        self._lock = threading.Lock()
        self._at: dict[int, tuple[str, Stage, float]] = {}
        self._outcomes: Counter[GradeStatus] = Counter()
        self._finished: deque[float] = deque([self._start], maxlen=RECENT + 1)

    @contextmanager
    def stage(self, who: str, stage: Stage) -> Iterator[None]:
        """The calling thread is at this stage of a submission for the length of the block."""
        lane = threading.get_ident()
        with self._lock:
            before = self._at.get(lane)
            self._at[lane] = (who, stage, self._clock())
        try:
            yield
        finally:
            with self._lock:
                if before is None:
                    del self._at[lane]
                else:
                    self._at[lane] = before

    def finished(self, status: GradeStatus) -> None:
        """One more submission has its grade."""
        with self._lock:
            self._outcomes[status] += 1
            self._finished.append(self._clock())

    def snapshot(self) -> Snapshot:
        """How far the class is now."""
        with self._lock:
            now = self._clock()
            lanes = sorted(
                (Lane(who, stage, now - since) for who, stage, since in self._at.values()),
                key=lambda lane: -lane.seconds,
            )
            done = self._outcomes.total()
            return Snapshot(
                self.total,
                done,
                tuple(lanes),
                MappingProxyType(dict(self._outcomes)),
                now - self._start,
                self._left(done, now) if done else None,
            )

    def _left(self, done: int, now: float) -> float:
        """By the pace of the last ones: those that were graded before take no time at all."""
        pace = (self._finished[-1] - self._finished[0]) / (len(self._finished) - 1)
        return max(0.0, pace * (self.total - done) - (now - self._finished[-1]))
