"""What makes a trace cheaper changes nothing of what is read."""

import json
import types
from pathlib import Path

import pytest

from grader.graph.averages import momentum_of
from grader.graph.numeric import prove, tolerance_of
from grader.graph.steps import words
from grader.inside.tracing import cheaper, probes, trained
from grader.inside.tracing.patience import Patience
from tests.graph import tracing

pytestmark = pytest.mark.tensorflow


@pytest.fixture
def one_op(monkeypatch):
    """Keras's normalisation traced as one op, until the test ends."""
    from keras.layers import BatchNormalization

    monkeypatch.setattr(BatchNormalization, "call", BatchNormalization.call)
    cheaper.write_normalisation_as_one_op()


def spelled(traced, mode):
    """Every node with what stands on its inputs, in the paper's words."""
    return [
        (
            node.kind,
            node.channels,
            [[[word.kind for word in words(s)] for s in v.segments] for v in node.inputs],
        )
        for node in traced.graphs[mode].nodes
    ]


def ops_of(traced, mode):
    return [op.op for op in traced.traces[mode].ops]


def momenta(traced):
    """The momentum with which each moving mean is moved."""
    training = traced.graphs["training"]
    means = [i for i, v in enumerate(json.loads(traced.record)["variables"])
             if v["name"].endswith("moving_mean")]  # fmt: skip
    return [momentum_of(training.updates.get(index), index) for index in means]


def with_norm(make):
    """A small network whose one normalisation is made by `make(keras.layers)`."""

    def build():
        import keras
        from keras import layers

        inputs = keras.Input((32, 32, 3))
        x = layers.Conv2D(8, 3, strides=4, padding="same")(inputs)
        x = layers.Conv2D(4, 1)(layers.ReLU()(make(layers)(x)))
        return keras.Model(inputs, layers.Dense(10)(layers.GlobalAveragePooling2D()(x)))

    return build


def subclassed(layers):
    """A normalisation of the student's own that calls itself one of Keras."""

    class BatchNormalization(layers.BatchNormalization):
        def call(self, inputs, training=None, mask=None):
            return super().call(inputs, training=False)

    return BatchNormalization()


def frozen(layers):
    layer = layers.BatchNormalization()
    layer.trainable = False
    return layer


NORMS = {
    "plain": lambda layers: layers.BatchNormalization(momentum=0.9, epsilon=1e-5),
    "frozen": frozen,
    "subclassed": subclassed,
    "without scale": lambda layers: layers.BatchNormalization(scale=False),
    "another axis": lambda layers: layers.BatchNormalization(axis=1),
    "half precision": lambda layers: layers.BatchNormalization(dtype="mixed_float16"),
}


@pytest.mark.parametrize("norm", NORMS)
def test_a_normalisation_as_one_op_is_read_as_keras_writes_it(norm, request):
    slow = tracing.trace_model(with_norm(NORMS[norm]))
    request.getfixturevalue("one_op")
    fast = tracing.trace_model(with_norm(NORMS[norm]))

    for mode in ("inference", "training"):
        assert spelled(fast, mode) == spelled(slow, mode)
    assert fast.graphs["training"].updates.keys() == slow.graphs["training"].updates.keys()
    assert momenta(fast) == momenta(slow) == {"plain": [0.9]}.get(norm, momenta(slow))
    short = [len(ops_of(fast, m)) < len(ops_of(slow, m)) for m in ("inference", "training")]
    assert short == [norm in ("plain", "frozen")] * 2


def test_a_dense_net_with_one_op_for_each_normalisation_computes_what_its_own_code_does(one_op):
    traced = tracing.trace_model(lambda: tracing.dense_net(), lambda images: images / 255)

    assert "FusedBatchNormV3" in ops_of(traced, "inference")
    result = prove(
        traced.graphs["inference"],
        traced.values,
        traced.images,
        traced.expected,
        tolerance_of(traced.traces["inference"]),
    )
    assert result.holds, result.message


def answered(dense_block):
    channel = tracing.Channel()
    probe = {
        "id": "block", "function": "dense_block", "modes": ["inference"],
        "input_shape": [4, 4, 8], "keywords": {"num_layers": 1},
    }  # fmt: skip
    module = types.SimpleNamespace(dense_block=dense_block)
    return probes.answer(Path("/"), module, probe, channel, Patience(None))


def test_a_probe_is_traced_without_drawing_initial_values():
    drawn = []

    def block(x, num_layers):
        from keras import layers, ops

        def initial(shape, dtype=None):
            drawn.append(shape)
            return ops.zeros(shape, dtype)

        return layers.Conv2D(num_layers, 3, kernel_initializer=initial)(x)

    answer = answered(block)

    assert answer["failure"] is None
    assert [v["shape"] for v in answer["variables"]] == [[3, 3, 8, 1], [1]]
    assert drawn == []


def test_code_that_reads_a_variable_gets_its_value():
    def block(x, num_layers):
        from keras import layers

        layer = layers.Conv2D(num_layers, 3, bias_initializer="ones")
        y = layer(x)
        if layer.get_weights()[1].sum() != num_layers:
            raise ValueError("not the values that were asked for")
        return y

    assert answered(block)["failure"] is None


def test_a_network_that_a_student_keeps_from_a_probe_has_values_as_the_trained_one():
    kept = {}

    def build(**asked):
        if not kept:
            kept["model"] = tracing.dense_net()
        return kept["model"]

    probe = {
        "id": "network", "function": "build_densenet", "modes": ["inference"],
        "keywords": {"input_shape": [32, 32, 3]},
    }  # fmt: skip
    module = types.SimpleNamespace(build_densenet=build, build_model=build)
    channel = tracing.Channel()
    wanted = {"input_shape": [32, 32, 3], "modes": ["inference"], "seed": 0, "weights": None}

    assert probes.answer(Path("/"), module, probe, channel, Patience(None))["failure"] is None
    model = trained.answer(module, wanted, Path("/"), channel)

    assert model["sample"]["failure"] is None
    assert any(channel.binary["weights"])
