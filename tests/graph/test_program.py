"""A program says what its graph says, and folding it changes none of its numbers."""

from typing import get_args

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from grader.engine import rebuild, runner_keras, runner_openvino
from grader.graph import numeric, program
from grader.graph.program import Instruction, Program, for_inference, lower
from grader.graph.symbols import Unreadable
from tests.graph.writing import (
    JOINS,
    NORMS,
    PADS,
    RELUS,
    Net,
    Style,
    agrees,
    block_record,
    canonical,
    dense,
    dense_net,
    network_record,
)

RNG = np.random.default_rng(4)
IMAGES = RNG.integers(0, 256, (2, 6, 6, 5), dtype=np.uint8)
NO_INSTRUCTION = {"input"}
ONLY_IN_TRAINING = {"dropout", "noise", "stop_gradient"}


def values_of(record):
    """Numbers for all variables, as far from those of a fresh network as can be."""
    return [RNG.uniform(0.5, 1.5, v["shape"]).astype(np.float32) for v in record["variables"]]


def kinds(made):
    return [i.kind for i in made.instructions]


def of_layers(build):
    """The program of a network of 6×6 maps, and the number of its variables."""
    net = Net(Style())
    graph = net.w.canonical(build(net, net.entry(6, 5)))
    return lower(graph), [RNG.uniform(0.5, 1.5, v["shape"]) for v in net.w.variables]


styles = st.builds(
    Style,
    norm=st.sampled_from(NORMS),
    relu=st.sampled_from(RELUS),
    pad=st.sampled_from(PADS),
    join=st.sampled_from(JOINS),
    channels_first=st.booleans(),
    bias=st.booleans(),
    sums=st.booleans(),
)


@given(styles, st.integers(2, 3), st.booleans())
@settings(max_examples=15, deadline=None, derandomize=True, suppress_health_check=HealthCheck)
def test_folding_changes_no_number(style, layers, bottleneck):
    record = block_record(style, dense(layers, 3, bottleneck), 6, 5)
    values, whole = values_of(record), lower(canonical(record))

    folded = for_inference(whole)

    expected = numeric.compute(whole, values, IMAGES)
    received = numeric.compute(folded, values, IMAGES)
    assert agrees(expected, received)


def test_a_batch_norm_stays_whole_until_it_is_folded():
    whole, values = of_layers(lambda net, x: net.norm(net.conv(x, 4, 3)))

    folded = for_inference(whole)

    assert kinds(whole) == ["input", "conv", "affine"]
    assert kinds(folded) == ["input", "conv"]
    assert agrees(numeric.compute(whole, values, IMAGES), numeric.compute(folded, values, IMAGES))


def test_a_bias_is_folded_though_many_read_what_it_gives():
    def build(net, x):
        first = net.norm(net.conv(x, 4, 3))
        return net.join([first, net.conv(net.relu(first), 4, 1)])

    whole, _ = of_layers(build)

    assert "affine" not in kinds(for_inference(whole))


def test_a_convolution_that_is_read_without_its_batch_norm_too_keeps_its_kernel():
    def build(net, x):
        plain = net.conv(x, 4, 3)
        return net.join([plain, net.norm(plain)])

    whole, values = of_layers(build)

    folded = for_inference(whole)

    assert kinds(folded).count("affine") == 1
    assert agrees(numeric.compute(whole, values, IMAGES), numeric.compute(folded, values, IMAGES))


def test_what_all_parts_share_is_applied_once_to_the_whole():
    def build(net, x):
        return net.relu(net.norm(net.join([x, net.conv(x, 4, 3)])))

    whole, _ = of_layers(build)

    assert kinds(whole) == ["input", "conv", "concat", "affine", "pointwise"]


def test_a_batch_norm_of_one_part_is_not_taken_for_that_of_the_whole():
    def build(net, x):
        return net.join([net.norm(net.conv(x, 4, 3)), net.norm(net.conv(x, 4, 1))])

    whole, values = of_layers(build)

    assert kinds(whole).count("affine") == 2
    assert numeric.compute(whole, values, IMAGES).shape == (2, 6, 6, 8)


def test_the_last_instruction_needs_all_the_others():
    record = network_record(Style(), dense_net(2, 3, 0.5, True, 10), 8)

    for made in (lower(canonical(record)), for_inference(lower(canonical(record)))):
        read = {n for i in made.instructions for n in i.inputs}
        assert read == set(range(len(made.instructions) - 1))


def test_maps_are_held_as_long_as_somebody_reads_them():
    steps = [Instruction("input", shape=(2, 2, 1))]
    steps += [Instruction("crop", (n,), (0, 0, 0, 0), (2, 2, 1)) for n in range(9)]

    assert Program(tuple(steps)).held() == 8
    both = (*steps, Instruction("add", (0, 9), (), (2, 2, 1)))
    assert Program(both).held() == 12


def test_a_program_too_large_for_any_machine_is_refused():
    made = Program((Instruction("input", shape=(2**10, 2**10, 2**8)),))

    with pytest.raises(Unreadable, match="too large"):
        made.refuse_giants()


@pytest.mark.parametrize(
    ("kinds_of_all", "reason"),
    [(("constant",), "does not depend on the images"), (("input", "input", "add"), "second input")],
)
def test_a_network_has_one_map_of_images(kinds_of_all, reason):
    made = Program(tuple(Instruction(kind) for kind in kinds_of_all))

    with pytest.raises(Unreadable, match=reason):
        made.image()


@pytest.mark.parametrize(
    ("emitters", "without"),
    [
        (numeric.EMITTERS, {"dropout", "noise", "constant"}),
        (runner_keras.EMITTERS, ONLY_IN_TRAINING),
        (runner_openvino.EMITTERS, ONLY_IN_TRAINING),
        (rebuild.EMITTERS, set()),
    ],
    ids=["numpy", "keras", "openvino", "trainable"],
)
def test_every_instruction_means_something_wherever_it_may_come(emitters, without):
    assert set(emitters) == set(get_args(program.Kind)) - NO_INSTRUCTION - without
