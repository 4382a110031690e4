"""From a path to a grade, in two halves: `collect_run` has all the effects, `assess` has none.

`collect_run` takes the submission in, runs the sandbox, measures the accuracy, and leaves a run
directory of plain data. `assess` reads such a directory and gives the grade, so a finished run is
graded again (`regrade`) without starting anything.
"""

from __future__ import annotations

import hashlib
import math
import shutil
import traceback
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import grader
from grader import files
from grader.classroom.extensions import load_extensions
from grader.classroom.likeness import likeness
from grader.classroom.progress import Progress, Stage
from grader.course import Course, GradeOptions, open_course
from grader.domain import (
    Grade,
    MeasuredAccuracy,
    Provenance,
    RunStatus,
    Submission,
    SubmissionRef,
)
from grader.engine.gpu import require_device
from grader.errors import Cause, InfrastructureError, StageFailed, SubmissionRejected, UsageError
from grader.graph.evidence import Evidence
from grader.intake import IntakePolicy, Item, Scope, collect, named
from grader.intake.items import SOURCE_LENGTH
from grader.intake.refusal import shown
from grader.ledger import Ledger, load_or_create_key
from grader.ledger.key import key_to_read
from grader.ledger.standing import marked
from grader.report.visibility import for_student, is_after_due, shown_points, shows_structure
from grader.run.assessment import assess, keep_judged, same_questions
from grader.run.directory import results_of, sweep
from grader.run.evaluation import (
    have_evaluation,
    have_note,
    keep_measured,
    measured_beside,
    measured_in,
)
from grader.run.folder import RUN_FILE, RunFolder
from grader.run.provenance import tensorflow_version, version_of
from grader.run.reading import evidence_of
from grader.run.request import traced
from grader.run.writing import write_run, write_submission
from grader.sandbox.contract import Sandbox
from grader.sandbox.memory import give_memory_back
from grader.scoring.accuracy import unanswered
from grader.scoring.grade import NO_ACCURACY, ungraded

# --- the commands --------------------------------------------------------------------------


def grade_items(
    items: Sequence[Item],
    options: GradeOptions,
    on_grade: Callable[[Grade], None],
    progress: Progress | None = None,
) -> list[Grade]:
    """Grade submissions; one bad submission never stops the rest.

    Args:
        items: From `grader.classroom.submissions.find_submissions`.
        options: What the command line asks for.
        on_grade: Called with each grade when it is made.
        progress: Told what is being done with whose submission.

    Returns:
        The grades in the order of the submissions, each with how it stands in the record.

    Raises:
        UsageError: The assignment or an option is wrong.
        InfrastructureError: Nothing can be graded on this machine as asked.
    """
    assignment = options.assignment
    if options.retrain and assignment.evaluation is None:
        raise UsageError(f"--retrain: {NO_ACCURACY}.")
    if options.evaluate and assignment.evaluation is not None and options.engine == "local":
        require_device(options.device, options.backend)
    key = load_or_create_key()
    ledger = Ledger(options.results_dir, key)
    sweep(options.results_dir)
    rules = assignment.file.read_bytes()
    grades = []
    with (
        ledger,
        # A folder that takes no record is known before an hour's work, not after it.
        open_course(
            options, key, by_hand=ledger.received_by_hand(), runs=len(items), progress=progress
        ) as course,
        ThreadPoolExecutor(max_workers=course.lanes) as pool,
    ):
        # In the order of the submissions, so that the ledger of a class is always the same.
        try:
            for grade in pool.map(lambda item: grade_one(item, course), items):
                ledger.write_grade(grade, rules)
                on_grade(grade)
                grades.append(grade)
        except BaseException:
            # An interrupt waits for nothing: what runs is ended, the rest of the class not begun.
            course.sandbox.stop()
            pool.shutdown(wait=False, cancel_futures=True)
            raise
        return marked(grades, ledger)


def check_folder(
    folder: Path,
    options: GradeOptions,
    on_evidence: Callable[[Evidence], None] | None = None,
    room: Sandbox | None = None,
) -> Grade:
    """What can be known on a laptop: everything but hidden probes, accuracy and deadline.

    The grade is the student's: no part of it tells of a check that the rubric keeps from students.

    Args:
        folder: With densenet.py or densenet.ipynb.
        options: assignment_dir, sandbox and only.
        on_evidence: Called with what was read, where there was something to read and no check of it
            is kept from students.
        room: A sandbox that is open already; closed in the end.
    """
    with checking(options, room) as checker:
        return checker.check(folder, on_evidence)


@contextmanager
def checking(
    options: GradeOptions, room: Sandbox | None = None, within_s: float | None = None
) -> Iterator[Checker]:
    """Check folders as `check_folder` does, with a sandbox that stays warm in between.

    Args:
        options: assignment_dir and sandbox.
        room: A sandbox that is open already; closed in the end.
        within_s: Time for the student's program; None: what the assignment allows.
    """
    with files.scratch("check") as scratch:
        own = GradeOptions(
            options.assignment_dir,
            results_dir=scratch,
            evaluate=False,
            sandbox=options.sandbox,
            only=options.only,
        )
        with open_course(own, None, runs=CHECKS_TO_COME, room=room) as course:
            # It imports its libraries while the folder is read.
            course.sandbox.prepare("trace")
            yield Checker(_hurried(course, within_s), scratch)


