"""Networks that were read before: what computes the same is read, and proved, once.

A class hands in a few networks many times: attempts of one student, what the same template leads
to, the reference of every comparison. Two networks are the same here where their traces are, op by
op in every mode. Names are the students' own, and Keras goes on counting in them, so of names it
counts only which of them are alike; whoever gets a reading finds their own names in it.

Only a reading that was proved is kept. What reading and proof cost is counted again; what the rules
work out of it is not, so a submission at the limit of what may be read can have an easier way than
who came first, never a harder one.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from threading import Lock
from typing import Any

import numpy as np

from grader.errors import StageFailed
from grader.graph import proof, work
from grader.graph.canonical import Graph
from grader.graph.read.reader import canonicalise
from grader.graph.record import Op, Trace
from grader.graph.symbols import ASSIGNMENTS

MOST_BYTES = 2**27
"""Of all networks that are kept, as `_bytes` counts them; a third of it was seen to be in use."""


@dataclass
class Known:
    """A network in every mode that was traced.

    Attributes:
        traces: By mode.
        graphs: By mode: what they are read as.
        key: Equal for networks that compute the same, op by op.
        names: The names of its ops, each once, in order.
        reading: What it cost to read.
        proving: What it cost to prove; None where it is not proved.
    """

    traces: Mapping[str, Trace]
    graphs: dict[str, Graph]
    key: str
    names: tuple[str, ...]
    reading: work.Cost
    proving: work.Cost | None = None

    def forget(self) -> None:
        """Forget what each op was read as: after the proof, nobody asks."""
        for graph in self.graphs.values():
            graph.tensors.clear()


def read_once(traces: Mapping[str, Trace]) -> Known:
    """Read a network, or remember how the same was read.

    Args:
        traces: By mode.

    Raises:
        StageFailed: STUDENT_BAD_OUTPUT, as `canonicalise`.
    """
    key, names = _key(traces)
    with work.limited() as running:
        same = KEPT.get(key)
        if same is not None:
            work.charge(same.reading)
            return _under(names, same, traces)
        before = running.cost()
        graphs = {mode: canonicalise(trace) for mode, trace in traces.items()}
        return Known(traces, graphs, key, names, running.cost() - before)


def why_not_proved(network: Known) -> tuple[str, str] | None:
    """The first mode whose reading is not proved, and why; None where all are: then it is kept."""
    with proof.limited() as running:
        if network.proving is not None:
            return _charged(network)
        before = running.cost()
        for mode, graph in network.graphs.items():
            reason = proof.why_not_proved(network.traces[mode], graph)
            if reason is not None:
                return mode, reason
        network.proving = running.cost() - before
    network.forget()
    KEPT.put(network)
    return None


def _charged(network: Known) -> tuple[str, str] | None:
    """What `why_not_proved` says of a network that was proved before: nothing, while it may."""
    assert network.proving is not None
    try:
        work.charge(network.proving)
    except StageFailed:
        return next(iter(network.graphs)), proof.TOO_MUCH_WORK
    return None


def _under(names: tuple[str, ...], same: Known, traces: Mapping[str, Trace]) -> Known:
    """A reading that is kept, for another network that computes the same."""
    mine = dict(zip(same.names, names, strict=True))
    graphs = {
        mode: Graph(
            [replace(node, name=mine.get(node.name, "")) for node in graph.nodes],
            graph.output,
            dict(graph.updates),
            list(graph.trouble),
        )
        for mode, graph in same.graphs.items()
    }
    return replace(same, traces=traces, graphs=graphs, names=names)


# --- which are the same ------------------------------------------------------------------------


def _key(traces: Mapping[str, Trace]) -> tuple[str, tuple[str, ...]]:
    """A key of all that a network computes, and the names in it."""
    names: dict[str, int] = {}
    content = hashlib.blake2b(digest_size=20)
    for mode, trace in traces.items():
        ends = (trace.inputs, trace.outputs, trace.updates, trace.entry)
        table = [(v.shape, v.dtype, v.trainable, v.owned) for v in trace.variables]
        content.update(repr((mode, len(trace.ops), ends, table)).encode())
        for op in trace.ops:
            content.update(repr(_content(op, names)).encode())
    return content.hexdigest(), tuple(names)


def _content(op: Op, names: dict[str, int]) -> tuple[object, ...]:
    """An op as it counts; its name by its number among all names."""
    work.spend_pieces(1)
    number = names.setdefault(op.name, len(names))
    # Their order is TensorFlow's chance.
    plain = sorted((name, _plain(value)) for name, value in op.attributes.items())
    return op.op, number, op.inputs, op.outputs, plain


def _plain(value: Any) -> object:
    """An attribute whose `repr` tells it from every other."""
    if not isinstance(value, np.ndarray):
        return value
    work.spend(value.size)
    content = hashlib.blake2b(np.ascontiguousarray(value).data, digest_size=20).hexdigest()
    return "array", str(value.dtype), value.shape, content


# --- which are kept ----------------------------------------------------------------------------


class Kept:
    """Proved networks, of which those go first that nobody asked for the longest."""

    def __init__(self) -> None:
        self._networks: OrderedDict[str, tuple[Known, int]] = OrderedDict()
        self._bytes = 0
        self._lock = Lock()

    def clear(self) -> None:
        """Forget them all."""
        with self._lock:
            self._networks.clear()
            self._bytes = 0

    def get(self, key: str) -> Known | None:
        """The network of a key, if it is kept."""
        with self._lock:
            if key not in self._networks:
                return None
            self._networks.move_to_end(key)
            return self._networks[key][0]

    def put(self, network: Known) -> None:
        """Keep a network; of its traces nothing is kept."""
        size = _bytes(network.traces)
        with self._lock:
            if network.key in self._networks or size > MOST_BYTES:
                return
            self._networks[network.key] = replace(network, traces={}), size
            self._bytes += size
            while self._bytes > MOST_BYTES:
                _, (_, oldest) = self._networks.popitem(last=False)
                self._bytes -= oldest


def _bytes(traces: Mapping[str, Trace]) -> int:
    """What a reading holds at most: its nodes, its constants, and what stood for its variables."""
    ops = [op for trace in traces.values() for op in trace.ops]
    constants = [a for op in ops for a in op.attributes.values() if isinstance(a, np.ndarray)]
    tables = [trace.variables for trace in traces.values()]
    numbers = sum(a.size for a in constants) + sum(v.size for table in tables for v in table)
    return 2000 * len(ops) + 8 * len(ASSIGNMENTS) * numbers


KEPT = Kept()
"""Of this process."""
