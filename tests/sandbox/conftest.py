"""One sandbox of each kind, a tree to put a student's program in, and a look at what is left."""

from __future__ import annotations

import io
import os
import tarfile
import textwrap
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from grader import __version__
from grader.domain import Limits
from grader.errors import InfrastructureError
from grader.sandbox.contract import Sandbox, Stage, StageResult
from grader.sandbox.docker import (
    INSIDE,
    OWNER_LABEL,
    PACKAGE,
    VERSION_LABEL,
    DockerSandbox,
    _engine,
    _owner,
)
from grader.sandbox.jail import JailSandbox, UncheckedJail
from grader.sandbox.process import ProcessSandbox
from grader.sandbox.program import STAGES as INSIDE_SOURCES
from tests.workers import WORKER

STAGES = Path(__file__).parent / "stages"
MiB = 2**20
LIMITS = Limits(
    wall_time_s=20,
    cpu_time_s=20,
    memory_bytes=512 * MiB,
    output_bytes=4 * MiB,
    log_bytes=4096,
    file_bytes=8 * MiB,
    processes=64,
)
HONEST = "def answer(): return 42"


class Range:
    """A sandbox under test, with shorthand to run programs in it."""

    def __init__(self, name: str, sandbox: Sandbox, scratch: Path, trees: Path) -> None:
        self.name = name
        self.sandbox = sandbox
        self.scratch = scratch
        self._trees = trees
        self._count = 0

    def run(
        self, source: str, *, files: dict[str, bytes] | None = None, **options: Any
    ) -> StageResult:
        """Run a student's program; options are limits, the rest goes to `answer`."""
        limits = {k: options.pop(k) for k in list(options) if k in Limits.model_fields}
        return self.run_tree(self.tree(source, files or {}), options, **limits)

    def run_tree(self, tree: Path, request: dict[str, Any], **limits: Any) -> StageResult:
        return self.sandbox.run(Stage("play", tree, request, LIMITS.model_copy(update=limits)))

    def tree(self, source: str, files: dict[str, bytes]) -> Path:
        self._count += 1
        tree = self._trees / str(self._count)
        tree.mkdir()
        text = textwrap.dedent(source).replace("LONG_S", str(LONG_S))
        (tree / "student.py").write_text(text)
        for name, data in files.items():
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            (tree / name).write_bytes(data)
        return tree


def survivors(scratch: Path) -> list[int]:
    """Processes of this range's runs that still exist, its warm parents apart."""
    found = []
    for entry in filter(str.isdigit, os.listdir("/proc")):
        # The first thread of a process may have ended while others go on.
        for task in _names(f"/proc/{entry}/task"):
            try:
                command = Path(f"/proc/{entry}/task/{task}/cmdline").read_bytes().split(b"\0")
                cwd = os.readlink(f"/proc/{entry}/task/{task}/cwd")
            except OSError:
                continue
            if os.fsencode(STAGES) in command and cwd.startswith(str(scratch.parent)):
                found.append(int(entry))
                break
    return found


def _names(folder: str) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:
        return []


def our_containers() -> list[str]:
    """Containers of this very process that still exist, warm ones included."""
    client = _engine()
    label = f"{OWNER_LABEL}={_owner()}"
    found = client.containers.list(all=True, ignore_removed=True, filters={"label": label})
    client.close()
    return [c.id for c in found if "--warm" not in c.attrs["Config"]["Entrypoint"]]


SETTLED_S = 10 if "GRADER_KILL_MATRIX" in os.environ else 60
"""How long `settle` waits: on a busy machine nothing happens at once. With a defence switched off
it waits in vain."""
LONG_S = 1.2 * SETTLED_S
"""How long a program sleeps that writes `LONG_S`: longer than anybody waits for it to be gone."""


def settle(gone: Callable[[], bool], within_s: float = SETTLED_S) -> bool:
    """Wait until something is gone; False when it stays."""
    give_up = time.monotonic() + within_s
    while not gone():
        if time.monotonic() > give_up:
            return False
        time.sleep(0.01)
    return True


BASE_IMAGE = "python:3.11-slim"
SWITCHED_OFF = "-switched-off" if "GRADER_KILL_MATRIX" in os.environ else ""
TEST_IMAGE = f"densenet-grader-test:contract-{WORKER}{SWITCHED_OFF}"
"""One for each process of these tests: a defence switched off in one is on in the others."""


