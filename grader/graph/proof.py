"""The reading, proved: the trace and what was read of it give the same for the same random numbers.

Property protected: no student's points rest on a misreading. Every op of the trace is computed in
NumPy, by `ops.py`, and the canonical graph beside it. Where the two differ the reader is wrong, and
that is our mistake, never the student's: a person has to grade.

The two are held against each other at each convolution and not only at the end. Where both give a
convolution the same numbers, the same kernel and the same window, its output is the same, and
random numbers stand for it on both sides. So no number fades on its way through a hundred layers,
each step is tried on its own, and no large convolution is computed. Where the reader used what a
convolution computes (a sum of two as one), the numbers then differ, and all is computed instead.

The random numbers of dropout are drawn once, by the op that draws them. The canonical graph takes
over which numbers were dropped, after they were seen to be dropped as it says.
"""

from __future__ import annotations

import math
from collections import defaultdict
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from grader.errors import StageFailed
from grader.graph import work
from grader.graph.beside import Beside, Disagreement, are_close
from grader.graph.canonical import Graph, Node, Noise, Value
from grader.graph.maps import channels_last, layout_of, places, sides_of
from grader.graph.numeric import IMPOSSIBLE, arranged, as_map
from grader.graph.ops import RANDOM, compute, typed
from grader.graph.program import MAX_ELEMENTS, needed
from grader.graph.read.layout import IMAGE_CHANNELS
from grader.graph.record import VARIABLES, Op, Trace, VariableRecord
from grader.graph.symbols import MAX_ELEMENTS as MAX_SYMBOL
from grader.graph.symbols import Symbol, Unreadable, allowed

Array = NDArray[Any]

PROOF_SHARE = 3
"""How much more than reading the proofs of one submission may cost at most. They read and make more
numbers than the reader does, and take less time for each."""
TOO_MUCH_WORK = "it takes too much work to be computed twice"
SEED = 20160825
CONVOLUTIONS = ("Conv2D", "DepthwiseConv2dNative")
WHOLE_NUMBERS = ("int", "uint")


def limited() -> AbstractContextManager[work.Work]:
    """Count the work of the proofs in the block."""
    return work.limited(PROOF_SHARE * work.LIMIT)


def why_not_proved(trace: Trace, graph: Graph) -> str | None:
    """Why a reading is not proved; None where the trace and the graph give the same numbers.

    Args:
        trace: As it was read.
        graph: What it was read as.
    """
    if graph.output is None:
        return None  # nothing was read that points could rest on
    reason = ""
    try:
        with limited(), np.errstate(all="ignore"):
            for exact in (False, True):
                try:
                    _Proof(trace, graph, exact).run()
                    return None
                except (Disagreement, Unreadable, *IMPOSSIBLE) as problem:
                    reason = str(problem) or type(problem).__name__
    except StageFailed:
        return TOO_MUCH_WORK
    return reason


