"""The frames of a run, read: from here on a submission is evidence."""

from __future__ import annotations

import json
from dataclasses import replace

from grader.calls.called import Call, Called
from grader.calls.cases import Case
from grader.calls.values import Answer, FailureRecord, parse_answer
from grader.errors import StageFailed
from grader.graph.compare import Subject
from grader.graph.evidence import (
    Accepted,
    Compared,
    Evidence,
    NetworkAnswer,
    assemble,
    no_answer,
    read_subject,
)
from grader.run.folder import RunFolder
from grader.run.functions import read_answer
from grader.run.record import FunctionFrames, ReferenceFrames
from grader.run.request import network_id
from grader.run.seal import damaged


def evidence_of(folder: RunFolder) -> Evidence:
    """What the frames of a run say; read once, for the accuracy and for the checks.

    Raises:
        InfrastructureError: A frame is no longer what was written.
    """
    if folder.evidence is None:
        folder.evidence = _evidence(folder)
    return folder.evidence


def _evidence(folder: RunFolder) -> Evidence:
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
    """What the student's function gave, and what its references gave.

    Raises:
        InfrastructureError: A reference's trace is no longer what was written.
    """
    answers = tuple(
        _traced(folder, network_id(kept.asked, number), call.text, failed)
        for number, call in enumerate(kept.asked.asked)
    )
    networks: list[list[Subject]] = [[] for _ in kept.asked.same_as]
    for frame in kept.frames:
        read = read_subject(folder.frame(frame.network), folder.frame(frame.constants))
        if isinstance(read, FailureRecord):
            raise damaged(frame.network.file, read.message)
        networks[frame.reference].append(read)
    accepted = tuple(
        Accepted(reference.title or "", tuple(found))
        for reference, found in zip(kept.asked.same_as, networks, strict=True)
        if found
    )
    return Compared(kept.asked.function, answers, accepted)


def _traced(folder: RunFolder, id: str, asked: str, failed: FailureRecord) -> NetworkAnswer:
    """What one call of the student's function gave."""
    frames = {f.name: f for f in (*folder.record.json_frames, *folder.record.binary_frames)}
    if f"probe:{id}" not in frames:
        return NetworkAnswer(asked, failure=failed)
    constants = frames.get(f"constants:{id}")
    read = read_subject(
        folder.frame(frames[f"probe:{id}"]),
        b"" if constants is None else folder.frame(constants),
    )
    return (
        NetworkAnswer(asked, failure=read)
        if isinstance(read, FailureRecord)
        else NetworkAnswer(asked, read)
    )


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
