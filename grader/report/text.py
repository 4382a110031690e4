"""Student text made safe to show: no markup, no control codes, no reordering, bounded length.

Rich's `Text` never reads markup, so everything shown goes through it; this module takes away
what the terminal itself would obey.
"""

from __future__ import annotations

import re
import unicodedata

from rich.text import Text

_ESCAPE_SEQUENCE = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]"  # CSI: colours, cursor, screen
    r"|\x1b[\]P^_X][^\x07\x1b]*(?:\x07|\x1b\\)?"  # OSC, DCS, PM, APC, SOS: titles, links, clipboard
    r"|\x1b[ -/]*[0-~]"  # all other escape sequences
    r"|\x9b[0-?]*[ -/]*[@-~]"  # CSI as one C1 character
)
# ECMA-48 (control functions for coded character sets), sections 5.4 and 5.6.

_MAX_MARKS = 2
"""Combining marks kept on one letter; real writing needs no more, floods cover other lines."""

_SPACES = str.maketrans({"\n": " ", "\r": " ", "\t": " ", "\v": " ", "\f": " "})


def safe_text(text: str, limit: int = 200, style: str = "") -> Text:
    """Untrusted text as one line of harmless `Text`; see `safe_line`."""
    return Text(safe_line(text, limit), style=style)


def safe_line(text: str, limit: int = 200) -> str:
    r"""Untrusted text as one harmless line.

    Escape sequences are removed. Line ends become spaces. What is left of control characters,
    bidirectional overrides, zero-width and unassigned characters is shown as \xNN or \uNNNN.

    Args:
        text: Anything: file names, exception messages, ids.
        limit: Most characters of the result; a longer one ends in "…".

    Returns:
        One line that a terminal shows as it stands.
    """
    # Cutting first bounds the work; an escaped character grows to at most 10.
    text = text[: 20 * limit]
    text = _ESCAPE_SEQUENCE.sub("", text).translate(_SPACES)
    shown = _visible(text).strip()
    return shown if len(shown) <= limit else shown[: limit - 1] + "…"


def safe_lines(text: str, limit: int = 4000, lines: int = 20) -> list[str]:
    """The last lines of untrusted text, such as a log, each a harmless line."""
    kept = text[-limit:].splitlines()[-lines:]
    return [safe_line(line) for line in kept]


def _visible(text: str) -> str:
    """Each character as it is, or escaped where it would not show as one."""
    shown: list[str] = []
    marks = 0
    for character in text:
        category = unicodedata.category(character)
        marks = marks + 1 if category in ("Mn", "Me") else 0
        if marks > _MAX_MARKS:
            continue
        # C*: control, format (bidi, zero-width, tags), surrogate, private, unassigned.
        # Zl, Zp: line and paragraph separators.
        hidden = category[0] == "C" or category in ("Zl", "Zp")
        shown.append(_escaped(character) if hidden else character)
    return "".join(shown)


def _escaped(character: str) -> str:
    code = ord(character)
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
