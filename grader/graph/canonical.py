"""The canonical graph: what a network computes, in a vocabulary small enough to reason about.

A value is an ordered list of channel segments. Concatenation is not an operation here but that
list; every operation that acts on each channel by itself (batch norm, ReLU, pooling, padding,
dropout) travels along with the segment. So a link that is missing, doubled, sliced, normalised
or scaled on its way is read off the segments that reach a convolution.

    Graph   nodes, output value
    Node    input | conv | depthwise | add | multiply | softmax | constant | foreign
    Value   axes, height, width, segments
    Segment node, start, stop, steps
    Step    affine (per channel) | pointwise | pool | pad | crop | dropout | noise | stop_gradient
            | odd (in the graph that is judged only, see judged.py)
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeVar

import numpy as np

from grader.errors import Cause, StageFailed
from grader.graph import work
from grader.graph.affine import Affine, Array
from grader.graph.drawn import normal
from grader.graph.pointwise import cost, evaluate
from grader.graph.symbols import Symbol, Unreadable, Values, digest

Known = TypeVar("Known")
MAX_NODES = 4096
"""Of a canonical graph; BC L=250 has 253."""
POSITIONS = 64
"""Random positions that batch statistics are tried on."""
MAX_SAMPLE = 2**24
"""Numbers of one such sample."""
WALKED = 20
"""What one step along a graph costs, counted in numbers."""


# --- axes ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Atom:
    """A part of one of the four axes: `size` positions, `stride` apart.

    A reshape splits and merges axes; atoms say which positions went where. The whole height H
    is Atom("H", 1, H).
    """

    role: str
    stride: int
    size: int


Axes = tuple[tuple[Atom, ...], ...]

# --- steps ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Step:
    """One per-channel operation on a segment.

    Attributes:
        kind: affine | pointwise | pool | pad | crop | dropout | noise | stop_gradient.
        detail: Plain, hashable parameters by kind: pointwise (name, tree); pool (mode, size,
            strides, padding); pad (top, bottom, left, right, value); dropout (rate, shape).
        affine: For affine: the map, over all channels of the value it was applied to.
        start: For affine: first channel of the map that belongs to this segment.
    """

    kind: str
    detail: tuple[Any, ...] = ()
    affine: Affine | None = None
    start: int = 0

    @cached_property
    def key(self) -> str:
        """Equal for equal steps."""
        return digest(self.kind, self.detail, self.affine and self.affine.key, self.start)


@dataclass(frozen=True)
class Segment:
    """Channels start..stop of a node's output, after some per-channel steps."""

    node: int
    start: int
    stop: int
    steps: tuple[Step, ...] = ()

    @property
    def width(self) -> int:
        """Channels."""
        return self.stop - self.start

    @property
    def key(self) -> tuple[Any, ...]:
        """Equal for equal segments."""
        return (self.node, self.start, self.stop, tuple(s.key for s in self.steps))


