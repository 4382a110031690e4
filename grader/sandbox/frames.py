"""The outside end of the pipe: a parser that believes nothing it reads.

Every length is held against what is left of the output limit before a byte is stored, so the
memory it takes is bounded by the bytes that really came. The first fault ends the parse: what
came before is kept for explanation, never as an answer.
"""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Mapping
from typing import Any

from grader.errors import Cause
from grader.sandbox.contract import END, KIND_BINARY, KIND_JSON, MAGIC

READY = "ready"
CRASH = "crash"
MAX_FRAMES = 1024
"""Two for each probe and a few more; each becomes a file of the run."""
_HEADER = struct.Struct(">4scBQ")
_NAME = re.compile(rb"[A-Za-z0-9_.:/-]{1,128}")
_CONTROL_FRAMES = frozenset({READY, CRASH, END})
_MAX_CONTROL_BYTES = 64 * 2**10


class FrameError(Exception):
    """What came over the pipe is not a valid answer.

    Args:
        cause: STUDENT_BAD_OUTPUT or STUDENT_OUTPUT_LIMIT.
        message: "what: expected X, received Y".
    """

    def __init__(self, cause: Cause, message: str) -> None:
        super().__init__(message)
        self.cause = cause
        self.message = message


def encode(name: str, content: Mapping[str, Any]) -> bytes:
    """Pack one JSON frame that goes in.

    Args:
        name: "request", or "order" for a container.
        content: Plain data.

    Returns:
        Header, name and JSON payload.
    """
    payload = json.dumps(content, separators=(",", ":")).encode()
    label = name.encode()
    return _HEADER.pack(MAGIC, KIND_JSON, len(label), len(payload)) + label + payload


class FrameParser:
    """Takes bytes as they come and keeps whole frames.

    Args:
        max_bytes: All bytes together, headers included.
        max_frames: All frames together.
    """

    def __init__(self, max_bytes: int, max_frames: int = MAX_FRAMES) -> None:
        self.json_frames: dict[str, bytes] = {}
        self.binary_frames: dict[str, bytes] = {}
        self.control: dict[str, bytes] = {}
        """Payloads of "ready", "crash" and "end"."""
        self._max_bytes = max_bytes
        self._max_frames = max_frames
        self._received = 0
        self._buffer = bytearray()
        self._error: FrameError | None = None

    @property
    def ready(self) -> bool:
        """Whether the inside said that student code is about to run."""
        return READY in self.control

    @property
    def complete(self) -> bool:
        """Whether the end frame came, and nothing after it."""
        return END in self.control and not self._buffer and self._error is None

    def feed(self, data: bytes) -> None:
        """Take the next bytes.

        Args:
            data: As read from the pipe.

        Raises:
            FrameError: The stream broke a rule; it stays broken.
        """
        if self._error is not None:
            raise self._error
        try:
            self._received += len(data)
            if self._received > self._max_bytes:
                raise self._over_limit()
            self._buffer += data
            while self._take_frame():
                pass
        except FrameError as error:
            self._error = error
            self._buffer.clear()
            raise

    def _take_frame(self) -> bool:
        if END in self.control and self._buffer:
            raise _bad("answer: expected nothing after the end frame, received more bytes")
        magic_length = min(len(self._buffer), len(MAGIC))
        if self._buffer[:magic_length] != MAGIC[:magic_length]:
            raise _bad("answer: expected a frame, received other bytes")
        if len(self._buffer) < _HEADER.size:
            return False
        _, kind, name_length, payload_length = _HEADER.unpack_from(self._buffer)
        self._check_header(kind, payload_length)
        start = _HEADER.size + name_length
        if len(self._buffer) < start + payload_length:
            return False
        name = self._check_name(bytes(self._buffer[_HEADER.size : start]))
        payload = bytes(memoryview(self._buffer)[start : start + payload_length])
        del self._buffer[: start + payload_length]
        self._keep(kind, name, payload)
        return bool(self._buffer)

    def _check_header(self, kind: bytes, payload_length: int) -> None:
        if kind not in (KIND_JSON, KIND_BINARY):
            raise _bad(f"frame: expected kind J or B, received {kind!r}")
        already_read = self._received - len(self._buffer)
        if already_read + payload_length > self._max_bytes:
            raise self._over_limit()
        if self._count() >= self._max_frames:
            raise _bad(f"answer: expected at most {self._max_frames} frames, received more")

    def _check_name(self, raw: bytes) -> str:
        if not _NAME.fullmatch(raw):
            raise _bad(f"frame: expected a plain name, received {raw[:40]!r}")
        name = raw.decode("ascii")
        if name in self.json_frames or name in self.binary_frames or name in self.control:
            raise _bad(f"frame {name!r}: expected once, received twice")
        return name

    def _keep(self, kind: bytes, name: str, payload: bytes) -> None:
        if not self.control and name not in (READY, CRASH):
            raise _bad(f"answer: expected to begin with 'ready', received {name!r}")
        if name in _CONTROL_FRAMES:
            if kind != KIND_JSON or len(payload) > _MAX_CONTROL_BYTES:
                raise _bad(f"frame {name!r}: expected a small JSON frame")
            if name == END and payload != b"{}":
                raise _bad("end frame: expected {}, received something else")
            self.control[name] = payload
        elif kind == KIND_JSON:
            self.json_frames[name] = payload
        else:
            self.binary_frames[name] = payload

    def _count(self) -> int:
        return len(self.json_frames) + len(self.binary_frames) + len(self.control)

    def _over_limit(self) -> FrameError:
        return FrameError(
            Cause.STUDENT_OUTPUT_LIMIT,
            f"answer: expected at most {self._max_bytes} bytes, received more",
        )


def _bad(message: str) -> FrameError:
    return FrameError(Cause.STUDENT_BAD_OUTPUT, message)
