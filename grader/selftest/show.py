"""A selftest as a person reads it: the confusion table, which check killed what, every fault."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from grader.checks import CHECKS
from grader.selftest.run import Summary, Verdict

KINDS = {
    "wrong": "wrong networks",
    "template": "the template",
    "right": "right networks",
    "remark": "right, with a remark",
    "reference": "the reference solution",
}


def render(summary: Summary) -> RenderableType:
    """The whole result."""
    parts: list[RenderableType] = [_confusion(summary.verdicts), Text()]
    parts += [_checks(summary.verdicts), Text()]
    parts += list(_faults(summary.verdicts))
    parts.append(Text(_last_line(summary), style="bold green" if summary.sound else "bold red"))
    return Group(*parts)


def one_line(verdict: Verdict) -> Text:
    """A verdict while the selftest goes on."""
    word = "MISJUDGED" if not verdict.sound else "CHANGED" if verdict.changed else "as it should be"
    checks = ", ".join(verdict.failed or verdict.skipped) or "nothing"
    line = Text(f"{verdict.name}: ")
    line.append(word, style="bold red" if word.isupper() else "green")
    return line.append(f" ({verdict.kind}; lost {checks})")


def _confusion(verdicts: Sequence[Verdict]) -> Table:
    table = Table(title="The judge's verdicts", title_justify="left")
    table.add_column("what it is")
    for name in ("refused", "accepted", "misjudged"):
        table.add_column(name, justify="right")
    for kind, words in KINDS.items():
        mine = [v for v in verdicts if v.kind == kind]
        if not mine:
            continue
        bad = sum(not v.sound for v in mine)
        table.add_row(
            words,
            str(sum(v.refused for v in mine)),
            str(sum(not v.refused for v in mine)),
            Text(str(bad), style="bold red" if bad else "green"),
        )
    return table


def _checks(verdicts: Sequence[Verdict]) -> Table:
    table = Table(title="Which check killed what", title_justify="left")
    table.add_column("check")
    table.add_column("kills", justify="right")
    table.add_column("alone", justify="right")
    table.add_column("asked to", justify="right")
    table.add_column("and did", justify="right")
    wrong = [v for v in verdicts if v.should_be_refused]
    kills = Counter(name for v in wrong for name in v.failed)
    alone = Counter(v.failed[0] for v in wrong if len(v.failed) == 1)
    asked = Counter(name for v in wrong for name in v.expected)
    did = Counter(name for v in wrong for name in v.expected if name in v.failed)
    for check in CHECKS:
        name = check.name
        table.add_row(name, str(kills[name]), str(alone[name]), str(asked[name]), str(did[name]))
    return table


def _faults(verdicts: Sequence[Verdict]) -> Iterator[RenderableType]:
    """Everything that is not as it should be, by name."""
    for verdict in verdicts:
        if verdict.errors:
            yield _fault("A check broke on", verdict, ", ".join(verdict.errors))
        elif verdict.should_be_refused and not verdict.refused:
            yield _fault("Survived", verdict, verdict.why)
        elif verdict.unbroken:
            passed, failed = ", ".join(verdict.unbroken), ", ".join(verdict.failed)
            yield _fault("Not all found:", verdict, f"passed {passed}; failed {failed}")
        elif not verdict.sound:
            yield _fault("Refused", verdict, ", ".join((*verdict.failed, *verdict.skipped)))
    for verdict in verdicts:
        for sentence in verdict.changed or ():
            yield _fault("Changed:", verdict, sentence)
        if verdict.refused and verdict.located is False:
            named = "; ".join(verdict.places[:3]) or "no place"
            yield _fault("Not located:", verdict, f"expected {verdict.where}, received {named}")
        if verdict.kind == "remark" and verdict.sound and not verdict.remarks:
            yield _fault("No remark on", verdict, verdict.why)


def _fault(words: str, verdict: Verdict, rest: str) -> Text:
    ending = f" [{verdict.message}]" if verdict.message else ""
    bad = not verdict.sound or verdict.changed
    return Text(f"{words} {verdict.name}. {rest}{ending}", style="red" if bad else "")


def _last_line(summary: Summary) -> str:
    total = len(summary.verdicts)
    exact = f"{summary.located} of {summary.locatable} located"
    if summary.not_frozen:
        exact += f"; {summary.not_frozen} without a frozen verdict of this assignment"
    if summary.sound:
        return f"All {total} as they should be; {exact}."
    return f"{summary.misjudged} of {total} misjudged, {summary.changed} changed; {exact}."
