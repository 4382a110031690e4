"""A network beside another: the student's beside the paper's, or beside any reference.

A row that differs carries a sign and a word, and the steps that differ are bold; colour only
repeats them. All text may be a student's and goes through `safe_text`.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from grader.domain import Finding
from grader.graph.drawing import MISSING, Drawing, Row
from grader.report.text import safe_line, safe_text

LIMIT = 400
"""Characters of one cell."""
NOTES = 3
"""Messages shown with one row."""
SAME, DIFFERS = ("=", "the same"), ("≠", "differs")


def render_drawing(drawing: Drawing | None) -> RenderableType:
    """The table for a terminal.

    Args:
        drawing: From `grader.graph.drawing.draw`; None where there was no network.
    """
    if drawing is None:
        return Text("There is no network to draw: nothing was built that could be read.")
    table = Table(title=_title(drawing), title_justify="left", expand=True, show_lines=True)
    table.add_column("", width=1, no_wrap=True)
    table.add_column("part", ratio=2)
    table.add_column("the paper", ratio=5)
    table.add_column("this network", ratio=6)
    for row in drawing.rows:
        sign = DIFFERS[0] if row.differs else SAME[0]
        style = "bold red" if row.differs else ""
        paper, network = marked(row)
        table.add_row(
            Text(sign, style=style),
            safe_text(row.part, LIMIT, style),
            _steps(paper, "bold"),
            _network_cell(row, network),
        )
    differing = sum(row.differs for row in drawing.rows)
    legend = f"{SAME[0]} {SAME[1]}   {DIFFERS[0]} {DIFFERS[1]}: {differing} of {len(drawing.rows)}"
    return Group(table, Text(legend))


def render_paper(drawing: Drawing) -> RenderableType:
    """A network of the paper's alone, a line for each part."""
    rows = Table.grid(padding=(0, 1))
    rows.add_column(no_wrap=True, style="bold")
    rows.add_column()
    for row in drawing.rows:
        rows.add_row(row.part, row.paper)
    return rows


def _title(drawing: Drawing) -> Text:
    return safe_text(f"{drawing.function}() beside {drawing.title}", LIMIT)


def _network_cell(row: Row, network: Marked) -> Text:
    cell = Text()
    if row.network:
        if row.differs:
            cell.append("differs: ", style="bold")
        cell.append_text(_steps(network, "bold red"))
    for note in row.notes[:NOTES]:
        cell.append("\n" if cell else "")
        cell.append("› ", style="dim")
        cell.append_text(safe_text(note, LIMIT))
    if len(row.notes) > NOTES:
        cell.append(f"\n› and {len(row.notes) - NOTES} more", style="dim")
    return cell


def _steps(steps: Marked, style: str) -> Text:
    return Text(ARROW).join(
        safe_text(text, LIMIT, style if differs else "") for text, differs in steps
    )


# --- which steps differ --------------------------------------------------------------------

ARROW = " → "
Marked = list[tuple[str, bool]]
"""Steps in order, and whether the other side has them too, in this place."""


def marked(row: Row) -> tuple[Marked, Marked]:
    """The steps of both sides of a row; where it differs, with those marked that do."""
    paper, network = row.paper.split(ARROW), row.network.split(ARROW)
    if not row.differs or MISSING in (row.paper, row.network):
        return [(text, False) for text in paper], [(text, False) for text in network]
    same = difflib.SequenceMatcher(None, paper, network, autojunk=False).get_matching_blocks()
    ours = {block.a + i for block in same for i in range(block.size)}
    theirs = {block.b + i for block in same for i in range(block.size)}
    return (
        [(text, i not in ours) for i, text in enumerate(paper)],
        [(text, i not in theirs) for i, text in enumerate(network)],
    )


def render_comparison(findings: Sequence[Finding], mine: str, reference: str) -> RenderableType:
    """The result of `grade compare` for a terminal.

    Args:
        findings: From `grader.graph.compare.same_network`.
        mine: How the judged network is named.
        reference: How the reference is named.
    """
    deviations = [f for f in findings if f.severity == "deviation"]
    remarks = [f for f in findings if f.severity == "remark"]
    title = Text()
    title.append_text(safe_text(mine, LIMIT))
    title.append(" computes ")
    if deviations:
        title.append("another network than ", style="bold red")
    else:
        title.append("the same network as ", style="bold green")
    title.append_text(safe_text(reference, LIMIT))
    parts: list[RenderableType] = [title]
    for number, finding in enumerate(deviations, 1):
        parts.append(_finding(f"{number}.", finding))
    for finding in remarks:
        parts.append(_finding("remark:", finding))
    return Group(*parts)


def _finding(mark: str, finding: Finding) -> Text:
    text = Text(f"\n{mark} ", style="bold")
    where = safe_line(finding.where, LIMIT)
    message = safe_line(finding.message, 2 * LIMIT)
    if not message.startswith(where):
        text.append(f"{where}\n   ", style="bold")
    text.append(message, style="not bold")
    if finding.help:
        text.append("\n   " + safe_line(finding.help, LIMIT), style="not bold italic")
    return text
