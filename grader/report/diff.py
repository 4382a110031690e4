"""A network beside another: the student's beside the paper's, or beside any reference.

A row that differs carries a sign and a word; colour only repeats them. All text may be a
student's and goes through `safe_text`, or for HTML and SVG through `safe_line` and escaping.
"""

from __future__ import annotations

import html
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
        table.add_row(
            Text(sign, style=style),
            safe_text(row.part, LIMIT, style),
            safe_text(row.paper, LIMIT),
            _network_cell(row),
        )
    differing = sum(row.differs for row in drawing.rows)
    legend = f"{SAME[0]} {SAME[1]}   {DIFFERS[0]} {DIFFERS[1]}: {differing} of {len(drawing.rows)}"
    return Group(table, Text(legend))


def _title(drawing: Drawing) -> Text:
    return safe_text(f"{drawing.function}() beside {drawing.title}", LIMIT)


def _network_cell(row: Row) -> Text:
    cell = Text()
    if row.network:
        if row.differs:
            cell.append("differs: ", style="bold")
        cell.append_text(safe_text(row.network, LIMIT, "red" if row.differs else ""))
    for note in row.notes[:NOTES]:
        cell.append("\n" if cell else "")
        cell.append("› ", style="dim")
        cell.append_text(safe_text(note, LIMIT))
    if len(row.notes) > NOTES:
        cell.append(f"\n› and {len(row.notes) - NOTES} more", style="dim")
    return cell


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


# --- for the HTML report -------------------------------------------------------------------


def html_fragment(drawing: Drawing | None) -> str:
    """The table as an HTML fragment, for the HTML report; no script, no address, no style sheet.

    Classes: diff, diff-same, diff-differs. All text is escaped.
    """
    if drawing is None:
        return '<p class="diff">There is no network to draw.</p>'
    rows = "".join(_html_row(row) for row in drawing.rows)
    return (
        f'<table class="diff"><caption>{_escaped(_title(drawing).plain)}</caption>'
        '<thead><tr><th scope="col">is it the same?</th><th scope="col">part</th>'
        '<th scope="col">the paper</th><th scope="col">this network</th></tr></thead>'
        f"<tbody>{rows}</tbody></table>"
    )


def _html_row(row: Row) -> str:
    sign, word = DIFFERS if row.differs else SAME
    kind = "diff-differs" if row.differs else "diff-same"
    notes = "".join(f"<li>{_escaped(note)}</li>" for note in row.notes[:NOTES])
    network = _escaped(row.network)
    if row.differs and network:
        network = f"<strong>{network}</strong>"
    return (
        f'<tr class="{kind}"><td>{sign} {word}</td><th scope="row">{_escaped(row.part)}</th>'
        f"<td>{_escaped(row.paper)}</td><td>{network}"
        + (f"<ul>{notes}</ul>" if notes else "")
        + "</td></tr>"
    )


WIDTH, BOX, HEIGHT, GAP = 960, 460, 40, 12
"""Of the picture and its boxes, in SVG units."""
LETTERS = 68
"""Characters that fit on one line of a box."""


def svg(drawing: Drawing | None) -> str:
    """The two networks as columns of boxes; what differs has a dashed border and a sign."""
    rows = drawing.rows if drawing is not None else ()
    total = (len(rows) + 1) * (HEIGHT + GAP) + GAP
    title = _escaped(_title(drawing).plain if drawing is not None else "no network to draw")
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {total}" role="img" '
        f'font-family="sans-serif" font-size="12"><title>{title}</title>'
    )
    names = "".join(
        f'<text x="{x}" y="{GAP + HEIGHT // 2}" font-weight="bold">{text}</text>'
        for x, text in ((GAP, "the paper"), (GAP + WIDTH // 2, "this network"))
    )
    boxes = "".join(
        _box(row, text, x, (i + 1) * (HEIGHT + GAP) + GAP)
        for i, row in enumerate(rows)
        for x, text in ((GAP // 2, row.paper), (GAP // 2 + WIDTH // 2, row.network))
    )
    return f"{head}{names}{boxes}</svg>"


def _box(row: Row, text: str, x: int, y: int) -> str:
    sign = DIFFERS[0] if row.differs else SAME[0]
    border = 'stroke-width="3" stroke-dasharray="6 3"' if row.differs else 'stroke-width="1"'
    absent = text in ("", MISSING)
    fill = "none" if absent else "white"
    shown = text or "; ".join(row.notes)
    return (
        f'<rect x="{x}" y="{y}" width="{BOX}" height="{HEIGHT}" rx="4" fill="{fill}" '
        f'stroke="black" {border}/>'
        f'<text x="{x + 8}" y="{y + 16}" font-weight="bold">{sign} {_escaped(row.part, 60)}</text>'
        f'<text x="{x + 8}" y="{y + 32}">{_escaped(shown, LETTERS)}</text>'
    )


def _escaped(text: str, limit: int = LIMIT) -> str:
    return html.escape(safe_line(text, limit), quote=True)
