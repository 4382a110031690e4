"""Differences of two networks as findings, in the words of the reference.

One function for each aspect gives the `Sentence`; what several places share is told once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass, replace

from grader.domain import Finding
from grader.graph.differ import REMARKS, Aspect, Difference, Place, Strict
from grader.graph.helping import help_for, without_bias
from grader.graph.links import Entry, pads_text
from grader.graph.located import Located, Spot
from grader.graph.units import Unit, Units

MAX_FINDINGS = 20
MAX_PLACES = 5
"""Places that one finding names."""

Names = Mapping[int, str]
"""How the reference's units are called."""


# --- names ---------------------------------------------------------------------------------


def names_of(network: Units) -> dict[int, str]:
    """By kind and order: "convolution 3", "fully connected layer 1", "sum 2"."""
    names: dict[int, str] = {}
    counts: Counter[str] = Counter()
    by_node: dict[int, str] = {}
    for unit in network.wanted():
        kind = noun(unit)
        key = unit.node.index if unit.node is not None else -1
        if key not in by_node:
            counts[kind] += 1
            by_node[key] = kind if kind in ("the input", "the output") else f"{kind} {counts[kind]}"
        names[unit.index] = by_node[key]
    return names


def noun(unit: Unit) -> str:
    """What a unit is: "convolution", "sum", "the input"."""
    if unit.kind == "conv":
        node = unit.node
        flat = node is not None and node.height == node.width == 1 and node.written_as == "MatMul"
        return "fully connected layer" if flat else "convolution"
    if unit.kind == "foreign":
        return f"operation {unit.get('operation')}"
    return NOUNS.get(unit.kind, unit.kind)


NOUNS = {
    "input": "the input",
    "output": "the output",
    "add": "sum",
    "multiply": "product",
    "maximum": "maximum",
    "depthwise": "depthwise convolution",
    "constant": "constant",
}


def describe(unit: Unit) -> str:
    """In a few words: "5×5 convolution, 256 maps, 2 groups, stride 2"."""
    if unit.kind not in ("conv", "depthwise"):
        return noun(unit)
    maps = unit.width if unit.node is None else unit.node.channels
    if noun(unit) == "fully connected layer":
        return f"fully connected layer, {maps} outputs"
    words = [f"{_value('kernel', unit.get('kernel'))} {noun(unit)}", f"{maps} maps"]
    if unit.groups > 1:
        words.append(f"{unit.groups} groups")
    stride, dilation = unit.get("stride"), unit.get("dilation")
    if stride != (1, 1):
        words.append(f"stride {pair_text(stride)}")
    if dilation != (1, 1):
        words.append(f"dilation {pair_text(dilation)}")
    return ", ".join(words)


def pair_text(pair: object) -> str:
    """One number where both are equal."""
    if isinstance(pair, tuple) and len(set(pair)) == 1:
        return str(pair[0])
    return str(pair)


def spell(entries: Iterable[Entry]) -> str:
    """Steps in order: "BN → ReLU"."""
    return " → ".join(e.text for e in entries) or "nothing in between"


def _exactly(entries: Iterable[Entry]) -> str:
    return " → ".join(f"{e.text} {e.sign[1:]}" for e in entries) or "nothing in between"


def _list(names: Iterable[str]) -> str:
    counts = Counter(names)
    return ", ".join(n if c == 1 else f"{n} ({c} times)" for n, c in counts.items())


# --- sentences -----------------------------------------------------------------------------


@dataclass(frozen=True)
class Sentence:
    """One difference in words.

    Attributes:
        where: Its place.
        subject: What differs there, less the place: "its kernel"; empty where the place says it.
        expected: What the reference has.
        received: What the network has.
        help: What to try.
        detail: What the place is like in the reference: "5×5 convolution, 24 maps".
        named: The place as the message names it; None for `where`, empty for not at all.
    """

    where: str
    subject: str
    expected: str
    received: str
    help: str = ""
    detail: str = ""
    named: str | None = None

    @property
    def message(self) -> str:
        """The difference in the form "what: expected X, received Y"."""
        place = self.where if self.named is None else self.named
        place += f" ({self.detail})" if self.detail else ""
        what = f"{place}: {self.subject}" if place and self.subject else place or self.subject
        return f"{what}: expected {self.expected}, received {self.received}"

    @property
    def kind(self) -> tuple[str, ...]:
        """Equal for the same difference in another place."""
        on_a_link = "a link" if self.named else ""
        return self.subject, self.expected, self.received, self.detail, on_a_link


