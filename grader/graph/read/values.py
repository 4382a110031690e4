"""What is done with a value, whatever op asks for it: steps, slices, factors and offsets."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from grader.graph import work
from grader.graph.affine import Affine, Term
from grader.graph.canonical import Axes, Graph, Segment, Step, Value
from grader.graph.pointwise import Tree, X, classify, substitute
from grader.graph.read.axes import axis_of, channel_axis
from grader.graph.symbols import Symbol, Unreadable, constant, expression

MAX_SEGMENTS = 4096
"""Segments of one value; a value in more pieces is not followed channel by channel."""

MAX_STEPS = 64

MAX_TERMS = 64
"""Additions and multiplications in a row; a batch norm has at most five."""


def with_step(value: Value, step: Callable[[int, Segment], Step], **changes: Any) -> Value:
    """The value with one more step on each segment; `step(first_channel, segment)` makes it."""
    segments = []
    at = 0
    for segment in value.segments:
        if len(segment.steps) >= MAX_STEPS:
            raise Unreadable("too many operations in a row")
        steps = (*segment.steps, step(at, segment))
        segments.append(Segment(segment.node, segment.start, segment.stop, steps))
        at += segment.width
    return replace(value, segments=tuple(segments), **changes)


def joined(segments: list[Segment]) -> tuple[Segment, ...]:
    """Neighbours that continue each other become one segment."""
    joined: list[Segment] = []
    for segment in segments:
        if joined and _continues(joined[-1], segment):
            joined[-1] = replace(joined[-1], stop=segment.stop)
        else:
            joined.append(segment)
    if len(joined) > MAX_SEGMENTS:
        raise Unreadable("too many pieces")
    return tuple(joined)


def _continues(a: Segment, b: Segment) -> bool:
    if a.node != b.node or a.stop != b.start or len(a.steps) != len(b.steps):
        return False
    for one, other in zip(a.steps, b.steps, strict=True):
        if one.kind != other.kind or one.detail != other.detail:
            return False
        if one.affine is not None:
            if other.affine is None or one.affine.key != other.affine.key:
                return False
            if one.start + a.width != other.start:
                return False
    return True


def channel_slice(value: Value, start: int, stop: int) -> tuple[Segment, ...]:
    """Segments of channels start..stop."""
    found = []
    at = 0
    work.spend(work.PIECE // 8 * len(value.segments))
    for segment in value.segments:
        low, high = max(start - at, 0), min(stop - at, segment.width)
        if low < high:
            found.append(part_of(segment, low, high))
        at += segment.width
    return tuple(found)


def part_of(segment: Segment, low: int, high: int) -> Segment:
    """Channels low..high of a segment."""
    steps = tuple(
        replace(s, start=s.start + low) if s.affine is not None else s for s in segment.steps
    )
    return Segment(segment.node, segment.start + low, segment.start + high, steps)


def with_channels(value: Value, segments: tuple[Segment, ...]) -> Value:
    """The value with other segments; its channel axis takes their width."""
    axis = channel_axis(value)
    width = sum(s.width for s in segments)
    axes = list(value.axes)
    axes[axis] = axis_of("C", width)
    return replace(value, axes=tuple(axes), segments=segments)


def _channel_vector(value: Value, symbol: Symbol) -> Symbol:
    """A symbol that is broadcast against a value, as one number or one number a channel.

    Raises:
        Unreadable: It also varies over positions or images.
    """
    rank = len(value.axes)
    if len(symbol.shape) > rank:
        if any(n != 1 for n in symbol.shape[: len(symbol.shape) - rank]):
            raise Unreadable("a constant of more axes")
    if symbol.size == 1:
        return expression("scalar", [symbol], lambda a: np.reshape(a, ()), ())
    shape = (1,) * max(rank - len(symbol.shape), 0) + symbol.shape[-rank:]
    wide = [i for i, n in enumerate(shape) if n != 1]
    axis = channel_axis(value)
    if wide == [axis] and shape[axis] == value.channels:
        channels = value.channels
        return expression("vector", [symbol], lambda a: np.reshape(a, (channels,)), (channels,))
    if symbol.constant is not None and all(
        n in (1, m) for n, m in zip(shape, value.shape, strict=True)
    ):
        flat = symbol.constant.reshape(shape)
        other = tuple(i for i in range(rank) if i != axis)
        first = flat[tuple(slice(0, 1) if i in other else slice(None) for i in range(rank))]
        if np.array_equal(flat, np.broadcast_to(first, flat.shape)):
            vector = first.reshape(-1)
            return constant(vector if vector.size > 1 else vector.reshape(()))
    raise Unreadable("adds or multiplies numbers that differ from place to place")


def affine_step(value: Value, operation: str, symbol: Symbol) -> Value:
    """The value times, or plus, a per-channel symbol; composes with an affine map before it."""
    return affine_steps(value, (operation, symbol))


def affine_steps(value: Value, *given: tuple[str, Symbol]) -> Value:
    """The value multiplied by, or plus, per-channel symbols, one after the other."""
    found = [_term(value, operation, symbol) for operation, symbol in given]
    terms = tuple(term for term in found if term is not None)
    if not terms:
        return value
    last = common_affine(value)
    if last is not None:
        if len(last.terms) + len(terms) > MAX_TERMS:
            raise Unreadable("too many operations in a row")
        terms = (*last.terms, *terms)
        value = without_last_step(value)
    whole = Affine(terms, value.channels)
    return with_step(value, lambda at, _: Step("affine", affine=whole, start=at))


def _term(value: Value, operation: str, symbol: Symbol) -> Term | None:
    """One multiplication or addition; None where it changes nothing."""
    vector = _channel_vector(value, symbol)
    if vector.constant is not None:
        uniform = np.unique(vector.constant)
        if len(uniform) == 1:
            vector = constant(uniform[0].reshape(()).astype(np.float64))
            if uniform[0] == (1 if operation == "multiply" else 0):
                return None
    return Term(operation, vector, symbol, value.key if vector.statistics else "")


def without_last_step(value: Value) -> Value:
    """The value before the last step of each of its segments."""
    before = tuple(Segment(s.node, s.start, s.stop, s.steps[:-1]) for s in value.segments)
    return replace(value, segments=before)


def common_affine(value: Value) -> Affine | None:
    """The affine map that is the last step of all segments and covers them in order."""
    common = None
    at = 0
    for segment in value.segments:
        last = segment.steps[-1] if segment.steps else None
        if last is None or last.affine is None or last.affine.channels != value.channels:
            return None
        if last.start != at or (common is not None and common.key != last.affine.key):
            return None
        common = last.affine
        at += segment.width
    return common


def _uniform(step: Step) -> tuple[float, float] | None:
    """a, b where an affine step is a·x + b with the same numbers for all channels."""
    if step.affine is None:
        return None
    a, b = 1.0, 0.0
    for term in step.affine.terms:
        if term.symbol.constant is None or term.symbol.shape != ():
            return None
        number = float(term.symbol.constant)
        a, b = (a * number, b * number) if term.operation == "multiply" else (a, b + number)
    return a, b


def strip_pointwise(value: Value) -> tuple[Value, Tree]:
    """Take off the trailing functions of one number that all segments share.

    Returns:
        The value before them, and them as one tree.
    """
    tree: Tree = X
    while value.segments and all(s.steps for s in value.segments):
        lasts = [s.steps[-1] for s in value.segments]
        first = lasts[0]
        if first.kind == "pointwise" and all(
            s.kind == "pointwise" and s.detail == first.detail for s in lasts
        ):
            inner: Tree = first.detail[1]
        elif all(s.kind == "affine" for s in lasts):
            pairs = [_uniform(s) for s in lasts]
            if pairs[0] is None or any(p != pairs[0] for p in pairs):
                break
            inner = ("Add", ("Mul", X, ("number", pairs[0][0])), ("number", pairs[0][1]))
        else:
            break
        tree = substitute(tree, inner)
        value = without_last_step(value)
    return value, tree


def without_numbers(value: Value) -> tuple[Value, Tree]:
    """Take off the single numbers that an affine map of several channels ends in.

    Half of a batch norm, 0.5 · (γ·x + β), is a function of one number of that batch norm.
    """
    affine = common_affine(value)
    kept = len(affine.terms) if affine is not None else 0
    tree: Tree = X
    while affine is not None and kept and _is_number(affine.terms[kept - 1]):
        kept -= 1
        term = affine.terms[kept]
        number = ("number", float(np.asarray(term.symbol.constant).reshape(())))
        tree = substitute(tree, ("Mul" if term.operation == "multiply" else "Add", X, number))
    if affine is None or tree == X:
        return value, X
    shorter = Affine(affine.terms[:kept], affine.channels)
    bare = without_last_step(value)
    if not kept:
        return bare, tree
    return with_step(bare, lambda at, _: Step("affine", affine=shorter, start=at)), tree


def _is_number(term: Term) -> bool:
    return term.symbol.constant is not None and term.symbol.shape == ()


def pointwise_step(graph: Graph, base: Value, tree: Tree) -> Value:
    """Apply a function of one number, by its simplest name."""
    name, numbers = classify(tree)
    if name == "identity":
        return base
    if name == "affine":
        if numbers[0] == 0.0:
            return constant_value(graph, base, constant(np.array(numbers[1])))
        factor, offset = (constant(np.array(number)) for number in numbers)
        return affine_steps(base, ("multiply", factor), ("add", offset))
    if name == "relu":
        tree = ("Relu", X)
    step = Step("pointwise", (name, tree, numbers))
    return with_step(base, lambda at, segment: step)


def constant_value(graph: Graph, like: Value, symbol: Symbol) -> Value:
    """A value of the same shape that no longer depends on the image."""
    node = graph.add(
        "constant",
        (),
        channels=like.channels,
        height=like.height,
        width=like.width,
        kernel=symbol,
        detail=(("zero", symbol.is_zero()),),
    )
    return replace(like, segments=(Segment(node.index, 0, like.channels),))


def is_zero(graph: Graph, value: Value) -> bool:
    """Whether a value is zero everywhere, whatever the image."""
    return all(
        graph.nodes[s.node].kind == "constant" and bool(graph.nodes[s.node].get("zero"))
        for s in value.segments
    )


def subsampled(
    value: Value, strides: tuple[int, int], axes: Axes, height: int, width: int
) -> Value:
    """Every second place, or third. A pooling of stride 1 before it is one of that stride.

    What was cropped at the top and left between the two is left out of its padding.
    """
    step = Step("pool", ("mean", (1, 1), strides, (0, 0, 0, 0)))
    tails = [s.steps[-2:] for s in value.segments]
    first = tails[0]
    crop = (0, 0, 0, 0)
    if first and first[-1].kind == "crop" and len(first) == 2:
        crop, first = first[-1].detail, first[:1]
        behind = 2
    else:
        first, behind = first[-1:], 1
    same = all([s.key for s in t] == [s.key for s in tails[0]] for t in tails)
    pool = first[0] if first and first[0].kind == "pool" and same else None
    if pool is None or pool.detail[1] == (1, 1):
        return moved(value, step, axes, height, width)
    mode, window, own, padding = pool.detail
    pads: list[int] = []
    distances: list[int] = []
    for at, (size, count) in enumerate(((value.height, height), (value.width, width))):
        before, after = crop[2 * at : 2 * at + 2]
        edges = padding[2 * at : 2 * at + 2]
        if strides[at] == 1 and before == after == 0:
            pads += edges
            distances.append(own[at])
            continue
        whole = size + before + after + window[at] - 1 - sum(edges)
        start = before - edges[0]
        pads += [-start, max(0, start + (count - 1) * strides[at] + window[at] - whole)]
        moves = (whole + pads[-2] + pads[-1] - window[at]) // strides[at] + 1
        if own[at] != 1 or start > 0 or moves != count:
            return moved(value, step, axes, height, width)
        distances.append(strides[at])
    one = Step("pool", (mode, window, tuple(distances), tuple(pads)))
    shorter = tuple(replace(s, steps=s.steps[:-behind]) for s in value.segments)
    return moved(replace(value, segments=shorter), one, axes, height, width)


def moved(value: Value, step: Step, axes: Axes, height: int, width: int) -> Value:
    """The value with one more step that changes the size of the map."""
    return with_step(value, lambda at, s: step, axes=axes, height=height, width=width)
