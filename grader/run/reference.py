"""Networks that a submission is compared with: traced in a run of their own, kept by content.

A reference and a submission never share a process: what one file patches cannot touch the other.
"""

from __future__ import annotations

import hashlib
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from grader import files
from grader.assignment import Assignment, Call, NetworkCheck, Reference
from grader.domain import RunStatus
from grader.errors import AssignmentError, Cause, InfrastructureError, UsageError
from grader.graph.compare import Subject
from grader.graph.evidence import read_subject
from grader.graph.network import MODEL_MODES
from grader.run.directory import filling
from grader.run.provenance import reference_digest
from grader.sandbox.contract import Sandbox, Stage, StageResult

REFERENCES = "references"
"""Folder of the results with the references' traces."""
MODES = MODEL_MODES
MAX_SOURCE_BYTES = 8 * 2**20
"""Of all .py files that go into the sandbox together."""
PROBE = "network"
LIBRARIES = ("tensorflow", "tensorflow-cpu", "keras")
"""Whose versions decide what a reference gives."""


class Untraceable(Exception):
    """A file, or its function, gave no network that could be read; the text says why."""


def copy_sources(file: Path, tree: Path) -> None:
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


def answer_of(result: StageResult, probe: str = PROBE) -> tuple[bytes, bytes]:
    """What the sandbox gave for one probe: its record, and where its large constants lie.

    Args:
        result: What the trace stage brought.
        probe: Its id.

    Raises:
        Untraceable: Nothing arrived.
        InfrastructureError: The machine failed.
    """
    run = result.run
    if run.cause is not None and run.cause.is_infrastructure:
        raise InfrastructureError(run.cause, run.message)
    data = result.json_frames.get(f"probe:{probe}")
    if data is None:
        raise Untraceable(run.message if run.status is RunStatus.FAILED else "It gave no answer.")
    return data, result.binary_frames.get(f"constants:{probe}", b"")


def subject_of(network: bytes, constants: bytes) -> Subject:
    """The network of one answer.

    Raises:
        Untraceable: It holds none.
    """
    read = read_subject(network, constants)
    if isinstance(read, Subject):
        return read
    raise Untraceable(f"{read.type}: {read.message}" + (f" ({read.where})" if read.where else ""))


class MissingReference(AssignmentError):
    """The file of a reference is not beside assignment.toml."""


@dataclass(frozen=True)
class ReferenceTrace:
    """What the sandbox gave for the references of one table.

    Attributes:
        networks: Its record and where its large constants lie, by reference and call.
        digest: Of its sources and of all else that decides what they give.
    """

    networks: tuple[tuple[tuple[bytes, bytes], ...], ...]
    digest: str


def trace_references(
    assignment: Assignment, sandbox: Sandbox, folder: Path, *, may_lack: bool = False
) -> dict[str, ReferenceTrace]:
    """The references of each [[networks]] table, by the check's name; what is known is not run.

    A reference runs in the sandbox too, in a run of its own: it is trusted, but nothing needs it
    here. What it gave is kept by the content of its files.

    Args:
        assignment: Names the references.
        sandbox: Where they run.
        folder: What is known, one folder for each content.
        may_lack: Leave out a reference whose file is not here, as on a student's machine.

    Raises:
        AssignmentError: A file is missing or gives no network; names the key.
        InfrastructureError: The machine failed.
    """
    found = {}
    for i, check in enumerate(assignment.networks):
        key = f"{assignment.file}: networks.{i}.same_as"
        traces = []
        try:
            for reference in check.same_as:
                traces.append(_reference(check, reference, assignment, sandbox, folder))
        except MissingReference as problem:
            if not may_lack:
                raise MissingReference(f"{key}: {problem}") from problem
            continue
        except (Untraceable, UsageError) as problem:
            raise AssignmentError(
                f"{key}: expected a reference that gives a network. Received: "
                f"{reference.function!r}, {problem}. Call it yourself with these arguments."
            ) from problem
        digest = hashlib.sha256("".join(digest for digest, _ in traces).encode()).hexdigest()[:32]
        found[check.name] = ReferenceTrace(tuple(networks for _, networks in traces), digest)
    return found


def _reference(
    check: NetworkCheck,
    reference: Reference,
    assignment: Assignment,
    sandbox: Sandbox,
    folder: Path,
) -> tuple[str, tuple[tuple[bytes, bytes], ...]]:
    """What a reference gives, call by call, and the digest of all that decides it."""
    try:
        file = reference.file(assignment.file.parent)
    except ValueError as problem:
        raise MissingReference(str(problem)) from problem
    with files.scratch("reference") as scratch:
        tree = scratch / "files"
        tree.mkdir()
        copy_sources(file, tree)
        probes = _reference_probes(check, reference)
        request = {"module": None, "probes": probes, "model": None}
        digest = reference_digest(tree, request, sandbox.isolation, LIBRARIES)
        known = folder / digest
        if not known.is_dir():
            result = sandbox.run(Stage("trace", tree, request, assignment.limits))
            answers = [answer_of(result, probe["id"]) for probe in probes]
            for answer in answers:
                _sound(subject_of(*answer), check)
            with filling(known) as partial:
                for number, answer in enumerate(answers):
                    for name, content in zip(_kept_as(number), answer, strict=True):
                        (partial / name).write_bytes(content)
    try:
        kept = [
            tuple((known / name).read_bytes() for name in _kept_as(number))
            for number, _ in enumerate(probes)
        ]
        for network, constants in kept:
            subject_of(network, constants)
    except (OSError, Untraceable) as error:
        raise InfrastructureError(
            Cause.INFRA_DISK, f"{known} cannot be read: {error}", "Delete it, and grade again."
        ) from error
    return digest, tuple((network, constants) for network, constants in kept)


def _kept_as(call: int) -> tuple[str, str]:
    """The files in which what a reference gave for a call is kept."""
    return f"network-{call}.json", f"constants-{call}.bin"


def _sound(subject: Subject, check: NetworkCheck) -> None:
    """Refuse a reference that gives one thing where the table asks for one of several.

    Raises:
        Untraceable: It does.
    """
    if subject.beside is None:
        raise Untraceable(f"it gives one result, and the table asks for output = {check.output}")


def _reference_probes(check: NetworkCheck, reference: Reference) -> list[dict[str, Any]]:
    """What the program in the sandbox is asked of a reference: its arguments go by name."""
    probes = []
    for number, call in enumerate(check.asked):
        probe = network_probe(check, call, f"{PROBE}.{number}")
        probe["arguments"] += [[name, value] for name, value in reference.arguments.items()]
        file, _, function = reference.function.rpartition(":")
        probes.append({**probe, "file": Path(file).name, "function": function})
    return probes


def network_probe(check: NetworkCheck, call: Call, id: str) -> dict[str, Any]:
    """What the program in the sandbox is asked of a function, less where it stands.

    Args:
        check: The table of assignment.toml.
        call: One of its calls.
        id: Names the frames of the answer.
    """
    return {
        "id": id,
        "arguments": [[name, value] for name, value in call.arguments.items()],
        "gives_model": not check.takes_tensor,
        "input_shape": None if call.input_shape is None else list(call.input_shape),
        "output": check.output,
        "modes": list(MODES),
    }
