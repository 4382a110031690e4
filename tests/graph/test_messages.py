"""One mistake is one finding, at its place, in the paper's words; a count says what explains it."""

import pytest

from tests.graph.writing import (
    Link,
    Style,
    Transition,
    block_probe,
    block_record,
    changed,
    complaints,
    dense,
    dense_net,
    network_probe,
    network_record,
)

N, K, SIZE, CHANNELS = 3, 3, 4, 8
BLOCK = block_probe(N, K, True, SIZE, CHANNELS)
NETWORK = network_probe(10, K, 0.5, True, 7, 16)
PLAN = dense_net(1, K, 0.5, True, 7)
COUNTS = {"parameter-count-block", "parameter-count-network"}


def said(probe, record):
    """(check, where, message) of what is wrong beside the counts."""
    found = complaints(probe, record)
    return [(check, f.where, f.message) for check, f in found if check not in COUNTS]


def network(**fields):
    return network_record(Style(), changed(PLAN, **fields), 16)


def test_a_third_transition_is_one_finding_behind_the_third_block():
    ((check, where, message),) = said(
        NETWORK, network(transitions=(*PLAN.transitions, Transition(4)))
    )

    assert check == "block-structure"
    assert where == "transition 3, behind block 3"
    assert "one more transition (1×1 convolution → 2×2 average pooling)" in message


def test_a_convolution_in_the_head_s_place_is_one_finding_in_the_head():
    squeeze = Transition(4, pool="MaxPool", window=4, stride=4)
    head = changed(PLAN.head, before=())

    ((check, where, message),) = said(
        NETWORK, network(transitions=(*PLAN.transitions, squeeze), head=head)
    )

    assert check == "head"
    assert where == "head, behind block 3"
    assert "one more convolution (1×1 convolution → 4×4 max pooling)" in message


@pytest.mark.parametrize("hidden", [(20,), (20, 12)])
def test_fully_connected_layers_before_the_classifier_are_one_finding_in_the_head(hidden):
    head = changed(PLAN.head, hidden=hidden)

    ((check, where, message),) = said(NETWORK, network(head=head))

    assert (check, where) == ("head", "head")
    assert message == (
        f"its fully connected layers: expected 1, the classifier, received {len(hidden) + 1}, "
        "the first to 20 maps"
    )


def test_a_relu_behind_every_layer_is_no_wrong_link():
    right = dense(N, K, True)
    layers = tuple(changed(layer, behind=("ReLU",)) for layer in right.layers)

    found = said(BLOCK, block_record(Style(), changed(right, layers=layers), SIZE, CHANNELS))

    assert {check for check, _, _ in found} == {"composite-function"}
    assert [where.count("layer") for _, where, _ in found] == [N]


def test_a_relu_behind_the_last_layer_only_is_told_there():
    right = dense(N, K, True)
    layers = (*right.layers[:-1], changed(right.layers[-1], behind=("ReLU",)))

    found = said(BLOCK, block_record(Style(), changed(right, layers=layers), SIZE, CHANNELS))

    assert [f"layer {N}" in f"{where} {message}" for _, where, message in found] == [True]


@pytest.mark.parametrize("source", range(N + 1))
def test_a_softmax_on_a_link_is_found(source):
    right = dense(N, K, True)
    output = tuple(
        Link(link.source, ("softmax",)) if link.source == source else link for link in right.output
    )

    found = said(BLOCK, block_record(Style(), changed(right, output=output), SIZE, CHANNELS))

    assert ["a softmax over the maps" in message for _, _, message in found].count(True) == 1


def test_what_stands_behind_the_stem_is_told_of_the_stem():
    ((check, where, message),) = said(NETWORK, network(behind_stem=("BN", "ReLU")))

    assert (check, where) == ("stem", "stem")
    assert message == "behind its 3×3 convolution: expected nothing, received BN → ReLU"


def frozen(record):
    for variable in record["variables"]:
        if len(variable["shape"]) == 1:
            variable["trainable"] = False
    return record


def test_a_frozen_norm_is_told_once_and_not_by_what_keras_makes_of_it():
    probe = BLOCK.model_copy(update={"modes": ("inference", "training")})
    record = block_record(Style(), dense(N, K, True), SIZE, CHANNELS, ("inference", "training"))
    record["graphs"]["training"] = record["graphs"]["inference"]

    ((check, where, message),) = said(probe, frozen(record))

    assert check == "training-behaviour"
    assert where.startswith("dense_block, layer 1 (also")
    assert message.endswith("expected a trained scale and offset, received frozen ones")


def help_of_the_count(record):
    return next(f.help for c, f in complaints(BLOCK, record) if c == "parameter-count-block")


def test_a_count_that_lacks_frozen_weights_is_explained_by_them():
    record = frozen(block_record(Style(), dense(N, K, True), SIZE, CHANNELS))

    assert "frozen" in help_of_the_count(record)


@pytest.mark.parametrize("layer", [1, 2, 3])
def test_a_count_that_is_off_in_one_place_names_it_once(layer):
    right = dense(N, K, True)
    layers = list(right.layers)
    layers[layer - 1] = changed(layers[layer - 1], kernel=1)

    record = block_record(Style(), changed(right, layers=tuple(layers)), SIZE, CHANNELS)

    assert help_of_the_count(record) == f"-288, all of it in dense_block, layer {layer}."
