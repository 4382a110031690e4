"""Networks that a submission is compared with: traced in a run of their own, kept by content.

A reference and a submission never share a process: what one file patches cannot touch the other.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from grader import files
from grader.assignment import Assignment, NetworkCheck
from grader.domain import RunStatus
from grader.errors import AssignmentError, Cause, InfrastructureError, UsageError
from grader.graph.compare import Subject
from grader.graph.evidence import read_subject
from grader.graph.network import MODEL_MODES
from grader.run.directory import filling
from grader.run.provenance import inside_digest, version_of
from grader.sandbox.contract import Sandbox, Stage, StageResult

REFERENCES = "references"
"""Folder of the results with the references' traces."""
MODES = MODEL_MODES
MAX_SOURCE_BYTES = 8 * 2**20
"""Of all .py files that go into the sandbox together."""
PROBE = "network"
NETWORK_FILE, CONSTANTS_FILE = "network.json", "constants.bin"
"""What is kept of a reference."""


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
    """What the sandbox gave for a reference.

    Attributes:
        network: Its record.
        constants: Where its large constants lie.
        digest: Of its sources and of all else that decides what they give.
    """

    network: bytes
    constants: bytes
    digest: str


def trace_references(
    assignment: Assignment, sandbox: Sandbox, folder: Path, *, may_lack: bool = False
) -> dict[str, ReferenceTrace]:
    """The reference of each [[networks]] table, by the check's name; what is known is not run.

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
        try:
            found[check.name] = _reference(check, assignment, sandbox, folder)
        except MissingReference as problem:
            if not may_lack:
                raise MissingReference(f"{key}: {problem}") from problem
        except (Untraceable, UsageError) as problem:
            raise AssignmentError(
                f"{key}: expected a reference that gives a network. "
                f"Received: {check.same_as!r}, {problem}. Call it yourself with these arguments."
            ) from problem
    return found


def _reference(
    check: NetworkCheck, assignment: Assignment, sandbox: Sandbox, folder: Path
) -> ReferenceTrace:
    try:
        file = check.reference_file(assignment.file.parent)
    except ValueError as problem:
        raise MissingReference(str(problem)) from problem
    with files.scratch("reference") as scratch:
        tree = scratch / "files"
        tree.mkdir()
        copy_sources(file, tree)
        probe = network_probe(check, check.same_as, PROBE)
        request = {"module": file.stem, "probes": [probe], "model": None}
        digest = _content(tree, request, sandbox.isolation)
        known = folder / digest
        if not known.is_dir():
            network, constants = answer_of(
                sandbox.run(Stage("trace", tree, request, assignment.limits))
            )
            subject_of(network, constants)
            with filling(known) as partial:
                (partial / NETWORK_FILE).write_bytes(network)
                (partial / CONSTANTS_FILE).write_bytes(constants)
    try:
        kept = [(known / name).read_bytes() for name in (NETWORK_FILE, CONSTANTS_FILE)]
        subject_of(*kept)
    except (OSError, Untraceable) as error:
        raise InfrastructureError(
            Cause.INFRA_DISK, f"{known} cannot be read: {error}", "Delete it, and grade again."
        ) from error
    return ReferenceTrace(kept[0], kept[1], digest)


def _content(tree: Path, request: dict[str, Any], isolation: str) -> str:
    """Changes with the files of a reference, with what is asked, and with what answers."""
    whole = hashlib.sha256(json.dumps([request, isolation, inside_digest()]).encode())
    whole.update(f"{version_of('tensorflow')} {version_of('keras')}".encode())
    for file in sorted(tree.iterdir()):
        whole.update(f"\0{file.name}\0".encode() + hashlib.sha256(file.read_bytes()).digest())
    return whole.hexdigest()[:32]


def network_probe(check: NetworkCheck, function: str, id: str) -> dict[str, Any]:
    """What the program in the sandbox is asked, of the student's function and of the reference.

    Args:
        check: The table of assignment.toml.
        function: FILE.py:FUNCTION, one of its two.
        id: Names the frames of the answer.
    """
    file, _, name = function.rpartition(":")
    return {
        "id": id,
        "module": Path(file).stem,
        "function": name,
        "keywords": check.arguments,
        "gives_model": not check.takes_tensor,
        "input_shape": None if check.input_shape is None else list(check.input_shape),
        "modes": list(MODES),
    }
