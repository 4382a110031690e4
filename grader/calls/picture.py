"""Images as a few bytes: a file for a student's function to read, a thumbnail for a report."""

from __future__ import annotations

import struct
import zlib
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from grader.domain import Thumbnail

MAX_SIDE = 16
"""Of a thumbnail, in pixels."""


def png(pixels: NDArray[Any]) -> bytes:
    """A PNG file of an image of 8 bits: grey, three colours, or four with opacity."""
    height, width = pixels.shape[:2]
    colours = {1: 0, 3: 2, 4: 6}[1 if pixels.ndim == 2 else pixels.shape[2]]
    rows = np.ascontiguousarray(pixels, np.uint8).reshape(height, -1)
    filtered = np.concatenate([np.zeros((height, 1), np.uint8), rows], axis=1)
    header = struct.pack(">IIBBBBB", width, height, 8, colours, 0, 0, 0)
    parts = ((b"IHDR", header), (b"IDAT", zlib.compress(filtered.tobytes(), 1)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(name, data) for name, data in parts)


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def is_image(value: Any) -> bool:
    """Whether an array is one that a person sees as an image."""
    return (
        isinstance(value, np.ndarray)
        and value.dtype == np.uint8
        and (value.ndim == 2 or (value.ndim == 3 and value.shape[2] in (1, 3, 4)))
        and min(value.shape) > 0
        and min(value.shape[:2]) >= 4
    )


def pictures(expected: NDArray[Any], received: NDArray[Any]) -> tuple[Thumbnail, ...]:
    """What was expected, what was received, and where they differ, each small."""
    found = [thumbnail("expected", expected), thumbnail("received", received)]
    if expected.shape == received.shape:
        apart = np.abs(expected.astype(np.int16) - received.astype(np.int16))
        apart = apart if apart.ndim == 2 else apart.max(axis=2)
        # The smallest difference is seen too.
        seen = np.where(apart > 0, np.maximum(apart, 64), 0).astype(np.uint8)
        found.append(thumbnail("difference", seen, most=True))
    return tuple(found)


def thumbnail(title: str, pixels: NDArray[Any], *, most: bool = False) -> Thumbnail:
    """An image of at most MAX_SIDE pixels a side.

    Args:
        title: What it shows.
        pixels: uint8, of two axes or three.
        most: Whether a small pixel is the greatest of those that it stands for, else the first.
    """
    colours = pixels[:, :, None] if pixels.ndim == 2 else pixels
    colours = np.repeat(colours[:, :, :1], 3, 2) if colours.shape[2] == 1 else colours[:, :, :3]
    rows, columns = (_edges(size) for size in colours.shape[:2])
    small = [
        [
            (colours[a:b, c:d].max(axis=(0, 1)) if most else colours[a, c])
            for c, d in pairwise(columns)
        ]
        for a, b in pairwise(rows)
    ]
    lines = tuple("".join(bytes(pixel.tolist()).hex() for pixel in line) for line in small)
    return Thumbnail(title=title, rows=lines, of=tuple(pixels.shape[:2]))


def png_of(picture: Thumbnail) -> bytes:
    """A thumbnail as a PNG file."""
    rows = [np.frombuffer(bytes.fromhex(row), np.uint8).reshape(-1, 3) for row in picture.rows]
    return png(np.stack(rows))


def _edges(size: int) -> list[int]:
    count = min(size, MAX_SIDE)
    return [size * i // count for i in range(count + 1)]
