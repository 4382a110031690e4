"""Who runs beside whom: many stages at once, each with a seat of its own, or one stage alone."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from grader.sandbox.contract import Disturbed, Stage, StageResult


class Turns:
    """Gives out turns; safe for several threads. One that waits to be alone goes before others."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._taken: set[int] = set()
        self._waiting_to_be_alone = 0
        self._one_is_alone = False

    @contextmanager
    def beside_others(self) -> Iterator[int]:
        """Take a turn beside others.

        Yields:
            The seat: the lowest number that nobody has at this moment.
        """
        with self._changed:
            self._changed.wait_for(lambda: not (self._one_is_alone or self._waiting_to_be_alone))
            seat = next(n for n in range(len(self._taken) + 1) if n not in self._taken)
            self._taken.add(seat)
        try:
            yield seat
        finally:
            with self._changed:
                self._taken.remove(seat)
                self._changed.notify_all()

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Take a turn when nobody else has one."""
        with self._changed:
            self._waiting_to_be_alone += 1
            try:
                self._changed.wait_for(lambda: not (self._one_is_alone or self._taken))
                self._one_is_alone = True
            finally:
                self._waiting_to_be_alone -= 1
                self._changed.notify_all()
        try:
            yield
        finally:
            with self._changed:
                self._one_is_alone = False
                self._changed.notify_all()


TURNS = Turns()
"""Of all sandboxes of this process: they share one machine."""


def undisturbed(run: Callable[[Stage, int | None], StageResult], stage: Stage) -> StageResult:
    """Run a stage beside others; once more, alone, where others may have caused how it ended.

    Args:
        run: Runs it once. Its second argument is the seat, None for one alone.
        stage: What to run.

    Returns:
        How it ended, alone or undisturbed.

    Raises:
        InfrastructureError: The sandbox failed, or others disturbed the run both times.
    """
    with suppress(Disturbed), TURNS.beside_others() as seat:
        outcome = run(stage, seat)
        if not outcome.doubtful:
            return outcome
    with TURNS.alone():
        return run(stage, None)
