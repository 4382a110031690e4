"""The student's network beside the paper's, block by block, as data for a table or a picture.

Pure. The left side is what Huang et al. 2017 ask for with the network's own k, n and θ; the right
side is what was read. A row differs where the two sides do not say the same, or where a rule of
the paper found something.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from grader import paper
from grader.graph.canonical import Node
from grader.graph.evidence import Evidence
from grader.graph.network import Network, configuration_of
from grader.graph.reading import Block, Reading, Unit, sources
from grader.graph.rules.head import is_global
from grader.graph.rules.judge import Expected, Judge, size_text
from grader.graph.steps import spell

MISSING = "missing"


@dataclass(frozen=True)
class Row:
    """One part of the network, or several alike.

    Attributes:
        part: "stem", "block 1, layer 3", "block 1, layers 3 to 6", "transition 1", "head".
        paper: What the paper has there.
        network: What was read there; may hold a student's text.
        differs: Whether the two are not the same.
        notes: What the rules say of it, as messages.
    """

    part: str
    paper: str
    network: str
    differs: bool = False
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Drawing:
    """A network beside the paper's.

    Attributes:
        title: Which network of the paper it is compared with.
        function: The function that gave it.
        rows: From the stem to the head.
    """

    title: str
    function: str
    rows: tuple[Row, ...]

    @property
    def differs(self) -> bool:
        """Whether any part does."""
        return any(row.differs for row in self.rows)


def draw(evidence: Evidence) -> Drawing | None:
    """Draw `build_model()`'s network, or the first public network of the probes.

    Returns:
        None where there is no network to draw.
    """
    public = [n for n in evidence.of("build_densenet") if n.probe and not n.probe.hidden]
    candidates = [*([evidence.model] if evidence.model is not None else []), *public]
    for network in candidates:
        if network.graph is not None and network.readings["inference"].blocks:
            return draw_network(network)
    return None


def draw_network(network: Network) -> Drawing:
    """Draw one network that was read."""
    reading = network.readings["inference"]
    configuration = (
        configuration_of(network.probe) if network.probe is not None else network.configuration
    )
    rows = [*_Rows(network, reading, configuration).all()]
    title = "DenseNet" if configuration is None else _title(configuration)
    return Drawing(title, network.name, tuple(_folded(rows)))


class _Rows:
    """Makes the rows of one network."""

    def __init__(
        self, network: Network, reading: Reading, configuration: paper.Configuration | None
    ) -> None:
        self.reading = reading
        self.configuration = configuration
        c = configuration
        expected = Expected(
            c.growth_rate if c else None,
            c.num_layers if c else None,
            c.compression if c else None,
            c.bottleneck if c else True,
        )
        record = network.record
        self.judge = Judge(reading, expected, tuple(record.variables) if record else ())
        self.notes: dict[str, list[str]] = {}
        for item in network.deviations:
            if item.finding.severity != "deviation":
                continue
            for place in item.places or (item.finding.where,):
                self.notes.setdefault(_row_of(place), []).append(item.finding.message)

    def all(self) -> Iterable[Row]:
        """From the stem to the head, then what has no place."""
        yield self._row("stem", self._paper_stem(), _together(map(self._bare, self.reading.stem)))
        count = max(3, len(self.reading.blocks))
        for i in range(count):
            block = self.reading.blocks[i] if i < len(self.reading.blocks) else None
            yield from self._block(i + 1, block)
            if i < count - 1:
                yield self._transition(i)
        yield self._head()
        known = {"stem", "head"}
        for place, notes in self.notes.items():
            if place not in known and not place.startswith(("block", "transition")):
                yield Row(place, "", "", True, tuple(dict.fromkeys(notes)))

    def _row(self, part: str, wanted: str, given: str, same: bool | None = None) -> Row:
        notes = tuple(dict.fromkeys(self.notes.get(part, ())))
        alike = wanted == given if same is None else same
        return Row(part, wanted, given, bool(notes) or not alike, notes)

    def _bare(self, node: Node) -> str:
        behind = self.judge.own_steps(node, ())
        extra = tuple(w for w in behind if w.kind not in ("bias", "dropout"))
        text = f"{size_text(node)}, {node.channels} maps"
        return text + (f" → {spell(extra)}" if extra else "")

    def _before(self, node: Node) -> str:
        """The steps in front of a convolution that most of its inputs have."""
        rests = [spell(rest) for _, rest in self.judge.rests(node)]
        usual = Counter(rests).most_common(1)[0][0] if rests else ""
        return "" if usual in ("", "nothing in between") else f"{usual} → "

    # --- the parts ---

    def _paper_stem(self) -> str:
        width = self.configuration.stem if self.configuration else 16
        given = sum(n.channels for n in self.reading.stem)
        accepted = {width, 16}
        if self.configuration is not None:
            accepted.add(2 * self.configuration.growth_rate)
        return paper_stem(given if given in accepted else width)

    def _block(self, number: int, block: Block | None) -> Iterable[Row]:
        layers = block.layers if block is not None else ()
        wanted = self.configuration.num_layers if self.configuration else len(layers)
        for i in range(max(wanted, len(layers))):
            part = f"block {number}, layer {i + 1}"
            text = paper_layer(self.configuration) if i < wanted else "no such layer"
            if block is None or i >= len(layers):
                yield self._row(part, text, MISSING)
                continue
            yield self._row(part, text, self._layer(layers[i], block, i))
        rest = self.notes.get(f"block {number}")
        if rest:
            yield Row(f"block {number}", "", "", True, tuple(dict.fromkeys(rest)))

    def _layer(self, unit: Unit, block: Block, position: int) -> str:
        parts = [self._before(n) + self._bare(n) for n in unit.convolutions]
        return " → ".join([self._receives(unit, block, position), *parts])

    def _receives(self, unit: Unit, block: Block, position: int) -> str:
        """Which of the block's input and the earlier layers reach a layer, and how much of them."""
        known = {n.index: (block.entry.label, n.channels) for n in block.entry.nodes}
        for number, layer in enumerate(block.layers[:position], 1):
            known[layer.last.index] = f"layer {number}", layer.last.channels
        taken: dict[int, list[int]] = {}
        for segment in (s for v in unit.first.inputs for s in v.segments):
            taken.setdefault(segment.node, []).extend(range(segment.start, segment.stop))
        lacking, parts, doubled = [], [], []
        for index, (label, width) in known.items():
            maps = taken.get(index, [])
            if not maps:
                lacking.append(label)
            elif len(set(maps)) < width:
                parts.append(label)
            elif len(maps) > width:
                doubled.append(label)
        strange = [self.judge.label(i) for i in sorted(sources(unit.first)) if i not in known]
        said = (
            ("not ", lacking),
            ("only part of ", parts),
            ("twice ", doubled),
            ("also ", strange),
        )
        words = [start + ", ".join(dict.fromkeys(names)) for start, names in said if names]
        return f"maps before it ({'; '.join(words)})" if words else "all maps before it"

    def _transition(self, i: int) -> Row:
        part = f"transition {i + 1}"
        unit = self.reading.transitions[i] if i < len(self.reading.transitions) else None
        width = sum(s.width for s in unit.entry.segments) if unit is not None else 0
        c = self.configuration
        wanted = paper_transition(
            paper.compressed(width, c.compression) if c is not None and width else 0
        )
        if unit is None:
            return self._row(part, wanted, MISSING)
        node = unit.last
        behind = tuple(
            w for w in self.judge.own_steps(node, ("pool",)) if w.kind not in ("bias", "dropout")
        )
        given = f"{self._before(node)}{size_text(node)}, {node.channels} maps"
        given += f" → {spell(behind)}" if behind else ""
        noted = bool(self.notes.get(part))
        # The same function in another order, or without the ReLU, has no note: it is right.
        return self._row(part, wanted, given, same=not noted)

    def _head(self) -> Row:
        unit = self.reading.classifier
        classes = unit.last.channels if unit is not None else 10
        wanted = paper_head(classes)
        if unit is None:
            return self._row("head", wanted, MISSING)
        given = f"{self._pooled(unit.last)}{size_text(unit.last)}, {classes} classes"
        return self._row("head", wanted, given, same=not self.notes.get("head"))

    def _pooled(self, node: Node) -> str:
        """The steps in front of the classifier; pooling of the whole map by its name."""
        before = self._before(node)
        layers = [u.last for b in self.reading.blocks for u in b.layers]
        for word in self.judge.rests(node)[0][1][-1:] if layers else ():
            if is_global(word, layers[-1].height, layers[-1].width):
                before = before.replace(word.text, "global average pooling")
        return before


