"""The score report for a terminal: verdict, points, what differs and why, how it was graded.

Read top to bottom it answers, in this order: how many points, where they were lost, what to do
about it, and what the grade rests on. Every string of a grade may be a student's: all of them go
through `safe_text`. Colour never says what a word does not say too.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from itertools import groupby

from rich.align import Align
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.padding import Padding
from rich.panel import Panel
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from grader.assignment import Assignment
from grader.domain import (
    CheckResult,
    DeadlineResult,
    Evaluation,
    Finding,
    Grade,
    GradeStatus,
    Outcome,
)
from grader.engine.rule import is_in_time
from grader.report.measured import measured_rows
from grader.report.text import safe_line, safe_text
from grader.scoring import ACCURACY, open_points, points_of_checks

MAX_WIDTH = 132
"""Columns; on a wider screen lines would be too long to read."""
WIDE = 120
"""Columns from which titles are shown in full and expected and received share a line."""
SHOWN_WAITING = 0.25
"""Of the time charged, spent waiting for other programs, from which on it is said."""
SHOWN_PER_KIND = 2
"""Findings of one kind shown in full; the rest is folded into one line."""
SHOWN_PER_CHECK = 6
"""Findings of one check shown in full."""
PLACES_NAMED = 6
"""Places named in the line that folds the rest."""
REMARKS_SHOWN = 8
"""Remarks of the intake shown."""

STATUS_STYLE = {
    GradeStatus.GRADED: "green",
    GradeStatus.REVIEW: "yellow",
    GradeStatus.REJECTED: "red",
    GradeStatus.WITHHELD: "magenta",
}
STATUS_WORDS = {
    GradeStatus.GRADED: "graded",
    GradeStatus.REVIEW: "needs review",
    GradeStatus.REJECTED: "rejected",
    GradeStatus.WITHHELD: "withheld",
}
_OUTCOMES = {
    Outcome.PASSED: ("✓", "+", "passed", "green"),
    Outcome.FAILED: ("✗", "x", "failed", "red"),
    Outcome.SKIPPED: ("○", "-", "skipped", "yellow"),
    Outcome.ERROR: ("!", "!", "error", "magenta"),
}
_FROM_WORDS = {
    "argument": "given on the command line",
    "lms": "from the course platform",
    "nbgrader": "from nbgrader",
    "receipt": "from the receipt",
    "file-time": "from the file's time: weak, copying changes it",
}


_INDENT = (0, 0, 0, 2)


def render(
    grade: Grade, assignment: Assignment | None = None, *, quiet: bool = False
) -> RenderableType:
    """A grade as something Rich can print.

    Args:
        grade: The verdict; every string in it is treated as hostile.
        assignment: Gives title and time zone; without it, times are shown in the due time's own.
        quiet: One line only.

    Returns:
        A renderable that fits itself to the console's width and encoding.
    """
    return OneLine(one_line(grade)) if quiet else Report(grade, assignment)


def one_line(grade: Grade) -> Text:
    """Student, verdict, score and the reason, on one line."""
    line = Text()
    line.append_text(safe_text(grade.student_id, 40, "bold"))
    line.append(f"  {STATUS_WORDS[grade.status]}", STATUS_STYLE[grade.status])
    line.append(f"  {score_words(grade)}")
    if grade.status is GradeStatus.GRADED:
        if grade.evaluation is not None:
            line.append(f"  accuracy {grade.evaluation.accuracy:.2%}")
        if grade.deadline is not None and grade.deadline.penalty:
            line.append(f"  late: {minus(grade.deadline.penalty)}")
    reason = grade.message or (grade.evaluation_note if open_points(grade) else None)
    if reason:
        line.append("  ").append_text(safe_text(reason, 120, "dim"))
    return line


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


def score_words(grade: Grade) -> str:
    """The score, or "no score" where a number would be taken for one."""
    if grade.status is not GradeStatus.GRADED:
        return f"no score (of {grade.max_score:g})"
    still_open = open_points(grade)
    rest = f", {still_open:g} open" if still_open else ""
    return f"{grade.score:g} / {grade.max_score:g}{rest}"


def percent(share: float) -> str:
    """A share as a short percentage: 0.85 is "85%", 0.855 is "85.5%"."""
    return f"{100 * share:.6g}%"


def minus(points: float) -> str:
    """Points taken off, with a true minus sign."""
    return f"−{points:g}"


@dataclass(frozen=True)
class Report:
    """The whole report; what it looks like is decided when the console is known.

    Attributes:
        grade: The verdict.
        assignment: Gives title and time zone.
    """

    grade: Grade
    assignment: Assignment | None

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield the report's parts, for consoles up to `MAX_WIDTH` columns and wider."""
        width = min(options.max_width, MAX_WIDTH)
        parts = list(self._parts(options.ascii_only, wide=width >= WIDE))
        yield from console.render(Group(*parts), options.update(width=width, max_width=width))

    def _parts(self, ascii_only: bool, wide: bool) -> Iterator[RenderableType]:
        grade = self.grade
        zone = self.assignment.deadline.zone_info if self.assignment else None
        yield _header(grade, self.assignment, ascii_only)
        if grade.message or grade.help:
            yield _notice(grade)
        if grade.checks:
            yield _section("Points")
            yield _points_table(grade, ascii_only, wide)
        yield from _explanations(grade.checks, ascii_only, wide)
        if any(check.name == ACCURACY for check in grade.checks):
            yield _section("Accuracy on the test images")
            yield _accuracy(grade, ascii_only)
        if grade.deadline is not None:
            yield _section("Deadline")
            yield _deadline(grade.deadline, zone)
        yield _section("How this was graded")
        yield _foundations(grade, self.assignment)


