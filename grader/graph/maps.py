"""What is done with maps, in NumPy: convolution, pooling, batch normalisation, softmax.

Maps are (N, H, W, C) here. Every place of a window costs one pass over the map and is counted as
work before it is made.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from grader.graph import work
from grader.graph.record import Op
from grader.graph.symbols import Unreadable

Array = NDArray[Any]
Sides = tuple[int, int, int, int]
"""Top, bottom, left, right."""
Pair = tuple[int, int]
"""Down and across."""

CALL = 2000
"""What one call of NumPy costs, counted in numbers."""
MULTIPLICATIONS = 20
"""How many a processor does in the time of one number elsewhere."""
MAX_POSITIONS = 4096
"""Places of one kernel or pooling window; each costs one pass over the map."""


def layout_of(op: Op) -> str:
    """The order of a map's axes, "NHWC" or "NCHW".

    Raises:
        Unreadable: Another.
    """
    layout = str(op.attributes.get("data_format", "NHWC"))
    if layout not in ("NHWC", "NCHW"):
        raise Unreadable(f"the layout {layout}")
    return layout


def channels_last(x: Array, layout: str) -> Array:
    """A map as (N, H, W, C)."""
    return x if layout == "NHWC" else np.moveaxis(x, 1, 3)


def as_laid_out(x: Array, layout: str) -> Array:
    """What `channels_last` undoes."""
    return x if layout == "NHWC" else np.moveaxis(x, 3, 1)


def sides_of(op: Op, name: str) -> Pair:
    """An attribute of four numbers (strides, ksize, dilations) along height and width."""
    numbers = op.attributes.get(name) if name == "dilations" else op.attributes[name]
    numbers = numbers or [1, 1, 1, 1]
    layout = layout_of(op)
    return int(numbers[layout.index("H")]), int(numbers[layout.index("W")])


def places(op: Op, sizes: Pair, window: Pair, strides: Pair, dilations: Pair) -> tuple[Sides, Pair]:
    """How far a map is padded, and the size that is left when a window has moved over it.

    Args:
        op: For its attributes `padding` and `explicit_paddings`.
        sizes: Height and width of the map.
        window: Of the kernel or pooling window.
        strides: Of the window.
        dilations: Of the kernel.

    Raises:
        Unreadable: The window does not fit, or does not move.
    """
    kind = str(op.attributes.get("padding", "VALID"))
    given = op.attributes.get("explicit_paddings") or []
    pads: list[int] = []
    left: list[int] = []
    if any(n < 1 for n in (*window, *strides, *dilations)):
        raise Unreadable("a window or a stride below 1")
    for i, size in enumerate(sizes):
        reach = (window[i] - 1) * dilations[i] + 1
        if kind == "SAME":
            out = -(-size // strides[i])
            total = max((out - 1) * strides[i] + reach - size, 0)
            before, after = total // 2, total - total // 2
        elif kind == "EXPLICIT" and len(given) == 8:
            at = layout_of(op).index("HW"[i])
            before, after = int(given[2 * at]), int(given[2 * at + 1])
        else:
            before = after = 0
        pads += [before, after]
        left.append((size + before + after - reach) // strides[i] + 1)
    if min(left) < 1:
        raise Unreadable("a window larger than the map")
    return (pads[0], pads[1], pads[2], pads[3]), (left[0], left[1])


def convolution(op: Op, x: Array, kernel: Array) -> Array:
    """What a convolution op gives, depthwise or not."""
    layout = layout_of(op)
    x = channels_last(x, layout)
    strides, dilations = sides_of(op, "strides"), sides_of(op, "dilations")
    window = (kernel.shape[0], kernel.shape[1])
    padding, _ = places(op, (x.shape[1], x.shape[2]), window, strides, dilations)
    if op.op == "DepthwiseConv2dNative":
        result = convolve(x, kernel, strides, padding, dilations, depthwise=True)
    else:
        groups, rest = divmod(x.shape[3], kernel.shape[2])
        if rest:
            raise Unreadable("a kernel of another width than its input")
        result = in_groups(x, kernel, strides, padding, dilations, groups)
    return as_laid_out(result, layout)


def in_groups(
    x: Array, kernel: Array, strides: Pair, padding: Sides, dilations: Pair, groups: int
) -> Array:
    """A convolution of each group of channels by itself; see `convolve`."""
    work.spend(CALL * groups * math.prod(kernel.shape[:2]))
    parts, kernels = np.split(x, groups, axis=3), np.split(kernel, groups, axis=3)
    maps = [
        convolve(a, b, strides, padding, dilations) for a, b in zip(parts, kernels, strict=True)
    ]
    return maps[0] if groups == 1 else np.concatenate(maps, axis=3)


def pooling(op: Op, x: Array) -> Array:
    """What a pooling op gives."""
    layout = layout_of(op)
    x = channels_last(x, layout)
    window, strides = sides_of(op, "ksize"), sides_of(op, "strides")
    if math.prod(op.attributes["ksize"]) != math.prod(window):
        raise Unreadable("pools over channels")
    padding, _ = places(op, (x.shape[1], x.shape[2]), window, strides, (1, 1))
    mode = "mean" if op.op == "AvgPool" else "max"
    return as_laid_out(pool(x, mode, window, strides, padding), layout)


def convolve(
    x: Array,
    kernel: Array,
    strides: tuple[int, int],
    padding: tuple[int, int, int, int],
    dilations: tuple[int, int],
    depthwise: bool = False,
) -> Array:
    """A convolution, as one matrix product for each place of the kernel.

    Args:
        x: (N, H, W, C).
        kernel: (rows, columns, C, out); depthwise (rows, columns, C, multiplier).
        strides: Down and across.
        padding: Zeros at top, bottom, left, right.
        dilations: Down and across.
        depthwise: Whether each channel is convolved by itself.

    Returns:
        (N, H', W', out).
    """
    rows, columns, _, out = kernel.shape
    if rows * columns > MAX_POSITIONS:
        raise Unreadable("a convolution with a giant kernel")
    total: Array | None = None
    for i, j, window in windows(x, (rows, columns), strides, padding, dilations, 0.0):
        places = window.size // max(window.shape[3], 1)
        made = places * out * (window.shape[3] if depthwise else 1)
        work.spend(CALL + window.size + 2 * made)
        if not depthwise:
            work.spend(window.size * out // MULTIPLICATIONS)
        if depthwise:
            part = window[..., None] * kernel[i, j]
            part = part.reshape(*window.shape[:3], -1)
        else:
            part = (window.reshape(-1, window.shape[3]) @ kernel[i, j]).reshape(
                *window.shape[:3], out
            )
        total = part if total is None else total + part
    assert total is not None
    return total


def windows(
    x: Array,
    size: tuple[int, int],
    strides: tuple[int, int],
    padding: tuple[int, int, int, int],
    dilations: tuple[int, int],
    fill: float,
) -> Iterator[tuple[int, int, Array]]:
    """For each place of a window, what lies under it as the window moves over the map.

    Yields:
        (row, column, part of the map), the part (N, H', W', C).
    """
    top, bottom, left, right = padding
    work.spend(2 * x.size)
    x = np.pad(x, ((0, 0), (top, bottom), (left, right), (0, 0)), constant_values=fill)
    height = (x.shape[1] - (size[0] - 1) * dilations[0] - 1) // strides[0] + 1
    width = (x.shape[2] - (size[1] - 1) * dilations[1] - 1) // strides[1] + 1
    for i in range(size[0]):
        for j in range(size[1]):
            row, column = i * dilations[0], j * dilations[1]
            yield (
                i,
                j,
                x[
                    :,
                    row : row + (height - 1) * strides[0] + 1 : strides[0],
                    column : column + (width - 1) * strides[1] + 1 : strides[1],
                ],
            )


def pool(
    x: Array,
    mode: str,
    size: tuple[int, int],
    strides: tuple[int, int],
    padding: tuple[int, int, int, int],
) -> Array:
    """Mean (padding not counted) or maximum under a moving window; (N, H', W', C)."""
    plain = size == strides and padding == (0, 0, 0, 0)
    if plain and x.shape[1] % size[0] == 0 and x.shape[2] % size[1] == 0:
        n, height, width, channels = x.shape
        blocks = x.reshape(n, height // size[0], size[0], width // size[1], size[1], channels)
        return np.asarray(blocks.mean(axis=(2, 4)) if mode == "mean" else blocks.max(axis=(2, 4)))
    if size[0] * size[1] > MAX_POSITIONS:
        raise Unreadable("pooling with a giant window")
    if mode == "max":
        return _over_windows(np.maximum, windows(x, size, strides, padding, (1, 1), -math.inf))
    ones = np.ones((1, *x.shape[1:3], 1), x.dtype)
    total = _over_windows(np.add, windows(x, size, strides, padding, (1, 1), 0.0))
    count = _over_windows(np.add, windows(ones, size, strides, padding, (1, 1), 0.0))
    return np.asarray(total / count)


def _over_windows(
    function: Callable[[Array, Array], Array], parts: Iterable[tuple[int, int, Array]]
) -> Array:
    """One function over what lies under all places of a window, one place at a time."""
    result: Array | None = None
    for _, _, part in parts:
        work.spend(CALL + 2 * part.size)
        result = part if result is None else function(result, part)
    assert result is not None
    return result


def softmax(x: Array, logarithm: bool = False) -> Array:
    """Over the last axis."""
    shifted = x - x.max(axis=-1, keepdims=True)
    total = np.exp(shifted).sum(axis=-1, keepdims=True)
    return np.asarray(shifted - np.log(total) if logarithm else np.exp(shifted) / total)


def batch_norm(
    op: Op, x: Array, gamma: Array, beta: Array, mean: Array, variance: Array
) -> list[Array]:
    """y, the averages after this batch, and the outputs that a gradient would need (zeros)."""
    layout = layout_of(op)
    x = channels_last(x, layout)
    work.spend(6 * x.size)
    averages = [mean, variance]
    if op.attributes.get("is_training", True):
        count = math.prod(x.shape[:3])
        share = float(op.attributes.get("exponential_avg_factor", 1.0))
        olds = [mean, variance]
        mean = x.mean(axis=(0, 1, 2))
        variance = np.square(x - mean).mean(axis=(0, 1, 2))
        averages = [mean, variance * (count / max(count - 1, 1))]
        if share != 1.0:
            averages = [(1 - share) * o + share * b for o, b in zip(olds, averages, strict=True)]
    factor = gamma / np.sqrt(variance + float(op.attributes.get("epsilon", 1e-4)))
    y = x * factor + (beta - mean * factor)
    rest = [np.zeros(shape or ()) for _, shape in op.outputs[3:]]
    return [as_laid_out(y, layout), *averages, *rest]
