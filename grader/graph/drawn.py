"""Random numbers that stand for what is not known: the same whoever asks for them.

Both modes of a network, and the networks of a whole class, ask for many of the same small arrays.
Those are kept.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

MAX_KEPT = 2**13
"""Elements of the largest array that is kept: 64 KB, and all of them together are 64 MB at most."""


def uniform(seed: tuple[int, ...], shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Numbers from 0.5 to 1.5, for reading only."""
    return (_kept if math.prod(shape) <= MAX_KEPT else _drawn)("uniform", seed, shape)


def normal(seed: tuple[int, ...], shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Numbers of mean 0 and variance 1, for reading only."""
    return (_kept if math.prod(shape) <= MAX_KEPT else _drawn)("normal", seed, shape)


def _drawn(kind: str, seed: tuple[int, ...], shape: tuple[int, ...]) -> NDArray[np.float64]:
    generator = np.random.default_rng(seed)
    if kind == "uniform":
        array = generator.uniform(0.5, 1.5, shape)
    else:
        array = generator.normal(size=shape)
    array.flags.writeable = False
    return array


_kept = lru_cache(maxsize=1024)(_drawn)
