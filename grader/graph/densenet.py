"""The canonical graph read as a DenseNet: stem, dense blocks, transitions, head.

Reading only finds the parts and says which convolution is which; `rules/` compares them with
the paper. A convolution is told by what feeds it and what it feeds, never by its name:

- a bottleneck layer is a convolution whose output goes to one other convolution only, which in
  turn receives nothing else;
- a transition's convolution, the stem and the classifier are the places that everything passes;
- where the number of convolutions is the paper's, their order says which is which.
"""

from __future__ import annotations

import itertools
from collections import Counter

from grader.graph.canonical import Graph, Node, Segment
from grader.graph.reading import (
    Block,
    Reading,
    Source,
    Unit,
    consumers,
    convolutions_behind,
    gates_of,
    sources,
    wanted_nodes,
)


def units_of(graph: Graph, bottleneck: bool) -> list[Unit]:
    """The convolutions in order, bottlenecks paired with their 3×3 convolution.

    What receives one convolution's maps, and is the only one to do so, belongs to the same layer,
    unless everything passes it: then it stands between two blocks.

    Args:
        graph: Any canonical graph.
        bottleneck: Whether bottlenecks are expected; then a pair counts whatever its kernels.
    """
    gates = gates_of(graph)
    convolutions = [n for n in wanted_nodes(graph) if n.kind == "conv" and n.index not in gates]
    behind = convolutions_behind(graph)
    used: dict[int, set[int]] = {}
    for node in convolutions:
        for index in behind[node.index]:
            used.setdefault(index, set()).add(node.index)
    for segment in graph.output.segments if graph.output is not None else ():
        last = segment.node
        for index in {last} if graph.nodes[last].kind == "conv" else behind[last]:
            used.setdefault(index, set()).add(-1)
    direct = {
        index: {i for i in users - gates if i < 0 or graph.nodes[i].kind == "conv"}
        for index, users in consumers(graph).items()
    }
    pairs: dict[int, Node] = {}
    taken: set[int] = set()
    for node in convolutions:
        feeding = behind[node.index]
        if len(feeding) != 1:
            continue
        (index,) = feeding
        before = graph.nodes[index]
        if before.kind != "conv" or index in pairs:
            continue
        if {node.index} not in (used.get(index), direct.get(index)):
            continue
        if before.kernel_shape[:2] != (1, 1) and not bottleneck:
            continue
        if (before.height, before.width) != (node.inputs[0].height, node.inputs[0].width):
            continue
        if node.kernel_shape[:2] == (1, 1) and node.height == 1 and before.height > 1:
            continue
        if before.index in taken or all(s.node == 0 for s in before.inputs[0].segments):
            if before.index in taken or graph.nodes[0].channels in (1, 3):
                continue
        pairs[node.index] = before
        taken.add(before.index)
        taken.add(node.index)
    paired = {before.index for before in pairs.values()}
    passages = passages_of(graph)
    units: dict[int, Unit] = {}
    for node in convolutions:
        if node.index in paired:
            continue
        (index,) = behind[node.index] if len(behind[node.index]) == 1 else (-1,)
        unit = units.get(index)
        if (
            unit is not None
            and node.index not in pairs
            and node.index not in passages
            and len(unit.convolutions) <= 2
            and {node.index} == direct.get(index)
            and unit.last.height == node.inputs[0].height
            and (graph.nodes[0].channels not in (1, 3) or sources(unit.first) != {0})
        ):
            del units[index]
            units[node.index] = Unit((*unit.convolutions, node))
        else:
            units[node.index] = Unit((pairs[node.index], node) if node.index in pairs else (node,))
    return list(units.values())


def read_block(graph: Graph, bottleneck: bool) -> Reading:
    """A probe of `dense_block` alone: every convolution is one of its layers."""
    reading = Reading(graph)
    entry = Source("the block's input", tuple(graph.nodes[:1]))
    layers = tuple(units_of(graph, bottleneck))
    output = graph.output.segments if graph.output is not None else ()
    reading.blocks = (Block(0, entry, layers, output),)
    _place_block(reading, reading.blocks[0], "dense_block")
    reading.odd = _odd(graph)
    return reading


