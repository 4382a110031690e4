"""The reference submission as text: the paper's network in the plain Keras functional style.

Every mutant is a small difference from it, so it is cut into the pieces a mistake can be in.
"""

REFERENCE = '''\
"""DenseNet for small images (Huang et al., 2017, arXiv 1608.06993)."""

import math

import keras
from keras import layers, ops


def conv(x, filters, kernel_size):
    """A convolution, stride 1, same padding, without bias."""
    return layers.Conv2D(
        filters, kernel_size, padding="same", use_bias=False, kernel_initializer="he_normal"
    )(x)


def bn_relu(x):
    """Batch normalisation, then ReLU."""
    x = layers.BatchNormalization()(x)
    return layers.ReLU()(x)


def drop(x, dropout_rate):
    """Dropout, where the network has any."""
    return layers.Dropout(dropout_rate)(x) if dropout_rate else x


def join(features):
    """The concatenation [x0, x1, ...] of equation 2."""
    return features[0] if len(features) == 1 else layers.Concatenate()(features)


def composite(x, filters, kernel_size, dropout_rate):
    """BN, ReLU, convolution."""
    x = bn_relu(x)
    x = conv(x, filters, kernel_size)
    return drop(x, dropout_rate)


def dense_layer(x, growth_rate, bottleneck, dropout_rate):
    """The composite function H of one layer: k new maps."""
    if bottleneck:
        x = composite(x, 4 * growth_rate, 1, dropout_rate)
    return composite(x, growth_rate, 3, dropout_rate)


def dense_block(x, num_layers, growth_rate, bottleneck=True, dropout_rate=0.0):
    """Layers that each see the block input and all earlier layers' maps."""
    features = [x]
    for layer in range(1, num_layers + 1):
        seen = join(features)
        new = dense_layer(seen, growth_rate, bottleneck, dropout_rate)
        features.append(new)
    return join(features)


def transition(x, compression=0.5, dropout_rate=0.0):
    """BN, ReLU, 1 x 1 convolution to floor(theta m) maps, 2 x 2 average pooling."""
    filters = math.floor(compression * x.shape[-1])
    x = bn_relu(x)
    x = conv(x, filters, 1)
    x = drop(x, dropout_rate)
    return layers.AveragePooling2D(2)(x)


def head(x, num_classes):
    """BN, ReLU, global average pooling, fully connected layer, softmax."""
    x = bn_relu(x)
    x = layers.GlobalAveragePooling2D()(x)
    return layers.Dense(num_classes, activation="softmax")(x)


def build_densenet(
    depth=40,
    growth_rate=12,
    compression=0.5,
    bottleneck=True,
    num_classes=10,
    input_shape=(32, 32, 3),
    dropout_rate=0.0,
):
    """The network of depth L: stem, three dense blocks, two transitions, head."""
    num_layers = (depth - 4) // (6 if bottleneck else 3)
    stem = 2 * growth_rate if bottleneck and compression < 1 else 16
    inputs = keras.Input(shape=input_shape)
    x = conv(inputs, stem, 3)
    for block in (1, 2, 3):
        x = dense_block(x, num_layers, growth_rate, bottleneck, dropout_rate)
        if block < 3:
            x = transition(x, compression, dropout_rate)
    outputs = head(x, num_classes)
    return keras.Model(inputs, outputs)


def build_model():
    """The network that was trained: DenseNet-BC, L = 22, k = 12."""
    return build_densenet(depth=22, growth_rate=12)


def preprocess(images):
    """Images of 0..255 to 0..1."""
    return ops.cast(images, "float32") / 255.0
'''
