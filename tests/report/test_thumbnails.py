"""Small pictures beside a finding: in colours, in characters, and on a page."""

import io

import numpy as np
import pytest
from pydantic import ValidationError
from rich.console import Console

from grader.calls.picture import pictures, png_of
from grader.domain import Finding, Thumbnail
from grader.report.causes import command
from grader.report.html.pages import data_uri

EXPECTED = np.zeros((8, 6, 3), np.uint8)
RECEIVED = EXPECTED.copy()
RECEIVED[3, 2] = (255, 255, 255)
FINDING = Finding(
    where="crop", message="m", asked="crop(image)", pictures=pictures(EXPECTED, RECEIVED)
)


def printed(**how):
    console = Console(file=io.StringIO(), width=60, force_terminal=True, **how)
    for part in command(FINDING):
        console.print(part)
    return console.file.getvalue()


def test_a_screen_without_colours_shows_characters():
    lines = printed(color_system=None).splitlines()

    titles, *rows = lines[1:]
    assert titles.split() == ["expected", "received", "difference"]
    assert len(rows) == 4
    assert [sum(map(row.count, "-=+*#%@")) for row in rows] == [0, 2, 0, 0]


def test_a_screen_with_colours_shows_pixels():
    text = printed(color_system="truecolor")

    assert text.count("▀") == 3 * 4 * 6
    assert "48;2;255;255;255" in text


def test_on_a_page_a_picture_lies_in_the_page_itself():
    address = str(data_uri(png_of(FINDING.pictures[2])))

    assert address.startswith("data:image/png;base64,iVBORw0KGgo")
    assert len(address) < 400


@pytest.mark.parametrize("row", ["", "fff", "FFFFFF", '">', "ffffff "])
def test_a_picture_is_nothing_but_colours(row):
    with pytest.raises(ValidationError):
        Thumbnail(title="expected", rows=(row,), of=(1, 1))
