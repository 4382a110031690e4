"""A grade stays what it was, and can be changed on purpose: by another rule, from disk alone.

The sandbox answers from hand-written graphs and the accuracy is made up; what is counted is how
often each was asked.
"""

import contextlib
import json
import shutil
import sqlite3
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

import grader.engine.accuracy
from grader.cli import run
from grader.course import GradeOptions
from grader.domain import (
    LEDGER,
    CheckResult,
    Dataset,
    Details,
    GradeStatus,
    MeasuredAccuracy,
    Measurement,
    Outcome,
)
from grader.errors import UsageError
from grader.ledger import Ledger
from grader.pipeline import recorded, regrade
from grader.resources import assignment_dir
from grader.run import reading
from grader.run.audit import verify_results
from tests.grading import grade_paths
from tests.pipeline.test_pipeline import Replay, replayed, submission_zip

RECEIVED = "2027-09-01T12:00:00Z"


def measurement(**changes):
    fields = {
        "mode": "weights",
        "images": 10_000,
        "of_images": 10_000,
        "correct": 8_573,
        "wall_time_s": 40.0,
        "device": "made up",
        "dataset": Dataset(name="cifar10", sha256="0" * 64, official=True),
    }
    return Measurement(**fields | changes)


class Quick(Replay):
    """Answers nothing, which is read in no time; `all_passed` stands for the checks."""

    def run(self, stage):
        self.stages.append(stage)
        probes = [f"probe:{probe['id']}" for probe in stage.request["probes"]]
        return replayed(stage, leave_out=[*probes, "model"])


def all_passed(checks, evidence):
    return tuple(
        CheckResult(name=c.name, group=c.group, title=c.title, outcome=Outcome.PASSED)
        for c in checks
    )


class Bench:
    """A class folder, a course, and what it cost to grade."""

    def __init__(self, folder, monkeypatch):
        self.folder, self.sandbox, self.measures = folder, Quick(), 0
        self.result = measurement()
        self.course = folder / "course"
        self.course.mkdir()
        shutil.copyfile(assignment_dir() / "assignment.toml", self.course / "assignment.toml")
        monkeypatch.setattr("grader.sandbox.open_sandbox", lambda *a, **k: self.sandbox)
        monkeypatch.setattr("grader.run.assessment.run_checks", all_passed)
        monkeypatch.setattr(grader.engine.accuracy, "measure", self._measure)
        for student in ("ada", "ben"):
            submission_zip(folder / "in" / f"{student}.zip", student)

    def _measure(self, *_, retrain, **__):
        self.measures += 1
        mode = {"mode": "retrain", "allowed_s": 900.0} if retrain else {}
        return MeasuredAccuracy(runs=(self.result.model_copy(update=mode),))

    @property
    def results(self):
        return self.folder / "results"

    def options(self, **more):
        return GradeOptions(self.course, self.results, device="cpu", jobs=1) if not more else (
            replace(self.options(), **more)
        )  # fmt: skip

    def grade(self, what="in", **more):
        more = {"submitted_at": datetime.fromisoformat(RECEIVED)} | more
        return grade_paths([self.folder / what], self.options(**more), lambda grade: None)

    def change(self, old, new, where=None):
        """Edit assignment.toml, here or in a copy of the course."""
        course = self.course if where is None else self.folder / where
        if where is not None:
            shutil.copytree(self.course, course)
        file = course / "assignment.toml"
        text = file.read_text()
        assert old in text
        file.write_text(text.replace(old, new, 1))
        return course

    def run_of(self, student):
        (found,) = (
            file.parent
            for file in self.results.glob("runs/*/submission.json")
            if json.loads(file.read_text())["record"]["student_id"] == student
        )
        return found

    def again(self, student="ada", course=None, **more):
        options = GradeOptions(course or self.course, evaluate=False)
        return regrade(self.run_of(student), replace(options, **more))

    def words(self, *words):
        """The command line, on this class and course."""
        more = ["--results", str(self.results), "--assignment", str(self.course)]
        first, *rest = words
        return run([str(self.folder / first), *rest, *more, "--device", "cpu"])

    def state(self):
        return {
            str(p): p.read_bytes() for p in self.results.rglob("*") if p.is_file()
        }  # fmt: skip


