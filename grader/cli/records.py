"""The commands that add to the record of grades without running anything, and that show it whole.

No room that needs TensorFlow, Keras, OpenCV or Docker is imported before a command asks for it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from grader.cli.options import (
    GRADING,
    Assignment,
    Backend,
    Data,
    Device,
    JsonFile,
    Quiet,
    SubmittedAt,
    app,
    flag,
)
from grader.cli.screen import options_from, say, shown, status_of, tell, write_grades
from grader.errors import EXIT_GRADED, EXIT_USAGE, UsageError

if TYPE_CHECKING:
    from grader.course import GradeOptions
    from grader.domain import Grade
    from grader.ledger import Ledger
    from grader.ledger.record import Entry
    from grader.ledger.standing import Mark
    from grader.regrading import Regraded

NAMES_SHOWN = 20
ResultsFolder = Annotated[Path, Parameter(help="The results folder.")]
StudentId = Annotated[str, Parameter(help="The student_id, whole.")]


@app.command(group=GRADING)
def regrade(
    path: Annotated[Path, Parameter(help="A results folder, or a run directory below one.")],
    /,
    *,
    assignment: Assignment = None,
    json: JsonFile = None,
    submitted_at: SubmittedAt = None,
    record: Annotated[
        bool,
        flag("--record", "Of a run: let this grade count from now on. A folder's grades do."),
    ] = False,
    dry_run: Annotated[
        bool, flag("--dry-run", "Of a folder: say what would change, and record nothing.")
    ] = False,
    evaluate: Annotated[bool, flag("--evaluate", "Of a run: measure the accuracy again.")] = False,
    data: Data = None,
    backend: Backend = "auto",
    device: Device = "auto",
    quiet: Quiet = False,
) -> int:
    """Grade what was graded again, from disk; no student code runs.

    A changed threshold, rubric, due date or late policy needs no more than this. Of a results
    folder it says who has another grade and by which line of assignment.toml, and the new grades
    count from now on. Of one run it shows what the grade would be; --record lets it count.

    Exit status of a folder: 2 where something on disk cannot answer for the assignment.
    """
    from grader.ledger import Ledger

    options = options_from(
        assignment=assignment,
        submitted_at=submitted_at,
        record=record,
        evaluate=evaluate,
        data=data,
        backend=backend,
        device=device,
    )
    if Ledger.stands_in(path):
        for name, given in (("--evaluate", evaluate), ("--submitted-at", submitted_at)):
            if given:
                raise UsageError(f"{name}: expected a run directory with it, not a whole folder.")
        return _regrade_folder(path, options, dry_run, json, quiet)
    if dry_run:
        raise UsageError("--dry-run: expected a results folder. A run is only shown anyway.")
    return _regrade_run(path, options, json, quiet)


def _regrade_run(path: Path, options: GradeOptions, json: Path | None, quiet: bool) -> int:
    from grader.pipeline import regrade as regrade_run

    grade = regrade_run(path, options)
    write_grades([grade], json)
    shown(options, quiet)(grade)
    if not options.record:
        say("Not recorded: this is what the grade would be. --record lets it count.")
    return status_of([grade])


def _regrade_folder(
    results: Path, options: GradeOptions, dry_run: bool, json: Path | None, quiet: bool
) -> int:
    from dataclasses import replace

    from grader.ledger.lease import hold
    from grader.regrading import regrade_results

    with hold(results, say):
        found = regrade_results(results, replace(options, record=not dry_run))
    write_grades(found.grades, json)
    for line in _told(found, quiet):
        tell(line)
    if dry_run:
        say("Not recorded: this is what would change. Without --dry-run it counts.")
    return EXIT_USAGE if found.refused else EXIT_GRADED


def _told(found: Regraded, quiet: bool) -> Sequence[str]:
    """Who has another grade and why, who could not be graded again, and how many."""
    lines = []
    for change in sorted(found.changes, key=lambda each: each.before.student_id):
        now = _words(change.after)
        lines.append(f"{change.before.student_id}  {_words(change.before)} → {now}")
        lines += [] if quiet else [f"    {why}" for why in change.why]
    for each in found.refused:
        name = f"{each.grade.student_id} ({each.grade.submission.source})"
        lines.append(f"not graded again: {name}: {each.why}")
    same = len(found.grades) - len(found.changes)
    lines.append(f"{len(found.changes)} changed, {same} unchanged, {len(found.refused)} refused")
    return lines


def _words(grade: Grade) -> str:
    from grader.report.words import score_words

    if grade.status.value != "graded":
        return grade.status.value
    by_hand = " (set by hand)" if grade.override is not None else ""
    return f"{score_words(grade)}{by_hand}"


@app.command(group=GRADING)
def override(
    results: ResultsFolder,
    student: StudentId,
    /,
    *,
    score: Annotated[
        float | None, Parameter(name="--score", help="The score that stands from now on.")
    ] = None,
    why: Annotated[str, Parameter(name="--why", help="The reason; it is kept and shown.")],
    by: Annotated[str, Parameter(name="--by", help="Who decides.")],
    lift: Annotated[
        bool, flag("--lift", "Take back what was set: the computed grade counts.")
    ] = False,
) -> int:
    """Set a student's score by hand; it also settles a review.

    It is a record of its own, of the submission that counts. It stands in reports and exports
    until it is lifted, whatever is graded again.
    """
    from grader.ledger import Ledger

    if (score is None) is not lift:
        raise UsageError("override: expected --score or --lift, and not both.")
    if not why.strip() or not by.strip():
        raise UsageError("override: expected a reason with --why and a name with --by.")
    _refuse_no_record(results)
    with Ledger(results) as ledger:
        mark = _mark_of(ledger, student, lift)
        if score is not None:
            _refuse_score(score, mark.entry)
        entry = ledger.decide(mark.entry, score, why=why.strip(), by=by.strip())
        computed = _words(ledger.read_grade(mark.entry))
    now = f"{score:g} / {mark.entry.max_score:g}" if score is not None else "as computed"
    tell(f"{student}: {now} (computed: {computed}), record {entry.seq}")
    return EXIT_GRADED


def _mark_of(ledger: Ledger, student: str, lift: bool) -> Mark:
    """The student's submission that counts; to lift, the one of which something was decided.

    Raises:
        UsageError: There is none.
    """
    from grader.ledger.standing import marks

    every = marks(ledger)
    own = [mark for mark in every if mark.entry.student_id == student]
    if not own:
        raise UsageError(_nobody(student, [mark.entry for mark in every]))
    counting = next(mark for mark in own if mark.superseded_by is None)
    if not lift or counting.override is not None:
        return counting
    decided = [mark for mark in own if mark.override is not None]
    if not decided:
        raise UsageError(f"--lift: nothing was set by hand for {student}.")
    return decided[-1]


def _refuse_score(score: float, entry: Entry) -> None:
    most = entry.max_score or 0.0
    if not math.isfinite(score) or not 0 <= score <= most:
        raise UsageError(f"--score: expected 0 to {most:g}. Received: {score:g}")


def _refuse_no_record(results: Path) -> None:
    from grader.ledger import Ledger

    if not Ledger.stands_in(results):
        raise UsageError(f"{results}: expected a results folder. Received: no record of grades.")


def _nobody(student: str, entries: Sequence[Entry]) -> str:
    names = sorted({entry.student_id for entry in entries})
    near = [name for name in names if student.casefold() in name.casefold()]
    told = ", ".join((near or names)[:NAMES_SHOWN])
    return f"{student}: no grade of that student_id is recorded. Received: {told}."


@app.command(group=GRADING)
def history(results: ResultsFolder, student: StudentId, /) -> int:
    """Show everything that was recorded of a student: grades, regrades, what was set by hand."""
    from grader.ledger import Ledger
    from grader.ledger.standing import marks

    _refuse_no_record(results)
    with Ledger.to_read(results) as ledger:
        events, every = ledger.events(), marks(ledger)
    own = [entry for entry in events if entry.student_id == student]
    if not own:
        raise UsageError(_nobody(student, events))
    counting = next(m for m in every if m.entry.student_id == student and m.superseded_by is None)
    for entry in own:
        tell(_event(entry, counting))
    if ledger.unproved is not None:
        say(f"Not proved: sealed with course key {ledger.unproved}, which is not here.")
    return EXIT_GRADED


def _event(entry: Entry, counting: Mark) -> str:
    when = entry.written_at.astimezone().strftime("%Y-%m-%d %H:%M")
    start = f"{entry.seq:>5}  {when}  "
    if entry.kind == "override":
        stands = counting.override is not None and counting.override.seq == entry.seq
        told = f"set by hand to {entry.score:g} by {entry.by_whom}: {entry.why}"
        return f"{start}{told}{'  ← counts' if stands else ''}"
    if entry.kind == "lift":
        return f"{start}what was set by hand was lifted by {entry.by_whom}: {entry.why}"
    graded = entry.status is not None and entry.status.value == "graded"
    verdict = f"{entry.score:g} / {entry.max_score:g}" if graded else f"{entry.status}"
    received = f", received {entry.received_at.isoformat()}" if entry.received_at else ""
    by = f"assignment {(entry.assignment_sha256 or '')[:12]}"
    counts = counting.override is None and counting.entry.seq == entry.seq
    return f"{start}{verdict}  {entry.source}{received}, {by}{'  ← counts' if counts else ''}"
