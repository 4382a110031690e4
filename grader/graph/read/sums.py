"""A sum of convolutions is one convolution of all that they receive, where it is one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from grader.graph.affine import Affine, Term
from grader.graph.canonical import Graph, Node, Segment, Step, Value
from grader.graph.read.axes import channel_axis, lies_like
from grader.graph.read.values import affine_step, joined, with_channels
from grader.graph.symbols import Symbol, Unreadable, expression

MAX_SUMS = 2000
"""Sums of one graph that are looked at as one convolution; each look goes over the graph."""


def one_convolution(graph: Graph, values: tuple[Value, ...]) -> Value | None:
    """A sum of convolutions as one convolution of all that they receive, where it is one.

    conv([a, b]) = conv_a(a) + conv_b(b), with kernels side by side: the same function with the same
    weights. Each has to be as the others are, with a kernel and a bias of its own, and nothing else
    may have taken its maps: a convolution that others see is a layer, not a part of one.
    """
    nodes = [graph.nodes[value.segments[0].node] for value in values if value.segments]
    if any(node.kind != "conv" for node in nodes):
        return None
    offsets = [_bias_alone(value) for value in values]
    if len(nodes) != len(values) or any(offset is None for offset in offsets):
        return None
    first = nodes[0]
    own = [variable for node in nodes for variable in node.trained]
    alike = all(
        node.trained
        and value.axes == values[0].axes
        and (value.segments[0].start, value.segments[0].stop) == (0, node.channels)
        and _geometry(node) == _geometry(first)
        and _side_by_side(node.inputs[0], first.inputs[0])
        for node, value in zip(nodes, values, strict=True)
    )
    if not alike or len(set(own)) != len(own) or first.get("groups") != 1:
        return None
    graph.sums += 1
    if graph.sums > MAX_SUMS or _are_used(graph, {node.index for node in nodes}):
        return None
    segments = joined([s for node in nodes for s in node.inputs[0].segments])
    entry = with_channels(first.inputs[0], segments)
    rows, columns, _, out = first.kernel_shape
    kernels = [_as_kernel(node.kernel, node.kernel_shape) for node in nodes if node.kernel]
    shape = (rows, columns, entry.channels, out)
    node = graph.add(
        "conv",
        (entry,),
        channels=out,
        height=first.height,
        width=first.width,
        kernel=expression("side by side", kernels, lambda *k: np.concatenate(k, axis=2), shape),
        kernel_shape=shape,
        detail=(*[pair for pair in first.detail if pair[0] != "summed"], ("summed", tuple(own))),
        written_as=first.written_as,
        name=first.name,
    )
    value = replace(values[0], segments=(Segment(node.index, 0, out),))
    biases = [symbol for offset in offsets for symbol in offset or ()]
    if not biases:
        return value
    bias = biases[0]
    for other in biases[1:]:
        bias = expression("biases", [bias, other], np.add, bias.shape, keeps_variable=True)
    axis = channel_axis(value)
    column = tuple(out if i == axis else 1 for i in range(len(value.axes)))
    bias = expression("column", [bias], lambda v: v.reshape(column), column, keeps_variable=True)
    return affine_step(value, "add", bias)


def beside(graph: Graph, value: Value) -> Value:
    """Convolutions side by side over the same input as one convolution to all of their maps.

    Each has to be as the others are, with a kernel and a bias of its own, and nothing else may
    have taken its maps.
    """
    segments: list[Segment] = []
    for segment in value.segments:
        whole = _widened(graph, segments[-1], segment, value) if segments else None
        segments[-1:] = (
            [segments[-1], segment] if segments and whole is None else [whole or segment]
        )
    return replace(value, segments=tuple(segments))


def _widened(graph: Graph, left: Segment, right: Segment, like: Value) -> Segment | None:
    """Two convolutions' maps as those of one convolution; None where they are not."""
    nodes = [graph.nodes[left.node], graph.nodes[right.node]]
    values = [replace(like, segments=(segment,)) for segment in (left, right)]
    offsets = [_bias_alone(value) for value in values]
    own = [variable for node in nodes for variable in node.trained]
    if (
        left.node == right.node
        or any(n.kind != "conv" or not n.trained or n.get("groups") != 1 for n in nodes)
        or any((s.start, s.stop) != (0, graph.nodes[s.node].channels) for s in (left, right))
        or nodes[0].inputs[0].key != nodes[1].inputs[0].key
        or _geometry(nodes[0])[:2] + _geometry(nodes[0])[3:]
        != _geometry(nodes[1])[:2] + _geometry(nodes[1])[3:]
        or any(offset is None for offset in offsets)
        or len({bool(offset) for offset in offsets}) > 1
        or len(set(own)) != len(own)
    ):
        return None
    graph.sums += 1
    if graph.sums > MAX_SUMS or _are_used(graph, {node.index for node in nodes}):
        return None
    first = nodes[0]
    rows, columns, received, _ = first.kernel_shape
    out = sum(node.channels for node in nodes)
    kernels = [_as_kernel(node.kernel, node.kernel_shape) for node in nodes if node.kernel]
    shape = (rows, columns, received, out)
    detail = [pair for pair in first.detail if pair[0] not in ("summed", "beside")]
    parts = sum(int(node.get("beside") or 1) for node in nodes)
    node = graph.add(
        "conv",
        first.inputs,
        channels=out,
        height=first.height,
        width=first.width,
        kernel=expression("beside", kernels, lambda *k: np.concatenate(k, axis=3), shape),
        kernel_shape=shape,
        detail=(*detail, ("summed", tuple(own)), ("beside", parts)),
        written_as=first.written_as,
        name=first.name,
    )
    segment = Segment(node.index, 0, out)
    biases = [symbol for offset in offsets for symbol in offset or ()]
    if not biases:
        return segment
    bias = expression(
        "biases beside", biases, lambda *b: np.concatenate(b), (out,), keeps_variable=True
    )
    whole = Affine((Term("add", bias, bias),), out)
    return replace(segment, steps=(Step("affine", affine=whole),))


