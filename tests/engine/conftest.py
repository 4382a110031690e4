"""Data and networks for the tests of the engine."""

from collections.abc import Callable

import numpy as np
import pytest

from grader.engine.data import Cifar10


@pytest.fixture(scope="session")
def easy() -> Cifar10:
    """160 + 40 images whose class is their colour: learnt in a few steps."""
    rng = np.random.default_rng(0)
    colours = rng.integers(0, 256, (10, 3))

    def images(count: int) -> tuple[np.ndarray, np.ndarray]:
        labels = np.arange(count) % 10
        noise = rng.normal(0, 10, (count, 32, 32, 3))
        pixels = colours[labels][:, None, None] + noise
        return pixels.clip(0, 255).astype(np.uint8), labels.astype(np.int64)

    return Cifar10(*images(160), *images(40), source="made up", official=False)


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
