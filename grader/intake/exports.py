"""One download of a learning platform: how its names are read, and what it says beside them."""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, tzinfo
from pathlib import Path

from grader.intake.gradescope import METADATA, Submitted, read_metadata
from grader.intake.names import (
    ASK_FOR_TIME,
    Identity,
    OwnPart,
    Platform,
    are_of_google,
    are_of_prairielearn,
    own_part,
    plain,
    safe_id,
    title,
    told_by,
)
from grader.intake.times import brightspace_time, in_zone, read_timestamp, sakai_time

SAKAI_FILES = "Submission attachment(s)"
SAKAI_OWN = frozenset({"feedbackText.html", "comments.txt", "timestamp.txt"})
"""What Sakai writes beside them, whether or not there is anything to say."""
NOTE_BYTES = 64 * 2**10
_BLACKBOARD_NAME = re.compile(
    r"^\s*Name:\s*(?P<name>.*?)\s*\((?P<login>[^()]+)\)\s*$", re.MULTILINE
)
_BLACKBOARD_TIME = re.compile(
    r"^\s*Date Submitted:\s*(?:[^\W\d_]+,? )?(?P<when>.*?\d{1,2}:\d\d)(?::(?P<second>[0-5]\d))?"
    r"(?: o'clock)?(?P<half> ?[AP]M)? (?P<zone>(?![AP]M\b)[A-Z]{2,5}|[+-]\d\d:?\d\d)\s*$",
    re.MULTILINE,
)
NOTE_HEAD = 3
"""Lines of the note that are Blackboard's own: name, assignment, date. Then the student's words."""
_BLACKBOARD_WORDS = re.compile(
    r"^\s*(?:Submission Field|Comments):\s*\n(?P<words>.*?)(?=\n\s*(?:Comments|Files):|\Z)",
    re.MULTILINE | re.DOTALL,
)
_NO_WORDS = re.compile(r"There (?:is|are) no student (?:comments|submission text data)", re.I)


@dataclass(frozen=True)
class Export:
    """How the names of one class folder are read.

    Attributes:
        platform: Who wrote them; None where no platform did.
        zone: The assignment's zone, for local times.
        prefix: GitHub Classroom: what all repositories' names begin with.
        known: Gradescope: what it says of each submission.
        marks_late: Whether some names of the folder are marked as late.
    """

    platform: Platform | None
    zone: tzinfo | None = None
    prefix: str = ""
    known: Mapping[str, Submitted] = field(default_factory=dict)
    marks_late: bool = False

    def part(self, child: Path) -> OwnPart | None:
        """The part of a name that the platform wrote."""
        if self.platform is None:
            return None
        if self.platform == "github":
            own = child.name.removeprefix(self.prefix)
            return OwnPart("github", own, len(child.name)) if child.is_dir() and own else None
        part = own_part((child.name,), self.platform)
        if part is None and self.platform == "sakai" and (child / SAKAI_FILES).is_dir():
            return OwnPart("sakai", child.name, len(child.name))  # graded anonymously
        return part

    def identity(self, child: Path) -> Identity:
        """Whose a submission is, and when it came."""
        part = self.part(child)
        if part is None:
            identity = plain(child)
            if self.platform:
                strange = f"This name is none that {title(self.platform)} writes."
                identity = replace(identity, remarks=(strange,))
            return identity
        identity = told_by(part, self.zone)
        if self.platform == "gradescope":
            return self._of_gradescope(child.name, identity)
        if self.platform == "sakai":
            return self._of_sakai(child, identity)
        if self.platform == "blackboard":
            return _of_blackboard(child, part, identity, self.zone)
        if self.platform == "canvas" and self.marks_late and not part.late:
            return replace(identity, in_time=True)
        return identity

    def _of_gradescope(self, name: str, identity: Identity) -> Identity:
        submitted = self.known.get(name)
        if submitted is None or not submitted.people:
            if self.known:
                strange = f"{METADATA} does not say whose {name} is."
                identity = replace(identity, remarks=(strange,))
            return identity
        received = submitted.received_at
        remark = f"{METADATA} gives a time of receipt that cannot be read."
        base = replace(
            identity,
            received_at=received,
            received_from="lms" if received else None,
            remarks=() if received else (remark,),
            doubt=None if received else f"{remark} {ASK_FOR_TIME}",
        )
        first, *others = [_member(base, person, name) for person in submitted.people]
        return replace(first, others=tuple(others))

    def _of_sakai(self, child: Path, identity: Identity) -> Identity:
        written = read_timestamp(child) if child.is_dir() else None
        if written is None:
            return identity
        when = sakai_time(written, self.zone)
        others = tuple(_by_timestamp(other, when) for other in identity.others)
        return replace(_by_timestamp(identity, when), others=others)


def _by_timestamp(identity: Identity, when: datetime | None) -> Identity:
    """With the time of Sakai's timestamp.txt; a doubt where it cannot be read."""
    if when is not None:
        return replace(identity, received_at=when, received_from="lms")
    remark = "Sakai's timestamp.txt cannot be read as a time."
    return replace(identity, remarks=(remark,), doubt=f"{remark} {ASK_FOR_TIME}")


def _member(base: Identity, person: Mapping[str, str], name: str) -> Identity:
    names = [safe_id(person[key]) for key in ("sid", "email", "name") if person.get(key)]
    ids = [*names, safe_id(name)]
    return replace(base, student_id=ids[0], known_as=tuple(ids[1:]))


