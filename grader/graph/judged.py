"""The graph that is judged: odd operations as steps on what they change, so that the rest is read.

One foreign operation between two convolutions must not hide that the right maps arrive. What an
operation that has no place in the paper makes of one value, channel by channel or not, is told as
a step on that value: by its name where its numbers are those of something known, else as foreign.
A second classifier beside the first, and what training does to the image before the stem, are
taken off. Nothing is computed from this graph: accuracy and proof use the canonical one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from grader.graph import work
from grader.graph.affine import Affine, Term
from grader.graph.canonical import Graph, Node, Segment, Step, Value
from grader.graph.maps import pool
from grader.graph.names import name_of
from grader.graph.numeric import IMPOSSIBLE
from grader.graph.read.values import part_of
from grader.graph.reading import gates_of, sources
from grader.graph.record import VariableRecord
from grader.graph.symbols import Unreadable, constant
from grader.graph.trial import Trial

ODD = ("add", "multiply", "depthwise", "foreign", "softmax")
"""Kinds of nodes that are told as steps where they change one value only."""
LARGEST_SECOND_HEAD = 2
"""Convolutions of a branch that is a second classifier; what has more is another network."""
SECOND_HEAD = "the answers of two classifiers, put together"
HALVING = ("mean", (2, 2), (2, 2), (0, 0, 0, 0))
TRIALS = 2
"""How many random maps what an operation computes is tried on."""

Array = NDArray[Any]


def judged(graph: Graph, variables: Sequence[VariableRecord]) -> Graph:
    """A canonical graph as the rules look at it.

    Args:
        graph: The canonical graph; it stays as it is.
        variables: The table of variables.

    Returns:
        A graph with the same numbers of nodes, of which some are no longer in use.
    """
    view = _View(graph, variables)
    for node in graph.nodes:
        view.take(node)
    view.end()
    return view.graph


def without_augmentation(training: Graph, stems: Sequence[Node]) -> Graph:
    """The graph of training as if the image came to the stem as it is.

    Whatever stands before the stem and learns nothing acts on the image: it is augmentation where
    the graph of inference has nothing of it, and there it was judged.

    Args:
        training: As judged.
        stems: The stem's convolutions at inference.
    """
    trained = {index for node in stems for index in node.trained}
    images = [node for node in training.nodes if node.kind == "input"]
    firsts = [n for n in training.nodes if n.kind == "conv" and trained & set(n.trained)]
    if len(images) != 1 or not trained or not firsts:
        return training
    before = _behind(training, [i for n in firsts for i in sources(n)])
    if any(training.nodes[i].kind == "conv" and training.nodes[i].trained for i in before):
        return training
    nodes = list(training.nodes)
    for node in firsts:
        (entry,) = node.inputs
        if entry.channels != images[0].channels:
            return training
        image = (Segment(images[0].index, 0, images[0].channels),)
        nodes[node.index] = replace(node, inputs=(replace(entry, segments=image),))
    return Graph(nodes, training.output, training.updates, training.trouble)


def _behind(graph: Graph, start: Sequence[int]) -> set[int]:
    """Some nodes, and all that they depend on."""
    found: set[int] = set()
    stack = list(start)
    while stack:
        index = stack.pop()
        if index not in found:
            found.add(index)
            stack += sources(graph.nodes[index])
    return found


class _View:
    """Takes the nodes of a graph one after another."""

    def __init__(self, graph: Graph, variables: Sequence[VariableRecord]) -> None:
        self.original = graph
        self.variables = variables
        self.graph = Graph([], None, graph.updates, list(graph.trouble))
        self.gates = gates_of(graph)
        self.wanted = graph.ancestors()
        self.stands_for: dict[int, tuple[Segment, ...]] = {}
        self.at_the_end = _end_of(graph)

    def take(self, node: Node) -> None:
        """Add a node, with what it receives as it is seen now."""
        same = replace(node, inputs=tuple(self.value(v) for v in node.inputs))
        self.graph.nodes.append(same)
        if node.kind in ODD and node.index in self.wanted - self.at_the_end:
            seen = self._seen_through(same)
            if seen is not None:
                self.stands_for[node.index] = seen

    def end(self) -> None:
        """The output, without a second classifier."""
        output = self.original.output
        while output is not None:
            (index, *others) = {s.node for s in output.segments}
            node = self.original.nodes[index]
            if others or node.kind not in ("add", "multiply") or len(node.inputs) < 2:
                break
            if node.height > 1:
                break  # maps: what a block adds up is no answer of a classifier
            main = self._main_branch(node)
            if main is None:
                break
            self.graph.trouble.append(SECOND_HEAD)
            output = main
        self.graph.output = self.value(output) if output is not None else None

    def _main_branch(self, node: Node) -> Value | None:
        """The branch that is the network, where the others are no more than a classifier."""

        def convolutions(value: Value) -> set[int]:
            behind = _behind(self.original, [s.node for s in value.segments])
            return {i for i in behind if self.original.nodes[i].kind == "conv"}

        branches = sorted(node.inputs, key=lambda v: len(convolutions(v)))
        main = branches.pop()
        own = convolutions(main)
        extra = [convolutions(branch) - own for branch in branches]
        small = all(0 < len(e) <= LARGEST_SECOND_HEAD for e in extra)
        # What is not trained is no classifier: a table of answers stays in sight.
        small &= all(self.original.nodes[i].trained for e in extra for i in e)
        return main if small and main.channels == node.channels else None

    # --- values ---

    def value(self, value: Value) -> Value:
        """A value in terms of the nodes that are still in use."""
        if not any(s.node in self.stands_for for s in value.segments):
            return value
        segments: list[Segment] = []
        for segment in value.segments:
            segments += self._pieces(segment)
        return replace(value, segments=tuple(segments))

    def _pieces(self, segment: Segment) -> list[Segment]:
        whole = self.stands_for.get(segment.node)
        if whole is None:
            return [segment]
        pieces: list[Segment] = []
        at = 0
        for part in whole:
            low, high = max(segment.start - at, 0), min(segment.stop - at, part.width)
            if low < high:
                moved_by = at + low - segment.start
                steps = tuple(
                    replace(s, start=s.start + moved_by) if s.affine is not None else s
                    for s in segment.steps
                )
                pieces += _with_steps((part_of(part, low, high),), steps, apart=False)
            at += part.width
        return pieces

    # --- what an odd node makes of one value ---

    def _seen_through(self, node: Node) -> tuple[Segment, ...] | None:
        """The value that a node changes, with one more step; None where it is not one value."""
        main = self._changed_by(node)
        if main is None:
            return None
        base = _shared(main, [v for v in node.inputs if _alike(v, main)])
        work.spend_pieces(len(base))
        steps = self._by_numbers(node, replace(main, segments=base))
        if steps is None:
            if (node.height, node.width) != (main.height, main.width):
                return None
            if _change_the_size(main.segments, base):
                base = main.segments
            steps = (self._named(node),)
        return _with_steps(base, steps)

    def _named(self, node: Node) -> Step:
        """What a node does as one step, by its name."""
        axis = _laid_along(node)
        if axis is not None:
            return Step("odd", (f"{ALONG}{AXES[axis]}", "norm", node.index))
        name = name_of(node)
        inside = self._inside(node)
        if inside & self.gates:
            name = "a product with a gate, as in squeeze and excitation"
        elif any(self.original.nodes[i].written_as in MEASURES for i in inside):
            name = "another normalisation than batch normalisation"
        return Step("odd", (name, "odd", node.index))

    def _inside(self, node: Node) -> set[int]:
        """The nodes that are looked through to see what a node makes of one value."""
        found: set[int] = set()
        stack = [s.node for v in node.inputs for s in v.segments]
        while stack:
            index = stack.pop()
            if index not in found and self._is_open(index):
                found.add(index)
                stack += sources(self.graph.nodes[index])
        return found

    def _changed_by(self, node: Node) -> Value | None:
        """The one value that a node changes; None where it puts several together."""
        whole = [v for v in node.inputs if v.channels == node.channels]
        whole = [v for v in whole if not any(self._is_open(s.node) for s in v.segments)]
        main = max(whole, key=lambda v: v.height * v.width, default=None)
        if main is None:
            return None
        covered = [(s.node, s.start, s.stop) for s in main.segments]
        for value in node.inputs:
            for segment in self._closed(value):
                if not any(
                    segment.node == index and low <= segment.start and segment.stop <= high
                    for index, low, high in covered
                ):
                    return None
        return main

    def _is_open(self, index: int) -> bool:
        """Whether a node is looked through: odd and not told as a step, or a gate."""
        node = self.graph.nodes[index]
        return index in self.gates or (node.kind in ODD and index not in self.stands_for)

    def _closed(self, value: Value) -> list[Segment]:
        """The maps that a value comes from, through whatever is looked through."""
        found: list[Segment] = []
        stack, seen = list(value.segments), set()
        while stack:
            segment = stack.pop()
            if not self._is_open(segment.node):
                found.append(segment)
            elif segment.node not in seen:
                seen.add(segment.node)
                stack += [s for v in self.graph.nodes[segment.node].inputs for s in v.segments]
        return found

    # --- by its numbers ---

    def _may_be_tried(self, node: Node) -> bool:
        return node.kind in ODD or node.index in self.gates

    def _by_numbers(self, node: Node, base: Value) -> tuple[Step, ...] | None:
        """The steps that a node is, told by what it gives for random maps; None for no known."""
        try:
            tried = [self._tried(node, base, trial) for trial in range(TRIALS)]
        except (Unreadable, *IMPOSSIBLE):
            return None
        if all(a.shape == b.shape and np.allclose(a, b, atol=1e-4) for a, b in tried):
            return ()
        factor = _halved(tried)
        if factor is not None:
            times = constant(np.array(factor))
            whole = Affine((Term("multiply", times, times),), node.channels)
            return (Step("pool", HALVING), Step("affine", affine=whole))
        name = next((n for n, is_one in TRAINED if all(is_one(a, b) for a, b in tried)), "")
        return (Step("odd", (name, "activation", node.index)),) if name else None

    def _tried(self, node: Node, base: Value, trial: int) -> tuple[Array, Array]:
        """What a value holds and what a node makes of it, for random maps and weights."""
        draw = np.random.default_rng([3, node.index, trial])
        sizes = {s.node: self.original.nodes[s.node] for s in base.segments}
        maps = {
            index: draw.normal(size=(1, n.height, n.width, n.channels))
            for index, n in sizes.items()
        }
        arrays = [draw.uniform(0.1, 0.9, tuple(v.shape)) for v in self.variables]
        run = Trial(self.original, arrays, maps, self._may_be_tried)
        before = run.channels(base.segments)
        run.stopped = False
        after = run.node(node.index)
        if run.stopped:
            raise Unreadable("the same numbers with another gradient")
        return before, after


def _halved(tried: Sequence[tuple[Array, Array]]) -> float | None:
    """The factor that makes the mean of 2×2 places what a node gives; None where none does."""
    factors: list[float] = []
    for before, after in tried:
        _, height, width, channels = before.shape
        if height % 2 or width % 2 or after.shape != (1, height // 2, width // 2, channels):
            return None
        mean = pool(before, *HALVING)
        factors.append(float(np.sum(mean * after) / np.sum(mean * mean)))
        if not np.allclose(mean * factors[-1], after, atol=1e-4):
            return None
    return factors[0] if np.allclose(factors, factors[0]) else None


def _is_parametric_relu(before: Array, after: Array) -> bool:
    """Whether negative numbers are multiplied by slopes of their own, and positive ones kept."""
    if before.shape != after.shape:
        return False
    positive = before > 0
    slopes = np.where(positive, np.nan, after / np.where(before == 0, 1, before))
    kept = np.allclose(after[positive], before[positive], atol=1e-4)
    inside = slopes[~positive]
    return bool(kept and inside.size and np.all((inside > 0.05) & (inside < 0.95)))


def _is_trained_swish(before: Array, after: Array) -> bool:
    """Whether each number x becomes x·sigmoid(bx), with one b for each map."""
    if before.shape != after.shape:
        return False
    with np.errstate(all="ignore"):
        share = after / before
        factors = np.log(share / (1 - share)) / before
    known = np.isfinite(factors) & (np.abs(before) > 0.01)
    if not known.any(axis=(0, 1, 2)).all():
        return False
    middle = np.nanmedian(np.where(known, factors, np.nan), axis=(0, 1, 2))
    return bool(np.all(np.abs(factors - middle)[known] < 1e-3))


TRAINED = (
    ("PReLU", _is_parametric_relu),
    ("swish with a trained factor", _is_trained_swish),
)
"""Activations with trained numbers, each with how what it gives is told."""


def _with_steps(
    segments: Sequence[Segment], steps: tuple[Step, ...], apart: bool = True
) -> tuple[Segment, ...]:
    """Segments with more steps; an affine map behind another one composes with it.

    Args:
        segments: The channels of one value.
        steps: The same for all of them.
        apart: Whether an affine map among them counts the channels of the value from 0 on.
    """
    found = []
    at = 0
    for segment in segments:
        own = list(segment.steps)
        for step in steps:
            start = at if apart and step.affine is not None else step.start
            step = replace(step, start=start)
            last = own[-1] if own else None
            if last is not None and last.affine is not None and step.affine is not None:
                if (last.start, last.affine.channels) == (start, step.affine.channels):
                    terms = (*last.affine.terms, *step.affine.terms)
                    own.pop()
                    step = replace(step, affine=Affine(terms, step.affine.channels))
            own.append(step)
        found.append(replace(segment, steps=tuple(own)))
        at += segment.width
    return tuple(found)


def _end_of(graph: Graph) -> set[int]:
    """The softmax at the end, and what stands behind it, is the head's to answer for."""
    found: set[int] = set()
    stack = [s.node for s in graph.output.segments] if graph.output is not None else []
    while stack:
        index = stack.pop()
        node = graph.nodes[index]
        if node.kind in ODD and node.height == node.width == 1 and index not in found:
            found.add(index)
            stack += sources(node)
    return found


