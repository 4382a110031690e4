#!/usr/bin/env python3
"""Task 3: a projection block."""

import tensorflow.keras as K


def projection_block(A_prev, filters, stride=2):
    """The input is brought to the new shape before it is added."""
    F11, F3, F12 = filters
    init = K.initializers.he_normal(seed=0)
    short = K.layers.Conv2D(F12, 1, strides=stride, kernel_initializer=init)(A_prev)
    short = K.layers.BatchNormalization(axis=-1)(short)
    X = K.layers.Conv2D(F11, 1, strides=stride, kernel_initializer=init)(A_prev)
    X = K.layers.BatchNormalization(axis=-1)(X)
    X = K.layers.ReLU()(X)
    X = K.layers.Conv2D(F3, 3, padding="same", kernel_initializer=init)(X)
    X = K.layers.BatchNormalization(axis=-1)(X)
    X = K.layers.ReLU()(X)
    X = K.layers.Conv2D(F12, 1, kernel_initializer=init)(X)
    X = K.layers.BatchNormalization(axis=-1)(X)
    return K.layers.ReLU()(K.layers.add([short, X]))
