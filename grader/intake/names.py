"""Who handed it in and when, from the names that learning platforms give to downloads.

    Canvas       doejane_LATE_48213_991245_densenet-2.zip     login, LATE, user, file, original
    Moodle       Jane Doe_48213_assignsubmission_file_/x.zip  name, participant number
    Blackboard   hw3_jdoe_attempt_2026-09-30-21-58-41_x.zip   assignment, login, local time
    Gradescope   submission_48213/                            submission number
    Brightspace  12-34 - Jane Doe - Sep 30, 2027 1058 PM/     numbers, name, local time
    Sakai        Doe, Jane(jdoe)/, timestamp.txt in it        name, login, time
    nbgrader     submitted/jdoe/hw3/, timestamp.txt in it     login, time
    GitHub       densenet-jdoe/, a repository each            assignment, login
    Google       Jane Doe - submission.zip                    name, original
    Autolab      jane@uni.edu_3_submission.zip                address, version, original
    PrairieLearn jane@uni.edu_1_densenet_1_3_densenet.py      address, …, variant, version, original

A platform writes its own part first, and the name that the student chose comes behind it. So names
are read from the left, folder before file, and only up to where the first platform's part ends:
nothing that a student chose is looked at.

Names are hostile text. What leaves this file as a student_id is a short line of letters, digits
and `._@+-`, never empty, never a path, never the start of a spreadsheet formula.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, tzinfo
from pathlib import Path
from typing import Literal

from grader.domain import ReceivedFrom
from grader.intake.kinds import ARCHIVE
from grader.intake.times import (
    BRIGHTSPACE_TIME,
    TIMESTAMP,
    blackboard_time,
    brightspace_time,
    nbgrader_time,
    read_timestamp,
)

Platform = Literal[
    "canvas", "moodle", "blackboard", "gradescope", "brightspace", "sakai", "github", "google",
    "autolab", "prairielearn", "nbgrader", "folders", "files",
]  # fmt: skip
"""How names are read. "folders": a folder's name is its student; "files": an archive's name is."""

BY_NAME: tuple[Platform, ...] = (
    "canvas", "moodle", "blackboard", "gradescope", "brightspace", "sakai", "github", "google",
    "autolab", "prairielearn",
)  # fmt: skip
"""Those that write whose it is into the names; nbgrader has folders for it."""
TITLES: dict[Platform, str] = {
    "github": "GitHub Classroom",
    "google": "Google Classroom",
    "nbgrader": "nbgrader",
    "prairielearn": "PrairieLearn",
}
"""How a platform's name is written, where its first letter alone does not make it."""

ID_LENGTH = 64
"""Longest student_id, characters."""
SUBMITTED = "submitted"
"""nbgrader's folder of what was handed in."""
ASK_FOR_TIME = (
    "Grade again with the true time of receipt: --submitted-at WHEN, or for a class a column "
    "received_at in its --roster."
)

_CANVAS = re.compile(
    r"(?:(?P<late_anon>LATE_)?(?P<anon>anon_[^_]+)|(?P<who>.+?)_(?P<late>LATE_)?(?P<user>\d{2,}))"
    r"_(?:(?:question_\d+_)?(?P<file>\d{3,})_|(?=(?:text|link)\.html$))",
    re.ASCII,
)
_CANVAS_LOOSE = re.compile(
    _CANVAS.pattern.replace(r"\d{2,}", r"\d+").replace(r"\d{3,}", r"\d+"), re.ASCII
)
"""Where the names are known to be Canvas's: a small installation has small numbers."""
_MOODLE = re.compile(
    r"(?P<who>.+?)(?:_(?P<number>\d+))?_assignsubmission_(?P<what>[a-z]+)(?:_|$)", re.ASCII
)
_BLACKBOARD = re.compile(
    r".+?_(?P<who>[^_]+)_attempt_(?P<when>\d{4}(?:-\d\d){5})(?:_|(?=\.)|$)", re.ASCII
)
_ADDRESS = r"(?P<who>[A-Za-z0-9][\w.+-]*@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+)"
_AUTOLAB = re.compile(rf"{_ADDRESS}_(?P<number>\d+)_", re.ASCII)
_PRAIRIELEARN = re.compile(
    rf"{_ADDRESS}_\d+_(?P<question>.+?)_(?P<variant>\d+)_(?P<number>\d+)_(?=.)", re.ASCII
)
_GOOGLE = re.compile(r"(?P<who>[^\W\d_][^/]*?)(?: - |_-_)(?=.)")
_GRADESCOPE = re.compile(r"submission_(?P<number>\d+)$", re.ASCII)
_BRIGHTSPACE = re.compile(
    r"(?P<number>[0-9]+-[0-9]+) - (?:(?P<org>[A-Za-z]{0,3}[0-9]{4,}) - )?(?P<who>.+?) ?- "
    rf"(?P<when>{BRIGHTSPACE_TIME})(?: - |$)",
    re.IGNORECASE,
)
_BRIGHTSPACE_WITHOUT = re.compile(r"(?P<number>[0-9]+-[0-9]+) - (?P<who>.+?) - ", re.ASCII)
"""Where the time is missing or unreadable."""
_SAKAI_ONE = re.compile(r"(?P<name>[^();]*)\((?P<who>[^()/]+)\)", re.ASCII)
_SAKAI = re.compile(
    r"(?P<all>[^();]*\([^()/]+\)(?:; ?[^();]*\([^()/]+\))*)"
    r"(?:$|_(?:Submission attachment\(s\)_|submissionText\.))",
    re.ASCII,
)
_COPY = re.compile(r"(?:-\d+|[ _]?\(\d+\))(?=\.)", re.ASCII)
"""What Canvas, Google and browsers add to the name of a file that they have seen before."""
_ENDINGS = re.compile(r"(?:\.(?:zip|tar|gz|tgz|rar|7z|py|ipynb))+$", re.IGNORECASE)


