"""How reductions, pooling and convolutions are read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from grader.graph.canonical import Atom, Axes, Graph, Segment, Step, Tensor, Value
from grader.graph.maps import Pair, Sides, places, sides_of
from grader.graph.read.arithmetic import add_n
from grader.graph.read.axes import is_laid_out, merged, normalised, standard_axes
from grader.graph.read.norms import batch_statistic
from grader.graph.read.tensors import Read, Rule, integers, value_of
from grader.graph.read.values import affine_step, moved, subsampled, without_last_step
from grader.graph.record import Op
from grader.graph.symbols import Symbol, Unreadable, constant

MAX_PADDED = 2**25
"""Numbers of one map with the padding of the convolution or pooling that reads it."""


def reduction(graph: Graph, op: Op, arguments: list[Tensor]) -> Read:
    """A mean, sum or maximum over places: pooling, or batch statistics."""
    value = value_of(arguments[0])
    rank = len(value.axes)
    over = {normalised(a, rank) for a in integers(arguments[1])}
    if (stacked := _stacked(graph, value)) is not None and over == {stacked[1]}:
        return _over_a_stack(graph, op, *stacked)
    if any(a.role == "N" for i in over for a in value.axes[i]):
        return batch_statistic(op, value, [a for i in sorted(over) for a in value.axes[i]])
    return reduced(op.op, value, over, bool(op.attributes.get("keep_dims", False)))


def _stacked(graph: Graph, value: Value) -> tuple[tuple[Value, ...], int] | None:
    """The maps that a value is a stack of, and the axis they are stacked along."""
    (segment, *others) = value.segments
    node = graph.nodes[segment.node]
    if others or segment.steps or node.written_as != "Pack":
        return None
    axis = normalised(int(node.get("axis") or 0), len(value.axes))
    alike = value.shape[:axis] + value.shape[axis + 1 :]
    whole = value.shape[axis] == len(node.inputs) and all(v.shape == alike for v in node.inputs)
    return (node.inputs, axis) if whole else None


def _over_a_stack(graph: Graph, op: Op, maps: tuple[Value, ...], axis: int) -> Value:
    """The sum or the mean of stacked maps is that of the maps."""
    if op.op not in ("Sum", "Mean"):
        raise Unreadable("over several branches")
    plain = replace(op, outputs=((op.outputs[0][0], maps[0].shape),))
    total = value_of(add_n(graph, plain, list(maps)))
    if op.op == "Mean":
        total = affine_step(total, "multiply", constant(np.array(1.0 / len(maps))))
    if not op.attributes.get("keep_dims", False):
        return total
    return replace(total, axes=(*total.axes[:axis], (), *total.axes[axis:]))


def reduced(operation: str, value: Value, over: set[int], keep: bool) -> Value:
    """The mean, sum or maximum over some tensor axes, as pooling of neighbouring places."""
    atoms = [a for i in sorted(over) for a in value.axes[i]]
    kept: list[tuple[Atom, ...]] = [
        () if i in over else axis for i, axis in enumerate(value.axes) if keep or i not in over
    ]
    roles = {a.role for a in atoms}
    if not atoms:
        return replace(value, axes=tuple(kept))
    if not roles <= {"H", "W"} or operation in ("Min", "Prod"):
        raise Unreadable("a mean over channels" if "C" in roles else "a reduction")
    rows, columns = (_inner(atoms, role) for role in "HW")
    step = Step(
        "pool",
        ("max" if operation == "Max" else "mean", (rows, columns), (rows, columns), (0, 0, 0, 0)),
    )
    height, width = value.height // rows, value.width // columns
    scale = {"H": rows, "W": columns}
    axes: Axes = tuple(
        merged(
            [replace(a, stride=a.stride // scale[a.role]) if a.role in scale else a for a in axis]
        )
        for axis in kept
    )
    result = _pooled(value, step, axes, height, width)
    if operation == "Sum":
        return affine_step(result, "multiply", constant(np.array(float(rows * columns))))
    return result


def _inner(atoms: list[Atom], role: str) -> int:
    """How many neighbouring positions of one role are reduced together."""
    mine = [a for a in atoms if a.role == role]
    if not mine:
        return 1
    if len(mine) != 1 or mine[0].stride != 1:
        raise Unreadable("a reduction over places that are not neighbours")
    return mine[0].size


def _pooled(value: Value, step: Step, axes: Axes, height: int, width: int) -> Value:
    """Pooling as a step; two mean poolings in a row that do not overlap are one."""
    mode, size, strides, padding = step.detail
    if size == (1, 1) and padding == (0, 0, 0, 0):
        return subsampled(value, strides, axes, height, width)
    lasts = [s.steps[-1] if s.steps else None for s in value.segments]
    first = lasts[0]
    plain = size == strides and padding == (0, 0, 0, 0)
    if (
        plain
        and first is not None
        and first.kind == "pool"
        and all(s is not None and s.key == first.key for s in lasts)
        and first.detail[0] == mode
        and first.detail[1] == first.detail[2]
        and first.detail[3] == (0, 0, 0, 0)
    ):
        total = (first.detail[1][0] * size[0], first.detail[1][1] * size[1])
        step = Step("pool", (mode, total, total, (0, 0, 0, 0)))
        value = without_last_step(value)
    return moved(value, step, axes, height, width)


def pooling(graph: Graph, op: Op, arguments: list[Tensor]) -> Read:
    """Pooling over height and width."""
    value = value_of(arguments[0])
    layout = str(op.attributes.get("data_format", "NHWC"))
    if layout not in ("NHWC", "NCHW") or not is_laid_out(value, layout):
        raise Unreadable("pools over other axes than height and width")
    sizes, strides = op.attributes["ksize"], op.attributes["strides"]
    rows, columns = layout.index("H"), layout.index("W")
    if any(sizes[i] != 1 or strides[i] != 1 for i in range(4) if i not in (rows, columns)):
        raise Unreadable("pools over channels")
    window = (int(sizes[rows]), int(sizes[columns]))
    stride = (int(strides[rows]), int(strides[columns]))
    pads, height, width = _padding(value, op, window, stride, (1, 1))
    mode = "mean" if op.op == "AvgPool" else "max"
    step = Step("pool", (mode, window, stride, pads))
    axes = standard_axes(value.batch, height, width, value.channels)
    axes = tuple(axes["NHWC".index(letter)] for letter in layout)
    if window == (1, 1) and stride == (1, 1):
        return value
    return _pooled(value, step, axes, height, width)


def _padding(
    value: Value, op: Op, window: Pair, strides: Pair, dilations: Pair
) -> tuple[Sides, int, int]:
    """(top, bottom, left, right) and the size after the window moved over the map."""
    pads, (height, width) = places(op, (value.height, value.width), window, strides, dilations)
    _refuse_padding(value, pads)
    return pads, height, width


def _refuse_padding(value: Value, pads: Sequence[int]) -> None:
    """A map that is nearly all padding would take any memory when it is computed."""
    top, bottom, left, right = pads
    padded = (value.height + top + bottom) * (value.width + left + right)
    if min(pads) < 0 or value.batch * padded * value.channels > MAX_PADDED:
        raise Unreadable("a padding of an impossible size")


def convolution(graph: Graph, op: Op, arguments: list[Tensor]) -> Read:
    """A convolution, depthwise or not, with the padding that was written out before it."""
    value, kernel = value_of(arguments[0]), arguments[1]
    if not isinstance(kernel, Symbol):
        raise Unreadable("a kernel that depends on the image")
    if len(kernel.shape) != 4:
        raise Unreadable("a kernel of other axes")
    return convolve(graph, op, value, kernel)


def convolve(graph: Graph, op: Op, value: Value, kernel: Symbol) -> Value:
    """One convolution with a kernel of four axes; the op says how it moves."""
    layout = str(op.attributes.get("data_format", "NHWC"))
    if layout not in ("NHWC", "NCHW") or not is_laid_out(value, layout):
        raise Unreadable("over other axes than height and width")
    strides, dilations = sides_of(op, "strides"), sides_of(op, "dilations")
    window = (kernel.shape[0], kernel.shape[1])
    own, height, width = _padding(value, op, window, strides, dilations)
    value, before = _padding_before(value, layout)
    top, bottom, left, right = (a + b for a, b in zip(before, own, strict=True))
    pads = (top, bottom, left, right)
    _refuse_padding(value, pads)
    depthwise = op.op == "DepthwiseConv2dNative"
    channels = kernel.shape[2] * kernel.shape[3] if depthwise else kernel.shape[3]
    groups = 1
    if not depthwise:
        groups, rest = divmod(value.channels, kernel.shape[2])
        if rest or groups < 1 or channels % groups:
            raise Unreadable("a kernel of another width than its input")
    elif kernel.shape[2] != value.channels:
        raise Unreadable("a kernel of another width than its input")
    if depthwise and pads == (0, 0, 0, 0) and dilations == (1, 1):
        mean = _mean_by_weights(value, kernel, strides, layout, height, width)
        if mean is not None:
            return mean
    node = graph.add(
        "depthwise" if depthwise else "conv",
        (value,),
        channels=channels,
        height=height,
        width=width,
        kernel=kernel,
        kernel_shape=tuple(kernel.shape),
        detail=(
            ("strides", strides),
            ("padding", pads),
            ("dilations", dilations),
            ("groups", groups),
        ),
        written_as=op.op,
        name=op.name,
    )
    axes = standard_axes(value.batch, height, width, channels)
    axes = tuple(axes["NHWC".index(letter)] for letter in layout)
    return Value(axes, value.batch, height, width, (Segment(node.index, 0, channels),))


def _mean_by_weights(
    value: Value,
    kernel: Symbol,
    strides: tuple[int, int],
    layout: str,
    height: int,
    width: int,
) -> Value | None:
    """A depthwise convolution whose weights are one constant: average pooling, scaled."""
    if (
        kernel.constant is None
        or kernel.shape[3] != 1
        or np.any(kernel.constant != kernel.constant.flat[0])
    ):
        return None
    window = (kernel.shape[0], kernel.shape[1])
    axes = standard_axes(value.batch, height, width, value.channels)
    axes = tuple(axes["NHWC".index(letter)] for letter in layout)
    step = Step("pool", ("mean", window, strides, (0, 0, 0, 0)))
    weight = float(kernel.constant.flat[0]) * window[0] * window[1]
    return affine_step(
        _pooled(value, step, axes, height, width), "multiply", constant(np.array(weight))
    )


def _padding_before(value: Value, layout: str) -> tuple[Value, tuple[int, int, int, int]]:
    """Zero padding written out before a convolution belongs to the convolution."""
    lasts = [s.steps[-1] if s.steps else None for s in value.segments]
    first = lasts[0] if lasts else None
    if (
        first is None
        or first.kind != "pad"
        or first.detail[4] != 0.0
        or any(s is None or s.key != first.key for s in lasts)
    ):
        return value, (0, 0, 0, 0)
    top, bottom, left, right, _ = first.detail
    height, width = value.height - top - bottom, value.width - left - right
    axes = standard_axes(value.batch, height, width, value.channels)
    return (
        Value(
            tuple(axes["NHWC".index(letter)] for letter in layout),
            value.batch,
            height,
            width,
            without_last_step(value).segments,
        ),
        (top, bottom, left, right),
    )


RULES: dict[str, Rule] = {
    "Mean": reduction,
    "Sum": reduction,
    "Max": reduction,
    "Min": reduction,
    "Prod": reduction,
    "AvgPool": pooling,
    "MaxPool": pooling,
    "MaxPoolV2": pooling,
    "DepthwiseConv2dNative": convolution,
}
