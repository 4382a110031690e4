"""Functions of one number, recognised by their values: is it a ReLU, however it was written?"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import lru_cache, partial
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from grader.graph.symbols import Unreadable

Array = NDArray[Any]
Tree = tuple[Any, ...]
"""("x",) | ("number", value) | (operation, Tree...)."""

X: Tree = ("x",)
MAX_SIZE = 200
"""Nodes of one tree; a longer function of one number is not looked into."""


class Library(Protocol):
    """What functions of one number are computed with: NumPy, Keras, OpenVINO.

    It has NumPy's functions under NumPy's names, for its own kind of tensor.
    """

    @property
    def natives(self) -> Mapping[str, Callable[..., Any]]:
        """Functions that it has ready-made and fast, by the name that `FORMULAS` gives them."""

    def number(self, value: float, like: Any) -> Any:
        """A number as a tensor that can be computed with `like`."""

    def __getattr__(self, name: str) -> Any:
        """A function by NumPy's name."""


class _NumPy:
    """NumPy, and `erf`, which it lacks."""

    natives: Mapping[str, Callable[..., Any]] = {}

    def number(self, value: float, like: Array) -> Array:
        return np.full_like(like, value)

    def erf(self, x: Array) -> Array:
        return np.asarray(np.vectorize(math.erf, otypes=[np.float64])(x))

    def where(self, condition: Any, yes: Any, no: Any) -> Array:
        return np.asarray(np.where(condition, yes, no), dtype=np.float64)

    def __getattr__(self, name: str) -> Any:
        return getattr(np, name)


NUMPY = _NumPy()


SELU = (1.6732632423543772, 1.0507009873554805)
"""Its slope at zero from the left, before it is scaled, and its scale."""


def _flag(m: Any, condition: Any) -> Any:
    return m.where(condition, 1.0, 0.0)


def _times_unless_zero(m: Any, a: Any, b: Any) -> Any:
    return m.where(m.equal(b, 0.0), 0.0, a * b)


def _over_unless_zero(m: Any, a: Any, b: Any) -> Any:
    zero = m.equal(b, 0.0)
    return m.where(zero, 0.0, a / m.where(zero, 1.0, b))


def _square(m: Any, x: Any) -> Any:
    return x * x


FORMULAS: dict[str, Callable[..., Any]] = {
    "Relu": lambda m, x: m.maximum(x, 0),
    "Relu6": lambda m, x: m.minimum(m.maximum(x, 0), 6),
    "LeakyRelu": lambda m, x, slope: m.where(m.greater(x, 0.0), x, slope * x),
    "Elu": lambda m, x: m.where(m.greater(x, 0.0), x, m.expm1(m.minimum(x, 0.0))),
    "Selu": lambda m, x: (
        SELU[1] * m.where(m.greater(x, 0.0), x, SELU[0] * m.expm1(m.minimum(x, 0.0)))
    ),
    "Sigmoid": lambda m, x: 1.0 / (1.0 + m.exp(m.negative(x))),
    "Tanh": lambda m, x: m.tanh(x),
    "Softplus": lambda m, x: m.logaddexp(0.0, x),
    "Softsign": lambda m, x: x / (1.0 + m.abs(x)),
    "Exp": lambda m, x: m.exp(x),
    "Expm1": lambda m, x: m.expm1(x),
    "Log": lambda m, x: m.log(x),
    "Log1p": lambda m, x: m.log1p(x),
    "Erf": lambda m, x: m.erf(x),
    "Erfc": lambda m, x: m.subtract(1.0, m.erf(x)),
    "Abs": lambda m, x: m.abs(x),
    "Neg": lambda m, x: m.negative(x),
    "Sign": lambda m, x: m.sign(x),
    "Square": _square,
    "Sqrt": lambda m, x: m.sqrt(x),
    "Rsqrt": lambda m, x: m.divide(1.0, m.sqrt(x)),
    "Reciprocal": lambda m, x: m.divide(1.0, x),
    "Inv": lambda m, x: m.divide(1.0, x),
    "Sin": lambda m, x: m.sin(x),
    "Cos": lambda m, x: m.cos(x),
    "Floor": lambda m, x: m.floor(x),
    "Ceil": lambda m, x: m.ceil(x),
    "Round": lambda m, x: m.round(x),
    "LogicalNot": lambda m, x: m.subtract(1.0, x),
    "Add": lambda m, a, b: a + b,
    "AddV2": lambda m, a, b: a + b,
    "Sub": lambda m, a, b: a - b,
    "Mul": lambda m, a, b: a * b,
    "RealDiv": lambda m, a, b: a / b,
    "Div": lambda m, a, b: a / b,
    "DivNoNan": _over_unless_zero,
    "MulNoNan": _times_unless_zero,
    "Maximum": lambda m, a, b: m.maximum(a, b),
    "Minimum": lambda m, a, b: m.minimum(a, b),
    "Pow": lambda m, a, b: m.power(a, b),
    "SquaredDifference": lambda m, a, b: _square(m, a - b),
    "FloorDiv": lambda m, a, b: m.floor_divide(a, b),
    "FloorMod": lambda m, a, b: m.mod(a, b),
    "Greater": lambda m, a, b: _flag(m, m.greater(a, b)),
    "GreaterEqual": lambda m, a, b: _flag(m, m.greater_equal(a, b)),
    "Less": lambda m, a, b: _flag(m, m.less(a, b)),
    "LessEqual": lambda m, a, b: _flag(m, m.less_equal(a, b)),
    "Equal": lambda m, a, b: _flag(m, m.equal(a, b)),
    "NotEqual": lambda m, a, b: _flag(m, m.not_equal(a, b)),
    "LogicalAnd": lambda m, a, b: a * b,
    "LogicalOr": lambda m, a, b: m.maximum(a, b),
    "SelectV2": lambda m, c, a, b: m.where(m.not_equal(c, 0.0), a, b),
    "Select": lambda m, c, a, b: m.where(m.not_equal(c, 0.0), a, b),
    "ClipByValue": lambda m, x, low, high: m.minimum(m.maximum(x, low), high),
}
"""TensorFlow op type → what it computes, over a `Library`: the one place that says so."""