@pytest.fixture
def bench(tmp_path, monkeypatch):
    return Bench(tmp_path, monkeypatch)


def accuracy(grade):
    return next(check for check in grade.checks if check.name == "accuracy")


RULES = {
    "a lowered threshold": ("threshold = 0.85 ", "threshold = 0.80 ", 18),
    "a raised threshold": ("threshold = 0.85 ", "threshold = 0.90 ", 0),
    "a shorter budget": ("evaluation_s = 300", "evaluation_s = 30", 0),
    "a longer budget": ("evaluation_s = 300", "evaluation_s = 3000", 18),
    "other points": ("accuracy = { points = 18", "accuracy = { points = 38", 38),
    "a linear rule": ("# linear_from = 0.75 ", "linear_from = 0.75 ", 18),
}


@pytest.mark.parametrize(("old", "new", "points"), RULES.values(), ids=RULES)
def test_a_changed_rule_is_applied_to_what_was_measured(bench, old, new, points):
    bench.grade()
    other = bench.change(old, new, "other")
    before = bench.state()

    grade = bench.again(course=other)

    assert grade.status is GradeStatus.GRADED
    assert accuracy(grade).score == points
    assert bench.state() == before
    assert bench.measures == 2


def test_a_moved_due_date_and_a_late_policy_are_applied_from_disk(bench):
    bench.grade()
    other = bench.change('due = "2027-09-30T23:00:00"', 'due = "2027-08-31T23:00:00"', "other")
    file = other / "assignment.toml"
    policy = 'policy = "per_day"\ndeduction = 10\nunit = "percent"'
    file.write_text(file.read_text().replace('policy = "reject"', policy))

    grade = bench.again(course=other)

    assert grade.deadline.penalty == 10
    assert grade.score == 90


EDITS = {
    "a comment": ("[deadline]", "# by the way\n[deadline]"),
    "a title": ('title = "DenseNet on CIFAR-10"', 'title = "Another"'),
    "a due date": ('due = "2027-09-30', 'due = "2027-10-30'),
    "a late policy": ("grace_minutes = 0", "grace_minutes = 10"),
    "points": ("stem = { points = 3", "stem = { points = 23"),
    "a threshold": ("threshold = 0.85 ", "threshold = 0.80 "),
    "a time budget": ("evaluation_s = 300", "evaluation_s = 200"),
}


@pytest.mark.parametrize(("old", "new"), EDITS.values(), ids=EDITS)
def test_what_does_not_decide_a_run_never_traces_or_measures_again(bench, old, new):
    bench.grade()
    bench.change(old, new)

    grades = bench.grade()

    assert (len(bench.sandbox.stages), bench.measures) == (2, 2)
    assert [entry.student_id for entry in Ledger(bench.results).current()] == ["ada", "ben"]
    assert {g.provenance.assignment_sha256 for g in grades} == {
        Ledger(bench.results).current()[0].assignment_sha256
    }


QUESTIONS = {
    "probes": ("hidden = { blocks = 2", "hidden = { blocks = 3", r"\[probes\]"),
    "public probes": ("{ depth = 22, ", "{ depth = 28, ", r"\[probes\]"),
    "limits": ("processes = 256", "processes = 300", r"\[limits\]"),
    "time of the trace": ("trace_s = 120", "trace_s = 60", "time_budgets.trace_s"),
    "mode": ('mode = "weights" ', 'mode = "retrain" ', "evaluation.mode"),
    "data": (
        'name = "cifar10"',
        f'name = "own.npz"\nsha256 = "{"0" * 64}"\nimage_shape = [32, 32, 3]\nclasses = ["a"]',
        r"\[data\]",
    ),
}


