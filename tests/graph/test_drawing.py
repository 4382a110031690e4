"""The picture: every part in its row, what is right is the same, what is wrong differs there.

Op graphs written by hand (writing.py): no TensorFlow.
"""

import pytest

from grader.graph.drawing import MISSING, draw
from tests.graph.writing import (
    Link,
    Style,
    changed,
    dense,
    dense_net,
    evidence_of,
    network_probe,
    network_record,
)

N, K, CLASSES, SIZE = 3, 4, 5, 16


def plan(**changes):
    return changed(dense_net(N, K, 0.5, True, CLASSES), **changes)


def with_layer(net, number, layer, **fields):
    """The network with another layer in one block; both counted from 1."""
    block = net.blocks[number - 1]
    layers = list(block.layers)
    layers[layer - 1] = changed(layers[layer - 1], **fields)
    blocks = list(net.blocks)
    blocks[number - 1] = changed(block, layers=tuple(layers))
    return changed(net, blocks=tuple(blocks))


def drawn(net, style=None, hidden=False):
    probe = network_probe(6 * N + 4, K, 0.5, True, CLASSES, SIZE, hidden)
    return draw(evidence_of((probe, network_record(style or Style(), net, SIZE))))


def differing(drawing):
    return [row.part for row in drawing.rows if row.differs]


STYLES = [
    Style(),
    Style(join="step by step"),
    Style(bias=True, identities=True, twice_relu=True),
    Style(relu_of_transition=False, pool="mean"),
]


@pytest.mark.parametrize("style", STYLES)
def test_a_right_network_is_the_same_in_every_row_whatever_its_style(style):
    drawing = drawn(plan(), style)

    assert differing(drawing) == []
    assert not drawing.differs


def test_layers_alike_share_a_row_and_the_rows_go_from_stem_to_head():
    drawing = drawn(plan())

    assert [row.part for row in drawing.rows] == [
        "stem", "block 1, layers 1 to 3", "transition 1", "block 2, layers 1 to 3",
        "transition 2", "block 3, layers 1 to 3", "head",
    ]  # fmt: skip


def test_a_right_network_is_written_as_the_paper_is():
    drawing = drawn(plan())

    assert [row.network for row in drawing.rows] == [row.paper for row in drawing.rows]


def test_the_title_says_beside_which_network_it_stands():
    drawing = drawn(plan())

    assert (drawing.function, drawing.title) == (
        "build_densenet",
        "DenseNet-BC, L = 22, k = 4, θ = 0.5",
    )


@pytest.mark.parametrize(
    ("links", "said"),
    [
        ((Link(0), Link(2)), "maps before it (not layer 1)"),
        ((Link(0), Link(1), Link(2, window=(0, 2))), "maps before it (only part of layer 2)"),
        ((Link(0), Link(1), Link(1), Link(2)), "maps before it (twice layer 1)"),
    ],
)
def test_a_wrong_link_is_named_in_the_row_of_its_layer_alone(links, said):
    drawing = drawn(with_layer(plan(), 2, 3, links=links))

    (row,) = [row for row in drawing.rows if row.differs]
    assert row.part == "block 2, layer 3"
    assert row.network.startswith(said)
    assert row.notes


def test_the_same_mistake_in_every_layer_marks_every_layer():
    deep = dense_net(9, K, 0.5, True, CLASSES)
    for number in (1, 2, 3):
        for layer in range(2, 10):
            links = tuple(Link(s) for s in range(1, layer))
            deep = with_layer(deep, number, layer, links=links)
    probe = network_probe(58, K, 0.5, True, CLASSES, SIZE)

    drawing = draw(evidence_of((probe, network_record(Style(), deep, SIZE))))

    parts = [row.part for row in drawing.rows if row.differs]
    assert parts == [f"block {i}, layers 2 to 9" for i in (1, 2, 3)]
    assert not any("more" in row.part for row in drawing.rows)


def test_a_wrong_order_of_operations_shows_on_both_sides():
    drawing = drawn(with_layer(plan(), 1, 2, before=("ReLU", "BN")))

    (row,) = [row for row in drawing.rows if row.differs]
    assert row.part == "block 1, layer 2"
    assert row.network.startswith("all maps before it → ReLU → BN → 1×1 convolution")
    assert row.paper.startswith("all maps before it → BN → ReLU → 1×1 convolution")


def test_a_missing_layer_has_its_row():
    blocks = list(plan().blocks)
    blocks[2] = dense(N - 1, K, True)

    drawing = drawn(plan(blocks=tuple(blocks)))

    (row,) = [r for r in drawing.rows if r.network == MISSING]
    assert (row.part, row.differs) == ("block 3, layer 3", True)


def test_a_layer_too_many_stands_beside_none():
    blocks = list(plan().blocks)
    blocks[2] = dense(N + 1, K, True)

    drawing = drawn(plan(blocks=tuple(blocks)))

    (row,) = [r for r in drawing.rows if r.paper == "no such layer"]
    assert row.part == "block 3, layer 4"
    assert row.differs


def test_a_wrong_stem_transition_and_head_differ_in_their_rows():
    net = plan(stem_kernel=5)
    net = changed(net, transitions=tuple(changed(t, pool="MaxPool") for t in net.transitions))
    net = changed(net, head=changed(net.head, before=("ReLU",)))

    drawing = drawn(net)

    assert differing(drawing) == ["stem", "transition 1", "transition 2", "head"]


def test_a_hidden_network_is_not_drawn():
    assert drawn(plan(), hidden=True) is None


def test_where_there_is_no_network_there_is_no_picture():
    assert draw(evidence_of(module=False)) is None
