"""Unit 5: residual blocks, and a plain and a residual network. The sheet is README.md.

All functions take and give Keras tensors, channels last; the networks are `keras.Model`s. A layer
here is a 3×3 convolution with padding "same" and without bias, followed by a batch normalisation.
"""

import keras
from keras import layers


def identity_block(x, filters):
    """Two layers R with a shortcut around them: relu(R(x) + x).

    Between the two layers stands a ReLU; the last ReLU comes after the addition.

    Args:
        x: A tensor with as many channels as `filters`.
        filters: Of each of the two convolutions.
    """
    raise NotImplementedError("identity_block")


def projection_block(x, filters, stride=2):
    """Two layers R, and a shortcut that changes shape: relu(R(x) + W(x)).

    Args:
        x: A tensor.
        filters: Of all three convolutions.
        stride: Of the first 3×3 convolution, and of W: a 1×1 convolution without bias, followed by
            a batch normalisation.
    """
    raise NotImplementedError("projection_block")


def plain_network(depth=20, input_shape=(32, 32, 3), classes=10):
    """The plain network of 6n + 2 layers, section 4.2 of the paper.

    Args:
        depth: 6n + 2, such as 20 or 32.
        input_shape: Of one image.
        classes: Outputs of the softmax.
    """
    raise NotImplementedError("plain_network")


def residual_network(depth=20, input_shape=(32, 32, 3), classes=10):
    """The plain network with a shortcut around every two of its 3×3 layers.

    Args:
        depth: 6n + 2, such as 20 or 32.
        input_shape: Of one image.
        classes: Outputs of the softmax.
    """
    raise NotImplementedError("residual_network")
