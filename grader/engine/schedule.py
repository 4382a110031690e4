"""The learning rate of every step, as pure arithmetic known before the run starts.

A rate that depends only on the step and the recipe is the same on every backend and after every
resume.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from grader.engine.recipe import Recipe, Schedule


def learning_rates(recipe: Recipe, steps_per_epoch: int) -> npt.NDArray[np.float32]:
    """The rate of each step of the whole run.

    Args:
        recipe: gives the highest rate, the epochs and the schedule.
        steps_per_epoch: steps in one epoch, at least 1.

    Returns:
        Shape (epochs × steps_per_epoch,), float32, none above the recipe's `learning_rate`.
    """
    total = recipe.epochs * steps_per_epoch
    warmup = min(recipe.schedule.warmup_epochs * steps_per_epoch, total)
    factors = [_factor(recipe.schedule, step, total, warmup) for step in range(total)]
    return (np.array(factors) * recipe.optimizer.learning_rate).astype(np.float32)


def _factor(schedule: Schedule, step: int, total: int, warmup: float) -> float:
    """Share of the highest rate at one step."""
    if step < warmup:
        return _between(schedule.initial_factor, 1.0, min(1.0, (step + 1) / warmup))
    if schedule.name == "step":
        return float(schedule.factor ** sum(step >= m * total for m in schedule.milestones))
    if schedule.name == "cosine":
        return _fall(schedule, "cosine", _share(step - warmup, total - warmup))
    if schedule.name == "one_cycle":
        return _one_cycle(schedule, step, total)
    return 1.0


def _one_cycle(schedule: Schedule, step: int, total: int) -> float:
    """Smith and Topin 2019 ("Super-Convergence"): up to the peak, then down to almost nothing."""
    peak = schedule.peak_at * total
    if step < peak:
        return _between(schedule.initial_factor, 1.0, step / peak)
    return _fall(schedule, schedule.shape, _share(step - peak, total - peak))


def _fall(schedule: Schedule, shape: str, share: float) -> float:
    eased = share if shape == "linear" else (1 - math.cos(math.pi * share)) / 2
    return _between(1.0, schedule.final_factor, eased)


def _share(part: float, whole: float) -> float:
    return min(1.0, part / max(whole, 1.0))


def _between(start: float, end: float, share: float) -> float:
    return start + (end - start) * share
