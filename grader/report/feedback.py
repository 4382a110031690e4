"""A grade in plain lines, for platforms that show text: every line is harmless and short."""

from __future__ import annotations

from collections.abc import Iterator

from grader.domain import CheckResult, Finding, Grade, GradeStatus, Outcome
from grader.report.text import safe_line
from grader.report.visibility import for_student
from grader.report.words import duration, minus, percent, score_words

FINDINGS_SHOWN = 5
"""Findings of one check written out; the rest is counted."""


def check_lines(check: CheckResult) -> Iterator[str]:
    """What a student reads below a check's name: why, where, what to do."""
    if check.outcome is Outcome.SKIPPED:
        yield f"skipped: {safe_line(check.rationale or 'what it builds on failed', 300)}"
        return
    if check.follows_from:
        yield f"Follows from {safe_line(check.follows_from, 60)}: mend that first."
    said = {finding.message for finding in check.findings}
    if check.rationale and check.outcome is not Outcome.PASSED and check.rationale not in said:
        yield safe_line(check.rationale, 300)
    for finding in check.findings[:FINDINGS_SHOWN]:
        yield from _finding_lines(finding)
    if len(check.findings) > FINDINGS_SHOWN:
        yield f"+ {len(check.findings) - FINDINGS_SHOWN} more"
    if check.help and all(check.help != finding.help for finding in check.findings):
        yield f"Help: {safe_line(check.help, 300)}"


def summary_lines(grade: Grade, after_due: bool = False) -> Iterator[str]:
    """Verdict, accuracy and deadline as a student may read them, without the checks.

    Args:
        grade: The whole grade.
        after_due: Whether the due date has passed, so that what waits for it is shown.
    """
    whole, grade = grade, for_student(grade, after_due)
    if grade.message:
        yield safe_line(grade.message, 400)
    if grade.help:
        yield f"Help: {safe_line(grade.help, 400)}"
    if grade.status is GradeStatus.REVIEW:
        yield "A person looks at this submission before points are given."
    elif grade.status is GradeStatus.GRADED and (grade.checks or not whole.checks):
        of_what = "" if grade.checks == whole.checks else " (of the checks that you can see)"
        yield f"Score: {score_words(grade)}{of_what}"
    if grade.evaluation is not None:
        measured = grade.evaluation
        verdict = "met" if measured.met else "not met"
        yield (
            f"Accuracy: {measured.accuracy:.2%}, must be above {percent(measured.threshold)}: "
            f"{verdict}"
        )
    elif grade.checks and grade.evaluation_note:
        yield f"Accuracy: not evaluated: {safe_line(grade.evaluation_note, 300)}"
    if grade.deadline is not None and grade.deadline.seconds_late > 0:
        effect = f"{minus(grade.deadline.penalty)} points" if grade.deadline.penalty else "no cost"
        yield f"Deadline: {duration(grade.deadline.seconds_late)} late, {effect}"


def student_lines(grade: Grade, after_due: bool = False) -> Iterator[str]:
    """The whole feedback that a student may read: the summary and what the checks found.

    Args:
        grade: The whole grade.
        after_due: Whether the due date has passed, so that what waits for it is shown.
    """
    yield from summary_lines(grade, after_due)
    for check in for_student(grade, after_due).checks:
        if check.outcome is Outcome.PASSED:
            continue
        title = safe_line(check.title, 160)
        yield f"{title} {check.score:g} / {check.max_score:g} ({check.outcome.value})"
        yield from (f"  {line}" for line in check_lines(check))


def _finding_lines(finding: Finding) -> Iterator[str]:
    remark = "Remark, " if finding.severity == "remark" else ""
    source = f" ({safe_line(finding.source, 120)})" if finding.source else ""
    where = "" if finding.place else f"{safe_line(finding.where, 120)}: "
    yield f"{remark}{where}{safe_line(finding.message, 400)}{source}"
    if finding.layer:
        yield f"  Yours: {safe_line(finding.layer, 160)}"
    if finding.code:
        yield f"  {safe_line(finding.code, 160)}"
    if finding.help:
        yield f"  {safe_line(finding.help, 300)}"
    if finding.call or finding.asked:
        yield f"  Seen by: {safe_line(finding.call or finding.asked, 400)}"
