"""Why a parameter count is off: which places, or which known mistake, add up to it exactly."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from grader import paper
from grader.graph.canonical import Node
from grader.graph.network import Network, configuration_of
from grader.graph.reading import Block, Reading, Unit
from grader.graph.steps import words

SECOND_SCALE = "a second trained scale and offset behind each batch norm"

SHOWN = 3
"""Places named one by one; more are summed up."""


def explain(
    network: Network, difference: int, configuration: paper.Configuration | None = None
) -> str:
    """What explains a difference exactly, in one sentence.

    Args:
        network: Whose count is off.
        difference: Received less expected, trainable, convolution biases left out.
        configuration: The network's, where it is no probe.

    Returns:
        A known mistake that gives this very number, else the places whose differences add up to
        it, else that it is unexplained.
    """
    for name, delta in _known_mistakes(network, configuration):
        if delta == difference:
            return f"{difference:+,} = {name}."
    places = _by_place(network, configuration)
    if places and sum(delta for _, delta in places) == difference:
        if len(places) == 1:
            return f"{difference:+,}, all of it in {places[0][0]}."
        return f"{difference:+,} = {_listed(places)}."
    idle = _idle(network)
    if idle and places is not None and sum(d for _, d in places) + idle == difference:
        places = [*places, ("weights that the output does not depend on", idle)]
        return f"{difference:+,} = {_listed(places)}."
    wrong = [item for item in network.deviations if item.finding.severity == "deviation"]
    if wrong:
        first = min(wrong, key=lambda item: item.cause)
        place = first.places[0] if first.places else first.finding.where
        return f"{difference:+,}: it follows from what is wrong at {place}. Mend that first."
    return f"{difference:+,}: no known mistake explains this difference."


def _listed(places: list[tuple[str, int]]) -> str:
    named = ", ".join(f"{delta:+,} in {where}" for where, delta in places[:SHOWN])
    rest = places[SHOWN:]
    if rest:
        named += f", {sum(d for _, d in rest):+,} in {len(rest)} more places"
    return named


def _idle(network: Network) -> int:
    if network.counted is None or network.record is None:
        return 0
    names = set(network.counted.idle)
    return sum(v.size for v in network.record.variables if v.trainable and v.name in names)


def _frozen(network: Network) -> int:
    """Numbers of kernels, scales and offsets that are not trained though the paper's are."""
    reading, record = network.readings.get("inference"), network.record
    if reading is None or record is None:
        return 0
    used: set[int] = set()
    for node in reading.graph.nodes:
        if node.index not in reading.where:
            continue
        if node.kernel is not None and node.kernel.bare is not None:
            used.add(node.kernel.bare[0])
        for value in node.inputs:
            for segment in value.segments:
                parts = [word.part for word in words(segment) if word.part is not None]
                found = (part.role(role) for part in parts for role in ("gamma", "beta"))
                used.update(index for index in found if index is not None)
    return sum(record.variables[i].size for i in used if not record.variables[i].trainable)


# --- by place ------------------------------------------------------------------------------


def _by_place(
    network: Network, configuration: paper.Configuration | None
) -> list[tuple[str, int]] | None:
    """Where the weights found differ in number from the paper's; None where it is no such thing."""
    reading = network.readings.get("inference")
    if reading is None:
        return None
    probe = network.probe
    found: list[tuple[str, int]] = []
    if probe is not None and probe.block is not None:
        b = probe.block
        found = _block(reading, reading.blocks[0], b.channels, b.growth_rate, b.bottleneck)
        if len(reading.blocks[0].layers) != b.num_layers:
            return None
    elif probe is not None and probe.transition is not None:
        t = probe.transition
        received = sum(_weights(n) for u in reading.transitions if u for n in u.convolutions)
        wanted = paper.transition_count(t.channels, t.compression).trainable
        found = [("transition", received - wanted)]
    else:
        chosen = configuration or (configuration_of(probe) if probe is not None else None)
        if chosen is None:
            return None
        every = _network(reading, chosen)
        if every is None:
            return None
        found = every
    return [(where, delta) for where, delta in found if delta]


