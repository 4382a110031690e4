"""The units of functions: right in any style earns all, a typical mistake loses its own check."""

from pathlib import Path

import pytest

from grader.assignment import load_assignment
from grader.calls.compare import difference
from grader.resources import assignment_dir
from grader.run.functions import read_answer
from grader.run.published import published
from tests.units.proving import Unit, catalogue, lost

HERE = Path(__file__).parent
CATALOGUES = {"01-opencv": HERE / "opencv.txt", "02-convnets": HERE / "convnets.txt"}
CASES = [(unit, case) for unit, file in CATALOGUES.items() for case in catalogue(file)]


@pytest.fixture(scope="module")
def unit(tmp_path_factory):
    """Units by name, each with its reference called once."""
    known = {}

    def of(name):
        if name not in known:
            known[name] = Unit(name, tmp_path_factory.mktemp(name))
        return known[name]

    return of


def solution(unit, case):
    return f"{unit.reference}\n\n{case.code}"


@pytest.mark.parametrize(
    ("name", "case"), CASES, ids=[f"{n}-{c.name}".replace(" ", "-") for n, c in CASES]
)
def test_a_solution_loses_exactly_what_it_has_wrong(unit, name, case):
    results = unit(name).judged(solution(unit(name), case))

    assert lost(results) == case.loses
    if case.loses:
        assert case.told in results[case.loses[0]].rationale


@pytest.mark.parametrize("name", CATALOGUES)
def test_a_catalogue_has_eight_right_and_twelve_wrong_solutions_that_cost_each_check(name):
    cases = list(catalogue(CATALOGUES[name]))
    functions = load_assignment(assignment_dir() / "units" / name).functions

    assert sum(case.right for case in cases) >= 8
    assert sum(not case.right for case in cases) >= 12
    assert {check for case in cases for check in case.loses} == {f.name for f in functions}


@pytest.mark.parametrize("name", CATALOGUES)
def test_the_template_as_it_is_handed_out_passes_nothing(unit, name):
    one = unit(name)
    text = (one.folder / "template" / one.assignment.module).read_text(encoding="utf-8")

    assert lost(one.judged(text)) == tuple(f.name for f in one.assignment.functions)


@pytest.mark.parametrize("name", CATALOGUES)
def test_each_slip_is_told_apart_from_what_is_right(unit, name):
    functions = unit(name).assignment.functions
    for number in range(max(len(asked.slips) for asked in functions)):
        results = unit(name).judged_slip(number)
        for asked in functions:
            if number < len(asked.slips):
                slip = asked.slips[number]
                assert asked.name in lost(results), slip.like
                assert slip.says in results[asked.name].rationale, slip.like


@pytest.mark.parametrize("name", CATALOGUES)
def test_the_sheet_and_the_rubric_agree(name):
    folder = assignment_dir() / "units" / name
    assignment = load_assignment(folder)
    sheet = (folder / "README.md").read_text(encoding="utf-8")

    assert assignment.max_score == 100
    assert "| **sum** | **100** |" in sheet
    assert all(f"**{q.name}.**" in sheet for q in assignment.answers)


@pytest.mark.parametrize("name", CATALOGUES)
def test_what_grade_check_compares_with_is_what_the_reference_gives(unit, name):
    one = unit(name)
    known = published(one.assignment)

    for asked in one.assignment.functions:
        cases = [case for case in one.cases[asked.name] if not case.hidden]
        assert known[asked.name].fit(cases), "run `grade publish` for this unit"
        for number, function in enumerate(asked.functions()):
            for case in cases:
                kept = read_answer(known[asked.name].answers[function][case.id])
                now = one.right[number][case.id]
                assert (kept.failure is None) == (now.failure is None)
                # Another OpenCV may round a pixel otherwise; the checks forgive that too.
                assert kept.failure or difference(asked, case, kept, now) is None
