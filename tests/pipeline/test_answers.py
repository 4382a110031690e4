"""Questions of a paper, from a submission to its grade: `[[answers]]` of assignment.toml.

The sandbox answers nothing: answers are read as data, and no program of the student's has a part
in it.
"""

import json
import zipfile

import pytest

from grader.cli import run
from grader.course import GradeOptions
from grader.domain import GradeStatus, Outcome, Run, RunStatus
from grader.errors import AssignmentError
from grader.pipeline import check_folder
from grader.sandbox.contract import Sandbox, StageResult
from tests.grading import grade_paths

RULES = """
title = "AlexNet"
module = "alexnet.py"

[deadline]
due = "2027-10-14T23:00:00"
zone = "Asia/Kolkata"

[deadline.late]
policy = "reject"

[time_budgets]
trace_s = 120
evaluation_s = 300

[[answers]]
name = "first-weights"
kind = "number"
question = "How many weights has the first convolution, without biases?"
where = "section 3.5"

[[answers]]
name = "saturates"
kind = "choice"
question = "Which activation does not saturate?"
choices = ["tanh", "ReLU"]
where = "section 3.1"

[rubric]
first-weights = { points = 3 }
saturates = { points = 1 }
"""
KEY = 'first-weights = 34848\nsaturates = "b"\n'


class Silent(Sandbox):
    """Imports a module that holds nothing; it is never asked about answers."""

    isolation = "jail"

    def available(self):
        return None

    def run(self, stage):
        assert not stage.request["probes"]
        module = json.dumps({"failure": None, "functions": {}}).encode()
        run = Run(status=RunStatus.DONE, cause=None, isolation="jail", wall_time_s=1.0, message="")
        return StageResult(run, {"module": module}, {}, False)


@pytest.fixture
def course(tmp_path, monkeypatch):
    monkeypatch.setattr("grader.sandbox.open_sandbox", lambda *a, **k: Silent())
    folder = tmp_path / "course"
    (folder / "reference").mkdir(parents=True)
    (folder / "assignment.toml").write_text(RULES)
    (folder / "reference" / "answers.toml").write_text(KEY)
    return folder


def handed_in(course, answers, name="chen"):
    path = course.parent / f"{name}.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("alexnet.py", "# nothing\n")
        if answers is not None:
            archive.writestr("answers.toml", answers)
    return path


def graded(course, *paths):
    options = GradeOptions(assignment_dir=course, results_dir=course.parent / "results")
    return grade_paths(paths, options, lambda grade: None)


def points(grade):
    return {check.name: check.score for check in grade.checks}


def test_each_question_earns_its_points(course):
    (grade,) = graded(course, handed_in(course, 'first-weights = "11*11*3*96"\nsaturates = "a"'))

    assert (grade.status, grade.score, grade.max_score) == (GradeStatus.GRADED, 3, 4)
    wrong = next(check for check in grade.checks if check.name == "saturates")
    assert wrong.title == "Which activation does not saturate?"
    assert wrong.findings[0].help == "See section 3.1."
    assert "ReLU" not in wrong.model_dump_json()


def test_without_answers_there_are_no_points(course):
    (grade,) = graded(course, handed_in(course, None))

    assert (grade.score, grade.max_score) == (0, 4)
    assert all(check.outcome is Outcome.FAILED for check in grade.checks)


def test_a_notebook_may_hold_the_answers_in_a_cell_of_their_own(course):
    cells = [
        "def build(): pass",
        "%%writefile answers.toml\nfirst_weights = 34848\nsaturates = 'b'",
    ]
    notebook = {
        "nbformat": 4, "nbformat_minor": 5, "metadata": {},
        "cells": [{"cell_type": "code", "metadata": {}, "source": c, "outputs": []} for c in cells],
    }  # fmt: skip
    path = course.parent / "li.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("alexnet.ipynb", json.dumps(notebook))

    (grade,) = graded(course, path)

    assert (grade.score, grade.max_score) == (4, 4)


def test_a_corrected_key_regrades_the_class_from_disk(course, capsys):
    graded(course, handed_in(course, "first-weights = 34944\nsaturates = 'b'"))
    (course / "reference" / "answers.toml").write_text(KEY.replace("34848", "34944"))
    results = str(course.parent / "results")

    assert run(["regrade", results, "--assignment", str(course)]) == 0

    said = capsys.readouterr().out
    assert "chen" in said
    assert "first-weights" in said


def test_without_the_key_nothing_is_graded(course):
    (course / "reference" / "answers.toml").unlink()

    with pytest.raises(AssignmentError, match=r"reference/answers\.toml"):
        graded(course, handed_in(course, KEY))


def test_a_student_is_told_what_is_no_answer_and_not_what_is_right(course):
    work = course.parent / "work"
    work.mkdir()
    (work / "alexnet.py").write_text("# nothing\n")
    (work / "answers.toml").write_text('first-weights = 5\nsaturates = "c"')
    (course / "reference" / "answers.toml").unlink()

    grade = check_folder(work, GradeOptions(assignment_dir=course, evaluate=False))

    outcomes = {check.name: check.outcome for check in grade.checks}
    assert outcomes == {"first-weights": Outcome.SKIPPED, "saturates": Outcome.FAILED}
