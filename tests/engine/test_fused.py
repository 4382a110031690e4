from typing import Any

import numpy as np
import pytest

from grader.engine.fused import fused_batch_norm

pytestmark = pytest.mark.tensorflow


def network(**options: Any) -> Any:
    import keras
    from keras import layers

    keras.utils.set_random_seed(0)
    inputs = keras.Input((8, 8, 3))
    x = layers.Conv2D(5, 3, use_bias=False)(inputs)
    x = layers.BatchNormalization(**options)(x)
    return keras.Model(inputs, layers.ReLU()(x))


@pytest.fixture
def images() -> np.ndarray:
    return np.random.default_rng(0).normal(1, 2, (4, 8, 8, 3)).astype(np.float32)


@pytest.mark.parametrize("training", [True, False])
def test_the_fused_kernel_gives_keras_s_answer_gradient_and_statistics(
    images: np.ndarray, training: bool
) -> None:
    import tensorflow as tf

    def run(model: Any) -> list[np.ndarray]:
        with tf.GradientTape() as tape:
            answer = model(images, training=training)
            loss = tf.reduce_sum(answer**3)
        gradients = tape.gradient(loss, [v.value for v in model.trainable_variables])
        return [np.asarray(a) for a in (answer, *gradients, *model.get_weights())]

    options = {"momentum": 0.9, "epsilon": 1.1e-5}
    plain, fused = network(**options), network(**options)
    expected = run(plain)

    with fused_batch_norm(fused) as count:
        found = run(fused)

    assert count == 1
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=2e-4, atol=2e-4)


def test_after_the_block_the_layer_has_its_own_code_again(images: np.ndarray) -> None:
    model = network()
    layer = model.layers[2]

    with fused_batch_norm(model):
        assert "call" in vars(layer)

    assert "call" not in vars(layer)


@pytest.mark.parametrize("options", [{"axis": 1}, {"scale": False}, {"center": False}])
def test_other_normalisations_keep_their_own_code(options: dict[str, Any]) -> None:
    with fused_batch_norm(network(**options)) as count:
        assert count == 0


def test_a_frozen_layer_keeps_its_own_code() -> None:
    model = network()
    model.layers[2].trainable = False

    with fused_batch_norm(model) as count:
        assert count == 0


def test_a_subclass_keeps_its_own_code() -> None:
    import keras

    class Mine(keras.layers.BatchNormalization):
        pass

    inputs = keras.Input((8, 8, 3))
    model = keras.Model(inputs, Mine()(inputs))

    with fused_batch_norm(model) as count:
        assert count == 0
