"""Is it the same network as another? Equivalence up to names, order of concatenation, and style.

Both canonical graphs are cut into units (`units.py`), the units are paired (`pair.py`), and each
pair is compared (`differ.py`); `wording.py` says what differs.

The same function under another name is not a difference: a bias before a batch norm (a remark),
padding that the stride never reaches, ReLU before or after max pooling or dropout, a fully
connected layer written as a convolution over the whole map, groups written as towers, a depthwise
convolution as groups of one map, logits or log-softmax (a remark).
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass, field, replace

from grader.domain import Finding
from grader.graph.averages import Follows, answers
from grader.graph.canonical import Graph
from grader.graph.differ import (
    COMPARED_WHERE_ASKED,
    Aspect,
    Comparison,
    Difference,
    Place,
    Strict,
    compare,
)
from grader.graph.helping import ALONE
from grader.graph.links import Entry, Variables
from grader.graph.located import Located
from grader.graph.units import UnitGraph
from grader.graph.wording import findings_of, names_of

CALLS = {"training": "when called with training=True", "plain": "in a plain call"}
"""The modes beside inference, in words."""


def equivalent(
    mine: Graph,
    reference: Graph,
    mine_variables: Variables = (),
    reference_variables: Variables = (),
) -> list[Finding]:
    """Whether two canonical graphs are the same network, up to names, order and style.

    Args:
        mine: The network that is judged.
        reference: What it should be.
        mine_variables: Its variable table; without it trained and frozen are not told apart.
        reference_variables: The reference's.

    Returns:
        What differs, in the reference's words, the first cause first; remarks for what makes no
        difference. No deviation among them means that the networks are the same.
    """
    compared = _compared(mine, reference, mine_variables, reference_variables)
    return findings_of(compared.found, names_of(compared.reference))


@dataclass(frozen=True)
class Terms:
    """What an author wants to be the same beside the function, and what may be another.

    Attributes:
        strict: Looked at, and a deviation.
        free: Kinds of steps that are not looked at: bias, dropout.
    """

    strict: Strict = frozenset()
    free: frozenset[str] = frozenset()

    @classmethod
    def of(cls, must_match: Iterable[str], may_differ: Iterable[str]) -> Terms:
        """The same, by the words of assignment.toml."""
        return cls(frozenset(STRICT[word] for word in must_match), frozenset(may_differ))


STRICT = {
    "initialisers": Aspect.INITIALISER,
    "output-shape": Aspect.SHAPE,
    "order": Aspect.CONCATENATION,
    "idle-bias": Aspect.IDLE_BIAS,
    "epsilon": Aspect.EPSILON,
    "last-step": Aspect.END,
}
"""Words of assignment.toml for what has to be the same beside the function."""
USUAL = Terms()


def _compared(
    mine: Graph,
    reference: Graph,
    mine_variables: Variables,
    reference_variables: Variables,
    terms: Terms = USUAL,
) -> Comparison:
    return compare(
        UnitGraph(mine, mine_variables, "mine", terms.free),
        UnitGraph(reference, reference_variables, "reference", terms.free),
        terms.strict,
    )


@dataclass(frozen=True)
class Subject:
    """One network in every mode it was traced in.

    Attributes:
        graphs: Canonical graphs by mode; "inference" is always there.
        variables: Its variable table.
        unproved: Why a person has to look, as in `Evidence`; "" where what was read is proved.
        shape: Of its output, less the images; None where it is not known.
        beside: What its function gave beside it, by place; None where it gave it alone, though
            more was asked for.
        layers: Layer → its place in its author's files, and what stands there.
    """

    graphs: Mapping[str, Graph]
    variables: Variables = ()
    unproved: str = ""
    shape: tuple[int, ...] | None = None
    beside: Mapping[int, object] | None = field(default_factory=dict)
    layers: Mapping[str, tuple[str, str]] = field(default_factory=dict)


def same_network(mine: Subject, reference: Subject, terms: Terms = USUAL) -> list[Finding]:
    """Compare two networks in every mode that both were traced in.

    Args:
        mine: The one that is judged.
        reference: What it should be.
        terms: What has to be the same beside the function.

    Returns:
        As `equivalent`; what only a call with training=True shows is said so.
    """
    first = _compared(
        mine.graphs["inference"],
        reference.graphs["inference"],
        mine.variables,
        reference.variables,
        terms,
    )
    names = names_of(first.reference)
    spots = Located(first, mine.variables, mine.layers)
    told = [*_moved(first.found), *_around(mine, reference, not first.found)]
    found = findings_of(told, names, "", terms.strict, spots)
    known = {_kind(difference) for difference in first.found}
    # A frozen batch norm keeps its moving averages in training.
    frozen = (Aspect.TRAINED, True, False) in known
    for mode, call in CALLS.items():
        if mode in mine.graphs and mode in reference.graphs:
            more = _compared(
                mine.graphs[mode],
                reference.graphs[mode],
                mine.variables,
                reference.variables,
                terms,
            )
            located = Located(more, mine.variables, mine.layers)
            new = list(_new(more.found, known, frozen))
            known |= {_kind(difference) for difference in new}
            found += findings_of(new, names_of(more.reference), call, terms.strict, located)
    if not frozen:
        averages = _averages(first, mine, reference)
        found += findings_of(averages, names, "", terms.strict, spots)
    return found


def _moved(found: Iterable[Difference]) -> list[Difference]:
    """The differences, one for each exchange, such as of the strides of two layers."""
    kept: list[Difference] = []
    for difference in found:
        partner = next((at for at, one in enumerate(kept) if _exchanged(one, difference)), None)
        if partner is None:
            kept.append(difference)
        else:
            kept[partner] = replace(kept[partner], partner=difference.place.unit)
    return kept


def _exchanged(one: Difference, other: Difference) -> bool:
    """Whether two units have each other's argument."""
    back = (other.aspect, other.received, other.expected)
    return (
        one.aspect in EXCHANGED
        and one.partner is None
        and (one.aspect, one.expected, one.received) == back
    )


