"""Every case that runs gets the outcome it must get: no point gained, no batch stopped, no trace.

Each is graded as `grade` does it, without the evaluation, in one warm sandbox: all of them in the
jail, those named in `IN_DOCKER` in a container too. Never in the bare process.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from grader.domain import Grade, GradeStatus, Outcome
from tests.hostile.cases import Case, Graded
from tests.hostile.conftest import Workshop
from tests.hostile.gallery import GALLERY
from tests.hostile.programs import RIGHT, handed_in

pytestmark = pytest.mark.tensorflow

CASES = [case for case in GALLERY if isinstance(case.expect, Graded)]
IN_DOCKER: frozenset[str] = frozenset()
"""Cases that are graded in a container too; one that fails the run costs a new container."""
RUNS = [
    pytest.param(provider, case, id=f"{provider}-{case.category}: {case.name}")
    for provider in ("jail", "docker")
    for case in CASES
    if provider == "jail" or case.name in IN_DOCKER
]


def lost(grade: Grade) -> frozenset[str]:
    """The checks that did not pass, the accuracy apart."""
    names = (c.name for c in grade.checks if c.outcome is not Outcome.PASSED)
    return frozenset(names) - {"accuracy"}


def said(grade: Grade) -> str:
    """All that the student reads."""
    pieces = [grade.message, grade.help, *grade.remarks]
    for check in grade.checks:
        pieces += [check.rationale, check.help]
        pieces += [text for f in check.findings for text in (f.where, f.message, f.help)]
    return "\n".join(piece for piece in pieces if piece)


def wrong(grade: Grade, expect: Graded) -> list[str]:
    """What about a grade is not as it must be."""
    faults = {
        f"status {grade.status}": grade.status is not expect.status,
        f"cause {grade.cause}": grade.cause is not expect.cause,
        f"lost {sorted(lost(grade))}": lost(grade) != expect.lost,
        f"says {said(grade)}": expect.says not in said(grade),
    }
    return [fault for fault, found in faults.items() if found]


def assert_an_honest_submission_passes(workshop: Workshop, room: Path) -> None:
    grade = workshop.grade(handed_in(RIGHT)(room))

    assert grade.status is GradeStatus.GRADED
    assert lost(grade) == frozenset(), said(grade)


@pytest.mark.parametrize(("provider", "case"), RUNS)
def test_it_gets_the_outcome_it_must_get_and_leaves_no_trace(
    provider: str, case: Case, workshops: Callable[[str], Workshop], tmp_path: Path
) -> None:
    workshop = workshops(provider)
    assert isinstance(case.expect, Graded)

    grade = workshop.grade(case.make(tmp_path))

    assert wrong(grade, case.expect) == [], said(grade)
    assert workshop.left_behind() == []


@pytest.mark.parametrize("provider", ["jail", "docker"])
def test_after_all_of_them_an_honest_submission_loses_nothing(
    provider: str, workshops: Callable[[str], Workshop], tmp_path: Path
) -> None:
    assert_an_honest_submission_passes(workshops(provider), tmp_path)
