"""The canonical graph, computed beside the trace that it was read from; see `proof.py`."""

from __future__ import annotations

import math
import weakref
from collections import defaultdict
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from grader.graph import work
from grader.graph.canonical import Graph, Node, Segment, Statistic, Step, Value
from grader.graph.maps import CALL
from grader.graph.numeric import EMITTERS, arranged, as_map
from grader.graph.program import Instruction, Numbers
from grader.graph.read.values import part_of
from grader.graph.symbols import Symbol, Unreadable, Values

Array = NDArray[Any]

TOLERANCE = 1e-4
"""Largest accepted difference, as a share of the largest number (at least of 1)."""


class Disagreement(Exception):
    """The trace and the canonical graph give different numbers; says where."""


class Beside:
    """Computes the canonical graph with the numbers that the trace drew or nobody knows.

    What it cannot compute by itself are random numbers, and steps by numbers of which the reader
    knows nothing: `learn` takes those over from the trace.

    Attributes:
        maps: By node, (N, H, W, C); those of inputs and convolutions are given.
        strange: Nodes that are no maps, and those that cannot be computed because of one: the op
            that gives them has no place in a network, which is a finding of its own.
    """

    def __init__(self, graph: Graph, arrays: list[Array], batch: int, dtype: type) -> None:
        self.graph, self.batch, self.dtype = graph, batch, dtype
        me = weakref.proxy(self)  # no cycle: all of it is freed as soon as nobody needs it
        self.values = Values(arrays, lambda statistic: me._positions(statistic))
        self.numbers = Numbers(self.values)
        self.maps: dict[int, Array] = {}
        self.strange: set[int] = set()
        self.last: tuple[str, Array] = ("", np.zeros((0, 0)))
        self.learnt: dict[tuple[int, int], list[tuple[Segment, Array]]] = defaultdict(list)

    def can_compute(self, symbol: Symbol) -> bool:
        """Whether a tensor that is the same for every image has numbers here."""
        try:
            symbol.value(self.values)
        except Unreadable:
            return False
        return True

    def is_strange(self, value: Value) -> bool:
        """Whether a value holds something that is no map."""
        return bool(self.strange) and any(s.node in self.strange for s in value.segments)

    def output(self, value: Value) -> Array:
        """A value in its own axes."""
        return arranged(self.value(value), value)

    def value(self, value: Value) -> Array:
        """A value as (N, H, W, C)."""
        pieces = [self._segment(segment) for segment in value.segments]
        work.spend(sum(piece.size for piece in pieces))
        whole = pieces[0] if len(pieces) == 1 else np.concatenate(pieces, axis=3)
        if whole.shape[1:] != (value.height, value.width, value.channels):
            raise Unreadable("a map of another shape than it says")
        return whole

    def node(self, node: Node) -> Array:
        """A node's output, computed from the maps before it."""
        inputs = [self.value(value) for value in node.inputs]
        if node.kind in ("conv", "depthwise"):
            names = ("strides", "padding", "dilations", "groups")
            settings = (node.kernel_shape, *[node.get(name) for name in names])
            return self._emitted(node.kind, settings, [self.kernel(node)], inputs)
        if node.kind == "constant":
            shape = (node.height, node.width, node.channels)
            (array,) = self.numbers.of(Instruction("constant", shape=shape, node=node))
            return np.broadcast_to(array.astype(self.dtype), (self.batch, *shape))
        if node.kind == "softmax":
            return self._emitted("softmax", (bool(node.get("logarithm")),), [], inputs)
        if node.kind in ("add", "multiply"):
            return self._emitted(node.kind, (), [], inputs)
        raise Unreadable(f"the operation {node.written_as or node.kind}")

    def kernel(self, node: Node) -> Array:
        """The numbers of a convolution's kernel, in four axes."""
        if node.kernel is None or math.prod(node.kernel_shape) != node.kernel.size:
            raise Unreadable("a convolution without a kernel")
        kernel = node.kernel.value(self.values).reshape(node.kernel_shape)
        return kernel.astype(self.dtype, copy=False)

    def _positions(self, statistic: Statistic) -> Array:
        """What a batch statistic is taken of; mean and variance ask one after the other."""
        if self.last[0] != statistic.key:
            value = self.value(statistic.value)
            self.last = (statistic.key, value.reshape(-1, value.shape[3]))
        return self.last[1]

    def _emitted(
        self, kind: Any, settings: tuple[Any, ...], arrays: list[Array], inputs: list[Array]
    ) -> Array:
        work.spend(CALL + 2 * sum(x.size for x in inputs))
        found = EMITTERS[kind](Instruction(kind, settings=settings), arrays, *inputs)
        return found.astype(self.dtype, copy=False)

    def _step(self, x: Array, step: Step) -> Array:
        if step.affine is not None:
            shape = (x.shape[1], x.shape[2], x.shape[3])
            of = Instruction("affine", shape=shape, affine=step.affine, start=step.start)
            arrays: list[Array] = [a.astype(self.dtype) for a in self.numbers.of(of)]
            return self._emitted("affine", (), arrays, [x])
        if step.kind == "dropout":
            return x  # of the rate 0: others are known from the trace
        settings = (step.detail[1],) if step.kind == "pointwise" else step.detail
        return self._emitted(step.kind, settings, [], [x])

    def whole_node(self, value: object) -> Node | None:
        """The node whose output a value is, whole and without a step; None where it is not."""
        if not isinstance(value, Value) or len(value.segments) != 1:
            return None
        segment = value.segments[0]
        node = self.graph.nodes[segment.node]
        whole = (segment.start, segment.stop, segment.steps) == (0, node.channels, ())
        return node if whole else None

    def knows(self, value: Value) -> bool:
        """Whether a value can be computed, but for what becomes of it in its last step."""
        return all(
            not s.steps or not _is_unknown(s.steps[-1]) or self._found(s) is not None
            for s in value.segments
        )

    def learn(self, value: Value, array: Array, random: bool) -> Array:
        """Take over the numbers of a value whose last step is not known.

        Args:
            value: What it is read as.
            array: What the trace gives.
            random: Whether the trace has drawn numbers here. Where this step on these numbers is
                known already, the numbers drawn before count: what is read as the same is dropped
                alike.

        Returns:
            What the tensor counts as from here on.

        Raises:
            Disagreement: It is read as dropout, and is none.
        """
        numbers: Array = as_map(array, value).astype(self.dtype, copy=False)
        at, parts = 0, []
        for segment in value.segments:
            part = numbers[..., at : at + segment.width]
            at += segment.width
            if segment.steps and _is_unknown(segment.steps[-1]):
                if segment.steps[-1].kind == "dropout":
                    before = self._segment(replace(segment, steps=segment.steps[:-1]))
                    _require_dropout(before, part, segment.steps[-1])
                found = self._found(segment)
                if found is None:
                    self.learnt[segment.node, len(segment.steps)].append((segment, part))
                part = part if found is None else found
            parts.append(part)
        return arranged(np.concatenate(parts, axis=3), value) if random else array

    def _found(self, segment: Segment) -> Array | None:
        for known, numbers in self.learnt.get((segment.node, len(segment.steps)), ()):
            low, high = segment.start - known.start, segment.stop - known.start
            if low >= 0 and high <= known.width and part_of(known, low, high).key == segment.key:
                return numbers[..., low:high]
        return None

    def _segment(self, segment: Segment) -> Array:
        x, left = self._begun(segment)
        for step in left:
            x = self._step(x, step)
        return x

    def _begun(self, segment: Segment) -> tuple[Array, tuple[Step, ...]]:
        """A segment behind its last step that is not known, and the steps that are left."""
        for count in range(len(segment.steps), 0, -1):
            if _is_unknown(segment.steps[count - 1]):
                x = self._found(replace(segment, steps=segment.steps[:count]))
                if x is None:
                    raise Unreadable("numbers that the trace has not given")
                return x, segment.steps[count:]
        if segment.node not in self.maps:
            raise Unreadable("a value from nowhere")
        return self.maps[segment.node][..., segment.start : segment.stop], segment.steps


