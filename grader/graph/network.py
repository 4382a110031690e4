"""One traced network, or one function's answer to a probe: read in every mode, and judged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from grader import paper
from grader.errors import Cause, StageFailed
from grader.graph import preprocess
from grader.graph.axes import with_wrong_axis
from grader.graph.canonical import Graph
from grader.graph.counts import Counted, count, used_variables
from grader.graph.densenet import most_common, read_block, read_network, read_transition
from grader.graph.judged import judged, without_augmentation
from grader.graph.known import Known, read_once
from grader.graph.probes import Probe
from grader.graph.reading import Reading
from grader.graph.record import (
    FailureRecord,
    NetworkRecord,
    Trace,
    VariableRecord,
    check_graph,
    parse_network,
)
from grader.graph.rules.apply import apply_rules
from grader.graph.rules.deviation import Deviation, first_causes
from grader.graph.rules.judge import Expected, Judge
from grader.graph.rules.modes import CHECK, another_end, only_here, updates, without_consequences
from grader.graph.skipped import with_skipped_norms

MODEL_MODES = ("inference", "training")
"""The calls of `build_model()` that are traced."""


@dataclass(frozen=True)
class Network:
    """One traced network, or function of a probe, read in every mode.

    Attributes:
        probe: What was asked; None for `build_model()`.
        failure: Why there is nothing to read.
        readings: By mode.
        deviations: Found in any mode, the first cause first.
        counted: Its parameters.
        output_shape: Of the inference trace, None where unknown.
        record: As it came.
        program: What `preprocess` does before it, where that is more than scaling.
        configuration: Of `build_model()`, as read off it.
        reached: False where the stage ended in an earlier call: this one was never made.
        known: Its traces and canonical graphs; the readings are of how those are judged.
        unread: The place of a batch norm whose moving averages move in a way that cannot be read,
            where points rest on it; "" where there is none.
    """

    probe: Probe | None
    failure: FailureRecord | None
    readings: Mapping[str, Reading] = field(default_factory=dict)
    deviations: tuple[Deviation, ...] = ()
    counted: Counted | None = None
    output_shape: tuple[int, ...] | None = None
    record: NetworkRecord | None = None
    configuration: paper.Configuration | None = None
    program: preprocess.Program | None = None
    reached: bool = True
    known: Known | None = None
    unread: str = ""

    @property
    def traces(self) -> Mapping[str, Trace]:
        """By mode."""
        return {} if self.known is None else self.known.traces

    @property
    def graph(self) -> Graph | None:
        """The canonical graph in inference."""
        return None if self.known is None else self.known.graphs.get("inference")

    @property
    def name(self) -> str:
        """The function it came from."""
        return "build_model" if self.probe is None else self.probe.function


def network_of(
    probe: Probe | None,
    data: bytes,
    constants: bytes,
    images: tuple[int, int, int] = (32, 32, 3),
) -> Network:
    """A network as its record says; a record that cannot be read is its failure.

    Args:
        probe: What was asked; None for `build_model()`.
        data: The record, as the sandbox sent it.
        constants: The binary frame that its large constants lie in.
        images: Height, width and channels of what `build_model()` was shown.

    Raises:
        Forged: It answers another question than the one that was asked.
    """
    try:
        return _described(probe, data, constants, images)
    except Forged:
        raise
    except StageFailed as problem:
        failure = FailureRecord(type=str(problem.cause), message=problem.message[:600], where="")
        return Network(probe, failure)


def _described(
    probe: Probe | None, data: bytes, constants: bytes, images: tuple[int, int, int]
) -> Network:
    record = parse_network(data)
    if record.failure is not None:
        return Network(probe, record.failure, record=record)
    traces: dict[str, Trace] = {
        mode: check_graph(graph, record.variables, constants)
        for mode, graph in record.graphs.items()
    }
    # What was asked for and did not come is no pass: the modes are compared below.
    asked = MODEL_MODES if probe is None else ("inference", *probe.modes)
    for mode in asked:
        if mode not in traces:
            raise StageFailed(Cause.STUDENT_BAD_OUTPUT, f"the {mode} graph is missing")
    _refuse_another_question(images if probe is None else probe.input_shape, traces)
    if probe is not None:
        return _read(probe, record, traces)
    networks, program = preprocess.split(traces)
    return replace(_read(None, record, networks), program=program)


class Forged(StageFailed):
    """No program that was only called and traced gives this."""


def _refuse_another_question(asked: Sequence[int], traces: Mapping[str, Trace]) -> None:
    """Frames of another submission's run describe right networks, for other inputs.

    The input is made by the program that traces, never by the student's functions: where it is of
    another size, somebody else has answered, and no answer of this run counts.
    """
    for trace in traces.values():
        shapes = [trace.ops[node].outputs[0][1] for node in trace.inputs if trace.ops[node].outputs]
        if [shape and shape[1:] for shape in shapes] != [tuple(asked)]:
            raise Forged(
                Cause.STUDENT_BAD_OUTPUT, "the program gave the answer to another question"
            )


def _read(probe: Probe | None, record: NetworkRecord, traces: dict[str, Trace]) -> Network:
    known = read_once({mode: traces[mode] for mode in MODEL_MODES if mode in traces})
    canonical = known.graphs
    variables = traces["inference"].variables
    view, skipped = _as_judged(canonical, variables)
    inference, expected, configuration = _reading(probe, view["inference"], "inference", None)
    readings = {"inference": inference}
    found = _deviations(probe, inference, expected, variables, skipped)
    if "training" in view:
        graph = without_augmentation(view["training"], inference.stem)
        training, expected, _ = _reading(probe, graph, "training", configuration)
        readings["training"] = training
        found += only_here(_deviations(probe, training, expected, variables), found)
    astray, unread = updates(inference, readings.get("training"), variables)
    found += [*astray, *another_end(inference, readings.get("training"))]
    function = "build_model" if probe is None else probe.function
    found = with_wrong_axis(without_consequences(found), traces["inference"], function)
    if any(d.check == CHECK and d.finding.severity == "deviation" for d in found):
        unread = ""  # no points rest on it
    return Network(
        probe, None, readings, tuple(found),
        counted=_counted(inference, canonical, view, variables, bool(skipped)),
        output_shape=_output_shape(traces["inference"]),
        record=record, configuration=configuration, known=known, unread=unread,
    )  # fmt: skip


def _as_judged(
    canonical: dict[str, Graph], variables: tuple[VariableRecord, ...]
) -> tuple[dict[str, Graph], frozenset[int]]:
    """The graphs that the rules look at, and the convolutions whose batch norm is training's."""
    view = {mode: judged(graph, variables) for mode, graph in canonical.items()}
    if "training" not in view:
        return view, frozenset()
    inference, skipped = with_skipped_norms(view["inference"], view["training"])
    return {**view, "inference": inference}, skipped


