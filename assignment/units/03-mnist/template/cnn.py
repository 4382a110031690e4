"""Unit 3: a convolutional network for MNIST. The sheet is README.md."""

import keras
from keras import layers


def build_cnn(filters=(16, 32), units=64, classes=10, dropout=0.25, input_shape=(28, 28, 1)):
    """The network of the sheet's table.

    Args:
        filters: f1 and f2, of the two convolutions.
        units: u, of the first fully connected layer.
        classes: Outputs of the softmax.
        dropout: d, the rate of the dropout.
        input_shape: Height, width and channels of one image.

    Returns:
        A keras.Model.
    """
    raise NotImplementedError("build_cnn")


def build_model():
    """The network that you train and hand in."""
    return build_cnn()


def preprocess(images):
    """Pixels, bytes of shape (batch, 28, 28, 1), as what the network takes: floats from 0 to 1."""
    return keras.ops.cast(images, "float32") / 255.0
