"""From a path to a grade, in two halves: `collect_run` has all the effects, `assess` has none.

`collect_run` takes the submission in, runs the sandbox, measures the accuracy, and leaves a run
directory of plain data. `assess` reads such a directory and gives the grade, so a finished run is
graded again (`regrade`) without starting anything.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import shutil
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

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
    Grade,
    Limits,
    MeasuredAccuracy,
    Provenance,
    Submission,
    SubmissionRef,
)
from grader.errors import Cause, InfrastructureError, StageFailed, SubmissionRejected, UsageError
from grader.graph.compare import Subject as Network
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
from grader.intake.items import SOURCE_LENGTH, Item, named
from grader.intake.names import Platform
from grader.intake.policy import IntakePolicy
from grader.intake.refusal import shown
from grader.ledger import (
    CourseKey,
    Ledger,
    filling,
    load_or_create_key,
    results_of,
    run_directory,
    sweep,
    write_atomically,
)
from grader.ledger.key import KEY_BYTES
from grader.ledger.record import Subject
from grader.ledger.rundir import (
    RUN_FILE,
    SUBMISSION_FILE,
    EvaluationRecord,
    FrameFile,
    Questions,
    ReferenceFrames,
    RunFolder,
    RunRecord,
)
from grader.ledger.seal import damaged
from grader.report.visibility import for_student, is_after_due, shown_points, shows_structure
from grader.sandbox.contract import Sandbox, Stage, StageResult
from grader.scoring.accuracy import ACCURACY, unanswered
from grader.scoring.deadline import apply_deadline
from grader.scoring.extensions import load_extensions
from grader.scoring.grade import NO_ACCURACY, make_grade, reference_to, ungraded

RECIPE_FILE = "recipe.toml"
REFERENCES = "references"
"""Folder of the results with the references' traces."""
CALLS_IN_TIME = 5
"""Of the stage's time one call may take this part: where two functions and the network that calls
them never come back, there is time for the others. An honest call takes a few seconds."""
TRACE_SETTING = "GRADER_TRACE"
"""Set to `plain`, no layer's record is a copy of another's."""
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
        platform: How names are read, if the command line says so.
        evaluate: Whether to measure the accuracy.
        retrain: Whether to train here instead of taking the student's weights.
        sandbox: "auto", "docker", "jail" or "process".
        jobs: Submissions at the same time.
        data: Folder with CIFAR-10.
        backend: What computes the accuracy; see `grader.engine.evaluate.runtimes`.
        device: "auto", "cpu" or "gpu"; where a GPU is asked for, nothing else will do.
        reference: Whether the course's own solution may be handed in without going to review.
        record: Whether a grade that is made again counts from now on.
    """

    assignment_dir: Path
    results_dir: Path = Path("results")
    submitted_at: datetime | None = None
    student_id: str | None = None
    platform: Platform | None = None
    evaluate: bool = True
    retrain: bool = False
    sandbox: Any = "auto"
    jobs: int = 1
    data: Path | None = None
    backend: str = "auto"
    device: Any = "auto"
    reference: bool = False
    record: bool = False


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
        by_hand: Times of receipt that a person has set; see `Ledger.received_by_hand`.
        own_key: Seals what is not kept, where there is no course key.
    """

    assignment: Assignment
    extensions: Mapping[str, datetime]
    options: GradeOptions
    key: CourseKey | None
    sandbox: Sandbox
    references: Mapping[str, ReferenceTrace] = field(default_factory=dict)
    by_hand: Mapping[Subject, datetime] = field(default_factory=dict)
    own_key: CourseKey = field(default_factory=lambda: CourseKey.of(secrets.token_bytes(KEY_BYTES)))
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def seal(self) -> CourseKey:
        """What the run's records are sealed with."""
        return self.key or self.own_key


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
    from grader.classroom.submissions import find_submissions
    from grader.engine.gpu import require_device
    from grader.sandbox import open_sandbox

    assignment = load_assignment(options.assignment_dir, KNOWN_CHECKS)
    if options.retrain and assignment.evaluation is None:
        raise UsageError(f"--retrain: {NO_ACCURACY}.")
    found = find_submissions(
        paths, assignment, platform=options.platform, student_id=options.student_id
    )
    items = found.items
    if options.evaluate and assignment.evaluation is not None:
        require_device(options.device, options.backend)
    key = load_or_create_key()
    ledger = Ledger(options.results_dir, key)
    sweep(options.results_dir)
    # A folder that takes no record is known before an hour's work, not after it.
    by_hand = ledger.received_by_hand()
    sandbox = open_sandbox(options.sandbox, warm=len(items) + len(assignment.networks) > 1)

    grades = []
    try:
        references = trace_references(assignment, sandbox, options.results_dir / REFERENCES)
        extensions = load_extensions(assignment)
        course = Course(assignment, extensions, options, key, sandbox, references, by_hand)
        with ThreadPoolExecutor(max_workers=options.jobs) as pool:
            # In the order of the submissions, so that the ledger of a class is always the same.
            try:
                for grade in pool.map(lambda item: grade_one(item, course), items):
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


