"""The side of a network that does not depend on the image: variables, constants, statistics.

What this module protects: a batch normalisation, a bias or a kernel is recognised by its value,
not by the way it was written. Every symbol can be evaluated under two random assignments of its
variables; two expressions that agree under both are the same function of them (Schwartz 1980,
Zippel 1979), so `gamma / sqrt(var + eps)`, `gamma * rsqrt(eps + var)` and a fused op all match.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from grader.graph import drawn, work

ASSIGNMENTS = (0, 1)
"""How many random assignments an identity is tested under."""
MAX_DEPTH = 120
"""Longest chain of operations followed on this side; longer ones are opaque."""
MAX_ELEMENTS = 2**24
"""Largest array evaluated; anything beyond is opaque, never allocated."""
MAX_VARIABLES = 256
"""Variables that one symbol is followed to; what is computed of more is opaque."""

Array = NDArray[Any]


class Unreadable(Exception):
    """An operation, or a use of one, that has no place in the canonical vocabulary."""


class Values:
    """Given values of a network's variables, where otherwise random ones stand for them.

    Attributes:
        arrays: One for each variable of the table, in its order.
        sample: Gives the positions (positions, channels) of a value that batch statistics are
            taken of; None where there is no image to take them from.
        known: Values computed so far; symbols share parts, so each is computed once.
        moments: The same of batch statistics, by their keys.
    """

    def __init__(
        self, arrays: Sequence[Array], sample: Callable[[Any], Array] | None = None
    ) -> None:
        self.arrays = arrays
        self.sample = sample
        self.known: dict[Symbol, Array] = {}
        self.moments: dict[str, tuple[Array, Array]] = {}


def digest(*parts: object) -> str:
    """A short structural key: equal exactly when the parts are."""
    return hashlib.blake2b(repr(parts).encode(), digest_size=12).hexdigest()


@dataclass(frozen=True, eq=False)
class Symbol:
    """A tensor that is the same for every image.

    Attributes:
        kind: "variable", "constant", "statistic", "expression" or "opaque".
        shape: Its static shape.
        key: Equal for structurally equal symbols.
        variables: Indices of the variables it depends on.
        statistics: Batch statistics it depends on (training graphs only).
        compute: Gives its value under an assignment.
        bare: (variable index, key of the transformations) where it is a variable that was only
            cast, reshaped or transposed.
        constant: Its value where it depends on nothing.
        stopped: Of its variables (indices) and batch statistics (keys), those that no gradient
            reaches through it.
    """

    kind: str
    shape: tuple[int, ...]
    key: str
    variables: frozenset[int] = frozenset()
    statistics: tuple[Any, ...] = ()
    compute: Callable[[Any], Array] | None = None
    bare: tuple[int, str] | None = None
    constant: Array | None = None
    depth: int = 0
    stopped: frozenset[int | str] = frozenset()
    _cache: dict[int, Array] = field(default_factory=dict)

    def value(self, assignment: int | Values) -> Array:
        """Its value (float64) under one random assignment of all variables, or a given one.

        Raises:
            Unreadable: It cannot be evaluated.
        """
        with np.errstate(all="ignore"):
            return self.known(assignment)

    def known(self, assignment: int | Values) -> Array:
        """The same, for a value that is computed from this one: NumPy is silent already.

        Raises:
            Unreadable: It cannot be evaluated.
        """
        if self.constant is not None:
            return self.constant
        if isinstance(assignment, Values):
            if self not in assignment.known:
                assignment.known[self] = self._computed(assignment)
            return assignment.known[self]
        if assignment not in self._cache:
            self._cache[assignment] = self._computed(assignment)
        return self._cache[assignment]

    def _computed(self, assignment: int | Values) -> Array:
        if self.compute is None or math.prod(self.shape) > MAX_ELEMENTS:
            raise Unreadable("a value that cannot be computed")
        work.spend(math.prod(self.shape))
        given = self.kind == "variable" and isinstance(assignment, Values)
        work.keep(0 if given else math.prod(self.shape))
        try:
            return self.compute(assignment)
        except (ValueError, TypeError, LookupError, ArithmeticError, AttributeError) as problem:
            raise Unreadable("a value that cannot be computed") from problem

    @property
    def size(self) -> int:
        """Elements."""
        return math.prod(self.shape)

    @property
    def sources(self) -> frozenset[int | str]:
        """Its variables (indices) and batch statistics (keys)."""
        return self.variables.union(s.key for s in self.statistics)

    @property
    def reached(self) -> frozenset[int | str]:
        """The sources that a gradient reaches through it."""
        return self.sources - self.stopped

    def is_zero(self) -> bool:
        """Whether it is a constant full of zeros."""
        return self.constant is not None and not np.any(self.constant)


def constant(array: Array, held: bool = False) -> Symbol:
    """A symbol for a constant array.

    Args:
        array: Its values.
        held: Whether somebody else holds it anyway, and has counted it.
    """
    array = np.asarray(array)
    work.spend(array.size)
    work.keep(0 if held else array.size)
    content = hashlib.blake2b(np.ascontiguousarray(array).data, digest_size=12).hexdigest()
    key = digest("constant", array.shape, str(array.dtype), content)
    return Symbol("constant", array.shape, key, constant=array)


def allowed(shape: Sequence[int]) -> tuple[int, ...]:
    """A shape that an array may be made of, counted as work.

    Raises:
        Unreadable: It is impossible, or larger than anything that is evaluated.
    """
    sizes = tuple(int(n) for n in shape)
    if any(n < 0 for n in sizes) or math.prod(sizes) > MAX_ELEMENTS:
        raise Unreadable("an array of an impossible size")
    work.spend(math.prod(sizes))
    return sizes


def variable(index: int, shape: tuple[int, ...]) -> Symbol:
    """A symbol for a variable of the network; random positive values stand for it."""

    def compute(assignment: int | Values) -> Array:
        if isinstance(assignment, Values):
            return assignment.arrays[index]
        return stand_in(index, shape, assignment)

    return Symbol(
        "variable",
        shape,
        digest("variable", index),
        frozenset((index,)),
        compute=compute,
        bare=(index, ""),
    )


def stand_in(index: int, shape: tuple[int, ...], assignment: int) -> Array:
    """The random positive numbers that stand for a variable."""
    return drawn.uniform((7, index, assignment), shape)


def opaque(shape: tuple[int, ...], *parts: object) -> Symbol:
    """A symbol nothing is known about but what it was made of."""
    return Symbol("opaque", shape, digest("opaque", *parts))


def followed(arguments: Sequence[Symbol]) -> frozenset[int] | None:
    """The variables that any of some symbols depends on; None where they are too many to follow."""
    work.spend(8 * sum(len(a.variables) for a in arguments))
    every: frozenset[int] = frozenset().union(*[a.variables for a in arguments])
    return every if len(every) <= MAX_VARIABLES else None


def expression(
    name: str,
    arguments: list[Symbol],
    function: Callable[..., Array],
    shape: tuple[int, ...],
    keeps_variable: bool = False,
) -> Symbol:
    """A symbol computed from others; folded at once where all of them are constants.

    Args:
        name: Distinguishes the operation and its attributes.
        arguments: What it is computed from.
        function: Computes the value from the arguments' values.
        shape: Static shape of the result.
        keeps_variable: Whether a bare variable stays one (cast, reshape, transpose).
    """
    depth = 1 + max((a.depth for a in arguments), default=0)

    def compute(*arrays: Any) -> Array:
        result = np.asarray(function(*arrays))
        if result.shape != shape:
            raise Unreadable("its shape is not what it computes")
        return result

    if all(a.constant is not None for a in arguments) and math.prod(shape) <= MAX_ELEMENTS:
        with np.errstate(all="ignore"):
            return constant(compute(*[a.constant for a in arguments]))
    work.spend_pieces(len(arguments))
    variables = followed(arguments)
    if depth > MAX_DEPTH or variables is None or any(a.kind == "opaque" for a in arguments):
        return opaque(shape, name, *[a.key for a in arguments])
    bare = None
    if keeps_variable and arguments and arguments[0].bare is not None:
        index, path = arguments[0].bare
        bare = (index, path + name)
    statistics: dict[str, Any] = {}
    for argument in arguments:
        for statistic in argument.statistics:
            statistics[statistic.key] = statistic
    return Symbol(
        "expression",
        shape,
        digest(name, shape, *[a.key for a in arguments]),
        variables,
        tuple(statistics.values()),
        lambda k: compute(*[a.known(k) for a in arguments]),
        bare,
        depth=depth,
        stopped=unreached(arguments),
    )


def unreached(symbols: Sequence[Symbol]) -> frozenset[int | str]:
    """What some symbols together depend on, and no gradient reaches through any of them."""
    if not any(s.stopped for s in symbols):
        return frozenset()
    every: frozenset[int | str] = frozenset().union(*[s.sources for s in symbols])
    return every.difference(*[s.reached for s in symbols])


def without_gradient(symbol: Symbol) -> Symbol:
    """The same numbers, computed so that no gradient reaches what they are made of."""
    return replace(symbol, stopped=symbol.sources)
