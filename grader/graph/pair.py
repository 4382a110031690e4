"""Which unit of one network stands for which of another.

First those with equal ancestors and descendants, then those with either, then the most alike;
what is left over is missing or too much. The pairing need not be right: whatever it is, each pair
is compared field by field afterwards.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Hashable, Mapping

import numpy as np

from grader.graph import work
from grader.graph.units import Unit, Units

MAX_WORK = 3_000_000
"""Links looked at while pairing; beyond it the rest is paired by likeness alone."""
MAX_TABLE = 1_000_000
"""Cells of the alignment table; larger remainders are paired in order."""

Colours = dict[int, int]


class Pairing:
    """Which unit of one network stands for which of the other."""

    def __init__(self, mine: Units, reference: Units) -> None:
        self.mine, self.reference = mine, reference
        self.of: dict[int, int] = {}
        self.back: dict[int, int] = {}
        self._known: dict[Hashable, int] = {}
        self._work = 0
        for up, down in ((True, True), (True, False), (False, True)):
            self._by_colour(up, down)
        self._by_likeness()

    def pair(self, mine: int, reference: int) -> None:
        """Let one unit stand for another."""
        self.of[mine] = reference
        self.back[reference] = mine

    def _number(self, key: Hashable) -> int:
        return self._known.setdefault(key, len(self._known))

    def _by_colour(self, up: bool, down: bool) -> None:
        """Pair units with the same ancestors, or descendants, or both; one choice at a time."""
        size = sum(len(u.inputs) for n in (self.mine, self.reference) for u in n.units)
        while self._work < MAX_WORK:
            self._work += size + 1
            work.spend_pieces(size + 1)
            mine = self._classes(self.mine, self.of, up, down)
            reference = self._classes(self.reference, {r: r for r in self.back}, up, down)
            common = [c for c in mine if len(mine[c]) == len(reference.get(c, ()))]
            if not common:
                return
            alone = [c for c in common if len(mine[c]) == 1]
            for colour in alone or common[:1]:
                self.pair(mine[colour][0], reference[colour][0])

    def _classes(
        self, network: Units, seeds: Mapping[int, int], up: bool, down: bool
    ) -> dict[int, list[int]]:
        above = self._above(network, seeds) if up else {}
        below = self._below(network, seeds) if down else {}
        found: dict[int, list[int]] = defaultdict(list)
        for unit in network.wanted():
            if unit.index not in seeds:
                colour = self._number((above.get(unit.index), below.get(unit.index)))
                found[colour].append(unit.index)
        return found

    def _above(self, network: Units, seeds: Mapping[int, int]) -> Colours:
        """Equal for units that compute the same, up to weights."""
        colours: Colours = {}
        for unit in network.wanted():
            links = sorted((colours[link.source], self._number(link.sign)) for link in unit.inputs)
            colours[unit.index] = self._number(
                ("up", unit.label, seeds.get(unit.index), tuple(links))
            )
        return colours

    def _below(self, network: Units, seeds: Mapping[int, int]) -> Colours:
        """Equal for units that are used in the same way down to the output."""
        colours: Colours = {}
        uses: dict[int, list[tuple[int, int]]] = defaultdict(list)
        for unit in reversed(network.wanted()):
            colours[unit.index] = self._number(
                ("down", unit.label, seeds.get(unit.index), tuple(sorted(uses[unit.index])))
            )
            for link in unit.inputs:
                uses[link.source].append((colours[unit.index], self._number(link.sign)))
        return colours

    def _by_likeness(self) -> None:
        """Align what is left, in order of depth, with as few and as small changes as can be."""
        mine = [u for u in _by_depth(self.mine) if u.index not in self.of]
        reference = [u for u in _by_depth(self.reference) if u.index not in self.back]
        if not mine or not reference:
            return
        if len(mine) * len(reference) > MAX_TABLE:
            for a, b in zip(mine, reference, strict=False):
                if a.kind == b.kind:
                    self.pair(a.index, b.index)
            return
        work.spend_pieces(len(mine) * len(reference))
        for a, b in _aligned(mine, reference):
            self.pair(a.index, b.index)


def _by_depth(network: Units) -> list[Unit]:
    """Units by their distance from the input, the same in any order of writing."""
    depth: dict[int, int] = {}
    for unit in network.wanted():
        depth[unit.index] = 1 + max((depth[link.source] for link in unit.inputs), default=0)
    return sorted(network.wanted(), key=lambda u: (depth[u.index], repr(u.label), u.index))


GAP = 1.0


def _cost(a: Unit, b: Unit) -> float:
    """How different two units are; two gaps, where they have nothing in common."""
    if a.kind != b.kind:
        return 2 * GAP + 0.1
    mine, reference = dict(a.label), dict(b.label)
    fields = mine.keys() | reference.keys()
    wrong = sum(mine.get(f) != reference.get(f) for f in fields)
    if a.groups != b.groups and a.node is not None and b.node is not None:
        wrong -= a.width != b.width and a.node.channels == b.node.channels
    steps = Counter(e.sign for link in a.inputs for e in link.entries)
    others = Counter(e.sign for link in b.inputs for e in link.entries)
    return 0.5 * min(wrong, 3) + (0.2 if steps.keys() != others.keys() else 0.0)


def _aligned(mine: list[Unit], reference: list[Unit]) -> list[tuple[Unit, Unit]]:
    """The cheapest alignment of two lists (Needleman and Wunsch 1970)."""
    rows, columns = len(mine), len(reference)
    cost = np.zeros((rows + 1, columns + 1))
    cost[:, 0] = np.arange(rows + 1) * GAP
    cost[0, :] = np.arange(columns + 1) * GAP
    single = [[_cost(a, b) for b in reference] for a in mine]
    for i in range(1, rows + 1):
        for j in range(1, columns + 1):
            cost[i, j] = min(
                cost[i - 1, j - 1] + single[i - 1][j - 1],
                cost[i - 1, j] + GAP,
                cost[i, j - 1] + GAP,
            )
    found = []
    i, j = rows, columns
    while i and j:
        if cost[i, j] == cost[i - 1, j - 1] + single[i - 1][j - 1]:
            found.append((mine[i - 1], reference[j - 1]))
            i, j = i - 1, j - 1
        elif cost[i, j] == cost[i - 1, j] + GAP:
            i -= 1
        else:
            j -= 1
    return found[::-1]
