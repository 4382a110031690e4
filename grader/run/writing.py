"""What the sandbox gave, put into a run directory: it is there whole, or not at all."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path

from grader.assignment import FunctionCheck, NetworkCheck
from grader.domain import RECIPE, Submission
from grader.ledger.durable import store
from grader.run.directory import filling
from grader.run.folder import RunFolder
from grader.run.functions import FunctionReference
from grader.run.provenance import tensorflow_version, version_of
from grader.run.record import (
    FrameFile,
    FunctionFrames,
    ReferenceFrame,
    ReferenceFrames,
    RunRecord,
    unjudged,
)
from grader.run.reference import ReferenceTrace
from grader.run.request import RunRequest
from grader.sandbox.contract import StageResult

MAX_DATA_BYTES = 2**20
"""Of one data file of a submission; each check says what it takes of that."""


def write_run(run: RunFolder, result: StageResult, asked: RunRequest) -> None:
    """Fill the directory of a run: the frames under names of our own, then run.json, which makes
    the run complete.

    Args:
        run: Where it belongs.
        result: What the sandbox gave.
        asked: What it was asked.

    Raises:
        InfrastructureError: INFRA_DISK.
    """
    with filling(run.path) as partial:
        networks = asked.assignment.networks
        probes = tuple(asked.probes)
        is_drawn = bool(probes or asked.functions)
        record = RunRecord(
            questions=asked.questions,
            retrain=asked.retrain,
            run=result.run,
            probes=probes,
            probe_seed_id=asked.key.id if asked.key is not None and is_drawn else None,
            tensorflow=tensorflow_version(),
            keras=version_of("keras"),
            json_frames=_frames(partial, result.json_frames, "json"),
            binary_frames=_frames(partial, result.binary_frames, "bin"),
            references=tuple(
                _reference(partial, number, network, asked.references.get(network.name))
                for number, network in enumerate(networks)
            ),
            data_files=tuple(_data_files(partial, asked)),
            functions=tuple(
                _calls(partial, number, check, asked.functions[check.name])
                for number, check in enumerate(asked.assignment.functions)
            ),
        )
        RunFolder(partial, run.key, run.name).write(record)


def _frames(folder: Path, frames: Mapping[str, bytes], suffix: str) -> tuple[FrameFile, ...]:
    return tuple(
        _file(folder, f"frame-{number:03}.{suffix}", name, payload)
        for number, (name, payload) in enumerate(frames.items())
    )


def _reference(
    folder: Path, number: int, network: NetworkCheck, trace: ReferenceTrace | None
) -> ReferenceFrames:
    """A copy of what the reference gave: a run is graded again from its own directory alone."""
    if trace is None:
        return ReferenceFrames(asked=network)
    frames = []
    for reference, calls in enumerate(trace.networks):
        for call, (described, constants) in enumerate(calls):
            start, name = f"reference-{number:03}-{reference}-{call}", network.name
            frames.append(
                ReferenceFrame(
                    reference=reference,
                    network=_file(folder, f"{start}.json", name, described),
                    constants=_file(folder, f"{start}.bin", name, constants),
                )
            )
    return ReferenceFrames(asked=network, frames=tuple(frames))


def _data_files(folder: Path, asked: RunRequest) -> Iterator[FrameFile]:
    """The submission's files that are read as data; of one that is too large, enough to say so."""
    tree = Path(asked.submission.root)
    for number, name in enumerate(asked.assignment.data_files):
        if (tree / name).is_file():
            with (tree / name).open("rb") as stream:
                yield _file(folder, f"data-{number:03}", name, stream.read(MAX_DATA_BYTES + 1))


def _calls(
    folder: Path, number: int, check: FunctionCheck, known: FunctionReference
) -> FunctionFrames:
    """A copy of the calls and of what is right, for the same reason."""
    kept = {"cases": [case.kept() for case in known.cases], "answers": known.answers}
    payload = json.dumps(kept).encode()
    file = _file(folder, f"function-{number:03}.json", check.name, payload)
    return FunctionFrames(asked=unjudged(check), calls=file)


def _file(folder: Path, file: str, name: str, payload: bytes) -> FrameFile:
    (folder / file).write_bytes(payload)
    return FrameFile(name=name, file=file, sha256=hashlib.sha256(payload).hexdigest())


def write_submission(run: RunFolder, submission: Submission, tree: Path) -> None:
    """Keep what was handed in: its record, and its recipe.

    Args:
        run: Where.
        submission: What was handed in.
        tree: Its files, rewritten.

    Raises:
        InfrastructureError: INFRA_DISK.
    """
    described = submission.model_copy(update={"root": ""})
    if not run.has_submission or RunFolder(run.path, run.key, run.name).submission() != described:
        run.write(described)
    if submission.recipe is not None:
        store(run.path / RECIPE, (tree / submission.recipe).read_bytes())
