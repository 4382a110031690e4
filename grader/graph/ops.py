"""What an op computes, in NumPy."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from grader.graph import work
from grader.graph.pointwise import SLOW
from grader.graph.record import Op
from grader.graph.symbols import Unreadable, allowed


def elementwise(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """A function of numbers, over arrays that may grow by broadcasting only so far."""

    def apply(op: Op, *arrays: Any) -> Any:
        shape = allowed(np.broadcast_shapes(*[np.shape(a) for a in arrays]))
        work.spend(SLOW.get(name, 1) * math.prod(shape))
        return function(*arrays)

    return apply


IDENTITIES = {
    "Identity", "StopGradient", "PreventGradient", "EnsureShape", "CheckNumerics", "Snapshot",
    "PlaceholderWithDefault", "IdentityN",
}  # fmt: skip

STOPS = {"StopGradient", "PreventGradient"}

FLAT = {
    "Ceil", "Equal", "Floor", "FloorDiv", "Greater", "GreaterEqual", "Less", "LessEqual",
    "NotEqual", "Rint", "Round", "Sign",
}  # fmt: skip
"""Steps: their slope is zero wherever there is one, so that nothing behind them is trained."""


def slice_windows(
    op: Op, begin: list[int], end: list[int], strides: list[int], shape: tuple[int, ...]
) -> list[tuple[int, int, int]]:
    """(start, stop, step) for each axis of the input, after NumPy's rules for the masks."""
    masks = {
        name: int(op.attributes.get(f"{name}_mask", 0) or 0)
        for name in ("begin", "end", "ellipsis", "new_axis", "shrink_axis")
    }
    windows: list[tuple[int, int, int]] = []
    entries = len(begin)
    new_axes = bin(masks["new_axis"] & ((1 << entries) - 1)).count("1")
    for i in range(entries):
        if masks["new_axis"] >> i & 1:
            continue
        if masks["ellipsis"] >> i & 1:
            missing = len(shape) - (entries - 1 - new_axes)
            windows += [(0, n, 1) for n in shape[len(windows) : len(windows) + missing]]
            continue
        size = shape[len(windows)]
        if masks["shrink_axis"] >> i & 1:
            start = begin[i] % size
            windows.append((start, start + 1, 1))
            continue
        low = None if masks["begin"] >> i & 1 else begin[i]
        high = None if masks["end"] >> i & 1 else end[i]
        start, stop, step = slice(low, high, strides[i]).indices(size)
        windows.append((start, stop, step))
    windows += [(0, n, 1) for n in shape[len(windows) :]]
    return windows


RANDOM = {
    "StatelessRandomUniformV2", "StatelessRandomUniform", "StatelessRandomNormalV2",
    "StatelessRandomNormal", "RandomUniform", "RandomStandardNormal", "RandomUniformInt",
    "StatelessRandomUniformFullIntV2", "StatelessRandomUniformIntV2", "TruncatedNormal",
    "StatelessTruncatedNormalV2", "StatelessRandomGetKeyCounter", "StatelessRandomGetAlg",
    "StatelessRandomGetKeyCounterAlg", "RandomShuffle", "Multinomial", "StatelessMultinomial",
    "RngReadAndSkip", "StatelessRandomGammaV3", "RandomGamma",
}  # fmt: skip

CASTS: dict[str, Callable[[Any], Any]] = {
    "int": lambda a: np.asarray(a).astype(np.int64),
    "bool": lambda a: np.asarray(a).astype(bool),
    "float": lambda a: np.asarray(a).astype(np.float64),
}


def cast_kind(op: Op) -> str:
    """What a cast makes of numbers: "int", "bool" or "float"."""
    target = str(op.attributes.get("DstT", ""))
    if target.startswith(("int", "uint")):
        return "int"
    return "bool" if target == "bool" else "float"


def _axis_list(axis: Any) -> tuple[int, ...]:
    return tuple(int(a) for a in np.asarray(axis).reshape(-1))


def _reduction(function: Callable[..., Any]) -> Callable[..., Any]:
    return lambda op, a, axis: function(
        a, axis=_axis_list(axis), keepdims=bool(op.attributes.get("keep_dims", False))
    )


def _numpy_slice(op: Op, a: Any, *bounds: Any) -> Any:
    begin, end, strides = ([int(n) for n in np.reshape(b, -1)] for b in bounds)
    windows, shape = slice_windows(op, begin, end, strides, np.shape(a)), op.outputs[0][1]
    taken = np.asarray(a)[tuple(slice(*_window(w)) for w in windows)]
    return taken if shape is None else taken.reshape(shape)