# --- the paper's own --------------------------------------------------------------------------


def draw_paper(configuration: paper.Configuration, classes: int = 10) -> Drawing:
    """A network as the paper has it, with nothing beside it."""
    c = configuration
    rows = [Row("stem", paper_stem(c.stem), "")]
    for number in range(1, 4):
        layers = range(1, c.num_layers + 1)
        rows += [Row(f"block {number}, layer {i}", paper_layer(c), "") for i in layers]
        if number < 3:
            kept = paper.compressed(c.channels_after(number), c.compression)
            rows.append(Row(f"transition {number}", paper_transition(kept), ""))
    rows.append(Row("head", paper_head(classes), ""))
    return Drawing(_title(c), "", tuple(_folded(rows)))


def draw_links(configuration: paper.Configuration) -> str:
    """Who receives what within the first dense block, as a table of text."""
    c = configuration
    sources = ["input", *(f"layer {i}" for i in range(1, c.num_layers + 1))]
    widths = [c.stem, *[c.growth_rate] * c.num_layers]
    lines = ["           " + "  ".join(f"{name:^7}" for name in sources) + "  maps it receives"]
    for count, name in enumerate([*sources[1:], "the output"], 1):
        links = "  ".join(f"{'●' if i < count else '·':^7}" for i in range(len(sources)))
        total = " + ".join(map(str, widths[:count])) + f" = {sum(widths[:count])}"
        lines.append(f"{name:<11}{links}  {total if count > 1 else widths[0]}")
    return "\n".join(lines)


