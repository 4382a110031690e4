"""Everything a submission's trace says, judged: what the checks read their verdicts from.

Pure: frames in, evidence out. Each probe is parsed, canonicalised, read and compared with the
paper in each mode. What two probes both show is said once, by the first that showed it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

from grader import paper
from grader.domain import Finding
from grader.errors import Cause, StageFailed
from grader.graph import preprocess, proof, rules, work
from grader.graph.averages import follows_batch
from grader.graph.axes import with_wrong_axis
from grader.graph.canonical import Affine, Graph, Part
from grader.graph.compare import Subject
from grader.graph.counts import Counted, count, used_variables
from grader.graph.densenet import (
    Reading,
    Source,
    most_common,
    read_block,
    read_network,
    read_transition,
)
from grader.graph.judged import ALONG, SECOND_HEAD, judged, without_augmentation
from grader.graph.probes import Probe, python_line
from grader.graph.read.reader import canonicalise
from grader.graph.record import (
    FailureRecord,
    ModuleRecord,
    NetworkRecord,
    Trace,
    VariableRecord,
    check_graph,
    parse_module,
    parse_network,
)
from grader.graph.rules import Deviation, Expected, Judge


@dataclass(frozen=True)
class Network:
    """One traced network, or function of a probe, read in every mode.

    Attributes:
        probe: What was asked; None for `build_model()`.
        failure: Why there is nothing to read.
        traces: By mode.
        readings: By mode.
        deviations: Found in any mode, the first cause first.
        counted: Its parameters.
        output_shape: Of the inference trace, None where unknown.
        record: As it came.
        program: What `preprocess` does before it, where that is more than scaling.
        configuration: Of `build_model()`, as read off it.
        reached: False where the stage ended in an earlier call: this one was never made.
        graphs: The canonical graphs by mode; the readings are of how they are judged.
    """

    probe: Probe | None
    failure: FailureRecord | None
    traces: Mapping[str, Trace] = field(default_factory=dict)
    readings: Mapping[str, Reading] = field(default_factory=dict)
    deviations: tuple[Deviation, ...] = ()
    counted: Counted | None = None
    output_shape: tuple[int, ...] | None = None
    record: NetworkRecord | None = None
    configuration: paper.Configuration | None = None
    program: preprocess.Program | None = None
    reached: bool = True
    graphs: Mapping[str, Graph] = field(default_factory=dict)

    @property
    def graph(self) -> Graph | None:
        """The canonical graph in inference."""
        return self.graphs.get("inference")

    @property
    def name(self) -> str:
        """The function it came from."""
        return "build_model" if self.probe is None else self.probe.function


@dataclass(frozen=True)
class Compared:
    """A network of the submission, and the reference it should compute.

    Attributes:
        function: The student's, as FILE.py:FUNCTION.
        asked: What it was called with, for messages.
        reference: The reference's network; None where this machine does not have it.
        mine: The student's; None where there is none.
        failure: Why there is none.
    """

    function: str
    asked: str
    reference: Subject | None
    mine: Subject | None = None
    failure: FailureRecord | None = None


@dataclass(frozen=True)
class Evidence:
    """What the checks read.

    Attributes:
        module: How the import went and which functions there are; None where nothing arrived.
        networks: The probes' answers in the order they were asked.
        model: `build_model()`'s.
        cause: How the stage ended, where it did not end well.
        message: The same for a person.
        compared: Check name → what it compares with a reference.
        stood_in: The function in which the stage ended; "" where it did not end in one.
        unproved: Why a person has to look: what the grader read is not what was traced. "" where
            every reading is proved.
    """

    module: ModuleRecord | None
    networks: tuple[Network, ...]
    model: Network | None
    cause: Cause | None = None
    message: str = ""
    compared: Mapping[str, Compared] = field(default_factory=dict)
    stood_in: str = ""
    unproved: str = ""

    def of(self, function: str) -> list[Network]:
        """The probes of one function."""
        return [n for n in self.networks if n.name == function]

    @cached_property
    def deviations(self) -> tuple[tuple[Network, Deviation], ...]:
        """All deviations, each kind said once: by the smallest thing that shows it."""
        seen: dict[str, object] = {}
        kept = []
        everything = [*self.networks, *([self.model] if self.model is not None else [])]
        for network in everything:
            for item in network.deviations:
                key = rules.kind_of(item)
                if seen.setdefault(key, network) is network:
                    kept.append((network, item))
        return tuple(kept)


def assemble(
    json_frames: Mapping[str, bytes],
    binary_frames: Mapping[str, bytes],
    probes: list[Probe],
    cause: Cause | None = None,
    message: str = "",
) -> Evidence:
    """Judge all that a run brought.

    Args:
        json_frames: Payloads by frame name.
        binary_frames: Payloads by frame name.
        probes: What was asked, in order.
        cause: How the stage ended, where not well.
        message: The same for a person.
    """
    module = None
    if "module" in json_frames:
        try:
            module = parse_module(json_frames["module"])
        except StageFailed as problem:  # spoiled by the student's program: that earns nothing
            cause, message = cause or problem.cause, message or problem.message

    ended = cause in ENDED and "module" in json_frames
    open_calls = [p.id for p in probes if "probe:" + p.id not in json_frames] if ended else []

    def read(probe: Probe | None, name: str) -> Network:
        data = json_frames.get("model" if probe is None else "probe:" + name)
        if data is None:
            reached = name in open_calls[:1] or not open_calls
            return Network(probe, no_answer(cause, message), reached=reached)
        return _network(probe, data, binary_frames.get("constants:" + name, b""))

    try:
        with work.limited():
            networks = tuple(read(probe, probe.id) for probe in probes)
            asked = "model" in json_frames or (ended and not open_calls)
            model = read(None, "model") if asked else None
    except _Forged as problem:
        failure = no_answer(problem.cause, problem.message)
        networks, model = tuple(Network(probe, failure) for probe in probes), None
        cause, message = problem.cause, problem.message
    stood = next((n.name for n in networks if n.probe and n.probe.id in open_calls[:1]), "")
    everything = networks if model is None else (*networks, model)
    unproved = _first_unproved(everything)
    return Evidence(module, networks, model, cause, message, stood_in=stood, unproved=unproved)


def _first_unproved(networks: Iterable[Network]) -> str:
    """What is not proved of some readings, for a person; "" where all are."""
    found = ""
    with proof.limited():
        for network in networks:
            for mode, trace in network.traces.items():
                graph = network.graphs[mode]
                found = found or _unproved(network.name, mode, trace, graph)
                graph.tensors.clear()  # nobody else asks what each op was read as
    return found


def _unproved(name: str, mode: str, trace: Trace, graph: Graph) -> str:
    reason = proof.why_not_proved(trace, graph)
    if reason is None:
        return ""
    return (
        f"the grader is not sure that it read {name} in {mode} right: {reason}. That is a fault of"
        " the grader, not of the submission. A person has to grade this, and the authors would"
        " like to see the submission."
    )


def read_subject(data: bytes, constants: bytes) -> Subject | FailureRecord:
    """A network as canonical graphs, both modes of it, or why it cannot be had.

    Args:
        data: Its record, as the sandbox sent it.
        constants: The binary frame that its large constants lie in.
    """
    try:
        with work.limited():
            record = parse_network(data)
            if record.failure is not None:
                return record.failure
            traces: dict[str, Trace] = {
                mode: check_graph(graph, record.variables, constants)
                for mode, graph in record.graphs.items()
            }
            graphs: dict[str, Graph] = {mode: canonicalise(trace) for mode, trace in traces.items()}
        # What was asked for and did not come is no pass: both modes are compared.
        for mode in MODEL_MODES:
            if mode not in graphs:
                raise StageFailed(Cause.STUDENT_BAD_OUTPUT, f"the {mode} graph is missing")
    except StageFailed as problem:
        return FailureRecord(type=str(problem.cause), message=problem.message[:600], where="")
    with proof.limited():
        found = [_unproved("the network", mode, traces[mode], graphs[mode]) for mode in graphs]
    return Subject(graphs, tuple(record.variables), next(filter(None, found), ""))


ENDED = {
    Cause.STUDENT_TIMEOUT, Cause.STUDENT_CPU_LIMIT, Cause.STUDENT_OUT_OF_MEMORY,
    Cause.STUDENT_EXITED, Cause.STUDENT_PROCESS_LIMIT, Cause.STUDENT_DISK_LIMIT,
}  # fmt: skip
"""Ends that come in the midst of a call: the first one without an answer."""


def no_answer(cause: Cause | None, message: str) -> FailureRecord:
    """Why a probe has no answer, where the stage ended before it."""
    text = message or "the program ended before it had answered"
    return FailureRecord(type=str(cause or Cause.STUDENT_EXITED), message=text[:600], where="")


MODEL_MODES = ("inference", "training")
"""The calls of `build_model()` that are traced."""


def _network(probe: Probe | None, data: bytes, constants: bytes) -> Network:
    try:
        return _described(probe, data, constants)
    except _Forged:
        raise
    except StageFailed as problem:
        failure = FailureRecord(type=str(problem.cause), message=problem.message[:600], where="")
        return Network(probe, failure)


def _described(probe: Probe | None, data: bytes, constants: bytes) -> Network:
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
    _refuse_another_question(probe, traces)
    if probe is not None:
        return _read(probe, record, traces)
    networks, program = preprocess.split(traces)
    return replace(_read(None, record, networks), program=program)


class _Forged(StageFailed):
    """No program that was only called and traced gives this."""


def _refuse_another_question(probe: Probe | None, traces: Mapping[str, Trace]) -> None:
    """Frames of another submission's run describe right networks, for other inputs.

    The input is made by the program that traces, never by the student's functions: where it is of
    another size, somebody else has answered, and no answer of this run counts.
    """
    asked = (32, 32, 3) if probe is None else probe.input_shape
    for trace in traces.values():
        shapes = [trace.ops[node].outputs[0][1] for node in trace.inputs if trace.ops[node].outputs]
        if [shape and shape[1:] for shape in shapes] != [asked]:
            raise _Forged(
                Cause.STUDENT_BAD_OUTPUT, "the program gave the answer to another question"
            )


def _read(probe: Probe | None, record: NetworkRecord, traces: dict[str, Trace]) -> Network:
    readings: dict[str, Reading] = {}
    found: list[Deviation] = []
    configuration = None
    canonical: dict[str, Graph] = {}
    for mode in ("inference", "training"):
        if mode not in traces:
            continue
        canonical[mode] = canonicalise(traces[mode])
        graph = judged(canonical[mode], traces[mode].variables)
        if mode == "training":
            graph = without_augmentation(graph, readings["inference"].stem)
        if probe is None:
            reading, expected, configuration = _read_model(graph, mode, configuration)
        else:
            reading, expected = _read_probe(probe, graph, mode)
        readings[mode] = reading
        judge = Judge(reading, expected, traces[mode].variables)
        _apply_rules(judge, probe)
        judge.random()
        own = rules.first_causes(judge.found)
        if mode == "inference":
            found += own
        else:
            found += _only_here(own, found)
    inference = readings["inference"]
    found += _updates(inference, readings.get("training"), traces["inference"].variables)
    found += _another_end(inference, readings.get("training"))
    function = "build_model" if probe is None else probe.function
    found = _without_consequences(found)
    if not any(ALONG in d.finding.received for d in found):
        found = with_wrong_axis(found, traces["inference"], function)
    classifier = inference.classifier.last.index if inference.classifier is not None else None
    used = used_variables(canonical["inference"])
    counted = count(inference, traces["inference"].variables, used, classifier)
    node, output = traces["inference"].outputs[0] if traces["inference"].outputs else (0, 0)
    shape = (
        traces["inference"].ops[node].outputs[output][1] if traces["inference"].outputs else None
    )
    return Network(
        probe, None, traces, readings, tuple(found), counted, shape, record, configuration,
        graphs=canonical,
    )  # fmt: skip


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


def _apply_rules(judge: Judge, probe: Probe | None) -> None:
    reading = judge.reading
    for trouble in reading.graph.trouble:
        if trouble == SECOND_HEAD:
            judge.say(
                "head", "head", "what the network gives", "the answer of one classifier", trouble,
                rules.DETAILS, "One Dense layer stands at the end, behind the last block.",
            )  # fmt: skip
            continue
        judge.say(
            "foreign-ops", "build_model" if probe is None else probe.function, "what it gives",
            "one tensor that depends on its input", trouble, rules.DETAILS,
        )  # fmt: skip
    if probe is not None and probe.block is not None:
        rules.judge_block(judge, reading.blocks[0], "dense_block")
    elif probe is not None and probe.transition is not None:
        entry = Source("its input", (judge.graph.nodes[0],)) if judge.graph.nodes else None
        known = [entry] if entry is not None else []
        unit = reading.transitions[0]
        rules.judge_transition(judge, unit, "transition", known, judge.expected.compression)
        if len(reading.transitions) > 1:
            judge.say(
                "transition-layer", "transition", "its convolutions", 1, len(reading.transitions),
                rules.POOLING,
            )  # fmt: skip
    else:
        rules.judge_network(judge)
        return
    rules.judge_odd(judge)
    judge.kernels()
    judge.norms()


def _only_here(own: list[Deviation], known: list[Deviation]) -> list[Deviation]:
    """What training shows beyond inference: a behaviour that differs by mode."""
    kinds = {rules.kind_of(d) for d in known}
    fresh = []
    for item in own:
        if rules.kind_of(item) in kinds:
            continue
        if item.finding.severity == "remark":
            fresh += [item] if item.check == "training-behaviour" else []
            continue
        if item.check == "own-weights":
            # Weights are shared in every mode; batch norms that share show it in this one only.
            fresh.append(item)
            continue
        said = {
            key: f"when called with training=True: {getattr(item.finding, key)}"
            for key in ("message", "what")
        }
        finding = item.finding.model_copy(update=said)
        fresh.append(replace(item, check="training-behaviour", finding=finding))
    return fresh


def _without_consequences(found: list[Deviation]) -> list[Deviation]:
    """What says it all: a frozen batch norm is one in inference mode; another axis has others."""
    if any(ALONG in d.finding.received for d in found):
        found = [d for d in found if d.check != "training-behaviour"]
    frozen = {d.finding.where for d in found if d.finding.received == rules.FROZEN}
    follows = {"moving averages", "never updated"}
    return [d for d in found if d.finding.where not in frozen or d.finding.received not in follows]


def _another_end(inference: Reading, training: Reading | None) -> list[Deviation]:
    """Probabilities in one mode and logits in the other: the same answer, and a trap for a loss."""

    def ends(reading: Reading) -> str:
        segments = reading.graph.output.segments if reading.graph.output is not None else ()
        last = {reading.graph.nodes[s.node].kind for s in segments}
        return "a softmax" if last == {"softmax"} else "logits"

    node = inference.classifier.last if inference.classifier is not None else None
    if training is None or node is None or training.classifier is None:
        return []
    if ends(inference) == ends(training):
        return []
    return [
        rules.deviation(
            "training-behaviour",
            "head",
            "behind its classifier",
            "the same in both modes",
            f"{ends(training)} in training, {ends(inference)} at inference",
            rules.DETAILS,
            "No harm to the accuracy. The loss has to know: from_logits=True where it gets logits.",
            cause=node.index,
            severity="remark",
        )
    ]


def _rewritten(training: Reading, variables: tuple[VariableRecord, ...]) -> list[Deviation]:
    """Trained weights that the network overwrites by itself: spectral or weight normalisation."""
    found = []
    for node in training.graph.nodes:
        if node.index not in training.where:
            continue
        if any(i in training.graph.updates and variables[i].trainable for i in node.trained):
            found.append(
                rules.deviation(
                    "own-weights",
                    training.where[node.index],
                    f"the kernel of its {rules.size_text(node)} in training",
                    "changed by the optimizer only",
                    "overwritten by the network itself",
                    rules.DETAILS,
                    "Use a plain Conv2D; the paper does not normalise weights.",
                    cause=node.index,
                )
            )
    return found


def _updates(
    inference: Reading, training: Reading | None, variables: tuple[VariableRecord, ...]
) -> list[Deviation]:
    """Every moving average follows the batch in training, rests at inference; no weight moves."""
    if training is None:
        return []
    found = _rewritten(training, variables)
    measured = {_gains(part): (part, affine) for _, part, affine in _batch_norms(training)}
    for place, part, _ in _batch_norms(inference):
        if place == "stem":
            continue  # a normalisation of the image may be fixed
        expected, received = "updated in training", ""
        for role in ("mean", "variance"):
            index = part.role(role)
            if index is None:
                continue
            if index in inference.graph.updates:
                expected, received = "left alone at inference", "changed by every image"
            elif index not in training.graph.updates:
                received = "never updated"
            else:
                update, norm = training.graph.updates[index], measured.get(_gains(part))
                if norm is None or received:
                    continue
                if not follows_batch(update, index, role, *norm):
                    expected = f"moved towards the {role} of the batch in training"
                    received = "set to something else"
        if received:
            found.append(
                rules.deviation(
                    "training-behaviour",
                    place,
                    "the moving averages of its batch normalisation",
                    expected,
                    received,
                    rules.COMPOSITE,
                    "Pass `training` on to the layer, and do not freeze it."
                    if received == "never updated"
                    else "Use BatchNormalization, or update as it does: "
                    "average · momentum + batch · (1 - momentum), in training only.",
                    cause=_cause(inference, place),
                )
            )
    return rules.first_causes(found)


_SAID = ("message", "what", "expected", "received")


def _without_numbers(text: str) -> str:
    """A text about a hidden probe: the kernels stay, its own numbers do not."""
    return re.sub(r"(?<![×0-9])\b[0-9][0-9.]*\b(?!×)", "…", text)


def _batch_norms(reading: Reading) -> Iterator[tuple[str, Part, Affine]]:
    """Every batch norm that a convolution of the network receives, with its place."""
    from grader.graph.steps import words

    seen: set[tuple[str, Part]] = set()
    for node in reading.graph.nodes:
        place = reading.where.get(node.index)
        segments = [s for v in node.inputs for s in v.segments] if place is not None else []
        for word in (w for s in segments for w in words(s)):
            part, affine = word.part, word.step.affine
            if word.kind != "BN" or part is None or affine is None or place is None:
                continue
            if (place, part) not in seen:
                seen.add((place, part))
                yield place, part, affine


def _gains(part: Part) -> tuple[int | None, int | None]:
    """What tells a batch norm in both modes: its trained scale and offset."""
    return part.role("gamma"), part.role("beta")


def _cause(reading: Reading, place: str) -> int:
    return min(index for index, where in reading.where.items() if where == place)


def finding_for_student(network: Network, item: Deviation) -> Finding:
    """A finding with its call; one of a hidden probe says what kind of mistake, no numbers."""
    if network.probe is None or not network.probe.hidden:
        return of_call(network, item.finding)
    if item.finding.severity == "remark":
        shown = {key: _without_numbers(getattr(item.finding, key)) for key in _SAID}
        return item.finding.model_copy(update=shown)
    what = _without_numbers(item.finding.what or item.finding.message)
    hidden = item.finding.model_copy(
        update={
            "message": f"{what}: right on the public configurations, wrong on a hidden one",
            "what": what,
            "expected": "right for every configuration",
            "received": "wrong for a hidden one",
            "help": item.finding.help or EVERYWHERE,
        }
    )
    return of_call(network, hidden)


EVERYWHERE = "Use the arguments everywhere; nothing may be fixed to one configuration."


def of_call(network: Network, finding: Finding) -> Finding:
    """A finding that says which call shows it."""
    if network.probe is None:
        return finding.model_copy(update={"call": python_line("d.build_model()")})
    asked = {"asked": network.probe.asked(), "call": network.probe.command()}
    return finding.model_copy(update=asked)
