"""The nbgrader course: the notebook says what the template says, its points are the rubric's."""

import contextlib
import csv
import importlib.util
import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import nbformat
import pytest

from grader.checks import CHECKS
from grader.resources import assignment_dir, template_dir

COURSE = assignment_dir()
NOTEBOOK = COURSE / "source" / "densenet" / "densenet.ipynb"


@pytest.fixture(scope="module")
def maker():
    spec = importlib.util.spec_from_file_location(
        "make_notebook", COURSE / "source" / "make_notebook.py"
    )
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_notebook_is_what_the_template_gives(maker):
    kept = nbformat.read(NOTEBOOK, as_version=4)

    assert kept.cells == maker.build(template_dir(), maker.points(COURSE)).cells


def test_the_notebook_of_each_unit_is_what_its_template_and_reference_give(maker):
    made = maker.notebooks()

    kept = sorted((COURSE / "source").glob("*/*.ipynb"))
    assert [place for place in kept if place not in made] == []
    for place in kept:
        assert nbformat.read(place, as_version=4).cells == made[place].cells, place


def test_the_points_of_its_cells_are_those_of_the_rubric(maker):
    rubric = tomllib.loads((COURSE / "assignment.toml").read_text(encoding="utf-8"))["rubric"]

    by_group = dict.fromkeys((check.group for check in CHECKS), 0)
    for check in CHECKS:
        by_group[check.group] += rubric[check.name]["points"]
    assert maker.points(COURSE) == by_group | {"accuracy": rubric["accuracy"]["points"]}
    cells = nbformat.read(NOTEBOOK, as_version=4).cells
    marks = [cell.metadata.nbgrader for cell in cells if "nbgrader" in cell.metadata]
    assert sum(mark.get("points", 0) for mark in marks) == 100


def nbgrader(course, *words):
    # nbgrader calls alembic by name; it lies beside this Python.
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    subprocess.run(
        [sys.executable, "-m", "nbgrader", *words],
        cwd=course,
        env=os.environ | {"PATH": path, "HOME": str(course)},
        capture_output=True,
        text=True,
        check=True,
    )


@pytest.mark.slow
@pytest.mark.tensorflow
def test_nbgrader_gives_the_solution_all_public_points_and_the_release_those_of_its_form(tmp_path):
    pytest.importorskip("nbgrader", reason="nbgrader is not installed (extra nbgrader)")
    course = tmp_path / "course"
    shutil.copytree(COURSE, course)

    nbgrader(course, "generate_assignment", "densenet", "--create")
    shutil.copytree(course / "source" / "densenet", course / "submitted" / "solved" / "densenet")
    shutil.copytree(course / "release" / "densenet", course / "submitted" / "empty" / "densenet")
    nbgrader(course, "autograde", "densenet", "--create")
    nbgrader(course, "export", "--to", str(course / "grades.csv"))

    with (course / "grades.csv").open(encoding="utf-8", newline="") as file:
        scores = {row["student_id"]: float(row["score"]) for row in csv.DictReader(file)}
    assert scores == {"solved": 82.0, "empty": 4.0}
    assert "BEGIN SOLUTION" not in (course / "release/densenet/densenet.ipynb").read_text()


@contextlib.contextmanager
def opened(course):
    from nbgrader.api import Gradebook

    book = Gradebook(f"sqlite:///{course / 'gradebook.db'}", course_id="")
    try:
        yield book
    finally:
        book.close()


def total(course, student):
    with opened(course) as book:
        notebook = book.find_submission("densenet", student).notebooks[0]
        return notebook.score, notebook.late_submission_penalty


def grade_submitted(course):
    return subprocess.run(
        [
            sys.executable, "-m", "grader.cli", "submitted", "--gradebook", "gradebook.db",
            "--assignment", ".", "--no-evaluation", "--json", "all.json",
        ],
        cwd=course, capture_output=True, text=True, check=True,
    )  # fmt: skip


@pytest.fixture
def own_course(tmp_path):
    """A course with a rubric and a late policy of its own, a second assignment, and one student."""
    pytest.importorskip("nbgrader", reason="nbgrader is not installed (extra nbgrader)")
    course = tmp_path / "course"
    shutil.copytree(COURSE, course)
    rules = (course / "assignment.toml").read_text(encoding="utf-8")
    late = 'policy = "per_day"\ndeduction = 10\nunit = "percent"\n'
    rules = rules.replace('policy = "reject"', late).replace("grace_minutes = 0", "", 1)
    rules = rules.replace("connectivity = { points = 10,", "connectivity = { points = 30,")
    (course / "assignment.toml").write_text(rules, encoding="utf-8")
    subprocess.run([sys.executable, "source/make_notebook.py"], cwd=course, check=True)
    nbgrader(course, "generate_assignment", "densenet", "--create")
    folder = course / "submitted" / "max" / "densenet"
    shutil.copytree(course / "source" / "densenet", folder)
    (folder / "timestamp.txt").write_text("2027-10-01 18:00:00 UTC")
    (course / "submitted" / "max" / "hw1").mkdir()
    (course / "submitted" / "max" / "hw1" / "hw1.ipynb").write_text("{}")
    with opened(course) as book:
        book.add_assignment("hw1", course_id="densenet")
        book.add_notebook("hw1", "hw1")
        book.add_grade_cell("q1", "hw1", "hw1", max_score=5, cell_type="code")
    return course


@pytest.mark.exhaustive
@pytest.mark.tensorflow
@pytest.mark.sandbox
@pytest.mark.timeout(1500)
@pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SAWarning")
def test_the_whole_grade_is_in_nbgraders_gradebook_export_and_feedback(own_course):
    nbgrader(own_course, "autograde", "densenet", "--create")
    assert total(own_course, "max")[0] == 102

    ran = grade_submitted(own_course)
    assert "max needs a person: accuracy: not measured yet" in ran.stderr
    assert total(own_course, "max") == (102, 24)

    with opened(own_course) as book:
        book.find_grade("accuracy", "densenet", "densenet", "max").manual_score = 11
        book.db.commit()
    nbgrader(own_course, "autograde", "densenet", "--force")
    assert total(own_course, "max")[1] != 24
    grade_submitted(own_course)
    assert total(own_course, "max") == (113, 24)

    nbgrader(own_course, "generate_feedback", "densenet")
    page = (own_course / "feedback" / "max" / "densenet" / "densenet.html").read_text()
    assert "Deadline: 1 d 30 min late" in page
    nbgrader(own_course, "export", "--to", str(own_course / "grades.csv"))
    with (own_course / "grades.csv").open(encoding="utf-8", newline="") as file:
        rows = {row["assignment"]: row for row in csv.DictReader(file)}
    told = {key: float(rows["densenet"][key]) for key in ("raw_score", "score", "max_score")}
    assert told == {"raw_score": 113, "score": 89, "max_score": 120}
    assert rows["densenet"]["duedate"] == "2027-09-30 17:30:00"
    assert float(rows["hw1"]["score"]) == 0