def paper_stem(maps: int) -> str:
    """The first convolution in words."""
    return f"3×3 convolution, {maps} maps"


def paper_layer(configuration: paper.Configuration | None) -> str:
    """A dense layer in words."""
    k = configuration.growth_rate if configuration else 0
    text = f"BN → ReLU → 3×3 convolution, {k} maps"
    if configuration is not None and configuration.bottleneck:
        text = f"BN → ReLU → 1×1 convolution, {4 * k} maps → " + text
    return f"all maps before it → {text}"


def paper_transition(kept: int) -> str:
    """A transition in words; 0 for a number of maps that is not known."""
    maps = f", {kept} maps" if kept else ""
    return f"BN → ReLU → 1×1 convolution{maps} → 2×2 average pooling"


def paper_head(classes: int) -> str:
    """What stands behind the last block in words."""
    return f"BN → ReLU → global average pooling → fully connected layer, {classes} classes"


def _title(c: paper.Configuration) -> str:
    kind = "DenseNet-" + ("B" if c.bottleneck else "") + ("C" if c.compression < 1 else "")
    return f"{kind.rstrip('-')}, L = {c.depth}, k = {c.growth_rate}, θ = {c.compression:g}"


def _row_of(place: str) -> str:
    """The row of a place: "block 1, its output to transition 1" is shown where it arrives."""
    arrival = place.rpartition(", its output to ")[2].removeprefix("the ")
    return arrival.removeprefix("stem and ")


def _together(texts: Iterable[str]) -> str:
    return " beside ".join(texts) or MISSING


def _folded(rows: Sequence[Row]) -> list[Row]:
    """Neighbouring layers of one block that are alike become one row."""
    folded: list[Row] = []
    runs: list[list[str]] = []
    for row in rows:
        before = folded[-1] if folded else None
        alike = (
            before is not None
            and ", layer" in row.part
            and row.part.split(", layer")[0] == runs[-1][0].split(", layer")[0]
            and replace(row, part="") == replace(before, part="")
        )
        if alike:
            runs[-1].append(row.part)
            continue
        folded.append(row)
        runs.append([row.part])
    return [
        replace(row, part=f"{run[0].replace('layer', 'layers')} to {run[-1].rsplit(' ', 1)[1]}")
        if len(run) > 1
        else row
        for row, run in zip(folded, runs, strict=True)
    ]
