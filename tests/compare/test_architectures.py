"""The course's other architectures: whatever the style, the same; whatever is wrong, named."""

import re
from pathlib import Path

import pytest

from grader.domain import Outcome
from grader.graph.compare import same_network
from grader.selftest.frozen import line_of
from tests.frozen import hold, hold_names

pytestmark = pytest.mark.tensorflow

SOURCE = Path(__file__).parent / "architectures.py"
VARIANTS = re.findall(r"^def (\w+__\w+)\(", SOURCE.read_text(encoding="utf-8"), re.MULTILINE)

COURSE = ("course alexnet: right", "course alexnet: wrong")
"""Frozen by test_course.py."""
FIRST = {
    "alexnet__wrong_pooling_does_not_overlap": ("convolution 2", "2×2 max pooling"),
    "alexnet__wrong_one_group": ("convolution 2", "its groups: expected 2, received 1"),
    "alexnet__wrong_narrow_third_convolution": ("convolution 3", "expected 24, received 16"),
    "alexnet__wrong_seven_layers": ("fully connected layer 2", "nothing like it"),
    "alexnet__wrong_radius_of_the_response": ("operation LRN 1", "depth_radius 1"),
    "alexnet__wrong_bias_of_the_response": ("operation LRN 1", "bias 1"),
    "alexnet__wrong_response_behind_the_pooling": ("operation LRN 1", "stride 2"),
    "alexnet__wrong_rate_of_the_dropout": ("fully connected layer 2", "dropout of 0.4"),
    "alexnet__wrong_pooling_to_the_ceiling": ("convolution 2", "padding"),
    "vgg__wrong_without_biases": ("convolution 2", "expected bias → ReLU, received ReLU"),
    "vgg__wrong_configuration_c": ("convolution 7", "its kernel: expected 3×3, received 1×1"),
    "vgg__wrong_thirteen_layers": ("convolution 7", "nothing like it"),
    "vgg__wrong_average_pooling": ("convolution 3", "2×2 average pooling"),
    "vgg__wrong_kernels_of_five": ("convolution 1", "its kernel: expected 3×3, received 5×5"),
    "vgg__wrong_wide_last_stage": ("convolution 11", "expected 32, received 48"),
    "vgg__wrong_shared_convolutions": ("convolution 7", "received those of convolution 6"),
    "basic__wrong_one_shortcut_missing": ("sum 4", "nothing like it"),
    "basic__wrong_relu_before_the_sum": ("sum 1", "expected BN, received BN → ReLU"),
    "basic__wrong_pooled_shortcut": ("convolution 7", "its stride: expected 2, received 1"),
    "basic__wrong_a_convolution_more_and_the_sum_before_its_normalisation": (
        "behind convolution 3",
        "received 3×3 convolution, 8 maps",
    ),
    "basic__wrong_no_relu_behind_one_sum": (
        "convolution 9",
        "expected ReLU, received nothing in between",
    ),
    "basic__wrong_three_blocks": ("behind sum 4", "received 3×3 convolution, 16 maps"),
    "basic__wrong_frozen_normalisation": ("convolution 5", "expected trained, received frozen"),
    "bottleneck__wrong_stride_in_the_middle": ("convolution 9", "expected 2, received 1"),
    "bottleneck__wrong_expansion": ("convolution 4", "its maps: expected 32, received 16"),
    "bottleneck__wrong_relu_before_the_sum": ("sum 1", "expected BN, received BN → ReLU"),
    "bottleneck__wrong_one_block_missing": ("convolution 13", "nothing like it"),
    "bottleneck__wrong_pooled_shortcut": ("convolution 11", "its stride: expected 2, received 1"),
    "mobilenet__wrong_relu": ("convolution 2", "expected BN → relu6, received BN → ReLU"),
    "mobilenet__wrong_two_maps_for_each": ("depthwise convolution 1", "expected 1, received 2"),
    "mobilenet__wrong_ratio_of_the_gates": ("convolution 3", "its maps: expected 4, received 3"),
    "mobilenet__wrong_gates_of_tanh": (
        "product 1",
        "expected sigmoid, received tanh",
    ),
    "mobilenet__wrong_activation_of_the_last_convolution": ("sum 1", "received BN → relu6"),
    "mobilenet__wrong_no_skip": ("sum 1", "received nothing like it"),
    "maxout__wrong_average": ("behind convolution 3", "received sum"),
    "densenet121__wrong_padding_at_the_end_only": ("convolution 1", "its padding"),
    "densenet121__wrong_one_link_missing": ("convolution 29", "the maps of convolution 20"),
}
"""Where the first difference is, and what its message says."""


def differences(networks, name):
    found = same_network(networks[name], networks[name.split("__")[0]])
    return [f for f in found if f.severity == "deviation"]


@pytest.mark.parametrize("name", [v for v in VARIANTS if "__right_" in v])
def test_another_style_is_the_same_network(networks, name):
    found = differences(networks, name)

    assert found == []


@pytest.mark.parametrize("name", [v for v in VARIANTS if "__wrong_" in v])
def test_another_network_differs_first_where_it_does(networks, name):
    where, said = FIRST[name]

    first = differences(networks, name)[0]

    assert first.where.split(" (also ")[0] == where
    assert said in first.message


@pytest.mark.parametrize("name", VARIANTS)
def test_a_comparison_names_exactly_the_frozen_places(networks, name):
    found = same_network(networks[name], networks[name.split("__")[0]])
    differs = any(f.severity == "deviation" for f in found)

    line = line_of(Outcome.FAILED if differs else Outcome.PASSED, found)

    hold("comparisons", name, {} if line is None else {"same-network": line})


def test_nothing_is_frozen_of_a_network_that_is_gone():
    hold_names("comparisons", [*VARIANTS, *COURSE])


@pytest.mark.parametrize("name", sorted({v.split("__")[0] for v in VARIANTS}))
def test_a_network_is_the_same_as_itself_without_remark(networks, name):
    found = same_network(networks[name], networks[name])

    assert found == []


@pytest.mark.parametrize("name", [v for v in VARIANTS if "__wrong_" in v])
def test_the_difference_shows_from_either_side(networks, name):
    found = same_network(networks[name.split("__")[0]], networks[name])

    assert any(f.severity == "deviation" for f in found)


def test_consequences_of_one_difference_are_not_told(networks):
    found = differences(networks, "densenet121__wrong_one_link_missing")

    assert len(found) == 1


def test_of_keras_densenet121_only_the_epsilon_is_remarked(networks):
    found = same_network(networks["densenet121__right_of_keras"], networks["densenet121"])

    assert [(f.severity, f.received) for f in found] == [("remark", "1.001e-05")]


def test_dropout_shows_in_training_behind_an_activation(networks):
    from grader.graph.steps import words

    graph = networks["vgg"].graphs["training"]

    kinds = [w.kind for n in graph.nodes for v in n.inputs for s in v.segments for w in words(s)]
    assert kinds.count("dropout") == 2


def test_a_layer_whose_mode_has_a_default_follows_the_model(networks):
    from grader.graph.steps import words

    graph = networks["basic__right_layers_of_its_own"].graphs["training"]

    texts = {
        w.part.statistics
        for n in graph.nodes
        for v in n.inputs
        for s in v.segments
        for w in words(s)
        if w.part is not None and w.kind == "BN"
    }
    assert texts == {"batch"}
