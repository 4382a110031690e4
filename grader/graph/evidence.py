"""Everything a submission's trace says, judged: what the checks read their verdicts from.

Pure: frames in, evidence out. Each probe is parsed, canonicalised, read and compared with the
paper in each mode. What two probes both show is said once, by the first that showed it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from grader.calls.called import Called
from grader.errors import Cause, StageFailed
from grader.graph import proof, work
from grader.graph.averages import Follows, answers
from grader.graph.compare import Subject
from grader.graph.known import Known, read_once, why_not_proved
from grader.graph.network import MODEL_MODES, Forged, Network, network_of
from grader.graph.probes import Probe
from grader.graph.record import (
    FailureRecord,
    ModuleRecord,
    Trace,
    check_graph,
    parse_module,
    parse_network,
)
from grader.graph.rules.deviation import Deviation, kind_of


@dataclass(frozen=True)
class NetworkAnswer:
    """What one call of the student's function gave.

    Attributes:
        asked: What it was called with, for messages.
        mine: The network; None where there is none.
        failure: Why there is none.
    """

    asked: str
    mine: Subject | None = None
    failure: FailureRecord | None = None


@dataclass(frozen=True)
class Accepted:
    """One reference: a network for each call.

    Attributes:
        title: What tells it from the other accepted ones.
        networks: In the order of the calls.
    """

    title: str
    networks: tuple[Subject, ...]


@dataclass(frozen=True)
class Compared:
    """A function of the submission, and the references of which it should compute one.

    Attributes:
        function: The student's, as FILE.py:FUNCTION, or FUNCTION alone.
        answers: What its calls gave.
        references: Those that are accepted; empty where this machine does not have them.
    """

    function: str
    answers: tuple[NetworkAnswer, ...]
    references: tuple[Accepted, ...]


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
        files: Name → bytes of the files that are read as data.
        called: Check name → the calls of a function, and what is right.
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
    files: Mapping[str, bytes] = field(default_factory=dict)
    called: Mapping[str, Called] = field(default_factory=dict)
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
                key = kind_of(item)
                if seen.setdefault(key, network) is network:
                    kept.append((network, item))
        return tuple(kept)


def assemble(
    json_frames: Mapping[str, bytes],
    binary_frames: Mapping[str, bytes],
    probes: list[Probe],
    cause: Cause | None = None,
    message: str = "",
    images: tuple[int, int, int] = (32, 32, 3),
) -> Evidence:
    """Judge all that a run brought.

    Args:
        json_frames: Payloads by frame name.
        binary_frames: Payloads by frame name.
        probes: What was asked, in order.
        cause: How the stage ended, where not well.
        message: The same for a person.
        images: Height, width and channels of what `build_model()` was shown.
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
        return network_of(probe, data, binary_frames.get("constants:" + name, b""), images)

    try:
        with work.limited():
            networks = tuple(read(probe, probe.id) for probe in probes)
            asked = "model" in json_frames or (ended and not open_calls)
            model = read(None, "model") if asked else None
    except Forged as problem:
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
            if network.known is not None:
                found = found or _unproved(network.name, network.known)
                network.known.forget()
            found = found or (_unread(network.name, network.unread) if network.unread else "")
    return found


def _unproved(name: str, network: Known) -> str:
    found = why_not_proved(network)
    if found is None:
        return ""
    mode, reason = found
    return (
        f"the grader is not sure that it read {name} in {mode} right: {reason}. That is a fault of"
        " the grader, not of the submission. A person has to grade this, and the authors would"
        " like to see the submission."
    )


def _unread(name: str, place: str) -> str:
    """Moving averages of which nobody knows whether they follow the batch, for a person."""
    return (
        f"the grader cannot read how {name} moves the averages of the batch normalisation"
        f" at {place}, so it does not know whether they follow the batch. A person has to"
        " look at that line, and to grade this."
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
            known = read_once(traces)
        # What was asked for and did not come is no pass: both modes are compared.
        for mode in MODEL_MODES:
            if mode not in known.graphs:
                raise StageFailed(Cause.STUDENT_BAD_OUTPUT, f"the {mode} graph is missing")
    except StageFailed as problem:
        return FailureRecord(type=str(problem.cause), message=problem.message[:600], where="")
    graphs = known.graphs
    with proof.limited():
        unproved = _unproved("the network", known)
        if Follows.UNREAD in answers(graphs["inference"], graphs["training"]).values():
            unproved = unproved or _unread("the network", "one of its layers")
    return Subject(
        graphs,
        tuple(record.variables),
        unproved,
        _shape_of(traces["inference"]),
        None if record.beside is None else dict(record.beside),
        record.layers,
    )


def _shape_of(trace: Trace) -> tuple[int, ...] | None:
    """The shape of a network's output, less the images."""
    if len(trace.outputs) != 1:
        return None
    op, output = trace.outputs[0]
    shape = trace.ops[op].outputs[output][1]
    return None if shape is None else shape[1:]


ENDED = {
    Cause.STUDENT_TIMEOUT, Cause.STUDENT_CPU_LIMIT, Cause.STUDENT_OUT_OF_MEMORY,
    Cause.STUDENT_EXITED, Cause.STUDENT_PROCESS_LIMIT, Cause.STUDENT_DISK_LIMIT,
}  # fmt: skip
"""Ends that come in the midst of a call: the first one without an answer."""


def no_answer(cause: Cause | None, message: str) -> FailureRecord:
    """Why a probe has no answer, where the stage ended before it."""
    text = message or "the program ended before it had answered"
    return FailureRecord(type=str(cause or Cause.STUDENT_EXITED), message=text[:600], where="")
