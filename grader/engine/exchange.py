"""How the grader and a process that computes hand over work: a folder of plain files, and a status.

Property protected: what is read here is whole and is data, records by their schema and arrays
without pickle. A child that ended before its work was done leaves no result; its status says why.

    DIR/job.json, …    →    DIR/result.json, labels-NAME.npy, confidence.npy    or    refusal.json
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from enum import IntEnum
from pathlib import Path
from typing import Any, NamedTuple, NoReturn, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from grader import files
from grader.domain import Record
from grader.engine.child import Ended, run_child, stay_with_parent
from grader.errors import Cause, InfrastructureError
from grader.syntax import READING

JOB, RESULT, REFUSAL, CONFIDENCE = "job.json", "result.json", "refusal.json", "confidence.npy"
NOT_A_NUMBER = -1
"""The label of an image for which the network gave a NaN or an infinity: never right."""

Labels = NDArray[np.int64]
_R = TypeVar("_R", bound=Record)


class Status(IntEnum):
    """How a child ends that was not killed."""

    DONE = 0
    UNSUPPORTED = 64
    """The runtime lacks an operation."""
    MEMORY = 65
    """Memory ran out."""
    REFUSED = 66
    """The network cannot be computed; refusal.json says why."""
    UNWELL = 67
    """The GPU computes wrongly."""


class Refusal(Record):
    """refusal.json: why a network cannot be computed."""

    message: str


class Answers(NamedTuple):
    """What a network said."""

    labels: Mapping[str, Labels]
    """By name of the image set, (N,) int64."""
    confidence: NDArray[np.float32]
    """How sure it was of those of the first set, (N,) float32."""


# --- the grader's side ---------------------------------------------------------------------


def ask(
    module: str, folder: Path, job: Record, environment: dict[str, str], timeout_s: float
) -> Ended:
    """Start a child with a job; what an earlier one left as its result is gone.

    Args:
        module: What `python -m` runs; it ends with `main`.
        folder: The exchange with it.
        job: What it is asked for.
        environment: By `child_environment`.
        timeout_s: Seconds after which it hangs.
    """
    for name in (RESULT, REFUSAL):
        (folder / name).unlink(missing_ok=True)
    files.write_atomically(folder / JOB, job.model_dump_json().encode())
    return run_child(module, folder, environment, timeout_s)


def has_result(folder: Path) -> bool:
    """Whether the child's work was done."""
    return (folder / RESULT).is_file()


def result_in(folder: Path, kind: type[_R], sets: Sequence[str]) -> tuple[_R, Answers]:
    """What a child found.

    Args:
        folder: The exchange.
        kind: The record of its result.
        sets: Names of the image sets, the first one first.

    Raises:
        InfrastructureError: It cannot be read.
    """
    try:
        found = kind.model_validate_json((folder / RESULT).read_bytes())
        labels = {name: _array(folder / _labels(name)) for name in sets}
        return found, Answers(labels, _array(folder / CONFIDENCE))
    except (ValidationError, ValueError, OSError) as error:
        raise InfrastructureError(
            Cause.INFRA_GRADER_BUG, f"the result of the computation cannot be read: {error}"
        ) from error


def refusal_in(folder: Path) -> str:
    """Why the child could not compute the network.

    Raises:
        InfrastructureError: It does not say.
    """
    try:
        return Refusal.model_validate_json((folder / REFUSAL).read_bytes()).message
    except (ValidationError, ValueError, OSError) as error:
        raise InfrastructureError(
            Cause.INFRA_GRADER_BUG, f"why a network was refused cannot be read: {error}"
        ) from error


# --- the child's side ----------------------------------------------------------------------


def job_in(folder: Path, kind: type[_R]) -> _R:
    """What the child is asked for."""
    return kind.model_validate_json((folder / JOB).read_bytes())


def leave(folder: Path, result: Record, answers: Answers) -> Status:
    """Put the answers in the folder, and the result, whole, when they are there."""
    for name, labels in answers.labels.items():
        np.save(folder / _labels(name), labels)
    np.save(folder / CONFIDENCE, answers.confidence)
    files.write_atomically(folder / RESULT, result.model_dump_json().encode())
    return Status.DONE


def refuse(folder: Path, message: str) -> Status:
    """Say why the network cannot be computed."""
    refusal = Refusal(message=message)
    files.write_atomically(folder / REFUSAL, refusal.model_dump_json().encode())
    return Status.REFUSED


def main(work: Callable[[Path], int]) -> NoReturn:
    """Run a child to its end; it never outlives the grader that started it.

    Args:
        work: Does what the folder's job asks, and returns the exit status.
    """
    stay_with_parent()
    status = work(Path(sys.argv[1]))
    sys.stderr.flush()
    # A runtime's destructors may abort; there is nothing left that they could save.
    os._exit(status)


def labels_of(answers: NDArray[np.float32]) -> Labels:
    """The class with the largest number; `NOT_A_NUMBER` where a number is none.

    argmax would take a NaN for the largest, so that a network which gives one for class 3 would be
    right on every image of class 3.
    """
    finite = np.all(np.isfinite(answers), axis=1)
    return np.where(finite, np.argmax(answers, axis=1), NOT_A_NUMBER).astype(np.int64)


def confidence_of(answers: NDArray[np.float32]) -> NDArray[np.float32]:
    """The probability (0..1) of the likeliest class, from probabilities or logits."""
    wide = np.nan_to_num(answers.astype(np.float64), nan=0.0, posinf=1e30, neginf=-1e30)
    if wide.size and np.all(wide >= 0) and np.allclose(wide.sum(1), 1, atol=1e-3):
        return np.asarray(wide.max(1), np.float32)
    shifted = np.exp(wide - wide.max(1, keepdims=True))
    return np.asarray(1 / shifted.sum(1), np.float32)


def _labels(name: str) -> str:
    return f"labels-{name}.npy"


def _array(file: Path) -> NDArray[Any]:
    with READING:
        array: NDArray[Any] = np.load(file, allow_pickle=False)
    return array