def _groups(difference: Difference, names: Names) -> Sentence:
    return _of_unit(
        difference, names, "its groups", str(difference.expected), str(difference.received),
        "With g groups, each kernel sees a g-th part of the maps.",
    )  # fmt: skip


def _of_unit(
    difference: Difference, names: Names, subject: str, expected: str, received: str, help: str = ""
) -> Sentence:
    unit = difference.wanted
    detail = describe(unit) if unit is not None and unit.kind in ("conv", "depthwise") else ""
    return Sentence(_unit(difference.place, names), subject, expected, received, help, detail)


def _unit(place: Place, names: Names) -> str:
    return "network" if place.unit is None else names[place.unit]


def _several(difference: Difference, names: Names) -> Sentence:
    assert difference.wanted is not None and difference.given is not None
    return _of_unit(difference, names, "", describe(difference.wanted), describe(difference.given))


def _readable(difference: Difference, names: Names) -> Sentence:
    wanted, given = (_troubles(t) for t in (difference.expected, difference.received))
    expected, received = ("a network that can be read", given) if given else (wanted, "a network")
    return _of_unit(difference, names, "", expected, received)


def _troubles(troubles: object) -> str:
    return "; ".join(map(str, troubles)) if isinstance(troubles, tuple) else ""


def _field(difference: Difference, names: Names) -> Sentence:
    name = difference.aspect.value
    expected, received = (
        _value(name, value) for value in (difference.expected, difference.received)
    )
    if name == "kernel" and _both_fully_connected(difference):
        name = "inputs"
        expected, received = (
            "one number for each map" if size == "1×1" else f"maps of {size}"
            for size in (expected, received)
        )
    if name == "settings" and expected == received:
        expected, received = "the reference's constants", "others"
    return _of_unit(difference, names, f"its {name}", expected, received)


def _both_fully_connected(difference: Difference) -> bool:
    units = (difference.wanted, difference.given)
    return all(u is not None and noun(u) == "fully connected layer" for u in units)


def _value(name: str, value: object) -> str:
    if not isinstance(value, tuple):
        return str(value)
    if name == "kernel":
        return f"{value[0]}×{value[1]}"
    if name == "padding" and len(value) == 4:
        return pads_text((value[0], value[1], value[2], value[3]))
    if name == "size":
        return "×".join(map(str, value))
    if name in ("weights", "settings"):
        return str(value[0])
    if len(value) == 2 and name in ("stride", "dilation"):
        return pair_text(value)
    return str(value)


def _missing(difference: Difference, names: Names) -> Sentence:
    unit = difference.wanted
    assert unit is not None
    expected = describe(unit)
    if unit.kind in ("add", "multiply", "maximum"):
        expected += " of " + _list(names[k.source] for k in unit.inputs)
    return Sentence(_unit(difference.place, names), "", expected, "nothing like it")


def _surplus(difference: Difference, names: Names) -> Sentence:
    assert difference.given is not None
    where = f"{difference.place.stands} {_unit(difference.place, names)}"
    return Sentence(where, "", "nothing more", describe(difference.given))


def _steps(difference: Difference, names: Names) -> Sentence:
    wanted, given = difference.expected, difference.received
    assert isinstance(wanted, tuple) and isinstance(given, tuple)
    expected, received = (spell(side) for side in without_bias(wanted, given))
    if expected == received:
        expected, received = _exactly(wanted), _exactly(given)
    where = _unit(difference.place, names)
    assert difference.place.source is not None
    between = f"between {names[difference.place.source]} and {where}"
    return Sentence(where, "", expected, received, named=between)