@dataclass(frozen=True)
class Identity:
    """What a name tells.

    Attributes:
        student_id: Safe to show, to compare and to write into a table.
        platform: How the name was read.
        received_at: Aware; None where the name does not tell.
        received_from: Where the time comes from.
        remarks: What else the name says.
        doubt: Why no other time may stand for the time of receipt, such as the file's own.
        person: The student_id that several submissions share, where this one is told apart.
        known_as: Further ids and names of the student, safe as the student_id is, the surest first.
        in_time: The platform marks who is late, and not this one: no file's time stands against it.
        number: Of several of one student, where no time tells, the higher came later.
        later: Those of the same student that came later: no file's time says otherwise.
        others: Those who handed it in together with this student.
    """

    student_id: str
    platform: Platform
    received_at: datetime | None = None
    received_from: ReceivedFrom | None = None
    remarks: tuple[str, ...] = ()
    doubt: str | None = None
    person: str | None = None
    known_as: tuple[str, ...] = ()
    in_time: bool = False
    number: int = 0
    later: tuple[Path, ...] = ()
    others: tuple[Identity, ...] = ()


@dataclass(frozen=True)
class OwnPart:
    """The part of one name that a platform wrote.

    Attributes:
        platform: Which.
        who: The person, in the platform's words.
        end: Where the part ends; what follows was chosen by the student.
        when: The time in the platform's words.
        late: Whether the platform calls it late.
        known_as: What else the platform calls the person.
        number: The platform's number of the file; a later file has a higher one.
        others: Those who handed it in together with this person.
    """

    platform: Platform
    who: str
    end: int
    when: str = ""
    late: bool = False
    known_as: tuple[str, ...] = ()
    number: int = 0
    others: tuple[OwnPart, ...] = ()


def identify(path: Path, zone: tzinfo | None = None, platform: Platform | None = None) -> Identity:
    """Read a submission's name, and those of the folders above it, from the left.

    Args:
        path: The zip or folder.
        zone: Zone of the platform's local times (the assignment's); without it a local time is
            left out.
        platform: How to read it; otherwise the first platform's part that is found decides.

    Returns:
        The identity; the plain name where no platform's part is found.
    """
    if path.name in ("", ".."):
        path = path.resolve()
    place = collected(path) if platform in (None, "nbgrader") else None
    if place:
        at, folder = place
        if platform or not own_part(path.parts[:at]):
            return collected_by_nbgrader(path.parts[at], folder, zone)
    part = own_part(path.parts, platform)
    return told_by(part, zone) if part else plain(path, platform)


def plain(path: Path, platform: Platform | None = None) -> Identity:
    """The name alone, as of a class whose names no platform wrote."""
    if path.is_dir():
        return Identity(safe_id(path.name), "folders")
    if platform == "folders":
        return Identity(safe_id(path.resolve().parent.name), "folders")
    return Identity(safe_id(_ENDINGS.sub("", path.name)), "files")


def own_part(parts: Sequence[str], platform: Platform | None = None) -> OwnPart | None:
    """The platform's part of the first name that has one, folders before what lies in them."""
    reader = (_SURE.get(platform) or _READERS.get(platform)) if platform else None
    readers = _READERS.items() if platform is None else [(platform, reader)]
    for name in parts:
        found = [part for _, read in readers if read and (part := read(name))]
        if found:
            # A second platform's part that ends later lies in what the student chose.
            return min(found, key=lambda part: part.end)
    return None


