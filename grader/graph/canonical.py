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

import itertools
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from grader.errors import Cause, StageFailed
from grader.graph import work
from grader.graph.pointwise import cost, evaluate
from grader.graph.symbols import ASSIGNMENTS, Symbol, Unreadable, Values, digest, unreached
from grader.graph.symbols import variable as fresh

Array = NDArray[Any]
Known = TypeVar("Known")
TOLERANCE = 1e-6
LARGEST_EPSILON = 10.0
"""Any epsilon is a batch norm's; a larger one drowns every variance and is something else."""
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

OUTSIDE = "epsilon outside the root"
UNBIASED = "the unbiased variance"
VARIANTS = (OUTSIDE, UNBIASED)
"""Ways to normalise that differ from the plain formula and are batch norms all the same."""


# --- steps ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Term:
    """One multiplication or addition of a per-channel vector (or a number for all channels).

    Attributes:
        operation: "multiply" or "add".
        symbol: The vector, shape (channels,) or ().
        origin: The symbol as the network has it, before broadcasting; for its bare variable.
        applied_to: Key of the value it is applied to, where batch statistics stand in it: they
            have to be that value's.
    """

    operation: str
    symbol: Symbol
    origin: Symbol
    applied_to: str = ""

    @property
    def key(self) -> str:
        """Equal for equal terms."""
        return f"{self.operation}:{self.symbol.key}"


@dataclass(frozen=True)
class Part:
    """One recognised piece of an affine map.

    Attributes:
        kind: "batch_norm", "bias" (a trained offset), "scale" (a trained factor), "constant"
            (numbers: y = a·x + b) or "other".
        statistics: For a batch norm: "moving" or "batch".
        roles: For a batch norm: the variable index by role (mean, variance, gamma, beta); for a
            bias or scale: {"offset"/"factor": index}.
        epsilon: For a batch norm.
        factor: For a constant: a, per channel or one number.
        offset: For a constant: b.
        normalises: For a batch norm over batch statistics: key of the value they are taken of.
        variant: For a batch norm: how it differs from the plain formula, "" where it does not;
            see `VARIANTS`.
        note: For another: what it is, for a person.
    """

    kind: str
    statistics: str = ""
    roles: tuple[tuple[str, int], ...] = ()
    epsilon: float = 0.0
    factor: Array | None = None
    offset: Array | None = None
    normalises: str = ""
    variant: str = ""
    note: str = ""

    def role(self, name: str) -> int | None:
        """The variable that plays a role."""
        return dict(self.roles).get(name)

    def numbers(self, start: int, width: int) -> tuple[Array, Array]:
        """a and b of a constant, for some of its channels."""
        assert self.factor is not None
        assert self.offset is not None
        return self.factor[start : start + width], self.offset[start : start + width]


Piece = tuple[Part, int, int]
"""A part, its first term and one past its last."""


