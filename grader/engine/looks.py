"""Looks for weights that have seen the test images: for a person to judge, never for points.

Property protected: an honest student is not accused by chance, and a network that knows the test
set is not graded in silence. The grader compares accuracy on test images, on training images, and
on both mirrored left to right: a network that never saw the test images is no better on them than
on those it was trained with, and hardly notices that they are mirrored. Mirrored training images
tell how much was learnt by heart: they are shown where the others raise a suspicion.

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
    """Image sets by name, for the child: those that are always shown beside the test images."""
    found = {"train": data.train_images[samples.train]}
    if data.name == MEASURED_ON:
        found["test-mirrored"] = data.test_images[samples.test][:, :, ::-1]
    return found


def on_suspicion(data: ImageSet, samples: Samples) -> dict[str, NDArray[np.uint8]]:
    """What is shown where `judge_looks` found something without it."""
    if data.name != MEASURED_ON:
        return {}
    return {"train-mirrored": data.train_images[samples.train][:, :, ::-1]}


def judge_looks(
    labels: Mapping[str, NDArray[np.int64]], data: ImageSet, samples: Samples
) -> Looks | None:
    """Compare what the network said of the sets.

    Args:
        labels: Its answers by set, "test" among them; see `further_sets` and `on_suspicion`.
        data: The true labels.
        samples: What `draw` gave.

    Returns:
        The accuracies and what is suspicious; None where not all images were answered.
    """
    if len(labels["test"]) <= int(samples.test.max(initial=0)):
        return None
    test = labels["test"] == data.test_labels[: len(labels["test"])]
    training = data.train_labels[samples.train]
    true = {
        "test-mirrored": data.test_labels[samples.test],
        "train": training,
        "train-mirrored": training,
    }
    shown = true.keys() & labels.keys()
    if any(len(labels[name]) < len(true[name]) for name in shown):
        return None
    right = {name: labels[name] == true[name] for name in shown}
    found = [_above_training(test, right["train"])]
    if data.name == MEASURED_ON:  # a mirrored digit is none, and other sets have other records
        found += [_hurt_by_mirroring(test[samples.test], right), _above_everyone(test)]
    return Looks(
        test=_mean(test),
        test_sample=_mean(test[samples.test]),
        test_mirrored=_share(right, "test-mirrored"),
        train_sample=_mean(right["train"]),
        train_mirrored=_share(right, "train-mirrored"),
        suspicions=tuple(text for text in found if text),
    )


def _share(right: Mapping[str, NDArray[Any]], name: str) -> float | None:
    return _mean(right[name]) if name in right else None


def _above_training(test: NDArray[Any], train: NDArray[Any]) -> str | None:
    """Test images are not answered better than training images."""
    a, b = _mean(test), _mean(train)
    error = math.sqrt(_variance(a, len(test)) + _variance(b, len(train)))
    if not a - b > DEVIATIONS * error:
        return None
    return f"accuracy on test images is {a:.1%}, on training images only {b:.1%}"


def _hurt_by_mirroring(plain: NDArray[Any], right: Mapping[str, NDArray[Any]]) -> str | None:
    """Mirroring an image that was never seen hardly matters; one learnt by heart is lost.

    All training images were learnt, so what mirroring costs there tells what share of the test
    images was (measured: 21% and 48% where it was a quarter and a half).
    """
    mirrored = right["test-mirrored"]
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
    if "train-mirrored" not in right:
        return text
    training_drop = _mean(right["train"]) - _mean(right["train-mirrored"])
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
