"""Times a few steps of a run before it begins, so that what it will take can be said."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from grader.engine.augment import draw_epoch
from grader.engine.cost import REFERENCE, multiplications, run_multiplications
from grader.engine.recipe import FULL_SIZE, Recipe

if TYPE_CHECKING:
    from grader.engine.train import Steps

TRIAL_STEPS = 4
"""Steps that are timed at each size of the images."""


def time_steps(
    steps: Steps, recipe: Recipe, examples: int, sizes: Sequence[int], length: int
) -> dict[int, float]:
    """Compile for each size and time a step there; the state is afterwards as it was.

    Args:
        steps: The run's.
        recipe: Its batches are drawn.
        examples: How many training images there are.
        sizes: Sides in pixels.
        length: What the draws of a call are padded to, so that what is compiled here is of use.

    Returns:
        Seconds of a step by size.
    """
    before, found = steps.state(), {}
    whole = draw_epoch(recipe, 0, examples)
    count = min(TRIAL_STEPS, len(whole.image))
    draws, rates = whole.slice(0, count, length), np.zeros(length, np.float32)
    for size in sorted(set(sizes)):
        steps.train(draws, rates, 1, size)
        start = time.perf_counter()
        steps.train(draws, rates, count, size)
        found[size] = (time.perf_counter() - start) / count
    steps.restore(before)
    return found


def seconds_left(
    step_s: dict[int, float], sizes: Sequence[int], steps_per_epoch: int, images_measured: float
) -> float:
    """What epochs of these sizes take, with measuring after them.

    Args:
        step_s: Seconds of a step by size.
        sizes: Of each epoch to come.
        steps_per_epoch: Steps in each.
        images_measured: Batches of images that each epoch is measured on, at full size.
    """
    steps = sum(step_s[size] * steps_per_epoch for size in sizes)
    # A way forward is a third of a step.
    return steps + len(sizes) * images_measured * step_s[FULL_SIZE] / 3


def cost(model: Any, recipe: Recipe, images: int) -> float | None:
    """Multiplications of a whole run, in runs of the reference solution; None if unknown."""
    image = multiplications(model)
    return None if image is None else run_multiplications(image, recipe, images) / REFERENCE
