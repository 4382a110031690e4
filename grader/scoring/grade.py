"""Checks, measured accuracy and deadline become one grade; what is unclear is never points.

An ERROR or an infrastructure cause withholds the grade, a doubt sends it to review, and both
carry a score of 0 that exports leave blank: "unscored" is kept apart from zero.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from grader.assignment import Assignment, RubricLine
from grader.domain import (
    CheckResult,
    DeadlineResult,
    Grade,
    GradeStatus,
    Isolation,
    MeasuredAccuracy,
    Outcome,
    Provenance,
    Submission,
    SubmissionRef,
)
from grader.errors import (
    EXIT_GRADED,
    EXIT_INFRASTRUCTURE,
    EXIT_REJECTED,
    Cause,
    InfrastructureError,
    SubmissionRejected,
)
from grader.intake.names import ASK_FOR_TIME
from grader.scoring.accuracy import ACCURACY, accuracy_check, judged, starved, unanswered

NO_ACCURACY = "the assignment asks for no accuracy"
NO_EVALUATION = "no evaluation was made"
NOT_MEASURED = MeasuredAccuracy()


@dataclass(frozen=True)
class Facts:
    """What a grade rests on, beside the checks.

    Attributes:
        deadline: The deadline applied to the submission.
        provenance: What it was graded with.
        isolation: What student code ran in.
        measured: What came of measuring the accuracy; judged here.
        cause: How the sandboxed stage ended, where it did not end well.
        message: What that was, for a person.
        help: What to try.
        review: Why a person must look before points are given, beside what was measured.
    """

    deadline: DeadlineResult
    provenance: Provenance
    isolation: Isolation
    measured: MeasuredAccuracy = NOT_MEASURED
    cause: Cause | None = None
    message: str | None = None
    help: str | None = None
    review: str | None = None


def make_grade(
    assignment: Assignment, submission: Submission, checks: Sequence[CheckResult], facts: Facts
) -> Grade:
    """The grade of one submission.

    Args:
        assignment: Rubric and threshold.
        submission: What was handed in.
        checks: Results in order of display, without the accuracy; a share of points
            (score / max_score) or none, the rubric gives the points.
        facts: What else the grade rests on.

    Returns:
        The grade: rejected (late under a policy that refuses), withheld (ERROR or INFRA), review,
        or graded, in this order of precedence after withheld.
    """
    measured = _answering(assignment, facts.measured)
    evaluation = judged(assignment, measured.runs) if measured.runs else None
    if assignment.evaluation is not None:
        accuracy = accuracy_check(assignment, evaluation, measured.note, measured.cause)
        checks = (*checks, accuracy)
    results = apply_rubric(assignment.rubric, checks)
    base = Grade(
        student_id=submission.student,
        submission=reference_to(submission),
        status=GradeStatus.GRADED,
        cause=facts.cause,
        message=facts.message,
        help=facts.help,
        score=0.0,
        max_score=assignment.max_score,
        checks=results,
        evaluation=evaluation,
        evaluation_note=None if evaluation is not None else measured.note or NO_EVALUATION,
        deadline=facts.deadline,
        isolation=facts.isolation,
        remarks=submission.remarks,
        provenance=facts.provenance,
    )
    verdict = (
        _withheld(results, (facts.cause, measured.cause), facts.message, measured.note)
        or _late(facts.deadline)
        or _review(
            facts.review, measured.review, starved(evaluation) if evaluation is not None else None
        )
        or {"score": _score(results, facts.deadline)}
    )
    return base.model_copy(update=verdict)


def _answering(assignment: Assignment, measured: MeasuredAccuracy) -> MeasuredAccuracy:
    """What of a measurement the assignment asks for and can be answered by it."""
    if assignment.evaluation is None:
        return MeasuredAccuracy(note=NO_ACCURACY)
    why_not = unanswered(assignment, measured)
    return measured if why_not is None else MeasuredAccuracy(note=why_not)


def ungraded(
    error: SubmissionRejected | InfrastructureError,
    *,
    assignment: Assignment,
    student_id: str,
    submission: SubmissionRef,
    provenance: Provenance,
    deadline: DeadlineResult | None = None,
    isolation: Isolation | None = None,
    remarks: tuple[str, ...] = (),
) -> Grade:
    """The grade of what could not be graded: rejected at intake, or the machine failed.

    Args:
        error: What stood in the way.
        assignment: For the maximum score.
        student_id: Whose it is, as far as known.
        submission: What is known of it.
        provenance: What it was to be graded with.
        deadline: The deadline applied to it, where the receipt is known.
        isolation: What student code ran in, if it ran.
        remarks: What intake noticed.
    """
    rejected = isinstance(error, SubmissionRejected)
    return Grade(
        student_id=student_id,
        submission=submission,
        status=GradeStatus.REJECTED if rejected else GradeStatus.WITHHELD,
        cause=error.cause,
        message=error.message,
        help=error.help or None,
        score=0.0,
        max_score=assignment.max_score,
        evaluation_note="nothing was graded",
        deadline=deadline,
        isolation=isolation,
        remarks=remarks,
        provenance=provenance,
    )


def apply_rubric(
    rubric: Mapping[str, RubricLine], checks: Iterable[CheckResult]
) -> tuple[CheckResult, ...]:
    """Give each result the rubric's points and visibility.

    A check passed earns all its points; one failed earns the share it reports (partial credit),
    never all; skipped and ERROR earn none. What makes no sense becomes an ERROR: a result twice,
    a share that is no number, a check of the rubric without a result.

    Args:
        rubric: Check name → points and visibility.
        checks: Results in order of display. One without a line in the rubric is worth 0 points.
    """
    results: dict[str, CheckResult] = {}
    for check in checks:
        if check.name in results:
            results[check.name] = _error(results[check.name], "the check gave two results")
            continue
        results[check.name] = _with_points(check, rubric.get(check.name))
    for name, line in rubric.items():
        if name not in results:
            results[name] = CheckResult(
                name=name,
                group="architecture",
                title=name,
                visibility=line.visibility,
                outcome=Outcome.ERROR,
                max_score=line.points,
                rationale="the check gave no result",
            )
    return tuple(results.values())


def reference_to(submission: Submission) -> SubmissionRef:
    """The submission as a grade names it."""
    return SubmissionRef(
        source=submission.source,
        sha256=submission.sha256,
        written_sha256=submission.written_sha256,
        weights_sha256=submission.weights_sha256,
        received_at=submission.received_at,
        received_from=submission.received_from,
    )


def open_points(grade: Grade) -> float:
    """Points that nobody has decided on, because the accuracy was not measured."""
    if grade.override is not None:
        return 0.0
    return sum(
        check.max_score
        for check in grade.checks
        if check.name == ACCURACY and check.outcome is Outcome.SKIPPED
    )


def points_of_checks(grade: Grade) -> float:
    """Points of the checks together, before the deadline; provisional unless graded."""
    return round(math.fsum(check.score for check in grade.checks), 2)


def exit_status(grades: Iterable[Grade]) -> int:
    """The program's exit status: 3 something was withheld, 1 something rejected, else 0."""
    statuses = {grade.status for grade in grades}
    if GradeStatus.WITHHELD in statuses:
        return EXIT_INFRASTRUCTURE
    if GradeStatus.REJECTED in statuses:
        return EXIT_REJECTED
    return EXIT_GRADED


