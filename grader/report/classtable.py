"""A whole class in one table: a line for each submission, and below it what the class did."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import mean, median
from typing import Literal

from rich import box
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.table import Table
from rich.text import Text

from grader.domain import CheckResult, Grade, GradeStatus
from grader.intake.roster import Roster, Student
from grader.report.overview import (
    alike,
    by_rules,
    distribution,
    frequent,
    groups,
    late,
    lost,
    met,
    note,
    scores,
    superseded,
    unmeasured,
)
from grader.report.text import safe_line, safe_text
from grader.report.words import STATUS_STYLE, STATUS_WORDS, WIDE, bars, percent
from grader.scoring import open_points

HEADINGS = {"parameters": "param", "architecture": "archit"}
"""Groups of checks whose names are cut to stand above a column of points."""
HEADING, COLUMNS = 10, 6
"""Characters of a heading, and columns of groups at most: the note needs its place."""
LONGEST_ID = 200
WIDEST_ID, WIDEST_WIDE = 30, 44
"""Columns of a student_id, on a narrow and a wide screen; a longer one goes on below. None is cut:
two could look alike."""
FREQUENT_SHOWN = 8
"""Checks that many lost, named below the table."""

Order = Literal["class", "student", "score", "accuracy", "late", "lost"]


@dataclass(frozen=True)
class View:
    """Which lines the table has, and in which order; what stands below it is of the whole class.

    Attributes:
        order: By what; the lowest score and accuracy, the latest and the dearest first.
        having: Lines with this text in the id, the verdict, the note or a check that was lost.
        failed_only: Only who lost points or has no score.
    """

    order: Order = "class"
    having: str = ""
    failed_only: bool = False

    def of(self, grades: Sequence[Grade]) -> tuple[Grade, ...]:
        """The grades that are shown, in their order."""
        shown = [grade for grade in grades if self._shows(grade)]
        return tuple(shown if self.order == "class" else sorted(shown, key=self._key))

    @property
    def narrows(self) -> bool:
        """Whether it may leave lines out."""
        return bool(self.having) or self.failed_only

    def has(self, *texts: str) -> bool:
        """Whether one of some texts holds what is looked for."""
        return self.having.casefold() in "\n".join(texts).casefold()

    def _shows(self, grade: Grade) -> bool:
        if self.failed_only and grade.status is GradeStatus.GRADED:
            if grade.score >= grade.max_score:
                return False
        checks = [one.check.name for one in lost(grade)]
        return self.has(grade.student_id, STATUS_WORDS[grade.status], note(grade), *checks)

    def _key(self, grade: Grade) -> float | str:
        match self.order:
            case "student":
                return grade.student_id.casefold()
            case "score":
                return grade.score if grade.status is GradeStatus.GRADED else -1.0
            case "accuracy":
                return grade.evaluation.accuracy if grade.evaluation is not None else -1.0
            case "late":
                return -(grade.deadline.seconds_late if grade.deadline is not None else 0.0)
            case _:
                return -math.fsum(one.points for one in lost(grade))


ALL_LINES = View()


def render_class(
    grades: Sequence[Grade], roster: Roster | None = None, view: View = ALL_LINES
) -> RenderableType:
    """A compact table of a class.

    Args:
        grades: In the order of the class.
        roster: The students of the class: who they are, and who is missing.
        view: Which lines are shown, and in which order.

    Returns:
        The table, and below it the verdicts, the scores, what many did not understand, and what
        needs a person. On a narrow screen without the points by group.
    """
    return ClassTable(tuple(grades), roster, view)


@dataclass(frozen=True)
class ClassTable:
    """The class; which columns it has is decided when the console is known.

    Attributes:
        grades: In the order of the class.
        roster: The students of the class, where a list of them was given.
        view: Which lines are shown, and in which order.
    """

    grades: tuple[Grade, ...]
    roster: Roster | None = None
    view: View = ALL_LINES

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield the table and its sums."""
        wide = options.max_width >= WIDE
        counting = [grade for grade in self.grades if grade.counts]
        shown = self.view.of(counting)
        missing = tuple(s for s in self.missing if self.view.has(s.student_id, s.name, "missing"))
        parts: list[RenderableType] = [self._table(shown, missing, wide)]
        if self.view.narrows:
            all_lines = len(counting) + len(self.missing)
            parts.append(Text(f"{len(shown) + len(missing)} of {all_lines} lines are shown", "dim"))
        others = [safe_text(line, 400, "dim") for line in superseded(self.grades)]
        below = Group(*parts, *_summary(counting), *others, *_missing(self.missing))
        yield from console.render(below, options)

    def _table(self, grades: Sequence[Grade], missing: Sequence[Student], wide: bool) -> Table:
        table = Table(
            box=box.SIMPLE_HEAD,
            expand=True,
            pad_edge=False,
            padding=(0, 1),
            collapse_padding=True,
        )
        table.add_column("student", overflow="fold", max_width=WIDEST_WIDE if wide else WIDEST_ID)
        if wide:
            table.add_column("verdict", no_wrap=True)
        table.add_column("score", justify="right", no_wrap=True)
        named = self._groups(wide)
        for group in named:
            heading = safe_line(HEADINGS.get(group, group), HEADING)
            table.add_column(heading, justify="right", no_wrap=True)
        table.add_column("accuracy", justify="right", no_wrap=True)
        table.add_column("note", overflow="ellipsis", no_wrap=True, ratio=1)
        for grade in grades:
            table.add_row(*self._row(grade, named, wide))
        for student in missing:
            id, name = _id(student.student_id), safe_text(student.name, 60)
            between = [Text("–", "dim")] * (len(table.columns) - (3 if wide else 2))
            verdict = Text("missing", "yellow")
            if wide:
                table.add_row(id, verdict, *between, name)
            else:
                table.add_row(id, *between, Text("  ").join([verdict, name]))
        return table

    @property
    def missing(self) -> tuple[Student, ...]:
        """Those of whom there is no submission."""
        if self.roster is None:
            return ()
        return self.roster.missing({grade.student_id for grade in self.grades})

    def _groups(self, wide: bool) -> Sequence[str]:
        return groups(self.grades)[:COLUMNS] if wide else ()

    def _row(self, grade: Grade, named: Sequence[str], wide: bool) -> Iterator[Text]:
        *cells, note = _row(grade, named, wide)
        student = self.roster.recorded(grade.student_id) if self.roster is not None else None
        name = [safe_text(student.name, 60)] if student and student.name else []
        yield from cells
        yield Text("; ").join([*name, *([note] if note else [])])


