"""The trial of learning rates: what is read from a curve of losses, and that nothing is kept."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from grader.engine.data import ImageSet
from grader.engine.rates import STEPS, judge, try_rates
from grader.engine.recipe import Optimizer, Recipe
from grader.engine.train import divide_by_255

RATES = np.geomspace(1e-3, 10, STEPS)


def test_the_good_rate_lies_below_the_one_at_which_the_loss_turns() -> None:
    losses = [2.3 - 0.02 * n if n < 60 else 1.1 + 0.1 * (n - 60) for n in range(STEPS)]

    found = judge(RATES, losses)

    assert found.rises_at is not None
    assert RATES[55] < found.rises_at < RATES[75]
    assert found.rate is not None
    assert found.rises_at / 3 < found.rate < found.rises_at / 1.5


def test_a_loss_that_falls_to_the_end_rises_nowhere() -> None:
    found = judge(RATES, [2.3 - 0.02 * n for n in range(STEPS)])

    assert found.rises_at is None
    assert found.rate is not None


def test_a_loss_that_never_falls_gives_no_rate() -> None:
    assert judge(RATES, [2.3 + 0.01 * n for n in range(STEPS)]).rate is None


def test_a_loss_that_stops_being_a_number_is_no_lowest_one() -> None:
    found = judge(RATES[:41], [2.3 - 0.02 * n for n in range(40)] + [float("nan")])

    assert found.rises_at == pytest.approx(RATES[39])


@pytest.mark.tensorflow
def test_a_trial_finds_a_rate_and_leaves_the_network_as_it_was(
    tiny: Callable[..., Any], easy: ImageSet
) -> None:
    model = tiny()
    before = model.get_weights()
    rules = Recipe(batch_size=16, optimizer=Optimizer(learning_rate=0.05))

    found = try_rates(model, rules, easy, divide_by_255)

    assert found.rate is not None
    assert all((a == b).all() for a, b in zip(before, model.get_weights(), strict=True))
