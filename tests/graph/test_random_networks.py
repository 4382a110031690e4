"""Random legal networks in random styles pass; one random edit of what is computed is found.

Op graphs written by hand (writing.py): no TensorFlow.
"""

import math

from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from tests.graph.writing import (
    JOINS,
    NORMS,
    PADS,
    RELUS,
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
    transition_probe,
    transition_record,
)

QUICKLY = settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True
)

styles = st.builds(
    Style,
    norm=st.sampled_from(NORMS),
    relu=st.sampled_from(RELUS),
    pad=st.sampled_from(PADS),
    join=st.sampled_from(JOINS),
    channels_first=st.booleans(),
    bias=st.booleans(),
    identities=st.booleans(),
    pointwise_as_matmul=st.booleans(),
    relu_of_transition=st.booleans(),
    twice_relu=st.booleans(),
    pool=st.sampled_from(["AvgPool", "mean"]),
    sums=st.booleans(),
)
depths = st.integers(2, 4)
rates = st.integers(2, 9)
widths = st.integers(4, 30)
sizes = st.sampled_from([2, 4, 6, 7])
compressions = st.sampled_from([0.3, 0.4, 0.5, 0.6, 0.7, 1.0])


def kept(channels, compression):
    """⌊θm⌋, less the error of binary fractions."""
    return math.floor(round(channels * compression, 9))


# --- right, however it is written ---


@QUICKLY
@given(styles, st.integers(1, 5), rates, st.booleans(), widths, sizes)
def test_a_dense_block_passes_in_every_style(style, n, k, bottleneck, channels, size):
    record = block_record(style, dense(n, k, bottleneck), size, channels)

    assert complaints(block_probe(n, k, bottleneck, size, channels), record) == []


@QUICKLY
@given(styles, compressions, st.integers(4, 60), sizes)
def test_a_transition_passes_in_every_style(style, compression, channels, size):
    record = transition_record(style, Transition(kept(channels, compression)), size, channels)

    assert complaints(transition_probe(compression, size, channels), record) == []


@settings(QUICKLY, max_examples=8)
@given(styles, st.integers(1, 2), rates, compressions, st.booleans(), st.integers(2, 12))
def test_a_network_passes_in_every_style(style, n, k, compression, bottleneck, classes):
    depth = (6 if bottleneck else 3) * n + 4
    plan = dense_net(n, k, compression, bottleneck, classes)
    assume(all(t.width > 0 for t in plan.transitions))
    record = network_record(style, plan, 16)
    probe = network_probe(depth, k, compression, bottleneck, classes, 16)

    assert complaints(probe, record) == []


# --- one edit of what is computed ---

ODD = (
    "Elu", "Sigmoid", "Tanh", "Softplus", "Selu", "Relu6", "Abs", "Square", "LeakyRelu", "half",
    "shifted", "max pool", "turned", "flipped", "softmax", "BN", "ReLU",
)  # fmt: skip
"""Operations on a link: none of them stands there in the paper."""
ORDERS = (
    (), ("BN",), ("ReLU",), ("ReLU", "BN"), ("BN", "ReLU", "BN"), ("BN", "BN", "ReLU"),
    ("BN", "Elu"), ("BN", "Relu6"), ("BN", "LeakyRelu"), ("BN", "Tanh"), ("BN", "ReLU", "half"),
    ("BN", "half", "ReLU"), ("shifted", "BN", "ReLU"), ("BN", "ReLU", "max pool"),
)  # fmt: skip
"""What stands before a convolution in place of BN, ReLU."""


def with_layer(block, number, **fields):
    """The block with another layer `number` (from 1)."""
    layers = list(block.layers)
    layers[number - 1] = changed(layers[number - 1], **fields)
    return changed(block, layers=tuple(layers))


