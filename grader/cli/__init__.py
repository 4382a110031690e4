"""The command line: words to calls, errors to exit statuses, and nothing else.

Results go to standard output, progress and errors to standard error. No room that needs
TensorFlow, Keras, OpenCV or Docker is imported before a command asks for it.

    0    graded, whatever the score; of `check`: every check passed
    1    a submission was rejected: there was nothing to grade; or a check of `check` failed; or
         what `verify` read was changed; or what `compare` compared is not the same
    2    the command line or assignment.toml is wrong
    3    the grader or its machine failed; nothing was turned into points
    130  interrupted
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Sequence
from contextlib import nullcontext

from cyclopts import CycloptsError, UnusedCliTokensError

from grader.cli import bundles, commands, course, evaluation, recorded, records, students
from grader.cli.options import app
from grader.cli.options import commands as commands_of
from grader.cli.screen import EXIT_INTERRUPTED, interruptible, say
from grader.errors import EXIT_GRADED, EXIT_INFRASTRUCTURE, EXIT_USAGE, GraderError

__all__ = [
    "app",
    "bundles",
    "commands",
    "course",
    "evaluation",
    "main",
    "recorded",
    "records",
    "run",
    "students",
]

DEBUG = "--debug"
PATIENT = (["train"],)
"""Answers Ctrl-C itself: what was trained so far is written first."""


def run(words: Sequence[str]) -> int:
    """One command line to its end.

    Args:
        words: What follows the program's name.

    Returns:
        The exit status. Every error becomes one, with one line on standard error.
    """
    debug = DEBUG in words
    words = [word for word in words if word != DEBUG]
    try:
        with nullcontext() if words[:1] in PATIENT else interruptible():
            status = app(words, exit_on_error=False, print_error=False)
            sys.stdout.flush()
    except CycloptsError as error:
        say(f"grade: {_usage(error)}\nSee grade {_command(words)}--help.")
        return EXIT_USAGE
    except GraderError as error:
        _explain(error, debug)
        return error.exit_status
    except KeyboardInterrupt:
        say("Interrupted. What was finished is kept; the same command goes on from there.")
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        # The reader went away (`grade … | head`). Python would complain once more at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_INFRASTRUCTURE
    except Exception as error:  # a bug of ours: one line for the user, never points for a student
        _explain(error, debug)
        if not debug:
            say("This is an error of the grader. --debug shows where it happened.")
        return EXIT_INFRASTRUCTURE
    return status if isinstance(status, int) else EXIT_GRADED


def _usage(error: CycloptsError) -> str:
    """What is wrong with a command line."""
    if isinstance(error, UnusedCliTokensError) and error.unused_tokens:
        return f"{' '.join(error.unused_tokens)}: nothing more was expected here."
    return str(error)


def _command(words: Sequence[str]) -> str:
    """The command that a line begins with, followed by a space; nothing where it is none."""
    return f"{words[0]} " if words and words[0] in commands_of() else ""


def _explain(error: Exception, debug: bool) -> None:
    if debug:
        traceback.print_exception(error)
    lines = [f"grade: {error or type(error).__name__}"]
    help = getattr(error, "help", "")
    if help:
        lines.append(help)
    say("\n".join(lines))


def main() -> None:
    """The console script `grade`."""
    from grader.report.plain import show_every_character

    show_every_character(sys.stdout, sys.stderr)
    sys.exit(run(sys.argv[1:]))
