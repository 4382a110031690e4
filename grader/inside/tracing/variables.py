"""The variables of one network."""

from __future__ import annotations

from typing import Any

from .building import has_handle


class Variables:
    """The variables of one model, numbered; those a graph captures and those it owns."""

    def __init__(self) -> None:
        self.items: list[Any] = []
        self.owned: set[int] = set()
        self.trained: set[int] = set()
        self._numbers: dict[int, int] = {}
        self._by_handle: dict[int, int] = {}
        self._without_handle: list[Any] = []
        self._lists_its_own = False

    def own(self, model: Any) -> None:
        """Number the model's own weights first, in Keras's order.

        Keras trains and saves what a model lists, nothing else: a weight that was made inside a
        Lambda is used, and keeps its first value for ever.
        """
        self._lists_its_own = getattr(model, "trainable_variables", None) is not None
        for variable in list(getattr(model, "variables", None) or []):
            self.owned.add(self.add(getattr(variable, "value", variable), variable))
        for variable in list(getattr(model, "trainable_variables", None) or []):
            self.trained.add(self.add(getattr(variable, "value", variable), variable))

    def add(self, variable: Any, keras_variable: Any = None) -> int:
        """The number of a variable; a new one if it was not seen before."""
        number = self.known(variable)
        if number is None:
            number = self._numbers[id(variable)] = len(self.items)
            self.items.append((variable, keras_variable))
            self._without_handle.append(variable)
            listed = keras_variable is not None or self._lists_its_own
            if not listed and getattr(variable, "trainable", False):
                self.trained.add(number)
        return number

    def known(self, variable: Any) -> int | None:
        """The number of a variable that was seen before."""
        if id(variable) in self._numbers:
            return self._numbers[id(variable)]
        return self._of_handle(variable.handle) if has_handle(variable) else None

    def of_capture(self, tensor: Any, graph_variables: list[Any]) -> int | None:
        """The number of the variable behind a captured resource."""
        number = self._of_handle(tensor)
        if number is not None:
            return number
        for variable in graph_variables:
            if variable.handle is tensor:
                return self.add(variable)
        return None

    def _of_handle(self, handle: Any) -> int | None:
        """The number of the variable with this handle; some variables get theirs late."""
        if id(handle) not in self._by_handle and self._without_handle:
            for variable in filter(has_handle, self._without_handle):
                self._by_handle[id(variable.handle)] = self._numbers[id(variable)]
            self._without_handle = [v for v in self._without_handle if not has_handle(v)]
        return self._by_handle.get(id(handle))

    def table(self) -> list[dict[str, Any]]:
        """One row a variable: name, shape, dtype, trainable, owned by the model or not."""
        rows = []
        for index, (variable, keras_variable) in enumerate(self.items):
            name = getattr(keras_variable, "path", None) or getattr(variable, "name", "")
            rows.append(
                {
                    "name": str(name)[:200],
                    "shape": [int(n) for n in variable.shape],
                    "dtype": variable.dtype.name,
                    "trainable": index in self.trained,
                    "owned": index in self.owned,
                    "initialiser": initialiser(getattr(keras_variable, "left_out", None)),
                }
            )
        return rows


NAMED = {
    (2.0, "fan_in", "truncated_normal"): "HeNormal",
    (2.0, "fan_in", "uniform"): "HeUniform",
    (1.0, "fan_avg", "truncated_normal"): "GlorotNormal",
    (1.0, "fan_avg", "uniform"): "GlorotUniform",
    (1.0, "fan_in", "truncated_normal"): "LecunNormal",
    (1.0, "fan_in", "uniform"): "LecunUniform",
}
"""How a variance scaling is called, by its scale, mode and distribution."""


def initialiser(given: Any) -> str:
    """What a variable begins with, less the seed; "" where it is not known."""
    if given is None:
        return ""
    try:
        config = {k: v for k, v in given.get_config().items() if k not in ("seed", "dtype")}
    except Exception:  # a function, or an initialiser of the student's own
        return str(getattr(given, "__name__", type(given).__name__))[:200]
    name = type(given).__name__
    if {"scale", "mode", "distribution"} <= config.keys():
        config = dict(config)
    scaled = tuple(getattr(given, key, None) for key in ("scale", "mode", "distribution"))
    if scaled in NAMED:
        return NAMED[scaled]
    inner = ", ".join(f"{key}={value}" for key, value in sorted(config.items()))
    return f"{name}({inner})"[:200] if inner else name[:200]
