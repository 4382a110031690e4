"""What makes no difference in a DenseNet, taken out of its units before they are compared.

Each function is one ruling: it changes how units and links are written and leaves what they
compute, up to a bias of a convolution, a scaling of the image, and in training dropout and
augmentation.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable
from dataclasses import replace

from grader.graph.links import Entry, Link, Variables
from grader.graph.units import Unit, Units

SCALINGS = {"constant", "bias", "scale", "BN", "other"}
"""Steps that scale or shift the image; none may be trained, or depend on the other images."""
Change = Callable[[Unit, Link], Link]


def normalised(network: Units, training: bool, of_images: bool) -> Units:
    """The network without what makes no difference.

    Args:
        network: Any network.
        training: Whether it was called with training=True.
        of_images: Whether its input is an image, which may be scaled, and augmented in training.
    """
    # Dropout vanishes at inference, and nothing is trained there that a gradient could miss.
    network = _without(network, {"dropout"} if training else {"stop"})
    if of_images and training:
        network = _without_augmentation(network)
    if of_images:
        network = _with_the_image_as_given(network)
    network = _with_whole_links(network)
    network = _side_by_side_as_one(network)
    network = _without_biases(network)
    return _with_scales(_pooled_behind(network))


def _with_units(network: Units, units: list[Unit]) -> Units:
    """The same network, its units written in another way."""
    other = Units(network.variables, network.side)
    other.units, other.ends_in, other.trouble = units, network.ends_in, network.trouble
    return other


def _rewritten(network: Units, change: Change) -> Units:
    return _with_units(
        network,
        [replace(u, inputs=tuple(change(u, link) for link in u.inputs)) for u in network.units],
    )


def _without(network: Units, kinds: set[str]) -> Units:
    """Steps that vanish, whatever their place."""

    def change(unit: Unit, link: Link) -> Link:
        return replace(link, entries=tuple(e for e in link.entries if e.kind not in kinds))

    return _rewritten(network, change)


# --- the image -----------------------------------------------------------------------------


def _without_augmentation(network: Units) -> Units:
    """In training the stem may receive the image in any form that depends on it."""
    image = next((u.index for u in network.units if u.kind == "input"), None)
    if image is None:
        return network
    changed = _forms_of_the_image(network, image)
    units = []
    for unit in network.units:
        sources = {link.source for link in unit.inputs}
        if unit.kind == "conv" and unit.groups == 1 and sources <= changed and unit.inputs:
            unit = replace(unit, inputs=(Link(image, None, ()),))
        units.append(unit)
    return _with_units(network, units)


def _forms_of_the_image(network: Units, image: int) -> set[int]:
    """The units in which the image arrives at a convolution, and which lead nowhere else."""
    sees = {image}
    for unit in network.units:
        if unit.kind not in ("conv", "output") and any(k.source in sees for k in unit.inputs):
            sees.add(unit.index)
    leads_on = {
        link.source
        for unit in network.wanted()
        for link in unit.inputs
        if unit.kind != "conv" and unit.index not in sees
    }
    return sees - leads_on


def _with_the_image_as_given(network: Units) -> Units:
    """The image may be scaled and shifted by fixed numbers on its way to a convolution."""

    def change(unit: Unit, link: Link) -> Link:
        giver = network.units[link.source]
        if giver.kind != "input" or unit.kind != "conv":
            return link
        fixed = all(_is_fixed_scaling(e, network.variables) for e in link.entries)
        return replace(link, entries=()) if fixed else link

    return _rewritten(network, change)


def _is_fixed_scaling(entry: Entry, variables: Variables) -> bool:
    return (
        entry.kind in SCALINGS
        and "batch" not in entry.sign
        and not any(variables[index].trainable for _, (index, _) in entry.weights)
    )


# --- steps ---------------------------------------------------------------------------------


def _with_scales(network: Units) -> Units:
    """A batch norm without scale before a ReLU or a convolution: the next kernel is its scale."""

    def change(unit: Unit, link: Link) -> Link:
        if unit.kind != "conv":
            return link
        entries = list(link.entries)
        for i, entry in enumerate(entries):
            behind = [e.kind for e in entries[i + 1 :]]
            if entry.kind == "BN" and behind in ([], ["ReLU"]) and entry.sign[2] is False:
                entries[i] = replace(entry, sign=(*entry.sign[:2], True, *entry.sign[3:]))
        return replace(link, entries=tuple(entries))

    return _rewritten(network, change)


def _without_biases(network: Units) -> Units:
    """A convolution may have a bias, as long as all that receive its maps receive it."""
    links = _links_from(network)
    biased = {
        source
        for source, found in links.items()
        if network.units[source].kind == "conv" and len({_bias(k) for k in found}) == 1
        if _bias(found[0])
    }

    def change(unit: Unit, link: Link) -> Link:
        return replace(link, entries=link.entries[1:]) if link.source in biased else link

    return _rewritten(network, change)


def _bias(link: Link) -> Hashable:
    """The bias that stands first on a link."""
    first = link.entries[0] if link.entries else None
    return (first.sign, first.weights) if first is not None and first.kind == "bias" else None


def _links_from(network: Units) -> dict[int, list[Link]]:
    links: dict[int, list[Link]] = defaultdict(list)
    for unit in network.wanted():
        for link in unit.inputs:
            links[link.source].append(link)
    return links


def _pooled_behind(network: Units) -> Units:
    """A mean over places before a 1×1 convolution is the same as behind it."""
    moved: dict[int, Entry] = {}
    units = []
    for unit in network.units:
        last = {k.entries[-1].sign if k.entries else () for k in unit.inputs}
        if _is_pointwise(unit) and len(last) == 1 and _is_mean(next(iter(last))):
            moved[unit.index] = unit.inputs[0].entries[-1]
            links = tuple(replace(k, entries=k.entries[:-1]) for k in unit.inputs)
            unit = replace(unit, inputs=links)
        units.append(unit)

    def change(unit: Unit, link: Link) -> Link:
        if link.source not in moved:
            return link
        return replace(link, entries=(moved[link.source], *link.entries))

    return _rewritten(_with_units(network, units), change)


def _is_pointwise(unit: Unit) -> bool:
    return (
        unit.kind == "conv"
        and unit.get("kernel") == (1, 1)
        and unit.get("stride") == (1, 1)
        and unit.get("padding") == (0, 0, 0, 0)
    )


def _is_mean(sign: tuple[Hashable, ...]) -> bool:
    """Whether a step is an average pooling without padding."""
    return sign[:2] == ("pool", "mean") and (sign[2] == "global" or sign[4] == (0, 0, 0, 0))


# --- parts of maps, parts of convolutions ---------------------------------------------------


def _with_whole_links(network: Units) -> Units:
    """Parts of one unit's maps, received alike, are the maps; so is another order of them."""
    units = []
    for unit in network.units:
        if unit.kind in ("conv", "output") and any(link.span for link in unit.inputs):
            groups: dict[Hashable, list[Link]] = defaultdict(list)
            for link in unit.inputs:
                groups[link.source, _signs(link)].append(link)
            joined = [_joined(k, network.units[k[0].source].width) for k in groups.values()]
            unit = replace(unit, inputs=tuple(link for links in joined for link in links))
        units.append(unit)
    return _with_units(network, units)