# --- parts --------------------------------------------------------------------------------


def _section(title: str) -> RenderableType:
    return Padding(Rule(Text(title, "bold"), align="left", style="dim"), (1, 0, 0, 0))


def _header(grade: Grade, assignment: Assignment | None, ascii_only: bool) -> RenderableType:
    style = _verdict_style(grade)
    head = Table.grid(expand=True, padding=(0, 1))
    head.add_column(ratio=1)
    head.add_column(justify="right", no_wrap=True)
    head.add_row(
        safe_text(grade.student_id, 60, "bold"),
        _badge(STATUS_WORDS[grade.status].upper(), f"bold reverse {style}"),
    )
    title = assignment.title if assignment else "Assignment"
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
        return _share_style(grade.score, grade.max_score)
    return STATUS_STYLE[grade.status]


def _score(grade: Grade) -> Text:
    if grade.status is not GradeStatus.GRADED:
        return Text(f"no score (of {grade.max_score:g})", "bold")
    score = Text(f"{grade.score:g}", f"bold {_share_style(grade.score, grade.max_score)}")
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


def _share_style(score: float, max_score: float) -> str:
    return "green" if score >= max_score else "yellow" if score > 0 else "red"


@dataclass(frozen=True)
class _Bar:
    """Points as a bar: earned, open, lost."""

    score: float
    still_open: float
    max_score: float
    ascii_only: bool

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        width = options.max_width
        earned = int(width * self.score / self.max_score)
        undecided = int(width * self.still_open / self.max_score)
        full, half, empty = ("#", ":", ".") if self.ascii_only else ("━", "╍", "─")
        bar = Text(full * earned, _share_style(self.score, self.max_score))
        bar.append(half * undecided, "yellow")
        bar.append(empty * (width - earned - undecided), "dim")
        yield bar


def _notice(grade: Grade) -> RenderableType:
    """Why there is no score, or how the student's program ended, and what to do."""
    style = "red" if grade.status is GradeStatus.GRADED else STATUS_STYLE[grade.status]
    lines = Table.grid(padding=(0, 1))
    lines.add_column(no_wrap=True, style="dim")
    lines.add_column(overflow="fold")
    if grade.message:
        lines.add_row("why", safe_text(grade.message, 400, f"bold {style}"))
    if grade.cause:
        lines.add_row("cause", Text(grade.cause.value, style))
    if grade.help:
        lines.add_row("help", safe_text(grade.help, 400))
    return Padding(lines, (1, 0, 0, 1))


