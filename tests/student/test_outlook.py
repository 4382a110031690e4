"""The sentences before a training."""

import pytest

from grader.engine import forecast as module
from grader.engine.forecast import Forecast
from grader.engine.rates import Rates
from grader.engine.recipe import Recipe
from grader.student.outlook import outlook, rate_in_words


@pytest.fixture(autouse=True)
def _measured(monkeypatch: pytest.MonkeyPatch) -> None:
    """Errors of 20% at a tenth of the reference's cost and 14% at all of it."""
    monkeypatch.setattr(module, "MEASURED", ((0.1, 0.8), (0.3, 0.832), (1.0, 0.86)))


def said(threshold: float | None = 0.85, **known: object) -> str:
    fields = {"recipe": Recipe(epochs=10), "seconds": 1500.0, "cost": 1.0, **known}
    return " ".join(outlook(Forecast(**fields), threshold))  # type: ignore[arg-type]


def test_the_time_and_the_accuracy_of_like_runs_are_told() -> None:
    told = said()

    assert told == (
        "This takes about 25 min 00 s on this machine. It costs 1 times what training the "
        "reference solution costs. Such runs reached 85% to 87% on images they had not seen."
    )


def test_a_run_that_is_too_cheap_is_told_what_reaches_the_accuracy() -> None:
    told = said(cost=0.1)

    assert "it will probably not reach 85%" in told
    assert "recipe.laptop.toml" in told


def test_a_run_cheaper_than_all_that_were_measured_is_told_what_those_reached() -> None:
    told = said(cost=0.01)

    assert "the cheapest of them reached 80%" in told
    assert "it will probably not reach 85%" in told
    assert "will probably" not in said(threshold=0.7, cost=0.01)
    assert "not reach 85% in the 1 min" in said(cost=0.05, given_s=60.0, seconds=70.0)


def test_a_run_without_a_threshold_is_told_none() -> None:
    assert "will probably not" not in said(threshold=None, cost=0.1)


def test_of_a_run_like_no_other_the_time_alone_is_told() -> None:
    assert "no run of about this cost was measured" in said(cost=40.0)
    assert said(cost=None) == "This takes about 25 min 00 s on this machine."


def test_a_time_that_does_not_suffice_is_told_with_what_fits() -> None:
    told = said(given_s=300.0)

    assert "This will not reach 85% in the 5 min 00 s you gave: 2 of 10 epochs fit." in told
    assert "With epochs = 2 the learning rate falls to its end in that time, 8" in told


def test_a_long_run_that_is_cut_may_still_reach_it_with_fewer_epochs() -> None:
    told = said(cost=40.0, seconds=60_000.0, given_s=3000.0, recipe=Recipe(epochs=400))

    assert "This will not end in the 50 min 00 s you gave: 20 of 400 epochs fit." in told


def test_a_time_for_less_than_an_epoch_is_told_so() -> None:
    assert "Not even one epoch fits in the 1 min 00 s you gave" in said(given_s=60.0)


@pytest.mark.parametrize(("now", "advice"), [(0.2, "about that"), (0.01, "learning_rate = 0.3")])
def test_a_good_rate_is_told_beside_the_recipes(now: float, advice: str) -> None:
    found = Rates(((0.001, 2.3), (1.1, 1.2), (2.0, 1.9)), 0.3, 1.1)

    told = rate_in_words(found, now)

    assert told[0] == "The loss was lowest at 1.1 and rose beyond it."
    assert advice in told[1]


def test_a_network_that_learns_at_no_rate_is_told_where_to_look() -> None:
    assert "preprocess()" in rate_in_words(Rates(((0.001, 2.3),), None, None), 0.1)[0]
