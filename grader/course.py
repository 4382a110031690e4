"""A course, opened once for a command: assignment, key, sandbox, references, extensions."""

from __future__ import annotations

import difflib
import secrets
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Literal

from grader import sandbox as sandboxes
from grader.assignment import Assignment, load_assignment
from grader.checks import CHECKS, Check, checks_of
from grader.checks.causes import ANSWERS, CONTRACT
from grader.checks.check import name_of
from grader.classroom.extensions import load_extensions
from grader.classroom.progress import Progress
from grader.cluster import Cluster, joined
from grader.domain import MeasuredAccuracy, Submission
from grader.engine.accuracy import Instruments
from grader.engine.gpu import Device
from grader.errors import UsageError
from grader.intake.names import Platform
from grader.ledger import CourseKey
from grader.ledger.key import KEY_BYTES
from grader.ledger.record import Subject
from grader.report.visibility import is_after_due, is_shown
from grader.run.assessment import received_by_hand
from grader.run.evaluation import measured_in
from grader.run.functions import FunctionReference, function_references
from grader.run.reference import REFERENCES, ReferenceTrace, trace_references
from grader.run.request import RunRequest
from grader.sandbox import Kind
from grader.sandbox.contract import Sandbox
from grader.sandbox.memory import seldom_collected
from grader.scoring.accuracy import ACCURACY

Engine = Literal["local", "ray"]
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
        engine: "local", or "ray": stages and measurements run on a Ray cluster.
        address: Of the Ray cluster; None to start one on this machine.
        data: Folder with CIFAR-10.
        backend: What computes the accuracy; see `grader.engine.evaluate.runtimes`.
        device: "auto", "cpu" or "gpu"; where a GPU is asked for, nothing else will do.
        reference: Whether the course's own solution may be handed in without going to review.
        record: Whether a grade that is made again counts from now on.
        only: Of a student's own check: the one check that is made.
    """

    assignment_dir: Path
    results_dir: Path = Path("results")
    submitted_at: datetime | None = None
    student_id: str | None = None
    platform: Platform | None = None
    evaluate: bool = True
    retrain: bool = False
    sandbox: Kind = "auto"
    jobs: int = 1
    engine: Engine = "local"
    address: str | None = None
    data: Path | None = None
    backend: str = "auto"
    device: Device = "auto"
    reference: bool = False
    record: bool = False
    only: str | None = None

    @cached_property
    def assignment(self) -> Assignment:
        """assignment.toml, read once.

        Raises:
            AssignmentError: Anything wrong with it.
            UsageError: Students see no check of the name that is asked for.
        """
        whole = load_assignment(self.assignment_dir, KNOWN_CHECKS)
        return whole if self.only is None else narrowed(whole, self.only)

    @property
    def instruments(self) -> Instruments:
        """What an accuracy is measured with."""
        return Instruments(self.data, self.backend, self.device)


def narrowed(assignment: Assignment, name: str) -> Assignment:
    """An assignment that asks for one check and for what that stands on, and measures nothing.

    Raises:
        UsageError: Students see no check of that name.
    """
    # What its functions raised is said by other checks, of which it then follows.
    check = named_check(name, assignment)
    needed = {CONTRACT, name, *(ANSWERS[f] for f in check.asks), *map(name_of, check.depends_on)}
    kept = {n: line for n, line in assignment.rubric.items() if n in needed}
    own = {
        table: tuple(own for own in getattr(assignment, table) if own.name == name)
        for table in ("networks", "functions", "answers")
    }
    return assignment.model_copy(update={"rubric": kept, "evaluation": None, **own})


def seen_checks(assignment: Assignment) -> list[Check]:
    """The checks that students see, in the order of the report."""
    after_due = is_after_due(assignment)
    seen = {n for n, line in assignment.rubric.items() if is_shown(line.visibility, after_due)}
    return [check for check in checks_of(assignment) if check.name in seen]


def named_check(name: str, assignment: Assignment) -> Check:
    """The check of a name, among those that students see.

    Raises:
        UsageError: There is none; says which was meant.
    """
    checks = {check.name: check for check in seen_checks(assignment)}
    if name in checks:
        return checks[name]
    written = name.replace("_", "-").lower()
    near = difflib.get_close_matches(written, checks, n=1, cutoff=0.5)
    meant = f"Did you mean {near[0]}?" if near else f"The checks are {', '.join(checks)}."
    raise UsageError(f"{name}: there is no such check. {meant}")


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
        functions: The calls of functions and what is right, by check name.
        by_hand: Times of receipt that a person has set; see `Ledger.received_by_hand`.
        measure: Measures an accuracy; here, or on a cluster.
        own_key: Seals what is not kept, where there is no course key.
        lock: Held by who writes to a file that all submissions share.
        reading: Held while a submission is read in the sandbox: so many at a time.
        lanes: Submissions worked on at a time; more than are read at a time.
        progress: Told what is being done.
    """

    assignment: Assignment
    extensions: Mapping[str, datetime]
    options: GradeOptions
    key: CourseKey | None
    sandbox: Sandbox
    references: Mapping[str, ReferenceTrace] = field(default_factory=dict)
    functions: Mapping[str, FunctionReference] = field(default_factory=dict)
    by_hand: Mapping[Subject, datetime] = field(default_factory=dict)
    measure: Callable[..., MeasuredAccuracy] = measured_in
    own_key: CourseKey = field(default_factory=lambda: CourseKey.of(secrets.token_bytes(KEY_BYTES)))
    lock: threading.Lock = field(default_factory=threading.Lock)
    reading: threading.Semaphore = field(default_factory=threading.Semaphore)
    lanes: int = 2
    progress: Progress = field(default_factory=Progress)

    @property
    def seal(self) -> CourseKey:
        """What the run's records are sealed with."""
        return self.key or self.own_key

    def received(self, submission: Submission) -> Submission:
        """With the time of receipt that counts: one that a person has set stands until another."""
        if self.key is None:
            unknown = {"received_at": None, "received_from": None, "doubt": None}
            return submission.model_copy(update=unknown)
        known = self.by_hand.get((submission.student, submission.sha256))
        return received_by_hand(submission, self.options.submitted_at or known)

    def asks(self, submission: Submission) -> RunRequest:
        """What is asked of a submission."""
        return RunRequest(
            self.assignment,
            submission,
            self.options.retrain,
            self.key,
            self.references,
            self.functions,
        )