def _points_table(grade: Grade, ascii_only: bool, wide: bool) -> RenderableType:
    """Checks by group with their points; their titles beside them only on a wide screen.

    On a narrow one the titles of the checks that lost points stand below, with the explanation.
    """
    table = Table.grid(expand=True, padding=(0, 1))
    table.add_column(width=1)
    table.add_column(width=7)
    table.add_column(no_wrap=True)
    table.add_column(ratio=1)
    table.add_column(justify="right", no_wrap=True)
    table.add_column(width=1, style="dim")
    table.add_column(justify="right", no_wrap=True)
    for group, checks in _by_group(grade.checks):
        words = group.replace("_", " ")
        title = safe_text(words[:1].upper() + words[1:], 26, "bold")
        table.add_row("", "", title, "", *_subtotal(checks))
        for check in checks:
            table.add_row(*_check_row(check, ascii_only, wide))
        table.add_row()
    for label, points in _sum(grade):
        table.add_row("", "", label, "", *points)
    return Padding(table, (0, 0, 0, 1))


def _subtotal(checks: Sequence[CheckResult]) -> tuple[Text, Text, Text]:
    """A group's points; yellow where nothing was lost yet, because nothing was judged."""
    earned = math.fsum(check.score for check in checks)
    subtotal = _points(earned, math.fsum(check.max_score for check in checks), bold=True)
    if not earned and any(check.outcome is Outcome.SKIPPED for check in checks):
        subtotal[0].stylize("yellow")
    return subtotal


def _points(earned: float, most: float, bold: bool = False) -> tuple[Text, Text, Text]:
    """Points as three cells, so that they stand below each other at the stroke."""
    style = f"{'bold ' if bold else ''}{_share_style(earned, most)}"
    return Text(f"{earned:g}", style), Text("/"), Text(f"{most:g}", "bold" if bold else "")


def _check_row(check: CheckResult, ascii_only: bool, wide: bool) -> tuple[RenderableType, ...]:
    mark, ascii_mark, word, style = _OUTCOMES[check.outcome]
    passed = check.outcome is Outcome.PASSED
    notes = []
    if check.visibility != "visible":
        notes.append(Text(check.visibility.replace("_", " "), "yellow"))
    remarks = sum(finding.severity == "remark" for finding in check.findings)
    if remarks and passed:
        notes.append(Text("1 remark" if remarks == 1 else f"{remarks} remarks", "cyan"))
    if wide:
        notes.append(safe_text(check.title.rstrip("."), 160, "dim"))
    points = _points(check.score, check.max_score)
    if not passed:
        points[0].stylize(style)
    return (
        Text(ascii_mark if ascii_only else mark, style),
        Text(word, style),
        safe_text(check.name, 26),
        Text(", ").join(notes),
        *points,
    )


def _sum(grade: Grade) -> Iterator[tuple[Text, tuple[Text, ...]]]:
    """Checks, lateness, score: the sum a person would check by hand."""
    if grade.status is not GradeStatus.GRADED:
        yield Text(f"No score: {STATUS_WORDS[grade.status]}", "bold"), ()
        return
    if grade.deadline is not None and grade.deadline.penalty:
        yield Text("All checks"), _points(points_of_checks(grade), grade.max_score)
        yield Text("Late", "yellow"), (Text(minus(grade.deadline.penalty), "yellow"),)
    yield Text("Score", "bold"), _points(grade.score, grade.max_score, bold=True)


# --- what differs -------------------------------------------------------------------------


def _explanations(
    checks: Sequence[CheckResult], ascii_only: bool, wide: bool
) -> Iterator[RenderableType]:
    """One entry for each check that did not pass, then the remarks."""
    lost = [
        check for check in checks if check.outcome is not Outcome.PASSED and check.name != ACCURACY
    ]
    if lost:
        yield _section("Where points were lost")
        parts = [_explanation(check, ascii_only, wide) for check in lost if not _follows(check)]
        parts += _skipped([check for check in lost if _follows(check)], ascii_only)
        for number, part in enumerate(parts):
            yield Padding(part, (1 if number else 0, 0, 0, 1))
    remarks = [
        finding
        for check in checks
        for finding in check.findings
        if finding.severity == "remark" and check.outcome is Outcome.PASSED
    ]
    if remarks:
        yield _section("Remarks (they cost nothing)")
        yield Padding(Group(*_findings(remarks, wide)), (0, 0, 0, 1))


def _follows(check: CheckResult) -> bool:
    """Whether a check was only skipped, so that its cause is explained elsewhere."""
    return check.outcome is Outcome.SKIPPED and not check.findings


