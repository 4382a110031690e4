"""The nbgrader course: the notebook says what the template says, its points are the rubric's."""

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

    assert kept.cells == maker.build(template_dir()).cells


def test_the_points_of_its_cells_are_those_of_the_rubric(maker):
    rubric = tomllib.loads((COURSE / "assignment.toml").read_text(encoding="utf-8"))["rubric"]

    by_group = dict.fromkeys((check.group for check in CHECKS), 0)
    for check in CHECKS:
        by_group[check.group] += rubric[check.name]["points"]
    assert by_group == maker.POINTS


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
