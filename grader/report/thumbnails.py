"""Small pictures beside a finding: what was expected, what was received, where they differ."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest

from rich.console import Console, ConsoleOptions, RenderResult
from rich.style import Style
from rich.table import Table
from rich.text import Text

from grader.domain import Thumbnail

RAMP = ".:-=+*#%@"
"""From dark to light, where a screen has no colours."""
Colour = tuple[int, int, int]
BLACK: Colour = (0, 0, 0)


@dataclass(frozen=True)
class Pictures:
    """Thumbnails side by side, two rows of pixels in a line of text.

    Attributes:
        shown: The thumbnails.
    """

    shown: Sequence[Thumbnail]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield them in colours where the screen has some, else in characters."""
        colours = console.color_system is not None and not options.ascii_only
        row = Table.grid(padding=(0, 3))
        for _ in self.shown:
            row.add_column(no_wrap=True)
        row.add_row(*[Text(picture.title, "dim") for picture in self.shown])
        row.add_row(*[_drawn(picture, colours) for picture in self.shown])
        yield row


def _drawn(picture: Thumbnail, colours: bool) -> Text:
    lines = [list(_pixels(row)) for row in picture.rows]
    drawn = [
        Text.assemble(
            *(_pair(top or BLACK, low, colours) for top, low in zip_longest(upper, lower))
        )
        for upper, lower in zip_longest(lines[::2], lines[1::2], fillvalue=())
    ]
    return Text("\n").join(drawn)


def _pair(top: Colour, bottom: Colour | None, colours: bool) -> Text:
    """Two pixels, one above the other, as one character."""
    if not colours:
        both = [*top, *(bottom or top)]
        return Text(RAMP[sum(both) * len(RAMP) // (6 * 256)])
    above = "#{:02x}{:02x}{:02x}".format(*top)
    if bottom is None:
        return Text("▀", Style.parse(above))
    return Text("▀", Style.parse(f"{above} on {'#{:02x}{:02x}{:02x}'.format(*bottom)}"))


def _pixels(row: str) -> Iterator[Colour]:
    for start in range(0, len(row), 6):
        red, green, blue = bytes.fromhex(row[start : start + 6])
        yield red, green, blue