def _of_blackboard(child: Path, part: OwnPart, identity: Identity, zone: tzinfo | None) -> Identity:
    """With what the attempt's .txt says: login where it holds a "_", zone, the student's words."""
    note = blackboard_note(child.with_name(child.name[: part.end].removesuffix("_") + ".txt"))
    if note is None:
        return identity
    named = _BLACKBOARD_NAME.search(note)
    if named and child.name[: part.end].find(f"_{named['login']}_attempt_") >= 0:
        known = (safe_id(named["name"]),) if named["name"] else ()
        identity = replace(identity, student_id=safe_id(named["login"]), known_as=known)
    identity = _by_note(identity, note, zone)
    words = [found["words"].strip() for found in _BLACKBOARD_WORDS.finditer(note)]
    told = tuple(
        f"The student wrote: {' '.join(text.split())[:300]}"
        for text in words
        if text and not _NO_WORDS.search(text)
    )
    return replace(identity, remarks=(*identity.remarks, *told))


def _by_note(identity: Identity, note: str, zone: tzinfo | None) -> Identity:
    """With the time that the note gives with its zone; that in the name has none."""
    head = "\n".join(note.lstrip().split("\n")[:NOTE_HEAD])
    written = _BLACKBOARD_TIME.search(head)
    local = brightspace_time(f"{written['when']}{written['half'] or ''}") if written else None
    if written is None or local is None:
        return identity
    local = local.replace(second=int(written["second"] or 0))
    when = in_zone(local, written["zone"], zone)
    if when is not None:
        return replace(identity, received_at=when, received_from="lms", remarks=(), doubt=None)
    remark = f"Blackboard gives the time in the zone {written['zone']}, which is not known here."
    doubt = f"{remark} {ASK_FOR_TIME}"
    return replace(identity, received_at=None, received_from=None, doubt=doubt, remarks=(remark,))


def blackboard_note(file: Path) -> str | None:
    """What Blackboard wrote beside an attempt; None where there is nothing."""
    if file.is_symlink() or not file.is_file():
        return None
    with file.open("rb") as stream:
        return stream.read(NOTE_BYTES).decode("utf-8-sig", "replace").replace("\r\n", "\n")


# --- whose export it is -------------------------------------------------------------------


def export_of(
    root: Path, candidates: Sequence[Path], platform: Platform | None, zone: tzinfo | None
) -> Export:
    """How the names of a class folder are read.

    Args:
        root: The class folder.
        candidates: What of its content may be submissions.
        platform: What the command line says; None lets most of the names decide.
        zone: The assignment's.
    """
    found = platform or read_alike(root, candidates)
    if found == "gradescope":
        return Export(found, zone, known=read_metadata(root / METADATA))
    if found == "github":
        return Export(found, zone, prefix=_common_prefix(root, candidates))
    export = Export(found, zone)
    late = any(part.late for c in candidates if (part := export.part(c)))
    return replace(export, marks_late=late)


def read_alike(root: Path, candidates: Sequence[Path]) -> Platform | None:
    """The platform that wrote most of the names; None where none did."""
    found = by_structure(root, candidates) or voted([(c.name,) for c in candidates])
    files = [c.name for c in candidates if not c.is_dir()]
    if found is None and len(files) * 2 > len(candidates) and are_of_google(files):
        return "google"
    if found == "autolab" and are_of_prairielearn(files):
        return "prairielearn"
    return found


def by_structure(root: Path, candidates: Sequence[Path]) -> Platform | None:
    """The platform that the folders themselves speak of, where names alone would not."""
    folders = [c for c in candidates if c.is_dir()]
    signs: dict[Platform, int] = {
        "gradescope": sum(own_part((f.name,), "gradescope") is not None for f in folders)
        if (root / METADATA).is_file()
        else 0,
        "sakai": sum(_is_of_sakai(c) for c in candidates),
        "github": max(sum(_is_repository(f) for f in folders), _named_by_github(root, folders)),
    }
    platform, count = max(signs.items(), key=lambda pair: pair[1])
    return platform if count * 2 > len(candidates) else None


def voted(names: Sequence[Sequence[str]]) -> Platform | None:
    """The platform that most names are of; None where there is no such."""
    parts = [own_part(each) for each in names]
    counts = Counter(part.platform for part in parts if part)
    platform, count = next(iter(counts.most_common(1)), (None, 0))
    return platform if count * 2 > len(names) else None


def _is_of_sakai(child: Path) -> bool:
    if (child / SAKAI_FILES).is_dir():
        return True
    if own_part((child.name,), "sakai") is None:
        return False
    if child.is_dir():
        return (child / "timestamp.txt").is_file()
    return f"_{SAKAI_FILES}_" in child.name


def _is_repository(folder: Path) -> bool:
    return any((folder / name).exists() for name in (".git", ".github"))


def _named_by_github(root: Path, folders: Sequence[Path]) -> int:
    """How many folders bear the name of `gh classroom clone`, without what Git hides in them."""
    name = root.resolve().name
    slug = f"{name.removesuffix('-submissions')}-"
    if not name.endswith("-submissions") or not all(f.name.startswith(slug) for f in folders):
        return 0
    return len(folders)


def _common_prefix(root: Path, candidates: Iterable[Path]) -> str:
    """What GitHub Classroom puts before the login: the assignment's name and a hyphen."""
    names = [c.name for c in candidates if c.is_dir()]
    slug = f"{root.resolve().name.removesuffix('-submissions')}-"
    if names and all(name.startswith(slug) for name in names):
        return slug
    if len(names) < 2:
        return ""
    # What the first and the last in order have in common, all between them have.
    pairs = zip(min(names), max(names), strict=False)
    start = "".join(
        first for first, _ in itertools.takewhile(lambda pair: pair[0] == pair[1], pairs)
    )
    return start[: start.rfind("-") + 1]
