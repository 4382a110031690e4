"""What the reader knows of a tensor, and what a rule asks of its arguments."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from grader.graph.canonical import Graph, Tensor, Value
from grader.graph.record import Op
from grader.graph.symbols import Symbol, Unreadable, opaque

MAX_VALUE = 2**25
"""Numbers of one map; two images of BC L=190 k=40 have 2^22, two of 224×224 some 2^23."""

MAX_CHANNELS = 2**22


def fits(shape: tuple[int, ...]) -> bool:
    """Whether a map may have this shape."""
    return all(n >= 1 for n in shape) and math.prod(shape) <= MAX_VALUE


def is_possible(value: Value) -> bool:
    """Whether a value may have its size."""
    sizes = (value.batch, value.height, value.width, value.channels)
    pieces = all(s.width >= 1 for s in value.segments)
    return pieces and value.channels <= MAX_CHANNELS and fits(sizes) and fits(value.shape)


NOTHING = opaque((), "nothing")
"""What an op receives that reads the output of one without outputs."""

Read = Tensor | list[Tensor]
"""What the outputs of an op are read as: the one alone, or all of them."""
Rule = Callable[[Graph, Op, list[Tensor]], Read]
"""How an op is read: the graph under construction, the op and what it receives → its outputs."""


def value_of(argument: Read) -> Value:
    """An argument that depends on the image.

    Raises:
        Unreadable: It does not.
    """
    if not isinstance(argument, Value):
        raise Unreadable("something that does not depend on the image, where a map belongs")
    return argument


def symbol_of(argument: Tensor) -> Symbol:
    """An argument that is the same for every image.

    Raises:
        Unreadable: It is not.
    """
    if not isinstance(argument, Symbol):
        raise Unreadable("numbers that depend on the image, where weights belong")
    return argument


def numbers_of(argument: Tensor) -> np.ndarray[Any, Any]:
    """The numbers of an argument that is constant.

    Raises:
        Unreadable: It is not.
    """
    if not isinstance(argument, Symbol) or argument.constant is None:
        raise Unreadable("an argument that is not constant")
    return argument.constant


def one_number(argument: Tensor) -> float:
    """The number that fills a constant, e.g. one made by `zeros_like`."""
    array = numbers_of(argument)
    if array.size < 1 or np.any(array != array.flat[0]):
        raise Unreadable("numbers that differ from place to place")
    return float(array.flat[0])


def integers(argument: Tensor) -> list[int]:
    """The whole numbers of a constant argument, in one row."""
    return [int(n) for n in np.asarray(numbers_of(argument)).reshape(-1)]
