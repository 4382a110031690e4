"""One group where there should be two, and pooling that does not overlap."""

import keras
import tensorflow as tf
from keras import layers


def grouped_convolution(x, maps, size):
    return layers.Conv2D(maps, size, padding="same", activation="relu")(x)


def build(classes, size):
    inputs = keras.Input((*size, 3))
    x = layers.Conv2D(8, 11, strides=4, activation="relu")(inputs)
    x = layers.Lambda(lambda y: tf.nn.lrn(y, 2, 2.0, 1e-4, 0.75))(x)
    x = layers.MaxPooling2D(2)(x)
    x = layers.Conv2D(16, 5, padding="same", groups=2, activation="relu")(x)
    x = layers.Lambda(lambda y: tf.nn.lrn(y, 2, 2.0, 1e-4, 0.75))(x)
    x = layers.MaxPooling2D(2)(x)
    x = layers.Conv2D(24, 3, padding="same", activation="relu")(x)
    x = layers.Conv2D(24, 3, padding="same", groups=2, activation="relu")(x)
    x = layers.Conv2D(16, 3, padding="same", groups=2, activation="relu")(x)
    x = layers.Flatten()(layers.MaxPooling2D(2)(x))
    for _ in range(2):
        x = layers.Dropout(0.5)(layers.Dense(32, activation="relu")(x))
    return keras.Model(inputs, layers.Dense(classes, activation="softmax")(x))