def _received_maps(difference: Difference, names: Names) -> Sentence:
    assert difference.place.source is not None
    subject = f"the maps it receives of {names[difference.place.source]}"
    expected, received = (_span(span) for span in (difference.expected, difference.received))
    return Sentence(_unit(difference.place, names), subject, expected, received)


def _span(span: object) -> str:
    return f"maps {span[0]} to {span[1] - 1}" if isinstance(span, tuple) else "all of them"


def _order(difference: Difference, names: Names) -> Sentence:
    where = _unit(difference.place, names)
    return Sentence(where, "the order of its inputs", "the reference's", "another")


def _sources(difference: Difference, names: Names) -> Sentence:
    lacking, too_many = difference.expected, difference.received
    assert isinstance(lacking, tuple) and isinstance(too_many, tuple)
    expected, received = (_list(names[i] for i in units) for units in (lacking, too_many))
    return Sentence(
        _unit(difference.place, names),
        "what it receives",
        f"the maps of {expected}" if expected else "nothing more",
        f"the maps of {received}" + ("" if expected else " too") if received else "not them",
    )


def _trained(difference: Difference, names: Names) -> Sentence:
    modes = ("trained" if mode else "frozen" for mode in (difference.expected, difference.received))
    return Sentence(_unit(difference.place, names), _whose(difference.place), *modes)


def _whose(place: Place) -> str:
    if place.step is None:
        return "its weights"
    return "its bias" if place.step.kind == "bias" else f"the {place.step.text} before it"


def _own_weights(difference: Difference, names: Names) -> Sentence:
    where, what = _unit(difference.place, names), _whose(difference.place)
    owner = difference.received or difference.expected
    assert isinstance(owner, Place)
    if difference.received is None:
        return Sentence(where, what, f"those of {_unit(owner, names)}, shared", OWN)
    help = "Make a new layer for each place."
    return Sentence(where, what, OWN, f"those of {_unit(owner, names)}", help)


OWN = "weights of its own"


def _averages(difference: Difference, names: Names) -> Sentence:
    return Sentence(
        _unit(difference.place, names), "the moving averages of the BN before it",
        str(difference.expected), str(difference.received),
        "Pass `training` on to the layer, and do not freeze it."
        if difference.received == "never updated"
        else "Update them as BatchNormalization does, in training only.",
    )  # fmt: skip


def _idle_bias(difference: Difference, names: Names) -> Sentence:
    assert isinstance(difference.received, tuple)
    places = list(dict.fromkeys(names[i] for i in difference.received))
    return Sentence(
        _list(places[:3]) + (", …" if len(places) > 3 else ""),
        "a bias that the batch norm behind it makes idle",
        "as in the reference",
        f"otherwise in {len(places)} places",
        "It makes no difference.",
        named="",
    )


def _epsilon(difference: Difference, names: Names) -> Sentence:
    return Sentence(
        "network", "epsilon of its batch norms", f"{difference.expected:.4g}",
        f"{difference.received:.4g}", "It makes no noticeable difference.", named="",
    )  # fmt: skip


def _end(difference: Difference, names: Names) -> Sentence:
    return Sentence(
        "the output", "the last step", str(difference.expected), str(difference.received),
        "Tell the loss which of them it gets.", named="",
    )  # fmt: skip


def _initialiser(difference: Difference, names: Names) -> Sentence:
    begun = str(difference.expected), str(difference.received)
    return Sentence(_unit(difference.place, names), "the initialiser of its weights", *begun)


def _concatenation(difference: Difference, names: Names) -> Sentence:
    wanted, given = difference.expected, difference.received
    assert isinstance(wanted, tuple) and isinstance(given, tuple)
    expected, received = (", ".join(names.get(i, "?") for i in side) for side in (wanted, given))
    where = _unit(difference.place, names)
    return Sentence(where, "the order of the maps it receives", expected, received)


