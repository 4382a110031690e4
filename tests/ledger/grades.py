"""Grades as the pipeline makes them, small."""

from datetime import UTC, datetime
from typing import Any

from grader.domain import Dataset, Evaluation, Grade, GradeStatus, Provenance, SubmissionRef

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


def evaluation() -> Evaluation:
    return Evaluation(
        mode="weights",
        accuracy=0.9,
        interval_95=(0.89, 0.91),
        images=10_000,
        correct=9_000,
        threshold=0.85,
        met=True,
        wall_time_s=1.0,
        time_budget_s=300.0,
        device="made up",
        dataset=Dataset(name="cifar10", sha256="0" * 64, official=True),
    )
