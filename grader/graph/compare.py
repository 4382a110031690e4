"""Is it the same network as another? Equivalence up to names, order of concatenation, and style.

Both canonical graphs are cut into *units*: one convolution (of one group), one sum, one foreign
operation. Units are paired, first those with equal ancestors, then those with equal descendants,
then the most alike; what is left over is missing or too much. Each pair is then compared field by
field, its inputs under the pairing, its weights under a one-to-one mapping of variables. So no
finding means that there is an isomorphism, whatever the pairing did; and a difference is told
once, where it is, not again in everything behind it.

The same function under another name is not a difference: a bias before a batch norm (a remark),
padding that the stride never reaches, ReLU before or after max pooling or dropout, a fully
connected layer written as a convolution over the whole map, groups written as towers, a depthwise
convolution as groups of one map, logits or log-softmax (a remark).
"""

from __future__ import annotations

import itertools
import re
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from grader.domain import Finding
from grader.graph.canonical import Graph, Node, Segment, Value
from grader.graph.canonicalise import channel_slice
from grader.graph.record import VariableRecord
from grader.graph.steps import Word, words
from grader.graph.symbols import Symbol, Unreadable, Values, digest

MAX_WORK = 3_000_000
"""Links looked at while pairing; beyond it the rest is paired by likeness alone."""
MAX_PIECES = 128
"""Groups, or cuts of a sum, that are followed one by one; beyond it the order of maps counts."""
MAX_TABLE = 1_000_000
"""Cells of the alignment table; larger remainders are paired in order."""
MAX_FINDINGS = 20
MAX_PLACES = 5
"""Places that one finding names."""

Variables = Sequence[VariableRecord]
WeightKey = tuple[int, int]
"""A variable, and the first channel or the group of it that is meant."""


@dataclass(frozen=True)
class Entry:
    """One step on a link, in a form that two networks can share.

    Attributes:
        sign: Equal for equal steps, whatever the weights.
        text: How a message names it.
        weights: The weights it reads, by role.
        epsilon: Of a batch norm; another value is a remark.
    """

    sign: tuple[Hashable, ...]
    text: str
    weights: tuple[tuple[str, WeightKey], ...] = ()
    epsilon: float = 0.0

    @property
    def kind(self) -> str:
        """BN, ReLU, pool and so on."""
        return str(self.sign[0])


@dataclass(frozen=True)
class Link:
    """Some maps of one unit on their way to another.

    Attributes:
        source: Number of the unit they come from.
        span: None for all its maps, else (first, one past the last).
        entries: The steps on the way.
        slot: Place among the inputs, where their order matters; else 0.
        biased: Whether a bias was left out because a batch norm follows it.
    """

    source: int
    span: tuple[int, int] | None
    entries: tuple[Entry, ...]
    slot: int = 0
    biased: bool = False

    @property
    def sign(self) -> tuple[Hashable, ...]:
        """All but the source."""
        return self.span, tuple(e.sign for e in self.entries), self.slot


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
    label: tuple[tuple[str, Hashable], ...]
    inputs: tuple[Link, ...]
    node: Node | None
    weights: tuple[tuple[str, WeightKey], ...] = ()
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


# --- a network as units --------------------------------------------------------------------