def _shape(difference: Difference, names: Names) -> Sentence:
    sizes = (difference.expected, difference.received)
    shapes = (f"(m, {', '.join(map(str, s))})" if isinstance(s, tuple) else str(s) for s in sizes)
    return Sentence("the output", "its shape", *shapes)


def _beside(difference: Difference, names: Names) -> Sentence:
    wanted, given = difference.expected, difference.received
    if not isinstance(wanted, tuple) or not isinstance(given, tuple):
        return Sentence("what it returns", "", str(wanted), str(given))
    return Sentence(f"result {wanted[0] + 1}", "its value", str(wanted[1]), str(given[1]))


SENTENCES: Mapping[Aspect, Callable[[Difference, Names], Sentence]] = {
    Aspect.GROUPS: _groups,
    Aspect.SEVERAL: _several,
    Aspect.READABLE: _readable,
    Aspect.MISSING: _missing,
    Aspect.SURPLUS: _surplus,
    Aspect.STEPS: _steps,
    Aspect.RECEIVED_MAPS: _received_maps,
    Aspect.ORDER: _order,
    Aspect.SOURCES: _sources,
    Aspect.TRAINED: _trained,
    Aspect.OWN_WEIGHTS: _own_weights,
    Aspect.AVERAGES: _averages,
    Aspect.IDLE_BIAS: _idle_bias,
    Aspect.EPSILON: _epsilon,
    Aspect.END: _end,
    Aspect.INITIALISER: _initialiser,
    Aspect.CONCATENATION: _concatenation,
    Aspect.SHAPE: _shape,
    Aspect.BESIDE: _beside,
}
"""Who words a difference; `_field` words all others."""


def sentence(difference: Difference, names: Names) -> Sentence:
    """One difference in words."""
    said = SENTENCES.get(difference.aspect, _field)(difference, names)
    return said if said.help else replace(said, help=help_for(difference, names))


# --- findings ------------------------------------------------------------------------------


def findings_of(
    found: Iterable[Difference],
    names: Names,
    call: str = "",
    strict: Strict = frozenset(),
    spots: Located | None = None,
) -> list[Finding]:
    """First causes first; the same difference in many places is one finding.

    Args:
        found: The differences.
        names: How the reference's units are called.
        call: Which call shows them, where not every call does.
        strict: Differences of style that are deviations here.
        spots: Knows where the student's layers were made.
    """
    groups: dict[tuple[Hashable, ...], list[tuple[Sentence, Spot | None]]] = {}
    for difference in sorted(found, key=lambda item: item.cause):
        told = sentence(difference, names)
        remark = difference.aspect in REMARKS - strict
        spot = spots.of(difference) if spots is not None else None
        groups.setdefault((remark, *told.kind), []).append((told, spot))
    deviations = [_finding(told, call) for (remark, *_), told in groups.items() if not remark]
    remarks = [_finding(told, call, True) for (remark, *_), told in groups.items() if remark]
    return [*deviations[:MAX_FINDINGS], *remarks]


def _finding(told: list[tuple[Sentence, Spot | None]], call: str, remark: bool = False) -> Finding:
    """One finding for the same difference in one place or several."""
    first, spot = told[0]
    places = list(dict.fromkeys(item.where for item, _ in told))
    where = places[0]
    if len(places) > 1:
        where += f" (also {'; '.join(places[1:MAX_PLACES])}"
        where += f"; {len(places) - MAX_PLACES} more)" if len(places) > MAX_PLACES else ")"
    return Finding(
        where=where,
        message=f"{call}: {first.message}" if call else first.message,
        expected=first.expected,
        received=first.received,
        source="the reference",
        help=first.help,
        severity="remark" if remark else "deviation",
        what=_what(first, call),
        layer=f"{spot.layer} in {spot.place}" if spot is not None else "",
        line=spot.line if spot is not None else 0,
        code=spot.code if spot is not None else "",
    )


def _what(told: Sentence, call: str) -> str:
    """What differs, less the place: "its kernel", "between the input and sum 1"."""
    place = told.named or ""
    what = f"{place}: {told.subject}" if place and told.subject else place or told.subject
    return f"{what}, {call}" if what and call else what or call
