"""Whatever `preprocess` does to one image is taken off the network that is read, and computed."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers, ops

from grader.errors import StageFailed
from grader.graph.numeric import run
from grader.graph.preprocess import split, trouble
from grader.graph.read.reader import canonicalise
from tests.graph import tracing
from tests.graph.writing import agrees

pytestmark = pytest.mark.tensorflow
EACH = (1, 2, 3)


LARGE = np.ones((3, 5000), "float32")
COLOURS = layers.Dense(3)


def network(size=32):
    inputs = keras.Input((size, size, 3))
    x = layers.Conv2D(4, 3, strides=2, padding="same", use_bias=False)(inputs)
    x = layers.ReLU()(layers.BatchNormalization()(x))
    return keras.Model(inputs, layers.Dense(10)(layers.GlobalAveragePooling2D()(x)))


def parted(preprocess, size=32):
    found = tracing.trace_model(lambda: network(size), preprocess)
    networks, program = split(found.traces)
    return found, networks, program


def floats(images):
    return ops.cast(images, "float32")


def standardised(images):
    x = floats(images)
    return (x - ops.mean(x, EACH, keepdims=True)) / ops.std(x, EACH, keepdims=True)


OF_ONE_IMAGE = {
    "tf.image": tf.image.per_image_standardization,
    "standardised": standardised,
    "between 0 and 1": lambda x: floats(x) / ops.max(floats(x), EACH, keepdims=True),
    "grey three times": lambda x: ops.repeat(ops.mean(floats(x), -1, keepdims=True), 3, -1),
    "mixed colours": lambda x: ops.matmul(floats(x), np.eye(3, dtype="f4")[::-1]) / 255,
    "a mean image": lambda x: floats(x) - np.linspace(0, 255, 3072).reshape(32, 32, 3),
    "a power": lambda x: (floats(x) / 255) ** 0.45,
    "bytes that wrap": lambda x: tf.cast(x + tf.constant(100, tf.uint8), tf.float32),
    "by channel": lambda x: ops.stack([floats(c) / 99 for c in ops.unstack(x, axis=-1)], -1),
    "upside down": lambda x: tf.reverse(floats(x), [1]) / 255,
    "a layer of its own": lambda x: COLOURS(floats(x)),
    "NumPy": lambda x: (x - np.asarray(x).mean(EACH, keepdims=True))
    / np.asarray(x).std(EACH, keepdims=True),
    "NumPy, BGR": lambda x: x[..., ::-1].astype("float32") / 255,
}  # fmt: skip


@pytest.mark.parametrize("name", OF_ONE_IMAGE)
def test_a_function_of_one_image_is_taken_off_and_gives_what_the_students_own_gives(name):
    found, networks, program = parted(OF_ONE_IMAGE[name])

    graph = canonicalise(networks["inference"])

    assert "foreign" not in {node.kind for node in graph.nodes}
    assert program is not None or name == "NumPy, BGR"
    images = found.images if program is None else program(found.images, found.values)
    assert agrees(found.expected, run(graph, found.values, images))


def test_images_of_another_size_are_given_to_a_network_of_that_size():
    def enlarged(images):
        return ops.image.resize(floats(images) / 255, (48, 48))

    found, _, program = parted(enlarged, 48)

    assert np.allclose(program(found.images, found.values), enlarged(found.images), atol=1e-5)


@pytest.mark.parametrize(
    "preprocess",
    [None, lambda x: x / 255, lambda x: (floats(x) - [120, 110, 100]) / [60, 61, 62]],
    ids=["none", "scaled", "by channel"],
)
def test_scaling_stays_part_of_the_network(preprocess):
    found, networks, program = parted(preprocess)

    assert program is None
    assert networks == found.traces


def test_many_images_are_prepared_in_their_order_whatever_the_batch():
    found, _, program = parted(standardised)
    images = np.random.default_rng(0).integers(0, 256, (5, 32, 32, 3), dtype=np.uint8)

    parts = list(program.all(images, found.values))

    assert [len(part) for part in parts] == [2, 2, 1]
    assert np.allclose(np.concatenate(parts), standardised(images), atol=1e-4)


@pytest.mark.parametrize(
    ("preprocess", "said"),
    [
        (lambda x: tf.signal.fft(tf.cast(x, tf.complex64)).dtype.real_dtype.max * floats(x), None),
        (lambda x: floats(x) + tf.random.normal(x.shape), "random numbers"),
        (lambda x: tf.image.adjust_hue(floats(x) / 255, 0.1), "is not known here"),
        (lambda x: ops.matmul(floats(x) ** 1.1, LARGE)[..., :3], "numbers of its own"),
        (lambda x: ops.tile(floats(x), (1, 3, 3, 1)), "twice as high and wide"),
    ],
    ids=["of no matter", "random", "an operation", "large", "giant"],
)
def test_what_cannot_be_computed_is_named(preprocess, said):
    traced = tracing.trace_model(lambda: network(None), preprocess)
    _, program = split(traced.traces)

    if said is None:
        assert program is None
        return
    with pytest.raises(StageFailed, match=said):
        program(traced.images, traced.values)


@pytest.mark.parametrize(
    ("note", "received"),
    [
        ({"traced": True, "of_batch": True}, "the other images of the batch"),
        ({"traced": False, "known": False, "random": True}, "other numbers each time"),
        ({"traced": False, "known": False}, "NumPy code of another kind"),
    ],
)
def test_what_stands_in_the_way_is_said_with_what_to_do(note, received):
    _, said, help = trouble(note)

    assert received in said
    assert help


@pytest.mark.parametrize("note", [{}, {"traced": True}, {"traced": False, "known": True}])
def test_nothing_stands_in_the_way_of_a_function_of_one_image(note):
    assert trouble(note) is None
