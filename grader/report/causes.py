"""Why points were lost: each cause with its place, and below it what only follows from it."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from grader.domain import CheckResult, Finding, Outcome
from grader.report.text import safe_line, safe_lines, safe_text
from grader.report.thumbnails import Pictures
from grader.report.words import MAX_WIDTH, OUTCOMES, cost
from grader.scoring import ACCURACY

LONGEST_HEADLINE = 180
"""Characters of an exception's text that a headline holds; its first sentence in any case."""
GROUPS_NAMED = 3
"""Blocks whose layers are named one after the other."""
PRINTED_SHOWN = 8
"""Lines shown of what a call printed."""
SHOWN_PER_KIND = 2
"""Findings of one kind shown in full; the rest is folded into one line."""
SHOWN_PER_CHECK = 6
"""Findings of one check shown in full."""
PLACES_NAMED = 6
"""Places named in the line that folds the rest."""
INDENT = (0, 0, 0, 3)


@dataclass(frozen=True)
class Cause:
    """A check that did not pass, and those that follow from it.

    Attributes:
        check: What is mended first.
        follows: What did not pass because of it.
    """

    check: CheckResult
    follows: tuple[CheckResult, ...]

    @property
    def lost(self) -> float:
        """Points that all of them lost together."""
        return math.fsum(c.max_score - c.score for c in (self.check, *self.follows))

    @property
    def finding(self) -> Finding | None:
        """The first place that shows it."""
        return next((f for f in self.check.findings if f.severity == "deviation"), None)


def causes_of(checks: Sequence[CheckResult]) -> list[Cause]:
    """The causes in the order to mend them in; the accuracy is none.

    A check whose cause is not among `checks` (nobody may see it) stands for itself.
    """
    lost = [c for c in checks if c.outcome is not Outcome.PASSED and c.name != ACCURACY]
    names = {c.name for c in lost}
    first = [c for c in lost if c.follows_from not in names and not _only_skipped(c)]
    first.sort(key=lambda c: (c.rank == 0, c.rank))
    causes = [Cause(c, tuple(o for o in lost if o.follows_from == c.name)) for c in first]
    return sorted(causes, key=lambda cause: not cause.lost)


def unexplained(checks: Sequence[CheckResult]) -> list[CheckResult]:
    """Skipped checks that follow from nothing that is shown."""
    told = {c.name for cause in causes_of(checks) for c in (cause.check, *cause.follows)}
    return [c for c in checks if _only_skipped(c) and c.name not in told and c.name != ACCURACY]


def _only_skipped(check: CheckResult) -> bool:
    return check.outcome is Outcome.SKIPPED and not check.findings


def all_causes(checks: Sequence[CheckResult], ascii_only: bool, wide: bool) -> Iterator[Group]:
    """Every cause in full, then what was skipped for another reason."""
    for number, cause in enumerate(causes_of(checks), 1):
        yield Group(*_in_full(cause, number, ascii_only, wide))
    yield from _skipped(unexplained(checks), ascii_only)


def _in_full(cause: Cause, number: int, ascii_only: bool, wide: bool) -> Iterator[RenderableType]:
    yield headline(cause, number)
    yield Padding(_check_line(cause.check, ascii_only), INDENT)
    first = cause.finding
    if first is None and cause.check.help:
        yield Padding(_help(cause.check.help), INDENT)
    for part in findings(cause.check.findings, wide, headed=first):
        yield Padding(part, INDENT)
    if first is not None:
        yield from command(first)
    yield from consequences(cause)


def headline(cause: Cause, number: int | None = None, limit: int = 300) -> RenderableType:
    """Where and what, and the points that it costs; an exception by its place and its text."""
    head = Table.grid(expand=True, padding=(0, 1))
    if number is not None:
        head.add_column(no_wrap=True, min_width=2)
    head.add_column(ratio=1, overflow="fold")
    head.add_column(justify="right", no_wrap=True)
    words = safe_text(cause_words(cause), limit, "bold")
    lost = Text(cost(cause.lost), "red" if cause.lost else "dim")
    head.add_row(*([Text(str(number), "bold")] if number is not None else []), words, lost)
    return head


def cause_words(cause: Cause) -> str:
    """A cause in one line."""
    finding = cause.finding
    if finding is None:
        return cause.check.rationale or cause.check.title
    if finding.place:
        return f"{finding.place}: {first_sentences(finding.received)}"
    where = places_of(finding)
    if finding.expected or finding.received:
        where = f"{where}, your {finding.layer}" if finding.layer else where
        return f"{where}: {finding.what}" if finding.what else where
    return f"{where}: {finding.message}"


