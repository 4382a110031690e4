"""One grade in the words of platforms that run graders: Autolab, PrairieLearn, Classroom 50.

What each of them cannot say stands in docs/exports.md. A grade that a person still has to decide on
(review, withheld) has no form on any of them: it is left out, and the student has no score there.

Sources: Autolab's documentation, "Guide for lab authors" and "Formatted feedback"; PrairieLearn's
"External grading" and externalGraderCommon.ts; Classroom 50's "Advanced autograding" and the checks
of its collect_scores.py.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from grader.domain import CheckResult, Grade, GradeStatus, Outcome
from grader.errors import Cause
from grader.export.files import stem_of
from grader.report.feedback import check_lines, student_lines, summary_lines
from grader.report.text import safe_line
from grader.report.visibility import for_student

LATENESS = "lateness"
"""Autolab's problem for what lateness costs, and for what the staff has decided."""
PRAIRIELEARN_BYTES = 2**20
"""Most that PrairieLearn reads."""
TEXT = 4000
"""Characters of one output."""


def is_decided(grade: Grade) -> bool:
    """Whether a platform can be told: graded, or rejected, which is a 0 that says why."""
    return grade.status in (GradeStatus.GRADED, GradeStatus.REJECTED)


# --- Autolab ------------------------------------------------------------------------------


def to_autolab(grade: Grade) -> str:
    """The last two lines that Autolab's driver prints: what students read, and the scores.

    A problem of the lab is a group of checks, and `lateness` what that costs: the lab has to have
    problems of these names.
    """
    return f"{json.dumps(_stages(grade))}\n{json.dumps(_scores(grade), allow_nan=False)}\n"


def _scores(grade: Grade) -> dict[str, Any]:
    scores: dict[str, float] = {}
    for check in grade.checks:
        points = check.score if grade.status is GradeStatus.GRADED else 0.0
        scores[check.group] = round(scores.get(check.group, 0.0) + points, 2)
    if grade.override is not None:  # the total is what the staff has set
        scores[LATENESS] = round(grade.score - math.fsum(scores.values()), 2)
    elif grade.deadline is not None:
        penalty = min(grade.deadline.penalty, math.fsum(scores.values()))
        scores[LATENESS] = -round(penalty, 2) if penalty else 0.0
    # Autolab takes no run without a score for its own.
    result: dict[str, Any] = {"scores": scores or {LATENESS: 0.0}}
    if grade.evaluation is not None and for_student(grade, after_due=False).evaluation is not None:
        result["scoreboard"] = [grade.evaluation.accuracy, grade.score]
    return result


def _stages(grade: Grade) -> dict[str, Any]:
    seen = for_student(grade, after_due=False)
    stages: dict[str, dict[str, Any]] = {}
    if grade.status is not GradeStatus.GRADED:
        hint = " ".join(summary_lines(grade))
        stages["submission"] = {"handed in": {"passed": False, "hint": hint[:TEXT]}}
    for check in seen.checks:
        told: dict[str, Any] = {"passed": check.outcome is Outcome.PASSED}
        if not told["passed"]:
            told["hint"] = "\n".join(check_lines(check))[:TEXT]
        stages.setdefault(check.group, {})[safe_line(check.title, 160)] = told
    return {"_presentation": "semantic", "stages": list(stages), **stages}


# --- PrairieLearn -------------------------------------------------------------------------


def to_prairielearn(grade: Grade) -> dict[str, Any]:
    """What PrairieLearn reads from /grade/results/results.json.

    A submission that cannot be read is not gradable, which costs no attempt. One that is late by
    the course's rule is a 0 that says so.
    """
    if grade.status is GradeStatus.REJECTED and grade.cause is not Cause.SUBMISSION_LATE:
        told = [line for line in (grade.message, grade.help) if line]
        return {
            "gradable": False,
            "score": 0.0,
            "message": safe_line(grade.message or "Rejected.", 400),
            "format_errors": [safe_line(line, 400) for line in told],
        }
    tests = [_test(check) for check in for_student(grade, after_due=False).checks]
    result = {
        "gradable": True,
        "score": _share(grade),
        "message": "\n".join(summary_lines(grade))[:TEXT],
        "output": "",
        "images": [],
        "tests": tests,
    }
    if len(json.dumps(result)) > PRAIRIELEARN_BYTES:
        for test in tests:
            test["output"] = test["output"][:200]
    return result


