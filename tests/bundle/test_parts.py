"""What goes into every bundle, and what never does."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from grader.assignment import load_assignment
from grader.bundle.command import write_bundle
from grader.bundle.parts import find_wheel, put_course
from grader.bundle.platform import MODULE, handed_in, in_time
from grader.errors import UsageError
from grader.resources import assignment_dir
from tests.bundle.conftest import wheel_with

COURSE = Path(__file__).parents[1] / "courses" / "alexnet"


@pytest.mark.parametrize(
    "answer",
    [
        "grader/_data/reference_solution/densenet.py",
        "grader/selftest/reference.py",
        "grader/_data/assignment/source/densenet/densenet.ipynb",
    ],
)
def test_a_wheel_with_the_answers_is_refused(answer: str, tmp_path: Path) -> None:
    wheel = wheel_with(tmp_path, "grader/bundle/__main__.py", answer)

    with pytest.raises(UsageError, match="holds the solution"):
        find_wheel(wheel, tmp_path)


def test_what_is_no_wheel_of_this_grader_is_refused(tmp_path: Path) -> None:
    (tmp_path / "densenet_grader-1.whl").write_text("no zip")

    with pytest.raises(UsageError, match="expected a wheel of this grader"):
        find_wheel(tmp_path / "densenet_grader-1.whl", tmp_path)
    with pytest.raises(UsageError, match="expected a wheel of this grader"):
        find_wheel(wheel_with(tmp_path, "numpy/__init__.py"), tmp_path)


def test_the_wheel_that_is_built_for_a_bundle_is_one_that_may_go_into_it(tmp_path: Path) -> None:
    pytest.importorskip("hatchling.builders.wheel")

    assert find_wheel(None, tmp_path).is_file()


def test_of_a_course_only_what_grading_reads_is_copied(tmp_path: Path) -> None:
    course = tmp_path / "course"
    shutil.copytree(COURSE, course)
    (course / "solutions").mkdir()
    (course / "solutions/alexnet.py").write_text("the answer")
    toml = course / "assignment.toml"
    toml.write_text(
        toml.read_text().replace("[deadline]\n", '[deadline]\nextensions = "extensions.csv"\n', 1)
    )
    (course / "extensions.csv").write_text("student_id,due\n")

    put_course(load_assignment(course), tmp_path / "copy")

    copied = {p.relative_to(tmp_path / "copy").as_posix() for p in (tmp_path / "copy").rglob("*.*")}
    assert copied == {
        "assignment.toml",
        "extensions.csv",
        *(f"reference/{p.name}" for p in (COURSE / "reference").glob("*.py")),
    }
    assert load_assignment(tmp_path / "copy").sha256 == load_assignment(course).sha256


def test_a_file_outside_the_course_cannot_be_put_into_a_bundle(tmp_path: Path) -> None:
    course = tmp_path / "course"
    course.mkdir()
    text = (assignment_dir() / "assignment.toml").read_text()
    (course / "assignment.toml").write_text(
        text.replace("[deadline]\n", '[deadline]\nextensions = "../extensions.csv"\n', 1)
    )
    (tmp_path / "extensions.csv").write_text("student_id,due\n")

    with pytest.raises(UsageError, match="expected a file below"):
        put_course(load_assignment(course), tmp_path / "copy")


def test_a_folder_with_something_in_it_is_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")

    with pytest.raises(UsageError, match="new or empty"):
        write_bundle("gradescope", tmp_path, assignment_dir())
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


@pytest.mark.parametrize("platform", ["codabench", "prairielearn"])
def test_a_platform_that_starts_an_image_needs_its_name(platform: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--image"):
        write_bundle(platform, tmp_path / "new", assignment_dir())


def test_the_same_course_gives_the_same_archive(
    bundled: Callable[..., Path], wheel: Path, tmp_path: Path
) -> None:
    first = (bundled("gradescope") / "autograder.zip").read_bytes()
    write_bundle("gradescope", tmp_path / "again", assignment_dir(), wheel=wheel)

    assert (tmp_path / "again/autograder.zip").read_bytes() == first


def test_the_one_archive_in_the_folder_is_the_submission_else_the_folder_is(
    tmp_path: Path,
) -> None:
    who = in_time("s1")
    (tmp_path / "Work.ZIP").write_bytes(b"")
    assert handed_in(tmp_path, who).path == tmp_path / "Work.ZIP"

    (tmp_path / "densenet.py").write_text("")
    assert handed_in(tmp_path, who).path == tmp_path

    (tmp_path / "submission.zip").write_bytes(b"")
    assert handed_in(tmp_path, who).path == tmp_path / "submission.zip"

    with pytest.raises(UsageError, match="expected the folder"):
        handed_in(tmp_path / "none", who)


def test_nothing_of_the_folder_that_it_is_called_in_is_imported(tmp_path: Path) -> None:
    """On some platforms that folder is the student's."""
    (tmp_path / "argparse.py").write_text("raise SystemExit('owned')")
    (tmp_path / "grader").mkdir()
    (tmp_path / "grader/__init__.py").write_text("raise SystemExit('owned')")
    words = [sys.executable, *MODULE.split()[1:], "nowhere", "x"]

    ran = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)

    assert "owned" not in ran.stderr
    assert "invalid choice: 'nowhere'" in ran.stderr
