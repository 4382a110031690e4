"""Whose each submission is by the class's roster."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from grader.intake.items import Item
from grader.intake.names import Identity
from grader.intake.refusal import listed
from grader.intake.roster import Roster, Student
from grader.intake.words import shared, words_of

TEAM = frozenset({"team", "group", "groupe", "gruppe", "grupo", "groep", "gruppo", "equipe"})
"""Words that say, with the members' names, that several handed in; without accents."""


def in_roster(items: Iterable[Item], roster: Roster | None) -> tuple[list[Item], list[str]]:
    """The items, each of a student of the roster under the course's own id, and what to tell.

    What a group of the roster handed in is an item of each member. Where the roster says when a
    student's work came and nothing else does, it came then; of several submissions nobody knows
    which is meant.
    """
    items = list(items)
    if roster is None:
        return items, []
    owners = _Owners(roster, items)
    owned = [(item, student) for item in items for student in owners.of(item)]
    counts = Counter(student.student_id for _, student in owned if student)
    untold = [
        student.student_id
        for item, student in owned
        if student
        and student.received_at
        and counts[student.student_id] > 1
        and item.identity.received_at is None
    ]
    placed = [
        item if student is None else _of_student(item, student, counts[student.student_id] == 1)
        for item, student in ((_handed_in_by(item, owned), student) for item, student in owned)
    ]
    return placed, [*owners.notices, *_not_used(untold)]


def _not_used(students: Sequence[str]) -> list[str]:
    """A notice of those whose time of receipt may be of any of their submissions."""
    if not students:
        return []
    names = listed(list(dict.fromkeys(students)))
    return [f"Several submissions, so the roster's time of receipt was not used: {names}."]


@dataclass
class _Owners:
    """The students of a class's submissions.

    Attributes:
        roster: The class.
        items: Its submissions.
    """

    roster: Roster
    items: Sequence[Item]

    def __post_init__(self) -> None:
        self._within: dict[str, str] = {}
        self._unclear: dict[str, str] = {}
        self._teams: dict[str, str] = {}

    def of(self, item: Item) -> Sequence[Student | None]:
        """Everyone whose submission it is; None alone for somebody who is not in the roster."""
        names = _names(item.identity)
        student = self.roster.find(names) or self.roster.of(item.identity.student_id)
        group = self.roster.members(names)
        if student is None or student in group:
            # Canvas writes a group's name and the number of one of its members.
            return group or ([student] if student else self._named_within(item))
        return [student]

    def _named_within(self, item: Item) -> Sequence[Student | None]:
        name = item.identity.student_id
        students = self.roster.within(name, self._common)
        if len(students) > 1:
            ids = ", ".join(student.student_id for student in students)
            team = self.roster.together(name) if TEAM & set(words_of(name)) else ()
            told = self._teams if team == students else self._unclear
            told[name] = f"{name} ({ids})"
            if team == students:
                return team
        if len(students) != 1:
            return [None]
        self._within[name] = f"{name} is {students[0].student_id}'s"
        return students

    @cached_property
    def _common(self) -> frozenset[str]:
        return shared({item.identity.student_id for item in self.items})

    @property
    def notices(self) -> list[str]:
        """Which names were read by a part of them, and which could not be."""
        told = []
        if self._within:
            told.append(
                f"Names in which one student of the roster stands are that student's: "
                f"{listed(list(self._within.values()))}."
            )
        if self._teams:
            told.append(f"Teams, whose work counts for each: {listed(list(self._teams.values()))}.")
        if self._unclear:
            told.append(
                f"Names in which several students of the roster stand were left as they are: "
                f"{listed(list(self._unclear.values()))}. Add a column such as file_id to the "
                "roster, with the whole name."
            )
        return told


def _names(identity: Identity) -> tuple[str, ...]:
    return identity.student_id, *identity.known_as


def _handed_in_by(item: Item, owned: Sequence[tuple[Item, Student | None]]) -> Item:
    """An item that says who else handed it in, where these are several."""
    names = [student.student_id for other, student in owned if other is item and student]
    if len(names) < 2:
        return item
    remark = f"Handed in by a group: {', '.join(names)}."
    identity = replace(item.identity, remarks=(*item.identity.remarks, remark))
    return replace(item, identity=identity)


def _of_student(item: Item, student: Student, alone: bool) -> Item:
    was = item.identity
    names = (*_names(was), *student.ids)
    known_as = tuple(n for n in dict.fromkeys(names) if n != student.student_id)
    identity = replace(was, student_id=student.student_id, known_as=known_as)
    if was.received_at is None and student.received_at is not None and alone:
        when = student.received_at
        identity = replace(identity, received_at=when, received_from="lms", doubt=None)
    return replace(item, identity=identity)
