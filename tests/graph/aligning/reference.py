"""The paper's network for one configuration, as units with their places: what a network is held to.

Built from arithmetic alone (`paper.py`); no TensorFlow, no student, no trace.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from grader import paper
from grader.graph.links import Entry, Link, Weights
from grader.graph.record import VariableRecord
from grader.graph.units import Label, Units

RELU = Entry(("ReLU", "relu", ()), "ReLU")
HALVED = Entry(("pool", "mean", (2, 2), (2, 2), (0, 0, 0, 0)), "2×2 average pooling")
"""Of a map that is larger than 2×2; of one that is not, it is the mean of the whole."""
AVERAGED = Entry(("pool", "mean", "global"), "global average pooling")

Given = tuple[int, int]
"""A unit, and how many maps it gives."""
Maps = tuple[Given, tuple[Entry, ...]]
"""What a unit gives, with the steps that belong to it: the pooling of a transition."""


@dataclass(frozen=True)
class PaperPlace:
    """Where a unit of the paper's network stands.

    Attributes:
        kind: "input", "stem", "layer", "transition", "head" or "output".
        block: The number of the dense block, or of the transition; 0 where it stands alone.
        layer: The number of the layer in its block.
        inner: Whether it is a bottleneck's 1×1 convolution.
    """

    kind: str
    block: int = 0
    layer: int = 0
    inner: bool = False

    def __str__(self) -> str:
        """As findings name it."""
        if self.kind == "layer":
            block = f"block {self.block}" if self.block else "dense_block"
            return f"{block}, layer {self.layer}"
        if self.kind == "transition":
            return f"transition {self.block}" if self.block else "transition"
        return self.kind


class PaperNetwork(Units):
    """The units of the paper's network, or of one of its parts.

    Args:
        training: Whether batch norms take the statistics of the batch.

    Attributes:
        places: Where each unit stands.
        configuration: Which network it is; None for a part of one.
    """

    def __init__(self, training: bool, configuration: paper.Configuration | None = None) -> None:
        self._table: list[VariableRecord] = []
        super().__init__(self._table, "paper")
        self.places: dict[int, PaperPlace] = {}
        self.configuration = configuration
        self._statistics = "batch" if training else "moving"

    # --- pieces ---

    def _variable(self, *shape: int, trainable: bool = True) -> int:
        record = VariableRecord(
            name=f"v{len(self._table)}", shape=list(shape), dtype="float32",
            trainable=trainable, owned=True,
        )  # fmt: skip
        self._table.append(record)
        return len(self._table) - 1

    def image(self, height: int, width: int, channels: int) -> Given:
        """The input."""
        label = (("kind", "input"), ("size", (height, width, channels)))
        return self._unit("input", label, (), channels, PaperPlace("input"))

    def _unit(
        self,
        kind: str,
        label: Label,
        links: tuple[Link, ...],
        width: int,
        place: PaperPlace,
        weights: Weights = (),
    ) -> Given:
        unit = self.put(kind, label, links, width, weights)
        self.places[unit.index] = place
        return unit.index, width

    def normed(self, sources: Sequence[Maps], *behind: Entry) -> tuple[Link, ...]:
        """Links of sources, concatenated, through one batch norm and what stands behind it."""
        total = sum(width for (_, width), _ in sources)
        table = [
            (role, self._variable(total, trainable=role in ("gamma", "beta")))
            for role in ("mean", "variance", "gamma", "beta")
        ]
        if self._statistics == "batch":
            table = table[2:]
        links, low = [], 0
        for (unit, width), steps in sources:
            weights = tuple((role, (index, low)) for role, index in table)
            text = "BN" + (" over the batch" if self._statistics == "batch" else "")
            norm = Entry(("BN", self._statistics, True, True), text, weights, 0.001)
            links.append(Link(unit, None, (*steps, norm, *behind)))
            low += width
        return tuple(links)

    def convolution(
        self, links: tuple[Link, ...], received: int, maps: int, kernel: int, place: PaperPlace
    ) -> Given:
        """A convolution as all of the paper's are."""
        pad = kernel // 2
        index = self._variable(kernel, kernel, received, maps)
        label: Label = (
            ("kind", "conv"), ("kernel", (kernel, kernel)), ("stride", (1, 1)),
            ("dilation", (1, 1)), ("padding", (pad,) * 4), ("maps", maps), ("weights", "trained"),
        )  # fmt: skip
        return self._unit("conv", label, links, maps, place, (("kernel 0", (index, 0)),))

    def end(self, links: tuple[Link, ...]) -> None:
        """The output."""
        label = (("kind", "output"), ("trouble", ()))
        self._unit("output", label, links, 0, PaperPlace("output"))


