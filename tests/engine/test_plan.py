"""A plan gives what the network gave, on every runtime, and names what it cannot hold."""

import numpy as np
import pytest

from grader.engine import runner_keras
from grader.engine.devices import installed
from grader.engine.plan import Plan, Unrebuildable, make_plan
from grader.engine.runner_openvino import OpenVinoRunner, Unsupported
from grader.graph import pointwise
from grader.graph.numeric import run
from grader.graph.program import Instruction
from tests.graph import tracing
from tests.graph.writing import agrees

pytestmark = pytest.mark.tensorflow
needs_openvino = pytest.mark.skipif(not installed("openvino"), reason="OpenVINO is not installed")

RUNTIMES = [
    pytest.param(runner_keras.KerasRunner, id="keras"),
    pytest.param(OpenVinoRunner, id="openvino", marks=needs_openvino),
]


def planned(traced):
    return make_plan(traced.graphs["inference"], traced.values)


@pytest.fixture(scope="module")
def odd():
    """One network with every instruction that a DenseNet does not need."""

    def build():
        import keras
        from keras import layers as kl

        inputs = keras.Input((32, 32, 3))
        x = kl.Conv2D(8, 3, strides=2, padding="same", activation="gelu")(inputs)
        x = kl.AveragePooling2D(3, 2, padding="same")(x)
        x = kl.Cropping2D(((1, 0), (0, 1)))(kl.ZeroPadding2D(1)(x))
        x = kl.Add()([x, kl.Conv2D(8, 3, padding="same")(x)])
        x = kl.Conv2D(6, 3, groups=2)(x)
        x = kl.DepthwiseConv2D(3, depth_multiplier=2, padding="same")(x)
        x = kl.MaxPooling2D(3, 2, padding="same")(x)
        gate = kl.Dense(12, activation="sigmoid")(kl.GlobalAveragePooling2D(keepdims=True)(x))
        x = kl.LeakyReLU(0.1)(kl.Multiply()([x, gate]))
        x = kl.Concatenate()([x[..., 4:], x[..., :6]])
        return keras.Model(inputs, kl.Dense(10, activation="log_softmax")(kl.Flatten()(x)))

    return tracing.trace_model(build, modes=("inference",))


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_dense_net_gives_what_the_students_own_gave(small_dense_net, runtime):
    received = runtime(planned(small_dense_net), 2).predict(small_dense_net.images)

    assert agrees(small_dense_net.expected, received)


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_everything_else_a_plan_may_hold_is_computed_rightly(odd, runtime):
    received = runtime(planned(odd), 2).predict(odd.images)

    assert agrees(odd.expected, received)


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_number_of_images_that_no_batch_divides_keeps_them_all_in_order(small_dense_net, runtime):
    images = np.random.default_rng(0).integers(0, 256, (7, 32, 32, 3), dtype=np.uint8)
    expected = run(small_dense_net.graphs["inference"], small_dense_net.values, images)

    received = runtime(planned(small_dense_net), 3).predict(images)

    assert agrees(expected, received)


def test_a_plan_read_from_disk_is_the_one_that_was_written(odd, tmp_path):
    plan = planned(odd)

    plan.save(tmp_path / "plan.npz")
    again = Plan.load(tmp_path / "plan.npz")

    assert len(again.instructions) == len(plan.instructions)
    for one, other in zip(plan.instructions, again.instructions, strict=True):
        assert (one.kind, one.inputs, one.settings) == (other.kind, other.inputs, other.settings)
        assert all(np.array_equal(a, b) for a, b in zip(one.arrays, other.arrays, strict=True))


def test_a_batch_norm_that_only_one_convolution_feeds_goes_into_its_kernel(small_dense_net):
    plan = planned(small_dense_net)

    kinds = [plan.instructions[i.inputs[0]].kind for i in plan.instructions if i.kind == "affine"]
    narrow = [i for i in plan.instructions if i.kind == "conv" and i.shape[2] == 16]

    assert len(narrow) == 6
    assert all(len(i.arrays) == 2 for i in narrow)
    assert "affine" not in kinds