def _alike(value: Value, main: Value) -> bool:
    """Whether two values are of the same channels of the same nodes."""
    mine, other = value.segments, main.segments
    return len(mine) == len(other) and all(
        (a.node, a.start, a.stop) == (b.node, b.start, b.stop)
        for a, b in zip(mine, other, strict=True)
    )


def _shared(main: Value, values: Sequence[Value]) -> tuple[Segment, ...]:
    """The steps that some values of the same channels begin with, on the channels of `main`."""
    segments = []
    for at, segment in enumerate(main.segments):
        steps: tuple[Step, ...] = segment.steps
        for value in values:
            steps = _prefix(steps, value.segments[at].steps)
        segments.append(replace(segment, steps=steps))
    return tuple(segments)


def _change_the_size(longer: Sequence[Segment], shorter: Sequence[Segment]) -> bool:
    """Whether the steps that some segments have more than others change the size of the map."""
    return any(
        step.kind in ("pool", "pad", "crop")
        for a, b in zip(longer, shorter, strict=True)
        for step in a.steps[len(b.steps) :]
    )


def _prefix(left: tuple[Step, ...], right: tuple[Step, ...]) -> tuple[Step, ...]:
    """What two rows of steps begin with; of an affine map, the terms that both begin with."""
    shared: list[Step] = []
    for a, b in zip(left, right, strict=False):
        if a.key == b.key:
            shared.append(a)
            continue
        if a.affine is not None and b.affine is not None and a.start == b.start:
            count = 0
            for one, other in zip(a.affine.terms, b.affine.terms, strict=False):
                if one.key != other.key:
                    break
                count += 1
            if count and a.affine.channels == b.affine.channels:
                whole = Affine(a.affine.terms[:count], a.affine.channels)
                shared.append(replace(a, affine=whole))
        break
    return tuple(shared)


# --- norms along another axis ---------------------------------------------------------------

ALONG = "a normalisation along the "
AXES = {1: "height (axis 1)", 2: "width (axis 2)"}
MEASURES = {"Mean", "Sum", "Sqrt", "Rsqrt", "SquaredDifference"}
"""Operations that a normalisation of a student's own is made of."""


def _laid_along(node: Node) -> int | None:
    """The axis other than the channels that trained numbers of one dimension are laid along."""
    kernel = node.kernel
    if node.kind != "foreign" or kernel is None or len(kernel.shape) != 4 or not kernel.variables:
        return None
    long = [axis for axis, size in enumerate(kernel.shape) if size != 1]
    return long[0] if len(long) == 1 and long[0] in AXES else None
