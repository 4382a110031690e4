"""A console that lacks a character shows another in its place: no report is lost for a sign.

Windows gives a redirected program cp1252, a bare container gives ASCII; both lack what the paper
is written in.
"""

from __future__ import annotations

import codecs
from typing import TextIO

ERRORS = "grader-plain"
LIKE = {
    "−": "-", "–": "-", "—": "-", "×": "x", "·": "*", "…": "...", "→": "->", "←": "<-",
    "⌊": "floor(", "⌋": ")", "⌈": "ceil(", "⌉": ")", "θ": "theta", "ℓ": "l", "≥": ">=", "≤": "<=",
    "≠": "!=", "✓": "+", "✗": "x", "○": "-", "│": "|", "─": "-", "━": "=", "╍": ":",
    "▁": "_", "▂": ".", "▃": ":", "▄": "-", "▅": "=", "▆": "+", "▇": "*", "█": "#",
    "“": '"', "”": '"', "‘": "'", "’": "'",
}  # fmt: skip
"""What the grader's own texts are written with → the nearest that every console has."""


def show_every_character(*streams: TextIO) -> None:
    """Let streams put something else where their encoding lacks a character."""
    codecs.register_error(ERRORS, _nearest)
    for stream in streams:
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors=ERRORS)


def _nearest(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    lacking = error.object[error.start : error.end]
    return "".join(LIKE.get(character, "?") for character in lacking), error.end
