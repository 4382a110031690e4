"""PrairieLearn: the folder of an externally graded question, which runs in the grader's image.

Source: PrairieLearn's documentation, "External grading", and its grader-host and
externalGraderCommon.js: the entry point replaces the image's; a job with another exit status than
0, or without results.json, is a 0. So what is no grade has to be said as "not gradable", which
costs neither points nor an attempt.
"""

from __future__ import annotations

import json
import uuid
from pathlib import Path
from typing import Any

from grader.assignment import Assignment
from grader.bundle.parts import put, put_course, put_image, render
from grader.bundle.platform import Order, Platform, exit_status, handed_in, in_time, shown
from grader.domain import Grade
from grader.errors import EXIT_GRADED
from grader.export.files import write_out
from grader.export.platforms import to_prairielearn
from grader.intake import Item
from grader.intake.kinds import ARCHIVE
from grader.report.feedback import summary_lines

QUESTION = "question"
RESULTS = "results/results.json"
FAILED = "The grader or its machine failed, and nothing was graded. Tell the course's staff."
TIMEOUT_S = 600
"""The most that PrairieLearn gives."""


def write(order: Order, folder: Path) -> list[str]:
    """Write the question's folder, and the recipe of the image that it names."""
    image = order.needs_image("prairielearn")
    question = folder / QUESTION
    texts = {
        "info.json": json.dumps(_info(order, image), ensure_ascii=False, indent=2) + "\n",
        "question.html": render("prairielearn/question.html", order, archive=ARCHIVE),
        "tests/run.sh": render("prairielearn/run.sh", order),
    }
    put(question, texts, runnable=("tests/run.sh",))
    put_course(order.assignment, question / "tests/assignment")
    return [
        *put_image(order, folder, image),
        f"Copy {question} into the course's questions/ under a name of its own, and sync.",
    ]


def _info(order: Order, image: str) -> dict[str, Any]:
    title = order.assignment.title
    return {
        # The same assignment is the same question, however often it is bundled.
        "uuid": str(uuid.uuid5(uuid.NAMESPACE_URL, f"densenet-grader:{title}")),
        "title": title,
        "topic": "Deep learning",
        "tags": ["autograded"],
        "type": "v3",
        "singleVariant": True,
        "gradingMethod": "External",
        "externalGradingOptions": {
            "enabled": True,
            "image": image,
            "entrypoint": "/grade/tests/run.sh",
            "timeout": TIMEOUT_S,
            "enableNetworking": False,
        },
    }


def received(root: Path) -> Item:
    """The submission. PrairieLearn tells neither whose it is nor when it came, and keeps both.

    From here on there is a result: whatever ends the grading, nobody gets a 0 for it.
    """
    _write(_not_gradable(FAILED), root)
    return handed_in(root / "student", in_time("student"))


def answer(grade: Grade, root: Path, _: Assignment) -> int:
    """Write results.json."""
    seen = shown(grade)
    decided = exit_status(grade) == EXIT_GRADED
    why = " ".join(summary_lines(seen))
    _write(to_prairielearn(seen) if decided else _not_gradable(why), root)
    return EXIT_GRADED


def _not_gradable(why: str) -> dict[str, Any]:
    return {"gradable": False, "score": 0.0, "message": why, "format_errors": [why]}


def _write(result: dict[str, Any], root: Path) -> None:
    text = json.dumps(result, ensure_ascii=False, allow_nan=False)
    write_out(root / RESULTS, text.encode("utf-8"))


PLATFORM = Platform(Path("/grade"), write, received, answer, failed=EXIT_GRADED)
