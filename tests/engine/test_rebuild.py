"""A network built anew gives the same numbers, trains alike, and says what it lacks."""

import numpy as np
import pytest

from grader.engine.plan import Unrebuildable
from grader.engine.rebuild import images_as_floats, rebuild
from grader.graph.averages import momentum_of
from tests.graph import tracing
from tests.graph.writing import agrees

pytestmark = pytest.mark.tensorflow


def rebuilt(traced, poured=True):
    return rebuild(
        traced.graphs["inference"],
        traced.graphs.get("training"),
        traced.traces["inference"].variables,
        traced.values if poured else None,
    )


def answers(built, images):
    return np.asarray(built.model(images_as_floats(images), training=False))


def build_odd():
    import keras
    from keras import layers as kl

    inputs = keras.Input((32, 32, 3))
    x = kl.Conv2D(8, 3, strides=2, padding="same", activation="gelu")(inputs)
    x = kl.AveragePooling2D(3, 2, padding="same")(x)
    x = kl.Cropping2D(((1, 0), (0, 1)))(kl.ZeroPadding2D(1)(x))
    x = kl.Add()([x, kl.Conv2D(8, 3, padding="same")(x)])
    x = kl.DepthwiseConv2D(3, depth_multiplier=2, padding="same")(x)
    x = kl.MaxPooling2D(3, 2, padding="same")(x)
    x = kl.BatchNormalization(scale=False, momentum=0.8)(x)
    gate = kl.Dense(16, activation="sigmoid")(kl.GlobalAveragePooling2D(keepdims=True)(x))
    x = kl.LeakyReLU(0.1)(kl.Multiply()([x, gate]))
    x = kl.Concatenate()([x[..., 4:], x[..., :6]])
    return keras.Model(inputs, kl.Dense(10, activation="log_softmax")(kl.Flatten()(x)))


@pytest.mark.parametrize(
    "build",
    [
        pytest.param(tracing.dense_net, id="dense net"),
        pytest.param(lambda: tracing.dense_net(written="ops", head="logits"), id="ops"),
        pytest.param(lambda: tracing.dense_net(bottleneck=False, head="flat"), id="basic, flat"),
        pytest.param(lambda: tracing.dense_net(dropout=0.2), id="dropout"),
        pytest.param(lambda: tracing.dense_net(written="sums"), id="sums"),
        pytest.param(build_odd, id="odd"),
    ],
)
def test_with_the_students_weights_it_gives_what_the_students_own_gave(build):
    traced = tracing.trace_model(build)

    built = rebuilt(traced)

    assert agrees(traced.expected, answers(built, traced.images))
    assert built.notes == ()


def test_it_has_as_many_trainable_numbers_as_the_students(small_dense_net):
    table = small_dense_net.traces["inference"].variables

    model = rebuilt(small_dense_net).model

    assert sum(int(np.prod(v.shape)) for v in model.trainable_variables) == sum(
        v.size for v in table if v.trainable
    )


def test_in_training_it_takes_batch_statistics_and_moves_its_averages_as_the_students_does():
    def build():
        import keras
        from keras import layers as kl

        inputs = keras.Input((32, 32, 3))
        x = kl.Conv2D(4, 3)(inputs)
        x = kl.GlobalAveragePooling2D()(kl.BatchNormalization(momentum=0.7, name="bn")(x))
        return keras.Model(inputs, kl.Dense(10)(x))

    kept = []
    traced = tracing.trace_model(lambda: kept.append(build()) or kept[0])
    built = rebuilt(traced)
    images = images_as_floats(traced.images)

    own = np.asarray(kept[0](images, training=True))
    received = np.asarray(built.model(images, training=True))

    assert agrees(own, received)
    layer = next(x for x in built.model.layers if type(x).__name__ == "BatchNormalization")
    for name in ("moving_mean", "moving_variance"):
        expected = np.asarray(getattr(kept[0].get_layer("bn"), name))
        assert np.allclose(expected, np.asarray(getattr(layer, name)), rtol=1e-4)


def test_the_momentum_is_read_off_the_training_graph():
    traced = tracing.trace_model(build_odd)
    names = [v.name for v in traced.traces["training"].variables]
    mean = next(i for i, name in enumerate(names) if name.endswith("moving_mean"))

    assert momentum_of(traced.graphs["training"].updates[mean], mean) == pytest.approx(0.8)


def test_dropout_acts_in_training_where_the_student_has_it():
    traced = tracing.trace_model(lambda: tracing.dense_net(dropout=0.25))

    layers = [x for x in rebuilt(traced).model.layers if type(x).__name__ == "Dropout"]

    assert {layer.rate for layer in layers} == {0.25}
    assert len(layers) >= 12


def test_augmentation_inside_the_model_is_left_out_with_a_note():
    def build():
        import keras
        from keras import layers as kl

        inputs = keras.Input((32, 32, 3))
        x = kl.Conv2D(4, 3, padding="same")(kl.RandomFlip("horizontal", seed=1)(inputs))
        return keras.Model(inputs, kl.Dense(10)(kl.GlobalAveragePooling2D()(x)))

    traced = tracing.trace_model(build)

    built = rebuilt(traced)

    assert "only in training" in built.notes[0]
    assert agrees(traced.expected, answers(built, traced.images))


def test_a_layer_used_twice_is_built_once():
    def build():
        import keras
        from keras import layers as kl

        inputs = keras.Input((32, 32, 3))
        shared = kl.Conv2D(3, 3, padding="same", use_bias=False)
        x = shared(kl.ReLU()(shared(inputs)))
        return keras.Model(inputs, kl.Dense(10)(kl.GlobalAveragePooling2D()(x)))

    traced = tracing.trace_model(build)

    model = rebuilt(traced).model

    assert len(model.trainable_variables) == 3
    assert agrees(traced.expected, np.asarray(model(images_as_floats(traced.images))))


def test_a_kernel_computed_from_other_weights_is_named():
    def build():
        import keras
        from keras import layers as kl

        class Standardised(kl.Conv2D):
            def call(self, x):
                kernel = self.kernel - keras.ops.mean(self.kernel, axis=(0, 1, 2))
                return keras.ops.conv(x, kernel, 1, "same")

        inputs = keras.Input((32, 32, 3))
        x = Standardised(4, 3)(inputs)
        return keras.Model(inputs, kl.Dense(10)(kl.GlobalAveragePooling2D()(x)))

    traced = tracing.trace_model(build)

    with pytest.raises(Unrebuildable, match="computed from other weights"):
        rebuilt(traced)


def test_the_last_layer_is_the_softmax_so_that_the_trainer_can_take_it_off(small_dense_net):
    from grader.engine.train import logits_of

    model = rebuilt(small_dense_net).model

    with logits_of(model) as from_logits:
        assert from_logits
        sums = np.asarray(model(images_as_floats(small_dense_net.images))).sum(-1)
    assert not np.allclose(sums, 1)


def test_it_learns_like_any_other_network(small_dense_net, easy):
    from grader.engine.recipe import Optimizer, Recipe
    from grader.engine.train import fit, prepare

    recipe = Recipe(
        epochs=8, batch_size=20, validation=0.0, optimizer=Optimizer(learning_rate=0.05)
    )
    prepare(recipe)
    model = rebuilt(small_dense_net, poured=False).model

    history = fit(model, recipe, easy, preprocess=images_as_floats)

    assert history.epochs[-1].loss < 0.75 * history.epochs[0].loss
