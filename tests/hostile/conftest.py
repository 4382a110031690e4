"""One warm sandbox of each isolating kind, and an assignment small enough for many cases."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from grader.assignment import load_assignment
from grader.course import KNOWN_CHECKS, Course, GradeOptions
from grader.domain import Grade
from grader.errors import InfrastructureError
from grader.ledger.key import CourseKey
from grader.pipeline import grade_one
from grader.sandbox.contract import Sandbox
from grader.sandbox.docker import DockerSandbox, _engine
from grader.sandbox.jail import JailSandbox
from tests.hostile.programs import small_assignment_text
from tests.workers import one_at_a_time

ROOT = Path(__file__).parents[2]
IMAGE = "densenet-grader-test:gallery"
"""The real image; its layers are those of the one that users build."""


@dataclass(frozen=True)
class Workshop:
    """Where cases are graded: one course, one warm sandbox.

    Attributes:
        name: Of the provider.
        course: Assignment, key, sandbox.
        scratch: Where the jail makes its private folders.
        intake: Where submissions are unpacked; processes of a run begin in it.
    """

    name: str
    course: Course
    scratch: Path
    intake: Path

    def grade(self, path: Path, limits: Mapping[str, float] | None = None) -> Grade:
        """Grade one submission; each result lies in a folder of its own."""
        options = replace(self.course.options, results_dir=path.parent / "results")
        assignment = self.course.assignment
        lower = assignment.limits.model_copy(update=dict(limits or {}))
        assignment = assignment.model_copy(update={"limits": lower})
        course = replace(self.course, options=options, assignment=assignment)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(tempfile, "tempdir", str(self.intake))
            return grade_one(path, course)

    def left_behind(self) -> list[str]:
        """Processes and files of runs that are over."""
        left = [f"process {pid}" for pid in _processes_below(self.intake)]
        return left + [str(path) for room in (self.scratch, self.intake) for path in room.iterdir()]


def _processes_below(folder: Path) -> Iterator[int]:
    for entry in filter(str.isdigit, os.listdir("/proc")):
        try:
            at = os.readlink(f"/proc/{entry}/cwd")
            state = Path(f"/proc/{entry}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            continue
        if at.startswith(str(folder)) and state not in "ZX":
            yield int(entry)


@pytest.fixture(scope="session")
def assignment_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the real assignment, made small."""
    folder = tmp_path_factory.mktemp("assignment")
    (folder / "assignment.toml").write_text(small_assignment_text())
    return folder


@pytest.fixture(scope="session")
def workshops(
    assignment_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[str], Workshop]]:
    """Makes the workshop of a provider when it is first asked for."""
    made: dict[str, Workshop] = {}

    def get(name: str) -> Workshop:
        if name not in made:
            scratch = tmp_path_factory.mktemp("scratch")
            sandbox = _opened(name, scratch)
            options = GradeOptions(assignment_folder, evaluate=False)
            course = Course(
                load_assignment(assignment_folder, KNOWN_CHECKS),
                {},
                options,
                CourseKey.of(b"the key of the hostile gallery: no secret"),
                sandbox,
            )
            made[name] = Workshop(name, course, scratch, tmp_path_factory.mktemp("intake"))
        return made[name]

    yield get
    for workshop in made.values():
        workshop.course.sandbox.close()


MAY_NOT_SKIP = {
    name for name in ("jail", "docker") if os.environ.get(f"GRADER_REQUIRE_{name.upper()}")
}
"""Providers that must be here, whatever is missing."""


def _opened(name: str, scratch: Path) -> Sandbox:
    sandbox: Any = JailSandbox(warm=True, scratch=scratch)
    lack = None
    if name == "docker":
        sandbox = DockerSandbox(warm=True, image=IMAGE)
        lack = lack_of_image()
    lack = lack or sandbox.available()
    if lack is not None and name in MAY_NOT_SKIP:
        pytest.fail(lack)
    if lack is not None:
        pytest.skip(lack)
    return sandbox


def lack_of_image() -> str | None:
    """Build the real image; mostly its last layers, the libraries are kept by the engine."""
    try:
        engine = _engine()
    except InfrastructureError as error:
        return error.message
    try:
        with one_at_a_time("image"):
            engine.images.build(
                path=str(ROOT), tag=IMAGE, network_mode="host", rm=True, forcerm=True
            )
    except Exception as error:  # the engine's own: no base image, no disk
        return f"{IMAGE}: {error}"
    finally:
        engine.close()
    return None
