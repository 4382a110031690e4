#!/usr/bin/env python3
"""Task 6: a transition layer."""

from tensorflow import keras as K


def transition_layer(X, n, theta):
    """Fewer maps, of half the size."""
    n = int(n * theta)
    X = K.layers.ReLU()(K.layers.BatchNormalization()(X))
    X = K.layers.Conv2D(n, 1, kernel_initializer="he_normal")(X)
    return K.layers.AveragePooling2D(2)(X), n