@pytest.mark.parametrize(("old", "new", "named"), QUESTIONS.values(), ids=QUESTIONS)
def test_a_question_that_a_run_was_not_asked_is_refused_and_named(bench, old, new, named):
    bench.grade()
    other = bench.change(old, new, "other")

    with pytest.raises(UsageError, match=f"{named}.*has changed since this run.*again"):
        bench.again(course=other)


@pytest.mark.parametrize(("old", "new", "named"), QUESTIONS.values(), ids=QUESTIONS)
def test_a_question_that_a_run_was_not_asked_is_asked_when_it_is_graded(bench, old, new, named):
    bench.grade()
    bench.change(old, new)

    bench.grade()

    assert len(bench.sandbox.stages) == 4
    assert len(Ledger(bench.results).current()) == 2


def test_a_network_too_slow_for_the_old_budget_is_measured_again_by_a_longer_one(bench):
    bench.result = measurement(images=100, correct=90, wall_time_s=600.0)
    bench.grade("in/ada.zip")
    other = bench.change("evaluation_s = 300", "evaluation_s = 3000", "other")

    with pytest.raises(UsageError, match=r"after 100 of 10,000 images.*--evaluate"):
        bench.again(course=other)
    bench.change("evaluation_s = 300", "evaluation_s = 3000")
    bench.grade("in/ada.zip")

    assert bench.measures == 2


TRAININGS = {
    "longer, and it had finished": ("finished", "retrain_s = 1200", True),
    "shorter, and it had finished": ("finished", "retrain_s = 60", True),
    "too short for it": ("finished", "retrain_s = 30", False),
    "longer, and it had not finished": ("out of time", "retrain_s = 1200", False),
    "in other units": ("finished", "retrain_reference_epochs = 10", False),
    "by other kernels": ("finished", "retrain_s = 900\ndeterministic = true", False),
}


@pytest.mark.parametrize(("stopped", "setting", "answers"), TRAININGS.values(), ids=TRAININGS)
def test_a_training_answers_for_another_time_where_it_would_have_been_the_same(
    bench, stopped, setting, answers
):
    bench.result = measurement(details=Details(stopped=stopped, seed=1))
    bench.change('mode = "weights" ', 'mode = "retrain" ')
    bench.grade("in/ada.zip")
    other = bench.change("retrain_s = 900", setting, "other")

    if answers:
        assert accuracy(bench.again(course=other)).score == 18
    else:
        with pytest.raises(UsageError, match=r"our engine trains.*Grade the submission again"):
            bench.again(course=other)


def test_a_changed_threshold_regrades_a_training_too(bench):
    bench.change('mode = "weights" ', 'mode = "retrain" ')
    bench.grade("in/ada.zip")
    other = bench.change("threshold = 0.85 ", "threshold = 0.90 ", "other")

    assert accuracy(bench.again(course=other)).score == 0


# --- what counts --------------------------------------------------------------------------


def test_a_regrade_counts_only_where_it_is_asked_to(bench):
    bench.grade()
    bench.change("threshold = 0.85 ", "threshold = 0.90 ")

    shown = bench.again()
    before = recorded(bench.run_of("ada"))
    kept = bench.again(record=True)

    assert (before.score, shown.score, kept.score) == (100, 82, 82)
    assert recorded(bench.run_of("ada")) == kept
    assert len(Ledger(bench.results).current()) == 2
    assert verify_results(bench.results) == []


def test_measuring_again_for_a_what_if_leaves_the_run_as_it_was(bench):
    bench.grade()
    before = bench.state()
    bench.result = measurement(correct=8_000)

    grade = bench.again(evaluate=True)

    assert accuracy(grade).score == 0
    assert bench.state() == before
    assert bench.again().score == 100


