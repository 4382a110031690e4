"""AlexNet (Krizhevsky et al. 2012, sec. 3.5), narrow. The course's own; students never see it."""

import keras
import tensorflow as tf
from keras import layers
from responses import BIAS


class LocalResponse(layers.Layer):
    """Local response normalisation (sec. 3.3)."""

    def call(self, x):
        return tf.nn.local_response_normalization(x, 2, bias=BIAS, alpha=1e-4, beta=0.75)


def grouped_convolution(x, maps, size):
    x = layers.Conv2D(maps, size, padding="same", groups=2)(x)
    return layers.ReLU()(x)


def build(classes=1000, size=(227, 227)):
    inputs = keras.Input((*size, 3))
    x = layers.Conv2D(8, 11, strides=4, activation="relu")(inputs)
    x = layers.MaxPooling2D(3, 2)(LocalResponse()(x))
    x = grouped_convolution(x, 16, 5)
    x = layers.MaxPooling2D(3, 2)(LocalResponse()(x))
    x = layers.Conv2D(24, 3, padding="same", activation="relu")(x)
    x = grouped_convolution(x, 24, 3)
    x = grouped_convolution(x, 16, 3)
    x = layers.MaxPooling2D(3, 2)(x)
    x = layers.Flatten()(x)
    for _ in range(2):
        x = layers.Dropout(0.5)(layers.Dense(32, activation="relu")(x))
    return keras.Model(inputs, layers.Dense(classes, activation="softmax")(x))