def _explanation(check: CheckResult, ascii_only: bool, wide: bool) -> RenderableType:
    mark, ascii_mark, word, style = _OUTCOMES[check.outcome]
    head = Table.grid(expand=True, padding=(0, 1))
    head.add_column(ratio=1)
    head.add_column(justify="right", no_wrap=True)
    name = Text(f"{ascii_mark if ascii_only else mark} {word}  ", style)
    name.append_text(safe_text(check.name, 40, "bold"))
    head.add_row(name, Text(f"{check.score:g} / {check.max_score:g}", style))
    body: list[RenderableType] = [head]
    body.append(Padding(safe_text(check.title, 200), _INDENT))
    if check.rationale:
        body.append(Padding(safe_text(check.rationale, 400, style), _INDENT))
    body.extend(Padding(part, _INDENT) for part in _findings(check.findings, wide))
    helped = {finding.help for finding in check.findings}
    if check.help and check.help not in helped:
        rows = _details()
        rows.add_row("help", safe_text(check.help, 400))
        body.append(Padding(rows, _INDENT))
    return Group(*body)


def _skipped(checks: Sequence[CheckResult], ascii_only: bool) -> list[RenderableType]:
    """Skipped checks by reason: the check that they build on is explained above."""
    mark, ascii_mark, word, style = _OUTCOMES[Outcome.SKIPPED]
    parts: list[RenderableType] = []
    for reason, group in groupby(sorted(checks, key=_reason), key=_reason):
        names = ", ".join(safe_line(check.name, 30) for check in group)
        head = Table.grid(padding=(0, 1))
        head.add_column(no_wrap=True)
        head.add_column()
        head.add_row(Text(f"{ascii_mark if ascii_only else mark} {word}", style), Text(names))
        parts.append(Group(head, Padding(Text(reason), _INDENT)))
    return parts


def _reason(check: CheckResult) -> str:
    return safe_line(check.rationale or "what it builds on failed", 200)


def _findings(findings: Iterable[Finding], wide: bool) -> Iterator[RenderableType]:
    """Findings in order, the first few of each kind in full, the rest folded by kind."""
    kinds: dict[tuple[str, str, str], list[Finding]] = {}
    for finding in findings:
        kinds.setdefault((finding.severity, finding.source, finding.help), []).append(finding)
    room = SHOWN_PER_CHECK
    for kind in kinds.values():
        shown = kind[: min(SHOWN_PER_KIND, room)]
        room -= len(shown)
        if shown:
            yield _kind(shown, wide)
        if len(kind) > len(shown):
            yield _folded(kind[len(shown) :], bool(shown))


def _kind(findings: Sequence[Finding], wide: bool) -> RenderableType:
    """Findings of one kind, with the help and the paper's section that they share."""
    rows = _details()
    for finding in findings:
        _add_finding(rows, finding, wide)
    if findings[0].help:
        rows.add_row("help", safe_text(findings[0].help, 300))
    if findings[0].source:
        # A paper is cited with its year; the reference of a course is none.
        label = "paper" if any(map(str.isdecimal, findings[0].source)) else "beside"
        rows.add_row(label, safe_text(findings[0].source, 120, "italic"))
    return rows


def _add_finding(rows: Table, finding: Finding, wide: bool) -> None:
    """Where, what, expected, received; on a wide screen expected and received share a line."""
    remark = finding.severity == "remark"
    where = safe_text(finding.where, 120, "bold cyan" if remark else "bold")
    compared = bool(finding.expected or finding.received)
    what = finding.message
    if compared:
        what = what.partition(": expected " if ": expected " in what else ":")[0]
    if compared and what.startswith(f"{finding.where} ("):
        where = safe_text(what, 160, "bold cyan" if remark else "bold")
    elif compared and what != finding.message:
        what = what.removeprefix(f"{finding.where}: ")
        where.append(": ").append_text(safe_text(what, 160))
    rows.add_row("remark" if remark else "where", where)
    if not compared:
        rows.add_row("what", safe_text(what, 400))
        return
    expected = safe_text(finding.expected or "nothing", 300, "green")
    received = safe_text(finding.received or "nothing", 300, "red")
    if wide and len(expected) + len(received) < MAX_WIDTH // 2:
        rows.add_row("expected", Text.assemble(expected, ("   received  ", "dim"), received))
        return
    rows.add_row("expected", expected)
    rows.add_row("received", received)


