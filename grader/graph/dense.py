"""Whether a network is a densely connected one at all: the accuracy is asked of this architecture.

Not a check of the paper's details, which `rules/` makes and which cost their own points: a
network with a wrong stem, a missing link or another order is a DenseNet with a mistake. A plain
chain of convolutions, a residual network, several networks whose answers are averaged and a
network that a library has ready-made are none, however well they classify.
"""

from __future__ import annotations

from dataclasses import dataclass

from grader.graph.canonical import Graph, Node
from grader.graph.densenet import passages_of
from grader.graph.reading import gates_of, sources, wanted_nodes

LINKS = 1 / 4
"""The least share of the links past a layer. Measured on the catalogue of the self-test: a chain, a
residual network and additions for concatenations have at most a tenth of them, a DenseNet with any
one mistake has three tenths or more."""
IN_A_ROW = 0.4
"""The least share of its layers that the longest way through the network passes: of three layers
that receive the block's input alone it is a third, of layers in two branches each a half."""
OUTPUT = -1
"""Stands for the network's output where convolutions are numbered."""
READY_MADE = {
    (6, 12, 24, 16): "DenseNet121",
    (6, 12, 32, 32): "DenseNet169",
    (6, 12, 48, 32): "DenseNet201",
}
"""Layers in each block of the networks in keras.applications."""


@dataclass(frozen=True)
class Stretch:
    """The layers between two convolutions that everything passes: a dense block, as a rule.

    Attributes:
        entry: The convolution before them, whose maps they begin with.
        layers: Each the convolutions of one layer: with a bottleneck, two.
        leaving: The convolutions whose maps the one behind the stretch receives, or the output.
    """

    entry: int
    layers: tuple[tuple[int, ...], ...]
    leaving: frozenset[int]


def why_not_dense(graph: Graph) -> str | None:
    """Why a network is not densely connected; None where it is.

    Args:
        graph: `build_model()` at inference.

    Returns:
        What it is instead, to follow "build_model()".
    """
    if not _ends_in_one_layer(graph):
        return "does not end in one last layer: it is several networks put together"
    stretches = stretches_of(graph)
    ready = READY_MADE.get(tuple(len(stretch.layers) for stretch in stretches))  # type: ignore[arg-type]
    if ready is not None:
        return f"is {ready} of ImageNet, which keras.applications has ready-made"
    there, wanted = count_links(graph, stretches)
    if not wanted or there < LINKS * wanted:
        return (
            "is not densely connected: of the links that lead past a layer, expected"
            f" {wanted or 'some'}, received {there}"
        )
    if longest_row(graph, stretches) < IN_A_ROW:
        return "is not densely connected: its layers stand side by side, not one behind the other"
    return None


def _convolutions(graph: Graph) -> list[Node]:
    gates = gates_of(graph)
    return [n for n in wanted_nodes(graph) if n.kind == "conv" and n.index not in gates]


def _ends_in_one_layer(graph: Graph) -> bool:
    """Whether everything passes the last convolution, or the answer is its maps and others."""
    convolutions = _convolutions(graph)
    if not convolutions:
        return False
    last = convolutions[-1].index
    return last in passages_of(graph) or last in _received(graph)[OUTPUT]


def stretches_of(graph: Graph) -> list[Stretch]:
    """The layers between those convolutions that everything passes, in order."""
    passages = passages_of(graph)
    received = _received(graph)
    found: list[Stretch] = []
    entry, inside = 0, []
    for node in _convolutions(graph):
        if node.index not in passages:
            inside.append(node.index)
            continue
        if inside:
            found.append(Stretch(entry, _layers(inside, received), received[node.index]))
        entry, inside = node.index, []
    if inside:
        found.append(Stretch(entry, _layers(inside, received), received[OUTPUT]))
    return found


def _layers(inside: list[int], received: dict[int, frozenset[int]]) -> tuple[tuple[int, ...], ...]:
    """Convolutions as layers: what only one other receives, and it nothing else, is its first half.

    Args:
        inside: The convolutions of one stretch.
        received: For every convolution those whose maps it receives.
    """
    readers: dict[int, int] = {}
    for givers in received.values():
        for giver in givers:
            readers[giver] = readers.get(giver, 0) + 1
    layers: dict[int, tuple[int, ...]] = {}
    for index in inside:
        givers = received[index]
        (giver,) = givers if len(givers) == 1 else (-1,)
        before = layers.pop(giver, ()) if readers.get(giver) == 1 else ()
        layers[index] = (*before, index)
    return tuple(layers.values())


def count_links(graph: Graph, stretches: list[Stretch]) -> tuple[int, int]:
    """Links past at least one layer: how many there are, and how many there should be."""
    received = _received(graph)
    there = wanted = 0
    for stretch in stretches:
        givers = [stretch.entry, *[layer[-1] for layer in stretch.layers]]
        arriving = [*[received[layer[0]] for layer in stretch.layers], stretch.leaving]
        for number, found in enumerate(arriving):
            # The giver just before would be received in a plain chain too.
            there += len(found.intersection(givers[:number]))
            wanted += number
    return there, wanted


def _received(graph: Graph) -> dict[int, frozenset[int]]:
    """For each convolution, and `OUTPUT`, those whose maps it receives side by side.

    Another normalisation or activation than the paper's leaves them side by side. A sum does not:
    in it there is only what is in all of its parts.
    """
    own = {n.index for n in _convolutions(graph)}
    arriving: dict[int, frozenset[int]] = {}
    carried: list[frozenset[int]] = []
    for node in graph.nodes:
        values = [{i for s in v.segments for i in carried[s.node]} for v in node.inputs]
        parts = [frozenset(value) for value in values if value]
        beside = node.written_as.startswith("Concat")
        found = (frozenset.union if beside else frozenset.intersection)(*parts or [frozenset()])
        arriving[node.index] = found
        plain = node.index in own or node.kind == "input"
        carried.append(frozenset({node.index}) if plain else found)
    answer = graph.output.segments if graph.output is not None else ()
    leaving = frozenset(i for s in answer for i in carried[s.node])
    return {OUTPUT: leaving, **{index: arriving[index] for index in own}}


def longest_row(graph: Graph, stretches: list[Stretch]) -> float:
    """The share of the stretches' convolutions that the longest way passes, 0 to 1."""
    inside = {index for s in stretches for layer in s.layers for index in layer}
    longest: dict[int, int] = {}
    for node in wanted_nodes(graph):
        before = max((longest.get(i, 0) for i in sources(node)), default=0)
        longest[node.index] = before + (node.index in inside)
    return max(longest.values(), default=0) / len(inside) if inside else 0.0
