"""The measured accuracy as a check: interval, threshold, time budget. Fails closed."""

from __future__ import annotations

from grader.assignment import ACCURACY, Assignment
from grader.domain import CheckResult, Evaluation, Finding, Outcome
from grader.engine.rule import is_in_time, is_met, wilson_interval
from grader.errors import Cause

ONE_CLASS = 0.9
"""Share of the images in one class from which on a network tells nothing apart."""
NEAR_CHANCE = 0.2
"""Accuracy on training images below which nothing was learnt, or it is not seen; chance is 0.1."""

__all__ = ["ACCURACY", "accuracy_check", "is_met", "wilson_interval"]


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
        evaluation: What was measured.
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
    contradiction = _contradiction(evaluation, threshold)
    if contradiction:
        return result.model_copy(update={"rationale": contradiction})
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


def _contradiction(evaluation: Evaluation, threshold: float) -> str | None:
    """What cannot be true together in an evaluation; a grader bug, never the student's."""
    if evaluation.correct > evaluation.images:
        return "more images are correct than were shown"
    if evaluation.accuracy != evaluation.correct / evaluation.images:
        return "the accuracy is not the share of correct images"
    if evaluation.threshold != threshold:
        return "the evaluation used another threshold than the assignment"
    met = is_met(
        evaluation.accuracy,
        threshold,
        evaluation.against_budget_s,
        evaluation.time_budget_s,
        evaluation.mode,
    )
    if evaluation.met != met:
        return "the evaluation's verdict is not that of the rule"
    return None


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
    called = [sum(column) for column in zip(*found.get("confusion", []), strict=False)]
    if evaluation.mode == "weights" and called and max(called) >= ONE_CLASS * evaluation.images:
        name = found["classes"][called.index(max(called))]
        return f"Your network calls {max(called):,} of {evaluation.images:,} images {name}: {other}"
    looks = found.get("looks")
    if evaluation.mode == "weights" and looks and looks["train_sample"] < NEAR_CHANCE:
        return (
            f"Of the training images it knows {looks['train_sample']:.0%}, hardly more than by "
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
