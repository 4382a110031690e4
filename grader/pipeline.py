"""From a path to a grade, in two halves: `collect_run` has all the effects, `assess` has none.

`collect_run` takes the submission in, runs the sandbox, measures the accuracy, and leaves a run
directory of plain data. `assess` reads such a directory and gives the grade, so a finished run is
graded again (`regrade`) without starting anything.
"""

from __future__ import annotations

import hashlib
import json
import os
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import ValidationError

import grader
from grader import files
from grader.assignment import Assignment, NetworkCheck, load_assignment
from grader.checks import CHECKS, Check, network_checks, run_checks
from grader.classroom.likeness import likeness
from grader.comparison import (
    ReferenceTrace,
    inside_digest,
    network_probe,
    trace_references,
    version_of,
)
from grader.domain import (
    Evaluation,
    Grade,
    Limits,
    Provenance,
    Record,
    Run,
    Sha256,
    Submission,
    SubmissionRef,
)
from grader.errors import Cause, InfrastructureError, StageFailed, SubmissionRejected, UsageError
from grader.graph.compare import Subject
from grader.graph.evidence import (
    MODEL_MODES,
    Compared,
    Evidence,
    assemble,
    no_answer,
    read_subject,
)
from grader.graph.numeric import SAMPLE_SEED
from grader.graph.probes import Probe, hidden_probes, public_probes
from grader.graph.record import FailureRecord
from grader.intake.policy import IntakePolicy
from grader.sandbox.contract import Sandbox, Stage, StageResult
from grader.scoring.accuracy import ACCURACY
from grader.scoring.deadline import apply_deadline
from grader.scoring.extensions import load_extensions
from grader.scoring.grade import make_grade, reference_to, ungraded

RUN_FILE = "run.json"
SUBMISSION_FILE = "submission.json"
EVALUATION_FILE = "evaluation.json"
RECIPE_FILE = "recipe.toml"
REFERENCES = "references"
"""Folder of the results with the references' traces."""
NO_ACCURACY = "the assignment asks for no accuracy"
INPUT_SHAPE = (32, 32, 3)
"""CIFAR-10."""

KNOWN_CHECKS = frozenset({c.name for c in CHECKS} | {ACCURACY})
"""What a rubric has to name."""


@dataclass(frozen=True)
class GradeOptions:
    """What the command line asks for.

    Attributes:
        assignment_dir: Folder of assignment.toml.
        results_dir: Where run directories and the ledger live.
        submitted_at: When it was received, if the command line says so.
        student_id: Whose it is, if the command line says so.
        evaluate: Whether to measure the accuracy.
        retrain: Whether to train here instead of taking the student's weights.
        sandbox: "auto", "docker", "jail" or "process".
        jobs: Submissions at the same time.
        data: Folder with CIFAR-10.
        backend: What computes the accuracy; see `grader.engine.evaluate.runtimes`.
        device: "auto", "cpu" or "gpu"; where a GPU is asked for, nothing else will do.
        reference: Whether the course's own solution may be handed in without going to review.
    """

    assignment_dir: Path
    results_dir: Path = Path("results")
    submitted_at: datetime | None = None
    student_id: str | None = None
    evaluate: bool = True
    retrain: bool = False
    sandbox: Any = "auto"
    jobs: int = 1
    data: Path | None = None
    backend: str = "auto"
    device: Any = "auto"
    reference: bool = False


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
    """run.json: how the stage ended, what was asked, where the frames lie."""

    run: Run
    probes: tuple[Probe, ...]
    probe_seed_id: str | None
    json_frames: tuple[FrameFile, ...]
    binary_frames: tuple[FrameFile, ...]
    references: tuple[ReferenceFrames, ...] = ()
    """What [[networks]] asked for, with what it is compared with."""


class EvaluationRecord(Record):
    """evaluation.json: the measured accuracy, or why there is none."""

    evaluation: Evaluation | None = None
    note: str | None = None
    cause: Cause | None = None
    review: str | None = None
    asked: str | None = None
    """What was asked for, by which engine: an evaluation that is finished is not made again."""


