"""Rubric, threshold, deadline and late policy → Grade. Pure; effects ended at the run directory."""

from grader.scoring.accuracy import (
    ACCURACY,
    accuracy_check,
    is_met,
    judged,
    starved,
    unanswered,
    wilson_interval,
)
from grader.scoring.deadline import apply_deadline, describe_policy
from grader.scoring.grade import (
    apply_rubric,
    exit_status,
    make_grade,
    open_points,
    points_of_checks,
    reference_to,
    ungraded,
)

__all__ = [
    "ACCURACY",
    "accuracy_check",
    "apply_deadline",
    "apply_rubric",
    "describe_policy",
    "exit_status",
    "is_met",
    "judged",
    "make_grade",
    "open_points",
    "points_of_checks",
    "reference_to",
    "starved",
    "unanswered",
    "ungraded",
    "wilson_interval",
]
