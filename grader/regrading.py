"""A whole results folder graded again by another rubric, threshold, deadline or late policy.

From disk alone: no student code runs, and what the checks found is read as it was kept. Every new
grade is recorded and takes the place of the one before, which stays on record.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from grader.assignment import Assignment
from grader.assignment.changes import ChangedLine, changed_lines
from grader.classroom.extensions import load_extensions
from grader.course import GradeOptions
from grader.domain import Grade, GradeStatus, MeasuredAccuracy
from grader.errors import InfrastructureError, UsageError
from grader.ledger import CourseKey, Ledger, load_or_create_key
from grader.ledger.standing import Mark, marked, marks
from grader.run.assessment import assess, keep_judged, same_questions
from grader.run.directory import RUNS
from grader.run.folder import RunFolder
from grader.scoring.accuracy import unanswered

AGAIN = "Grade that submission again: `grade SUBMISSION`."


@dataclass(frozen=True)
class Change:
    """One submission whose grade is another one now.

    Attributes:
        before: The grade that counted.
        after: The new one.
        why: What made the difference, each in a line.
    """

    before: Grade
    after: Grade
    why: tuple[str, ...]


@dataclass(frozen=True)
class Refused:
    """One submission that cannot be graded again from disk; its grade stays as it is.

    Attributes:
        grade: The grade that stays.
        why: What stands in the way, and what to do.
    """

    grade: Grade
    why: str


@dataclass(frozen=True)
class Regraded:
    """What came of it.

    Attributes:
        grades: The new grades, each with how it stands.
        changes: Who has another score or verdict.
        refused: Who could not be graded again.
    """

    grades: tuple[Grade, ...]
    changes: tuple[Change, ...]
    refused: tuple[Refused, ...]


def regrade_results(results_dir: Path, options: GradeOptions) -> Regraded:
    """Grade everything in a results folder again.

    Args:
        results_dir: The results folder.
        options: assignment_dir; record: whether the new grades count.

    Raises:
        UsageError: The assignment is wrong.
        InfrastructureError: The record of grades does not hold together, or the disk failed.
    """
    assignment, key = options.assignment, load_or_create_key()
    assignment.require_key()
    rules = assignment.file.read_bytes()
    extensions = load_extensions(assignment)
    grades, changes, refused = [], [], []
    with Ledger(results_dir, key) as ledger:
        why = _Reasons(ledger, assignment, rules)
        for mark in marks(ledger):
            before = ledger.read_grade(mark.entry)
            try:
                run = _run_of(before, results_dir, key)
                after = _again(before, run, assignment, extensions)
            except (UsageError, InfrastructureError) as error:
                refused.append(Refused(before, _words(error)))
                continue
            if options.record:
                if run is not None:
                    keep_judged(run, assignment)
                ledger.write_grade(after, rules)
            grades.append(after)
            if (before.status, before.score) != (after.status, after.score):
                changes.append(Change(before, _as_decided(after, mark), why.of(before, after)))
        standing = marked(grades, ledger)
    return Regraded(tuple(standing), tuple(changes), tuple(refused))


def _as_decided(after: Grade, mark: Mark) -> Grade:
    """With what a person has decided, which a regrade leaves as it is."""
    return mark.on(after) if mark.override is not None else after


def _words(error: UsageError | InfrastructureError) -> str:
    return " ".join(filter(None, [str(error), getattr(error, "help", "")]))


def _run_of(before: Grade, results_dir: Path, key: CourseKey) -> RunFolder | None:
    """The run that a grade was made from; None where nothing could be read.

    Raises:
        UsageError: It is needed and not there.
    """
    name = before.provenance.run
    if name is None:
        if before.status is GradeStatus.WITHHELD:
            raise UsageError(f"nothing of it was read, since {before.message}. {AGAIN}")
        return None
    run = RunFolder(results_dir / RUNS / name, key, name)
    if not run.is_complete:
        raise UsageError(f"{RUNS}/{name} is not there any more. {AGAIN}")
    return run


def _again(
    before: Grade,
    run: RunFolder | None,
    assignment: Assignment,
    extensions: Mapping[str, datetime],
) -> Grade:
    """The grade by an assignment.

    Raises:
        UsageError: The run was asked something else.
        InfrastructureError: The run is not what was written.
    """
    if run is None:  # rejected before anything ran: no rubric changes that
        provenance = before.provenance.model_copy(update={"assignment_sha256": assignment.sha256})
        update = {"max_score": assignment.max_score, "provenance": provenance}
        return before.model_copy(update=update)
    measured: MeasuredAccuracy = run.evaluation() or MeasuredAccuracy()
    same_questions(run, assignment, measured)
    why_not = unanswered(assignment, measured)
    if why_not is not None:
        raise UsageError(f"{why_not}. {AGAIN}")
    # Two paths of the same bytes share a run; the grade knows which of them it is of.
    known, submission = before.submission, run.submission()
    update = {
        "source": known.source,
        "received_at": known.received_at,
        "received_from": known.received_from,
        "doubt": None if known.received_from == "argument" else submission.doubt,
    }
    run.handed_in = submission.model_copy(update=update)
    return assess(run, assignment, extensions, measured=measured)


class _Reasons:
    """Why a grade is another one by another assignment.

    Args:
        ledger: Keeps the text that earlier grades were made by.
        assignment: The one of now.
        rules: Its text.
    """

    def __init__(self, ledger: Ledger, assignment: Assignment, rules: bytes) -> None:
        self._ledger, self._assignment = ledger, assignment
        self._now = rules.decode("utf-8")
        self._known: dict[str, list[ChangedLine] | None] = {}

    def of(self, before: Grade, after: Grade) -> tuple[str, ...]:
        lines = self._changed(before.provenance.assignment_sha256)
        if lines is None:
            return ("the assignment.toml of before was not kept",)
        checks = _checks_that_differ(before, after)
        late = before.deadline != after.deadline
        found = [
            str(line)
            for line in lines
            if (line.of_deadline and late) or any(line.concerns(name) for name in checks)
        ]
        if late and not any(line.of_deadline for line in lines):
            found.append("the time of receipt or the extension is another one")
        if before.provenance.grader != after.provenance.grader:
            found.append(f"grader {before.provenance.grader} → {after.provenance.grader}")
        return tuple(found) or (f"judged otherwise: {', '.join(checks) or after.message}",)

    def _changed(self, digest: str) -> list[ChangedLine] | None:
        if digest not in self._known:
            text = self._ledger.rules(digest)
            self._known[digest] = None if text is None else changed_lines(text, self._now)
        return self._known[digest]


def _checks_that_differ(before: Grade, after: Grade) -> list[str]:
    old = {check.name: (check.score, check.outcome) for check in before.checks}
    new = {check.name: (check.score, check.outcome) for check in after.checks}
    return [name for name in dict.fromkeys([*new, *old]) if old.get(name) != new.get(name)]
