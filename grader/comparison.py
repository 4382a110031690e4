"""Two files with a network each, traced apart in the sandbox and compared.

The two never share a process: what one file patches cannot touch the other.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from grader.domain import Finding, Limits, RunStatus
from grader.errors import Cause, InfrastructureError, StageFailed, UsageError
from grader.graph.canonical import Graph
from grader.graph.canonicalise import canonicalise
from grader.graph.compare import Subject, same_network
from grader.graph.record import check_graph, parse_module, parse_network
from grader.sandbox import Kind, open_sandbox
from grader.sandbox.contract import Sandbox, Stage, StageResult

MODES = ("inference", "training")
MAX_SOURCE_BYTES = 8 * 2**20
"""Of all .py files that go into the sandbox together."""
PROBE = "network"


@dataclass(frozen=True)
class Named:
    """FILE.py:FUNCTION.

    Attributes:
        file: A Python file; the .py files beside it can be imported.
        function: A function in it that gives a model when called without arguments.
    """

    file: Path
    function: str

    def __str__(self) -> str:
        """As it is written."""
        return f"{self.file.name}:{self.function}"


class Untraceable(Exception):
    """A file, or its function, gave no network that could be read; the text says why."""


def named(written: str, folder: Path = Path(".")) -> Named:
    """Read FILE.py:FUNCTION.

    Args:
        written: As on the command line or in assignment.toml.
        folder: What a relative path starts from.

    Raises:
        UsageError: It is not of that form, or there is no such file.
    """
    path, colon, function = written.rpartition(":")
    file = folder / path
    if not colon or not function.isidentifier() or file.suffix != ".py":
        raise UsageError(f"expected FILE.py:FUNCTION. Received: {written}")
    if not file.is_file():
        raise UsageError(f"{path}: expected a Python file. Received: no such file.")
    if "." in file.stem:
        raise UsageError(f"{file.name}: expected a name without dots, so that it can be imported.")
    return Named(file, function)


def compare_files(
    mine: Named,
    reference: Named,
    input_shape: Sequence[int] | None = None,
    sandbox: Kind = "auto",
) -> list[Finding]:
    """Compare the networks of two files.

    Args:
        mine: The one that is judged.
        reference: What it should be.
        input_shape: Height, width and channels of the images; needed for a subclassed model.
        sandbox: Where both run.

    Returns:
        The differences, as `grader.graph.compare.same_network` gives them. A file of `mine` that
        gives no network is one difference.

    Raises:
        UsageError: The reference gives no network.
        InfrastructureError: The machine failed.
    """
    opened = open_sandbox(sandbox, warm=True)
    try:
        try:
            wanted = trace_file(reference, opened, input_shape)
        except Untraceable as problem:
            raise UsageError(f"{reference}: expected a reference network. {problem}") from problem
        try:
            given = trace_file(mine, opened, input_shape)
        except Untraceable as problem:
            return [
                Finding(
                    where=str(mine),
                    message=f"{mine}: expected a network, received none. {problem}",
                    expected="a network",
                    received="none",
                )
            ]
        return same_network(given, wanted)
    finally:
        opened.close()


def trace_file(
    what: Named,
    sandbox: Sandbox,
    input_shape: Sequence[int] | None = None,
    limits: Limits | None = None,
) -> Subject:
    """The network of one file as canonical graphs.

    Raises:
        Untraceable: There is none, or it could not be read.
        InfrastructureError: The machine failed.
    """
    with tempfile.TemporaryDirectory(prefix="grade-compare-") as folder:
        tree = Path(folder) / "files"
        tree.mkdir()
        _copy_sources(what.file, tree)
        request = {
            "module": what.file.stem,
            "probes": [
                {
                    "id": PROBE,
                    "function": what.function,
                    "gives_model": True,
                    "input_shape": list(input_shape) if input_shape else None,
                    "modes": list(MODES),
                }
            ],
            "model": None,
        }
        return read_subject(sandbox.run(Stage("trace", tree, request, limits or Limits())))


def _copy_sources(file: Path, tree: Path) -> None:
    """The file and the .py files beside it; a link is not followed out of the folder."""
    beside = [f for f in sorted(file.parent.glob("*.py")) if f != file]
    total = 0
    for source in [file, *beside]:
        if not source.is_file() or (source.is_symlink() and source != file):
            continue
        total += source.stat().st_size
        if total > MAX_SOURCE_BYTES:
            raise UsageError(
                f"{file.parent}: expected at most {MAX_SOURCE_BYTES // 2**20} MB of .py files."
            )
        shutil.copyfile(source, tree / source.name)


def read_subject(result: StageResult, probe: str = PROBE) -> Subject:
    """The network of one probe that was asked with `gives_model`.

    Args:
        result: What the trace stage brought.
        probe: Its id.

    Raises:
        Untraceable: There is none.
        InfrastructureError: The machine failed.
    """
    run = result.run
    if run.cause is not None and run.cause.is_infrastructure:
        raise InfrastructureError(run.cause, run.message)
    try:
        module = result.json_frames.get("module")
        if module is not None:
            failure = parse_module(module).failure
            if failure is not None:
                raise Untraceable(_why(failure.type, failure.message, failure.where))
        data = result.json_frames.get(f"probe:{probe}")
        if data is None:
            why = run.message if run.status is RunStatus.FAILED else "It gave no answer."
            raise Untraceable(why)
        record = parse_network(data)
        if record.failure is not None:
            failure = record.failure
            raise Untraceable(_why(failure.type, failure.message, failure.where))
        constants = result.binary_frames.get(f"constants:{probe}", b"")
        graphs: dict[str, Graph] = {
            mode: canonicalise(check_graph(graph, record.variables, constants))
            for mode, graph in record.graphs.items()
        }
    except StageFailed as problem:
        raise Untraceable(problem.message) from problem
    if "inference" not in graphs:
        raise Untraceable(str(Cause.STUDENT_BAD_OUTPUT))
    return Subject(graphs, tuple(record.variables))


def _why(type_: str, message: str, where: str) -> str:
    return f"{type_}: {message}" + (f" ({where})" if where else "")