def _reading(
    probe: Probe | None, graph: Graph, mode: str, known: paper.Configuration | None
) -> tuple[Reading, Expected, paper.Configuration | None]:
    """A graph as read, what it should be, and the configuration where it is read off it."""
    if probe is None:
        return _read_model(graph, mode, known)
    return (*_read_probe(probe, graph, mode), None)


def _deviations(
    probe: Probe | None,
    reading: Reading,
    expected: Expected,
    variables: tuple[VariableRecord, ...],
    skipped: frozenset[int] = frozenset(),
) -> list[Deviation]:
    judge = Judge(reading, expected, variables, skipped)
    apply_rules(judge, probe)
    return first_causes(judge.found)


def _counted(
    inference: Reading,
    canonical: dict[str, Graph],
    view: dict[str, Graph],
    variables: tuple[VariableRecord, ...],
    skips: bool,
) -> Counted:
    """The parameters; those of batch norms that inference skips count all the same."""
    used, averages = used_variables(canonical["inference"]), frozenset[int]()
    if skips:
        used |= used_variables(view["inference"])
        averages = frozenset(view["training"].updates)
    classifier = inference.classifier.last.index if inference.classifier is not None else None
    return count(inference, variables, used, classifier, averages)


def _output_shape(trace: Trace) -> tuple[int, ...] | None:
    if not trace.outputs:
        return None
    node, output = trace.outputs[0]
    return trace.ops[node].outputs[output][1]


