"""The units of the course: named by topic, found by what lies in a student's folder."""

import shutil
import tomllib
from collections import Counter
from pathlib import Path

import pytest

from grader.assignment import load_assignment
from grader.assignment.units import (
    FIGURES,
    REFERENCE,
    SHEET,
    densenet,
    folder_named,
    mistyped,
    named,
    unit_in,
    units,
)
from grader.course import KNOWN_CHECKS
from grader.errors import AssignmentError, UsageError
from grader.student.template import chosen, write_template

UNITS = {unit.topic: unit for unit in units()}
OWN = [unit for unit in units() if unit != densenet()]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A student's or teacher's working folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_units_have_numbers_topics_and_modules_of_their_own():
    assert [unit.name[:2] for unit in OWN] == sorted(unit.name[:2] for unit in OWN)
    for part in ("topic", "module"):
        assert max(Counter(getattr(unit, part) for unit in units()).values()) == 1
    assert list(UNITS)[-1] == "densenet"


@pytest.mark.parametrize("unit", units(), ids=lambda unit: unit.topic)
def test_the_assignment_of_each_unit_is_sound(unit):
    assert load_assignment(unit.folder, KNOWN_CHECKS).module == unit.module


@pytest.mark.parametrize("unit", units(), ids=lambda unit: unit.topic)
def test_the_sheet_of_each_unit_gives_the_points_of_its_rubric(unit):
    rubric = tomllib.loads((unit.folder / "assignment.toml").read_text())["rubric"]

    total = sum(line["points"] for line in rubric.values())
    assert f"| **sum** | **{total}** |" in (unit.folder / SHEET).read_text()


@pytest.mark.parametrize("unit", OWN, ids=lambda unit: unit.topic)
def test_each_unit_has_its_module_in_template_and_reference_and_hands_out_no_solution(unit):
    assert (unit.folder / REFERENCE / unit.module).is_file()
    assert unit.module in unit.handed_out
    assert not any(REFERENCE in file.parts for file in unit.handed_out.values())


@pytest.mark.parametrize("word", ["residual", "05-residual", "Residual", "residual/"])
def test_a_unit_is_named_by_its_topic_or_its_whole_name(word, home):
    assert named(word) == UNITS["residual"]
    assert folder_named(word) == UNITS["residual"].folder


def test_a_folder_with_an_assignment_comes_before_a_unit_of_that_name(home):
    (home / "residual").mkdir()
    assert folder_named("residual") == UNITS["residual"].folder

    (home / "residual" / "assignment.toml").write_text("")
    assert folder_named("residual") == Path("residual")


@pytest.mark.parametrize("unit", units(), ids=lambda unit: unit.topic)
def test_a_students_folder_is_of_the_unit_whose_module_or_notebook_lies_there(unit, tmp_path):
    write_template(tmp_path / "work", unit)
    notebook = tmp_path / "notebook" / unit.module.replace(".py", ".ipynb")
    notebook.parent.mkdir()
    notebook.write_text("{}")

    assert unit_in(tmp_path / "work") == unit_in(notebook.parent) == unit


def test_an_empty_folder_is_of_the_densenet_and_one_with_two_modules_is_asked_about(tmp_path):
    assert unit_in(tmp_path) == densenet()

    for name in ("residual.py", "densenet.py"):
        (tmp_path / name).write_text("")
    with pytest.raises(UsageError, match=r"residual\.py and densenet\.py belong to several units"):
        unit_in(tmp_path)


@pytest.mark.parametrize(
    ("word", "topic"), [("residuals", "residual"), ("resdual", "residual"), ("densnet", "densenet")]
)
def test_a_mistyped_name_is_asked_after(word, topic, home):
    assert mistyped(word) == f" Did you mean {topic}?"
    with pytest.raises(UsageError, match=f"Did you mean {topic}"):
        chosen((word,))
    with pytest.raises(UsageError, match=f"Did you mean {topic}"):
        chosen((word, "mine"))
    with pytest.raises(AssignmentError, match=f"Did you mean {topic}"):
        load_assignment(word)


@pytest.mark.parametrize(
    ("words", "topic", "folder"),
    [
        ((), "densenet", "densenet"),
        (("mine",), "densenet", "mine"),
        (("my-densenet",), "densenet", "my-densenet"),
        (("work/residuals",), "densenet", "work/residuals"),
        (("residual",), "residual", "residual"),
        (("05-residual", "work/mine"), "residual", "work/mine"),
    ],
)
def test_init_is_told_a_unit_a_folder_or_both(words, topic, folder):
    assert chosen(words) == (UNITS[topic], Path(folder))


@pytest.mark.parametrize(
    ("words", "why"), [(("mine", "yours"), "no unit"), (("residual", "a", "b"), "a unit and a")]
)
def test_init_is_told_no_more_than_that(words, why):
    with pytest.raises(UsageError, match=why):
        chosen(words)


def test_what_editors_and_python_leave_in_a_template_is_not_handed_out(tmp_path):
    folder = Path(shutil.copytree(UNITS["residual"].folder, tmp_path / "05-residual"))
    for name in ("__pycache__/residual.pyc", ".idea/x", ".hidden"):
        (folder / "template" / name).parent.mkdir(exist_ok=True)
        (folder / "template" / name).write_text("")
    (folder / FIGURES).mkdir(exist_ok=True)
    (folder / FIGURES / "block.svg").write_text("<svg/>")

    unit = type(densenet())("05-residual", folder, "", "residual.py")
    assert {"README.md", "residual.py", "figures/block.svg"} <= unit.handed_out.keys()
    assert not any("pycache" in name or name.startswith(".") for name in unit.handed_out)