def _window(window: tuple[int, int, int]) -> tuple[int | None, int | None, int]:
    start, stop, step = window
    return start, None if step < 0 and stop < 0 else stop, step


def _grown(a: Any, amounts: Any) -> tuple[int, ...]:
    """The shape of an array behind a padding."""
    return tuple(n + int(low) + int(high) for n, (low, high) in zip(a.shape, amounts, strict=True))


def _concatenated(op: Op, *parts: Any) -> Any:
    allowed((sum(np.size(a) for a in parts),))
    return np.concatenate(parts[:-1], axis=int(parts[-1]))


def _packed(op: Op, *parts: Any) -> Any:
    allowed((sum(np.size(a) for a in parts),))
    return np.stack(parts, axis=int(op.attributes.get("axis", 0) or 0))


def _tiled(op: Op, a: Any, multiples: Any) -> Any:
    times = [int(n) for n in multiples]
    allowed([n * m for n, m in zip(a.shape, times, strict=True)])
    return np.tile(a, times)


def _range(op: Op, start: Any, stop: Any, step: Any) -> Any:
    allowed((max(0, math.ceil((float(stop) - float(start)) / float(step))),))
    return np.arange(start, stop, step)


def _taken(op: Op, a: Any, indices: Any, axis: Any) -> Any:
    where = int(axis) % a.ndim
    allowed((np.size(indices) * a.size // max(a.shape[where], 1),))
    return np.take(a, np.asarray(indices, int), axis=where)


def _product(op: Op, a: Any, b: Any) -> Any:
    a = a.T if op.attributes.get("transpose_a") else a
    b = b.T if op.attributes.get("transpose_b") else b
    if a.ndim != 2 or b.ndim != 2:
        raise Unreadable("a product of other axes")
    allowed((a.shape[0], b.shape[1]))
    # BLAS does some ten of these in the time of one number elsewhere.
    work.spend(a.shape[0] * a.shape[1] * b.shape[1] // 10)
    return np.matmul(a, b)


def _padded(op: Op, a: Any, amounts: Any, fill: Any = 0.0) -> Any:
    allowed(_grown(a, amounts))
    return np.pad(a, np.asarray(amounts, int), constant_values=float(fill))


def _diagonal(op: Op, a: Any, *settings: Any) -> Any:
    """A square matrix with the given diagonal and zeros beside it."""
    if a.ndim != 1 or (settings and np.any(np.asarray(settings[0]) != 0)):
        raise Unreadable("a matrix with another diagonal")
    allowed((len(a), len(a)))
    return np.diag(a)


NUMPY: dict[str, Callable[..., Any]] = {
    "Shape": lambda op, a: np.array(np.shape(a), np.int64),
    "Size": lambda op, a: np.array(np.size(a)),
    "Rank": lambda op, a: np.array(np.ndim(a)),
    "ConcatV2": _concatenated,
    "Pack": _packed,
    "StridedSlice": _numpy_slice,
    "Slice": lambda op, a, b, s: a[
        tuple(slice(int(i), None if n == -1 else int(i + n)) for i, n in zip(b, s, strict=True))
    ],
    "Mean": _reduction(np.mean),
    "Sum": _reduction(np.sum),
    "Prod": _reduction(np.prod),
    "Max": _reduction(np.max),
    "Min": _reduction(np.min),
    "All": _reduction(np.all),
    "Any": _reduction(np.any),
    "Fill": lambda op, dims, v: np.full(allowed(dims), v),
    "ZerosLike": lambda op, a: np.zeros_like(a),
    "OnesLike": lambda op, a: np.ones_like(a),
    "Tile": _tiled,
    "BroadcastTo": lambda op, a, s: np.broadcast_to(a, allowed(s)),
    "Range": _range,
    "GatherV2": _taken,
    "ReverseV2": lambda op, a, axis: np.flip(a, _axis_list(axis)),
    "MatMul": _product,
    "MatrixDiag": _diagonal,
    "MatrixDiagV2": _diagonal,
    "MatrixDiagV3": _diagonal,
    "PadV2": _padded,
    "Pad": _padded,
    "BiasAdd": elementwise("BiasAdd", np.add),
    "L2Loss": lambda op, a: np.sum(np.square(a)) / 2,
    "Softmax": lambda op, a: np.exp(a) / np.sum(np.exp(a), axis=-1, keepdims=True),
}
"""Ops on variables and constants beyond the functions of one number."""
