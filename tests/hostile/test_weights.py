"""Every weights file is loaded or refused inside the sandbox, with its reason, and nothing else is.

The data and the measuring itself are left out: what counts is whether a network with these weights
would be measured, and what its student reads where not.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from grader.domain import CheckResult, Grade, GradeStatus, Outcome
from grader.engine import accuracy
from grader.errors import Cause, StageFailed
from grader.pipeline import grade_one
from tests.hostile.cases import folder_of
from tests.hostile.conftest import Workshop
from tests.hostile.weights import NETWORK, WEIGHTS, WeightsCase

pytestmark = pytest.mark.tensorflow

MEASURED = "this network would be measured"


def graded(case: WeightsCase, workshop: Workshop, room: Path) -> tuple[Grade, CheckResult]:
    """The grade, and the result of the check that the weights decide."""
    files = {"densenet.py": NETWORK.encode(), case.file: case.data()}
    options = replace(workshop.course.options, results_dir=room / "results", evaluate=True)
    grade = grade_one(folder_of(files)(room), replace(workshop.course, options=options))
    (result,) = [c for c in grade.checks if c.name == "accuracy"]
    return grade, result


@pytest.fixture(autouse=True)
def _not_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    def measured(*_: Any, **__: Any) -> None:
        raise StageFailed(Cause.STUDENT_BAD_OUTPUT, MEASURED)

    monkeypatch.setattr(accuracy, "find_images", lambda *place: object())
    monkeypatch.setattr(accuracy, "evaluate_in_child", measured)
    # The network that the files belong to is as small as can be, and no DenseNet.
    monkeypatch.setattr(accuracy, "why_not_dense", lambda graph: None)


@pytest.mark.parametrize("case", WEIGHTS, ids=lambda case: case.name)
def test_weights_are_taken_or_refused_for_their_reason(
    case: WeightsCase, workshops: Callable[[str], Workshop], tmp_path: Path
) -> None:
    workshop = workshops("jail")

    grade, result = graded(case, workshop, tmp_path)

    said = f"{result.rationale} {grade.message}"
    assert result.outcome is not Outcome.PASSED
    assert (case.says or MEASURED) in said
    assert (MEASURED in said) is case.taken
    assert grade.status is GradeStatus.GRADED
    assert workshop.left_behind() == []
