"""The rules of the paper, one function each, over a network that was read.

    composite function   sec. 3 "Composite function": BN, then ReLU, then a 3×3 convolution
    dense connectivity   eq. 2: layer ℓ receives [x0, x1, …, x(ℓ-1)], each once and as it is
    growth rate          sec. 3 "Growth rate": every layer gives k maps
    bottleneck           sec. 3 "Bottleneck layers": BN-ReLU-conv1×1(4k)-BN-ReLU-conv3×3(k)
    transition           sec. 3 "Pooling layers", "Compression": BN, conv1×1 to ⌊θm⌋, 2×2 average
    stem, head           sec. 3 "Implementation details"

A rule gives `Deviation`s: which check they fail, and a `Finding` that says where and what. The
same rules read the inference graph and the training graph; only what a batch norm normalises by
differs.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from grader import paper
from grader.domain import Finding
from grader.graph import work
from grader.graph.canonical import OUTSIDE, Graph, Node, Segment, Step
from grader.graph.densenet import (
    Block,
    Reading,
    Source,
    Unit,
    consumers,
    convolutions_behind,
    gates_of,
    most_common,
    sources,
)
from grader.graph.judged import name_of
from grader.graph.record import VariableRecord
from grader.graph.slices import places_of
from grader.graph.steps import Word, spell, words

COMPOSITE = "Huang et al. 2017, sec. 3, Composite function"
CONNECTIVITY = "Huang et al. 2017, eq. 2"
GROWTH = "Huang et al. 2017, sec. 3, Growth rate"
BOTTLENECK = "Huang et al. 2017, sec. 3, Bottleneck layers"
POOLING = "Huang et al. 2017, sec. 3, Pooling layers"
COMPRESSION = "Huang et al. 2017, sec. 3, Compression"
DETAILS = "Huang et al. 2017, sec. 3, Implementation Details"

SPELLINGS = {
    "Conv2DBackpropInput": "a transposed convolution of stride 1",
    "Conv3D": "a 3-D convolution of depth 1",
    "patches": "patches and a matrix product",
}
"""What a convolution can be written as, by the operation it was read from."""

SHOWN = 6
"""Places that a finding names before it only counts them."""

AS_GIVEN = (
    "In the paper BN and ReLU stand before each convolution; what a layer gives is concatenated "
    "as it is."
)
STEM_AS_GIVEN = (
    "The first block receives the stem's maps as they are: BN and ReLU are those of its layers, "
    "and the first pooling is the first transition's."
)

FROZEN = "frozen ones"
WITHOUT_AXIS = "Write BatchNormalization() without an axis: the channels stand last."
OWN_NORM = "Use BatchNormalization: it normalises by the mean and the variance of the whole batch."
PLAIN_RELU = "The paper uses the plain ReLU, max(0, x)."
BEFORE_THE_STEM = "before its convolution"

RANDOM = {"dropout", "noise"}
"""Steps that draw numbers. `Judge.random` tells of them: at inference none may stand anywhere, in
training dropout may, and is remarked on in another place than the paper's."""


@dataclass(frozen=True)
class Deviation:
    """One difference from the paper.

    Attributes:
        check: The name of the check it fails.
        finding: Where, expected, received, help.
        cause: Lower numbers come first: what stands earlier in the network explains the rest.
        places: Every place that shows it, where the finding names only some.
        wrecks: Whether the rest of the network cannot be read as what it is after it.
    """

    check: str
    finding: Finding
    cause: int = 0
    places: tuple[str, ...] = ()
    wrecks: bool = False


@dataclass(frozen=True)
class Expected:
    """What a network or function should be.

    Attributes:
        growth_rate: k; None to take what most layers have.
        num_layers: n; None to take what most blocks have.
        compression: θ; None to accept any.
        bottleneck: Whether layers have bottlenecks.
        num_classes: Classes; None to accept any.
        stem_channels: Accepted widths of the stem; empty accepts any.
        training: Whether the graph is the one of training.
    """

    growth_rate: int | None
    num_layers: int | None
    compression: float | None
    bottleneck: bool
    num_classes: int | None = None
    stem_channels: tuple[int, ...] = ()
    training: bool = False


def deviation(
    check: str,
    where: str,
    what: str,
    expected: object,
    received: object,
    source: str,
    help: str = "",
    cause: int = 0,
    severity: str = "deviation",
) -> Deviation:
    """A deviation in the sentence form "what: expected X, received Y"."""
    message = f"{what}: expected {expected}, received {received}"
    finding = Finding(
        where=where,
        message=message,
        expected=str(expected),
        received=str(received),
        source=source,
        help=help,
        severity="remark" if severity == "remark" else "deviation",
        what=what,
    )
    return Deviation(check, finding, cause)


# --- what reaches a convolution ------------------------------------------------------------


def size_text(node: Node) -> str:
    """A convolution by its kernel: "3×3 convolution"; on a vector, "fully connected layer"."""
    rows, columns = node.kernel_shape[:2]
    if node.written_as == "MatMul" and node.height == 1:
        return "fully connected layer"
    return f"{rows}×{columns} convolution"