@dataclass(frozen=True)
class Affine:
    """y = A·x + B with per-channel A and B, as the terms that were applied in turn."""

    terms: tuple[Term, ...]
    channels: int

    @cached_property
    def key(self) -> str:
        """Equal for equal maps."""
        return digest("affine", self.channels, *[t.key for t in self.terms])

    @cached_property
    def stopped(self) -> frozenset[int | str]:
        """The variables (indices) and batch statistics (keys) in it that no gradient reaches."""
        return unreached([t.symbol for t in self.terms])

    @cached_property
    def statistics(self) -> tuple[Statistic, ...]:
        """The batch statistics that stand in it."""
        found = {s.key: s for term in self.terms for s in term.symbol.statistics}
        return tuple(found.values())

    def coefficients(self, start: int, stop: int, assignment: int | Values) -> tuple[Array, Array]:
        """A and B of terms[start:stop] as vectors of `channels` numbers."""
        work.spend(self.channels * (2 + stop - start))
        factor = np.ones(self.channels)
        offset = np.zeros(self.channels)
        for term in self.terms[start:stop]:
            vector = term.symbol.value(assignment)
            if term.operation == "multiply":
                factor, offset = factor * vector, offset * vector
            else:
                offset = offset + vector
        return factor, offset

    @cached_property
    def parts(self) -> tuple[Part, ...]:
        """The map as recognised pieces, the longest batch norm first."""
        return tuple(part for part, _, _ in self._pieces)

    def apart(self) -> tuple[Affine, ...]:
        """The map as maps of one recognised piece each, less those that change nothing."""
        return tuple(Affine(self.terms[at:stop], self.channels) for _, at, stop in self._pieces)

    @cached_property
    def _pieces(self) -> tuple[Piece, ...]:
        found: list[Piece] = []
        at, count = 0, len(self.terms)
        while at < count:
            for stop in range(min(count, at + 12), at, -1):
                part = self._normalisation(at, stop)
                if part is not None:
                    break
            else:
                part, stop = self._single(at), at + 1
            found.append((part, at, stop))
            at = stop
        return tuple(_fold(found))

    def _single(self, at: int) -> Part:
        term = self.terms[at]
        multiplies = term.operation == "multiply"
        if term.symbol.constant is not None:
            vector = np.broadcast_to(term.symbol.constant, (self.channels,)).astype(np.float64)
            ones, zeros = np.ones(self.channels), np.zeros(self.channels)
            return (
                Part("constant", factor=vector, offset=zeros)
                if multiplies
                else Part("constant", factor=ones, offset=vector)
            )
        if term.origin.bare is not None and not term.symbol.statistics:
            role = "factor" if multiplies else "offset"
            index = term.origin.bare[0]
            return Part("scale" if multiplies else "bias", roles=((role, index),))
        return Part("other", note=_note(term))

    def _normalisation(self, start: int, stop: int) -> Part | None:
        """terms[start:stop] as one batch norm, if they are one, tested by value."""
        variables: set[int] = set()
        statistics: dict[str, Any] = {}
        for term in self.terms[start:stop]:
            if term.symbol.kind == "opaque" or term.symbol.shape not in ((), (self.channels,)):
                return None
            variables |= term.symbol.variables
            for statistic in term.symbol.statistics:
                statistics[statistic.key] = statistic
        if len(variables) > 4 or len(statistics) > 2 or not (variables or statistics):
            return None
        try:
            maps = [self.coefficients(start, stop, k) for k in ASSIGNMENTS]
        except (Unreadable, ValueError):
            return None
        if statistics:
            return self._batch_statistics(start, stop, variables, statistics, maps)
        return self._moving_statistics(start, stop, variables, maps)

    def _moving_statistics(
        self, start: int, stop: int, variables: set[int], maps: list[tuple[Array, Array]]
    ) -> Part | None:
        if len(variables) < 2:
            return None
        values = {
            index: [fresh(index, (self.channels,)).value(k) for k in ASSIGNMENTS]
            for index in variables
        }
        for mean, variance in itertools.permutations(sorted(variables), 2):
            rest = sorted(variables - {mean, variance})
            for gamma, beta in _assignments(rest):
                for variant in ("", OUTSIDE):
                    epsilon = _epsilon(
                        maps,
                        [values[mean][k] for k in ASSIGNMENTS],
                        [values[variance][k] for k in ASSIGNMENTS],
                        None if gamma is None else values[gamma],
                        None if beta is None else values[beta],
                        variant,
                    )
                    if epsilon is not None:
                        roles = _roles(mean, variance, gamma, beta)
                        return Part("batch_norm", "moving", roles, epsilon, variant=variant)
        return None

    def _batch_statistics(
        self,
        start: int,
        stop: int,
        variables: set[int],
        statistics: dict[str, Any],
        maps: list[tuple[Array, Array]],
    ) -> Part | None:
        values = {
            index: [fresh(index, (self.channels,)).value(k) for k in ASSIGNMENTS]
            for index in variables
        }
        shortest = min(statistics.values(), key=lambda s: s.steps)
        applied_to = {t.applied_to for t in self.terms[start:stop] if t.applied_to}
        if shortest.of not in applied_to:
            return None  # normalised by what another value has
        try:
            samples = [shortest.sample(k) for k in ASSIGNMENTS]
        except Unreadable:
            return None
        means = [s.mean(axis=0) for s in samples]
        for gamma, beta in _assignments(sorted(variables)):
            for variant in ("", *VARIANTS):
                share = shortest.unbiased if variant == UNBIASED else 1.0
                epsilon = _epsilon(
                    maps,
                    means,
                    [s.var(axis=0) * share for s in samples],
                    None if gamma is None else values[gamma],
                    None if beta is None else values[beta],
                    variant,
                )
                if epsilon is not None:
                    roles = _roles(None, None, gamma, beta)
                    return Part(
                        "batch_norm", "batch", roles, epsilon, None, None, shortest.of, variant
                    )
        return None


