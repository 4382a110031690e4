"""Which of the recorded grades count: what tables, statistics and exports are made of."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from grader.domain import Grade
from grader.ledger.book import Ledger


@dataclass(frozen=True)
class Standing:
    """The recorded grades of a results folder.

    Attributes:
        grades: The last of each submission, in order of recording.
        unproved: The course key that seals the record, where this machine does not have it.
    """

    grades: tuple[Grade, ...]
    unproved: str | None = None


def standing(results_dir: Path) -> Standing:
    """The recorded grades of a results folder; needs no course key, and writes nothing.

    Raises:
        InfrastructureError: The record does not hold together.
    """
    with Ledger.to_read(results_dir) as ledger:
        grades = tuple(ledger.read_grade(entry) for entry in ledger.current())
        return Standing(grades, ledger.unproved)


def counting_grades(results_dir: Path) -> tuple[Grade, ...]:
    """The grades that count, one for each student. Raises as `standing` does."""
    return standing(results_dir).grades
