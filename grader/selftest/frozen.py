"""The frozen verdicts: exactly what each program loses, and which places are named.

`verdicts.json` beside this file has three parts: the catalogue, the hostile gallery and the
comparisons of whole networks (both in `tests/`). Each program has one line for each check that did
not pass or that made a remark; a program without lines earned all its points in silence.
`grade selftest NAME --freeze` writes the catalogue's, `GOLDEN=write pytest` the others.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import Field

from grader import files
from grader.assignment import Assignment
from grader.domain import CheckResult, Finding, Outcome, Record
from grader.graph.probes import Probe

FILE = Path(__file__).with_name("verdicts.json")
PARTS = ("catalogue", "gallery", "comparisons")

_MORE = re.compile(r"\d+ more")


class Line(Record):
    """What one check says of one program."""

    outcome: Outcome
    points: float | None = None
    """What it earns; None where it is not worth points."""
    places: tuple[str, ...] = ()
    """Where the program differs from what was asked."""
    remarks: tuple[str, ...] = ()
    """Where something is remarked on that costs nothing."""


Program = dict[str, Line]
"""Check → its line, for the checks that have one."""


class Verdicts(Record):
    """The whole file."""

    asked: str
    """Names the questions and the points; see `asked_by`."""
    catalogue: dict[str, Program] = Field(default_factory=dict)
    gallery: dict[str, Program] = Field(default_factory=dict)
    comparisons: dict[str, Program] = Field(default_factory=dict)

    def part(self, name: str) -> dict[str, Program]:
        """One of `PARTS`."""
        programs: dict[str, Program] = getattr(self, name)
        return programs


def lines_of(results: Iterable[CheckResult]) -> Program:
    """The lines of one program.

    Args:
        results: With the rubric's points.
    """
    every = {r.name: line_of(r.outcome, r.findings, r.score) for r in results}
    return {name: line for name, line in every.items() if line is not None}


def line_of(
    outcome: Outcome, findings: Sequence[Finding], points: float | None = None
) -> Line | None:
    """One check's line; None where it passed in silence."""
    places = _places(f for f in findings if f.severity != "remark")
    remarks = _places(f for f in findings if f.severity == "remark")
    if outcome is Outcome.PASSED and not places and not remarks:
        return None
    return Line(outcome=outcome, points=points, places=places, remarks=remarks)


def _places(findings: Iterable[Finding]) -> tuple[str, ...]:
    """Every place that is named; one finding may group several: "stem (also head; 3 more)".

    How many more there are is left out: that is no place, and hangs on how they are grouped.
    """
    named: set[str] = set()
    for finding in findings:
        first, _, others = finding.where.removesuffix(")").partition(" (also ")
        named |= {first or finding.where, *filter(None, others.split("; "))}
    return tuple(sorted(place for place in named if not _MORE.fullmatch(place)))


def difference(frozen: Program, found: Program) -> list[str]:
    """Where a verdict is not the frozen one, a sentence for each check."""
    names = dict.fromkeys([*frozen, *found])
    return [
        f"{name}: expected {_words(frozen.get(name))}; received {_words(found.get(name))}"
        for name in names
        if frozen.get(name) != found.get(name)
    ]


def _words(line: Line | None) -> str:
    if line is None:
        return "passed in silence"
    points = "" if line.points is None else f" with {line.points:g} points"
    at = f" at {'; '.join(line.places)}" if line.places else ""
    remarks = f", remarks at {'; '.join(line.remarks)}" if line.remarks else ""
    return f"{line.outcome}{points}{at}{remarks}"


def asked_by(assignment: Assignment, probes: Sequence[Probe]) -> str:
    """A digest of all that the frozen verdicts depend on beside the programs and the judge.

    Args:
        assignment: Its rubric gives the points.
        probes: What each program of the catalogue is asked.
    """
    points = {name: line.points for name, line in assignment.rubric.items()}
    asked = [probe.model_dump(mode="json") for probe in probes]
    return hashlib.sha256(json.dumps([points, asked], sort_keys=True).encode()).hexdigest()


# --- the file -------------------------------------------------------------------------------


def read(file: Path | None = None) -> Verdicts:
    """What is frozen, in the file that ships or in another."""
    return Verdicts.model_validate_json((file or FILE).read_bytes())


def freeze(
    part: str,
    programs: Mapping[str, Program],
    *,
    known: Iterable[str] | None = None,
    asked: str | None = None,
    file: Path | None = None,
) -> None:
    """Write what was found as what counts from now on; other programs keep their lines.

    Args:
        part: One of `PARTS`.
        programs: Name → its lines.
        known: Names that there are; a frozen one that is not among them is forgotten.
        asked: From `asked_by`, where it may have changed.
        file: Where the verdicts lie, if not where they ship.
    """
    kept = read(file)
    every = {**kept.part(part), **programs}
    names = set(every if known is None else known)
    update: dict[str, Any] = {part: {n: p for n, p in every.items() if n in names}}
    if asked is not None:
        update["asked"] = asked
    files.write_atomically(file or FILE, text(kept.model_copy(update=update)).encode())


def text(verdicts: Verdicts) -> str:
    """The file's text: sorted, a line for each check, so that its diff is read line by line."""
    parts = [f'"asked": {json.dumps(verdicts.asked)}']
    for part in PARTS:
        programs = [_block(n, p) for n, p in sorted(verdicts.part(part).items())]
        parts.append(f'"{part}": {{\n' + ",\n".join(programs) + "\n}")
    return "{\n" + ",\n".join(parts) + "\n}\n"


def _block(name: str, program: Program) -> str:
    lines = [
        f"  {json.dumps(check)}: {json.dumps(_data(line), ensure_ascii=False)}"
        for check, line in sorted(program.items())
    ]
    inside = "\n" + ",\n".join(lines) + "\n " if lines else ""
    return f" {json.dumps(name)}: {{{inside}}}"


def _data(line: Line) -> dict[str, Any]:
    """Without what is empty."""
    data = line.model_dump(mode="json")
    kept = {key: value for key, value in data.items() if value not in (None, [])}
    return kept if line.points is None else {**kept, "points": float(f"{line.points:g}")}
