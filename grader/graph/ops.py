"""What an op computes, in NumPy: written once, for the reader, for `preprocess` and for the proof.

`compute` gives an op's results for arrays. It knows no trace, no variable and no network, and
draws no random numbers: whoever runs a graph supplies those. Whatever grows with the arguments is
counted as work before it is made.

Source: TensorFlow's op definitions (tf.raw_ops).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from grader.graph import work
from grader.graph.maps import (
    as_laid_out,
    batch_norm,
    channels_last,
    convolution,
    convolve,
    layout_of,
    places,
    pooling,
    sides_of,
    softmax,
    windows,
)
from grader.graph.pointwise import FUNCTIONS, SLOW
from grader.graph.record import Op
from grader.graph.symbols import Unreadable, allowed

Array = NDArray[Any]

# --- sorts of ops --------------------------------------------------------------------------

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
RANDOM = {
    "StatelessRandomUniformV2", "StatelessRandomUniform", "StatelessRandomNormalV2",
    "StatelessRandomNormal", "RandomUniform", "RandomStandardNormal", "RandomUniformInt",
    "StatelessRandomUniformFullIntV2", "StatelessRandomUniformIntV2", "TruncatedNormal",
    "StatelessTruncatedNormalV2", "StatelessRandomGetKeyCounter", "StatelessRandomGetAlg",
    "StatelessRandomGetKeyCounterAlg", "RandomShuffle", "Multinomial", "StatelessMultinomial",
    "RngReadAndSkip", "StatelessRandomGammaV3", "RandomGamma",
}  # fmt: skip


def compute(op: Op, arguments: Sequence[Array]) -> list[Array]:
    """What an op gives for arrays.

    Args:
        op: Its type and attributes.
        arguments: What it receives, in order.

    Raises:
        Unreadable: Names the operation that is not computed here.
    """
    work.spend(work.PIECE + sum(np.size(a) for a in arguments))
    if op.op == "Const":
        if op.attributes.get("value") is None:
            raise Unreadable("a constant that is no number")
        return [op.attributes["value"]]
    if op.op in RANDOM:
        raise Unreadable("it draws random numbers")
    if op.op in SEVERAL:
        return SEVERAL[op.op](op, *arguments)
    meaning = meaning_of(op.op)
    if meaning is None:
        raise Unreadable(f"the operation {op.op} is not known here")
    return [meaning(op, *arguments)]


def meaning_of(name: str) -> Callable[..., Array] | None:
    """The function (op, *arrays) → array that ops of one output compute; None where unknown."""
    if name in ONE:
        return ONE[name]
    return elementwise(name, FUNCTIONS[name]) if name in FUNCTIONS else None


def typed(result: Array, dtype: str, floats: type = np.float64) -> Array:
    """A result in the type that it has in the graph: whole numbers wrap, floats are `floats`."""
    if dtype.startswith(("int", "uint")) or dtype == "bool":
        return np.asarray(result).astype(dtype, copy=False)
    return np.asarray(result, floats) if dtype != "resource" else result


# --- functions of numbers ------------------------------------------------------------------


def elementwise(name: str, function: Callable[..., Array]) -> Callable[..., Array]:
    """A function of numbers, over arrays that may grow by broadcasting only so far."""

    def apply(op: Op, *arrays: Array) -> Array:
        shape = allowed(np.broadcast_shapes(*[np.shape(a) for a in arrays]))
        work.spend(SLOW.get(name, 1) * math.prod(shape))
        return function(*arrays)

    return apply


def _leaky(op: Op, a: Array) -> Array:
    return np.where(a > 0, a, float(op.attributes.get("alpha", 0.2)) * a)


def _biased(op: Op, a: Array, bias: Array) -> Array:
    column = (1,) * (np.ndim(a) - 2)
    first = op.attributes.get("data_format") == "NCHW"
    return _ADD(op, a, bias.reshape(-1, *column) if first else bias)


_ADD = elementwise("BiasAdd", np.add)


def _with_window(op: Op, size: Array, strides: Array) -> Op:
    """The op with what MaxPoolV2 receives in place of attributes."""
    given = {"ksize": [int(n) for n in size], "strides": [int(n) for n in strides]}
    return replace(op, attributes={**op.attributes, **given})


# --- arrays --------------------------------------------------------------------------------


def _axis_list(axis: Array) -> tuple[int, ...]:
    return tuple(int(a) for a in np.asarray(axis).reshape(-1))


def _reduction(function: Callable[..., Array]) -> Callable[..., Array]:
    return lambda op, a, axis: function(
        a, axis=_axis_list(axis), keepdims=bool(op.attributes.get("keep_dims", False))
    )


def _strided_slice(op: Op, a: Array, begin: Array, end: Array, strides: Array) -> Array:
    masks = {
        name: int(op.attributes.get(f"{name}_mask", 0) or 0)
        for name in ("begin", "end", "ellipsis", "new_axis", "shrink_axis")
    }
    index: list[Any] = []
    for i, (low, high, step) in enumerate(zip(begin, end, strides, strict=True)):
        if masks["ellipsis"] >> i & 1:
            index.append(...)
        elif masks["new_axis"] >> i & 1:
            index.append(None)
        elif masks["shrink_axis"] >> i & 1:
            index.append(int(low))
        else:
            start = None if masks["begin"] >> i & 1 else int(low)
            stop = None if masks["end"] >> i & 1 else int(high)
            index.append(slice(start, stop, int(step)))
    return np.asarray(np.asarray(a)[tuple(index)])


def _slice(op: Op, a: Array, begin: Array, size: Array) -> Array:
    windows = zip(begin, size, strict=True)
    return a[tuple(slice(int(i), None if n == -1 else int(i + n)) for i, n in windows)]


def _grown(a: Array, amounts: Array) -> tuple[int, ...]:
    """The shape of an array behind a padding."""
    return tuple(n + int(low) + int(high) for n, (low, high) in zip(a.shape, amounts, strict=True))


def _concatenated(op: Op, *parts: Array) -> Array:
    allowed((sum(np.size(a) for a in parts),))
    return np.concatenate(parts[:-1], axis=int(parts[-1]))


def _packed(op: Op, *parts: Array) -> Array:
    allowed((sum(np.size(a) for a in parts),))
    return np.stack(parts, axis=int(op.attributes.get("axis", 0) or 0))


def _tiled(op: Op, a: Array, multiples: Array) -> Array:
    times = [int(n) for n in multiples]
    allowed([n * m for n, m in zip(a.shape, times, strict=True)])
    return np.tile(a, times)


def _range(op: Op, start: Array, stop: Array, step: Array) -> Array:
    allowed((max(0, math.ceil((float(stop) - float(start)) / float(step))),))
    return np.asarray(np.arange(*[np.asarray(n).item() for n in (start, stop, step)]))


def _taken(op: Op, a: Array, indices: Array, axis: Array) -> Array:
    where = int(axis) % a.ndim
    allowed((np.size(indices) * a.size // max(a.shape[where], 1),))
    return np.take(a, np.asarray(indices, int), axis=where)


def _padded(op: Op, a: Array, amounts: Array, fill: Any = 0.0) -> Array:
    allowed(_grown(a, amounts))
    return np.pad(a, np.asarray(amounts, int), constant_values=float(fill))


def _mirrored(op: Op, a: Array, amounts: Array) -> Array:
    allowed(_grown(a, amounts))
    mode = str(op.attributes.get("mode", "REFLECT"))
    return np.pad(a, np.asarray(amounts, int), "reflect" if mode == "REFLECT" else "symmetric")


def _product(op: Op, a: Array, b: Array) -> Array:
    a = a.T if op.attributes.get("transpose_a") else a
    b = b.T if op.attributes.get("transpose_b") else b
    if a.ndim != 2 or b.ndim != 2:
        raise Unreadable("a product of other axes")
    allowed((a.shape[0], b.shape[1]))
    # BLAS does some ten of these in the time of one number elsewhere.
    work.spend(a.shape[0] * a.shape[1] * b.shape[1] // 10)
    return np.asarray(np.matmul(a, b))


def _matrices(op: Op, a: Array, b: Array) -> Array:
    a = np.swapaxes(a, -1, -2) if op.attributes.get("adj_x") else a
    b = np.swapaxes(b, -1, -2) if op.attributes.get("adj_y") else b
    batch = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    work.spend(math.prod(batch) * a.shape[-2] * a.shape[-1] * b.shape[-1])
    allowed((*batch, a.shape[-2], b.shape[-1]))
    return np.asarray(np.matmul(a, b))


def _diagonal(op: Op, a: Array, *settings: Array) -> Array:
    """A square matrix with the given diagonal and zeros beside it."""
    if a.ndim != 1 or (settings and np.any(np.asarray(settings[0]) != 0)):
        raise Unreadable("a matrix with another diagonal")
    allowed((len(a), len(a)))
    return np.diag(a)


def _sum_of_products(op: Op, *arrays: Array) -> Array:
    equation = str(op.attributes.get("equation", "")).replace(" ", "")
    operands, _, output = equation.partition("->")
    terms = operands.split(",")
    rest = max((np.ndim(a) - len(t) + 3 for t, a in zip(terms, arrays, strict=True) if "..." in t),
               default=0)  # fmt: skip
    unused = [chr(c) for c in range(ord("A"), ord("Z") + 1) if chr(c) not in equation][:rest]
    terms = [
        t.replace("...", "".join(unused[rest - (np.ndim(a) - len(t) + 3) :])) if "..." in t else t
        for t, a in zip(terms, arrays, strict=True)
    ]
    output = output.replace("...", "".join(unused))
    letters: dict[str, int] = {}
    for names, array in zip(terms, arrays, strict=True):
        letters |= dict(zip(names, np.shape(array), strict=True))
    work.spend(math.prod(letters.values()))
    allowed([letters[name] for name in output])
    return np.asarray(np.einsum(f"{','.join(terms)}->{output}", *arrays, optimize=True))


def _resized(op: Op, a: Array, size: Array) -> Array:
    """Bilinear, along one axis after the other."""
    for axis, length in zip((1, 2), np.asarray(size, int), strict=True):
        allowed((*a.shape[:axis], int(length), *a.shape[axis + 1 :]))
        a = _stretched(np.asarray(a, np.float64), axis, int(length), op)
    return a


def _stretched(a: Array, axis: int, length: int, op: Op) -> Array:
    before = a.shape[axis]
    at = np.arange(length, dtype=np.float64)
    if op.attributes.get("align_corners"):
        at *= (before - 1) / max(length - 1, 1)
    elif op.attributes.get("half_pixel_centers"):
        at = (at + 0.5) * before / length - 0.5
    else:
        at *= before / length
    at = np.clip(at, 0, before - 1)
    low = np.floor(at).astype(int)
    high = np.minimum(low + 1, before - 1)
    share = (at - low).reshape([-1 if i == axis else 1 for i in range(a.ndim)])
    return np.asarray(np.take(a, low, axis) * (1 - share) + np.take(a, high, axis) * share)


def _kept_size(op: Op, a: Array, size: Array) -> Array:
    if tuple(a.shape[1:3]) != tuple(int(n) for n in size):
        raise Unreadable(f"{op.op} to another size")
    return a


def _shape_of(op: Op) -> tuple[int, ...]:
    shape = op.outputs[0][1]
    if shape is None or any(n < 0 for n in shape):
        raise Unreadable(f"{op.op} to a size that is not known")
    return shape


def _parts(op: Op, a: Array, sizes: Array, axis: Array) -> list[Array]:
    return np.split(a, np.cumsum(np.asarray(sizes, int))[:-1], axis=int(axis))


def _split_evenly(op: Op, axis: Array, a: Array) -> list[Array]:
    return np.split(a, int(op.attributes["num_split"]), axis=int(axis))


def _unpacked(op: Op, a: Array) -> list[Array]:
    axis = int(op.attributes.get("axis", 0) or 0)
    return [np.squeeze(part, axis) for part in np.split(a, a.shape[axis], axis=axis)]


def _transposed_convolution(op: Op, sizes: Array, kernel: Array, y: Array) -> Array:
    """What a convolution would have received: of stride 1, a convolution with the kernel turned."""
    if any(n != 1 for n in [*op.attributes["strides"], *(op.attributes.get("dilations") or [1])]):
        raise Unreadable("a transposed convolution with a stride")
    turned = np.ascontiguousarray(kernel[::-1, ::-1].transpose(0, 1, 3, 2))
    layout = layout_of(op)
    same = op.attributes.get("padding") == "SAME"
    pads = []
    for n in kernel.shape[:2]:
        before = (n - 1) // 2 if same else 0
        pads += [n - 1 - before, n - 1 - (n - 1 - before if same else 0)]
    padding = (pads[0], pads[1], pads[2], pads[3])
    found = convolve(channels_last(y, layout), turned, (1, 1), padding, (1, 1))
    return as_laid_out(found, layout)


def _flat_convolution(op: Op, x: Array, kernel: Array) -> Array:
    """A 3-D convolution along an axis of one place."""
    axis = next((i for i in (1, 2, 3) if x.shape[i] == 1 and kernel.shape[i - 1] == 1), None)
    if axis is None or op.attributes.get("data_format", "NDHWC") != "NDHWC":
        raise Unreadable("a 3-D convolution")
    given = {"strides": op.attributes["strides"], "dilations": op.attributes.get("dilations")}
    plain = {k: [n for i, n in enumerate(v or [1] * 5) if i != axis] for k, v in given.items()}
    attributes = {**op.attributes, **plain, "data_format": "NHWC"}
    two = replace(op, op="Conv2D", attributes=attributes)
    return np.expand_dims(convolution(two, x.squeeze(axis), kernel.squeeze(axis - 1)), axis)


def _space_to_batch(op: Op, x: Array, block: Array, pads: Array) -> Array:
    steps = [int(n) for n in block]
    count = len(steps)
    amounts = [(0, 0), *[(int(a), int(b)) for a, b in pads]]
    amounts += [(0, 0)] * (x.ndim - len(amounts))
    allowed(_grown(x, np.asarray(amounts)))
    x = np.pad(x, amounts)
    split: list[int] = [x.shape[0]]
    for size, step in zip(x.shape[1:], steps, strict=False):
        split += [size // step, step]
    rest = x.shape[1 + count :]
    x = x.reshape(*split, *rest)
    within, across = [2 + 2 * i for i in range(count)], [1 + 2 * i for i in range(count)]
    behind = range(1 + 2 * count, x.ndim)
    x = x.transpose(*within, 0, *across, *behind)
    return x.reshape(-1, *x.shape[count + 1 :])


def _batch_to_space(op: Op, x: Array, block: Array, crops: Array) -> Array:
    steps = [int(n) for n in block]
    count = len(steps)
    x = x.reshape(*steps, x.shape[0] // math.prod(steps), *x.shape[1:])
    order = [count]
    for i in range(count):
        order += [count + 1 + i, i]
    x = x.transpose(*order, *range(2 * count + 1, x.ndim))
    sizes = [x.shape[1 + 2 * i] * x.shape[2 + 2 * i] for i in range(count)]
    x = x.reshape(x.shape[0], *sizes, *x.shape[1 + 2 * count :])
    kept = [slice(int(a), n - int(b)) for n, (a, b) in zip(sizes, crops, strict=True)]
    return x[(slice(None), *kept)]


def _patches(op: Op, x: Array) -> Array:
    """What lies under a window at each place, side by side."""
    window, strides, rates = (sides_of(op, name) for name in ("ksizes", "strides", "rates"))
    padding, size = places(op, (x.shape[1], x.shape[2]), window, strides, rates)
    allowed((len(x), *size, math.prod(window) * x.shape[3]))
    parts = [part for _, _, part in windows(x, window, strides, padding, rates, 0.0)]
    return np.concatenate(parts, axis=3)


# --- the tables ----------------------------------------------------------------------------

ONE: dict[str, Callable[..., Array]] = {
    "Identity": lambda op, a: a,
    "StopGradient": lambda op, a: a,
    "PreventGradient": lambda op, a: a,
    "Snapshot": lambda op, a: a,
    "EnsureShape": lambda op, a: a,
    "CheckNumerics": lambda op, a: a,
    "PlaceholderWithDefault": lambda op, a: a,
    "ReadVariableOp": lambda op, a: a,
    "Cast": lambda op, a: a,
    "LeakyRelu": _leaky,
    "Conv2D": convolution,
    "DepthwiseConv2dNative": convolution,
    "Conv2DBackpropInput": _transposed_convolution,
    "Conv3D": _flat_convolution,
    "SpaceToBatchND": _space_to_batch,
    "BatchToSpaceND": _batch_to_space,
    "ExtractImagePatches": _patches,
    "AvgPool": pooling,
    "MaxPool": pooling,
    "MaxPoolV2": lambda op, a, size, strides: pooling(_with_window(op, size, strides), a),
    "Softmax": lambda op, a: softmax(a),
    "LogSoftmax": lambda op, a: softmax(a, logarithm=True),
    "Shape": lambda op, a: np.array(np.shape(a), np.int64),
    "Size": lambda op, a: np.array(np.size(a)),
    "Rank": lambda op, a: np.array(np.ndim(a)),
    "Reshape": lambda op, a, shape: np.reshape(a, np.asarray(shape, int)),
    "ExpandDims": lambda op, a, axis: np.expand_dims(a, int(axis)),
    "Squeeze": lambda op, a: np.reshape(a, _shape_of(op)),
    "Transpose": lambda op, a, order: np.transpose(a, np.asarray(order, int)),
    "Concat": lambda op, axis, *parts: _concatenated(op, *parts, axis),
    "ConcatV2": _concatenated,
    "Pack": _packed,
    "StridedSlice": _strided_slice,
    "Slice": _slice,
    "Mean": _reduction(np.mean),
    "Sum": _reduction(np.sum),
    "Prod": _reduction(np.prod),
    "Max": _reduction(np.max),
    "Min": _reduction(np.min),
    "All": _reduction(np.all),
    "Any": _reduction(np.any),
    "ArgMax": lambda op, a, axis: np.argmax(a, int(axis)),
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
    "BatchMatMul": _matrices,
    "BatchMatMulV2": _matrices,
    "Einsum": _sum_of_products,
    "Pad": _padded,
    "PadV2": _padded,
    "MirrorPad": _mirrored,
    "AddN": lambda op, *a: sum(a[1:], np.asarray(a[0])),
    "BiasAdd": _biased,
    "L2Loss": lambda op, a: np.sum(np.square(a)) / 2,
    "ResizeBilinear": _resized,
    "ResizeNearestNeighbor": _kept_size,
    "ResizeBicubic": _kept_size,
}
"""Op type → the array that it gives, for ops of one output that are no function of numbers."""

SEVERAL: dict[str, Callable[..., list[Array]]] = {
    "IdentityN": lambda op, *a: list(a),
    "Split": _split_evenly,
    "SplitV": _parts,
    "Unpack": _unpacked,
    "FusedBatchNorm": batch_norm,
    "FusedBatchNormV2": batch_norm,
    "FusedBatchNormV3": batch_norm,
}
"""Op type → the arrays that it gives, for ops of several outputs."""