def grade_one(what: Item | Path, course: Course) -> Grade:
    """Grade one submission; whatever happens to it becomes a grade.

    Args:
        what: The submission that was found, or the path of a zip or folder.
        course: Assignment, key, sandbox.
    """
    item = _item(what, course)
    try:
        run = collect_run(item, course)
        return assess(run, course.assignment, course.extensions)
    except (SubmissionRejected, InfrastructureError) as error:
        return _ungraded(error, item, course)
    except StageFailed as error:
        return _ungraded(SubmissionRejected(error.cause, error.message), item, course)
    except UsageError:
        raise
    except MemoryError:
        problem = InfrastructureError(
            Cause.INFRA_MEMORY,
            "memory: the grader could not get what it needed to read this submission",
            "Free memory on this machine, and grade it again.",
        )
        return _ungraded(problem, item, course)
    except Exception as error:  # a grader bug withholds one grade and lets the class go on
        problem = InfrastructureError(
            Cause.INFRA_GRADER_BUG, f"{type(error).__name__}: {error}", "Report this as a bug."
        )
        _keep_traceback(course, item.path, error)
        return _ungraded(problem, item, course)


def _item(what: Item | Path, course: Course) -> Item:
    return named(what, course.assignment.deadline.zone_info) if isinstance(what, Path) else what


def regrade(run_dir: Path, options: GradeOptions) -> Grade:
    """The grade of a finished run, from disk; no student code runs.

    Neither the run directory nor the record of grades is touched, unless `options.record` says
    that this grade counts.

    Args:
        run_dir: A run directory.
        options: assignment_dir; submitted_at to move the receipt; evaluate to measure anew.

    Raises:
        UsageError: It is no run directory, or was asked something else than the assignment asks.
        InfrastructureError: The run or the record of grades is not what was written.
    """
    assignment = load_assignment(options.assignment_dir, KNOWN_CHECKS)
    if not (run_dir / RUN_FILE).is_file():
        raise UsageError(f"{run_dir}: expected a run directory with {RUN_FILE}.")
    run = RunFolder(run_dir, load_or_create_key())
    ledger = _ledger_of(run)
    if options.record and ledger is None:
        raise UsageError(f"--record: expected a run directory of a results folder, not {run_dir}.")
    measured: MeasuredAccuracy = run.evaluation() or MeasuredAccuracy()
    _same_questions(run, assignment, measured)
    if options.evaluate:
        measured = _measured_again(run, assignment, options)
    why_not = unanswered(assignment, measured)
    if why_not is not None:
        raise UsageError(f"{run_dir}: {why_not}. Measure it again: --evaluate.")
    received = options.submitted_at
    if received is None and ledger is not None:
        submission = _submission(run)
        known = ledger.received_by_hand()
        received = known.get((submission.student_id, submission.sha256))
    extensions = load_extensions(assignment)
    grade = assess(run, assignment, extensions, measured=measured, received_at=received)
    if options.record and ledger is not None:
        ledger.write_grade(grade)
    return grade


