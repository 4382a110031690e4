#!/usr/bin/env python3
"""Task 5: a dense block."""

import tensorflow.keras as K


def dense_block(X, nb_filters, growth_rate, layers):
    """Returns the maps of all layers, and how many there are."""
    init = K.initializers.HeNormal(seed=0)
    for _ in range(layers):
        Y = K.layers.Activation("relu")(K.layers.BatchNormalization()(X))
        Y = K.layers.Conv2D(4 * growth_rate, 1, padding="same", kernel_initializer=init)(Y)
        Y = K.layers.Activation("relu")(K.layers.BatchNormalization()(Y))
        Y = K.layers.Conv2D(growth_rate, 3, padding="same", kernel_initializer=init)(Y)
        X = K.layers.concatenate([Y, X])
    return X, nb_filters + layers * growth_rate
