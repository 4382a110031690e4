"""The hidden networks are those that tell a mistake from the paper."""

import random

from grader import paper
from grader.graph.probes import _network, _transition

DRAWS = 60


def networks():
    draw = random.Random(7)
    return [_network(draw, bottleneck) for _ in range(DRAWS) for bottleneck in (True, False)]


def arriving(network, stem=None):
    c = paper.Configuration(
        network.depth,
        network.growth_rate,
        network.compression,
        network.bottleneck,
        stem_channels=stem,
    )
    return c, [c.channels_after(1), c.channels_after(2)]


def test_a_hidden_network_tells_the_floor_from_other_ways_to_round():
    for network in networks():
        chosen, (first, second) = arriving(network)
        theta = network.compression
        gained = chosen.num_layers * chosen.growth_rate

        assert {round(theta * m) - paper.compressed(m, theta) for m in (first, second)} != {0}
        assert int((first * theta + gained) * theta) != paper.compressed(second, theta)


def test_no_binary_fraction_decides_a_hidden_network():
    for network in networks():
        theta = network.compression
        for stem in (16, 2 * network.growth_rate):
            _, widths = arriving(network, stem)
            floors = [paper.compressed(m, theta) for m in widths]

            assert [int(m * theta) for m in widths] == floors
            assert [int(m * (1 - (1 - theta))) for m in widths] == floors


def test_hidden_networks_are_not_a_handful_that_can_be_learnt_by_heart():
    kinds = {(n.growth_rate, n.compression, n.num_classes, n.size) for n in networks()}

    assert len(kinds) > DRAWS // 2


def test_no_binary_fraction_decides_a_hidden_transition():
    draw = random.Random(7)

    for _ in range(DRAWS):
        t = _transition(draw, uneven=True)
        floor = paper.compressed(t.channels, t.compression)
        assert int(t.channels * (1 - (1 - t.compression))) == floor
