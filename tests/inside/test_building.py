"""Keras builds the same network with the shortcuts as without."""

import copy
import inspect

import numpy as np
import pytest

from grader.inside import trace
from grader.inside.tracing import building, cheaper

pytestmark = pytest.mark.tensorflow


@pytest.fixture
def keeping(monkeypatch):
    """Puts back what the shortcuts change."""
    from keras.src import backend, initializers
    from keras.src.backend.tensorflow import core
    from keras.src.layers import layer
    from keras.src.ops import operation

    for owner, name in (
        (layer.Layer, "__setattr__"), (layer, "inspect"), (operation, "inspect"),
        (core, "is_tensor"), (backend, "is_tensor"), (layer, "is_backend_tensor_or_symbolic"),
        (initializers, "get"), (building, "_kinds"), (building, "_plain_values"),
    ):  # fmt: skip
        monkeypatch.setattr(owner, name, getattr(owner, name))
    monkeypatch.setattr(building, "_kinds", [])
    monkeypatch.setattr(building, "_plain_values", {})


@pytest.fixture
def shortcuts(keeping):
    building.with_less_bookkeeping()


def network():
    """A network with a layer of each class of the template's, and one of the student's own."""
    import keras
    from keras import layers

    class Twice(layers.Layer):
        def __init__(self):
            super().__init__(name="twice")
            self.parts = [layers.Conv2D(3, 3, name="one"), layers.Dense(2, name="two")]
            self.table = {"scale": 2.0, "more": (1, [layers.ReLU(name="inner")])}
            self.note = None

        def call(self, x, training=False):
            return self.parts[1](self.parts[0](x)) * self.table["scale"]

    keras.utils.clear_session()
    keras.utils.set_random_seed(0)
    inputs = keras.Input((8, 8, 3))
    x = layers.Conv2D(6, 3, padding="same", kernel_initializer="he_normal")(inputs)
    x = layers.Activation("relu")(layers.BatchNormalization(momentum=0.9)(x))
    x = layers.Concatenate()([layers.Dropout(0.2)(x), layers.AveragePooling2D(1)(x)])
    x = layers.GlobalAveragePooling2D()(Twice()(x))
    return keras.Model(inputs, layers.Dense(5, activation="softmax")(x))


