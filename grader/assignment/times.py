"""Times as people write them: with a zone, whole, and never guessed."""

from __future__ import annotations

import difflib
import re
from datetime import UTC, datetime
from functools import cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

FULL_TIME = "2027-09-30T23:00:00"
"""The example that messages show for a full local date and time."""
_TIME = re.compile(
    r"\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(:\d{2}(\.\d{1,6})?)?(Z|[+-]\d{2}:\d{2})?", re.ASCII
)


@cache
def zone_named(name: str) -> ZoneInfo:
    """The time zone of an IANA name; to list all zones takes 0.08 s, and one command asks often.

    Raises:
        ValueError: The zone database has no such name; the message offers near ones.
    """
    try:
        if name in available_timezones():
            return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):  # a broken database on this machine
        pass
    near = difflib.get_close_matches(name, available_timezones(), n=3)
    advice = f"Did you mean {', '.join(near)}?" if near else 'Write it as "Asia/Kolkata".'
    raise ValueError(f"expected the name of a time zone. Received: {name!r}. {advice}")


def aware_time(written: str | datetime, zone: ZoneInfo) -> datetime:
    """A written time as an instant, shown in `zone`.

    A time without offset is taken in `zone`. One that the clocks of the zone skip or show twice
    is refused rather than guessed; with an offset it is unambiguous and accepted.

    Args:
        written: "2027-09-30T23:00:00", with or without offset, or a TOML date-time.
        zone: Where a time without offset was meant.

    Returns:
        The aware instant, in `zone`.

    Raises:
        ValueError: Not a full date and time, or skipped or ambiguous in the zone.
    """
    if isinstance(written, datetime):
        moment = written
    else:
        if not _TIME.fullmatch(written.strip()):
            raise ValueError(
                f'expected a full date with its year and a time, such as "{FULL_TIME}". '
                f"Received: {written!r}"
            )
        try:
            moment = datetime.fromisoformat(written.strip())
        except ValueError as error:
            raise ValueError(
                f"expected a date and time that exist ({error}). Received: {written!r}"
            ) from error
    if moment.tzinfo is not None:
        return moment.astimezone(zone)
    return _in_zone(moment, zone)


def _in_zone(naive: datetime, zone: ZoneInfo) -> datetime:
    """Attach the zone to a local time, unless the zone's clocks skip it or show it twice."""
    first, second = (naive.replace(tzinfo=zone, fold=fold) for fold in (0, 1))
    if first.utcoffset() == second.utcoffset():
        return first
    if first.astimezone(UTC).astimezone(zone).replace(tzinfo=None) != naive:
        raise ValueError(
            f"expected a local time that exists in {zone.key}: the clocks skip {naive} there. "
            "Choose a time an hour earlier or later."
        )
    either = " or ".join(f'"{moment.isoformat()}"' for moment in (first, second))
    raise ValueError(
        f"expected an unambiguous local time: the clocks of {zone.key} show {naive} twice. "
        f"Write the offset too: {either}."
    )
