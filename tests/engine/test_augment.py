import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grader.engine.augment import Draws, TrainingImages, draw_epoch, padded_pixels
from grader.engine.recipe import Augmentation, Recipe

ALL = Augmentation(flip=True, pad_crop=4, cutout=8, mixup=0.2)


def recipe(what: Augmentation = ALL, seed: int = 0, batch_size: int = 8) -> Recipe:
    return Recipe(batch_size=batch_size, seed=seed, augmentation=what)


def test_the_same_seed_and_epoch_draw_the_same() -> None:
    first, second = draw_epoch(recipe(), 3, 100), draw_epoch(recipe(), 3, 100)

    assert all((a == b).all() for a, b in zip(first, second, strict=True))


def test_another_epoch_or_seed_draws_otherwise() -> None:
    first = draw_epoch(recipe(), 3, 100).image

    assert (first != draw_epoch(recipe(), 4, 100).image).any()
    assert (first != draw_epoch(recipe(seed=1), 3, 100).image).any()


def test_an_epoch_takes_each_image_once_and_drops_less_than_a_batch() -> None:
    drawn = draw_epoch(recipe(), 0, 100).image

    assert drawn.shape == (12, 8)
    assert len(set(drawn.ravel().tolist())) == 96


def test_fewer_images_than_a_batch_are_one_step() -> None:
    assert draw_epoch(recipe(batch_size=128), 0, 100).image.shape == (1, 100)


def test_draws_stay_within_their_bounds() -> None:
    drawn = draw_epoch(recipe(), 0, 1000)

    assert set(np.unique(drawn.top)) == set(range(9))
    assert set(np.unique(drawn.flip)) == {0, 1}
    assert drawn.mix.min() >= 0.5
    assert drawn.mix.max() <= 1


def test_without_augmentation_nothing_is_drawn_but_the_order() -> None:
    drawn = draw_epoch(recipe(Augmentation()), 0, 100)

    assert not drawn.top.any()
    assert not drawn.flip.any()
    assert (drawn.mix == 1).all()


def test_alternating_flips_mirror_each_image_in_every_second_epoch() -> None:
    rules = recipe(Augmentation(flip=True, alternate_flips=True))

    def mirrored(epoch: int) -> dict[int, int]:
        drawn = draw_epoch(rules, epoch, 96)
        return dict(zip(drawn.image.ravel().tolist(), drawn.flip.ravel().tolist(), strict=True))

    first, second, third = (mirrored(epoch) for epoch in range(3))
    assert all(first[image] + second[image] == 1 for image in range(96))
    assert first == third
    assert 30 < sum(first.values()) < 66


def test_alternating_flips_change_nothing_else_that_is_drawn() -> None:
    one = draw_epoch(recipe(Augmentation(flip=True, pad_crop=2)), 3, 100)
    other = draw_epoch(recipe(Augmentation(flip=True, alternate_flips=True, pad_crop=2)), 3, 100)

    assert (one.flip != other.flip).any()
    pairs = zip(one._replace(flip=other.flip), other, strict=True)
    assert all((mine == theirs).all() for mine, theirs in pairs)


def test_a_short_slice_is_filled_to_its_length() -> None:
    drawn = draw_epoch(recipe(), 0, 100)

    part = drawn.slice(10, 12, 5)

    assert (part.image[:2] == drawn.image[10:12]).all()
    assert part.image.shape == (5, 8)


def test_the_border_is_the_mean_colour() -> None:
    images = np.zeros((2, 32, 32, 3), np.uint8)
    images[..., 1] = 90

    padded = padded_pixels(images, 2).reshape(2, 36, 36, 3)

    assert padded[0, 0, 0].tolist() == [0, 90, 0]


def one_step(images: np.ndarray, what: Augmentation, **draws: object) -> tuple[np.ndarray, ...]:
    count = len(images)
    zeros = np.zeros(count, np.int32)
    plain = Draws(
        np.arange(count, dtype=np.int32),
        zeros + what.pad_crop,
        zeros + what.pad_crop,
        zeros,
        np.zeros((count, 2), np.int32),
        np.ones(1, np.float32),
    )
    labels = np.arange(count) % 10
    pool = TrainingImages(images, labels, what, 10)
    return tuple(np.asarray(part) for part in pool.batch(plain._replace(**draws)))


@pytest.fixture
def images() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (6, 32, 32, 3), np.uint8)


@pytest.mark.tensorflow
def test_the_middle_crop_without_mirror_is_the_image_itself(images: np.ndarray) -> None:
    found, target, labels = one_step(images, Augmentation(pad_crop=4))

    assert (found == images).all()
    assert found.dtype == np.uint8
    assert (target.argmax(-1) == labels).all()


@pytest.mark.tensorflow
def test_a_mirrored_image_is_mirrored_left_to_right(images: np.ndarray) -> None:
    flip = np.array([1, 0, 1, 0, 1, 0], np.int32)

    found, _, _ = one_step(images, Augmentation(flip=True), flip=flip)

    assert (found[0] == images[0, :, ::-1]).all()
    assert (found[1] == images[1]).all()


