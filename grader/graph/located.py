"""Where in the student's own program a difference stands: the layer, its file and line."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from grader.graph.differ import Aspect, Comparison, Difference, behind
from grader.graph.links import Entry, Link, Variables, Weights
from grader.graph.units import Unit

FUNCTION = "()"
"""In place of a layer's name: the function that was called."""
MARKED = re.compile(r"(.+)\.layer(?:_[0-9]+)?")
"""A layer's scope among the names of its ops, as the program in the sandbox marks it."""
Layers = Mapping[str, tuple[str, str]]
"""Layer → its place in its author's files, "net.py, line 12", and what stands there."""


@dataclass(frozen=True)
class Spot:
    """One layer of the student's.

    Attributes:
        layer: Its name, as Keras or the student gave it.
        place: "net.py, line 12".
        code: What stands in that line.
    """

    layer: str
    place: str
    code: str

    @property
    def line(self) -> int:
        """The number of the line; 0 where it is not known."""
        found = re.search(r", line ([0-9]{1,7})\b", self.place)
        return int(found[1]) if found else 0


class Located:
    """The student's layer for each difference of a comparison.

    Args:
        compared: The two networks, paired.
        variables: The student's variable table.
        layers: Where their layers were made.
    """

    def __init__(self, compared: Comparison, variables: Variables, layers: Layers) -> None:
        self._compared = compared
        self._variables = variables
        self._layers = layers

    def of(self, difference: Difference) -> Spot | None:
        """The layer that is best looked at; None where its place is not known."""
        if difference.aspect is Aspect.BESIDE and FUNCTION in self._layers:
            place, code = self._layers[FUNCTION]
            named = re.match(r"def (\w{1,80})", code)
            return Spot(named[1] if named else "the function", place, code)
        for name in self._names(difference):
            parts = name.split("/")
            # Where scopes are marked, another part may have a layer's name by chance.
            marked = [found[1] for part in parts if (found := MARKED.fullmatch(part))]
            for part in reversed(marked or parts):
                if part in self._layers:
                    return Spot(part, *self._layers[part])
        return None

    def _names(self, difference: Difference) -> Iterable[str]:
        """Names that hold a layer's, the best first."""
        place = difference.place
        if difference.aspect is Aspect.STEPS:
            yield from self._of_steps(difference)
        elif place.step is not None:
            yield from self._of_variables(place.step)
        if difference.given is not None:
            yield from self._of(difference.given)
        yield from self._of_place(place.unit)

    def _of_steps(self, difference: Difference) -> Iterable[str]:
        """The first of the student's steps that the reference does not have there."""
        wanted, given = difference.expected, difference.received
        assert isinstance(wanted, tuple) and isinstance(given, tuple)
        rest = list(given)
        while rest and wanted and rest[0].sign == wanted[0].sign:
            rest, wanted = rest[1:], wanted[1:]
        for entry in rest:
            yield from self._of_weights(entry.weights)

    def _of_weights(self, weights: Weights) -> Iterable[str]:
        for _, (index, _) in weights:
            if index < len(self._variables):
                yield self._variables[index].name

    def _of_variables(self, entry: Entry) -> Iterable[str]:
        """The student's variables in place of those of a step of the reference."""
        for _, key in entry.weights:
            if key in self._compared.weights_back:
                index = self._compared.weights_back[key][0][0]
                if index < len(self._variables):
                    yield self._variables[index].name

    def _of_place(self, index: int | None) -> Iterable[str]:
        """The student's unit for one of the reference's; else the nearest one before it."""
        if index is None:
            return
        mine, pairs = self._compared.mine, self._compared.pairs
        nearest = [index] if index in pairs.back else sorted(self._before(index), reverse=True)
        units = [mine.units[pairs.back[i]] for i in nearest]
        for unit in units:
            yield from self._of(unit)
        for link in (link for unit in units for link in unit.inputs):
            yield from self._of(mine.units[link.source])

    def _before(self, index: int) -> set[int]:
        compared = self._compared
        links = [Link(index, None, ())]
        return behind(compared.reference, links, compared.pairs.back)

    def _of(self, unit: Unit) -> Iterable[str]:
        """What is named after the layer of a unit: its weights, its operation."""
        yield from self._of_weights(unit.weights)
        if unit.node is not None and unit.kind != "input":
            yield unit.node.name
