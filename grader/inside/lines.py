"""The supervisor's line to the grader: order and request come in, output and report go out."""

from __future__ import annotations

import contextlib
import json
import os
import socket
from collections.abc import Mapping
from typing import Any

from . import frames


class SocketLine:
    """The supervisor's line to the grader: a socket for order and report.

    Args:
        control: The socket.
        fds: The worker's request, output and log, which lead to the grader directly.
    """

    def __init__(self, control: socket.socket, fds: tuple[int, int, int]) -> None:
        self._control = control
        self.fds = fds

    @property
    def hangup(self) -> int:
        """Readable when the grader wants an end or is gone."""
        return self._control.fileno()

    def order(self) -> dict[str, Any]:
        """Say whom to kill should this process hang, and wait for what the grader wants."""
        self._control.sendall(json.dumps({"supervisor": os.getpid()}).encode() + b"\n")
        line = bytearray()
        while not line.endswith(b"\n"):
            piece = self._control.recv(1)
            if not piece:
                raise EOFError("the grader went away before it gave an order")
            line += piece
        order: dict[str, Any] = json.loads(line)
        return order

    def leave_to_worker(self) -> None:
        """Drop what is the supervisor's, in the worker."""
        self._control.close()

    def leave_to_supervisor(self) -> None:
        """Drop what is the worker's, in the supervisor."""
        for fd in self.fds:
            os.close(fd)

    def sources(self) -> list[int]:
        """List what there is to pass on: nothing, the pipes lead to the grader."""
        return []

    def pass_on(self, fd: int) -> None:
        """Pass on what came from one of the sources."""

    def tell_held(self, seconds: float) -> None:
        """Say how long others have kept the worker from running so far."""
        with contextlib.suppress(OSError):
            self._control.sendall(b"held %.3f\n" % seconds)

    def report(self, report: Mapping[str, Any]) -> None:
        """Say how the worker ended."""
        with contextlib.suppress(OSError):
            self._control.sendall(json.dumps(report).encode() + b"\n")


class StreamLine:
    """The supervisor's line out of a container: frames in, labelled pieces out.

    Args:
        stdin: The order, then the request, one frame each; afterwards its end means hang up.
        stdout: Where pieces go: one letter (O output, L log, H held up, R report), four bytes
            length, data.
    """

    def __init__(self, stdin: int, stdout: int) -> None:
        self.hangup = stdin
        self._out = stdout
        request, self._request = os.pipe()
        output_read, output = os.pipe()
        log_read, log = os.pipe()
        self.fds: tuple[int, ...] = (request, output, log)
        self._letters = {output_read: b"O", log_read: b"L"}

    def order(self) -> dict[str, Any]:
        """Wait for what the grader wants."""
        return dict(frames.read_frame(self.hangup, "order"))

    def leave_to_worker(self) -> None:
        """Drop what is the supervisor's, in the worker."""
        for fd in (*self._letters, self._request):
            os.close(fd)

    def leave_to_supervisor(self) -> None:
        """Drop what is the worker's, in the supervisor, and pass the request on."""
        self._close_theirs()
        with contextlib.suppress(OSError):
            frames.copy_frame(self.hangup, self._request)
        os.close(self._request)

    def sources(self) -> list[int]:
        """List the pipes that are open still."""
        return list(self._letters)

    def pass_on(self, fd: int) -> None:
        """Pass on what came from one of the pipes."""
        data = os.read(fd, 2**16)
        if data:
            self._send(self._letters[fd], data)
        else:
            os.close(fd)
            del self._letters[fd]

    def tell_held(self, seconds: float) -> None:
        """Say how long others have kept the worker from running so far."""
        self._send(b"H", b"%.3f" % seconds)

    def report(self, report: Mapping[str, Any]) -> None:
        """Say how the worker ended, after all it has said itself."""
        self._close_theirs()
        for fd in list(self._letters):
            while fd in self._letters:
                self.pass_on(fd)
        self._send(b"R", json.dumps(report).encode())

    def _close_theirs(self) -> None:
        for fd in self.fds:
            os.close(fd)
        self.fds = ()

    def _send(self, letter: bytes, data: bytes) -> None:
        rest = memoryview(letter + len(data).to_bytes(4, "big") + data)
        with contextlib.suppress(OSError):  # the grader is gone, and so are we soon
            while rest:
                rest = rest[os.write(self._out, rest) :]


Line = SocketLine | StreamLine
