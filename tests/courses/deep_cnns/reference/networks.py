"""The networks of the sheet, as the course has them. Students never see this file."""

import keras
from keras import layers


def _conv(x, maps, size, stride=1):
    return layers.Conv2D(maps, size, stride, padding="same", kernel_initializer="he_normal")(x)


def _conv_relu(x, maps, size, stride=1):
    return layers.ReLU()(_conv(x, maps, size, stride))


def _conv_bn(x, maps, size, stride=1):
    return layers.BatchNormalization()(_conv(x, maps, size, stride))


def inception_block(x, filters):
    one, before3, three, before5, five, pooled = filters
    pool = layers.MaxPooling2D(3, 1, padding="same")(x)
    return layers.Concatenate()(
        [
            _conv_relu(x, one, 1),
            _conv_relu(_conv_relu(x, before3, 1), three, 3),
            _conv_relu(_conv_relu(x, before5, 1), five, 5),
            _conv_relu(pool, pooled, 1),
        ]
    )


def inception_network():
    inputs = keras.Input((224, 224, 3))
    x = _pool(_conv_relu(inputs, 64, 7, 2))
    x = _pool(_conv_relu(_conv_relu(x, 64, 1), 192, 3))
    for name in ("3a", "3b", "4a", "4b", "4c", "4d", "4e", "5a", "5b"):
        x = _pool(x) if name in ("4a", "5a") else x
        x = inception_block(x, GOOGLENET[name])
    x = layers.Dropout(0.4)(layers.GlobalAveragePooling2D()(x))
    return keras.Model(inputs, layers.Dense(1000, "softmax")(x))


GOOGLENET = {
    "3a": (64, 96, 128, 16, 32, 32),
    "3b": (128, 128, 192, 32, 96, 64),
    "4a": (192, 96, 208, 16, 48, 64),
    "4b": (160, 112, 224, 24, 64, 64),
    "4c": (128, 128, 256, 24, 64, 64),
    "4d": (112, 144, 288, 32, 64, 64),
    "4e": (256, 160, 320, 32, 128, 128),
    "5a": (256, 160, 320, 32, 128, 128),
    "5b": (384, 192, 384, 48, 128, 128),
}


def _pool(x):
    return layers.MaxPooling2D(3, 2, padding="same")(x)


def identity_block(x, filters):
    return _residual(x, x, filters, 1)


def projection_block(x, filters, s=2):
    return _residual(x, _conv_bn(x, filters[2], 1, s), filters, s)


def _residual(x, shortcut, filters, stride):
    first, second, third = filters
    x = layers.ReLU()(_conv_bn(x, first, 1, stride))
    x = layers.ReLU()(_conv_bn(x, second, 3))
    return layers.ReLU()(layers.Add()([_conv_bn(x, third, 1), shortcut]))


def resnet50():
    inputs = keras.Input((224, 224, 3))
    x = _pool(layers.ReLU()(_conv_bn(inputs, 64, 7, 2)))
    for stage, blocks in enumerate((3, 4, 6, 3)):
        maps = 64 * 2**stage
        filters = (maps, maps, 4 * maps)
        x = projection_block(x, filters, 1 if stage == 0 else 2)
        for _ in range(blocks - 1):
            x = identity_block(x, filters)
    return keras.Model(inputs, layers.Dense(1000, "softmax")(layers.GlobalAveragePooling2D()(x)))


def _bn_relu_conv(x, maps, size, stride=1):
    return _conv(layers.ReLU()(layers.BatchNormalization()(x)), maps, size, stride)


def dense_block(x, nb_filters, growth_rate, layers):
    for _ in range(layers):
        new = _bn_relu_conv(_bn_relu_conv(x, 4 * growth_rate, 1), growth_rate, 3)
        x = keras.layers.Concatenate()([x, new])
        nb_filters += growth_rate
    return x, nb_filters


def transition_layer(x, nb_filters, compression):
    maps = int(nb_filters * compression)
    return layers.AveragePooling2D(2)(_bn_relu_conv(x, maps, 1)), maps


def densenet121(growth_rate=32, compression=1.0, stem=None):
    inputs = keras.Input((224, 224, 3))
    maps = stem or 2 * growth_rate
    x = _pool(_bn_relu_conv(inputs, maps, 7, 2))
    for number, count in enumerate((6, 12, 24, 16)):
        if number:
            x, maps = transition_layer(x, maps, compression)
        x, maps = dense_block(x, maps, growth_rate, count)
    return keras.Model(inputs, layers.Dense(1000, "softmax")(layers.GlobalAveragePooling2D()(x)))
