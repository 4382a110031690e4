"""A network beside another: the student's beside the paper's, or beside any reference.

A row that differs carries a sign and a word, and the steps that differ are bold; colour only
repeats them. All text may be a student's and goes through `safe_text`, or for HTML and SVG through
`safe_line` and escaping.
"""

from __future__ import annotations

import difflib
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


# --- for the HTML report -------------------------------------------------------------------

STYLE = """
.diff { border-collapse: collapse; width: 100%; font-size: 0.9rem; }
.diff caption { text-align: left; font-weight: bold; padding: 0.4rem 0; }
.diff th, .diff td { text-align: left; vertical-align: top; padding: 0.35rem 0.6rem;
  border: 1px solid #d0d7de; }
.diff tbody th { white-space: nowrap; }
.diff td:first-child { white-space: nowrap; }
.diff-differs { background: #fff1f0; }
.diff-differs td:first-child { color: #b42318; font-weight: bold; }
.diff mark { background: none; color: #b42318; font-weight: bold; }
.diff .diff-paper mark { color: inherit; }
.diff ul { margin: 0.3rem 0 0; padding-left: 1.1rem; color: #57606a; }
"""
"""For whoever puts the fragment into a page."""


def html_fragment(drawing: Drawing | None) -> str:
    """The table as an HTML fragment, for the HTML report; no script, no address, no style sheet.

    Classes: diff, diff-same, diff-differs, diff-paper; `STYLE` has rules for them. All text is
    escaped.
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
    notes = [f"<li>{_escaped(note)}</li>" for note in row.notes[:NOTES]]
    if len(row.notes) > NOTES:
        notes.append(f"<li>and {len(row.notes) - NOTES} more</li>")
    paper, network = marked(row)
    return (
        f'<tr class="{kind}"><td>{sign} {word}</td><th scope="row">{_escaped(row.part)}</th>'
        f'<td class="diff-paper">{_html_steps(paper)}</td><td>{_html_steps(network)}'
        + (f"<ul>{''.join(notes)}</ul>" if notes else "")
        + "</td></tr>"
    )


def _html_steps(steps: Marked) -> str:
    return ARROW.join(
        f"<mark>{_escaped(text)}</mark>" if differs else _escaped(text) for text, differs in steps
    )


WIDTH, BOX, MIDDLE, MARGIN = 1080, 500, 40, 20
"""Of the picture, of its boxes, between its columns, and around it, in SVG units."""
LINE, GAP = 17, 14
"""From one line of text to the next, and between two boxes."""
LETTERS = 66
"""Characters that fit on one line of a box."""
INK, GREY, RED, PALE, ROSE = "#1f2328", "#57606a", "#b42318", "#f6f8fa", "#fff1f0"

Piece = tuple[str, str]
"""A word, and how it is written: "", "bold", "mark" or "note"."""


def svg(drawing: Drawing | None) -> str:
    """The two networks as columns of boxes, from stem to head, with what differs marked.

    A box that differs has a dashed border and a sign beside it; its differing steps are bold.
    """
    title = _escaped(_title(drawing).plain if drawing is not None else "no network to draw")
    at = MARGIN + 2 * LINE
    right = MARGIN + BOX + MIDDLE
    parts = [
        f'<text x="{MARGIN}" y="{MARGIN + 12}" font-size="15" font-weight="bold">{title}</text>'
    ]
    at += LINE
    for x, text in ((MARGIN, "the paper"), (right, "this network")):
        parts.append(f'<text x="{x}" y="{at}" fill="{GREY}">{text}</text>')
    at += GAP
    rows = drawing.rows if drawing is not None else ()
    for number, row in enumerate(rows):
        boxes = _boxes(row)
        height = (1 + max(len(lines) for lines in boxes)) * LINE + GAP
        for x, lines, wrong in ((MARGIN, boxes[0], False), (right, boxes[1], row.differs)):
            if number and (row.network if x == right else row.paper):
                parts.append(_arrow(x + BOX // 2, at - GAP))
            parts.append(_box(row.part, lines, x, at, height, wrong))
        parts.append(_sign(row, at + height // 2))
        at += height + GAP
    differing = sum(row.differs for row in rows)
    parts.append(
        f'<text x="{MARGIN}" y="{at + LINE}" fill="{GREY}">{SAME[0]} {SAME[1]}   '
        f"{DIFFERS[0]} {DIFFERS[1]}: {differing} of {len(rows)}</text>"
    )
    height = at + 2 * LINE + MARGIN // 2
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" '
        f'font-family="DejaVu Sans, Verdana, sans-serif" font-size="12" fill="{INK}">'
        f'<title>{title}</title><rect width="{WIDTH}" height="{height}" fill="white"/>'
        f"{''.join(parts)}</svg>"
    )


def _boxes(row: Row) -> tuple[list[list[Piece]], list[list[Piece]]]:
    """The lines of the paper's box and of the network's; none where there is no box."""
    paper, network = marked(row)
    left = _wrapped(_pieces(paper, "bold")) if row.paper else []
    right = _wrapped(_pieces(network, "mark")) if row.network else []
    notes = list(row.notes[:NOTES])
    if len(row.notes) > NOTES:
        notes.append(f"and {len(row.notes) - NOTES} more")
    for note in notes:
        right += _wrapped([(word, "note") for word in f"› {safe_line(note, LIMIT)}".split()])
    return left, right


def _pieces(steps: Marked, style: str) -> list[Piece]:
    found: list[Piece] = []
    for i, (text, differs) in enumerate(steps):
        found += [("→", "")] if i else []
        found += [(word, style if differs else "") for word in safe_line(text, LIMIT).split()]
    return found


def _wrapped(pieces: Sequence[Piece]) -> list[list[Piece]]:
    lines: list[list[Piece]] = [[]]
    used = 0
    for word, style in pieces:
        word = word if len(word) <= LETTERS else word[: LETTERS - 1] + "…"
        if used and used + 1 + len(word) > LETTERS:
            lines.append([])
            used = 0
        lines[-1].append((word, style))
        used += len(word) + (1 if used else 0)
    return lines


_STYLES = {
    "": "",
    "bold": ' font-weight="bold"',
    "mark": f' font-weight="bold" fill="{RED}"',
    "note": f' fill="{GREY}" font-style="italic"',
}


def _box(
    part: str, lines: Sequence[Sequence[Piece]], x: int, y: int, height: int, wrong: bool
) -> str:
    if not lines:
        return ""
    border = f'stroke="{RED}" stroke-width="2" stroke-dasharray="7 3"'
    if not wrong:
        border = f'stroke="{GREY}" stroke-width="1"'
    text = "".join(
        f'<text x="{x + 10}" y="{y + 20 + LINE * (i + 1)}">{_line(line)}</text>'
        for i, line in enumerate(lines)
    )
    return (
        f'<rect x="{x}" y="{y}" width="{BOX}" height="{height}" rx="5" '
        f'fill="{ROSE if wrong else PALE}" {border}/>'
        f'<text x="{x + 10}" y="{y + 20}" font-weight="bold">{_escaped(part, LETTERS - 8)}</text>'
        f"{text}"
    )


def _line(pieces: Sequence[Piece]) -> str:
    return " ".join(
        f"<tspan{_STYLES[style]}>{html.escape(word)}</tspan>" if style else html.escape(word)
        for word, style in pieces
    )


def _arrow(x: int, y: int) -> str:
    """From one box to the next."""
    return f'<path d="M{x} {y}v{GAP - 3}m-4 -4l4 4l4 -4" fill="none" stroke="{GREY}"/>'


def _sign(row: Row, y: int) -> str:
    style = f' fill="{RED}" font-weight="bold"' if row.differs else f' fill="{GREY}"'
    sign = DIFFERS[0] if row.differs else SAME[0]
    x = MARGIN + BOX + MIDDLE // 2
    return f'<text x="{x}" y="{y + 6}" font-size="18" text-anchor="middle"{style}>{sign}</text>'


def _escaped(text: str, limit: int = LIMIT) -> str:
    return html.escape(safe_line(text, limit), quote=True)