def _ledger_of(run: RunFolder) -> Ledger | None:
    """The record of grades of the results folder that a run lies in; None where there is none."""
    results = results_of(run.path)
    if results is None or not Ledger.stands_in(results):
        return None
    return Ledger(results, run.key)


def recorded(run_dir: Path) -> Grade:
    """The grade that was recorded last of a run.

    Args:
        run_dir: A run directory of a results folder.

    Raises:
        UsageError: None was.
        InfrastructureError: The record does not hold together.
    """
    run = RunFolder(run_dir, load_or_create_key())
    ledger = _ledger_of(run)
    grade = None if ledger is None else ledger.grade_of_run(run.name)
    if grade is None:
        raise UsageError(
            f"{run_dir}: no grade of this run is recorded. "
            "`grade regrade` shows what it would be by an assignment."
        )
    return grade


def _same_questions(run: RunFolder, assignment: Assignment, measured: MeasuredAccuracy) -> None:
    """Refuse a run that was asked something else: nothing on disk can answer for it.

    Raises:
        UsageError: Says what has changed, and to grade the submission again.
    """
    asked = run.record.questions
    wanted = Questions.of(assignment, retrain=run.record.retrain)
    changed = asked.changed_in(wanted)
    trainings = asked.training, wanted.training
    if not changed and trainings[0] is not None and trainings[1] is not None:
        if not trainings[0].answers(trainings[1], measured.runs):
            changed = ["how long or how our engine trains"]
    if changed:
        raise UsageError(
            f"{run.path}: {', '.join(changed)} of {assignment.file} has changed since this run, "
            "which cannot answer for it. Grade the submission again."
        )


def check_folder(
    folder: Path,
    options: GradeOptions,
    on_evidence: Callable[[Evidence], None] | None = None,
) -> Grade:
    """What can be known on a laptop: everything but hidden probes, accuracy and deadline.

    The grade is the student's: no part of it tells of a check that the rubric keeps from students.

    Args:
        folder: With densenet.py or densenet.ipynb.
        options: assignment_dir and sandbox.
        on_evidence: Called with what was read, where there was something to read and no check of it
            is kept from students.
    """
    from grader.sandbox import open_sandbox

    assignment = load_assignment(options.assignment_dir, KNOWN_CHECKS)
    after_due = is_after_due(assignment)
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
            if on_evidence is not None and shows_structure(assignment.rubric, after_due):
                for run_file in scratch.rglob(RUN_FILE):
                    on_evidence(_evidence(RunFolder(run_file.parent, course.seal)))
            # Of a submission that cannot be checked, the maximum alone could tell of unseen checks.
            most = {} if grade.checks else {"max_score": shown_points(assignment.rubric, after_due)}
            return for_student(grade, after_due).model_copy(update=most)
        finally:
            sandbox.close()


# --- collect: effects ----------------------------------------------------------------------


def collect_run(what: Item | Path, course: Course) -> RunFolder:
    """Take one submission in, run what must run, and leave a finished run directory.

    A run that is there already is used again: the same command after an interrupt goes on, and a
    changed due date or rubric asks nothing new.

    Returns:
        The run directory.

    Raises:
        SubmissionRejected: There is nothing to grade.
        InfrastructureError: The machine failed and nothing was kept; or what was kept is no longer
            what was written.
    """
    from grader.intake import Scope, collect

    assignment, options = course.assignment, course.options
    policy = _policy(assignment)
    with files.scratch("intake") as scratch:
        tree = scratch / "submission"
        submission = collect(
            _item(what, course),
            tree,
            policy=policy,
            scope=Scope.HANDED_IN if course.key is not None else Scope.CODE,
        )
        submission = _received(submission, course)
        probes = _probes(submission, course)
        request = trace_request(probes, submission.weights, assignment)
        place = _run_directory(submission, request, course)
        run = RunFolder(place, course.seal, place.name)
        if not run.is_complete:
            result = traced(course.sandbox, tree, request, assignment.limits)
            with filling(run.path) as partial:
                _write_run(RunFolder(partial, run.key, run.name), result, probes, course)
        if course.key is not None and assignment.probes is not None:
            weights = next(
                (run.frame(f) for f in run.record.binary_frames if f.name == "weights"), b""
            )
            alike = likeness(submission, tree, assignment.module, weights, own=options.reference)
            submission = submission.model_copy(update=alike)
        described = submission.model_copy(update={"root": ""})
        if run.submission() != described:
            run.write(described)
        if submission.recipe is not None:
            write_atomically(run.path / RECIPE_FILE, (tree / submission.recipe).read_bytes())
    _have_evaluation(run, course)
    return run


