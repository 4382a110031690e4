"""Ends a call of the student's that does not come back."""

from __future__ import annotations

import itertools
import signal
import threading
import traceback
from typing import Any


class Patience:
    """Ends a call that does not come back, from within: so it is known where it stands.

    Processor time is what counts, so that a busy machine ends nothing. What is not ended so
    (it sleeps, or does not leave one operation) is ended from outside, with all that follows.

    Args:
        call_s: Seconds of processor time for one call; None for no end.
    """

    LOOKS = 8
    """Looks at the stack before the end: what stands there in all of them holds the loop."""

    def __init__(self, call_s: float | None) -> None:
        on_main = threading.current_thread() is threading.main_thread()
        self.call_s = call_s if on_main and hasattr(signal, "setitimer") else None
        self.ran_out = False
        self._waiting = False
        self._looks = 0
        self._stands: list[Any] = []

    def watch(self, work: Any, times: int = 1) -> Any:
        """The same work, of which a call is ended after `times` the seconds of one."""
        if self.call_s is None:
            return work
        seconds = self.call_s * times

        def watched(*arguments: Any) -> Any:
            self._waiting, self._looks = True, 0
            signal.signal(signal.SIGPROF, lambda number, frame: self._look(frame, seconds))
            # It goes on after the end: student code may catch everything, and loop again.
            signal.setitimer(signal.ITIMER_PROF, seconds / 2, seconds / 2 / self.LOOKS)
            try:
                return work(*arguments)
            except NoAnswer as error:
                self._cut(error.__traceback__)
                raise
            finally:
                self._waiting = False
                signal.setitimer(signal.ITIMER_PROF, 0)
                self._stands = []

        return watched

    def _look(self, frame: Any, seconds: float) -> None:
        if not self._waiting:
            return
        stack = [inner for inner, _ in traceback.walk_stack(frame)][::-1]
        pairs = zip(self._stands, stack, strict=False) if self._looks else ((f, f) for f in stack)
        self._stands = [a for a, b in itertools.takewhile(lambda pair: pair[0] is pair[1], pairs)]
        self._looks += 1
        if self._looks > self.LOOKS:
            self.ran_out = True
            raise NoAnswer(f"no answer after {seconds:g} s of computing: an endless loop?")

    def _cut(self, trace: Any) -> None:
        """Let a traceback end in the function that holds the loop, not in what it calls."""
        while trace is not None and trace.tb_next is not None:
            if not any(trace.tb_next.tb_frame is frame for frame in self._stands):
                if any(trace.tb_frame is frame for frame in self._stands):
                    trace.tb_next = None
                    return
            trace = trace.tb_next


class NoAnswer(BaseException):
    """A call of the student's has used up its time. No `except Exception` holds it up."""


NoAnswer.__name__ = "STUDENT_TIMEOUT"
