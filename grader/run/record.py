"""The records of a run directory: what was asked, how it ended, what was measured."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal, Self

from grader.assignment import Assignment, DataSource, FunctionCheck, NetworkCheck, Probes
from grader.domain import (
    CheckResult,
    Limits,
    MeasuredAccuracy,
    Measurement,
    Record,
    Run,
    Sha256,
    StopReason,
)
from grader.errors import Cause
from grader.graph.probes import Probe

INPUT_SHAPE = (32, 32, 3)
"""CIFAR-10: of a DenseNet whose accuracy is not asked for."""


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
    data_files: tuple[str, ...] = ()
    """What is kept of the submission's own files, to be read as data."""
    functions: tuple[FunctionCheck, ...] = ()
    limits: Limits
    data: DataSource | None
    mode: Literal["weights", "retrain"] | None
    """How the accuracy is measured; None where none is asked for."""
    training: Training | None
    """In retrain mode."""

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Height, width and channels of what `build_model()` is shown."""
        return INPUT_SHAPE if self.data is None else self.data.shape

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
            data_files=assignment.data_files,
            functions=tuple(unjudged(asked) for asked in assignment.functions),
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
            "data_files": "[[answers]]",
            "functions": "[[functions]]",
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


def unjudged(asked: FunctionCheck) -> FunctionCheck:
    """A table of [[functions]] without what the report shows, and without how the results are
    compared: under another tolerance, a run gives what it gave."""
    fields = FunctionCheck.model_fields
    names = ("group", "title", "tolerance", "types", "shares_memory", "slower_at_most", "partial")
    unjudged = {name: fields[name].default for name in names}
    slips = tuple(slip.model_copy(update={"says": "-", "help": ""}) for slip in asked.slips)
    return asked.model_copy(update={**unjudged, "slips": slips})


class FrameFile(Record):
    """One frame of a run as it lies on disk."""

    name: str
    file: str
    """Our own name, below the run directory."""
    sha256: Sha256
    """Of its bytes: damage on our disk must not be taken for a student's answer."""


class ReferenceFrame(Record):
    """What a reference gave for one call, as the run keeps it."""

    reference: int
    """Which of the accepted ones, in the order of the assignment."""
    network: FrameFile
    """Its description."""
    constants: FrameFile
    """What its large constants lie in."""


class ReferenceFrames(Record):
    """The networks of which a function of the submission should compute one."""

    asked: NetworkCheck
    """The table of assignment.toml that they are of."""
    frames: tuple[ReferenceFrame, ...] = ()
    """By reference and call; empty where the machine did not have the references."""


class FunctionFrames(Record):
    """The calls of a function of the submission, as the run keeps them."""

    asked: FunctionCheck
    """The table of assignment.toml that they are of, as far as it decides what is called."""
    calls: FrameFile
    """What was called, and what the reference gave, where the machine knew that."""


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
    data_files: tuple[FrameFile, ...] = ()
    """The files of the submission that are read as data, such as answers.toml."""
    functions: tuple[FunctionFrames, ...] = ()
    """What [[functions]] asked for, with what is right."""

    def files(self) -> Iterator[FrameFile]:
        """Every file that the record names."""
        yield from self.json_frames
        yield from self.binary_frames
        yield from self.data_files
        for kept in self.references:
            for frame in kept.frames:
                yield from (frame.network, frame.constants)
        yield from (kept.calls for kept in self.functions)


class JudgedRecord(Record):
    """judged.json: what the checks found, before any rubric; read again where nothing that decides
    it has changed, so that another rubric costs no time."""

    judge: str
    """Names the programs that judged, and what they were asked."""
    checks: tuple[CheckResult, ...]
    cause: Cause | None
    message: str
    unproved: str
    """Why a person has to look at what was read; empty where nothing is in doubt."""


class EvaluationRecord(MeasuredAccuracy):
    """evaluation.json: the measured accuracy, or why there is none."""

    asked: str | None = None
    """What was asked for, by which engine: an evaluation that is finished is not made again."""
    programs: str | None = None
    """Names the programs that measured it."""
