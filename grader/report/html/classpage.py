"""The page of the class, for those who grade: every student, the distribution, what went wrong."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from statistics import mean, median
from typing import NamedTuple

from grader.domain import Grade, GradeStatus
from grader.intake.roster import Roster
from grader.report.html.pages import page
from grader.report.html.student import TONES
from grader.report.overview import (
    BINS,
    alike,
    by_rules,
    distribution,
    frequent,
    groups,
    late,
    met,
    note,
    scores,
    superseded,
    unmeasured,
)
from grader.report.words import STATUS_WORDS, duration, percent

SCRIPT = "class.js"


class Cell(NamedTuple):
    """What is shown, and what it is sorted by."""

    shown: str
    value: float | str


class Row(NamedTuple):
    """One student's line."""

    link: str
    student: str
    name: str
    status: str
    tone: str
    score: Cell
    groups: tuple[Cell, ...]
    accuracy: Cell
    late: Cell
    note: str


def class_page(
    grades: Sequence[Grade],
    links: Mapping[int, str],
    *,
    title: str = "",
    roster: Roster | None = None,
    others: Sequence[Grade] = (),
) -> str:
    """The class in one page; everything of every grade may be on it, so it is for no student.

    Args:
        grades: In order; those that count.
        links: Address of each student's page by the grade's place in `grades`.
        title: Of the assignment.
        roster: The students of the class: who they are, and who is missing.
        others: Submissions in whose place another of the same student counts.
    """
    named = groups(grades)
    missing = roster.missing({grade.student_id for grade in grades}) if roster else ()
    counts = Counter(grade.status for grade in grades)
    bins = distribution(grades)
    most = max((grade.max_score for grade in grades), default=0.0)
    values = {
        "title": title,
        "count": len(grades),
        "statuses": [(STATUS_WORDS[s], counts[s], TONES[s]) for s in GradeStatus if counts[s]],
        "rows": [_row(grade, links[place], roster, named) for place, grade in enumerate(grades)],
        "group_names": named,
        "summary": "; ".join(_summary(each) for each in by_rules(grades)),
        "late": late(grades),
        "met": met(grades),
        "threshold": _threshold(grades),
        "unmeasured": unmeasured(grades),
        "bins": list(_bars(bins, most)),
        "frequent": frequent(grades),
        "alike": list(alike(grades)),
        "missing": missing,
        "superseded": list(superseded([*grades, *others])),
    }
    return page("class.html", values, script=SCRIPT)


def _summary(grades: Sequence[Grade]) -> str:
    own, most = scores(grades), max(grade.max_score for grade in grades)
    return (
        f"median {median(own):.4g}, mean {mean(own):.4g}, lowest {min(own):g}, "
        f"highest {max(own):g} of {most:g}"
    )


def _threshold(grades: Sequence[Grade]) -> str:
    found = {g.evaluation.threshold for g in grades if g.evaluation is not None}
    return percent(found.pop()) if len(found) == 1 else "the threshold"


def _row(grade: Grade, link: str, roster: Roster | None, named: Sequence[str]) -> Row:
    student = roster.recorded(grade.student_id) if roster is not None else None
    graded = grade.status is GradeStatus.GRADED
    seconds = grade.deadline.seconds_late if grade.deadline is not None else 0.0
    measured = grade.evaluation
    accuracy = Cell("–", -1.0)
    if measured is not None:
        word = "met" if measured.met else "not met"
        accuracy = Cell(f"{measured.accuracy:.1%} {word}", measured.accuracy)
    return Row(
        link,
        grade.student_id,
        student.name if student is not None else "",
        STATUS_WORDS[grade.status],
        TONES[grade.status],
        Cell(f"{grade.score:g}", grade.score) if graded else Cell("–", -1.0),
        tuple(_group(grade, name) for name in named),
        accuracy,
        Cell(duration(seconds), seconds) if seconds > 0 else Cell("", 0.0),
        note(grade),
    )


def _group(grade: Grade, name: str) -> Cell:
    checks = [check for check in grade.checks if check.group == name]
    if not checks:
        return Cell("–", -1.0)
    earned = round(math.fsum(check.score for check in checks), 2)
    return Cell(f"{earned:g}/{math.fsum(check.max_score for check in checks):g}", earned)


class Column(NamedTuple):
    """One tenth of the distribution."""

    label: str
    scores: int
    height: float


def _bars(bins: Sequence[int], most: float) -> Iterator[Column]:
    highest = max((*bins, 1))
    for number, count in enumerate(bins):
        low, high = most * number / BINS, most * (number + 1) / BINS
        yield Column(f"{low:g} to {high:g}", count, round(100 * count / highest, 1))
