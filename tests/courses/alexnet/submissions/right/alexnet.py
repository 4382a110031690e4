"""The same network in another style: two towers side by side, a subclassed model."""

import keras
import tensorflow as tf
from keras import layers, ops


def grouped_convolution(x, maps, size):
    first, second = ops.split(x, 2, axis=-1)
    second = layers.Conv2D(maps // 2, size, padding="same")(second)
    first = layers.Conv2D(maps // 2, size, padding="same")(first)
    return ops.relu(layers.Concatenate()([first, second]))


def response(x):
    return tf.nn.lrn(x, depth_radius=2, bias=2.0, alpha=1e-4, beta=0.75)


def build(classes, size):
    inputs = keras.Input(shape=size + (3,))  # noqa: RUF005  the list of the assignment is a tuple here
    x = ops.relu(layers.Conv2D(8, 11, 4)(inputs))
    x = layers.MaxPooling2D(3, strides=2)(layers.Lambda(response)(x))
    x = grouped_convolution(x, 16, 5)
    x = layers.MaxPooling2D(3, strides=2)(layers.Lambda(response)(x))
    x = ops.relu(layers.Conv2D(24, 3, padding="same")(x))
    x = grouped_convolution(grouped_convolution(x, 24, 3), 16, 3)
    x = layers.Reshape((-1,))(layers.MaxPooling2D(3, strides=2)(x))
    x = layers.ReLU()(layers.Dropout(0.5)(layers.Dense(32)(x)))
    x = layers.ReLU()(layers.Dropout(0.5)(layers.Dense(32)(x)))
    return keras.Model(inputs, layers.Dense(classes)(x))
