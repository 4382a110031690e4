"""Every case that runs gets the outcome it must get: no point gained, no batch stopped, no trace.

Each is graded as `grade` does it, without the evaluation, in one warm sandbox: all of them in the
jail, those named in `IN_DOCKER` in a container too. Never in the bare process.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from grader.domain import CheckResult, Grade, GradeStatus, Outcome
from grader.selftest.frozen import Line, Program, lines_of
from tests.frozen import hold, hold_names
from tests.grading import grade_paths
from tests.hostile.cases import Case, Graded
from tests.hostile.conftest import Workshop
from tests.hostile.escapes import finds_what_an_earlier_one_left
from tests.hostile.gallery import GALLERY
from tests.hostile.harm import harm
from tests.hostile.programs import FUNCTIONS, RIGHT, handed_in

pytestmark = pytest.mark.tensorflow

CASES = [case for case in GALLERY if isinstance(case.expect, Graded)]
IN_DOCKER = {
    "a verdict on standard output",
    "a verdict on every descriptor",
    "frames of another submission",
    "right for the public configurations, silent for others",
    "a claim that the sandbox is missing",
    "a file without end",
    "a fork bomb",
    "the labels of the test set",
    "the reference solution, imported",
    "the grader's environment",
    "the grader's memory",
    "a socket of any family",
    "a program started",
    "a line where Python starts",
    "settings and caches of libraries",
    "a signal to the grader",
    "terminal codes in an error",
}
"""Cases that are graded in a container too. One that fails its run costs a new container, so most
of these end well."""
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


def judged(grade: Grade) -> list[CheckResult]:
    """What the checks said, the accuracy apart."""
    return [check for check in grade.checks if check.name != "accuracy"]


def frozen_lines(grade: Grade, case: Case) -> Program:
    """What is held against the frozen verdict.

    Of a run that was ended it is the checks and their points: in which line the program stood, and
    what it had answered, depends on the moment.
    """
    lines = lines_of(judged(grade))
    if isinstance(case.expect, Graded) and case.expect.cause is None:
        return lines
    lost = {name: line for name, line in lines.items() if line.outcome is not Outcome.PASSED}
    return {n: Line(outcome=Outcome.FAILED, points=line.points) for n, line in lost.items()}


def frozen_name(case: Case) -> str:
    """A case in the file of frozen verdicts."""
    return f"{case.category}: {case.name}"


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

    grade = workshop.grade(case.make(tmp_path), case.expect.limits)

    assert wrong(grade, case.expect) == [], said(grade)
    hold("gallery", frozen_name(case), frozen_lines(grade, case), writes=provider == "jail")
    assert workshop.left_behind() == []
    assert harm(grade, workshop.course.assignment, tmp_path / "out") == []


def test_nothing_is_frozen_of_a_case_that_is_gone() -> None:
    hold_names("gallery", map(frozen_name, CASES))


@pytest.mark.parametrize("provider", ["jail", "docker"])
def test_nothing_that_one_submission_leaves_is_found_by_the_next(
    provider: str, workshops: Callable[[str], Workshop], tmp_path: Path
) -> None:
    workshop = workshops(provider)

    for place in ("first", "second"):
        (tmp_path / place).mkdir()
        grade = workshop.grade(finds_what_an_earlier_one_left(tmp_path / place))

        assert lost(grade) == FUNCTIONS


def test_none_of_them_stops_a_class(
    workshops: Callable[[str], Workshop], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workshop = workshops("jail")
    names = ("killed, as if by the machine", "a verdict on every descriptor", "a second start")
    makers = [case.make for case in CASES if case.name in names] + [handed_in(RIGHT)]
    (tmp_path / "class").mkdir()
    for number, make in enumerate(makers):
        make(tmp_path).rename(tmp_path / "class" / str(number))
    monkeypatch.setattr("grader.sandbox.open_sandbox", lambda *_, **__: workshop.course.sandbox)
    monkeypatch.setattr(workshop.course.sandbox, "close", lambda: None)
    options = replace(workshop.course.options, results_dir=tmp_path / "results")

    grades = grade_paths([tmp_path / "class"], options, lambda _: None)

    assert [grade.status for grade in grades] == [GradeStatus.GRADED] * 4
    assert [bool(lost(grade)) for grade in grades] == [True, True, True, False]


@pytest.mark.parametrize("provider", ["jail", "docker"])
def test_after_all_of_them_an_honest_submission_loses_nothing(
    provider: str, workshops: Callable[[str], Workshop], tmp_path: Path
) -> None:
    assert_an_honest_submission_passes(workshops(provider), tmp_path)
