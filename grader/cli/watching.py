"""`grade check --watch`: the loop around the watch, and how it ends."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from grader.cli.screen import out, tell
from grader.errors import EXIT_GRADED

if TYPE_CHECKING:
    from rich.console import RenderableType

    from grader.course import GradeOptions
    from grader.domain import Grade
    from grader.sandbox.contract import Sandbox

WITHIN_S = 60.0
"""For the student's program in each check: an endless loop is told after a fifth of it, computed.
A whole check of a network as deep as the paper's takes a few seconds."""
END_S = 10.0
"""For what runs to end, after Ctrl-C."""


def watch_folder(folder: Path, options: GradeOptions, room: Sandbox, *, everything: bool) -> int:
    """Check a folder after each save, until Ctrl-C.

    Args:
        folder: With the module or the notebook.
        options: assignment_dir.
        room: Where the code runs; closed in the end.
        everything: Show all that was found, not only the first cause.

    Returns:
        0: Ctrl-C is how it ends.
    """
    from grader.intake import IntakePolicy
    from grader.pipeline import checking
    from grader.report.terminal import render
    from grader.student.looking import Look
    from grader.student.watch import LOOK_S, Watch
    from grader.student.watching import WatchScreen

    assignment = options.assignment
    look = Look(folder, IntakePolicy.of(assignment))

    def shown(grade: Grade) -> RenderableType:
        return render(grade, assignment, checking=True, everything=everything)

    with checking(options, room, WITHIN_S) as checker, WatchScreen(out(), folder, shown) as screen:

        def check() -> Grade:
            checker.forget()
            return checker.check(folder)

        watch = Watch(look.state, look.said, check, checker.interrupt, screen)
        try:
            with _ended_in_order():
                while True:
                    watch.step()
                    time.sleep(LOOK_S)
        except KeyboardInterrupt:
            pass
        finally:
            checker.stop()
            if watch.job is not None:
                watch.job.wait(END_S)
    if watch.seen is not None and watch.seen.grade is not None:
        out().print(render(watch.seen.grade, assignment, quiet=True, checking=True), crop=False)
    if watch.is_behind:
        tell("What was saved last was not checked to its end: grade check does.")
    tell("The watch has ended.")
    return EXIT_GRADED


@contextmanager
def _ended_in_order() -> Iterator[None]:
    """A terminal that is closed, and a `kill`, end it as Ctrl-C does: the screen is put back."""

    def end(*_: object) -> None:
        raise KeyboardInterrupt

    names = ("SIGTERM",) if sys.platform == "win32" else ("SIGTERM", "SIGHUP")
    before = {name: signal.signal(getattr(signal, name), end) for name in names}
    try:
        yield
    finally:
        for name, handler in before.items():
            signal.signal(getattr(signal, name), handler)
