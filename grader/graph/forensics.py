"""Why a parameter count is off: which known mistakes add up to the difference exactly."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace

from grader import paper
from grader.graph.evidence import Network, configuration_of


def explain(
    network: Network, difference: int, configuration: paper.Configuration | None = None
) -> str:
    """The mistakes that explain a difference exactly, in one sentence.

    Args:
        network: Whose count is off.
        difference: Received less expected, trainable, convolution biases left out.
        configuration: The network's, where it is no probe.

    Returns:
        "+627 = ..." or that no known mistake explains it.
    """
    mistakes = list(_mistakes(network, configuration))
    for size in (1, 2):
        for chosen in itertools.combinations(mistakes, size):
            if sum(delta for _, delta in chosen) == difference:
                text = " and ".join(name for name, _ in chosen)
                return f"{difference:+,} = {text}."
    return f"{difference:+,}: no single known mistake, and no two, explain this difference."


def _mistakes(
    network: Network, configuration: paper.Configuration | None
) -> Iterator[tuple[str, int]]:
    counted = network.counted
    if counted is not None and counted.idle:
        assert network.record is not None
        names = set(counted.idle)
        idle = sum(v.size for v in network.record.variables if v.name in names)
        yield f"{len(counted.idle)} weights that the output does not depend on", idle
    probe = network.probe
    if probe is not None and probe.block is not None:
        b = probe.block
        yield from _block_mistakes(b.channels, b.num_layers, b.growth_rate, b.bottleneck)
    elif probe is not None and probe.transition is not None:
        t = probe.transition
        yield from _transition_mistakes(t.channels, t.compression)
    else:
        if configuration is None:
            assert probe is not None
            configuration = configuration_of(probe)
        yield from _network_mistakes(configuration)


def _block_mistakes(m: int, n: int, k: int, bottleneck: bool) -> Iterator[tuple[str, int]]:
    right = paper.dense_block_count(m, n, k, bottleneck).trainable
    other = paper.dense_block_count(m, n, k, not bottleneck).trainable
    yield ("no bottleneck" if bottleneck else "a bottleneck in every layer"), other - right
    for layers, name in ((n - 1, "a layer less"), (n + 1, "a layer more")):
        yield name, paper.dense_block_count(m, layers, k, bottleneck).trainable - right
    for rate in {12, 16, 24, 32} - {k}:
        yield (
            f"a growth rate of {rate}",
            (paper.dense_block_count(m, n, rate, bottleneck).trainable - right),
        )
    inputs = [m + i * k for i in range(n)]
    yield "no batch norm before the first convolution of each layer", -2 * sum(inputs)
    if bottleneck:
        yield "no batch norm before the 3×3 convolutions", -2 * 4 * k * n
        for width in (k, 2 * k, 3 * k, 48):
            if width != 4 * k:
                delta = sum((c + 2 + 9 * k) * (width - 4 * k) for c in inputs)
                yield f"bottlenecks of {width} maps in place of 4k = {4 * k}", delta
        yield "batch norm behind the convolutions", sum(2 * (k - c) for c in inputs)
    else:
        yield "batch norm behind the convolutions", sum(2 * (k - c) for c in inputs)
    yield (
        "layers that see only the layer before them",
        sum(
            (2 + (4 * k if bottleneck else 9 * k)) * ((m if i == 0 else k) - c)
            for i, c in enumerate(inputs)
        ),
    )


def _transition_mistakes(m: int, compression: float) -> Iterator[tuple[str, int]]:
    kept = paper.compressed(m, compression)
    yield "no batch norm", -2 * m
    yield "a 3×3 convolution in place of 1×1", 8 * m * kept
    for other, name in (
        (kept + 1, "⌈θm⌉ in place of ⌊θm⌋"),
        (m, "no compression (θ = 1)"),
        (m // 2, "θ fixed at 0.5"),
    ):
        if other != kept:
            yield name, m * (other - kept)
    yield "no convolution", -m * kept
    yield "batch norm behind the convolution", 2 * (kept - m)


def _network_mistakes(c: paper.Configuration) -> Iterator[tuple[str, int]]:
    right = c.count().trainable

    def delta(other: paper.Configuration) -> int:
        return other.count().trainable - right

    step = 6 if c.bottleneck else 3
    alternatives = [
        ("the stem has 16 maps", replace(c, stem_channels=16)),
        (
            f"the stem has 2k = {2 * c.growth_rate} maps",
            replace(c, stem_channels=2 * c.growth_rate),
        ),
        ("the stem has k maps", replace(c, stem_channels=c.growth_rate)),
        ("the stem has 24 maps", replace(c, stem_channels=24)),
        ("the stem has 64 maps", replace(c, stem_channels=64)),
        ("θ was left at 0.5", replace(c, compression=0.5)),
        ("θ was left at 1", replace(c, compression=1.0)),
        ("a layer more in each block", replace(c, depth=c.depth + step)),
        ("the growth rate is 12", replace(c, growth_rate=12)),
        ("10 classes in the head", replace(c, num_classes=10)),
    ]
    if c.depth - step > 4:
        alternatives.append(("a layer less in each block", replace(c, depth=c.depth - step)))
    if c.bottleneck:
        for name, changed in list(alternatives[:4]):
            alternatives.append(
                (f"{name} and θ was left at 0.5", replace(changed, compression=0.5))
            )
    for name, changed in alternatives:
        if delta(changed):
            yield name, delta(changed)
    last = c.channels_after(3)
    yield "no batch norm before the head", -2 * last
    yield (
        "a transition behind the last block",
        (
            paper.transition_count(last, c.compression).trainable
            + (paper.compressed(last, c.compression) - last) * (2 + c.num_classes)
        ),
    )
    yield "a batch norm behind the stem", 2 * c.stem
    for block in (1, 2):
        yield f"no batch norm in transition {block}", -2 * c.channels_after(block)
