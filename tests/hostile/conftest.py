"""One warm sandbox of each isolating kind, and an assignment small enough for many cases."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from grader.assignment import load_assignment
from grader.domain import Grade
from grader.errors import InfrastructureError
from grader.ledger.key import CourseKey
from grader.pipeline import KNOWN_CHECKS, Course, GradeOptions, grade_one
from grader.resources import assignment_dir
from grader.sandbox.contract import Sandbox
from grader.sandbox.docker import IMAGE, DockerSandbox, _engine
from grader.sandbox.jail import JailSandbox
from grader.sandbox.process import STAGES

ROOT = Path(__file__).parents[2]
SMALLER = {
    r"^trace_s = .*$": "trace_s = 20",
    r"^cpu_time_s = .*$": "cpu_time_s = 30",
    r"^memory_bytes = .*$": "memory_bytes = 2_147_483_648",
    r"^output_bytes = .*$": "output_bytes = 16_777_216",
    r"^file_bytes = .*$": "file_bytes = 8_388_608",
    r"^processes = .*$": "processes = 100",
    r"^hidden = .*$": "hidden = { blocks = 1, transitions = 1, networks = 1 }",
    r"(?s:^blocks = \[.*?^\]$)": "blocks = [{ channels = 8, num_layers = 2, growth_rate = 4, "
    "bottleneck = true, size = 4 }]",
    r"(?s:^transitions = \[.*?^\]$)": "transitions = [{ channels = 12, compression = 0.5, "
    "size = 4 }]",
    r"(?s:^networks = \[.*?^\]$)": "networks = [{ depth = 7, growth_rate = 4, compression = 1.0, "
    "bottleneck = false, size = 16 }]",
}
"""The real assignment with less to trace and lower limits."""


@dataclass(frozen=True)
class Workshop:
    """Where cases are graded: one course, one warm sandbox.

    Attributes:
        name: Of the provider.
        course: Assignment, key, sandbox.
        scratch: Where the jail makes its private folders.
    """

    name: str
    course: Course
    scratch: Path

    def grade(self, path: Path) -> Grade:
        """Grade one submission; each result lies in a folder of its own."""
        options = replace(self.course.options, results_dir=path.parent / "results")
        return grade_one(path, replace(self.course, options=options))

    def left_behind(self) -> list[str]:
        """Processes and files of runs that are over."""
        processes = [f"process {pid}" for pid in self._survivors()]
        return processes + [str(path) for path in self.scratch.iterdir()]

    def _survivors(self) -> list[int]:
        zygotes = getattr(self.course.sandbox, "_zygotes", None)
        ours = {z._process.pid for z in zygotes._zygotes.values()} if zygotes else set()
        main = os.fsencode(STAGES / "main.py")
        return [pid for pid in _processes_with(main) if pid not in ours]


def _processes_with(argument: bytes) -> Iterator[int]:
    for entry in filter(str.isdigit, os.listdir("/proc")):
        try:
            command = Path(f"/proc/{entry}/cmdline").read_bytes().split(b"\0")
            state = Path(f"/proc/{entry}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            continue
        if argument in command and state not in "ZX":
            yield int(entry)


@pytest.fixture(scope="session")
def small_assignment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the real assignment, made small."""
    text = (assignment_dir() / "assignment.toml").read_text()
    for pattern, instead in SMALLER.items():
        text, found = re.subn(pattern, instead, text, flags=re.M)
        assert found == 1, pattern
    folder = tmp_path_factory.mktemp("assignment")
    (folder / "assignment.toml").write_text(text)
    return folder


@pytest.fixture(scope="session")
def workshops(
    small_assignment: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[str], Workshop]]:
    """Makes the workshop of a provider when it is first asked for."""
    made: dict[str, Workshop] = {}

    def get(name: str) -> Workshop:
        if name not in made:
            scratch = tmp_path_factory.mktemp("scratch")
            sandbox = _opened(name, scratch)
            options = GradeOptions(small_assignment, evaluate=False)
            course = Course(
                load_assignment(small_assignment, KNOWN_CHECKS),
                {},
                options,
                CourseKey.of(b"the key of the hostile gallery: no secret"),
                sandbox,
            )
            made[name] = Workshop(name, course, scratch)
        return made[name]

    yield get
    for workshop in made.values():
        workshop.course.sandbox.close()


def _opened(name: str, scratch: Path) -> Sandbox:
    required = bool(os.environ.get(f"GRADER_REQUIRE_{name.upper()}"))
    sandbox: Any = JailSandbox(warm=True, scratch=scratch)
    lack = None
    if name == "docker":
        sandbox = DockerSandbox(warm=True)
        lack = _lack_of_image()
    lack = lack or sandbox.available()
    if lack is not None and required:
        pytest.fail(lack)
    if lack is not None:
        pytest.skip(lack)
    return sandbox


def _lack_of_image() -> str | None:
    """Build the real image; mostly its last layers, the libraries are kept by the engine."""
    try:
        engine = _engine()
    except InfrastructureError as error:
        return error.message
    try:
        engine.images.build(path=str(ROOT), tag=IMAGE, network_mode="host", rm=True, forcerm=True)
    except Exception as error:  # the engine's own: no base image, no disk
        return f"{IMAGE}: {error}"
    finally:
        engine.close()
    return None
