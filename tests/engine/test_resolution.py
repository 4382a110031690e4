"""Training on smaller images first: the schedule, the shrinking, the network that takes them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from grader.engine.data import ImageSet
from grader.engine.history import Progress
from grader.engine.recipe import Images, Optimizer, Recipe, RecipeError, Schedule
from grader.engine.resolution import area_weights, networks, sizes_by_epoch, smaller
from grader.engine.train import fit

Build = Callable[..., Any]
GROWING = Images(sizes=(16, 24, 32), changes_at=(0.5, 0.75))


def recipe(epochs: int = 4, images: Images = GROWING) -> Recipe:
    rate = Optimizer(learning_rate=0.05)
    return Recipe(
        epochs=epochs,
        batch_size=16,
        ema=0.9,
        optimizer=rate,
        images=images,
        schedule=Schedule(name="one_cycle"),
    )


def test_each_size_begins_at_its_share_of_the_epochs() -> None:
    assert sizes_by_epoch(recipe(8)) == [16, 16, 16, 16, 24, 24, 32, 32]


@pytest.mark.parametrize("epochs", [1, 2, 3])
def test_the_last_epoch_has_whole_images_however_short_the_run(epochs: int) -> None:
    late = Images(sizes=(16, 32), changes_at=(0.95,))

    assert sizes_by_epoch(recipe(epochs, late)) == [*[16] * (epochs - 1), 32]


def test_a_recipe_without_sizes_trains_on_whole_images() -> None:
    assert sizes_by_epoch(Recipe(epochs=3)) == [32, 32, 32]


@pytest.mark.parametrize("size", [8, 12, 16, 20, 24, 28])
def test_each_larger_pixel_is_the_mean_of_what_it_covers(size: int) -> None:
    import cv2

    image = np.random.default_rng(size).random((32, 32, 3), dtype=np.float32)
    weights = area_weights(32, size)

    found = np.einsum("ih,jw,hwc->ijc", weights, weights, image)

    area = cv2.resize(image, (size, size), interpolation=cv2.INTER_AREA)
    np.testing.assert_allclose(found, area, atol=1e-5)


@pytest.mark.tensorflow
def test_what_preprocess_gave_keeps_its_type_and_bytes_are_rounded() -> None:
    images = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3)).astype(np.uint8)

    found = np.asarray(smaller(images, 16))

    assert found.dtype == np.uint8
    means = images.reshape(2, 16, 2, 16, 2, 3).astype(np.float32).mean((2, 4))
    assert np.abs(found - means).max() <= 0.5
    assert smaller(images, 32) is images


@pytest.mark.tensorflow
def test_the_network_for_small_images_has_the_models_own_weights(tiny: Build) -> None:
    model = tiny()

    by_size = networks(model, recipe())

    assert sorted(by_size) == [16, 24, 32]
    assert by_size[32] is model
    ours, theirs = (
        [id(v) for v in m.trainable_variables + m.non_trainable_variables]
        for m in (model, by_size[16])
    )
    assert ours == theirs


@pytest.mark.tensorflow
def test_a_network_for_one_size_only_is_refused_before_the_first_step(easy: ImageSet) -> None:
    import keras
    from keras import layers

    inputs = keras.Input((32, 32, 3))
    x = layers.AveragePooling2D(8)(layers.Conv2D(4, 3, strides=4, padding="same")(inputs))
    model = keras.Model(inputs, layers.Dense(10)(layers.Flatten()(x)))

    with pytest.raises(RecipeError, match=r"images\.sizes: build_model.* takes images of 32 × 32"):
        fit(model, recipe(), easy)


class Killed(BaseException):
    """Stands for a kill -9."""


@pytest.mark.tensorflow
def test_a_run_killed_between_two_sizes_gives_the_weights_it_would_have_given(
    tiny: Build, easy: ImageSet, tmp_path: Path
) -> None:
    def kill(event: object) -> None:
        if isinstance(event, Progress) and event.epoch == 3:
            raise Killed

    whole = tiny()
    fit(whole, recipe(), easy)
    with pytest.raises(Killed):
        fit(tiny(), recipe(), easy, checkpoint_dir=tmp_path, on_event=kill)
    model = tiny(seed=99)

    fit(model, recipe(), easy, checkpoint_dir=tmp_path)

    for one, other in zip(model.get_weights(), whole.get_weights(), strict=True):
        assert (one == other).all()


@pytest.mark.tensorflow
def test_the_time_that_remains_counts_the_larger_images_to_come(
    tiny: Build, easy: ImageSet
) -> None:
    half = Images(sizes=(16, 32), changes_at=(0.5,))
    told: list[Progress] = []

    def note(event: object) -> None:
        if isinstance(event, Progress) and event.epoch == 1 and event.remaining_s:
            told.append(event)

    fit(tiny(), recipe(2, half), easy, on_event=note)

    last = told[-1]  # the first epoch is over, and the second costs four times as much
    assert (last.remaining_s or 0) * (last.images_per_s or 0) == pytest.approx(4 * 144)
