"""PrairieLearn: the folder of an externally graded question, which runs in the grader's image.

Source: PrairieLearn's documentation, "External grading", and its grader-host: the entry point
replaces the image's, and a job that leaves no results.json has failed and costs no attempt.
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

QUESTION = "question"
RESULTS = "results/results.json"
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
    """The submission. PrairieLearn tells neither whose it is nor when it came, and keeps both."""
    return handed_in(root / "student", in_time("student"))


def answer(grade: Grade, root: Path, _: Assignment) -> int:
    """Write results.json, where there is something to say."""
    status = exit_status(grade)
    if status == EXIT_GRADED:
        text = json.dumps(to_prairielearn(shown(grade)), ensure_ascii=False, allow_nan=False)
        write_out(root / RESULTS, text.encode("utf-8"))
    return status


PLATFORM = Platform(Path("/grade"), write, received, answer)
