#!/usr/bin/env python3
"""Task 7: DenseNet-121."""

from tensorflow import keras as K

dense_block = __import__("5-dense_block").dense_block
transition_layer = __import__("6-transition_layer").transition_layer


def densenet121(growth_rate=32, compression=1.0):
    """Four dense blocks; it begins with 64 maps, as its authors' code does."""
    init = K.initializers.he_normal(seed=0)
    X = K.Input(shape=(224, 224, 3))
    Y = K.layers.ReLU()(K.layers.BatchNormalization(axis=3)(X))
    Y = K.layers.Conv2D(64, 7, strides=2, padding="same", kernel_initializer=init)(Y)
    Y = K.layers.MaxPooling2D(3, strides=2, padding="same")(Y)
    maps = 64
    for layers in (6, 12, 24):
        Y, maps = dense_block(Y, maps, growth_rate, layers)
        Y, maps = transition_layer(Y, maps, compression)
    Y, maps = dense_block(Y, maps, growth_rate, 16)
    Y = K.layers.AveragePooling2D(7)(Y)
    return K.Model(X, K.layers.Dense(1000, "softmax", kernel_initializer=init)(Y))
