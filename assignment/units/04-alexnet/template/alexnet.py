"""Unit 4: AlexNet. The sheet is README.md; sections are those of the paper (NIPS 2012).

All functions take and give Keras tensors, channels last.
"""

import keras
import tensorflow as tf
from keras import layers


class LocalResponse(layers.Layer):
    """Given: local response normalisation with the paper's constants (section 3.3)."""

    def call(self, x):
        """Maps (batch, height, width, channels) to maps of that shape."""
        return tf.nn.local_response_normalization(
            x, depth_radius=2, bias=2.0, alpha=1e-4, beta=0.75
        )


def local_response_normalisation(x):
    """Given: the same as a function."""
    return LocalResponse()(x)


def grouped_convolution(x, filters, size):
    """A convolution in two halves, followed by a ReLU (section 3.5).

    The first half of the filters sees the first half of x's channels, the second half the second.

    Args:
        x: A tensor with an even number of channels.
        filters: Of both halves together.
        size: Height and width of a filter; stride 1, padding "same", with bias.
    """
    raise NotImplementedError("grouped_convolution")


def overlapping_pooling(x):
    """The paper's max pooling: its window is wider than its stride (section 3.4)."""
    raise NotImplementedError("overlapping_pooling")


def build_alexnet(classes=1000, size=227, divisor=1):
    """The network of section 3.5, and of the sheet's table.

    Args:
        classes: Outputs of the softmax.
        size: Height and width of an image with three channels.
        divisor: Each number of filters and units but `classes` is divided by it.

    Returns:
        A keras.Model.
    """
    raise NotImplementedError("build_alexnet")
