"""The public tests by pytest and by `grade check`: the same checks, names and outcomes."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from grader.checks import CHECKS
from grader.resources import reference_dir, template_dir

pytestmark = pytest.mark.tensorflow

NAMES = [check.name for check in CHECKS]


def run_pytest(folder: Path) -> dict[str, str]:
    """Each public test's outcome by its check's name, as a student's pytest shows it."""
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-v", "-p", "no:cacheprovider", "test_densenet.py"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    rows = re.findall(r"test_densenet\[([\w-]+)\] (PASSED|FAILED|SKIPPED|ERROR)", ran.stdout)
    assert rows, ran.stdout + ran.stderr
    return {name: outcome.lower() for name, outcome in rows}


def run_check(folder: Path) -> dict:
    told = folder / "grade.json"
    subprocess.run(
        [sys.executable, "-m", "grader.cli", "check", str(folder), "--json", str(told)],
        capture_output=True,
        text=True,
        check=False,
    )
    return json.loads(told.read_text(encoding="utf-8"))["grades"][0]


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    return Path(shutil.copytree(template_dir(), tmp_path_factory.mktemp("template") / "densenet"))


@pytest.fixture(scope="module")
def filled_in(tmp_path_factory):
    """The template with the reference's densenet.py."""
    folder = Path(shutil.copytree(template_dir(), tmp_path_factory.mktemp("filled") / "densenet"))
    shutil.copy(reference_dir() / "densenet.py", folder)
    return folder


def test_the_reference_passes_every_public_test(filled_in):
    assert run_pytest(filled_in) == dict.fromkeys(NAMES, "passed")


@pytest.mark.parametrize("folder", ["template", "filled_in"])
def test_pytest_and_grade_check_agree_on_every_check(folder, request):
    submission = request.getfixturevalue(folder)

    by_pytest = run_pytest(submission)
    by_check = {check["name"]: check["outcome"] for check in run_check(submission)["checks"]}
    assert by_pytest == {name: by_check[name] for name in NAMES}


def test_the_template_as_handed_out_fails_and_says_what_is_left_to_write(template):
    grade = run_check(template)

    told = json.dumps(grade, ensure_ascii=False)
    assert 0 <= grade["score"] < grade["max_score"]
    assert "dense_block is yours to write" in told
    assert "transition is yours to write" in told


@pytest.mark.parametrize("way", ["round(width)", "math.ceil(width)"])
def test_a_width_that_is_not_the_floor_fails_on_the_students_own_machine(way, filled_in, tmp_path):
    source = (filled_in / "densenet.py").read_text(encoding="utf-8")
    floor = "int(compression * x.shape[-1])"
    assert floor in source
    other = way.replace("width", "compression * x.shape[-1]")
    (tmp_path / "densenet.py").write_text("import math\n" + source.replace(floor, other))

    outcomes = {check["name"]: check["outcome"] for check in run_check(tmp_path)["checks"]}

    assert outcomes["transition-shape"] == "failed"
