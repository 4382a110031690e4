"""Functions of one number, recognised by their values: is it a ReLU, however it was written?"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from grader.graph.symbols import Unreadable

Array = NDArray[Any]
Tree = tuple[Any, ...]
"""("x",) | ("number", value) | (operation, Tree...)."""

X: Tree = ("x",)
MAX_SIZE = 200
"""Nodes of one tree; a longer function of one number is not looked into."""


def _erf(x: Array) -> Array:
    return np.asarray(np.vectorize(math.erf, otypes=[np.float64])(x))


def _where(condition: Any, yes: Any, no: Any) -> Array:
    return np.asarray(np.where(condition, yes, no), dtype=np.float64)


def _sigmoid(x: Array) -> Array:
    return np.asarray(1.0 / (1.0 + np.exp(-x)))


FUNCTIONS: dict[str, Callable[..., Array]] = {
    "Relu": lambda x: np.maximum(x, 0),
    "Relu6": lambda x: np.clip(x, 0, 6),
    "Elu": lambda x: _where(x > 0, x, np.expm1(np.minimum(x, 0))),
    "Selu": lambda x: (
        1.0507009873554805 * np.where(x > 0, x, 1.6732632423543772 * np.expm1(np.minimum(x, 0)))
    ),
    "Sigmoid": _sigmoid,
    "Tanh": np.tanh,
    "Softplus": lambda x: np.logaddexp(0, x),
    "Softsign": lambda x: x / (1 + np.abs(x)),
    "Exp": np.exp,
    "Expm1": np.expm1,
    "Log": np.log,
    "Log1p": np.log1p,
    "Erf": _erf,
    "Erfc": lambda x: 1 - _erf(x),
    "Abs": np.abs,
    "Neg": np.negative,
    "Sign": np.sign,
    "Square": np.square,
    "Sqrt": np.sqrt,
    "Rsqrt": lambda x: 1 / np.sqrt(x),
    "Reciprocal": lambda x: 1 / x,
    "Inv": lambda x: 1 / x,
    "Sin": np.sin,
    "Cos": np.cos,
    "Floor": np.floor,
    "Ceil": np.ceil,
    "Round": np.round,
    "LogicalNot": lambda x: 1.0 - x,
    "Add": np.add,
    "AddV2": np.add,
    "Sub": np.subtract,
    "Mul": np.multiply,
    "RealDiv": np.divide,
    "Div": np.divide,
    "DivNoNan": lambda a, b: np.where(b == 0, 0, a / np.where(b == 0, 1, b)),
    "MulNoNan": lambda a, b: np.where(b == 0, 0, a * b),
    "Maximum": np.maximum,
    "Minimum": np.minimum,
    "Pow": np.power,
    "SquaredDifference": lambda a, b: np.square(a - b),
    "FloorDiv": np.floor_divide,
    "FloorMod": np.mod,
    "Greater": lambda a, b: (a > b).astype(np.float64),
    "GreaterEqual": lambda a, b: (a >= b).astype(np.float64),
    "Less": lambda a, b: (a < b).astype(np.float64),
    "LessEqual": lambda a, b: (a <= b).astype(np.float64),
    "Equal": lambda a, b: (a == b).astype(np.float64),
    "NotEqual": lambda a, b: (a != b).astype(np.float64),
    "LogicalAnd": lambda a, b: a * b,
    "LogicalOr": np.maximum,
    "SelectV2": lambda c, a, b: _where(c != 0, a, b),
    "Select": lambda c, a, b: _where(c != 0, a, b),
    "ClipByValue": np.clip,
}
"""TensorFlow op type → the function, over float64 arrays."""

_GRID = np.concatenate(
    [np.linspace(-8, 8, 129), np.array([-30.0, -1e-3, 1e-3, 30.0, 0.7310585786, -2.718281828])]
)
_FAR = np.concatenate([sign * 10.0 ** np.arange(-5, 7) for sign in (-1, 1)])
"""Where a slope of 1e-5, a threshold near zero or a limit of 100 shows."""


def evaluate(tree: Tree, x: Array) -> Array:
    """The tree's value at x, float64, same shape."""
    if tree[0] == "x":
        return x
    if tree[0] == "number":
        return np.full_like(x, tree[1])
    if tree[0] == "LeakyRelu":
        inner = evaluate(tree[1], x)
        return np.where(inner > 0, inner, tree[2] * inner)
    function = FUNCTIONS.get(tree[0])
    if function is None:
        raise Unreadable(tree[0])
    with np.errstate(all="ignore"):
        return np.asarray(function(*[evaluate(t, x) for t in tree[1:]]), dtype=np.float64)


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
    "swish": lambda x: x * _sigmoid(x),
    "gelu": lambda x: 0.5 * x * (1 + _erf(x / math.sqrt(2))),
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