def _with_points(check: CheckResult, line: RubricLine | None) -> CheckResult:
    points = 0.0 if line is None else line.points
    update: dict[str, object] = {"max_score": points, "score": 0.0}
    if line is not None:
        update["visibility"] = line.visibility
    share = _share(check)
    if share is None:
        return _error(check.model_copy(update=update), "the check's score is not a share of points")
    update["score"] = round(share * points, 2)
    return check.model_copy(update=update)


def _share(check: CheckResult) -> float | None:
    """How much of its points a check earns, 0..1; None where what it reports makes no sense."""
    if check.outcome is Outcome.PASSED:
        return 1.0
    if check.outcome is not Outcome.FAILED or not check.max_score:
        return 0.0
    share = check.score / check.max_score
    # Written so that NaN fails. A failed check that claims everything is a contradiction.
    return share if 0 <= share < 1 else None


def _error(check: CheckResult, reason: str) -> CheckResult:
    return check.model_copy(update={"outcome": Outcome.ERROR, "score": 0.0, "rationale": reason})


def _withheld(
    results: Sequence[CheckResult],
    causes: Iterable[Cause | None],
    message: str | None,
    note: str | None,
) -> dict[str, object] | None:
    """Status, cause and message where the machine or the grader failed."""
    broken = [check for check in results if check.outcome is Outcome.ERROR]
    infrastructure = [cause for cause in causes if cause is not None and cause.is_infrastructure]
    if not broken and not infrastructure:
        return None
    cause = infrastructure[0] if infrastructure else Cause.INFRA_GRADER_BUG
    if infrastructure:
        reason = message or note or "the grader or its machine failed"
    else:
        reason = "; ".join(f"{check.name}: {check.rationale or 'failed'}" for check in broken)
    return {
        "status": GradeStatus.WITHHELD,
        "cause": cause,
        "message": reason,
        "help": "This is not the student's doing. Grade again once the machine is in order.",
        "score": 0.0,
    }


def _late(deadline: DeadlineResult) -> dict[str, object] | None:
    """Refused for lateness; on a file's time alone, a person decides."""
    if not deadline.rejected:
        return None
    if deadline.weak:
        return {
            "status": GradeStatus.REVIEW,
            "cause": Cause.SUBMISSION_LATE,
            "message": "Late by its file's time alone, which copying changes.",
            "help": ASK_FOR_TIME,
        }
    return {
        "status": GradeStatus.REJECTED,
        "cause": Cause.SUBMISSION_LATE,
        "message": "Received after the deadline; late submissions are not graded.",
        "help": "Ask the course's staff for an extension.",
    }


def _review(*reasons: str | None) -> dict[str, object] | None:
    given = [reason for reason in reasons if reason]
    return {"status": GradeStatus.REVIEW, "message": "; ".join(given)} if given else None


def _score(results: Iterable[CheckResult], deadline: DeadlineResult) -> float:
    """Points of the checks less the penalty, not below 0.

    Raises:
        InfrastructureError: The sum is not a number, which nothing above should let happen.
    """
    score = math.fsum(check.score for check in results) - deadline.penalty
    if not math.isfinite(score):
        raise InfrastructureError(Cause.INFRA_GRADER_BUG, f"the score is not a number: {score}")
    return max(0.0, round(score, 2))
