"""The page of one student: verdict, what to do next, causes, picture, points, accuracy, deadline.

It is made from what the student may see (`for_student`), so that no template can tell more.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from grader.domain import CheckResult, Evaluation, Finding, Grade, GradeStatus
from grader.graph.drawing import MISSING, Drawing, Row
from grader.report import facts
from grader.report.causes import Cause, cause_words, causes_of, unexplained
from grader.report.charts import Curve, Scale, bar, curve, scale
from grader.report.diff import DIFFERS, NOTES, SAME, Marked, marked
from grader.report.html.pages import data_uri, page
from grader.report.measured import measured_rows
from grader.report.next_steps import next_steps
from grader.report.visibility import OUR_FAULT, for_student
from grader.report.words import OUTCOMES, STATUS_WORDS, cost, minus, percent
from grader.scoring import ACCURACY, open_points, points_of_checks

SHOWN_PER_CAUSE = 4
"""Places of one cause written out; the rest is counted."""
LEFT_OUT = {"curve", "mistakes", ""}
"""Lines of the terminal that are pictures here."""
SHADES = 9
"""Grounds of the confusion table, from nothing to all."""


@dataclass(frozen=True)
class Beside:
    """What lies in a run directory and belongs on its student's page.

    Attributes:
        drawing: The network beside the paper's.
        mistakes: The contact sheet of wrong answers, as PNG.
    """

    drawing: Drawing | None = None
    mistakes: bytes | None = None


def student_page(grade: Grade, beside: Beside, *, after_due: bool, title: str = "") -> str:
    """One student's page.

    Args:
        grade: The whole grade; the page shows what its student may see of it.
        beside: What lies beside it; shown where all checks that it tells of are.
        after_due: Whether the due date has passed, so that what waits for it is shown.
        title: Of the assignment.
    """
    return page("student.html", _values(grade, beside, after_due, title))


def _values(whole: Grade, beside: Beside, after_due: bool, title: str) -> dict[str, Any]:
    grade = for_student(whole, after_due)
    partly = grade.checks != whole.checks
    causes = causes_of(grade.checks)
    structure = {c.name for c in whole.checks} - {c.name for c in grade.checks} <= {ACCURACY}
    return {
        "grade": grade,
        "title": title,
        "status": _status(grade),
        "why": OUR_FAULT if grade.status is GradeStatus.WITHHELD else grade.message,
        "partly": partly,
        "graded": grade.status is GradeStatus.GRADED,
        "provisional": points_of_checks(grade),
        "open": open_points(grade),
        "bar": bar(grade),
        "groups": list(_groups(grade.checks)),
        "next": list(next_steps(grade)),
        "causes": [_told(number, cause) for number, cause in enumerate(causes, 1)],
        "skipped": unexplained(grade.checks),
        "remarks": [f for c in grade.checks for f in c.findings if f.severity == "remark"],
        "drawing": _picture(beside.drawing) if structure and beside.drawing else None,
        "measured": _measured(grade.evaluation, beside.mistakes) if grade.evaluation else None,
        "deadline": list(_deadline(grade)),
        "isolation": facts.isolation(grade).plain,
        "minus": minus,
    }


class Badge(NamedTuple):
    """A verdict: its word, and what colour it has."""

    word: str
    tone: str


TONES = {
    GradeStatus.GRADED: "good",
    GradeStatus.REVIEW: "warn",
    GradeStatus.REJECTED: "bad",
    GradeStatus.WITHHELD: "warn",
}


def _status(grade: Grade) -> Badge:
    return Badge(STATUS_WORDS[grade.status], TONES[grade.status])


class Group(NamedTuple):
    """The checks of one group with their points."""

    name: str
    earned: float
    most: float
    checks: tuple[tuple[CheckResult, str, str], ...]
    """Each with the sign and the word of its outcome."""


def _groups(checks: Sequence[CheckResult]) -> Iterator[Group]:
    names: dict[str, list[CheckResult]] = {}
    for check in checks:
        names.setdefault(check.group, []).append(check)
    for name, found in names.items():
        words = name.replace("_", " ")
        yield Group(
            words[:1].upper() + words[1:],
            round(math.fsum(c.score for c in found), 2),
            round(math.fsum(c.max_score for c in found), 2),
            tuple((c, OUTCOMES[c.outcome][0], OUTCOMES[c.outcome][2]) for c in found),
        )


class Told(NamedTuple):
    """A cause as the page tells it."""

    number: int
    heading: str
    lost: str
    cause: Cause
    findings: tuple[Finding, ...]
    more: tuple[str, ...]
    """Places that are not written out."""


def _told(number: int, cause: Cause) -> Told:
    places = [f for f in cause.check.findings if f.severity == "deviation"]
    return Told(
        number,
        cause_words(cause),
        cost(cause.lost),
        cause,
        tuple(places[:SHOWN_PER_CAUSE]),
        tuple(f.where for f in places[SHOWN_PER_CAUSE:]),
    )


class Part(NamedTuple):
    """One part of the network beside the paper's."""

    row: Row
    sign: str
    word: str
    paper: Marked
    network: Marked
    notes: tuple[str, ...]
    more: int


