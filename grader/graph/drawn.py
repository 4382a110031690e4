"""Random numbers that stand for what is not known: the same whoever asks for them.

Both modes of a network, and the networks of a whole class, ask for many of the same small arrays.
Those are kept.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

SMALL, LARGE = 2**9, 2**13
"""Elements of an array that is kept among many, and of the largest that is kept at all: 4 KB and
64 KB. All of either kind are 64 MB at most; one submission asks for some 1,400."""


def uniform(seed: tuple[int, ...], shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Numbers from 0.5 to 1.5, for reading only."""
    return _numbers("uniform", seed, shape)


def normal(seed: tuple[int, ...], shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Numbers of mean 0 and variance 1, for reading only."""
    return _numbers("normal", seed, shape)


def _numbers(kind: str, seed: tuple[int, ...], shape: tuple[int, ...]) -> NDArray[np.float64]:
    size = math.prod(shape)
    draw = _small if size <= SMALL else _large if size <= LARGE else _drawn
    return draw(kind, seed, shape)


def _drawn(kind: str, seed: tuple[int, ...], shape: tuple[int, ...]) -> NDArray[np.float64]:
    generator = np.random.default_rng(seed)
    if kind == "uniform":
        array = generator.uniform(0.5, 1.5, shape)
    else:
        array = generator.normal(size=shape)
    array.flags.writeable = False
    return array


_small = lru_cache(maxsize=2**14)(_drawn)
_large = lru_cache(maxsize=2**10)(_drawn)
