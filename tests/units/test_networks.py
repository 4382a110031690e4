"""The units of networks: right in any style earns all, a typical mistake loses its own checks.

Each solution goes the whole way: unpacked, traced in the sandbox, compared with the reference.
"""

from pathlib import Path

import pytest

from grader.assignment import load_assignment
from grader.course import GradeOptions
from grader.domain import GradeStatus, Outcome
from grader.resources import assignment_dir
from tests.grading import grade_paths
from tests.units.proving import catalogue

HERE = Path(__file__).parent
CATALOGUES = {"03-mnist": HERE / "mnist.txt", "04-alexnet": HERE / "alexnet.txt"}
CASES = [(unit, case) for unit, file in CATALOGUES.items() for case in catalogue(file)]
SAMPLE = ("functions of keras.ops", "average pooling", "halves by slices", "the halves are added")

pytestmark = pytest.mark.tensorflow


def unit_folder(name):
    return assignment_dir() / "units" / name


@pytest.fixture(scope="module")
def graded(workshops, tmp_path_factory):
    """Grades a module of a unit, its answers beside it; references are traced once."""
    results = tmp_path_factory.mktemp("results")

    def grade(name, module, answers=None):
        folder = unit_folder(name)
        assignment = load_assignment(folder)
        work = tmp_path_factory.mktemp("work")
        (work / assignment.module).write_text(module, encoding="utf-8")
        answers = answers or (folder / "reference" / "answers.toml").read_text("utf-8")
        (work / "answers.toml").write_text(answers, encoding="utf-8")
        options = GradeOptions(assignment_dir=folder, results_dir=results, evaluate=False)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("grader.sandbox.open_sandbox", lambda *a, **k: workshops)
            (one,) = grade_paths([work], options, lambda grade: None)
        assert one.status is GradeStatus.GRADED, one.message
        return {check.name: check for check in one.checks if check.name != "accuracy"}

    return grade


def lost(checks):
    return tuple(name for name, check in checks.items() if check.outcome is not Outcome.PASSED)


def reference(name):
    folder = unit_folder(name)
    return (folder / "reference" / load_assignment(folder).module).read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("name", "case"),
    [
        pytest.param(
            name,
            case,
            id=f"{name}-{case.name}".replace(" ", "-"),
            marks=[] if case.name in SAMPLE else [pytest.mark.exhaustive],
        )
        for name, case in CASES
    ],
)
def test_a_solution_loses_exactly_what_it_has_wrong(graded, name, case):
    checks = graded(name, f"{reference(name)}\n\n{case.code}")

    assert lost(checks) == case.loses
    for check in map(checks.get, case.loses[:1]):
        said = [check.rationale, *(finding.message for finding in check.findings)]
        assert any(case.told in text for text in said if text)
        assert check.help or any(finding.help for finding in check.findings)


@pytest.mark.parametrize("name", CATALOGUES)
def test_a_catalogue_has_eight_right_and_twelve_wrong_solutions_that_cost_each_check(name):
    cases = list(catalogue(CATALOGUES[name]))
    networks = load_assignment(unit_folder(name)).networks

    assert sum(case.right for case in cases) >= 8
    assert sum(not case.right for case in cases) >= 12
    assert {check for case in cases for check in case.loses} == {n.name for n in networks}


@pytest.mark.parametrize("name", CATALOGUES)
def test_the_template_as_it_is_handed_out_passes_nothing(graded, name):
    template = unit_folder(name) / "template"
    module = template / load_assignment(unit_folder(name)).module

    checks = graded(name, module.read_text("utf-8"), (template / "answers.toml").read_text("utf-8"))

    assert lost(checks) == tuple(checks)


@pytest.mark.parametrize("name", CATALOGUES)
def test_the_sheet_and_the_rubric_agree(name):
    sheet = (unit_folder(name) / "README.md").read_text(encoding="utf-8")

    assert load_assignment(unit_folder(name)).max_score == 100
    assert "| **sum** | **100** |" in sheet
