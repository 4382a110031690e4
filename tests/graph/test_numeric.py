"""The interpreter gives what the network gave, and says so when it cannot or does not."""

import numpy as np
import pytest

from grader.graph.canonical import Graph, Segment, Value
from grader.graph.numeric import (
    TOLERANCE,
    compare,
    convolve,
    pool,
    probe_images,
    prove,
    run,
    tolerance_of,
    variable_values,
)
from grader.graph.read.axes import standard_axes
from grader.graph.record import VariableRecord
from grader.graph.symbols import Unreadable, constant
from tests.graph import tracing
from tests.graph.writing import agrees

pytestmark = pytest.mark.tensorflow


def proved(traced):
    return prove(
        traced.graphs["inference"],
        traced.values,
        traced.images,
        traced.expected,
        tolerance_of(traced.traces["inference"]),
    )


def network(layers_of):
    """A network with the given layers between an input and 10 classes."""

    def build():
        import keras
        from keras import layers

        inputs = keras.Input((32, 32, 3))
        x = layers_of(layers.Conv2D(8, 3, strides=4, padding="same")(inputs), layers)
        x = layers.GlobalAveragePooling2D()(x) if len(x.shape) == 4 else x
        return keras.Model(inputs, layers.Dense(10)(x))

    return build


def test_a_dense_net_is_computed_as_its_own_framework_computes_it(small_dense_net):
    result = proved(small_dense_net)

    assert result.holds, result.message


@pytest.mark.parametrize(
    "options",
    [
        {"written": "ops"},
        {"written": "sums"},
        {"bottleneck": False, "head": "logits"},
        {"head": "flat"},
        {"dropout": 0.2},
    ],
    ids=str,
)
def test_other_ways_of_writing_it_agree_too(options):
    traced = tracing.trace_model(lambda: tracing.dense_net(**options))

    result = proved(traced)

    assert result.holds, result.message


ODD = {
    "grouped": lambda x, kl: kl.Conv2D(6, 3, groups=2)(x),
    "depthwise": lambda x, kl: kl.DepthwiseConv2D(3, depth_multiplier=2, padding="same")(x),
    "separable": lambda x, kl: kl.SeparableConv2D(5, 3, padding="same")(x),
    "strided over an even map": lambda x, kl: kl.Conv2D(4, 3, strides=2, padding="same")(x),
    "pooling with padding": lambda x, kl: kl.AveragePooling2D(3, 2, padding="same")(x),
    "max pooling that overlaps": lambda x, kl: kl.MaxPooling2D(3, 2, padding="same")(x),
    "crop and pad": lambda x, kl: kl.ZeroPadding2D(((1, 2), (0, 3)))(kl.Cropping2D(1)(x)),
    "squeeze and excite": lambda x, kl: kl.Multiply()(
        [x, kl.Dense(8, activation="sigmoid")(kl.GlobalAveragePooling2D(keepdims=True)(x))]
    ),
    "residual": lambda x, kl: kl.Add()([x, kl.Conv2D(8, 1, activation="gelu")(x)]),
    "leaky": lambda x, kl: kl.LeakyReLU(0.1)(kl.BatchNormalization(scale=False)(x)),
    "flattened": lambda x, kl: kl.Flatten()(x),
    "log softmax": lambda x, kl: kl.Activation("log_softmax")(x),
}


@pytest.mark.parametrize("name", ODD)
def test_layers_beyond_the_paper_are_computed_rightly(name):
    traced = tracing.trace_model(network(ODD[name]), modes=("inference",))

    result = proved(traced)

    assert result.holds, result.message


def test_a_network_hard_wired_to_batch_statistics_is_computed_with_those():
    def layer(x, kl):
        import keras

        class OwnStatistics(kl.Layer):
            def call(self, x):
                mean, variance = keras.ops.moments(x, (0, 1, 2))
                return (x - mean) / keras.ops.sqrt(variance + 1e-3)

        return kl.ReLU()(OwnStatistics()(x))

    traced = tracing.trace_model(network(layer), modes=("inference",))

    result = proved(traced)

    assert result.holds, result.message


def test_one_weight_changed_by_a_tenth_is_noticed(small_dense_net):
    values = [v.copy() for v in small_dense_net.values]
    classifier = next(v for v in values if v.shape == (16, 10))
    classifier[:, 0] += 0.1

    received = run(small_dense_net.graphs["inference"], values, small_dense_net.images)

    assert not agrees(small_dense_net.expected, received)


