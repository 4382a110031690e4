"""Numbers of a grade as places in a picture; the templates draw them, no text of a student's."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from grader.domain import Epoch, Evaluation, Grade, GradeStatus
from grader.scoring import open_points

CURVE_WIDTH, CURVE_HEIGHT = 360, 190
LEFT, RIGHT, TOP, BOTTOM = 38, 10, 10, 26
"""Margins of the training curve, for its labels."""
LINES = (0.0, 0.25, 0.5, 0.75, 1.0)


class Bar(NamedTuple):
    """Points as lengths, in percent of all."""

    earned: float
    open: float


def bar(grade: Grade) -> Bar | None:
    """Earned and open points; None where there is no score."""
    if grade.status is not GradeStatus.GRADED or not grade.max_score:
        return None
    share = 100 / grade.max_score
    return Bar(round(share * grade.score, 2), round(share * open_points(grade), 2))


class Scale(NamedTuple):
    """An accuracy on a line from 0 to 100 %, all in percent."""

    reached: float
    low: float
    high: float
    threshold: float


def scale(given: Evaluation) -> Scale:
    """Where accuracy, interval and threshold lie."""
    low, high = given.interval_95
    return Scale(*(round(100 * x, 2) for x in (given.accuracy, low, high, given.threshold)))


class Curve(NamedTuple):
    """A training curve."""

    training: str
    """Points of a polyline."""
    test: str
    grid: tuple[tuple[float, str], ...]
    """Height and label of each line."""
    epochs: int
    first: str
    last: str
    what: str
    """Whose accuracy first and last are."""


def curve(epochs: Sequence[Epoch]) -> Curve | None:
    """The accuracy over the epochs; None where there are less than two."""
    if len(epochs) < 2:
        return None
    training = _points(epochs, lambda epoch: epoch.train_accuracy)
    test = _points(epochs, lambda epoch: epoch.unseen_accuracy)
    told = [e.unseen_accuracy for e in epochs if e.unseen_accuracy is not None]
    what = epochs[-1].unseen_images if len(told) > 1 else "training"
    told = told if len(told) > 1 else [e.train_accuracy for e in epochs]
    return Curve(
        training,
        test,
        tuple((_height(share), f"{share:.0%}") for share in LINES),
        len(epochs),
        f"{told[0]:.1%}",
        f"{told[-1]:.1%}",
        what,
    )


def _points(epochs: Sequence[Epoch], share: Callable[[Epoch], float | None]) -> str:
    width = CURVE_WIDTH - LEFT - RIGHT
    places = []
    for number, epoch in enumerate(epochs):
        value = share(epoch)
        if value is not None and 0 <= value <= 1:
            x = LEFT + width * number / (len(epochs) - 1)
            places.append(f"{x:.1f},{_height(value):.1f}")
    return " ".join(places)


def _height(share: float) -> float:
    return round(TOP + (CURVE_HEIGHT - TOP - BOTTOM) * (1 - share), 1)
