"""Accuracy counts only strictly above the threshold and in time; anything unclear is no pass."""

import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from grader.assignment import load_assignment
from grader.domain import Dataset, Details, MeasuredAccuracy, Measurement, Outcome, StopReason
from grader.errors import Cause
from grader.scoring import (
    accuracy_check,
    is_met,
    judged,
    starved,
    unanswered,
    wilson_interval,
)

ASSIGNMENT = load_assignment(Path(__file__).parents[1] / "example_assignment.toml")
POINTS = ASSIGNMENT.rubric["accuracy"].points


def measured(right: int, wall_time_s: float = 7.1, **changes) -> Measurement:
    fields = {
        "mode": "weights",
        "images": 10_000,
        "of_images": 10_000,
        "correct": right,
        "wall_time_s": wall_time_s,
        "device": "CPU",
        "dataset": Dataset(name="cifar10", sha256="0" * 64, official=True),
    }
    return Measurement(**fields | changes)


def trained(right: int, seed: int = 1, **changes) -> Measurement:
    """A retraining's measurement, of 40 images."""
    fields = {"mode": "retrain", "images": 40, "of_images": 40, "allowed_s": 300.0}
    details = Details(seed=seed).model_copy(update=changes.pop("details", {}))
    return measured(right, **fields | changes, details=details)


def by(assignment=ASSIGNMENT, *, evaluation_s: float = 300, **rule):
    """The assignment with another rule."""
    budgets = assignment.time_budgets.model_copy(update={"evaluation_s": evaluation_s})
    changed = assignment.evaluation.model_copy(update=rule)
    return assignment.model_copy(update={"evaluation": changed, "time_budgets": budgets})


def checked(assignment, *runs: Measurement):
    return accuracy_check(assignment, judged(assignment, runs))


def test_one_image_above_the_threshold_passes():
    check = checked(ASSIGNMENT, measured(8501))

    assert (check.outcome, check.score, check.max_score) == (Outcome.PASSED, POINTS, POINTS)


def test_exactly_the_threshold_fails():
    check = checked(ASSIGNMENT, measured(8500))

    assert (check.outcome, check.score) == (Outcome.FAILED, 0)
    assert check.findings[0].expected == "above 85.00%"
    assert check.findings[0].received == "85.00%"


def test_accuracy_measured_past_the_time_budget_does_not_count_and_says_by_how_much():
    check = checked(ASSIGNMENT, measured(9500, wall_time_s=312.5))

    assert (check.outcome, check.score) == (Outcome.FAILED, 0)
    assert "12.5 s more than its 300 s" in check.rationale
    assert "95.00%" in check.rationale


def test_the_last_instant_of_the_time_budget_is_in_time():
    assert checked(ASSIGNMENT, measured(9500, wall_time_s=300)).outcome is Outcome.PASSED


def test_nan_never_meets_the_threshold():
    assert is_met(math.nan, 0.85, 1, 300) is False
    assert is_met(0.9, math.nan, 1, 300) is False
    assert is_met(0.9, 0.85, math.nan, 300) is False
    assert is_met(0.9, 0.85, 1, math.nan) is False


@pytest.mark.parametrize(
    "changes", [{"correct": 12_000}, {"correct": -1}, {"images": 0}, {"of_images": 9_999}]
)
def test_a_measurement_whose_counts_contradict_each_other_is_none(changes):
    with pytest.raises(ValidationError):
        measured(8000, **changes)


def test_the_same_measurement_meets_a_lowered_threshold_and_misses_a_raised_one():
    outcomes = {
        threshold: checked(by(threshold=threshold), measured(8573)).outcome
        for threshold in (0.80, 0.85, 0.8573, 0.90)
    }

    assert outcomes == {
        0.80: Outcome.PASSED, 0.85: Outcome.PASSED,
        0.8573: Outcome.FAILED, 0.90: Outcome.FAILED,
    }  # fmt: skip


def test_the_same_measurement_is_in_time_by_a_longer_budget_and_late_by_a_shorter_one():
    run = measured(9500, wall_time_s=20.0, charged_s=6.0)

    assert checked(by(evaluation_s=6), run).outcome is Outcome.PASSED
    assert checked(by(evaluation_s=5.9), run).outcome is Outcome.FAILED


def test_a_network_too_slow_for_all_images_misses_the_threshold_by_the_budget_it_was_too_slow_for():
    slow = measured(100, images=100, wall_time_s=600.0)

    assert unanswered(ASSIGNMENT, MeasuredAccuracy(runs=(slow,))) is None
    assert not judged(ASSIGNMENT, [slow]).met


def test_a_network_too_slow_for_all_images_tells_nothing_about_a_longer_budget():
    slow = measured(100, images=100, wall_time_s=600.0)

    assert "after 100 of 10,000 images" in unanswered(
        by(evaluation_s=600), MeasuredAccuracy(runs=(slow,))
    )


