"""The score report for a terminal: verdict, points, what differs and why, how it was graded.

Read top to bottom it answers, in this order: how many points, the first cause of those that are
missing and what to do about it, all points, and what the grade rests on. Every string of a grade
may be a student's: all of them go through `safe_text`. Colour never says what a word does not.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from rich.align import Align
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.padding import Padding
from rich.panel import Panel
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from grader.assignment import Assignment
from grader.domain import CheckResult, Grade, GradeStatus, Outcome
from grader.report.causes import all_causes, cause_words, causes_of, findings
from grader.report.checked import CheckScreen, closing
from grader.report.facts import accuracy, deadline, foundations
from grader.report.points import points_table
from grader.report.text import safe_text
from grader.report.words import (
    MAX_WIDTH,
    STATUS_STYLE,
    STATUS_WORDS,
    WIDE,
    minus,
    override_words,
    score_words,
    share_style,
)
from grader.scoring import ACCURACY, open_points, points_of_checks


def render(
    grade: Grade,
    assignment: Assignment | None = None,
    *,
    quiet: bool = False,
    checking: bool = False,
    everything: bool = False,
    only: str | None = None,
    prints: Mapping[str, str] | None = None,
) -> RenderableType:
    """A grade as something Rich can print.

    Args:
        grade: The verdict; every string in it is treated as hostile.
        assignment: Gives title and time zone; without it, times are shown in the due time's own.
        quiet: One line only.
        checking: It is the student's own check: no grade, no deadline, and what to do next.
        everything: Of a check, all that was found in place of the first cause.
        only: Of a check, the one that was made.
        prints: Of a check, function → what its first call printed.

    Returns:
        A renderable that fits itself to the console's width and encoding.
    """
    if quiet:
        return OneLine(one_line(grade, checking=checking))
    if checking and not everything:
        return CheckScreen(grade, assignment, only, prints or {})
    return Report(grade, assignment, checking)


def one_line(grade: Grade, *, checking: bool = False) -> Text:
    """Student, verdict, score and the reason, on one line."""
    line = Text()
    line.append_text(safe_text(grade.student_id, 40, "bold"))
    line.append(f"  {_status_word(grade, checking)}", STATUS_STYLE[grade.status])
    line.append(f"  {score_words(grade)}")
    if grade.status is GradeStatus.GRADED:
        if grade.evaluation is not None:
            line.append(f"  accuracy {grade.evaluation.accuracy:.2%}")
        if grade.deadline is not None and grade.deadline.penalty:
            line.append(f"  late: {minus(grade.deadline.penalty)}")
    reason = grade.message or _one_cause(grade, dearest=not checking)
    if grade.override is not None:
        reason = override_words(grade.override)
    reason = reason or (grade.evaluation_note if open_points(grade) else None)
    if reason:
        line.append("  ").append_text(safe_text(reason, 400, "dim"))
    return line


def _status_word(grade: Grade, checking: bool) -> str:
    """A check by the student grades nothing."""
    graded = grade.status is GradeStatus.GRADED
    return "checked" if checking and graded else STATUS_WORDS[grade.status]


def _one_cause(grade: Grade, *, dearest: bool) -> str | None:
    """The name of one check and what it found, and how many more causes there are.

    Who mends a network begins with its first cause; who reads a score asks for the dearest.
    """
    causes = causes_of(grade.checks)
    if dearest:
        causes = sorted(causes, key=lambda cause: -cause.lost)
    if not causes:
        return None
    more = f"; {len(causes) - 1} more" if len(causes) > 1 else ""
    return f"{causes[0].check.name}: {cause_words(causes[0])}{more}"


@dataclass(frozen=True)
class OneLine:
    """Text that is never wrapped: cut on a screen, whole in a file or pipe, where tools read it.

    Attributes:
        text: One line.
    """

    text: Text

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield the line."""
        line = self.text.copy()
        if console.is_terminal:
            line.truncate(options.max_width, overflow="ellipsis")
        yield from line.render(console, end="\n")


@dataclass(frozen=True)
class Report:
    """The whole report; what it looks like is decided when the console is known.

    Attributes:
        grade: The verdict.
        assignment: Gives title and time zone.
        checking: Whether it is the student's own check.
    """

    grade: Grade
    assignment: Assignment | None
    checking: bool = False

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield the report's parts, for consoles up to `MAX_WIDTH` columns and wider."""
        width = min(options.max_width, MAX_WIDTH)
        parts = list(self._parts(options.ascii_only, wide=width >= WIDE))
        yield from console.render(Group(*parts), options.update(width=width, max_width=width))

    def _parts(self, ascii_only: bool, wide: bool) -> Iterator[RenderableType]:
        grade = self.grade
        zone = self.assignment.deadline.zone_info if self.assignment else None
        yield _header(grade, self.assignment, ascii_only, self.checking)
        noticed = [_notice(grade)] if grade.message or grade.help else []
        instead = grade.status is not GradeStatus.GRADED or grade.override is not None
        if instead:
            yield from noticed
        yield from _explanations(grade.checks, ascii_only, wide)
        if not instead:  # how the program ended, below the cause
            yield from noticed
        if grade.checks:
            yield _section("Points")
            yield points_table(grade, ascii_only, wide)
        yield from _remarks(grade.checks, wide)
        if any(check.name == ACCURACY for check in grade.checks) and not self.checking:
            yield _section("Accuracy on the test images")
            yield accuracy(grade, ascii_only)
        if self.checking:
            yield Padding(Group(*closing(grade)), (1, 0, 0, 1))
            return
        if grade.deadline is not None:
            yield _section("Deadline")
            yield deadline(grade.deadline, zone)
        yield _section("How this was graded")
        yield foundations(grade, self.assignment)