def _row(grade: Grade, named: Sequence[str], wide: bool) -> Iterator[Text]:
    yield _id(grade.student_id)
    verdict = Text(STATUS_WORDS[grade.status], STATUS_STYLE[grade.status])
    graded = grade.status is GradeStatus.GRADED
    if wide:
        yield verdict
    yield Text(f"{grade.score:g}" if graded else "–", "bold")
    for group in named:
        yield _group_share([check for check in grade.checks if check.group == group])
    yield _accuracy(grade)
    words = safe_text(note(grade), 400)
    yield words if wide or graded else Text("  ").join([verdict, words])


def _id(student_id: str) -> Text:
    return safe_text(student_id, LONGEST_ID, "bold")


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


def _summary(grades: Sequence[Grade]) -> Iterator[RenderableType]:
    yield _counts(grades)
    rules = by_rules(grades)
    for some in rules:
        own, most = scores(some), max(grade.max_score for grade in some)
        line = Text.assemble("scores  ", (bars(distribution(some)), "bold"), "  ")
        line.append(f"0 to {most:g}: mean {mean(own):.1f}, median {median(own):.1f}, ")
        line.append(f"lowest {min(own):g}, highest {max(own):g}")
        if len(rules) > 1:
            digest = some[0].provenance.assignment_sha256[:12]
            line.append(f" ({len(some)} by assignment {digest})")
        yield line
    if len(rules) > 1:
        advice = "by several versions of assignment.toml: `grade regrade RESULTS` judges all by one"
        yield Text(advice, "yellow")
    above, measured = met(grades)
    if measured:
        yield Text(f"accuracy above {_threshold(grades)}: {above} of {measured}")
    yield from _frequent(grades)
    for what, students in alike(grades):
        yield safe_text(f"the same {what}: {', '.join(students)}", LONGEST_ID * 4, "yellow")
    still_open = unmeasured(grades)
    if still_open:
        yield Text(f"accuracy not evaluated: {still_open}, their points stay open", "yellow")


def _counts(grades: Sequence[Grade]) -> Text:
    counts = Counter(grade.status for grade in grades)
    line = Text(f"{len(grades)} submissions" if len(grades) != 1 else "1 submission", "bold")
    for status in GradeStatus:
        if counts[status]:
            line.append(f"  {counts[status]} {STATUS_WORDS[status]}", STATUS_STYLE[status])
    if late(grades):
        line.append(f"  {late(grades)} late", "yellow")
    return line


def _threshold(grades: Sequence[Grade]) -> str:
    found = {grade.evaluation.threshold for grade in grades if grade.evaluation is not None}
    return percent(found.pop()) if len(found) == 1 else "the threshold"


def _frequent(grades: Sequence[Grade]) -> Iterator[RenderableType]:
    """What was not understood: how many students, which check, and what was found most often."""
    found = frequent(grades)
    if not found:
        return
    table = Table.grid(padding=(0, 1), expand=True)
    table.add_column(justify="right", no_wrap=True, min_width=4)
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True, overflow="ellipsis", ratio=1)
    for one in found[:FREQUENT_SHOWN]:
        words = safe_text(one.words, 400, "dim")
        table.add_row(Text(str(len(one.students)), "bold"), safe_text(one.check, 40), words)
    yield Text("what was not understood: students, check, found most often")
    yield table
    if len(found) > FREQUENT_SHOWN:
        yield Text(f"     + {len(found) - FREQUENT_SHOWN} more checks", "dim")


def _missing(students: Sequence[Student]) -> Iterator[Text]:
    if students:
        names = ", ".join(student.student_id for student in students)
        yield safe_text(f"nothing handed in: {len(students)} of the roster: {names}", 400, "yellow")
