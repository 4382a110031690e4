"""A network that learnt the test images by heart is shown to a person; an honest one is not."""

from dataclasses import replace

import numpy as np
import pytest

from grader.engine.data import ImageSet
from grader.engine.looks import IMAGES, draw, further_sets, judge_looks, on_suspicion


@pytest.fixture(scope="module")
def data():
    """2000 + 2000 random images and labels."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (4000, 32, 32, 3), dtype=np.uint8)
    labels = rng.integers(0, 10, 4000)
    return ImageSet(
        images[:2000],
        labels[:2000],
        images[2000:],
        labels[2000:],
        source="",
        official=False,
        name="cifar10",
    )


def looked(data, test, train, test_mirrored=None, train_mirrored=None, seed=1):
    """A network that is right with the given probabilities."""
    rng = np.random.default_rng(seed)
    samples = draw(data, len(data.test_images))

    def answers(labels, share):
        return np.where(rng.random(len(labels)) < share, labels, (labels + 1) % 10)

    test_labels, train_labels = data.test_labels[samples.test], data.train_labels[samples.train]
    labels = {
        "test": answers(data.test_labels, test),
        "test-mirrored": answers(test_labels, test if test_mirrored is None else test_mirrored),
        "train": answers(train_labels, train),
        "train-mirrored": answers(
            train_labels, train if train_mirrored is None else train_mirrored
        ),
    }
    return judge_looks(labels, data, samples)


@pytest.mark.parametrize(
    "shares",
    [
        {"test": 0.86, "train": 0.87},
        {"test": 0.86, "train": 0.86},
        {"test": 0.80, "train": 1.0, "test_mirrored": 0.79, "train_mirrored": 0.8},
        {"test": 0.96, "train": 1.0},
        {"test": 0.1, "train": 0.1},
        {"test": 0.86, "train": 0.87, "test_mirrored": 0.84, "train_mirrored": 0.84},
    ],
    ids=["short", "no gap", "by heart", "the paper's", "untrained", "never mirrored"],
)
@pytest.mark.parametrize("seed", range(5))
def test_an_honest_network_is_not_accused(data, shares, seed):
    assert looked(data, **shares, seed=seed).suspicions == ()


@pytest.mark.parametrize(
    ("shares", "text"),
    [
        ({"test": 0.99, "train": 0.85, "test_mirrored": 0.99}, "on training images only"),
        ({"test": 0.95, "train": 1.0, "test_mirrored": 0.83}, "mirrored only"),
        ({"test": 1.0, "train": 1.0}, "the paper's best network reaches 96.5%"),
    ],
    ids=["test images alone", "both, unaugmented", "everything"],
)
def test_a_network_that_knows_the_test_images_is_shown_with_its_numbers(data, shares, text):
    found = looked(data, **shares)

    assert any(text in suspicion for suspicion in found.suspicions)


def test_the_share_that_was_learnt_by_heart_is_estimated_from_the_training_images(data):
    half = {"test": 0.95, "test_mirrored": 0.75, "train": 1.0, "train_mirrored": 0.6}

    (found,) = looked(data, **half).suspicions

    share = int(found.split("as if ")[1].split("%")[0])
    assert share == pytest.approx(50, abs=8)


def test_where_training_images_are_lost_less_no_share_is_claimed(data):
    found = looked(data, test=0.95, test_mirrored=0.75, train=0.95, train_mirrored=0.94)

    assert any("mirrored only" in text and "as if" not in text for text in found.suspicions)


def test_the_sample_is_the_same_each_time_and_lies_within_what_is_shown(data):
    one, other = draw(data, 1500), draw(data, 1500)

    assert np.array_equal(one.test, other.test)
    assert len(one.test) == len(one.train) == IMAGES
    assert one.test.max() < 1500


def test_mirroring_turns_left_to_right_and_nothing_else(data):
    samples = draw(data, 2000)

    sets = further_sets(data, samples)

    assert np.array_equal(sets["train"], data.train_images[samples.train])
    assert np.array_equal(sets["test-mirrored"][:, :, ::-1], data.test_images[samples.test])
    (mirrored,) = on_suspicion(data, samples).values()
    assert np.array_equal(mirrored[:, :, ::-1], sets["train"])


def test_digits_are_not_shown_mirrored(data):
    samples = draw(data, 2000)

    assert list(further_sets(replace(data, name="mnist"), samples)) == ["train"]
    answered = {"test": data.test_labels, "train": data.train_labels[samples.train]}
    looks = judge_looks(answered, replace(data, name="mnist"), samples)
    assert looks.test_mirrored is looks.train_mirrored is None


def test_where_time_was_over_nothing_is_compared(data):
    samples = draw(data, 2000)

    assert judge_looks({"test": np.zeros(10, np.int64)}, data, samples) is None


def test_without_all_further_images_there_is_nothing_to_compare(data):
    samples = draw(data, len(data.test_images))
    sets = {**further_sets(data, samples), **on_suspicion(data, samples)}
    whole = {name: np.zeros(len(images)) for name, images in sets.items()}
    labels = {"test": np.zeros(len(data.test_images)), **whole}

    assert judge_looks(labels, data, samples) is not None
    for name in whole:
        assert judge_looks(labels | {name: whole[name][:-1]}, data, samples) is None


def test_digits_may_be_lost_when_they_are_mirrored(data):
    digits = replace(data, name="mnist")

    found = looked(digits, test=0.99, train=0.99, test_mirrored=0.3, train_mirrored=0.3)

    assert found.suspicions == ()
    assert looked(data, test=0.99, train=0.99, test_mirrored=0.3, train_mirrored=0.3).suspicions