class Judge:
    """Compares one reading with the paper and collects the deviations.

    Args:
        reading: The network as read.
        expected: What it should be.
        variables: Its variable table.
    """

    def __init__(
        self, reading: Reading, expected: Expected, variables: tuple[VariableRecord, ...]
    ) -> None:
        self.reading = reading
        self.graph: Graph = reading.graph
        self.expected = expected
        self.variables = variables
        self.found: list[Deviation] = []
        self.behind = convolutions_behind(reading.graph)
        self._consumers = consumers(reading.graph)
        self._gates = gates_of(reading.graph)
        self._odd = {n.index for n in reading.odd}
        self._uses = self._segment_uses()
        self._own: dict[tuple[int, tuple[str, ...]], tuple[Word, ...]] = {}
        self._reported: set[tuple[int, str]] = set()
        self._told: set[str] = set()

    def is_silent(self, word: Word) -> bool:
        """Whether a step is told of by `random`, and by no rule that meets it."""
        if word.kind == "odd":
            return True
        return word.kind == "dropout" or (word.kind in RANDOM and not self.expected.training)

    def say(self, *arguments: object, **keywords: object) -> None:
        """Add one deviation."""
        work.spend_pieces(50)
        self.found.append(deviation(*arguments, **keywords))  # type: ignore[arg-type]

    # --- segments by where they come from ---

    def arrives_as(self, segment: Segment, widths: dict[int, int]) -> tuple[int, int, int]:
        """A segment's node and channels; what an odd operation made of one source is that source.

        The operation itself is judged where it stands (`judge_odd`), not at each receiver.
        """
        node = self.graph.nodes[segment.node]
        if segment.node in widths or segment.node not in self._odd or node.kind == "constant":
            return segment.node, segment.start, segment.stop
        origin = self.behind[segment.node]
        (only,) = origin if len(origin) == 1 else (-1,)
        if only in widths and node.channels == widths[only] and not self._is_used_as_it_is(only):
            return only, segment.start, segment.stop
        return segment.node, segment.start, segment.stop

    def _is_used_as_it_is(self, index: int) -> bool:
        """Whether anybody receives a convolution's maps with no odd operation between."""
        users = self._consumers.get(index, set()) - self._gates
        return any(i < 0 or self.graph.nodes[i].kind == "conv" for i in users)

    def place_of_odd(self, node: Node) -> str:
        """Where an odd operation stands: at the layer whose maps it changes, or at the receiver.

        Where others receive the same maps unchanged, it stands on one layer's link.
        """
        origin = [i for i in self.behind[node.index] if i in self.reading.where]
        if not origin or not self._is_used_as_it_is(max(origin)):
            return self.reading.place(node)
        receivers: set[int] = set()
        stack, seen = [node.index], {node.index}
        while stack:
            for index in self._consumers.get(stack.pop(), ()):
                if index in self.reading.where:
                    receivers.add(index)
                elif index >= 0 and index not in seen:
                    seen.add(index)
                    stack.append(index)
        return self.reading.where[min(receivers)] if receivers else self.reading.place(node)

    def _segment_uses(self) -> dict[int, list[tuple[int, tuple[Word, ...]]]]:
        """For each node: who uses it (−1: the output) and through which steps."""
        uses: dict[int, list[tuple[int, tuple[Word, ...]]]] = {}
        wanted = self.graph.ancestors()
        for node in self.graph.nodes:
            if node.index not in wanted:
                continue
            for value in node.inputs:
                for segment in value.segments:
                    uses.setdefault(segment.node, []).append((node.index, words(segment)))
        if self.graph.output is not None:
            for segment in self.graph.output.segments:
                uses.setdefault(segment.node, []).append((-1, words(segment)))
        return uses

    def _own_steps(self, node: Node, expected: tuple[str, ...]) -> tuple[Word, ...]:
        """Steps that belong to a unit's output, since everybody receives them the same way.

        Where there is one receiver only, the steps that are expected of the unit (a transition's
        pooling), and its bias, are its own.
        """
        known = self._own.get((node.index, expected))
        if known is None:
            known = self._own[node.index, expected] = self._shared_steps(node, expected)
        return known

    def _shared_steps(self, node: Node, expected: tuple[str, ...]) -> tuple[Word, ...]:
        uses = self._uses.get(node.index, [])
        if not uses:
            return ()
        common = uses[0][1]
        for _, steps in uses[1:]:
            shared = []
            for a, b in zip(common, steps, strict=False):
                if a.key != b.key:
                    break
                shared.append(a)
            common = tuple(shared)
        receivers = {index for index, _ in uses}
        normed = self._normed_alone(node, common)
        if normed and (len(receivers) > 1 or receivers == {-1} or _norms(common[len(normed) :])):
            return normed
        if receivers == {-1} and self.reading.where.get(node.index) == "transition":
            return common
        if len(receivers) == 1 and (habit := self._habit(node)):
            kinds = tuple(w.kind for w in common[: len(habit)])
            if kinds == habit:
                return common[: len(habit)]
        if len(receivers) > 1 and not self._somebody_receives_it_right(uses, expected):
            return common
        own: list[Word] = []
        wanted = list(expected)
        for word in common:
            if word.kind == "bias" and not own:
                own.append(word)
            elif word.kind in RANDOM and self.is_silent(word):
                own.append(word)
            elif wanted and word.kind == wanted[0]:
                own.append(word)
                wanted.pop(0)
            else:
                break
        return tuple(own)

    def _habit(self, node: Node) -> tuple[str, ...]:
        """What the other layers of a dense block do to their maps, where they do it alike.

        A block's last layer has one receiver: whether a step behind it is its own, or the
        receiver's, is told by the layers that have several.
        """
        habits = set()
        for block in self.reading.blocks:
            ends = {u.last.index: u.last for u in block.layers}
            for other in ends.values() if node.index in ends else ():
                if len({receiver for receiver, _ in self._uses.get(other.index, [])}) > 1:
                    own = self._own_steps(other, ())
                    habits.add(tuple(w.kind for w in own))
        (habit,) = habits if len(habits) == 1 else [()]
        return habit if set(habit) - {"bias", *RANDOM} else ()

    def _normed_alone(self, node: Node, common: tuple[Word, ...]) -> tuple[Word, ...]:
        """The leading steps of a dense layer's maps that were applied to these maps alone.

        A receiver normalises everything it receives together; what was normalised alone, before
        the concatenation, was conv → BN → ReLU.
        """
        if "layer" not in self.reading.where.get(node.index, ""):
            return ()
        alone: list[Word] = []
        for word in common:
            affine = word.step.affine
            if affine is not None and affine.channels != node.channels:
                break
            if affine is not None and word.kind == "BN" and _norms(tuple(alone)):
                break
            alone.append(word)
        return tuple(alone) if _norms(tuple(alone)) else ()

    def _somebody_receives_it_right(
        self, uses: list[tuple[int, tuple[Word, ...]]], expected: tuple[str, ...]
    ) -> bool:
        """Whether a receiver applies exactly BN, ReLU (or nothing, for an output) itself."""
        for index, steps in uses:
            kinds = [w.kind for w in steps if w.kind != "bias" and not self.is_silent(w)]
            kinds = kinds[len(expected) :]
            right = [] if index == -1 and not self.reading.classifier else ["BN", "ReLU"]
            if kinds == right and right:
                return True
        return False

    # --- one unit's output ---

    def output_steps(self, unit: Unit, where: str, expected: tuple[str, ...], check: str) -> None:
        """Nothing may stand between a unit's convolution and the concatenation."""
        own = self._own_steps(unit.last, expected)
        wanted = list(expected)
        extra = []
        for position, word in enumerate(own):
            if self.is_silent(word) or (word.kind == "bias" and position == 0):
                continue
            if wanted and word.kind == wanted[0]:
                wanted.pop(0)
                continue
            extra.append(word)
        if extra:
            named = tuple(extra)
            self._reported.add((unit.last.index, "output"))
            self.say(
                check,
                where,
                f"behind its {size_text(unit.last)}",
                "nothing but the concatenation" if check != "stem" else "nothing",
                spell(named),
                COMPOSITE if check != "stem" else DETAILS,
                AS_GIVEN if check != "stem" else STEM_AS_GIVEN,
                cause=unit.last.index,
            )

    # --- one convolution's input ---

    def input_steps(self, node: Node, where: str, then: str, check: str, source: str) -> None:
        """BN, then ReLU, then the convolution: the same for everything that reaches it."""
        rests = self._rests(node)
        kinds = [tuple(w.kind for w in rest) for _, rest in rests]
        wrong = [i for i, k in enumerate(kinds) if k != ("BN", "ReLU")]
        if not wrong:
            self._same_norm(node, rests, where)
            return
        usual = most_common_kinds(kinds)
        if len(wrong) == len(kinds) and all(k == usual for k in kinds):
            if usual[-2:] == ("BN", "ReLU") and not set(usual[:-2]) & {"BN", "ReLU"}:
                check, source = "dense-connectivity", CONNECTIVITY
            self._order(node, rests[0][1], where, then, check, source)
            return
        if usual != ("BN", "ReLU"):
            first = next(i for i, k in enumerate(kinds) if k == usual)
            self._order(node, rests[first][1], where, then, check, source)
        for i in wrong:
            if kinds[i] == usual:
                continue
            segment, rest = rests[i]
            self.say(
                "dense-connectivity",
                where,
                f"the maps of {self.label(segment.node)} before its {then}",
                "BN → ReLU",
                spell(rest),
                CONNECTIVITY,
                "Every layer receives the earlier maps as they were given, and applies its own "
                "BN and ReLU to all of them together.",
                cause=node.index,
            )

    def _rests(self, node: Node) -> list[tuple[Segment, tuple[Word, ...]]]:
        """Each segment a convolution receives, with the steps that are the receiver's own."""
        rests = []
        for value in node.inputs:
            for segment in value.segments:
                found = words(segment)
                own = len(self._own_steps(self.graph.nodes[segment.node], self._prefix(segment)))
                rest = tuple(w for w in found[own:] if not self.is_silent(w))
                in_head = self.reading.where.get(node.index) == "head"
                if in_head or not _norms(rest):  # told with the order, and not apart from it
                    shown = [w for w in found[own:] if w.kind == "odd" or not self.is_silent(w)]
                    self._told |= {w.key for w in shown if w.kind == "odd"}
                    rest = tuple(shown)
                rests.append((segment, rest))
        return rests

    def _prefix(self, segment: Segment) -> tuple[str, ...]:
        """The steps a unit may have behind its convolution: a transition's pooling."""
        where = self.reading.where.get(segment.node, "")
        if where.startswith("transition"):
            return ("pool",)
        return ()

    def _order(
        self, node: Node, rest: tuple[Word, ...], where: str, then: str, check: str, source: str
    ) -> None:
        kinds = [w.kind for w in rest]
        help = "The composite function is BN, then ReLU, then the convolution, in this order."
        if "norm" in kinds:
            help = WITHOUT_AXIS
        elif "other" in kinds:
            help = OWN_NORM
        elif kinds == ["ReLU", "BN"]:
            help = "Swap them: batch normalisation comes first, then the ReLU."
        elif kinds == ["ReLU"]:
            help = "Put a BatchNormalization before the ReLU."
        elif kinds == ["BN"]:
            help = "Put a ReLU between the batch normalisation and the convolution."
        elif kinds[:1] == ["BN"] and set(kinds[1:-1]) & {"scale", "bias"} and kinds[-1] == "ReLU":
            help = "The batch norm has a scale and an offset of its own: leave the second out."
        elif kinds == ["ReLU", "BN", "ReLU"]:
            help = "A ReLU too many: leave `activation=` out of the convolution before it."
        elif "activation" in kinds:
            help = PLAIN_RELU
        elif not kinds:
            help = "Apply BN and ReLU to the input before this convolution."
        self.say(
            check,
            where,
            f"before its {then}",
            f"BN → ReLU → {then}",
            spell(rest, then),
            source,
            help,
            cause=node.index,
        )

    def _same_norm(
        self,
        node: Node,
        rests: list[tuple[Segment, tuple[Word, ...]]],
        where: str,
        check: str = "composite-function",
        source: str = COMPOSITE,
    ) -> None:
        """Each batch norm covers what it normalises, with the statistics of its mode."""
        wanted = "batch" if self.expected.training else "moving"
        for _, rest in rests:
            part = rest[0].part
            if part is None:
                continue
            if part.statistics != wanted:
                self.say(
                    "training-behaviour",
                    where,
                    "its batch normalisation in "
                    + ("training" if self.expected.training else "inference"),
                    "statistics of the batch" if wanted == "batch" else "moving averages",
                    "moving averages" if wanted == "batch" else "statistics of the batch",
                    COMPOSITE,
                    "Do not hard-wire `training=` or freeze the layer: Keras passes the mode on.",
                    cause=node.index,
                )
                return
            if part.role("beta") is None:
                self.say(
                    check, where, "its batch normalisation", "a trained offset (beta)", "none",
                    source, "Leave `center=True`.", cause=node.index,
                )  # fmt: skip
                return
            if part.role("gamma") is None:
                self.say(
                    check, where, "its batch normalisation", "a trained scale (gamma)", "none",
                    source, "No harm: the next convolution can take its place.",
                    cause=node.index, severity="remark",
                )  # fmt: skip
                return
            if part.variant:
                self.say(
                    check if part.variant == OUTSIDE else "training-behaviour", where,
                    "its batch normalisation", "(x - mean) / √(variance + ε)",
                    f"one with {part.variant}", source,
                    "No harm: the numbers differ by next to nothing.",
                    cause=node.index, severity="remark",
                )  # fmt: skip
                return

    # --- one convolution's shape ---

    def geometry(
        self,
        node: Node,
        where: str,
        kernel: tuple[int, int],
        channels: int | None,
        checks: tuple[str, str],
        source: str,
    ) -> None:
        """Kernel, stride, padding, dilation and groups of one convolution, and its maps."""
        shape_check, width_check = checks
        name = f"{kernel[0]}×{kernel[1]} convolution"
        if node.kernel_shape[:2] != kernel:
            self.say(
                shape_check, where, "its convolution", name, size_text(node), source,
                f"Use a kernel of {kernel[0]}×{kernel[1]}.", cause=node.index,
            )  # fmt: skip
            return
        pad = kernel[0] // 2, (kernel[0] - 1) // 2, kernel[1] // 2, (kernel[1] - 1) // 2
        for what, expected, received in (
            ("the stride of its " + name, (1, 1), node.get("strides")),
            ("the dilation of its " + name, (1, 1), node.get("dilations")),
            ("the groups of its " + name, 1, node.get("groups")),
            ("the padding of its " + name, pad, node.get("padding")),
        ):
            if expected != received:
                wanted, plain = _setting(expected), _setting(received)
                self.say(
                    shape_check, where, what, wanted, plain, source,
                    "The paper's convolutions have stride 1, no dilation, no groups, and zero "
                    "padding that keeps the size of the map.", cause=node.index,
                )  # fmt: skip
                return
        if node.written_as == "MatMul":
            self.say(
                shape_check,
                where,
                f"its {name}",
                "a convolution",
                "a fully connected layer over the channels",
                source,
                "No harm: the two are the same function.",
                cause=node.index,
                severity="remark",
            )
        if channels is not None and node.channels != channels:
            self.say(
                width_check, where, f"the maps its {name} gives", channels, node.channels, source,
                "Every dense layer gives growth_rate maps."
                if width_check == "growth"
                else "A bottleneck gives 4 * growth_rate maps.",
                cause=node.index,
            )  # fmt: skip

    # --- kernels ---

    def kernels(self) -> None:
        """Every kernel is a trained variable of its own, or a part of one that is its own."""
        taken: dict[int, list[tuple[NDArray[Any] | None, str]]] = {}
        told: set[str] = set()
        for node in self.graph.nodes:
            if node.kind != "conv" or node.index not in self.reading.where or not node.kernel:
                continue
            where = self.reading.place(node)
            self._spelling(node, where, told)
            parts: dict[int, NDArray[Any] | None] = dict.fromkeys(node.trained)
            if not parts:
                selected = None if node.kernel.stopped else places_of(node.kernel, self.variables)
                if selected is None:
                    self._computed_kernel(node, where)
                    continue
                parts = dict(selected)
                self._remark_once(
                    told, node, where, "own-weights", f"the kernel of its {size_text(node)}",
                    "a variable", "a part of a larger one", "No harm: each part is used once.",
                )  # fmt: skip
            self._own_kernel(node, where, parts, taken)

    def _own_kernel(
        self,
        node: Node,
        where: str,
        parts: Mapping[int, NDArray[Any] | None],
        taken: dict[int, list[tuple[NDArray[Any] | None, str]]],
    ) -> None:
        """Whether nobody else has a kernel's numbers, and they are trained.

        Args:
            node: The convolution.
            where: Its place.
            parts: Its variables, and which numbers of each are its own; None for all.
            taken: The same of the convolutions before it, with their places.
        """
        others = (
            owner
            for index, places in parts.items()
            for held, owner in taken.get(index, ())
            if places is None or held is None or np.isin(places, held).any()
        )
        shared = next(others, None)
        if shared is not None:
            self.say(
                "own-weights", where, f"the kernel of its {size_text(node)}",
                "weights of its own", f"the weights of {shared}", DETAILS,
                "Create a new layer object for every place where the paper has a layer.",
                cause=node.index,
            )  # fmt: skip
        for index, places in parts.items():
            taken.setdefault(index, []).append((places, where))
        idle = [v for v in map(self.variables.__getitem__, parts) if not v.trainable]
        if idle:
            received, help = _untrained(idle[0])
            self.say(
                "own-weights", where, f"the kernel of its {size_text(node)}",
                "a trained variable", f"one that is {received}", DETAILS, help,
                cause=node.index,
            )  # fmt: skip

    def _computed_kernel(self, node: Node, where: str) -> None:
        assert node.kernel is not None
        received = "weights that are computed from others"
        help = "Let the layer create its kernel; do not rescale, normalise or fix it."
        if not node.kernel.variables:
            received = "numbers that are never trained"
        elif node.kernel.variables <= node.kernel.stopped:
            received = "one that no gradient reaches"
            help = "Take the stop_gradient away: what stands behind it is not trained."
        self.say(
            "own-weights", where, f"the kernel of its {size_text(node)}", "a trained variable",
            received, DETAILS, help, cause=node.index,
        )  # fmt: skip

    def _spelling(self, node: Node, where: str, told: set[str]) -> None:
        """Other ways to write a convolution, which are the same function."""
        what = f"its {size_text(node)}"
        beside = int(node.get("beside") or 1)
        if beside > 1:
            self._remark_once(
                told, node, where, "foreign-ops", what, "one", f"{beside} side by side",
                "No harm: together they are one.",
            )  # fmt: skip
        elif len(node.trained) > 1:
            self._remark_once(
                told, node, where, "foreign-ops", what, "one over all that it receives",
                f"a sum of {len(node.trained)} over parts of it",
                "No harm: together they are one.",
            )  # fmt: skip
        elif node.written_as in SPELLINGS:
            self._remark_once(
                told, node, where, "composite-function", what, "a convolution",
                SPELLINGS[node.written_as], "No harm: the two are the same function.",
            )  # fmt: skip

    def _remark_once(
        self,
        told: set[str],
        node: Node,
        where: str,
        check: str,
        what: str,
        expected: str,
        received: str,
        help: str,
    ) -> None:
        if f"{where}: {received}" not in told:
            told.add(f"{where}: {received}")
            self.say(
                check, where, what, expected, received, DETAILS, help, cause=node.index,
                severity="remark",
            )  # fmt: skip

    def norms(self) -> None:
        """Every batch norm has variables of its own, trained where they should be."""
        owner: dict[tuple[int, int], tuple[object, str]] = {}
        frozen: set[str] = set()
        for node in self.graph.nodes:
            if node.index not in self.reading.where:
                continue
            where = self.reading.place(node)
            for value in node.inputs:
                for segment in value.segments:
                    before: tuple[str, ...] = ()
                    for word in words(segment):
                        if word.part is not None and word.kind == "BN":
                            maps = (segment.node, segment.start, before)
                            self._norm(node, where, word, maps, owner, frozen)
                        before = (*before, word.key)

    def _norm(
        self,
        node: Node,
        where: str,
        word: Word,
        maps: object,
        owner: dict[tuple[int, int], tuple[object, str]],
        frozen: set[str],
    ) -> None:
        """One batch norm of one receiver.

        Args:
            node: The receiver.
            where: Its place.
            word: The norm.
            maps: What it normalises: the same maps are normalised once for all that receive them.
            owner: Variable, and its first element here → what it normalises, and where.
            frozen: Places whose norm was said to be frozen.
        """
        assert word.part is not None
        self._gradients(node, where, word)
        for role, index in word.part.roles:
            first = owner.setdefault((index, word.low), (maps, where))
            if first[0] != maps and (node.index, "norm") not in self._reported:
                self._reported.add((node.index, "norm"))
                self.say(
                    "own-weights", where, "its batch normalisation",
                    "weights of its own", f"the weights of {first[1]}", COMPOSITE,
                    "Create a new BatchNormalization for every place.", cause=node.index,
                )  # fmt: skip
            trained = role in ("gamma", "beta")
            input_scaling = where == "stem"
            if trained and not self.variables[index].trainable and not input_scaling:
                if where not in frozen:
                    frozen.add(where)
                    received, help = _untrained(self.variables[index])
                    self.say(
                        "training-behaviour", where, "its batch normalisation",
                        "a trained scale and offset", f"{received} ones", COMPOSITE, help,
                        cause=node.index,
                    )  # fmt: skip

    def _gradients(self, node: Node, where: str, word: Word) -> None:
        """A gradient reaches the scale, the offset and the batch statistics of a batch norm.

        At inference nothing is trained, so a gradient that is stopped there alone is no mistake.
        """
        if not self.expected.training or word.step.affine is None or word.part is None:
            return
        stopped = word.step.affine.stopped
        trained = {index for role, index in word.part.roles if role in ("gamma", "beta")}
        what, expected = "the statistics of its batch normalisation", "part of what is trained"
        if stopped & trained:
            what, expected = "its batch normalisation", "a trained scale and offset"
        elif not any(isinstance(source, str) for source in stopped):
            return
        if (node.index, "gradient") in self._reported:
            return
        self._reported.add((node.index, "gradient"))
        self.say(
            "training-behaviour", where, what, expected, "some that no gradient reaches",
            COMPOSITE, "Take the stop_gradient away: what stands behind it is not trained.",
            cause=node.index,
        )  # fmt: skip

    def odd_steps(self) -> None:
        """What one value is put through that the paper does not have, told once at its place."""
        told: set[tuple[str, str]] = set()
        for node, index, found in self._links():
            for position, word in enumerate(found):
                if word.kind != "odd" or word.key in self._told:
                    continue
                where, own = self._place_of_odd_step(node, index, word)
                if (where, word.text) in told:
                    continue
                told.add((where, word.text))
                within = node is not None and self.reading.where.get(index) == where
                on_a_link = not (own or within) and _norms(found[position:])
                self.say(
                    "dense-connectivity" if on_a_link else "foreign-ops", where, "an operation",
                    "only what the paper has", word.text, CONNECTIVITY, ODD_HELP,
                    cause=index if node is None else node.index,
                )  # fmt: skip

    def _place_of_odd_step(self, node: Node | None, index: int, word: Word) -> tuple[str, bool]:
        """The giver's place where all that receive its maps receive the step, else a receiver's.

        Returns:
            The place, and whether it is the giver's.
        """
        uses = self._uses.get(index, [])
        by_all = len(uses) > 1 and all(word.key in {w.key for w in steps} for _, steps in uses)
        giver = self.reading.where.get(index)
        if giver is not None and (node is None or by_all):
            return giver, True
        alone = "dense_block" if self.reading.blocks else "transition"
        return (self.reading.place(node) if node is not None else alone), by_all

    def random(self) -> None:
        """Nothing random acts at inference; dropout has its places, another is a remark."""
        for node, index, found in self._links():
            for position, word in enumerate(found):
                if word.kind in RANDOM and not self.expected.training:
                    self._always_on(node, index, word, found[:position])
                elif word.kind == "dropout" and not self._usual_dropout(
                    index, word, position, found
                ):
                    self.say(
                        "training-behaviour", self._place_of_random(node, index, found[:position]),
                        "its dropout in training",
                        "of single numbers, behind each convolution but the first",
                        "of another kind or in another place",
                        "Huang et al. 2017, sec. 4.2, Training",
                        "No harm: dropout vanishes at inference.",
                        cause=index if node is None else node.index, severity="remark",
                    )  # fmt: skip
                    return

    def _always_on(
        self, node: Node | None, index: int, word: Word, before: tuple[Word, ...]
    ) -> None:
        name = "random noise" if word.kind == "noise" else "dropout"
        self.say(
            "training-behaviour", self._place_of_random(node, index, before), f"its {name}",
            "on in training only", "always on: it draws numbers at inference too", DETAILS,
            "Leave `training=True` out of the call: Keras passes the mode on.",
            cause=index if node is None else node.index,
        )  # fmt: skip

    def _place_of_random(self, node: Node | None, index: int, before: tuple[Word, ...]) -> str:
        """Whose maps a random step changes: the giver's, or those that a receiver changed first."""
        alone = "dense_block" if self.reading.blocks else "transition"
        giver = self.reading.where.get(index)
        if giver is not None and (node is None or not _beyond_the_giver(before)):
            return giver
        return self.reading.place(node) if node is not None else alone

    def _usual_dropout(
        self, index: int, word: Word, position: int, found: tuple[Word, ...]
    ) -> bool:
        source = self.reading.where.get(index, "")
        usual = not _beyond_the_giver(found[:position]) and source not in ("", "stem", "head")
        return usual and word.text == "dropout" and word.step.detail[-1] == "elementwise"

    def _links(self) -> Iterator[tuple[Node | None, int, tuple[Word, ...]]]:
        """Who receives (None: the output), from which node, through which steps."""
        for node in self.graph.nodes:
            for index, found in self._received(node):
                yield node, index, found
        for segment in self.graph.output.segments if self.graph.output is not None else ():
            yield None, segment.node, words(segment)

    def _received(self, node: Node) -> Iterator[tuple[int, tuple[Word, ...]]]:
        for value in node.inputs if node.index in self.reading.where else ():
            for segment in value.segments:
                yield segment.node, words(segment)

    # --- names ---

    def label(self, index: int) -> str:
        """A node as a message names it."""
        node = self.graph.nodes[index]
        if index in self.reading.where:
            where = self.reading.where[index]
            return where.split(", ")[-1] if "layer" in where else where
        if node.kind == "input":
            return "the input"
        return name_of(node)


