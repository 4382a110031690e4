"""A course whose assignment is AlexNet: `[[networks]]` of assignment.toml, graded end to end.

tests/courses/alexnet is the worked example that docs/course-authors.md names.
"""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from grader import pipeline
from grader.cli import run
from grader.course import GradeOptions
from grader.domain import GradeStatus, Outcome
from grader.errors import AssignmentError, UsageError
from grader.pipeline import check_folder, regrade
from grader.selftest.frozen import lines_of
from tests.frozen import hold
from tests.grading import grade_paths

EXAMPLE = Path(__file__).parents[1] / "courses" / "alexnet"

pytestmark = pytest.mark.tensorflow


@pytest.fixture
def course(tmp_path):
    """A copy of the example, whose files a test may change."""
    shutil.copytree(EXAMPLE, tmp_path / "course")
    return tmp_path / "course"


def options(course, **changes):
    fields = {"assignment_dir": course, "results_dir": course.parent / "results", **changes}
    return GradeOptions(**fields)


def graded(course, *names, **changes):
    paths = [course / "submissions" / name for name in names]
    return grade_paths(paths, options(course, **changes), lambda grade: None)


@pytest.fixture(scope="module")
def example(warm, tmp_path_factory):
    """The two submissions of the example, graded once: right, wrong, and the run directories."""
    course = tmp_path_factory.mktemp("example") / "course"
    shutil.copytree(EXAMPLE, course)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("grader.sandbox.open_sandbox", lambda *a, **k: warm)
        warm.asked.clear()
        right, wrong = graded(course, "right", "wrong")
    return course, right, wrong, [stage.request for stage in warm.asked]


def test_the_same_network_in_another_style_earns_full_marks(example):
    _, right, _, _ = example

    assert (right.status, right.score, right.max_score) == (GradeStatus.GRADED, 10, 10)


def test_what_makes_no_difference_is_remarked_on(example):
    _, right, _, _ = example

    remarks = [f for check in right.checks for f in check.findings]
    assert [(f.severity, f.received) for f in remarks] == [("remark", "logits")]


def test_another_network_fails_and_is_located_in_each_of_its_functions(example):
    _, _, wrong, _ = example

    towers, alexnet = wrong.checks
    assert (towers.outcome, alexnet.outcome) == (Outcome.FAILED, Outcome.FAILED)
    assert "its groups: expected 2, received 1" in towers.findings[0].message
    assert "expected 3×3 max pooling, stride 2" in alexnet.findings[0].message


@pytest.mark.parametrize("name", ["right", "wrong"])
def test_each_submission_loses_exactly_what_is_frozen(example, name):
    grade = example[1] if name == "right" else example[2]

    hold("comparisons", f"course alexnet: {name}", lines_of(grade.checks))


def test_the_checks_stand_under_their_topic_with_their_titles(example):
    _, right, _, _ = example

    towers, alexnet = right.checks
    assert {towers.group, alexnet.group} == {"AlexNet"}
    assert towers.title == "A grouped convolution sees one half of the maps in each tower."
    assert alexnet.title == "alexnet.py:build computes the reference's network."


def test_no_check_of_a_densenet_and_no_accuracy_is_asked_for(example):
    _, right, _, _ = example

    assert [check.name for check in right.checks] == ["towers", "alexnet"]
    assert right.evaluation_note == "the assignment asks for no accuracy"


def test_each_reference_runs_once_for_a_class_and_apart_from_the_submissions(example):
    _, _, _, requests = example

    asked = [[probe["id"] for probe in request["probes"]] for request in requests]
    assert asked == [["network.0"], ["network.0"], *[["network-towers.0", "network-alexnet.0"]] * 2]


def test_a_submission_is_graded_again_from_its_directory_alone(example, tmp_path):
    course, _, wrong, _ = example
    for number, folder in enumerate(sorted((course.parent / "results" / "runs").glob("*-*"))):
        moved = shutil.copytree(folder, tmp_path / str(number))
        program = (
            "import sys; from pathlib import Path; from grader.course import GradeOptions; "
            "from grader.pipeline import regrade; "
            "g = regrade(Path(sys.argv[1]), GradeOptions(Path(sys.argv[2]), evaluate=False)); "
            "print(g.student_id, g.score, 'tensorflow' in sys.modules)"
        )
        said = subprocess.run(
            [sys.executable, "-c", program, moved, course],
            capture_output=True, text=True, check=True, cwd=Path(pipeline.__file__).parents[1],
        ).stdout.split()  # fmt: skip

        assert said in (["right", "10.0", "False"], ["wrong", "0.0", "False"])
        assert not (moved / "references").exists()
    assert wrong.score == 0


def test_a_regrade_against_another_question_is_refused(example, tmp_path):
    course, _, _, _ = example
    changed = tmp_path / "assignment.toml"
    text = (course / "assignment.toml").read_text()
    changed.write_text(text.replace("classes = 7", "classes = 8"))
    folder = next((course.parent / "results" / "runs").glob("*-*"))

    with pytest.raises(UsageError, match=r"\[\[networks\]\] of .* has changed"):
        regrade(folder, GradeOptions(tmp_path, evaluate=False))


def test_a_reference_that_is_known_is_not_run_again(example, sandbox):
    course, _, _, _ = example

    graded(course, "right")

    assert sandbox.asked == []