@dataclass(frozen=True)
class Course:
    """What is the same for all submissions of one command.

    Attributes:
        assignment: Rubric, deadline, probes, limits.
        extensions: Student id → own due time.
        options: The command line.
        key: The course key; None where only public probes are asked.
        sandbox: Where student code runs.
        references: The references' traces by check name.
    """

    assignment: Assignment
    extensions: Mapping[str, datetime]
    options: GradeOptions
    key: Any
    sandbox: Sandbox
    references: Mapping[str, ReferenceTrace] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)


# --- the commands --------------------------------------------------------------------------


def _policy(assignment: Assignment) -> IntakePolicy:
    return IntakePolicy(module=assignment.module)


def grade_paths(
    paths: Sequence[Path], options: GradeOptions, on_grade: Callable[[Grade], None]
) -> list[Grade]:
    """Grade zips, folders, and folders of them; one bad submission never stops the rest.

    Args:
        paths: What the command line names.
        options: What it asks for.
        on_grade: Called with each grade when it is made.

    Returns:
        The grades in the order of the submissions.

    Raises:
        UsageError: A path, the assignment or an option is wrong.
        InfrastructureError: Nothing can be graded on this machine as asked.
    """
    from grader.engine.gpu import require_device
    from grader.intake import discover
    from grader.ledger import Ledger, load_or_create_key, sweep
    from grader.sandbox import open_sandbox

    assignment = load_assignment(options.assignment_dir, KNOWN_CHECKS)
    if options.retrain and assignment.evaluation is None:
        raise UsageError(f"--retrain: {NO_ACCURACY}.")
    items = discover(paths, _policy(assignment))
    if options.evaluate and assignment.evaluation is not None:
        require_device(options.device, options.backend)
    key = load_or_create_key()
    ledger = Ledger(options.results_dir, key)
    sweep(options.results_dir)
    ledger.head()  # a folder that takes no record is known before an hour's work, not after it
    sandbox = open_sandbox(options.sandbox, warm=len(items) + len(assignment.networks) > 1)

    grades = []
    try:
        references = trace_references(assignment, sandbox, options.results_dir / REFERENCES)
        extensions = load_extensions(assignment)
        course = Course(assignment, extensions, options, key, sandbox, references)
        with ThreadPoolExecutor(max_workers=options.jobs) as pool:
            # In the order of the submissions, so that the ledger of a class is always the same.
            try:
                for grade in pool.map(lambda path: grade_one(path, course), items):
                    ledger.write_grade(grade)
                    on_grade(grade)
                    grades.append(grade)
            except BaseException:
                # An interrupt waits for what is being read, not for the rest of the class.
                pool.shutdown(wait=False, cancel_futures=True)
                raise
        return grades
    finally:
        sandbox.close()


def grade_one(path: Path, course: Course) -> Grade:
    """Grade one submission; whatever happens to it becomes a grade.

    Args:
        path: The zip or folder.
        course: Assignment, key, sandbox.
    """
    try:
        run_dir = collect_run(path, course)
        return assess(run_dir, course.assignment, course.extensions)
    except (SubmissionRejected, InfrastructureError) as error:
        return _ungraded(error, path, course)
    except StageFailed as error:
        return _ungraded(SubmissionRejected(error.cause, error.message), path, course)
    except UsageError:
        raise
    except MemoryError:
        problem = InfrastructureError(
            Cause.INFRA_MEMORY,
            "memory: the grader could not get what it needed to read this submission",
            "Free memory on this machine, and grade it again.",
        )
        return _ungraded(problem, path, course)
    except Exception as error:  # a grader bug withholds one grade and lets the class go on
        problem = InfrastructureError(
            Cause.INFRA_GRADER_BUG, f"{type(error).__name__}: {error}", "Report this as a bug."
        )
        _keep_traceback(course, path, error)
        return _ungraded(problem, path, course)


def regrade(run_dir: Path, options: GradeOptions) -> Grade:
    """The grade of a finished run, from disk; no student code runs.

    Args:
        run_dir: A run directory.
        options: assignment_dir; submitted_at to move the receipt; evaluate to measure anew.

    Raises:
        UsageError: It is no run directory.
    """
    assignment = load_assignment(options.assignment_dir, KNOWN_CHECKS)
    if not (run_dir / RUN_FILE).is_file():
        raise UsageError(f"{run_dir}: expected a run directory with {RUN_FILE}.")
    if options.submitted_at is not None:
        _receive(run_dir, options.submitted_at)
    _same_questions(run_dir, assignment)
    if options.evaluate:
        if assignment.evaluation is None:
            raise UsageError(f"--evaluate: {NO_ACCURACY}.")
        _evaluate(run_dir, assignment, options)
    return assess(run_dir, assignment, load_extensions(assignment))


