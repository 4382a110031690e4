"""The units as one nbgrader course: released, handed in, graded by nbgrader itself, exported."""

import csv
import re
import shutil
from pathlib import Path

import nbformat
import pytest

from grader.assignment import ACCURACY, load_assignment
from grader.assignment.tables.answers import ANSWERS_FILE
from grader.assignment.units import REFERENCE, Unit, densenet, units
from grader.resources import assignment_dir
from tests.student.test_nbgrader import nbgrader

UNITS = [
    unit
    for unit in units()
    if unit != densenet() and (assignment_dir() / "source" / unit.topic).is_dir()
]
SAMPLE = "convnets"
"""The unit that `make test` hands to nbgrader: it needs no TensorFlow."""


def hand_in(course: Path, unit: Unit, student: str, *, solved: bool) -> None:
    """What was released, or what stands in the source, with the data files of the reference."""
    place = course / "submitted" / student / unit.topic
    shutil.copytree(course / ("source" if solved else "release") / unit.topic, place)
    if not solved:
        return
    for name in load_assignment(unit.folder).data_files:
        given = unit.folder / REFERENCE / name
        if name == ANSWERS_FILE:
            answer(place / f"{Path(unit.module).stem}.ipynb", given.read_text("utf-8"))
        else:
            shutil.copy(given, place)


def answer(notebook: Path, answers: str) -> None:
    """Fill in the cell of the questions."""
    read = nbformat.read(notebook, as_version=4)
    for cell in read.cells:
        if cell.source.startswith(f"%%writefile {ANSWERS_FILE}"):
            cell.source = f"%%writefile {ANSWERS_FILE}\n{answers}"
    nbformat.write(read, notebook)


def graded(course: Path, given: list[Unit]) -> dict[tuple[str, str], tuple[float, float]]:
    """What nbgrader's own export says: unit and student → score and maximum."""
    for unit in given:
        nbgrader(course, "generate_assignment", unit.topic, "--create")
        hand_in(course, unit, "solved", solved=True)
        hand_in(course, unit, "empty", solved=False)
        nbgrader(course, "autograde", unit.topic, "--create")
    nbgrader(course, "export", "--to", str(course / "grades.csv"))
    with (course / "grades.csv").open(encoding="utf-8", newline="") as file:
        return {
            (row["assignment"], row["student_id"]): (float(row["score"]), float(row["max_score"]))
            for row in csv.DictReader(file)
        }


@pytest.fixture
def course(tmp_path):
    """A copy of the course that ships, as an nbgrader course."""
    pytest.importorskip("nbgrader", reason="nbgrader is not installed (extra nbgrader)")
    return Path(shutil.copytree(assignment_dir(), tmp_path / "course"))


def hold(scores, unit):
    """The solution has all points that the notebook's cells can give, the release has none."""
    rules = load_assignment(unit.folder)
    public = [name for name, line in rules.rubric.items() if line.visibility == "visible"]
    given = sum(rules.rubric[name].points for name in public if name != ACCURACY)
    assert scores[unit.topic, "solved"] == (given, rules.max_score)
    assert scores[unit.topic, "empty"] == (0, rules.max_score)


@pytest.mark.slow
@pytest.mark.sandbox
def test_nbgrader_gives_the_solution_of_a_unit_all_points_and_its_release_none(course):
    unit = next(unit for unit in UNITS if unit.topic == SAMPLE)

    hold(graded(course, [unit]), unit)
    assert "BEGIN SOLUTION" not in (course / "release/convnets/convnets.ipynb").read_text()


@pytest.mark.slow
@pytest.mark.exhaustive
@pytest.mark.tensorflow
def test_the_whole_course_is_one_gradebook_of_seven_assignments(course):
    nbgrader(course, "generate_assignment", "densenet", "--create")

    scores = graded(course, UNITS)

    for unit in UNITS:
        hold(scores, unit)
    assert len({assignment for assignment, _ in scores}) == 7


def test_a_notebook_holds_no_answer():
    keys = [
        path.read_text("utf-8")
        for unit in UNITS
        for path in [unit.folder / REFERENCE / ANSWERS_FILE]
        if path.is_file()
    ]
    lines = {line for key in keys for line in key.splitlines() if re.match(r"[\w-]+ = ", line)}
    texts = [path.read_text() for path in (assignment_dir() / "source").rglob("*.ipynb")]

    assert not any(line.replace('"', '\\"') in text for line in lines for text in texts)
