"""A console that lacks a character shows another one, and nothing is lost."""

import io

import pytest
from rich.console import Console

from grader.report.plain import show_every_character
from grader.report.terminal import render


def shown(text: str, encoding: str) -> str:
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    show_every_character(stream)
    stream.write(text)
    stream.flush()
    return stream.buffer.getvalue().decode(encoding)


@pytest.mark.parametrize(
    ("encoding", "seen"),
    [
        ("ascii", "1x1 to floor(thetam) -> -3 Zo?"),
        ("cp1252", "1×1 to floor(thetam) -> -3 Zoë"),
        ("utf-8", "1×1 to ⌊θm⌋ → −3 Zoë"),
    ],
)
def test_what_an_encoding_lacks_is_shown_by_the_nearest_sign(encoding, seen):
    assert shown("1×1 to ⌊θm⌋ → −3 Zoë", encoding) == seen


def test_half_a_character_of_a_file_name_is_a_question_mark():
    assert shown("a\udce4b", "utf-8") == "a?b"


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "cp437", "latin-1"])
def test_every_report_can_be_printed(examples, encoding):
    for one in (*examples.ALL, examples.hostile):
        stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
        show_every_character(stream)
        Console(file=stream, width=80).print(render(one(), examples.ASSIGNMENT))
        stream.flush()

        assert b"submission" in stream.buffer.getvalue() or b"DenseNet" in stream.buffer.getvalue()
