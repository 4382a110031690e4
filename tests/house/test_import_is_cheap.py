"""What every command pays: the import of the grader, and the help."""

import json
import os
import subprocess
import sys

import pytest

HEAVY = ["tensorflow", "keras", "cv2", "docker", "numpy", "pydantic"]

HELP_WITHIN_S = 0.5
TRIES = 5


def modules_after(code: str) -> list[str]:
    told = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport json, sys; print(json.dumps(list(sys.modules)))"],
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(told.stdout.splitlines()[-1])


@pytest.mark.parametrize(
    "code",
    [
        "import grader",
        "from grader.cli import run; run(['--help'])",
        "from grader.cli import run; run(['--version'])",
    ],
    ids=["import grader", "grade --help", "grade --version"],
)
def test_nothing_heavy_is_loaded(code):
    loaded = modules_after(code)

    assert [name for name in HEAVY if name in loaded] == []


def test_help_answers_within_half_a_second():
    # Without bytecode each start would compile every module anew; users have it. Processor time,
    # because other work on a test machine is not the program's.
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    took = []
    for _ in range(TRIES):
        before = sum(os.times()[2:4])
        subprocess.run(
            [sys.executable, "-m", "grader.cli", "--help"],
            env=environment,
            stdout=subprocess.DEVNULL,
            check=True,
        )
        took.append(sum(os.times()[2:4]) - before)

    assert min(took) < HELP_WITHIN_S
