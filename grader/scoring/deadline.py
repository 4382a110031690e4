"""The deadline applied to one submission: pure arithmetic on instants.

Only the time of receipt counts. The time of grading is not an argument of anything here, so a
grade made months later is the same grade.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime

from grader.assignment import Assignment, LatePolicy
from grader.domain import DeadlineResult, ReceivedFrom

_UNITS = {"per_hour": (3600, "hour"), "per_day": (86400, "day")}


def apply_deadline(
    assignment: Assignment,
    student_id: str,
    received_at: datetime | None,
    received_from: ReceivedFrom | None,
    extensions: Mapping[str, datetime],
) -> DeadlineResult:
    """What the time of receipt does to a submission.

    The due second itself is in time: whatever arrives before the next second begins is not late.
    Lateness counts from the due time in started hours or days: one second late is one hour late.
    Within the grace it costs nothing; past it, it counts from the due time, not from its end.

    Args:
        assignment: Due date and late policy.
        student_id: Looked up in `extensions`.
        received_at: Aware time of receipt; None when nothing tells, which costs nothing.
        received_from: What told it; a file's time is weak evidence and marked so.
        extensions: Student id → own due time.

    Returns:
        Due, received, lateness, the rule in words and its effect in points.

    Raises:
        ValueError: `received_at` has no zone.
    """
    due, extension = _due_for(assignment, student_id, extensions)
    policy = assignment.deadline.late
    rule = describe_policy(policy)
    if received_at is None:
        return DeadlineResult(
            due=due,
            received_at=None,
            received_from=None,
            extension=extension,
            seconds_late=0.0,
            rule=f"{rule}; not applied, because nothing tells when this was received",
            penalty=0.0,
        )
    if received_at.tzinfo is None:
        raise ValueError(f"received_at: expected a time with its zone. Received: {received_at}")
    seconds_late = _seconds_late(received_at, due)
    counts = seconds_late > policy.grace_minutes * 60
    return DeadlineResult(
        due=due,
        received_at=received_at,
        received_from=received_from,
        weak=received_from == "file-time",
        extension=extension,
        seconds_late=float(seconds_late),
        rule=rule,
        penalty=_penalty(policy, seconds_late, assignment.max_score) if counts else 0.0,
        rejected=counts and policy.policy == "reject",
    )


def describe_policy(policy: LatePolicy) -> str:
    """The late policy as a person says it, such as "10% of the maximum off per started day"."""
    if policy.policy == "reject":
        rule = "late submissions are not graded"
    else:
        _, unit = _UNITS[policy.policy]
        rule = f"{_amount(policy, policy.deduction)} off per started {unit} late"
        if policy.cap is not None:
            rule += f", at most {_amount(policy, policy.cap)}"
    if policy.grace_minutes:
        rule += f"; the first {policy.grace_minutes:g} min cost nothing"
    return rule


def _amount(policy: LatePolicy, value: float | None) -> str:
    percent = policy.unit == "percent"
    noun = "% of the maximum score" if percent else " point" if value == 1 else " points"
    return f"{value:g}{noun}"


def _due_for(
    assignment: Assignment, student_id: str, extensions: Mapping[str, datetime]
) -> tuple[datetime, str | None]:
    ordinary = assignment.deadline.due
    due = extensions.get(student_id)
    if due is None or due == ordinary:
        return ordinary, None
    due = due.astimezone(assignment.deadline.zone_info)
    return due, f"extended for this student from {ordinary:%Y-%m-%d %H:%M:%S} ({ordinary:%z})"


def _seconds_late(received_at: datetime, due: datetime) -> int:
    """Whole seconds after the due second; 0 in time.

    Both go through UTC first: Python subtracts two times of one zone by their clock faces, which
    is an hour wrong across a change of the clocks.
    """
    received = received_at.astimezone(UTC).replace(microsecond=0)
    return max(0, int((received - due.astimezone(UTC)).total_seconds()))


def _penalty(policy: LatePolicy, seconds_late: int, max_score: float) -> float:
    """Points off for a submission past its grace, never more than there are."""
    if policy.policy == "reject" or policy.deduction is None:
        return 0.0
    seconds_per_unit, _ = _UNITS[policy.policy]
    points_per_unit = max_score / 100 if policy.unit == "percent" else 1.0
    deduction = math.ceil(seconds_late / seconds_per_unit) * policy.deduction
    if policy.cap is not None:
        deduction = min(deduction, policy.cap)
    return round(min(deduction * points_per_unit, max_score), 2)