def told_by(part: OwnPart, zone: tzinfo | None) -> Identity:
    """What a platform's part says, of all who handed it in."""
    others = tuple(_told_of_one(other, zone) for other in part.others)
    return replace(_told_of_one(part, zone), others=others)


def _told_of_one(part: OwnPart, zone: tzinfo | None) -> Identity:
    known_as = tuple(safe_id(name) for name in part.known_as)
    told = Identity(safe_id(part.who), part.platform, known_as=known_as, number=part.number)
    platform = title(part.platform)
    if part.platform not in _TIMES:
        late = (f"{platform} marks this submission as late.",) if part.late else ()
        doubt = f"{late[0]} Nothing else tells when it came. {ASK_FOR_TIME}" if late else None
        return replace(told, remarks=late, doubt=doubt)
    local = _TIMES[part.platform](part.when)
    if local is not None and zone is not None:
        return replace(told, received_at=local.replace(tzinfo=zone), received_from="lms")
    what = f"the local time {local}" if local else "a time that cannot be read"
    why = ", whose zone is not known here" if local else ""
    remark = f"{platform} gives {what}{why}."
    doubt = None if local else f"{remark} {ASK_FOR_TIME}"
    return replace(told, remarks=(remark,), doubt=doubt)


def title(platform: Platform) -> str:
    """A platform's name, for a sentence."""
    return TITLES.get(platform, platform.title())


def collected_by_nbgrader(student: str, folder: Path | None, zone: tzinfo | None) -> Identity:
    """A submission that nbgrader collected.

    Args:
        student: Name of the student's folder.
        folder: `submitted/<student>/<assignment>`; None where there is none. Only there does
            nbgrader write timestamp.txt: one further down is a file of the student's.
        zone: The assignment's zone.
    """
    written = read_timestamp(folder) if folder is not None else None
    if written is None:
        return Identity(safe_id(student), "nbgrader")
    when = nbgrader_time(written, zone)
    if when is not None:
        return Identity(safe_id(student), "nbgrader", when, "nbgrader")
    remark = f"nbgrader's {TIMESTAMP} cannot be read as a time."
    return Identity(
        safe_id(student), "nbgrader", remarks=(remark,), doubt=f"{remark} {ASK_FOR_TIME}"
    )


def safe_id(text: str) -> str:
    """Make hostile text a student_id: one short plain line.

    Letters and digits of any script stay; everything else but `._@+-` becomes `_`. Where that
    changes the text, or it is too long, a short digest keeps two students apart.

    Args:
        text: A file name, a folder's name or an argument.

    Returns:
        1 to ID_LENGTH characters.
    """
    plain = unicodedata.normalize("NFC", text).strip()
    safe = "".join(c if _is_plain(c) else "_" for c in plain)
    safe = re.sub(r"_{2,}", "_", safe).lstrip(".=+-@_").rstrip("._")
    if not safe:
        return f"unknown-{_digest(text)}"
    only_spaces = safe == re.sub(r"[\s_]+", "_", plain)
    if only_spaces and len(safe) <= ID_LENGTH:
        return safe
    return f"{safe[: ID_LENGTH - 9]}-{_digest(text)}"


def _is_plain(character: str) -> bool:
    """Letters, their marks (Indic vowels), digits, and what user names and addresses need."""
    return unicodedata.category(character)[0] in "LMN" or character in "._@+-"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:8]


def original(name: str) -> str:
    """A file's name without what marks it as a copy."""
    return _COPY.sub("", name)


# --- platforms ----------------------------------------------------------------------------


def _canvas(name: str, pattern: re.Pattern[str] = _CANVAS) -> OwnPart | None:
    found = pattern.match(name)
    if not found:
        return None
    known = () if found["anon"] else (found["user"], found["who"])
    return OwnPart(
        "canvas",
        found["anon"] or f"{found['who']}_{found['user']}",
        found.end(),
        late=bool(found["late"] or found["late_anon"]),
        known_as=known,
        number=int(found["file"] or 0),
    )


def _moodle(name: str) -> OwnPart | None:
    found = _MOODLE.match(name)
    if not found:
        return None
    known = tuple(filter(None, (found["number"], found["who"])))
    return OwnPart("moodle", "_".join(reversed(known)), found.end(), known_as=known)