def _setting(number: Any) -> str:
    """A convolution's setting in words: padding has four sides, a stride two directions."""
    if not isinstance(number, tuple):
        return str(number)
    if len(set(number)) == 1:
        return f"{number[0]} on every side" if len(number) == 4 else str(number[0])
    if len(number) == 4:
        top, bottom, left, right = number
        return f"{top} at the top, {bottom} at the bottom, {left} left, {right} right"
    return f"{number[0]} down, {number[1]} across"


def _untrained(variable: VariableRecord) -> tuple[str, str]:
    """What a weight is that the optimizer never changes, and what to do."""
    if variable.owned:
        return "frozen", "Leave `trainable=True`."
    return (
        "untracked",
        "It is neither trained nor saved: make layers and weights in `__init__` or `build` and "
        "keep them as attributes, never inside a Lambda or a closure.",
    )


def _beyond_the_giver(found: tuple[Word, ...]) -> bool:
    """Whether steps are more than what may belong to the convolution before them."""
    return any(w.kind not in ("bias", "crop", "pad", *RANDOM) for w in found)


def _norms(found: tuple[Word, ...]) -> bool:
    return any(w.kind == "BN" for w in found)


def most_common_kinds(kinds: list[tuple[str, ...]]) -> tuple[str, ...]:
    """The sequence most segments have."""
    return max(kinds, key=lambda k: (kinds.count(k), -len(k))) if kinds else ()


