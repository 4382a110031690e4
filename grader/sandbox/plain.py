"""A student's own code on the student's own machine, on every system that has Python.

Windows and macOS have none of what the Linux sandboxes are made of: no fork to trust, no /proc, no
limits that hold. One's own code needs no wall, only an end: a process of its own, the contract of
the frames, a clock, a bound on what it says and on its memory. Nobody else's code is run here:
`grade` never chooses this provider.

A process says "ready" when its libraries are imported, and then waits. With `warm` one is always
started ahead, so that a run begins at once.
"""

from __future__ import annotations

import contextlib
import os
import queue
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

from grader import files
from grader.domain import Isolation, Limits
from grader.errors import Cause, InfrastructureError
from grader.sandbox.contract import Sandbox, Stage, StageResult
from grader.sandbox.frames import READY, FrameError, FrameParser, encode
from grader.sandbox.memory import memory_of
from grader.sandbox.program import STAGES, own_environment, program
from grader.sandbox.pump import START_S, Conversation
from grader.sandbox.verdict import Ending, interrupted, result

LOOK_S = 0.1
"""How often clock and memory are looked at."""
LAST_WORDS_S = 10.0
"""How long the pipes of an ended process are read: a child of its own may hold them open."""
GONE_S = 5.0
"""For a folder of a process that has just ended to be let go."""
_CHUNK = 2**16
_WAITING = 64
"""Chunks that are read ahead of us: a flood stops at the pipe."""


class PlainSandbox(Sandbox):
    """Runs a stage as its author would: in a plain process, without isolation.

    Args:
        warm: Keep one process ahead, with the libraries imported.
        stages: Folder of the stage modules.
        scratch: Where private folders are made; the system's temporary folder by default.
    """

    isolation: Isolation = "none"

    def __init__(
        self, *, warm: bool = False, stages: Path = STAGES, scratch: Path | None = None
    ) -> None:
        self._warm = warm
        self._stages = stages
        self._scratch = Path(scratch or tempfile.gettempdir())
        self._lock = threading.Lock()
        self._spares: dict[str, Child] = {}
        self._running: set[Child] = set()
        self._stopped = threading.Event()
        self._interrupts = 0

    def available(self) -> str | None:
        """None: wherever this runs, there is Python."""
        return None

    def prepare(self, stage: str) -> None:
        """Start the next process of a stage now; see `Sandbox.prepare`."""
        with self._lock:
            if stage not in self._spares and not self._stopped.is_set():
                self._spares[stage] = Child(stage, self._stages, self._scratch)

    def run(self, stage: Stage) -> StageResult:
        """Run one stage; see `Sandbox.run`."""
        interrupts = self._interrupts
        child = self._take(stage.name)
        try:
            child.await_ready(self._stopped)
            if self._interrupts != interrupts and self._put_back(stage.name, child):
                raise interrupted()
            ending = child.run(stage)
            parser = child.talk.parser
        finally:
            self._done_with(stage.name, child)
        if self._stopped.is_set() or child.interrupted:
            raise interrupted()
        return result(ending, parser, stage.limits, self.isolation)

    def interrupt(self) -> None:
        """End what runs; see `Sandbox.interrupt`. A process that still imports is kept."""
        with self._lock:
            self._interrupts += 1
            for child in self._running:
                child.interrupt()

    def stop(self) -> None:
        """End what runs, and start nothing more; see `Sandbox.stop`."""
        self._stopped.set()
        self.interrupt()

    def close(self) -> None:
        """End the process that was started ahead."""
        self._stopped.set()
        with self._lock:
            spares, self._spares = self._spares, {}
        for child in spares.values():
            child.close()

    def _take(self, stage: str) -> Child:
        if self._stopped.is_set():
            raise interrupted()
        with self._lock:
            child = self._spares.pop(stage, None)
            if child is None or child.ended:
                child = Child(stage, self._stages, self._scratch)
            self._running.add(child)
            return child

    def _put_back(self, stage: str, child: Child) -> bool:
        """Keep a process that has run nothing yet for the next."""
        with self._lock:
            free = self._warm and stage not in self._spares and not self._stopped.is_set()
            if free:
                self._spares[stage] = child
            return free

    def _done_with(self, stage: str, child: Child) -> None:
        with self._lock:
            self._running.discard(child)
            kept = self._spares.get(stage) is child
        if not kept:
            child.close()
            if self._warm:
                self.prepare(stage)


