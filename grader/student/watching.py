"""What `grade check --watch` shows: the newest check on a screen of its own, or one after another.

On a terminal it takes the alternate screen, so that afterwards the terminal is as it was. In a pipe
or a file each check is written below the one before.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from types import TracebackType

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.live import Live
from rich.segment import Segment
from rich.text import Text

from grader.domain import Grade
from grader.report.text import safe_text
from grader.report.words import running_time
from grader.student.watch import Seen

LAST_LINES = 4
"""Of what is too long for the screen, the end stays in sight: the points, and what to do next."""
LONG_S = 3.0
"""A check of a few layers takes one; after so long its student may wonder."""


class WatchScreen:
    """Shows what a watch sees; a context manager, so that the terminal is left in order.

    Args:
        console: Where to.
        folder: What is watched.
        render: How a grade looks.
        now: What time it is.
    """

    def __init__(
        self,
        console: Console,
        folder: Path,
        render: Callable[[Grade], RenderableType],
        now: Callable[[], datetime] = datetime.now,
    ) -> None:
        self._console, self._folder, self._render, self._now = console, folder, render, now
        self._body: RenderableType = Text("The first check takes longest: TensorFlow is loaded.")
        self._seen = ""
        self._status = "checking"
        whole = console.is_terminal and not console.legacy_windows
        self._live = (
            Live(get_renderable=self._whole, console=console, screen=True, auto_refresh=False)
            if whole
            else None
        )

    def __enter__(self) -> WatchScreen:
        if self._live is not None:
            self._live.start()
            self._refresh()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def show(self, seen: Seen) -> None:
        """Show what a check gave."""
        self._body = Group(*_news(seen), self._told(seen))
        self._seen = f"saved at {self._now():%H:%M:%S}, checked in {seen.took_s:.1f} s"
        self._set(self._seen)
        if self._live is None:
            self._console.print(Text(self._seen, style="bold"), self._body)

    def checking(self, seconds: float) -> None:
        """Say that a check runs, and for how long."""
        if seconds < LONG_S:
            self._set("checking")
        else:
            self._set(f"checking for {running_time(int(seconds))}; save again to start anew")

    def unchanged(self) -> None:
        """Say that what was saved is what was checked last."""
        self._set(f"{self._seen}; what was saved since says the same")

    def _told(self, seen: Seen) -> RenderableType:
        if seen.grade is not None:
            return self._render(seen.grade)
        return safe_text(f"This check failed: {seen.error}. Save again to repeat it.", 600, "red")

    def _set(self, status: str) -> None:
        if status != self._status:
            self._status = status
            self._refresh()

    def _refresh(self) -> None:
        if self._live is not None:
            self._live.refresh()

    def _whole(self) -> RenderableType:
        head = safe_text(f"{self._folder.name}: {self._status}. Ctrl-C ends.", 200, "reverse")
        return _Fitted(head, self._body)


class _Fitted:
    """A head line and a body, which loses lines from its midst where the screen is too small."""

    def __init__(self, head: Text, body: RenderableType) -> None:
        self._head, self._body = head, body

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield as many lines as the screen has."""
        height = options.height or console.height
        free = options.update(height=None)
        lines = console.render_lines(self._head, free, pad=False)
        lines += console.render_lines(self._body, free, pad=False)
        if len(lines) > height:
            lines = [*lines[: height - LAST_LINES - 1], [Segment(" …")], *lines[-LAST_LINES:]]
        for number, line in enumerate(lines[:height]):
            yield from [Segment.line()] * bool(number)
            yield from line


def _news(seen: Seen) -> Sequence[RenderableType]:
    """What the last save changed: a line for what is right now, one for what is newly wrong."""
    lines = []
    if seen.now_right:
        lines.append(Text(f" now right: {', '.join(seen.now_right)}", style="green"))
    if seen.now_wrong:
        lines.append(Text(f" newly wrong: {', '.join(seen.now_wrong)}", style="bold red"))
    return lines