def places_of(finding: Finding) -> str:
    """Where it is, in few words: "dense_block, layers 1 to 4"."""
    numbers: dict[str, list[int]] = {}
    for place in finding.places:
        before, _, number = place.rpartition(" ")
        if not number.isdecimal() or not before:
            return finding.where
        numbers.setdefault(before, []).append(int(number))
    told = [_numbered(before, sorted(found)) for before, found in numbers.items()]
    rest = f"; {len(told) - GROUPS_NAMED} more" if len(told) > GROUPS_NAMED else ""
    return "; ".join(told[:GROUPS_NAMED]) + rest if told else finding.where


def _numbered(what: str, numbers: Sequence[int]) -> str:
    if len(numbers) == 1:
        return f"{what} {numbers[0]}"
    if list(numbers) == list(range(numbers[0], numbers[-1] + 1)) and len(numbers) > 2:
        return f"{what}s {numbers[0]} to {numbers[-1]}"
    return f"{what}s {', '.join(map(str, numbers[:-1]))} and {numbers[-1]}"


def first_sentences(text: str) -> str:
    """What an exception says, without the sentences that would make it longer than a headline."""
    kept, *rest = re.split(r"(?<=[.:;]) (?=[A-Z])", text)
    for sentence in rest:
        if len(kept) + len(sentence) > LONGEST_HEADLINE:
            return kept.rstrip(":;") if len(kept) > 40 else text
        kept += f" {sentence}"
    return kept


def brief_words(cause: Cause) -> str:
    """A cause in a line that may be cut: what stands first, then where."""
    finding = cause.finding
    if finding is None or finding.place or not finding.what:
        return cause_words(cause)
    return f"{finding.what}: {places_of(finding)}"


def code_line(finding: Finding) -> Text:
    """The line of the student's file that an exception came from."""
    number = f"{finding.line:>4} " if finding.line else ""
    return Text(f"{number}│ ", "dim").append_text(safe_text(finding.code, 160, "default not dim"))


def _check_line(check: CheckResult, ascii_only: bool) -> Text:
    mark, ascii_mark, word, style = OUTCOMES[check.outcome]
    line = Text(f"{ascii_mark if ascii_only else mark} {word}  ", style)
    line.append_text(safe_text(check.name, 40, "bold"))
    line.append(f"  {check.score:g} / {check.max_score:g}  ")
    return line.append_text(safe_text(check.title, 200, "dim"))


def consequences(cause: Cause) -> Iterator[RenderableType]:
    """The checks that follow from a cause, named in one line."""
    if cause.follows:
        many = len(cause.follows) > 1
        words = f"{len(cause.follows)} further checks follow" if many else "1 further check follows"
        names = ", ".join(safe_line(check.name, 40) for check in cause.follows)
        yield Padding(Text(f"{words} from this: {names}", "dim"), INDENT)


def command(finding: Finding) -> Iterator[RenderableType]:
    """The call as a line to paste, of a hidden one only its kind; and what it shows."""
    if finding.call:
        yield Padding(Text("the same call:", "dim"), INDENT)
        yield Padding(Pasted(safe_line(finding.call, 400)), INDENT)
    elif finding.asked:
        asked = Text("for which call: ", "dim").append(safe_line(finding.asked, 200), "default")
        yield Padding(asked, INDENT)
    if finding.pictures:
        yield Padding(Pictures(finding.pictures), INDENT)
    if finding.printed:
        yield from printed("it printed:", finding.printed)


def printed(title: str, text: str) -> Iterator[RenderableType]:
    """The last lines that a call printed, below what they belong to."""
    lines = [line for line in text.splitlines() if line.strip()]
    shown = safe_lines("\n".join(lines), lines=PRINTED_SHOWN)
    before = f" (the last {len(shown)} lines)" if len(lines) > len(shown) else ""
    yield Padding(Text(f"{title}{before}", "dim"), INDENT)
    for line in shown:
        yield Padding(Text("│ ", "dim").append(line, "default"), INDENT)


