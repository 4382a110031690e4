"""The bare process: limits and clean-up, no isolation. For trusted code and as a last resort.

Everything of it but the isolation is also the jail's: pipes, supervisor, clock, verdict, warm
start. The program inside is `grader/inside/main.py`, where the processes are explained.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import socket
import subprocess
import tempfile
import threading
import time
import warnings
from pathlib import Path
from typing import Any

from grader import files
from grader.domain import Isolation
from grader.errors import Cause, InfrastructureError
from grader.inside import disk
from grader.sandbox.contract import Sandbox, Stage, StageResult
from grader.sandbox.frames import encode
from grader.sandbox.program import STAGES, program, stage_environment
from grader.sandbox.pump import Ends, Pump
from grader.sandbox.turns import undisturbed
from grader.sandbox.verdict import interrupted, result
from grader.sandbox.zygote import Zygote

_GONE_S = 5.0
"""For the last of a killed run to be gone."""


class ProcessSandbox(Sandbox):
    """Runs a stage in processes of its own, with limits, without isolation.

    Args:
        warm: Keep one parent per stage with the libraries loaded, and fork it for each run.
        stages: Folder of the stage modules.
        scratch: Where private folders are made; the system's temporary folder by default.
    """

    isolation: Isolation = "none"
    _jail = False

    def __init__(
        self, *, warm: bool = False, stages: Path = STAGES, scratch: Path | None = None
    ) -> None:
        self._stages = stages
        self._scratch = scratch
        self._zygotes = Zygote.pool(stages) if warm else None
        self._pumps: set[Pump] = set()
        self._stopped = threading.Event()

    def available(self) -> str | None:
        """None on any Unix."""
        if os.name != "posix" or not hasattr(os, "fork"):
            return "processes with limits: expected a Unix; on Windows use WSL 2 or Docker"
        return None

    def run(self, stage: Stage) -> StageResult:
        """Run one stage; see `Sandbox.run`."""
        return undisturbed(self._run_once, stage)

    def _run_once(self, stage: Stage, seat: int | None) -> StageResult:
        lack = self.available()
        if lack is not None:
            raise InfrastructureError(Cause.INFRA_SANDBOX, lack)
        if self._stopped.is_set():
            raise interrupted()
        ends, theirs = _pipes()
        name = f"grade-run{files.mark()}{secrets.token_hex(8)}"
        private = Path(self._scratch or tempfile.gettempdir()) / name
        with contextlib.ExitStack() as cleanup:
            # The supervisor makes and removes it; this is for when the supervisor was killed.
            cleanup.callback(_remove, private)
            cleanup.callback(ends.close)
            started = self._start(stage, theirs)
            if started is not None:
                cleanup.callback(_wait, started)
                cleanup.callback(ends.close)
            with contextlib.suppress(BrokenPipeError):  # the end of its own line tells why
                ends.control.sendall(self._order(stage, private, seat))
            pump = Pump(ends, encode("request", {"request": dict(stage.request)}), stage.limits)
            self._pumps.add(pump)
            cleanup.callback(self._pumps.discard, pump)
            if self._stopped.is_set():
                pump.interrupt()
            ending = pump.run()
        if self._stopped.is_set() or pump.interrupted:
            raise interrupted()
        return result(ending, pump.talk.parser, stage.limits, self.isolation)

    def prepare(self, stage: str) -> None:
        """Start the warm parent of a stage; see `Sandbox.prepare`."""
        if self._zygotes is not None:
            self._zygotes.prepare(stage)

    def interrupt(self) -> None:
        """End what runs; see `Sandbox.interrupt`."""
        for pump in tuple(self._pumps):
            pump.interrupt()

    def stop(self) -> None:
        """End what runs, and start nothing more; see `Sandbox.stop`."""
        self._stopped.set()
        self.interrupt()

    def close(self) -> None:
        """End the warm parents."""
        if self._zygotes is not None:
            self._zygotes.close()

    def _order(self, stage: Stage, private: Path, seat: int | None) -> bytes:
        order: dict[str, Any] = {
            "limits": stage.limits.model_dump(),
            "jail": self._jail,
            "private": str(private),
            "tree": str(stage.tree.resolve()),
            "seat": seat,
        }
        return json.dumps(order).encode() + b"\n"

    def _start(self, stage: Stage, theirs: tuple[int, int, int, int]) -> Any:
        try:
            if self._zygotes is not None:
                self._zygotes.start(stage.name, theirs)
                return None
            return _start_cold(program(stage.name, self._stages), theirs)
        finally:
            for fd in theirs:
                os.close(fd)


def _pipes() -> tuple[Ends, tuple[int, int, int, int]]:
    request_read, request_write = os.pipe()
    output_read, output_write = os.pipe()
    log_read, log_write = os.pipe()
    ours, control = socket.socketpair()
    # The supervisor waits for its order, whatever timeout this process has given its sockets.
    control.setblocking(True)
    ends = Ends(request_write, output_read, log_read, ours)
    return ends, (request_read, output_write, log_write, control.detach())


def _start_cold(command: list[str], theirs: tuple[int, int, int, int]) -> subprocess.Popen[bytes]:
    request, output, log, control = theirs
    try:
        return subprocess.Popen(
            [*command, "--control", str(control)],
            stdin=request,
            stdout=output,
            stderr=log,
            pass_fds=(control,),
            env=stage_environment(),
            cwd="/",
            start_new_session=True,
        )
    except OSError as error:
        raise InfrastructureError(
            Cause.INFRA_SANDBOX, f"could not start Python: {error}"
        ) from error


def _wait(process: subprocess.Popen[bytes]) -> None:
    # The supervisor has reported or lost our end of its socket: it ends by itself.
    try:
        process.wait(timeout=15)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _remove(private: Path) -> None:
    """Remove a run's folder; say so where it stays. What stays is tried again by later runs."""
    give_up = time.monotonic() + _GONE_S
    while True:
        try:
            disk.remove(str(private))
            return
        except OSError as error:
            if time.monotonic() > give_up:
                told = f"{private}: the folder of a finished run could not be removed: {error}"
                warnings.warn(told, RuntimeWarning, stacklevel=2)
                return
        time.sleep(0.02)
