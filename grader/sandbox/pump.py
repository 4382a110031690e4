"""Talk to a running stage: feed it, drain it, count every byte, keep the clock.

One loop over four descriptors, none of which can block it: the request goes out as the pipe takes
it, frames and log come in as they arrive, the supervisor's socket tells of the end. A program that
never reads, never writes or writes without end only ever costs its own time.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import selectors
import signal
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from grader.domain import Limits
from grader.errors import Cause
from grader.sandbox.frames import FrameError, FrameParser
from grader.sandbox.verdict import Ending

START_S = 180.0
"""For the interpreter and the libraries, before "ready"; not the student's time."""
STOP_S = 30.0
"""For the supervisor to kill and clean up."""
PATIENCE = 3
"""How many times its time a run may last where others keep it from running."""
HELD = b"held "
"""Begins a line of the supervisor's on how long others have kept the run from running."""
_CHUNK = 2**18
_ERRNO_CAUSES = {
    errno.ENOSPC: Cause.INFRA_DISK,
    errno.EROFS: Cause.INFRA_DISK,
    errno.EDQUOT: Cause.INFRA_DISK,
    errno.ENOMEM: Cause.INFRA_MEMORY,
}
"""Of what the supervisor itself ran into."""


@dataclass
class Ends:
    """Our ends of a run's pipes; `close` may be called twice.

    Attributes:
        request: Write end of the worker's standard input.
        output: Read end of its frames.
        log: Read end of what it prints.
        control: Socket to the supervisor; closing it ends the run, whatever happens to us.
    """

    request: int
    output: int
    log: int
    control: socket.socket

    def close(self) -> None:
        """Close all; the supervisor then ends what still runs."""
        self.control.close()
        for name in ("request", "output", "log"):
            self.close_one(name)

    def close_one(self, name: str) -> None:
        """Close one pipe, if it is open."""
        fd = getattr(self, name)
        setattr(self, name, -1)
        if fd >= 0:
            with contextlib.suppress(OSError):
                os.close(fd)


class LogTail:
    """Keeps the last bytes of a log.

    Args:
        limit: How many.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._data = bytearray()

    def add(self, data: bytes) -> None:
        """Take the next bytes, forget the oldest."""
        self._data += data
        if len(self._data) > 2 * self._limit:
            del self._data[: -self._limit]

    def __bytes__(self) -> bytes:
        return bytes(self._data[-self._limit :])


class Conversation:
    """What is known of one run so far, and what that means; no reading or writing of its own.

    Args:
        limits: What the program may use.
    """

    def __init__(self, limits: Limits) -> None:
        self.parser = FrameParser(limits.output_bytes)
        self.ending = Ending()
        self._limits = limits
        self._log = LogTail(limits.log_bytes)
        self._started = time.monotonic()
        self._ready_at: float | None = None
        self._held_before_s = 0.0
        self._stopped_at: float | None = None

    @property
    def stopped(self) -> bool:
        """Whether we have decided to end it."""
        return self._stopped_at is not None

    @property
    def seconds_left(self) -> float:
        """Until the clock that runs now is up."""
        if self._stopped_at is not None:
            end = self._stopped_at + STOP_S
        elif self._ready_at is not None:
            end = self._ready_at + self._limits.wall_time_s + min(self._held_s, self._patience_s)
        else:
            end = self._started + START_S
        return max(0.0, end - time.monotonic())

    @property
    def _held_s(self) -> float:
        """For how long others have kept it from running since "ready"."""
        return self.ending.held_s - self._held_before_s

    @property
    def _patience_s(self) -> float:
        return (PATIENCE - 1) * self._limits.wall_time_s

    def hear_held(self, held_s: float) -> None:
        """Take what the supervisor counted of the time that others kept it from running."""
        self.ending.held_s = max(self.ending.held_s, held_s)

    def hear_output(self, data: bytes) -> None:
        """Take bytes of the frames."""
        try:
            self.parser.feed(data)
        except FrameError as error:
            self.stop(error.cause, error.message)
        if self._ready_at is None and self.parser.ready:
            self._ready_at = time.monotonic()
            self._held_before_s = self.ending.held_s

    def hear_log(self, data: bytes) -> None:
        """Take bytes of what it prints."""
        self._log.add(data)

    def hear_report(self, data: bytes) -> None:
        """Take the supervisor's report, one JSON object."""
        try:
            self._take_report(json.loads(data))
        except ValueError:
            self._take_report({"error": "the supervisor ended without a report"})

    def out_of_time(self) -> None:
        """Decide what a clock that is up means."""
        if self.stopped:
            self.ending.infra = f"the supervisor did not end the stage within {STOP_S:g} s"
        elif self._ready_at is None:
            self.stop(Cause.INFRA_BUSY, f"the stage did not start within {START_S:g} s")
        elif self._held_s >= self._patience_s:
            told = f"others kept the program from running for {self._held_s:.0f} s"
            self.stop(Cause.INFRA_BUSY, f"this machine was too busy: {told}")
        else:
            allowed = f"{self._limits.wall_time_s:g} s"
            self.stop(Cause.STUDENT_TIMEOUT, f"time: expected at most {allowed}, received more")

    def stop(self, cause: Cause, message: str) -> None:
        """Decide to end it; the first decision stands."""
        if self._stopped_at is None:
            self.ending.stopped = (cause, message)
            self._stopped_at = time.monotonic()

    def finish(self) -> Ending:
        """Say what was seen."""
        self.ending.wall_time_s = time.monotonic() - (self._ready_at or self._started)
        self.ending.log = bytes(self._log)
        return self.ending

    def _take_report(self, report: dict[str, Any]) -> None:
        ending = self.ending
        if report.get("error"):
            ending.infra = ending.infra or report["error"]
            if report.get("import"):
                ending.infra_cause = Cause.INFRA_TENSORFLOW
                return
            ending.infra_cause = _ERRNO_CAUSES.get(report.get("errno") or 0, Cause.INFRA_SANDBOX)
            return
        status = report.get("status")
        ending.status = None if status is None else os.waitstatus_to_exitcode(status)
        ending.reason = report.get("reason")
        ending.left = report.get("left")
        ending.shortages = tuple(report.get("shortages") or ())
        ending.cpu_time_s = report.get("cpu_time_s")
        ending.peak_memory_bytes = report.get("peak_memory_bytes")


