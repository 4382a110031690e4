"""The sentences before a training: how long it takes, what it reaches, what will not come of it."""

from __future__ import annotations

from grader.domain import LAPTOP_RECIPE
from grader.engine.forecast import Forecast, Reach
from grader.engine.rates import Rates
from grader.report.words import percent, running_time


def outlook(forecast: Forecast, threshold: float | None) -> list[str]:
    """What is known of a run before its first step, a line for each sentence.

    Args:
        forecast: What is known.
        threshold: The accuracy that has to be surpassed, 0..1; None for none.
    """
    lines = [f"This takes about {running_time(forecast.seconds)} on this machine."]
    if forecast.reach is not None:
        lines.append(
            f"It costs {forecast.cost:.2g} times what training the reference solution costs. Such "
            f"runs reached {_range(forecast.reach)} on images they had not seen."
        )
    elif forecast.at_most is not None:
        lines.append(
            "It costs less than any run that was measured; the cheapest of them reached "
            f"{forecast.at_most:.0%}."
        )
    elif forecast.cost is not None:
        lines.append("What it will reach is not known: no run of about this cost was measured.")
    if forecast.epochs_that_fit is not None:
        lines += _too_long(forecast, threshold)
    elif not _may_reach(forecast.reach, forecast.at_most, threshold):
        lines.append(
            f"So it will probably not reach {_asked(threshold)}. {LAPTOP_RECIPE} with the network "
            "named in it does; or take more epochs."
        )
    return lines


def _may_reach(reach: Reach | None, at_most: float | None, threshold: float | None) -> bool:
    """Whether nothing known speaks against the accuracy that is asked for."""
    highest = at_most if reach is None else reach[1]
    return highest is None or threshold is None or highest > threshold


def _too_long(forecast: Forecast, threshold: float | None) -> list[str]:
    """The run does not end in the time that was given."""
    fit, given = forecast.epochs_that_fit, running_time(forecast.given_s or 0.0)
    if not fit:
        return [
            f"Not even one epoch fits in the {given} you gave: choose a smaller network in "
            "build_model(), or give more time."
        ]
    reached = "" if forecast.reach_in_time is None else f", {_range(forecast.reach_in_time)}"
    misses = not _may_reach(forecast.reach_in_time, forecast.at_most_in_time, threshold)
    what = f"This will not reach {_asked(threshold)}" if misses else "This will not end"
    return [
        f"{what} in the {given} you gave: {fit} of {forecast.recipe.epochs} epochs fit.",
        f"With epochs = {fit} the learning rate falls to its end in that time{reached}.",
    ]


def _range(reach: Reach) -> str:
    return f"{reach[0]:.0%} to {reach[1]:.0%}"


def _asked(threshold: float | None) -> str:
    return percent(threshold or 0.0)


def rate_in_words(found: Rates, now: float) -> list[str]:
    """What the trial of learning rates showed.

    Args:
        found: The trial.
        now: The rate in the recipe.
    """
    if found.rate is None:
        return [
            "The loss fell at none of the rates tried: look at preprocess() and the last layer; "
            "grade check says more."
        ]
    end = (
        f"The loss was lowest at {found.rises_at:.2g} and rose beyond it."
        if found.rises_at is not None
        else f"The loss fell up to the highest rate tried, {found.tried[-1][0]:.2g}."
    )
    fits = found.rate / 3 <= now <= 3 * found.rate
    verdict = "which is about that" if fits else f"try learning_rate = {found.rate:g}"
    return [end, f"A good highest rate is about {found.rate:g}; the recipe has {now:g}, {verdict}."]
