"""Classroom 50: autograder.py with what lies beside it, and the runtime that it needs.

Source: Classroom 50's wiki, "Advanced autograding": it is run in the student's checkout and leaves
result.json there; an exit status that is not 0 is the machine's failure.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from os import environ
from pathlib import Path
from typing import Any

from grader.assignment import Assignment
from grader.bundle.parts import put, put_course, put_grader, put_image, render
from grader.bundle.platform import MODULE, Order, Platform, exit_status, shown
from grader.domain import Grade, GradeStatus
from grader.errors import EXIT_GRADED, UsageError
from grader.export.files import write_out
from grader.export.platforms import to_classroom50
from grader.intake import Item
from grader.intake.names import Identity, safe_id
from grader.report.feedback import summary_lines

AUTOGRADER = "autograder"
RESULT = "result.json"
OURS = (RESULT, "release-body.md")
"""Files of the checkout that the runner publishes."""
LINKS = {
    "submission": "SUBMISSION_TAG",
    "commit": "COMMIT_URL",
    "release": "RELEASE_URL",
    "review": "REVIEW_URL",
}
_TAG = re.compile(r"submit/(\d{4}-\d\d-\d\d)T(\d\d)-(\d\d)-(\d\d)Z-\w+", re.ASCII)


def write(order: Order, folder: Path) -> list[str]:
    """Write the autograder's folder and the runtime block."""
    home = folder / AUTOGRADER
    words = repr([*MODULE.split()[1:], "classroom50", *order.options.split()])
    text = render("classroom50/autograder.py.in", order, words=words)
    put(home, {"autograder.py": text})
    put_course(order.assignment, home / "assignment")
    steps: list[str] = []
    runtime: dict[str, Any] = {"runs-on": "ubuntu-latest"}
    if order.image is None:
        put_grader(order, home, source='"$1"', home="$1")
        runtime["python"] = "3.13"
    else:
        runtime["container"] = {"image": order.image, "user": "root"}
        steps = put_image(order, folder, order.image)
    put(folder, {"runtime.json": json.dumps(runtime, indent=2) + "\n"})
    return [
        *steps,
        f"Copy what {home} holds to CLASSROOM/autograders/ASSIGNMENT/ of your classroom50.",
        f"Name the runtime: gh teacher assignment add … --runtime {folder / 'runtime.json'}",
    ]


def received(root: Path) -> Item:
    """The checkout, with the owner and the time of the push.

    A commit's own time is the student's to choose; those that GitHub's machines wrote are not.

    Raises:
        UsageError: The runner's environment is not what Classroom 50 sets.
    """
    for name in OURS:  # a student's own must not be published as ours
        with suppress(FileNotFoundError):
            (root / name).unlink()
    owner = environ.get("USERNAME") or environ.get("OWNER")
    tag = environ.get("SUBMISSION_TAG", "")
    if not owner or not (found := _TAG.fullmatch(tag)):
        raise UsageError(
            "expected USERNAME and SUBMISSION_TAG, as Classroom 50's runner sets them."
        )
    day, hour, minute, second = found.groups()
    tagged = datetime.fromisoformat(f"{day}T{hour}:{minute}:{second}+00:00")
    pushed = _pushed_at(environ)
    moment = tagged if pushed is None else min(tagged, pushed)
    identity = Identity(safe_id(owner), "github", received_at=moment, received_from="lms")
    return Item(root, identity, safe_id(owner))


def _pushed_at(environment: Mapping[str, str]) -> datetime | None:
    """When GitHub received the push that this run is for; a run for another reason has none."""
    if environment.get("GITHUB_EVENT_NAME") != "push":
        return None
    try:
        event = json.loads(Path(environment["GITHUB_EVENT_PATH"]).read_text("utf-8"))
        return datetime.fromtimestamp(event["repository"]["pushed_at"], UTC)
    except (OSError, ValueError, LookupError, TypeError, OverflowError):
        return None


def answer(grade: Grade, root: Path, _: Assignment) -> int:
    """Write result.json, where there is something to say."""
    status = exit_status(grade)
    if status == EXIT_GRADED:
        links = {key: environ.get(name, "") for key, name in LINKS.items()}
        links["review"] = links["review"] or links["commit"]
        result = to_classroom50(
            shown(grade), environ.get("CLASSROOM", ""), environ.get("ASSIGNMENT", ""), links
        )
        if grade.status is GradeStatus.REJECTED:
            # Without a test, the runner says that there is no autograder.
            result["tests"] = [_handed_in(grade, result["max-score"])]
        result["graded_at"] = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
        write_out(root / RESULT, json.dumps(result, ensure_ascii=False).encode("utf-8"))
    return status


def _handed_in(grade: Grade, most: int) -> dict[str, Any]:
    """The one test of what could not be graded: that it can be."""
    reason = "\n".join(summary_lines(grade))
    return {
        "test-name": "submission",
        "passed": False,
        "score": 0,
        "max-score": most,
        "message": reason,
    }


PLATFORM = Platform(Path(), write, received, answer)
