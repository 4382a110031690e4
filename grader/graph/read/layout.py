"""How ops are read that move numbers: shapes, slices, concatenation, padding."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import replace
from itertools import accumulate

import numpy as np

from grader.graph import work
from grader.graph.canonical import Graph, Segment, Step, Tensor, Value
from grader.graph.read.axes import (
    axis_of,
    channel_axis,
    is_laid_out,
    lies_like,
    normalised,
    reshape_axes,
    standard_axes,
)
from grader.graph.read.sums import beside
from grader.graph.read.tensors import Read, Rule, integers, numbers_of, symbol_of, value_of
from grader.graph.read.values import (
    MAX_SEGMENTS,
    channel_slice,
    constant_value,
    joined,
    moved,
    part_of,
    subsampled,
    with_channels,
    with_step,
)
from grader.graph.record import Op
from grader.graph.symbols import Symbol, Unreadable, constant

IMAGE_CHANNELS = 4
"""An input of more is no image but maps, as a dense block gets them."""


def identity(graph: Graph, op: Op, arguments: list[Tensor]) -> Read:
    """The tensor as it came."""
    return arguments[0]


def identities(graph: Graph, op: Op, arguments: list[Tensor]) -> Read:
    """Several tensors as they came."""
    return arguments


def stop_gradient(graph: Graph, op: Op, arguments: list[Tensor]) -> Read:
    """The same numbers; no gradient passes."""
    return with_step(value_of(arguments[0]), lambda at, s: Step("stop_gradient"))


def cast(graph: Graph, op: Op, arguments: list[Tensor]) -> Read:
    """Another type of the same numbers."""
    value = value_of(arguments[0])
    target = str(op.attributes.get("DstT", op.outputs[0][0]))
    source = str(op.attributes.get("SrcT", "float32"))
    if target.startswith(("float", "bfloat", "double", "half")):
        return value
    if source == target or (source == "uint8" and target in ("int16", "int32", "int64")):
        return value
    if target in ("uint8", "int16", "int32", "int64") and _is_image(graph, value):
        return value
    raise Unreadable(f"rounds to {target}")


def _is_image(graph: Graph, value: Value) -> bool:
    """Whether a value is the image as it came: bytes, whatever type they travel in."""
    return value.channels <= IMAGE_CHANNELS and all(
        graph.nodes[s.node].kind == "input" and not s.steps for s in value.segments
    )


def shape_of(graph: Graph, op: Op, arguments: list[Tensor]) -> Read:
    """Sizes of a tensor, as constants."""
    shape = value_of(arguments[0]).shape
    if op.op == "Shape":
        return constant(np.array(shape, np.int64))
    return constant(np.array(math.prod(shape) if op.op == "Size" else len(shape), np.int64))


def filled_like(graph: Graph, op: Op, arguments: list[Tensor]) -> Read:
    """Zeros or ones in the shape of a tensor."""
    shape = value_of(arguments[0]).shape
    if math.prod(shape) > 2**22:
        raise Unreadable("numbers in a shape of an impossible size")
    return constant((np.zeros if op.op == "ZerosLike" else np.ones)(shape))


def resize(graph: Graph, op: Op, arguments: list[Tensor]) -> Read:
    """Resizing to the size that the map has already."""
    value = value_of(arguments[0])
    if not is_laid_out(value, "NHWC") or value.shape != op.outputs[0][1]:
        raise Unreadable("resizes the map")
    return value


def reshape(graph: Graph, op: Op, arguments: list[Tensor]) -> Read:
    """Another shape of the same numbers."""
    value = value_of(arguments[0])
    shape = op.outputs[0][1]
    if shape is None or -1 in shape:
        given = integers(arguments[1])
        known = math.prod(n for n in given if n != -1)
        total = math.prod(value.shape)
        shape = tuple(total // known if n == -1 else n for n in given)
    return replace(value, axes=reshape_axes(value.axes, shape))


def resize_rank(graph: Graph, op: Op, arguments: list[Tensor]) -> Read:
    """Axes of length one, added or taken away."""
    value = value_of(arguments[0])
    shape = op.outputs[0][1]
    if shape is None:
        raise Unreadable("a shape that is not known")
    return replace(value, axes=reshape_axes(value.axes, shape))


def transpose(graph: Graph, op: Op, arguments: list[Tensor]) -> Read:
    """Another order of the axes."""
    value = value_of(arguments[0])
    order = integers(arguments[1])
    if sorted(order) != list(range(len(value.axes))):
        raise Unreadable("an order that leaves axes out")
    return replace(value, axes=tuple(value.axes[i] for i in order))


def tile(graph: Graph, op: Op, arguments: list[Tensor]) -> Read:
    """A tensor repeated once."""
    if any(n != 1 for n in integers(arguments[1])):
        raise Unreadable("repeats its input")
    return arguments[0]


def broadcast(graph: Graph, op: Op, arguments: list[Tensor]) -> Read:
    """A tensor broadcast to the shape that it has already."""
    if value_of(arguments[0]).shape != op.outputs[0][1]:
        raise Unreadable("repeats its input")
    return arguments[0]


def concat(graph: Graph, op: Op, arguments: list[Tensor]) -> Read:
    """Maps side by side, over their channels."""
    if op.op == "Concat":
        arguments = [*arguments[1:], arguments[0]]
    *parts, axis = arguments
    values = [p for p in parts if isinstance(p, Value)]
    first = values[0]
    where = normalised(integers(axis)[0], len(first.axes))
    channel_axes = {channel_axis(v) for v in values if v.channels > 1}
    if channel_axes and channel_axes != {where}:
        raise Unreadable("concatenates over another axis than the channels")
    segments: list[Segment] = []
    for part in parts:
        if isinstance(part, Value):
            if not lies_like(part, first, where):
                raise Unreadable("concatenates maps of another size or turned ones")
            segments += part.segments
        else:
            segments += _constant_channels(graph, first, part, where)
    axes = list(first.axes)
    axes[where] = axis_of("C", sum(s.width for s in segments))
    return replace(first, axes=tuple(axes), segments=joined(segments))


def maps_joined(graph: Graph, op: Op, arguments: list[Tensor]) -> Read:
    """Maps side by side; convolutions of one input side by side are one convolution."""
    return beside(graph, value_of(concat(graph, op, arguments)))


def _constant_channels(graph: Graph, like: Value, part: Tensor, axis: int) -> tuple[Segment, ...]:
    if not isinstance(part, Symbol) or len(part.shape) != len(like.axes):
        raise Unreadable("numbers of other axes beside maps")
    width = part.shape[axis]
    node = graph.add(
        "constant",
        (),
        channels=width,
        height=like.height,
        width=like.width,
        kernel=part,
        detail=(("zero", part.is_zero()),),
    )
    return (Segment(node.index, 0, width),)


def split(graph: Graph, op: Op, arguments: list[Tensor]) -> Read:
    """Channels in several pieces."""
    value = value_of(arguments[1] if op.op == "Split" else arguments[0])
    axis = integers(arguments[0] if op.op == "Split" else arguments[2])[0]
    if normalised(axis, len(value.axes)) != channel_axis(value):
        raise Unreadable("splits over another axis than the channels")
    results: list[Tensor] = []
    at = 0
    for _, shape in op.outputs:
        if shape is None or len(shape) != len(value.axes):
            raise Unreadable("pieces of a shape that is not known")
        width = shape[channel_axis(value)]
        results.append(with_channels(value, channel_slice(value, at, at + width)))
        at += width
    return results


def sliced(graph: Graph, op: Op, arguments: list[Tensor]) -> Read:
    """A window: channels are followed, a crop of the map is a step."""
    value = value_of(arguments[0])
    if op.op == "Slice":
        begin, size = integers(arguments[1]), integers(arguments[2])
        windows = [
            (b, n if s == -1 else b + s, 1)
            for b, s, n in zip(begin, size, value.shape, strict=True)
        ]
        return _windowed(graph, value, windows)
    begin, end, strides = (integers(a) for a in arguments[1:4])
    windows, shape = _slice_windows(op, begin, end, strides, value.shape), op.outputs[0][1]
    result = _windowed(graph, value, windows)
    if shape is not None and result.shape != shape:
        result = replace(result, axes=reshape_axes(result.axes, shape))
    return result


def _slice_windows(
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


def _windowed(graph: Graph, value: Value, windows: list[tuple[int, int, int]]) -> Value:
    """A window of each axis: channels are followed, a crop of the map is a step."""
    shape = value.shape
    cut = [i for i, (w, n) in enumerate(zip(windows, shape, strict=True)) if w != (0, n, 1)]
    if not cut:
        return value
    if len(cut) == 1 and value.channels > 1 and cut[0] == channel_axis(value):
        start, stop, step = windows[cut[0]]
        if step == 1:
            return with_channels(value, joined(list(channel_slice(value, start, stop))))
        return with_channels(value, _gathered(value, range(start, stop, step)))
    layout = "NHWC" if is_laid_out(value, "NHWC") else "NCHW" if is_laid_out(value, "NCHW") else ""
    spatial = {layout.index("H"), layout.index("W")} if layout else set()
    if not layout or not set(cut) <= spatial or any(windows[i][2] < 1 for i in cut):
        raise Unreadable("takes a part of the map")
    rows, columns = windows[layout.index("H")], windows[layout.index("W")]
    counts = [len(range(*window)) for window in (rows, columns)]
    if min(counts) < 1:
        raise Unreadable("takes a part of the map")
    ends = [w[0] + (n - 1) * w[2] + 1 for w, n in zip((rows, columns), counts, strict=True)]
    edges = (rows[0], value.height - ends[0], columns[0], value.width - ends[1])
    value = cropped(graph, value, edges, layout)
    strides = (rows[2], columns[2])
    if strides == (1, 1):
        return value
    axes = standard_axes(value.batch, counts[0], counts[1], value.channels)
    axes = tuple(axes["NHWC".index(letter)] for letter in layout)
    return subsampled(value, strides, axes, counts[0], counts[1])


def cropped(
    graph: Graph, value: Value, edges: tuple[int, int, int, int], layout: str = "NHWC"
) -> Value:
    """The map without some rows and columns at its edges.

    Args:
        graph: Where a convolution is put that is padded less for it.
        value: The map.
        edges: How many at the top, the bottom, the left and the right.
        layout: Its axes.
    """
    if edges == (0, 0, 0, 0):
        return value
    height, width = value.height - edges[0] - edges[1], value.width - edges[2] - edges[3]
    axes = standard_axes(value.batch, height, width, value.channels)
    axes = tuple(axes["NHWC".index(letter)] for letter in layout)
    less = _padded_less(graph, value, edges, height, width)
    if less is not None:
        return replace(value, axes=axes, height=height, width=width, segments=less)
    return moved(value, Step("crop", edges), axes, height, width)


def _padded_less(
    graph: Graph, value: Value, edges: tuple[int, int, int, int], height: int, width: int
) -> tuple[Segment, ...] | None:
    """The maps of a convolution that was padded by what is cropped off behind it."""
    segment = value.segments[0]
    node = graph.nodes[segment.node]
    acts_on_numbers = all(s.kind in ("affine", "pointwise") for s in segment.steps)
    if len(value.segments) != 1 or node.kind != "conv" or not acts_on_numbers:
        return None
    pads = node.get("padding")
    less = tuple(pad - edge for pad, edge in zip(pads, edges, strict=True))
    if node.get("strides") != (1, 1) or min(less) < 0:
        return None
    if any(s.affine is not None and _follows_the_batch(s) for s in segment.steps):
        return None  # a batch norm has seen what is cropped off
    same = graph.add(
        "conv",
        node.inputs,
        channels=node.channels,
        height=height,
        width=width,
        kernel=node.kernel,
        kernel_shape=node.kernel_shape,
        detail=tuple((k, less if k == "padding" else v) for k, v in node.detail),
        written_as=node.written_as,
        name=node.name,
    )
    return (replace(segment, node=same.index),)


def _follows_the_batch(step: Step) -> bool:
    return step.affine is not None and any(t.symbol.statistics for t in step.affine.terms)


def _gathered(value: Value, indices: Sequence[int]) -> tuple[Segment, ...]:
    if len(indices) > MAX_SEGMENTS:
        raise Unreadable("picks too many channels one by one")
    work.spend_pieces(len(indices))
    ends = list(accumulate(s.width for s in value.segments))
    pieces: list[Segment] = []
    for index in indices:
        if not 0 <= index < ends[-1]:
            raise Unreadable("picks channels that are not there")
        at = bisect_right(ends, index)
        segment = value.segments[at]
        low = index - (ends[at] - segment.width)
        pieces.append(part_of(segment, low, low + 1))
    return joined(pieces)


def gather(graph: Graph, op: Op, arguments: list[Tensor]) -> Read:
    """Channels picked one by one, or in reverse."""
    value = value_of(arguments[0])
    axis = normalised(integers(arguments[-1])[0], len(value.axes))
    if op.op == "GatherV2" and axis != channel_axis(value):
        return _rows_picked(graph, value, axis, integers(arguments[1]))
    if axis != channel_axis(value) or (op.op == "ReverseV2" and symbol_of(arguments[1]).size != 1):
        raise Unreadable("picks places of the map")
    if op.op == "ReverseV2":
        indices: Sequence[int] = range(value.channels)[::-1]
    else:
        indices = integers(arguments[1])
        if symbol_of(arguments[1]).shape != (len(indices),):
            raise Unreadable("picks channels into several axes")
    return with_channels(value, _gathered(value, indices))


def _rows_picked(graph: Graph, value: Value, axis: int, places: list[int]) -> Value:
    """Rows or columns picked at one distance from each other, as by a slice."""
    step = places[1] - places[0] if len(places) > 1 else 1
    if step < 1 or places != list(range(places[0], places[-1] + 1, step)) or places[0] < 0:
        raise Unreadable("picks places of the map")
    windows = [(0, n, 1) for n in value.shape]
    windows[axis] = (places[0], places[-1] + 1, step)
    return _windowed(graph, value, windows)


def padding_written_out(graph: Graph, op: Op, arguments: list[Tensor]) -> Read:
    """Padding: a step on the map, or constant channels beside it."""
    value = value_of(arguments[0])
    amounts = np.asarray(numbers_of(arguments[1])).astype(int).reshape(-1, 2)
    if not amounts.any():
        return value
    if op.op == "MirrorPad":
        raise Unreadable("reflecting padding")
    fill = float(numbers_of(arguments[2]).reshape(-1)[0]) if op.op == "PadV2" else 0.0
    layout = "NHWC" if is_laid_out(value, "NHWC") else "NCHW" if is_laid_out(value, "NCHW") else ""
    if not layout:
        raise Unreadable("padding")
    by = {letter: amounts[i] for i, letter in enumerate(layout)}
    if by["N"].any() or (by["C"].any() and (by["H"].any() or by["W"].any())):
        raise Unreadable("padding")
    if amounts.min() < 0:
        raise Unreadable("padding")
    if by["C"].any():
        zeros = constant(np.full((1, 1, 1, 1), fill))
        pieces: list[Segment] = []
        for amount, before in ((by["C"][0], True), (by["C"][1], False)):
            if amount:
                like = replace(value, segments=(Segment(0, 0, int(amount)),))
                filler = constant_value(graph, like, zeros).segments
                pieces = [*filler, *pieces] if before else [*pieces, *filler]
            if before:
                pieces = [*pieces, *value.segments]
        return with_channels(value, tuple(pieces))
    top, bottom, left, right = (int(n) for n in (*by["H"], *by["W"]))
    height, width = value.height + top + bottom, value.width + left + right
    axes = standard_axes(value.batch, height, width, value.channels)
    axes = tuple(axes["NHWC".index(letter)] for letter in layout)
    return moved(value, Step("pad", (top, bottom, left, right, fill)), axes, height, width)


RULES: dict[str, Rule] = {
    "Identity": identity,
    "PreventGradient": identity,
    "EnsureShape": identity,
    "CheckNumerics": identity,
    "Snapshot": identity,
    "IdentityN": identities,
    "StopGradient": stop_gradient,
    "Cast": cast,
    "Shape": shape_of,
    "Size": shape_of,
    "Rank": shape_of,
    "ZerosLike": filled_like,
    "OnesLike": filled_like,
    "ResizeBilinear": resize,
    "ResizeNearestNeighbor": resize,
    "ResizeBicubic": resize,
    "Reshape": reshape,
    "Squeeze": resize_rank,
    "ExpandDims": resize_rank,
    "Transpose": transpose,
    "Tile": tile,
    "BroadcastTo": broadcast,
    "ConcatV2": maps_joined,
    "Concat": maps_joined,
    "Split": split,
    "SplitV": split,
    "StridedSlice": sliced,
    "Slice": sliced,
    "GatherV2": gather,
    "ReverseV2": gather,
    "Pad": padding_written_out,
    "PadV2": padding_written_out,
    "MirrorPad": padding_written_out,
}