def _same_questions(run_dir: Path, assignment: Assignment) -> None:
    """Refuse a run that was asked for other networks: nothing on disk can answer for them.

    Raises:
        UsageError: Says to grade the submission again.
    """
    shown = {"group", "title"}
    asked = [
        r.asked.model_dump(exclude=shown) for r in _read(run_dir / RUN_FILE, RunRecord).references
    ]
    wanted = [network.model_dump(exclude=shown) for network in assignment.networks]
    if asked != wanted:
        raise UsageError(
            f"{run_dir}: [[networks]] of {assignment.file} has changed since this run. "
            "Grade the submission again."
        )


def check_folder(
    folder: Path,
    options: GradeOptions,
    on_evidence: Callable[[Evidence], None] | None = None,
) -> Grade:
    """What can be known on a laptop: everything but hidden probes, accuracy and deadline.

    Args:
        folder: With densenet.py or densenet.ipynb.
        options: assignment_dir and sandbox.
        on_evidence: Called with what was read, where there was something to read.
    """
    from grader.sandbox import open_sandbox

    assignment = load_assignment(options.assignment_dir, KNOWN_CHECKS)
    sandbox = open_sandbox(options.sandbox, warm=bool(assignment.networks))
    with files.scratch("check") as scratch:
        own = GradeOptions(
            assignment_dir=options.assignment_dir,
            results_dir=scratch,
            evaluate=False,
            sandbox=options.sandbox,
        )
        try:
            references = trace_references(
                assignment, sandbox, own.results_dir / REFERENCES, may_lack=True
            )
            course = Course(assignment, {}, own, None, sandbox, references)
            grade = grade_one(folder, course)
            if on_evidence is not None:
                for run_file in scratch.rglob(RUN_FILE):
                    on_evidence(_evidence(run_file.parent, _read(run_file, RunRecord)))
            return grade
        finally:
            sandbox.close()


# --- collect: effects ----------------------------------------------------------------------


def collect_run(path: Path, course: Course) -> Path:
    """Take one submission in, run what must run, and leave a finished run directory.

    A run that is there already is used again: the same command after an interrupt goes on.

    Returns:
        The run directory.

    Raises:
        SubmissionRejected: There is nothing to grade.
        InfrastructureError: The machine failed; nothing was kept.
    """
    from grader.intake import Scope, collect
    from grader.ledger import filling, run_directory, write_atomically

    assignment, options = course.assignment, course.options
    zone = assignment.deadline.zone_info
    policy = _policy(assignment)
    with files.scratch("intake") as scratch:
        tree = scratch / "submission"
        submission = collect(
            path,
            tree,
            student_id=options.student_id,
            policy=policy,
            zone=zone,
            scope=Scope.HANDED_IN if course.key is not None else Scope.CODE,
        )
        submission = _received(submission, options, checking=course.key is None)
        if course.key is not None and assignment.probes is not None:
            alike = likeness(submission, tree, assignment.module, own=options.reference)
            submission = submission.model_copy(update=alike)
        run_dir = run_directory(
            options.results_dir,
            submission.sha256,
            submission.student_id,
            assignment.sha256,
            course.key.id if course.key is not None else "public",
            course.sandbox.isolation,
            inside_digest(),
            *[course.references[name].digest for name in sorted(course.references)],
        )
        if not (run_dir / RUN_FILE).is_file():
            probes = _probes(submission, course)
            result = _trace(submission, tree, probes, course)
            with filling(run_dir) as partial:
                _write_run(partial, result, probes, course)
        described = submission.model_copy(update={"root": ""})
        write_atomically(run_dir / SUBMISSION_FILE, _bytes(described))
        if submission.recipe is not None:
            write_atomically(run_dir / RECIPE_FILE, (tree / submission.recipe).read_bytes())
    if options.evaluate and assignment.evaluation is not None:
        if not _evaluated(run_dir, _asked(assignment, options)):
            _evaluate(run_dir, assignment, options)
    elif not (run_dir / EVALUATION_FILE).is_file():
        write_atomically(run_dir / EVALUATION_FILE, _bytes(EvaluationRecord(note=_no_note(course))))
    return run_dir