# --- dense blocks --------------------------------------------------------------------------


def judge_block(judge: Judge, block: Block, name: str) -> None:
    """Composite function, growth, bottleneck and dense connectivity of one block."""
    expected = judge.expected
    known: list[Source] = [block.entry]
    for number, unit in enumerate(block.layers, 1):
        where = f"{name}, layer {number}"
        _judge_layer(judge, unit, where)
        _judge_links(judge, unit, where, known)
        known.append(Source(f"layer {number}", (unit.last,)))
    if expected.num_layers is not None and len(block.layers) != expected.num_layers:
        judge.say(
            "block-structure", name, "its dense layers", expected.num_layers, len(block.layers),
            DETAILS, _layers_help(name, len(block.layers)),
            cause=block.layers[-1].last.index if block.layers else 0,
        )  # fmt: skip
    _judge_block_output(judge, block, name, known)
    _judge_block_input(judge, block, name)


def _layers_help(name: str, found: int) -> str:
    if found == 1:
        return "One layer, however many are asked for: is `return` inside the loop?"
    if name == "dense_block":
        return "dense_block makes num_layers layers."
    return "A network of depth L has n layers per block: L = 3n + 4, or 6n + 4 with bottlenecks."


def _judge_block_input(judge: Judge, block: Block, name: str) -> None:
    """A block alone hands its input on as it is; in a network that is its giver's to answer for."""
    if block.number != 0:
        return
    for node in block.entry.nodes:
        changed = [w for w in judge._own_steps(node, ()) if not judge.is_silent(w)]
        if changed:
            judge.say(
                "dense-connectivity", name, "the block's input, for all that receive it",
                "as it was given", spell(tuple(changed)), CONNECTIVITY,
                "The block's input is concatenated as it is, like every layer's maps.",
            )  # fmt: skip


