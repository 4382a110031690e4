"""A convolution written as a sum over parts of its input is one convolution; other sums are sums.

conv([a, b]) = conv_a(a) + conv_b(b): the same function with the same weights, so a remark at most.
That the numbers agree is held by test_numeric.py, that every style passes by test_random_networks.
"""

from grader.graph.read.sums import MAX_SUMS
from tests.graph.writing import (
    Style,
    Writer,
    block_probe,
    block_record,
    complaints,
    dense,
    evidence_of,
)

MAPS = 4


class Sums(Writer):
    """Convolutions of parts of one image of eight maps."""

    def __init__(self):
        super().__init__()
        self.whole = self.image((2, 6, 6, 8))

    def part(self, start, stop):
        begin, size = self.integers([0, 0, 0, start]), self.integers([2, 6, 6, stop - start])
        return self.op("Slice", [self.whole, begin, size], (2, 6, 6, stop - start))

    def conv(self, x, kernel=None, size=3, stride=1, trainable=True):
        if kernel is None:
            kernel = self.variable((size, size, x.shape[-1], MAPS), trainable)[0]
        side = -(-6 // stride)
        return self.op(
            "Conv2D", [x, kernel], (2, side, side, MAPS),
            strides=[1, stride, stride, 1], padding="SAME", dilations=[1, 1, 1, 1],
        )  # fmt: skip

    def biased(self, x):
        return self.op("BiasAdd", [x, self.variable((MAPS,))[0]], x.shape)

    def kinds(self, output):
        graph = self.canonical(output)
        wanted = graph.ancestors()
        return [n.kind for n in graph.nodes if n.index in wanted], graph


def test_a_sum_over_parts_is_one_convolution_of_the_whole():
    w = Sums()

    kinds, graph = w.kinds(w.binary("AddV2", w.conv(w.part(0, 3)), w.conv(w.part(3, 8))))

    node = graph.nodes[graph.output.segments[0].node]
    assert kinds == ["input", "conv"]
    assert node.kernel_shape == (3, 3, 8, MAPS)
    assert [(s.start, s.stop) for s in node.inputs[0].segments] == [(0, 8)]
    assert len(node.trained) == 2


def test_three_parts_with_biases_are_one_convolution_with_one_bias():
    w = Sums()
    parts = [w.biased(w.conv(w.part(*cut))) for cut in ((0, 2), (2, 5), (5, 8))]

    kinds, graph = w.kinds(w.op("AddN", parts, parts[0].shape))

    (segment,) = graph.output.segments
    (bias,) = segment.steps[0].affine.parts
    assert kinds == ["input", "conv"]
    assert bias.kind == "bias"
    assert segment.steps[0].affine.terms[0].symbol.variables == {1, 3, 5}


def test_the_parts_may_be_in_any_order():
    w = Sums()

    kinds, graph = w.kinds(w.binary("AddV2", w.conv(w.part(3, 8)), w.conv(w.part(0, 3))))

    segments = graph.nodes[graph.output.segments[0].node].inputs[0].segments
    assert kinds == ["input", "conv"]
    assert sorted((s.start, s.stop) for s in segments) == [(0, 3), (3, 8)]


def stays_a_sum(w, a, b):
    kinds, _ = w.kinds(w.binary("AddV2", a, b))
    return "add" in kinds


def test_convolutions_of_other_sizes_stay_a_sum():
    w = Sums()

    assert stays_a_sum(w, w.conv(w.part(0, 3)), w.conv(w.part(3, 8), size=1))


def test_an_activation_before_the_sum_keeps_it_a_sum():
    w = Sums()

    assert stays_a_sum(w, w.unary("Relu", w.conv(w.part(0, 3))), w.conv(w.part(3, 8)))


def test_one_kernel_used_twice_is_no_convolution_of_both():
    w = Sums()
    kernel = w.variable((3, 3, 4, MAPS))[0]

    assert stays_a_sum(w, w.conv(w.part(0, 4), kernel), w.conv(w.part(4, 8), kernel))


def test_a_convolution_that_others_see_is_a_layer_and_no_part():
    w = Sums()
    first = w.conv(w.part(0, 3))
    second = w.conv(first)

    assert stays_a_sum(w, first, second)


def test_a_computed_kernel_is_no_part():
    w = Sums()
    kernel = w.unary("Tanh", w.variable((3, 3, 5, MAPS))[0])

    assert stays_a_sum(w, w.conv(w.part(0, 3)), w.conv(w.part(3, 8), kernel))


def test_a_difference_of_convolutions_stays_a_sum():
    w = Sums()

    kinds, _ = w.kinds(w.binary("Sub", w.conv(w.part(0, 3)), w.conv(w.part(3, 8))))

    assert "add" in kinds


def test_sums_beyond_all_reason_are_not_looked_at():
    w = Sums()
    x = w.conv(w.part(0, 1))
    for _ in range(MAX_SUMS + 5):
        x = w.binary("AddV2", x, w.conv(w.part(0, 1), size=1))

    w.kinds(x)


# --- as the paper's layers ------------------------------------------------------------------


def remarks(record, probe):
    (network,) = evidence_of((probe, record)).networks
    return [d.finding for d in network.deviations if d.finding.severity == "remark"]


def test_a_dense_block_of_sums_passes_with_a_remark_that_says_so():
    record = block_record(Style(sums=True, bias=True), dense(3, 4, True), 4, 9)
    probe = block_probe(3, 4, True, 4, 9)

    assert complaints(probe, record) == []
    assert "received a sum of 2 over parts of it" in remarks(record, probe)[0].message


def test_a_link_that_a_sum_leaves_out_is_found():
    from tests.graph.writing import Link, changed

    block = dense(3, 4, True)
    layers = (*block.layers[:2], changed(block.layers[2], links=(Link(0), Link(2))))
    record = block_record(Style(sums=True), changed(block, layers=layers), 4, 9)

    found = complaints(block_probe(3, 4, True, 4, 9), record)

    assert any(f.where == "dense_block, layer 3" for _, f in found)


def test_a_frozen_part_is_found():
    record = block_record(Style(sums=True), dense(2, 4, True), 4, 9)
    kernels = [v for v in record["variables"] if len(v["shape"]) == 4]
    kernels[1]["trainable"] = False

    found = complaints(block_probe(2, 4, True, 4, 9), record)

    assert "own-weights" in {name for name, _ in found}