def test_half_precision_is_met_less_closely():
    def build():
        import keras

        keras.config.set_dtype_policy("mixed_bfloat16")
        try:
            return tracing.dense_net()
        finally:
            keras.config.set_dtype_policy("float32")

    traced = tracing.trace_model(build, modes=("inference",))

    assert tolerance_of(traced.traces["inference"]) > TOLERANCE
    assert proved(traced).holds


def test_more_images_than_were_traced_are_computed_one_like_the_other(small_dense_net):
    graph, values = small_dense_net.graphs["inference"], small_dense_net.values
    images = np.repeat(small_dense_net.images, 3, axis=0)

    received = run(graph, values, images)

    assert agrees(np.repeat(small_dense_net.expected, 3, axis=0), received)


def test_a_foreign_operation_is_named():
    def layer(x, kl):
        import keras

        return kl.Lambda(lambda t: keras.ops.sort(t, axis=1))(x)

    traced = tracing.trace_model(network(layer), modes=("inference",))

    result = proved(traced)

    assert result.holds is None
    assert "operation" in result.message


@pytest.mark.parametrize(
    ("expected", "received"),
    [
        (np.zeros((2, 10)), np.zeros((2, 9))),
        (np.zeros((2, 10)), np.full((2, 10), np.nan)),
        (np.full((2, 10), np.nan), np.full((2, 10), np.nan)),
        (np.full((2, 10), np.inf), np.full((2, 10), np.inf)),
        (np.zeros((0, 10)), np.zeros((0, 10))),
        (np.zeros((2, 10)), np.full((2, 10), 2e-4)),
    ],
    ids=["another shape", "not a number", "both no numbers", "infinite", "empty", "too far"],
)
def test_the_comparison_fails_closed(expected, received):
    result = compare(expected, received)

    assert result.holds is False
    assert result.message


def test_numbers_within_the_tolerance_agree():
    assert agrees(np.full((2, 10), 30.0), np.full((2, 10), 30.002))


def test_a_frame_of_another_length_is_refused():
    table = [VariableRecord(name="w", shape=[2, 3], dtype="float32", trainable=True, owned=True)]

    with pytest.raises(ValueError, match="expected 24 bytes, received 20"):
        variable_values(table, bytes(20))


def test_the_frame_is_cut_into_variables_in_the_tables_order():
    table = [
        VariableRecord(name=n, shape=s, dtype="float32", trainable=True, owned=True)
        for n, s in (("a", [2, 2]), ("b", []), ("c", [3]))
    ]

    values = variable_values(table, np.arange(8, dtype="<f4").tobytes())

    assert [v.tolist() for v in values] == [[[0, 1], [2, 3]], 4, [5, 6, 7]]


def giant(kernel_shape=(3, 3, 4096, 4096)):
    graph = Graph()
    node = graph.add("input", (), channels=4096, height=512, width=512)
    axes = standard_axes(2, 512, 512, 4096)
    value = Value(axes, 2, 512, 512, (Segment(node.index, 0, 4096),))
    graph.add(
        "conv", (value,), channels=4096, height=512, width=512, kernel=constant(np.zeros(())),
        kernel_shape=kernel_shape,
    )  # fmt: skip
    graph.output = Value(axes, 2, 512, 512, (Segment(1, 0, 4096),))
    return graph


def test_a_network_that_would_not_fit_is_refused_before_anything_is_allocated():
    with pytest.raises(Unreadable, match="too large"):
        run(giant(), [], probe_images(0, 2))


def test_images_of_another_shape_are_refused(small_dense_net):
    with pytest.raises(Unreadable, match="input of shape"):
        run(small_dense_net.graphs["inference"], small_dense_net.values, np.zeros((2, 28, 28, 3)))


def test_mean_pooling_does_not_count_the_padding():
    ones = np.ones((1, 3, 3, 1))

    pooled = pool(ones, "mean", (2, 2), (2, 2), (0, 1, 0, 1))

    assert pooled.tolist() == np.ones((1, 2, 2, 1)).tolist()


def test_max_pooling_ignores_the_padding_of_negative_maps():
    pooled = pool(-np.ones((1, 3, 3, 1)), "max", (2, 2), (2, 2), (0, 1, 0, 1))

    assert pooled.tolist() == (-np.ones((1, 2, 2, 1))).tolist()


def test_a_kernel_of_a_million_places_is_refused():
    with pytest.raises(Unreadable, match="giant"):
        convolve(np.zeros((1, 4, 4, 1)), np.zeros((1000, 1000, 1, 1)), (1, 1), (0,) * 4, (1, 1))
