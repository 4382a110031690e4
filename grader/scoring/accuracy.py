"""The measured accuracy as a check: interval, threshold, time budget. Fails closed.

A measurement knows no rule. Here the assignment's is applied to it, so that a changed threshold,
budget or rubric gives another grade from the same measurement.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from grader.assignment import ACCURACY, Assignment
from grader.domain import (
    CheckResult,
    Evaluation,
    Finding,
    MeasuredAccuracy,
    Measurement,
    Outcome,
    SeedAccuracy,
    StopReason,
)
from grader.errors import Cause
from grader.scoring.rule import is_in_time, is_met, wilson_interval

__all__ = [
    "ACCURACY",
    "accuracy_check",
    "is_met",
    "judged",
    "starved",
    "unanswered",
    "wilson_interval",
]

ONE_CLASS = 0.9
"""Share of the images in one class from which on a network tells nothing apart."""
NEAR_CHANCE = 0.2
"""Accuracy on training images below which nothing was learnt, or it is not seen; chance is 0.1."""
OTHERS_SHARE = 0.2
"""Of the processor, taken by other programs, from which on a missed threshold is looked at."""


def judged(assignment: Assignment, runs: Sequence[Measurement]) -> Evaluation:
    """The evaluation that counts: the assignment's rule applied to what was measured.

    Args:
        assignment: Threshold, time budget, and what several trainings decide.
        runs: The measurement; of a retraining, one for each seed. See `unanswered`.
    """
    rule = assignment.evaluation
    assert rule is not None
    first = runs[0]
    counting = runs[: rule.trainings_for(first.accuracy)] if first.mode == "retrain" else runs[:1]
    best = max(counting, key=lambda run: run.correct)
    correct = best.correct
    details = best.details
    if len(counting) > 1:
        if rule.decide == "mean":  # rounded down to a whole image: a share of images stays one
            correct = sum(run.correct for run in counting) // len(counting)
        seeds = tuple(
            SeedAccuracy(seed=run.details.seed, accuracy=run.accuracy) for run in counting
        )
        details = details.model_copy(update={"seeds": seeds, "decided_by": rule.decide})
    slowest = max(counting, key=lambda run: run.wall_time_s)
    budget_s = _budget_s(assignment, first)
    accuracy = correct / best.images
    met = is_met(accuracy, rule.threshold, slowest.against_budget_s, budget_s, first.mode)
    return Evaluation(
        mode=first.mode,
        accuracy=accuracy,
        interval_95=wilson_interval(correct, best.images),
        images=best.images,
        correct=correct,
        threshold=rule.threshold,
        met=met and best.images == best.of_images,
        wall_time_s=slowest.wall_time_s,
        charged_s=slowest.charged_s,
        time_budget_s=budget_s,
        device=best.device,
        dataset=best.dataset,
        details=details,
    )


def _budget_s(assignment: Assignment, measured: Measurement) -> float:
    """Seconds that it may have taken; a training was ended by the time that it was allowed."""
    if measured.allowed_s is not None:
        return measured.allowed_s
    return assignment.time_budgets.evaluation_s


def unanswered(assignment: Assignment, measured: MeasuredAccuracy) -> str | None:
    """Why what was measured cannot answer the assignment's rule; None where it can.

    Args:
        assignment: Its rule may have changed since the measurement.
        measured: What was measured, or why nothing was.
    """
    rule, runs = assignment.evaluation, measured.runs
    budget_s = assignment.time_budgets.evaluation_s
    if rule is not None and budget_s > (measured.too_slow_for_s or math.inf):
        return f"nothing was measured, which does not tell what it reaches in {budget_s:g} s"
    if rule is None or not runs:
        return None
    first = runs[0]
    if first.images < first.of_images and first.against_budget_s <= budget_s:
        return (
            f"the evaluation was ended after {first.images:,} of {first.of_images:,} images, so it"
            f" does not tell what the network reaches in {budget_s:g} s"
        )
    needed = rule.trainings_for(first.accuracy) if first.mode == "retrain" else 1
    if len(runs) < needed:
        return (
            f"an accuracy of {first.accuracy:.2%} is borderline by this assignment and needs"
            f" {needed} trainings; {len(runs)} was made"
        )
    return None


def starved(evaluation: Evaluation) -> str | None:
    """Why a person should look where other programs may have cost the student the threshold."""
    share = evaluation.details.others_share
    out_of_time = evaluation.details.stopped is StopReason.OUT_OF_TIME
    if evaluation.met or not out_of_time or share is None:
        return None
    if share <= OTHERS_SHARE:
        return None
    return (
        f"the training ran out of time while other programs held {share:.0%} of the processor:"
        " grade it again on a quiet machine"
    )


def accuracy_check(
    assignment: Assignment,
    evaluation: Evaluation | None,
    note: str | None = None,
    cause: Cause | None = None,
) -> CheckResult:
    """The accuracy as a check result.

    Where nothing was measured, `cause` tells what that means: a student's or submission's cause
    fails the check (no weights file, a network that cannot be rebuilt), an infrastructure cause is
    an ERROR (and withholds the grade), and no cause skips it (evaluation switched off, no data on
    this machine), which leaves its points open.

    Args:
        assignment: Threshold, partial credit and points; it asks for an accuracy.
        evaluation: What was measured, judged by the assignment; see `judged`.
        note: Why nothing was measured; a sentence.
        cause: Whose doing it is that nothing was measured.
    """
    line = assignment.rubric.get(ACCURACY)
    points = 0.0 if line is None else line.points
    rule = assignment.evaluation
    assert rule is not None
    threshold = rule.threshold
    result = CheckResult(
        name=ACCURACY,
        group="accuracy",
        title=f"More than {100 * threshold:.6g}% of the test images are classified correctly.",
        visibility="visible" if line is None else line.visibility,
        outcome=Outcome.ERROR,
        max_score=points,
    )
    if evaluation is None:
        return result.model_copy(update=_not_measured(note, cause))
    if evaluation.met:
        return result.model_copy(update={"outcome": Outcome.PASSED, "score": points})
    missed = _missed(evaluation)
    share = partial_credit(evaluation, rule.linear_from)
    if share:
        earned = f" It earns {share:.0%} of the points by the assignment's linear rule."
        missed |= {"score": share * points, "rationale": f"{missed['rationale']}{earned}"}
    return result.model_copy(update=missed)


def partial_credit(evaluation: Evaluation, linear_from: float | None) -> float:
    """Share of the points below the threshold, 0..1; none where the evaluation was too slow.

    Args:
        evaluation: What was measured, and did not meet its threshold.
        linear_from: The accuracy at which the credit begins; None for none at all.
    """
    if linear_from is None or not evaluation.accuracy > linear_from:
        return 0.0
    seconds, budget = evaluation.against_budget_s, evaluation.time_budget_s
    if (
        not is_in_time(seconds, budget, evaluation.mode)
        or not evaluation.accuracy <= evaluation.threshold
    ):
        return 0.0
    return (evaluation.accuracy - linear_from) / (evaluation.threshold - linear_from)


def _not_measured(note: str | None, cause: Cause | None) -> dict[str, object]:
    reason = note or "no evaluation was made"
    if cause is None:
        return {"outcome": Outcome.SKIPPED, "rationale": reason}
    if cause.is_infrastructure:
        return {"outcome": Outcome.ERROR, "rationale": reason}
    return {"outcome": Outcome.FAILED, "rationale": reason}


def _missed(evaluation: Evaluation) -> dict[str, object]:
    """Why a measured accuracy earns nothing: not above the threshold, or measured too slowly."""
    if not evaluation.accuracy > evaluation.threshold:
        finding = Finding(
            where="test images",
            message=(
                f"accuracy: expected above {evaluation.threshold:.2%}, "
                f"received {evaluation.accuracy:.2%}"
            ),
            expected=f"above {evaluation.threshold:.2%}",
            received=f"{evaluation.accuracy:.2%}",
            help=_what_to_try(evaluation),
        )
        return _failed(finding, f"{finding.message}.")
    seconds = evaluation.against_budget_s
    over = seconds - evaluation.time_budget_s
    finding = Finding(
        where="test images",
        message=(
            f"time of the evaluation: expected at most {evaluation.time_budget_s:g} s, "
            f"received {seconds:.1f} s"
        ),
        expected=f"at most {evaluation.time_budget_s:g} s",
        received=f"{seconds:.1f} s",
        help="Hand in a smaller network: fewer layers or a smaller growth rate.",
    )
    return _failed(
        finding,
        f"The evaluation took {over:.1f} s more than its {evaluation.time_budget_s:g} s, "
        f"so the accuracy of {evaluation.accuracy:.2%} does not count.",
    )


def _what_to_try(evaluation: Evaluation) -> str:
    """Advice on an accuracy below the threshold: near chance, longer training is none."""
    found = evaluation.details
    other = (
        "either `preprocess` is not what you trained with (missing, or it scales twice), or these "
        "are not the weights that you trained."
    )
    called = [sum(column) for column in zip(*found.confusion, strict=False)]
    if evaluation.mode == "weights" and called and max(called) >= ONE_CLASS * evaluation.images:
        name = found.classes[called.index(max(called))]
        return f"Your network calls {max(called):,} of {evaluation.images:,} images {name}: {other}"
    looks = found.looks
    if evaluation.mode == "weights" and looks and looks.train_sample < NEAR_CHANCE:
        return (
            f"Of the training images it knows {looks.train_sample:.0%}, hardly more than by "
            f"chance: {other}"
        )
    return "Train longer, or with augmentation and a falling learning rate."


def _failed(finding: Finding, rationale: str) -> dict[str, object]:
    return {
        "outcome": Outcome.FAILED,
        "rationale": rationale,
        "help": finding.help,
        "findings": (finding,),
    }
