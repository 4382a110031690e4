"""Under which of a student's ids an extension is found."""

from datetime import UTC, datetime

import pytest

from grader.domain import Submission
from grader.run.assessment import extended_as

LATER = datetime(2099, 1, 1, tzinfo=UTC)


def submission(**told: object) -> Submission:
    return Submission.model_validate(
        {"student_id": "jdoe-2", "source": "x", "sha256": "0" * 64, "root": "", "files": ()} | told
    )


@pytest.mark.parametrize(
    ("extended", "expected"),
    [("jdoe", "jdoe"), ("doejane_48213", "doejane_48213"), ("48213", "48213"), ("roe", "jdoe")],
)
def test_an_extension_counts_under_any_id_of_its_student(extended: str, expected: str) -> None:
    jane = submission(person="jdoe", known_as=("doejane_48213", "48213"))

    assert extended_as(jane, {extended: LATER}) == expected
