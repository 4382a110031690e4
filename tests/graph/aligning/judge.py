"""A network aligned with the paper's for what was asked: where the two differ, and where not.

The rules (`rules/`) read a network part by part. This looks at it as a whole: if nothing differs,
the two are isomorphic, and no part of it can be wrong in its structure, however it was written.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from grader import paper
from grader.assignment import BlockProbe, TransitionProbe
from grader.graph.differ import Aspect, Difference, compare
from grader.graph.units import Unit, Units
from tests.graph.aligning import reference
from tests.graph.aligning.normalise import normalised
from tests.graph.aligning.reference import PaperNetwork, PaperPlace

OF_WEIGHTS = {Aspect.TRAINED, Aspect.OWN_WEIGHTS, Aspect.COMPUTED}
"""Differences of weights; all others are of structure."""


@dataclass(frozen=True)
class Alignment:
    """What differs from the paper's network that is most alike.

    Attributes:
        differences: The first cause first; without those that a ruling accepts.
        places: Where the units of the paper's network stand.
        configuration: Which network of the paper it is; None for a part of one.
    """

    differences: tuple[Difference, ...]
    places: dict[int, PaperPlace]
    configuration: paper.Configuration | None = None

    @property
    def of_structure(self) -> tuple[Difference, ...]:
        """Those that are not about weights."""
        return tuple(d for d in self.differences if d.aspect not in OF_WEIGHTS)

    @property
    def is_the_papers(self) -> bool:
        """Whether the two networks are isomorphic, weights aside."""
        return not self.of_structure


Asked = BlockProbe | TransitionProbe | paper.Configuration
"""A part of the paper's network, or all of it."""


def aligned(network: Units, asked: Asked | None, training: bool) -> Alignment | None:
    """Align one network with the paper's.

    Args:
        network: Its units.
        asked: What it should be; None for any network of the paper.
        training: Whether it was called with training=True.

    Returns:
        What differs; None where no network of the paper has its size.
    """
    of_images = not isinstance(asked, BlockProbe | TransitionProbe)
    mine = normalised(network, training, of_images)
    found = [
        _alignment(mine, candidate, training, of_images)
        for candidate in _candidates(asked, mine, training)
    ]
    return min(found, key=lambda alignment: len(alignment.differences), default=None)


def _alignment(mine: Units, candidate: PaperNetwork, training: bool, of_images: bool) -> Alignment:
    places = candidate.places
    found = compare(mine, normalised(candidate, training, of_images)).found
    kept = [d for d in found if not d.remark and not is_accepted(d, places)]
    return Alignment(tuple(kept), places, candidate.configuration)


def _candidates(asked: Asked | None, mine: Units, training: bool) -> Iterator[PaperNetwork]:
    """The paper's networks for one question; ⌊θm⌋ in two arithmetics and the stem are free."""
    if isinstance(asked, BlockProbe):
        yield reference.block_alone(
            asked.size, asked.channels, asked.num_layers, asked.growth_rate, asked.bottleneck,
            training,
        )  # fmt: skip
    elif isinstance(asked, TransitionProbe):
        arithmetics = paper.compressed, paper.compressed_in_floating_point
        for width in {kept(asked.channels, asked.compression) for kept in arithmetics}:
            yield reference.transition_alone(asked.size, asked.channels, width, training)
    else:
        for configuration in [asked] if asked is not None else _like(mine):
            yield reference.whole(_with_stem_of(mine, configuration), training)


def _with_stem_of(mine: Units, configuration: paper.Configuration) -> paper.Configuration:
    """2k or 16 maps behind the stem, whichever the network has."""
    stem = _convolutions(mine)[:1]
    accepted = {16, 2 * configuration.growth_rate}
    if not stem or stem[0].width not in accepted:
        return configuration
    return replace(configuration, stem_channels=stem[0].width)


def _convolutions(network: Units) -> list[Unit]:
    return [unit for unit in network.wanted() if unit.kind == "conv"]


def _like(mine: Units) -> Iterator[paper.Configuration]:
    """The paper's configurations that have a network's number of convolutions, k and θ."""
    found = _convolutions(mine)
    images = [dict(u.label).get("size") for u in mine.units if u.kind == "input"]
    for bottleneck in (True, False):
        in_layer = 2 if bottleneck else 1
        layers, rest = divmod(len(found) - 4, paper.Configuration.BLOCKS * in_layer)
        if rest or layers < 1 or len(images) != 1:
            continue
        growth = found[in_layer].width
        m, kept = found[0].width + layers * growth, found[1 + layers * in_layer].width
        for compression in THETAS:
            if paper.compressed(m, compression) == kept:
                depth = 3 * in_layer * layers + 4
                image = images[0]
                assert isinstance(image, tuple)
                yield paper.Configuration(
                    depth, growth, compression, bottleneck, found[-1].width, image
                )
                break


THETAS = (0.5, 1.0, *[i / 20 for i in range(1, 20)], *[i / 100 for i in range(1, 100)])
"""Compressions that are tried, in this order, where none was asked for."""


# --- rulings -------------------------------------------------------------------------------


@dataclass(frozen=True)
class Ruling:
    """A difference that is accepted.

    Attributes:
        why: In one sentence.
        aspect: In what the networks differ.
        kind: Where: the kind of the place in the paper's network.
        holds: Whether a difference of this aspect, there, is the one that is meant.
    """

    why: str
    aspect: Aspect
    kind: str
    holds: Callable[[Difference], bool]


def _lacks_its_relu(difference: Difference) -> bool:
    expected, received = _kinds(difference.expected), _kinds(difference.received)
    return expected[-1:] == ["ReLU"] and received == expected[:-1]


def _has_a_bias(difference: Difference) -> bool:
    expected, received = _kinds(difference.expected), _kinds(difference.received)
    return [kind for kind in received if kind != "bias"] == expected and "bias" in received


def _kinds(entries: object) -> list[object]:
    """Steps as far as they are alike or not; a bias by its name only."""
    assert isinstance(entries, tuple)
    named = {"bias": "bias", "ReLU": "ReLU"}
    return [named.get(e.kind, e.sign) for e in entries]


RULINGS = (
    Ruling(
        "A transition may lack its ReLU: the paper's sentence has none, its code has one.",
        Aspect.STEPS, "transition", _lacks_its_relu,
    ),
    Ruling(
        "The classes may get their bias behind the pooling.",
        Aspect.STEPS, "output", _has_a_bias,
    ),
)  # fmt: skip
"""What else is accepted, `normalise.py` takes out before."""


def is_accepted(difference: Difference, places: dict[int, PaperPlace]) -> bool:
    """Whether a ruling accepts a difference."""
    unit = difference.place.unit
    return unit is not None and any(
        ruling.aspect is difference.aspect
        and ruling.kind == places[unit].kind
        and ruling.holds(difference)
        for ruling in RULINGS
    )
