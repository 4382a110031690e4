"""What single ops and small graphs are read as; op lists written by hand."""

import numpy as np
import pytest

from grader.graph.pointwise import X, classify
from grader.graph.steps import words
from tests.graph.writing import BATCH, NORMS, RELUS, Net, Style, Writer

NUMBER = ("number", 0.5)


@pytest.mark.parametrize(
    ("tree", "name"),
    [
        (X, "identity"),
        (("Neg", ("Neg", X)), "identity"),
        (("Relu", X), "relu"),
        (("Maximum", X, ("number", 0.0)), "relu"),
        (("Mul", NUMBER, ("Add", X, ("Abs", X))), "relu"),
        (("SelectV2", ("Greater", X, ("number", 0.0)), X, ("number", 0.0)), "relu"),
        (("LeakyRelu", X, 0.0), "relu"),
        (("LeakyRelu", X, 0.01), "leaky relu"),
        (("LeakyRelu", X, 1e-5), "leaky relu"),
        (("Relu6", X), "relu6"),
        (("Minimum", ("Relu", X), ("number", 4.0)), "clipped relu"),
        (("Minimum", ("Relu", X), ("number", 100.0)), "clipped relu"),
        (("Mul", X, ("Greater", X, ("number", 5e-4))), "unknown"),
        (("Add", ("Mul", X, NUMBER), NUMBER), "affine"),
        (("Mul", X, ("Sigmoid", X)), "swish"),
        (("Elu", X), "elu"),
        (("Softplus", X), "softplus"),
        (("Log", X), "unknown"),
        (("Sin", X), "unknown"),
    ],
)
def test_a_function_of_one_number_is_named_by_its_values(tree, name):
    assert classify(tree)[0] == name


def read(build, channels=6, size=4, **style):
    """Kinds of the steps on the first convolution's input."""
    net = Net(Style(**style))
    x = build(net, net.entry(size, channels))
    graph = net.w.canonical(net.conv(x, 2, 1))
    convolution = next(n for n in graph.nodes if n.kind == "conv")
    return [[w.kind for w in words(s)] for s in convolution.inputs[0].segments]


@pytest.mark.parametrize("channels_first", [False, True])
@pytest.mark.parametrize("norm", NORMS)
def test_a_batch_norm_is_one_however_it_is_written(norm, channels_first):
    assert read(lambda net, x: net.norm(x), norm=norm, channels_first=channels_first) == [["BN"]]


@pytest.mark.parametrize("relu", RELUS)
def test_a_relu_is_one_however_it_is_written(relu):
    assert read(lambda net, x: net.relu(x), relu=relu) == [["ReLU"]]


@pytest.mark.parametrize("channels", [4, 6])
def test_a_bias_is_one_where_keras_takes_channels_first_for_channels_last(channels):
    """Keras tells the layout of a map by its sizes: 4×4 with 4 channels it takes for the other."""
    layout = "NHWC" if channels == 4 else "NCHW"

    def biased(net, x):
        bias = net.w.variable((channels,))[0]
        return net.w.op("BiasAdd", [x, bias], x.shape, data_format=layout)

    assert read(biased, channels=channels, channels_first=True) == [["bias"]]


def with_norm(change):
    """A batch norm in which one thing is wrong."""

    def build(net, x):
        w, n = net.w, net.channels(x)
        gamma, beta, mean, variance = (w.variable((n,))[0] for _ in range(4))
        shifted = w.binary("AddV2", variance, w.number(1e-3))
        scale = w.binary("Mul", w.unary(change.get("root", "Rsqrt"), shifted), gamma)
        centred = w.binary(change.get("centre", "Sub"), x, mean)
        return w.binary(change.get("shift", "AddV2"), w.binary("Mul", centred, scale), beta)

    return build


def test_a_formula_of_batch_norm_is_one():
    assert read(with_norm({})) == [["BN"]]


@pytest.mark.parametrize(
    "change",
    [{"root": "Reciprocal"}, {"root": "Sqrt"}, {"centre": "AddV2"}, {"shift": "Sub"}],
    ids=["by the variance", "times the deviation", "mean added", "beta taken off"],
)
def test_a_formula_with_one_mistake_is_no_batch_norm(change):
    assert read(with_norm(change)) != [["BN"]]


