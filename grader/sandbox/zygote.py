"""Warm start: a parent process that has the libraries loaded and is forked for each run.

Importing TensorFlow costs some ten seconds of processor time; a fork costs milliseconds. Each run
gets a fresh copy-on-write image of a parent that has never run student code, so nothing can pass
from one run to the next. The parent takes messages from us alone; its children do not have that
socket.
"""

from __future__ import annotations

import contextlib
import json
import select
import socket
import subprocess
import threading
from pathlib import Path

from grader.errors import Cause, InfrastructureError
from grader.sandbox.program import program, stage_environment

IMPORT_S = 300.0
"""For the libraries to load, once."""


class Zygote:
    """One warm parent for one stage; safe for several threads.

    Args:
        stage: Name of the stage module.
        stages: Folder it lies in.
    """

    def __init__(self, stage: str, stages: Path) -> None:
        self._lock = threading.Lock()
        self._socket, theirs = socket.socketpair()
        # Both wait, whatever timeout this process has given its sockets (`grade train` does).
        self._socket.setblocking(True)
        theirs.setblocking(True)
        with theirs:
            self._process = subprocess.Popen(
                program(stage, stages, "--warm", "--control", str(theirs.fileno())),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=(theirs.fileno(),),
                env=stage_environment(),
                cwd="/",
                start_new_session=True,
            )
        self._imported = False

    @classmethod
    def pool(cls, stages: Path) -> ZygotePool:
        """Return an empty pool, one zygote per stage made when first used."""
        return ZygotePool(stages)

    @property
    def alive(self) -> bool:
        """Whether it can be forked."""
        return self._process.poll() is None

    def start(self, fds: tuple[int, int, int, int]) -> None:
        """Fork one run.

        Args:
            fds: The run's ends: request, output, log, supervisor's socket. Stay open here.

        Raises:
            OSError: The parent is gone.
            InfrastructureError: The libraries did not load.
        """
        with self._lock:
            if not self._imported:
                self._await_import()
            socket.send_fds(self._socket, [b"x"], list(fds))

    def close(self) -> None:
        """End the parent; runs under way go on to their end."""
        if not self._imported:
            self._process.kill()  # it would look at its socket when it has imported
        self._socket.close()
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _await_import(self) -> None:
        answer = self._read_line()
        if answer.get("error") is None and answer:
            self._imported = True
            return
        self.close()
        told = answer.get("error") or f"ended with status {self._process.returncode}"
        raise InfrastructureError(
            Cause.INFRA_TENSORFLOW,
            f"the libraries did not load: {told}",
            "Install them with the extra cpu or gpu; see grade doctor.",
        )

    def _read_line(self) -> dict[str, str | None]:
        readable, _, _ = select.select([self._socket], [], [], IMPORT_S)
        if not readable:
            self._process.kill()
            return {"error": f"not within {IMPORT_S:g} s"}
        data = bytearray()
        while not data.endswith(b"\n"):
            piece = self._socket.recv(4096)
            if not piece:
                return {}
            data += piece
        answer: dict[str, str | None] = json.loads(bytes(data))
        return answer


class ZygotePool:
    """The warm parents of one sandbox, by stage.

    Args:
        stages: Folder of the stage modules.
    """

    def __init__(self, stages: Path) -> None:
        self._stages = stages
        self._lock = threading.Lock()
        self._zygotes: dict[str, Zygote] = {}

    def start(self, stage: str, fds: tuple[int, int, int, int]) -> None:
        """Fork one run of a stage; a parent that died is made anew, once.

        Args:
            stage: Name of the stage module.
            fds: See `Zygote.start`.

        Raises:
            InfrastructureError: No parent can be had.
        """
        try:
            self._get(stage).start(fds)
        except OSError:
            self._drop(stage)
            try:
                self._get(stage).start(fds)
            except OSError as error:
                message = f"the warm parent of {stage} cannot be reached: {error}"
                raise InfrastructureError(Cause.INFRA_SANDBOX, message) from error

    def prepare(self, stage: str) -> None:
        """Let the parent of a stage import while something else is done."""
        self._get(stage)

    def close(self) -> None:
        """End all parents."""
        with self._lock:
            zygotes, self._zygotes = self._zygotes, {}
        for zygote in zygotes.values():
            zygote.close()

    def _get(self, stage: str) -> Zygote:
        with self._lock:
            found = self._zygotes.get(stage)
            if found is None or not found.alive:
                if found is not None:
                    found.close()
                found = self._zygotes[stage] = Zygote(stage, self._stages)
            return found

    def _drop(self, stage: str) -> None:
        with self._lock:
            dropped = self._zygotes.pop(stage, None)
        if dropped is not None:
            with contextlib.suppress(OSError):
                dropped.close()
