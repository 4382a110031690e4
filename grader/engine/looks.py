"""Looks for weights that have seen the test images: for a person to judge, never for points.

Property protected: an honest student is not accused by chance, and a network that knows the test
set is not graded in silence. The grader compares accuracy on test images, on training images, and
on both mirrored left to right: a network that never saw the test images is no better on them than
on those it was trained with, and hardly notices that they are mirrored.

Measured on small networks (benchmarks/results/looks.json): of 12 honest ones of four kinds, trained
briefly to far too long, none was shown to a person; of those that learnt a quarter or half of the
test set without augmentation both were, with a tenth not; with augmentation by mirroring, a tenth
and a quarter were not found. What no look can find cannot happen in retrain mode.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from grader.domain import Looks
from grader.engine.images import ImageSet

IMAGES = 1000
"""Images of each further set; they cost a few seconds that are not charged."""
SEED = 20170721
DEVIATIONS = 4.0
"""Standard errors beyond which a difference is not chance: 3 in 100,000 one way."""
MIRROR_DROP = 0.04
"""Largest share that mirroring may cost an honest network on images it never saw."""
MEASURED_ON = "cifar10"
"""The data set that the rules on mirroring and on the best known accuracy were measured on."""
BEST_KNOWN = 0.9654
"""The paper's best on CIFAR-10 (BC L=190 k=40: 3.46% errors), Huang et al. 2017, table 2."""


class Samples(NamedTuple):
    """Which images are looked at."""

    test: NDArray[np.int64]
    train: NDArray[np.int64]


def draw(data: ImageSet, shown: int) -> Samples:
    """The sample: the same for everyone, so that a regrade repeats it.

    Args:
        data: The images.
        shown: How many test images are shown; the sample is of these.
    """
    rng = np.random.default_rng(SEED)
    test = rng.permutation(len(data.test_images))
    test = test[test < shown][:IMAGES]
    train = rng.permutation(len(data.train_images))[:IMAGES]
    return Samples(np.sort(test), np.sort(train))


def further_sets(data: ImageSet, samples: Samples) -> dict[str, NDArray[np.uint8]]:
    """Image sets by name, for the child: those beyond the test images themselves."""
    test, train = data.test_images[samples.test], data.train_images[samples.train]
    return {
        "test-mirrored": test[:, :, ::-1],
        "train": train,
        "train-mirrored": train[:, :, ::-1],
    }


def judge_looks(
    labels: Mapping[str, NDArray[np.int64]], data: ImageSet, samples: Samples
) -> Looks | None:
    """Compare what the network said of the sets.

    Args:
        labels: Its answers by set, "test" first.
        data: The true labels.
        samples: What `draw` gave.

    Returns:
        The accuracies and what is suspicious; None where not all images were answered.
    """
    further = {
        "test-mirrored": samples.test,
        "train": samples.train,
        "train-mirrored": samples.train,
    }
    if len(labels["test"]) <= int(samples.test.max(initial=0)):
        return None
    if any(len(labels[name]) < len(sample) for name, sample in further.items()):
        return None
    test_right = labels["test"] == data.test_labels[: len(labels["test"])]
    sample = test_right[samples.test]
    mirrored = labels["test-mirrored"] == data.test_labels[samples.test]
    train = labels["train"] == data.train_labels[samples.train]
    train_mirrored = labels["train-mirrored"] == data.train_labels[samples.train]
    looks = Looks(
        test=_mean(test_right),
        test_sample=_mean(sample),
        test_mirrored=_mean(mirrored),
        train_sample=_mean(train),
        train_mirrored=_mean(train_mirrored),
    )
    found = [_above_training(test_right, train)]
    if data.name == MEASURED_ON:  # a mirrored digit is none, and other sets have other records
        found += [
            _hurt_by_mirroring(sample, mirrored, looks.train_sample - looks.train_mirrored),
            _above_everyone(test_right),
        ]
    return looks.model_copy(update={"suspicions": tuple(text for text in found if text)})


def _above_training(test: NDArray[Any], train: NDArray[Any]) -> str | None:
    """Test images are not answered better than training images."""
    a, b = _mean(test), _mean(train)
    error = math.sqrt(_variance(a, len(test)) + _variance(b, len(train)))
    if not a - b > DEVIATIONS * error:
        return None
    return f"accuracy on test images is {a:.1%}, on training images only {b:.1%}"


def _hurt_by_mirroring(
    plain: NDArray[Any], mirrored: NDArray[Any], training_drop: float
) -> str | None:
    """Mirroring an image that was never seen hardly matters; one learnt by heart is lost.

    All training images were learnt, so what mirroring costs there tells what share of the test
    images was (measured: 21% and 48% where it was a quarter and a half).
    """
    lost, won = int((plain & ~mirrored).sum()), int((mirrored & ~plain).sum())
    drop = (lost - won) / max(len(plain), 1)
    # McNemar's test: of the images whose answer changed, half should have changed either way.
    deviations = (lost - won) / math.sqrt(lost + won) if lost + won else 0.0
    if not (drop > MIRROR_DROP and deviations > DEVIATIONS):
        return None
    text = (
        f"accuracy on {len(plain)} test images is {_mean(plain):.1%}, "
        f"mirrored only {_mean(mirrored):.1%}"
    )
    if training_drop < drop:
        return text
    return f"{text}, as if {drop / training_drop:.0%} of them had been learnt by heart"


def _above_everyone(test: NDArray[Any]) -> str | None:
    """No DenseNet of the paper comes near all test images."""
    a = _mean(test)
    if not a - BEST_KNOWN > DEVIATIONS * math.sqrt(_variance(BEST_KNOWN, len(test))):
        return None
    return f"accuracy on test images is {a:.1%}; the paper's best network reaches {BEST_KNOWN:.1%}"


def _mean(right: NDArray[Any]) -> float:
    return float(right.mean()) if right.size else 0.0


def _variance(share: float, images: int) -> float:
    # Agresti and Coull's two extra of each keep the variance from vanishing at 0 and 1.
    smoothed = (share * images + 2) / (images + 4)
    return smoothed * (1 - smoothed) / (images + 4)
