"""What a network is read as, in the paper's words, and what flows where in it.

`densenet.py` does the reading; the rules look at what it gives.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from grader.graph import work
from grader.graph.canonical import WALKED, Graph, Node, Segment, Value


@dataclass(frozen=True)
class Unit:
    """One weight layer of the paper, or one dense layer with its bottleneck.

    Attributes:
        convolutions: One convolution, or bottleneck and 3×3 convolution.
    """

    convolutions: tuple[Node, ...]

    @property
    def last(self) -> Node:
        """The convolution whose output is the unit's."""
        return self.convolutions[-1]

    @property
    def first(self) -> Node:
        """The convolution that receives the unit's input."""
        return self.convolutions[0]

    @property
    def entry(self) -> Value:
        """What the unit receives."""
        return self.first.inputs[0]


@dataclass(frozen=True)
class Source:
    """Something a dense layer can receive: the block's input, or an earlier layer's maps.

    Attributes:
        label: "the block's input" or "layer 3".
        nodes: The nodes that give it; more than one for a stem in several convolutions.
    """

    label: str
    nodes: tuple[Node, ...]


@dataclass(frozen=True)
class Block:
    """One dense block.

    Attributes:
        number: 1-based; 0 where the block stands alone (a probe of `dense_block`).
        entry: Its input.
        layers: Its dense layers, in order.
        output: Segments that leave it: what the transition or the head receives.
    """

    number: int
    entry: Source
    layers: tuple[Unit, ...]
    output: tuple[Segment, ...]


@dataclass
class Reading:
    """A network as the paper would draw it.

    Attributes:
        graph: What was read.
        stem: The first convolution, or several side by side.
        blocks: The dense blocks.
        transitions: The transition layers' convolutions; None where a block has none.
        classifier: The last convolution or fully connected layer.
        hidden: Fully connected layers between the pooling and the classifier; the paper has none.
        odd: Nodes that are neither convolutions nor the softmax: additions, foreign ops.
        second_stem: A convolution too many before the first block.
        second_head: A convolution too many behind the last block.
        second_transition: By the number of a transition, the convolutions beside its own.
        where: Node index → its place in the paper's words.
    """

    graph: Graph
    stem: tuple[Node, ...] = ()
    blocks: tuple[Block, ...] = ()
    transitions: tuple[Unit | None, ...] = ()
    classifier: Unit | None = None
    hidden: tuple[Unit, ...] = ()
    odd: tuple[Node, ...] = ()
    second_stem: Node | None = None
    second_head: Unit | None = None
    second_transition: dict[int, tuple[Node, ...]] = field(default_factory=dict)
    where: dict[int, str] = field(default_factory=dict)
    _latest: list[int] = field(default_factory=list)

    def place(self, node: Node) -> str:
        """Where a node stands, in the paper's words."""
        if node.index in self.where:
            return self.where[node.index]
        # A node that is no convolution stands with the latest convolution it depends on.
        if len(self._latest) != len(self.graph.nodes):
            self._latest = self._latest_of_all()
        latest = self._latest[node.index]
        return self.where[latest] if latest >= 0 else "input"

    def _latest_of_all(self) -> list[int]:
        """For each node the latest node with a place that it depends on, itself not; or -1."""
        latest: list[int] = []
        for node in self.graph.nodes:
            feeding = sources(node)
            latest.append(max((i if i in self.where else latest[i] for i in feeding), default=-1))
        return latest


def wanted_nodes(graph: Graph) -> list[Node]:
    """The nodes the output depends on, in order."""
    wanted = graph.ancestors()
    return [n for n in graph.nodes if n.index in wanted]


def consumers(graph: Graph) -> dict[int, set[int]]:
    """For each node, the nodes that use it directly; -1 stands for the output."""
    return graph.remembered("consumers", lambda: _consumers(graph))


def _consumers(graph: Graph) -> dict[int, set[int]]:
    used: dict[int, set[int]] = {}
    for node in wanted_nodes(graph):
        for value in node.inputs:
            for segment in value.segments:
                used.setdefault(segment.node, set()).add(node.index)
    if graph.output is not None:
        for segment in graph.output.segments:
            used.setdefault(segment.node, set()).add(-1)
    return used


def sources(node: Node) -> set[int]:
    """The nodes a node receives directly."""
    work.spend(WALKED * (10 + sum(len(v.segments) for v in node.inputs)))
    return {s.node for v in node.inputs for s in v.segments}


def convolutions_behind(graph: Graph) -> list[frozenset[int]]:
    """For each node, the convolutions (or the input) its value comes from, through anything else.

    An operation that has no place in the paper does not hide which layer it stands in.
    """
    behind: list[frozenset[int]] = []
    gates = gates_of(graph)
    for node in graph.nodes:
        found: set[int] = set()
        for index in sources(node):
            plain = graph.nodes[index].kind in ("conv", "input") and index not in gates
            found |= {index} if plain else behind[index]
        behind.append(frozenset(found))
    return behind


def gates_of(graph: Graph) -> set[int]:
    """Convolutions of one number per map that weigh larger maps, as in squeeze-and-excitation.

    They are no layers of the network; the product they feed is judged (`rules/odd.py`).
    """
    used = consumers(graph)
    widens: set[int] = set()
    for node in reversed(graph.nodes):
        users = [graph.nodes[i] for i in used.get(node.index, ()) if i >= 0]
        if node.height == node.width == 1 and any(
            max(u.height, u.width) > 1 or u.index in widens for u in users
        ):
            widens.add(node.index)
    return {i for i in widens if graph.nodes[i].kind == "conv"}
