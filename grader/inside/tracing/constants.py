"""Constants of a graph, small ones in its record, large ones in a frame of their own."""

from __future__ import annotations

from typing import Any

INLINE_VALUES = 256
"""Constants up to this many elements travel inside the record, larger ones in a binary frame."""


MAX_CONSTANT_BYTES = 64 * 2**20


class Constants:
    """Large constants, sent once as bytes; the records point into them."""

    def __init__(self) -> None:
        self.chunks: list[bytes] = []
        self.size = 0

    def encode(self, array: Any) -> dict[str, Any]:
        """A constant as a record: dtype, shape, and its values or where they stand."""
        import numpy as np

        record: dict[str, Any] = {"dtype": str(array.dtype), "shape": list(array.shape)}
        if array.dtype.kind not in "biuf" and array.dtype.name != "bfloat16":
            return record
        if array.size <= INLINE_VALUES:
            values = array.astype(np.float64) if array.dtype.kind not in "biu" else array
            record["values"] = [finite(v) for v in values.ravel().tolist()]
            return record
        data = np.ascontiguousarray(array, dtype=np.float32).tobytes()
        if self.size + len(data) <= MAX_CONSTANT_BYTES:
            record["offset"] = self.size
            self.chunks.append(data)
            self.size += len(data)
        return record


def finite(value: Any) -> Any:
    """A number as JSON can hold it."""
    if isinstance(value, float) and value != value:
        return "nan"
    if value in (float("inf"), float("-inf")):
        return "inf" if value > 0 else "-inf"
    return value
