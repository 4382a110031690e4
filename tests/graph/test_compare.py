"""Two networks are the same whatever their style, and one edit parts them.

Op graphs written by hand (writing.py): no TensorFlow.
"""

import dataclasses
import json

import numpy as np
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from grader.graph.canonical import Graph, Segment, Value
from grader.graph.compare import Subject, equivalent, same_network
from grader.graph.evidence import read_subject
from grader.graph.read.axes import standard_axes
from grader.graph.record import VariableRecord
from grader.graph.symbols import expression, variable
from grader.graph.units import UnitGraph
from grader.graph.wording import describe
from tests.graph import test_random_networks as random_networks
from tests.graph.writing import (
    BATCH,
    Link,
    Net,
    Style,
    block_record,
    canonical,
    changed,
    dense,
    dense_net,
    network_record,
    write_block,
)

SETTINGS = settings(
    max_examples=15,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    derandomize=True,
    phases=[Phase.explicit, Phase.generate],  # shrinking whole networks takes minutes
)
# Without its ReLU a transition computes something else: here it is no matter of style.
styles = random_networks.styles.map(lambda s: changed(s, relu_of_transition=True))


def table(record):
    return [VariableRecord.model_validate(v) for v in record["variables"]]


def deviations(mine, reference):
    found = equivalent(canonical(mine), canonical(reference), table(mine), table(reference))
    return [f for f in found if f.severity == "deviation"]


# --- random networks ---


@SETTINGS
@given(styles, styles, st.integers(1, 4), st.booleans())
def test_a_dense_block_is_the_same_in_any_two_styles(one, other, n, bottleneck):
    block = dense(n, 3, bottleneck)
    # No batch norm follows the block's own output, where a bias would be idle.
    other = changed(other, bias=one.bias)

    assert deviations(block_record(one, block, 4, 7), block_record(other, block, 4, 7)) == []


@settings(SETTINGS, max_examples=6)
@given(styles, styles)
def test_a_network_is_the_same_in_any_two_styles(one, other):
    plan = dense_net(2, 3, 0.5, True, 5)

    assert deviations(network_record(one, plan, 8), network_record(other, plan, 8)) == []


@settings(SETTINGS, max_examples=40)
@given(styles, styles, random_networks.edited_blocks())
def test_one_edit_of_a_dense_block_makes_another_network(one, other, edited):
    block, n, k, bottleneck, edit, _ = edited
    other = changed(other, bias=one.bias)
    reference = block_record(other, dense(n, k, bottleneck), 4, 9)

    assert deviations(block_record(one, block, 4, 9), reference) != [], edit


@settings(SETTINGS, max_examples=20)
@given(styles, random_networks.edited_blocks())
def test_one_edit_shows_from_the_other_side_too(style, edited):
    block, n, k, bottleneck, edit, _ = edited
    right = block_record(Style(bias=style.bias), dense(n, k, bottleneck), 4, 9)

    assert deviations(right, block_record(style, block, 4, 9)) != [], edit


def test_a_missing_link_is_named_by_both_its_ends():
    block = dense(4, 3, False)
    wrong = random_networks.with_layer(block, 4, links=tuple(Link(s) for s in (0, 1, 3)))

    (finding,) = deviations(block_record(Style(), wrong, 4, 9), block_record(Style(), block, 4, 9))

    assert finding.where == "convolution 4"
    assert finding.expected == "the maps of convolution 2"


# --- graphs by hand ---