def _weights(node: Node) -> int:
    """Trainable numbers of one convolution and of the batch norm before it, biases left out.

    A batch norm without scale counts as if it had one, as in `counts.py`.
    """
    size = node.kernel.size if node.kernel is not None else 0
    norms: dict[str, int] = {}
    for value in node.inputs:
        for segment in value.segments:
            for word in words(segment):
                if word.kind == "BN" and word.part is not None and word.step.affine is not None:
                    beta = word.part.role("beta") is not None
                    norms[word.key] = word.step.affine.channels * (2 if beta else 1)
    return size + sum(norms.values())


def _unit(unit: Unit) -> int:
    return sum(_weights(n) for n in unit.convolutions)


def _block(
    reading: Reading, block: Block, channels: int, growth_rate: int, bottleneck: bool
) -> list[tuple[str, int]]:
    found = []
    for number, unit in enumerate(block.layers):
        received = channels + number * growth_rate
        wanted = paper.dense_layer_count(received, growth_rate, bottleneck).trainable
        found.append((reading.place(unit.last), _unit(unit) - wanted))
    return found


def _network(reading: Reading, chosen: paper.Configuration) -> list[tuple[str, int]] | None:
    blocks, head = reading.blocks, reading.classifier
    same = [len(b.layers) for b in blocks] == [chosen.num_layers] * paper.Configuration.BLOCKS
    if not same or head is None or not reading.stem:
        return None
    stem = sum(_weights(n) for n in reading.stem)
    wanted = paper.convolution_count(3, chosen.input_shape[2], chosen.stem).trainable
    found = [("the stem", stem - wanted)]
    for i, block in enumerate(blocks):
        before = chosen.channels_before(i + 1)
        found += _block(reading, block, before, chosen.growth_rate, chosen.bottleneck)
        if i < len(reading.transitions):
            transition = reading.transitions[i]
            count = paper.transition_count(chosen.channels_after(i + 1), chosen.compression)
            received = _unit(transition) if transition is not None else 0
            found.append((f"transition {i + 1}", received - count.trainable))
    last = chosen.channels_after(paper.Configuration.BLOCKS)
    bias = chosen.num_classes
    received = sum(_unit(unit) for unit in (*reading.hidden, head))
    found.append(("the head", received + bias - (2 * last + (last + 1) * chosen.num_classes)))
    return found


# --- known mistakes ------------------------------------------------------------------------


def _known_mistakes(
    network: Network, configuration: paper.Configuration | None
) -> Iterator[tuple[str, int]]:
    frozen = _frozen(network)
    if frozen:
        yield "weights that are frozen (trainable=False)", -frozen
    idle = _idle(network)
    if idle and network.counted is not None:
        yield f"{len(network.counted.idle)} weights that the output does not depend on", idle
    probe = network.probe
    if probe is not None and probe.block is not None:
        b = probe.block
        yield from _block_mistakes(b.channels, b.num_layers, b.growth_rate, b.bottleneck)
    elif probe is not None and probe.transition is not None:
        t = probe.transition
        yield from _transition_mistakes(t.channels, t.compression, _transition_widths(network))
    else:
        chosen = configuration or (configuration_of(probe) if probe is not None else None)
        if chosen is not None:
            yield from _network_mistakes(chosen)