@st.composite
def edited_blocks(draw):
    """(edited block, its number of layers, k, bottleneck, what was edited, in which layer)."""
    n, k, bottleneck = draw(st.integers(2, 4)), draw(rates), draw(st.booleans())
    block = dense(n, k, bottleneck)
    number = draw(st.integers(1, n))
    layer = block.layers[number - 1]
    edits = [
        "drop", "double", "through", "slice", "before", "kernel", "width", "dilation", "behind",
        "output drop", "output double", "output through", "layer drop", "layer more", "replace",
    ]  # fmt: skip
    edits += ["squeeze", "between", "squeeze kernel"] if bottleneck else []
    edit = draw(st.sampled_from(edits))
    at = draw(st.integers(0, len(layer.links) - 1))
    links = list(layer.links)
    out = list(block.output)
    at_output = draw(st.integers(0, len(out) - 1))
    if edit == "drop":
        assume(len(links) > 1)
        links.pop(at)
    elif edit == "double":
        links.insert(draw(st.integers(0, len(links))), links[at])
    elif edit == "through":
        links[at] = changed(links[at], through=(draw(st.sampled_from(ODD)),))
    elif edit == "slice":
        links[at] = changed(links[at], window=(0, 1) if links[at].source else (0, 3))
        assume(links[at].source == 0 or k > 1)
    elif edit == "replace":
        others = [s for s in range(1, number) if s != links[at].source]
        assume(others and links[at].source)
        links[at] = Link(draw(st.sampled_from(others)))
    elif edit == "before":
        block = with_layer(block, number, before=draw(st.sampled_from(ORDERS)))
    elif edit == "between":
        block = with_layer(block, number, between=draw(st.sampled_from(ORDERS)))
    elif edit == "kernel":
        block = with_layer(block, number, kernel=draw(st.sampled_from([1, 5])))
    elif edit == "squeeze kernel":
        block = with_layer(block, number, squeeze_kernel=3)
    elif edit == "width":
        block = with_layer(block, number, width=k + draw(st.sampled_from([-1, 1, 3])))
    elif edit == "squeeze":
        block = with_layer(block, number, squeeze=draw(st.sampled_from([3 * k, 2 * k, 4 * k + 1])))
    elif edit == "dilation":
        block = with_layer(block, number, dilation=2)
    elif edit == "behind":
        block = with_layer(block, number, behind=(draw(st.sampled_from(["BN", "ReLU", "half"])),))
    elif edit == "output drop":
        out.pop(at_output)
    elif edit == "output double":
        out.append(out[at_output])
    elif edit == "output through":
        out[at_output] = changed(out[at_output], through=(draw(st.sampled_from(ODD)),))
    elif edit == "layer drop":
        block = dense(n - 1, k, bottleneck)
        out = list(block.output)
    elif edit == "layer more":
        block = dense(n + 1, k, bottleneck)
        out = list(block.output)
    if edit in ("drop", "double", "through", "slice", "replace"):
        block = with_layer(block, number, links=tuple(links))
    return changed(block, output=tuple(out)), n, k, bottleneck, edit, number


@settings(QUICKLY, max_examples=80)
@given(styles, edited_blocks(), widths, st.sampled_from([4, 6]))
def test_one_edit_of_a_dense_block_is_found(style, edited, channels, size):
    block, n, k, bottleneck, _edit, _number = edited
    record = block_record(style, block, size, channels)

    assert complaints(block_probe(n, k, bottleneck, size, channels), record) != []


@settings(QUICKLY, max_examples=40)
@given(styles, edited_blocks(), widths)
def test_an_edited_link_is_found_in_its_layer(style, edited, channels):
    block, n, k, bottleneck, edit, number = edited
    assume(edit in ("drop", "double", "slice", "replace"))
    record = block_record(style, block, 4, channels)

    found = complaints(block_probe(n, k, bottleneck, 4, channels), record)

    assert any(f"dense_block, layer {number}" in f.where for _, f in found)


