"""Numbers drawn from a seed, the same on every machine and with every version of every library.

NumPy and `random` keep their bit streams, but not what their methods make of them, across versions.
Expected results lie beside an assignment for years; so the stream is SHAKE-256, and a number is a
plain formula of it.
"""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
from numpy.typing import NDArray


class Draws:
    """A stream of numbers.

    Args:
        seed: What it is drawn from.
    """

    def __init__(self, seed: bytes) -> None:
        self._seed = seed
        self._used = 0

    def integer(self, least: int, most: int) -> int:
        """A whole number from least to most, both possible."""
        return least + int.from_bytes(self._bytes(8), "big") % (most - least + 1)

    def fraction(self) -> float:
        """A number from 0 to below 1 with 53 bits."""
        return float((int.from_bytes(self._bytes(8), "big") >> 11) / 2**53)

    def fractions(self, *shape: int) -> NDArray[np.float64]:
        """Numbers from 0 to below 1."""
        return self._words(shape).astype(np.float64) / 2**32

    def integers(self, least: int, most: int, *shape: int) -> NDArray[np.int64]:
        """Whole numbers from least to most."""
        return self._words(shape).astype(np.int64) % (most - least + 1) + least

    def _words(self, shape: tuple[int, ...]) -> NDArray[Any]:
        count = int(np.prod(shape, dtype=np.int64))
        return np.frombuffer(self._bytes(4 * count), "<u4").reshape(shape)

    def _bytes(self, count: int) -> bytes:
        self._used += 1
        stream = hashlib.shake_256(self._seed + b"\0" + str(self._used).encode())
        return stream.digest(count)
