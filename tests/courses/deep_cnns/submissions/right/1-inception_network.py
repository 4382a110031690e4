#!/usr/bin/env python3
"""Task 1: GoogLeNet."""

from tensorflow import keras as K

inception_block = __import__("0-inception_block").inception_block

BLOCKS = [
    [[64, 96, 128, 16, 32, 32], [128, 128, 192, 32, 96, 64]],
    [
        [192, 96, 208, 16, 48, 64],
        [160, 112, 224, 24, 64, 64],
        [128, 128, 256, 24, 64, 64],
        [112, 144, 288, 32, 64, 64],
        [256, 160, 320, 32, 128, 128],
    ],
    [[256, 160, 320, 32, 128, 128], [384, 192, 384, 48, 128, 128]],
]


def inception_network():
    """The whole of it, for images of 224 by 224."""
    init = K.initializers.HeNormal(seed=0)
    X = K.Input(shape=(224, 224, 3))
    Y = K.layers.Conv2D(
        64, 7, strides=2, padding="same", activation="relu", kernel_initializer=init
    )(X)
    Y = K.layers.MaxPooling2D(3, 2, padding="same")(Y)
    for maps, size in ((64, 1), (192, 3)):
        Y = K.layers.Conv2D(maps, size, padding="same", activation="relu", kernel_initializer=init)(
            Y
        )
    for blocks in BLOCKS:
        Y = K.layers.MaxPooling2D(3, 2, padding="same")(Y)
        for filters in blocks:
            Y = inception_block(Y, filters)
    Y = K.layers.AveragePooling2D(7, strides=1)(Y)
    Y = K.layers.Dropout(0.4)(Y)
    Y = K.layers.Dense(1000, activation="softmax", kernel_initializer=init)(Y)
    return K.Model(inputs=X, outputs=Y)
