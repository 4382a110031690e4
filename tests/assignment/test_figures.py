"""The figures of the sheets are those that the project draws, and each is shown in its sheet."""

import importlib.util
import re
from pathlib import Path

import pytest

UNITS = Path(__file__).parents[2] / "assignment" / "units"
KEPT = sorted(path.relative_to(UNITS).as_posix() for path in UNITS.glob("*/figures/*"))


def maker():
    pytest.importorskip("matplotlib")
    spec = importlib.util.spec_from_file_location("make_figures", UNITS / "make_figures.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_figure_is_the_one_that_the_project_draws(tmp_path):
    maker().write(tmp_path)

    drawn = {path.relative_to(tmp_path).as_posix(): path for path in tmp_path.glob("*/figures/*")}
    assert sorted(drawn) == KEPT
    assert [n for n, path in drawn.items() if path.read_text() != (UNITS / n).read_text()] == []


def test_the_numbers_of_the_convolution_are_those_of_its_sentence():
    assert maker()._convolved()[0][1] == 1


@pytest.mark.parametrize("sheet", sorted(UNITS.glob("*/README.md")), ids=lambda s: s.parent.name)
def test_a_sheet_shows_figures_of_its_unit(sheet):
    shown = re.findall(r"!\[[^\]]+\]\((figures/[^)]+)\)", sheet.read_text())

    assert [name for name in shown if not (sheet.parent / name).is_file()] == []