def plain(value):
    """What can be compared of an attribute, two networks being different objects."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, dict):
        return type(value).__name__, [(plain(k), plain(v)) for k, v in value.items()]
    if isinstance(value, list | tuple):
        return type(value).__name__, [plain(part) for part in value]
    return type(value).__name__


def attributes(model):
    """All but the arguments that a layer with a `get_config` of its own never reads again."""
    return {
        layer.name: {
            name: plain(value)
            for name, value in vars(layer).items()
            if name != "_auto_config" or keras_default(layer)
        }
        for layer in model._flatten_layers()
    }


def keras_default(layer):
    from keras.src.utils import python_utils

    return python_utils.is_default(layer.get_config)


def test_a_network_has_the_attributes_and_values_that_keras_gives_it(keeping):
    given = network()

    building.with_less_bookkeeping()
    with building.values_when_asked():
        found = network()

    assert attributes(found) == attributes(given)
    assert [layer.get_config() for layer in found.layers[:4]] == [
        layer.get_config() for layer in given.layers[:4]
    ]
    assert [v.path for v in found.variables] == [v.path for v in given.variables]
    assert not building.has_handle(found.variables[0].value)
    for one, other in zip(found.variables, given.variables, strict=True):
        assert one.numpy().tobytes() == other.numpy().tobytes(), one.path
        assert one.value.shape == other.value.shape
        assert building.has_handle(one.value)
    images = np.ones((1, 8, 8, 3), np.float32)
    assert np.array_equal(found(images), given(images))


def test_a_value_that_was_given_before_it_was_asked_for_stays(shortcuts):
    with building.values_when_asked():
        model = network()

    model.variables[0].assign(np.full(model.variables[0].shape, 7.0))
    kept = copy.deepcopy(model.variables[1].value)

    assert (model.variables[0].numpy() == 7.0).all()
    assert (kept.numpy() == model.variables[1].numpy()).all()


def test_an_initialiser_that_was_changed_or_has_a_sequence_of_its_own_is_asked(
    shortcuts, monkeypatch
):
    import keras

    monkeypatch.setattr(keras.initializers.Zeros, "__call__", lambda *a, **k: np.ones(3, "float32"))
    with building.values_when_asked():
        changed = keras.Variable("zeros", shape=(3,))
        sequence = keras.initializers.RandomNormal(seed=keras.random.SeedGenerator(1))
        drawn = [keras.Variable(sequence, shape=(3,)) for _ in range(2)]

    assert changed.numpy().tolist() == [1.0, 1.0, 1.0]
    assert all(building.has_handle(v.value) for v in drawn)
    assert drawn[0].numpy().tolist() != drawn[1].numpy().tolist()


def test_a_variable_without_value_has_none_with_a_handle_either(shortcuts):
    import keras
    import tensorflow as tf

    with cheaper.without_values():
        variable = keras.Variable("zeros", shape=(3,))

    assert isinstance(variable.value, tf.Variable)
    assert not building.has_handle(variable.value)
    assert variable.numpy().size == 0
    assert building.has_handle(variable.value)


@pytest.mark.parametrize("part", ["Layer._setattr_hook", "Tracker.track"])
def test_what_a_program_puts_in_place_of_keras_s_bookkeeping_is_called(
    shortcuts, monkeypatch, part
):
    from keras.src.layers import Layer
    from keras.src.utils.tracking import Tracker

    owner, name = part.split(".")
    kind, seen = {"Layer": Layer, "Tracker": Tracker}[owner], []
    given, layer = getattr(kind, name), Layer()

    def replaced(self, *values):
        seen.append(values)
        return given(self, *values)

    monkeypatch.setattr(kind, name, replaced)
    layer.note = 3

    assert any(3 in values for values in seen)


@pytest.mark.parametrize("empty", [[], {}], ids=["list", "dict"])
def test_a_layer_that_is_put_into_a_collection_later_is_tracked(shortcuts, empty):
    from keras import layers

    outer, inner = layers.Layer(), layers.Dense(3)
    outer.parts, outer.sizes = empty, [1, 2]
    if isinstance(empty, dict):
        outer.parts["inner"] = inner
    else:
        outer.parts.append(inner)

    assert outer._flatten_layers(include_self=False) == [inner]
    assert type(outer.sizes).__name__ == "TrackedList"
    assert outer.sizes.tracker is outer._tracker
    assert outer._tracked[-2:] == ["parts", "sizes"]


def test_a_set_is_walked_in_keras_s_order(keeping):
    from keras import layers

    sets = [{3, 8, 64}, {103, 159}, {64, 12, 48, 32}, set()]

    def walked():
        layer = layers.Layer()
        kept = []
        for each in sets:
            layer.widths = each
            kept.append((type(layer.widths).__name__, list(layer.widths)))
        return kept

    given = walked()
    building.with_less_bookkeeping()

    assert walked() == given


def test_an_initialiser_is_made_by_the_name_that_it_is_registered_under(shortcuts):
    import keras
    from keras.src import initializers

    class Own(keras.initializers.Zeros):
        pass

    with keras.saving.custom_object_scope({"zeros": Own}):
        registered = initializers.get("zeros")

    assert type(registered) is Own
    assert type(initializers.get("zeros")) is keras.initializers.Zeros
    assert initializers.get("he_normal").get_config() == keras.initializers.HeNormal().get_config()
    assert initializers.get(registered) is registered
    with pytest.raises(ValueError, match="nothing_known"):
        initializers.get("nothing_known")


def test_a_property_of_a_layer_is_set_and_what_it_has_already_is_left(shortcuts):
    from keras import layers

    layer = layers.Dense(3)
    layer.trainable = False
    own = dict(vars(layer))

    layer.supports_masking = layer.supports_masking

    assert not layer._trainable
    assert vars(layer) == own


def test_a_signature_is_that_of_the_function_as_it_is_now(shortcuts, monkeypatch):
    from keras.src.layers import layer

    known = layer.inspect.signature
    call = layer.Layer.build_from_config

    def own(self, x, training=True):
        return x

    assert known(call) is known(call)
    assert known(call) == inspect.signature(call)
    assert known(layer.Layer().build_from_config) == inspect.signature(
        layer.Layer().build_from_config
    )
    monkeypatch.setattr(call, "__defaults__", (None,))
    assert known(call) == inspect.signature(call)
    assert known(own) is not known(own)


def test_the_signature_of_a_build_in_its_layer_s_wrapper_is_that_of_the_build(shortcuts):
    from keras import layers
    from keras.src.layers import layer

    class Own(layers.Layer):
        def build(self, shape, more=None):
            pass

    known = layer.inspect.signature
    for made in (layers.Dense(3), layers.Conv2D(3, 3), layers.ReLU(), layers.Concatenate(), Own()):
        assert known(made.build) == inspect.signature(made.build)
        assert layer.inspect.getfullargspec(made.build) == inspect.getfullargspec(made.build)
    assert known(layers.Dense(3).build) is known(layers.Dense(5).build)
    assert list(known(Own().build).parameters) == ["shape", "more"]


def test_a_layer_keeps_its_arguments_where_it_has_no_configuration_of_its_own(shortcuts):
    from keras import layers

    class Own(layers.Layer):
        def __init__(self, factor, **rest):
            super().__init__(**rest)

    class Wider(layers.Dense):
        def __init__(self, units, factor=2):
            super().__init__(units * factor)

    assert Own(3.0, name="own").get_config()["factor"] == 3.0
    assert Wider(4).get_config()["units"] == 8
    assert layers.Dense.from_config(layers.Dense(3).get_config()).units == 3
    with pytest.raises(ValueError, match="wrong"):
        layers.Dense(units=3, wrong=1)


def test_what_is_a_tensor_is_told_as_keras_tells_it(keeping):
    import keras
    import tensorflow as tf
    from keras.src import backend
    from keras.src.layers import layer

    @tf.function
    def symbolic():
        tensor = tf.zeros(3)
        seen.append((backend.is_tensor(tensor), layer.is_backend_tensor_or_symbolic(tensor)))

    values = [
        None, True, 3, 1.5, "text", [tf.zeros(3)], (), {}, tf.zeros(3), tf.Variable(1.0),
        keras.Variable(1.0), keras.Input((3,)), np.zeros(3), tf.ragged.constant([[1], [2, 3]]),
        tf.sparse.from_dense([[1.0]]), len, keras.initializers.Zeros(),
    ]  # fmt: skip

    def answers():
        return [
            (backend.is_tensor(v), *(layer.is_backend_tensor_or_symbolic(v, n) for n in (0, 1)))
            for v in values
        ]

    seen: list[tuple[bool, bool]] = []
    given = answers()
    building.with_less_bookkeeping()
    symbolic()

    assert answers() == given
    assert seen == [(True, True)]


class Channel:
    def send_json(self, name, content):
        pass


@pytest.mark.parametrize(
    ("request_", "version", "taken"),
    [({}, None, True), ({"plain": True}, None, False), ({}, "3.99.0", False)],
    ids=["as a rule", "plain", "another Keras"],
)
def test_shortcuts_are_taken_where_nothing_forbids_them(
    monkeypatch, tmp_path, request_, version, taken
):
    import keras
    import tensorflow as tf

    calls = []
    monkeypatch.setattr(trace, "_silence", lambda: (tf, keras))
    monkeypatch.setattr(trace.student, "greet", lambda name: None)
    monkeypatch.setattr(building, "with_less_bookkeeping", lambda: calls.append(1))
    if version:
        monkeypatch.setattr(keras, "__version__", version)

    trace.run({"module": "there_is_none", **request_}, tmp_path, Channel())
    trace.copies.end()

    assert bool(calls) == taken
