"""Values as plain data: the arguments of a call as they arrive, its results as they leave.

The other end, which trusts nothing of what leaves, is `grader/calls/values.py`.
"""

from __future__ import annotations

import base64
import os
from typing import Any

import numpy as np

MAX_DEPTH = 8
MAX_ITEMS = 10_000
MAX_BYTES = 2**23
"""Of one array, and of one text."""
DTYPES = {
    "bool", "uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "int64", "float16",
    "float32", "float64",
}  # fmt: skip
PICTURES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp")


def arrived(record: dict[str, Any], folder: str) -> Any:
    """An argument out of its record.

    Args:
        record: From the grader, so it is believed.
        folder: Where the files of this call lie.
    """
    kind = record["kind"]
    if kind == "array":
        data = base64.b64decode(record["data"])
        array = np.frombuffer(data, record["dtype"]).reshape(record["shape"])
        return array.copy()
    if kind in ("list", "tuple"):
        items = [arrived(item, folder) for item in record["items"]]
        return tuple(items) if kind == "tuple" else items
    if kind.endswith("_file"):
        path = os.path.join(folder, record["name"])
        if kind == "given_file":
            with open(path, "wb") as file:
                file.write(base64.b64decode(record["data"]))
        return path
    if kind == "int":
        return int(record["value"])
    if kind == "float":
        return float.fromhex(record["value"])
    return record.get("value")


def leaving(value: Any, depth: int = 0) -> dict[str, Any]:
    """A result as a record; what has no form here leaves as the name of its type."""
    kind = type(value)
    if value is None:
        return {"kind": "none"}
    if kind is bool or kind is np.bool_:
        return {"kind": "bool", "value": bool(value)}
    if kind is int or isinstance(value, np.integer):
        text = str(int(value)) if abs(int(value)) < 2**256 else ""
        return {"kind": "int", "value": text, "type": kind.__name__} if text else _other(value)
    if kind is float or kind in (np.float16, np.float32, np.float64):
        return {"kind": "float", "value": float(value).hex(), "type": kind.__name__}
    if kind is str and len(value) <= MAX_BYTES // 8:
        return {"kind": "str", "value": value.encode("utf-8", "replace").decode()}
    if isinstance(value, np.ndarray):
        return _array(np.asarray(value))
    if isinstance(value, list | tuple | dict) and depth < MAX_DEPTH and len(value) <= MAX_ITEMS:
        return _several(value, depth)
    return _tensor(value) or _other(value)


def _several(value: Any, depth: int) -> dict[str, Any]:
    if isinstance(value, dict):
        pairs = [[leaving(k, depth + 1), leaving(v, depth + 1)] for k, v in value.items()]
        return {"kind": "dict", "items": pairs}
    items = [leaving(item, depth + 1) for item in value]
    return {"kind": "list" if isinstance(value, list) else "tuple", "items": items}


def _array(array: Any) -> dict[str, Any]:
    name = str(array.dtype.name)
    if name not in DTYPES or array.nbytes > MAX_BYTES or array.ndim > 8:
        return {"kind": "other", "type": f"array of {name[:40]}, {array.shape}"[:120]}
    plain = np.ascontiguousarray(array, array.dtype.newbyteorder("="))
    data = base64.b64encode(plain.tobytes()).decode()
    return {"kind": "array", "dtype": name, "shape": list(array.shape), "data": data}


def _tensor(value: Any) -> dict[str, Any] | None:
    """A tensor of TensorFlow's, or a variable of Keras's: they are arrays too."""
    if not hasattr(value, "numpy"):
        return None
    try:
        return _array(np.asarray(value.numpy()))
    except Exception:  # it only looked like one
        return None


def _other(value: Any) -> dict[str, Any]:
    name = getattr(type(value), "__name__", "something")
    return {"kind": "other", "type": str(name)[:120].encode("utf-8", "replace").decode()}


def written(path: str) -> dict[str, Any]:
    """What lies in a file that a function was to write."""
    if not os.path.isfile(path):
        return {"kind": "none"}
    if os.path.getsize(path) > MAX_BYTES:
        return {"kind": "other", "type": f"a file of {os.path.getsize(path)} bytes"}
    ending = os.path.splitext(path)[1].lower()
    try:
        return _picture(path) if ending in PICTURES else _content(path, ending)
    except Exception as error:  # a file that cannot be read is an answer too
        return {"kind": "other", "type": f"a file that cannot be read as {ending}: {error}"[:120]}


def _picture(path: str) -> dict[str, Any]:
    import cv2

    pixels = cv2.imread(path, cv2.IMREAD_UNCHANGED)
    if pixels is None:
        return {"kind": "other", "type": "a file that is no picture"}
    return _array(pixels)


def _content(path: str, ending: str) -> dict[str, Any]:
    if ending == ".npy":
        return _array(np.load(path, allow_pickle=False))
    with open(path, encoding="utf-8", errors="replace", newline=None) as file:
        return {"kind": "str", "value": file.read(MAX_BYTES // 8)}
