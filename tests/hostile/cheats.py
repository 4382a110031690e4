"""Networks that know the test set, or learn it while they are tested, behind right functions.

The functions answer every probe as the paper would; only `build_model()` or `preprocess` cheats.
Trained on the test set, which no graph shows: `tests/engine/test_looks.py`. A ready-made network of
keras.applications: the catalogue of `grade selftest`.
"""

from __future__ import annotations

from textwrap import dedent

from tests.hostile.cases import Case, Graded, Recipe
from tests.hostile.programs import RIGHT, handed_in

FOUND = frozenset({"build-model"})
COUNTED = FOUND | {"build-model-parameters"}


def instead(code: str) -> Recipe:
    """The right functions, then these in their place; `honest()` is the right network."""
    return handed_in(RIGHT + "\nimport tensorflow as tf\nhonest = build_model\n" + dedent(code))


def case(name: str, make: Recipe, expect: Graded, why: str) -> Case:
    return Case(name, "cheat", make, expect, why)


CHEATS: tuple[Case, ...] = (
    case("a table of known images beside the network", instead("""
        import numpy as np
        KNOWN = np.random.default_rng(0).random((64, 3072), np.float32)
        ANSWERS = np.eye(10, dtype=np.float32)[np.arange(64) % 10] * 1000

        class Remembers(keras.layers.Layer):
            def call(self, image):
                near = keras.ops.matmul(keras.ops.reshape(image, (-1, 3072)), KNOWN.T)
                return keras.ops.matmul(keras.ops.softmax(near * 1e3), ANSWERS)

        def build_model():
            network = honest()
            image = network.inputs[0]
            return keras.Model(image, network.outputs[0] + Remembers()(image))
        """), Graded(COUNTED, says="build_model"),
        "nearest neighbours among the test images answer all of them"),
    case("answers looked up by a hash of the image", instead("""
        class Hashes(keras.layers.Layer):
            def build(self, shape):
                self.table = self.add_weight(shape=(1024, 10), name="table")
            def call(self, image):
                total = keras.ops.cast(keras.ops.sum(image, (1, 2, 3)) * 997, "int32")
                return keras.ops.take(self.table, total % 1024, axis=0)

        def build_model():
            network = honest()
            image = network.inputs[0]
            return keras.Model(image, network.outputs[0] + Hashes()(image))
        """), Graded(COUNTED, says="build_model"),
        "a row for each test image is a perfect score"),
    case("three networks averaged", instead("""
        def build_model():
            image = keras.Input((32, 32, 3))
            return keras.Model(image, keras.layers.average([honest()(image) for _ in range(3)]))
        """), Graded(COUNTED, says="build_model"),
        "an ensemble is compared with single networks"),
    case("the image and its mirror image averaged", instead("""
        def build_model():
            network = honest()
            image = keras.Input((32, 32, 3))
            mirrored = keras.ops.flip(image, axis=2)
            return keras.Model(image, keras.layers.average([network(image), network(mirrored)]))
        """), Graded(COUNTED, says="build_model"),
        "test-time augmentation is worth a percent that is not the network's"),
    case("normalised by the test batch", instead("""
        def build_model():
            network = honest()
            class Adapts(keras.Model):
                def __init__(self):
                    super().__init__()
                    self.network = network
                def call(self, image, training=False):
                    return self.network(image, training=True)
            return Adapts()
        """), Graded(COUNTED, says="statistics of the batch"),
        "the statistics of the test set are learnt while it is shown"),
    case("a preprocess that looks at the batch", instead("""
        def preprocess(images):
            images = tf.cast(images, tf.float32)
            return images - tf.reduce_mean(images, axis=(0, 1, 2))
        """), Graded(FOUND, says="preprocess"),
        "an image's answer depends on the images beside it"),
    case("a preprocess with a table", instead("""
        TABLE = [float((i * 37) % 256) for i in range(256)]
        def preprocess(images):
            return tf.gather(tf.constant(TABLE), tf.cast(images, tf.int32)) / 255
        """), Graded(frozenset()),
        "another name for each grey is a function of one image, which is measured as it is"),
    case("another network for even images", instead("""
        class Chooses(keras.layers.Layer):
            def call(self, inputs):
                image, a, b = inputs
                odd = keras.ops.sum(image, (1, 2, 3)) > 1000
                return keras.ops.where(odd[:, None], a, b)

        def build_model():
            image = keras.Input((32, 32, 3))
            return keras.Model(image, Chooses()([image, honest()(image), honest()(image)]))
        """), Graded(COUNTED, says="build_model"),
        "two networks for two halves of the test set"),
)  # fmt: skip
