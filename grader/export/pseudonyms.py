"""Grades under other names: the same one for each student, and only the key tells whose.

A pseudonym is drawn from the course key. What else could tell a student is taken away: the path of
what was handed in, what the intake noticed, and every word of the student_id wherever it stands in
a text.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from grader.domain import Grade
from grader.graph.drawing import Drawing

LENGTH = 10
"""Characters of five bits each; that two of a million students share one is unlikely (1 : 2000)."""
SHORTEST = 3
"""Characters of a part of a student_id from which on it is taken away by itself."""
UNMISTAKABLE = 6
"""Characters from which on a student_id is taken away inside a longer word too."""
HIDDEN = "[name]"
COMMON = {
    "anon", "anonymous", "assignment", "attempt", "block", "dense", "densenet", "file", "group",
    "late", "layer", "network", "participant", "solution", "student", "submission", "user", "zip",
}  # fmt: skip
"""Words that many ids hold, and that say nothing of whom."""
OURS = {
    "status", "computed_status", "cause", "outcome", "visibility", "severity", "mode", "isolation",
    "received_from", "sha256", "written_sha256", "weights_sha256", "assignment_sha256", "name",
    "group", "follows_from", "stopped", "decided_by",
}  # fmt: skip
"""Fields that only the grader writes, with words of its own."""


@dataclass(frozen=True)
class Pseudonyms:
    """Names drawn from a key.

    Attributes:
        digest: 32 bytes that depend on the course key and a student_id.
    """

    digest: Callable[[str], bytes]

    def of(self, student_id: str) -> str:
        """The other name of a student."""
        letters = base64.b32encode(self.digest(student_id)).decode().lower()
        return f"student-{letters[:LENGTH]}"

    def grade(self, grade: Grade) -> Grade:
        """The grade under the other name."""
        hide = _hiding(grade.student_id)
        record = _everywhere(grade.model_dump(exclude={"evaluation": {"details"}}), hide)
        hidden = Grade.model_validate(record)
        measured = grade.evaluation
        update: dict[str, Any] = {
            "student_id": self.of(grade.student_id),
            "submission": hidden.submission.model_copy(update={"source": "", "sha256": None}),
            "remarks": (),
            "superseded_by": None,
        }
        if measured is not None:
            # The numbers of a measurement are long, and no student writes a word of them.
            update["evaluation"] = measured
        return hidden.model_copy(update=update)

    def drawing(self, student_id: str, drawing: Drawing | None) -> Drawing | None:
        """The picture of a student's network, without the name."""
        if drawing is None:
            return None
        hide = _hiding(student_id)
        rows = tuple(
            replace(row, network=hide(row.network), notes=tuple(map(hide, row.notes)))
            for row in drawing.rows
        )
        return replace(drawing, rows=rows)


def _hiding(student_id: str) -> Callable[[str], str]:
    """What takes the words of a student_id out of a text."""
    parts = {p for p in re.split(r"[\W_]+", student_id) if len(p) >= SHORTEST}
    words = {student_id, *(p for p in parts if p.casefold() not in COMMON)}
    longest_first = sorted(filter(None, words), key=len, reverse=True)
    told = "|".join(map(re.escape, longest_first)) or "(?!)"
    # "ann" is no part of "channels"; a long id may stand anywhere.
    whole = rf"(?<![^\W_])(?:{told})(?![^\W_])"
    if len(student_id) >= UNMISTAKABLE:
        whole = f"{re.escape(student_id)}|{whole}"
    found = re.compile(whole, re.IGNORECASE)
    return lambda text: found.sub(HIDDEN, text)


def _everywhere(value: Any, hide: Callable[[str], str]) -> Any:
    """A record with each free text passed through `hide`."""
    match value:
        case str():
            return hide(value)
        case dict():
            return {
                key: inner if key in OURS else _everywhere(inner, hide)
                for key, inner in value.items()
            }
        case list() | tuple():
            return tuple(_everywhere(inner, hide) for inner in value)
        case _:
            return value