def test_a_changed_reference_is_run_again_and_the_submission_too(example, sandbox, tmp_path):
    course = shutil.copytree(example[0], tmp_path / "course")
    shutil.copytree(example[0].parent / "results", tmp_path / "results")
    beside = course / "reference" / "responses.py"
    beside.write_text(beside.read_text().replace("2.0", "1.0"))

    (grade,) = graded(course, "right")

    _, alexnet = grade.checks
    assert "bias 1" in alexnet.findings[0].message
    assert len(sandbox.asked) == 3


def test_the_json_has_the_topic_and_the_findings(example, sandbox, tmp_path):
    course, _, _, _ = example
    told = tmp_path / "grade.json"
    words = [str(course / "submissions" / "wrong"), "--assignment", str(course)]

    status = run([*words, "--results", str(course.parent / "results"), "--json", str(told)])

    (grade,) = json.loads(told.read_text())["grades"]
    assert status == 0
    assert [check["group"] for check in grade["checks"]] == ["AlexNet", "AlexNet"]
    assert grade["checks"][0]["findings"][0]["where"] == "convolution 1"


# --- what goes wrong ------------------------------------------------------------------------


def test_an_exception_of_the_student_is_a_located_failure_of_that_check_alone(course, sandbox):
    file = course / "submissions" / "right" / "alexnet.py"
    file.write_text(file.read_text().replace("def build(classes, size):", "def build(classes):"))

    (grade,) = graded(course, "right")

    towers, alexnet = grade.checks
    assert (towers.outcome, alexnet.outcome) == (Outcome.PASSED, Outcome.FAILED)
    assert alexnet.findings[0].where == "alexnet.py:build"
    assert alexnet.findings[0].asked == "classes=7, size=(99, 99)"
    assert "it takes (classes)" in alexnet.findings[0].message


def test_a_module_that_cannot_be_imported_fails_the_checks_with_the_reason(course, sandbox):
    (course / "submissions" / "right" / "alexnet.py").write_text("import nothing_of_the_kind\n")

    (grade,) = graded(course, "right")

    assert grade.status is GradeStatus.GRADED
    assert [check.outcome for check in grade.checks] == [Outcome.FAILED] * 2
    assert "nothing_of_the_kind" in grade.checks[0].findings[0].message


def test_a_submission_without_the_module_is_told_its_name(course, sandbox):
    folder = course / "submissions" / "right"
    (folder / "alexnet.py").rename(folder / "alexnet_final.py")
    shutil.rmtree(course / "submissions" / "wrong")

    (grade,) = graded(course, ".")

    assert grade.status is GradeStatus.REJECTED
    assert grade.message.startswith("alexnet.py: expected under exactly this name")


def test_a_notebook_may_stand_for_the_module(course, sandbox):
    folder = course / "submissions" / "right"
    source = (folder / "alexnet.py").read_text()
    (folder / "alexnet.py").unlink()
    cell = {"cell_type": "code", "metadata": {}, "source": source, "outputs": []}
    notebook = {"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": [cell]}
    (folder / "alexnet.ipynb").write_text(json.dumps(notebook))

    (grade,) = graded(course, "right")

    assert grade.score == 10
    assert "alexnet.py was read from alexnet.ipynb." in grade.remarks


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("alexnet.py:build\"\nargum", "vgg.py:build\"\nargum", "no such file. Put it there"),
        ("alexnet.py:build\"\nargum", "alexnet.py:model\"\nargum", "has no function model; its"),
        ("classes = 7", "classes = -7", "expected a reference that gives a network"),
        ("classes = 7", "clases = 7", "unexpected keyword argument 'clases'"),
        ("input_shape = [27, 27, 8]", "input_shape = [27, 27, 7]", "networks.0.same_as"),
    ],
)  # fmt: skip
def test_a_reference_that_gives_no_network_is_a_mistake_of_the_assignment(
    course, sandbox, old, new, said
):
    file = course / "assignment.toml"
    text = file.read_text()
    place = text.rindex(old)
    file.write_text(text[:place] + new + text[place + len(old) :])

    with pytest.raises(AssignmentError, match=r"networks\.\d\.same_as: expected") as error:
        graded(course, "right")

    assert said in str(error.value)


def test_without_the_reference_a_student_is_told_what_can_be_told(course, sandbox):
    shutil.rmtree(course / "reference")

    grade = check_folder(course / "submissions" / "right", options(course))

    assert [check.outcome for check in grade.checks] == [Outcome.SKIPPED] * 2
    assert "compared when it is graded" in grade.checks[0].rationale


def test_with_the_reference_a_student_is_told_all(course, sandbox):
    grade = check_folder(course / "submissions" / "wrong", options(course))

    assert [check.outcome for check in grade.checks] == [Outcome.FAILED] * 2


def test_the_tree_that_a_submission_runs_in_holds_no_reference(course, sandbox):
    seen = {}

    def look(stage, run=sandbox.run):
        ids = [probe["id"] for probe in stage.request["probes"]]
        seen[tuple(ids)] = sorted(path.name for path in stage.tree.rglob("*.py"))
        return run(stage)

    sandbox.run = look
    try:
        graded(course, "right")
    finally:
        del sandbox.run

    assert seen["network-towers.0", "network-alexnet.0"] == ["alexnet.py"]
    assert seen[("network.0",)] == ["alexnet.py", "responses.py"]


def test_a_training_that_the_assignment_does_not_ask_for_is_a_usage_error(course):
    with pytest.raises(UsageError, match="asks for no accuracy"):
        graded(course, "right", retrain=True)


def test_doctor_names_a_reference_that_is_not_there(course):
    from grader.doctor import _assignment

    (course / "reference" / "alexnet.py").unlink()

    reading = _assignment(course)

    assert reading.status == "missing"
    assert "networks.0.same_as: expected a Python file" in reading.found
