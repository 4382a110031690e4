"""A finished run → its grade, without an effect: its directory is read, and nothing else."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import datetime

import grader
from grader.assignment import Assignment
from grader.checks import checks_of, run_checks
from grader.domain import Grade, MeasuredAccuracy, Provenance, Submission
from grader.errors import UsageError
from grader.graph.evidence import Evidence
from grader.run.folder import RunFolder
from grader.run.provenance import programs_digest
from grader.run.reading import evidence_of
from grader.run.record import JudgedRecord, Questions
from grader.scoring.deadline import apply_deadline
from grader.scoring.grade import Facts, make_grade

JUDGES = ("graph", "calls", "checks", "run", "inside", "paper", "domain", "assignment")
"""The programs that decide what the checks find in a run."""


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
    submission = received_by_hand(run.submission(), received_at)
    found = judged(run, assignment)
    person = extended_as(submission, extensions)
    facts = Facts(
        deadline=apply_deadline(
            assignment, person, submission.received_at, submission.received_from, extensions
        ),
        provenance=_provenance(assignment, run),
        isolation=run.record.run.isolation,
        measured=measured or run.evaluation() or MeasuredAccuracy(),
        cause=found.cause,
        message=found.message or None,
        review=_review(submission, found),
    )
    return make_grade(assignment, submission, found.checks, facts)


def judged(run: RunFolder, assignment: Assignment) -> JudgedRecord:
    """What the checks find, before any rubric: as it was kept, where nothing that decides it has
    changed since, else found anew.

    Args:
        run: The run directory.
        assignment: Which checks it asks for; its points have no part in it.
    """
    judge, known = _judge(assignment), run.judged()
    if known is not None and known.judge == judge:
        return known
    evidence = evidence_of(run)
    return JudgedRecord(
        judge=judge,
        checks=tuple(run_checks(checks_of(assignment), evidence)),
        cause=evidence.cause,
        message=evidence.message,
        unproved=_unproved(evidence),
    )


def keep_judged(run: RunFolder, assignment: Assignment) -> None:
    """Have judged.json in a run directory.

    Raises:
        InfrastructureError: INFRA_DISK.
    """
    known, found = run.judged(), judged(run, assignment)
    if known != found:
        run.write(found)


def _judge(assignment: Assignment) -> str:
    asked = [check.model_dump_json() for check in assignment.own_checks]
    known = [programs_digest(*JUDGES), str(assignment.probes is None), repr(assignment.key)]
    parts = [*known, *asked]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def _unproved(evidence: Evidence) -> str:
    compared = evidence.compared.values()
    subjects = [a.mine for c in compared for a in c.answers if a.mine is not None]
    subjects += [s for c in compared for r in c.references for s in r.networks]
    unproved = [evidence.unproved, *[subject.unproved for subject in subjects]]
    return next(filter(None, unproved), "")


def extended_as(submission: Submission, extensions: Mapping[str, datetime]) -> str:
    """The id that a student has an extension under: the course's, or one of a platform's."""
    person = submission.student
    return next((name for name in (person, *submission.known_as) if name in extensions), person)


def _review(submission: Submission, found: JudgedRecord) -> str | None:
    """Why a person has to look before this is graded."""
    reasons = [submission.doubt, submission.copied, found.unproved]
    return " ".join(filter(None, reasons)) or None


def received_by_hand(submission: Submission, moment: datetime | None) -> Submission:
    """With the time of receipt that a person has set, where one is."""
    if moment is None:
        return submission
    known = {"received_at": moment, "received_from": "argument", "doubt": None}
    return submission.model_copy(update=known)


def same_questions(run: RunFolder, assignment: Assignment, measured: MeasuredAccuracy) -> None:
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


def _provenance(assignment: Assignment, run: RunFolder) -> Provenance:
    record = run.record
    return Provenance(
        grader=grader.__version__,
        assignment_sha256=assignment.sha256,
        title=assignment.title,
        tensorflow=record.tensorflow,
        keras=record.keras,
        probe_seed_id=record.probe_seed_id,
        run=run.name,
    )