def _share(grade: Grade) -> float:
    if grade.status is not GradeStatus.GRADED:
        return 0.0
    return round(min(max(grade.score / grade.max_score, 0.0), 1.0), 6)


def _test(check: CheckResult) -> dict[str, Any]:
    return {
        "name": safe_line(check.title, 200),
        "description": safe_line(check.name, 60),
        "points": check.score,
        "max_points": check.max_score,
        "message": safe_line(check.rationale or "", 400),
        "output": "\n".join(check_lines(check))[:TEXT],
    }


# --- Classroom 50 -------------------------------------------------------------------------


def to_classroom50(
    grade: Grade, classroom: str, assignment: str, links: dict[str, str] | None = None
) -> dict[str, Any]:
    """What Classroom 50 reads from result.json. Its points are whole numbers.

    Args:
        grade: The grade.
        classroom: Short name.
        assignment: Slug.
        links: submission, commit, release and review as the runner names them; without them the
            record is one that was made by hand, as Classroom 50 itself writes such.
    """
    received = grade.submission.received_at or datetime.now(UTC)
    moment = f"{received.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
    tag = f"submit/manual-{moment.replace(':', '-')}"
    shown = for_student(grade, after_due=False).checks
    score = grade.score if grade.status is GradeStatus.GRADED else 0.0
    most = max(_whole(grade.max_score), 0)
    return {
        "schema": "classroom50/result/v1",
        "classroom": classroom,
        "assignment": assignment,
        **dict.fromkeys(("submission", "commit", "release", "review"), tag),
        **(links or {}),
        "datetime": moment,
        "score": min(_whole(score), most),
        "max-score": most,
        "tests": _whole_tests(shown),
    }


def _whole_tests(checks: Sequence[CheckResult]) -> list[dict[str, Any]]:
    tests = []
    for check in checks:
        most = _whole(check.max_score)
        tests.append(
            {
                "test-name": safe_line(check.name, 60) or "check",
                "passed": check.outcome is Outcome.PASSED,
                "score": min(_whole(check.score), most),
                "max-score": most,
                "message": "\n".join(check_lines(check))[:TEXT],
            }
        )
    return tests


def _whole(points: float) -> int:
    """Points rounded to the nearest whole one, halves up: nobody loses half a point to a format."""
    return max(math.floor(points + 0.5), 0)


# --- files that are taken back ------------------------------------------------------------

_MOODLE = re.compile(r"[^_/\\\0]+_\d+_assignsubmission_", re.ASCII)
_CANVAS = re.compile(r"(?:[^/\\\0]+?_)?(?:LATE_)?(?:\d{2,}|anon_[^_/\\\0]+)_\d{3,}_", re.ASCII)


def feedback_name(grade: Grade, suffix: str) -> str:
    """The name under which a platform takes a student's feedback file back.

    Moodle takes a zip of files named by person, participant's number and plugin; Canvas takes files
    named by user and attachment. Both are the beginnings of the names of their own downloads.

    Args:
        grade: Whose.
        suffix: "html" or "txt".
    """
    first = grade.submission.source.partition("/")[0]
    if found := _MOODLE.match(first):
        return f"{found[0]}file_feedback.{suffix}"
    if found := _CANVAS.match(first):
        return f"{found[0]}feedback.{suffix}"
    return f"{stem_of(grade.student_id)}.{suffix}"


def feedback_text(grade: Grade, after_due: bool) -> str:
    """What a student may read."""
    return "\n".join(student_lines(grade, after_due)) + "\n"