@QUICKLY
@given(styles, st.integers(2, 4), rates, st.booleans(), widths, st.sampled_from(["kernel", "norm"]))
def test_shared_weights_are_found(style, n, k, bottleneck, channels, what):
    block = dense(n, k, bottleneck)
    for number in range(1, n + 1):
        block = with_layer(block, number, **{f"{what}_name": "the same"})
    # Only what has the same shape can be shared.
    assume(what == "kernel" and bottleneck)
    record = block_record(style, block, 4, channels)

    found = complaints(block_probe(n, k, bottleneck, 4, channels), record)

    assert "own-weights" in {name for name, _ in found}


@settings(QUICKLY, max_examples=40)
@given(
    styles,
    st.sampled_from(
        [
            {"width": 1}, {"width": -1}, {"kernel": 3}, {"pool": "MaxPool"}, {"pool": ""},
            {"window": 3}, {"window": 3, "stride": 1}, {"stride": 1}, {"before": ()},
            {"before": ("ReLU",)}, {"before": ("ReLU", "BN")}, {"before": ("BN", "Elu")},
            {"behind": ("ReLU",)}, {"behind": ("BN",)}, {"behind": ("BN", "ReLU")},
            {"conv_stride": 2, "pool": ""}, {"behind": ("half",)},
        ]
    ),
    st.sampled_from([0.3, 0.5, 0.7]),
    st.integers(10, 50),
)  # fmt: skip
def test_one_edit_of_a_transition_is_found(style, edit, compression, channels):
    plan = Transition(kept(channels, compression))
    fields = {**edit, **({"width": plan.width + edit["width"]} if "width" in edit else {})}
    record = transition_record(style, changed(plan, **fields), 6, channels)

    assert complaints(transition_probe(compression, 6, channels), record) != []


@st.composite
def edited_networks(draw):
    n, k, compression, bottleneck = draw(st.integers(1, 2)), draw(rates), 0.5, draw(st.booleans())
    plan = dense_net(n, k, compression, bottleneck, 7)
    block = draw(st.integers(0, 2))
    blocks = list(plan.blocks)
    head = plan.head
    edits = {
        "stem width": {"stem": plan.stem + 3},
        "stem kernel": {"stem_kernel": 5},
        "behind the stem": {"behind_stem": draw(st.sampled_from([("ReLU",), ("BN", "ReLU")]))},
        "classes": {"classes": 6},
        "softmax twice": {"head": changed(head, softmax=2)},
        "head": {"head": changed(head, before=draw(st.sampled_from([(), ("BN",), ("ReLU",)])))},
        "part of the map": {"head": changed(head, window=3)},
        "transition": {"transitions": (plan.transitions[0],)},
        "pooling": {"transitions": tuple(changed(t, pool="MaxPool") for t in plan.transitions)},
    }
    edit = draw(st.sampled_from([*edits, "one block deeper", "a link in one block"]))
    if edit == "one block deeper":
        blocks[block] = dense(n + 1, k, bottleneck)
        return changed(plan, blocks=tuple(blocks)), n, k, compression, bottleneck
    if edit == "a link in one block":
        number = draw(st.integers(1, n))
        first = changed(blocks[block].layers[number - 1].links[0], through=("ReLU",))
        links = (first, *blocks[block].layers[number - 1].links[1:])
        blocks[block] = with_layer(blocks[block], number, links=links)
        return changed(plan, blocks=tuple(blocks)), n, k, compression, bottleneck
    return changed(plan, **edits[edit]), n, k, compression, bottleneck


@settings(QUICKLY, max_examples=20)
@given(styles, edited_networks())
def test_one_edit_of_a_network_is_found(style, edited):
    plan, n, k, compression, bottleneck = edited
    depth = (6 if bottleneck else 3) * n + 4
    record = network_record(style, plan, 16)

    assert complaints(network_probe(depth, k, compression, bottleneck, 7, 16), record) != []
