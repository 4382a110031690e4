"""Imports Keras and TensorFlow, and nothing beside them that no trace needs.

The reason is cost: of three seconds of processor time, one and a third went into looking for
garbage where there is none yet, into matplotlib, which two functions of Keras draw with, and into
JAX, which a converter of TensorFlow Lite can read. Where a program asks for one of them itself, it
is imported then, as ever.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import importlib.util
import sys
import types
from collections.abc import Iterator
from typing import Any

UNNEEDED = ("matplotlib", "jax", "jaxlib")
LATER = {
    "keras.src.visualization.plot_image_gallery": ("plt", "matplotlib.pyplot"),
    "keras.src.visualization.plot_bounding_box_gallery": ("patches", "matplotlib.patches"),
}
"""Modules of Keras → the name under which each keeps one that it may do without."""


def import_libraries() -> None:
    """Import what every trace needs. Runs no op, so that a forked child is safe."""
    with _without_collector(), _refusing(*UNNEEDED):
        import keras
        import tensorflow as tf
        from tensorflow.python.framework import function_def_to_graph, op_def_registry
    # Asked for an op that it does not have, TensorFlow writes down all that it has, once, for a
    # message: 10 ms in each child otherwise.
    op_def_registry.get("")
    _ = (keras.layers.BatchNormalization, tf.function, function_def_to_graph)
    if importlib.util.find_spec("matplotlib") is not None:
        for name, (kept, library) in LATER.items():
            module = sys.modules.get(name)
            if module is not None and getattr(module, kept, module) is None:
                setattr(module, kept, _Later(library))


class _Later(types.ModuleType):
    """A module that is imported when it is first asked for something."""

    def __getattr__(self, name: str) -> Any:
        return getattr(importlib.import_module(self.__name__), name)


@contextlib.contextmanager
def _without_collector() -> Iterator[None]:
    """What an import makes stays; to look through it again and again finds nothing."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


class _Refuses:
    """Finds no module of these names; those that others have imported are there."""

    def __init__(self, names: tuple[str, ...]) -> None:
        self._names = names

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> None:
        """Refuse a name, or leave it to the finders behind."""
        if name in self._names:
            raise ModuleNotFoundError(f"{name} is not needed here", name=name)


@contextlib.contextmanager
def _refusing(*names: str) -> Iterator[None]:
    refuses = _Refuses(names)
    sys.meta_path.insert(0, refuses)
    try:
        yield
    finally:
        sys.meta_path.remove(refuses)
