"""Which of the recorded grades count: what tables, statistics and exports are made of.

Of the submissions of one student one counts: the latest received, or the best, as `attempt` in
assignment.toml says. One that was rejected never takes the place of one that was not. Where a
person has set a score, it stands in the place of the computed one.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from grader.domain import Grade, GradeStatus, Override
from grader.ledger.book import Ledger
from grader.ledger.record import Entry

SET_BY_HAND = "The course's staff has set this score."
LATEST, BEST = "latest", "best"


@dataclass(frozen=True)
class Standing:
    """The recorded grades of a results folder.

    Attributes:
        grades: The last of each submission, in order of recording; each says whether it counts.
        unproved: The course key that seals the record, where this machine does not have it.
    """

    grades: tuple[Grade, ...]
    unproved: str | None = None

    @property
    def counting(self) -> tuple[Grade, ...]:
        """The grades that count, one for each student."""
        return tuple(grade for grade in self.grades if grade.counts)


@dataclass(frozen=True)
class Mark:
    """How one recorded grade stands.

    Attributes:
        entry: Its record.
        superseded_by: The record that counts in its place; None where this one counts.
        override: What a person decided of it.
    """

    entry: Entry
    superseded_by: Entry | None = None
    override: Entry | None = None

    def on(self, grade: Grade) -> Grade:
        """The grade with how it stands."""
        winner = self.superseded_by
        update: dict[str, object] = {"counts": winner is None}
        if winner is not None:
            update["superseded_by"] = winner.submission_sha256 or winner.source
        if self.override is not None:
            update |= _decided(grade, self.override)
        return grade.model_copy(update=update)


def standing(results_dir: Path) -> Standing:
    """The recorded grades of a results folder; needs no course key, and writes nothing.

    Raises:
        InfrastructureError: The record does not hold together.
    """
    with Ledger.to_read(results_dir) as ledger:
        grades = tuple(mark.on(ledger.read_grade(mark.entry)) for mark in marks(ledger))
        return Standing(grades, ledger.unproved)


def counting_grades(results_dir: Path) -> tuple[Grade, ...]:
    """The grades that count, one for each student. Raises as `standing` does."""
    return standing(results_dir).counting


def marked(grades: Iterable[Grade], ledger: Ledger) -> list[Grade]:
    """Grades that have just been recorded, each with how it stands among all.

    Args:
        grades: As they were made.
        ledger: The record that they are in.
    """
    known = {mark.entry.attempt: mark for mark in marks(ledger)}
    found = []
    for grade in grades:
        mark = known.get((grade.student_id, grade.submission.sha256, grade.submission.source))
        found.append(grade if mark is None else mark.on(grade))
    return found


def marks(ledger: Ledger) -> list[Mark]:
    """How each recorded grade stands, in order of recording."""
    entries, overrides = ledger.current(), ledger.overrides()
    students: dict[str, list[Entry]] = {}
    for entry in entries:
        students.setdefault(entry.student_id, []).append(entry)
    rule = attempt_rule(ledger.rules_of_last())
    winners = {
        name: _winner([e for e in own if not _is_copy(e, own)], rule, overrides)
        for name, own in students.items()
    }
    found = []
    for entry in entries:
        if _is_copy(entry, students[entry.student_id]):
            continue
        winner = winners[entry.student_id]
        other = None if winner.seq == entry.seq else winner
        found.append(Mark(entry, other, overrides.get(entry.subject)))
    return found


def attempt_rule(rules: str | None) -> str:
    """Which submission of a student counts, by the text of an assignment.toml."""
    try:
        written = tomllib.loads((rules or "").removeprefix("\ufeff")).get("attempt", LATEST)
    except ValueError:
        return LATEST
    return BEST if written == BEST else LATEST


def _is_copy(entry: Entry, own: Sequence[Entry]) -> bool:
    """Whether the same bytes, received at the same time, were recorded again under another path."""
    same = entry.submission_sha256, entry.received_at
    return any(
        later.seq > entry.seq and (later.submission_sha256, later.received_at) == same
        for later in own
        if later.submission_sha256 is not None
    )


def _winner(own: Sequence[Entry], rule: str, overrides: dict[tuple[str, str], Entry]) -> Entry:
    def decided(entry: Entry) -> bool:
        return entry.subject in overrides

    graded = [e for e in own if e.status is not GradeStatus.REJECTED or decided(e)]
    by_time = sorted(graded or own, key=_arrival)
    if rule == BEST:
        scored = [e for e in by_time if e.status is GradeStatus.GRADED or decided(e)]
        if scored:
            return max(scored, key=lambda e: (_score(e, overrides), _arrival(e)))
    *earlier, latest = by_time
    while earlier and earlier[-1].submission_sha256 == latest.submission_sha256 is not None:
        latest = earlier.pop()  # the same file once more is no new work: the first receipt counts
    return latest


def _score(entry: Entry, overrides: dict[tuple[str, str], Entry]) -> float:
    decision = overrides.get(entry.subject)
    return (entry if decision is None else decision).score or 0.0


def _arrival(entry: Entry) -> tuple[float, int]:
    received = entry.received_at
    return received.timestamp() if received is not None else float("-inf"), entry.seq


def _decided(grade: Grade, decision: Entry) -> dict[str, object]:
    score = decision.score or 0.0
    return {
        "status": GradeStatus.GRADED,
        "score": score,
        "cause": None,
        "message": SET_BY_HAND,
        "help": None,
        "override": Override(
            score=score,
            why=decision.why or "",
            by=decision.by_whom or "",
            at=decision.written_at,
            computed_status=grade.status,
            computed_score=grade.score,
            computed_message=grade.message,
        ),
    }