def _hurried(course: Course, within_s: float | None) -> Course:
    """A course whose student waits for the answer."""
    assignment = course.assignment
    if within_s is None or within_s >= assignment.limits.wall_time_s:
        return course
    limits = assignment.limits.model_copy(update={"wall_time_s": within_s})
    return replace(course, assignment=assignment.model_copy(update={"limits": limits}))


def _alone(grade: Grade, name: str) -> Grade:
    """A grade with one check, and with what that follows from where it did not pass."""
    root = next((check.follows_from for check in grade.checks if check.name == name), None)
    kept = tuple(check for check in grade.checks if check.name in (name, root))
    earned = math.fsum(check.score for check in kept)
    most = math.fsum(check.max_score for check in kept)
    return grade.model_copy(update={"checks": kept, "score": earned, "max_score": most})


CHECKS_TO_COME = 2
"""More than one: the sandbox is kept warm."""
KEPT_RUNS = 20
"""Of a checker; a student who undoes a change is answered from its run."""


class Checker:
    """Checks folders; safe for one thread, and `interrupt` for any.

    Args:
        course: Opened without a key.
        scratch: Its results folder.
    """

    def __init__(self, course: Course, scratch: Path) -> None:
        self._course, self._scratch = course, scratch

    def check(self, folder: Path, on_evidence: Callable[[Evidence], None] | None = None) -> Grade:
        """The grade of a folder as its student may see it; see `check_folder`."""
        course = self._course
        rubric, after_due = course.assignment.rubric, is_after_due(course.assignment)
        grade = grade_one(folder, course)
        if on_evidence is not None and shows_structure(rubric, after_due):
            for run_file in self._scratch.rglob(RUN_FILE):
                on_evidence(evidence_of(RunFolder(run_file.parent, course.seal)))
        # Of a submission that cannot be checked, the maximum alone could tell of unseen checks.
        most = {} if grade.checks else {"max_score": shown_points(rubric, after_due)}
        seen = for_student(grade, after_due).model_copy(update=most)
        only = course.options.only
        return seen if only is None else _alone(seen, only)

    def interrupt(self) -> None:
        """End the check that runs: its grade is then withheld. The next one runs."""
        self._course.sandbox.interrupt()

    def stop(self) -> None:
        """End the check that runs, for good."""
        self._course.sandbox.stop()

    def forget(self) -> None:
        """Keep the newest runs that ended well; what others gave may not come again."""
        runs = [file.parent for file in self._scratch.rglob(RUN_FILE)]
        runs.sort(key=lambda run: (run / RUN_FILE).stat().st_mtime_ns, reverse=True)
        seal = self._course.seal
        kept = [r for r in runs if RunFolder(r, seal).record.run.status is RunStatus.DONE]
        for run in set(runs) - set(kept[:KEPT_RUNS]):
            shutil.rmtree(run, ignore_errors=True)


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
    assignment = options.assignment
    if not (run_dir / RUN_FILE).is_file():
        raise UsageError(f"{run_dir}: expected a run directory with {RUN_FILE}.")
    assignment.require_key()
    run = RunFolder(run_dir, load_or_create_key())
    ledger = _ledger_of(run)
    if options.record and ledger is None:
        raise UsageError(f"--record: expected a run directory of a results folder, not {run_dir}.")
    measured: MeasuredAccuracy = run.evaluation() or MeasuredAccuracy()
    same_questions(run, assignment, measured)
    if options.evaluate:
        measured = _measured_again(run, options)
    why_not = unanswered(assignment, measured)
    if why_not is not None:
        raise UsageError(f"{run_dir}: {why_not}. Measure it again: --evaluate.")
    received = options.submitted_at
    if received is None and ledger is not None:
        submission = run.submission()
        known = ledger.received_by_hand()
        received = known.get((submission.student, submission.sha256))
    extensions = load_extensions(assignment)
    grade = assess(run, assignment, extensions, measured=measured, received_at=received)
    if options.record and ledger is not None:
        ledger.write_grade(grade, assignment.file.read_bytes())
    return grade


def _measured_again(run: RunFolder, options: GradeOptions) -> MeasuredAccuracy:
    """Measure a finished run anew; kept in its directory only where the grade is to count."""
    if options.assignment.evaluation is None:
        raise UsageError(f"--evaluate: {NO_ACCURACY}.")
    measure = keep_measured if options.record else measured_beside
    return measure(run, options.assignment, options.instruments)


