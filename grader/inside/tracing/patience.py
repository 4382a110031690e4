"""Ends a call of the student's that does not come back."""

from __future__ import annotations

import ctypes
import itertools
import signal
import sys
import threading
import time
import traceback
from typing import Any


class Patience:
    """Ends a call that does not come back, from within: so it is known where it stands.

    Processor time is what counts, so that a busy machine ends nothing. What is not ended so
    (it sleeps, or does not leave one operation) is ended from outside, with all that follows.
    A timer of the system's interrupts the call; Windows has none, there a thread does.

    Args:
        call_s: Seconds of processor time for one call; None for no end.
    """

    LOOKS = 8
    """Looks at the stack before the end: what stands there in all of them holds the loop."""

    def __init__(self, call_s: float | None) -> None:
        on_main = threading.current_thread() is threading.main_thread()
        self.call_s = call_s if on_main else None
        self._timer = SystemTimer if hasattr(signal, "setitimer") else ThreadTimer
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
            # It goes on after the end: student code may catch everything, and loop again.
            timer = self._timer(self._look, seconds / 2, seconds / 2 / self.LOOKS)
            try:
                return work(*arguments)
            except NoAnswer as error:
                error.args = (f"no answer after {seconds:g} s of computing: an endless loop?",)
                self._cut(error.__traceback__)
                raise
            finally:
                self._waiting = False
                timer.end()
                self._stands = []

        return watched

    def _look(self, frame: Any) -> None:
        if not self._waiting:
            return
        stack = [inner for inner, _ in traceback.walk_stack(frame)][::-1]
        pairs = zip(self._stands, stack, strict=False) if self._looks else ((f, f) for f in stack)
        self._stands = [a for a, b in itertools.takewhile(lambda pair: pair[0] is pair[1], pairs)]
        self._looks += 1
        if self._looks > self.LOOKS:
            self.ran_out = True
            raise NoAnswer

    def _cut(self, trace: Any) -> None:
        """Let a traceback end in the function that holds the loop, not in what it calls."""
        while trace is not None and trace.tb_next is not None:
            if not any(trace.tb_next.tb_frame is frame for frame in self._stands):
                if any(trace.tb_frame is frame for frame in self._stands):
                    trace.tb_next = None
                    return
            trace = trace.tb_next


class SystemTimer:
    """Looks at what the main thread does, after so much processor time, by the system's timer.

    Args:
        look: Called with the frame that runs; what it raises is raised there.
        first_s: Seconds of processor time until the first look.
        again_s: Seconds until each further one.
    """

    def __init__(self, look: Any, first_s: float, again_s: float) -> None:
        signal.signal(signal.SIGPROF, lambda number, frame: look(frame))
        signal.setitimer(signal.ITIMER_PROF, first_s, again_s)

    def end(self) -> None:
        """Look no more."""
        signal.setitimer(signal.ITIMER_PROF, 0)


class ThreadTimer:
    """The same from a thread beside the main one. Arguments as for `SystemTimer`."""

    def __init__(self, look: Any, first_s: float, again_s: float) -> None:
        self._look, self._again_s = look, again_s
        self._next = time.process_time() + first_s
        self._main = threading.main_thread().ident
        self._lock = threading.Lock()
        self._ended = threading.Event()
        threading.Thread(target=self._watch, daemon=True).start()

    def end(self) -> None:
        """Look no more, and take back what was not raised yet."""
        self._ended.set()
        with self._lock:
            self._raise_in_main(None)

    def _watch(self) -> None:
        while not self._ended.wait(self._again_s / 4):
            if time.process_time() < self._next:
                continue
            self._next += self._again_s
            try:
                self._look(sys._current_frames()[self._main])  # type: ignore[index]
            except NoAnswer:
                with self._lock:
                    if not self._ended.is_set():
                        self._raise_in_main(ctypes.py_object(NoAnswer))

    def _raise_in_main(self, error: Any) -> None:
        ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(self._main or 0), error)


class NoAnswer(BaseException):
    """A call of the student's has used up its time. No `except Exception` holds it up."""


NoAnswer.__name__ = "STUDENT_TIMEOUT"
