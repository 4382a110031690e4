#!/usr/bin/env python3
"""Task 4: ResNet-50."""

from tensorflow import keras as K

identity_block = __import__("2-identity_block").identity_block
projection_block = __import__("3-projection_block").projection_block


def resnet50():
    """Sixteen blocks behind one convolution."""
    init = K.initializers.he_normal(seed=0)
    X = K.Input(shape=(224, 224, 3))
    Y = K.layers.Conv2D(64, 7, strides=2, padding="same", kernel_initializer=init)(X)
    Y = K.layers.Activation("relu")(K.layers.BatchNormalization(axis=3)(Y))
    Y = K.layers.MaxPooling2D(3, strides=2, padding="same")(Y)
    for maps, count, stride in ((64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2)):
        Y = projection_block(Y, [maps, maps, 4 * maps], stride)
        for _ in range(1, count):
            Y = identity_block(Y, [maps, maps, 4 * maps])
    Y = K.layers.AveragePooling2D(pool_size=7)(Y)
    return K.Model(X, K.layers.Dense(1000, "softmax", kernel_initializer=init)(Y))
