"""Every way a command ends: its exit status, and one line instead of a traceback."""

import sys
import types

import pytest

from grader.cli import run
from grader.domain import (
    CheckResult,
    Grade,
    GradeStatus,
    Outcome,
    Provenance,
    SubmissionRef,
)
from grader.errors import AssignmentError, Cause, InfrastructureError, SubmissionRejected


class Pipeline(types.ModuleType):
    """Stands in for the pipeline: takes the call down, then does what the test says."""

    def __init__(self, effect=list):
        super().__init__("grader.pipeline")
        self.effect = effect
        self.options = None
        self.paths = None

    def grade_items(self, items, options, on_grade, progress=None):
        self.paths, self.options = [item.path for item in items], options
        return self.effect()


@pytest.fixture
def pipeline(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    for name in ("a.zip", "b.zip", "check"):
        (tmp_path / name).write_bytes(b"")
    fake = Pipeline()
    monkeypatch.setitem(sys.modules, "grader.pipeline", fake)
    return fake


def raising(error):
    def effect():
        raise error

    return effect


def graded(*statuses):
    return [types.SimpleNamespace(status=status) for status in statuses]


USAGE = {
    "no path": ([], "expected a submission"),
    "an unknown option": (["a.zip", "--fast"], "--fast"),
    "an unknown sandbox": (["a.zip", "--sandbox", "chroot"], "chroot"),
    "no jobs": (["a.zip", "--jobs", "0"], "--jobs: expected 1 or more. Received: 0"),
    "jobs that are no number": (["a.zip", "--jobs", "many"], "many"),
    "one student for two submissions": (["a.zip", "b.zip", "--student-id", "s1"], "--student-id"),
    "a date without a time": (["a.zip", "--submitted-at", "2027-09-30"], "--submitted-at"),
    "a day that does not exist": (["a.zip", "--submitted-at", "2027-09-31T22:00:00"], "exist"),
}


@pytest.mark.parametrize(("words", "told"), USAGE.values(), ids=USAGE)
def test_a_wrong_command_line_ends_in_2_and_says_why(words, told, pipeline, capsys):
    status = run(words)

    seen = capsys.readouterr()
    assert status == 2
    assert told in seen.err
    assert seen.out == ""
    assert pipeline.paths is None


FAILURES = {
    "a wrong assignment": (AssignmentError("assignment.toml: due: …"), 2),
    "nothing to grade": (SubmissionRejected(Cause.SUBMISSION_BAD_ARCHIVE, "not a zip"), 1),
    "a lost engine": (InfrastructureError(Cause.INFRA_ENGINE, "engine gone", "Start it."), 3),
    "a bug of the grader": (ZeroDivisionError("division by zero"), 3),
    "an interrupt": (KeyboardInterrupt(), 130),
}


@pytest.mark.parametrize(("error", "expected"), FAILURES.values(), ids=FAILURES)
def test_an_error_ends_in_its_status_without_a_traceback(error, expected, pipeline, capsys):
    pipeline.effect = raising(error)

    status = run(["a.zip"])

    seen = capsys.readouterr()
    assert status == expected
    assert seen.err != ""
    assert "Traceback" not in seen.err
    assert seen.out == ""


def test_debug_shows_where_an_unexpected_error_happened(pipeline, capsys):
    pipeline.effect = raising(ZeroDivisionError("division by zero"))

    status = run(["a.zip", "--debug"])

    assert status == 3
    assert "Traceback" in capsys.readouterr().err


def test_an_error_is_followed_by_its_help(pipeline, capsys):
    pipeline.effect = raising(InfrastructureError(Cause.INFRA_ENGINE, "engine gone", "Start it."))

    run(["a.zip"])

    assert capsys.readouterr().err == "grade: engine gone\nStart it.\n"


def test_an_error_message_is_never_read_as_markup_or_control_codes(pipeline, capsys):
    hostile = "[bold red]a[/] \x1b[2Jname\x07\r"
    pipeline.effect = raising(SubmissionRejected(Cause.SUBMISSION_UNSAFE_NAME, hostile))

    run(["a.zip"])

    told = capsys.readouterr().err
    assert "[bold red]a[/]" in told
    assert not {"\x1b", "\x07", "\r"} & set(told)


@pytest.mark.parametrize(
    ("statuses", "expected"),
    [(["graded", "review"], 0), (["graded", "rejected"], 1), (["rejected", "withheld"], 3)],
)
def test_the_worst_submission_decides_the_status_of_the_run(statuses, expected, pipeline):
    pipeline.effect = lambda: graded(*statuses)

    status = run(["a.zip"])

    assert status == expected


def test_a_time_without_offset_is_taken_in_the_zone_of_the_assignment_and_said_so(pipeline, capsys):
    run(["a.zip", "--submitted-at", "2027-09-30T22:58:41"])

    assert pipeline.options.submitted_at.isoformat() == "2027-09-30T22:58:41+05:30"
    assert "Asia/Kolkata" in capsys.readouterr().err


def test_a_time_with_offset_is_taken_as_it_is(pipeline, capsys):
    run(["a.zip", "--submitted-at", "2027-09-30T17:28:41Z"])

    assert pipeline.options.submitted_at.isoformat() == "2027-09-30T22:58:41+05:30"
    assert capsys.readouterr().err == ""


def test_a_file_named_like_a_command_is_given_with_its_folder(pipeline):
    run(["./check"])

    assert [path.name for path in pipeline.paths] == ["check"]


def checked(*outcomes):
    """A grade of `grade check` with these outcomes of its checks."""
    checks = [
        CheckResult(
            name=f"check-{number}",
            group="shape",
            title="A check.",
            outcome=outcome,
            max_score=1.0,
            rationale="it says no",
            rank=int(outcome is Outcome.FAILED),
        )
        for number, outcome in enumerate(outcomes)
    ]
    return Grade(
        student_id="mine",
        submission=SubmissionRef(source="mine"),
        status=GradeStatus.GRADED,
        score=0.0,
        max_score=2.0,
        checks=checks,
        provenance=Provenance(grader="0", assignment_sha256="0" * 64),
    )


@pytest.mark.parametrize(
    ("outcomes", "expected"),
    [
        ([Outcome.PASSED, Outcome.PASSED], 0),
        ([Outcome.PASSED, Outcome.FAILED], 1),
        ([Outcome.FAILED, Outcome.SKIPPED], 1),
        ([Outcome.PASSED, Outcome.SKIPPED], 0),
    ],
)
def test_a_check_that_failed_decides_the_status_of_check(outcomes, expected, pipeline, tmp_path):
    pipeline.check_folder = lambda folder, options, on_evidence, room: checked(*outcomes)

    assert run(["check", str(tmp_path), "--sandbox", "process"]) == expected


def test_a_quiet_check_says_what_failed(pipeline, tmp_path, capsys):
    pipeline.check_folder = lambda folder, options, on_evidence, room: checked(Outcome.FAILED)

    run(["check", str(tmp_path), "--sandbox", "process", "--quiet"])

    assert capsys.readouterr().out == "mine  checked  0 / 2  check-0: it says no\n"


def test_the_json_is_written_before_the_report_is_shown(pipeline, tmp_path, monkeypatch):
    written = tmp_path / "grade.json"
    pipeline.check_folder = lambda folder, options, on_evidence, room: checked(Outcome.FAILED)

    def shown(*arguments, **keywords):
        raise BrokenPipeError if written.is_file() else AssertionError("shown first")

    monkeypatch.setattr("grader.report.terminal.render", shown)

    run(["check", str(tmp_path), "--sandbox", "process", "--json", str(written)])

    assert written.is_file()
