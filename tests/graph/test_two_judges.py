"""A second judge, which aligns a network with the paper's, agrees with the rules.

It knows no rule of the reader's: it builds the paper's network itself (`aligning/reference.py`) and
compares two networks as a whole. Where both say the same, a mistake in either would have shown.
Op graphs written by hand (writing.py): no TensorFlow.
"""

from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from grader import paper
from grader.graph.units import UnitGraph
from tests.graph.aligning.judge import aligned
from tests.graph.test_random_networks import (
    QUICKLY,
    compressions,
    edited_blocks,
    edited_networks,
    kept,
    rates,
    sizes,
    styles,
    widths,
)
from tests.graph.writing import (
    Transition,
    block_probe,
    block_record,
    dense,
    dense_net,
    evidence_of,
    network_probe,
    network_record,
    transition_probe,
    transition_record,
)

SOME = settings(QUICKLY, max_examples=12, phases=[Phase.explicit, Phase.generate])


def both_refuse(probe, record):
    """Whether the rules refuse a network, and whether the alignment does."""
    (network,) = evidence_of((probe, record)).networks
    rules = any(d.finding.severity == "deviation" for d in network.deviations)
    return rules, bool(second_opinion(probe, network).differences)


def second_opinion(probe, network):
    n = probe.network
    asked = probe.block or probe.transition
    if n is not None:
        asked = paper.Configuration(
            n.depth, n.growth_rate, n.compression, n.bottleneck, n.num_classes, (n.size, n.size, 3)
        )
    return aligned(UnitGraph(network.graph, network.record.variables, "mine"), asked, False)


@SOME
@given(styles, st.integers(1, 5), rates, st.booleans(), widths, sizes)
def test_both_accept_a_right_block(style, n, k, bottleneck, channels, size):
    record = block_record(style, dense(n, k, bottleneck), size, channels)

    assert both_refuse(block_probe(n, k, bottleneck, size, channels), record) == (False, False)


@SOME
@given(styles, compressions, st.integers(4, 60), sizes)
def test_both_accept_a_right_transition(style, compression, channels, size):
    record = transition_record(style, Transition(kept(channels, compression)), size, channels)

    assert both_refuse(transition_probe(compression, size, channels), record) == (False, False)


@settings(SOME, max_examples=5)
@given(styles, st.integers(1, 2), rates, st.sampled_from([0.5, 0.7, 1.0]), st.booleans())
def test_both_accept_a_right_network(style, n, k, compression, bottleneck):
    record = network_record(style, dense_net(n, k, compression, bottleneck, 7), 16)
    probe = network_probe((6 if bottleneck else 3) * n + 4, k, compression, bottleneck, 7, 16)

    assert both_refuse(probe, record) == (False, False)


@settings(SOME, max_examples=40)
@given(styles, edited_blocks(), widths)
def test_both_refuse_an_edited_block(style, edited, channels):
    block, n, k, bottleneck, edit, _ = edited
    record = block_record(style, block, 4, channels)

    assert both_refuse(block_probe(n, k, bottleneck, 4, channels), record) == (True, True), edit


@settings(SOME, max_examples=12)
@given(styles, edited_networks())
def test_both_refuse_an_edited_network(style, edited):
    plan, n, k, compression, bottleneck = edited
    record = network_record(style, plan, 16)
    probe = network_probe((6 if bottleneck else 3) * n + 4, k, compression, bottleneck, 7, 16)

    assert both_refuse(probe, record) == (True, True)
