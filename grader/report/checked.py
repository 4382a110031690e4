"""What `grade check` shows: the first cause, the others in a line each, and what to do next.

It fits on one small screen (80×24), and the lines that stay in sight are the last: the points so
far, and the one thing to do next.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.padding import Padding
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from grader.assignment import Assignment
from grader.checks import CHECKS
from grader.checks.causes import ANSWERS, CONTRACT
from grader.domain import MODULE, Finding, Grade, GradeStatus, Outcome
from grader.graph.evidence import Evidence
from grader.report.causes import (
    INDENT,
    Cause,
    add_finding,
    add_help,
    brief_words,
    causes_of,
    code_line,
    command,
    consequences,
    details,
    headline,
    printed,
)
from grader.report.text import safe_line, safe_text
from grader.report.words import MAX_WIDTH, OUTCOMES, STATUS_STYLE, STATUS_WORDS, minus, share_style
from grader.scoring import ACCURACY, open_points
from grader.scoring.grade import points_of_checks

OTHERS_SHOWN = 4
"""Causes after the first that have a line."""
REMARKS_SHOWN = 3
AGAIN = "then `grade check` again."
COUNTED = {GradeStatus.GRADED, GradeStatus.REVIEW}
"""Whose checks were made."""
EVERYTHING = "Everything: grade check --all"


@dataclass(frozen=True)
class CheckScreen:
    """The short view of `grade check`.

    Attributes:
        grade: What was found; every string in it is treated as hostile.
        assignment: Names the module.
        only: The one check that was made; None for all.
        prints: Function → what its first call printed.
    """

    grade: Grade
    assignment: Assignment | None
    only: str | None = None
    prints: Mapping[str, str] = field(default_factory=dict)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield the screen, for consoles up to `MAX_WIDTH` columns and wider."""
        width = min(options.max_width, MAX_WIDTH)
        parts = Padding(Group(*self._parts(options.ascii_only)), (0, 0, 0, 1))
        yield from console.render(parts, options.update(width=width, max_width=width))

    def _parts(self, ascii_only: bool) -> Iterator[RenderableType]:
        grade = self.grade
        causes = causes_of(grade.checks)
        stopped = import_error(grade)
        if stopped is not None:
            yield from _import_error(stopped)
        else:
            yield self._title()
            yield Rule(style="dim")
            yield from _causes(causes)
            yield from _notice(grade, causes)
            yield from _remarks(grade)
            yield from self._prints(causes)
            yield from _passed(grade, ascii_only)
        yield Text()
        yield from closing(grade, self.only)

    def _prints(self, causes: Sequence[Cause]) -> Iterator[RenderableType]:
        """What calls printed that no cause has shown: in full where one check was asked for."""
        first = causes[0].finding if causes else None
        if first is not None and first.printed:
            return
        for name, text in self.prints.items():
            if self.only is not None:
                yield from printed(f"{name} printed:", text)
                continue
            count = len(text.splitlines())
            lines = f"{count} lines" if count > 1 else "1 line"
            shown = f": grade check --only {ANSWERS[name]}" if name in ANSWERS else ""
            yield Text(f"{name} printed {lines}{shown}", "dim")

    def _title(self) -> RenderableType:
        asked = self.assignment
        name = MODULE if asked is None else asked.module or asked.title
        row = Table.grid(expand=True)
        row.add_column(ratio=1)
        row.add_column(justify="right", no_wrap=True)
        row.add_row(Text(name, "bold"), Text(_so_far(self.grade)))
        return row


def prints_of(evidence: Evidence) -> dict[str, str]:
    """Function → what its first call printed; of a module, what its import did."""
    found = {}
    if evidence.module is not None and evidence.module.printed:
        found[MODULE] = evidence.module.printed
    model = [evidence.model] if evidence.model is not None else []
    for network in (*evidence.networks, *model):
        hidden = network.probe is not None and network.probe.hidden
        if network.record is not None and network.record.printed and not hidden:
            found.setdefault(network.name, network.record.printed)
    return found


