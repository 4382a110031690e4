"""The inside end of the pipe: read the request, write framed answers.

Standard library only: this file runs beside student code in a process that has nothing of the
grader but `grader/inside`. The other end, which trusts nothing, is `grader/sandbox/frames.py`;
the layout of a frame is told in `grader/sandbox/contract.py`.
"""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Mapping
from typing import Any

MAGIC = b"GRD1"
KIND_JSON = b"J"
KIND_BINARY = b"B"
HEADER = struct.Struct(">4scBQ")
"""magic, kind, bytes in the name, bytes in the payload"""
REQUEST = "request"
READY = "ready"
"""Sent once, after the grader's own part is set up and before a line of student code runs: what
goes wrong before it is the machine's fault, what goes wrong after it is the student's."""
CRASH = "crash"
END = "end"
_MAX_REQUEST_BYTES = 2**30


class Channel:
    """Where a stage sends what it found.

    Args:
        fd: Write end of the pipe to the grader.
    """

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def send_json(self, name: str, obj: Any) -> None:
        """Send one JSON frame.

        Args:
            name: 1 to 128 characters of A-Z a-z 0-9 _ . : / -, used once.
            obj: Anything `json.dumps` takes.
        """
        self._send(KIND_JSON, name, json.dumps(obj, separators=(",", ":")).encode())

    def send_binary(self, name: str, data: bytes | bytearray | memoryview) -> None:
        """Send one binary frame.

        Args:
            name: As for `send_json`; the two kinds share one set of names.
            data: The payload, any length within the stage's output limit.
        """
        self._send(KIND_BINARY, name, data)

    def _send(self, kind: bytes, name: str, data: bytes | bytearray | memoryview) -> None:
        label = name.encode("ascii")
        payload = memoryview(data).cast("B")
        self._write(HEADER.pack(MAGIC, kind, len(label), len(payload)) + label)
        self._write(payload)

    def _write(self, data: bytes | memoryview) -> None:
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(self._fd, rest) :]


def read_frame(fd: int, name: str) -> Mapping[str, Any]:
    """Read one JSON frame that the grader sends.

    Args:
        fd: Read end of a pipe that only the grader writes to, so its lengths are believed.
        name: What it must be called: "request", or "order" in a container.

    Returns:
        The frame's object.

    Raises:
        ValueError: The bytes are not one JSON frame of that name.
        EOFError: The grader went away.
    """
    raw = _read_raw(fd)
    label = raw[HEADER.size : HEADER.size + raw[5]]
    if raw[4:5] != KIND_JSON or label != name.encode():
        raise ValueError(f"{name}: expected a JSON frame of this name")
    found = json.loads(raw[HEADER.size + raw[5] :])
    if not isinstance(found, dict):
        raise ValueError(f"{name}: expected a JSON object")
    return found


def copy_frame(source: int, target: int) -> None:
    """Pass one frame on, unread.

    Args:
        source: Read end of a pipe that only the grader writes to.
        target: Where it goes.
    """
    rest = memoryview(_read_raw(source))
    while rest:
        rest = rest[os.write(target, rest) :]


def _read_raw(fd: int) -> bytes:
    header = _read_exactly(fd, HEADER.size)
    magic, _, name_bytes, payload_bytes = HEADER.unpack(header)
    if magic != MAGIC or payload_bytes > _MAX_REQUEST_BYTES:
        raise ValueError("expected a frame")
    return header + _read_exactly(fd, name_bytes + payload_bytes)


def _read_exactly(fd: int, size: int) -> bytes:
    data = bytearray()
    while len(data) < size:
        piece = os.read(fd, min(size - len(data), 2**20))
        if not piece:
            raise EOFError(f"expected {size} bytes, received {len(data)}")
        data += piece
    return bytes(data)
