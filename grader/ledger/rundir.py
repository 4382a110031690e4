"""What one run directory holds: plain data, sealed, and read again without starting anything.

run.json          what was asked, how the stage ended, where the frames lie with their SHA-256
submission.json   what was handed in
evaluation.json   what was measured of the accuracy, without any rule
frame-*, reference-*, recipe.toml
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Literal, Self, TypeVar

from pydantic import ValidationError

from grader.assignment import Assignment, DataSource, NetworkCheck, Probes
from grader.domain import (
    Limits,
    MeasuredAccuracy,
    Measurement,
    Record,
    Run,
    Sha256,
    StopReason,
    Submission,
)
from grader.graph.probes import Probe
from grader.ledger.durable import write_atomically
from grader.ledger.key import CourseKey
from grader.ledger.seal import Seal, damaged, look, named_run, opened, sealed_bytes

RUN_FILE = "run.json"
SUBMISSION_FILE = "submission.json"
EVALUATION_FILE = "evaluation.json"
RECORDS = (RUN_FILE, SUBMISSION_FILE, EVALUATION_FILE)

_R = TypeVar("_R", bound=Record)


class Training(Record):
    """What decides a training by our engine, beside the network and the recipe."""

    seconds: float | None
    """None where the time is given in epochs of the reference network, or by the grader."""
    reference_epochs: float | None
    deterministic: bool
    memory_bytes: int

    def answers(self, wanted: Training, runs: Sequence[Measurement]) -> bool:
        """Whether what it gave is what another setting would have given.

        Args:
            wanted: The other setting.
            runs: What was measured. Trainings that ended by themselves, within the other time
                too, would have been the same.
        """
        if self == wanted:
            return True
        alike = self.model_copy(
            update={"seconds": wanted.seconds, "memory_bytes": wanted.memory_bytes}
        )
        if alike != wanted or not runs:
            return False
        return self.seconds == wanted.seconds or all(
            run.details.stopped is StopReason.FINISHED
            and run.wall_time_s <= (wanted.seconds or 0.0)
            for run in runs
        )


class Questions(Record):
    """What a run was asked. It names the run; under other questions there is another run."""

    module: str
    probes: Probes | None
    networks: tuple[NetworkCheck, ...]
    limits: Limits
    data: DataSource | None
    mode: Literal["weights", "retrain"] | None
    """How the accuracy is measured; None where none is asked for."""
    training: Training | None
    """In retrain mode."""

    @classmethod
    def of(cls, assignment: Assignment, *, retrain: bool = False) -> Self:
        """What an assignment asks of a run.

        Args:
            assignment: Due date, late policy, rubric, threshold and time budget of the evaluation
                have no part in it: they are applied to what the run gave.
            retrain: Whether the command line asks to train here, whatever the assignment says.
        """
        rule = assignment.evaluation
        mode = None if rule is None else "retrain" if retrain else rule.mode
        training = None
        if rule is not None and mode == "retrain":
            training = Training(
                seconds=rule.retrain_s,
                reference_epochs=rule.retrain_reference_epochs,
                deterministic=rule.deterministic,
                memory_bytes=rule.retrain_memory_bytes,
            )
        return cls(
            module=assignment.module,
            probes=assignment.probes,
            networks=tuple(_unshown(network) for network in assignment.networks),
            limits=assignment.limits,
            data=assignment.data,
            mode=mode,
            training=training,
        )

    def changed_in(self, other: Questions) -> list[str]:
        """The tables of assignment.toml by which another assignment asks something else.

        Args:
            other: What that one asks.
        """
        names = {
            "module": "module",
            "probes": "[probes]",
            "networks": "[[networks]]",
            "limits": "[limits] or time_budgets.trace_s",
            "data": "[data]",
            "mode": "evaluation.mode",
        }
        mine, others = self.model_dump(mode="json"), other.model_dump(mode="json")
        return [words for name, words in names.items() if mine[name] != others[name]]


def _unshown(network: NetworkCheck) -> NetworkCheck:
    """A table of [[networks]] without what only the report shows."""
    fields = NetworkCheck.model_fields
    return network.model_copy(
        update={"group": fields["group"].default, "title": fields["title"].default}
    )


class FrameFile(Record):
    """One frame of a run as it lies on disk."""

    name: str
    file: str
    """Our own name, below the run directory."""
    sha256: Sha256
    """Of its bytes: damage on our disk must not be taken for a student's answer."""


