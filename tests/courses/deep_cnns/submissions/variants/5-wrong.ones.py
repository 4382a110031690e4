"""The mistakes that students make, one in each function."""

from tensorflow import keras as K

L = K.layers


def identity_without_its_shortcut(x, filters):
    f, g, h = filters
    y = L.ReLU()(L.BatchNormalization()(L.Conv2D(f, 1)(x)))
    y = L.ReLU()(L.BatchNormalization()(L.Conv2D(g, 3, padding="same")(y)))
    y = L.BatchNormalization()(L.Conv2D(h, 1)(y))
    return L.ReLU()(y)


def identity_without_its_last_relu(x, filters):
    f, g, h = filters
    y = L.ReLU()(L.BatchNormalization()(L.Conv2D(f, 1)(x)))
    y = L.ReLU()(L.BatchNormalization()(L.Conv2D(g, 3, padding="same")(y)))
    y = L.BatchNormalization()(L.Conv2D(h, 1)(y))
    return L.Add()([x, y])


def identity_with_a_small_kernel(x, filters):
    f, g, h = filters
    y = L.ReLU()(L.BatchNormalization()(L.Conv2D(f, 1)(x)))
    y = L.ReLU()(L.BatchNormalization()(L.Conv2D(g, 1, padding="same")(y)))
    y = L.BatchNormalization()(L.Conv2D(h, 1)(y))
    return L.ReLU()(L.Add()([x, y]))


def projection_with_a_late_stride(x, filters, s=2):
    f, g, h = filters
    y = L.ReLU()(L.BatchNormalization()(L.Conv2D(f, 1)(x)))
    y = L.ReLU()(L.BatchNormalization()(L.Conv2D(g, 3, s, padding="same")(y)))
    y = L.BatchNormalization()(L.Conv2D(h, 1)(y))
    z = L.BatchNormalization()(L.Conv2D(h, 1, s)(x))
    return L.ReLU()(L.Add()([y, z]))


def projection_without_a_norm(x, filters, s=2):
    f, g, h = filters
    y = L.ReLU()(L.BatchNormalization()(L.Conv2D(f, 1, s)(x)))
    y = L.ReLU()(L.BatchNormalization()(L.Conv2D(g, 3, padding="same")(y)))
    y = L.BatchNormalization()(L.Conv2D(h, 1)(y))
    z = L.Conv2D(h, 1, s)(x)
    return L.ReLU()(L.Add()([y, z]))


def projection_with_a_relu_too_much(x, filters, s=2):
    f, g, h = filters
    y = L.ReLU()(L.BatchNormalization()(L.Conv2D(f, 1, s)(x)))
    y = L.ReLU()(L.BatchNormalization()(L.Conv2D(g, 3, padding="same")(y)))
    y = L.ReLU()(L.BatchNormalization()(L.Conv2D(h, 1)(y)))
    z = L.BatchNormalization()(L.Conv2D(h, 1, s)(x))
    return L.ReLU()(L.Add()([y, z]))


def inception_with_a_small_pool(x, filters):
    a, b, c, d, e, f = filters
    one = L.Conv2D(a, 1, activation="relu")(x)
    y = L.Conv2D(b, 1, activation="relu")(x)
    three = L.Conv2D(c, 3, padding="same", activation="relu")(y)
    y = L.Conv2D(d, 1, activation="relu")(x)
    five = L.Conv2D(e, 5, padding="same", activation="relu")(y)
    y = L.MaxPooling2D(2, 1, padding="same")(x)
    last = L.Conv2D(f, 1, activation="relu")(y)
    return L.Concatenate()([one, three, five, last])


def inception_with_a_linear_branch(x, filters):
    a, b, c, d, e, f = filters
    one = L.Conv2D(a, 1, activation="relu")(x)
    y = L.Conv2D(b, 1)(x)
    three = L.Conv2D(c, 3, padding="same", activation="relu")(y)
    y = L.Conv2D(d, 1, activation="relu")(x)
    five = L.Conv2D(e, 5, padding="same", activation="relu")(y)
    y = L.MaxPooling2D(3, 1, padding="same")(x)
    last = L.Conv2D(f, 1, activation="relu")(y)
    return L.Concatenate()([one, three, five, last])


def dense_with_fixed_maps(X, nb_filters, growth_rate, layers):
    for _ in range(layers):
        Y = L.ReLU()(L.BatchNormalization()(X))
        Y = L.Conv2D(128, 1)(Y)
        Y = L.ReLU()(L.BatchNormalization()(Y))
        Y = L.Conv2D(growth_rate, 3, padding="same")(Y)
        X = L.concatenate([X, Y])
    return X, nb_filters + layers * growth_rate


def dense_that_forgets(X, nb_filters, growth_rate, layers):
    parts = [X]
    for _ in range(layers):
        Y = L.ReLU()(L.BatchNormalization()(parts[-1]))
        Y = L.Conv2D(4 * growth_rate, 1)(Y)
        Y = L.ReLU()(L.BatchNormalization()(Y))
        parts.append(L.Conv2D(growth_rate, 3, padding="same")(Y))
    return L.concatenate(parts), nb_filters + layers * growth_rate


def dense_with_a_stale_number(X, nb_filters, growth_rate, layers):
    for _ in range(layers):
        Y = L.ReLU()(L.BatchNormalization()(X))
        Y = L.Conv2D(4 * growth_rate, 1)(Y)
        Y = L.ReLU()(L.BatchNormalization()(Y))
        Y = L.Conv2D(growth_rate, 3, padding="same")(Y)
        X = L.concatenate([X, Y])
    return X, nb_filters + growth_rate


def dense_without_a_number(X, nb_filters, growth_rate, layers):
    for _ in range(layers):
        Y = L.ReLU()(L.BatchNormalization()(X))
        Y = L.Conv2D(4 * growth_rate, 1)(Y)
        Y = L.ReLU()(L.BatchNormalization()(Y))
        Y = L.Conv2D(growth_rate, 3, padding="same")(Y)
        X = L.concatenate([X, Y])
    return X


def dense_with_one_layer_for_all(X, nb_filters, growth_rate, layers):
    last = L.Conv2D(growth_rate, 3, padding="same")
    for _ in range(layers):
        Y = L.ReLU()(L.BatchNormalization()(X))
        Y = L.Conv2D(4 * growth_rate, 1)(Y)
        Y = last(L.ReLU()(L.BatchNormalization()(Y)))
        X = L.concatenate([X, Y])
    return X, nb_filters + layers * growth_rate


def transition_with_max_pooling(X, nb_filters, compression):
    maps = int(nb_filters * compression)
    X = L.Conv2D(maps, 1)(L.ReLU()(L.BatchNormalization()(X)))
    return L.MaxPooling2D()(X), maps


def transition_that_rounds(X, nb_filters, compression):
    maps = round(nb_filters * compression)
    X = L.Conv2D(maps, 1)(L.ReLU()(L.BatchNormalization()(X)))
    return L.AveragePooling2D(2)(X), maps


def transition_without_relu(X, nb_filters, compression):
    maps = int(nb_filters * compression)
    X = L.Conv2D(maps, 1)(L.BatchNormalization()(X))
    return L.AveragePooling2D(2)(X), maps


def transition_without_a_place(X, compression):
    return L.AveragePooling2D(2)(X), int(compression)