# --- parts --------------------------------------------------------------------------------


def _section(title: str) -> RenderableType:
    return Padding(Rule(Text(title, "bold"), align="left", style="dim"), (1, 0, 0, 0))


def _header(
    grade: Grade, assignment: Assignment | None, ascii_only: bool, checking: bool
) -> RenderableType:
    style = _verdict_style(grade)
    head = Table.grid(expand=True, padding=(0, 1))
    head.add_column(ratio=1)
    head.add_column(justify="right", no_wrap=True)
    head.add_row(
        safe_text(grade.student_id, 60, "bold"),
        _badge(_status_word(grade, checking).upper(), f"bold reverse {style}"),
    )
    title = assignment.title if assignment else grade.provenance.title or "Assignment"
    head.add_row(safe_text(title, 80), _score(grade))
    head.add_row(safe_text(grade.submission.source, 80, "dim"), _score_note(grade))
    body: list[RenderableType] = [head]
    if grade.status is GradeStatus.GRADED:
        body.append(_Bar(grade.score, open_points(grade), grade.max_score, ascii_only))
    return Panel(Group(*body), border_style=style, padding=(0, 1))


def _badge(word: str, style: str) -> RenderableType:
    """A word on its colour. Padded, as Rich strips a text's own spaces when it aligns it."""
    return Align.right(Padding(Text(word, style), (0, 1), style=style, expand=False))


def _verdict_style(grade: Grade) -> str:
    if grade.status is GradeStatus.GRADED:
        return share_style(grade.score, grade.max_score)
    return STATUS_STYLE[grade.status]


def _score(grade: Grade) -> Text:
    if grade.status is not GradeStatus.GRADED:
        return Text(f"no score (of {grade.max_score:g})", "bold")
    score = Text(f"{grade.score:g}", f"bold {share_style(grade.score, grade.max_score)}")
    return score.append(f" / {grade.max_score:g} points", "not bold default")


def _score_note(grade: Grade) -> Text:
    """What a reader must know beside the number."""
    still_open = open_points(grade)
    if grade.status is GradeStatus.REVIEW:
        return Text(f"provisional: {points_of_checks(grade):g}", "dim")
    if grade.status is GradeStatus.GRADED and still_open:
        return Text(f"partial: {still_open:g} points open", "yellow")
    if grade.status is GradeStatus.GRADED and grade.deadline and grade.deadline.penalty:
        return Text(f"late: {minus(grade.deadline.penalty)}", "yellow")
    return Text()


@dataclass(frozen=True)
class _Bar:
    """Points as a bar: earned, open, lost."""

    score: float
    still_open: float
    max_score: float
    ascii_only: bool

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        width = options.max_width
        most = self.max_score or 1.0  # nothing, where a student may see no check
        earned = int(width * self.score / most)
        undecided = int(width * self.still_open / most)
        full, half, empty = ("#", ":", ".") if self.ascii_only else ("━", "╍", "─")
        bar = Text(full * earned, share_style(self.score, self.max_score))
        bar.append(half * undecided, "yellow")
        bar.append(empty * (width - earned - undecided), "dim")
        yield bar


def _notice(grade: Grade) -> RenderableType:
    """Why there is no score, or how the student's program ended, and what to do."""
    style = "red" if grade.status is GradeStatus.GRADED else STATUS_STYLE[grade.status]
    lines = Table.grid(padding=(0, 1))
    lines.add_column(no_wrap=True, style="dim")
    lines.add_column(overflow="fold")
    if grade.override is not None:
        lines.add_row("why", safe_text(override_words(grade.override), 400, "bold magenta"))
        if grade.override.computed_message:
            lines.add_row("was", safe_text(grade.override.computed_message, 400))
    elif grade.message:
        lines.add_row("why", safe_text(grade.message, 400, f"bold {style}"))
    if grade.cause:
        lines.add_row("cause", Text(grade.cause.value, style))
    if grade.help:
        lines.add_row("help", safe_text(grade.help, 400))
    return Padding(lines, (1, 0, 0, 1))


def _explanations(
    checks: Sequence[CheckResult], ascii_only: bool, wide: bool
) -> Iterator[RenderableType]:
    """The causes, each with what follows from it."""
    for number, part in enumerate(all_causes(checks, ascii_only, wide)):
        if not number:
            lost = any(check.score < check.max_score for check in checks)
            yield _section("Where points were lost" if lost else "What differs, and costs nothing")
        yield Padding(part, (1 if number else 0, 0, 0, 1))


def _remarks(checks: Sequence[CheckResult], wide: bool) -> Iterator[RenderableType]:
    remarks = [
        finding
        for check in checks
        for finding in check.findings
        if finding.severity == "remark" and check.outcome is Outcome.PASSED
    ]
    if remarks:
        yield _section("Remarks (they cost nothing)")
        yield Padding(Group(*findings(remarks, wide)), (0, 0, 0, 1))
