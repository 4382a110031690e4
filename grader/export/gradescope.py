"""One grade as Gradescope's results.json.

Source: Gradescope's autograder specification, "Output format".
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from grader.domain import CheckResult, Grade, GradeStatus, Outcome
from grader.export.files import write_out
from grader.report.feedback import check_lines, summary_lines
from grader.report.text import safe_line
from grader.report.visibility import for_student

_VISIBILITY = {"visible": "visible", "hidden": "hidden", "after_due": "after_due_date"}


def to_gradescope(grade: Grade) -> dict[str, Any]:
    """A grade as the object Gradescope reads.

    A rejected submission scores 0 and says why, so that the student can hand in again. Withheld
    and under review carry no score at all: nobody has earned or lost anything.

    Gradescope decides by each test's visibility who sees it. What every student sees at once, the
    output, says nothing of the tests that are not visible. The score is the whole one: it counts.
    """
    result: dict[str, Any] = {
        "output": "\n".join(summary_lines(grade)),
        "output_format": "text",
        "test_output_format": "text",
        "test_name_format": "text",
        "visibility": "visible",
        "stdout_visibility": "hidden",
        "extra_data": {
            "status": grade.status.value,
            "cause": grade.cause.value if grade.cause else None,
            "isolation": grade.isolation,
            "grader": grade.provenance.grader,
            "assignment_sha256": grade.provenance.assignment_sha256,
        },
    }
    if grade.status in (GradeStatus.GRADED, GradeStatus.REJECTED):
        result["score"] = grade.score
    if grade.status is GradeStatus.GRADED:
        told = _told(grade)
        result["tests"] = [_test(check, number) for number, check in enumerate(told, 1)]
    return result


def write_gradescope(grade: Grade, file: Path) -> None:
    """Write results.json, all or nothing.

    Raises:
        UsageError: The place cannot be written to.
        InfrastructureError: The disk failed or is full.
    """
    text = json.dumps(to_gradescope(grade), ensure_ascii=False, indent=2, allow_nan=False)
    write_out(Path(file), text.encode("utf-8") + b"\n")


def _told(grade: Grade) -> list[CheckResult]:
    """Every check, none of which names one that is shown later or to fewer people."""
    at_once = {check.name: check for check in for_student(grade, after_due=False).checks}
    later = {check.name: check for check in for_student(grade, after_due=True).checks}
    return [at_once.get(c.name) or later.get(c.name) or c for c in grade.checks]


def _test(check: CheckResult, number: int) -> dict[str, Any]:
    return {
        "name": f"{safe_line(check.name, 60)}: {safe_line(check.title, 200)}",
        "number": str(number),
        "score": check.score,
        "max_score": check.max_score,
        "status": "passed" if check.outcome is Outcome.PASSED else "failed",
        "output": "\n".join(check_lines(check)),
        "tags": [safe_line(check.group, 40)],
        "visibility": _VISIBILITY[check.visibility],
    }
