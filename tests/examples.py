"""Grades to show and export: one of each verdict, one with many findings, one hostile.

They come from real runs: recorded ones are assessed anew (`tests/report/recorded.py`), and what
becomes no run is graded here. When each was received is set here, and so are the versions, which
are those of the machine. Where something is invented to reach a rare branch, its docstring says so.
"""

import tempfile
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path

import pytest

import grader.checks
from grader.course import Course, GradeOptions
from grader.domain import (
    CheckResult,
    Dataset,
    Finding,
    Grade,
    MeasuredAccuracy,
    Measurement,
    Outcome,
    Provenance,
    Submission,
)
from grader.errors import Cause
from grader.pipeline import grade_one
from grader.run.assessment import assess
from grader.sandbox.docker import DockerSandbox
from grader.scoring import apply_deadline, make_grade
from grader.scoring.grade import Facts
from tests.report.recorded import ASSIGNMENT, KEY, measured_of, packed, run_of

DUE = ASSIGNMENT.deadline.due
PROVENANCE = Provenance(
    grader="0.1.0",
    assignment_sha256=ASSIGNMENT.sha256,
    tensorflow="2.21.0",
    keras="3.15.0",
    probe_seed_id="k-4f1c20ab",
    backend="tensorflow",
)

CHECKS = {check.name: (check.group, check.title) for check in grader.checks.CHECKS}


def check(name: str, outcome: Outcome = Outcome.PASSED, **fields) -> CheckResult:
    group, title = CHECKS[name]
    return CheckResult(name=name, group=group, title=title, outcome=outcome, **fields)


def checks(*others: CheckResult) -> list[CheckResult]:
    """All checks passed but `others`."""
    changed = {other.name: other for other in others}
    return [changed.get(name) or check(name) for name in CHECKS]


def submission(student_id: str, **fields) -> Submission:
    defaults = {
        "source": f"{student_id}.zip",
        "sha256": "3f9a1c20" * 8,
        "root": "/run/tree",
        "files": (),
        "received_at": DUE - timedelta(hours=1, minutes=1, seconds=19),
        "received_from": "lms",
    }
    return Submission(student_id=student_id, **defaults | fields)


def measured(correct: int, wall_time_s: float = 7.13, official: bool = True) -> MeasuredAccuracy:
    run = Measurement(
        mode="weights",
        images=10_000,
        of_images=10_000,
        correct=correct,
        wall_time_s=wall_time_s,
        device="CPU, 2 cores",
        dataset=Dataset(
            name="cifar10" if official else "cifar10-jpeg", sha256="ab12" * 16, official=official
        ),
    )
    return MeasuredAccuracy(runs=(run,))


def grade(given: Submission, results: list[CheckResult], **fields) -> Grade:
    deadline = apply_deadline(
        ASSIGNMENT, given.student_id, given.received_at, given.received_from, {}
    )
    defaults = {"provenance": PROVENANCE, "isolation": "jail", "deadline": deadline}
    return make_grade(ASSIGNMENT, given, results, Facts(**defaults | fields))


def judged(name: str, known: MeasuredAccuracy, **received) -> Grade:
    """The grade of a recorded run; `received` says more of its submission."""
    with tempfile.TemporaryDirectory() as folder:
        run = run_of(name, Path(folder))
        run.write(run.submission().model_copy(update=received))
        found = assess(run, ASSIGNMENT, {}, measured=known)
    return found.model_copy(update={"provenance": PROVENANCE})


IN_TIME = {"received_at": DUE - timedelta(hours=1, minutes=1, seconds=19), "received_from": "lms"}


@cache
def full_marks() -> Grade:
    """The reference solution."""
    return judged("reference", measured_of("reference"), **IN_TIME)


@cache
def deviating() -> Grade:
    """A wrong bottleneck, missing links, a remark, one second late.

    Its accuracy is invented: just missed, on images that are not the official ones.
    """
    late = {"received_at": DUE + timedelta(seconds=1), "received_from": "argument"}
    return judged("deviating", measured(8478, official=False), **late)


@cache
def without_evaluation() -> Grade:
    """No data on this machine, no time of receipt, no sandbox."""
    return judged("right", measured_of("right"), received_at=None, received_from=None)


@cache
def under_review() -> Grade:
    """The time is only the file's. Invented: the rebuilt network is not the student's own."""
    doubt = MeasuredAccuracy(
        note="the network could not be rebuilt faithfully",
        review="The rebuilt network and the student's own differ by up to 3.1e-02 on random "
        "inputs (allowed: 1e-04).",
    )
    other = {"student_id": "s4567890", "source": "s4567890.zip", "received_from": "file-time"}
    return judged("right", doubt, **IN_TIME | other)


@cache
def stopped() -> Grade:
    """The student's module does not import; all that builds on it is skipped."""
    return judged("stopped", measured_of("stopped"), **IN_TIME)


def refused(make: Callable[[Path], Path]) -> Grade:
    """The grade of what becomes no run; Docker is not there."""
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setenv("DOCKER_HOST", "unix:///nowhere/docker.sock")
        options = GradeOptions(Path(folder), Path(folder) / "results", submitted_at=DUE)
        course = Course(ASSIGNMENT, {}, options, KEY, DockerSandbox())
        found = grade_one(make(Path(folder)), course)
    return found.model_copy(update={"provenance": PROVENANCE})


@cache
def rejected() -> Grade:
    """Not a zip."""

    def rar(folder: Path) -> Path:
        (folder / "s6789012.zip").write_bytes(b"Rar!\x1a\x07\x01\x00" + bytes(200))
        return folder / "s6789012.zip"

    return refused(rar)


@cache
def withheld() -> Grade:
    """The engine is gone."""
    return refused(lambda folder: packed(folder, "s7890123", {"densenet.py": "import keras\n"}))


HOSTILE = (
    "\x1b[2J\x1b[H\x1b[32mPASSED\x1b[0m [bold green]100/100[/] \x1b]0;owned\x07 [/] [link=http://x]"
    "\u202egnp.exe\u2066 \x9b31m \x08\x08\x08\x00 :skull: <script>alert(1)</script> \u200b"
    '=HYPERLINK("http://x") \r\noverwritten e\u0301' + "\u0301" * 50 + " \ud83d\U000e0041 "
)


def hostile() -> Grade:
    """Everything a student can name is an attack on the report."""
    results = checks(
        check(
            "stem",
            Outcome.FAILED,
            rationale=HOSTILE,
            help=HOSTILE,
            findings=tuple(
                Finding(
                    where=HOSTILE,
                    message=HOSTILE,
                    expected=HOSTILE,
                    received=HOSTILE * 1000,
                    source=HOSTILE,
                    help=HOSTILE,
                )
                for _ in range(40)
            ),
        ),
    )
    given = submission(HOSTILE, source="../../" + HOSTILE, remarks=(HOSTILE,) * 30)
    return grade(
        given,
        results,
        cause=Cause.STUDENT_EXCEPTION,
        message=HOSTILE,
        help=HOSTILE,
        measured=MeasuredAccuracy(note=HOSTILE, cause=Cause.STUDENT_EXCEPTION),
    )


ALL = (full_marks, deviating, without_evaluation, under_review, stopped, rejected, withheld)


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text)
