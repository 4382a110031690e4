"""What the rules look at: one network as read, and what reaches each of its convolutions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from grader.graph import work
from grader.graph.canonical import Graph, Node, Segment
from grader.graph.names import name_of
from grader.graph.reading import Reading, consumers, convolutions_behind, gates_of
from grader.graph.record import VariableRecord
from grader.graph.rules.deviation import Deviation, deviation
from grader.graph.rules.rulings import Ruling
from grader.graph.steps import Word, words

RANDOM = {"dropout", "noise"}
"""Steps that draw numbers. `modes.py` tells of them: at inference none may stand anywhere, in
training dropout may, and is remarked on in another place than the paper's."""


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
        skipped: Convolutions whose batch norm is the one of training: they have none themselves.
    """

    def __init__(
        self,
        reading: Reading,
        expected: Expected,
        variables: tuple[VariableRecord, ...],
        skipped: frozenset[int] = frozenset(),
    ) -> None:
        self.reading = reading
        self.graph: Graph = reading.graph
        self.expected = expected
        self.variables = variables
        self.skipped = skipped
        self.found: list[Deviation] = []
        self.behind = convolutions_behind(reading.graph)
        self._consumers = consumers(reading.graph)
        self._gates = gates_of(reading.graph)
        self._odd = {n.index for n in reading.odd}
        self.uses = self._segment_uses()
        self._own: dict[tuple[int, tuple[str, ...]], tuple[Word, ...]] = {}
        self.reported: set[tuple[int, str]] = set()
        self.told: set[str] = set()

    def is_silent(self, word: Word) -> bool:
        """Whether a step is told of by `random`, and by no rule that meets it."""
        if word.kind == "odd":
            return True
        return word.kind == "dropout" or (word.kind in RANDOM and not self.expected.training)

    def say(
        self,
        ruling: Ruling,
        where: str,
        received: object,
        cause: int = 0,
        help: str = "",
        **words: object,
    ) -> None:
        """Add one deviation; the arguments are those of `deviation`."""
        work.spend_pieces(50)
        self.found.append(deviation(ruling, where, received, cause, help, **words))

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

    def own_steps(self, node: Node, expected: tuple[str, ...]) -> tuple[Word, ...]:
        """Steps that belong to a unit's output, since everybody receives them the same way.

        Where there is one receiver only, the steps that are expected of the unit (a transition's
        pooling), and its bias, are its own.
        """
        known = self._own.get((node.index, expected))
        if known is None:
            known = self._own[node.index, expected] = self._shared_steps(node, expected)
        return known

    def _shared_steps(self, node: Node, expected: tuple[str, ...]) -> tuple[Word, ...]:
        uses = self.uses.get(node.index, [])
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
        if normed and (len(receivers) > 1 or receivers == {-1} or has_norm(common[len(normed) :])):
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
                if len({receiver for receiver, _ in self.uses.get(other.index, [])}) > 1:
                    own = self.own_steps(other, ())
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
            if affine is not None and word.kind == "BN" and has_norm(tuple(alone)):
                break
            alone.append(word)
        return tuple(alone) if has_norm(tuple(alone)) else ()

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

    def rests(self, node: Node) -> list[tuple[Segment, tuple[Word, ...]]]:
        """Each segment a convolution receives, with the steps that are the receiver's own."""
        rests = []
        for value in node.inputs:
            for segment in value.segments:
                found = words(segment)
                own = len(self.own_steps(self.graph.nodes[segment.node], self._prefix(segment)))
                rest = tuple(w for w in found[own:] if not self.is_silent(w))
                in_head = self.reading.where.get(node.index) == "head"
                if in_head or not has_norm(rest):  # told with the order, and not apart from it
                    shown = [w for w in found[own:] if w.kind == "odd" or not self.is_silent(w)]
                    self.told |= {w.key for w in shown if w.kind == "odd"}
                    rest = tuple(shown)
                rests.append((segment, rest))
        return rests

    def _prefix(self, segment: Segment) -> tuple[str, ...]:
        """The steps a unit may have behind its convolution: a transition's pooling."""
        where = self.reading.where.get(segment.node, "")
        if where.startswith("transition"):
            return ("pool",)
        return ()

    def links(self) -> Iterator[tuple[Node | None, int, tuple[Word, ...]]]:
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

    def place_of_receiver(self, node: Node | None) -> str:
        """Where a node stands; None for the output of a function that stands alone."""
        if node is not None:
            return self.reading.place(node)
        return "dense_block" if self.reading.blocks else "transition"

    def label(self, index: int) -> str:
        """A node as a message names it."""
        node = self.graph.nodes[index]
        if index in self.reading.where:
            where = self.reading.where[index]
            return where.split(", ")[-1] if "layer" in where else where
        if node.kind == "input":
            return "the input"
        return name_of(node)


def has_norm(found: tuple[Word, ...]) -> bool:
    """Whether a batch norm is among some steps."""
    return any(w.kind == "BN" for w in found)


def most_common_kinds(kinds: list[tuple[str, ...]]) -> tuple[str, ...]:
    """The sequence most segments have."""
    return max(kinds, key=lambda k: (kinds.count(k), -len(k))) if kinds else ()
