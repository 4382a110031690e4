"""What a class did: its scores, the dearest cause of each, and what many did not understand.

For the terminal's table and the class page alike.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from grader.domain import CheckResult, Grade, GradeStatus, Outcome
from grader.report.causes import brief_words, causes_of
from grader.report.words import duration, minus, override_words
from grader.scoring import ACCURACY, open_points

BINS = 10
"""Of the distribution of scores."""


class Lost(NamedTuple):
    """Points that one thing cost."""

    points: float
    words: str
    check: CheckResult


def lost(grade: Grade) -> list[Lost]:
    """What cost points, the dearest first; the accuracy is one of them."""
    found = [Lost(c.lost, brief_words(c), c.check) for c in causes_of(grade.checks)]
    missed = next((c for c in grade.checks if c.name == ACCURACY), None)
    if missed is not None and missed.outcome is Outcome.FAILED:
        words = missed.rationale or grade.evaluation_note or missed.title
        found.append(Lost(missed.max_score - missed.score, words, missed))
    return sorted(found, key=lambda one: -one.points)


def note(grade: Grade) -> str:
    """The one thing to know: why there is no score, how late it is, else the dearest cause."""
    return "; ".join(_notes(grade))


def _notes(grade: Grade) -> Iterator[str]:
    if grade.override is not None:
        yield override_words(grade.override)
    elif grade.message:
        yield grade.message
    if grade.deadline is not None and grade.deadline.seconds_late > 0:
        yield f"{duration(grade.deadline.seconds_late)} late"
    if grade.isolation == "none":
        yield "isolation: none"
    found = lost(grade)
    if found and not grade.message:
        more = f" (+ {len(found) - 1} more)" if len(found) > 1 else ""
        yield f"{minus(round(found[0].points, 2))} {found[0].words}{more}"


@dataclass(frozen=True)
class Frequent:
    """A check that several students lost by a mistake of their own.

    Attributes:
        check: Its name.
        title: Its sentence.
        words: What was found most often.
        students: Whose, in the order of the class.
    """

    check: str
    title: str
    words: str
    students: tuple[str, ...]


def frequent(grades: Sequence[Grade]) -> list[Frequent]:
    """What the class did not understand, the most students first.

    What follows from another mistake is not counted: it was no misunderstanding of its own.
    """
    titles: dict[str, str] = {}
    words: dict[str, Counter[str]] = {}
    students: dict[str, dict[str, None]] = {}
    for grade in grades:
        for one in lost(grade):
            name = one.check.name
            titles.setdefault(name, one.check.title)
            words.setdefault(name, Counter())[_kind(one)] += 1
            students.setdefault(name, {})[grade.student_id] = None
    found = [
        Frequent(name, titles[name], words[name].most_common(1)[0][0], tuple(students[name]))
        for name in titles
    ]
    return sorted(found, key=lambda one: -len(one.students))


def _kind(one: Lost) -> str:
    """A mistake without its place, so that the same one of two students is the same."""
    finding = next((f for f in one.check.findings if f.severity == "deviation"), None)
    if finding is not None and finding.what:
        return finding.message
    return one.check.rationale or one.words


def scores(grades: Sequence[Grade]) -> list[float]:
    """The scores of those that have one."""
    return [grade.score for grade in grades if grade.status is GradeStatus.GRADED]


def by_rules(grades: Sequence[Grade]) -> list[list[Grade]]:
    """The grades that have a score, apart for each version of assignment.toml: points by one
    rubric are no points by another."""
    rules: dict[str, list[Grade]] = {}
    for grade in grades:
        if grade.status is GradeStatus.GRADED:
            rules.setdefault(grade.provenance.assignment_sha256, []).append(grade)
    return list(rules.values())


def groups(grades: Sequence[Grade]) -> list[str]:
    """The headings of the checks but the accuracy's, in the order of the report."""
    found = (check.group for grade in grades for check in grade.checks if check.name != ACCURACY)
    return list(dict.fromkeys(found))


def superseded(grades: Sequence[Grade]) -> Iterator[str]:
    """Submissions in whose place another of the same student counts, each in a line."""
    sources = {g.submission.sha256 or g.submission.source: g.submission.source for g in grades}
    for grade in grades:
        if not grade.counts:
            score = f" ({grade.score:g})" if grade.status is GradeStatus.GRADED else ""
            by = sources.get(grade.superseded_by or "", "another submission")
            yield f"superseded: {grade.student_id}, {grade.submission.source}{score}, by {by}"


def distribution(grades: Sequence[Grade]) -> tuple[int, ...]:
    """How many scores lie in each tenth of the maximum; the maximum itself lies in the last."""
    counts = [0] * BINS
    for grade in grades:
        if grade.status is GradeStatus.GRADED and grade.max_score > 0:
            share = grade.score / grade.max_score
            counts[min(BINS - 1, max(0, int(BINS * share)))] += 1
    return tuple(counts)


def alike(grades: Sequence[Grade]) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Students who handed in the same work: for the instructor, in no student's report."""
    told: set[frozenset[str]] = set()
    for what, field in (
        ("file", "sha256"),
        ("dense_block and transition", "written_sha256"),
        ("weights", "weights_sha256"),
    ):
        students: dict[str, dict[str, None]] = {}
        for grade in grades:
            digest = getattr(grade.submission, field)
            if digest is not None:
                students.setdefault(digest, {})[grade.student_id] = None
        for names in students.values():
            if len(names) > 1 and frozenset(names) not in told:
                told.add(frozenset(names))
                yield what, tuple(names)


def late(grades: Sequence[Grade]) -> int:
    """How many came after their due time."""
    return sum(g.deadline is not None and g.deadline.seconds_late > 0 for g in grades)


def met(grades: Sequence[Grade]) -> tuple[int, int]:
    """How many accuracies are above the threshold, and how many were measured."""
    measured = [g.evaluation for g in grades if g.evaluation is not None]
    return sum(one.met for one in measured), len(measured)


def unmeasured(grades: Sequence[Grade]) -> int:
    """How many have points that are open because no accuracy was measured."""
    return sum(open_points(grade) > 0 for grade in grades)