def _side_by_side(a: Value, b: Value) -> bool:
    """Whether two values can be concatenated over their channels."""
    try:
        axis = channel_axis(b)
        return len(a.axes) == len(b.axes) and axis == channel_axis(a) and lies_like(a, b, axis)
    except Unreadable:
        return False


def _bias_alone(value: Value) -> tuple[Symbol, ...] | None:
    """The trained offset behind one whole node; empty for none, None where anything else stands
    there."""
    if len(value.segments) != 1:
        return None
    steps = value.segments[0].steps
    if not steps:
        return ()
    affine = steps[0].affine
    if len(steps) > 1 or affine is None or len(affine.terms) != 1:
        return None
    term = affine.terms[0]
    own = term.operation == "add" and term.origin.bare is not None and term.symbol.statistics == ()
    if not own or term.origin.size != value.channels:
        return None
    shape = (value.channels,)
    return (expression("vector", [term.origin], lambda v: v.reshape(shape), shape, True),)


def _geometry(node: Node) -> tuple[Any, ...]:
    """What convolutions have to share so that their sum is one."""
    rows, columns, _, out = node.kernel_shape
    settings = [node.get(name) for name in ("strides", "padding", "dilations", "groups")]
    entry = node.inputs[0]
    return (
        rows, columns, out, node.height, node.width, entry.height, entry.width, entry.batch,
        *settings,
    )  # fmt: skip


def _are_used(graph: Graph, nodes: set[int]) -> bool:
    """Whether anything receives one of some nodes already."""
    return any(s.node in nodes for n in graph.nodes for v in n.inputs for s in v.segments)


def _as_kernel(kernel: Symbol, shape: tuple[int, ...]) -> Symbol:
    """A kernel in four axes; that of a fully connected layer has two."""
    if kernel.shape == shape:
        return kernel
    return expression(f"kernel {shape}", [kernel], lambda v: v.reshape(shape), shape)