def _is_unknown(step: Step) -> bool:
    """Whether a step is by numbers that are drawn, or of which the reader knows nothing."""
    if step.affine is not None:
        return any(t.symbol.kind == "opaque" for t in step.affine.terms)
    return step.kind == "noise" or (step.kind == "dropout" and step.detail[0] != 0)


def _require_dropout(before: Array, behind: Array, step: Step) -> None:
    """Refuse what is read as dropout and does something else with the numbers.

    Raises:
        Disagreement: Numbers are neither dropped nor scaled as the step says.
    """
    rate, kind = step.detail
    factor = 1.0 if kind.endswith("not scaled") else 1 / (1 - rate)
    kept = behind != 0
    if not are_close(behind, np.where(kept, before * factor, 0)):
        raise Disagreement("what is read as dropout scales its numbers otherwise")
    dropped = ~kept & (before != 0)
    by_map = dropped.any(axis=(1, 2)) & (kept & (before != 0)).any(axis=(1, 2))
    several = before.shape[1] * before.shape[2] > 1 and dropped.any()
    if several and kind.startswith("spatial") == bool(by_map.any()):
        raise Disagreement("single numbers are read as dropped where whole maps are, or so turned")


def are_close(a: Array, b: Array) -> bool:
    """Whether two arrays hold the same numbers, but for rounding; NaN stands where NaN stands."""
    if a.shape != b.shape:
        return False
    if a is b or a.size == 0:
        return True
    work.spend(3 * a.size)
    with np.errstate(invalid="ignore"):
        difference = np.asarray(a - b)
        np.abs(difference, out=difference)
    if difference.max() <= TOLERANCE:
        return True
    finite = np.isfinite(a) & np.isfinite(b)
    if not np.array_equal(a[~finite], b[~finite], equal_nan=True):
        return False
    largest = float(np.abs(a[finite]).max(initial=1.0))
    return bool((difference[finite] <= TOLERANCE * largest).all())
