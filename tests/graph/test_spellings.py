"""Other spellings of a convolution, a pooling or an activation are read as what they compute."""

import json

import numpy as np
import pytest

from tests.graph.writing import (
    BATCH,
    Net,
    Style,
    Transition,
    Writer,
    block_probe,
    complaints,
    dense,
    dense_net,
    evidence_of,
    network_probe,
    transition_probe,
    write_block,
    write_network,
    write_transition,
)

N, K, SIZE, CHANNELS = 2, 4, 8, 9
BLOCK = block_probe(N, K, True, SIZE, CHANNELS)
SQUEEZE = transition_probe(0.5, SIZE, 15)
NETWORK = network_probe(10, K, 0.5, True, 7, 16)


def diagonal(w, values):
    """As tf.eye writes it."""
    first, count = w.constant(values, (len(values),)), len(values)
    settings = [w.number(0, "int32"), w.number(-1, "int32"), w.number(-1, "int32"), w.number(0.0)]
    return w.op("MatrixDiagV3", [first, *settings], (count, count))


class Spelled(Net):
    """Writes 3×3 convolutions and poolings in one of many ways."""

    how = ""

    def _conv(self, x, channels, kernel, stride=1, dilation=1, name=None, groups=1):
        if kernel == 3 and hasattr(self, self.how):
            return getattr(self, self.how)(x, channels)
        return super()._conv(x, channels, kernel, stride, dilation, name, groups)

    def _kernel(self, *shape):
        return self.w.variable(shape)[0]

    def _plain(self, x, kernel, side, padding="VALID", **more):
        shape = (BATCH, side, side, kernel.shape[3])
        settings = {"strides": [1] * 4, "dilations": [1] * 4, "data_format": "NHWC"} | more
        return self.w.op("Conv2D", [x, kernel], shape, padding=padding, **settings)

    def _window(self, x, top, left, side, step=1):
        w = self.w
        begin, end = w.integers([0, top, left, 0]), w.integers([0, top + side, left + side, 0])
        count = -(-side // step)
        return w.op(
            "StridedSlice", [x, begin, end, w.integers([1, step, step, 1])],
            (BATCH, count, count, x.shape[3]), begin_mask=9, end_mask=9,
        )  # fmt: skip

    def padded_more(self, x, channels):
        y = self._padded(x, 2)
        y = self._plain(y, self._kernel(3, 3, x.shape[3], channels), self.size(x) + 2)
        return self._window(y, 1, 1, self.size(x))

    def shifted(self, x, channels):
        y = self._padded(x, 2)
        y = self._plain(y, self._kernel(3, 3, x.shape[3], channels), self.size(x) + 2)
        return self._window(y, 2, 2, self.size(x))

    def transposed(self, x, channels):
        kernel = self._kernel(3, 3, channels, x.shape[3])
        shape = (*x.shape[:3], channels)
        return self.w.op(
            "Conv2DBackpropInput", [self.w.integers(shape), kernel, x], shape,
            strides=[1] * 4, padding="SAME", data_format="NHWC", dilations=[1] * 4,
        )  # fmt: skip

    def flat(self, x, channels):
        w, kernel = self.w, self._kernel(1, 3, 3, x.shape[3], channels)
        deep = w.op("ExpandDims", [x, w.number(1, "int32")], (BATCH, 1, *x.shape[1:]))
        shape = (*deep.shape[:4], channels)
        y = w.op("Conv3D", [deep, kernel], shape, strides=[1] * 5, padding="SAME")
        return w.op("Squeeze", [y], (BATCH, *shape[2:]), squeeze_dims=[1])

    def patches(self, x, channels):
        w, count = self.w, 9 * x.shape[3]
        shape = (*x.shape[:3], count)
        y = w.op(
            "ExtractImagePatches", [x], shape, ksizes=[1, 3, 3, 1], strides=[1] * 4,
            rates=[1] * 4, padding="SAME",
        )  # fmt: skip
        return self._multiplied(y, channels)

    def patches_by_ones(self, x, channels):
        w, count = self.w, 9 * x.shape[3]
        ones = diagonal(w, [1.0] * count)
        kernel = w.reshaped(ones, (3, 3, x.shape[3], count))
        return self._multiplied(self._plain(x, kernel, self.size(x), "SAME"), channels)

    def shifted_crops(self, x, channels):
        y, side = self._padded(x, 1), self.size(x)
        crops = [self._window(y, i, j, side) for i in range(3) for j in range(3)]
        return self._multiplied(self.w.concatenated(crops, 3), channels)

    def _multiplied(self, y, channels):
        w, width = self.w, y.shape[3]
        flat = w.reshaped(y, (BATCH * y.shape[1] * y.shape[2], width))
        z = w.op("MatMul", [flat, self._kernel(width, channels)], (flat.shape[0], channels))
        return w.reshaped(z, (*y.shape[:3], channels))

    def beside(self, x, channels):
        half, side = channels // 2, self.size(x)
        kernels = [self._kernel(3, 3, x.shape[3], n) for n in (half, channels - half)]
        maps = [self._biased(self._plain(x, k, side, "SAME"), k.shape[3]) for k in kernels]
        return self.w.concatenated(maps, 3)

    def slices(self, x, channels, overlap=0):
        w = self.w
        if not hasattr(self, "table"):
            self.table, self.taken = self._kernel(3, 3, 200, channels), 0
        start, width = max(0, self.taken - overlap), x.shape[3]
        self.taken = start + width
        begin, size = w.integers([0, 0, start, 0]), w.integers([3, 3, width, channels])
        kernel = w.op("Slice", [self.table, begin, size], (3, 3, width, channels))
        return self._plain(x, kernel, self.size(x), "SAME")

    def overlapping_slices(self, x, channels):
        return self.slices(x, channels, overlap=1)

    def dilated(self, x, channels):
        w, side = self.w, self.size(x)
        block, shape = w.integers([1, 2]), (2 * BATCH, side + 2, (side + 4) // 2, x.shape[3])
        pads = w.constant([1, 1, 2, 2], (2, 2), "int32")
        y = w.op("SpaceToBatchND", [x, block, pads], shape)
        kernel = self._kernel(3, 3, x.shape[3], channels)
        y = w.op("Conv2D", [y, kernel], (2 * BATCH, side, side // 2, channels), padding="VALID",
                 strides=[1] * 4, dilations=[1] * 4, data_format="NHWC")  # fmt: skip
        none = w.constant([0, 0, 0, 0], (2, 2), "int32")
        return w.op("BatchToSpaceND", [y, block, none], (BATCH, side, side, channels))


def block(how, **style):
    def write(net):
        net.how = how
        return write_block(net, net.entry(SIZE, CHANNELS), dense(N, K, True))

    return record(write, (BATCH, SIZE, SIZE, CHANNELS), **style)


def record(write, shape, kind=Spelled, modes=("inference",), **style):
    def written(net):
        return write(net)

    graphs = {}
    for mode in modes:
        net = kind(Style(**style), training=mode == "training")
        graphs[mode] = net.w.graph(written(net))
    return {
        "failure": None,
        "graphs": graphs,
        "variables": net.w.variables,
        "input_shape": list(shape),
    }


def deviations(probe, answer):
    (network,) = evidence_of((probe, json.dumps(answer).encode())).networks
    return network.deviations


RIGHT = {
    "padded_more": "",
    "transposed": "a transposed convolution of stride 1",
    "flat": "a 3-D convolution of depth 1",
    "patches": "patches and a matrix product",
    "patches_by_ones": "patches and a matrix product",
    "shifted_crops": "patches and a matrix product",
    "beside": "2 side by side",
    "slices": "a part of a larger one",
}


@pytest.mark.parametrize("how", RIGHT)
def test_another_spelling_of_the_same_convolution_costs_nothing(how):
    answer = block(how)

    counts = "parameter-count-block"
    assert [c for c, _ in complaints(BLOCK, answer) if how != "slices" or c != counts] == []
    told = [d.finding.received for d in deviations(BLOCK, answer)]
    assert told == ([RIGHT[how]] if RIGHT[how] else [])


def test_convolutions_side_by_side_may_have_biases():
    assert complaints(BLOCK, block("beside", bias=True)) == []


WRONG = {
    "shifted": ("composite-function", "0 at the top, 2 at the bottom, 0 left, 2 right"),
    "dilated": ("composite-function", "1 down, 2 across"),
    "overlapping_slices": ("own-weights", "the weights of dense_block, layer 1"),
}


@pytest.mark.parametrize("how", WRONG)
def test_what_only_looks_like_it_is_found_once_and_by_its_name(how):
    found = [(c, f) for c, f in complaints(BLOCK, block(how)) if "count" not in c]

    ((check, finding),) = found
    assert (check, finding.received) == WRONG[how]


# --- pooling --------------------------------------------------------------------------------


class Pooled(Net):
    """Writes 2×2 average pooling as a pooling of stride 1 and every second place of it."""

    padding = "SAME"
    offset = 0
    by = "slice"

    def pool(self, x, window=2, kind="AvgPool", stride=None):
        w, size = self.w, self.size(x)
        side = size if self.padding == "SAME" else size - 1
        half = size // 2
        y = w.op("AvgPool", [x], (BATCH, side, side, x.shape[3]), ksize=[1, 2, 2, 1],
                 strides=[1] * 4, padding=self.padding, data_format="NHWC")  # fmt: skip
        shape = (BATCH, half, half, x.shape[3])
        if self.by == "pooling":
            return w.op("MaxPool", [y], shape, ksize=[1] * 4, strides=[1, 2, 2, 1],
                        padding="VALID", data_format="NHWC")  # fmt: skip
        if self.by == "gather":
            places = w.integers(range(0, size, 2))
            y = w.op("GatherV2", [y, places, w.number(1, "int32")], (BATCH, half, *y.shape[2:]))
            return w.op("GatherV2", [y, places, w.number(2, "int32")], shape)
        begin, end = w.integers([0, self.offset, self.offset, 0]), w.integers([0] * 4)
        return w.op("StridedSlice", [y, begin, end, w.integers([1, 2, 2, 1])], shape,
                    begin_mask=9, end_mask=15)  # fmt: skip


def squeezed(**fields):
    kind = type("Pooled", (Pooled,), fields)

    def write(net):
        return write_transition(net, net.entry(SIZE, 15), Transition(7))

    return record(write, (BATCH, SIZE, SIZE, 15), kind)


@pytest.mark.parametrize(
    "fields", [{}, {"padding": "VALID"}, {"by": "pooling"}, {"by": "gather"}], ids=str
)
def test_every_second_place_of_a_pooling_of_stride_1_is_the_pooling(fields):
    if fields.get("by") == "pooling":
        fields = {**fields, "padding": "VALID"}
    assert complaints(SQUEEZE, squeezed(**fields)) == []


def test_every_second_place_from_the_second_on_is_another_pooling():
    found = complaints(SQUEEZE, squeezed(offset=1))

    assert {check for check, _ in found} == {"transition-layer"}
    assert "2×2 average pooling with stride 1" in found[0][1].received


# --- activations ----------------------------------------------------------------------------


def gelu(net, x):
    w = net.w
    inner = w.unary("Erf", w.binary("Mul", x, w.number(0.7071067811865476)))
    half = w.binary("Mul", x, w.number(0.5))
    return w.binary("Mul", half, w.binary("AddV2", inner, w.number(1.0)))


@pytest.mark.parametrize("norm", ["fused", "keras", "formula"])
def test_gelu_behind_a_batch_norm_is_called_by_its_name_and_nothing_else(norm):
    class Gelu(Net):
        def relu(self, x):
            return gelu(self, x)

    def write(net):
        return write_transition(net, net.entry(SIZE, 15), Transition(7))

    found = complaints(SQUEEZE, record(write, (BATCH, SIZE, SIZE, 15), Gelu, norm=norm))

    ((check, finding),) = found
    assert check == "transition-layer"
    assert finding.received == "BN → gelu"


# --- the end of a network -------------------------------------------------------------------


def ended(end, logits=False):
    class Ended(Net):
        def end(self, x):
            return end(self, x)

    plan = dense_net(1, K, 0.5, True, 7)

    def write(net):
        bare = plan.__class__(**{**plan.__dict__, "head": _without_softmax(plan.head)})
        return end(net, write_network(net, 16, bare))

    return record(write, (BATCH, 16, 16, 3), Ended)


def _without_softmax(head):
    return head.__class__(**{**head.__dict__, "softmax": 0})


def test_the_exponential_of_log_softmax_is_softmax():
    answer = ended(lambda net, x: net.w.unary("Exp", net.w.unary("LogSoftmax", x)))

    assert complaints(NETWORK, answer) == []
    assert deviations(NETWORK, answer) == ()


def test_log_softmax_alone_is_a_remark():
    answer = ended(lambda net, x: net.w.unary("LogSoftmax", x))

    assert complaints(NETWORK, answer) == []
    (remark,) = deviations(NETWORK, answer)
    assert (remark.check, remark.finding.severity) == ("head", "remark")
    assert "neither probabilities nor logits" in remark.finding.received


def test_a_matrix_of_ones_and_zeros_has_its_ones_where_they_belong():
    w = Writer()
    ones = diagonal(w, [1.0, 2.0])
    image = w.image((BATCH, 4, 4, 2))
    y = w.op("Conv2D", [image, w.reshaped(ones, (1, 1, 2, 2))], (BATCH, 4, 4, 2),
             strides=[1] * 4, padding="SAME", data_format="NHWC")  # fmt: skip

    graph = w.canonical(y)

    kernel = graph.nodes[graph.output.segments[0].node].kernel
    assert np.array_equal(kernel.constant.reshape(2, 2), [[1, 0], [0, 2]])
