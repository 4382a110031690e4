"""Other spellings of a plain convolution: the same function of the same weights.

A transposed convolution of stride 1, a 3-D convolution of depth 1, one between a splitting of the
places over the batch and its reverse, and a product of patches with a matrix.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np

from grader.graph.canonical import Atom, Axes, Graph, Node, Segment, Step, Tensor, Value
from grader.graph.read.axes import axis_of, is_laid_out, standard_axes
from grader.graph.read.layout import cropped
from grader.graph.read.tensors import Read, Rule, integers, numbers_of, value_of
from grader.graph.read.values import moved
from grader.graph.read.windows import convolution, convolve
from grader.graph.record import Op
from grader.graph.symbols import MAX_ELEMENTS, Symbol, Unreadable, constant, expression

PATCHES = "patches"
"""What a node is `written_as` that is a product of patches and a matrix."""


def transposed(graph: Graph, op: Op, arguments: list[Tensor]) -> Read:
    """A transposed convolution of stride 1: a convolution with the kernel turned round."""
    value, kernel = value_of(arguments[2]), arguments[1]
    if not isinstance(kernel, Symbol) or len(kernel.shape) != 4:
        raise Unreadable("a kernel that depends on the image")
    layout = str(op.attributes.get("data_format", "NHWC"))
    spread = [*op.attributes["strides"], *(op.attributes.get("dilations") or [1])]
    if any(n != 1 for n in spread):
        raise Unreadable("with a stride")
    rows, columns, out, received = kernel.shape
    turned = expression(
        "turned round",
        [kernel],
        lambda k: k[::-1, ::-1].transpose(0, 1, 3, 2),
        (rows, columns, received, out),
        keeps_variable=True,
    )
    pads: list[int] = []
    for size, before in zip((rows, columns), _padding_of_the_other(op, rows, columns), strict=True):
        pads += [size - 1 - before[0], size - 1 - before[1]]
    if min(pads) < 0:
        raise Unreadable("a padding of an impossible size")
    explicit = [0, 0, *pads, 0, 0] if layout == "NHWC" else [0, 0, 0, 0, *pads]
    attributes = {**op.attributes, "padding": "EXPLICIT", "explicit_paddings": explicit}
    return convolve(graph, replace(op, attributes=attributes), value, turned)


def _padding_of_the_other(op: Op, rows: int, columns: int) -> list[tuple[int, int]]:
    """The padding of the convolution that this one turns round."""
    kind = op.attributes.get("padding")
    if kind == "SAME":
        return [((n - 1) // 2, n - 1 - (n - 1) // 2) for n in (rows, columns)]
    if kind == "VALID":
        return [(0, 0), (0, 0)]
    raise Unreadable("with a padding of its own")


def flat(graph: Graph, op: Op, arguments: list[Tensor]) -> Read:
    """A 3-D convolution over maps of which one axis has one place."""
    value, kernel = value_of(arguments[0]), arguments[1]
    if not isinstance(kernel, Symbol) or len(kernel.shape) != 5 or len(value.axes) != 5:
        raise Unreadable("over more than height and width")
    axis = next((i for i in (1, 2, 3) if not value.axes[i] and kernel.shape[i - 1] == 1), None)
    spread = op.attributes.get("dilations") or [1] * 5
    if axis is None or op.attributes.get("data_format", "NDHWC") != "NDHWC":
        raise Unreadable("over more than height and width")
    if op.attributes["strides"][axis] != 1 or op.attributes.get("padding") == "EXPLICIT":
        raise Unreadable("over more than height and width")

    def without(entries: Any, at: int) -> list[Any]:
        return [entry for i, entry in enumerate(entries) if i != at]

    attributes = {
        **op.attributes,
        "data_format": "NHWC",
        "strides": without(op.attributes["strides"], axis),
        "dilations": without(spread, axis),
    }
    shape = tuple(without(kernel.shape, axis - 1))
    plain = expression(f"flat {shape}", [kernel], lambda k: k.reshape(shape), shape, True)
    entry = replace(value, axes=tuple(without(value.axes, axis)))
    result = convolve(graph, replace(op, attributes=attributes), entry, plain)
    return replace(result, axes=(*result.axes[:axis], (), *result.axes[axis:]))


# --- places split over the batch ------------------------------------------------------------


def _spread_axes(value: Value, rows: int, columns: int) -> Axes:
    """(batch, height, width, channels) with every `rows`-th row in one image, and so on."""
    batch, _, _, channels = standard_axes(value.batch, 1, 1, value.channels)

    def within(role: str, step: int) -> tuple[Atom, ...]:
        return (Atom(role, 1, step),) if step > 1 else ()

    def across(role: str, step: int, size: int) -> tuple[Atom, ...]:
        return (Atom(role, step, size // step),) if size > step else ()

    return (
        (*within("H", rows), *within("W", columns), *batch),
        across("H", rows, value.height),
        across("W", columns, value.width),
        channels,
    )


def space_to_batch(graph: Graph, op: Op, arguments: list[Tensor]) -> Read:
    """Every second row and column in images of their own, as for a dilated convolution."""
    value, block = value_of(arguments[0]), integers(arguments[1])
    pads = np.asarray(numbers_of(arguments[2])).astype(int).reshape(-1, 2)
    if not is_laid_out(value, "NHWC") or len(block) != len(pads) or len(block) > 2:
        raise Unreadable("splits the map over the batch")
    rows, columns = (*block, 1)[:2]
    top, bottom, left, right = (int(n) for n in [*pads.reshape(-1), 0, 0][:4])
    if pads.any():
        height, width = value.height + top + bottom, value.width + left + right
        axes = standard_axes(value.batch, height, width, value.channels)
        step = Step("pad", (top, bottom, left, right, 0.0))
        value = moved(value, step, axes, height, width)
    if min(rows, columns) < 1 or value.height % rows or value.width % columns:
        raise Unreadable("splits the map over the batch")
    return replace(value, axes=_spread_axes(value, rows, columns))


def batch_to_space(graph: Graph, op: Op, arguments: list[Tensor]) -> Read:
    """The reverse of it."""
    value, block = value_of(arguments[0]), integers(arguments[1])
    crops = [int(n) for n in np.asarray(numbers_of(arguments[2])).reshape(-1)]
    rows, columns = (*block, 1)[:2]
    if len(crops) != 2 * len(block) or value.axes != _spread_axes(value, rows, columns):
        raise Unreadable("splits the map over the batch")
    whole = standard_axes(value.batch, value.height, value.width, value.channels)
    top, bottom, left, right = [*crops, 0, 0][:4]
    return cropped(graph, replace(value, axes=whole), (top, bottom, left, right))


def convolution_of_any(graph: Graph, op: Op, arguments: list[Tensor]) -> Read:
    """A convolution; between a splitting of places and its reverse, one with a dilation."""
    value, kernel = value_of(arguments[0]), arguments[1]
    if op.op == "Conv2D" and isinstance(kernel, Symbol):
        patches = _of_patches(graph, value, kernel)
        if patches is not None and _is_one_place(op, kernel):
            return patches
    steps = _spread_by(value)
    if steps is None:
        return convolution(graph, op, arguments)
    plain = [*op.attributes["strides"], *(op.attributes.get("dilations") or [1])]
    if op.attributes.get("padding") != "VALID" or any(n != 1 for n in plain):
        raise Unreadable("over other axes than height and width")
    whole = standard_axes(value.batch, value.height, value.width, value.channels)
    attributes = {**op.attributes, "dilations": [1, *steps, 1]}
    entry = replace(value, axes=whole)
    result = value_of(convolution(graph, replace(op, attributes=attributes), [entry, kernel]))
    return replace(result, axes=_spread_axes(result, *steps))


def _spread_by(value: Value) -> tuple[int, int] | None:
    """How far apart the places of one image stand, where they were split over the batch."""
    if len(value.axes) != 4 or len(value.axes[0]) < 2:
        return None
    steps = {atom.role: atom.size for atom in value.axes[0]}
    rows, columns = steps.get("H", 1), steps.get("W", 1)
    return (rows, columns) if value.axes == _spread_axes(value, rows, columns) else None


# --- patches and a matrix -------------------------------------------------------------------


def patches_of(graph: Graph, op: Op, arguments: list[Tensor]) -> Read:
    """What lies under a moving window, place after place: a convolution with ones and zeros."""
    value = value_of(arguments[0])
    _, rows, columns, _ = op.attributes["ksizes"]
    count = rows * columns * value.channels
    if count * count > MAX_ELEMENTS:
        raise Unreadable("patches of too many maps")
    kernel = constant(np.eye(count).reshape(rows, columns, value.channels, count))
    attributes = {**op.attributes, "dilations": op.attributes.get("rates") or [1, 1, 1, 1]}
    return convolve(graph, replace(op, attributes=attributes), value, kernel)


def _is_one_place(op: Op, kernel: Symbol) -> bool:
    return kernel.shape[:2] == (1, 1) and all(n == 1 for n in op.attributes["strides"])


def _of_patches(graph: Graph, value: Value, kernel: Symbol) -> Value | None:
    """A 1×1 convolution of patches as the convolution that it is; None for any other."""
    found = _picked(graph, value) or _shifted(value)
    if found is None or not value.axes or value.axes[-1] != axis_of("C", value.channels):
        return None
    entry, size, rows, detail = found
    out = kernel.shape[-1]
    shape = (*size, entry.channels, out)
    if kernel.size != math.prod(shape):
        return None
    whole = expression(
        f"patches {shape}",
        [kernel],
        lambda k: k.reshape(-1, out)[rows].reshape(shape),
        shape,
        keeps_variable=True,
    )
    node = graph.add(
        "conv",
        (entry,),
        channels=out,
        height=value.height,
        width=value.width,
        kernel=whole,
        kernel_shape=shape,
        detail=detail,
        written_as=PATCHES,
    )
    axes = (*value.axes[:-1], axis_of("C", out))
    return Value(axes, value.batch, value.height, value.width, (Segment(node.index, 0, out),))


Patches = tuple[Value, tuple[int, int], np.ndarray[Any, Any], tuple[tuple[str, Any], ...]]
"""What the patches are of, their size, where each place stands among them, and how they move."""


def _picked(graph: Graph, value: Value) -> Patches | None:
    """Patches that a convolution with a kernel of ones and zeros gives: each place once."""
    if len(value.segments) != 1 or value.segments[0].steps:
        return None
    node: Node = graph.nodes[value.segments[0].node]
    numbers = node.kernel.constant if node.kind == "conv" and node.kernel is not None else None
    if numbers is None or node.get("groups") != 1 or value.channels != node.channels:
        return None
    table = np.reshape(numbers, (-1, node.channels))
    if table.shape[0] != table.shape[1] or np.count_nonzero(table) != len(table):
        return None
    rows = np.argmax(table != 0, axis=1)
    if np.any(table[np.arange(len(table)), rows] != 1) or len(set(rows.tolist())) != len(rows):
        return None
    return node.inputs[0], (node.kernel_shape[0], node.kernel_shape[1]), rows, node.detail


def _shifted(value: Value) -> Patches | None:
    """Patches put together from shifted crops of one padded map, side by side."""
    places: list[tuple[int, int]] = []
    maps: list[list[Segment]] = []
    pads = None
    for segment in value.segments:
        if len(segment.steps) < 2 or segment.steps[-1].kind != "crop":
            return None
        pad, crop = segment.steps[-2:]
        if pad.kind != "pad" or pad.detail[4] != 0.0 or pads not in (None, pad.detail):
            return None
        pads = pad.detail
        place = (crop.detail[0], crop.detail[2])
        if not places or places[-1] != place:
            places.append(place)
            maps.append([])
        maps[-1].append(replace(segment, steps=segment.steps[:-2]))
    if pads is None or any([s.key for s in m] != [s.key for s in maps[0]] for m in maps):
        return None
    height, width = max(p[0] for p in places) + 1, max(p[1] for p in places) + 1
    every = [(i, j) for i in range(height) for j in range(width)]
    top, bottom, left, right, _ = pads
    inner = value.height + height - 1 - top - bottom, value.width + width - 1 - left - right
    if sorted(places) != every or min(inner) < 1:
        return None
    channels = sum(s.width for s in maps[0])
    order = [places.index(place) for place in every]
    rows = (np.array(order)[:, None] * channels + np.arange(channels)).reshape(-1)
    entry = Value(standard_axes(value.batch, *inner, channels), value.batch, *inner, tuple(maps[0]))
    detail = (
        ("strides", (1, 1)),
        ("padding", (top, bottom, left, right)),
        ("dilations", (1, 1)),
        ("groups", 1),
    )
    return entry, (height, width), rows, detail


def product_of_patches(graph: Graph, value: Value, kernel: Symbol) -> Value | None:
    """A matrix product over patches as the convolution that it is; None for any other."""
    if not isinstance(kernel, Symbol) or len(kernel.shape) != 2:
        return None
    return _of_patches(graph, value, kernel)


RULES: dict[str, Rule] = {
    "Conv2D": convolution_of_any,
    "Conv2DBackpropInput": transposed,
    "Conv3D": flat,
    "SpaceToBatchND": space_to_batch,
    "BatchToSpaceND": batch_to_space,
    "ExtractImagePatches": patches_of,
}
