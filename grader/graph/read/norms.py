"""How batch statistics, fused batch norms and softmax are read."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np

from grader.graph import work
from grader.graph.canonical import Atom, Graph, Segment, Statistic, Tensor, Value
from grader.graph.read.axes import channel_axis, is_laid_out, standard_axes
from grader.graph.read.tensors import Read, Rule, symbol_of, value_of
from grader.graph.read.values import affine_steps
from grader.graph.record import Op
from grader.graph.symbols import MAX_DEPTH, Symbol, Unreadable, digest, expression, opaque


def batch_statistic(op: Op, value: Value, atoms: list[Atom]) -> Symbol:
    """Mean over batch, height and width: one number a channel."""
    whole = {a for axis in standard_axes(value.batch, value.height, value.width, 1) for a in axis}
    if op.op not in ("Mean", "Sum") or set(atoms) != whole:
        raise Unreadable("statistics over other axes than batch, height and width")
    shape = op.outputs[0][1]
    if shape is None or math.prod(shape) != value.channels:
        raise Unreadable("statistics of another size than the channels")
    depth = depth_of(value)
    count = value.batch * value.height * value.width if op.op == "Sum" else 1
    steps = max((len(s.steps) for s in value.segments), default=0)
    statistic = Statistic(value, value.key, steps, digest("statistic", value.key))

    def compute(assignment: int) -> Any:
        return statistic.moments(assignment)[0].reshape(shape) * count

    variables: frozenset[int] = frozenset()
    return Symbol(
        "statistic",
        shape,
        digest("statistic", value.key, count, shape),
        variables,
        (statistic,),
        compute,
        depth=depth,
    )


def depth_of(value: Value) -> int:
    """How long the chain of operations is that statistics of a value are computed through.

    Raises:
        Unreadable: Too long to be followed.
    """
    affine = [s.affine for segment in value.segments for s in segment.steps if s.affine]
    work.spend(sum(len(a.terms) for a in affine))
    depth = 1 + max((t.symbol.depth for a in affine for t in a.terms), default=0)
    if depth > MAX_DEPTH:
        raise Unreadable("too many operations in a row")
    return depth


def fused_batch_norm(graph: Graph, op: Op, arguments: list[Tensor]) -> Read:
    """A batch norm as one op: a factor and an offset a channel."""
    value = value_of(arguments[0])
    gamma, beta, mean, variance = map(symbol_of, arguments[1:5])
    epsilon = float(op.attributes.get("epsilon", 1e-4))
    layout = "NCHW" if op.attributes.get("data_format") == "NCHW" else "NHWC"
    if not is_laid_out(value, layout):
        raise Unreadable("over other axes than the channels")
    if op.attributes.get("is_training", True):
        steps = max((len(s.steps) for s in value.segments), default=0)
        statistic = Statistic(value, value.key, steps, digest("statistic", value.key))
        shape, depth = (value.channels,), depth_of(value)

        def moment(place: int) -> Symbol:
            return Symbol(
                "statistic",
                shape,
                digest("fused", place, value.key),
                statistics=(statistic,),
                compute=lambda k: statistic.moments(k)[place],
                depth=depth,
            )

        share = float(op.attributes.get("exponential_avg_factor", 1.0))

        def moved(old: Symbol, batch: Symbol) -> Symbol:
            return expression(
                f"moved by {share}", [old, batch], lambda o, b: (1 - share) * o + share * b, shape
            )

        olds = (mean, variance)
        mean, variance = moment(0), moment(1)
        count = value.batch * value.height * value.width
        of_sample = expression(
            f"variance of {count} as a sample",
            [variance],
            lambda v: v * (count / max(count - 1, 1)),
            shape,
        )
        batch = (mean, of_sample)
        averages = batch if share == 1.0 else tuple(map(moved, olds, batch))
    else:
        averages = (mean, variance)
    scale = expression(
        f"fused scale {epsilon}",
        [gamma, variance],
        lambda g, v: g / np.sqrt(v + epsilon),
        gamma.shape,
    )
    shift = expression("fused shift", [beta, mean, scale], lambda b, m, s: b - m * s, beta.shape)
    if layout == "NCHW":
        column = (value.channels, 1, 1)
        scale = expression("column", [scale], lambda v: v.reshape(column), column)
        shift = expression("column", [shift], lambda v: v.reshape(column), column)
    result = affine_steps(value, ("multiply", scale), ("add", shift))
    rest = [opaque(s or (), op.name, i) for i, (_, s) in enumerate(op.outputs[3:])]
    return [result, *averages, *rest]


def softmax(graph: Graph, op: Op, arguments: list[Tensor]) -> Read:
    """A softmax over the classes."""
    value = value_of(arguments[0])
    if channel_axis(value) != len(value.axes) - 1:
        raise Unreadable("a softmax over another axis than the classes")
    node = graph.add(
        "softmax",
        (value,),
        channels=value.channels,
        height=value.height,
        width=value.width,
        detail=(("logarithm", op.op == "LogSoftmax"),),
        written_as=op.op,
        name=op.name,
    )
    return replace(value, segments=(Segment(node.index, 0, value.channels),))


RULES: dict[str, Rule] = {
    "FusedBatchNormV3": fused_batch_norm,
    "FusedBatchNormV2": fused_batch_norm,
    "FusedBatchNorm": fused_batch_norm,
    "Softmax": softmax,
    "LogSoftmax": softmax,
}
