"""The lines that a reader copies to set up work as printed, in a new folder with nothing installed.

The lines come from the documents. What cannot be copied everywhere is found in `make test`; that
they work is tried in `make test-all`, where pip reaches a package index.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Mapping
from pathlib import Path

import pytest

from grader.cli import app
from grader.resources import reference_dir, template_dir
from tests.house.test_documents_are_current import ROOT, text_of, tracked_files
from tests.house.test_student_wheel import wheel_builder

STUDENTS, TEMPLATE = "docs/students.md", "student_template/README.md"
READERS = {STUDENTS, TEMPLATE, "README.md"}
MINUTES = "needs CIFAR-10 and takes minutes to hours; tests/student/test_train.py trains"
NOT_HERE = {
    "grade train": MINUTES,
    "grade train --recipe recipe.laptop.toml": MINUTES,
    "grade train --minutes 30": MINUTES,
    "grade train --find-rate": MINUTES,
}
"""A printed line → why it is not run here."""

NETWORK = re.compile(r"(PIP|UV|SSL)_\w+|\w+_proxy|LANG|TMPDIR", re.IGNORECASE)
"""How this machine reaches its index; nothing else of the environment is kept."""


def printed(document: str) -> list[str]:
    """The lines of the blocks that a reader copies, in order."""
    blocks = re.findall(r"^( *)```(?:sh)?\n(.*?)^\1```$", text_of(document), re.DOTALL | re.M)
    whole = "".join(textwrap.dedent(block) for _, block in blocks if not _is_a_screen(block))
    return [line for line in whole.splitlines() if line.strip()]


def _is_a_screen(block: str) -> bool:
    return "─" in block


@pytest.mark.parametrize("document", sorted(READERS))
def test_a_line_to_copy_has_no_comment(document: str) -> None:
    """Typed into zsh, which macOS has, or cmd of Windows, a comment is so many more words."""
    assert [line for line in printed(document) if "#" in line] == []


def test_each_line_that_is_not_run_here_is_still_printed() -> None:
    assert set(NOT_HERE) <= {*printed(STUDENTS), *printed(TEMPLATE)}


@pytest.mark.parametrize("document", [STUDENTS, TEMPLATE])
def test_each_command_within_a_sentence_is_understood(document: str) -> None:
    commands = re.findall(r"`(grade [^`]+)`", text_of(document))

    assert len(commands) > 5
    for command in commands:
        app.parse_args(shlex.split(command)[1:], exit_on_error=False, print_error=False)


@pytest.mark.parametrize("document", [STUDENTS, TEMPLATE])
def test_both_documents_set_up_by_the_same_lines(document: str) -> None:
    lines = printed(document)

    assert lines[:2] == ["python3 -m venv .venv", ". .venv/bin/activate"]
    assert lines[:4] == printed(STUDENTS)[:4]
    for words in ("`py -m venv .venv`", r"`.venv\Scripts\activate`"):
        assert words in text_of(document)


# --- on a fresh machine ----------------------------------------------------------------------


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What a new user's shell has: a home with nothing in it, Python, and this machine's index.

    Skips where pip reaches no index, as nothing can be set up there.
    """
    if sys.platform == "win32":
        pytest.skip("the lines are for a shell of Unix")
    home = tmp_path_factory.mktemp("home")
    found = {name: value for name, value in os.environ.items() if NETWORK.fullmatch(name)}
    path = os.pathsep.join([str(Path(sys.base_prefix) / "bin"), "/usr/bin", "/bin"])
    found |= {"HOME": str(home), "PATH": path, "TERM": "dumb", "PIP_CACHE_DIR": str(home / "pip")}
    for settings in (".config/pip", ".pip"):
        if (Path.home() / settings).is_dir():
            shutil.copytree(Path.home() / settings, home / settings)
    asked = ["python3", "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(home)]
    tried = subprocess.run(
        [*asked, "tzdata"], env=found, capture_output=True, text=True, check=False
    )
    if tried.returncode:
        told = tried.stderr.strip().splitlines()[-1:]
        pytest.skip(f"no package index that pip reaches: {' '.join(told)}")
    return found


def typed(lines: list[str], folder: Path, machine: Mapping[str, str]) -> dict[str, tuple[int, str]]:
    """Enter lines in one shell; what each of them said, and its exit status."""
    mark = "entered\x1f"
    script = "".join(f"{line}\nprintf '{mark}%s{mark}' $?\n" for line in lines)
    ran = subprocess.run(
        ["sh"],
        input=script,
        cwd=folder,
        env=dict(machine),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    parts = ran.stdout.split(mark)
    assert len(parts) == 2 * len(lines) + 1, ran.stdout
    return {
        line: (int(status), said)
        for line, said, status in zip(lines, parts[::2], parts[1::2], strict=False)
    }


def failing(told: Mapping[str, tuple[int, str]], expected: Mapping[str, int]) -> dict[str, str]:
    return {
        line: f"{status}: {said[-3000:]}"
        for line, (status, said) in told.items()
        if status != expected.get(line, 0)
    }


def here(document: str) -> list[str]:
    return [line for line in printed(document) if line not in NOT_HERE]


@pytest.fixture
def desk(tmp_path: Path, machine: dict[str, str]) -> Path:
    """A new folder with the file that the course gave."""
    folder = tmp_path / "my course"
    folder.mkdir()
    wheel_builder().build(folder)
    return folder


@pytest.mark.exhaustive
@pytest.mark.tensorflow
@pytest.mark.slow
def test_the_lines_for_students_lead_from_nothing_to_a_zip(
    desk: Path, machine: dict[str, str]
) -> None:
    told = typed(here(STUDENTS), desk, machine)

    assert failing(told, {"grade check": 1}) == {}  # the stub is still to be written
    assert "dense_block is yours to write" in told["grade check"][1]
    assert "own code" in told["grade doctor"][1]
    assert (desk / "densenet" / "submission.zip").is_file()


@pytest.mark.exhaustive
@pytest.mark.tensorflow
@pytest.mark.slow
def test_the_lines_of_the_template_set_up_in_its_folder(
    desk: Path, machine: dict[str, str]
) -> None:
    """With the functions written, each check passes; the venv and the wheel stay out of the zip."""
    shutil.copytree(template_dir(), desk, dirs_exist_ok=True)
    shutil.copy(reference_dir() / "densenet.py", desk)
    assert "`pytest`" in text_of(TEMPLATE)

    told = typed([*here(TEMPLATE), "pytest -q"], desk, machine)

    assert failing(told, {}) == {}
    assert "82 of 82 points" in told["grade check"][1]
    assert "2 files" in told["grade pack"][1]


@pytest.mark.exhaustive
@pytest.mark.tensorflow
@pytest.mark.slow
@pytest.mark.parametrize("offline", ["", "1"], ids=["by uv", "by pip, where uv reaches no index"])
def test_the_first_line_of_the_readme_sets_all_up_and_grades(
    offline: str, tmp_path: Path, machine: dict[str, str]
) -> None:
    for file in tracked_files():
        place = tmp_path / file.relative_to(ROOT)
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, place)
    settings = {"GRADER_DATA": str(tmp_path / "none")} | ({"UV_OFFLINE": "1"} if offline else {})

    told = typed(printed("README.md")[:1], tmp_path, {**machine, **settings})

    assert failing(told, {}) == {}
    assert (tmp_path / "demo" / "grade.json").is_file()