def _passed(grade: Grade, ascii_only: bool) -> Iterator[RenderableType]:
    """What is fine, a line for each group."""
    groups: dict[str, list[str]] = {}
    for check in grade.checks:
        if check.outcome is Outcome.PASSED and check.name != ACCURACY:
            groups.setdefault(check.group, []).append(safe_line(check.name, 40))
    if not groups:
        return
    rows = Table.grid(padding=(0, 1), expand=True)
    rows.add_column(no_wrap=True)
    rows.add_column(no_wrap=True, style="dim")
    rows.add_column(ratio=1, no_wrap=True, overflow="ellipsis", style="dim")
    mark = OUTCOMES[Outcome.PASSED][1 if ascii_only else 0]
    for group, names in groups.items():
        rows.add_row(Text(mark, "green"), Text(group.replace("_", " ")), Text(", ".join(names)))
    yield rows


def import_error(grade: Grade) -> Finding | None:
    """Why the module could not be imported, so that nothing else was checked."""
    causes = causes_of(grade.checks)
    passed = any(c.outcome is Outcome.PASSED and c.name != ACCURACY for c in grade.checks)
    if len(causes) == 1 and causes[0].check.name == CONTRACT and not passed:
        return causes[0].finding
    return None


def _import_error(finding: Finding) -> Iterator[RenderableType]:
    # "in <module>" says nothing of a line outside all functions.
    place = (finding.place or finding.where).removesuffix(", in <module>")
    yield safe_text(f"{place}: {finding.received}", 600, "bold")
    if finding.code:
        yield Padding(code_line(finding), (0, 0, 0, 2))
    if finding.help:
        yield _rows(finding)
    if finding.printed:
        yield from printed("it printed:", finding.printed)


def _rows(finding: Finding, *, told: bool = True) -> Table:
    rows = details()
    if not told:
        add_finding(rows, finding, wide=False, headed=True)
    add_help(rows, finding)
    return rows


def _notice(grade: Grade, causes: Sequence[Cause]) -> Iterator[RenderableType]:
    """Why there are no points, or how the program ended, where no cause has told it."""
    told = [cause.finding.received for cause in causes if cause.finding is not None]
    if grade.message and grade.message not in told:
        yield safe_text(grade.message, 400, "bold red")
    if grade.help:
        yield safe_text(grade.help, 400)


def _causes(causes: Sequence[Cause]) -> Iterator[RenderableType]:
    if causes:
        yield from _first(causes[0])
    for number, cause in enumerate(causes[1 : 1 + OTHERS_SHOWN], 2):
        yield _one_line(number, cause)
    left = causes[1 + OTHERS_SHOWN :]
    if left:
        yield Text(f"   + {len(left)} more", "dim")


def _first(cause: Cause) -> Iterator[RenderableType]:
    """The cause to mend first, without what else its check found."""
    yield headline(cause, 1)
    finding = cause.finding
    if finding is None:
        if cause.check.help:
            yield Padding(safe_text(cause.check.help, 300), INDENT)
    else:
        yield Padding(_rows(finding, told=False), INDENT)
        yield from command(finding)
    yield from consequences(cause)


def _one_line(number: int, cause: Cause) -> RenderableType:
    row = Table.grid(expand=True, padding=(0, 1))
    row.add_column(no_wrap=True, min_width=2)
    row.add_column(ratio=1, no_wrap=True, overflow="ellipsis")
    row.add_column(justify="right", no_wrap=True)
    cost = Text(f"{minus(round(cause.lost, 2))} points", "red")
    row.add_row(Text(str(number), "bold"), safe_text(brief_words(cause), 200), cost)
    return row