class Drawn:
    """A canonical graph under construction."""

    def __init__(self, channels=4):
        self.graph = Graph()
        self.count = 0
        node = self.graph.add("input", (), channels=channels, height=8, width=8)
        self.image = self.all_of(node)

    def all_of(self, node):
        axes = standard_axes(2, 8, 8, node.channels)
        return Value(axes, 2, 8, 8, (Segment(node.index, 0, node.channels),))

    def conv(self, value, maps=4, kernel=None, groups=1, size=1):
        shape = (size, size, value.channels // groups, maps)
        if kernel is None:
            kernel = self.count
            self.count += 1
        pad = size // 2
        detail = (
            ("strides", (1, 1)), ("padding", (pad,) * 4), ("dilations", (1, 1)), ("groups", groups),
        )  # fmt: skip
        node = self.graph.add(
            "conv", (value,), channels=maps, height=8, width=8, kernel=variable(kernel, shape),
            kernel_shape=shape, detail=detail, written_as="Conv2D",
        )  # fmt: skip
        return self.all_of(node)

    def join(self, *values):
        segments = tuple(s for v in values for s in v.segments)
        width = sum(s.width for s in segments)
        return Value(standard_axes(2, 8, 8, width), 2, 8, 8, segments)

    def add(self, *values):
        node = self.graph.add(
            "add", tuple(values), channels=values[0].channels, height=8, width=8, written_as="AddV2"
        )
        return self.all_of(node)

    def cut(self, value, start, stop):
        segment = value.segments[0]
        part = Segment(segment.node, segment.start + start, segment.start + stop)
        return Value(standard_axes(2, 8, 8, stop - start), 2, 8, 8, (part,))

    def ending_in(self, value):
        self.graph.output = value
        return self.graph


def test_groups_are_the_same_as_towers_in_any_order():
    grouped = Drawn()
    x = grouped.conv(grouped.image, 8, groups=2)
    x = grouped.conv(x, 6, groups=2)
    towers = Drawn()
    halves = [towers.cut(towers.image, 2, 4), towers.cut(towers.image, 0, 2)]
    second, first = (towers.conv(h, 4) for h in halves)
    second, first = (towers.conv(h, 3) for h in (second, first))

    found = equivalent(towers.ending_in(towers.join(first, second)), grouped.ending_in(x))

    assert found == []


def test_towers_that_exchange_their_maps_are_no_groups():
    grouped = Drawn()
    x = grouped.conv(grouped.image, 8, groups=2)
    x = grouped.conv(x, 6, groups=2)
    mixed = Drawn()
    a = mixed.conv(mixed.cut(mixed.image, 0, 2), 4)
    b = mixed.conv(mixed.cut(mixed.image, 2, 4), 4)
    both = [mixed.conv(mixed.join(mixed.cut(a, 0, 2), mixed.cut(b, 0, 2)), 3), mixed.conv(b, 3)]

    found = equivalent(mixed.ending_in(mixed.join(*both)), grouped.ending_in(x))

    assert found != []


def test_a_sum_in_another_bracketing_is_the_same():
    left, right = Drawn(), Drawn()
    a, b, c = (left.conv(left.image, size=s) for s in (1, 3, 5))
    one = left.ending_in(left.add(left.add(a, b), c))
    a, b, c = (right.conv(right.image, size=s) for s in (1, 3, 5))
    other = right.ending_in(right.add(a, right.add(c, b)))

    assert equivalent(one, other) == []


def test_a_sum_of_one_branch_twice_is_not_a_sum_of_two():
    twice, two = Drawn(), Drawn()
    a = twice.conv(twice.image)
    one = twice.ending_in(twice.add(a, a))
    other = two.ending_in(two.add(two.conv(two.image), two.conv(two.image)))

    assert equivalent(one, other) != []
    assert equivalent(other, one) != []


def test_crossed_twins_are_not_straight_ones():
    def network(crossed):
        drawn = Drawn()
        a, b = drawn.conv(drawn.image), drawn.conv(drawn.image)
        pairs = [(a, b), (b, a)] if crossed else [(a, a), (b, b)]
        sums = [drawn.add(*pair) for pair in pairs]
        return drawn.ending_in(drawn.join(*[drawn.conv(s, size=3) for s in sums]))

    assert equivalent(network(True), network(False)) != []
    assert equivalent(network(True), network(True)) == []


def test_many_interchangeable_branches_are_paired_one_by_one():
    def network(order):
        drawn = Drawn()
        branches = [drawn.conv(drawn.image) for _ in range(8)]
        ends = {i: drawn.conv(branches[i], size=3) for i in order}
        return drawn.ending_in(drawn.add(*[ends[i] for i in range(8)]))

    assert equivalent(network(range(8)), network([5, 2, 7, 0, 1, 3, 6, 4])) == []


def test_a_shared_kernel_is_found_and_named():
    def network(shared):
        drawn = Drawn()
        x = drawn.conv(drawn.image)
        x = drawn.conv(x)
        return drawn.ending_in(drawn.conv(x, kernel=0 if shared else None))

    (finding,) = equivalent(network(True), network(False))

    assert finding.where == "convolution 3"
    assert finding.received == "those of convolution 1"


def test_a_network_without_an_output_is_not_the_same_as_one_with():
    with_output, without = Drawn(), Drawn()
    one = with_output.ending_in(with_output.conv(with_output.image))
    without.graph.trouble.append("the output does not depend on the input")

    assert equivalent(without.graph, one) != []
    assert equivalent(without.graph, without.graph) != []


def test_a_kernel_computed_in_another_way_is_another_network():
    def network(function):
        drawn = Drawn()
        x = drawn.conv(drawn.image)
        node = drawn.graph.nodes[-1]
        kernel = expression("f", [node.kernel], function, node.kernel.shape)
        drawn.graph.nodes[-1] = dataclasses.replace(node, kernel=kernel)
        return drawn.ending_in(x)

    rows = [
        VariableRecord(name="w", shape=[1, 1, 4, 4], dtype="float32", trainable=True, owned=True)
    ]

    assert equivalent(network(np.tanh), network(np.square), rows, rows) != []
    assert equivalent(network(np.tanh), network(np.tanh), rows, rows) == []


def test_a_unit_is_described_in_a_few_words():
    drawn = Drawn()
    drawn.ending_in(drawn.conv(drawn.image, 8, groups=2, size=3))

    units = UnitGraph(drawn.graph, (), "mine").units

    assert describe(units[1]) == "3×3 convolution, 8 maps, 2 groups"


def test_what_only_training_shows_is_said_so():
    block = dense(1, 3, False)
    right = canonical(block_record(Style(), block, 4, 5))
    other = random_networks.with_layer(block, 1, before=("BN",))
    wrong = canonical(block_record(Style(), other, 4, 5))

    found = same_network(
        Subject({"inference": right, "training": wrong}),
        Subject({"inference": right, "training": right}),
    )

    assert [f.message.split(":")[0] for f in found] == ["when called with training=True"]


class Exchanged(Net):
    """Moves the mean towards the batch's variance, and the variance towards its mean."""

    def _norm_in_training(self, x, gamma, beta, handles):
        return super()._norm_in_training(x, gamma, beta, handles[::-1])


def both_modes(kind):
    graphs = {}
    for mode in ("inference", "training"):
        net = kind(Style(), training=mode == "training")
        y = write_block(net, net.entry(4, 5), dense(1, 3, False))
        graphs[mode] = net.w.graph(net.exit(y))
    record = {"failure": None, "graphs": graphs, "variables": net.w.variables}
    record["input_shape"] = [BATCH, 4, 4, 5]
    return read_subject(json.dumps(record).encode(), b"")


def test_averages_that_follow_something_else_part_two_networks():
    right = both_modes(Net)

    (found,) = same_network(both_modes(Exchanged), right)

    assert found.expected == "moved towards the batch's in training"
    assert found.received == "set to something else"
    assert same_network(both_modes(Net), right) == []
