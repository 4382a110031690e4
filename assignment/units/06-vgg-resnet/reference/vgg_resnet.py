"""VGG-16 (arXiv 1409.1556), ResNet-18 and ResNet-50 (arXiv 1512.03385), and what filters cost."""

import keras
from keras import layers

VGG16 = ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))
"""Filters and layers of each stage of configuration D."""
STAGES = (64, 128, 256, 512)
"""Filters of the stages of a ResNet."""


def stacked_weights(size, depth, channels):
    """Weights of stacked square filters, without biases, as many channels in as out."""
    return depth * size * size * channels * channels


def receptive_field(size, depth):
    """How wide a part of the input one number after some stacked filters sees, with stride 1."""
    return depth * (size - 1) + 1


def saved(size, depth):
    """The share of weights that the stack saves against the one filter that sees as much."""
    return 1 - depth * size**2 / receptive_field(size, depth) ** 2


def vgg16(input_shape=(224, 224, 3), classes=1000):
    """Configuration D of table 1."""
    inputs = keras.Input(input_shape)
    x = inputs
    for filters, count in VGG16:
        for _ in range(count):
            x = layers.Conv2D(filters, 3, padding="same", activation="relu")(x)
        x = layers.MaxPooling2D(2, strides=2)(x)
    x = layers.Flatten()(x)
    for _ in range(2):
        x = layers.Dense(4096, activation="relu")(x)
        x = layers.Dropout(0.5)(x)
    return keras.Model(inputs, layers.Dense(classes, activation="softmax")(x))


def conv_bn(x, filters, size, stride=1):
    """A convolution without bias, and a batch normalisation."""
    x = layers.Conv2D(filters, size, strides=stride, padding="same", use_bias=False)(x)
    return layers.BatchNormalization()(x)


def basic_block(x, filters, stride=1):
    """Two 3×3 layers with a shortcut."""
    y = layers.ReLU()(conv_bn(x, filters, 3, stride))
    y = conv_bn(y, filters, 3)
    changes = stride != 1 or x.shape[-1] != filters
    shortcut = conv_bn(x, filters, 1, stride) if changes else x
    return layers.ReLU()(layers.Add()([y, shortcut]))


def bottleneck_block(x, filters, stride=1):
    """1×1, 3×3 and 1×1 with a shortcut; the last has four times the filters."""
    y = layers.ReLU()(conv_bn(x, filters, 1, stride))
    y = layers.ReLU()(conv_bn(y, filters, 3))
    y = conv_bn(y, 4 * filters, 1)
    changes = stride != 1 or x.shape[-1] != 4 * filters
    shortcut = conv_bn(x, 4 * filters, 1, stride) if changes else x
    return layers.ReLU()(layers.Add()([y, shortcut]))


def resnet18(input_shape=(224, 224, 3), classes=1000):
    """The column of 18 layers of table 1."""
    return _resnet(basic_block, (2, 2, 2, 2), input_shape, classes)


def resnet50(input_shape=(224, 224, 3), classes=1000):
    """The column of 50 layers of table 1."""
    return _resnet(bottleneck_block, (3, 4, 6, 3), input_shape, classes)


def _resnet(block, counts, input_shape, classes):
    inputs = keras.Input(input_shape)
    x = layers.ReLU()(conv_bn(inputs, 64, 7, 2))
    x = layers.MaxPooling2D(3, strides=2, padding="same")(x)
    for stage, (filters, count) in enumerate(zip(STAGES, counts, strict=True)):
        for number in range(count):
            x = block(x, filters, 2 if stage and not number else 1)
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, layers.Dense(classes, activation="softmax")(x))