def evaluate_run(run_dir: Path, options: GradeOptions) -> MeasuredAccuracy:
    """Measure the accuracy of a finished run, unless it is measured so already.

    No student code runs. What is measured stays in the run directory. No grade is made.

    Args:
        run_dir: A run directory.
        options: assignment_dir, and what it is measured with.

    Raises:
        UsageError: It is no run directory, was asked something else than the assignment asks, or
            the assignment asks for no accuracy.
        InfrastructureError: The run is not what was written, or the device is not there.
    """
    assignment = options.assignment
    if assignment.evaluation is None:
        raise UsageError(f"evaluate: {NO_ACCURACY}.")
    if not (run_dir / RUN_FILE).is_file():
        raise UsageError(f"{run_dir}: expected a run directory with {RUN_FILE}.")
    require_device(options.device, options.backend)
    run = RunFolder(run_dir, load_or_create_key())
    same_questions(run, assignment, run.evaluation() or MeasuredAccuracy())
    have_evaluation(run, assignment, options.instruments, measured_in)
    return run.evaluation() or MeasuredAccuracy()


def recorded(run_dir: Path) -> Grade:
    """The grade that was recorded last of a run.

    Args:
        run_dir: A run directory of a results folder.

    Raises:
        UsageError: None was.
        InfrastructureError: The record does not hold together.
    """
    run = RunFolder(run_dir, key_to_read())
    results = results_of(run_dir)
    known = results is not None and Ledger.stands_in(results)
    ledger = Ledger.to_read(results) if results and known else None
    grade = ledger.grade_of_run(run.name) if ledger is not None else None
    if ledger is None or grade is None:
        raise UsageError(
            f"{run_dir}: no grade of this run is recorded. "
            "`grade regrade` shows what it would be by an assignment."
        )
    return marked([grade], ledger)[0]


def _ledger_of(run: RunFolder) -> Ledger | None:
    """The record of grades of the results folder that a run lies in; None where there is none."""
    results = results_of(run.path)
    if results is None or not Ledger.stands_in(results):
        return None
    return Ledger(results, run.key)


# --- one submission ------------------------------------------------------------------------


def grade_one(what: Item | Path, course: Course) -> Grade:
    """Grade one submission; whatever happens to it becomes a grade.

    Args:
        what: The submission that was found, or the path of a zip or folder.
        course: Assignment, key, sandbox.
    """
    item = _item(what, course)
    grade = _graded(item, course)
    give_memory_back()
    course.progress.finished(grade.status)
    return grade


def _graded(item: Item, course: Course) -> Grade:
    try:
        run = collect_run(item, course)
        with course.progress.stage(item.identity.student_id, Stage.JUDGING):
            keep_judged(run, course.assignment)
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
    item = _item(what, course)
    who = item.identity.student_id
    with course.reading, course.progress.stage(who, Stage.READING):
        run = _read(item, course)
    with course.progress.stage(who, Stage.MEASURING):
        _have_accuracy(run, course)
    return run


def _read(item: Item, course: Course) -> RunFolder:
    """Unpack a submission and ask its program, unless a run of the same questions is there."""
    assignment = course.assignment
    policy = IntakePolicy.of(assignment)
    scope = Scope.HANDED_IN if course.key is not None else Scope.CODE
    with files.scratch("intake") as scratch:
        tree = scratch / "submission"
        submission = collect(item, tree, policy=policy, scope=scope)
        submission = course.received(submission)
        asked = course.asks(submission)
        place = asked.directory(course.options.results_dir, course.sandbox.isolation)
        run = RunFolder(place, course.seal, place.name)
        if not run.is_complete:
            result = traced(course.sandbox, tree, asked.for_sandbox, assignment.limits)
            write_run(run, result, asked)
        run.handed_in = _with_likeness(submission, tree, run, course)
        write_submission(run, run.handed_in, tree)
    return run


def _with_likeness(
    submission: Submission, tree: Path, run: RunFolder, course: Course
) -> Submission:
    """What a submission's record says of its likeness to others; a student's own says nothing."""
    assignment = course.assignment
    if course.key is None or assignment.probes is None:
        return submission
    weights = run.binary_frames().get("weights", b"")
    own = course.options.reference
    alike = likeness(submission, tree, assignment.module, weights, own=own)
    return submission.model_copy(update=alike)


def _have_accuracy(run: RunFolder, course: Course) -> None:
    """Have an accuracy in the run directory, or why there is none."""
    assignment, options = course.assignment, course.options
    if assignment.evaluation is None:
        have_note(run, NO_ACCURACY)
    elif options.evaluate:
        have_evaluation(run, assignment, options.instruments, course.measure)
    elif course.key is None:
        have_note(run, "accuracy is measured when the submission is graded")
    else:
        have_note(run, "the evaluation was switched off (--no-evaluation)")


# --- what became no run --------------------------------------------------------------------


def _ungraded(error: SubmissionRejected | InfrastructureError, item: Item, course: Course) -> Grade:
    assignment, options = course.assignment, course.options
    identity = item.identity
    student = identity.person or identity.student_id
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
            title=assignment.title,
            tensorflow=tensorflow_version(),
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
    with course.lock:
        folder = course.options.results_dir
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / "grader-errors.log").open("a", encoding="utf-8") as log:
            log.write(f"--- {path.name!r}\n{''.join(traceback.format_exception(error))}\n")


__all__ = [
    "assess",
    "check_folder",
    "collect_run",
    "evaluate_run",
    "grade_items",
    "grade_one",
    "recorded",
    "regrade",
]
