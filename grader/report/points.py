"""The points: checks by group, and the sum that a person would check by hand."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from rich.console import RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from grader.domain import CheckResult, Grade, GradeStatus, Outcome
from grader.report.text import safe_text
from grader.report.words import OUTCOMES, STATUS_WORDS, minus, share_style
from grader.scoring import points_of_checks


def points_table(grade: Grade, ascii_only: bool, wide: bool) -> RenderableType:
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
    style = f"{'bold ' if bold else ''}{share_style(earned, most)}"
    return Text(f"{earned:g}", style), Text("/"), Text(f"{most:g}", "bold" if bold else "")


def _check_row(check: CheckResult, ascii_only: bool, wide: bool) -> tuple[RenderableType, ...]:
    mark, ascii_mark, word, style = OUTCOMES[check.outcome]
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
    if not passed and not check.max_score:
        notes.append(Text("worth no points", "dim"))
        style = "yellow"
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
    if grade.override is not None:
        yield Text("Set by hand", "magenta"), _points(grade.score, grade.max_score)
    yield Text("Score", "bold"), _points(grade.score, grade.max_score, bold=True)


def _by_group(checks: Sequence[CheckResult]) -> Iterator[tuple[str, list[CheckResult]]]:
    """Checks by group, groups in order of first appearance."""
    groups: dict[str, list[CheckResult]] = {}
    for check in checks:
        groups.setdefault(check.group, []).append(check)
    yield from groups.items()
