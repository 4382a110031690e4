"""A network as units: what mixes maps or places, and what each of them receives.

One convolution (of one group), one sum, one foreign operation is a unit. A fully connected layer
is a convolution over the whole map, a depthwise convolution has as many groups as maps, and the
groups of any other are units of their own, as towers would be.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Hashable
from dataclasses import dataclass, replace

from grader.graph.canonical import Graph, Node, Segment, Value
from grader.graph.links import Link, StepReader, Variables, Weights
from grader.graph.read.values import channel_slice
from grader.graph.symbols import Symbol, digest

MAX_PIECES = 128
"""Groups, or cuts of a sum, that are followed one by one; beyond it the order of maps counts."""

Label = tuple[tuple[str, Hashable], ...]
"""What a unit does by itself: field and value."""


@dataclass(frozen=True)
class Unit:
    """One operation that mixes maps or places, or one group of a grouped convolution.

    Attributes:
        index: Its number; inputs have lower ones.
        kind: conv | depthwise | add | multiply | maximum | softmax | foreign | constant | input |
            output.
        label: What it does by itself: field and value, in the order they are compared.
        inputs: What it receives.
        node: The node it is of; None for the output.
        weights: Its own weights, by role.
        width: Maps it gives.
    """

    index: int
    kind: str
    label: Label
    inputs: tuple[Link, ...]
    node: Node | None
    weights: Weights = ()
    width: int = 0

    @property
    def groups(self) -> int:
        """Groups of the convolution it belongs to."""
        if self.node is None or self.kind == "depthwise":
            return 1
        return int(self.node.get("groups") or 1)

    def get(self, name: str) -> Hashable:
        """One field of the label."""
        return dict(self.label).get(name)


class Units:
    """A network as units, in an order in which each stands behind what it needs.

    Args:
        variables: Its variable table; empty leaves trained and frozen apart unsaid.
        side: Which of two networks it is; what cannot be read equals nothing of the other.

    Attributes:
        units: All of them, by their numbers.
        ends_in: "logits", or the softmax that was taken off its end.
        trouble: Why it cannot be read.
    """

    def __init__(self, variables: Variables, side: str) -> None:
        self.variables = variables
        self.side = side
        self.units: list[Unit] = []
        self.ends_in = "logits"
        self.trouble: tuple[str, ...] = ()
        self._reached: set[int] | None = None

    def put(
        self,
        kind: str,
        label: Label,
        inputs: tuple[Link, ...],
        width: int,
        weights: Weights = (),
        node: Node | None = None,
    ) -> Unit:
        """Add a unit behind those that it needs."""
        unit = Unit(len(self.units), kind, label, inputs, node, weights, width)
        self.units.append(unit)
        return unit

    def wanted(self) -> list[Unit]:
        """The units that the output needs, and the input; not a softmax that was taken off."""
        if self._reached is None:
            self._reached = {u.index for u in self.units if u.kind in ("input", "output")}
            stack = list(self._reached)
            while stack:
                for link in self.units[stack.pop()].inputs:
                    if link.source not in self._reached:
                        self._reached.add(link.source)
                        stack.append(link.source)
        return [u for u in self.units if u.index in self._reached]


class UnitGraph(Units):
    """A canonical graph as units.

    Args:
        graph: The canonical graph.
        variables: Its variable table; empty leaves trained and frozen apart unsaid.
        side: Which of the two networks it is; what cannot be read equals nothing of the other.
        free: Kinds of steps that are not looked at.
    """

    def __init__(
        self, graph: Graph, variables: Variables, side: str, free: frozenset[str] = frozenset()
    ) -> None:
        super().__init__(variables, side)
        self.graph = graph
        self.trouble = tuple(graph.trouble)
        self._steps = StepReader(graph, variables, side, free)
        self._pieces: dict[int, list[tuple[int, int, int]]] = {}
        self._uses = _uses(graph)
        wanted = graph.ancestors()
        self._kernels = Counter(
            v for n in graph.nodes if n.index in wanted and n.kernel for v in n.kernel.variables
        )
        for node in graph.nodes:
            if node.index in wanted or node.kind == "input":
                self._add(node)
        self._end()

    def _end(self) -> None:
        """The output as a last unit; a softmax that ends the network is taken off."""
        output = self.graph.output
        links = self._links(output) if output is not None else []
        if len(links) == 1 and not links[0].entries and links[0].span is None:
            last = self.units[links[0].source]
            if last.kind == "softmax":
                self.ends_in = "log-softmax" if last.get("logarithm") else "softmax"
                links = list(last.inputs)
        label: Label = (("kind", "output"), ("trouble", self.trouble))
        if self.trouble:
            label = (*label, ("unreadable", self.side))
        self.put("output", label, tuple(links), 0)

    def _add(self, node: Node) -> None:
        if node.kind == "conv":
            self._convolution(node)
        elif _elementwise_kind(node):
            self._elementwise(node)
        else:
            self._other(node)

    def _convolution(self, node: Node) -> None:
        groups = int(node.get("groups") or 1)
        value = node.inputs[0]
        if groups > 1 and groups == value.channels:
            rows, columns = node.kernel_shape[:2]
            shape = (rows, columns, groups, node.channels // groups)
            self._other(replace(node, kind="depthwise", kernel_shape=shape))
            return
        if groups > MAX_PIECES:
            self._other(node)
            return
        taken, given = value.channels // groups, node.channels // groups
        pieces = []
        for group in range(groups):
            part = value
            if groups > 1:
                segments = channel_slice(value, group * taken, (group + 1) * taken)
                part = replace(value, segments=segments)
            kernel, weights = self._kernel(node.kernel, group, node.trained)
            label = (("kind", "conv"), *_geometry(node), ("maps", given), ("weights", kernel))
            unit = self.put("conv", label, tuple(self._links(part)), given, weights, node)
            pieces.append((group * given, (group + 1) * given, unit.index))
        self._pieces[node.index] = pieces

    def _elementwise(self, node: Node) -> None:
        """A sum or product, cut where its inputs are, so that the order of maps is no matter."""
        kind = _elementwise_kind(node)
        values = [v for value in node.inputs for v in self._flattened(kind, value)]
        label: Label = (("kind", kind),)
        cuts = sorted({0, node.channels, *[c for v in values for c in self._cuts(v)]})
        if any(v.channels != node.channels for v in values) or len(cuts) > MAX_PIECES:
            links = [
                replace(link, slot=i)
                for i, value in enumerate(values)
                for link in self._links(value)
            ]
            unit = self.put(kind, label, tuple(links), node.channels, node=node)
            self._pieces[node.index] = [(0, node.channels, unit.index)]
            return
        pieces = []
        for low, high in itertools.pairwise(cuts):
            links = [
                link
                for value in values
                for link in self._links(replace(value, segments=channel_slice(value, low, high)))
            ]
            unit = self.put(kind, label, tuple(links), high - low, node=node)
            pieces.append((low, high, unit.index))
        self._pieces[node.index] = pieces

    def _flattened(self, kind: str, value: Value) -> list[Value]:
        """(a + b) + c is a + b + c, where nothing else takes a + b."""
        if len(value.segments) == 1 and not value.segments[0].steps:
            inner = self.graph.nodes[value.segments[0].node]
            whole = value.channels == inner.channels
            if _elementwise_kind(inner) == kind and whole and self._uses[inner.index] == 1:
                if all(v.channels == inner.channels for v in inner.inputs):
                    return [v for part in inner.inputs for v in self._flattened(kind, part)]
        return [value]

    def _cuts(self, value: Value) -> list[int]:
        at, found = 0, []
        for segment in value.segments:
            for piece in self._parts_of(segment):
                at += piece[0].width
                found.append(at)
        return found

    def _other(self, node: Node) -> None:
        links = [
            replace(link, slot=i)
            for i, link in enumerate(link for v in node.inputs for link in self._links(v))
        ]
        label: list[tuple[str, Hashable]] = [("kind", node.kind)]
        weights: Weights = ()
        if node.kind == "input":
            label.append(("size", (node.height, node.width, node.channels)))
        if node.kind == "conv":
            label += [*_geometry(node), ("groups", node.get("groups")), ("maps", node.channels)]
        if node.kind == "depthwise":
            label += [*_geometry(node), ("multiplier", node.kernel_shape[3])]
        if node.kind == "softmax":
            label.append(("logarithm", bool(node.get("logarithm"))))
        if node.kind == "foreign":
            label += [("operation", node.get("op")), ("settings", node.get("settings"))]
            label += [("reason", node.get("reason")), ("output", node.get("output"))]
        if node.kernel is not None:
            kernel, weights = self._kernel(node.kernel, 0)
            label.append(("weights", kernel))
        unit = self.put(node.kind, tuple(label), tuple(links), node.channels, weights, node)
        self._pieces[node.index] = [(0, node.channels, unit.index)]

    def _kernel(
        self, kernel: Symbol | None, group: int, trained: tuple[int, ...] = ()
    ) -> tuple[Hashable, Weights]:
        """How a kernel comes about, and the variables behind it."""
        if kernel is None:
            return "none", ()
        if kernel.constant is not None:
            return ("fixed", digest(kernel.constant.tolist())), ()
        if len(trained) > 1:
            # Which part stands for which map is not followed: they must be nobody else's.
            modes = {self.variables[i].trainable for i in trained if i < len(self.variables)}
            alone = all(self._kernels[index] == 1 for index in trained) and len(modes) < 2
            return ("trained" if alone else self.side), (("kernel 0", (trained[0], group)),)
        order = sorted(kernel.variables)
        weights = tuple((f"kernel {i}", (index, group)) for i, index in enumerate(order))
        if kernel.bare is not None:
            return "trained", weights
        return ("computed", self._steps.computed(kernel)), weights

    # --- links ---

    def _links(self, value: Value | None) -> list[Link]:
        return [
            self._steps.link(part, unit, span)
            for segment in (value.segments if value is not None else ())
            for part, unit, span in self._parts_of(segment)
        ]

    def _parts_of(self, segment: Segment) -> list[tuple[Segment, int, tuple[int, int] | None]]:
        """A segment, cut where its node's units meet."""
        found = []
        for start, stop, unit in self._pieces.get(segment.node, ()):
            low, high = max(start, segment.start), min(stop, segment.stop)
            if low >= high:
                continue
            by = low - segment.start
            steps = tuple(
                replace(s, start=s.start + by) if s.affine is not None else s for s in segment.steps
            )
            span = None if (low, high) == (start, stop) else (low - start, high - start)
            found.append((Segment(segment.node, low, high, steps), unit, span))
        return found