def _run_directory(submission: Submission, request: dict[str, Any], course: Course) -> Path:
    """Where the run belongs: named by all that decides what it gives, and by nothing else."""
    questions = Questions.of(course.assignment, retrain=course.options.retrain)
    return run_directory(
        course.options.results_dir,
        submission.sha256,
        submission.student_id,
        questions.model_dump_json(),
        json.dumps(request, sort_keys=True),
        course.key.id if course.key is not None else "public",
        course.sandbox.isolation,
        inside_digest(),
        *[str(version_of(package)) for package in ("tensorflow", "tensorflow-cpu", "keras")],
        *[course.references[name].digest for name in sorted(course.references)],
    )


def _have_evaluation(run: RunFolder, course: Course) -> None:
    """Measure the accuracy, unless what is known answers the assignment already."""
    assignment, options = course.assignment, course.options
    known = run.evaluation()
    if options.evaluate and assignment.evaluation is not None:
        asked = _asked(options)
        stands = known is not None and known.asked == asked and known.runs
        if known is None or not stands or unanswered(assignment, known) is not None:
            measured = _measure(run, assignment, options, scratch=run.path)
            run.write(EvaluationRecord(asked=asked, **dict(measured)))
    elif known is None:
        run.write(EvaluationRecord(note=_no_note(course)))


def _no_note(course: Course) -> str:
    """Why no accuracy is measured."""
    if course.assignment.evaluation is None:
        return NO_ACCURACY
    if course.key is None:
        return "accuracy is measured when the submission is graded"
    return "the evaluation was switched off (--no-evaluation)"


def _received(submission: Submission, course: Course) -> Submission:
    """With the time of receipt that counts: one that a person has set stands until another is."""
    if course.key is None:
        unknown = {"received_at": None, "received_from": None, "doubt": None}
        return submission.model_copy(update=unknown)
    by_hand = course.by_hand.get((submission.student_id, submission.sha256))
    return _received_at(submission, course.options.submitted_at or by_hand)


def _received_at(submission: Submission, moment: datetime | None) -> Submission:
    if moment is None:
        return submission
    known = {"received_at": moment, "received_from": "argument", "doubt": None}
    return submission.model_copy(update=known)


def _probes(submission: Submission, course: Course) -> list[Probe]:
    asked = course.assignment.probes
    if asked is None:
        return []
    probes = public_probes(asked)
    if course.key is not None:
        probes += hidden_probes(asked, course.key.derive(submission.sha256, "probes"))
    return probes


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
    whole = assignment.limits.wall_time_s if assignment is not None else None
    return {
        "module": Path(assignment.module).stem if assignment is not None else "densenet",
        "call_s": whole / CALLS_IN_TIME if whole is not None else None,
        "plain": os.environ.get(TRACE_SETTING) == "plain",
        "compared": next((p.id for p in probes if p.hidden and p.network and len(p.modes) > 1), ""),
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


def traced(sandbox: Sandbox, tree: Path, request: dict[str, Any], limits: Limits) -> StageResult:
    """What the program in the sandbox gives.

    Most of it is copied there, layer by layer (`grader/inside/tracing/copies.py`), and one network
    is traced as well. Where the two differ, a copy was wrong: all is asked for once more, traced.
    The note of it stays among the frames.
    """
    result = sandbox.run(Stage("trace", tree, request, limits))
    note = result.json_frames.get("copies", b"")
    if b'"alike":false' not in note:
        return result
    again = sandbox.run(Stage("trace", tree, {**request, "plain": True}, limits))
    return replace(again, json_frames={**again.json_frames, "copies": note})


def _network_id(network: NetworkCheck) -> str:
    """Names the frames of a function that has a reference."""
    return f"network-{network.name}"


def _write_run(folder: RunFolder, result: StageResult, probes: list[Probe], course: Course) -> None:
    """The frames under names of our own, then run.json, which makes the run complete."""
    partial = folder.path
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
        questions=Questions.of(course.assignment, retrain=course.options.retrain),
        retrain=course.options.retrain,
        run=result.run,
        probes=tuple(probes),
        probe_seed_id=course.key.id if course.key is not None and probes else None,
        tensorflow=version_of("tensorflow") or version_of("tensorflow-cpu"),
        keras=version_of("keras"),
        json_frames=written["json_frames"],
        binary_frames=written["binary_frames"],
        references=references,
    )
    folder.write(record)


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


