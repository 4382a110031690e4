"""The catalogue's families: files of mutants as text, read into `Mutant`s.

A family is a file of `grader/selftest/families/`. Text above its first mutant says what it holds.
A mutant is a header, a sentence and what differs from the reference:

    == stem-relu loses stem at stem
    An activation after the stem.
    x = conv(inputs, stem, 3) => x = layers.ReLU()(conv(inputs, stem, 3))

The header names the checks whose rule is broken and the place that a finding has to name. Without
`loses` the network is right; `remarked` for `loses` says that it earns a remark. `(raises)` at its
end: building it fails; `(traced only)`: it cannot run on a CPU. What differs is, in any order:

    old => new                      text that stands once in the reference, and what replaces it
    -    x = bn_relu(x)             lines that stand once in the reference, and
    +    x = layers.ReLU()(x)       those that replace them
    def odd(x):                     any other lines: definitions that replace their namesakes in
        return x                    the reference, or are added to it

Two lines may stand before them:

    in layers | layer 2 | block 3   the mistake is made everywhere, and in each of these places
    use OwnBatchNorm                definitions of this file that stand under `== (OwnBatchNorm)`

`in` makes one mutant of the mistake everywhere, and one of each place, named `layer-2-NAME`.
`only in` leaves out the first, and `in layers | head loses head` names what a place loses instead.
`grader/selftest/places.py` lists the places.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from grader.selftest.mutant import Edit, Kind, Mutant, MutantError
from grader.selftest.places import Place, place_of

_HEADER = re.compile(
    r"== (?P<name>[a-z0-9]+(?:[-.][a-z0-9]+)*)"
    r"(?: loses (?P<loses>[a-z0-9-]+(?:, [a-z0-9-]+)*)|(?P<remarked> remarked))?"
    r"(?: at (?P<at>[^()]+?))?(?: \((?P<flag>raises|traced only)\))?"
)
_PIECE = re.compile(r"== \((?P<name>\w+)\)")
HEADER_HELP = '"== NAME loses CHECK, CHECK at PLACE", "== NAME remarked at PLACE" or "== NAME"'


@dataclass
class _Section:
    """The lines of one mutant or piece."""

    file: str
    number: int
    header: str
    lines: list[tuple[int, str]] = field(default_factory=list)

    def wrong(self, expected: str, received: str, number: int = 0) -> MutantError:
        """The error that names the line."""
        at = f"{self.file}, line {number or self.number}"
        return MutantError(f"{at}: expected {expected}. Received: {received}")


def read_family(path: Path, checks: Iterable[str]) -> list[Mutant]:
    """The mutants of one file.

    Args:
        path: The file.
        checks: The names that `loses` may say.

    Raises:
        MutantError: A line has no meaning; it says which.
    """
    return parse(path.read_text(encoding="utf-8"), path.stem, checks, path.name)


def parse(text: str, family: str, checks: Iterable[str], file: str = "") -> list[Mutant]:
    """The mutants of a family's text; see `read_family`."""
    known, pieces, mutants = set(checks), dict[str, str](), list[Mutant]()
    for section in _sections(text, file or family):
        piece = _PIECE.fullmatch(section.header)
        if piece is not None:
            pieces[piece["name"]] = "\n".join(line for _, line in section.lines)
            continue
        for mutant in _mutants(section, family, known, pieces):
            if any(mutant.name == other.name for other in mutants):
                raise section.wrong("a name that is not taken", mutant.name)
            mutants.append(mutant)
    return mutants


def _sections(text: str, file: str) -> Iterator[_Section]:
    section = None
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith("=="):
            if section is not None:
                yield section
            section = _Section(file, number, line.rstrip())
        elif section is not None and (line.strip() or section.lines):
            section.lines.append((number, line))
    if section is not None:
        yield section