class _Proof:
    """One run of a trace, and of its canonical graph beside it.

    Args:
        trace: As it was read.
        graph: What it was read as.
        exact: Whether every convolution is computed, in double precision.
    """

    def __init__(self, trace: Trace, graph: Graph, exact: bool) -> None:
        self.trace, self.graph, self.exact = trace, graph, exact
        self.floats = np.float64 if exact else np.float32
        self.random = np.random.default_rng(SEED)
        self.arrays = [self._variable(v) for v in trace.variables]
        self.inputs = frozenset(trace.inputs)
        self.needed = needed(graph, graph.output) if graph.output is not None else set()
        self.tensors: dict[tuple[int, int], Array | None] = {}
        self.assigned: dict[int, Array | None] = {}
        self.read = Beside(graph, self.arrays, _images(trace), self.floats)
        self.last_use = _last_uses(trace)
        self.alive = 0

    def run(self) -> None:
        """Compute both.

        Raises:
            Disagreement: They differ.
            Unreadable: One of them cannot be computed.
        """
        for position, op in enumerate(self.trace.ops):
            arrays = self._results(position, op)
            for output, (dtype, _) in enumerate(op.outputs):
                array = arrays[output] if output < len(arrays) else None
                array = None if array is None else typed(array, dtype, self.floats)
                self._keep((position, output), self._settled((position, output), op, array))
            for used in self.last_use.get(position, ()):
                gone = self.tensors.pop(used, None)
                self.alive -= 0 if gone is None else gone.size
        self._outputs_agree()
        self._updates_agree()

    def _keep(self, at: tuple[int, int], array: Array | None) -> None:
        self.tensors[at] = array
        self.alive += 0 if array is None else array.size
        if self.alive > MAX_ELEMENTS:
            raise Unreadable("a network too large to be computed twice")

    # --- the trace ---

    def _results(self, position: int, op: Op) -> list[Array | None]:
        """What an op gives; None for what is not known to be computed."""
        if op.op == "Placeholder" or position in self.inputs:
            return [self._image(op)]
        if op.op in VARIABLES:
            index = op.attributes.get("variable")
            return [None if index is None else self.arrays[index]]
        if op.op in RANDOM:
            return [self._drawn(op, dtype, shape) for dtype, shape in op.outputs]
        arguments = [self.tensors.get(at) for at in op.inputs]
        if op.op.startswith("Assign"):
            self._assign(op, arguments)
            return []
        if any(a is None for a in arguments):
            return []
        known = [a for a in arguments if a is not None]
        if op.op in CONVOLUTIONS and not self.exact:
            same = self._same_convolution(position, op, known)
            if same is not None:
                return [same]
        try:
            return [*compute(op, known)]
        except (Unreadable, *IMPOSSIBLE):
            return []

    def _variable(self, record: VariableRecord) -> Array:
        """Random numbers of a size that keeps maps near 1 where all is computed."""
        shape = tuple(record.shape)
        allowed(shape)
        if record.dtype.startswith(WHOLE_NUMBERS) or record.dtype == "bool":
            return self.random.integers(0, 2, shape).astype(record.dtype)
        if len(shape) < 2:
            return self.random.uniform(0.5, 1.5, shape).astype(self.floats)
        spread = 1 / math.sqrt(max(math.prod(shape[:-1]), 1))
        return self._spread(shape) * self.floats(spread)

    def _spread(self, shape: tuple[int, ...]) -> Array:
        """Random numbers of mean 0 and deviation 1 (evenly spread: those are drawn fastest)."""
        drawn = self.random.random(allowed(shape), self.floats)
        return (drawn - self.floats(0.5)) * self.floats(math.sqrt(12))

    def _image(self, op: Op) -> Array | None:
        dtype, shape = op.outputs[0]
        if shape is None or -1 in shape:
            return None
        if shape[-1:] and shape[-1] > IMAGE_CHANNELS and not dtype.startswith(WHOLE_NUMBERS):
            return self._spread(shape)
        work.spend(4 * math.prod(shape))
        return self.random.integers(0, 256, allowed(shape))

    def _drawn(self, op: Op, dtype: str, shape: tuple[int, ...] | None) -> Array | None:
        if shape is None or -1 in shape:
            return None
        if dtype.startswith(WHOLE_NUMBERS):
            return np.zeros(allowed(shape))
        if "Uniform" in op.op:
            work.spend(4 * math.prod(shape))
            return self.random.random(allowed(shape), self.floats)
        return self._spread(shape)

    def _assign(self, op: Op, arguments: list[Array | None]) -> None:
        handle = self.trace.ops[op.inputs[0][0]]
        index = handle.attributes.get("variable") if handle.op in VARIABLES else None
        if index is None:
            return
        new = arguments[-1]
        if new is not None and op.op in ("AssignAddVariableOp", "AssignSubVariableOp"):
            new = self.arrays[index] + (new if op.op == "AssignAddVariableOp" else -new)
        self.assigned[index] = new

    def _same_convolution(self, position: int, op: Op, arguments: list[Array]) -> Array | None:
        """Random numbers for a convolution that both give the same; None where they do not."""
        value = self.graph.tensors.get((position, 0))
        node = self.read.whole_node(value)
        if not isinstance(value, Value) or node is None or node.index not in self.needed:
            return None
        x, kernel = channels_last(arguments[0], layout_of(op)), arguments[1]
        if node.kind not in ("conv", "depthwise") or kernel.shape != node.kernel_shape:
            return None
        strides, dilations = sides_of(op, "strides"), sides_of(op, "dilations")
        window = (kernel.shape[0], kernel.shape[1])
        padding, size = places(op, (x.shape[1], x.shape[2]), window, strides, dilations)
        depthwise = op.op == "DepthwiseConv2dNative"
        groups = 1 if depthwise else x.shape[3] // kernel.shape[2]
        mine = (depthwise, strides, dilations, padding, size, groups)
        theirs = (
            node.kind == "depthwise",
            node.get("strides"),
            node.get("dilations"),
            node.get("padding"),
            (node.height, node.width),
            node.get("groups"),
        )
        if mine != theirs:
            return None
        if self.read.is_strange(node.inputs[0]):
            return None
        if not are_close(x, self.read.value(node.inputs[0])):
            return None
        if not are_close(kernel, self.read.kernel(node)):
            return None
        if node.index not in self.read.maps:
            shape = (len(x), node.height, node.width, node.channels)
            self.read.maps[node.index] = self._spread(shape)
        return arranged(self.read.maps[node.index], value)

    # --- beside it, what was read ---

    def _settled(self, at: tuple[int, int], op: Op, array: Array | None) -> Array | None:
        """What an output counts as from here on, once it is as it was read.

        Raises:
            Disagreement: It is not.
        """
        tensor = self.graph.tensors.get(at)
        dtype, shape = op.outputs[at[1]]
        if isinstance(tensor, Value):
            return self._settled_value(op, tensor, array)
        if array is not None or dtype == "resource" or shape is None or -1 in shape:
            return array
        if math.prod(shape) > MAX_SYMBOL:
            return None
        if isinstance(tensor, Symbol) and self.read.can_compute(tensor):
            raise Disagreement(f"{op.op} is read, though what it computes is not known")
        return typed(np.abs(self._spread(shape)) + 0.5, dtype, self.floats)

    def _settled_value(self, op: Op, value: Value, array: Array | None) -> Array:
        node = self.read.whole_node(value)
        if node is not None and self._stands_for(op, node):
            return self._taken_over(op, value, array)
        if array is None and not self.read.knows(value):
            array = self._spread(value.shape)
        if array is None:
            raise Disagreement(f"{op.op} is read, though what it computes is not known")
        new = sorted({s.node for s in value.segments} - self.read.maps.keys())
        for index in new:
            self._compute(index, node is not None, value, array)
        random = any(isinstance(self.graph.tensors.get(i), Noise) for i in op.inputs)
        if not self.read.knows(value) or random:
            array = self.read.learn(value, array, random)
        elif new and not self.read.is_strange(value):
            self._agree(op, value, array)
        return array

    def _stands_for(self, op: Op, node: Node) -> bool:
        """Whether a node says no more than that this op is there."""
        if node.kind == "foreign":
            return node.written_as == op.op
        return node.kind == "input" and node.name == op.name and node.index not in self.read.maps

    def _taken_over(self, op: Op, value: Value, array: Array | None) -> Array:
        """The output of an op that has no place in the graph: whatever it gives, for both."""
        index = value.segments[0].node
        if index in self.read.maps:
            if array is not None:
                self._agree(op, value, array)
            return arranged(self.read.maps[index], value)
        array = self._spread(value.shape) if array is None else array
        self._take(index, value, array)
        if any(atom.role not in "NHWC" for axis in value.axes for atom in axis):
            self.read.strange.add(index)
        return array

    def _take(self, index: int, value: Value, array: Array) -> None:
        """Let a node be what the trace gives, where that is as large as a map."""
        if array.size == value.batch * value.height * value.width * value.channels:
            self.read.maps[index] = as_map(array, value).astype(self.floats, copy=False)

    def _compute(self, index: int, whole: bool, value: Value, array: Array) -> None:
        """A node's map; behind an op that gives no map, where it cannot be had, the trace's."""
        try:
            self.read.maps[index] = self._computed(index, whole, value, array)
        except (Disagreement, Unreadable, *IMPOSSIBLE):
            if index not in self.read.strange and not any(
                self.read.is_strange(v) for v in self.graph.nodes[index].inputs
            ):
                raise
            self.read.strange.add(index)
            if whole:
                self._take(index, value, array)

    def _computed(self, index: int, whole: bool, value: Value, array: Array) -> Array:
        node = self.graph.nodes[index]
        if node.kernel is not None and node.kernel.kind == "opaque" and whole:
            return as_map(array, value)  # a kernel of which nothing is known is a finding
        for inner in {s.node for v in node.inputs for s in v.segments} - self.read.maps.keys():
            raise Disagreement(f"node {index} is read before node {inner}")
        return self.read.node(node)

    def _agree(self, op: Op, value: Value, array: Array) -> None:
        if not are_close(array, self.read.output(value)):
            raise Disagreement(f"{op.op} ({op.name}) gives other numbers than what it is read as")

    def _outputs_agree(self) -> None:
        value = self.graph.output
        assert value is not None
        for at in self.trace.outputs:
            array = self.tensors.get(at)
            if self.read.is_strange(value):
                return
            if self.graph.tensors.get(at) is value and array is not None:
                self._agree(self.trace.ops[at[0]], value, array)
                return
        raise Disagreement("the output is not one of the trace")

    def _updates_agree(self) -> None:
        for index, symbol in self.graph.updates.items():
            new = self.assigned.get(index)
            if symbol is None or symbol.kind == "opaque" or new is None:
                continue
            try:
                read = symbol.value(self.read.values)
            except Unreadable:
                continue
            if not are_close(np.asarray(new, np.float64), np.asarray(read, np.float64)):
                name = self.trace.variables[index].name
                raise Disagreement(f"{name} is set to other numbers than what is read")


def _images(trace: Trace) -> int:
    shapes = [trace.ops[node].outputs[0][1] for node in trace.inputs if trace.ops[node].outputs]
    return shapes[0][0] if shapes and shapes[0] else 1


def _last_uses(trace: Trace) -> dict[int, list[tuple[int, int]]]:
    """By op: the tensors that nothing behind it receives."""
    last: dict[tuple[int, int], int] = {}
    for position, op in enumerate(trace.ops):
        for output in range(len(op.outputs)):
            last[position, output] = position
        for at in op.inputs:
            last[at] = position
    for at in trace.outputs:
        last.pop(at, None)
    gone: dict[int, list[tuple[int, int]]] = defaultdict(list)
    for at, position in last.items():
        gone[position].append(at)
    return gone