def _measured_again(
    run: RunFolder, assignment: Assignment, options: GradeOptions
) -> MeasuredAccuracy:
    """Measure a finished run anew; kept in its directory only where the grade is to count."""
    if assignment.evaluation is None:
        raise UsageError(f"--evaluate: {NO_ACCURACY}.")
    if options.record:
        measured = _measure(run, assignment, options, scratch=run.path)
        run.write(EvaluationRecord(asked=_asked(options), **dict(measured)))
        return measured
    with files.scratch("evaluation") as scratch:
        if (run.path / RECIPE_FILE).is_file():
            shutil.copyfile(run.path / RECIPE_FILE, scratch / RECIPE_FILE)
        return _measure(run, assignment, options, scratch=scratch)


def _measure(
    run: RunFolder, assignment: Assignment, options: GradeOptions, *, scratch: Path
) -> MeasuredAccuracy:
    """Measure the accuracy of a finished run, as it was asked to be measured."""
    from grader.engine.accuracy import measure

    _same_recipe(run)
    return measure(
        _evidence(run),
        {f.name: run.frame(f) for f in run.record.binary_frames},
        assignment,
        handed_in=_submission(run).weights,
        folder=options.data,
        scratch=scratch,
        retrain=run.record.questions.mode == "retrain",
        backend=options.backend,
        device=options.device,
    )


def _same_recipe(run: RunFolder) -> None:
    """Refuse a recipe that is not the one that was handed in.

    Raises:
        InfrastructureError: It was changed.
    """
    submission, file = _submission(run), run.path / RECIPE_FILE
    wanted = {f.sha256 for f in submission.files if f.path == submission.recipe}
    found = {hashlib.sha256(file.read_bytes()).hexdigest()} if file.is_file() else set()
    if wanted != found:
        raise damaged(RECIPE_FILE, "it is not what was handed in")


