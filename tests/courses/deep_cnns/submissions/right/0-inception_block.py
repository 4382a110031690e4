#!/usr/bin/env python3
"""Task 0: an inception block."""

import tensorflow.keras as K


def inception_block(A_prev, filters):
    """Four branches side by side."""
    F1, F3R, F3, F5R, F5, FPP = filters
    init = K.initializers.he_normal(seed=0)

    def conv(X, maps, size):
        return K.layers.Conv2D(
            maps, size, padding="same", activation="relu", kernel_initializer=init
        )(X)

    pooled = K.layers.MaxPooling2D((3, 3), strides=(1, 1), padding="same")(A_prev)
    five = conv(conv(A_prev, F5R, 1), F5, (5, 5))
    three = conv(conv(A_prev, F3R, 1), F3, (3, 3))
    return K.layers.concatenate([conv(A_prev, F1, 1), three, five, conv(pooled, FPP, 1)])