FUNCTIONS: dict[str, Callable[..., Array]] = {
    name: partial(formula, NUMPY) for name, formula in FORMULAS.items() if name != "LeakyRelu"
}
"""The same in NumPy, over float64 arrays; without LeakyRelu, whose slope is no tensor."""


def apply(tree: Tree, x: Any, library: Library) -> Any:
    """The tree's value at x, in the library's own tensors.

    Raises:
        Unreadable: The tree holds a function that is not known here.
    """
    if tree[0] == "x":
        return x
    if tree[0] == "number":
        return library.number(tree[1], x)
    arguments = [apply(t, x, library) if isinstance(t, tuple) else t for t in tree[1:]]
    if tree[0] in library.natives:
        return library.natives[tree[0]](*arguments)
    if tree[0] not in FORMULAS:
        raise Unreadable(tree[0])
    return FORMULAS[tree[0]](library, *arguments)


_GRID = np.concatenate(
    [np.linspace(-8, 8, 129), np.array([-30.0, -1e-3, 1e-3, 30.0, 0.7310585786, -2.718281828])]
)
_FAR = np.concatenate([sign * 10.0 ** np.arange(-5, 7) for sign in (-1, 1)])
"""Where a slope of 1e-5, a threshold near zero or a limit of 100 shows."""


def evaluate(tree: Tree, x: Array) -> Array:
    """The tree's value at x, float64, same shape."""
    with np.errstate(all="ignore"):
        return np.asarray(apply(tree, x, NUMPY), dtype=np.float64)


SLOW = {"Erf": 100, "Erfc": 100, "Pow": 10}
"""Functions that take longer for each number than the others, and how much."""


def cost(tree: Tree) -> int:
    """What evaluating a tree costs for each number, in operations."""
    return SLOW.get(tree[0], 1) + sum(cost(t) for t in tree[1:] if isinstance(t, tuple))


def size(tree: Tree) -> int:
    """Nodes of a tree."""
    return 1 + sum(size(t) for t in tree[1:] if isinstance(t, tuple))


def substitute(tree: Tree, inner: Tree) -> Tree:
    """tree ∘ inner.

    Raises:
        Unreadable: The result is too large to look into.
    """
    result = _substituted(tree, inner)
    if size(result) > MAX_SIZE:
        raise Unreadable("a function of one number with too many operations")
    return result


def _substituted(tree: Tree, inner: Tree) -> Tree:
    if tree[0] == "x":
        return inner
    return (tree[0], *[_substituted(t, inner) if isinstance(t, tuple) else t for t in tree[1:]])


_NAMED: dict[str, Callable[[Array], Array]] = {
    "relu": FUNCTIONS["Relu"],
    "relu6": FUNCTIONS["Relu6"],
    "elu": FUNCTIONS["Elu"],
    "selu": FUNCTIONS["Selu"],
    "sigmoid": FUNCTIONS["Sigmoid"],
    "tanh": np.tanh,
    "softplus": FUNCTIONS["Softplus"],
    "softsign": FUNCTIONS["Softsign"],
    "swish": lambda x: x * FUNCTIONS["Sigmoid"](x),
    "gelu": lambda x: 0.5 * x * (1 + NUMPY.erf(x / math.sqrt(2))),
    "gelu (tanh form)": lambda x: (
        0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))
    ),
    "mish": lambda x: x * np.tanh(np.logaddexp(0, x)),
    "hard sigmoid": lambda x: np.clip(x / 6 + 0.5, 0, 1),
    "hard swish": lambda x: x * np.clip(x / 6 + 0.5, 0, 1),
    "absolute value": np.abs,
    "square": np.square,
    "exponential": np.exp,
}


@lru_cache(maxsize=4096)
def classify(tree: Tree) -> tuple[str, tuple[float, ...]]:
    """Name a function by its values.

    Returns:
        ("identity", ()), ("affine", (a, b)) for a·x + b, ("relu", ()), ("leaky relu", (slope,)),
        ("clipped relu", (maximum,)), another name of the field, or ("unknown", ()).
    """
    y, far = evaluate(tree, _GRID), evaluate(tree, _FAR)
    if not np.all(np.isfinite(y)):
        return "unknown", ()

    def everywhere(function: Callable[[Array], Array]) -> bool:
        return _same(y, function(_GRID)) and _same(far, function(_FAR))

    if everywhere(FUNCTIONS["Relu"]):
        return "relu", ()
    slope = float((evaluate(tree, np.array([2.0])) - evaluate(tree, np.array([1.0])))[0])
    offset = float(evaluate(tree, np.array([1.0]))[0]) - slope
    if everywhere(lambda x: slope * x + offset):
        if abs(slope - 1) < 1e-7 and abs(offset) < 1e-7:
            return "identity", ()
        return "affine", (slope, offset)
    for name, function in _NAMED.items():
        with np.errstate(all="ignore"):
            if everywhere(function):
                return name, ()
    leak = -float(evaluate(tree, np.array([-1.0]))[0])
    if everywhere(lambda x: np.where(x > 0, x, leak * x)):
        return "leaky relu", (leak,)
    top = float(far.max())
    if everywhere(lambda x: np.clip(x, 0, top)):
        return "clipped relu", (top,)
    return "unknown", ()


def _same(a: Array, b: Array) -> bool:
    return bool(np.allclose(a, b, rtol=1e-5, atol=1e-6))
