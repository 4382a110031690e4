"""The workflow of whoever hosts the project: what it starts is there, and the same everywhere."""

import re
import shlex
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
WORKFLOW = ROOT / ".github" / "workflows" / "ci.yml"
SHELL = {"test", "sed", "docker", "python"}
"""What every runner has."""


@pytest.fixture(scope="module")
def jobs() -> dict:
    return yaml.safe_load(WORKFLOW.read_text(encoding="utf-8"))["jobs"]


def lines(jobs: dict, system: str | None = None) -> list[str]:
    """The commands of the workflow; of one system's steps where it is named."""
    said = []
    for job in jobs.values():
        for step in job["steps"]:
            windows = "== 'Windows'" in step.get("if", "")
            others = "!= 'Windows'" in step.get("if", "")
            if (system == "Windows" and not windows) or (system == "others" and not others):
                continue
            said += step.get("run", "").strip().splitlines()
    return said


def recipe(target: str) -> list[str]:
    """The commands of a target of the Makefile, as the workflow spells them for Windows."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    tests = re.search(r"^TESTS := (.*)$", makefile, re.MULTILINE)
    assert tests is not None
    body = re.search(rf"^{target}:.*\n((?:\t.*\n)+)", makefile, re.MULTILINE)
    assert body is not None
    said = body[1].replace("$(TESTS)", tests[1]).replace("$(PYTEST_ARGS)", "")
    said = said.replace("$(BIN)", ".venv/Scripts").replace("$(JOBS)", "2")
    return [line.strip() for line in said.splitlines()]


def test_the_three_systems_of_students_are_tried(jobs: dict) -> None:
    systems = jobs["quick"]["strategy"]["matrix"]["os"]

    assert {name.partition("-")[0] for name in systems} == {"ubuntu", "macos", "windows"}


def test_each_target_of_make_is_there(jobs: dict) -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = {words[1] for line in lines(jobs) if (words := shlex.split(line))[0] == "make"}

    assert {"check", "quick", "test-all"} == targets
    assert all(re.search(rf"^{target}:", makefile, re.MULTILINE) for target in targets)


def test_windows_runs_what_make_would(jobs: dict) -> None:
    said = lines(jobs, "Windows")

    assert [line for line in recipe("check") if line not in said] == []
    assert [line for line in recipe("quick") if line not in said] == []


def test_each_program_and_file_that_is_named_is_there(jobs: dict) -> None:
    tools = Path(sys.executable).parent
    for line in lines(jobs):
        for part in filter(None, re.split(r";|\|\|", line)):
            words = shlex.split(part)
            program = words[0]
            if "=" in program or program == "make":
                continue
            name = program.rpartition("/")[2]
            assert program in SHELL or (tools / name).exists(), line
            for word in words[1:]:
                if word.startswith("locks/") or word == "reference_solution":
                    assert (ROOT / word).exists(), line


def test_no_step_is_given_more_than_it_reads(jobs: dict) -> None:
    whole = yaml.safe_load(WORKFLOW.read_text(encoding="utf-8"))

    assert whole["permissions"] == {"contents": "read"}
    assert all("timeout-minutes" in job for job in jobs.values())