def _normalises_behind(judge: Judge, unit: Unit, where: str) -> bool:
    """Whether a layer is conv → BN → ReLU throughout; said once, for it explains the rest."""
    own = judge._own_steps(unit.last, ())
    behind = [w for w in own if w.kind != "bias" and not judge.is_silent(w)]
    before = [rest for _, rest in judge._rests(unit.first)]
    if not _norms(tuple(behind)) or any(before):
        return False
    then = size_text(unit.last)
    judge.say(
        "composite-function",
        where,
        "the order of its operations",
        f"BN → ReLU → {then}",
        f"{then} → {spell(tuple(behind))}",
        COMPOSITE,
        "Batch normalisation and ReLU come before each convolution, not behind it.",
        cause=unit.first.index,
    )
    return True


def _judge_layer(judge: Judge, unit: Unit, where: str) -> None:
    k = judge.expected.growth_rate
    main = unit.last
    paired = judge.expected.bottleneck
    if len(unit.convolutions) > 2 or (
        not paired and [n.kernel_shape[:2] for n in unit.convolutions] == [(3, 3), (3, 3)]
    ):
        judge.say(
            "bottleneck" if paired else "composite-function", where, "its convolutions",
            "1×1 convolution → 3×3 convolution" if paired else "one 3×3 convolution",
            " → ".join(size_text(n) for n in unit.convolutions),
            BOTTLENECK if paired else COMPOSITE,
            "One convolution too many.", cause=unit.first.index,
        )  # fmt: skip
        judge.input_steps(unit.first, where, size_text(unit.first), "composite-function", COMPOSITE)
        judge.output_steps(unit, where, (), "composite-function")
        return
    turned = _normalises_behind(judge, unit, where)
    if len(unit.convolutions) == 2:
        inner = unit.first
        if not judge.expected.bottleneck:
            judge.say(
                "bottleneck", where, "its convolutions", "one 3×3 convolution",
                f"{size_text(inner)}, then {size_text(main)}", BOTTLENECK,
                "With `bottleneck=False` a layer is BN-ReLU-conv3×3 only.", cause=inner.index,
            )  # fmt: skip
        else:
            width = paper.BOTTLENECK_WIDTH * k if k is not None else None
            if k is None or main.channels != k:
                width = paper.BOTTLENECK_WIDTH * main.channels
            if inner.channels == paper.BOTTLENECK_WIDTH * (k or main.channels):
                width = None
            judge.geometry(inner, where, (1, 1), width, ("bottleneck", "bottleneck"), BOTTLENECK)
        if not turned:
            judge.input_steps(inner, where, size_text(inner), "composite-function", BOTTLENECK)
    elif judge.expected.bottleneck:
        judge.say(
            "bottleneck", where, "its convolutions",
            "a 1×1 convolution to 4k maps, then the 3×3 convolution", size_text(main), BOTTLENECK,
            "With `bottleneck=True` a layer is BN-ReLU-conv1×1(4k)-BN-ReLU-conv3×3(k).",
            cause=main.index,
        )  # fmt: skip
    judge.geometry(main, where, (3, 3), k, ("composite-function", "growth"), GROWTH)
    if not turned or len(unit.convolutions) == 2:
        judge.input_steps(main, where, size_text(main), "composite-function", COMPOSITE)
    if not turned:
        judge.output_steps(unit, where, (), "composite-function")


def _judge_links(judge: Judge, unit: Unit, where: str, known: list[Source]) -> None:
    """Eq. 2: the block's input and every earlier layer, each once, whole."""
    compare_sources(
        judge, unit.entry.segments, known, where, "", unit.first.index, "dense-connectivity"
    )


def compare_sources(
    judge: Judge,
    segments: Iterable[Segment],
    known: list[Source],
    where: str,
    receiver: str,
    cause: int,
    check: str,
) -> None:
    """Which of the known sources arrive, how often, and which part of them."""
    owner = {node.index: source.label for source in known for node in source.nodes}
    widths = {node.index: node.channels for source in known for node in source.nodes}
    ranges: dict[int, list[tuple[int, int]]] = {}
    strangers: list[int] = []
    inside: set[int] = set()
    for segment in segments:
        node, start, stop = judge.arrives_as(segment, widths)
        if node in owner:
            ranges.setdefault(node, []).append((start, stop))
        elif node not in strangers:
            strangers.append(node)
            inside |= judge.behind[node]
    verb = receiver or "it"
    for node, label in owner.items():
        arrived = ranges.get(node, [])
        text = f"{verb} receives {label}"
        help = "Concatenate the block's input and all earlier layers' maps (eq. 2)."
        if not arrived and node in inside:
            continue  # it arrives in what is said below to have no place here
        if not arrived:
            judge.say(
                check, where, text, "once, whole", "not at all", CONNECTIVITY, help, cause=cause
            )
            continue
        whole = [(0, widths[node])]
        if arrived == whole:
            continue
        covered = sorted(arrived)
        if arrived == whole * len(arrived):
            received = f"{len(arrived)} times"
        elif _tiles(covered, widths[node]):
            judge.say(
                check, where, text, "its maps in their order", "all of them in another order",
                CONNECTIVITY, "No harm: what receives them learns their order.", cause=cause,
                severity="remark",
            )  # fmt: skip
            continue
        elif len(set(arrived)) < len(arrived):
            received = "some of its maps twice"
        else:
            parts = ", ".join(f"{a} to {b - 1}" for a, b in covered[:4])
            received = f"only its maps {parts} of {widths[node]}"
        judge.say(check, where, text, "once, whole", received, CONNECTIVITY, help, cause=cause)
    for index in strangers:
        judge.say(
            check,
            f"stem and {where}" if judge.graph.nodes[index].kind == "input" else where,
            f"what {verb} receives",
            "the block's input and the earlier layers' maps only",
            judge.label(index),
            CONNECTIVITY,
            "Nothing else may be concatenated, and nothing may be added or recomputed on the way.",
            cause=cause,
        )


def _tiles(parts: list[tuple[int, int]], width: int) -> bool:
    at = 0
    for start, stop in parts:
        if start != at:
            return False
        at = stop
    return at == width


def _judge_block_output(judge: Judge, block: Block, name: str, known: list[Source]) -> None:
    if block.number == 0:
        compare_sources(
            judge, block.output, known, name, "the block's output", 10**6, "dense-connectivity"
        )
        for segment in block.output:
            found = words(segment)
            own = len(judge._own_steps(judge.graph.nodes[segment.node], ()))
            rest = [w for w in found[own:] if not judge.is_silent(w)]
            if rest:
                judge.say(
                    "dense-connectivity", name, f"{judge.label(segment.node)} in its output",
                    "as it was given", spell(tuple(rest)), CONNECTIVITY,
                    "The block's output is the plain concatenation.", cause=10**6,
                )  # fmt: skip


# --- transitions ---------------------------------------------------------------------------


