"""The frame of a new unit is a sound assignment from the start, and writes over nothing."""

import ast
from datetime import UTC, datetime
from pathlib import Path

import pytest

from grader.assignment import load_assignment
from grader.assignment.framing import write_frame
from grader.cli import run
from grader.course import KNOWN_CHECKS
from grader.errors import UsageError

TODAY = datetime(2027, 3, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("name", "module"),
    [("lenet", "lenet"), ("08-lenet", "lenet"), ("squeeze-net-2", "squeeze_net_2")],
)
def test_a_frame_is_a_sound_assignment(name, module, tmp_path):
    written = write_frame(name, tmp_path / "unit", TODAY)

    assignment = load_assignment(tmp_path / "unit", KNOWN_CHECKS)
    assert assignment.module == f"{module}.py"
    assert assignment.deadline.due.isoformat() == "2027-03-29T23:00:00+00:00"
    assert {path.relative_to(tmp_path / "unit").as_posix() for path in written} == {
        "README.md", "assignment.toml", f"template/{module}.py", f"reference/{module}.py",
    }  # fmt: skip
    assert not any("@" in path.read_text() for path in written)


def test_the_modules_of_a_frame_are_python(tmp_path):
    for path in write_frame("lenet", tmp_path / "unit", TODAY):
        if path.suffix == ".py":
            ast.parse(path.read_text())


@pytest.mark.parametrize("name", ["LeNet", "le net", "../lenet", "1", "", "-x", "lambda", "keras"])
def test_a_name_that_cannot_be_a_modules_is_refused(name, tmp_path):
    with pytest.raises(UsageError, match="expected a name such as lenet"):
        write_frame(name, tmp_path / "unit")
    assert not (tmp_path / "unit").exists()


def test_a_name_of_the_course_is_refused(tmp_path):
    with pytest.raises(UsageError, match="already"):
        write_frame("residual", tmp_path / "unit")


def test_a_folder_that_holds_something_is_left_alone(tmp_path):
    (tmp_path / "mine.txt").write_text("mine")

    with pytest.raises(UsageError, match="expected a new or empty folder"):
        write_frame("lenet", tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_a_teachers_unit_is_handed_out_and_packed_as_those_of_the_course(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)

    assert run(["new-unit", "lenet", "units/lenet"]) == 0
    assert run(["init", "units/lenet", "work"]) == 0
    assert sorted(path.name for path in Path("work").iterdir()) == ["README.md", "lenet.py"]
    assert run(["pack", "work", "--assignment", "units/lenet"]) == 0
    assert Path("work/submission.zip").is_file()
    assert "grade doctor --assignment units/lenet" in capsys.readouterr().out
