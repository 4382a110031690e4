"""Verdicts of the tests' own programs, held against grader/selftest/verdicts.json.

GOLDEN=write pytest tests/hostile tests/compare  writes them anew; look at the difference before
committing. The catalogue's own are written by `grade selftest --all --freeze`.
"""

import os
from collections.abc import Iterable

from grader.selftest import frozen


def hold(part: str, name: str, lines: frozen.Program, *, writes: bool = True) -> None:
    """Compare with the frozen verdict, or write it where GOLDEN=write asks for it.

    Args:
        part: "gallery" or "comparisons".
        name: Of the program.
        lines: What was found.
        writes: False where the same is found twice, and the other one is written.
    """
    if writes and os.environ.get("GOLDEN") == "write":
        frozen.freeze(part, {name: lines})
    kept = frozen.read().part(part)
    assert name in kept, f"{name} is not frozen: GOLDEN=write pytest writes it"
    assert frozen.difference(kept[name], lines) == []


def hold_names(part: str, names: Iterable[str]) -> None:
    """Nothing is frozen that is gone."""
    names = set(names)
    if os.environ.get("GOLDEN") == "write":
        frozen.freeze(part, {}, known=names)
    assert set(frozen.read().part(part)) <= names
