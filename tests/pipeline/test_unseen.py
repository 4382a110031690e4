"""`grade check` and the public tests show no check that the rubric keeps from students.

No student code runs and no TensorFlow is loaded here: the sandbox answers from hand-written graphs.
"""

import json
import re
import shutil

import pytest

from grader.cli import run
from grader.resources import assignment_dir
from grader.student.checks import points_of, public_checks, run_public_checks
from tests.pipeline.test_pipeline import Replay, replayed

HIDDEN, LATER, OPEN = "transition-shape", "block-shape", "network-shape"
BEFORE, AFTER = "2999-01-01T00:00:00", "2001-01-01T00:00:00"


def without_blocks_and_transitions(stage):
    """The answers of a program whose dense_block and transition give nothing."""
    ids = [probe["id"] for probe in stage.request["probes"] if "network" not in probe["id"]]
    return replayed(stage, leave_out=[f"probe:{id}" for id in ids])


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A student's folder; what its two functions give fails the hidden and the later check."""
    sandbox = Replay({"# mine": without_blocks_and_transitions})
    monkeypatch.setattr("grader.sandbox.open_sandbox", lambda *a, **k: sandbox)
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "densenet.py").write_text("# mine\n")
    return folder


@pytest.fixture
def course(tmp_path):
    """Write a copy of the assignment with some visibilities and a due time."""

    def write(visibilities, due=BEFORE):
        place = tmp_path / f"course-{due[:4]}"
        shutil.copytree(assignment_dir(), place)
        text = (place / "assignment.toml").read_text("utf-8")
        text = re.sub(r'(?m)^due = "[^"]*"', f'due = "{due}"', text)
        for name, visibility in visibilities.items():
            line = rf'(?m)^({name} = .*)visibility = "visible"'
            text, found = re.subn(line, rf'\1visibility = "{visibility}"', text)
            assert found == 1
        (place / "assignment.toml").write_text(text, "utf-8")
        return place

    return write


@pytest.mark.parametrize(("due", "later_is_shown"), [(BEFORE, False), (AFTER, True)])
@pytest.mark.parametrize("how", [[], ["--all"], ["--quiet"], ["--diff"]])
def test_a_check_shows_no_unseen_one(folder, course, capsys, tmp_path, how, due, later_is_shown):
    place = course({HIDDEN: "hidden", LATER: "after_due", "accuracy": "hidden"}, due)
    told = tmp_path / "grade.json"

    run(["check", str(folder), "--assignment", str(place), "--json", str(told), *how])

    out = capsys.readouterr().out
    (grade,) = json.loads(told.read_text("utf-8"))["grades"]
    names = {check["name"] for check in grade["checks"]}
    shown = out + told.read_text("utf-8")
    assert OPEN in names
    assert (LATER in names) == later_is_shown
    assert (LATER in shown) == later_is_shown
    assert HIDDEN not in shown
    assert "ccuracy" not in shown
    assert grade["max_score"] == (78 if later_is_shown else 74)
    assert grade["score"] == sum(check["score"] for check in grade["checks"])


def test_a_hidden_failure_is_not_told_by_the_exit_status(folder, course):
    from grader.checks import CHECKS

    everything = dict.fromkeys((check.name for check in CHECKS), "hidden")

    assert run(["check", str(folder), "--assignment", str(course({}))]) == 1
    shutil.rmtree(folder.parent / "course-2999")
    assert run(["check", str(folder), "--assignment", str(course(everything))]) == 0


def test_what_cannot_be_checked_does_not_tell_the_points_of_unseen_checks(folder, course, tmp_path):
    (folder / "densenet.py").unlink()
    told = tmp_path / "grade.json"

    run(
        ["check", str(folder), "--assignment", str(course({HIDDEN: "hidden"})), "--json", str(told)]
    )

    assert json.loads(told.read_text("utf-8"))["grades"][0]["max_score"] == 96


@pytest.mark.parametrize(("due", "unseen"), [(BEFORE, {HIDDEN, LATER}), (AFTER, {HIDDEN})])
def test_the_public_tests_name_no_unseen_check(folder, course, monkeypatch, due, unseen):
    everything = set(public_checks())
    place = course({HIDDEN: "hidden", LATER: "after_due"}, due)
    monkeypatch.setattr("grader.resources.assignment_dir", lambda: place)
    monkeypatch.setattr("grader.assignment.units.assignment_dir", lambda: place)

    results = run_public_checks(folder)

    assert everything - set(public_checks()) == unseen
    assert set(results) == set(public_checks())
    assert not [n for n in unseen for r in results.values() if n in r.explanation]


def test_a_group_of_unseen_checks_alone_has_no_points(folder, course, monkeypatch):
    names = ("module-contract", "block-shape", "transition-shape", "network-shape", "growth")
    place = course(dict.fromkeys(names, "hidden"))
    monkeypatch.setattr("grader.resources.assignment_dir", lambda: place)
    monkeypatch.setattr("grader.assignment.units.assignment_dir", lambda: place)

    results = run_public_checks(folder)

    assert points_of("shape", results) == 0
    assert points_of("architecture", results) > 0