def read_transition(graph: Graph) -> Reading:
    """A probe of `transition` alone."""
    reading = Reading(graph)
    gates = gates_of(graph)
    units = [Unit((n,)) for n in wanted_nodes(graph) if n.kind == "conv" and n.index not in gates]
    reading.transitions = tuple(units) or (None,)
    for unit in units:
        reading.where[unit.last.index] = "transition"
    reading.odd = _odd(graph)
    return reading


def read_network(graph: Graph, num_layers: int | None, bottleneck: bool) -> Reading:
    """A whole network: stem, three blocks, two transitions, classifier.

    Args:
        graph: Canonical graph of the network.
        num_layers: n, layers per block, where it is known.
        bottleneck: Whether its layers should have bottlenecks.
    """
    reading = Reading(graph)
    units = units_of(graph, bottleneck)
    stem, rest = _stem(graph, units)
    reading.stem = tuple(u.last for u in stem)
    reading.odd = _odd(graph, ends_in_softmax=True)
    if not rest:
        return reading
    reading.classifier, inner = _classifier(graph, rest)
    if reading.classifier is not None:
        reading.hidden, inner = _hidden(inner)
    if _is_second_stem(graph, inner, num_layers):
        reading.second_stem = inner[0].last
        reading.stem = (inner[0].last,)
        inner = inner[1:]
    inner, beside = _surplus(graph, inner, reading, num_layers)
    runs, transitions = _runs(graph, inner, num_layers)
    reading.transitions = transitions
    entry_nodes = reading.stem
    blocks = []
    for i, run in enumerate(runs):
        transition = transitions[i] if i < len(transitions) else None
        output = _block_output(graph, run, transition, reading, i == len(runs) - 1)
        blocks.append(Block(i + 1, Source("the block's input", entry_nodes), run, output))
        if transition is not None:
            others = beside.get(transition.last.index, ())
            if others:
                reading.second_transition[i + 1] = others
            entry_nodes = (max((transition.last, *others), key=lambda n: n.index),)
        elif run:
            entry_nodes = (*entry_nodes, *[u.last for u in run])
    reading.blocks = tuple(blocks)
    for node in reading.stem:
        reading.where[node.index] = "stem"
    for block in reading.blocks:
        _place_block(reading, block, f"block {block.number}")
    for i, transition in enumerate(reading.transitions):
        if transition is not None:
            others = reading.second_transition.get(i + 1, ())
            for node in (*transition.convolutions, *others):
                reading.where[node.index] = f"transition {i + 1}"
    for unit in (reading.second_head, *reading.hidden, reading.classifier):
        for node in unit.convolutions if unit is not None else ():
            reading.where[node.index] = "head"
    return reading


def _place_block(reading: Reading, block: Block, name: str) -> None:
    for number, unit in enumerate(block.layers, 1):
        for node in unit.convolutions:
            reading.where[node.index] = f"{name}, layer {number}"


def _odd(graph: Graph, ends_in_softmax: bool = False) -> tuple[Node, ...]:
    """Nodes that have no place in a DenseNet; a softmax has one, at the end of a network."""
    at_the_end: set[int] = set()
    segments = graph.output.segments if graph.output is not None and ends_in_softmax else ()
    while len(segments) == 1 and graph.nodes[segments[0].node].kind == "softmax":
        at_the_end.add(segments[0].node)
        segments = graph.nodes[segments[0].node].inputs[0].segments
    plain = {"conv", "input"}
    return tuple(
        n for n in wanted_nodes(graph) if n.kind not in plain and n.index not in at_the_end
    )


def _stem(graph: Graph, units: list[Unit]) -> tuple[list[Unit], list[Unit]]:
    """The convolutions that see the image and nothing else, and the others."""
    convolutional = {n.index for n in graph.nodes if n.kind == "conv"}

    def sees_image(unit: Unit) -> bool:
        stack, seen = list(sources(unit.first)), set()
        while stack:
            index = stack.pop()
            if index in convolutional:
                return False
            if index not in seen:
                seen.add(index)
                stack += sources(graph.nodes[index])
        return True

    stem = [u for u in units if sees_image(u)]
    if not stem:
        return units[:1], units[1:]
    if len(stem) > 1:
        widths = {(u.last.height, u.last.width, u.last.kernel_shape[:2]) for u in stem}
        if len(widths) > 1 or len(stem) > 8:
            stem = stem[:1]
    chosen = {u.last.index for u in stem}
    return stem, [u for u in units if u.last.index not in chosen]