def _asked(options: GradeOptions) -> str:
    """Names what decides a measurement, beside what stands in the run's own name."""
    what = {
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


# --- assess: none --------------------------------------------------------------------------


def assess(
    run: RunFolder,
    assignment: Assignment,
    extensions: Mapping[str, datetime],
    *,
    measured: MeasuredAccuracy | None = None,
    received_at: datetime | None = None,
) -> Grade:
    """The grade of a finished run; reads its directory and nothing else, and writes nothing.

    Args:
        run: The run directory.
        assignment: Rubric, deadline, threshold.
        extensions: Student id → own due time.
        measured: What was measured, where it is not what the directory holds.
        received_at: When a person says that it was received; None: as the directory says.
    """
    record = run.record
    submission = _received_at(_submission(run), received_at)
    evidence = _evidence(run)
    return make_grade(
        assignment,
        submission,
        run_checks(_checks(assignment), evidence),
        deadline=apply_deadline(
            assignment,
            submission.person or submission.student_id,
            submission.received_at,
            submission.received_from,
            extensions,
        ),
        provenance=_provenance(assignment, record, run.name),
        isolation=record.run.isolation,
        measured=measured or run.evaluation() or MeasuredAccuracy(),
        cause=evidence.cause,
        message=evidence.message or None,
        review=" ".join(filter(None, (submission.doubt, submission.copied))) or None,
    )


def _submission(run: RunFolder) -> Submission:
    """What was handed in.

    Raises:
        InfrastructureError: The directory does not say.
    """
    submission = run.submission()
    if submission is None:
        raise damaged(SUBMISSION_FILE, "it is not there")
    return submission


def _checks(assignment: Assignment) -> tuple[Check, ...]:
    """What the assignment asks for, in the order of the report."""
    densenet = CHECKS if assignment.probes is not None else ()
    return (*densenet, *network_checks(assignment.networks))


def _evidence(folder: RunFolder) -> Evidence:
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
    return replace(evidence, compared=compared)


def _compared(folder: RunFolder, kept: ReferenceFrames, failed: FailureRecord) -> Compared:
    """What the student's function gave, and what its reference gave.

    Raises:
        InfrastructureError: The reference's trace is no longer what was written.
    """
    id = _network_id(kept.asked)
    frames = {f.name: f for f in (*folder.record.json_frames, *folder.record.binary_frames)}
    mine: Network | FailureRecord = failed
    if f"probe:{id}" in frames:
        constants = frames.get(f"constants:{id}")
        mine = read_subject(
            folder.frame(frames[f"probe:{id}"]),
            b"" if constants is None else folder.frame(constants),
        )
    reference: Network | None = None
    if kept.network is not None and kept.constants is not None:
        read = read_subject(folder.frame(kept.network), folder.frame(kept.constants))
        if isinstance(read, FailureRecord):
            raise damaged(kept.network.file, read.message)
        reference = read
    asked = ", ".join(f"{name}={value!r}" for name, value in kept.asked.arguments.items())
    if isinstance(mine, FailureRecord):
        return Compared(kept.asked.function, asked, reference, failure=mine)
    return Compared(kept.asked.function, asked, reference, mine)


def _provenance(assignment: Assignment, record: RunRecord, run: str) -> Provenance:
    return Provenance(
        grader=grader.__version__,
        assignment_sha256=assignment.sha256,
        tensorflow=record.tensorflow,
        keras=record.keras,
        probe_seed_id=record.probe_seed_id,
        run=run,
    )


def _ungraded(error: SubmissionRejected | InfrastructureError, item: Item, course: Course) -> Grade:
    assignment, options = course.assignment, course.options
    identity = item.identity
    student = identity.student_id
    source = shown(item.source, SOURCE_LENGTH)
    digest = None if item.files else _sha256_of(item.path)
    moment, told_by = identity.received_at, identity.received_from
    by_hand = options.submitted_at or course.by_hand.get((student, digest or source))
    if by_hand is not None:
        moment, told_by = by_hand, "argument"
    return ungraded(
        error,
        assignment=assignment,
        student_id=student,
        submission=SubmissionRef(
            source=source,
            sha256=digest,
            received_at=moment,
            received_from=told_by if moment is not None else None,
        ),
        provenance=Provenance(
            grader=grader.__version__,
            assignment_sha256=assignment.sha256,
            tensorflow=version_of("tensorflow") or version_of("tensorflow-cpu"),
            keras=version_of("keras"),
            probe_seed_id=course.key.id if course.key is not None else None,
        ),
        remarks=identity.remarks,
    )


def _sha256_of(path: Path) -> str | None:
    """Of a file that could not be graded; None of what is no file, or far too large."""
    if not path.is_file() or path.stat().st_size > 2**30:
        return None
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _keep_traceback(course: Course, path: Path, error: Exception) -> None:
    """A grader bug's traceback, for whoever mends it, beside the results."""
    import traceback

    with course.lock:
        folder = course.options.results_dir
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / "grader-errors.log").open("a", encoding="utf-8") as log:
            log.write(f"--- {path.name!r}\n{''.join(traceback.format_exception(error))}\n")


__all__ = ["GradeOptions", "check_folder", "grade_paths", "recorded", "reference_to", "regrade"]
