"""The variables of one network."""

from __future__ import annotations

from typing import Any


class Variables:
    """The variables of one model, numbered; those a graph captures and those it owns."""

    def __init__(self) -> None:
        self.items: list[Any] = []
        self.owned: set[int] = set()
        self.trained: set[int] = set()
        self._by_handle: dict[int, int] = {}
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
        handle = id(variable.handle)
        if handle not in self._by_handle:
            self._by_handle[handle] = len(self.items)
            self.items.append((variable, keras_variable))
            listed = keras_variable is not None or self._lists_its_own
            if not listed and getattr(variable, "trainable", False):
                self.trained.add(self._by_handle[handle])
        return self._by_handle[handle]

    def known(self, variable: Any) -> int | None:
        """The number of a variable that was seen before."""
        return self._by_handle.get(id(variable.handle))

    def of_capture(self, tensor: Any, graph_variables: list[Any]) -> int | None:
        """The number of the variable behind a captured resource."""
        if id(tensor) in self._by_handle:
            return self._by_handle[id(tensor)]
        for variable in graph_variables:
            if variable.handle is tensor:
                return self.add(variable)
        return None

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
                }
            )
        return rows