class Child:
    """One process for one run, and what it has said.

    Args:
        stage: Name of the stage module.
        stages: Folder it lies in.
        scratch: Where its private folder is made.
    """

    def __init__(self, stage: str, stages: Path, scratch: Path) -> None:
        self.interrupted = False
        self._private = scratch / f"grade-run{files.mark()}{secrets.token_hex(8)}"
        self._private.mkdir(parents=True)
        self._heard: queue.Queue[tuple[str, bytes]] = queue.Queue(_WAITING)
        self._early: list[tuple[str, bytes]] = []
        self._open = {"output", "log"}
        self._process = self._start(program(stage, stages, "--plain", utf8=True))
        pipes: dict[str, Any] = {"output": self._process.stdout, "log": self._process.stderr}
        self._closed = False
        self._listeners = [_beside(self._listen, name, p) for name, p in pipes.items()]

    @property
    def ended(self) -> bool:
        """Whether it can run nothing any more."""
        return self._process.poll() is not None

    def await_ready(self, stopped: threading.Event) -> None:
        """Wait for the libraries; what was heard is kept for the run.

        Args:
            stopped: Set where nobody waits any more.
        """
        parser, give_up = FrameParser(_CHUNK), time.monotonic() + START_S
        for name, data in self._early:
            _feed(parser, name, data)
        while not parser.control and not stopped.is_set() and time.monotonic() < give_up:
            try:
                name, data = self._heard.get(timeout=LOOK_S)
            except queue.Empty:
                continue
            self._early.append((name, data))
            if not data and name == "output":
                return
            _feed(parser, name, data)

    def run(self, stage: Stage) -> Ending:
        """Have the stage run to its end or to a limit."""
        self.talk = Conversation(stage.limits)
        for name, data in self._early:
            self._hear(name, data)
        if READY in self.talk.parser.control and not self.interrupted:
            _beside(self._ask, self._furnished(stage))
        looked = 0.0
        while not self._is_over():
            with contextlib.suppress(queue.Empty):
                self._hear(*self._heard.get(timeout=LOOK_S))
            if time.monotonic() - looked > LOOK_S:
                looked = time.monotonic()
                self._look(stage.limits)
        self.talk.ending.status = self._process.poll()
        return self.talk.finish()

    def interrupt(self) -> None:
        """End the run for a reason of ours; from any thread."""
        self.interrupted = True

    def close(self) -> None:
        """End the process and what it has started, and remove what it wrote."""
        self._kill()
        with contextlib.suppress(OSError):
            if self._process.stdin is not None:
                self._process.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(GONE_S)
        self._closed = True
        for listener in self._listeners:
            listener.join(GONE_S)
        _remove(self._private)

    def _start(self, command: list[str]) -> subprocess.Popen[bytes]:
        try:
            return subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                bufsize=0,
                env=own_environment(self._private),
                cwd=self._private,
                **_apart(),
            )
        except OSError as error:
            told = f"could not start Python: {error}"
            raise InfrastructureError(Cause.INFRA_SANDBOX, told) from error

    def _furnished(self, stage: Stage) -> bytes:
        """The request, with a copy of the student's files to write beside."""
        tree = self._private / "submission"
        shutil.copytree(stage.tree, tree, copy_function=shutil.copyfile)
        return encode("request", {"request": dict(stage.request), "tree": str(tree)})

    def _ask(self, request: bytes) -> None:
        """Send the request. The pipe stays open: its end tells the process that we are gone."""
        with contextlib.suppress(OSError, ValueError):
            rest = memoryview(request)
            while rest and self._process.stdin is not None:
                rest = rest[self._process.stdin.write(rest) or 0 :]

    def _listen(self, name: str, pipe: IO[bytes]) -> None:
        with pipe:
            data = b"first"
            while data:
                try:
                    data = pipe.read(_CHUNK) or b""
                except OSError:
                    data = b""
                self._pass_on(name, data)

    def _pass_on(self, name: str, data: bytes) -> None:
        """Queue what was heard; a flood waits here, until nobody wants it any more."""
        while not self._closed:
            with contextlib.suppress(queue.Full):
                self._heard.put((name, data), timeout=LOOK_S)
                return

    def _hear(self, name: str, data: bytes) -> None:
        if not data:
            self._open.discard(name)
        elif name == "output":
            self.talk.hear_output(data)
        else:
            self.talk.hear_log(data)

    def _look(self, limits: Limits) -> None:
        """See whether a limit is reached, and end the process where one is."""
        talk = self.talk
        if self.interrupted:
            talk.stop(Cause.INFRA_INTERRUPTED, "the grader was interrupted")
        memory = memory_of(self._process)
        talk.ending.peak_memory_bytes = max(memory, talk.ending.peak_memory_bytes or 0)
        if memory > limits.memory_bytes:
            talk.ending.reason = "memory"
        if talk.seconds_left == 0.0:
            talk.out_of_time()
        if talk.stopped or talk.ending.reason:
            self._kill()

    def _is_over(self) -> bool:
        if self.talk.ending.infra is not None:
            return True
        if self._process.poll() is None:
            return False
        self._last_words_end = getattr(self, "_last_words_end", time.monotonic() + LAST_WORDS_S)
        return not self._open or time.monotonic() > self._last_words_end

    def _kill(self) -> None:
        if self._process.poll() is None:
            end_with_children(self._process)


def end_with_children(process: subprocess.Popen[bytes]) -> None:
    """End a process and what it has started, by the means of this system."""
    if sys.platform == "win32":
        command = ["taskkill", "/F", "/T", "/PID", str(process.pid)]
        with contextlib.suppress(OSError, subprocess.TimeoutExpired):
            subprocess.run(command, capture_output=True, timeout=GONE_S, check=False, **_apart())
    else:
        # It leads a group of its own, and has not been waited for: the number is still its own.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
    process.kill()


def _apart() -> dict[str, Any]:
    """A group of its own: Ctrl-C in our terminal is ours to answer."""
    if sys.platform == "win32":
        return {"creationflags": subprocess.CREATE_NO_WINDOW | subprocess.CREATE_NEW_PROCESS_GROUP}
    return {"start_new_session": True}


def _beside(work: Callable[..., None], *arguments: Any) -> threading.Thread:
    thread = threading.Thread(target=work, args=arguments, daemon=True)
    thread.start()
    return thread


def _feed(parser: FrameParser, name: str, data: bytes) -> None:
    if name == "output":
        with contextlib.suppress(FrameError):  # it is told when the run hears it again
            parser.feed(data)


def _remove(private: Path) -> None:
    """Remove a run's folder. Windows keeps files of a process for a moment after its end."""
    give_up = time.monotonic() + GONE_S
    while private.exists() and time.monotonic() < give_up:
        shutil.rmtree(private, ignore_errors=True)
        if private.exists():
            time.sleep(LOOK_S)