def judge_transition(
    judge: Judge,
    unit: Unit | None,
    where: str,
    known: list[Source],
    compression: float | None,
    block: str = "",
) -> None:
    """BN, (ReLU,) 1×1 convolution to ⌊θm⌋ maps, 2×2 average pooling."""
    if unit is None:
        judge.say(
            "transition-layer", where, "its convolution", "one 1×1 convolution", "none", POOLING,
            "A transition is BN, 1×1 convolution, 2×2 average pooling.",
        )  # fmt: skip
        return
    node = unit.last
    number = int(where.rsplit(" ", 1)[1]) if where[-1].isdigit() else 0
    others = judge.reading.second_transition.get(number, ())
    entry = min((node, *others), key=lambda n: n.index).inputs[0]
    if others:
        every = sorted((node, *others), key=lambda n: n.index)
        judge.say(
            "transition-layer", where, "its convolutions", "one 1×1 convolution",
            " → ".join(size_text(n) for n in every), POOLING,
            "A transition is BN, 1×1 convolution, 2×2 average pooling.", cause=every[0].index,
        )  # fmt: skip
    if known:
        compare_sources(
            judge, entry.segments, known, _between(block, where), "it", node.index,
            "dense-connectivity",
        )  # fmt: skip
    received = sum(s.width for s in unit.entry.segments)
    judge.geometry(node, where, (1, 1), None, ("transition-layer", "transition-layer"), POOLING)
    _judge_compression(judge, node, received, where, compression)
    pooled_before = _judge_transition_input(judge, node, where, block)
    _judge_pooling(judge, unit, where, pooled_before)


def _judge_compression(
    judge: Judge, node: Node, received: int, where: str, compression: float | None
) -> None:
    if compression is None:
        return
    accepted = {
        paper.compressed(received, compression),
        paper.compressed_in_floating_point(received, compression),
    }
    if node.channels not in accepted:
        wanted = min(accepted)
        judge.say(
            "transition-layer", where, f"the maps it keeps of {received} at θ = {compression:g}",
            f"⌊θm⌋ = {wanted}", node.channels, COMPRESSION,
            "Use int(compression * channels): the floor, of the number of maps that arrive.",
            cause=node.index,
        )  # fmt: skip


def _judge_transition_input(judge: Judge, node: Node, where: str, block: str) -> bool:
    """BN and, if wanted, ReLU before the convolution; pooling there is the same function."""
    rests = _own_part(judge, node, _between(block, where))
    kinds = [tuple(w.kind for w in rest) for _, rest in rests]
    usual = most_common_kinds(kinds)
    pooled = bool(usual) and usual[-1] == "pool"
    body = usual[:-1] if pooled else usual
    if body not in (("BN", "ReLU"), ("BN",)) or any(k != usual for k in kinds):
        odd = next((r for k, (_, r) in zip(kinds, rests, strict=True) if k != usual), None)
        first = next((r for k, (_, r) in zip(kinds, rests, strict=True) if k == usual), ())
        rest = first if body not in (("BN", "ReLU"), ("BN",)) else odd or ()
        judge.say(
            "transition-layer", where, "before its 1×1 convolution", "BN → ReLU (or BN alone)",
            spell(rest), POOLING,
            _step_help(rest) or "A transition is BN, 1×1 convolution, 2×2 average pooling.",
            cause=node.index,
        )  # fmt: skip
    else:
        judge._same_norm(node, rests, where, "transition-layer", POOLING)
    if pooled:
        pool = rests[0][1][-1]
        if _is_two_by_two(pool):
            judge.say(
                "transition-layer", where, "its pooling", "behind the 1×1 convolution",
                "before it", POOLING, "No harm: the two give the same result.",
                cause=node.index, severity="remark",
            )  # fmt: skip
        else:
            judge.say(
                "transition-layer", where, "its pooling", "2×2 average pooling, stride 2",
                pool.text, POOLING, cause=node.index,
            )  # fmt: skip
    return pooled


def _step_help(found: Iterable[Word]) -> str:
    """What to do about a step that is another norm or activation; else ""."""
    kinds = {w.kind for w in found}
    helps = {"norm": WITHOUT_AXIS, "activation": PLAIN_RELU, "other": OWN_NORM}
    return next((text for kind, text in helps.items() if kind in kinds), "")


def _between(block: str, where: str) -> str:
    """The place of what a transition, or the head, is given by the block before it."""
    receiver = f"the {where}" if where == "head" else where
    return f"{block}, its output to {receiver}" if block else where


def _own_part(judge: Judge, node: Node, where: str) -> list[tuple[Segment, tuple[Word, ...]]]:
    """What a transition or the head does to all it receives; what only some maps had is a link's.

    Returns:
        Each segment with the steps that all of them end in.
    """
    rests = judge._rests(node)
    if len(rests) < 2 or len({tuple(w.key for w in rest) for _, rest in rests}) == 1:
        return rests
    shared = 0
    shortest = min(len(rest) for _, rest in rests)
    while shared < shortest and len({rest[-1 - shared].kind for _, rest in rests}) == 1:
        shared += 1
    tail = [w.kind for w in rests[0][1][len(rests[0][1]) - shared :]]
    if tail[:1] != ["BN"]:
        return rests
    changed = next((i for i, (_, rest) in enumerate(rests) if len(rest) > shared), None)
    if changed is None:
        return rests
    segment, rest = rests[changed]
    giver = judge.reading.where.get(segment.node, "")
    _, joint, receiver = where.partition(", its output to ")
    judge.say(
        "dense-connectivity",
        # Only one receives the last layer's maps, so the layer may have changed them itself.
        giver + joint + receiver if joint and "layer" in giver else where,
        f"the maps of {judge.label(segment.node)} before its {size_text(node)}",
        spell(rest[len(rest) - shared :]),
        spell(rest),
        CONNECTIVITY,
        "Concatenate the maps as they were given.",
        cause=node.index,
    )
    return [(segment, rest[len(rest) - shared :]) for segment, rest in rests]


def _is_two_by_two(word: Word) -> bool:
    return word.step.detail == ("mean", (2, 2), (2, 2), (0, 0, 0, 0))


def _judge_pooling(judge: Judge, unit: Unit, where: str, pooled_before: bool) -> None:
    """What everybody behind the transition receives: one 2×2 average pooling, nothing else."""
    node = unit.last
    own = [w for w in judge._own_steps(node, ("pool",)) if not judge.is_silent(w)]
    if own and own[0].kind == "bias":
        own = own[1:]
    pools = [w for w in own if w.kind == "pool"]
    others = [w for w in own if w.kind != "pool"]
    if not pools and not pooled_before and (node.get("strides") == (1, 1)):
        judge.say(
            "transition-layer", where, "behind its 1×1 convolution",
            "2×2 average pooling, stride 2", spell(tuple(own)), POOLING,
            "Halve the map with AveragePooling2D(2).", cause=node.index,
        )  # fmt: skip
        return
    if pooled_before and pools:
        judge.say(
            "transition-layer", where, "its pooling", "once", "twice", POOLING, cause=node.index
        )
    elif pools and not (len(pools) == 1 and _is_two_by_two(pools[0])):
        judge.say(
            "transition-layer", where, "its pooling", "2×2 average pooling, stride 2",
            spell(tuple(pools)), POOLING, "Use AveragePooling2D(2).", cause=node.index,
        )  # fmt: skip
    if others:
        judge.say(
            "transition-layer", where, "behind its 1×1 convolution", "2×2 average pooling only",
            spell(tuple(own)), POOLING,
            "BN and ReLU stand before the convolution, nothing but the pooling behind it.",
            cause=node.index,
        )  # fmt: skip


# --- stem and head -------------------------------------------------------------------------


def judge_stem(judge: Judge) -> None:
    """One 3×3 convolution of the image, stride 1, no normalisation or activation behind it."""
    stem = judge.reading.stem
    if judge.reading.second_stem is not None:
        node = judge.reading.second_stem
        judge.say(
            "stem",
            "stem",
            "the convolutions before the first block",
            1,
            2,
            DETAILS,
            "One 3×3 convolution, then the first dense block.",
            cause=node.index,
        )
    if not stem:
        judge.say("stem", "stem", "the first layer", "a 3×3 convolution", "none", DETAILS)
        return
    for node in stem:
        judge.geometry(node, "stem", (3, 3), None, ("stem", "stem"), DETAILS)
        _judge_image(judge, node)
    channels = sum(n.channels for n in stem)
    accepted = judge.expected.stem_channels
    if accepted and channels not in accepted:
        judge.say(
            "stem", "stem", "the maps it gives", " or ".join(map(str, dict.fromkeys(accepted))),
            channels, DETAILS,
            "2k maps in DenseNet-BC, 16 in the basic network.", cause=stem[0].index,
        )  # fmt: skip
    if judge.expected.bottleneck and accepted and channels == 16 != accepted[0]:
        judge.say(
            "stem",
            "stem",
            "the maps it gives",
            f"2k = {accepted[0]} in DenseNet-BC",
            16,
            DETAILS,
            "No harm: 16 is the basic network's.",
            cause=stem[0].index,
            severity="remark",
        )
    if len(stem) > 1:
        judge.say(
            "stem", "stem", "the first layer", "one convolution",
            f"{len(stem)} side by side", DETAILS, "No harm: together they are one.",
            cause=stem[0].index, severity="remark",
        )  # fmt: skip
    for node in stem:
        judge.output_steps(Unit((node,)), "stem", (), "stem")


