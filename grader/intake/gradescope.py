"""What Gradescope says of its export: submission_metadata.yml, who handed in what and when.

    submission_48213:
      :submitters:
      - :name: Jane Doe
        :sid: '12345'
        :email: jane@uni.edu
      :created_at: 2027-09-30 17:28:41.158250000 Z

Ruby writes this file, with tags of its own that a YAML reader refuses. Only the lines above are
read, by their depth; names in it are hostile text, and a quoted one may go over several lines.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

METADATA = "submission_metadata.yml"
METADATA_BYTES = 64 * 2**20
"""Most that is read of it; it holds every test's output of every attempt."""

_LINE = re.compile(
    r"(?P<dashes> *(?:- +)*)(?P<key>:?[\w.@-]+|'[^']*'|\"[^\"]*\"):(?: +(?P<value>.*))?$"
)
_PROPERTIES = re.compile(r"^(?:[!&]\S*\s*)+")
"""A tag or an anchor before a value."""
_MOMENT = re.compile(
    r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d)(\.\d{1,6})?\d*\s*(Z|UTC|[+-]\d\d:?\d\d)?"
)


@dataclass
class Submitted:
    """One submission as Gradescope knows it.

    Attributes:
        people: name, sid and email of each who handed it in, where they are known.
        written: The time of receipt as it stands there.
    """

    people: list[dict[str, str]] = field(default_factory=list)
    written: str = ""

    @property
    def received_at(self) -> datetime | None:
        """The instant; None where it cannot be read."""
        found = _MOMENT.fullmatch(self.written.strip())
        if found is None:
            return None
        day, clock, fraction, zone = found.groups()
        try:
            moment = datetime.fromisoformat(f"{day}T{clock}{(fraction or '.0').ljust(7, '0')}")
            offset = "+00:00" if zone in (None, "Z", "UTC") else zone
            return datetime.fromisoformat(f"{moment.isoformat()}{offset}").astimezone(UTC)
        except ValueError:
            return None


def read_metadata(file: Path) -> Mapping[str, Submitted]:
    """Who handed in what, by the name of the submission's folder; empty where there is no file."""
    try:
        with file.open("rb") as stream:
            text = stream.read(METADATA_BYTES).decode("utf-8-sig", "replace")
    except OSError:
        return {}
    found: dict[str, Submitted] = {}
    for path, value in _values(text.splitlines()):
        own = found.setdefault(path[0], Submitted())
        match path[1:]:
            case [":submitters", number, (":name" | ":sid" | ":email") as key]:
                own.people.extend({} for _ in range(int(number) + 1 - len(own.people)))
                own.people[int(number)][key[1:]] = value
            case [":created_at"] | [":created_at", "utc"] if value:
                own.written = value
    return found


@dataclass
class _Above:
    """The keys and list items that a line stands below, each with its column."""

    stack: list[tuple[int, str, bool]] = field(default_factory=list)
    items: dict[tuple[str, ...], int] = field(default_factory=dict)

    @property
    def path(self) -> tuple[str, ...]:
        return tuple(name for _, name, _ in self.stack)

    def item(self, column: int) -> None:
        """A hyphen: the next item of the list. Ruby puts it right below the list's key."""
        while self.stack and (self.stack[-1][0], self.stack[-1][2]) >= (column, True):
            self.stack.pop()
        number = self.items[self.path] = self.items.get(self.path, -1) + 1
        self.stack.append((column, str(number), True))

    def key(self, column: int, name: str) -> None:
        while self.stack and self.stack[-1][0] >= column:
            self.stack.pop()
        self.stack.append((column, name, False))


def _values(lines: list[str]) -> Iterator[tuple[tuple[str, ...], str]]:
    """Path of keys (and numbers of list items) and value of each line that has one."""
    above = _Above()
    rest = iter(lines)
    block: int | None = None  # the column of a key whose text stands on the lines below it
    for line in rest:
        if block is not None and (not line.strip() or len(line) - len(line.lstrip(" ")) > block):
            continue
        block = None
        found = _LINE.match(line)
        if found is None:
            continue
        start = found["dashes"]
        for column in (at for at, character in enumerate(start) if character == "-"):
            above.item(column)
        above.key(len(start), found["key"].strip("'\""))
        value = _PROPERTIES.sub("", found["value"] or "", count=1)
        if value[:1] in ("'", '"'):
            value = _quoted(value, rest)
        elif value[:1] in ("|", ">"):
            block, value = len(start), ""
        yield above.path, value.strip()


def _quoted(value: str, rest: Iterator[str]) -> str:
    """A quoted text, to its end on this line or a later one."""
    mark = value[0]
    end = re.compile(r"'(?:[^']|'')*'" if mark == "'" else r'"(?:[^"\\]|\\.)*"')
    while not end.match(value):
        more = next(rest, None)
        if more is None:
            return ""
        value += f" {more.strip()}"
    whole = end.match(value)
    text = whole[0] if whole else ""
    if mark == "'":
        return text[1:-1].replace("''", "'")
    try:
        return str(json.loads(re.sub(r"\\x([0-9A-Fa-f]{2})", r"\\u00\1", text)))
    except ValueError:
        return text[1:-1]