def _is_second_stem(graph: Graph, units: list[Unit], num_layers: int | None) -> bool:
    """Whether the unit behind the stem is one more of its kind: everything passes it too."""
    if not units or (num_layers is not None and len(units) == 3 * num_layers + 2):
        return False
    first = units[0]
    node = first.last
    same_size = node.height == first.entry.height
    return (
        len(first.convolutions) == 1
        and same_size
        and node.kernel_shape[:2] != (1, 1)
        and not _is_transition(graph, first)
        and _passes_everything(graph, node)
    )


def _surplus(
    graph: Graph, units: list[Unit], reading: Reading, num_layers: int | None
) -> tuple[list[Unit], dict[int, tuple[Node, ...]]]:
    """Take out the convolutions that stand beside a transition's own, or before the head.

    Everything passes them, and so it does a transition; not where layers are missing in front of
    them, for a block that gives its last layer's maps alone has such convolutions as well.

    Returns:
        The other units, and by the index of a transition's convolution those beside it.
    """
    passages = passages_of(graph)
    parts: list[Unit] = []
    for unit in units:
        split = unit.last.kernel_shape[:2] == (1, 1) and len(unit.convolutions) == 2
        split = split and {n.index for n in unit.convolutions} <= passages
        parts += [Unit((n,)) for n in unit.convolutions] if split else [unit]
    beside: dict[int, tuple[Node, ...]] = {}
    dropped: set[int] = set()
    layers = 0
    for passed, members in itertools.groupby(parts, lambda u: u.last.index in passages):
        group = [u.last for u in members]
        if not passed:
            layers = len(group)
        elif layers >= (num_layers or SMALLEST) and len(group) <= SMALLEST:
            own = next((n for n in group if _shrinks(graph, n)), group[-1])
            if group[-1] is parts[-1].last and reading.classifier is not None:
                alone = len(group) == 1 and group[0].kernel_shape[:2] == (1, 1)
                if alone or _halves_before(reading.classifier, group):
                    continue  # a transition too many, or half of one
                reading.second_head, own = Unit((group[0],)), group[0]
                dropped.add(own.index)
            beside[own.index] = tuple(n for n in group if n is not own)
            dropped |= {n.index for n in beside[own.index]}
    return ([u for u in parts if u.last.index not in dropped], beside) if dropped else (units, {})


SMALLEST = 3
"""Layers of a block, where their number is not known, that a transition can stand behind; and
convolutions in a row beyond which there are no blocks at all."""


def _halves_before(classifier: Unit, tail: list[Node]) -> bool:
    """Whether the map behind the last block is halved before it is pooled to one number."""
    last = tail[-1]
    pools = [s for g in classifier.entry.segments for s in g.steps if s.kind == "pool"]
    if any(p.detail[1] != (last.height, last.width) for p in pools):
        return True
    return tail[0].inputs[0].height > last.height


def passages_of(graph: Graph) -> set[int]:
    """The convolutions that everything passes: nothing later receives anything earlier."""
    reach: dict[int, int] = {}
    for node in wanted_nodes(graph):
        for index in sources(node):
            if graph.nodes[index].kind != "constant":
                reach[index] = max(reach.get(index, 0), node.index)
    for segment in graph.output.segments if graph.output is not None else ():
        reach[segment.node] = len(graph.nodes)
    passages: set[int] = set()
    farthest = 0
    for node in wanted_nodes(graph):
        if node.kind == "conv" and farthest <= node.index:
            passages.add(node.index)
        farthest = max(farthest, reach.get(node.index, 0))
    return passages


