"""What one run directory holds: plain data, sealed, and read again without starting anything.

run.json          what was asked, how the stage ended, where the frames lie with their SHA-256
submission.json   what was handed in
evaluation.json   what was measured of the accuracy, without any rule
judged.json       what the checks found, without any rubric
frame-*, reference-*, data-*, recipe.toml
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from pydantic import ValidationError

from grader.domain import Record, Submission
from grader.ledger.durable import store
from grader.ledger.key import CourseKey
from grader.run.record import EvaluationRecord, FrameFile, JudgedRecord, RunRecord
from grader.run.seal import Seal, damaged, look, named_run, opened, sealed_bytes

if TYPE_CHECKING:
    from grader.graph.evidence import Evidence

RUN_FILE = "run.json"
SUBMISSION_FILE = "submission.json"
EVALUATION_FILE = "evaluation.json"
JUDGED_FILE = "judged.json"
RECORDS = (RUN_FILE, SUBMISSION_FILE, EVALUATION_FILE, JUDGED_FILE)

_R = TypeVar("_R", bound=Record)


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
        self.handed_in: Submission | None = None
        """What was handed in just now: the same bytes may lie under two paths of one student."""
        self.evidence: Evidence | None = None
        """What its frames say, once they were read; see `grader.run.reading.evidence_of`."""

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

    def submission(self) -> Submission:
        """What was handed in just now, else submission.json. Raises as `record` does."""
        if self.handed_in is not None:
            return self.handed_in
        if not self.has_submission:
            raise damaged(SUBMISSION_FILE, "it is not there")
        return self._read(SUBMISSION_FILE, Submission)

    @property
    def has_submission(self) -> bool:
        """Whether submission.json was written."""
        return (self.path / SUBMISSION_FILE).exists()

    def binary_frames(self) -> dict[str, bytes]:
        """All binary frames by name. Raises as `frame` does."""
        return {f.name: self.frame(f) for f in self.record.binary_frames}

    def evaluation(self) -> EvaluationRecord | None:
        """evaluation.json; None where it was never written. Raises as `record` does."""
        there = (self.path / EVALUATION_FILE).exists()
        return self._read(EVALUATION_FILE, EvaluationRecord) if there else None

    def judged(self) -> JudgedRecord | None:
        """judged.json; None where it was never written. Raises as `record` does."""
        there = (self.path / JUDGED_FILE).exists()
        return self._read(JUDGED_FILE, JudgedRecord) if there else None

    def write(self, record: RunRecord | Submission | EvaluationRecord | JudgedRecord) -> None:
        """Seal a record and put it in its place.

        Raises:
            InfrastructureError: INFRA_DISK.
        """
        match record:
            case RunRecord():
                file = RUN_FILE
            case Submission():
                file = SUBMISSION_FILE
            case JudgedRecord():
                file = JUDGED_FILE
            case _:
                file = EVALUATION_FILE
        store(self.path / file, sealed_bytes(record, file, self.name, self.key))

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
