"""`grade check` of a unit that asks for no DenseNet and no accuracy says nothing of them."""

import re

import pytest

from grader.domain import Outcome
from grader.report.checked import closing
from tests import examples


def told(grade) -> str:
    return " ".join(str(line) for line in closing(grade))


@pytest.fixture
def unit():
    """A grade of two checks of a unit's own, both passed."""
    grade = examples.full_marks()
    check = grade.checks[0].model_copy(update={"findings": ()})
    checks = tuple(check.model_copy(update={"name": name}) for name in ("identity-block", "saved"))
    most = sum(check.max_score for check in checks)
    return grade.model_copy(update={"checks": checks, "score": most, "max_score": most})


def test_nothing_is_said_of_configurations_training_and_accuracy(unit):
    assert not re.search("onfiguration|train|accuracy", told(unit))
    assert "Next: `grade pack`." in told(unit)


def test_what_the_reference_is_needed_for_is_said_to_be_compared_later(unit):
    first, second = unit.checks
    skipped = first.model_copy(update={"outcome": Outcome.SKIPPED, "score": 0})

    said = told(unit.model_copy(update={"checks": (skipped, second)}))
    assert "1 check is compared with the course's solution when it is graded." in said


def test_of_the_densenet_the_further_configurations_are_said():
    assert "Other configurations are asked for when it is graded" in told(examples.full_marks())
