"""A formula as a student writes it: parsed into numbers and operations, and nothing else.

Python's own parser reads it; what runs is the table below, on floats. A name, a call or an
operation that is not in the table is refused, so a formula can reach nothing and takes no time.
"""

from __future__ import annotations

import ast
import math
import operator
import re
import warnings
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from grader.syntax import expression_of

MAX_LENGTH = 400
"""Characters: a formula stands on a line or two."""
MAX_DEPTH = 60
"""Operations inside each other."""

_BINARY: dict[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: math.pow,
}
_UNARY: dict[type[ast.unaryop], Callable[[float], float]] = {
    ast.UAdd: operator.pos,
    ast.USub: operator.neg,
}
_FUNCTIONS: dict[str, tuple[Callable[..., float], range]] = {
    "floor": (math.floor, range(1, 2)),
    "ceil": (math.ceil, range(1, 2)),
    "int": (math.trunc, range(1, 2)),
    "round": (round, range(1, 2)),
    "abs": (abs, range(1, 2)),
    "sqrt": (math.sqrt, range(1, 2)),
    "exp": (math.exp, range(1, 2)),
    "log": (math.log, range(1, 3)),
    "log2": (math.log2, range(1, 2)),
    "tanh": (math.tanh, range(1, 2)),
    "min": (min, range(1, 9)),
    "max": (max, range(1, 9)),
    "pow": (math.pow, range(2, 3)),
}
"""Name → what it computes, and how many numbers it takes."""
_CONSTANTS = {"pi": math.pi, "e": math.e}
_WRITTEN_OTHERWISE = str.maketrans(
    {"×": "*", "·": "*", "−": "-", "÷": "/", "^": "**", "²": "**2", "³": "**3",
     "⌊": "floor(", "⌋": ")", "⌈": "ceil(", "⌉": ")"}
)  # fmt: skip
"""Signs of print → the same in Python."""

_LEFT_SIDE = re.compile(r"\s*[A-Za-z_]\w*\s*=(?!=)")


class FormulaError(ValueError):
    """The text is no formula, or has no value; says why and what to write."""


@dataclass(frozen=True)
class Formula:
    """A formula that was read."""

    _tree: ast.expr

    def __call__(self, values: Mapping[str, float]) -> float:
        """Its value.

        Args:
            values: A number for each name that may stand in it.

        Raises:
            FormulaError: It has none there, such as a division by zero.
        """
        try:
            value = _value(self._tree, values)
        except (ArithmeticError, ValueError, TypeError) as error:
            raise FormulaError(f"it has no value: {error}") from error
        if not math.isfinite(value):
            raise FormulaError(f"it has no finite value: {value}")
        return float(value)


def parse_formula(text: str, names: Collection[str] = ()) -> Formula:
    """Read a formula.

    Args:
        text: Such as "(n + 2*p - f) // s + 1". A name before "=" is left out.
        names: The names that may stand in it.

    Raises:
        FormulaError: It is none, or holds something else.
    """
    if len(text) > MAX_LENGTH:
        raise FormulaError(f"expected at most {MAX_LENGTH} characters. Received: {len(text)}")
    plain = _LEFT_SIDE.sub("", text).translate(_WRITTEN_OTHERWISE).strip()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = expression_of(plain)
    except (SyntaxError, ValueError, MemoryError, RecursionError) as error:
        raise FormulaError(
            "it cannot be read. Write each multiplication with *, close each bracket"
        ) from error
    _look_through(tree, names, 0)
    return Formula(tree)


def _look_through(node: ast.expr, names: Collection[str], depth: int) -> None:
    """Refuse what is not in the tables.

    Raises:
        FormulaError: Says what.
    """
    if depth > MAX_DEPTH:
        raise FormulaError(f"it has more than {MAX_DEPTH} operations inside each other")
    for inner in _parts(node, names):
        _look_through(inner, names, depth + 1)


def _parts(node: ast.expr, names: Collection[str]) -> list[ast.expr]:
    match node:
        case ast.Constant(value=int() | float() as value) if not isinstance(value, bool):
            return []
        case ast.Name(id=name):
            if name not in names and name not in _CONSTANTS:
                known = ", ".join(names) or "none"
                raise FormulaError(f"{name!r} is not known. Names that may stand in it: {known}")
            return []
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _BINARY:
            return [left, right]
        case ast.UnaryOp(op=op, operand=operand) if type(op) in _UNARY:
            return [operand]
        case ast.Call(func=function, args=args, keywords=[]):
            return _arguments(function, args)
    raise FormulaError(
        f"{ast.unparse(node)[:40]!r} cannot stand in a formula. "
        f"Expected numbers, + - * / // % ** and {', '.join(_FUNCTIONS)}"
    )


def _arguments(function: ast.expr, args: list[ast.expr]) -> list[ast.expr]:
    name = _name_of(function)
    if name not in _FUNCTIONS or len(args) not in _FUNCTIONS[name][1]:
        raise FormulaError(
            f"{ast.unparse(function)[:40]!r} with {len(args)} arguments is not known. "
            f"Known: {', '.join(_FUNCTIONS)}"
        )
    return args


def _name_of(function: ast.expr) -> str:
    """math.floor and np.floor are floor."""
    name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
    return str(name)


def _value(node: Any, values: Mapping[str, float]) -> float:
    match node:
        case ast.Constant(value=int() | float() as value):
            return float(value)
        case ast.Name(id=name):
            return values[name] if name in values else _CONSTANTS[name]
        case ast.BinOp(left=left, op=op, right=right):
            return _BINARY[type(op)](_value(left, values), _value(right, values))
        case ast.UnaryOp(op=op, operand=operand):
            return _UNARY[type(op)](_value(operand, values))
        case ast.Call(func=function, args=args):
            return _FUNCTIONS[_name_of(function)][0](*(_value(each, values) for each in args))
    raise AssertionError(node)  # _look_through lets nothing else pass