def test_a_network_refused_by_a_budget_tells_nothing_about_a_longer_one():
    refused = MeasuredAccuracy(note="slow", cause=Cause.STUDENT_TIMEOUT, too_slow_for_s=300)

    assert unanswered(ASSIGNMENT, refused) is None
    assert unanswered(by(evaluation_s=200), refused) is None
    assert "reaches in 301 s" in unanswered(by(evaluation_s=301), refused)


def test_an_evaluation_is_judged_by_the_assignment_and_says_by_which_rule():
    found = judged(by(threshold=0.9, evaluation_s=60), [measured(9001)])

    assert (found.threshold, found.time_budget_s, found.met) == (0.9, 60, True)
    assert found.interval_95 == wilson_interval(9001, 10_000)


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
    return by(linear_from=start)


@pytest.mark.parametrize(("right", "share"), [(7000, 0), (7500, 0), (8000, 0.5), (8500, 1)])
def test_below_the_threshold_points_rise_in_a_straight_line_where_the_assignment_says_so(
    right, share
):
    check = checked(linear(0.75), measured(right))

    assert check.outcome is Outcome.FAILED
    assert check.score == pytest.approx(share * POINTS)


def test_without_a_linear_rule_there_is_nothing_below_the_threshold():
    assert checked(ASSIGNMENT, measured(8500)).score == 0


def test_an_accuracy_measured_too_slowly_earns_no_part_of_the_points():
    assert checked(linear(0.75), measured(8400, wall_time_s=301.0)).score == 0


# --- retraining ---------------------------------------------------------------------------

SEEDS = {"borderline": 0.02, "seeds": 3}


def test_a_retraining_that_ended_half_a_step_late_still_counts():
    assert checked(ASSIGNMENT, trained(40, wall_time_s=300.1)).outcome is Outcome.PASSED


def test_a_retraining_is_held_against_the_time_that_it_was_allowed():
    found = judged(by(evaluation_s=5), [trained(40, wall_time_s=250.0)])

    assert (found.time_budget_s, found.met) == (300.0, True)


def test_the_mean_of_several_seeds_is_rounded_down_to_a_whole_image():
    found = judged(by(**SEEDS), [trained(34, 1), trained(35, 2), trained(36, 3)])

    assert found.correct == 35
    assert judged(by(**SEEDS | {"seeds": 2}), [trained(34, 1), trained(35, 2)]).correct == 34
    assert [s.seed for s in found.details.seeds] == [1, 2, 3]


def test_the_best_of_several_counts_where_the_assignment_says_so():
    found = judged(by(**SEEDS, decide="best"), [trained(34, 1), trained(37, 2), trained(31, 3)])

    assert (found.correct, found.met) == (37, True)


def test_where_a_changed_threshold_makes_the_first_training_clear_it_decides_alone():
    found = judged(by(**SEEDS, threshold=0.5), [trained(34, 1), trained(20, 2), trained(19, 3)])

    assert (found.correct, found.met) == (34, True)
    assert not found.details.seeds


def test_where_a_changed_threshold_asks_for_further_trainings_one_cannot_answer():
    assert unanswered(by(**SEEDS, threshold=0.5), MeasuredAccuracy(runs=(trained(34),))) is None
    assert "needs 3 trainings" in unanswered(by(**SEEDS), MeasuredAccuracy(runs=(trained(34),)))


@pytest.mark.parametrize(
    ("changes", "looked_at"),
    [
        ({}, True),
        ({"others_share": 0.1}, False),
        ({"others_share": None}, False),
        ({"stopped": StopReason.FINISHED}, False),
    ],
)
def test_a_training_that_others_starved_is_shown_to_a_person(changes, looked_at):
    details = {"stopped": StopReason.OUT_OF_TIME, "others_share": 0.45} | changes
    run = trained(30, details=details)

    assert bool(starved(judged(ASSIGNMENT, [run]))) is looked_at
    assert starved(judged(by(threshold=0.5), [run])) is None


# --- near chance --------------------------------------------------------------------------


NEITHER = dict.fromkeys(
    ("test", "test_sample", "test_mirrored", "train_sample", "train_mirrored"), 0.1
)


def seen(share: float, train: float) -> dict[str, object]:
    """Details of an evaluation: the share called a cat, the share of training images known."""
    cats = int(1000 * share)
    row = [0, 0, 0, cats, 1000 - cats, 0, 0, 0, 0, 0]
    return {
        "classes": [*"abc", "cat", *"efghij"],
        "confusion": [row] * 10,
        "looks": {**NEITHER, "train_sample": train},
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
    assert said in checked(ASSIGNMENT, measured(1100, details=details)).help