def _elementwise_kind(node: Node) -> str:
    """add, multiply or maximum: what may be done in any order; empty for all else."""
    if node.kind in ("add", "multiply"):
        return node.kind
    return "maximum" if node.kind == "foreign" and node.written_as == "Maximum" else ""


def _uses(graph: Graph) -> Counter[int]:
    """How many values that the output needs take each node."""
    found: Counter[int] = Counter()
    wanted = graph.ancestors()
    values = [v for n in graph.nodes if n.index in wanted for v in n.inputs]
    for value in [*values, *([graph.output] if graph.output is not None else [])]:
        found.update({s.node for s in value.segments})
    return found


def _geometry(node: Node) -> Label:
    """Kernel, stride, padding, dilation: as far as they make a difference."""
    rows, columns = node.kernel_shape[0], node.kernel_shape[1]
    strides = node.get("strides")
    dilations = node.get("dilations")
    pads = node.get("padding")
    value = node.inputs[0]
    dilations = tuple(d if k > 1 else 1 for d, k in zip(dilations, (rows, columns), strict=True))
    strides = tuple(
        s if out > 1 else 1 for s, out in zip(strides, (node.height, node.width), strict=True)
    )
    after = []
    for i, (size, out, window) in enumerate(
        ((value.height, node.height, rows), (value.width, node.width, columns))
    ):
        reach = (window - 1) * dilations[i] + 1
        after.append(max((out - 1) * strides[i] + reach - size - pads[2 * i], 0))
    return (
        ("kernel", (rows, columns)),
        ("stride", strides),
        ("dilation", dilations),
        ("padding", (pads[0], pads[2], after[0], after[1])),
    )
