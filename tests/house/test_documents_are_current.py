"""What README, the sheet and the template's README say still holds."""

import re
import shlex
import subprocess
import tomllib
from pathlib import Path

import pytest

from grader.cli import app
from grader.errors import Cause
from grader.paper import Configuration, dense_layer_count, transition_count

ROOT = Path(__file__).parents[2]
DOCUMENTS = [
    "README.md",
    "CONTRIBUTING.md",
    "docs/students.md",
    "docs/instructors.md",
    "docs/bundles.md",
    "docs/exports.md",
    "docs/ledger.md",
    "docs/course-authors.md",
    "docs/course.md",
    "docs/new-unit.md",
    "docs/operators.md",
    "docs/troubleshooting.md",
    "assignment/README.md",
    "student_template/README.md",
    "reference_solution/README.md",
]
LARGEST_FILE_BYTES = 2 * 2**20


def text_of(document: str) -> str:
    path = ROOT / document
    return path.read_text(encoding="utf-8") if path.exists() else ""


def commands_in(document: str, program: str) -> list[str]:
    """Lines of fenced blocks that start with the program, with or without a prompt."""
    # A command may go on after a backslash; a block may stand in a list.
    text = text_of(document).replace("\\\n", " ").replace("\n   ", "\n")
    blocks = re.findall(r"```(\w*)\n(.*?)```", text, re.DOTALL)
    lines = (
        line.split(" #")[0].strip().removeprefix("$ ")
        for language, block in blocks
        if language in ("", "sh", "console")
        for line in block.splitlines()
    )
    return [line for line in lines if re.match(rf"{program}(\s|$)", line)]


GRADE_COMMANDS = [
    (document, line) for document in DOCUMENTS for line in commands_in(document, "grade")
]
MAKE_COMMANDS = [
    (document, line) for document in DOCUMENTS for line in commands_in(document, "make")
]


@pytest.mark.parametrize(("document", "line"), GRADE_COMMANDS)
def test_every_grade_command_in_a_document_is_understood(document, line):
    words = shlex.split(line)[1:]

    app.parse_args(words, exit_on_error=False, print_error=False)


@pytest.mark.parametrize(("document", "line"), MAKE_COMMANDS)
def test_every_make_target_in_a_document_exists(document, line):
    targets = set(re.findall(r"^([\w-]+):", text_of("Makefile"), re.M))

    wanted = [word for word in shlex.split(line)[1:] if "=" not in word]
    assert set(wanted) <= targets


def test_readme_and_template_name_commands_at_all():
    named = {document for document, _ in GRADE_COMMANDS}

    assert {"docs/instructors.md", "docs/students.md", "student_template/README.md"} <= named
    assert {"make demo", "make test"} <= {line for _, line in MAKE_COMMANDS}


def test_the_sheet_gives_the_points_of_the_rubric():
    rubric = tomllib.loads(text_of("assignment/assignment.toml"))["rubric"]
    sheet = text_of("assignment/README.md")

    total = sum(line["points"] for line in rubric.values())
    rows = [int(points) for points in re.findall(r"^\| \w.*\| (\d+) \|$", sheet, re.M)]
    assert sum(rows) == total
    assert f"| **sum** | **{total}** |" in sheet


def test_the_examples_in_the_template_are_right():
    stubs = text_of("student_template/densenet.py")

    first, second = (dense_layer_count(maps, 4, True).trainable for maps in (6, 10))
    assert f"{first} trainable parameters" in stubs
    assert f"{second} trainable parameters" in stubs
    assert f"{transition_count(15, 0.5).trainable} trainable parameters" in stubs


def test_the_template_says_rightly_that_depth_22_costs_less_than_half_the_parameters():
    assert Configuration(depth=22).count().total < Configuration(depth=40).count().total / 2


def tracked_files() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False)
    if listed.returncode:
        pytest.skip("not a git checkout")
    return [ROOT / name for name in listed.stdout.decode().split("\0") if name]


def test_no_tracked_file_is_large():
    large = [
        str(path)
        for path in tracked_files()
        if path.is_file() and path.stat().st_size > LARGEST_FILE_BYTES
    ]

    assert large == []


def test_troubleshooting_explains_every_cause_once():
    rows = re.findall(r"^\| `([A-Z]+_\w+)` \|", text_of("docs/troubleshooting.md"), re.M)

    assert sorted(rows) == sorted(cause.value for cause in Cause)


@pytest.mark.parametrize("document", [*DOCUMENTS, "ARCHITECTURE.md", "SECURITY.md"])
def test_every_link_in_a_document_leads_somewhere(document):
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text_of(document))
    folder = (ROOT / document).parent

    assert [link for link in links if not (folder / link).exists()] == []
