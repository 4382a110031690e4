"""Where two paired networks differ, as data: no sentence is made here (`wording.py` does).

Each pair of units is compared field by field, its inputs under the pairing, its weights under a
one-to-one mapping of variables. So no difference means that there is an isomorphism, whatever the
pairing did; and a difference is told once, where it is, not again in everything behind it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from grader.graph.links import Entry, Link, WeightKey, Weights
from grader.graph.pair import Pairing
from grader.graph.units import Unit, Units


class Aspect(StrEnum):
    """In what two networks differ; those of one unit have the names of its fields."""

    KIND = "kind"
    KERNEL = "kernel"
    STRIDE = "stride"
    DILATION = "dilation"
    PADDING = "padding"
    MAPS = "maps"
    GROUPS = "groups"
    MULTIPLIER = "multiplier"
    COMPUTED = "weights"
    """How its weights come about: trained, fixed, computed from others."""
    SIZE = "size"
    OPERATION = "operation"
    SETTINGS = "settings"
    REASON = "reason"
    RESULT = "output"
    LOGARITHM = "logarithm"
    READABLE = "readable"
    SEVERAL = "several fields"
    MISSING = "missing unit"
    SURPLUS = "unit too much"
    STEPS = "steps"
    """What stands between two units."""
    RECEIVED_MAPS = "received maps"
    """Which maps of a unit another one receives."""
    ORDER = "order of inputs"
    SOURCES = "sources"
    """Which units another one receives maps of."""
    TRAINED = "trained"
    OWN_WEIGHTS = "own weights"
    AVERAGES = "moving averages"
    IDLE_BIAS = "idle bias"
    EPSILON = "epsilon"
    END = "last step"
    INITIALISER = "initialiser"
    CONCATENATION = "order of concatenation"
    SHAPE = "output shape"
    BESIDE = "value beside it"


REMARKS = {Aspect.IDLE_BIAS, Aspect.EPSILON, Aspect.END, Aspect.SHAPE}
"""Differences of style: the same function."""
COMPARED_WHERE_ASKED = {Aspect.INITIALISER, Aspect.CONCATENATION}
"""Differences that nobody looks for but where an author asks for it."""
Strict = frozenset[Aspect]
"""What an author wants to be the same, beside the function."""


@dataclass(frozen=True)
class Place:
    """Where two networks differ, by the numbers of the reference's units.

    Attributes:
        unit: The unit that differs, or that receives what differs; None for the whole network.
        source: The unit that gives it, of a difference on a link.
        stands: Whether it is at the unit, or too much before or behind it.
        step: The step before the unit whose weights are meant; None for the unit's own.
    """

    unit: int | None
    source: int | None = None
    stands: str = "at"
    step: Entry | None = None


@dataclass(frozen=True)
class Difference:
    """One difference of a network from its reference.

    Attributes:
        place: Where.
        aspect: In what.
        expected: What the reference has; its type goes with the aspect.
        received: What the network has.
        cause: Lower numbers come first: what stands earlier explains the rest.
        wanted: The reference's unit, where one differs.
        given: The network's.
        partner: The reference's unit that has what belongs here, where two were exchanged.
    """

    place: Place
    aspect: Aspect
    expected: object
    received: object
    cause: int
    wanted: Unit | None = None
    given: Unit | None = None
    partner: int | None = None

    @property
    def remark(self) -> bool:
        """Whether it makes no difference to what is computed."""
        return self.aspect in REMARKS


Fits = Callable[[Link, Link], bool]


class Comparison:
    """The differences of two paired networks.

    Args:
        mine: The network that is judged.
        reference: What it should be.
        pairs: Which unit stands for which.
        strict: What has to be the same beside the function.
    """

    def __init__(
        self, mine: Units, reference: Units, pairs: Pairing, strict: Strict = frozenset()
    ) -> None:
        self.mine, self.reference, self.pairs = mine, reference, pairs
        self.strict = strict
        self.found: list[Difference] = []
        self.weights: dict[WeightKey, tuple[WeightKey, Place]] = {}
        self.weights_back: dict[WeightKey, tuple[WeightKey, Place]] = {}
        self.roles: dict[WeightKey, str] = {}
        self._explained: tuple[set[int], set[int]] = set(), set()
        self._told: set[int | None] = set()
        self._node_of = {u.index: _node_key(u) for u in reference.units}
        self._biases: list[int] = []
        self._epsilons: set[tuple[float, float]] = set()

    def run(self) -> list[Difference]:
        """All differences, the first cause first."""
        for unit in self.reference.wanted():
            other = self.pairs.back.get(unit.index)
            if other is not None:
                self._compare(self.mine.units[other], unit)
        self._left_over()
        self._remarks()
        self.found.sort(key=lambda difference: difference.cause)
        return self.found

    def _say(
        self,
        place: Place,
        aspect: Aspect,
        expected: object,
        received: object,
        pair: tuple[Unit | None, Unit | None] = (None, None),
    ) -> None:
        cause = len(self.reference.units) if place.unit is None else place.unit
        self.found.append(Difference(place, aspect, expected, received, cause, *pair))

    # --- one pair ---

    def _compare(self, mine: Unit, reference: Unit) -> None:
        if self._groups(mine, reference):
            return
        self._label(mine, reference)
        matched = self._inputs(mine, reference)
        self._same_weights(mine.weights, reference.weights, Place(reference.index))
        for one, other in matched:
            for a, b in zip(one.entries, other.entries, strict=False):
                if a.sign == b.sign:
                    self._same_steps(a, b, other.source, reference.index)
            if one.biased != other.biased:
                self._biases.append(other.source)

    def _same_steps(self, mine: Entry, reference: Entry, source: int, unit: int) -> None:
        place = Place(source if reference.kind == "bias" else unit, step=reference)
        self._same_weights(mine.weights, reference.weights, place, unit)
        if mine.epsilon != reference.epsilon:
            self._epsilons.add((reference.epsilon, mine.epsilon))

    def _groups(self, mine: Unit, reference: Unit) -> bool:
        """Another number of groups: all else that differs in their pieces follows from it."""
        if mine.kind != "conv" or reference.kind != "conv" or mine.groups == reference.groups:
            return False
        if mine.width == reference.width:
            return False
        sides = ((self.mine, mine.node), (self.reference, reference.node))
        for explained, (network, node) in zip(self._explained, sides, strict=True):
            explained.update(unit.index for unit in network.units if unit.node is node)
        self._say(
            Place(reference.index), Aspect.GROUPS, reference.groups, mine.groups, (reference, mine)
        )
        return True

    def _label(self, mine: Unit, reference: Unit) -> None:
        given, wanted = dict(mine.label), dict(reference.label)
        fields = list(dict.fromkeys([*wanted, *given]))
        wrong = [f for f in fields if given.get(f) != wanted.get(f)]
        # The padding follows from kernel and stride.
        if {"kernel", "stride", "dilation"} & set(wrong) and "padding" in wrong:
            wrong.remove("padding")
        if not wrong:
            return
        place, pair = Place(reference.index), (reference, mine)
        if {"trouble", "unreadable"} & set(wrong):
            troubles = (self.reference.trouble, self.mine.trouble)
            self._say(place, Aspect.READABLE, *troubles, pair)
        elif set(wrong) - {"weights"} and len(wrong) > 1:
            self._say(place, Aspect.SEVERAL, reference, mine, pair)
        else:
            name = wrong[0]
            expected, received = wanted.get(name), given.get(name)
            if name == "maps":
                expected, received = _all_maps(reference), _all_maps(mine)
            self._say(place, Aspect(name), expected, received, pair)

    # --- inputs ---

    def _inputs(self, mine: Unit, reference: Unit) -> list[tuple[Link, Link]]:
        """Compare what two units receive; the links that stand for each other."""
        waiting = _Waiting(mine.inputs, self.pairs.of)
        matched, missing = [], []
        for link in reference.inputs:
            same = waiting.take(link, lambda a, b: a.sign == b.sign)
            if same is not None:
                matched.append((same, link))
            else:
                missing.append(link)
        told: set[tuple[object, ...]] = set()
        for link in list(missing):
            other = waiting.take(link, lambda a, b: True)
            if other is None:
                continue
            missing.remove(link)
            matched.append((other, link))
            self._link(other, link, reference, told)
        self._sources(waiting.links, missing, reference)
        if Aspect.CONCATENATION in self.strict and not missing and not waiting.links:
            self._concatenated(mine, reference)
        return matched

    def _concatenated(self, mine: Unit, reference: Unit) -> None:
        """The same maps in another order, where an author asks for the order."""
        if reference.kind in ("add", "multiply", "maximum"):
            return
        wanted = [link.source for link in reference.inputs]
        given = [self.pairs.of.get(link.source) for link in mine.inputs]
        if wanted != given:
            order = tuple(dict.fromkeys(wanted)), tuple(dict.fromkeys(given))
            self._say(Place(reference.index), Aspect.CONCATENATION, *order)

    def _link(self, mine: Link, link: Link, reference: Unit, told: set[tuple[object, ...]]) -> None:
        place = Place(reference.index, link.source)
        if link.span != mine.span or link.slot != mine.slot:
            if self.mine.units[mine.source].width != self.reference.units[link.source].width:
                return
            if link.span != mine.span:
                self._say(place, Aspect.RECEIVED_MAPS, link.span, mine.span)
                return
            if [e.sign for e in link.entries] == [e.sign for e in mine.entries]:
                if (Aspect.ORDER,) not in told:
                    told.add((Aspect.ORDER,))
                    self._say(Place(reference.index), Aspect.ORDER, None, None)
                return
        key = (Aspect.STEPS, *(tuple(e.sign for e in side.entries) for side in (link, mine)))
        if key not in told:
            told.add(key)
            self._say(place, Aspect.STEPS, link.entries, mine.entries)

    def _sources(self, extra: list[Link], missing: list[Link], reference: Unit) -> None:
        """Inputs that one side has and the other lacks, where no missing unit explains them."""
        ours, theirs = self._explained
        gone = [k for k in missing if k.source in self.pairs.back and k.source not in theirs]
        more = [k for k in extra if k.source in self.pairs.of and k.source not in ours]
        # Through a unit that one side lacks, its inputs arrive by another way.
        by_ours = {self.pairs.of[s] for s in behind(self.mine, extra, self.pairs.of)}
        by_theirs = behind(self.reference, missing, self.pairs.back)
        lacking = tuple(k.source for k in gone if k.source not in by_ours)
        too_many = tuple(
            self.pairs.of[k.source] for k in more if self.pairs.of[k.source] not in by_theirs
        )
        if lacking or too_many:
            self._say(Place(reference.index), Aspect.SOURCES, lacking, too_many)

    # --- weights ---

    def _same_weights(
        self, mine: Weights, wanted: Weights, place: Place, cause: int | None = None
    ) -> None:
        node = self._node_of.get(place.unit if place.unit is not None else -1)
        if node in self._told:
            return
        difference = self._pair_weights(mine, wanted, place)
        if difference is not None:
            self._told.add(node)
            at = place.unit if cause is None else cause
            self.found.append(replace(difference, cause=at if at is not None else 0))

    def _pair_weights(self, mine: Weights, wanted: Weights, place: Place) -> Difference | None:
        others = dict(wanted)
        for role, key, other in ((r, k, others[r]) for r, k in mine if r in others):
            known, known_back = self.weights.get(key), self.weights_back.get(other)
            if known is None and known_back is None:
                self.weights[key] = (other, place)
                self.weights_back[other] = (key, place)
                self.roles[key] = role
                modes = self._trained(key, other)
                if modes is not None:
                    return Difference(place, Aspect.TRAINED, *modes, 0)
                begun = self._begun(key, other)
                if begun is not None:
                    return Difference(place, Aspect.INITIALISER, *begun, 0)
            elif known is not None and known[0] != other:
                return Difference(place, Aspect.OWN_WEIGHTS, None, known[1], 0)
            elif known_back is not None and known_back[0] != key:
                return Difference(place, Aspect.OWN_WEIGHTS, known_back[1], None, 0)
        return None

    def _begun(self, mine: WeightKey, reference: WeightKey) -> tuple[str, str] | None:
        """The initialisers of two variables, where an author asks for them and they differ."""
        if Aspect.INITIALISER not in self.strict:
            return None
        a, b = self.mine.variables[mine[0]], self.reference.variables[reference[0]]
        known = a.initialiser and b.initialiser
        return (b.initialiser, a.initialiser) if known and a.initialiser != b.initialiser else None

    def _trained(self, mine: WeightKey, reference: WeightKey) -> tuple[bool, bool] | None:
        """Whether the reference's variable is trained, and the network's, where they differ."""
        if mine[0] >= len(self.mine.variables) or reference[0] >= len(self.reference.variables):
            return None
        a, b = self.mine.variables[mine[0]], self.reference.variables[reference[0]]
        return (b.trainable, a.trainable) if a.trainable != b.trainable else None

    # --- the rest ---

    def _left_over(self) -> None:
        """Units of one network that stand for nothing in the other."""
        ours, theirs = self._explained
        for unit in self.reference.wanted():
            if unit.index not in self.pairs.back and unit.index not in theirs:
                self._say(Place(unit.index), Aspect.MISSING, unit, None, (unit, None))
        for unit in self.mine.wanted():
            if unit.index in self.pairs.of or unit.index in ours:
                continue
            links = [Link(unit.index, None, ())]
            before = [self.pairs.of[s] for s in behind(self.mine, links, self.pairs.of)]
            if before:
                place = Place(max(before), stands="behind")
            else:
                place = Place(self._receiver(unit.index), stands="before")
            self._say(place, Aspect.SURPLUS, None, unit, (None, unit))

    def _receiver(self, index: int) -> int:
        """The first unit of the reference whose counterpart gets something from a unit."""
        waiting, seen = {index}, {index}
        while waiting:
            users = {
                u.index for u in self.mine.wanted() if any(k.source in waiting for k in u.inputs)
            }
            known = [self.pairs.of[u] for u in users if u in self.pairs.of]
            if known:
                return min(known)
            waiting = users - seen
            seen |= users
        return self.reference.wanted()[-1].index

    def _remarks(self) -> None:
        network = Place(None)
        if self._biases:
            self._say(network, Aspect.IDLE_BIAS, None, tuple(dict.fromkeys(self._biases)))
        for expected, received in sorted(self._epsilons):
            self._say(network, Aspect.EPSILON, expected, received)
        if self.mine.ends_in != self.reference.ends_in:
            self._say(network, Aspect.END, self.reference.ends_in, self.mine.ends_in)


class _Waiting:
    """The inputs of a unit that stand for none of its counterpart's yet."""

    def __init__(self, links: Iterable[Link], paired: Mapping[int, int]) -> None:
        self._by_source: dict[int | None, list[Link]] = defaultdict(list)
        for link in links:
            self._by_source[paired.get(link.source)].append(link)

    def take(self, wanted: Link, fits: Fits) -> Link | None:
        """The first that comes from the same unit and fits; it waits no longer."""
        waiting = self._by_source[wanted.source]
        for link in waiting:
            if fits(link, wanted):
                waiting.remove(link)
                return link
        return None

    @property
    def links(self) -> list[Link]:
        """Those that still wait."""
        return [link for links in self._by_source.values() for link in links]


def behind(network: Units, links: list[Link], paired: Mapping[int, int]) -> set[int]:
    """The nearest paired units above units that have no counterpart."""
    found: set[int] = set()
    stack = [k.source for k in links if k.source not in paired]
    seen = set(stack)
    while stack:
        for link in network.units[stack.pop()].inputs:
            if link.source in paired:
                found.add(link.source)
            elif link.source not in seen:
                seen.add(link.source)
                stack.append(link.source)
    return found


def _all_maps(unit: Unit) -> int:
    """The maps of a convolution with all its groups."""
    return unit.width if unit.node is None else unit.node.channels


def _node_key(unit: Unit) -> int:
    """Equal for the groups of one convolution; the output has no node."""
    return -1 if unit.node is None else unit.node.index


def compare(mine: Units, reference: Units, strict: Strict = frozenset()) -> Comparison:
    """Pair two networks and collect their differences in `found`."""
    comparison = Comparison(mine, reference, Pairing(mine, reference), strict)
    comparison.run()
    return comparison
