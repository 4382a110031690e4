"""Weights: each convolution and each batch norm has its own, and all of them are trained."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from grader.graph.canonical import Node, Segment
from grader.graph.record import VariableRecord
from grader.graph.rules import rulings
from grader.graph.rules.judge import Judge, size_text
from grader.graph.rules.rulings import Ruling
from grader.graph.slices import places_of
from grader.graph.steps import Word, words

SPELLINGS = {
    "Conv2DBackpropInput": "a transposed convolution of stride 1",
    "Conv3D": "a 3-D convolution of depth 1",
    "patches": "patches and a matrix product",
}
"""What a convolution can be written as, by the operation it was read from."""
FROZEN = "frozen ones"

Places = NDArray[Any] | None
"""Which numbers of a variable are meant; None for all."""


@dataclass
class _Taken:
    """What the convolutions and batch norms before one have taken.

    Attributes:
        kernels: By variable: which numbers of it, and where.
        norms: By variable and its first element here: what is normalised, and where.
        frozen: Places whose batch norm was said to be frozen.
        told: Remarks that were made.
    """

    kernels: dict[int, list[tuple[Places, str]]] = field(default_factory=dict)
    norms: dict[tuple[int, int], tuple[object, str]] = field(default_factory=dict)
    frozen: set[str] = field(default_factory=set)
    told: set[str] = field(default_factory=set)


def judge_weights(judge: Judge) -> None:
    """Every kernel is a variable of its own, or a part of one; every batch norm has its own."""
    taken = _Taken()
    for node in judge.graph.nodes:
        if node.kind == "conv" and node.index in judge.reading.where and node.kernel:
            _judge_kernel(judge, node, judge.reading.place(node), taken)
    for node in judge.graph.nodes:
        if node.index in judge.reading.where:
            for segment in (s for value in node.inputs for s in value.segments):
                for word, before in _norms_of(segment):
                    maps = (segment.node, segment.start, before)
                    _judge_norm(judge, node, word, maps, taken)


# --- kernels ---------------------------------------------------------------------------------


def _judge_kernel(judge: Judge, node: Node, where: str, taken: _Taken) -> None:
    assert node.kernel is not None
    _judge_spelling(judge, node, where, taken)
    parts: dict[int, Places] = dict.fromkeys(node.trained)
    if not parts:
        selected = None if node.kernel.stopped else places_of(node.kernel, judge.variables)
        if selected is None:
            _judge_computed(judge, node, where)
            return
        parts = dict(selected)
        _remark(judge, taken, rulings.KERNEL_A_PART, node, where, "a part of a larger one")
    _judge_own(judge, node, where, parts, taken)


def _judge_own(
    judge: Judge, node: Node, where: str, parts: Mapping[int, Places], taken: _Taken
) -> None:
    """Whether nobody else has a kernel's numbers, and they are trained.

    Args:
        judge: The network.
        node: The convolution.
        where: Its place.
        parts: Its variables, and which numbers of each are its own.
        taken: Those of the convolutions before it.
    """
    size = size_text(node)
    others = (
        owner
        for index, places in parts.items()
        for held, owner in taken.kernels.get(index, ())
        if places is None or held is None or np.isin(places, held).any()
    )
    shared = next(others, None)
    if shared is not None:
        received = f"the weights of {shared}"
        judge.say(rulings.KERNEL_SHARED, where, received, node.index, size=size)
    for index, places in parts.items():
        taken.kernels.setdefault(index, []).append((places, where))
    idle = next((v for v in map(judge.variables.__getitem__, parts) if not v.trainable), None)
    if idle is not None:
        received, todo = _untrained(idle)
        judge.say(
            rulings.KERNEL_UNTRAINED, where, f"one that is {received}", node.index,
            size=size, what_to_do=todo,
        )  # fmt: skip


def _judge_computed(judge: Judge, node: Node, where: str) -> None:
    assert node.kernel is not None
    ruling, received = rulings.KERNEL_COMPUTED, "weights that are computed from others"
    if not node.kernel.variables:
        received = "numbers that are never trained"
    elif node.kernel.variables <= node.kernel.stopped:
        ruling, received = rulings.KERNEL_STOPPED, "one that no gradient reaches"
    judge.say(ruling, where, received, node.index, size=size_text(node))


def _judge_spelling(judge: Judge, node: Node, where: str, taken: _Taken) -> None:
    """Other ways to write a convolution, which are the same function."""
    beside = int(node.get("beside") or 1)
    if beside > 1:
        _remark(judge, taken, rulings.BESIDE, node, where, f"{beside} side by side")
    elif len(node.trained) > 1:
        received = f"a sum of {len(node.trained)} over parts of it"
        _remark(judge, taken, rulings.SUMMED, node, where, received)
    elif node.written_as in SPELLINGS:
        received = SPELLINGS[node.written_as]
        _remark(judge, taken, rulings.OTHER_SPELLING, node, where, received)


def _remark(
    judge: Judge, taken: _Taken, ruling: Ruling, node: Node, where: str, received: str
) -> None:
    """Say something once for each place."""
    if f"{where}: {received}" not in taken.told:
        taken.told.add(f"{where}: {received}")
        judge.say(ruling, where, received, node.index, size=size_text(node))


def _untrained(variable: VariableRecord) -> tuple[str, str]:
    """What a weight is that the optimizer never changes, and what to do."""
    if variable.owned:
        return "frozen", "Leave `trainable=True`."
    return (
        "untracked",
        "It is neither trained nor saved: make layers and weights in `__init__` or `build` and "
        "keep them as attributes, never inside a Lambda or a closure.",
    )


# --- batch norms -----------------------------------------------------------------------------


def _norms_of(segment: Segment) -> Iterator[tuple[Word, tuple[str, ...]]]:
    """Each batch norm on a segment's way, with what stands before it there."""
    before: tuple[str, ...] = ()
    for word in words(segment):
        if word.part is not None and word.kind == "BN":
            yield word, before
        before = (*before, word.key)