def test_the_cost_of_a_plan_is_the_papers(small_dense_net):
    plan = planned(small_dense_net)

    stem = 16 * 16 * 9 * 3 * 8
    assert plan.multiplications > stem


def test_an_operation_without_a_place_is_named():
    def build():
        import keras
        from keras import layers as kl

        inputs = keras.Input((32, 32, 3))
        x = kl.Lambda(lambda t: keras.ops.sort(t, axis=1))(kl.Conv2D(4, 3)(inputs))
        return keras.Model(inputs, kl.Dense(10)(kl.GlobalAveragePooling2D()(x)))

    traced = tracing.trace_model(build, modes=("inference",))

    with pytest.raises(Unrebuildable, match="cannot be rebuilt: the operation"):
        planned(traced)


def test_a_network_hard_wired_to_batch_statistics_is_refused():
    def build():
        import keras
        from keras import layers as kl

        class OwnStatistics(kl.Layer):
            def call(self, x):
                mean, variance = keras.ops.moments(x, (0, 1, 2))
                return (x - mean) / keras.ops.sqrt(variance + 1e-3)

        inputs = keras.Input((32, 32, 3))
        x = OwnStatistics()(kl.Conv2D(4, 3)(inputs))
        return keras.Model(inputs, kl.Dense(10)(kl.GlobalAveragePooling2D()(x)))

    traced = tracing.trace_model(build, modes=("inference",))

    with pytest.raises(Unrebuildable, match="batch statistics"):
        planned(traced)


PLACES = np.array([-3.5, -2.5, -1.0, -0.25, 0.0, 0.25, 0.5, 1.5, 2.0, 3.75], np.float32)
"""Where functions of one number are tried, with the numbers 1.5 and 2.5 for the other arguments."""
WITHOUT_OPENVINO = {"Expm1", "FloorDiv", "FloorMod", "Log1p"}
"""Functions that OpenVINO does not compute here; TensorFlow takes over."""


def tree_of(name):
    """A function of one number: x, and fixed numbers for its other arguments."""
    code = pointwise.FORMULAS[name].__code__
    if name == "LeakyRelu":
        return name, ("x",), 0.1
    return name, *[("x",), ("number", 1.5), ("number", 2.5)][: code.co_argcount - 1]


def keras_gives(tree):
    from keras import ops

    x = ops.convert_to_tensor(PLACES)
    return np.asarray(pointwise.apply(tree, x, runner_keras.KerasFunctions(ops)))


def openvino_gives(tree):
    count = len(PLACES)
    steps = [
        Instruction("input", shape=(1, 1, count)),
        Instruction("pointwise", (0,), (tree,), shape=(1, 1, count)),
    ]
    plan = Plan(tuple(steps), count, "float32")
    return OpenVinoRunner(plan, 1).predict(PLACES.reshape(1, 1, 1, count))[0]


@pytest.mark.parametrize("name", sorted(pointwise.FORMULAS))
@pytest.mark.parametrize("gives", [keras_gives, pytest.param(openvino_gives, marks=needs_openvino)])
def test_a_function_of_one_number_is_the_same_wherever_it_is_computed(name, gives):
    tree = tree_of(name)
    if gives is openvino_gives and name in WITHOUT_OPENVINO:
        with pytest.raises(Unsupported):
            gives(tree)
        return

    received = gives(tree)

    expected = pointwise.evaluate(tree, PLACES.astype(np.float64))
    np.testing.assert_allclose(received, expected, rtol=2e-5, atol=1e-6)


@needs_openvino
def test_a_function_that_openvino_lacks_is_said_to_be_unsupported(small_dense_net):
    from dataclasses import replace

    plan = planned(small_dense_net)
    at = next(i for i, x in enumerate(plan.instructions) if x.kind == "pointwise")
    changed = list(plan.instructions)
    changed[at] = replace(changed[at], settings=(("Log1p", ("x",)),))

    with pytest.raises(Unsupported, match="log1p"):
        OpenVinoRunner(replace(plan, instructions=tuple(changed)), 2)
