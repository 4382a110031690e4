"""Where in the student's own files each layer was made, so that a message can name the line."""

from __future__ import annotations

import linecache
import os
import sys
from pathlib import Path
from typing import Any

MOST = 5000
"""Layers that are noted."""
DEEP = 60
"""Frames that are looked at for one layer."""
TEXT = 200
MARK = ".layer"
"""Ends the scope of a layer in the names of its ops: TensorFlow adds numbers to a scope that is
opened again, and a layer's own name may end in one."""

_noted: dict[str, tuple[str, str]] = {}
_roots: list[str] = []


def note_layers(tree: Path) -> None:
    """Note the place of each layer, and of each operation of Keras's, from here on.

    Args:
        tree: The student's files.
    """
    import tensorflow as tf
    from keras.src.backend.tensorflow.core import name_scope
    from keras.src.ops.operation import Operation

    if not _roots:
        given, scoped = Operation.__init__, name_scope.__init__

        def mark(self: Any, name: Any, **more: Any) -> None:
            scoped(self, name, **more)
            if more.get("caller") is not None:
                self._tf_name_scope = tf.name_scope(name + MARK)

        name_scope.__init__ = mark

        def __init__(self: Any, name: Any = None) -> None:
            given(self, name)
            _note(self)

        Operation.__init__ = __init__
    _roots[:] = [os.path.join(os.path.realpath(tree), ""), os.path.join(str(tree), "")]


def forget() -> None:
    """Begin anew: Keras counts each network's layers from the first one."""
    from keras.src.utils import naming

    _noted.clear()
    naming.reset_uids()


def noted() -> dict[str, list[str]]:
    """Layer → its place as "net.py, line 12", and what stands there."""
    return {name: list(place) for name, place in _noted.items()}


FUNCTION = "()"
"""In place of a layer's name: the function that was called."""


def of_function(function: Any) -> dict[str, list[str]]:
    """The place of a function of the student's, under FUNCTION; nothing where it is not known."""
    code = getattr(function, "__code__", None)
    file = getattr(code, "co_filename", "")
    root = next((root for root in _roots if file.startswith(root)), None)
    if code is None or root is None:
        return {}
    number = code.co_firstlineno
    line = linecache.getline(file, number).strip()
    return {FUNCTION: [_sendable(f"{file[len(root) :]}, line {number}"), _sendable(line)]}


def _note(layer: Any) -> None:
    if len(_noted) >= MOST:
        return
    try:
        frame, name = sys._getframe(2), _sendable(str(layer.name))
    except Exception:  # a layer of the student's own may be anything
        return
    found: list[tuple[str, str, int]] = []
    for _ in range(DEEP):
        file = frame.f_code.co_filename
        root = next((root for root in _roots if file.startswith(root)), None)
        if root is not None:
            found.append((file, file[len(root) :], frame.f_lineno))
        if len(found) == 2 or frame.f_back is None:
            break
        frame = frame.f_back
    if found:
        _noted[name] = _told(found)


def _told(found: list[tuple[str, str, int]]) -> tuple[str, str]:
    """The place of a layer, and of the call of the function that makes it; what stands there."""
    (file, name, number), *callers = found
    place = f"{name}, line {number}"
    for _, caller, at in callers:
        place += f", called in line {at}" if caller == name else f", called in {caller}, line {at}"
    line = linecache.getline(file, number).strip()
    return _sendable(place), _sendable(line)


def _sendable(text: str) -> str:
    """A text as JSON takes it: file names may hold half characters."""
    return text[:TEXT].encode("utf-8", "replace").decode()
