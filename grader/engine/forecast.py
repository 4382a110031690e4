"""What a run will take and reach, known before it starts: steps timed, accuracy of like runs.

Property protected: nobody trains for hours to learn what a minute could have told. The time is
measured on the machine's own steps; the accuracy is what measured runs of that cost reached, with
an interval as wide as they lie apart, and nothing is said of a cost that nobody measured.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from grader.engine.recipe import Recipe

MEASURED: tuple[tuple[float, float], ...] = (
    (0.124, 0.7914),
    (0.360, 0.8501),
    (0.457, 0.8607),
    (0.457, 0.8572),
    (0.457, 0.8627),
    (0.476, 0.8601),
    (0.476, 0.8570),
)
"""Cost and accuracy of whole runs of DenseNets on CIFAR-10, benchmarks/results/recipes.md: the cost
in runs of the reference solution, the accuracy on the test images."""
DEVIATIONS = 2.0
"""Half the interval, in standard deviations of the measured runs about their line."""
LEAST_HALF = 0.01
"""Half the interval at least: another seed moves a run by so much."""
BEYOND = 1.5
"""The line is followed past the cheapest and the dearest measured run by this factor at most."""

Reach = tuple[float, float]
"""Accuracy on images not trained on, from and to, 0..1."""


@dataclass(frozen=True)
class Forecast:
    """What is known of a run before its first step."""

    recipe: Recipe
    """How it trains."""
    seconds: float
    """For all that is left of it: steps, and measuring after each epoch."""
    cost: float | None
    """Multiplications of the whole run, in runs of the reference solution; None if unknown."""
    given_s: float | None = None
    """The time that was given for training; None for no limit."""

    @property
    def reach(self) -> Reach | None:
        """What runs of this cost reached; None where none was measured."""
        return reach_of(self.cost)

    @property
    def at_most(self) -> float | None:
        """What a run reaches at most that is cheaper than all that were measured; else None."""
        return at_most(self.cost)

    @property
    def at_most_in_time(self) -> float | None:
        """The same for a whole run of the epochs that fit."""
        return None if self.cost is None else at_most(self.cost * self._share)

    @property
    def epochs_that_fit(self) -> int | None:
        """How many epochs fit into the time that was given; None where all do."""
        if self.given_s is None or self.seconds <= self.given_s:
            return None
        return int(self.recipe.epochs * self.given_s / self.seconds)

    @property
    def reach_in_time(self) -> Reach | None:
        """What a whole run of the epochs that fit would reach."""
        return None if self.cost is None else reach_of(self.cost * self._share)

    @property
    def _share(self) -> float:
        """Of the epochs, those that fit."""
        fit = self.epochs_that_fit
        return 1.0 if fit is None else fit / self.recipe.epochs


def reach_of(cost: float | None) -> Reach | None:
    """The accuracy that a run of this cost reaches.

    Errors fall about as a power of the cost, so that their logarithms lie about a line.

    Args:
        cost: In runs of the reference solution.

    Returns:
        None where no run of about this cost was measured.
    """
    known = np.array(MEASURED)
    if cost is None or not known[:, 0].min() / BEYOND <= cost <= known[:, 0].max() * BEYOND:
        return None
    costs, errors = np.log(known[:, 0]), 1 - known[:, 1]
    line = np.polyfit(costs, np.log(errors), 1)
    apart = errors - np.exp(np.polyval(line, costs))
    deviation = math.sqrt(float(apart @ apart) / (len(known) - 2))
    half = max(LEAST_HALF, DEVIATIONS * deviation)
    middle = 1 - math.exp(float(np.polyval(line, math.log(cost))))
    return max(0.0, middle - half), min(1.0, middle + half)


def at_most(cost: float | None) -> float | None:
    """What a run reaches at most that is cheaper than all that were measured: what those did.

    Args:
        cost: In runs of the reference solution.

    Returns:
        None where runs of about this cost, or cheaper ones, were measured.
    """
    cheapest, accuracy = min(MEASURED)
    return accuracy if cost is not None and cost < cheapest / BEYOND else None