def _folded(findings: Sequence[Finding], some_shown: bool) -> Text:
    """The rest of one kind in one line: how many, and where the first of them are."""
    places = [safe_line(finding.where, 40) for finding in findings[:PLACES_NAMED]]
    rest = "; …" if len(findings) > PLACES_NAMED else ""
    more = "more of the same kind" if some_shown else "more"
    return Text(f"+ {len(findings)} {more}: {'; '.join(places)}{rest}", "dim")


def _details() -> Table:
    """A grid for one finding: word, text."""
    rows = Table.grid(padding=(0, 1))
    rows.add_column(no_wrap=True, min_width=9, style="dim")
    rows.add_column(overflow="fold")
    return rows


# --- accuracy, deadline, foundations ------------------------------------------------------


def _accuracy(grade: Grade, ascii_only: bool) -> RenderableType:
    if grade.evaluation is None:
        return _accuracy_missing(grade)
    measured = grade.evaluation
    low, high = measured.interval_95
    rows = _facts()
    verdict = Text(f"{measured.accuracy:.2%}", f"bold {'green' if measured.met else 'red'}")
    verdict.append(f"  {'met' if measured.met else 'not met'}: ", "bold")
    verdict.append(f"must be above {percent(measured.threshold)}")
    rows.add_row("accuracy", verdict)
    rows.add_row("", _Scale(measured, ascii_only))
    interval = Text(f"{low:.2%} to {high:.2%}, from {measured.correct:,} of {measured.images:,}")
    if low <= measured.threshold <= high:
        interval.append("; holds the threshold: chance plays a part", "yellow")
    rows.add_row("95% interval", interval)
    charged, budget = measured.against_budget_s, measured.time_budget_s
    spent = Text(f"{measured.wall_time_s:.1f} s of {measured.time_budget_s:g} s, on ")
    spent.append_text(safe_text(measured.device, 60))
    if measured.wall_time_s - charged > SHOWN_WAITING * charged:
        spent.append(f"; {charged:.1f} s charged, other programs took the rest")
    if not is_in_time(charged, budget, measured.mode):
        spent.append(f"; {charged - budget:.1f} s over budget, does not count", "red")
    rows.add_row("time", spent)
    rows.add_row("images", _dataset(measured))
    for label, text in measured_rows(measured):
        rows.add_row(label, text)
    return Padding(rows, (0, 0, 0, 1))


def _dataset(measured: Evaluation) -> Text:
    data = measured.dataset
    text = safe_text(data.name, 40).append(f"  sha256 {data.sha256[:12]}", "dim")
    if data.official:
        return text.append("  official archive")
    return text.append("  not the official archive: the accuracy is close, not the same", "yellow")


@dataclass(frozen=True)
class _Scale:
    """Accuracy on a line from 0 to 100%, with the threshold marked."""

    measured: Evaluation
    ascii_only: bool

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        width = max(10, min(options.max_width, 60))
        reached = round(width * self.measured.accuracy)
        mark = min(width - 1, int(width * self.measured.threshold))
        full, empty, tick = ("=", ".", "|") if self.ascii_only else ("━", "─", "┃")
        style = "green" if self.measured.met else "red"
        scale = Text()
        for column in range(width):
            if column == mark:
                scale.append(tick, "bold")
            else:
                within = column < reached
                scale.append(full if within else empty, style if within else "dim")
        yield scale


def _accuracy_missing(grade: Grade) -> RenderableType:
    note = grade.evaluation_note or "no evaluation was made"
    text = Text.assemble(("not evaluated: ", "bold yellow"), safe_text(note, 300))
    still_open = open_points(grade)
    if still_open:
        text.append(f"; {still_open:g} points stay open", "yellow")
    return Padding(text, (0, 0, 0, 1))


