import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from grader.engine.recipe import Optimizer, Recipe, Schedule
from grader.engine.schedule import learning_rates


def rates(schedule: Schedule, epochs: int = 10, steps: int = 10, rate: float = 0.1) -> np.ndarray:
    optimizer = Optimizer(learning_rate=rate)
    return learning_rates(Recipe(epochs=epochs, optimizer=optimizer, schedule=schedule), steps)


def test_a_constant_rate_is_the_same_at_every_step() -> None:
    assert rates(Schedule()) == pytest.approx(np.full(100, 0.1))


def test_the_paper_s_steps_divide_by_ten_at_half_and_three_quarters() -> None:
    found = rates(Schedule(name="step"))

    assert found[[0, 49]] == pytest.approx([0.1, 0.1])
    assert found[[50, 74]] == pytest.approx([0.01, 0.01])
    assert found[[75, 99]] == pytest.approx([0.001, 0.001])


def test_a_cosine_falls_from_the_rate_through_half_of_it_to_nothing() -> None:
    found = rates(Schedule(name="cosine"))

    assert found[[0, 50]] == pytest.approx([0.1, 0.05])
    assert 0 < found[99] < 1e-4


def test_one_cycle_rises_to_the_rate_at_its_peak_and_falls_to_nothing() -> None:
    found = rates(Schedule(name="one_cycle", peak_at=0.2, initial_factor=0.1))

    assert found[0] == pytest.approx(0.01)
    assert found.argmax() == 20
    assert found[20] == pytest.approx(0.1)
    assert found[60] == pytest.approx(0.05)
    assert 0 < found[99] < 0.002


def test_a_warm_up_grows_in_a_straight_line_and_reaches_the_rate() -> None:
    found = rates(Schedule(name="cosine", warmup_epochs=1.0, initial_factor=0.0))

    assert found[:10] == pytest.approx(np.arange(1, 11) / 100)
    assert found[10] == pytest.approx(0.1)


def test_a_warm_up_longer_than_the_run_is_the_whole_run() -> None:
    found = rates(Schedule(warmup_epochs=100.0), epochs=1)

    assert (np.diff(found) > 0).all()


schedules = st.builds(
    Schedule,
    name=st.sampled_from(["constant", "step", "cosine", "one_cycle"]),
    warmup_epochs=st.floats(0, 5),
    peak_at=st.floats(0.01, 0.99),
    shape=st.sampled_from(["linear", "cosine"]),
    initial_factor=st.floats(0, 1),
    final_factor=st.floats(0, 1),
)


@given(schedules, st.integers(1, 20), st.integers(1, 30))
def test_every_step_has_a_rate_between_nothing_and_the_recipe_s(
    schedule: Schedule, epochs: int, steps: int
) -> None:
    found = rates(schedule, epochs, steps)

    assert found.shape == (epochs * steps,)
    assert (found >= 0).all()
    assert (found <= np.float32(0.1) * (1 + 1e-6)).all()


@given(
    peak_at=st.floats(0.05, 0.95),
    shape=st.sampled_from(["linear", "cosine"]),
    epochs=st.integers(2, 20),
    steps=st.integers(5, 30),
)
def test_one_cycle_has_one_peak_and_ends_near_its_final_rate(
    peak_at: float, shape: str, epochs: int, steps: int
) -> None:
    schedule = Schedule(name="one_cycle", peak_at=peak_at, shape=shape, final_factor=0.0)

    found = rates(schedule, epochs, steps)

    top = int(found.argmax())
    assert (np.diff(found[: top + 1]) >= 0).all()
    assert (np.diff(found[top:]) <= 0).all()
    assert top == pytest.approx(peak_at * epochs * steps, abs=1)
    assert found[-1] <= 0.1 * max(1.0 / (epochs * steps * (1 - peak_at)), 1e-6) * 1.6 + 1e-6
