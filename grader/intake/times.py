"""When it was handed in, as learning platforms write it: local times, and nbgrader's timestamp.txt.

A time that cannot be read is None. It is never guessed and never replaced by another time here.
"""

from __future__ import annotations

import os
import re
import stat
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from pathlib import Path

from grader.intake.words import bare

TIMESTAMP = "timestamp.txt"
"""nbgrader writes the time of receipt here, beside the files that it collected."""
SUBMIT_TIMESTAMP = ".submit.timestamp"
"""Submitty writes it here, into each attempt's folder."""
TIMESTAMP_BYTES = 200

_MONTHS = (
    "jan|janv|ene|gen", "feb|fevr|fev", "mar|mars|mrt|maart|marz", "apr|avr|abr", "may|mai|mei|mag",
    "jun|juin|giu", "jul|juil|lug", "aug|aout|ago", "sep|sept|set", "oct|okt|out|ott", "nov",
    "dec|dez|dic",
)  # fmt: skip
"""How the months begin, without accents, in the languages of most sites."""
_ZONES = {
    "EST": -5, "EDT": -4, "CST": -6, "CDT": -5, "MST": -7, "MDT": -6, "PST": -8, "PDT": -7,
}  # fmt: skip
"""Names of zones that mail knows (RFC 822)."""
_DAY = r"(?:[^\W\d_]{3,10}\.? [0-9]{1,2}|[0-9]{1,2}\.? (?:de )?[^\W\d_]{3,10}\.?)"
_CLOCK = r"[0-9]{1,2}(?: ?h ?|[:.])?[0-9]{2}(?: ?[ap]\. ?m\.| ?[ap]\.?m\.?)?"
BRIGHTSPACE_TIME = rf"{_DAY},? (?:de )?[0-9]{{4}},? {_CLOCK}"
"""How Brightspace writes a time into names, in the site's language; any case."""
_BRIGHTSPACE = re.compile(
    r"(?:(?P<month>[^\W\d_]{3,10})\.? (?P<day>[0-9]{1,2})"
    r"|(?P<day2>[0-9]{1,2})\.? (?:de )?(?P<month2>[^\W\d_]{3,10})\.?)"
    r",? (?:de )?(?P<year>[0-9]{4}),? (?P<hour>[0-9]{1,2})(?: ?h ?|[:.])?(?P<minute>[0-9]{2})"
    r"(?: ?(?P<half>[ap])\.? ?m\.?)?",
    re.IGNORECASE,
)
_MOMENT = re.compile(r"(?P<moment>\d{4}-?\d\d-?\d\d[T ]\d\d\S*)(?:\s+(?P<zone>\S+))?", re.ASCII)
_SAKAI = re.compile(r"(\d{14})\d{0,3}", re.ASCII)
_OFFSET = re.compile(r"(?P<sign>[+-])(?P<hours>\d\d)(?::?(?P<minutes>[0-5]\d))?", re.ASCII)


def blackboard_time(written: str) -> datetime | None:
    """A local time such as "2026-09-30-21-58-41", without a zone."""
    try:
        return datetime.strptime(written, "%Y-%m-%d-%H-%M-%S")
    except ValueError:
        return None


def brightspace_time(written: str) -> datetime | None:
    """A local time such as "Sep 30, 2027 1058 PM", without a zone; the minute is all it tells."""
    found = _BRIGHTSPACE.fullmatch(written.strip())
    month = _month(found["month"] or found["month2"]) if found else None
    if found is None or month is None:
        return None
    hour, half = int(found["hour"]), (found["half"] or "").lower()
    if half and not 1 <= hour <= 12:
        return None
    if half:
        hour = hour % 12 + (12 if half == "p" else 0)
    day = int(found["day"] or found["day2"])
    try:
        return datetime(int(found["year"]), month, day, hour, int(found["minute"]))
    except ValueError:
        return None


def _month(name: str) -> int | None:
    """A month by how its name begins: the longest beginning decides, juin and juil. differ."""
    plain = bare(name)
    found = [
        (len(start), number)
        for number, starts in enumerate(_MONTHS, start=1)
        for start in starts.split("|")
        if plain.startswith(start)
    ]
    return max(found)[1] if found else None


def read_timestamp(folder: Path, name: str = TIMESTAMP, most: int = TIMESTAMP_BYTES) -> str | None:
    """The text of nbgrader's timestamp.txt, or of another platform's file of that kind.

    Args:
        folder: `submitted/<student>/<assignment>`.
        name: Of the file.
        most: Bytes that it may have.

    Returns:
        None where there is no such file; "" where it is not a short text file.
    """
    place = folder / name
    try:
        kind = os.lstat(place).st_mode
    except OSError:
        return None
    if not stat.S_ISREG(kind):
        return ""
    try:
        with place.open("rb") as file:
            data = file.read(most + 1)
        return data.decode("utf-8-sig").strip() if len(data) <= most else ""
    except (OSError, UnicodeDecodeError):
        return ""


def nbgrader_time(written: str, zone: tzinfo | None) -> datetime | None:
    """The instant of a timestamp.txt.

    nbgrader writes "2026-09-30 21:58:41.123456 UTC", or with the short name of the zone that the
    course has set, or without a zone, which means UTC. A short name such as IST stands for several
    zones, so it is read only where the assignment's own zone has it at that moment.

    Args:
        written: The text.
        zone: The assignment's zone.
    """
    found = _MOMENT.fullmatch(written)
    if found is None:
        return None
    try:
        moment = datetime.fromisoformat(found["moment"])
    except ValueError:
        return None
    if found["zone"] is None:
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return None if moment.tzinfo else _in_named_zone(moment, found["zone"], zone)


def _in_named_zone(moment: datetime, name: str, zone: tzinfo | None) -> datetime | None:
    if name in ("UTC", "GMT", "Z"):
        return moment.replace(tzinfo=UTC)
    for fold in (0, 1) if zone is not None else ():
        # Where the clocks go back, one clock time has two names, and the name tells which it is.
        here = moment.replace(tzinfo=zone, fold=fold)
        if here.tzname() == name or str(zone) == name:
            return datetime.fromisoformat(here.isoformat())
    offset = _OFFSET.fullmatch(name)
    if offset is None or int(offset["hours"]) > 23:
        return None
    length = timedelta(hours=int(offset["hours"]), minutes=int(offset["minutes"] or 0))
    return moment.replace(tzinfo=timezone(-length if offset["sign"] == "-" else length))


def in_zone(local: datetime, name: str, zone: tzinfo | None) -> datetime | None:
    """A local time in a zone that is named beside it; None where the name is not known.

    A name that the assignment's zone has at that moment is that zone's; else mail's names are read.
    """
    found = _in_named_zone(local, name, zone)
    if found is None and name in _ZONES:
        return local.replace(tzinfo=timezone(timedelta(hours=_ZONES[name])))
    return found


def sakai_time(written: str, zone: tzinfo | None) -> datetime | None:
    """The instant of Sakai's timestamp.txt.

    Sakai writes "20270930172841123", in GMT; since version 12 "2027-09-30T17:28:41.123Z"; and in
    some installations a local time such as "Sep 30, 2027 10:58 PM".
    """
    digits = _SAKAI.fullmatch(written)
    try:
        if digits:
            return datetime.strptime(digits[1], "%Y%m%d%H%M%S").replace(tzinfo=UTC)
        if "T" in written and written.endswith("Z"):
            return datetime.fromisoformat(re.sub(r"(\.\d{6})\d+Z$", r"\1Z", written))
    except ValueError:
        return None
    local = brightspace_time(written)
    return local.replace(tzinfo=zone) if local is not None and zone is not None else None