class Pump:
    """Holds a conversation over a run's pipes and socket.

    Args:
        ends: Our ends of them.
        request: The encoded request.
        limits: What the program may use.
    """

    def __init__(self, ends: Ends, request: bytes, limits: Limits) -> None:
        self.talk = Conversation(limits)
        self._ends = ends
        self._request = memoryview(request)
        self._heard = bytearray()
        self._supervisor: int | None = None
        self._selector = selectors.DefaultSelector()
        self._done = False
        self.interrupted = False
        """Whether a reason of ours ended the run."""

    def run(self) -> Ending:
        """Talk until the supervisor reports, then say what was seen."""
        for name, handler in (("output", self._read_output), ("log", self._read_log)):
            fd = getattr(self._ends, name)
            os.set_blocking(fd, False)
            self._selector.register(fd, selectors.EVENT_READ, handler)
        os.set_blocking(self._ends.request, False)
        self._selector.register(self._ends.request, selectors.EVENT_WRITE, self._write_request)
        self._ends.control.setblocking(False)
        self._selector.register(self._ends.control, selectors.EVENT_READ, self._read_report)
        with self._selector:
            while not self._done and self.talk.ending.infra is None:
                self._turn()
            if self._heard.endswith(b"\n"):
                self._drain()
        if not self._done:
            self._kill_supervisor()
        self.talk.hear_report(bytes(self._heard))
        return self.talk.finish()

    def interrupt(self) -> None:
        """End the run for a reason of ours; from any thread."""
        self.interrupted = True
        self.talk.stop(Cause.INFRA_INTERRUPTED, "the grader was interrupted")
        with contextlib.suppress(OSError):
            self._ends.control.send(b"x")

    def _turn(self) -> None:
        before = self.talk.stopped
        for key, _ in self._selector.select(self.talk.seconds_left):
            handler: Callable[[], object] = key.data
            handler()
        if self.talk.seconds_left == 0.0 and not self._done:
            self.talk.out_of_time()
        if self.talk.stopped and not before:
            with contextlib.suppress(OSError):
                self._ends.control.send(b"x")

    def _write_request(self) -> None:
        try:
            sent = os.write(self._ends.request, self._request[:_CHUNK])
        except BlockingIOError:
            return
        except OSError:  # it does not want to hear us; the end will tell why
            sent = len(self._request)
        self._request = self._request[sent:]
        if not self._request:
            self._selector.unregister(self._ends.request)
            self._ends.close_one("request")

    def _read_output(self) -> bool:
        data = self._read("output")
        if data:
            self.talk.hear_output(data)
        return bool(data)

    def _read_log(self) -> bool:
        data = self._read("log")
        self.talk.hear_log(data or b"")
        return bool(data)

    def _read(self, name: str) -> bytes | None:
        fd = getattr(self._ends, name)
        try:
            data = os.read(fd, _CHUNK)
        except BlockingIOError:
            return None
        if not data:
            self._selector.unregister(fd)
            self._ends.close_one(name)
        return data

    def _read_report(self) -> None:
        try:
            data = self._ends.control.recv(_CHUNK)
        except ConnectionResetError:  # it never read our last word; what it said itself comes next
            return
        self._heard += data
        while not self._done and b"\n" in self._heard:
            line, _, rest = self._heard.partition(b"\n")
            if line.startswith(HELD):
                self.talk.hear_held(float(line.removeprefix(HELD)))
            elif self._supervisor is None:
                self._supervisor = json.loads(line)["supervisor"]
            else:
                self._done, rest = True, self._heard
            self._heard = rest
        self._done = self._done or not data

    def _kill_supervisor(self) -> None:
        # It holds its end of the socket still, so its number is its own; the kernel ends the
        # worker with it.
        if self._supervisor is not None:
            with contextlib.suppress(OSError):
                os.kill(self._supervisor, signal.SIGKILL)

    def _drain(self) -> None:
        # All processes are gone, says the report: the pipes hold all that will ever be there.
        for name, read in (("output", self._read_output), ("log", self._read_log)):
            while getattr(self._ends, name) >= 0 and read():
                pass