def build_test_image() -> None:
    """An image with the inside program and the test stages, without the libraries.

    Raises:
        InfrastructureError: There is no engine.
    """
    client = _engine()
    version = f"{VERSION_LABEL}={__version__}"
    recipe = (
        f"FROM {BASE_IMAGE}\nLABEL {version}\nCOPY inside {INSIDE}\nCOPY stages {INSIDE}/stages\n"
        f"COPY stages {PACKAGE}/grader\n"
    )
    context = io.BytesIO()
    with tarfile.open(fileobj=context, mode="w") as tar:
        entry = tarfile.TarInfo("Dockerfile")
        entry.size = len(recipe)
        tar.addfile(entry, io.BytesIO(recipe.encode()))
        tar.add(INSIDE_SOURCES, "inside", filter=_sources)
        tar.add(STAGES, "stages", filter=_sources)
    context.seek(0)
    client.images.build(fileobj=context, custom_context=True, tag=TEST_IMAGE, rm=True)
    client.close()


def _sources(entry: tarfile.TarInfo) -> tarfile.TarInfo | None:
    entry.mode |= 0o444
    return None if "__pycache__" in entry.name else entry


def docker_sandbox(*, warm: bool) -> Sandbox:
    return DockerSandbox(warm=warm, image=TEST_IMAGE, stages=f"{INSIDE}/stages")


# With a defence switched off the tests are asked, not the jail's own check of itself.
Jail = UncheckedJail if "GRADER_KILL_MATRIX" in os.environ else JailSandbox
PROVIDERS: dict[str, Callable[[Path], Sandbox]] = {
    "process": lambda scratch: ProcessSandbox(stages=STAGES, scratch=scratch),
    "process-warm": lambda scratch: ProcessSandbox(warm=True, stages=STAGES, scratch=scratch),
    "jail": lambda scratch: Jail(stages=STAGES, scratch=scratch),
    "jail-warm": lambda scratch: Jail(warm=True, stages=STAGES, scratch=scratch),
    "docker": lambda _: docker_sandbox(warm=False),
    "docker-warm": lambda _: docker_sandbox(warm=True),
}
ISOLATING = [name for name in PROVIDERS if not name.startswith("process")]
MAY_NOT_SKIP = [
    kind for kind in ("jail", "docker") if os.environ.get(f"GRADER_REQUIRE_{kind.upper()}")
]
"""Providers that must be there: set GRADER_REQUIRE_DOCKER=1, GRADER_REQUIRE_JAIL=1, as CI does."""
_open: dict[str, Range] = {}


@pytest.fixture(scope="session")
def ranges(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Range]]:
    """Makes the range of a provider when it is first asked for."""

    def get(name: str) -> Range:
        if name not in _open:
            base = tmp_path_factory.mktemp(name)
            scratch, trees = base / "scratch", base / "trees"
            scratch.mkdir()
            trees.mkdir()
            sandbox = PROVIDERS[name](scratch)
            lack = _lack(name, sandbox)
            if lack is not None and name.split("-")[0] in MAY_NOT_SKIP:
                pytest.fail(lack)
            if lack is not None:
                pytest.skip(lack)
            _open[name] = Range(name, sandbox, scratch, trees)
        return _open[name]

    os.environ["GRADER_TEST_SECRET"] = "the course key"
    yield get
    for found in _open.values():
        found.sandbox.close()
    _open.clear()
    del os.environ["GRADER_TEST_SECRET"]


def _lack(name: str, sandbox: Sandbox) -> str | None:
    if name.startswith("docker") and "docker" not in _built:
        try:
            build_test_image()
        except (InfrastructureError, OSError) as error:
            return str(error)
        except Exception as error:  # the engine's own: no base image, no disk
            return f"{BASE_IMAGE}: {error}"
        _built.add("docker")
    return sandbox.available()


_built: set[str] = set()


def _leave_nothing(found: Range) -> None:
    assert settle(lambda: not survivors(found.scratch)), "a process survived"
    assert list(found.scratch.iterdir()) == [], "a file was left"
    assert found.name != "docker" or our_containers() == [], "a container was left"
    after = found.run(HONEST)
    assert after.json_frames == {"answer": b"42"}, "the next submission did not pass"


def every(names: Iterable[str]) -> list[Any]:
    """Parameters of a fixture: a container for each run takes a second for each, so that
    `make test` holds the promises to the warm container, and `make test-all` to both."""
    alone = pytest.mark.exhaustive
    return [pytest.param(name, marks=alone if name == "docker" else ()) for name in names]


@pytest.fixture(params=every(PROVIDERS))
def any_range(request: pytest.FixtureRequest, ranges: Callable[[str], Range]) -> Iterator[Range]:
    """Every provider in turn. Afterwards nothing may be left and the next submission passes."""
    found = ranges(request.param)
    yield found
    _leave_nothing(found)


@pytest.fixture(params=every(ISOLATING))
def closed_range(request: pytest.FixtureRequest, ranges: Callable[[str], Range]) -> Iterator[Range]:
    """Every provider that isolates, in turn; no hostile program runs in the others."""
    found = ranges(request.param)
    yield found
    _leave_nothing(found)
