"""Calls of the contract's functions, and what they may give."""

from __future__ import annotations

import inspect
from typing import Any

from .constants import finite
from .failures import TEXT

ARGUMENTS: dict[str, dict[str, Any]] = {
    "dense_block": {
        "num_layers": 4, "growth_rate": 12, "bottleneck": True, "dropout_rate": 0.0
    },
    "transition": {"compression": 0.5, "dropout_rate": 0.0},
    "build_densenet": {
        "depth": 40, "growth_rate": 12, "compression": 0.5, "bottleneck": True,
        "num_classes": 10, "input_shape": (32, 32, 3), "dropout_rate": 0.0,
    },
}  # fmt: skip
"""The contract's arguments in their order, with their defaults."""


def call(function: Any, first: list[Any], keywords: dict[str, Any]) -> Any:
    """Call a function of the contract by name, or by position where it renamed its arguments."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return function(*first, **keywords)
    names = {p.name for p in parameters}
    order = ARGUMENTS.get(getattr(function, "__name__", ""), {})
    takes_any = any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters)
    if takes_any or set(keywords) <= names or not set(keywords) <= set(order):
        return function(*first, **keywords)
    last = max(list(order).index(name) for name in keywords)
    by_position = [keywords.get(name, default) for name, default in list(order.items())[: last + 1]]
    return function(*first, *by_position)


def bound(function: Any, first: list[Any], arguments: dict[str, Any]) -> Any:
    """Call a student's function of a course: by name, and what has another name by position.

    Args:
        function: The student's.
        first: What it is given before all else: a tensor, or nothing.
        arguments: The others by name, in the order in which the assignment names them.

    Raises:
        TypeError: It has no place for one of them.
    """
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        return function(*first, **arguments)
    kinds = inspect.Parameter
    if any(p.kind is kinds.VAR_KEYWORD for p in parameters):
        return function(*first, **arguments)
    if any(p.kind is kinds.VAR_POSITIONAL for p in parameters):
        return function(*first, *arguments.values())
    own = parameters[len(first) :]
    given = {p.name: arguments[p.name] for p in own if p.name in arguments}
    free = [p.name for p in own if p.name not in given]
    left = [name for name in arguments if name not in given]
    if len(left) > len(free):
        takes = ", ".join(str(p) for p in parameters)
        raise TypeError(f"it takes ({takes}), and has no place for {', '.join(left[len(free) :])}")
    given |= {name: arguments[other] for name, other in zip(free, left, strict=False)}
    only = [p.name for p in own if p.kind is kinds.POSITIONAL_ONLY and p.name in given]
    by_position = [given.pop(name) for name in only]
    return function(*first, *by_position, **given)


def chosen(given: Any, output: int | None, what: str) -> tuple[Any, list[list[Any]] | None]:
    """The network among several results, and the values beside it with their places.

    Args:
        given: What a function gave.
        output: Which of its results is the network; None where there is one alone.
        what: What that is: "tensor", "network".

    Returns:
        The network; and the others, None where it gave one thing alone though several are asked.

    Raises:
        TypeError: There is no such result.
    """
    if output is None:
        return one(given, what), []
    if not isinstance(given, list | tuple):
        return one(given, what), None
    if output >= len(given):
        raise TypeError(f"it gives {len(given)} results: expected the {what} at place {output + 1}")
    beside = [[at, value(v)] for at, v in enumerate(given[:16]) if at != output]
    return one(given[output], what), beside


def value(given: Any) -> Any:
    """A value beside a network as plain data; what is none is named by its kind."""
    if hasattr(given, "shape") and getattr(given, "shape", None) == () and hasattr(given, "item"):
        given = given.item()  # a number of NumPy's
    if given is None or type(given) in (bool, int, str):
        small = type(given) is not int or abs(given) < 2**63
        return given[:TEXT] if isinstance(given, str) else given if small else "a huge number"
    if isinstance(given, float):
        return finite(float(given))
    if isinstance(given, list | tuple) and len(given) < 100:
        parts = [value(part) for part in given]
        return [part if not isinstance(part, list) else str(part)[:TEXT] for part in parts]
    if hasattr(given, "shape"):
        return f"a tensor of the shape {tuple(given.shape)}"[:TEXT]
    return f"a {type(given).__name__}"[:TEXT]


def tuples(value: Any) -> Any:
    """Lists as tuples, at any depth: a shape travels as a list."""
    return tuple(tuples(inner) for inner in value) if isinstance(value, list) else value


def one(given: Any, what: str) -> Any:
    """What a function gave, where it is one thing: Keras takes several tensors for a network.

    Raises:
        TypeError: It gave several things, or nothing.
    """
    if given is None:
        raise TypeError(f"it gives nothing: `return` the {what}")
    if isinstance(given, list | tuple | dict | set):
        kinds = ", ".join(type(part).__name__ for part in list(given)[:4])
        raise TypeError(
            f"it gives a {type(given).__name__} of {len(given)} ({kinds}): return one {what} alone"
        )
    return given