def _deadline(result: DeadlineResult, zone: tzinfo | None) -> RenderableType:
    rows = _facts()
    local = zone or result.due.tzinfo
    if result.received_at is None:
        rows.add_row("received", Text("not known", "yellow"))
    else:
        received = _moment(result.received_at, local)
        rows.add_row("received", received)
        source = _FROM_WORDS.get(result.received_from or "", "")
        rows.add_row("", Text(source, "yellow" if result.weak else "dim"))
    rows.add_row("due", _moment(result.due, local))
    if result.extension:
        rows.add_row("", safe_text(result.extension, 120, "cyan"))
    if result.received_at is not None:
        rows.add_row("difference", _difference(result, result.received_at))
    rows.add_row("rule", safe_text(result.rule, 300))
    rows.add_row("effect", _effect(result))
    return Padding(rows, (0, 0, 0, 1))


def _moment(moment: datetime, zone: tzinfo | None) -> Text:
    """An instant in the assignment's zone and in UTC."""
    local = moment.astimezone(zone)
    offset = local.strftime("%z")
    text = Text(f"{local:%Y-%m-%d %H:%M:%S} {offset[:3]}:{offset[3:5]}")
    return text.append(f"  =  {moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC", "dim")


def _difference(result: DeadlineResult, received_at: datetime) -> Text:
    if result.seconds_late > 0:
        return Text(f"{duration(result.seconds_late)} late", "bold yellow")
    early = (result.due.astimezone(UTC) - received_at.astimezone(UTC)).total_seconds()
    if early < 1:
        return Text("in the due second itself: in time")
    return Text(f"{duration(early)} before: in time")


def duration(seconds: float) -> str:
    """Seconds as a person says them: "2 d 3 h", "1 h 1 min 19 s", "1 s"."""
    rest = int(seconds)
    parts = []
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min"), (1, "s")):
        count, rest = divmod(rest, size)
        if count:
            parts.append(f"{count:,} {unit}")
    return " ".join(parts) or "0 s"


def _effect(result: DeadlineResult) -> Text:
    if result.rejected:
        return Text("not graded", "bold red")
    if result.penalty:
        return Text(f"{minus(result.penalty)} points", "bold yellow")
    return Text("none")


def _foundations(grade: Grade, assignment: Assignment | None) -> RenderableType:
    rows = _facts()
    rows.add_row("isolation", _isolation(grade))
    made = grade.provenance
    versions = [f"grader {safe_line(made.grader, 30)}"]
    versions += [f"TensorFlow {safe_line(made.tensorflow, 20)}"] if made.tensorflow else []
    versions += [f"Keras {safe_line(made.keras, 20)}"] if made.keras else []
    versions += [f"backend {safe_line(made.backend, 20)}"] if made.backend else []
    rows.add_row("software", Text(", ".join(versions)))
    sha256 = Text(made.assignment_sha256[:12])
    if assignment is not None and assignment.sha256 != made.assignment_sha256:
        sha256.append("  the assignment's file has changed since", "yellow")
    rows.add_row("assignment", sha256)
    if grade.submission.sha256:
        rows.add_row("submission", Text(grade.submission.sha256[:12]))
    if made.probe_seed_id:
        rows.add_row("probes", Text("drawn with course key ") + safe_text(made.probe_seed_id, 40))
    for number, remark in enumerate(grade.remarks[:REMARKS_SHOWN]):
        rows.add_row("" if number else "intake", safe_text(remark, 160))
    if len(grade.remarks) > REMARKS_SHOWN:
        rows.add_row("", Text(f"+ {len(grade.remarks) - REMARKS_SHOWN} more remarks", "dim"))
    return Padding(rows, (0, 0, 0, 1))


def _isolation(grade: Grade) -> Text:
    if grade.isolation is None:
        return Text("student code did not run")
    if grade.isolation == "none":
        return Text("none", "bold red").append(
            ": student code ran without a sandbox and could have done anything here", "red"
        )
    words = {"docker": "in a container", "jail": "in the Linux jail"}[grade.isolation]
    return Text(grade.isolation, "green").append(f": student code ran {words}", "default")


def _facts() -> Table:
    """A two-column grid: what, value."""
    rows = Table.grid(padding=(0, 1))
    rows.add_column(no_wrap=True, min_width=12, style="dim")
    rows.add_column(overflow="fold")
    return rows


def _by_group(checks: Sequence[CheckResult]) -> Iterator[tuple[str, list[CheckResult]]]:
    """Checks by group, groups in order of first appearance."""
    groups: dict[str, list[CheckResult]] = {}
    for check in checks:
        groups.setdefault(check.group, []).append(check)
    yield from groups.items()