def _classifier(graph: Graph, units: list[Unit]) -> tuple[Unit | None, list[Unit]]:
    """The last unit, where the output comes from it through at most the softmax."""
    last = units[-1]
    node = graph.nodes[graph.output.segments[0].node] if graph.output is not None else None
    for _ in range(4):
        if node is None or node.kind == "conv":
            break
        inner = [s for v in node.inputs for s in v.segments]
        node = graph.nodes[inner[0].node] if inner else None
    if node is None or node.index != last.last.index:
        return None, units
    if len(last.convolutions) == 2:
        # A pair at the end is a 1×1 convolution before a classifier, not a bottleneck.
        return Unit((last.last,)), [*units[:-1], Unit((last.first,))]
    return last, units[:-1]


def _hidden(units: list[Unit]) -> tuple[tuple[Unit, ...], list[Unit]]:
    """The fully connected layers at the end, and the units before them."""
    at = len(units)
    while at and all(
        n.written_as == "MatMul" and n.height == 1 for n in units[at - 1].convolutions
    ):
        at -= 1
    return tuple(units[at:]), units[:at]


def _runs(
    graph: Graph, units: list[Unit], num_layers: int | None
) -> tuple[list[tuple[Unit, ...]], tuple[Unit | None, ...]]:
    """Cut the units between stem and classifier into blocks and transitions."""
    if num_layers is not None and len(units) == 3 * num_layers + 2:
        n = num_layers
        cut = [units[n], units[2 * n + 1]]
        if all(len(u.convolutions) == 1 for u in cut):
            thirds = [tuple(units[:n]), tuple(units[n + 1 : 2 * n + 1]), tuple(units[2 * n + 2 :])]
            if _plausible(graph, cut):
                return thirds, tuple(cut)
    cuts = [u for u in units if _is_transition(graph, u)]
    runs: list[tuple[Unit, ...]] = []
    transitions: list[Unit | None] = []
    current: list[Unit] = []
    height = units[0].entry.height if units else 0
    for unit in units:
        if unit in cuts:
            runs.append(tuple(current))
            transitions.append(unit)
            current = []
            height = 0
            continue
        if height and unit.entry.height != height:
            runs.append(tuple(current))
            transitions.append(None)
            current = []
        height = unit.entry.height
        current.append(unit)
    runs.append(tuple(current))
    return runs, tuple(transitions)


def _plausible(graph: Graph, cut: list[Unit]) -> bool:
    """Whether the units that should be transitions look like them at all."""
    ones = sum(u.last.kernel_shape[:2] == (1, 1) for u in cut)
    return ones >= 1 or sum(_is_transition(graph, u) for u in cut) >= 1


def _is_transition(graph: Graph, unit: Unit) -> bool:
    """Whether everything passes this convolution and the map is smaller behind it."""
    node = unit.last
    if len(unit.convolutions) != 1 or not _passes_everything(graph, node):
        return False
    return node.kernel_shape[:2] == (1, 1) or _shrinks(graph, node)


def _shrinks(graph: Graph, node: Node) -> bool:
    """Whether the map is smaller behind a convolution than before it."""
    before = {graph.nodes[i].height for i in sources(node)} | {node.inputs[0].height}
    behind = {
        graph.nodes[i].inputs[0].height for i in consumers(graph).get(node.index, ()) if i > 0
    }
    return (bool(behind) and max(behind) < max(before)) or node.height < max(before)


def _passes_everything(graph: Graph, node: Node) -> bool:
    """Whether nothing that comes later receives anything that comes before."""
    for later in wanted_nodes(graph):
        if later.index > node.index and any(
            i < node.index and graph.nodes[i].kind != "constant" for i in sources(later)
        ):
            return False
    output = graph.output.segments if graph.output is not None else ()
    return all(s.node >= node.index for s in output)


def _block_output(
    graph: Graph,
    run: tuple[Unit, ...],
    transition: Unit | None,
    reading: Reading,
    is_last: bool,
) -> tuple[Segment, ...]:
    """What leaves a block: what its transition, or the head, receives."""
    if transition is not None:
        return transition.entry.segments
    if is_last and reading.second_head is not None:
        return reading.second_head.entry.segments
    if is_last and reading.classifier is not None:
        return (*reading.hidden, reading.classifier)[0].entry.segments
    return ()


def most_common(numbers: list[int]) -> int | None:
    """The value most of them have; the first of equals."""
    return Counter(numbers).most_common(1)[0][0] if numbers else None