@pytest.mark.tensorflow
def test_a_shifted_image_is_shifted_and_the_border_comes_in(images: np.ndarray) -> None:
    top = np.zeros(6, np.int32)

    found, _, _ = one_step(images, Augmentation(pad_crop=4), top=top)

    assert (found[:, 4:] == images[:, :-4]).all()
    assert (found[:, :4] == found[0, 0, 0]).all()


@pytest.mark.tensorflow
def test_cutout_blanks_one_square_and_leaves_the_rest(images: np.ndarray) -> None:
    hole = np.full((6, 2), 16, np.int32)

    found, _, _ = one_step(images, Augmentation(cutout=8), hole=hole)

    assert (found[:, 12:20, 12:20] == found[0, 12, 12]).all()
    changed = (found != images).any(-1)
    changed[:, 12:20, 12:20] = False
    assert not changed.any()


@pytest.mark.tensorflow
def test_cutout_at_the_border_is_cut_off_there(images: np.ndarray) -> None:
    found, _, _ = one_step(images, Augmentation(cutout=8), hole=np.zeros((6, 2), np.int32))

    assert (found[:, :4, :4] == found[0, 0, 0]).all()
    assert (found[:, 4:, 4:] == images[:, 4:, 4:]).all()


@pytest.mark.tensorflow
def test_mixup_mixes_images_and_labels_by_the_same_share(images: np.ndarray) -> None:
    share = np.array([0.75], np.float32)

    found, target, labels = one_step(images, Augmentation(mixup=0.2), mix=share)

    expected = np.rint(0.75 * images[1].astype(np.float32) + 0.25 * images[0])
    assert np.abs(found[1].astype(np.float32) - expected).max() <= 1
    assert target[1, labels[1]] == pytest.approx(0.75)
    assert target[1, labels[0]] == pytest.approx(0.25)


recipes = st.builds(
    Recipe,
    batch_size=st.integers(1, 64),
    seed=st.integers(0, 2**31 - 1),
    augmentation=st.builds(
        Augmentation,
        flip=st.booleans(),
        pad_crop=st.integers(0, 16),
        cutout=st.integers(0, 32),
        mixup=st.sampled_from([0.0, 0.01, 0.2, 1.0, 10.0]),
    ),
)


@given(recipes, st.integers(0, 1000), st.integers(1, 200))
def test_whatever_the_recipe_each_image_is_drawn_at_most_once_and_within_bounds(
    recipe: Recipe, epoch: int, examples: int
) -> None:
    draws = draw_epoch(recipe, epoch, examples)
    what = recipe.augmentation

    steps, batch = draws.image.shape
    assert batch == min(recipe.batch_size, examples)
    assert steps == examples // batch
    assert len(np.unique(draws.image)) == draws.image.size
    assert draws.image.min() >= 0
    assert draws.image.max() < examples
    for shift in (draws.top, draws.left):
        assert shift.min() >= 0
        assert shift.max() <= 2 * what.pad_crop
    assert set(np.unique(draws.flip)) <= ({0, 1} if what.flip else {0})
    # The image itself always has the larger share, so that its label is the likelier one.
    assert draws.mix.min() >= 0.5
    assert draws.mix.max() <= 1.0
    assert what.mixup or draws.mix.min() == 1.0


@given(recipes, st.integers(0, 1000), st.integers(64, 200), st.data())
def test_however_an_epoch_is_cut_into_calls_the_same_steps_are_taken(
    recipe: Recipe, epoch: int, examples: int, data: st.DataObject
) -> None:
    draws = draw_epoch(recipe, epoch, examples)
    steps = len(draws.image)
    cut = data.draw(st.integers(0, steps - 1))

    calls = [(a, b) for a, b in ((0, cut), (cut, steps)) if b > a]
    taken = [draws.slice(a, b, steps + 3).image[: b - a] for a, b in calls]
    assert np.array_equal(np.concatenate(taken), draws.image)


@pytest.mark.tensorflow
@given(
    size=st.integers(1, 32),
    mixup=st.sampled_from([0.0, 0.2, 1.0]),
    seed=st.integers(0, 1000),
)
@settings(max_examples=15, deadline=None)
def test_cutout_and_mixup_stay_bytes_and_labels_stay_shares(
    size: int, mixup: float, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, 256, (6, 32, 32, 3), dtype=np.uint8)
    what = Augmentation(cutout=size, mixup=mixup)
    images = TrainingImages(pixels, np.arange(6), what, 10)
    draws = draw_epoch(Recipe(batch_size=6, seed=seed, augmentation=what), 0, 6)

    made, target, _ = images.batch(Draws(*(array[0] for array in draws)))

    made, target = np.asarray(made), np.asarray(target)
    assert made.dtype == np.uint8
    assert made.shape == pixels.shape
    assert target.sum(-1) == pytest.approx(np.ones(6), abs=1e-6)
    assert target.min() >= 0