class ReferenceFrames(Record):
    """A network that a function of the submission should compute, as the run keeps it."""

    asked: NetworkCheck
    """The table of assignment.toml that it is of."""
    network: FrameFile | None = None
    """Its description; None where the machine did not have the reference."""
    constants: FrameFile | None = None
    """What its large constants lie in."""


class RunRecord(Record):
    """run.json: what was asked, how the stage ended, where the frames lie."""

    questions: Questions
    retrain: bool
    """Whether the command line asked to train here."""
    run: Run
    probes: tuple[Probe, ...]
    probe_seed_id: str | None
    tensorflow: str | None
    keras: str | None
    json_frames: tuple[FrameFile, ...]
    binary_frames: tuple[FrameFile, ...]
    references: tuple[ReferenceFrames, ...] = ()
    """What [[networks]] asked for, with what it is compared with."""

    def files(self) -> Iterator[FrameFile]:
        """Every file that the record names."""
        yield from self.json_frames
        yield from self.binary_frames
        for kept in self.references:
            yield from (file for file in (kept.network, kept.constants) if file is not None)


class EvaluationRecord(MeasuredAccuracy):
    """evaluation.json: the measured accuracy, or why there is none."""

    asked: str | None = None
    """What was asked for, by which engine: an evaluation that is finished is not made again."""


class RunFolder:
    """One run directory; every record that is read was sealed by the course key.

    Args:
        path: The directory.
        key: The course key.
        name: Of the run; None: as its run.json says, so that it may lie anywhere.
    """

    def __init__(self, path: Path, key: CourseKey, name: str | None = None) -> None:
        self.path = path
        self.key = key
        self.name = name or named_run(_bytes_of(path / RUN_FILE)) or path.name

    @property
    def is_complete(self) -> bool:
        """Whether a run ended here."""
        return (self.path / RUN_FILE).is_file()

    @cached_property
    def record(self) -> RunRecord:
        """run.json.

        Raises:
            UsageError: Another version of the grader wrote it.
            InfrastructureError: It is not what was written.
        """
        return self._read(RUN_FILE, RunRecord)

    def submission(self) -> Submission | None:
        """submission.json; None where it was never written. Raises as `record` does."""
        there = (self.path / SUBMISSION_FILE).exists()
        return self._read(SUBMISSION_FILE, Submission) if there else None

    def evaluation(self) -> EvaluationRecord | None:
        """evaluation.json; None where it was never written. Raises as `record` does."""
        there = (self.path / EVALUATION_FILE).exists()
        return self._read(EVALUATION_FILE, EvaluationRecord) if there else None

    def write(self, record: RunRecord | Submission | EvaluationRecord) -> None:
        """Seal a record and put it in its place.

        Raises:
            InfrastructureError: INFRA_DISK.
        """
        match record:
            case RunRecord():
                file = RUN_FILE
            case Submission():
                file = SUBMISSION_FILE
            case _:
                file = EVALUATION_FILE
        write_atomically(self.path / file, sealed_bytes(record, file, self.name, self.key))

    def frame(self, frame: FrameFile) -> bytes:
        """One frame as the sandbox sent it.

        Raises:
            InfrastructureError: INFRA_DISK, where it is no longer what was written.
        """
        try:
            data = (self.path / frame.file).read_bytes()
        except OSError as error:
            raise damaged(frame.file, error) from error
        if hashlib.sha256(data).hexdigest() != frame.sha256:
            raise damaged(frame.file, "it is not what was written")
        return data

    def changed_files(self) -> Iterator[str]:
        """What is not as it was written, each in a few words."""
        words = {
            Seal.CHANGED: "was changed",
            Seal.OTHER_KEY: "is sealed with another course key",
            Seal.OLDER: "was written by another version of the grader; grade the submission again",
        }
        sealed = True
        for file in RECORDS:
            path = self.path / file
            if not path.exists() and file != RUN_FILE:
                continue
            seal, _ = look(_bytes_of(path), file, self.name, self.key)
            if seal is not Seal.WHOLE:
                sealed = sealed and file != RUN_FILE
                yield f"{file} {words[seal]}"
        for frame in self.record.files() if sealed else ():
            if hashlib.sha256(_bytes_of(self.path / frame.file)).hexdigest() != frame.sha256:
                yield f"{frame.file} was changed"

    def _read(self, file: str, kind: type[_R]) -> _R:
        content = opened(self.path / file, self.name, self.key)
        try:
            return kind.model_validate_json(content)
        except (ValidationError, ValueError) as error:
            raise damaged(file, error) from error


def _bytes_of(path: Path) -> bytes:
    """What a file holds; nothing where it cannot be read."""
    try:
        return path.read_bytes()
    except OSError:
        return b""
