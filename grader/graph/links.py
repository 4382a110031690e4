"""What stands on the way from one unit to another: steps in a form that two networks can share.

The same function under another name is not a difference: a bias before a batch norm (a remark),
ReLU before or after max pooling or dropout, padding that the stride never reaches.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np

from grader.graph.canonical import Graph, Segment
from grader.graph.record import VariableRecord
from grader.graph.steps import Word, words
from grader.graph.symbols import Symbol, Unreadable, Values, digest

Variables = Sequence[VariableRecord]
WeightKey = tuple[int, int]
"""A variable, and the first channel or the group of it that is meant."""
Weights = tuple[tuple[str, WeightKey], ...]
"""Weights by the role they play."""


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
    weights: Weights = ()
    epsilon: float = 0.0

    @property
    def kind(self) -> str:
        """BN, ReLU, pool and so on."""
        return str(self.sign[0])

    @property
    def sign_at_inference(self) -> tuple[Hashable, ...]:
        """Equal for a batch norm over the batch and by its moving averages."""
        return ("BN", *self.sign[2:]) if self.kind == "BN" else self.sign


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


class StepReader:
    """Reads the steps of a segment as entries.

    Args:
        graph: The canonical graph.
        variables: Its variable table; may be empty.
        side: Which of the two networks it is; what cannot be read equals nothing of the other.
        free: Kinds of steps that are not looked at.
    """

    def __init__(
        self, graph: Graph, variables: Variables, side: str, free: frozenset[str] = frozenset()
    ) -> None:
        self.free = free
        self.graph = graph
        self.variables = variables
        self.side = side

    def link(self, segment: Segment, unit: int, span: tuple[int, int] | None) -> Link:
        """The way of a segment from a unit, less what makes no difference."""
        node = self.graph.nodes[segment.node]
        height, width = node.height, node.width
        entries: list[Entry] = []
        for word in words(segment):
            entry, height, width = self._entry(word, height, width)
            if entry.kind not in self.free:
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
            text = f"padding of {pads_text((top, left, bottom, right))} with {fill:g}"
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
        of_batch = ("batch",) if any(t.symbol.statistics for t in affine.terms) else ()
        return Entry(("other", exact, *of_batch), word.text, keys)

    def _size(self, index: int) -> int:
        return self.variables[index].size if index < len(self.variables) else 0

    def computed(self, symbol: Symbol) -> Hashable:
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
        text += f", padding {pads_text(margins)}"
    return ("pool", mode, tuple(size), tuple(steps), margins), text, outs[0], outs[1]


def pads_text(pads: tuple[int, int, int, int]) -> str:
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
