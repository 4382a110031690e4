"""Which networks are densely connected at all, and why the others are not."""

import pytest

from grader.graph.dense import count_links, stretches_of, why_not_dense
from tests.graph import tracing

pytestmark = pytest.mark.tensorflow


def of(build):
    """What is said of a network."""
    return why_not_dense(tracing.trace_model(build, modes=("inference",)).graphs["inference"])


def network(body, last=None):
    """A model with a stem and a head around what `body` makes of the maps."""
    import keras
    from keras import layers

    inputs = keras.Input((32, 32, 3))
    x = body(layers.Conv2D(8, 3, strides=2, padding="same")(inputs))
    return keras.Model(inputs, (last or head)(x))


def head(x):
    from keras import layers

    return layers.Dense(10, activation="softmax")(layers.GlobalAveragePooling2D()(x))


def convolution(x, maps=8):
    from keras import layers

    return layers.Conv2D(maps, 3, padding="same")(layers.ReLU()(layers.BatchNormalization()(x)))


def chain(x):
    for _ in range(6):
        x = convolution(x)
    return x


def residual(x):
    from keras import layers

    for _ in range(4):
        x = layers.Add()([x, convolution(convolution(x))])
    return x


def dense(x, count=4, activation="relu", given=lambda maps: maps):
    from keras import layers

    maps = [x]
    for _ in range(count):
        received = given(maps)
        joined = layers.Concatenate()(received) if len(received) > 1 else received[0]
        new = layers.Activation(activation)(layers.BatchNormalization()(joined))
        maps.append(layers.Conv2D(4, 3, padding="same")(new))
    return layers.Concatenate()(maps)


def averaged(one, other):
    import keras
    from keras import layers

    inputs = keras.Input((32, 32, 3))
    return keras.Model(inputs, layers.Average()([one(inputs), other(inputs)]))


def ensemble():
    return averaged(tracing.dense_net(), tracing.dense_net())


def mirrored_too():
    import keras

    net = tracing.dense_net()
    return averaged(net, lambda images: net(keras.ops.flip(images, axis=2)))


def two_trunks_and_one_classifier():
    def body(x):
        from keras import layers

        return layers.Concatenate()([chain(x), residual(x)])

    return network(body)


def ready_made():
    import keras

    return keras.applications.DenseNet121(weights=None, input_shape=(32, 32, 3), classes=10)


@pytest.mark.parametrize(
    ("build", "reason"),
    [
        (lambda: network(chain), "is not densely connected: of the links"),
        (lambda: network(residual), "is not densely connected: of the links"),
        (two_trunks_and_one_classifier, "is not densely connected"),
        (lambda: network(lambda x: dense(x, given=lambda maps: maps[:1])), "side by side"),
        (ensemble, "several networks put together"),
        (mirrored_too, "several networks put together"),
        (ready_made, "is DenseNet121 of ImageNet, which keras.applications has ready-made"),
    ],
    ids=["chain", "residual", "two trunks", "only input", "ensemble", "mirrored", "ready-made"],
)
def test_what_is_no_densely_connected_network_is_said_to_be_none(build, reason):
    assert reason in of(build)


@pytest.mark.parametrize(
    "build",
    [
        tracing.dense_net,
        lambda: tracing.dense_net(bottleneck=False, written="ops"),
        lambda: tracing.dense_net(written="sums", head="flat"),
        lambda: tracing.dense_net(layers=1),
        lambda: network(dense, lambda x: x[:, 0, 0, :10]),
        lambda: network(lambda x: dense(x, activation="gelu")),
        lambda: network(lambda x: dense(x, given=lambda maps: maps[1:] or maps)),
        lambda: network(lambda x: dense(x, given=lambda maps: maps[-2:])),
    ],
    ids=["BC", "basic", "sums", "one layer", "no head", "gelu", "without input", "last two"],
)
def test_a_densenet_with_a_mistake_is_densely_connected_all_the_same(build):
    assert of(build) is None


def test_links_are_counted_by_block_a_bottleneck_and_its_convolution_as_one_layer():
    graph = tracing.trace_model(lambda: tracing.dense_net(layers=3), modes=("inference",))
    stretches = stretches_of(graph.graphs["inference"])

    assert [[len(layer) for layer in s.layers] for s in stretches] == [[2, 2, 2]] * 3
    assert count_links(graph.graphs["inference"], stretches) == (18, 18)
