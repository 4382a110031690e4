"""Words and colours that every view of a grade shares."""

from __future__ import annotations

import math
from collections.abc import Sequence

from grader.domain import Grade, GradeStatus, Outcome, Override
from grader.scoring import open_points

MAX_WIDTH = 132
"""Columns; on a wider screen lines would be too long to read."""
WIDE = 120
"""Columns from which titles are shown in full and expected and received share a line."""

STATUS_STYLE = {
    GradeStatus.GRADED: "green",
    GradeStatus.REVIEW: "yellow",
    GradeStatus.REJECTED: "red",
    GradeStatus.WITHHELD: "magenta",
}
STATUS_WORDS = {
    GradeStatus.GRADED: "graded",
    GradeStatus.REVIEW: "needs review",
    GradeStatus.REJECTED: "rejected",
    GradeStatus.WITHHELD: "withheld",
}
OUTCOMES = {
    Outcome.PASSED: ("✓", "+", "passed", "green"),
    Outcome.FAILED: ("✗", "x", "failed", "red"),
    Outcome.SKIPPED: ("○", "-", "skipped", "yellow"),
    Outcome.ERROR: ("!", "!", "error", "magenta"),
}
"""Mark, the same without Unicode, word, colour."""
_BARS = "▁▂▃▄▅▆▇█"


def score_words(grade: Grade) -> str:
    """The score, or "no score" where a number would be taken for one."""
    if grade.status is not GradeStatus.GRADED:
        return f"no score (of {grade.max_score:g})"
    still_open = open_points(grade)
    rest = f", {still_open:g} open" if still_open else ""
    return f"{grade.score:g} / {grade.max_score:g}{rest}"


def override_words(override: Override) -> str:
    """What a person decided, for those who grade."""
    before = f"{override.computed_score:g}"
    if override.computed_status is not GradeStatus.GRADED:
        before = STATUS_WORDS[override.computed_status]
    return f"by hand: {before} → {override.score:g} ({override.by}: {override.why})"


def percent(share: float) -> str:
    """A share as a short percentage: 0.85 is "85%", 0.855 is "85.5%"."""
    return f"{100 * share:.6g}%"


def share_style(score: float, max_score: float) -> str:
    """Green for all points, yellow for some, red for none."""
    return "green" if score >= max_score else "yellow" if score > 0 else "red"


def minus(points: float) -> str:
    """Points taken off, with a true minus sign."""
    return f"−{points:g}"


def cost(points: float) -> str:
    """What something costs: a line that is worth no points is no loss."""
    rounded = round(points, 2)
    if not rounded:
        return "costs nothing"
    return f"{minus(rounded)} point{'' if rounded == 1 else 's'}"


def duration(seconds: float) -> str:
    """Seconds as a person says them: "2 d 3 h", "1 h 1 min 19 s", "1 s"."""
    rest = int(seconds)
    parts = []
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min"), (1, "s")):
        count, rest = divmod(rest, size)
        if count:
            parts.append(f"{count:,} {unit}")
    return " ".join(parts) or "0 s"


def running_time(seconds: float) -> str:
    """Seconds as a person says them: 3.2 s, 4 min 05 s, 1 h 02 min."""
    if round(seconds, 1) < 60:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def bars(counts: Sequence[int]) -> str:
    """Counts as bars from none to the highest, one character each; one of many is seen as well."""
    most = max((*counts, 1))
    return "".join(_BARS[math.ceil((len(_BARS) - 1) * count / most)] for count in counts)


def sparkline(values: Sequence[float]) -> str:
    """Values as bars between their lowest and highest, one character each."""
    if not values:
        return ""
    low, high = min(values), max(values)
    scale = (len(_BARS) - 1) / (high - low) if high > low else 0.0
    return "".join(_BARS[round((value - low) * scale)] for value in values)
