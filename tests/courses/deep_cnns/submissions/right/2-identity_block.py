#!/usr/bin/env python3
"""Task 2: an identity block."""

from tensorflow import keras as K


def identity_block(previous, F):
    """The input is added to what three convolutions make of it."""
    init = K.initializers.he_normal(seed=0)
    Y = previous
    for number, (maps, size) in enumerate(zip(F, (1, 3, 1), strict=True)):
        Y = K.layers.Conv2D(maps, size, padding="same", kernel_initializer=init)(Y)
        Y = K.layers.BatchNormalization(axis=3)(Y)
        if number < 2:
            Y = K.layers.Activation("relu")(Y)
    return K.layers.Activation("relu")(K.layers.Add()([Y, previous]))