def _block_mistakes(m: int, n: int, k: int, bottleneck: bool) -> Iterator[tuple[str, int]]:
    right = paper.dense_block_count(m, n, k, bottleneck).trainable
    other = paper.dense_block_count(m, n, k, not bottleneck).trainable
    yield ("no bottleneck" if bottleneck else "a bottleneck in every layer"), other - right
    for layers, name in ((n - 1, "a layer less"), (n + 1, "a layer more")):
        yield name, paper.dense_block_count(m, layers, k, bottleneck).trainable - right
    for rate in {12, 16, 24, 32} - {k}:
        wrong = paper.dense_block_count(m, n, rate, bottleneck).trainable
        yield f"a growth rate of {rate}", wrong - right
    inputs = [m + i * k for i in range(n)]
    yield "no batch norm before the first convolution of each layer", -2 * sum(inputs)
    if bottleneck:
        yield "no batch norm before the 3×3 convolutions", -2 * 4 * k * n
        for width in (k, 2 * k, 3 * k, 48, 128):
            if width != 4 * k:
                delta = sum((c + 2 + 9 * k) * (width - 4 * k) for c in inputs)
                yield f"bottlenecks of {width} maps in place of 4k = {4 * k}", delta
    yield "batch norm behind the convolutions", sum(2 * (k - c) for c in inputs)
    # As many as the statistics: a mean and a variance for each map that is normalised.
    yield SECOND_SCALE, paper.dense_block_count(m, n, k, bottleneck).statistics
    yield (
        "layers that see only the layer before them",
        sum(
            (2 + (4 * k if bottleneck else 9 * k)) * ((m if i == 0 else k) - c)
            for i, c in enumerate(inputs)
        ),
    )


def _transition_widths(network: Network) -> set[int]:
    """The maps that its transitions' convolutions give."""
    reading = network.readings.get("inference")
    units = reading.transitions if reading is not None else ()
    return {u.last.channels for u in units if u is not None}


def _transition_mistakes(m: int, compression: float, widths: set[int]) -> Iterator[tuple[str, int]]:
    kept = paper.compressed(m, compression)
    yield "no batch norm", -2 * m
    yield SECOND_SCALE, 2 * m
    yield "a 3×3 convolution in place of 1×1", 8 * m * kept
    for other, name in (
        (kept + 1, "⌈θm⌉ in place of ⌊θm⌋"),
        (m, "no compression (θ = 1)"),
        (m // 2, "θ fixed at 0.5"),
    ):
        if other != kept and other in widths:
            yield name, m * (other - kept)
    yield "no convolution", -m * kept
    yield "batch norm behind the convolution", 2 * (kept - m)


def _network_mistakes(c: paper.Configuration) -> Iterator[tuple[str, int]]:
    right = c.count().trainable
    step = 6 if c.bottleneck else 3
    stems = [
        ("the stem has 16 maps", replace(c, stem_channels=16)),
        (
            f"the stem has 2k = {2 * c.growth_rate} maps",
            replace(c, stem_channels=2 * c.growth_rate),
        ),
        ("the stem has k maps", replace(c, stem_channels=c.growth_rate)),
        ("the stem has 24 maps", replace(c, stem_channels=24)),
        ("the stem has 64 maps", replace(c, stem_channels=64)),
    ]
    alternatives = [
        *stems,
        ("θ was left at 0.5", replace(c, compression=0.5, stem_channels=c.stem)),
        ("θ was left at 1", replace(c, compression=1.0, stem_channels=c.stem)),
        ("a layer more in each block", replace(c, depth=c.depth + step)),
        ("10 classes in the head", replace(c, num_classes=10)),
        ("the growth rate is 12", replace(c, growth_rate=12)),
        *[(f"{n} and θ was left at 0.5", replace(s, compression=0.5)) for n, s in stems],
    ]
    if c.depth - step > 4:
        alternatives.append(("a layer less in each block", replace(c, depth=c.depth - step)))
    for name, changed in alternatives:
        delta = changed.count().trainable - right
        if delta:
            yield name, delta
    last = c.channels_after(3)
    yield "no batch norm before the head", -2 * last
    yield (
        "a transition behind the last block",
        paper.transition_count(last, c.compression).trainable
        + (paper.compressed(last, c.compression) - last) * (2 + c.num_classes),
    )
    yield "a batch norm behind the stem", 2 * c.stem
    yield SECOND_SCALE, c.count().statistics