def _no_note(course: Course) -> str:
    """Why no accuracy is measured."""
    if course.assignment.evaluation is None:
        return NO_ACCURACY
    if course.key is None:
        return "accuracy is measured when the submission is graded"
    return "the evaluation was switched off (--no-evaluation)"


def _received(submission: Submission, options: GradeOptions, *, checking: bool) -> Submission:
    if checking:
        return submission.model_copy(update={"received_at": None, "received_from": None})
    if options.submitted_at is None:
        return submission
    return submission.model_copy(
        update={"received_at": options.submitted_at, "received_from": "argument"}
    )


def _probes(submission: Submission, course: Course) -> list[Probe]:
    asked = course.assignment.probes
    if asked is None:
        return []
    probes = public_probes(asked)
    if course.key is not None:
        probes += hidden_probes(asked, course.key.derive(submission.sha256, "probes"))
    return probes


def _trace(submission: Submission, tree: Path, probes: list[Probe], course: Course) -> StageResult:
    limits: Limits = course.assignment.limits
    request = trace_request(probes, submission.weights, course.assignment)
    return course.sandbox.run(Stage("trace", tree, request, limits))


def trace_request(
    probes: Sequence[Probe], weights: str | None = None, assignment: Assignment | None = None
) -> dict[str, Any]:
    """What the program in the sandbox is asked.

    Args:
        probes: Public and hidden ones alike; nothing tells them apart inside.
        weights: The student's weights file, below the tree.
        assignment: Names the module and further networks; None for a DenseNet alone.
    """
    networks = assignment.networks if assignment is not None else ()
    model = assignment is None or assignment.probes or assignment.evaluation
    return {
        "module": Path(assignment.module).stem if assignment is not None else "densenet",
        "probes": [
            *[p.request() for p in probes],
            *[network_probe(n, n.function, _network_id(n)) for n in networks],
        ],
        "model": None
        if not model
        else {
            "input_shape": list(INPUT_SHAPE),
            "modes": list(MODEL_MODES),
            "seed": SAMPLE_SEED,
            "weights": weights,
        },
    }


def _network_id(network: NetworkCheck) -> str:
    """Names the frames of a function that has a reference."""
    return f"network-{network.name}"


def _write_run(partial: Path, result: StageResult, probes: list[Probe], course: Course) -> None:
    """The frames under names of our own, then run.json, which makes the run complete."""
    written: dict[str, tuple[FrameFile, ...]] = {}
    for kind, frames, suffix in (
        ("json_frames", result.json_frames, "json"),
        ("binary_frames", result.binary_frames, "bin"),
    ):
        written_files = []
        for number, (name, payload) in enumerate(frames.items()):
            file = f"frame-{number:03}.{suffix}"
            (partial / file).write_bytes(payload)
            digest = hashlib.sha256(payload).hexdigest()
            written_files.append(FrameFile(name=name, file=file, sha256=digest))
        written[kind] = tuple(written_files)
    references = tuple(
        _written_reference(partial, number, network, course)
        for number, network in enumerate(course.assignment.networks)
    )
    record = RunRecord(
        run=result.run,
        probes=tuple(probes),
        probe_seed_id=course.key.id if course.key is not None and probes else None,
        json_frames=written["json_frames"],
        binary_frames=written["binary_frames"],
        references=references,
    )
    (partial / RUN_FILE).write_bytes(_bytes(record))


def _written_reference(
    partial: Path, number: int, network: NetworkCheck, course: Course
) -> ReferenceFrames:
    """A copy of what the reference gave: a run is graded again from its own directory alone."""
    trace = course.references.get(network.name)
    if trace is None:
        return ReferenceFrames(asked=network)
    kept = []
    for payload, suffix in ((trace.network, "json"), (trace.constants, "bin")):
        file = f"reference-{number:03}.{suffix}"
        (partial / file).write_bytes(payload)
        digest = hashlib.sha256(payload).hexdigest()
        kept.append(FrameFile(name=network.name, file=file, sha256=digest))
    return ReferenceFrames(asked=network, network=kept[0], constants=kept[1])


def _receive(run_dir: Path, moment: datetime) -> None:
    from grader.ledger import write_atomically

    submission = _read(run_dir / SUBMISSION_FILE, Submission)
    moved = submission.model_copy(update={"received_at": moment, "received_from": "argument"})
    write_atomically(run_dir / SUBMISSION_FILE, _bytes(moved))