def test_measuring_again_to_count_is_kept(bench):
    bench.grade()
    bench.result = measurement(correct=8_000)

    bench.again(evaluate=True, record=True)

    assert accuracy(bench.again()).score == 0
    assert verify_results(bench.results) == []


def test_a_submission_is_read_once_for_its_accuracy_and_its_checks(bench, monkeypatch):
    read, given = [], reading.assemble
    monkeypatch.setattr(reading, "assemble", lambda *a: read.append(a) or given(*a))

    bench.grade()

    assert bench.measures == 2
    assert len(read) == 2


def test_a_run_that_lies_by_itself_cannot_be_recorded(bench):
    bench.grade("in/ada.zip")
    alone = shutil.copytree(bench.run_of("ada"), bench.folder / bench.run_of("ada").name)

    assert regrade(alone, GradeOptions(bench.course, evaluate=False)).score == 100
    with pytest.raises(UsageError, match="results folder"):
        regrade(alone, GradeOptions(bench.course, evaluate=False, record=True))


# --- decided by hand ----------------------------------------------------------------------

LATE = datetime.fromisoformat("2027-12-24T12:00:00Z")


def test_a_time_of_receipt_set_by_hand_lasts_until_it_is_set_anew(bench):
    bench.grade()
    bench.grade("in/ada.zip", submitted_at=LATE)

    ada, ben = bench.grade(submitted_at=None)
    moved, _ = bench.grade(submitted_at=LATE + timedelta(days=1))

    assert (ada.submission.received_at, ada.submission.received_from) == (LATE, "argument")
    assert ben.status is GradeStatus.GRADED
    assert moved.submission.received_at == LATE + timedelta(days=1)


def test_it_lasts_where_the_questions_change_and_where_it_was_set_by_a_regrade(bench):
    bench.grade(submitted_at=None)
    bench.again(submitted_at=LATE, record=True)
    bench.change("processes = 256", "processes = 300")

    ada, ben = bench.grade(submitted_at=None)

    assert ada.submission.received_at == LATE
    assert ben.submission.received_from == "file-time"


def test_a_time_of_receipt_that_was_only_tried_leaves_no_trace(bench):
    bench.grade()
    before = bench.state()

    tried = bench.again(submitted_at=LATE)

    assert tried.status is GradeStatus.REJECTED
    assert bench.state() == before
    assert bench.again().score == 100


def test_it_lasts_for_a_submission_that_cannot_be_read(bench):
    (bench.folder / "in" / "eve.zip").write_bytes(b"no zip")
    bench.grade("in/eve.zip", submitted_at=LATE)

    (eve,) = bench.grade("in/eve.zip", submitted_at=None)

    assert eve.submission.received_at == LATE


# --- shown as recorded --------------------------------------------------------------------


def test_a_run_is_reported_by_its_recorded_grade_and_no_other_rubric(bench, capsys):
    bench.change("accuracy = { points = 18", "accuracy = { points = 38")
    bench.grade()
    shipped = assignment_dir()
    assert (shipped / "assignment.toml").read_text() != (
        bench.course / "assignment.toml"
    ).read_text()

    status = run(["report", str(bench.run_of("ada")), "--quiet"])

    assert status == 0
    assert "120 / 120" in capsys.readouterr().out


def test_a_record_is_read_where_the_course_key_is_not_and_cannot_be_written(
    bench, capsys, monkeypatch
):
    bench.grade()
    monkeypatch.setenv("GRADER_KEY_FILE", str(bench.folder / "no" / "course.key"))

    status = run(["report", str(bench.results), "ada", "--quiet"])
    of_run = run(["report", str(bench.run_of("ada")), "--quiet"])
    seen = capsys.readouterr()

    assert (status, of_run) == (0, 0)
    assert seen.out.count("ada  graded  100 / 100") == 2
    assert "sealed with course key" in seen.err
    assert not (bench.folder / "no").exists()
    assert bench.words("in") == 3
    assert "GRADER_KEY_FILE" in capsys.readouterr().err