def training_norm(of):
    """x normalised by the batch statistics of x, or of another value."""
    w = Writer()
    x = w.image((BATCH, 4, 4, 6))
    y = w.binary("Mul", w.unary("Sigmoid", x), w.number(3.0)) if of == "another" else x
    axes = w.integers([0, 1, 2])
    mean = w.op("Mean", [y, axes], (6,), keep_dims=False)
    squares = w.binary("SquaredDifference", y, mean)
    variance = w.op("Mean", [squares, axes], (6,), keep_dims=False)
    gamma, beta = (w.variable((6,))[0] for _ in range(2))
    scale = w.binary("Mul", w.unary("Rsqrt", w.binary("AddV2", variance, w.number(1e-3))), gamma)
    shift = w.binary("Sub", beta, w.binary("Mul", mean, scale))
    graph = w.canonical(w.binary("AddV2", w.binary("Mul", x, scale), shift))
    return [word.kind for word in words(graph.output.segments[0])]


def test_statistics_of_the_batch_are_recognised():
    assert training_norm("itself") == ["BN"]


def test_statistics_of_another_value_are_no_batch_norm():
    assert "BN" not in training_norm("another")


def test_a_turned_map_is_no_part_of_a_concatenation():
    net = Net(Style())
    x = net.entry(4, 3)
    graph = net.w.canonical(net.join([x, net.odd(x, "turned")]))

    assert graph.nodes[graph.output.segments[0].node].kind == "foreign"


def test_channels_are_followed_through_slices_and_concatenation():
    w = Writer()
    x = w.image((BATCH, 4, 4, 6))
    order = [3, 4, 5, 0, 1, 2]
    axis = w.number(3, "int32")
    turned = w.op("GatherV2", [x, w.integers(order), axis], x.shape)
    graph = w.canonical(turned)

    assert [(s.start, s.stop) for s in graph.output.segments] == [(3, 6), (0, 3)]


def test_a_reshape_and_mean_is_average_pooling():
    net = Net(Style(pool="mean"))
    graph = net.w.canonical(net.pool(net.entry(4, 3)))

    (word,) = words(graph.output.segments[0])
    assert word.step.detail == ("mean", (2, 2), (2, 2), (0, 0, 0, 0))


@pytest.mark.parametrize("size", [2, 4, 7])
def test_padding_written_out_belongs_to_the_convolution(size):
    net = Net(Style(pad="padded before"))
    graph = net.w.canonical(net.conv(net.entry(size, 3), 2, 3))

    assert graph.nodes[1].get("padding") == (1, 1, 1, 1)
    assert words(graph.nodes[1].inputs[0].segments[0]) == ()


def test_zeros_times_a_branch_are_constant_maps():
    w = Writer()
    x = w.image((BATCH, 4, 4, 3))
    graph = w.canonical(w.binary("Mul", x, w.number(0.0)))

    assert graph.nodes[graph.output.segments[0].node].kind == "constant"


def test_zeros_that_are_added_are_nothing():
    w = Writer()
    x = w.image((BATCH, 4, 4, 3))
    graph = w.canonical(w.binary("AddV2", x, w.binary("Mul", x, w.number(0.0))))

    assert graph.output.segments[0].node == 0


def kernel(*ops):
    """Whether a kernel behind some ops is a variable of its own."""
    w = Writer()
    x = w.image((BATCH, 4, 4, 3))
    k = w.variable((1, 1, 3, 2))[0]
    for name, attributes in ops:
        k = w.unary(name, k, **attributes)
    plain = {"strides": [1] * 4, "padding": "SAME", "dilations": [1] * 4}
    graph = w.canonical(w.op("Conv2D", [x, k], (BATCH, 4, 4, 2), **plain))
    return graph.nodes[1].kernel.bare is not None


def test_a_cast_kernel_is_a_variable_as_mixed_precision_makes_it():
    assert kernel(("Cast", {"SrcT": "float32", "DstT": "float16"}))