class Network:
    """A canonical graph as units, in an order in which each stands behind what it needs.

    Args:
        graph: The canonical graph.
        variables: Its variable table; empty leaves trained and frozen apart unsaid.
        side: Which of the two networks it is; what cannot be read equals nothing of the other.
    """

    def __init__(self, graph: Graph, variables: Variables, side: str) -> None:
        self.graph = graph
        self.variables = variables
        self.side = side
        self.units: list[Unit] = []
        self.ends_in = "logits"
        self._reached: set[int] | None = None
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
        trouble = tuple(self.graph.trouble)
        label: tuple[tuple[str, Hashable], ...] = (("kind", "output"), ("trouble", trouble))
        if trouble:
            label = (*label, ("unreadable", self.side))
        self._put("output", label, tuple(links), None, 0)

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

    def _put(
        self,
        kind: str,
        label: tuple[tuple[str, Hashable], ...],
        inputs: tuple[Link, ...],
        node: Node | None,
        width: int,
        weights: tuple[tuple[str, WeightKey], ...] = (),
    ) -> Unit:
        unit = Unit(len(self.units), kind, label, inputs, node, weights, width)
        self.units.append(unit)
        return unit

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
            unit = self._put("conv", label, tuple(self._links(part)), node, given, weights)
            pieces.append((group * given, (group + 1) * given, unit.index))
        self._pieces[node.index] = pieces

    def _elementwise(self, node: Node) -> None:
        """A sum or product, cut where its inputs are, so that the order of maps is no matter."""
        kind = _elementwise_kind(node)
        values = [v for value in node.inputs for v in self._flattened(kind, value)]
        label: tuple[tuple[str, Hashable], ...] = (("kind", kind),)
        cuts = sorted({0, node.channels, *[c for v in values for c in self._cuts(v)]})
        if any(v.channels != node.channels for v in values) or len(cuts) > MAX_PIECES:
            links = [
                replace(link, slot=i)
                for i, value in enumerate(values)
                for link in self._links(value)
            ]
            unit = self._put(kind, label, tuple(links), node, node.channels)
            self._pieces[node.index] = [(0, node.channels, unit.index)]
            return
        pieces = []
        for low, high in itertools.pairwise(cuts):
            links = [
                link
                for value in values
                for link in self._links(replace(value, segments=channel_slice(value, low, high)))
            ]
            unit = self._put(kind, label, tuple(links), node, high - low)
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
        weights: tuple[tuple[str, WeightKey], ...] = ()
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
        unit = self._put(node.kind, tuple(label), tuple(links), node, node.channels, weights)
        self._pieces[node.index] = [(0, node.channels, unit.index)]

    def _kernel(
        self, kernel: Symbol | None, group: int, trained: tuple[int, ...] = ()
    ) -> tuple[Hashable, tuple[tuple[str, WeightKey], ...]]:
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
        return ("computed", self._computed(kernel)), weights

    def _computed(self, symbol: Symbol) -> Hashable:
        """The value of a symbol where its variables, in order, are given numbers."""
        try:
            value = symbol.value(self._given(sorted(symbol.variables)))
        except (Unreadable, ValueError, IndexError, TypeError, AttributeError):
            return self.side
        return digest(value.shape, np.round(value, 6).tolist())

    def _given(self, order: list[int]) -> Values:
        arrays = [np.zeros(())] * (max(order, default=-1) + 1)
        for rank, index in enumerate(order):
            shape = tuple(self.variables[index].shape) if self.variables else ()
            arrays[index] = np.random.default_rng([5, rank]).uniform(0.5, 1.5, shape)
        return Values(arrays)

    # --- links ---

    def _links(self, value: Value | None) -> list[Link]:
        return [
            self._link(part, unit, span)
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

    def _link(self, segment: Segment, unit: int, span: tuple[int, int] | None) -> Link:
        node = self.graph.nodes[segment.node]
        height, width = node.height, node.width
        entries: list[Entry] = []
        for word in words(segment):
            entry, height, width = self._entry(word, height, width)
            entries.append(entry)
        kept, biased = _simplified(entries)
        return Link(unit, span, tuple(kept), 0, biased)

    def _entry(self, word: Word, height: int, width: int) -> tuple[Entry, int, int]:
        """One word without its weights, and the size of the map behind it."""
        step, part = word.step, word.part
        if part is not None:
            return self._affine_entry(word), height, width
        if step.kind == "pool":
            mode, size, strides, pads = step.detail
            sign, text, height, width = _pool_sign(mode, size, strides, pads, height, width)
            return Entry(sign, text), height, width
        if step.kind == "pad":
            top, bottom, left, right, fill = step.detail
            text = f"padding of {_pads_text((top, left, bottom, right))} with {fill:g}"
            entry = Entry(("pad", top, bottom, left, right, fill, height, width), text)
            return entry, height + top + bottom, width + left + right
        if step.kind == "crop":
            top, bottom, left, right = step.detail
            entry = Entry(("crop", *step.detail), word.text)
            return entry, height - top - bottom, width - left - right
        if step.kind == "pointwise":
            name, tree, numbers = step.detail
            exact = repr(tree) if name == "unknown" else tuple(round(n, 6) for n in numbers)
            return Entry((word.kind, name, exact), word.text), height, width
        if step.kind == "dropout":
            rate, shape = step.detail
            if height == width == 1:
                shape = "elementwise"
            text = f"{'spatial ' if shape == 'spatial' else ''}dropout of {rate:.3g}"
            return Entry(("dropout", round(rate, 4), shape), text), height, width
        return Entry((word.kind, *step.detail), word.text), height, width

    def _affine_entry(self, word: Word) -> Entry:
        part, affine = word.part, word.step.affine
        assert part is not None and affine is not None
        weights = tuple((role, (index, word.low)) for role, index in part.roles)
        if part.kind == "batch_norm":
            scaled, centred = part.role("gamma") is not None, part.role("beta") is not None
            text = (
                "BN" + ("" if scaled else " without scale") + ("" if centred else " without offset")
            )
            if part.statistics == "batch":
                text += " over the batch"
            return Entry(
                ("BN", part.statistics, scaled, centred), text, weights, round(part.epsilon, 9)
            )
        if part.kind == "constant" and part.factor is not None and part.offset is not None:
            numbers = []
            for vector in (part.factor[word.low : word.high], part.offset[word.low : word.high]):
                rounded = [float(f"{v:.5g}") for v in vector]
                numbers.append(tuple(rounded[:1] if len(set(rounded)) == 1 else rounded))
            return Entry(("constant", *numbers), word.text)
        if part.kind in ("bias", "scale"):
            single = all(self._size(index) == 1 for _, index in part.roles)
            text = "bias" if part.kind == "bias" else word.text
            return Entry((part.kind, "one number" if single else "each map"), text, weights)
        order = sorted({i for t in affine.terms for i in t.symbol.variables})
        try:
            factor, offset = affine.coefficients(0, len(affine.terms), self._given(order))
            exact: Hashable = digest(
                np.round(factor[word.low : word.high], 6).tolist(),
                np.round(offset[word.low : word.high], 6).tolist(),
            )
        except (Unreadable, ValueError, IndexError, TypeError, AttributeError):
            exact = self.side
        keys = tuple((f"weight {i}", (index, word.low)) for i, index in enumerate(order))
        return Entry(("other", exact), word.text, keys)

    def _size(self, index: int) -> int:
        return self.variables[index].size if index < len(self.variables) else 0


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


def _geometry(node: Node) -> tuple[tuple[str, Hashable], ...]:
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


def _pool_sign(
    mode: str,
    size: tuple[int, int],
    strides: tuple[int, int],
    pads: tuple[int, ...],
    height: int,
    width: int,
) -> tuple[tuple[Hashable, ...], str, int, int]:
    """A pooling as far as it makes a difference, its text, and the size of the map behind it."""
    outs, steps, after = [], [], []
    for i, n in enumerate((height, width)):
        out = (n + pads[2 * i] + pads[2 * i + 1] - size[i]) // max(strides[i], 1) + 1
        outs.append(out)
        steps.append(strides[i] if out > 1 else size[i])
        after.append(max((out - 1) * strides[i] + size[i] - n - pads[2 * i], 0))
    kind = "average" if mode == "mean" else "max"
    whole = outs == [1, 1] and size == (height, width)
    if whole:
        return ("pool", mode, "global"), f"global {kind} pooling", 1, 1
    margins = (pads[0], pads[2], after[0], after[1])
    text = f"{size[0]}×{size[1]} {kind} pooling"
    if tuple(steps) != tuple(size):
        text += f", stride {steps[0]}"
    if any(margins):
        text += f", padding {_pads_text(margins)}"
    return ("pool", mode, tuple(size), tuple(steps), margins), text, outs[0], outs[1]


def _pads_text(pads: tuple[int, int, int, int]) -> str:
    """(top, left, bottom, right) in words."""
    if len(set(pads)) == 1:
        return f"{pads[0]} on each side" if pads[0] else "none"
    top, left, bottom, right = pads
    return f"{top} above, {left} left, {bottom} below, {right} right"


def _simplified(entries: list[Entry]) -> tuple[list[Entry], bool]:
    """The steps of a link without what makes no difference; whether a bias was left out."""
    kept: list[Entry] = []
    biased = False
    for i, entry in enumerate(entries):
        # What is added to a map is added to its mean and its maximum too.
        behind = next((e for e in entries[i + 1 :] if e.kind != "pool"), None)
        if entry.kind == "bias" and behind is not None and behind.kind == "BN":
            biased = True
            continue
        if entry.kind == "ReLU" and _never_negative(kept):
            continue
        if entry.kind == "ReLU" and kept and _lets_relu_through(kept[-1]):
            kept.insert(len(kept) - 1, entry)
            continue
        padded = bool(kept) and kept[-1].kind == "pad"
        if entry.sign[:2] == ("pool", "max") and padded and _never_negative(kept[:-1]):
            merged = _pooled_with(kept[-1], entry)
            if merged is not None:
                kept.pop()
                entry = merged
        kept.append(entry)
    return kept, biased


def _lets_relu_through(entry: Entry) -> bool:
    """Whether a ReLU behind it is the same as before it: a maximum, or a factor that is not
    negative."""
    return entry.sign[:2] == ("pool", "max") or entry.kind == "dropout"


def _never_negative(entries: list[Entry]) -> bool:
    """Whether a ReLU, and since then only pooling, stands last."""
    for entry in reversed(entries):
        if entry.kind == "ReLU":
            return True
        if entry.kind not in ("pool", "dropout"):
            return False
    return False


def _pooled_with(pad: Entry, pool: Entry) -> Entry | None:
    """Zeros around maps that are never negative change no maximum: padding of the pooling."""
    if len(pool.sign) != 5 or pad.sign[5] != 0.0:
        return None
    _, top, bottom, left, right, _, height, width = pad.sign
    _, _, size, steps, margins = pool.sign
    assert isinstance(size, tuple) and isinstance(steps, tuple) and isinstance(margins, tuple)
    assert isinstance(top, int) and isinstance(left, int) and isinstance(height, int)
    assert isinstance(bottom, int) and isinstance(right, int) and isinstance(width, int)
    pads = (margins[0] + top, margins[2] + bottom, margins[1] + left, margins[3] + right)
    sign, text, _, _ = _pool_sign("max", size, steps, pads, height, width)
    return Entry(sign, text)


# --- pairing -------------------------------------------------------------------------------

Colours = dict[int, int]


class _Pairing:
    """Which unit of one network stands for which of the other."""

    def __init__(self, mine: Network, reference: Network) -> None:
        self.mine, self.reference = mine, reference
        self.of: dict[int, int] = {}
        self.back: dict[int, int] = {}
        self._known: dict[Hashable, int] = {}
        self._work = 0
        for up, down in ((True, True), (True, False), (False, True)):
            self._by_colour(up, down)
        self._by_likeness()

    def pair(self, mine: int, reference: int) -> None:
        """Let one unit stand for another."""
        self.of[mine] = reference
        self.back[reference] = mine

    def _number(self, key: Hashable) -> int:
        return self._known.setdefault(key, len(self._known))

    def _by_colour(self, up: bool, down: bool) -> None:
        """Pair units with the same ancestors, or descendants, or both; one choice at a time."""
        size = sum(len(u.inputs) for n in (self.mine, self.reference) for u in n.units)
        while self._work < MAX_WORK:
            self._work += size + 1
            mine = self._classes(self.mine, self.of, up, down)
            reference = self._classes(self.reference, {r: r for r in self.back}, up, down)
            common = [c for c in mine if len(mine[c]) == len(reference.get(c, ()))]
            if not common:
                return
            alone = [c for c in common if len(mine[c]) == 1]
            for colour in alone or common[:1]:
                self.pair(mine[colour][0], reference[colour][0])

    def _classes(
        self, network: Network, seeds: Mapping[int, int], up: bool, down: bool
    ) -> dict[int, list[int]]:
        above = self._above(network, seeds) if up else {}
        below = self._below(network, seeds) if down else {}
        found: dict[int, list[int]] = defaultdict(list)
        for unit in network.wanted():
            if unit.index not in seeds:
                colour = self._number((above.get(unit.index), below.get(unit.index)))
                found[colour].append(unit.index)
        return found

    def _above(self, network: Network, seeds: Mapping[int, int]) -> Colours:
        """Equal for units that compute the same, up to weights."""
        colours: Colours = {}
        for unit in network.wanted():
            links = sorted((colours[link.source], self._number(link.sign)) for link in unit.inputs)
            colours[unit.index] = self._number(
                ("up", unit.label, seeds.get(unit.index), tuple(links))
            )
        return colours

    def _below(self, network: Network, seeds: Mapping[int, int]) -> Colours:
        """Equal for units that are used in the same way down to the output."""
        colours: Colours = {}
        uses: dict[int, list[tuple[int, int]]] = defaultdict(list)
        for unit in reversed(network.wanted()):
            colours[unit.index] = self._number(
                ("down", unit.label, seeds.get(unit.index), tuple(sorted(uses[unit.index])))
            )
            for link in unit.inputs:
                uses[link.source].append((colours[unit.index], self._number(link.sign)))
        return colours

    def _by_likeness(self) -> None:
        """Align what is left, in order of depth, with as few and as small changes as can be."""
        mine = [u for u in _by_depth(self.mine) if u.index not in self.of]
        reference = [u for u in _by_depth(self.reference) if u.index not in self.back]
        if not mine or not reference:
            return
        if len(mine) * len(reference) > MAX_TABLE:
            for a, b in zip(mine, reference, strict=False):
                if a.kind == b.kind:
                    self.pair(a.index, b.index)
            return
        for a, b in _aligned(mine, reference):
            self.pair(a.index, b.index)


def _by_depth(network: Network) -> list[Unit]:
    """Units by their distance from the input, the same in any order of writing."""
    depth: dict[int, int] = {}
    for unit in network.wanted():
        depth[unit.index] = 1 + max((depth[link.source] for link in unit.inputs), default=0)
    return sorted(network.wanted(), key=lambda u: (depth[u.index], repr(u.label), u.index))


GAP = 1.0


def _cost(a: Unit, b: Unit) -> float:
    """How different two units are; two gaps, where they have nothing in common."""
    if a.kind != b.kind:
        return 2 * GAP + 0.1
    mine, reference = dict(a.label), dict(b.label)
    fields = mine.keys() | reference.keys()
    wrong = sum(mine.get(f) != reference.get(f) for f in fields)
    if a.groups != b.groups and a.node is not None and b.node is not None:
        wrong -= a.width != b.width and a.node.channels == b.node.channels
    steps = Counter(e.sign for link in a.inputs for e in link.entries)
    others = Counter(e.sign for link in b.inputs for e in link.entries)
    return 0.5 * min(wrong, 3) + (0.2 if steps.keys() != others.keys() else 0.0)


def _aligned(mine: list[Unit], reference: list[Unit]) -> list[tuple[Unit, Unit]]:
    """The cheapest alignment of two lists (Needleman and Wunsch 1970)."""
    rows, columns = len(mine), len(reference)
    cost = np.zeros((rows + 1, columns + 1))
    cost[:, 0] = np.arange(rows + 1) * GAP
    cost[0, :] = np.arange(columns + 1) * GAP
    single = [[_cost(a, b) for b in reference] for a in mine]
    for i in range(1, rows + 1):
        for j in range(1, columns + 1):
            cost[i, j] = min(
                cost[i - 1, j - 1] + single[i - 1][j - 1],
                cost[i - 1, j] + GAP,
                cost[i, j - 1] + GAP,
            )
    found = []
    i, j = rows, columns
    while i and j:
        if cost[i, j] == cost[i - 1, j - 1] + single[i - 1][j - 1]:
            found.append((mine[i - 1], reference[j - 1]))
            i, j = i - 1, j - 1
        elif cost[i, j] == cost[i - 1, j] + GAP:
            i -= 1
        else:
            j -= 1
    return found[::-1]


# --- names ---------------------------------------------------------------------------------


def _names(network: Network) -> dict[int, str]:
    """By kind and order: "convolution 3", "fully connected layer 1", "sum 2"."""
    names: dict[int, str] = {}
    counts: Counter[str] = Counter()
    by_node: dict[int, str] = {}
    for unit in network.wanted():
        kind = _noun(unit)
        key = unit.node.index if unit.node is not None else -1
        if key not in by_node:
            counts[kind] += 1
            by_node[key] = kind if kind in ("the input", "the output") else f"{kind} {counts[kind]}"
        names[unit.index] = by_node[key]
    return names


def _noun(unit: Unit) -> str:
    if unit.kind == "conv":
        node = unit.node
        assert node is not None
        flat = node.height == 1 and node.width == 1 and node.written_as == "MatMul"
        return "fully connected layer" if flat else "convolution"
    nouns = {
        "input": "the input", "output": "the output", "add": "sum", "multiply": "product",
        "maximum": "maximum",
        "depthwise": "depthwise convolution", "constant": "constant",
    }  # fmt: skip
    if unit.kind == "foreign":
        return f"operation {unit.get('operation')}"
    return nouns.get(unit.kind, unit.kind)


def describe(unit: Unit) -> str:
    """In a few words: "5×5 convolution, 256 maps, 2 groups, stride 2"."""
    node = unit.node
    if node is None or unit.kind not in ("conv", "depthwise"):
        return _noun(unit)
    if _noun(unit) == "fully connected layer":
        return f"fully connected layer, {node.channels} outputs"
    rows, columns = node.kernel_shape[:2]
    words = [f"{rows}×{columns} {_noun(unit)}", f"{node.channels} maps"]
    if unit.groups > 1:
        words.append(f"{unit.groups} groups")
    stride, dilation = unit.get("stride"), unit.get("dilation")
    if stride != (1, 1):
        words.append(f"stride {_pair_text(stride)}")
    if dilation != (1, 1):
        words.append(f"dilation {_pair_text(dilation)}")
    return ", ".join(words)


def _pair_text(pair: Hashable) -> str:
    if isinstance(pair, tuple) and len(set(pair)) == 1:
        return str(pair[0])
    return str(pair)


# --- differences ---------------------------------------------------------------------------


@dataclass
class _Comparison:
    """The differences of two paired networks."""

    mine: Network
    reference: Network
    pairs: _Pairing
    findings: list[tuple[int, Finding]] = field(default_factory=list)
    weights: dict[WeightKey, tuple[WeightKey, str]] = field(default_factory=dict)
    weights_back: dict[WeightKey, tuple[WeightKey, str]] = field(default_factory=dict)
    roles: dict[WeightKey, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.names = _names(self.reference)
        self._explained: set[int] = set()
        self._told: set[str] = set()
        self._biases: list[str] = []
        self._epsilons: set[tuple[float, float]] = set()

    def run(self) -> None:
        for unit in self.reference.wanted():
            other = self.pairs.back.get(unit.index)
            if other is not None:
                self._compare(self.mine.units[other], unit)
        self._left_over()
        self._remarks()

    def say(
        self,
        at: int,
        where: str,
        what: str,
        expected: object,
        received: object,
        help: str = "",
        remark: bool = False,
    ) -> None:
        self.findings.append(
            (
                at,
                Finding(
                    where=where,
                    message=f"{what}: expected {expected}, received {received}",
                    expected=str(expected),
                    received=str(received),
                    source="the reference",
                    help=help,
                    severity="remark" if remark else "deviation",
                ),
            )
        )

    # --- one pair ---

    def _compare(self, mine: Unit, reference: Unit) -> None:
        where = self.names[reference.index]
        if self._groups(mine, reference, where):
            return
        self._label(mine, reference, where)
        matched = self._inputs(mine, reference, where)
        self._same_weights(mine.weights, reference.weights, reference, where, "its weights")
        for one, other in matched:
            for a, b in zip(one.entries, other.entries, strict=False):
                if a.sign == b.sign:
                    source = self.names[other.source]
                    place = source if b.kind == "bias" else where
                    what = "its bias" if b.kind == "bias" else f"the {b.text} before it"
                    self._same_weights(a.weights, b.weights, reference, place, what)
                    if a.epsilon != b.epsilon:
                        self._epsilons.add((b.epsilon, a.epsilon))
            if one.biased != other.biased:
                self._biases.append(self.names[other.source])

    def _groups(self, mine: Unit, reference: Unit, where: str) -> bool:
        """Another number of groups: all else that differs in their pieces follows from it."""
        if mine.kind != "conv" or reference.kind != "conv" or mine.groups == reference.groups:
            return False
        if mine.width == reference.width:
            return False
        assert mine.node is not None and reference.node is not None
        for network, node in ((self.mine, mine.node), (self.reference, reference.node)):
            for unit in network.units:
                if unit.node is node:
                    self._explained.add(unit.index if network is self.mine else -1 - unit.index)
        self.say(
            reference.index, where, f"{where} ({describe(reference)}): its groups",
            reference.groups, mine.groups,
            "With g groups, each kernel sees a g-th part of the maps.",
        )  # fmt: skip
        return True

    def _label(self, mine: Unit, reference: Unit, where: str) -> None:
        given, wanted = dict(mine.label), dict(reference.label)
        fields = list(dict.fromkeys([*wanted, *given]))
        wrong = [f for f in fields if given.get(f) != wanted.get(f)]
        # The padding follows from kernel and stride.
        if {"kernel", "stride", "dilation"} & set(wrong) and "padding" in wrong:
            wrong.remove("padding")
        if not wrong:
            return
        plain = reference.kind not in ("conv", "depthwise")
        title = where if plain else f"{where} ({describe(reference)})"
        if set(wrong) - {"weights"} and len(wrong) > 1:
            self.say(reference.index, where, title, describe(reference), describe(mine))
            return
        name = wrong[0]
        expected, received = self._field(name, reference, wanted), self._field(name, mine, given)
        if name == "kernel" and _noun(reference) == _noun(mine) == "fully connected layer":
            name = "inputs"
            expected, received = (
                "one number for each map" if size == "1×1" else f"maps of {size}"
                for size in (expected, received)
            )
        help = ""
        if name == "settings" and expected == received:
            expected, received = "the reference's constants", "others"
        if name == "unreadable":
            expected, received = "a network that can be read", "; ".join(self.mine.graph.trouble)
            if not received:
                expected, received = "; ".join(self.reference.graph.trouble), "a network"
        self.say(reference.index, where, f"{title}: its {name}", expected, received, help)

    def _field(self, name: str, unit: Unit, label: Mapping[str, Hashable]) -> str:
        value = label.get(name)
        if name == "maps" and unit.node is not None:
            return str(unit.node.channels)
        if name == "kernel" and isinstance(value, tuple):
            return f"{value[0]}×{value[1]}"
        if name == "padding" and isinstance(value, tuple) and len(value) == 4:
            return _pads_text((value[0], value[1], value[2], value[3]))
        if name == "size" and isinstance(value, tuple):
            return "×".join(map(str, value))
        if name in ("weights", "settings") and isinstance(value, tuple):
            return str(value[0])
        if isinstance(value, tuple) and len(value) == 2 and name in ("stride", "dilation"):
            return _pair_text(value)
        return str(value)

    # --- inputs ---

    def _inputs(self, mine: Unit, reference: Unit, where: str) -> list[tuple[Link, Link]]:
        """Compare what two units receive; the links that stand for each other."""
        waiting = list(mine.inputs)
        matched, missing = [], []
        for link in reference.inputs:
            same = self._take(waiting, link, lambda a, b: a.sign == b.sign)
            if same is not None:
                matched.append((same, link))
            else:
                missing.append(link)
        told: set[tuple[str, str, str]] = set()
        for link in list(missing):
            other = self._take(waiting, link, lambda a, b: True)
            if other is None:
                continue
            missing.remove(link)
            matched.append((other, link))
            self._steps(other, link, reference, where, told)
        self._sources(waiting, missing, reference, where)
        return matched

    def _take(self, waiting: list[Link], wanted: Link, fits: object) -> Link | None:
        for link in waiting:
            if self.pairs.of.get(link.source) == wanted.source and fits(link, wanted):  # type: ignore[operator]
                waiting.remove(link)
                return link
        return None

    def _steps(
        self, mine: Link, link: Link, reference: Unit, where: str, told: set[tuple[str, str, str]]
    ) -> None:
        source = self.names[link.source]
        if link.span != mine.span or link.slot != mine.slot:
            widths = self.mine.units[mine.source].width, self.reference.units[link.source].width
            if widths[0] != widths[1]:
                return
            expected, received = _span_text(link), _span_text(mine)
            if expected != received:
                what = f"{where}: the maps it receives of {source}"
                self.say(reference.index, where, what, expected, received)
                return
            if [e.sign for e in link.entries] == [e.sign for e in mine.entries]:
                what = f"{where}: the order of its inputs"
                key = (what, "", "")
                if key not in told:
                    told.add(key)
                    self.say(reference.index, where, what, "the reference's", "another")
                return
        expected, received = _spell(link.entries), _spell(mine.entries)
        if expected == received:
            expected, received = _exactly(link.entries), _exactly(mine.entries)
        place = f"between {source} and {where}"
        key = ("steps", expected, received)
        if key not in told:
            told.add(key)
            self.say(reference.index, where, place, expected, received)

    def _sources(self, extra: list[Link], missing: list[Link], reference: Unit, where: str) -> None:
        """Inputs that one side has and the other lacks, where no missing unit explains them."""
        gone = [
            k
            for k in missing
            if k.source in self.pairs.back and -1 - k.source not in self._explained
        ]
        more = [k for k in extra if k.source in self.pairs.of and k.source not in self._explained]
        # Through a unit that one side lacks, its inputs arrive by another way.
        ours = {self.pairs.of[s] for s in self._behind(self.mine, extra, self.pairs.of)}
        theirs = self._behind(self.reference, missing, self.pairs.back)
        gone = [k for k in gone if k.source not in ours]
        more = [k for k in more if self.pairs.of[k.source] not in theirs]
        if not gone and not more:
            return
        expected = _list(self.names[k.source] for k in gone)
        received = _list(self.names[self.pairs.of[k.source]] for k in more)
        self.say(
            reference.index,
            where,
            f"{where}: what it receives",
            f"the maps of {expected}" if expected else "nothing more",
            f"the maps of {received}" + ("" if expected else " too") if received else "not them",
        )

    def _behind(self, network: Network, links: list[Link], paired: Mapping[int, int]) -> set[int]:
        """The nearest paired units above units that have no counterpart."""
        found: set[int] = set()
        stack = [k.source for k in links if k.source not in paired]
        seen = set(stack)
        while stack:
            for link in network.units[stack.pop()].inputs:
                if link.source in paired:
                    found.add(link.source)
                elif link.source not in seen:
                    seen.add(link.source)
                    stack.append(link.source)
        return found

    # --- weights ---

    def _same_weights(
        self,
        mine: tuple[tuple[str, WeightKey], ...],
        wanted: tuple[tuple[str, WeightKey], ...],
        reference: Unit,
        where: str,
        what: str,
    ) -> None:
        if where in self._told:
            return
        before = len(self.findings)
        self._pair_weights(mine, wanted, reference, where, what)
        if len(self.findings) > before:
            self._told.add(where)

    def _pair_weights(
        self,
        mine: tuple[tuple[str, WeightKey], ...],
        wanted: tuple[tuple[str, WeightKey], ...],
        reference: Unit,
        where: str,
        what: str,
    ) -> None:
        for (role, key), (_, other) in zip(mine, wanted, strict=False):
            known, known_back = self.weights.get(key), self.weights_back.get(other)
            if known is None and known_back is None:
                self.weights[key] = (other, where)
                self.weights_back[other] = (key, where)
                self.roles[key] = role
                if self._frozen(key, other):
                    trained = self.reference.variables[other[0]].trainable
                    self.say(
                        reference.index, where, f"{where}: {what}",
                        "trained" if trained else "frozen", "frozen" if trained else "trained",
                    )  # fmt: skip
                    return
            elif known is not None and known[0] != other:
                self.say(
                    reference.index, where, f"{where}: {what}", "weights of its own",
                    f"those of {known[1]}", "Make a new layer for each place.",
                )  # fmt: skip
                return
            elif known_back is not None and known_back[0] != key:
                self.say(
                    reference.index, where, f"{where}: {what}",
                    f"those of {known_back[1]}, shared", "weights of its own",
                )  # fmt: skip
                return

    def _frozen(self, mine: WeightKey, reference: WeightKey) -> bool:
        if mine[0] >= len(self.mine.variables) or reference[0] >= len(self.reference.variables):
            return False
        a, b = self.mine.variables[mine[0]], self.reference.variables[reference[0]]
        return a.trainable != b.trainable

    # --- the rest ---

    def _left_over(self) -> None:
        """Units of one network that stand for nothing in the other."""
        for unit in self.reference.wanted():
            if unit.index in self.pairs.back or -1 - unit.index in self._explained:
                continue
            where = self.names[unit.index]
            expected = describe(unit)
            if unit.kind in ("add", "multiply", "maximum"):
                expected += " of " + _list(self.names[k.source] for k in unit.inputs)
            self.say(unit.index, where, where, expected, "nothing like it")
        for unit in self.mine.wanted():
            if unit.index in self.pairs.of or unit.index in self._explained:
                continue
            behind = sorted(
                self.pairs.of[s]
                for s in self._behind(self.mine, [Link(unit.index, None, ())], self.pairs.of)
            )
            at = behind[-1] if behind else self._receiver(unit.index)
            where = f"{'behind' if behind else 'before'} {self.names[at]}"
            self.say(at, where, where, "nothing more", describe(unit))

    def _receiver(self, index: int) -> int:
        """The first unit of the reference whose counterpart gets something from a unit."""
        waiting, seen = {index}, {index}
        while waiting:
            users = {
                u.index for u in self.mine.wanted() if any(k.source in waiting for k in u.inputs)
            }
            known = [self.pairs.of[u] for u in users if u in self.pairs.of]
            if known:
                return min(known)
            waiting = users - seen
            seen |= users
        return self.reference.wanted()[-1].index

    def _remarks(self) -> None:
        end = len(self.reference.units)
        if self._biases:
            places = list(dict.fromkeys(self._biases))
            self.say(
                end, _list(places[:3]) + (", …" if len(places) > 3 else ""),
                "a bias that the batch norm behind it makes idle", "as in the reference",
                f"otherwise in {len(places)} places", "It makes no difference.", remark=True,
            )  # fmt: skip
        for expected, received in sorted(self._epsilons):
            self.say(
                end, "network", "epsilon of its batch norms", f"{expected:.4g}",
                f"{received:.4g}", "It makes no noticeable difference.", remark=True,
            )  # fmt: skip
        if self.mine.ends_in != self.reference.ends_in:
            self.say(
                end, "the output", "the last step", self.reference.ends_in, self.mine.ends_in,
                "Tell the loss which of them it gets.", remark=True,
            )  # fmt: skip


def _span_text(link: Link) -> str:
    if link.span is None:
        return "all of them"
    return f"maps {link.span[0]} to {link.span[1] - 1}"


def _spell(entries: Iterable[Entry]) -> str:
    return " → ".join(e.text for e in entries) or "nothing in between"


def _exactly(entries: Iterable[Entry]) -> str:
    return " → ".join(f"{e.text} {e.sign[1:]}" for e in entries) or "nothing in between"


def _list(names: Iterable[str]) -> str:
    counts = Counter(names)
    return ", ".join(n if c == 1 else f"{n} ({c} times)" for n, c in counts.items())


def _run(mine: Network, reference: Network) -> _Comparison:
    comparison = _Comparison(mine, reference, _Pairing(mine, reference))
    comparison.run()
    return comparison


def _ordered(found: list[tuple[int, Finding]]) -> list[Finding]:
    """First causes first; the same difference in many places is one finding."""
    groups: dict[tuple[str, str, str], list[Finding]] = {}
    for _, finding in sorted(found, key=lambda item: item[0]):
        what = finding.message.replace(finding.where, "…")
        key = (finding.expected, finding.received, what if "between" not in what else "between")
        groups.setdefault(key, []).append(finding)
    merged = []
    for items in groups.values():
        places = list(dict.fromkeys(f.where for f in items))
        where = places[0]
        if len(places) > 1:
            where += f" (also {'; '.join(places[1:MAX_PLACES])}"
            where += f"; {len(places) - MAX_PLACES} more)" if len(places) > MAX_PLACES else ")"
        merged.append(items[0].model_copy(update={"where": where}))
    deviations = [f for f in merged if f.severity == "deviation"]
    return [*deviations[:MAX_FINDINGS], *[f for f in merged if f.severity == "remark"]]


def equivalent(
    mine: Graph,
    reference: Graph,
    mine_variables: Variables = (),
    reference_variables: Variables = (),
) -> list[Finding]:
    """Whether two canonical graphs are the same network, up to names, order and style.

    Args:
        mine: The network that is judged.
        reference: What it should be.
        mine_variables: Its variable table; without it trained and frozen are not told apart.
        reference_variables: The reference's.

    Returns:
        What differs, in the reference's words, the first cause first; remarks for what makes no
        difference. No deviation among them means that the networks are the same.
    """
    found = _run(
        Network(mine, mine_variables, "mine"), Network(reference, reference_variables, "reference")
    )
    return _ordered(found.findings)


@dataclass(frozen=True)
class Subject:
    """One network in every mode it was traced in.

    Attributes:
        graphs: Canonical graphs by mode; "inference" is always there.
        variables: Its variable table.
    """

    graphs: Mapping[str, Graph]
    variables: Variables = ()


def same_network(mine: Subject, reference: Subject) -> list[Finding]:
    """Compare two networks in every mode that both were traced in.

    Returns:
        As `equivalent`; what only a call with training=True shows is said so.
    """
    first = _run(
        Network(mine.graphs["inference"], mine.variables, "mine"),
        Network(reference.graphs["inference"], reference.variables, "reference"),
    )
    found = _ordered(first.findings)
    known = {(f.expected, f.received) for f in found}
    frozen = ("trained", "frozen") in known
    for mode in ("training", "plain"):
        if mode not in mine.graphs or mode not in reference.graphs:
            continue
        more = equivalent(
            mine.graphs[mode], reference.graphs[mode], mine.variables, reference.variables
        )
        words = "when called with training=True" if mode == "training" else "in a plain call"
        for finding in more:
            plain = _without_training(finding.expected, finding.received)
            if finding.severity == "remark" or plain in known:
                continue
            if frozen and plain[0] == plain[1] and finding.expected != finding.received:
                continue  # a frozen batch norm keeps its moving averages in training
            known.add(plain)
            message = f"{words}: {finding.message}"
            found.append(finding.model_copy(update={"message": message}))
    return found if frozen else [*found, *_idle_averages(first, mine, reference)]


def _without_training(expected: str, received: str) -> tuple[str, str]:
    """What differs less what a call in training adds to both sides alike."""
    texts = [text.replace(" over the batch", "") for text in (expected, received)]
    drops = [re.findall(r" → (?:spatial )?dropout of [0-9.]+", text) for text in texts]
    if drops[0] == drops[1]:
        for drop in drops[0]:
            texts = [text.replace(drop, "", 1) for text in texts]
    return texts[0], texts[1]


def _idle_averages(first: _Comparison, mine: Subject, reference: Subject) -> list[Finding]:
    """Moving averages that the reference updates in training and the other does not."""
    if "training" not in mine.graphs or "training" not in reference.graphs:
        return []
    ours, theirs = mine.graphs["training"].updates, reference.graphs["training"].updates
    items = []
    for key, (other, where) in first.weights.items():
        if first.roles[key] in ("mean", "variance") and other[0] in theirs and key[0] not in ours:
            finding = Finding(
                where=where,
                message=f"{where}: the moving averages of the BN before it: expected updated in "
                "training, received never updated",
                expected="updated in training",
                received="never updated",
                source="the reference",
                help="Pass `training` on to the layer, and do not freeze it.",
            )
            items.append((0, finding))
    return _ordered(items)


__all__ = ["Network", "Subject", "Unit", "describe", "equivalent", "same_network"]