@dataclass(frozen=True)
class Pasted:
    """A command that still works when it is copied from several lines.

    Python goes on with an indented line inside brackets only, so lines end behind a comma there.

    Attributes:
        line: The command.
    """

    line: str

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield the command, broken where it may be."""
        start = self.line.find("print(")
        parts = re.split(r"(?<=[,(]) ?(?=\S)", self.line[max(start, 0) :])
        parts[0] = self.line[: max(start, 0)] + parts[0]
        lines = [""]
        for part in parts:
            space = " " if lines[-1].endswith(",") else ""
            if lines[-1] and len(lines[-1] + space + part) > options.max_width:
                lines.append(part)
            else:
                lines[-1] += space + part
        yield Text("\n".join(lines), "cyan", overflow="fold")


def _skipped(checks: Sequence[CheckResult], ascii_only: bool) -> Iterator[Group]:
    """Skipped checks by reason."""
    mark, ascii_mark, word, style = OUTCOMES[Outcome.SKIPPED]
    for reason, group in groupby(sorted(checks, key=_reason), key=_reason):
        names = ", ".join(safe_line(check.name, 30) for check in group)
        head = Table.grid(padding=(0, 1))
        head.add_column(no_wrap=True)
        head.add_column()
        head.add_row(Text(f"{ascii_mark if ascii_only else mark} {word}", style), Text(names))
        yield Group(head, Padding(Text(reason), INDENT))


def _reason(check: CheckResult) -> str:
    return safe_line(check.rationale or "what it builds on failed", 200)


# --- findings -----------------------------------------------------------------------------


def findings(
    given: Iterable[Finding], wide: bool, headed: Finding | None = None
) -> Iterator[RenderableType]:
    """Findings in order, the first few of each kind in full, the rest folded by kind.

    Args:
        given: Of one check, or remarks.
        wide: Whether expected and received share a line.
        headed: The one whose place the headline has told already.
    """
    kinds: dict[tuple[str, str, str], list[Finding]] = {}
    for finding in given:
        kinds.setdefault((finding.severity, finding.source, finding.help), []).append(finding)
    room = SHOWN_PER_CHECK
    for kind in kinds.values():
        shown = kind[: min(SHOWN_PER_KIND, room)]
        room -= len(shown)
        if shown:
            yield _kind(shown, wide, headed)
        if len(kind) > len(shown):
            yield _folded(kind[len(shown) :], bool(shown))


def _kind(given: Sequence[Finding], wide: bool, headed: Finding | None) -> RenderableType:
    """Findings of one kind, with the help and the paper's section that they share."""
    rows = details()
    for finding in given:
        add_finding(rows, finding, wide, headed=finding is headed)
    add_help(rows, given[0])
    return rows


def add_help(rows: Table, finding: Finding) -> None:
    """What to try, and where the paper says it."""
    if finding.help:
        rows.add_row("help", safe_text(finding.help, 300))
    if finding.source:
        # A paper is cited with its year; the reference of a course is none.
        own = finding.source.startswith("the reference")
        label = "beside" if own or not any(map(str.isdecimal, finding.source)) else "paper"
        rows.add_row(label, safe_text(finding.source, 120, "italic"))


def add_finding(rows: Table, finding: Finding, wide: bool, headed: bool = False) -> None:
    """Where, what, expected, received; on a wide screen expected and received share a line."""
    remark = finding.severity == "remark"
    if not headed:
        place = finding.place or places_of(finding)
        where = safe_text(place, 160, "bold cyan" if remark else "bold")
        if finding.what and finding.what != finding.received:
            where.append(": ").append_text(safe_text(finding.what, 160))
        rows.add_row("remark" if remark else "where", where)
    if finding.layer and not headed:
        rows.add_row("yours", safe_text(finding.layer, 160))
    if finding.code:
        rows.add_row("line", code_line(finding))
    if finding.through:
        rows.add_row("called in", safe_text(finding.through, 200))
    if not finding.expected and not finding.received:
        if not headed:
            rows.add_row("what", safe_text(finding.message, 400))
        return
    if headed and (finding.place or finding.what == finding.received):
        return  # the headline has the exception
    expected = safe_text(finding.expected or "nothing", 300, "green")
    received = safe_text(finding.received or "nothing", 300, "red")
    if wide and len(expected) + len(received) < MAX_WIDTH // 2:
        rows.add_row("expected", Text.assemble(expected, ("   received  ", "dim"), received))
        return
    rows.add_row("expected", expected)
    rows.add_row("received", received)


def _folded(given: Sequence[Finding], some_shown: bool) -> Text:
    """The rest of one kind in one line: how many, and where the first of them are."""
    places = [safe_line(finding.where, 40) for finding in given[:PLACES_NAMED]]
    rest = "; …" if len(given) > PLACES_NAMED else ""
    more = "more of the same kind" if some_shown else "more"
    return Text(f"+ {len(given)} {more}: {'; '.join(places)}{rest}", "dim")


def _help(text: str) -> Table:
    rows = details()
    rows.add_row("help", safe_text(text, 400))
    return rows


def details() -> Table:
    """A grid for one finding: word, text."""
    rows = Table.grid(padding=(0, 1))
    rows.add_column(no_wrap=True, min_width=9, style="dim")
    rows.add_column(overflow="fold")
    return rows
