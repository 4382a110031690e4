"""Accuracy counts only strictly above the threshold and in time; anything unclear is no pass."""

import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from grader.assignment import load_assignment
from grader.domain import Dataset, Evaluation, Outcome
from grader.errors import Cause
from grader.scoring import accuracy_check, is_met, wilson_interval

ASSIGNMENT = load_assignment(Path(__file__).parents[1] / "example_assignment.toml")
POINTS = ASSIGNMENT.rubric["accuracy"].points


def evaluation(right: int, wall_time_s: float = 7.1, **changes) -> Evaluation:
    accuracy = right / 10_000
    fields = {
        "mode": "weights",
        "accuracy": accuracy,
        "interval_95": wilson_interval(right, 10_000),
        "images": 10_000,
        "correct": right,
        "threshold": 0.85,
        "met": is_met(accuracy, 0.85, wall_time_s, 300),
        "wall_time_s": wall_time_s,
        "time_budget_s": 300,
        "device": "CPU",
        "dataset": Dataset(name="cifar10", sha256="0" * 64, official=True),
    }
    return Evaluation(**fields | changes)


def test_one_image_above_the_threshold_passes():
    check = accuracy_check(ASSIGNMENT, evaluation(8501))

    assert (check.outcome, check.score, check.max_score) == (Outcome.PASSED, POINTS, POINTS)


def test_exactly_the_threshold_fails():
    check = accuracy_check(ASSIGNMENT, evaluation(8500))

    assert (check.outcome, check.score) == (Outcome.FAILED, 0)
    assert check.findings[0].expected == "above 85.00%"
    assert check.findings[0].received == "85.00%"


def test_accuracy_measured_past_the_time_budget_does_not_count_and_says_by_how_much():
    check = accuracy_check(ASSIGNMENT, evaluation(9500, wall_time_s=312.5))

    assert (check.outcome, check.score) == (Outcome.FAILED, 0)
    assert "12.5 s more than its 300 s" in check.rationale
    assert "95.00%" in check.rationale


def test_the_last_instant_of_the_time_budget_is_in_time():
    assert accuracy_check(ASSIGNMENT, evaluation(9500, wall_time_s=300)).outcome is Outcome.PASSED


def test_nan_never_meets_the_threshold():
    assert is_met(math.nan, 0.85, 1, 300) is False
    assert is_met(0.9, math.nan, 1, 300) is False
    assert is_met(0.9, 0.85, math.nan, 300) is False
    assert is_met(0.9, 0.85, 1, math.nan) is False


def test_an_evaluation_cannot_hold_nan():
    with pytest.raises(ValidationError):
        evaluation(9000, accuracy=math.nan)


@pytest.mark.parametrize(
    "changes",
    [
        {"met": True},
        {"accuracy": 0.99, "met": True},
        {"threshold": 0.1, "met": True},
        {"correct": 12_000, "accuracy": 1.0, "met": True},
    ],
)
def test_an_evaluation_that_contradicts_itself_is_an_error_and_never_points(changes):
    check = accuracy_check(ASSIGNMENT, evaluation(8000, **changes))

    assert (check.outcome, check.score) == (Outcome.ERROR, 0)


def test_no_evaluation_without_anybodys_fault_is_skipped_and_keeps_its_points_open():
    check = accuracy_check(ASSIGNMENT, None, "no CIFAR-10 on this machine")

    assert (check.outcome, check.score, check.max_score) == (Outcome.SKIPPED, 0, POINTS)
    assert check.rationale == "no CIFAR-10 on this machine"


def test_no_evaluation_by_the_students_doing_fails():
    check = accuracy_check(ASSIGNMENT, None, "no weights", Cause.SUBMISSION_MISSING_FILE)

    assert (check.outcome, check.score) == (Outcome.FAILED, 0)


def test_no_evaluation_by_the_machines_doing_is_an_error():
    assert accuracy_check(ASSIGNMENT, None, "lost", Cause.INFRA_GPU).outcome is Outcome.ERROR


@pytest.mark.parametrize(
    ("correct", "images", "published"),
    [
        (81, 263, (0.2553, 0.3662)),
        (15, 148, (0.0624, 0.1605)),
        (0, 20, (0.0000, 0.1611)),
        (1, 29, (0.0061, 0.1718)),
    ],
)
def test_the_interval_is_that_of_newcombes_published_table(correct, images, published):
    """Newcombe, Statistics in Medicine 17 (1998), table I, method 3."""
    assert wilson_interval(correct, images) == pytest.approx(published, abs=5.1e-5)


@given(st.integers(1, 100_000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_the_interval_holds_the_share_and_stays_in_0_to_1(counts):
    correct, images = counts

    lower, upper = wilson_interval(correct, images)

    assert 0 <= lower <= correct / images <= upper <= 1
    assert lower < upper


@pytest.mark.parametrize("counts", [(1, 0), (-1, 10), (11, 10), (0, 0)])
def test_an_impossible_count_has_no_interval(counts):
    with pytest.raises(ValueError, match="expected 0 <= correct <= images"):
        wilson_interval(*counts)


def linear(start):
    rule = ASSIGNMENT.evaluation.model_copy(update={"linear_from": start})
    return ASSIGNMENT.model_copy(update={"evaluation": rule})


@pytest.mark.parametrize(("right", "share"), [(7000, 0), (7500, 0), (8000, 0.5), (8500, 1)])
def test_below_the_threshold_points_rise_in_a_straight_line_where_the_assignment_says_so(
    right, share
):
    check = accuracy_check(linear(0.75), evaluation(right))

    assert check.outcome is Outcome.FAILED
    assert check.score == pytest.approx(share * POINTS)


def test_without_a_linear_rule_there_is_nothing_below_the_threshold():
    assert accuracy_check(ASSIGNMENT, evaluation(8500)).score == 0


def test_an_accuracy_measured_too_slowly_earns_no_part_of_the_points():
    assert accuracy_check(linear(0.75), evaluation(8400, wall_time_s=301.0)).score == 0


def test_a_retraining_that_ended_half_a_step_late_still_counts():
    met = is_met(0.86, 0.85, 300.1, 300, "retrain")
    late = evaluation(8600, wall_time_s=300.1, mode="retrain", met=met)

    assert accuracy_check(ASSIGNMENT, late).outcome is Outcome.PASSED


def seen(share: float, train: float) -> dict[str, object]:
    """Details of an evaluation: the share called a cat, the share of training images known."""
    cats = int(1000 * share)
    row = [0, 0, 0, cats, 1000 - cats, 0, 0, 0, 0, 0]
    return {
        "classes": [*"abc", "cat", *"efghij"],
        "confusion": [row] * 10,
        "looks": {"train_sample": train},
    }


@pytest.mark.parametrize(
    ("details", "said"),
    [
        (seen(0.999, 0.1), "calls 9,990 of 10,000 images cat: either `preprocess` is not what"),
        (seen(0.5, 0.11), "Of the training images it knows 11%"),
        (seen(0.5, 0.7), "Train longer"),
        ({}, "Train longer"),
    ],
)
def test_an_accuracy_near_chance_is_told_as_what_it_is(details, said):
    assert said in accuracy_check(ASSIGNMENT, evaluation(1100, details=details)).help
