"""What the student's functions are asked: public configurations and hidden ones.

The hidden ones are drawn from HMAC(course key, sha256 of the submission): nobody can predict
them, and a regrade repeats them. They are chosen where mistakes show: odd widths where ⌊θm⌋ is
neither the rounded nor the ceiled number, other k, L and θ, bottleneck on and off.

No surprises: what a hidden probe varies, a public one of the shipped assignment varies too, so that
`grade check` finds every mistake but one that was written for the public numbers. Images keep the
sizes of the public probes.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal

from grader import paper
from grader.assignment import BlockProbe, NetworkProbe, Probes, TransitionProbe
from grader.domain import Record

MODES = ("inference", "training")


class Probe(Record):
    """One question: a function and its arguments."""

    id: str
    """Short, unique; names the frames of the answer. Hidden ones are numbered on from the public:
    a program that is asked sees it."""
    function: Literal["dense_block", "transition", "build_densenet"]
    hidden: bool
    """Whether its numbers stay out of what a student sees."""
    block: BlockProbe | None = None
    """Arguments of a dense block."""
    transition: TransitionProbe | None = None
    """Arguments of a transition."""
    network: NetworkProbe | None = None
    """Arguments of a network."""
    modes: tuple[str, ...] = ("inference",)
    """Which calls are traced. Public blocks, a transition and the networks are traced in training
    too, and whatever has dropout, which shows in training alone; tracing is most of what a
    submission costs."""

    def request(self) -> dict[str, Any]:
        """The question as the program inside gets it; says nothing of what is expected."""
        base: dict[str, Any] = {"id": self.id, "function": self.function, "modes": self.modes}
        if self.block is not None:
            b = self.block
            base["input_shape"] = list(self.input_shape)
            base["keywords"] = {
                "num_layers": b.num_layers,
                "growth_rate": b.growth_rate,
                "bottleneck": b.bottleneck,
            }
        elif self.transition is not None:
            t = self.transition
            base["input_shape"] = list(self.input_shape)
            base["keywords"] = {"compression": t.compression}
        elif self.network is not None:
            n = self.network
            base["keywords"] = {
                "depth": n.depth,
                "growth_rate": n.growth_rate,
                "compression": n.compression,
                "bottleneck": n.bottleneck,
                "num_classes": n.num_classes,
                "input_shape": list(self.input_shape),
            }
        if self.dropout_rate:
            base["keywords"]["dropout_rate"] = self.dropout_rate
        return base

    @property
    def arguments(self) -> BlockProbe | TransitionProbe | NetworkProbe:
        """Whichever of the three it asks with."""
        asked = self.block or self.transition or self.network
        assert asked is not None
        return asked

    @property
    def dropout_rate(self) -> float:
        """Asked for where it is above 0; must vanish at inference."""
        return self.arguments.dropout_rate

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """Height, width and channels of what the network is traced on."""
        asked = self.arguments
        channels = 3 if isinstance(asked, NetworkProbe) else asked.channels
        return asked.size, asked.size, channels

    def words(self) -> str:
        """The arguments as a message names them."""
        keywords = self.request()["keywords"]
        parts = [f"{name}={value}" for name, value in keywords.items()]
        if self.block is not None or self.transition is not None:
            parts.insert(0, "x of shape " + str(tuple(self.request()["input_shape"])))
        return ", ".join(parts)

    def asked(self) -> str:
        """The call as a student may read it: of a hidden one only the kind."""
        if not self.hidden:
            return self.words()
        kind = ""
        if self.block is not None:
            kind = " with bottlenecks" if self.block.bottleneck else " without bottlenecks"
        elif self.network is not None:
            kind = " with bottlenecks" if self.network.bottleneck else " without bottlenecks"
        return "a hidden configuration" + kind

    def command(self) -> str:
        """A line that makes the same call on a student's own machine; none for a hidden one."""
        if self.hidden:
            return ""
        keywords = self.request()["keywords"]
        if "input_shape" in keywords:
            keywords["input_shape"] = self.input_shape
        parts = [f"{name}={value}" for name, value in keywords.items()]
        if self.network is None:
            parts.insert(0, f"keras.Input({self.input_shape})")
        return python_line(f"d.{self.function}({', '.join(parts)})")


def python_line(call: str) -> str:
    """A command that prints what one call gives; `d` is densenet.py."""
    imports = "import keras, densenet as d" if "keras." in call else "import densenet as d"
    return f'python -c "{imports}; print({call})"'


def public_probes(probes: Probes) -> list[Probe]:
    """The configurations that assignment.toml names."""
    found = [
        Probe(id=f"block-{i}", function="dense_block", hidden=False, block=b, modes=MODES)
        for i, b in enumerate(probes.blocks)
    ]
    found += [
        Probe(
            id=f"transition-{i}",
            function="transition",
            hidden=False,
            transition=t,
            modes=_modes(t, i == 0),
        )
        for i, t in enumerate(probes.transitions)
    ]
    found += [
        Probe(id=f"network-{i}", function="build_densenet", hidden=False, network=n, modes=MODES)
        for i, n in enumerate(probes.networks)
    ]
    return found