def test_a_run_of_which_nothing_is_recorded_says_so(bench, capsys):
    bench.grade()
    moved = shutil.copytree(bench.run_of("ada"), bench.folder / bench.run_of("ada").name)

    status = run(["report", str(moved)])

    assert status == 2
    assert "no grade of this run is recorded" in capsys.readouterr().err


def test_the_command_line_says_whether_a_regrade_counts(bench, capsys):
    bench.grade()
    words = ["regrade", str(bench.run_of("ada")), "--assignment", str(bench.course), "--quiet"]

    run(words)
    only_shown = capsys.readouterr()
    run([*words, "--record"])
    kept = capsys.readouterr()

    assert only_shown.out == kept.out
    assert "Not recorded" in only_shown.err
    assert kept.err == ""


# --- sealed -------------------------------------------------------------------------------

EDITED = {
    "run.json": ('"wall_time_s": 1.0', '"wall_time_s": 2.0'),
    "submission.json": ("2027-09-01T12:00:00Z", "2020-09-01T12:00:00Z"),
    "evaluation.json": ("8573", "9999"),
}


@pytest.fixture(params=EDITED)
def edited(request, bench):
    """A record that somebody without the key has changed."""
    bench.grade()
    file = bench.run_of("ada") / request.param
    old, new = EDITED[request.param]
    assert old in file.read_text()
    file.write_text(file.read_text().replace(old, new))
    return request.param


def test_verify_names_an_edited_record(bench, edited):
    (problem,) = verify_results(bench.results)

    assert edited in problem.message
    assert "was changed" in problem.message
    assert run(["verify", str(bench.results)]) == 1


def test_an_edited_record_is_never_regraded(bench, edited, capsys):
    (folder,) = (f for f in bench.results.glob("runs/*") if edited in verify_message(bench, f))

    status = run(["regrade", str(folder), "--assignment", str(bench.course)])

    assert status == 3
    assert f"{edited} of the run directory cannot be read" in capsys.readouterr().err


def verify_message(bench, folder: Path):
    return " ".join(p.message for p in verify_results(bench.results) if folder.name in p.message)


def test_grading_again_does_not_heal_an_edited_record_in_silence(bench, edited):
    ada, ben = bench.grade()

    assert (ada.status, ben.status) == (GradeStatus.WITHHELD, GradeStatus.GRADED)
    assert edited in ada.message
    assert verify_results(bench.results) != []


def test_a_record_put_in_the_place_of_another_student_s_is_found(bench):
    bench.grade()
    mine, theirs = bench.run_of("ada"), bench.run_of("ben")
    shutil.copyfile(theirs / "evaluation.json", mine / "evaluation.json")

    assert [problem.kind for problem in verify_results(bench.results)] == ["run-changed"]


def test_a_changed_frame_is_found(bench):
    bench.grade()
    (bench.run_of("ada") / "frame-000.json").write_text("{}")

    (problem,) = verify_results(bench.results)

    assert "frame-000.json was changed" in problem.message


def test_a_run_of_an_older_version_is_to_be_graded_again(bench, capsys):
    bench.grade()
    folder = bench.run_of("ada")
    (folder / "run.json").write_text('{"run": {"status": "done"}, "probes": []}')

    status = run(["regrade", str(folder), "--assignment", str(bench.course)])

    assert status == 2
    assert "another version of the grader. Grade the submission again" in capsys.readouterr().err
    assert [problem.kind for problem in verify_results(bench.results)] == ["run-changed"]


def test_an_edited_grade_is_not_healed_in_silence(bench):
    bench.grade()
    with contextlib.closing(sqlite3.connect(bench.results / LEDGER)) as ledger, ledger:
        ledger.execute("UPDATE content SET text = replace(text, ' 100.0', ' 99.0')")

    status = bench.words("in")

    assert status == 3
    assert {problem.kind for problem in verify_results(bench.results)} == {"grade-changed"}
