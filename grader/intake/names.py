"""Who handed it in and when, from the names that learning platforms give to downloads.

    Canvas      doejane_LATE_48213_991245_densenet-2.zip     login, LATE, user, file, original
    Moodle      Jane Doe_48213_assignsubmission_file_/x.zip  name, participant number
    Blackboard  hw3_jdoe_attempt_2026-09-30-21-58-41_x.zip   assignment, login, local time
    Gradescope  submission_48213/                            submission number
    nbgrader    submitted/jdoe/hw3/, timestamp.txt in it     login, time

Names are hostile text. What leaves this file as a student_id is a short line of letters, digits
and `._@+-`, never empty, never a path, never the start of a spreadsheet formula.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from pathlib import Path

from grader.domain import ReceivedFrom

ID_LENGTH = 64
"""Longest student_id, characters."""

_CANVAS = re.compile(
    r"(?P<who>.+?)_(?P<late>LATE_)?(?P<user>\d{2,})_(?:question_\d+_)?(?P<file>\d{3,})_(?P<name>.+)"
)
_MOODLE = re.compile(r"(?P<who>[^_].*?)_(?P<number>\d+)_assignsubmission_(?:file|onlinetext)_?.*")
_BLACKBOARD = re.compile(
    r"(?P<work>.+)_(?P<who>[^_]+)_attempt_(?P<when>\d{4}(?:-\d\d){5})(?:_(?P<name>.+))?"
)
_GRADESCOPE = re.compile(r"submission_(?P<number>\d+)")
_ENDINGS = re.compile(r"(?:\.(?:zip|tar|gz|tgz|rar|7z|py|ipynb))+$", re.IGNORECASE)

TIMESTAMP = "timestamp.txt"
"""nbgrader writes the time of receipt here, beside the files."""
TIMESTAMP_BYTES = 200


@dataclass(frozen=True)
class Identity:
    """What a name tells.

    Attributes:
        student_id: Safe to show, to compare and to write into a table.
        platform: "canvas", "moodle", "blackboard", "gradescope", "nbgrader" or "file".
        received_at: Aware; None where the name does not tell.
        received_from: Where the time comes from.
        remarks: What else the name says.
    """

    student_id: str
    platform: str
    received_at: datetime | None = None
    received_from: ReceivedFrom | None = None
    remarks: tuple[str, ...] = ()


def identify(path: Path, zone: tzinfo | None = None) -> Identity:
    """Read a submission's name, and those of the folders above it where platforms use them.

    Args:
        path: The zip or folder.
        zone: Zone of the platform's local times (the assignment's); without it a Blackboard time
            is left out.

    Returns:
        The identity; the plain file name where no platform is recognised.
    """
    name = path.name if path.is_dir() else _ENDINGS.sub("", path.name)
    return (
        _from_nbgrader(path)
        or _from_moodle(path)
        or _from_blackboard(name, zone)
        or _from_gradescope(path)
        or _from_canvas(path.name)
        or Identity(safe_id(name), "file")
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


# --- platforms ----------------------------------------------------------------------------


def _from_canvas(name: str) -> Identity | None:
    found = _CANVAS.fullmatch(name)
    if not found:
        return None
    remarks = ("Canvas marks this submission as late.",) if found["late"] else ()
    return Identity(safe_id(f"{found['who']}_{found['user']}"), "canvas", remarks=remarks)


def _from_moodle(path: Path) -> Identity | None:
    for name in (path.name, path.parent.name):
        found = _MOODLE.fullmatch(name)
        if found:
            return Identity(safe_id(f"{found['who']}_{found['number']}"), "moodle")
    return None


def _from_blackboard(name: str, zone: tzinfo | None) -> Identity | None:
    found = _BLACKBOARD.fullmatch(name)
    if not found:
        return None
    try:
        local = datetime.strptime(found["when"], "%Y-%m-%d-%H-%M-%S")
    except ValueError:
        return None
    if zone is None:
        remark = f"Blackboard gives the local time {local}, whose zone is not known here."
        return Identity(safe_id(found["who"]), "blackboard", remarks=(remark,))
    return Identity(safe_id(found["who"]), "blackboard", local.replace(tzinfo=zone), "lms")


def _from_gradescope(path: Path) -> Identity | None:
    found = _GRADESCOPE.fullmatch(path.name) or _GRADESCOPE.fullmatch(path.parent.name)
    return Identity(safe_id(f"submission_{found['number']}"), "gradescope") if found else None


def _from_nbgrader(path: Path) -> Identity | None:
    """`submitted/<student>/<assignment>` or any folder with nbgrader's timestamp.txt."""
    folder = path if path.is_dir() else path.parent
    course = folder.parent.parent.name if len(folder.parts) > 2 else ""
    if course != "submitted" and folder.parent.name != "submitted":
        return None
    student = folder.parent.name if course == "submitted" else folder.name
    when = _timestamp(folder)
    return Identity(safe_id(student), "nbgrader", when, "nbgrader" if when else None)


def _timestamp(folder: Path) -> datetime | None:
    """When nbgrader received it: ISO or "2026-09-30 21:58:41.123456 UTC"."""
    places = [folder / TIMESTAMP, *sorted(folder.glob(f"*/{TIMESTAMP}"))[:1]]
    for place in places:
        try:
            if place.is_symlink() or not place.is_file():
                continue
            with place.open("rb") as file:
                return _parsed_time(file.read(TIMESTAMP_BYTES).decode("utf-8"))
        except (OSError, UnicodeDecodeError):
            continue
    return None


def _parsed_time(text: str) -> datetime | None:
    plain = re.sub(r"\s*(?:UTC|GMT|Z)$", "+00:00", text.strip())
    try:
        when = datetime.fromisoformat(plain)
    except ValueError:
        return None
    # nbgrader writes UTC, and older versions leave the zone out.
    return when if when.tzinfo else when.replace(tzinfo=UTC)
