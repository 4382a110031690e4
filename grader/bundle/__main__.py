"""What the scripts of a platform call: python3 -I -m grader.bundle PLATFORM ASSIGNMENT."""

from __future__ import annotations

import argparse
import sys
import tempfile
import traceback
from collections.abc import Sequence
from contextlib import ExitStack
from os import environ
from pathlib import Path

from grader.assignment import load_assignment
from grader.bundle.platforms import PLATFORMS
from grader.bundle.serving import grade_here
from grader.course import KNOWN_CHECKS
from grader.errors import GraderError
from grader.ledger.key import ENVIRONMENT


def main(words: Sequence[str], root: Path | None = None) -> int:
    """Grade the submission that a platform laid out.

    Args:
        words: What follows the module's name.
        root: Where the platform laid it out, if not where it always does.

    Returns:
        The exit status that the platform wants. Where the machine or the bundle is at fault,
        nothing is left that the platform takes for points.
    """
    parser = argparse.ArgumentParser(prog="grader.bundle")
    parser.add_argument("platform", choices=sorted(PLATFORMS))
    parser.add_argument("assignment", type=Path)
    parser.add_argument("--evaluation", action="store_true")
    asked = parser.parse_args(words)
    platform = PLATFORMS[asked.platform]
    where = root or platform.root
    with ExitStack() as stack:
        if ENVIRONMENT not in environ:
            # A container that lives for one submission: a key made here is never seen by any.
            place = stack.enter_context(tempfile.TemporaryDirectory())
            environ[ENVIRONMENT] = str(Path(place) / "course.key")
            stack.callback(environ.pop, ENVIRONMENT)
        try:
            item = platform.received(where)
            assignment = load_assignment(asked.assignment, KNOWN_CHECKS)
            grade = grade_here(item, asked.assignment, evaluate=asked.evaluation)
            # Before the answer: on Autolab the last line of all is the answer.
            print(f"isolation: {grade.isolation or 'nothing was run'}", file=sys.stderr, flush=True)
            return platform.answer(grade, where, assignment)
        except GraderError as error:
            print(f"{error}\n{getattr(error, 'help', '')}".strip(), file=sys.stderr)
        except Exception as error:  # a bug of ours is no student's either
            traceback.print_exception(error)
        return platform.failed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
