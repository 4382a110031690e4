"""More than one machine: what costs time runs on a Ray cluster, all else stays here.

Two kinds of work leave this machine: a stage of a student's program, which runs in the sandbox of
the node that gets it, and the measurement of an accuracy. Both give back plain data. Intake,
judging and the ledger stay here, so that a node that is lost takes nothing along: Ray runs its
work again elsewhere.

Each worker of Ray keeps a warm sandbox of its own. Whoever reaches the ports of Ray may run any
code on its nodes, unless it asks for a token: a cluster that is started here does, and one that is
named by an address must. Student code reaches no port: no sandbox of a cluster has a network.
"""

from __future__ import annotations

import os
import socket
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import grader
from grader import files
from grader.assignment import Assignment
from grader.domain import Isolation, MeasuredAccuracy
from grader.engine.accuracy import Instruments
from grader.errors import Cause, InfrastructureError, UsageError
from grader.ledger.durable import locked
from grader.ledger.key import CourseKey
from grader.run.evaluation import measured_in
from grader.run.folder import RunFolder
from grader.run.provenance import inside_digest
from grader.sandbox import Kind, open_sandbox
from grader.sandbox.contract import Sandbox, Stage, StageResult

RETRIES = 3
"""How often work is run again whose worker or node was lost."""
STARTS = 4
"""How often the start of a cluster here is tried."""
QUIET: dict[str, Any] = {"log_to_driver": False, "logging_level": "error"}
OBJECT_STORE_BYTES = 512 * 2**20
"""Of a cluster that is started here; one submission brings some 2 MB."""
TOKEN_SETTING = "RAY_AUTH_MODE"
TOKEN = "token"
EVALUATION_LOCK = "grade-evaluation.lock"
"""Held on a node while an accuracy is measured on its processor: two would charge each other."""

Packed = Mapping[str, bytes]
"""The files of a folder: path below it → content."""


@dataclass(frozen=True)
class Failed:
    """Why a node could not do its work; errors of ours do not travel as exceptions."""

    cause: Cause
    message: str
    help: str

    @property
    def error(self) -> InfrastructureError:
        """The same as an exception."""
        return InfrastructureError(self.cause, self.message, self.help)


