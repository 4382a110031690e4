"""What a rule found: one difference from the paper, and the same difference in many places."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from grader.domain import Finding
from grader.graph.rules.rulings import Ruling

SHOWN = 6
"""Places that a finding names before it only counts them."""


@dataclass(frozen=True)
class Deviation:
    """One difference from the paper.

    Attributes:
        check: The name of the check it fails.
        finding: Where, expected, received, help.
        cause: Lower numbers come first: what stands earlier in the network explains the rest.
        places: Every place that shows it, where the finding names only some.
        wrecks: Whether the rest of the network cannot be read as what it is after it.
    """

    check: str
    finding: Finding
    cause: int = 0
    places: tuple[str, ...] = ()
    wrecks: bool = False


def deviation(
    ruling: Ruling, where: str, received: object, cause: int = 0, help: str = "", **words: object
) -> Deviation:
    """A deviation in the sentence form "what: expected X, received Y".

    Args:
        ruling: Its row in the table.
        where: The place, in the paper's words.
        received: What stands there.
        cause: The node that shows it first.
        help: What to try, where more is known than the row says.
        words: What stands for the words in braces.
    """
    what, expected = ruling.what.format(**words), ruling.expected.format(**words)
    finding = Finding(
        where=where,
        message=f"{what}: expected {expected}, received {received}",
        expected=expected,
        received=str(received),
        source=ruling.source,
        help=help or ruling.help.format(**words),
        severity="deviation" if ruling.costs else "remark",
        what=what,
    )
    return Deviation(ruling.check, finding, cause, wrecks=ruling.wrecks)


def first_causes(found: list[Deviation]) -> list[Deviation]:
    """Group the same kind of deviation in many places into one, told where it first shows.

    A wrong growth rate in every layer is one finding, not forty; a skip that was normalised once
    too often is told at the first layer that receives it, for what follows inherits it.
    """
    groups: dict[str, list[Deviation]] = {}
    for item in sorted(found, key=lambda d: d.cause):
        groups.setdefault(kind_of(item), []).append(item)
    return [_grouped(items) for items in groups.values()]


def kind_of(item: Deviation) -> str:
    """The kind of mistake, less its numbers and the layers it names."""
    what = item.finding.what or item.finding.message
    what = re.sub(r"(layer |transition |block )?[0-9]+(×[0-9]+)?", "#", what)
    what = re.sub(r"the maps of .* before", "the maps of # before", what)
    what = re.sub(r"receives .*", "receives", what)
    what = re.sub(r".* in its output", "# in its output", what)
    return f"{item.check}|{item.finding.severity}|{what}"


def _grouped(items: list[Deviation]) -> Deviation:
    first = items[0]
    places = list(dict.fromkeys(i.finding.where for i in items))
    if len(places) == 1:
        return first
    where = f"{places[0]} (also {'; '.join(places[1:SHOWN])}"
    where += f"; {len(places) - SHOWN} more)" if len(places) > SHOWN else ")"
    finding = first.finding.model_copy(update={"where": where, "places": tuple(places)})
    return replace(first, finding=finding, places=tuple(places))
