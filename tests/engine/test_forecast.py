"""What is said of a run before it starts: an interval of like runs, and what fits the time."""

import pytest

from grader.engine.forecast import MEASURED, Forecast, reach_of
from grader.engine.recipe import Recipe

DEAREST = max(cost for cost, _ in MEASURED)
CHEAPEST = min(cost for cost, _ in MEASURED)


def test_every_measured_run_lies_in_the_interval_of_its_cost() -> None:
    for cost, accuracy in MEASURED:
        low, high = reach_of(cost) or (1.0, 0.0)
        assert low <= accuracy <= high


def test_a_dearer_run_reaches_more() -> None:
    cheap, dear = reach_of(CHEAPEST), reach_of(DEAREST)

    assert cheap is not None
    assert dear is not None
    assert cheap[0] < dear[0] < dear[1] < 1


@pytest.mark.parametrize("cost", [None, CHEAPEST / 2, DEAREST * 2])
def test_of_a_cost_that_nobody_measured_nothing_is_said(cost: float | None) -> None:
    assert reach_of(cost) is None


def test_the_epochs_that_fit_into_the_time_given() -> None:
    whole = Forecast(Recipe(epochs=10), seconds=600, cost=DEAREST, given_s=600)
    short = Forecast(Recipe(epochs=10), seconds=600, cost=DEAREST, given_s=250)

    assert whole.epochs_that_fit is None
    assert short.epochs_that_fit == 4
    assert short.reach_in_time == reach_of(0.4 * DEAREST)
