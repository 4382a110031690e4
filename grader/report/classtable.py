"""A whole class in one table: a line for each submission, the sums below."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import mean, median

from rich import box
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.table import Table
from rich.text import Text

from grader.domain import CheckResult, Grade, GradeStatus, Outcome
from grader.intake.roster import Roster, Student
from grader.report.text import safe_text
from grader.report.words import STATUS_STYLE, STATUS_WORDS, WIDE, duration
from grader.scoring import ACCURACY, open_points

GROUPS = {"shape": "shape", "parameters": "param", "architecture": "archit"}
"""Group → heading of its column; the accuracy has a column of its own."""


MAX_WIDTH = 160
"""Columns; wider, the eye loses its line."""


def render_class(grades: Sequence[Grade], roster: Roster | None = None) -> RenderableType:
    """A compact table of a class.

    Args:
        grades: In the order to show.
        roster: The students of the class: who they are, and who is missing.

    Returns:
        The table, and below it how many were graded, mean and median, and what needs a person.
        On a narrow screen without the points by group.
    """
    return ClassTable(tuple(grades), roster)


@dataclass(frozen=True)
class ClassTable:
    """The class; which columns it has is decided when the console is known.

    Attributes:
        grades: In the order to show.
        roster: The students of the class, where a list of them was given.
    """

    grades: tuple[Grade, ...]
    roster: Roster | None = None

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield the table and its sums."""
        width = min(options.max_width, MAX_WIDTH)
        parts = Group(self._table(width >= WIDE), *_summary(self.grades), *_missing(self.missing))
        yield from console.render(parts, options.update(width=width, max_width=width))

    def _table(self, wide: bool) -> Table:
        table = Table(box=box.SIMPLE_HEAD, expand=True, pad_edge=False, padding=(0, 1))
        table.add_column("student", overflow="ellipsis", no_wrap=True, ratio=2)
        table.add_column("verdict", no_wrap=True)
        table.add_column("score", justify="right", no_wrap=True)
        for heading in GROUPS.values() if wide else ():
            table.add_column(heading, justify="right", no_wrap=True)
        table.add_column("accuracy", justify="right", no_wrap=True)
        table.add_column("note", overflow="ellipsis", no_wrap=True, ratio=4)
        for grade in self.grades:
            table.add_row(*self._row(grade, wide))
        for student in self.missing:
            between = [Text("–", "dim")] * (len(table.columns) - 3)
            id = safe_text(student.student_id, 40, "bold")
            table.add_row(id, Text("missing", "yellow"), *between, safe_text(student.name, 60))
        return table

    @property
    def missing(self) -> tuple[Student, ...]:
        """Those of whom there is no submission."""
        if self.roster is None:
            return ()
        return self.roster.missing({grade.student_id for grade in self.grades})

    def _row(self, grade: Grade, wide: bool) -> Iterator[Text]:
        *cells, note = _row(grade, wide)
        student = self.roster.of(grade.student_id) if self.roster is not None else None
        name = [safe_text(student.name, 60)] if student and student.name else []
        yield from cells
        yield Text("; ").join([*name, *([note] if note else [])])


def _row(grade: Grade, wide: bool) -> Iterator[Text]:
    yield safe_text(grade.student_id, 40, "bold")
    yield Text(grade.status.value, STATUS_STYLE[grade.status])
    yield Text(f"{grade.score:g}" if grade.status is GradeStatus.GRADED else "–", "bold")
    for group in GROUPS if wide else ():
        yield _group_share([check for check in grade.checks if check.group == group])
    yield _accuracy(grade)
    yield _note(grade)


def _group_share(checks: Sequence[CheckResult]) -> Text:
    if not checks:
        return Text("–", "dim")
    earned = math.fsum(check.score for check in checks)
    most = math.fsum(check.max_score for check in checks)
    return Text(f"{earned:g}/{most:g}", "" if earned >= most else "yellow")


def _accuracy(grade: Grade) -> Text:
    if grade.evaluation is None:
        return Text("open" if open_points(grade) else "–", "yellow" if grade.checks else "dim")
    word = "met" if grade.evaluation.met else "not"
    style = "green" if grade.evaluation.met else "red"
    return Text(f"{grade.evaluation.accuracy:.1%} {word}", style)


def _note(grade: Grade) -> Text:
    """The one thing to know: why there is no score, lateness, else the first cause that failed."""
    parts: list[Text] = []
    if grade.message:
        parts.append(safe_text(grade.message, 80))
    if grade.deadline is not None and grade.deadline.seconds_late > 0:
        parts.append(Text(f"{duration(grade.deadline.seconds_late)} late", "yellow"))
    if grade.isolation == "none":
        parts.append(Text("isolation: none", "red"))
    failed = [c for c in grade.checks if c.outcome is Outcome.FAILED and c.name != ACCURACY]
    if failed and not grade.message:
        first = min(failed, key=lambda check: check.rank or len(grade.checks))
        more = f" + {len(failed) - 1}" if len(failed) > 1 else ""
        parts.append(safe_text(first.name, 40).append(more))
    return Text("; ").join(parts)


def _summary(grades: Sequence[Grade]) -> Iterator[Text]:
    counts = Counter(grade.status for grade in grades)
    line = Text(f"{len(grades)} submissions" if len(grades) != 1 else "1 submission", "bold")
    for status in GradeStatus:
        if counts[status]:
            line.append(f"  {counts[status]} {STATUS_WORDS[status]}", STATUS_STYLE[status])
    yield line
    scores = [grade.score for grade in grades if grade.status is GradeStatus.GRADED]
    if scores:
        most = max(grade.max_score for grade in grades)
        yield Text(
            f"scores of {most:g}: mean {mean(scores):.1f}, median {median(scores):.1f}, "
            f"lowest {min(scores):g}, highest {max(scores):g}"
        )
    yield from _alike(grades)
    unmeasured = sum(open_points(grade) > 0 for grade in grades)
    if unmeasured:
        yield Text(f"accuracy not evaluated: {unmeasured}, their points stay open", "yellow")


def _missing(students: Sequence[Student]) -> Iterator[Text]:
    if students:
        names = ", ".join(student.student_id for student in students)
        yield safe_text(f"nothing handed in: {len(students)} of the roster: {names}", 400, "yellow")


def _alike(grades: Sequence[Grade]) -> Iterator[Text]:
    """Students who handed in the same work: for the instructor, in no student's report."""
    for what, field in (
        ("dense_block and transition", "written_sha256"),
        ("weights", "weights_sha256"),
    ):
        students: dict[str, dict[str, None]] = {}
        for grade in grades:
            digest = getattr(grade.submission, field)
            if digest is not None:
                students.setdefault(digest, {})[grade.student_id] = None
        for names in students.values():
            if len(names) > 1:
                yield safe_text(f"the same {what}: {', '.join(names)}", 200, "yellow")
