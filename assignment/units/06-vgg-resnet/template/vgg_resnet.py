"""Unit 6: VGG-16, ResNet-18 and ResNet-50, and what filters cost. The sheet is README.md."""

import keras
from keras import layers


def stacked_weights(size, depth, channels):
    """Weights of stacked square filters, without biases.

    Args:
        size: Height and width of each filter.
        depth: How many are stacked.
        channels: Of the input and of the output of each.

    Returns:
        A whole number: stacked_weights(3, 3, 1) is 27.
    """
    raise NotImplementedError("stacked_weights")


def receptive_field(size, depth):
    """How many pixels of a row of the input one number after stacked filters sees, with stride 1.

    Returns:
        A whole number: receptive_field(3, 3) is 7.
    """
    raise NotImplementedError("receptive_field")


def saved(size, depth):
    """The share of weights that a stack saves against the one filter that sees as much.

    Returns:
        A number from 0 to 1: saved(3, 3) is 1 - 27/49.
    """
    raise NotImplementedError("saved")


def vgg16(input_shape=(224, 224, 3), classes=1000):
    """Configuration D of table 1, as a keras.Model."""
    raise NotImplementedError("vgg16")


def resnet18(input_shape=(224, 224, 3), classes=1000):
    """The ResNet of 18 layers of table 1, as a keras.Model."""
    raise NotImplementedError("resnet18")


def resnet50(input_shape=(224, 224, 3), classes=1000):
    """The ResNet of 50 layers of table 1, as a keras.Model."""
    raise NotImplementedError("resnet50")