@contextmanager
def open_course(
    options: GradeOptions,
    key: CourseKey | None,
    *,
    by_hand: Mapping[Subject, datetime] | None = None,
    runs: int = 1,
    room: Sandbox | None = None,
    progress: Progress | None = None,
) -> Iterator[Course]:
    """Open a course; its sandbox is closed after the block.

    Args:
        options: What the command line asks for.
        key: The course key; None for a student's own machine, which may lack references and knows
            of no extensions.
        by_hand: Times of receipt that a person has set.
        runs: Submissions to come: for several the sandbox is kept warm.
        room: A sandbox that is open already; it is closed like one that is opened here.
        progress: Told what is being done.

    Raises:
        UsageError: The assignment or a file that it names is wrong.
        InfrastructureError: This machine has no sandbox as asked.
    """
    assignment = options.assignment
    if key is not None:
        assignment.require_key()
    with ExitStack() as stack:
        stack.enter_context(seldom_collected())
        cluster = stack.enter_context(_cluster(options)) if options.engine == "ray" else None
        warm = runs + len(assignment.networks) + bool(assignment.functions) > 1
        given = cluster.sandbox if cluster else room
        room = given or sandboxes.open_sandbox(options.sandbox, warm=warm)
        stack.callback(room.close)
        references = trace_references(
            assignment, room, options.results_dir / REFERENCES, may_lack=key is None
        )
        functions = function_references(assignment, key, room, options.results_dir / REFERENCES)
        extensions = load_extensions(assignment) if key is not None else {}
        yield Course(
            assignment,
            extensions,
            options,
            key,
            room,
            references,
            functions,
            by_hand or {},
            measure=cluster.measure if cluster else measured_in,
            reading=threading.Semaphore(cluster.cores if cluster else options.jobs),
            # While an accuracy is measured, others are read.
            lanes=cluster.cores + max(1, cluster.gpus) if cluster else options.jobs + 1,
            progress=progress or Progress(runs),
        )


def _cluster(options: GradeOptions) -> AbstractContextManager[Cluster]:
    return joined(options.address, options.sandbox, options.jobs)