def _judge_norm(judge: Judge, node: Node, word: Word, maps: object, taken: _Taken) -> None:
    """One batch norm of one receiver.

    Args:
        judge: The network.
        node: The receiver.
        word: The norm.
        maps: What it normalises: the same maps are normalised once for all that receive them.
        taken: What the norms before it have.
    """
    assert word.part is not None
    where = judge.reading.place(node)
    _judge_gradients(judge, node, where, word)
    for role, index in word.part.roles:
        owned, owner = taken.norms.setdefault((index, word.low), (maps, where))
        if owned != maps and (node.index, "norm") not in judge.reported:
            judge.reported.add((node.index, "norm"))
            judge.say(rulings.NORM_SHARED, where, f"the weights of {owner}", node.index)
        trained = role in ("gamma", "beta")
        fixed = trained and not judge.variables[index].trainable
        # The image may be scaled by fixed numbers.
        if fixed and where != "stem" and where not in taken.frozen:
            taken.frozen.add(where)
            received, todo = _untrained(judge.variables[index])
            received = f"{received} ones"
            judge.say(rulings.NORM_UNTRAINED, where, received, node.index, what_to_do=todo)


def _judge_gradients(judge: Judge, node: Node, where: str, word: Word) -> None:
    """A gradient reaches the scale, the offset and the batch statistics of a batch norm.

    At inference nothing is trained, so a gradient that is stopped there alone is no mistake.
    """
    if not judge.expected.training or word.step.affine is None or word.part is None:
        return
    stopped = word.step.affine.stopped
    trained = {index for role, index in word.part.roles if role in ("gamma", "beta")}
    ruling = rulings.NORM_STOPPED if stopped & trained else rulings.STATISTICS_STOPPED
    of_statistics = any(isinstance(source, str) for source in stopped)
    if not (stopped & trained or of_statistics) or (node.index, "gradient") in judge.reported:
        return
    judge.reported.add((node.index, "gradient"))
    judge.say(ruling, where, "some that no gradient reaches", node.index)
