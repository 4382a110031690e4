"""Calls of the contract's functions, and what they may give."""

from __future__ import annotations

import inspect
from typing import Any

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
