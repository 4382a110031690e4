"""The live board of a class: what is being worked on, what came of the rest, how long it takes."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Console, ConsoleOptions, RenderResult
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from grader.classroom.progress import Progress, Snapshot
from grader.domain import GradeStatus
from grader.report.text import safe_text
from grader.report.words import STATUS_STYLE, STATUS_WORDS, duration

LOOKS_PER_SECOND = 4
LONGEST_NAME = 40
"""Characters of a student's id."""


class Board:
    """Drawn anew at each look from what the progress says then.

    Args:
        progress: Of the class that is being graded.
    """

    def __init__(self, progress: Progress) -> None:
        self.progress = progress

    def live(self) -> Live:
        """The board on standard error, for the length of a block; gone afterwards."""
        return Live(
            self,
            console=Console(stderr=True),
            refresh_per_second=LOOKS_PER_SECOND,
            transient=True,
        )

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield the bar, the counts, and one line for each submission that is worked on."""
        now = self.progress.snapshot()
        yield _bar(now, options.max_width)
        yield _counts(now)
        if now.lanes:
            yield _lanes(now)


def _bar(now: Snapshot, width: int) -> Table:
    row = Table.grid(padding=(0, 1))
    row.add_row(
        Text(f"{now.done} of {now.total} graded", "bold"),
        ProgressBar(total=now.total, completed=now.done, width=max(10, min(40, width - 40))),
        Text(_time(now), "dim"),
    )
    return row


def _time(now: Snapshot) -> str:
    if now.left_s is None:
        return f"{duration(now.elapsed_s)} so far"
    return f"about {duration(now.left_s)} left"


def _counts(now: Snapshot) -> Text:
    words = [
        Text(f"{now.outcomes[status]} {STATUS_WORDS[status]}", STATUS_STYLE[status])
        for status in GradeStatus
        if now.outcomes.get(status)
    ]
    words.extend(Text(part, "cyan") for part in _stages(now))
    return Text("  ").join(words)


def _stages(now: Snapshot) -> Iterator[str]:
    for stage in dict.fromkeys(lane.stage for lane in now.lanes):
        yield f"{sum(lane.stage is stage for lane in now.lanes)} {stage}"
    waiting = now.total - now.done - len(now.lanes)
    if waiting > 0:
        yield f"{waiting} waiting"


def _lanes(now: Snapshot) -> Table:
    lanes = Table.grid(padding=(0, 2))
    for lane in now.lanes:
        lanes.add_row(
            Text(f"  {lane.stage}", "cyan"),
            safe_text(lane.who, LONGEST_NAME),
            Text(duration(lane.seconds), "dim"),
        )
    return lanes