def _picture(drawing: Drawing) -> dict[str, Any]:
    return {
        "title": drawing.title,
        "function": drawing.function,
        "parts": [_part(row) for row in drawing.rows],
        "differing": sum(row.differs for row in drawing.rows),
        "missing": MISSING,
    }


def _part(row: Row) -> Part:
    paper, network = marked(row)
    sign, word = DIFFERS if row.differs else SAME
    return Part(row, sign, word, paper, network, row.notes[:NOTES], max(0, len(row.notes) - NOTES))


class Measured(NamedTuple):
    """The measured accuracy as the page shows it."""

    accuracy: Evaluation
    reached: str
    threshold: str
    chance: bool
    scale: Scale
    curve: Curve | None
    confusion: tuple[tuple[str, tuple[tuple[int, int, str], ...]], ...]
    """Of each true class its name, and of each answer count, shade, and "right", "wrong" or ""."""
    mistakes: Any
    rows: tuple[tuple[str, str], ...]


def _measured(given: Evaluation, mistakes: bytes | None) -> Measured:
    low, high = given.interval_95
    rows = [
        ("95 % interval", f"{low:.2%} to {high:.2%}, from {given.correct:,} of {given.images:,}"),
        ("time", f"{given.wall_time_s:.1f} s of {given.time_budget_s:g} s, on {given.device}"),
        ("images", facts.dataset(given).plain),
        *((word, text.plain) for word, text in measured_rows(given) if word not in LEFT_OUT),
    ]
    return Measured(
        given,
        f"{given.accuracy:.2%}",
        percent(given.threshold),
        low <= given.threshold <= high,
        scale(given),
        curve(given.details.epochs),
        tuple(_confusion(given)),
        data_uri(mistakes) if mistakes else None,
        tuple(rows),
    )


def _confusion(given: Evaluation) -> Iterator[tuple[str, tuple[tuple[int, int, str], ...]]]:
    classes, table = given.details.classes, given.details.confusion
    if len(table) != len(classes):
        return
    for number, (name, counts) in enumerate(zip(classes, table, strict=True)):
        total = max(sum(counts), 1)
        cells = []
        for column, count in enumerate(counts):
            right = column == number
            # A mistake of a quarter of a class is as dark as can be.
            share = count / total if right else min(1.0, 4 * count / total)
            kind = "right" if right else "wrong" if count else ""
            cells.append((count, round(SHADES * share), kind))
        yield name, tuple(cells)


def _deadline(grade: Grade) -> Iterator[tuple[str, str]]:
    """Label and text of each line; none where nobody knows when it was received."""
    result = grade.deadline
    if result is None:
        return
    zone = result.due.tzinfo
    if result.received_at is None:
        yield "received", "not known"
    else:
        told = facts.FROM_WORDS.get(result.received_from or "", "")
        yield "received", f"{facts.moment(result.received_at, zone).plain} {told and f'({told})'}"
    yield "due", facts.moment(result.due, zone).plain
    if result.extension:
        yield "extension", result.extension
    if result.received_at is not None:
        yield "difference", facts.difference(result, result.received_at).plain
    yield "rule", result.rule
    yield "effect", facts.effect(result).plain
