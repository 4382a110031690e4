"""What the commands print, and how what they were told becomes options and exit statuses."""

from __future__ import annotations

import contextlib
import difflib
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.live import Live

from grader.cli.options import RESULTS, commands
from grader.errors import EXIT_GRADED, EXIT_REJECTED, UsageError

if TYPE_CHECKING:
    from grader.assignment import Assignment
    from grader.assignment.units import Unit
    from grader.classroom.progress import Progress
    from grader.course import GradeOptions
    from grader.domain import Grade
    from grader.export.nbgrader import Written
    from grader.intake.roster import Roster

EXIT_INTERRUPTED = 130
INTERRUPTED = b"\nInterrupted: ending what runs. Ctrl-C again ends it now; nothing is lost.\n"
GRACE_S = 5.0
"""For what runs to end in order, after Ctrl-C."""
LONGEST_LINE = 1000
"""Characters of one line of a message."""
FETCH_TIMEOUT_S = 30.0
"""Without a byte for so long, a download has failed."""


def out() -> Console:
    """Standard output."""
    return Console()


def options_from(
    *,
    assignment: Path | None = None,
    results: Path = RESULTS,
    submitted_at: str | None = None,
    **rest: Any,
) -> GradeOptions:
    """What the command line asks for; the rest goes as it stands.

    Raises:
        UsageError: The time of receipt cannot be read.
    """
    from grader.course import GradeOptions
    from grader.resources import assignment_dir

    options = GradeOptions(assignment or assignment_dir(), results, **rest)
    if submitted_at is None:
        return options
    return replace(options, submitted_at=_received(submitted_at, options.assignment))


def unit_of(folder: Path) -> Unit:
    """The unit that a student works on in a folder; said, where it is not the DenseNet."""
    from grader.assignment.units import densenet, unit_in

    unit = unit_in(folder)
    if unit != densenet():
        say(f"Unit {unit.topic}: {unit.title}")
    return unit


def workers(jobs: int | None) -> int:
    """How many at the same time; one for each core where nothing is said."""
    if jobs is None:
        return os.cpu_count() or 1
    if jobs < 1:
        raise UsageError(f"--jobs: expected 1 or more. Received: {jobs}")
    return jobs


def _received(written: str, assignment: Assignment) -> datetime:
    """--submitted-at as an instant; without an offset, in the assignment's zone, and said so."""
    from grader.assignment import aware_time

    zone = assignment.deadline.zone_info
    try:
        moment = aware_time(written, zone)
    except ValueError as error:
        raise UsageError(f"--submitted-at: {error}") from error
    if not _has_offset(written):
        say(f"--submitted-at has no offset: taken as {moment.isoformat()} ({zone.key}).")
    return moment


def _has_offset(written: str) -> bool:
    return datetime.fromisoformat(written.strip()).tzinfo is not None


def shown(
    options: GradeOptions, quiet: bool, several: bool = False, **how: Any
) -> Callable[[Grade], None]:
    """How a grade is shown when it is made.

    One grade is a report. Of several, each is a line of progress, and their table is the result;
    with --quiet the lines are the result.
    """
    from grader.report.terminal import render

    assignment = options.assignment
    console = Console(stderr=True) if several and not quiet else out()
    # Each view fits itself to a screen; a line in a pipe is whole.
    return lambda grade: console.print(
        render(grade, assignment, quiet=quiet or several, **how), crop=False
    )


@contextmanager
def interruptible() -> Iterator[None]:
    """Ctrl-C is answered at once and ends this process within `GRACE_S`; a second one, now.

    What runs has that long to end in order. Whoever is ended in the midst loses nothing: the
    record of grades and the run directories are whole at every moment.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    last = threading.Timer(GRACE_S, os._exit, [EXIT_INTERRUPTED])
    last.daemon = True

    def answer(*_: object) -> None:
        signal.signal(signal.SIGINT, lambda *_: os._exit(EXIT_INTERRUPTED))
        last.start()
        with contextlib.suppress(OSError):
            os.write(2, INTERRUPTED)
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, answer)
    try:
        yield
    finally:
        last.cancel()
        signal.signal(signal.SIGINT, before)


def unseen(grade: Grade) -> None:
    """Show nothing now: the grade is shown when its file is written, or nobody reads any more."""


class Working:
    """What moves on standard error while work goes on; it steps aside for each grade.

    Args:
        verb: What is being done.
        show: Shows a finished grade.
        progress: Of a class, which has a board; None for one submission, which has a line.
    """

    def __init__(
        self, verb: str, show: Callable[[Grade], None], progress: Progress | None = None
    ) -> None:
        self.show = show
        self.left = progress.total if progress is not None else 1
        self.status = Console(stderr=True).status(verb) if progress is None else _board(progress)

    def __enter__(self) -> Callable[[Grade], None]:
        self.status.start()
        return self._one_done

    def __exit__(self, *_: object) -> None:
        self.status.stop()

    def _one_done(self, grade: Grade) -> None:
        self.status.stop()
        try:
            self.show(grade)
        except (BrokenPipeError, SystemExit):  # Rich ends a program whose reader went away
            self.show = unseen
        self.left -= 1
        if self.left:
            self.status.start()


def _board(progress: Progress) -> Live:
    from grader.cli.board import Board

    return Board(progress).live()


def write_grades(grades: Sequence[Grade], file: Path | None, roster: Roster | None = None) -> None:
    """--json, where it was asked for."""
    if file is not None:
        from grader.export.json import write_json

        write_json(grades, file, roster)
        say(f"{len(grades)} grades in {file}" if len(grades) != 1 else f"The grade is in {file}")


def told_of_gradebook(written: Written) -> None:
    """What became of the grades in nbgrader's gradebook."""
    for notice in written.notices:
        say(notice)
    say(f"gradebook: {len(written.scored)} students have their score there")
    for name, why in written.open:
        say(f"gradebook: {name} needs a person: {why}")


def status_of(grades: Iterable[Grade]) -> int:
    """The exit status that grades end in."""
    from grader.scoring.grade import exit_status

    return exit_status(grades)


def status_of_checks(grade: Grade) -> int:
    """The exit status of `check`, where the grade alone would end in 0."""
    from grader.domain import Outcome

    failed = any(check.outcome is Outcome.FAILED for check in grade.checks)
    return EXIT_REJECTED if failed else EXIT_GRADED


def refuse_mistyped(word: str) -> None:
    """Say which command was meant by a word that would be taken for a submission.

    Raises:
        UsageError: There is no file of that name, and a command of nearly that name.
    """
    if os.path.lexists(word) or not word.isalpha():
        return
    near = difflib.get_close_matches(word.lower(), commands(), n=1, cutoff=0.7)
    if near:
        raise UsageError(
            f"{word}: there is no such command, and no such file. Did you mean grade {near[0]}?"
        )


def end_silent_downloads() -> None:
    """Keras waits for ever for a server that does not answer."""
    import socket

    socket.setdefaulttimeout(FETCH_TIMEOUT_S)


def tell(message: str) -> None:
    """A result, on standard output."""
    _print(out(), message)


def say(message: str) -> None:
    """Progress and errors, on standard error."""
    _print(Console(stderr=True), message)


def _print(console: Console, message: str) -> None:
    """Lines that may quote a student's file name; broken between words on a terminal alone."""
    from grader.report.text import safe_text

    for line in message.split("\n"):
        console.print(safe_text(line, limit=LONGEST_LINE), soft_wrap=not console.is_terminal)
