"""The table of rulings: every row is used, and costs a check that there is."""

import re
from pathlib import Path

import pytest

from grader.checks import CHECKS
from grader.graph import rules
from grader.graph.rules import rulings
from grader.graph.rules.deviation import deviation
from grader.graph.rules.modes import without_consequences
from grader.graph.rules.rulings import Ruling

ROWS = {name: row for name, row in vars(rulings).items() if isinstance(row, Ruling)}
ROOM = Path(rules.__file__).parent
RULES = [*ROOM.glob("*.py"), ROOM.parent / "axes.py"]
NAMED = {
    word
    for file in RULES
    if file.name != "rulings.py"
    for word in re.findall(r"\w+", file.read_text(encoding="utf-8"))
}


@pytest.mark.parametrize("name", ROWS)
def test_every_row_is_used_by_a_rule(name):
    assert name in NAMED


def test_every_row_fails_a_check_that_there_is():
    assert {row.check for row in ROWS.values()} <= {check.name for check in CHECKS}


@pytest.mark.parametrize("name", [n for n, row in ROWS.items() if not row.costs])
def test_a_remark_says_that_it_does_no_harm(name):
    assert ROWS[name].help.startswith("No harm")


def test_a_row_becomes_a_sentence_with_its_place():
    found = deviation(rulings.CLASSES, "head", 5, cause=3, classes=10)

    assert found.check == "head"
    assert found.cause == 3
    assert found.finding.where == "head"
    assert found.finding.message == "its classes: expected 10, received 5"
    assert found.finding.help == "Use the argument num_classes."
    assert found.finding.severity == "deviation"


def test_a_remark_costs_nothing():
    assert deviation(rulings.NO_BIAS, "head", "none").finding.severity == "remark"


def test_dropout_has_no_place_where_the_order_of_a_layer_is_wrong():
    dropout = deviation(rulings.DROPOUT_ELSEWHERE, "layer 2", "in another place")
    order = deviation(rulings.NORMALISED_BEHIND, "layer 2", "conv → BN → ReLU", then="conv")

    assert without_consequences([dropout, order]) == [order]
    assert without_consequences([dropout]) == [dropout]


def test_a_rule_that_knows_more_than_the_row_says_what_to_do():
    found = deviation(rulings.ORDER, "layer 1", "ReLU", help="Swap them.", then="3×3 convolution")

    assert found.finding.what == "before its 3×3 convolution"
    assert found.finding.help == "Swap them."
