"""What a student does next, in a few sentences."""

from __future__ import annotations

from collections.abc import Iterator

from grader.domain import Grade, GradeStatus, Outcome
from grader.errors import Cause
from grader.report.causes import causes_of
from grader.scoring import ACCURACY

AGAIN = "If your course takes another attempt, hand in again."
NOTHING = "You need do nothing."


def next_steps(grade: Grade) -> Iterator[str]:
    """The steps in their order.

    Args:
        grade: As its student may see it.
    """
    if grade.status is GradeStatus.WITHHELD:
        yield f"This is not your doing. It will be graded again. {NOTHING}"
        return
    if grade.status is GradeStatus.REVIEW:
        yield f"A person looks at this submission before points are given. {NOTHING}"
        return
    if grade.help:
        yield grade.help
    if grade.status is GradeStatus.REJECTED:
        if grade.cause is not Cause.SUBMISSION_LATE:
            yield AGAIN
        return
    steps = [*_structure(grade), *_accuracy(grade)]
    yield from steps
    yield AGAIN if steps else f"Nothing is left to mend. {NOTHING}"


def _structure(grade: Grade) -> Iterator[str]:
    causes = causes_of(grade.checks)
    if causes:
        rest = "; the others may go with it" if len(causes) > 1 else ""
        yield f"Mend 1 below first{rest}. `grade check` shows at once whether it helped."


def _accuracy(grade: Grade) -> Iterator[str]:
    check = next((c for c in grade.checks if c.name == ACCURACY), None)
    if check is None or check.outcome is Outcome.PASSED:
        return
    measured = grade.evaluation
    if measured is not None and measured.details.advice:
        yield measured.details.advice
    elif measured is not None and measured.accuracy > measured.threshold:
        yield "The accuracy is high enough, but took longer than allowed: make the network smaller."
    elif measured is not None:
        yield (
            "The accuracy is not above what is asked for: train longer, or by another recipe "
            "(`grade train`), then `grade pack`."
        )
    elif measured is None and check.outcome is Outcome.FAILED:
        yield "Train the network (`grade train`) and pack it with its weights (`grade pack`)."