def _evaluate(run_dir: Path, assignment: Assignment, options: GradeOptions) -> None:
    """Measure the accuracy of a finished run and leave evaluation.json."""
    from grader.engine.accuracy import measure
    from grader.ledger import write_atomically

    rule = assignment.evaluation
    assert rule is not None
    record = _read(run_dir / RUN_FILE, RunRecord)
    frames = {f.name: _frame(run_dir, f) for f in record.binary_frames}
    asked = _asked(assignment, options)
    outcome = measure(
        _evidence(run_dir, record),
        frames,
        assignment,
        handed_in=_read(run_dir / SUBMISSION_FILE, Submission).weights,
        folder=options.data,
        scratch=run_dir,
        retrain=options.retrain or rule.mode == "retrain",
        backend=options.backend,
        device=options.device,
    )
    write_atomically(run_dir / EVALUATION_FILE, _bytes(EvaluationRecord(asked=asked, **outcome)))


def _asked(assignment: Assignment, options: GradeOptions) -> str:
    """Names what decides a measurement; the assignment's rules stand in the run's own name."""
    rule = assignment.evaluation
    what = {
        "retrain": options.retrain or (rule is not None and rule.mode == "retrain"),
        "backend": options.backend,
        "device": options.device,
        "data": str(options.data or os.environ.get("GRADER_DATA", "")),
        "programs": _digest("engine", "graph"),
    }
    return hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()


@cache
def _digest(*rooms: str) -> str:
    """Of the programs of some rooms."""
    folders = [Path(__file__).parent / room for room in rooms]
    programs = [file for folder in folders for file in sorted(folder.glob("*.py"))]
    return hashlib.sha256(b"".join(file.read_bytes() for file in programs)).hexdigest()


def _evaluated(run_dir: Path, asked: str) -> bool:
    """Whether an earlier command has measured this very thing; what failed is tried again."""
    if not (run_dir / EVALUATION_FILE).is_file():
        return False
    found = _read(run_dir / EVALUATION_FILE, EvaluationRecord)
    return found.evaluation is not None and found.asked == asked


# --- assess: none --------------------------------------------------------------------------


def assess(run_dir: Path, assignment: Assignment, extensions: Mapping[str, datetime]) -> Grade:
    """The grade of a finished run; reads its directory and nothing else.

    Args:
        run_dir: The run directory.
        assignment: Rubric, deadline, threshold.
        extensions: Student id → own due time.
    """
    record = _read(run_dir / RUN_FILE, RunRecord)
    submission = _read(run_dir / SUBMISSION_FILE, Submission)
    evaluated = (
        _read(run_dir / EVALUATION_FILE, EvaluationRecord)
        if (run_dir / EVALUATION_FILE).is_file()
        else EvaluationRecord(note="no evaluation was made")
    )
    evidence = _evidence(run_dir, record)
    return make_grade(
        assignment,
        submission,
        run_checks(_checks(assignment), evidence),
        deadline=apply_deadline(
            assignment,
            submission.student_id,
            submission.received_at,
            submission.received_from,
            extensions,
        ),
        provenance=_provenance(assignment, record.probe_seed_id),
        isolation=record.run.isolation,
        evaluation=evaluated.evaluation,
        evaluation_note=evaluated.note,
        evaluation_cause=evaluated.cause,
        cause=evidence.cause,
        message=evidence.message or None,
        review="; ".join(why for why in (submission.copied, evaluated.review) if why) or None,
    )


def _checks(assignment: Assignment) -> tuple[Check, ...]:
    """What the assignment asks for, in the order of the report."""
    densenet = CHECKS if assignment.probes is not None else ()
    return (*densenet, *network_checks(assignment.networks))


def _evidence(run_dir: Path, record: RunRecord) -> Evidence:
    evidence = assemble(
        {f.name: _frame(run_dir, f) for f in record.json_frames},
        {
            f.name: _frame(run_dir, f)
            for f in record.binary_frames
            if f.name.startswith("constants:")
        },
        list(record.probes),
        record.run.cause,
        record.run.message,
    )
    failed = evidence.module.failure if evidence.module is not None else None
    failed = failed or no_answer(record.run.cause, record.run.message)
    compared = {r.asked.name: _compared(run_dir, record, r, failed) for r in record.references}
    return replace(evidence, compared=compared)


