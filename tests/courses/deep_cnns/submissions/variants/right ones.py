"""The same blocks in other styles. Nothing here is wrong."""

import keras
import tensorflow.keras as K
from keras import layers, ops


def identity_renamed(tensor, numbers):
    f, g, h = numbers
    y = K.layers.Conv2D(f, 1, kernel_initializer="zeros")(tensor)
    y = K.layers.ReLU()(K.layers.BatchNormalization(momentum=0.9)(y))
    y = K.layers.Conv2D(g, 3, padding="same", use_bias=False)(y)
    y = K.layers.Activation("relu")(K.layers.BatchNormalization()(y))
    y = K.layers.BatchNormalization()(K.layers.Conv2D(h, 1)(y))
    return K.activations.relu(y + tensor)


class IdentityLayer(layers.Layer):
    def __init__(self, filters, **more):
        super().__init__(**more)
        self.convs = [
            layers.Conv2D(f, k, padding="same") for f, k in zip(filters, (1, 3, 1), strict=True)
        ]
        self.norms = [layers.BatchNormalization() for _ in filters]

    def call(self, x, training=None):
        y = x
        for i in range(3):
            y = self.norms[i](self.convs[i](y), training=training)
            y = ops.relu(y) if i < 2 else y
        return ops.relu(ops.add(x, y))


def projection_by_keywords(x, *, strides=2, filters):
    short = layers.BatchNormalization()(layers.Conv2D(filters[2], 1, strides)(x))
    for number, size in enumerate((1, 3, 1)):
        x = layers.Conv2D(filters[number], size, 1 if number else strides, padding="same")(x)
        x = layers.BatchNormalization()(x)
        x = layers.ReLU()(x) if number < 2 else x
    return layers.ReLU()(layers.Add()([x, short]))


def inception_in_another_order(x, filters):
    a, b, c, d, e, f = filters
    pool = layers.MaxPool2D(3, 1, "same")(x)
    last = layers.Conv2D(f, 1, activation="relu")(pool)
    three = layers.Conv2D(c, 3, padding="same", activation="relu")(
        layers.Conv2D(b, 1, activation="relu")(x)
    )
    five = layers.Conv2D(e, 5, padding="same", activation="relu")(
        layers.Conv2D(d, 1, activation="relu")(x)
    )
    one = layers.Conv2D(a, 1, activation="relu")(x)
    return layers.Concatenate()([last, five, three, one])


def dense_all_at_once(inputs, k, layers, nb_filters):
    parts = [inputs]
    for _ in range(layers):
        y = parts[0] if len(parts) == 1 else K.layers.Concatenate()(parts)
        y = K.layers.Conv2D(4 * k, 1)(K.layers.ReLU()(K.layers.BatchNormalization()(y)))
        y = K.layers.Conv2D(k, 3, padding="same")(K.layers.ReLU()(K.layers.BatchNormalization()(y)))
        parts.append(y)
    return K.layers.Concatenate()(parts), nb_filters + k * layers


def dense_with_a_list(X, nb_filters, growth_rate, layers):
    for _ in range(layers):
        Y = K.layers.BatchNormalization()(X)
        Y = K.layers.Conv2D(4 * growth_rate, 1)(K.activations.relu(Y))
        Y = K.layers.BatchNormalization()(Y)
        Y = K.layers.Conv2D(growth_rate, 3, padding="same")(K.activations.relu(Y))
        X = keras.ops.concatenate([Y, X], axis=-1)
    return [X, float(nb_filters + layers * growth_rate)]


def transition_of_any(*arguments):
    x, count, share = arguments
    x = layers.Conv2D(int(share * count), 1)(layers.ReLU()(layers.BatchNormalization()(x)))
    return layers.AvgPool2D(2, 2)(x), x.shape[-1]


def transition_as_a_model(x, nb_filters, compression):
    maps = int(nb_filters * compression)
    inputs = keras.Input(x.shape[1:])
    y = layers.ReLU()(layers.BatchNormalization()(inputs))
    y = layers.AveragePooling2D(2)(layers.Conv2D(maps, 1)(y))
    return keras.Model(inputs, y)(x), maps
