"""A student's attempts, where a platform keeps each in a folder of its own.

    Submitty, Web-CAT     jdoe/1/, jdoe/2/                         a number; .submit.timestamp
                          jdoe/user_assignment_settings.json       which of them the student chose
    Teams, Schoology      Jane Doe/Version 2/, Revision 1 - Late/  a word in the site's language
    VPL                   Jane Doe 77 jdoe/2027-09-30-21-58-41/    a local time

A folder is read so only where all beside it are, and most students have such: `block1` and `data`
are a student's own, and so is a folder with a time that one student alone has.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, tzinfo
from pathlib import Path

from grader.intake.names import ASK_FOR_TIME, Identity
from grader.intake.refusal import shown
from grader.intake.times import SUBMIT_TIMESTAMP, nbgrader_time, read_timestamp
from grader.intake.words import words_of

WORDS = frozenset({
    "attempt", "essai", "intento", "poging", "tentativa", "tentative", "try", "versuch",
    "rev", "revisao", "revision", "revisione", "revisie",
    "v", "ver", "verze", "versao", "versie", "version", "versione", "versjon", "wersja",
    "abgabe", "entrega", "soumission", "submission",
})  # fmt: skip
"""What platforms call an attempt, without accents."""
REPORTS = ".ceg"
"""VPL writes what it found of an attempt into a folder beside it."""
SETTINGS = "user_assignment_settings.json"
"""Submitty writes here which version of a student is the active one, the one that is graded."""
SETTINGS_BYTES = 2**20
_NUMBERED = re.compile(
    r"(?:(?P<word>\D*?)[ _-]?)?(?P<number>\d{1,4})(?: - (?P<rest>.*))?", re.ASCII
)
_ILIAS_LATE = re.compile(r"(?:late submission|versp(?:ä|ae)tete abgabe) - ", re.IGNORECASE)
_TIME = re.compile(r"(\d{4})-(\d\d)-(\d\d)[-_T ](\d\d)[-.:_]?(\d\d)(?:[-.:_]?(\d\d))?", re.ASCII)


@dataclass(frozen=True)
class Attempt:
    """What the name of an attempt's folder says.

    Attributes:
        folder: Where it lies.
        number: The higher came later.
        local: When it came, by the platform's clock.
        late: Whether the platform calls it late.
    """

    folder: Path
    number: int = 0
    local: datetime | None = None
    late: bool = False

    @property
    def tells(self) -> bool:
        """Whether the platform says when it came, or that it came late."""
        return bool(self.local or self.late or self._written is not None)

    @property
    def _written(self) -> str | None:
        return read_timestamp(self.folder, SUBMIT_TIMESTAMP)

    def received_at(self, zone: tzinfo | None) -> datetime | None:
        """When it came; None where nothing tells."""
        if self._written is not None:
            return nbgrader_time(self._written, zone)
        return self.local.replace(tzinfo=zone) if self.local and zone else None

    def of(self, student: Identity, zone: tzinfo | None) -> Identity:
        """The student's identity for this attempt."""
        told = replace(student, number=self.number)
        when = self.received_at(zone) if student.received_at is None else None
        if when is not None:
            told = replace(told, received_at=when, received_from="lms", doubt=None)
        if not self.late or told.received_at is not None:
            return told
        return _late(told, self.folder.name)


def marked_late(archive: Path, student: Identity) -> Identity:
    """The student's identity for an archive, which ILIAS marks where it came late."""
    if student.platform != "folders" or not _ILIAS_LATE.match(archive.name):
        return student
    return _late(student, archive.name) if student.received_at is None else student


def _late(student: Identity, name: str) -> Identity:
    late = f"{shown(name)}: the platform marks it as late."
    doubt = f"{late} Nothing else tells when it came. {ASK_FOR_TIME}"
    return replace(student, remarks=(*student.remarks, late), doubt=doubt)


def attempts_of(folders: Sequence[Path]) -> list[Attempt]:
    """The attempts that folders are; none where one of them is anything else."""
    names = {folder.name for folder in folders}
    own = [f for f in folders if not _is_report(f.name, names)]
    found = [attempt for folder in own if (attempt := attempt_of(folder)) is not None]
    return found if len(found) == len(own) else []


def chosen_of(attempts: Sequence[Attempt]) -> list[Attempt]:
    """The one that the student chose at Submitty; all where nothing tells, or none is chosen."""
    settings = read_timestamp(attempts[0].folder.parent, SETTINGS, SETTINGS_BYTES)
    try:
        number = json.loads(settings or "null")["active_version"]
    except (ValueError, LookupError, TypeError, RecursionError):
        return list(attempts)
    chosen = [each for each in attempts if type(number) is int and each.number == number]
    return chosen or list(attempts)


def _is_report(name: str, beside: Collection[str]) -> bool:
    return name.endswith(REPORTS) and name.removesuffix(REPORTS) in beside


def attempt_of(folder: Path) -> Attempt | None:
    """The attempt that a folder is by its name."""
    time = _TIME.fullmatch(folder.name)
    if time is not None:
        year, month, day, hour, minute, second = (int(part or 0) for part in time.groups())
        try:
            return Attempt(folder, local=datetime(year, month, day, hour, minute, second))
        except ValueError:
            return None
    found = _NUMBERED.fullmatch(folder.name)
    if found is None or not set(words_of(found["word"] or "")) <= WORDS:
        return None
    late = "late" in words_of(found["rest"] or "")
    return Attempt(folder, int(found["number"]), late=late)