def _compared(
    run_dir: Path, record: RunRecord, kept: ReferenceFrames, failed: FailureRecord
) -> Compared:
    """What the student's function gave, and what its reference gave.

    Raises:
        InfrastructureError: The reference's trace is no longer what was written.
    """
    id = _network_id(kept.asked)
    frames = {f.name: f for f in (*record.json_frames, *record.binary_frames)}
    mine: Subject | FailureRecord = failed
    if f"probe:{id}" in frames:
        constants = frames.get(f"constants:{id}")
        mine = read_subject(
            _frame(run_dir, frames[f"probe:{id}"]),
            b"" if constants is None else _frame(run_dir, constants),
        )
    reference: Subject | None = None
    if kept.network is not None and kept.constants is not None:
        read = read_subject(_frame(run_dir, kept.network), _frame(run_dir, kept.constants))
        if isinstance(read, FailureRecord):
            raise _damaged(kept.network.file, read.message)
        reference = read
    asked = ", ".join(f"{name}={value!r}" for name, value in kept.asked.arguments.items())
    if isinstance(mine, FailureRecord):
        return Compared(kept.asked.function, asked, reference, failure=mine)
    return Compared(kept.asked.function, asked, reference, mine)


def _frame(run_dir: Path, frame: FrameFile) -> bytes:
    """One frame as the sandbox sent it.

    Raises:
        InfrastructureError: INFRA_DISK, where it is no longer what was written.
    """
    try:
        data = (run_dir / frame.file).read_bytes()
    except OSError as error:
        raise _damaged(frame.file, error) from error
    if hashlib.sha256(data).hexdigest() != frame.sha256:
        raise _damaged(frame.file, "it is not what was written")
    return data


def _damaged(name: str, why: object) -> InfrastructureError:
    return InfrastructureError(
        Cause.INFRA_DISK,
        f"{name} of the run directory cannot be read: {why}",
        "Delete the run directory and grade the submission again.",
    )


def _provenance(assignment: Assignment, probe_seed_id: str | None) -> Provenance:
    return Provenance(
        grader=grader.__version__,
        assignment_sha256=assignment.sha256,
        tensorflow=version_of("tensorflow") or version_of("tensorflow-cpu"),
        keras=version_of("keras"),
        probe_seed_id=probe_seed_id,
    )


def _ungraded(error: SubmissionRejected | InfrastructureError, path: Path, course: Course) -> Grade:
    from grader.intake.names import identify, safe_id

    assignment, options = course.assignment, course.options
    identity = identify(path, assignment.deadline.zone_info)
    student = safe_id(options.student_id) if options.student_id else identity.student_id
    moment, told_by = identity.received_at, identity.received_from
    if options.submitted_at is not None:
        moment, told_by = options.submitted_at, "argument"
    return ungraded(
        error,
        assignment=assignment,
        student_id=student,
        submission=_reference(path, moment, told_by if moment is not None else None),
        provenance=_provenance(assignment, course.key.id if course.key is not None else None),
    )


def _reference(path: Path, moment: datetime | None, told_by: Any) -> SubmissionRef:
    from grader.intake.refusal import shown

    digest = None
    if path.is_file() and path.stat().st_size <= 2**30:
        with path.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
    return SubmissionRef(
        source=shown(path.name), sha256=digest, received_at=moment, received_from=told_by
    )


def _keep_traceback(course: Course, path: Path, error: Exception) -> None:
    """A grader bug's traceback, for whoever mends it, beside the results."""
    import traceback

    with course.lock:
        folder = course.options.results_dir
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / "grader-errors.log").open("a", encoding="utf-8") as log:
            log.write(f"--- {path.name!r}\n{''.join(traceback.format_exception(error))}\n")


def _bytes(record: Record) -> bytes:
    return record.model_dump_json(indent=1).encode()


def _read(path: Path, kind: type[Any]) -> Any:
    try:
        return kind.model_validate_json(path.read_bytes())
    except (OSError, ValidationError, json.JSONDecodeError) as error:
        raise _damaged(path.name, error) from error


__all__ = ["GradeOptions", "check_folder", "grade_paths", "reference_to", "regrade"]
