"""What a student may see of a grade: what the rubric's visibility lets through, and no trace of the
rest in sums, causes and messages.

On a student's own machine this is a matter of order and not of secrecy: who has the assignment's
folder and the grader can read and change both.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime

from grader.assignment import Assignment, RubricLine
from grader.domain import CheckResult, Grade, GradeStatus, Outcome, Visibility
from grader.errors import Cause
from grader.scoring import ACCURACY

OUR_FAULT = "the grader or its machine failed"
NOT_CHECKED = "what it builds on was not checked"


def is_shown(visibility: Visibility, after_due: bool) -> bool:
    """Whether students see a check.

    Args:
        visibility: As the rubric says.
        after_due: Whether the due date has passed.
    """
    return visibility == "visible" or (visibility == "after_due" and after_due)


def is_after_due(assignment: Assignment) -> bool:
    """Whether the due second has passed, by this machine's clock."""
    return datetime.now(UTC).replace(microsecond=0) > assignment.deadline.due


def all_due_passed(grades: Iterable[Grade], now: datetime) -> bool:
    """Whether nobody can hand in any more: what waits for the due date would tell others.

    Args:
        grades: Of a class, with the due time of each where it is known.
        now: Aware.
    """
    moment = now.astimezone(UTC).replace(microsecond=0)
    due = [grade.deadline.due for grade in grades if grade.deadline is not None]
    return bool(due) and all(moment > each for each in due)


def shown_points(rubric: Mapping[str, RubricLine], after_due: bool) -> float:
    """Points of the checks that students see."""
    return math.fsum(
        line.points for line in rubric.values() if is_shown(line.visibility, after_due)
    )


def shows_structure(rubric: Mapping[str, RubricLine], after_due: bool) -> bool:
    """Whether students see every check of what was read, so that they may see that itself."""
    return all(
        is_shown(line.visibility, after_due) for name, line in rubric.items() if name != ACCURACY
    )


def for_student(grade: Grade, after_due: bool) -> Grade:
    """The grade as its student may see it.

    Args:
        grade: The whole grade.
        after_due: Whether the due date has passed, so that what waits for it is shown.

    Returns:
        The same grade where all its checks are shown. Else one without the others: the score and
        the maximum are sums over what is left, what follows from an unseen check stands for
        itself, and an unseen accuracy was never measured.
    """
    grade = _without_reasons(grade)
    shown = [check for check in grade.checks if is_shown(check.visibility, after_due)]
    unseen = {check.name: check for check in grade.checks if check not in shown}
    if not unseen:
        return grade
    update: dict[str, object] = {
        "checks": _ranked_anew([_without(check, unseen) for check in shown]),
        "max_score": round(math.fsum(check.max_score for check in shown), 2),
        "message": _message(grade, unseen),
    }
    if grade.override is not None:
        update["max_score"] = grade.max_score  # what a person has set is of the whole
    elif grade.status is GradeStatus.GRADED:
        penalty = grade.deadline.penalty if grade.deadline is not None else 0.0
        points = math.fsum(check.score for check in shown) - penalty
        update["score"] = max(0.0, round(points, 2))
    if ACCURACY in unseen:
        update |= {"evaluation": None, "evaluation_note": None}
    return grade.model_copy(update=update)


def _without_reasons(grade: Grade) -> Grade:
    """A decision of a person without who, why, and what the grader had said."""
    if grade.override is None:
        return grade
    said = {"why": "", "by": "", "computed_message": None, "computed_score": grade.score}
    told = grade.override.model_copy(update={**said, "computed_status": grade.status})
    return grade.model_copy(update={"override": told})


def _without(check: CheckResult, unseen: Mapping[str, CheckResult]) -> CheckResult:
    """A check that names no unseen one as its cause."""
    follows = check.follows_from in unseen
    update: dict[str, object] = {"follows_from": None} if follows else {}
    if check.outcome is Outcome.SKIPPED and (follows or _names(check.rationale or "", unseen)):
        update["rationale"] = NOT_CHECKED
    return check.model_copy(update=update)


def _names(text: str, unseen: Mapping[str, CheckResult]) -> bool:
    """Whether a text holds the name of an unseen check."""
    return any(word in unseen for word in re.findall(r"[\w-]+", text))


def _ranked_anew(checks: Sequence[CheckResult]) -> tuple[CheckResult, ...]:
    """Causes numbered from 1 without a gap: a gap would tell that there is one more."""
    ranks = sorted(check.rank for check in checks if check.rank)
    return tuple(
        check.model_copy(update={"rank": ranks.index(check.rank) + 1}) if check.rank else check
        for check in checks
    )


def _message(grade: Grade, unseen: Mapping[str, CheckResult]) -> str | None:
    """Why there is no score, where that tells nothing of an unseen check."""
    if grade.status is GradeStatus.WITHHELD:
        broken = any(check.outcome is Outcome.ERROR for check in unseen.values())
        measured = ACCURACY in unseen and grade.message == grade.evaluation_note
        return OUR_FAULT if broken or measured else grade.message
    # The reasons for a review are one text, and one of them may be the accuracy.
    by_accuracy = ACCURACY in unseen and grade.cause is not Cause.SUBMISSION_LATE
    return None if grade.status is GradeStatus.REVIEW and by_accuracy else grade.message