def pack(folder: Path) -> Packed:
    """The files below a folder."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def unpack(packed: Packed, folder: Path) -> None:
    """Write the files of a folder."""
    for name, content in packed.items():
        place = folder / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)


# --- what runs on a node ----------------------------------------------------------------------


@cache
def _room(kind: Kind) -> Sandbox:
    """The sandbox of this worker; it ends with the worker."""
    return open_sandbox(kind, warm=True)


def _stands_apart(asked: str) -> Failed | None:
    """Refuse work of another version of the grader."""
    if asked == _version():
        return None
    return Failed(
        Cause.INFRA_SANDBOX,
        f"node {socket.gethostname()}: grader: expected {asked}. Received: {_version()}",
        "Install the same version on all nodes.",
    )


def _version() -> str:
    return f"{grader.__version__} ({inside_digest()[:12]})"


def run_stage(
    version: str, kind: Kind, stage: Stage, tree: Packed
) -> StageResult | Isolation | Failed:
    """On a node: run one stage in its sandbox.

    Args:
        version: Of the grader that asks.
        kind: Which sandbox.
        stage: The stage; its tree is that of the machine that asks. Without a name, the answer is
            how the sandbox isolates.
        tree: What is in the tree.
    """
    apart = _stands_apart(version)
    if apart is not None:
        return apart
    try:
        room = _room(kind)
        if not stage.name:
            return room.isolation
        with files.scratch("node") as folder:
            unpack(tree, folder / "submission")
            here = Stage(stage.name, folder / "submission", stage.request, stage.limits)
            return room.run(here)
    except InfrastructureError as error:
        return Failed(error.cause, f"node {socket.gethostname()}: {error.message}", error.help)


@dataclass(frozen=True)
class Measured:
    """What measuring gave: the numbers, and the files that it left in the run directory."""

    accuracy: MeasuredAccuracy
    files: Packed


def measure_run(
    version: str,
    run: Packed,
    key: CourseKey,
    assignment: Assignment,
    instruments: Instruments,
    on_gpu: bool,
) -> Measured | Failed:
    """On a node: measure the accuracy of a finished run.

    Args:
        version: Of the grader that asks.
        run: The run directory.
        key: Opens its records.
        assignment: Time budgets, and when further trainings are made.
        instruments: What it is measured with; a folder of data is one of the node's.
        on_gpu: Whether Ray has given a GPU to it.
    """
    apart = _stands_apart(version)
    if apart is not None:
        return apart
    with files.scratch("node") as folder:
        unpack(run, folder / "run")
        try:
            accuracy = _alone(on_gpu, RunFolder(folder / "run", key), assignment, instruments)
        except InfrastructureError as error:
            return Failed(error.cause, f"node {socket.gethostname()}: {error.message}", error.help)
        left = {name: text for name, text in pack(folder / "run").items() if run.get(name) != text}
    return Measured(accuracy, left)


def _alone(
    on_gpu: bool, run: RunFolder, assignment: Assignment, instruments: Instruments
) -> MeasuredAccuracy:
    if on_gpu:
        return measured_in(run, assignment, instruments, scratch=run.path)
    with locked(Path(tempfile.gettempdir()) / EVALUATION_LOCK):
        return measured_in(run, assignment, instruments, scratch=run.path)


# --- here -------------------------------------------------------------------------------------


class Cluster:
    """A Ray cluster that this process has joined.

    Args:
        kind: Which sandbox its nodes use.
    """

    def __init__(self, kind: Kind) -> None:
        import ray

        self._kind = kind
        found = ray.cluster_resources()
        self.cores = int(found.get("CPU", 1))
        self.gpus = int(found.get("GPU", 0))
        self._stage = ray.remote(run_stage).options(num_cpus=1, max_retries=RETRIES)
        self._measure = ray.remote(measure_run)
        asked = Stage("", Path(), {})
        self.sandbox = RaySandbox(self, self._answer(self._stage, _version(), kind, asked, {}))

    def stage(self, stage: Stage) -> StageResult:
        """Run one stage on some node.

        Raises:
            InfrastructureError: No node could run it.
        """
        result = self._answer(self._stage, _version(), self._kind, stage, pack(stage.tree))
        assert isinstance(result, StageResult)
        return result

    def measure(
        self, run: RunFolder, assignment: Assignment, instruments: Instruments, *, scratch: Path
    ) -> MeasuredAccuracy:
        """Measure an accuracy on some node; see `grader.run.evaluation.measured_in`.

        Raises:
            InfrastructureError: No node could measure it.
        """
        on_gpu = self.gpus > 0 and instruments.device != "cpu"
        task = self._measure.options(num_cpus=1, num_gpus=1 if on_gpu else 0, max_retries=RETRIES)
        measured = self._answer(
            task, _version(), pack(run.path), run.key, assignment, instruments, on_gpu
        )
        assert isinstance(measured, Measured)
        unpack(measured.files, scratch)
        return measured.accuracy

    def _answer(self, task: Any, *arguments: Any) -> Any:
        import ray

        try:
            answer = ray.get(task.remote(*arguments))
        except ray.exceptions.RayError as error:
            raise InfrastructureError(
                Cause.INFRA_INTERRUPTED,
                f"the cluster lost this work {RETRIES + 1} times: {type(error).__name__}",
                "Look at the nodes with `ray status`, then grade again.",
            ) from error
        if isinstance(answer, Failed):
            raise answer.error
        return answer


class RaySandbox(Sandbox):
    """The sandboxes of all nodes, seen as one.

    Args:
        cluster: Runs the stages.
        isolation: What the sandbox of the first node asked keeps from student code.
    """

    def __init__(self, cluster: Cluster, isolation: Isolation) -> None:
        self._cluster = cluster
        self.isolation = isolation

    def available(self) -> str | None:
        """None: a cluster that was joined is there."""
        return None

    def run(self, stage: Stage) -> StageResult:
        """Run one stage on some node.

        Raises:
            InfrastructureError: No node could, or the one that did isolates in another way.
        """
        result = self._cluster.stage(stage)
        if result.run.isolation != self.isolation:
            raise InfrastructureError(
                Cause.INFRA_SANDBOX,
                f"a node isolates by {result.run.isolation}, the first one by {self.isolation}",
                "Name one that all nodes have with --sandbox.",
            )
        return result


@contextmanager
def joined(address: str | None, kind: Kind, jobs: int) -> Iterator[Cluster]:
    """Join a Ray cluster, or start one on this machine.

    Args:
        address: Of the cluster, as Ray writes it; None to start one here.
        kind: Which sandbox its nodes use.
        jobs: Cores of a cluster that is started here.

    Raises:
        UsageError: Ray is missing, no such cluster answers, it asks for no token, or student code
            could reach it.
        InfrastructureError: No node has such a sandbox.
    """
    if kind == "process":
        raise UsageError(
            "--engine ray: a program in the bare process could reach the cluster and run any code "
            "on it. Use --sandbox jail or docker."
        )
    mode = os.environ.get(TOKEN_SETTING, "" if address else TOKEN)
    if mode != TOKEN:
        raise UsageError(
            f"--engine ray: whoever reaches a Ray cluster without a token can run any code on it. "
            f"Expected {TOKEN_SETTING}={TOKEN}, for this command and for the cluster. "
            f"Received: {mode or 'nothing'}."
        )
    # Ray counts its users over the network unless told otherwise.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    with _started(address, jobs):
        yield Cluster(kind)


@contextmanager
def _started(address: str | None, jobs: int) -> Iterator[None]:
    """Ray for the length of the block; what it keeps on disk goes with it."""
    try:
        import ray
    except ImportError as error:
        raise UsageError(
            "--engine ray: Ray is missing. Install densenet-grader with the extra cluster."
        ) from error
    # Its sockets lie below: a path of Unix sockets has at most 107 characters.
    with tempfile.TemporaryDirectory(
        prefix="grade-ray-", dir="/tmp", ignore_cleanup_errors=True
    ) as folder:
        try:
            if address is None:
                _start_here(jobs, folder)
            else:
                _join(address)
            yield
        finally:
            ray.shutdown()


def _join(address: str) -> None:
    import ray

    try:
        ray.init(address=address, **QUIET)
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise UsageError(f"--address {address}: no Ray cluster answers ({error}).") from error


def _start_here(jobs: int, folder: str) -> None:
    """Start a cluster. From 2.59 on Ray makes a token for it.

    Ray gives each start half a minute, which is short on a busy machine, and says so by a bare
    Exception.
    """
    import ray

    for left in reversed(range(STARTS)):
        try:
            ray.init(
                num_cpus=jobs,
                include_dashboard=False,
                object_store_memory=OBJECT_STORE_BYTES,
                _temp_dir=folder,
                **QUIET,
            )
            return
        except Exception as error:
            ray.shutdown()
            if not left:
                raise InfrastructureError(
                    Cause.INFRA_BUSY,
                    f"Ray could not be started here: {error}",
                    "Grade again when the machine is less busy, or without --engine ray.",
                ) from error