def _blackboard(name: str) -> OwnPart | None:
    found = _BLACKBOARD.match(name)
    if not found or blackboard_time(found["when"]) is None:
        return None
    return OwnPart("blackboard", found["who"], found.end(), found["when"])


def _gradescope(name: str) -> OwnPart | None:
    return OwnPart("gradescope", name, len(name)) if _GRADESCOPE.match(name) else None


def _brightspace(name: str) -> OwnPart | None:
    found = _BRIGHTSPACE.match(name)
    if found is None:
        found = _BRIGHTSPACE_WITHOUT.match(name)
        if found is None:
            return None
        return OwnPart("brightspace", found["who"], found.end(), known_as=(found["number"],))
    who, org, number = found["who"], found["org"], found["number"]
    known = (number, who) if org else (number,)
    return OwnPart("brightspace", org or who, found.end(), found["when"], known_as=known)


def _sakai(name: str) -> OwnPart | None:
    found = _SAKAI.match(name)
    if not found:
        return None
    people = [(each["who"], each["name"].strip()) for each in _SAKAI_ONE.finditer(found["all"])]
    parts = [
        OwnPart("sakai", who, found.end(), known_as=(known,) if known else ())
        for who, known in people
    ]
    return replace(parts[0], others=tuple(parts[1:]))


def _autolab(name: str) -> OwnPart | None:
    found = _AUTOLAB.match(name)
    if not found:
        return None
    number = found["number"]  # told apart by it, as others are by a time
    return OwnPart("autolab", found["who"], found.end(), when=number, number=int(number))


def _prairielearn(name: str) -> OwnPart | None:
    found = _PRAIRIELEARN.match(name)
    if not found:
        return None
    which = f"{found['variant']}_{found['number']}"
    return OwnPart(
        "prairielearn", found["who"], found.end(), when=which, number=int(found["number"])
    )


def are_of_prairielearn(names: Sequence[str]) -> bool:
    """Whether all names are of one question of PrairieLearn, which Autolab's could be by chance."""
    found = [_PRAIRIELEARN.match(name) for name in names]
    return len({part["question"] if part else "" for part in found} - {""}) == 1 and all(found)


def _google(name: str) -> OwnPart | None:
    found = _GOOGLE.match(name)
    return OwnPart("google", found["who"], found.end()) if found else None


def are_of_google(names: Sequence[str]) -> bool:
    """Whether most of several files are named as Google Classroom names them.

    It puts the student's name and a hyphen before the title. A hyphen alone says nothing; that
    several people handed in what bears one title does.
    """
    titles: dict[str, set[str]] = {}
    for name in names:
        part = _google(name)
        title = original(name[part.end :]).casefold() if part else ""
        titles.setdefault(title, set()).add(part.who if part else name)
    strangers = titles.pop("", set())
    everybody = set().union(strangers, *titles.values())
    alike = [who for title, who in titles.items() if len(who) > 1 or title == ARCHIVE]
    return len(set().union(*alike)) * 2 > len(everybody)


_READERS: dict[Platform, Callable[[str], OwnPart | None]] = {
    "moodle": _moodle,
    "blackboard": _blackboard,
    "brightspace": _brightspace,
    "gradescope": _gradescope,
    "canvas": _canvas,
    "autolab": _autolab,
}
"""Those whose part of a name is told from any other name."""
_SURE: dict[Platform, Callable[[str], OwnPart | None]] = {
    "sakai": _sakai,
    "google": _google,
    "prairielearn": _prairielearn,
    "canvas": lambda name: _canvas(name, _CANVAS_LOOSE),
}
"""How names are read that are known to be of a platform, where that is more than can be told."""
_TIMES: dict[Platform, Callable[[str], datetime | None]] = {
    "blackboard": blackboard_time,
    "brightspace": brightspace_time,
}


def collected(path: Path) -> tuple[int, Path | None] | None:
    """Where below `submitted` a path lies: the student's place in it, and the assignment's folder.

    The first `submitted` counts; one further down is a student's.
    """
    if SUBMITTED not in path.parts:
        return None
    student = path.parts.index(SUBMITTED) + 1
    folders = len(path.parts) - (0 if path.is_dir() else 1)
    if folders <= student:
        return None
    if folders > student + 1:
        return student, Path(*path.parts[: student + 2])
    return student, only_assignment(Path(*path.parts[: student + 1]))


def only_assignment(student: Path) -> Path | None:
    """The one assignment that nbgrader collected of a student, None where there are more."""
    inside = student.iterdir() if student.is_dir() else ()
    found = [p for p in inside if p.is_dir() and not p.name.startswith(".")]
    return found[0] if len(found) == 1 else None
