"""Is it the same network as another? Equivalence up to names, order of concatenation, and style.

Both canonical graphs are cut into units (`units.py`), the units are paired (`pair.py`), and each
pair is compared (`differ.py`); `wording.py` says what differs.

The same function under another name is not a difference: a bias before a batch norm (a remark),
padding that the stride never reaches, ReLU before or after max pooling or dropout, a fully
connected layer written as a convolution over the whole map, groups written as towers, a depthwise
convolution as groups of one map, logits or log-softmax (a remark).
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass

from grader.domain import Finding
from grader.graph.averages import Follows, answers
from grader.graph.canonical import Graph
from grader.graph.differ import Aspect, Comparison, Difference, Place, compare
from grader.graph.links import Entry, Variables
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


def _compared(
    mine: Graph, reference: Graph, mine_variables: Variables, reference_variables: Variables
) -> Comparison:
    return compare(
        UnitGraph(mine, mine_variables, "mine"),
        UnitGraph(reference, reference_variables, "reference"),
    )


@dataclass(frozen=True)
class Subject:
    """One network in every mode it was traced in.

    Attributes:
        graphs: Canonical graphs by mode; "inference" is always there.
        variables: Its variable table.
        unproved: Why a person has to look, as in `Evidence`; "" where what was read is proved.
    """

    graphs: Mapping[str, Graph]
    variables: Variables = ()
    unproved: str = ""


def same_network(mine: Subject, reference: Subject) -> list[Finding]:
    """Compare two networks in every mode that both were traced in.

    Returns:
        As `equivalent`; what only a call with training=True shows is said so.
    """
    first = _compared(
        mine.graphs["inference"],
        reference.graphs["inference"],
        mine.variables,
        reference.variables,
    )
    found = findings_of(first.found, names_of(first.reference))
    known = {_kind(difference) for difference in first.found}
    # A frozen batch norm keeps its moving averages in training.
    frozen = (Aspect.TRAINED, True, False) in known
    for mode, call in CALLS.items():
        if mode in mine.graphs and mode in reference.graphs:
            more = _compared(
                mine.graphs[mode], reference.graphs[mode], mine.variables, reference.variables
            )
            new = list(_new(more.found, known, frozen))
            known |= {_kind(difference) for difference in new}
            found += findings_of(new, names_of(more.reference), call)
    if not frozen:
        found += findings_of(_averages(first, mine, reference), names_of(first.reference))
    return found


Kind = tuple[Aspect, Hashable, Hashable]


def _new(found: Iterable[Difference], known: set[Kind], frozen: bool) -> Iterable[Difference]:
    """What another mode shows, less what inference showed already."""
    for difference in found:
        aspect, expected, received = _kind(difference)
        if difference.remark or (aspect, expected, received) in known:
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


__all__ = ["Subject", "equivalent", "same_network"]
