"""The student's module: where it runs, how it is imported, what it has."""

from __future__ import annotations

import contextlib
import importlib
import inspect
import os
import sys
from pathlib import Path
from typing import Any

from . import failures
from .patience import Patience


def greet(name: str) -> None:
    """Let a module find what it would find on its author's machine: its own command line, which
    holds no arguments to be parsed, and a folder of Keras's that it may write to."""
    from keras.src.backend import config

    sys.argv[:] = [f"{name}.py"]
    config._KERAS_DIR = os.path.join(os.path.expanduser("~"), ".keras")
    with contextlib.suppress(OSError):  # where it is missing, Keras would turn to /tmp
        os.makedirs(config._KERAS_DIR, exist_ok=True)


def load(name: str | None, tree: Path, patience: Patience) -> tuple[Any, dict[str, Any]]:
    """Import the student's module: it, or None, also where none is asked for; with what went wrong
    and what it printed."""
    if str(tree) not in sys.path:
        sys.path.append(str(tree))
    importlib.invalidate_caches()
    module: list[Any] = []

    def work() -> dict[str, Any]:
        if name is not None:
            module.append(patience.watch(importlib.import_module, times=3)(name))
        return {}

    # Student code may raise anything, SystemExit included.
    told = failures.attempt(tree, work)
    patience.ran_out = False  # the failure says it; no later call is late for it
    return next(iter(module), None), told


def signatures(module: Any) -> dict[str, Any]:
    """The contract's functions as found: their parameters' names, or null where absent."""
    found: dict[str, Any] = {}
    for name in ("dense_block", "transition", "build_densenet", "build_model", "preprocess"):
        function = getattr(module, name, None)
        if not callable(function):
            found[name] = None
            continue
        try:
            parameters = inspect.signature(function).parameters.values()
            found[name] = [
                [p.name, str(p.kind.name), p.default is not inspect.Parameter.empty]
                for p in parameters
            ]
        except (TypeError, ValueError):
            found[name] = []
    return found


def others(module: Any) -> list[str]:
    """Names of the module's functions, for a message that says which one was meant."""
    names = getattr(module, "__dict__", {})
    kind = type(others)  # isinstance() may be answered by student code
    own = [n for n, v in dict(names).items() if type(n) is str and type(v) is kind]
    return [name[:80] for name in own if name.isidentifier()][:200]
