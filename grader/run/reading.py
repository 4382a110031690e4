"""The frames of a run, read: from here on a submission is evidence."""

from __future__ import annotations

from dataclasses import replace

from grader.graph.compare import Subject
from grader.graph.evidence import Compared, Evidence, assemble, no_answer, read_subject
from grader.graph.record import FailureRecord
from grader.run.folder import RunFolder
from grader.run.record import ReferenceFrames
from grader.run.request import network_id
from grader.run.seal import damaged


def evidence_of(folder: RunFolder) -> Evidence:
    """What the frames of a run say.

    Raises:
        InfrastructureError: A frame is no longer what was written.
    """
    record = folder.record
    evidence = assemble(
        {f.name: folder.frame(f) for f in record.json_frames},
        {f.name: folder.frame(f) for f in record.binary_frames if f.name.startswith("constants:")},
        list(record.probes),
        record.run.cause,
        record.run.message,
    )
    failed = evidence.module.failure if evidence.module is not None else None
    failed = failed or no_answer(record.run.cause, record.run.message)
    compared = {r.asked.name: _compared(folder, r, failed) for r in record.references}
    files = {f.name: folder.frame(f) for f in record.data_files}
    return replace(evidence, compared=compared, files=files)


def _compared(folder: RunFolder, kept: ReferenceFrames, failed: FailureRecord) -> Compared:
    """What the student's function gave, and what its reference gave.

    Raises:
        InfrastructureError: The reference's trace is no longer what was written.
    """
    id = network_id(kept.asked)
    frames = {f.name: f for f in (*folder.record.json_frames, *folder.record.binary_frames)}
    mine: Subject | FailureRecord = failed
    if f"probe:{id}" in frames:
        constants = frames.get(f"constants:{id}")
        mine = read_subject(
            folder.frame(frames[f"probe:{id}"]),
            b"" if constants is None else folder.frame(constants),
        )
    reference: Subject | None = None
    if kept.network is not None and kept.constants is not None:
        read = read_subject(folder.frame(kept.network), folder.frame(kept.constants))
        if isinstance(read, FailureRecord):
            raise damaged(kept.network.file, read.message)
        reference = read
    asked = ", ".join(f"{name}={value!r}" for name, value in kept.asked.arguments.items())
    if isinstance(mine, FailureRecord):
        return Compared(kept.asked.function, asked, reference, failure=mine)
    return Compared(kept.asked.function, asked, reference, mine)