def _joined(links: Iterable[Link], width: int) -> list[Link]:
    """Parts that follow one another, as one; all of them, as the whole."""
    found = list(links)
    joined: list[Link] = [link for link in found if link.span is None]
    parts = [(link.span, link) for link in found if link.span is not None]
    for span, link in sorted(parts, key=lambda part: part[0]):
        before = joined[-1].span if joined else None
        if before is not None and before[1] == span[0]:
            joined[-1] = replace(joined[-1], span=(before[0], span[1]))
        else:
            joined.append(link)
    return [replace(k, span=None) if k.span == (0, width) else k for k in joined]


def _side_by_side_as_one(network: Units) -> Units:
    """Convolutions of the same maps that all their receivers receive together are one."""
    users: dict[int, list[Hashable]] = defaultdict(list)
    for unit in network.wanted():
        for link in unit.inputs:
            users[link.source].append((unit.index, link.span, _signs(link)))
    alike: dict[Hashable, list[Unit]] = defaultdict(list)
    for unit in network.wanted():
        if unit.kind == "conv" and unit.groups == 1:
            label = tuple(item for item in unit.label if item[0] != "maps")
            received = frozenset((k.source, k.span, _signs(k), _weights(k)) for k in unit.inputs)
            together = frozenset(users[unit.index])
            whole = all(link.span is None for link in unit.inputs)
            if whole and len(together) == len(users[unit.index]):
                alike[label, received, together].append(unit)
    for group in alike.values():
        if len(group) > 1:
            network = _as_one(network, group)
    return network


def _signs(link: Link) -> Hashable:
    return tuple(e.sign for e in link.entries)


def _weights(link: Link) -> Hashable:
    return tuple(e.weights for e in link.entries)


def _as_one(network: Units, group: list[Unit]) -> Units:
    """The first of several convolutions with the maps of all."""
    first, others = group[0].index, {u.index for u in group[1:]}
    width = sum(u.width for u in group)
    units = []
    for unit in network.units:
        if unit.index == first:
            label = tuple((name, width if name == "maps" else v) for name, v in unit.label)
            unit = replace(unit, label=label, width=width)
        elif unit.index not in others:
            kept = tuple(link for link in unit.inputs if link.source not in others)
            unit = replace(unit, inputs=kept)
        units.append(unit)
    return _with_units(network, units)
