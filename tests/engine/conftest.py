"""Networks for the tests of the engine."""

from collections.abc import Callable

import pytest


@pytest.fixture
def tiny() -> Callable[..., object]:
    """Builds a small network with batch norm, He weights and a fixed seed."""

    def build(head: str = "softmax", seed: int = 1, dropout: float = 0.0) -> object:
        import keras
        from keras import layers

        keras.utils.set_random_seed(seed)
        inputs = keras.Input((32, 32, 3))
        x = layers.Conv2D(6, 3, strides=4, padding="same", use_bias=False)(inputs)
        x = layers.BatchNormalization(momentum=0.8)(x)
        x = layers.ReLU()(x)
        if dropout:
            x = layers.Dropout(dropout)(x)
        x = layers.GlobalAveragePooling2D()(x)
        x = layers.Dense(10, activation="softmax" if head == "softmax" else None)(x)
        if head == "softmax layer":
            x = layers.Softmax()(x)
        return keras.Model(inputs, x)

    return build