def _judge_image(judge: Judge, node: Node) -> None:
    """Between the image and the stem: fixed scaling or normalisation; augmentation in training."""
    for value in node.inputs:
        for segment in value.segments:
            start = judge.graph.nodes[segment.node]
            if start.kind != "input":
                if not judge.expected.training:
                    judge.say(
                        "stem", "stem", BEFORE_THE_STEM, "the image, scaled at most",
                        judge.label(segment.node), DETAILS,
                        "Only fixed scaling or normalisation, and augmentation in training, may "
                        "stand before the first convolution.", cause=node.index,
                    )  # fmt: skip
                continue
            if judge.expected.training:
                continue
            odd = [w for w in words(segment) if not _scales_the_image(judge, w)]
            if odd:
                judge.say(
                    "stem", "stem", BEFORE_THE_STEM, "the image, scaled at most",
                    spell(tuple(odd)), DETAILS,
                    "Only fixed scaling or normalisation may stand before the first convolution.",
                    cause=node.index,
                )  # fmt: skip


def _scales_the_image(judge: Judge, word: Word) -> bool:
    if word.kind in ("constant", "stop"):  # nothing before an image learns
        return True
    if word.kind in ("scale", "bias", "BN", "other") and word.step.affine is not None:
        if any(t.symbol.statistics for t in word.step.affine.terms):
            return False  # an image's answer would depend on the images beside it
        used = {i for t in word.step.affine.terms for i in t.symbol.variables}
        return not any(judge.variables[i].trainable for i in used)
    return False


def judge_head(judge: Judge, known: list[Source], block: str) -> None:
    """BN, ReLU, global average pooling, one fully connected layer, softmax."""
    unit = judge.reading.classifier
    if unit is None:
        judge.say(
            "head", "head", "the last layer", "a fully connected layer", "none", DETAILS,
            "The network ends in global average pooling and one Dense layer with softmax.",
        )  # fmt: skip
        return
    node = unit.last
    second = judge.reading.second_head
    behind = (*judge.reading.hidden, unit)
    first = behind[0] if second is None else second
    compare_sources(
        judge, first.entry.segments, known, _between(block, "head"), "it", first.first.index,
        "dense-connectivity",
    )  # fmt: skip
    if second is None:
        _judge_head_input(judge, first.first, block)
    else:
        judge.say(
            "head", f"head, behind {block}", "between the last block and the classifier",
            "BN → ReLU → global average pooling",
            f"one more convolution ({size_text(second.last)})", DETAILS,
            "Leave it out: the head is BN, ReLU, global average pooling and one Dense layer.",
            cause=second.last.index,
        )  # fmt: skip
    hidden = [n for u in judge.reading.hidden for n in u.convolutions]
    if hidden:
        judge.say(
            "head", "head", "its fully connected layers", "1, the classifier",
            f"{len(hidden) + 1}, the first to {hidden[0].channels} maps", DETAILS,
            "One Dense layer stands behind the global average pooling, nothing between.",
            cause=hidden[0].index,
        )  # fmt: skip
    rows, columns = behind[0].first.kernel_shape[:2]
    if (rows, columns) != (1, 1):
        judge.say(
            "head", "head", "its classifier", "one weight for each map and class",
            f"a layer over the {rows}×{columns} map", DETAILS,
            "Pool each map to one number (GlobalAveragePooling2D) before the Dense layer.",
            cause=node.index,
        )  # fmt: skip
    classes = judge.expected.num_classes
    if classes is not None and node.channels != classes:
        judge.say(
            "head", "head", "its classes", classes, node.channels, DETAILS,
            "Use the argument num_classes.", cause=node.index,
        )  # fmt: skip
    _judge_output(judge, node)


def _judge_head_input(judge: Judge, node: Node, block: str) -> None:
    rests = _own_part(judge, node, _between(block, "head"))
    kinds = [tuple(w.kind for w in rest) for _, rest in rests]
    usual = most_common_kinds(kinds)
    pooled_later = node.inputs[0].height > 1 and node.kernel_shape[:2] == (1, 1)
    pooled_later = pooled_later or _last_map(judge) == (1, 1)
    expected = ("BN", "ReLU") if pooled_later else ("BN", "ReLU", "pool")
    surplus = convolution_behind_the_blocks(judge.reading)
    if surplus is not None and not usual:
        return  # told with the convolution that stands in the head's place
    flat = node.inputs[0].height > 1 and node.kernel_shape[:2] != (1, 1)
    if flat:
        expected = ("BN", "ReLU")
    text = "BN → ReLU → global average pooling"
    if usual != expected or any(k != usual for k in kinds):
        rest = next((r for k, (_, r) in zip(kinds, rests, strict=True) if k != expected), ())
        judge.say(
            "head", "head", "before its classifier", text, spell(rest), DETAILS,
            _step_help(rest)
            or "After the last block: BN, ReLU, global average pooling, then the Dense layer.",
            cause=node.index,
        )  # fmt: skip
        return
    judge._same_norm(node, rests, "head", "head", DETAILS)
    if usual and usual[-1] == "pool":
        segment, rest = rests[0]
        word = rest[-1]
        if not is_global(word, *map_before(judge.graph, segment, word.step)):
            judge.say(
                "head", "head", "its pooling", "global average pooling", word.text, DETAILS,
                "Use GlobalAveragePooling2D.", cause=node.index,
            )  # fmt: skip