def _remarks(grade: Grade) -> Iterator[RenderableType]:
    """What costs nothing and should be known all the same."""
    found = [f for c in grade.checks for f in c.findings if f.severity == "remark"]
    said = [*grade.remarks, *(f"{f.where}: {f.message}" for f in found)]
    for words in said[:REMARKS_SHOWN]:
        yield Text("remark ", "cyan").append_text(safe_text(words, 200))
    if len(said) > REMARKS_SHOWN:
        yield Text(f"+ {len(said) - REMARKS_SHOWN} more remarks", "dim")


OF_DENSENET = frozenset(check.name for check in CHECKS)
"""Checks whose functions are called with further configurations in the grading."""


# --- the last lines -----------------------------------------------------------------------


def closing(grade: Grade, only: str | None = None) -> Iterator[RenderableType]:
    """The points so far, and the one thing to do next.

    Args:
        grade: What was found.
        only: The one check that was made.
    """
    again = AGAIN if only is None else f"then `grade check --only {only}` again."
    if grade.status not in COUNTED:
        word = STATUS_WORDS[grade.status].upper()
        yield Text(word, STATUS_STYLE[grade.status]).append(f"  {_so_far(grade)}", "default")
        return
    yield _counts(grade)
    still_open = open_points(grade)
    causes = causes_of(grade.checks)
    if not causes and only is not None:
        yield Text("Next: `grade check`, which makes all checks.", "bold")
        return
    if not causes:
        yield from _still_to_come(grade, still_open)
        trained = "train (`grade train`), then " if still_open else ""
        yield Text(f"Next: {trained}`grade pack`.", "bold")
        return
    stopped = import_error(grade)
    if stopped is not None:
        what = f"mend line {stopped.line}" if stopped.line else "mend the import"
        yield Text.assemble("Nothing else could be checked. ", (f"Next: {what}, {again}", "bold"))
        return
    if still_open:
        yield Text(f"The accuracy ({still_open:g} points) is measured when it is graded.", "dim")
    rest = EVERYTHING if only is None else f"Why it is asked: grade explain {only}"
    yield Text.assemble((f"Next: mend 1, {again}", "bold"), f"  {rest}")


def _still_to_come(grade: Grade, still_open: float) -> Iterator[Text]:
    """What the grading asks beyond this, where nothing is wrong so far."""
    words = []
    if any(check.name in OF_DENSENET for check in grade.checks):
        words.append("Other configurations are asked for")
    skipped = sum(check.outcome is Outcome.SKIPPED for check in grade.checks)
    if skipped:
        what = "1 check is" if skipped == 1 else f"{skipped} checks are"
        words.append(f"{what} compared with the course's solution")
    if still_open:
        words.append(f"the accuracy ({still_open:g} points) is measured")
    if words:
        first, *others = words
        rest = "".join(f", and {other}" for other in others)
        yield Text(f"{first[0].upper()}{first[1:]} when it is graded{rest}.", "dim")


def _counts(grade: Grade) -> Text:
    earned, most = _earned(grade)
    badge = "CHECKED" if grade.status is GradeStatus.GRADED else STATUS_WORDS[grade.status].upper()
    line = Text(f" {badge} ", f"bold reverse {share_style(earned, most)}")
    line.append(f"  {_so_far(grade)}", "bold not reverse default")
    counted = [c for c in grade.checks if c.name != ACCURACY]
    words = [
        f"{sum(c.outcome is outcome for c in counted)} {outcome.value}"
        for outcome in Outcome
        if any(c.outcome is outcome for c in counted)
    ]
    return line.append(f"  ({', '.join(words)})", "not bold dim")


def _so_far(grade: Grade) -> str:
    if grade.status not in COUNTED:
        return "nothing could be checked"
    earned, most = _earned(grade)
    return f"{earned:g} of {most:g} points so far"


def _earned(grade: Grade) -> tuple[float, float]:
    """Points, and the most that these checks give; of what a person looks at, both so far."""
    if grade.status is GradeStatus.GRADED:
        return grade.score, grade.max_score - open_points(grade)
    most = math.fsum(check.max_score for check in grade.checks if check.name != ACCURACY)
    return points_of_checks(grade), most
