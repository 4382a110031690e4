"""Untrusted text comes out as one line that no terminal obeys."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from grader.report.text import safe_line, safe_lines, safe_text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "plain"),
        ("größer ⌊θm⌋ 数据 ñ", "größer ⌊θm⌋ 数据 ñ"),
        ("\x1b[2J\x1b[1;31mred\x1b[0m", "red"),
        ("\x1b]0;title\x07after", "after"),
        ("\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x1b]52;c;c2VjcmV0\x07x", "x"),
        ("\x1bc\x1b(0reset", "reset"),
        ("\x9b31mC1", "C1"),
        ("\x1bP+q544e\x1b\\dcs", "dcs"),
        ("a\nb\r\nc\td", "a b  c d"),
        ("bell\x07 nul\x00 del\x7f bs\x08", "bell\\x07 nul\\x00 del\\x7f bs\\x08"),
        ("\u202egnp.exe", "\\u202egnp.exe"),
        ("\u2066a\u2069\u200f", "\\u2066a\\u2069\\u200f"),
        ("zero\u200bwidth\ufeff", "zero\\u200bwidth\\ufeff"),
        ("line\u2028paragraph\u2029", "line\\u2028paragraph\\u2029"),
        ("tag\U000e0041", "tag\\U000e0041"),
        ("\udc80surrogate", "\\udc80surrogate"),
        ("[bold red]x[/] [/]", "[bold red]x[/] [/]"),
        ("e\u0301\u0301\u0301\u0301", "e\u0301\u0301"),
        ("\x1b", "\\x1b"),
        ("", ""),
    ],
)
def test_text_is_shown_and_never_obeyed(text, shown):
    assert safe_line(text) == shown


def test_long_text_is_cut_to_the_limit():
    shown = safe_line("x" * 10**7, limit=50)

    assert len(shown) == 50
    assert shown.endswith("…")


def test_markup_and_emoji_codes_are_printed_as_they_stand():
    console = Console(width=80, force_terminal=True, color_system="truecolor")
    with console.capture() as capture:
        console.print(safe_text("[blink]hi[/] :skull: [link=http://x]y[/link]"))

    assert capture.get() == "[blink]hi[/] :skull: [link=http://x]y[/link]\n"


def test_a_log_is_shown_by_its_last_lines():
    log = "\n".join(f"line {number}\x1b[31m" for number in range(1000))

    assert safe_lines(log, lines=2) == ["line 998", "line 999"]


@given(st.text(st.characters(), max_size=300), st.integers(2, 100))
def test_no_text_at_all_leaves_a_control_character_or_exceeds_its_limit(text, limit):
    shown = safe_line(text, limit)

    assert len(shown) <= limit
    assert not any(unicodedata.category(one)[0] == "C" for one in shown)
    assert len(shown.splitlines()) <= 1