EXCHANGED = {Aspect.KERNEL, Aspect.STRIDE, Aspect.MAPS}
"""Arguments that are given to a neighbour by mistake."""


def _around(mine: Subject, reference: Subject, alike: bool) -> Iterable[Difference]:
    """What differs outside the network: the shape of its output, the values beside it."""
    place, last = Place(None), 10**9
    if alike and mine.shape != reference.shape and None not in (mine.shape, reference.shape):
        yield Difference(place, Aspect.SHAPE, reference.shape, mine.shape, last)
    wanted = reference.beside or {}
    if mine.beside is None and wanted:
        yield Difference(place, Aspect.BESIDE, f"{len(wanted) + 1} results", ALONE, last)
        return
    given = mine.beside or {}
    for at, value in wanted.items():
        if at not in given:
            yield Difference(place, Aspect.BESIDE, (at, value), (at, "nothing"), last)
        elif not _same_value(given[at], value) and not _its_maps(mine, reference, at):
            yield Difference(place, Aspect.BESIDE, (at, value), (at, given[at]), last)


def _its_maps(mine: Subject, reference: Subject, at: int) -> bool:
    """Whether a value beside both networks is how many maps each gives: what is wrong about it is
    wrong about the network."""
    sides = [(s.shape, s.beside) for s in (mine, reference)]
    return all(
        shape is not None and beside is not None and _same_value(beside.get(at), shape[-1])
        for shape, beside in sides
    )


def _same_value(given: object, wanted: object) -> bool:
    if isinstance(wanted, list) and isinstance(given, list):
        both = zip(given, wanted, strict=False)
        return len(given) == len(wanted) and all(_same_value(a, b) for a, b in both)
    numbers = [v for v in (given, wanted) if isinstance(v, int | float)]
    if len(numbers) == 2 and isinstance(given, bool) == isinstance(wanted, bool):
        return math.isclose(numbers[0], numbers[1], rel_tol=1e-6, abs_tol=1e-9)
    return given == wanted


Kind = tuple[Aspect, Hashable, Hashable]


def _new(found: Iterable[Difference], known: set[Kind], frozen: bool) -> Iterable[Difference]:
    """What another mode shows, less what inference showed already."""
    for difference in found:
        aspect, expected, received = _kind(difference)
        if (
            difference.remark
            or aspect in COMPARED_WHERE_ASKED
            or (aspect, expected, received) in known
        ):
            continue
        if frozen and aspect is Aspect.STEPS and expected == received:
            continue
        yield difference


def _kind(difference: Difference) -> Kind:
    """What differs, less the place and what a call in training adds to both sides alike."""
    expected, received = difference.expected, difference.received
    if difference.aspect is Aspect.STEPS:
        assert isinstance(expected, tuple) and isinstance(received, tuple)
        both = [[e for e in side if e.kind == "dropout"] for side in (expected, received)]
        alike = [e.sign for e in both[0]] == [e.sign for e in both[1]]
        return (
            Aspect.STEPS, _at_inference(expected, alike), _at_inference(received, alike)
        )  # fmt: skip
    return difference.aspect, _comparable(expected), _comparable(received)


def _at_inference(entries: tuple[Entry, ...], without_dropout: bool) -> Hashable:
    kept = [e for e in entries if not (without_dropout and e.kind == "dropout")]
    return tuple(e.sign_at_inference for e in kept)


def _comparable(value: object) -> Hashable:
    """A value that equals that of the same difference in another mode."""
    return getattr(value, "label", None) or (value if isinstance(value, Hashable) else repr(value))


def _averages(first: Comparison, mine: Subject, reference: Subject) -> Iterable[Difference]:
    """Moving averages that follow the batch in the reference, and do not in the other."""
    if "training" not in mine.graphs or "training" not in reference.graphs:
        return
    updates, wanted = (s.graphs["training"].updates for s in (mine, reference))
    ours, theirs = (answers(s.graphs["inference"], s.graphs["training"]) for s in (mine, reference))
    for key, (other, place) in first.weights.items():
        if first.roles[key] not in ("mean", "variance") or other[0] not in wanted:
            continue
        at, expected, received = Place(place.unit, step=place.step), "updated in training", ""
        if key[0] not in updates:
            received = "never updated"
        elif (ours.get(key[0]), theirs.get(other[0])) == (Follows.NO, Follows.YES):
            expected, received = "moved towards the batch's in training", "set to something else"
        if received:
            yield Difference(at, Aspect.AVERAGES, expected, received, 0)


__all__ = ["Subject", "Terms", "equivalent", "same_network"]
