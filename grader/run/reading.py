"""The frames of a run, read: from here on a submission is evidence."""

from __future__ import annotations

import json
from dataclasses import replace

from grader.calls.called import Call, Called
from grader.calls.cases import Case
from grader.calls.values import Answer, FailureRecord, parse_answer
from grader.errors import StageFailed
from grader.graph.compare import Subject
from grader.graph.evidence import Compared, Evidence, assemble, no_answer, read_subject
from grader.run.folder import RunFolder
from grader.run.functions import read_answer
from grader.run.record import FunctionFrames, ReferenceFrames
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
        record.questions.image_shape,
    )
    failed = evidence.module.failure if evidence.module is not None else None
    failed = failed or no_answer(record.run.cause, record.run.message)
    compared = {r.asked.name: _compared(folder, r, failed) for r in record.references}
    called = {r.asked.name: _called(folder, r, failed) for r in record.functions}
    files = {f.name: folder.frame(f) for f in record.data_files}
    return replace(evidence, compared=compared, called=called, files=files)


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


def _called(folder: RunFolder, kept: FunctionFrames, failed: FailureRecord) -> Called:
    """The calls of a student's function, and what is right.

    Raises:
        InfrastructureError: What the run kept of them is no longer what was written.
    """
    try:
        content = json.loads(folder.frame(kept.calls))
        cases = [Case.read(kept.asked.name, case) for case in content["cases"]]
        answers = [content["answers"].get(place, {}) for place in kept.asked.functions()]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise damaged(kept.calls.file, error) from error
    frames = {f.name: f for f in folder.record.json_frames}
    calls = []
    for case in cases:
        frame = frames.get(f"call:{case.id}")
        right, *slips = (read_answer(known.get(case.id)) for known in answers)
        mine = Answer(failed) if frame is None else _answer(folder.frame(frame))
        calls.append(Call(case, mine, right, tuple(slips)))
    return Called(tuple(calls))


def _answer(data: bytes) -> Answer:
    """What the student's function gave; bytes that are no answer are a failure of theirs."""
    try:
        return parse_answer(data)
    except StageFailed as problem:
        return Answer(FailureRecord(type=str(problem.cause), message=problem.message, where=""))
