"""Residual blocks, and a plain and a residual network of 6n + 2 layers (arXiv 1512.03385)."""

import keras
from keras import layers


def conv_bn(x, filters, size=3, stride=1):
    """A convolution without bias, and a batch normalisation."""
    x = layers.Conv2D(filters, size, strides=stride, padding="same", use_bias=False)(x)
    return layers.BatchNormalization()(x)


def identity_block(x, filters):
    """H(x) = R(x) + x, where R keeps the shape: figure 2 of the paper."""
    residual = layers.ReLU()(conv_bn(x, filters))
    residual = conv_bn(residual, filters)
    return layers.ReLU()(layers.Add()([residual, x]))


def projection_block(x, filters, stride=2):
    """H(x) = R(x) + W x, where a 1×1 convolution W brings x to the shape of R(x)."""
    residual = layers.ReLU()(conv_bn(x, filters, stride=stride))
    residual = conv_bn(residual, filters)
    shortcut = conv_bn(x, filters, size=1, stride=stride)
    return layers.ReLU()(layers.Add()([residual, shortcut]))


def plain_block(x, filters, stride=1):
    """The two layers of a block without its shortcut."""
    x = layers.ReLU()(conv_bn(x, filters, stride=stride))
    return layers.ReLU()(conv_bn(x, filters))


def plain_network(depth=20, input_shape=(32, 32, 3), classes=10):
    """The plain network of section 4.2: 6n + 2 layers with weights."""
    return _network(depth, input_shape, classes, plain_block, plain_block)


def residual_network(depth=20, input_shape=(32, 32, 3), classes=10):
    """The same with shortcuts: identities, and projections where the shape changes."""

    def first(x, filters, stride):
        return projection_block(x, filters, stride)

    return _network(depth, input_shape, classes, first, identity_block)


def _network(depth, input_shape, classes, first_of_stage, block):
    inputs = keras.Input(input_shape)
    x = layers.ReLU()(conv_bn(inputs, 16))
    for stage, filters in enumerate((16, 32, 64)):
        for number in range((depth - 2) // 6):
            narrower = stage > 0 and number == 0
            x = first_of_stage(x, filters, 2) if narrower else block(x, filters)
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, layers.Dense(classes, activation="softmax")(x))
