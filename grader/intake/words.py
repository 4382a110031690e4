"""A student's id, address or name as a part of a longer name, such as one of an unknown platform.

Names are compared word by word: neither separators nor capitals nor accents make a difference, nor
does it whether the family name comes first. What is found surely is a whole name, an address or an
id with digits. A login of letters alone may be anybody's first name, and a short number anything:
these count only where nothing is left of the name but numbers and what most names have.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

Words = tuple[str, ...]
SHORTEST = 3
"""Characters of the shortest word that can stand for a student by itself."""
APOSTROPHES = "'’‘ʼ`´"
"""Platforms leave them out, or write something else for them."""
SURE_DIGITS = 5
"""A number of fewer digits may be a year or that of an attempt."""


def bare(text: str) -> str:
    """A text without capitals and accents."""
    plain = unicodedata.normalize("NFKD", text).casefold()
    return "".join(c for c in plain if not "\u0300" <= c <= "\u036f")


def words_of(text: str) -> Words:
    """The words of a name, without capitals, accents and apostrophes."""
    plain = "".join(c for c in bare(text) if c not in APOSTROPHES)
    return tuple(re.findall(r"[^\W_]+", plain))


def shared(names: Iterable[str]) -> frozenset[str]:
    """The words that most of several names have: they say nothing of who."""
    each = [set(words_of(name)) for name in names]
    counts = Counter(word for words in each for word in words)
    return frozenset(w for w, count in counts.items() if count > 1 and count * 2 > len(each))


@dataclass(frozen=True)
class _Match:
    """Where in a name a key stands, and whom it may mean."""

    start: int
    end: int
    owners: frozenset[str]
    sure: bool


class Keys:
    """What students are called, to be found within names."""

    def __init__(self, called: Mapping[str, Collection[str]]) -> None:
        """Read the keys.

        Args:
            called: Ids, addresses and names of each student.
        """
        owners: dict[Words, set[str]] = {}
        for student, names in called.items():
            for name in names:
                for key in _keys_of(name):
                    owners.setdefault(key, set()).add(student)
        self._owners = {key: frozenset(students) for key, students in owners.items()}
        self._lengths = sorted({len(key) for key in owners}, reverse=True)

    def within(self, name: str, common: Collection[str] = ()) -> frozenset[str]:
        """Those of whom a name speaks; several where it does not tell which of them is meant.

        Args:
            name: Of a file or a folder.
            common: Words that say nothing.
        """
        words = words_of(name)
        found = self._longest(words)
        covered = {at for match in found for at in range(match.start, match.end)}
        rest = {w for at, w in enumerate(words) if at not in covered and not w.isdecimal()}
        told = [match for match in found if match.sure or rest <= set(common)]
        alone = [match.owners for match in told if len(match.owners) == 1]
        # A login tells which of two people of one name is meant.
        return frozenset().union(*(alone or [match.owners for match in told]))

    def together(self, name: str) -> frozenset[str]:
        """Those whose names stand side by side in a name; none where one could be another's."""
        found = [match for match in self._longest(words_of(name)) if match.sure]
        places = [at for match in found for at in range(match.start, match.end)]
        clear = len(set(places)) == len(places) and all(len(m.owners) == 1 for m in found)
        return frozenset().union(*(m.owners for m in found)) if clear else frozenset()

    def _longest(self, words: Words) -> list[_Match]:
        """The matches, without those that are a part of a longer one."""
        found: list[_Match] = []
        for length in self._lengths:
            for start in range(len(words) - length + 1):
                end = start + length
                owners = self._owners.get(tuple(sorted(words[start:end])))
                inside = any(m.start <= start and end <= m.end for m in found)
                if owners and not inside:
                    found.append(_Match(start, end, owners, _is_sure(words[start:end])))
        return found


def _keys_of(name: str) -> set[Words]:
    """A name in its words, in order of the alphabet: O'Brien is OBrien or O_Brien elsewhere."""
    apart = name.translate(dict.fromkeys(map(ord, APOSTROPHES), " "))
    keys = {tuple(sorted(words_of(each))) for each in (name, apart)}
    return {key for key in keys if len(key) > 1 or (key and len(key[0]) >= SHORTEST)}


def _is_sure(key: Words) -> bool:
    if len(key) > 1:
        return True
    has_digit = any(c.isdigit() for c in key[0])
    return has_digit and (len(key[0]) >= SURE_DIGITS or not key[0].isdecimal())
