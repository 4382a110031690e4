"""Grades as the pipeline makes them, small."""

from datetime import UTC, datetime
from typing import Any

from grader.domain import Grade, GradeStatus, Provenance, SubmissionRef

RECEIVED = datetime(2026, 9, 30, 16, 28, 41, tzinfo=UTC)


def grade(student_id: str = "s1", score: float = 90.5, **changes: Any) -> Grade:
    values: dict[str, Any] = {
        "student_id": student_id,
        "submission": SubmissionRef(
            source="submission.zip", sha256="a" * 64, received_at=RECEIVED, received_from="lms"
        ),
        "status": GradeStatus.GRADED,
        "score": score,
        "max_score": 100.0,
        "provenance": Provenance(grader="1.0", assignment_sha256="b" * 64),
    }
    return Grade(**(values | changes))
