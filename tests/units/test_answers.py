"""The questions of the units: typical answers, right and wrong, and the sheet of them."""

import pytest

from grader.assignment import load_assignment
from grader.assignment.tables.answers import sheet
from grader.assignment.units import units
from grader.checks.answers import answered
from grader.checks.check import Failure

ASKED = {
    unit.name: load_assignment(unit.folder)
    for unit in units()
    if load_assignment(unit.folder).answers
}
RIGHT = [
    ("03-mnist", "first-maps", '["26", 26, 16.0]'),
    ("03-mnist", "second-weights", '"3*3*16*32 + 32"'),
    ("03-mnist", "largest-layer", '"the first dense layer"'),
    ("04-alexnet", "slope-of-tanh", '"1 - tanh(x)^2"'),
    ("04-alexnet", "slope-of-tanh", '"4 / (exp(x) + exp(-x))**2"'),
    ("04-alexnet", "same-gpu", "[5, 4, 2]"),
    ("04-alexnet", "first-width", '"floor((n - 11 + 2*0) / 4) + 1"'),
    ("04-alexnet", "first-width", '"(n - 7) // 4"'),
    ("04-alexnet", "second-weights", "307_200"),
    ("04-alexnet", "does-not-saturate", '"C"'),
]
WRONG = [
    ("03-mnist", "first-maps", "[28, 28, 16]"),
    ("03-mnist", "first-maps", "[16, 26, 26]"),
    ("03-mnist", "flattened", "1568"),
    ("03-mnist", "second-weights", "4608"),
    ("03-mnist", "largest-layer", '"b"'),
    ("03-mnist", "all-parameters", "56640"),
    ("04-alexnet", "layers-with-weights", "[3, 5]"),
    ("04-alexnet", "does-not-saturate", '"a"'),
    ("04-alexnet", "slope-of-tanh", '"1 - tanh(x)"'),
    ("04-alexnet", "times-faster", "3"),
    ("04-alexnet", "same-gpu", "[2, 3, 4, 5]"),
    ("04-alexnet", "pooling", "[3, 2]"),
    ("04-alexnet", "pooling", "[2, 2]"),
    ("04-alexnet", "first-width", '"(n - 11) / 4 + 1"'),
    ("04-alexnet", "first-width", '"n // 4"'),
    ("04-alexnet", "first-parameters", "34848"),
    ("04-alexnet", "second-weights", "614400"),
    ("04-alexnet", "dropped", '"c"'),
]


def judged(unit, name, written):
    """Raises Failure where an answer is wrong."""
    assignment = ASKED[unit]
    (question,) = (each for each in assignment.answers if each.name == name)
    answered({"answers.toml": f"{name} = {written}".encode()}, question, assignment.key)


@pytest.mark.parametrize(("unit", "name", "written"), RIGHT)
def test_a_right_answer_passes_however_it_is_written(unit, name, written):
    judged(unit, name, written)


@pytest.mark.parametrize(("unit", "name", "written"), WRONG)
def test_a_typical_wrong_answer_fails_and_is_told_where_to_look(unit, name, written):
    with pytest.raises(Failure) as no:
        judged(unit, name, written)

    assert no.value.help.startswith("See ")


@pytest.mark.parametrize("unit", ASKED)
def test_the_sheet_of_answers_that_is_handed_out_is_that_of_the_questions(unit):
    assignment = ASKED[unit]
    template = assignment.file.parent / "template" / "answers.toml"

    assert template.read_text(encoding="utf-8") == sheet(assignment.answers)


@pytest.mark.parametrize("unit", ASKED)
def test_the_key_answers_all_questions(unit):
    assignment = ASKED[unit]
    content = (assignment.file.parent / "reference" / "answers.toml").read_bytes()

    for question in assignment.answers:
        answered({"answers.toml": content}, question, assignment.key)