@pytest.mark.parametrize(
    "ops",
    [
        [("StopGradient", {})],
        [("Cast", {"SrcT": "float32", "DstT": "int32"})],
        [("Square", {})],
    ],
    ids=["never trained", "cut to integers", "squared"],
)
def test_a_computed_kernel_is_no_variable(ops):
    assert not kernel(*ops)


def test_a_constant_that_differs_from_place_to_place_is_no_scaling():
    w = Writer()
    x = w.image((1, 2, 2, 1))
    mask = w.constant([1.0, 0.0, 1.0, 0.0], (1, 2, 2, 1))
    graph = w.canonical(w.binary("Mul", x, mask))

    node = graph.nodes[graph.output.segments[0].node]
    assert node.kind == "foreign"
    assert "from place to place" in node.get("reason")


def test_dropout_is_one_step_with_its_factor():
    w = Writer()
    x = w.image((BATCH, 4, 4, 3))
    noise = w.op("RandomUniform", [w.integers([2, 4, 4, 3])], x.shape)
    kept = w.op("GreaterEqual", [noise, w.number(0.2)], x.shape, dtype="bool")
    scaled = w.binary("Mul", x, w.number(1.25))
    graph = w.canonical(w.op("SelectV2", [kept, scaled, w.number(0.0)], x.shape))

    (word,) = words(graph.output.segments[0])
    assert word.kind == "dropout"
    assert np.isclose(word.step.detail[0], 0.2)


def random_zeros(w, x, kept):
    """Zeros and ones, as `tf.floor(keep + uniform)` draws them."""
    noise = w.op("RandomUniform", [w.integers(x.shape)], x.shape)
    return w.unary("Floor", w.binary("AddV2", w.number(kept), noise))


@pytest.mark.parametrize("scaled", ["before", "behind", "zeros", "never"])
def test_the_factor_of_a_dropout_is_found_wherever_it_stands(scaled):
    w = Writer()
    x = w.image((BATCH, 4, 4, 3))
    factor = w.number(1.25)
    zeros = random_zeros(w, x, 0.8)
    if scaled == "zeros":
        zeros = w.binary("Mul", zeros, factor)
    y = w.binary("Mul", w.binary("Mul", x, factor) if scaled == "before" else x, zeros)
    graph = w.canonical(w.binary("Mul", y, factor) if scaled == "behind" else y)

    (word,) = words(graph.output.segments[0])
    assert word.kind == "dropout"
    assert np.isclose(word.step.detail[0], 0.2)
    assert word.step.detail[1] == (
        "elementwise" if scaled != "never" else "elementwise, not scaled"
    )


def test_half_of_a_number_and_its_absolute_is_a_relu():
    def build(net, x):
        w = net.w
        return w.binary("Mul", w.binary("AddV2", x, w.unary("Abs", x)), w.number(0.5))

    assert read(build) == [["ReLU"]]


def test_an_einsum_of_one_tensor_is_a_sum_over_places():
    w = Writer()
    x = w.image((BATCH, 4, 4, 3))
    total = w.op("Einsum", [x], (BATCH, 3), equation="bhwc->bc", N=1)
    graph = w.canonical(w.binary("RealDiv", total, w.number(16.0)))

    (word,) = words(graph.output.segments[0])
    assert (word.kind, word.step.detail[1]) == ("pool", (4, 4))


@pytest.mark.parametrize(("weight", "kind"), [(0.25, "input"), (0.5, "input"), (None, "depthwise")])
def test_a_depthwise_convolution_of_equal_constants_is_average_pooling(weight, kind):
    w = Writer()
    x = w.image((BATCH, 4, 4, 3))
    values = [weight] * 12 if weight else [float(i) for i in range(12)]
    kernel = w.constant(values, (2, 2, 3, 1))
    pooled = w.op(
        "DepthwiseConv2dNative", [x, kernel], (BATCH, 2, 2, 3),
        strides=[1, 2, 2, 1], padding="VALID", data_format="NHWC", dilations=[1, 1, 1, 1],
    )  # fmt: skip
    graph = w.canonical(pooled)

    (segment,) = graph.output.segments
    assert graph.nodes[segment.node].kind == kind
    expected = {0.25: ["pool"], 0.5: ["pool", "constant"], None: []}
    assert [word.kind for word in words(segment)] == expected[weight]
