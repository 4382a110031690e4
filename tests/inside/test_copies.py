"""A layer that is copied has the record that tracing it would give; all else is traced."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from grader.inside.tracing import copies, kinds, networks
from grader.inside.tracing.constants import Constants
from grader.inside.tracing.variables import Variables

pytestmark = pytest.mark.tensorflow
SHAPE = [2, 8, 10, 6]
MODES = ["inference", "training"]


@pytest.fixture(autouse=True)
def copying():
    copies.begin()
    yield
    copies.end()


def network(*layers, shape=tuple(SHAPE[1:])):
    import keras

    inputs = keras.Input(shape)
    x = inputs
    for layer in layers:
        x = layer(x)
    return keras.Model(inputs, x)


def copied(model):
    """The records of a model by mode, copied; None where it is traced."""
    import tensorflow as tf

    variables = Variables()
    variables.own(model)
    images = tf.TensorSpec(SHAPE, tf.float32)
    copier = copies.copier(model, SHAPE)
    return networks._copied(copier, MODES, None, images, variables, Constants())


def whole(model):
    """The same, traced."""
    import tensorflow as tf

    variables = Variables()
    variables.own(model)
    images = tf.TensorSpec(SHAPE, tf.float32)
    return networks._whole(model, MODES, None, images, variables, Constants())


def kl():
    from keras import layers

    return layers


def frozen(layer):
    layer.trainable = False
    return layer


def concatenated(axis):
    def apply(x):
        return kl().Concatenate(axis)([x, kl().ReLU()(x), x])

    return apply


def in_a_mode(layer, training):
    return lambda x: layer(x, training=training)


KNOWN = {
    "a convolution": lambda: [kl().Conv2D(7, 3)],
    "a convolution of as many maps as it takes": lambda: [kl().Conv2D(6, 6, padding="same")],
    "a convolution without bias": lambda: [kl().Conv2D(3, 1, use_bias=False)],
    "a convolution with strides": lambda: [kl().Conv2D(3, 3, strides=(2, 3), padding="same")],
    "a dilated convolution": lambda: [kl().Conv2D(3, 3, dilation_rate=2)],
    "a convolution with an activation": lambda: [kl().Conv2D(3, 3, activation="gelu")],
    "a convolution with a regulariser": lambda: [kl().Conv2D(3, 3, kernel_regularizer="l2")],
    "two kinds of one class": lambda: [kl().Conv2D(3, 3), kl().Conv2D(3, 3, dilation_rate=2)],
    "a norm": lambda: [kl().BatchNormalization(momentum=0.9, epsilon=1e-5)],
    "a norm without scale": lambda: [kl().BatchNormalization(scale=False)],
    "a frozen norm beside one that is not": lambda: [
        frozen(kl().BatchNormalization()),
        kl().BatchNormalization(),
    ],
    "a norm in a mode of its own": lambda: [
        in_a_mode(kl().BatchNormalization(), True),
        in_a_mode(kl().BatchNormalization(), False),
        kl().BatchNormalization(),
    ],
    "relu": lambda: [kl().ReLU(), kl().ReLU(6.0), kl().Activation("relu"), kl().Activation("elu")],
    "dropout": lambda: [kl().Dropout(0.2), kl().Dropout(0.5, seed=3), kl().Dropout(0.0)],
    "dropout in a mode of its own": lambda: [in_a_mode(kl().Dropout(0.5), True)],
    "dropout of whole maps": lambda: [kl().Dropout(0.5, noise_shape=(None, 1, 1, 6))],
    "concatenation": lambda: [concatenated(-1), concatenated(3)],
    "pooling": lambda: [
        kl().AveragePooling2D(2), kl().MaxPooling2D(2, padding="same"),
        kl().AveragePooling2D((1, 2), strides=1),
    ],
    "the head": lambda: [kl().GlobalAveragePooling2D(), kl().Dense(5, activation="softmax")],
    "dense without bias": lambda: [kl().GlobalAveragePooling2D(), kl().Dense(5, use_bias=False)],
    "one layer called twice": lambda: [kl().Conv2D(6, 3, padding="same")] * 2,
}  # fmt: skip
TRACED_ALL_THE_SAME = {"dropout of whole maps", "a dilated convolution", "two kinds of one class"}


@pytest.mark.parametrize("name", KNOWN)
def test_a_network_of_known_layers_has_the_records_that_tracing_gives(name):
    model = network(*KNOWN[name]())

    found = copied(model)

    assert (found is None) == (name in TRACED_ALL_THE_SAME)
    assert found is None or all(copies.alike(found[m], whole(model)[m]) for m in MODES)


def grouped():
    return [kl().Conv2D(6, 3, groups=2)]


def subclassed():
    class Conv2D(kl().Conv2D):
        pass

    return [Conv2D(3, 3)]


def called_otherwise():
    layer = kl().Conv2D(3, 3)
    given = layer.call
    layer.call = lambda x: 2 * given(x)
    return [layer]


def swapped():
    layer = kl().BatchNormalization()
    layer.build((None, *SHAPE[1:]))
    vars(layer)["gamma"], vars(layer)["beta"] = layer.beta, vars(layer)["moving_mean"]
    return [layer]


def nested():
    return [network(kl().ReLU())]


def mixed():
    return [kl().Conv2D(3, 3, dtype="mixed_float16")]


def with_a_function():
    return [kl().Activation(lambda x: x * 2)]


def with_a_note():
    layer = kl().ReLU()
    vars(layer)["note"] = object()
    return [layer]


def an_operation():
    from keras import ops

    return [ops.relu]


UNKNOWN = (
    grouped, subclassed, called_otherwise, nested, mixed, with_a_function, with_a_note,
    an_operation,
)  # fmt: skip


@pytest.mark.parametrize("make", UNKNOWN, ids=lambda make: make.__name__)
def test_what_is_out_of_the_ordinary_is_traced(make):
    assert copied(network(*make())) is None


def test_variables_that_stand_in_for_one_another_stay_where_they_are_read():
    model = network(*swapped())

    found = copied(model)

    assert found is None or all(copies.alike(found[m], whole(model)[m]) for m in MODES)


def test_a_channels_first_or_sequential_or_subclassed_model_is_traced():
    import keras

    class Own(keras.Model):
        pass

    inputs = keras.Input(SHAPE[1:])

    assert copied(keras.Sequential([inputs, kl().ReLU()])) is None
    assert copied(Own(inputs, kl().ReLU()(inputs))) is None
    assert copied(network(kl().Conv2D(3, 3, data_format="channels_first"))) is None


@pytest.mark.parametrize("bound", [True, False], ids=["a method", "a function"])
def test_a_model_whose_call_was_replaced_is_traced(bound):
    model = network(kl().ReLU())
    assert copied(model) is not None

    model.call = (lambda own, x: x).__get__(model) if bound else lambda x: x

    assert copied(model) is None


@pytest.mark.parametrize("name", ["ReLU.call", "Layer.__call__", "Functional.call"])
def test_where_a_class_of_kerass_was_changed_every_network_is_traced(name, monkeypatch):
    from keras.src.layers import Layer, ReLU
    from keras.src.models.functional import Functional

    owner, attribute = name.split(".")
    kind = {"ReLU": ReLU, "Layer": Layer, "Functional": Functional}[owner]
    model, given = network(kl().ReLU()), getattr(kind, attribute)
    assert copied(model) is not None

    monkeypatch.setattr(kind, attribute, lambda *a, **k: given(*a, **k))

    assert copied(model) is None


def test_plain_switches_it_off_and_so_does_another_keras(monkeypatch):
    import keras

    model = network(kl().ReLU())
    copies.begin(plain=True)
    assert copied(model) is None

    monkeypatch.setattr(keras, "__version__", "3.99.0")
    copies.begin()
    assert copied(model) is None


def test_the_keras_that_is_installed_is_one_whose_layers_are_copied():
    import keras

    assert keras.__version__.startswith(kinds.KERAS)


class Channel:
    def __init__(self):
        self.json = {}

    def send_json(self, name, content):
        self.json[name] = content

    def send_binary(self, name, data):
        raise AssertionError(name)


@pytest.mark.parametrize("wrong", [False, True])
@pytest.mark.parametrize("mode", MODES)
def test_a_network_is_both_copied_and_traced_and_a_difference_is_told(mode, wrong):
    copies.begin(compared={"network-2": [mode]})
    model, channel = network(kl().ReLU()), Channel()
    assert copied(model) is not None
    for example in copies._kept[0].examples.values():
        example.nodes[-1][0] = "Relu6" if wrong else "Relu"

    record = networks.describe(model, SHAPE, MODES, "network-2", channel)

    assert channel.json == {f"copies:{mode}:network-2": {"alike": not wrong}}
    # The other side asks once more where they differ.
    assert record["graphs"]["training"]["nodes"][-1][0] == ("Relu6" if wrong else "Relu")


def test_in_training_a_network_is_compared_for_what_was_not_compared_before():
    both = ["inference", "training"]
    copies.begin(compared={"transition": ["training"], "network": both, "other": both})
    small = network(kl().BatchNormalization())
    # Dense has a mode, and does the same in both.
    large = network(kl().BatchNormalization(), kl().GlobalAveragePooling2D(), kl().Dense(5))
    other = network(kl().BatchNormalization(), kl().Dropout(0.3))
    channels = [Channel(), Channel(), Channel()]

    named = zip(("transition", "network", "other"), (small, large, other), channels, strict=True)
    for name, model, channel in named:
        networks.describe(model, SHAPE, MODES, name, channel)

    assert [list(channel.json) for channel in channels] == [
        ["copies:training:transition"],
        ["copies:inference:network"],
        ["copies:inference:other", "copies:training:other"],
    ]


SAMPLE = ("reference", "dilation-2", "dropout-at-inference")


def test_submissions_of_the_catalogue_give_the_same_frames_both_ways():
    script = Path(__file__).with_name("both_ways.py")
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "", "TF_CPP_MIN_LOG_LEVEL": "3"}

    done = subprocess.run(
        [sys.executable, str(script), *SAMPLE],
        capture_output=True, text=True, env=environment, check=False,
    )  # fmt: skip

    lines = done.stdout.splitlines()
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(lines) == len(SAMPLE)
    assert all(": equal; " in line for line in lines)
    assert ": equal; 0 kinds" not in lines[0]