def _note(term: Term) -> str:
    """What a multiplication or addition is that is no part of a batch norm."""
    if term.symbol.statistics:
        return "a normalisation by other numbers than the batch's mean and variance"
    kind = "factor" if term.operation == "multiply" else "offset"
    if term.symbol.variables and term.symbol.shape == ():
        return f"a trained {kind}, the same for all maps"
    return f"a {kind} that is computed from trained weights"


def _assignments(rest: list[int]) -> Iterable[tuple[int | None, int | None]]:
    """Which of at most two variables is gamma and which beta."""
    if not rest:
        yield None, None
    elif len(rest) == 1:
        yield rest[0], None
        yield None, rest[0]
    elif len(rest) == 2:
        yield rest[0], rest[1]
        yield rest[1], rest[0]


def _roles(
    mean: int | None, variance: int | None, gamma: int | None, beta: int | None
) -> tuple[tuple[str, int], ...]:
    pairs = (("mean", mean), ("variance", variance), ("gamma", gamma), ("beta", beta))
    return tuple((name, index) for name, index in pairs if index is not None)


def _epsilon(
    maps: list[tuple[Array, Array]],
    means: list[Array],
    variances: list[Array],
    gammas: list[Array] | None,
    betas: list[Array] | None,
    variant: str,
) -> float | None:
    """The epsilon that makes A = γ/√(σ² + ε) and B = β - μA hold, or None if none does.

    Where it stands outside the root, A = γ/(σ + ε).
    """
    found = None
    for k, (factor, offset) in enumerate(maps):
        gamma = np.ones_like(factor) if gammas is None else gammas[k]
        beta = np.zeros_like(offset) if betas is None else betas[k]
        if means[k].shape != factor.shape or variances[k].shape != factor.shape:
            return None
        if not np.all(factor > 0):
            return None
        if variant == OUTSIDE:
            epsilon = gamma / factor - np.sqrt(variances[k])
        else:
            epsilon = (gamma / factor) ** 2 - variances[k]
        centre = float(epsilon[0])
        if not -TOLERANCE <= centre <= LARGEST_EPSILON or not np.allclose(
            epsilon, centre, atol=1e-7
        ):
            return None
        if found is not None and not np.isclose(found, centre, atol=1e-7):
            return None
        if not np.allclose(offset, beta - means[k] * factor, atol=TOLERANCE):
            return None
        found = centre
    return found


def _fold(pieces: list[Piece]) -> list[Piece]:
    """Compose neighbouring constants; drop those that change nothing."""
    folded: list[Piece] = []
    for part, at, stop in pieces:
        if part.kind == "constant" and folded and folded[-1][0].kind == "constant":
            before, at, _ = folded.pop()
            assert before.factor is not None and before.offset is not None
            assert part.factor is not None and part.offset is not None
            part = Part(
                "constant",
                factor=before.factor * part.factor,
                offset=before.offset * part.factor + part.offset,
            )
        folded.append((part, at, stop))
    return [piece for piece in folded if not _changes_nothing(piece[0])]


def _changes_nothing(part: Part) -> bool:
    return (
        part.kind == "constant"
        and part.factor is not None
        and part.offset is not None
        and bool(np.allclose(part.factor, 1.0, rtol=0, atol=TOLERANCE))
        and bool(np.allclose(part.offset, 0.0, atol=TOLERANCE))
    )


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
        return tuple(int(np.prod([a.size for a in axis], dtype=np.int64)) for axis in self.axes)

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
            seed = [11, segment.node, assignment]
            base = np.random.default_rng(seed).normal(size=(POSITIONS, segment.stop))
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
