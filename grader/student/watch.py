"""`grade check --watch`: a check after each save, and what it changed.

One loop looks at the folder and at the check that runs, many times a second; the check runs in a
thread beside it, its code in the warm sandbox. Nothing a student writes can end the loop: whatever
a check ends in is shown, and the next save is checked.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from grader.domain import Grade, GradeStatus, Outcome
from grader.errors import GraderError
from grader.student.looking import State

LOOK_S = 0.05
"""Between two looks."""
SETTLE_S = 0.1
"""An editor saves in several steps: a folder is checked when it has been still for so long."""
PATIENCE_S = 3.0
"""After a check that a save ended, the next has so long at least before another save may end it:
who saves every second sees results."""
PATIENCE = 2.0
"""And so many times what the last check took that came to its end: on a slow machine as well."""
LONGEST_PATIENCE_S = 10.0
"""But no longer than this: the check may hang, and the save be the cure."""


@dataclass(frozen=True)
class Seen:
    """What one check gave.

    Attributes:
        grade: Its grade; None where it failed in a way that no grade tells.
        error: Why then.
        took_s: Seconds from the save to here.
        now_right: Checks that pass and did not before.
        now_wrong: Checks that fail and did not before.
    """

    grade: Grade | None
    error: str
    took_s: float
    now_right: tuple[str, ...] = ()
    now_wrong: tuple[str, ...] = ()


class Screen(Protocol):
    """Where it is shown."""

    def show(self, seen: Seen) -> None:
        """Show what a check gave."""

    def checking(self, seconds: float) -> None:
        """Say that a check runs, and for how long."""

    def unchanged(self) -> None:
        """Say that what was saved is what was checked last."""


@dataclass
class Job:
    """A check in a thread of its own.

    Attributes:
        began: When the file was saved, by the watch's clock.
        cancelled: Whether its result is not wanted any more.
        grade: Its result.
        error: Why there is none.
    """

    check: Callable[[], Grade]
    began: float
    said: str = ""
    cancelled: bool = False
    grade: Grade | None = None
    error: str = ""
    _thread: threading.Thread = field(init=False)

    def __post_init__(self) -> None:
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    @property
    def done(self) -> bool:
        """Whether it has ended, whatever came of it."""
        return not self._thread.is_alive()

    def wait(self, seconds: float) -> None:
        """Wait for its end."""
        self._thread.join(seconds)

    def _run(self) -> None:
        try:
            self.grade = self.check()
        except GraderError as error:  # says what to do
            self.error = f"{error} {getattr(error, 'help', '')}".strip()
        except Exception as error:  # shown, and the next save is checked
            self.error = f"{type(error).__name__}: {error}"


class Watch:
    """Decides when to check, what to end, and what is new.

    Args:
        state: What the folder's files look like.
        said: Names what its code says.
        check: Checks it.
        interrupt: Ends the check that runs.
        screen: Where it is shown.
        clock: Seconds.
    """

    def __init__(
        self,
        state: Callable[[], State],
        said: Callable[[], str],
        check: Callable[[], Grade],
        interrupt: Callable[[], None],
        screen: Screen,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._state, self._said, self._check = state, said, check
        self._interrupt, self._screen, self._clock = interrupt, screen, clock
        self._last: State | None = None
        self._changed_at = clock()
        self._pending = False
        self._shown_said = ""
        self._one_was_cancelled = False
        self._patience = PATIENCE_S
        self._outcomes: dict[str, Outcome] = {}
        self.job: Job | None = None
        self.seen: Seen | None = None

    def step(self) -> None:
        """Look once, and do what is to be done."""
        now = self._clock()
        state = self._state()
        if state != self._last:
            self._last, self._changed_at, self._pending = state, now, True
        still = now - self._changed_at >= SETTLE_S
        if self.job is not None:
            self._attend(self.job, now, self._pending and still)
        if self.job is None and self._pending and still:
            self._begin()

    @property
    def is_behind(self) -> bool:
        """Whether what was saved last has not been shown."""
        return self._pending or self.job is not None

    def _attend(self, job: Job, now: float, saved: bool) -> None:
        if job.done:
            self.job = None
            self._one_was_cancelled = job.cancelled
            if not job.cancelled:
                took = now - job.began
                self._patience = min(max(PATIENCE_S, PATIENCE * took), LONGEST_PATIENCE_S)
                self._show(job, now)
            return
        free = not self._one_was_cancelled or now - job.began > self._patience
        if saved and free and not job.cancelled and self._said() != job.said:
            job.cancelled = True
        if job.cancelled:
            self._interrupt()
        self._screen.checking(now - job.began)

    def _begin(self) -> None:
        self._pending = False
        said = self._said()
        if said == self._shown_said and not self._one_was_cancelled:
            self._screen.unchanged()
            return
        self.job = Job(self._check, self._changed_at, said)
        self._screen.checking(0.0)

    def _show(self, job: Job, now: float) -> None:
        outcomes = _outcomes(job.grade) if job.grade is not None else {}
        right, wrong = _changes(self._outcomes, outcomes)
        # What failed for a reason that is not in the code is repeated, also for the same code.
        told = job.grade is not None and job.grade.status is not GradeStatus.WITHHELD
        self._shown_said = job.said if told else ""
        if job.grade is not None:
            self._outcomes = outcomes
        self.seen = Seen(job.grade, job.error, now - job.began, right, wrong)
        self._screen.show(self.seen)


def _outcomes(grade: Grade) -> dict[str, Outcome]:
    return {check.name: check.outcome for check in grade.checks}


def _changes(
    before: dict[str, Outcome], after: dict[str, Outcome]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Which checks pass now, and which fail now, that did not before; none at the first time."""

    def new(outcome: Outcome) -> tuple[str, ...]:
        return tuple(n for n, o in after.items() if o is outcome and before.get(n) is not outcome)

    return (new(Outcome.PASSED), new(Outcome.FAILED)) if before else ((), ())