def _read_probe(probe: Probe, graph: Graph, mode: str) -> tuple[Reading, Expected]:
    training = mode == "training"
    if probe.block is not None:
        b = probe.block
        expected = Expected(b.growth_rate, b.num_layers, None, b.bottleneck, training=training)
        return read_block(graph, b.bottleneck), expected
    if probe.transition is not None:
        expected = Expected(None, None, probe.transition.compression, True, training=training)
        return read_transition(graph), expected
    n = probe.network
    assert n is not None
    configuration = configuration_of(probe)
    layers = configuration.num_layers
    expected = Expected(
        n.growth_rate,
        layers,
        n.compression,
        n.bottleneck,
        n.num_classes,
        accepted_stems(configuration),
        training,
    )
    return read_network(graph, layers, n.bottleneck), expected


def configuration_of(probe: Probe) -> paper.Configuration:
    """The network a probe of `build_densenet` asks for."""
    n = probe.network
    assert n is not None
    return paper.Configuration(
        n.depth, n.growth_rate, n.compression, n.bottleneck, n.num_classes, (n.size, n.size, 3)
    )


def accepted_stems(configuration: paper.Configuration) -> tuple[int, ...]:
    """2k or 16 maps: the paper's for BC and for the basic network; each is accepted in both."""
    own = configuration.stem
    return (own, 16 if own != 16 else 2 * configuration.growth_rate)


def _read_model(
    graph: Graph, mode: str, known: paper.Configuration | None
) -> tuple[Reading, Expected, paper.Configuration | None]:
    """`build_model()`: any DenseNet of the paper; which one is read off the network."""
    reading = read_network(graph, None, True)
    units = [u for b in reading.blocks for u in b.layers]
    pairs = sum(len(u.convolutions) == 2 for u in units)
    bottleneck = pairs * 2 > len(units)
    total = len(units) + len(reading.transitions)
    layers, rest = divmod(total - 2, 3)
    if not rest and layers > 0:
        reading = read_network(graph, layers, bottleneck)
        units = [u for b in reading.blocks for u in b.layers]
    sizes = [len(b.layers) for b in reading.blocks]
    num_layers = most_common(sizes)
    growth = most_common([u.last.channels for u in units])
    compression = _compression(reading)
    configuration = known
    stems: tuple[int, ...] = ()
    if growth and num_layers:
        stems = (2 * growth, 16) if bottleneck and compression != 1.0 else (16, 2 * growth)
        stem = sum(n.channels for n in reading.stem)
        if mode == "inference":
            per_layer = 6 if bottleneck else 3
            configuration = paper.Configuration(
                per_layer * num_layers + 4,
                growth,
                compression if compression is not None else 0.5,
                bottleneck,
                10,
                (graph.nodes[0].height, graph.nodes[0].width, graph.nodes[0].channels),
                stem if stem in stems else None,
            )
    expected = Expected(
        growth, num_layers, compression if compression is not None else 0.5, bottleneck, 10,
        stems, mode == "training",
    )  # fmt: skip
    return reading, expected, configuration


def _compression(reading: Reading) -> float | None:
    """θ with ⌊θm⌋ = m' in every transition, or None if there is none."""
    pairs = [
        (sum(s.width for s in t.entry.segments), t.last.channels)
        for t in reading.transitions
        if t is not None
    ]
    if not pairs:
        return None
    guesses = [0.5, 1.0, *[i / 20 for i in range(1, 20)], *[i / 100 for i in range(1, 100)]]
    for guess in guesses:
        if all(paper.compressed(m, guess) == kept for m, kept in pairs):
            return guess
    return None