def hidden_probes(probes: Probes, seed: bytes) -> list[Probe]:
    """Configurations drawn from a seed, as many as assignment.toml asks for.

    The first of each kind has dropout, and is traced in training too.

    Args:
        probes: How many of each kind, and the public ones, whose image sizes are kept.
        seed: HMAC(course key, sha256 of the submission).
    """
    draw = random.Random(int.from_bytes(seed, "big"))
    blocks = [_block(draw, i, _sizes(probes.blocks)) for i in range(probes.hidden.blocks)]
    found = [
        Probe(
            id=f"block-{len(probes.blocks) + i}",
            function="dense_block",
            hidden=True,
            block=b,
            modes=_modes(b),
        )
        for i, b in enumerate(blocks)
    ]
    transitions = [
        _transition(draw, i, _sizes(probes.transitions)) for i in range(probes.hidden.transitions)
    ]
    found += [
        Probe(
            id=f"transition-{len(probes.transitions) + i}",
            function="transition",
            hidden=True,
            transition=t,
            modes=_modes(t),
        )
        for i, t in enumerate(transitions)
    ]
    networks = [_network(draw, i, _sizes(probes.networks)) for i in range(probes.hidden.networks)]
    found += [
        Probe(
            id=f"network-{len(probes.networks) + i}",
            function="build_densenet",
            hidden=True,
            network=n,
            modes=_modes(n),
        )
        for i, n in enumerate(networks)
    ]
    return found


def _modes(
    asked: BlockProbe | TransitionProbe | NetworkProbe, anyway: bool = False
) -> tuple[str, ...]:
    """What is traced: what dropout does shows in training alone."""
    return MODES if asked.dropout_rate or anyway else MODES[:1]


def _sizes(public: Sequence[BlockProbe | TransitionProbe | NetworkProbe]) -> list[int]:
    """Heights and widths that a hidden probe may have: those of the public ones."""
    return sorted({asked.size for asked in public})


def _dropout(number: int) -> float:
    return 0.2 if number == 0 else 0.0


def _block(draw: random.Random, number: int, sizes: list[int]) -> BlockProbe:
    return BlockProbe(
        channels=draw.randrange(7, 30),
        # More layers than anybody writes out by hand.
        num_layers=draw.randrange(6, 8),
        growth_rate=draw.choice([3, 5, 6, 7]),
        bottleneck=number % 2 == 0,
        dropout_rate=_dropout(number),
        size=draw.choice(sizes),
    )


def _transition(draw: random.Random, number: int, sizes: list[int]) -> TransitionProbe:
    compression = draw.choice([0.3, 0.4, 0.6, 0.7, 0.8]) if number == 0 else 0.5
    return TransitionProbe(
        channels=_telling(draw, compression),
        compression=compression,
        dropout_rate=_dropout(number),
        size=draw.choice(sizes),
    )


def _telling(draw: random.Random, compression: float) -> int:
    """A width where the floor differs from rounding, and no binary fraction blurs it."""
    while True:
        channels = draw.randrange(15, 60)
        if _rounds(channels, compression) and not _blurred(channels, compression):
            return channels


def _rounds(channels: int, compression: float) -> bool:
    return round(compression * channels) != paper.compressed(channels, compression)


def _blurred(channels: int, compression: float) -> bool:
    """Whether a binary fraction for θ, or for 1 - (1 - θ), has another floor than the decimal."""
    floor = paper.compressed(channels, compression)
    return any(
        paper.compressed_in_floating_point(channels, theta) != floor
        for theta in (compression, 1.0 - (1.0 - compression))
    )


def _network(draw: random.Random, number: int, sizes: list[int]) -> NetworkProbe:
    """A network whose transitions tell ⌊θm⌋ from rounding, and from fractions carried along."""
    bottleneck = number % 2 == 0
    while True:
        growth_rate = draw.choice([3, 5, 7, 9, 11, 13])
        # Below 1 without bottlenecks too: DenseNet-C is compressed.
        compression = draw.choice([0.3, 0.35, 0.4, 0.45, 0.55, 0.6, 0.65, 0.7])
        network = NetworkProbe(
            # Two layers in a block, and four or five: a number that was fixed shows.
            depth=16 if bottleneck else draw.choice([16, 19]),
            growth_rate=growth_rate,
            compression=compression,
            bottleneck=bottleneck,
            num_classes=draw.choice([3, 5, 7, 12]),
            dropout_rate=_dropout(number),
            size=draw.choice(sizes),
        )
        if tells_the_floor(network):
            return network


def tells_the_floor(network: NetworkProbe) -> bool:
    """Whether rounding, and a width kept as a fraction to the second transition, both show."""
    theta = network.compression
    chosen = paper.Configuration(network.depth, network.growth_rate, theta, network.bottleneck)
    arriving = _arriving(chosen)
    gained = chosen.num_layers * chosen.growth_rate
    carried = int((arriving[0] * theta + gained) * theta)
    either_stem = [replace(chosen, stem_channels=m) for m in (16, 2 * chosen.growth_rate)]
    return (
        carried != paper.compressed(arriving[1], theta)
        and any(_rounds(m, theta) for m in arriving)
        and not any(_blurred(m, theta) for c in either_stem for m in _arriving(c))
    )


def _arriving(chosen: paper.Configuration) -> list[int]:
    """The maps that the two transitions receive."""
    return [chosen.channels_after(1), chosen.channels_after(2)]