def _last_map(judge: Judge) -> tuple[int, int]:
    """Height and width of the maps that the head receives."""
    surplus = convolution_behind_the_blocks(judge.reading)
    if surplus is not None:
        height, width = surplus.last.height, surplus.last.width
        for word in judge._own_steps(surplus.last, ("pool",)):
            if word.kind == "pool":
                rows, columns = word.step.detail[2]
                height, width = -(-height // rows), -(-width // columns)
        return height, width
    layers = [u.last for b in judge.reading.blocks for u in b.layers]
    return (layers[-1].height, layers[-1].width) if layers else (1, 1)


def map_before(graph: Graph, segment: Segment, last: Step) -> tuple[int, int]:
    """Height and width of a segment's maps before one of its steps."""
    node = graph.nodes[segment.node]
    height, width = node.height, node.width
    for step in segment.steps:
        if step is last:
            break
        if step.kind in ("pad", "crop"):
            top, bottom, left, right = step.detail[:4]
            sign = 1 if step.kind == "pad" else -1
            height, width = height + sign * (top + bottom), width + sign * (left + right)
        elif step.kind == "pool":
            _, window, strides, (top, bottom, left, right) = step.detail
            height = (height + top + bottom - window[0]) // strides[0] + 1
            width = (width + left + right - window[1]) // strides[1] + 1
    return height, width


def is_global(word: Word, height: int, width: int) -> bool:
    """Whether a step is the mean over the whole map: a 7×7 window leaves a part of 8×8 out."""
    if word.kind != "pool":
        return False
    mode, window, _, padding = word.step.detail
    return bool(mode == "mean" and window == (height, width) and padding == (0, 0, 0, 0))


def _judge_output(judge: Judge, node: Node) -> None:
    """Logits or one softmax; a bias; the mean over places where the classifier was 1×1."""
    output = judge.graph.output
    assert output is not None
    segment = output.segments[0]
    outer = judge.graph.nodes[segment.node]
    softmaxes = 0
    trailing: list[Word] = [w for s in output.segments for w in words(s)]
    logarithm = outer.kind == "softmax" and outer.get("logarithm")
    while outer.kind == "softmax":
        softmaxes += 1
        inner = outer.inputs[0].segments[0]
        trailing = [*words(inner), *trailing]
        outer = judge.graph.nodes[inner.node]
    rest = [w for w in trailing if w.kind == "odd" or not judge.is_silent(w)]
    judge._told |= {w.key for w in rest if w.kind == "odd"}
    behind = [w for w in words(segment) if softmaxes and w in rest]
    biased = bool(rest) and rest[0].kind == "bias"
    if biased:
        rest = rest[1:]
    pooled = bool(rest) and is_global(rest[0], node.height, node.width)
    if node.height > 1 and pooled:
        rest = rest[1:]
        if rest and rest[0].kind == "bias":
            biased, rest = True, rest[1:]
    elif max(node.height, node.width) > 1 and not any(w.kind == "pool" for w in rest):
        judge.say(
            "head", "head", "its pooling", "global average pooling, before the classifier",
            "none: the classifier answers for each place of the map", DETAILS,
            "Use GlobalAveragePooling2D between the last ReLU and the Dense layer.",
            cause=node.index,
        )  # fmt: skip
    if behind or softmaxes > 1 or rest or len(output.segments) != 1 or outer.index != node.index:
        received = (
            spell((*rest, *[w for w in behind if w not in rest]))
            if rest or behind
            else (f"{softmaxes} times softmax" if softmaxes > 1 else "something else")
        )
        judge.say(
            "head", "head", "behind its classifier", "softmax, or nothing (logits)", received,
            DETAILS, "End with one softmax over the classes.", cause=node.index,
        )  # fmt: skip
    elif logarithm:
        judge.say(
            "head", "head", "behind its classifier", "softmax, or nothing (logits)",
            "log_softmax: neither probabilities nor logits", DETAILS,
            "No harm to the accuracy. Keras' losses want probabilities, or logits with "
            "from_logits=True.", cause=node.index, severity="remark",
        )  # fmt: skip
    if not biased:
        judge.say(
            "head", "head", "its classifier", "a bias for each class", "none", DETAILS,
            "No harm, but the paper's fully connected layer has one.", cause=node.index,
            severity="remark",
        )  # fmt: skip


# --- everything else -----------------------------------------------------------------------


ODD_HELP = "DenseNet concatenates; it has convolutions, BN, ReLU, average pooling and softmax only."


def judge_odd(judge: Judge) -> None:
    """Operations that have no place in a DenseNet."""
    judge.odd_steps()
    for node in judge.reading.odd:
        where = judge.place_of_odd(node)
        check = "dense-connectivity" if node.kind == "add" else "foreign-ops"
        if judge.expected.training and _only_augments(judge, node):
            continue
        judge.say(
            check, where, "an operation", "only what the paper has", name_of(node), CONNECTIVITY,
            ODD_HELP, cause=node.index,
        )  # fmt: skip


def _only_augments(judge: Judge, node: Node) -> bool:
    """Whether a node stands between the image and the stem, in training, and leads nowhere else."""
    if _behind_a_convolution(judge.graph, node):
        return False
    stem = {n.index for n in judge.reading.stem}
    used = consumers(judge.graph)
    stack, seen = [node.index], set()
    work.spend(10 * len(judge.graph.nodes))
    while stack:
        index = stack.pop()
        if index in stem or index in seen:
            continue
        if index < 0 or judge.graph.nodes[index].kind == "conv":
            return False
        seen.add(index)
        stack += used.get(index, ())
    return True


def _behind_a_convolution(graph: Graph, node: Node) -> bool:
    stack, seen = [node.index], set()
    while stack:
        index = stack.pop()
        if graph.nodes[index].kind == "conv":
            return True
        if index not in seen:
            seen.add(index)
            stack += sources(graph.nodes[index])
    return False


def judge_blocks_match(judge: Judge) -> None:
    """Three blocks of equal depth, two transitions, none behind the last."""
    blocks = judge.reading.blocks
    surplus = convolution_behind_the_blocks(judge.reading)
    if surplus is not None:
        blocks = blocks[:-1]
        _judge_surplus(judge, surplus)
    if len(blocks) != 3:
        judge.say(
            "block-structure", "network", "its dense blocks", 3, len(blocks), DETAILS,
            "Three dense blocks with a transition between each two; none behind the last.",
        )  # fmt: skip
    sizes = [len(b.layers) for b in blocks]
    usual = judge.expected.num_layers or most_common(sizes)
    for block in blocks:
        if judge.expected.num_layers is None and len(block.layers) != usual:
            judge.say(
                "block-structure", f"block {block.number}", "its dense layers", usual,
                len(block.layers), DETAILS, "All blocks have the same number of layers.",
                cause=block.layers[-1].last.index if block.layers else 0,
            )  # fmt: skip
    heights = [b.layers[0].entry.height for b in blocks if b.layers]
    first = judge.graph.nodes[0].height if heights else 0
    wanted = [first // 2**i for i in range(len(heights))]
    for i, (height, size) in enumerate(zip(heights, wanted, strict=True)):
        if height != size:
            judge.say(
                "block-structure", f"block {i + 1}", "the size of its maps", f"{size}×{size}",
                f"{height}×{height}", POOLING, "Each transition halves the map, nothing else does.",
            )  # fmt: skip
            break


def convolution_behind_the_blocks(reading: Reading) -> Unit | None:
    """A transition, or another convolution, between the last dense layer and the classifier."""
    if len(reading.blocks) < 2 or reading.blocks[-1].layers:
        return None
    at = len(reading.blocks) - 2
    return reading.transitions[at] if at < len(reading.transitions) else None


def _judge_surplus(judge: Judge, unit: Unit) -> None:
    """Behind the last block comes the head; one more transition or convolution is a mistake."""
    number = len(judge.reading.blocks) - 1
    own = tuple(w for w in judge._own_steps(unit.last, ("pool",)) if not judge.is_silent(w))
    halves = any(_is_two_by_two(word) for word in own)
    received = f"{size_text(unit.last)} → {spell(own)}" if own else size_text(unit.last)
    judge.say(
        "block-structure" if halves else "head",
        f"transition {number}, behind block {number}" if halves else f"head, behind block {number}",
        "between the last block and the classifier",
        "BN → ReLU → global average pooling",
        f"one more transition ({received})" if halves else f"one more convolution ({received})",
        DETAILS,
        "Leave it out: a transition stands between two blocks, none behind the last."
        if halves
        else "Leave it out: the head is BN, ReLU, global average pooling and one Dense layer.",
        cause=unit.last.index,
    )


def judge_network(judge: Judge) -> None:
    """The whole network, stem to head."""
    judge_stem(judge)
    judge_blocks_match(judge)
    surplus = convolution_behind_the_blocks(judge.reading)
    for i, block in enumerate(judge.reading.blocks):
        if surplus is not None and i == len(judge.reading.blocks) - 1:
            judge_head(judge, [block.entry], "")
            break
        judge_block(judge, block, f"block {block.number}")
        known = [
            block.entry,
            *[Source(f"layer {n}", (u.last,)) for n, u in enumerate(block.layers, 1)],
        ]
        if surplus is not None and judge.reading.transitions[i] is surplus:
            continue
        if i < len(judge.reading.transitions) and i < len(judge.reading.blocks) - 1:
            judge_transition(
                judge,
                judge.reading.transitions[i],
                f"transition {i + 1}",
                known,
                judge.expected.compression,
                f"block {block.number}",
            )
        elif i == len(judge.reading.blocks) - 1:
            judge_head(judge, known, f"block {block.number}")
    judge_odd(judge)
    judge.kernels()
    judge.norms()


def first_causes(found: list[Deviation]) -> list[Deviation]:
    """Group the same kind of deviation in many places into one, told where it first shows.

    A wrong growth rate in every layer is one finding, not forty; a skip that was normalised once
    too often is told at the first layer that receives it, for what follows inherits it.
    """
    groups: dict[str, list[Deviation]] = {}
    for item in sorted(found, key=lambda d: d.cause):
        groups.setdefault(kind_of(item), []).append(item)
    return [_grouped(items) for items in groups.values()]


def kind_of(item: Deviation) -> str:
    """The kind of mistake, less its numbers and the layers it names."""
    what = item.finding.what or item.finding.message
    what = re.sub(r"(layer |transition |block )?[0-9]+(×[0-9]+)?", "#", what)
    what = re.sub(r"the maps of .* before", "the maps of # before", what)
    what = re.sub(r"receives .*", "receives", what)
    what = re.sub(r".* in its output", "# in its output", what)
    return f"{item.check}|{item.finding.severity}|{what}"


def _grouped(items: list[Deviation]) -> Deviation:
    first = items[0]
    places = list(dict.fromkeys(i.finding.where for i in items))
    if len(places) == 1:
        return first
    where = f"{places[0]} (also {'; '.join(places[1:SHOWN])}"
    where += f"; {len(places) - SHOWN} more)" if len(places) > SHOWN else ")"
    finding = first.finding.model_copy(update={"where": where})
    return replace(first, finding=finding, places=tuple(places))
