"""`grade explain`: what a check is about, in the paper's words and with its picture."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from grader.checks import Check
from grader.graph.drawing import draw_links, draw_paper
from grader.paper import Configuration
from grader.report.diff import render_paper
from grader.student.explanations import EXPLANATIONS, LINKED, Explanation

DRAWN = Configuration(22, 12, 0.5, bottleneck=True)
"""A small network of the paper's kind with everything in it."""
INDENT = (0, 0, 0, 2)


def explanation(check: Check, points: float) -> RenderableType:
    """A check as `grade explain` shows it.

    Args:
        check: Which one.
        points: What it is worth.
    """
    return Group(*_parts(check, points))


def check_list(checks: dict[Check, float]) -> RenderableType:
    """All checks that can be explained, with their points and titles."""
    rows = Table.grid(padding=(0, 1))
    rows.add_column(no_wrap=True, style="bold")
    rows.add_column(justify="right")
    rows.add_column()
    for check, points in checks.items():
        rows.add_row(check.name, f"{points:g}", check.title)
    return rows


def _parts(check: Check, points: float) -> Iterator[RenderableType]:
    head = Table.grid(expand=True, padding=(0, 1))
    head.add_column(ratio=1)
    head.add_column(justify="right", no_wrap=True)
    head.add_row(Text(check.name, "bold"), Text(f"{points:g} points", "dim"))
    yield head
    yield Padding(check.title, INDENT)
    known = EXPLANATIONS.get(check.name)
    if known is not None:
        yield from _explained(known, linked=check.name in LINKED)
    yield Text()
    yield Text(f"Try it: grade check --only {check.name}", "bold")


def _explained(known: Explanation, linked: bool) -> Iterator[RenderableType]:
    yield Text(f"\n{known.section[:1].upper()}{known.section[1:]}", "bold")
    yield Padding(Text(f"“{known.quote}”", "italic"), INDENT)
    whole = draw_paper(DRAWN)
    rows = tuple(r for r in whole.rows if not known.parts or r.part.startswith(known.parts))
    if linked:
        yield Text(f"\nWhat is right, drawn for block 1 of {whole.title}", "bold")
        yield Padding(Text(draw_links(DRAWN)), INDENT)
        rows = rows[:1]
    else:
        yield Text(f"\nWhat is right, drawn for {whole.title}", "bold")
    yield Padding(render_paper(replace(whole, rows=rows)), INDENT)
    if known.mistakes:
        yield Text("\nOften written", "bold")
        yield Padding(_mistakes(known), INDENT)


def _mistakes(known: Explanation) -> Table:
    rows = Table.grid(padding=(0, 1))
    rows.add_column(ratio=1)
    rows.add_column(style="dim", no_wrap=True)
    rows.add_column(ratio=1)
    for written, instead in known.mistakes:
        rows.add_row(Text(written), "instead", Text(instead))
    return rows
