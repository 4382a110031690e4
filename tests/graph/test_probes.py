"""The probes are those that tell a mistake from the paper; no hidden one is a surprise."""

import math
import re

import pytest

from grader import paper
from grader.assignment import load_assignment
from grader.graph.probes import _blurred, hidden_probes, public_probes, tells_the_floor
from grader.resources import assignment_dir

DRAWS = 60
PROBES = load_assignment(assignment_dir()).probes
PUBLIC = public_probes(PROBES)
HIDDEN = [p for seed in range(DRAWS) for p in hidden_probes(PROBES, bytes([seed] * 32))]
KINDS = ("block", "transition", "network")


def asked(probes, kind):
    """The arguments of one kind's probes."""
    return [p.arguments.model_dump() for p in probes if getattr(p, kind) is not None]


def networks():
    return [p.network for p in HIDDEN if p.network is not None]


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


def test_no_binary_fraction_decides_a_transition():
    for t in (p.transition for p in PUBLIC + HIDDEN if p.transition is not None):
        assert not _blurred(t.channels, t.compression)


@pytest.mark.parametrize("kind", KINDS)
def test_what_hidden_probes_vary_the_public_ones_vary_too(kind):
    public, hidden = asked(PUBLIC, kind), asked(HIDDEN, kind)
    for name in hidden[0]:
        values = {arguments[name] for arguments in hidden}
        known = {arguments[name] for arguments in public}

        assert values == known or len(known) > 1, f"{kind}: {name}"


@pytest.mark.parametrize("kind", KINDS)
def test_hidden_images_have_the_size_of_public_ones(kind):
    sizes = {arguments["size"] for arguments in asked(PUBLIC, kind)}

    assert {arguments["size"] for arguments in asked(HIDDEN, kind)} <= sizes


def test_4k_2k_and_the_compression_of_the_template_show_where_they_were_written_as_numbers():
    blocks = [b for b in PROBES.blocks if b.bottleneck]

    assert {b.growth_rate for b in blocks}.isdisjoint({12})
    assert {n.growth_rate for n in PROBES.networks}.isdisjoint({12})
    assert {n.compression for n in PROBES.networks}.isdisjoint({0.5, 1.0})


def test_dropout_is_asked_for_in_training_wherever_it_is():
    for probe in PUBLIC + HIDDEN:
        assert not probe.dropout_rate or "training" in probe.modes


WAYS = {
    "floor": math.floor,
    "round": round,
    "half up": lambda m: math.floor(m + 0.5),
    "ceiling": math.ceil,
}


def test_public_transitions_tell_every_way_to_round_from_the_floor_and_15_maps_are_among_them():
    asked_for = [(t.channels, t.compression) for t in PROBES.transitions]
    given = {way: [WAYS[way](m * theta) for m, theta in asked_for] for way in WAYS}

    assert (15, 0.5) in asked_for
    assert given["floor"] == [paper.compressed(m, theta) for m, theta in asked_for]
    assert given["floor"] != given["round"] != given["ceiling"] != given["floor"]
    assert given["half up"] not in (given["floor"], given["ceiling"])


def test_public_networks_tell_the_floor_too_with_and_without_bottlenecks():
    assert all(tells_the_floor(network) for network in PROBES.networks)
    assert {network.bottleneck for network in PROBES.networks} == {True, False}


def test_no_name_tells_a_hidden_probe_from_a_public_one():
    public, hidden = PUBLIC, hidden_probes(PROBES, bytes(32))
    ids = [probe.id for probe in [*public, *hidden]]

    assert len(set(ids)) == len(ids)
    assert {re.sub(r"[0-9]+", "", p.id) for p in hidden} <= {
        re.sub(r"[0-9]+", "", p.id) for p in public
    }