def dense_block(
    net: PaperNetwork,
    entry: Maps,
    number: int,
    layers: int,
    growth_rate: int,
    bottleneck: bool,
) -> list[Maps]:
    """Equation 2: each layer receives the block's input and all earlier layers' maps.

    Returns:
        What leaves the block: its input and its layers, each with the steps that belong to it.
    """
    maps = [entry]
    for layer in range(1, layers + 1):
        links = net.normed(maps, RELU)
        received = sum(width for (_, width), _ in maps)
        if bottleneck:
            inner = paper.BOTTLENECK_WIDTH * growth_rate
            place = PaperPlace("layer", number, layer, inner=True)
            squeezed = net.convolution(links, received, inner, 1, place)
            links, received = net.normed([(squeezed, ())], RELU), inner
        place = PaperPlace("layer", number, layer)
        maps.append((net.convolution(links, received, growth_rate, 3, place), ()))
    return maps


def transition(net: PaperNetwork, maps: list[Maps], number: int, width: int, size: int) -> Maps:
    """BN, ReLU, 1×1 convolution to `width` maps, 2×2 average pooling."""
    links = net.normed(maps, RELU)
    received = sum(given for (_, given), _ in maps)
    given = net.convolution(links, received, width, 1, PaperPlace("transition", number))
    return given, (HALVED if size > 2 else AVERAGED,)


def plain(maps: Sequence[Maps]) -> tuple[Link, ...]:
    """Links of maps that are handed on as they are."""
    return tuple(Link(unit, None, steps) for (unit, _), steps in maps)


def block_alone(
    size: int, channels: int, layers: int, growth_rate: int, bottleneck: bool, training: bool
) -> PaperNetwork:
    """What a probe of `dense_block` asks for."""
    net = PaperNetwork(training)
    entry = (net.image(size, size, channels), ())
    net.end(plain(dense_block(net, entry, 0, layers, growth_rate, bottleneck)))
    return net


def transition_alone(size: int, channels: int, width: int, training: bool) -> PaperNetwork:
    """What a probe of `transition` asks for."""
    net = PaperNetwork(training)
    image = net.image(size, size, channels)
    net.end(plain([transition(net, [(image, ())], 0, width, size)]))
    return net


def whole(configuration: paper.Configuration, training: bool) -> PaperNetwork:
    """The paper's network, stem to classifier; it ends in logits."""
    c = configuration
    net = PaperNetwork(training, c)
    image = net.image(*c.input_shape)
    stem = net.convolution(
        (Link(image[0], None, ()),), c.input_shape[2], c.stem, 3, PaperPlace("stem")
    )
    entry: Maps = (stem, ())
    for block in range(1, c.BLOCKS + 1):
        maps = dense_block(net, entry, block, c.num_layers, c.growth_rate, c.bottleneck)
        if block < c.BLOCKS:
            width = paper.compressed(c.channels_after(block), c.compression)
            size = c.input_shape[0] // 2 ** (block - 1)
            entry = transition(net, maps, block, width, size)
    links = net.normed(maps, RELU)
    classifier = net.convolution(
        links, c.channels_after(c.BLOCKS), c.num_classes, 1, PaperPlace("head")
    )
    size = c.input_shape[0] // 2 ** (c.BLOCKS - 1)
    net.end((Link(classifier[0], None, (AVERAGED,) if size > 1 else ()),))
    return net