@dataclass(frozen=True)
class Value:
    """A tensor that depends on the image, as ordered channel segments.

    Attributes:
        axes: Which atoms each tensor axis holds, in order.
        batch: Images.
        height: Rows of the map.
        width: Columns of the map.
        segments: Its channels, in order.
    """

    axes: Axes
    batch: int
    height: int
    width: int
    segments: tuple[Segment, ...]

    @property
    def channels(self) -> int:
        """Channels of all segments."""
        return sum(s.width for s in self.segments)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the tensor."""
        return tuple(math.prod([a.size for a in axis]) for axis in self.axes)

    @cached_property
    def key(self) -> str:
        """Equal for equal values, whatever their axes."""
        return digest(self.height, self.width, tuple(s.key for s in self.segments))


@dataclass(frozen=True)
class Node:
    """An operation that mixes channels, places or values.

    Attributes:
        index: Its number; nodes come after what they depend on.
        kind: input | conv | depthwise | add | multiply | softmax | constant | foreign.
        inputs: What it is computed from.
        channels: Output channels.
        height: Output rows.
        width: Output columns.
        kernel: For a convolution: shape (rows, columns, in, out); for a fully connected layer
            on a vector (1, 1, in, out).
        detail: Plain parameters: conv (strides, padding, dilations, groups; summed: the variables
            side by side in its kernel, where it was written as a sum over parts of its input).
        written_as: The TensorFlow op it was read from.
        name: The student's name for the op; hostile, for display only.
    """

    index: int
    kind: str
    inputs: tuple[Value, ...]
    channels: int
    height: int
    width: int
    kernel: Symbol | None = None
    kernel_shape: tuple[int, ...] = ()
    detail: tuple[tuple[str, Any], ...] = ()
    written_as: str = ""
    name: str = ""

    def get(self, name: str) -> Any:
        """One plain parameter."""
        return dict(self.detail).get(name)

    @property
    def trained(self) -> tuple[int, ...]:
        """The variables that its kernel is: one, or several side by side over parts of its input.

        Empty where it has no kernel, or one that is computed.
        """
        if self.kernel is not None and self.kernel.bare is not None:
            return (self.kernel.bare[0],)
        return tuple(self.get("summed") or ())


@dataclass(frozen=True)
class Statistic:
    """The mean of a value over batch, height and width: a batch statistic of training.

    Attributes:
        value: What the mean is taken of.
        of: Key of the value, less the trailing steps that only centre and square it.
        steps: Steps of its longest segment; the shortest of two statistics is the mean.
    """

    value: Value
    of: str
    steps: int
    key: str
    _moments: dict[int, tuple[Array, Array]] = field(
        init=False, default_factory=dict, compare=False
    )

    def moments(self, assignment: int | Values) -> tuple[Array, Array]:
        """Mean and variance of `sample`, one number a channel each."""
        known: dict[Any, tuple[Array, Array]] = (
            assignment.moments if isinstance(assignment, Values) else self._moments
        )
        place = assignment if known is self._moments else self.key
        if place not in known:
            sample = self.sample(assignment)
            known[place] = sample.mean(axis=0), sample.var(axis=0)
        return known[place]

    @property
    def unbiased(self) -> float:
        """By how much the unbiased variance of so many numbers is larger than their own."""
        count = self.value.batch * self.value.height * self.value.width
        return count / (count - 1) if count > 1 else 1.0

    def sample(self, assignment: int | Values) -> Array:
        """Positions of the value, float64 (positions, channels), the same whoever asks.

        Random ones; where variables have given values, those that these give.
        """
        if isinstance(assignment, Values):
            if assignment.sample is None:
                raise Unreadable("batch statistics")
            return assignment.sample(self)
        columns = []
        drawn = POSITIONS * sum(s.stop * (1 + len(s.steps)) for s in self.value.segments)
        if drawn > MAX_SAMPLE:
            raise Unreadable("batch statistics of too many maps")
        work.spend(4 * drawn)
        for segment in self.value.segments:
            base = normal((11, segment.node, assignment), (POSITIONS, segment.stop))
            columns.append(apply_steps(base[:, segment.start :], segment, assignment))
        return np.concatenate(columns, axis=1)


def apply_steps(columns: Array, segment: Segment, assignment: int) -> Array:
    """Apply a segment's affine and pointwise steps to random positions.

    Raises:
        Unreadable: A step is neither.
    """
    for step in segment.steps:
        if step.kind == "affine" and step.affine is not None:
            factor, offset = step.affine.coefficients(0, len(step.affine.terms), assignment)
            part = slice(step.start, step.start + segment.width)
            columns = columns * factor[part] + offset[part]
        elif step.kind == "pointwise":
            work.spend(cost(step.detail[1]) * columns.size)
            columns = evaluate(step.detail[1], columns)
        elif step.kind in ("dropout", "noise", "stop_gradient", "pool", "pad", "crop"):
            continue
        else:
            raise Unreadable(step.kind)
    return columns


@dataclass(frozen=True)
class Noise:
    """A random tensor.

    Attributes:
        shape: Its static shape.
        threshold: What it was compared with: it is zeros and ones.
        factor: What it was multiplied by since then.
        raised: What was added to it; rounded down, it is zeros and ones as well.
    """

    shape: tuple[int, ...] | None
    threshold: float | None = None
    factor: float = 1.0
    raised: float | None = None


Tensor = Symbol | Value | Noise
"""What one output of an op is read as."""


@dataclass
class Graph:
    """A canonical graph under construction, then finished.

    Attributes:
        nodes: In an order in which each comes after what it depends on.
        output: The network's output, None where it has none that can be read.
        updates: Variables the graph assigns, with what to (training graphs).
        trouble: What could not be read at all.
        sums: How many sums were looked at as one convolution.
        tensors: What each output of the trace was read as, by (op, output).
    """

    nodes: list[Node] = field(default_factory=list)
    output: Value | None = None
    updates: dict[int, Symbol | None] = field(default_factory=dict)
    trouble: list[str] = field(default_factory=list)
    sums: int = 0
    tensors: dict[tuple[int, int], Tensor] = field(default_factory=dict)
    _known: dict[str, int] = field(default_factory=dict)
    _found: dict[str, tuple[int, Any, Any]] = field(default_factory=dict)

    def add(self, kind: str, inputs: tuple[Value, ...], **fields: Any) -> Node:
        """A node; the one that is there already where an equal one is."""
        kernel = fields.get("kernel")
        key = digest(
            kind,
            tuple(v.key for v in inputs),
            kernel.key if kernel is not None else "",
            fields.get("detail", ()),
            fields.get("written_as") if kind == "foreign" else "",
            len(self.nodes) if kind == "input" else "",
            [fields.get(n) for n in ("channels", "height", "width")] if kind == "constant" else "",
        )
        if key in self._known:
            return self.nodes[self._known[key]]
        if len(self.nodes) >= MAX_NODES:
            raise StageFailed(
                Cause.STUDENT_BAD_OUTPUT,
                f"the network: expected at most {MAX_NODES} operations that are no part of "
                "another, received more",
            )
        node = Node(len(self.nodes), kind, inputs, **fields)
        self._known[key] = node.index
        self.nodes.append(node)
        return node

    def remembered(self, name: str, make: Callable[[], Known]) -> Known:
        """What was found of this graph before; found anew where it has changed since."""
        count, output, found = self._found.get(name, (-1, None, None))
        if count != len(self.nodes) or output is not self.output:
            found = make()
            self._found[name] = (len(self.nodes), self.output, found)
        known: Known = found
        return known

    def ancestors(self) -> frozenset[int]:
        """The nodes the output depends on."""
        return self.remembered("ancestors", lambda: frozenset(self._ancestors()))

    def _ancestors(self) -> set[int]:
        if self.output is None:
            return set()
        wanted: set[int] = set()
        stack = [s.node for s in self.output.segments]
        while stack:
            index = stack.pop()
            if index in wanted:
                continue
            wanted.add(index)
            inner = [s.node for v in self.nodes[index].inputs for s in v.segments]
            work.spend(WALKED * len(inner))
            stack += inner
        return wanted
