"""What differs between two versions of assignment.toml, line by line."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from typing import Any

from grader.assignment.tables import ACCURACY

_HEADER = re.compile(r"\s*\[+\s*([^\[\]]+?)\s*\]+\s*(?:#.*)?")
_KEY = re.compile(r"\s*([A-Za-z0-9_.\"'-]+)\s*=")
LINE_LENGTH = 120
"""Characters of a line that are quoted."""

Leaves = dict[tuple[str, ...], Any]


@dataclass(frozen=True)
class ChangedLine:
    """One line that says something else than before.

    Attributes:
        key: The way to it, such as ("rubric", "stem").
        number: The line in the new file; None where it was taken out.
        now: How it stands there; empty where it was taken out.
        before: How it stood there; empty where it is new.
    """

    key: tuple[str, ...]
    number: int | None
    now: str
    before: str

    def __str__(self) -> str:
        was = f" (was: {self.before})" if self.before else " (new)"
        if self.number is None:
            return f"assignment.toml: taken out: {self.before}"
        return f"assignment.toml, line {self.number}: {self.now}{was}"

    def concerns(self, check: str) -> bool:
        """Whether a check's points may have changed by it."""
        if self.key[:1] == ("rubric",):
            return self.key[1:2] == (check,)
        return check == ACCURACY and self.key[0] in ("evaluation", "time_budgets")

    @property
    def of_deadline(self) -> bool:
        """Whether lateness may cost something else by it."""
        return self.key[0] == "deadline"


def changed_lines(before: str, now: str) -> list[ChangedLine]:
    """The lines by which two versions say something else; comments and layout say nothing.

    Args:
        before: The earlier text, valid TOML.
        now: The later text.
    """
    old, new = _leaves(before), _leaves(now)
    places = [_places(before), _places(now)]
    found: dict[tuple[str, ...], ChangedLine] = {}
    for leaf in dict.fromkeys([*new, *old]):
        if old.get(leaf) == new.get(leaf) and (leaf in old) == (leaf in new):
            continue
        (was, _, text), (key, number, line) = (_line_of(leaf, each) for each in places)
        key = key or was or leaf
        found.setdefault(key, ChangedLine(key, number, line, text))
    return list(found.values())


def _leaves(text: str) -> Leaves:
    leaves: Leaves = {}

    def walk(value: Any, way: tuple[str, ...]) -> None:
        if isinstance(value, dict) and value:
            for key, inner in value.items():
                walk(inner, (*way, key))
        else:
            leaves[way] = value

    walk(tomllib.loads(text.removeprefix("\ufeff")), ())
    return leaves


def _places(text: str) -> dict[tuple[str, ...], tuple[int, str]]:
    """Where each key stands."""
    table: tuple[str, ...] = ()
    places: dict[tuple[str, ...], tuple[int, str]] = {}
    for number, line in enumerate(text.removeprefix("\ufeff").splitlines(), start=1):
        if header := _HEADER.fullmatch(line):
            table = _way(header[1])
        elif key := _KEY.match(line):
            places.setdefault((*table, *_way(key[1])), (number, line.strip()[:LINE_LENGTH]))
    return places


def _way(written: str) -> tuple[str, ...]:
    return tuple(part.strip().strip("\"'") for part in written.split("."))


def _line_of(
    leaf: tuple[str, ...], places: dict[tuple[str, ...], tuple[int, str]]
) -> tuple[tuple[str, ...], int | None, str]:
    for length in range(len(leaf), 0, -1):
        if leaf[:length] in places:
            return leaf[:length], *places[leaf[:length]]
    return (), None, ""
