"""Gradescope: a zip with setup.sh, which is run once, and run_autograder, for each submission.

Source: Gradescope's autograder specifications, "Technical details" and "Submission metadata".
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from grader import files
from grader.assignment import Assignment
from grader.bundle.parts import put, put_course, put_grader, render, write_zip
from grader.bundle.platform import Order, Platform, exit_status, handed_in
from grader.domain import Grade
from grader.errors import UsageError
from grader.export.gradescope import write_gradescope
from grader.intake import Item
from grader.intake.names import Identity, safe_id

BUNDLE = "autograder.zip"
METADATA = "submission_metadata.json"
RESULTS = "results/results.json"


def write(order: Order, folder: Path) -> list[str]:
    """Write the autograder's zip."""
    with files.scratch("gradescope") as parts:
        name = "run_autograder"
        put(parts, {name: render(f"gradescope/{name}", order)}, runnable=(name,))
        put_grader(order, parts, source="/autograder/source", home="/autograder")
        put_course(order.assignment, parts / "assignment")
        write_zip(parts, folder / BUNDLE)
    return [
        f"Upload {folder / BUNDLE} under Configure Autograder, as a zip file.",
        "Choose Ubuntu 22.04 or newer, and a container with 4 GB of memory or more.",
    ]


def received(root: Path) -> Item:
    """The submission, with the student and the time that Gradescope tells.

    Raises:
        UsageError: Its metadata are not there or not what Gradescope writes.
    """
    file = root / METADATA
    try:
        metadata: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        moment = datetime.fromisoformat(metadata["created_at"])
        people = [[str(user[key]) for key in ("email", "id", "name")] for user in metadata["users"]]
        (student, *others), *rest = people
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise UsageError(f"{file}: expected what Gradescope says of a submission.") from error
    if moment.tzinfo is None:
        raise UsageError(f"{file}: created_at: expected a time with its offset.")
    known = [*others, *(name for person in rest for name in person)]
    identity = Identity(
        safe_id(student),
        "gradescope",
        received_at=moment.astimezone(UTC),
        received_from="lms",
        known_as=tuple(safe_id(name) for name in known),
    )
    return handed_in(root / "submission", identity)


def answer(grade: Grade, root: Path, _: Assignment) -> int:
    """Write results.json. Without a score, Gradescope shows that the autograder failed."""
    write_gradescope(grade, root / RESULTS)
    return exit_status(grade)


PLATFORM = Platform(Path("/autograder"), write, received, answer)
