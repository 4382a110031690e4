"""Codabench: a competition bundle, with a scoring program that runs in the grader's image.

Source: Codabench's documentation, "Competition bundle structure" and "YAML structure", and its
compute_worker.py: a result is what stands in scores.json; without that file the run has failed.
"""

from __future__ import annotations

import html
import json
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

from grader import files
from grader.assignment import Assignment
from grader.bundle.parts import TEMPLATES, put, put_course, put_image, render, write_zip
from grader.bundle.platform import Order, Platform, exit_status, handed_in, in_time, shown
from grader.domain import Grade
from grader.errors import EXIT_GRADED
from grader.export.files import write_out
from grader.intake import Item
from grader.report.feedback import student_lines
from grader.scoring import describe_policy

BUNDLE = "competition.zip"
SCORES, DETAILS = "output/scores.json", "output/detailed_results.html"
_WHEN = "%Y-%m-%d %H:%M:%S"


def write(order: Order, folder: Path) -> list[str]:
    """Write the competition's zip, and the recipe of the image that it names."""
    image = order.needs_image("codabench")
    with files.scratch("codabench") as parts:
        put(parts, _texts(order, image))
        shutil.copyfile(TEMPLATES / "codabench/logo.png", parts / "logo.png")
        put_course(order.assignment, parts / "scoring_program/assignment")
        write_zip(parts, folder / BUNDLE)
    return [
        *put_image(order, folder, image),
        f"Upload {folder / BUNDLE} on the page Benchmarks, Management, Upload.",
    ]


def _texts(order: Order, image: str) -> dict[str, str]:
    assignment = order.assignment
    names = ("competition.yaml", "terms.md", "scoring_program/metadata.yaml")
    values = {
        # A string of JSON is one of YAML, whatever stands in it.
        "title": json.dumps(assignment.title, ensure_ascii=False),
        "image": json.dumps(image),
        "start": f"{_start(assignment):{_WHEN}}",
        "end": f"{_end(assignment):{_WHEN}}",
        "accuracy": render("codabench/accuracy.yaml", order) if order.evaluation else "",
    }
    texts = {name: render(f"codabench/{Path(name).name}", order, **values) for name in names}
    return texts | {"overview.md": _overview(assignment), "evaluation.md": _evaluation(assignment)}


def _end(assignment: Assignment) -> datetime:
    """When the phase ends, in UTC: Codabench tells no times, so no later policy can be applied."""
    grace = timedelta(minutes=assignment.deadline.late.grace_minutes)
    return assignment.deadline.due.astimezone(UTC) + grace


def _start(assignment: Assignment) -> datetime:
    return min(datetime.now(UTC), _end(assignment) - timedelta(days=1))


def _overview(assignment: Assignment) -> str:
    """The course's sheet, where there is one beside the assignment."""
    sheet = assignment.file.parent / "README.md"
    return sheet.read_text("utf-8") if sheet.is_file() else f"# {assignment.title}\n"


def _evaluation(assignment: Assignment) -> str:
    """What gives points, as far as students see it at once."""
    seen = {n: line.points for n, line in assignment.rubric.items() if line.visibility == "visible"}
    rows = [f"| {name} | {points:g} |" for name, points in seen.items()]
    due = assignment.deadline.due
    lines = [
        "# Evaluation",
        "",
        f"Due: {due:%Y-%m-%d %H:%M:%S} ({due:%z}); {describe_policy(assignment.deadline.late)}.",
        "",
        "| check | points |",
        "|---|---|",
        *rows,
    ]
    return "\n".join(lines) + "\n"


def received(root: Path) -> Item:
    """The submission. Codabench tells neither whose it is nor when it came, and keeps both."""
    return handed_in(root / "input/res", in_time("participant"))


def answer(grade: Grade, root: Path, _: Assignment) -> int:
    """Write the scores, where there are some, and the page that the participant reads.

    The leaderboard shows everybody all scores, so the points of unseen checks are not in them.
    """
    seen = shown(grade)
    lines = "\n".join(html.escape(line) for line in student_lines(seen))
    page = f"<!DOCTYPE html><meta charset=utf-8><title>Grade</title><pre>{lines}</pre>\n"
    write_out(root / DETAILS, page.encode("utf-8"))
    status = exit_status(grade)
    if status == EXIT_GRADED:
        scores = {"score": seen.score}
        if seen.evaluation is not None:
            scores["accuracy"] = seen.evaluation.accuracy
        write_out(root / SCORES, json.dumps(scores).encode("utf-8"))
    return status


PLATFORM = Platform(Path("/app"), write, received, answer)
