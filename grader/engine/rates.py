"""Looks for the learning rate: a hundred steps, each at a higher rate than the one before.

Smith 2017 ("Cyclical Learning Rates for Training Neural Networks", sec. 3.3). The loss falls while
the rate is of use and rises when it is too high. Nothing of these steps is kept.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from grader.engine.augment import draw_epoch
from grader.engine.data import ImageSet
from grader.engine.fused import fused_batch_norm
from grader.engine.recipe import Recipe
from grader.engine.resolution import sizes_by_epoch
from grader.engine.train import Preprocess, Steps, logits_of, make_steps

STEPS = 100
HIGHEST_OF_SGD, HIGHEST = 10.0, 0.3
"""The highest rate tried; adaptive optimizers bear less."""
SPAN = 1e4
"""The highest rate over the lowest."""
SMOOTH = 0.9
"""Share of the old mean in the mean of the losses so far."""
LOST = 2.0
"""The loss has risen for good when its mean is so many times the lowest."""
SAFE = 0.5
"""What is taken of the rate at which the loss was lowest: there it is about to rise. With the
laptop's recipe that was 0.32, and a rate of 0.2 trained well (benchmarks/results/recipes.md)."""


@dataclass(frozen=True)
class Rates:
    """What the steps showed."""

    tried: tuple[tuple[float, float], ...]
    """Rate and mean loss of each step that was made."""
    rate: float | None
    """A good highest rate; None where the loss never fell."""
    rises_at: float | None
    """Where the loss began to rise; None where it fell to the end."""


def try_rates(model: Any, recipe: Recipe, data: ImageSet, preprocess: Preprocess) -> Rates:
    """Look for the learning rate that the recipe should have; the model is as it was afterwards."""
    data, _ = data.held_back(recipe.validation)
    with fused_batch_norm(model), logits_of(model) as from_logits:
        steps = make_steps(model, recipe, preprocess, data, from_logits)
        return find_rate(steps, recipe, len(data.train_images))


def find_rate(steps: Steps, recipe: Recipe, examples: int) -> Rates:
    """Try rates on the images of the first epoch; the state is afterwards as it was.

    Args:
        steps: Of a network that has not been trained.
        recipe: Its batches, sizes and optimizer are used.
        examples: How many training images there are.
    """
    before = steps.state()
    size = sizes_by_epoch(recipe)[0]
    draws = draw_epoch(recipe, 0, examples)
    highest = HIGHEST_OF_SGD if recipe.optimizer.name == "sgd" else HIGHEST
    rates = np.geomspace(highest / SPAN, highest, STEPS)
    losses: list[float] = []
    for number, rate in enumerate(rates):
        at = number % len(draws.image)
        rate_now = np.array([rate], np.float32)
        losses.append(steps.train(draws.slice(at, at + 1, 1), rate_now, 1, size)[0])
        if not math.isfinite(losses[-1]) or _is_lost(losses):
            break
    steps.restore(before)
    return judge(rates[: len(losses)], losses)


def judge(rates: npt.NDArray[np.float64], losses: list[float]) -> Rates:
    """The good rate in a curve of losses."""
    means = smoothed(losses)
    lowest = int(np.nanargmin(means))
    tried = tuple(zip(map(float, rates), map(float, means), strict=True))
    fell = means[lowest] < 0.97 * means[0]
    rate = _round(SAFE * float(rates[lowest])) if fell else None
    rises = float(rates[lowest]) if lowest < len(losses) - 1 else None
    return Rates(tried, rate, rises)


def smoothed(losses: list[float]) -> npt.NDArray[np.float64]:
    """The mean of the losses so far, of which the last count most."""
    means, mean = [], 0.0
    for number, loss in enumerate(losses):
        mean = SMOOTH * mean + (1 - SMOOTH) * loss
        means.append(mean / (1 - SMOOTH ** (number + 1)))
    return np.array(means)


def _is_lost(losses: list[float]) -> bool:
    means = smoothed(losses)
    return bool(means[-1] > LOST * np.nanmin(means))


def _round(rate: float) -> float:
    """To one figure: more is not known."""
    return float(f"{rate:.0e}")
