"""A convolutional network for MNIST: the network of the sheet's table."""

import keras
from keras import layers


def build_cnn(filters=(16, 32), units=64, classes=10, dropout=0.25, input_shape=(28, 28, 1)):
    """Two convolutions, each with a pooling behind it, and two fully connected layers."""
    inputs = keras.Input(input_shape)
    x = inputs
    for count in filters:
        x = layers.Conv2D(count, 3, activation="relu")(x)
        x = layers.MaxPooling2D(2)(x)
    x = layers.Flatten()(x)
    x = layers.Dense(units, activation="relu")(x)
    x = layers.Dropout(dropout)(x)
    return keras.Model(inputs, layers.Dense(classes, activation="softmax")(x))


def build_model():
    """The network that is trained."""
    return build_cnn()


def preprocess(images):
    """Pixels as floats from 0 to 1."""
    return keras.ops.cast(images, "float32") / 255.0