def _mutants(
    section: _Section, family: str, checks: set[str], pieces: Mapping[str, str]
) -> Iterator[Mutant]:
    """The mutant of a section, or those of its places."""
    header = _HEADER.fullmatch(section.header)
    if header is None:
        raise section.wrong(HEADER_HELP, section.header)
    loses = _checks(section, header["loses"], checks)
    why, places, uses, body = _front(section)
    for use in uses:
        if use not in pieces:
            raise section.wrong(f'"== ({use})" above it in this file', f"use {use}")
    edits, define = _differences(section, body)
    kind: Kind = "wrong" if loses else "remark" if header["remarked"] else "right"
    mutant = Mutant(
        header["name"],
        family=family,
        kind=kind,
        why=why,
        loses=loses,
        where=header["at"] or "",
        edits=edits,
        define=define,
        piece="\n".join(pieces[use] for use in uses),
        raises=header["flag"] == "raises",
        runs_on_cpu=header["flag"] != "traced only",
    )
    for place, instead in places:
        there = replace(mutant, loses=_checks(section, instead, checks) or loses)
        yield mutant if place is None else _placed(there, place)


def _checks(section: _Section, names: str | None, known: set[str]) -> tuple[str, ...]:
    """The checks that `loses` names; none where it stands nowhere."""
    found = tuple(names.split(", ")) if names else ()
    for name in found:
        if name not in known:
            raise section.wrong(f"a check of {', '.join(sorted(known))}", name)
    return found


def _placed(mutant: Mutant, place: Place) -> Mutant:
    """A mutant's mistake in one place alone."""
    inner = place.words.startswith("block") and mutant.where.startswith("layer")
    return replace(
        mutant,
        name=f"{place.slug}-{mutant.name}",
        why=f"{mutant.why.removesuffix('.')}; in {place.words} only.",
        where=f"{place.words}, {mutant.where}" if inner else place.where,
        place=place,
    )


_Places = list[tuple[Place | None, str]]
"""Each with the checks that are lost there, where they are others; None is everywhere."""


def _front(section: _Section) -> tuple[str, _Places, list[str], list[tuple[int, str]]]:
    """The sentence, the places, the pieces, and the lines that are left."""
    lines = list(section.lines)
    while lines and not lines[-1][1].strip():
        lines.pop()
    if not lines or not lines[0][1].endswith("."):
        raise section.wrong(
            "a sentence below the header that says what differs, with a full stop",
            lines[0][1] if lines else "nothing",
        )
    why, uses = lines.pop(0)[1], list[str]()
    places: _Places = [(None, "")]
    while lines and (match := re.fullmatch(r"(only in|in|use) (.+)", lines[0][1])):
        number, _ = lines.pop(0)
        if match[1] == "use":
            uses += match[2].split(", ")
        else:
            named: _Places = [_place(section, number, words) for words in match[2].split("|")]
            places = named if match[1] == "only in" else [*places, *named]
    return why, places, uses, lines


def _place(section: _Section, number: int, words: str) -> tuple[Place | None, str]:
    """A place, and the checks that are lost there, where it names them."""
    name, _, loses = words.strip().partition(" loses ")
    place = place_of(name)
    if place is None:
        expected = '"layer 2", "last layer", "block 3", "block 2, layer 3", "transition 1", "head"'
        raise section.wrong(f"a place, as {expected}", name, number)
    return place, loses


def _differences(section: _Section, lines: list[tuple[int, str]]) -> tuple[tuple[Edit, ...], str]:
    """The edits, and the lines of code that are left."""
    edits, code = list[Edit](), list[str]()
    while lines:
        number, line = lines.pop(0)
        at = f"{section.file}, line {number}"
        if line.startswith("-"):
            old = [line, *_starting(lines, "-")]
            new = _starting(lines, "+")
            edits.append(Edit(_joined(old), _joined(new), at))
        elif line.startswith("+"):
            raise section.wrong('"-" lines before "+" lines: what it replaces', line, number)
        elif " => " in line:
            before, _, after = line.partition(" => ")
            edits.append(Edit(before.strip(), after.strip(), at))
        else:
            code.append(line)
    return tuple(edits), "\n".join(code).strip("\n") + "\n" if any(code) else ""


def _starting(lines: list[tuple[int, str]], sign: str) -> list[str]:
    """Takes the lines that begin with a sign."""
    taken = []
    while lines and lines[0][1].startswith(sign):
        taken.append(lines.pop(0)[1])
    return taken


def _joined(lines: list[str]) -> str:
    """Whole lines, without their signs."""
    return "".join(f"{line[1:]}\n" for line in lines)
