"""Each unit proves itself: its reference, its template, right solutions and typical mistakes.

The catalogue of a unit is a file NN-TOPIC.txt here, in the form of `grader/selftest/parse.py`: what
differs from the reference of the unit, and the checks that it loses. Each must lose exactly these.
"""

import shutil
from pathlib import Path

import pytest

from grader.assignment import load_assignment
from grader.assignment.units import REFERENCE, Unit, named, units
from grader.course import GradeOptions
from grader.domain import Grade, GradeStatus, Outcome
from grader.selftest.mutant import Mutant
from grader.selftest.parse import read_family
from tests.grading import grade_paths

HERE = Path(__file__).parent
UNITS = [unit for unit in units() if (HERE / f"{unit.name}.txt").is_file()]
SAMPLE = {"residual": {"reference", "template", "subclassed-blocks", "relu-before-the-sum"}}
"""What `make test` grades; `make test-all` takes all of every unit."""
RIGHT, WRONG = 8, 12
"""How many there are at least."""


def catalogue(unit: Unit) -> list[Mutant]:
    """The solutions of a unit."""
    checks = load_assignment(unit.folder).rubric
    return read_family(HERE / f"{unit.name}.txt", checks)


CASES = [
    pytest.param(
        unit.topic, name, id=f"{unit.topic}-{name}",
        marks=() if name in SAMPLE.get(unit.topic, ())
        else pytest.mark.exhaustive,
    )
    for unit in UNITS
    for name in ["reference", "template", *[mutant.name for mutant in catalogue(unit)]]
]  # fmt: skip


def write(unit: Unit, name: str, folder: Path) -> Path:
    """A submission of the unit: its reference, its template, or what differs from the reference."""
    if name == "template":
        from grader.student.template import write_template

        write_template(folder, unit)
        return folder
    shutil.copytree(unit.folder / REFERENCE, folder)
    for mutant in catalogue(unit):
        if mutant.name == name:
            module = folder / unit.module
            module.write_text(mutant.source(module.read_text("utf-8")), encoding="utf-8")
    return folder


@pytest.fixture(scope="session")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where runs lie, and the traces of the references, which are made once."""
    return tmp_path_factory.mktemp("results")


@pytest.fixture
def graded(workshops, results, tmp_path, monkeypatch):
    """Grades one submission of a unit."""
    monkeypatch.setattr("grader.sandbox.open_sandbox", lambda *a, **k: workshops)

    def grade(topic: str, name: str) -> Grade:
        unit = named(topic)
        options = GradeOptions(unit.folder, results / topic, evaluate=False, reference=True)
        (found,) = grade_paths([write(unit, name, tmp_path / name)], options, lambda grade: None)
        return found

    return grade


@pytest.mark.tensorflow
@pytest.mark.parametrize(("topic", "name"), CASES)
def test_each_solution_of_a_unit_loses_exactly_what_it_should(topic, name, graded):
    loses = {mutant.name: mutant.loses for mutant in catalogue(named(topic))}.get(name, ())

    grade = graded(topic, name)

    assert grade.status is GradeStatus.GRADED, grade.message
    lost = {c.name: c.findings for c in grade.checks if c.outcome is not Outcome.PASSED}
    if name == "template":
        assert grade.score == 0
    else:
        assert sorted(lost) == sorted(loses), lost
        assert (grade.score == grade.max_score) == (not loses)


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.topic)
def test_a_unit_has_enough_right_and_wrong_solutions(unit):
    kinds = [mutant.kind for mutant in catalogue(unit)]

    assert kinds.count("right") >= RIGHT
    assert kinds.count("wrong") >= WRONG


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.topic)
def test_every_check_of_a_unit_is_lost_by_a_mistake_or_read_from_a_file(unit):
    lost = {check for mutant in catalogue(unit) for check in mutant.loses}
    rules = load_assignment(unit.folder)
    of_files = {check.name for check in (*rules.answers, *rules.tables, *rules.conclusions)}

    assert lost | of_files == set(rules.rubric) - {"accuracy"}
