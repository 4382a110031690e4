"""AlexNet (Krizhevsky et al. 2012)."""

import keras
import tensorflow as tf
from keras import layers


class LocalResponse(layers.Layer):
    """Local response normalisation (section 3.3)."""

    def call(self, x):
        """Maps (batch, height, width, channels) to maps of that shape."""
        return tf.nn.local_response_normalization(
            x, depth_radius=2, bias=2.0, alpha=1e-4, beta=0.75
        )


def local_response_normalisation(x):
    """Local response normalisation as a function."""
    return LocalResponse()(x)


def grouped_convolution(x, filters, size):
    """A convolution in two halves, followed by a ReLU (section 3.5)."""
    return layers.Conv2D(filters, size, padding="same", groups=2, activation="relu")(x)


def overlapping_pooling(x):
    """Windows of 3 with stride 2 (section 3.4)."""
    return layers.MaxPooling2D(3, strides=2)(x)


def build_alexnet(classes=1000, size=227, divisor=1):
    """The network of section 3.5."""
    inputs = keras.Input((size, size, 3))
    x = layers.Conv2D(96 // divisor, 11, strides=4, activation="relu")(inputs)
    x = overlapping_pooling(local_response_normalisation(x))
    x = grouped_convolution(x, 256 // divisor, 5)
    x = overlapping_pooling(local_response_normalisation(x))
    x = layers.Conv2D(384 // divisor, 3, padding="same", activation="relu")(x)
    x = grouped_convolution(x, 384 // divisor, 3)
    x = overlapping_pooling(grouped_convolution(x, 256 // divisor, 3))
    x = layers.Flatten()(x)
    for _ in range(2):
        x = layers.Dropout(0.5)(layers.Dense(4096 // divisor, activation="relu")(x))
    return keras.Model(inputs, layers.Dense(classes, activation="softmax")(x))
