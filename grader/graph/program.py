"""A canonical graph as a program: a short list of plain instructions, for whoever computes it.

Property protected: whoever computes a network computes the same one. What a graph means is said
here once: which maps are cut and joined, which steps are applied to which, in what order. NumPy
(`numeric.py`, for the proof), Keras, OpenVINO and the trainable model (`engine/`) are each one
table of what an instruction is in them.

A batch norm is still whole here, as the per-channel map that it is. `for_inference` folds it.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from grader.graph import work
from grader.graph.affine import Affine
from grader.graph.canonical import Graph, Node, Segment, Statistic, Step, Value
from grader.graph.symbols import Unreadable, Values

Array = NDArray[Any]
Kind = Literal[
    "input", "slice", "concat", "affine", "pointwise", "pool", "pad", "crop", "dropout", "noise",
    "stop_gradient", "conv", "depthwise", "add", "multiply", "maximum", "softmax", "constant",
]  # fmt: skip
MAX_INSTRUCTIONS = 20_000
"""BC L=250 needs some 1,300."""
MAX_ELEMENTS = 2**27
"""Numbers of all maps that are held at the same time; BC L=190 k=40 holds 2^24 for two images."""
MAX_MULTIPLICATIONS = 2 * 10**11
"""Multiplications of one run; BC L=190 k=40 needs 2·10^10 for two images."""


@dataclass(frozen=True)
class Instruction:
    """One step of a program; its result is a map (N, H, W, C) with the instruction's number.

    Attributes:
        kind: What it does.
        inputs: Numbers of the instructions whose maps it reads. Behind its one map an instruction
            with weights names those whose batch statistics stand in them.
        settings: Plain parameters: slice (start, stop); pointwise (tree); pool (mode, size,
            strides, padding); pad (top, bottom, left, right, value); crop (top, bottom, left,
            right); dropout (rate, kind); conv and depthwise (kernel's shape, strides, padding,
            dilations, groups); softmax (logarithm).
        shape: (H, W, C) of the result.
        node: Convolution and constant: the node that has the kernel, or the map.
        affine: The per-channel map; a convolution applies it to its result.
        start: The map's channel that belongs to the first one here.
        arrays: The numbers behind `node` and `affine`, where weights are given: affine (factor,
            offset); convolution (kernel) or (kernel, offset); constant (map (1, H, W, C)).
    """

    kind: Kind
    inputs: tuple[int, ...] = ()
    settings: tuple[Any, ...] = ()
    shape: tuple[int, int, int] = (1, 1, 1)
    node: Node | None = None
    affine: Affine | None = None
    start: int = 0
    arrays: tuple[Array, ...] = ()

    @property
    def multiplications(self) -> int:
        """Multiply-adds of a convolution for one image."""
        if self.kind not in ("conv", "depthwise"):
            return 0
        # A depthwise kernel (rows, columns, in, multiplier) reads one map for each that it gives.
        kernel: tuple[int, ...] = self.settings[0]
        read = 3 if self.kind == "conv" else 2
        return math.prod(self.shape) * math.prod(kernel[:read])


@dataclass(frozen=True)
class Program:
    """Instructions in order.

    Attributes:
        instructions: Each reads only earlier ones; the last one gives the network's output, and
            needs all the others.
        statistics: By key of a batch statistic: which one's map it is the mean of.
    """

    instructions: tuple[Instruction, ...]
    statistics: Mapping[str, int] = field(default_factory=dict)

    @property
    def multiplications(self) -> int:
        """Multiply-adds of all convolutions for one image."""
        return sum(i.multiplications for i in self.instructions)

    def image(self) -> Instruction:
        """The one input, which comes first.

        Raises:
            Unreadable: There is none, or another one.
        """
        inputs = [i for i in self.instructions if i.kind == "input"]
        if not inputs:
            raise Unreadable("an output that does not depend on the images")
        if len(inputs) > 1:
            raise Unreadable("a second input")
        return inputs[0]

    def last_readers(self) -> list[int]:
        """For each instruction the last one that reads its map; itself where none does."""
        last = list(range(len(self.instructions)))
        for number, instruction in enumerate(self.instructions):
            for read in instruction.inputs:
                last[read] = number
        last[-1] = len(self.instructions)
        return last

    def held(self) -> int:
        """Numbers of all maps that are held at the same time, at most, for one image."""
        most = now = 0
        going: dict[int, list[int]] = {}
        for number, until in enumerate(self.last_readers()):
            going.setdefault(until, []).append(math.prod(self.instructions[number].shape))
            now += math.prod(self.instructions[number].shape)
            most = max(most, now)
            now -= sum(going.pop(number, ()))
        return most

    def refuse_giants(self, images: int = 1) -> None:
        """Refuse what no machine should compute, before anything is allocated.

        Raises:
            Unreadable: The program holds too many numbers, or multiplies too many.
        """
        if (
            images * self.held() > MAX_ELEMENTS
            or images * self.multiplications > MAX_MULTIPLICATIONS
        ):
            raise Unreadable("a network too large to be computed again")


def lower(graph: Graph) -> Program:
    """A canonical graph as a program.

    Raises:
        Unreadable: Names the operation that has no place in one.
    """
    if graph.output is None:
        raise Unreadable("an output that does not depend on the images")
    return _Lowering(graph).program(graph.output)


@dataclass
class _Lowering:
    graph: Graph
    found: list[Instruction] = field(default_factory=list)
    known: dict[Any, int] = field(default_factory=dict)
    maps: dict[int, int] = field(default_factory=dict)
    statistics: dict[str, int] = field(default_factory=dict)

    def program(self, output: Value) -> Program:
        nodes = [self.graph.nodes[index] for index in sorted(needed(self.graph, output))]
        # The images come first, whatever else the graph holds.
        for node in sorted(nodes, key=lambda n: n.kind != "input"):
            self.maps[node.index] = self._node(node)
        self._value(output)
        return Program(tuple(self.found), self.statistics)

    def _put(self, kind: Kind, inputs: tuple[int, ...], *rest: Any, **fields: Any) -> int:
        """An instruction; the one that is there already where an equal one is."""
        new = Instruction(kind, inputs, *rest, **fields)
        affine = new.affine.key if new.affine is not None else ""
        node = new.node.index if new.node is not None else -1
        key = (kind, inputs, new.settings, affine, new.start, node)
        if key not in self.known:
            if len(self.found) >= MAX_INSTRUCTIONS:
                raise Unreadable("a network of so many operations")
            work.spend_pieces(1 + len(inputs))
            self.found.append(new)
            self.known[key] = len(self.found) - 1
        return self.known[key]

    # --- values ---

    def _value(self, value: Value) -> int:
        """A value; the last steps, where all segments share them, are applied to the whole."""
        segments = value.segments
        work.spend_pieces(len(segments))
        count = _shared_steps(segments)
        pieces = [self._steps(self._slice(s), s.steps[: len(s.steps) - count]) for s in segments]
        first = segments[0].steps
        at = self._steps(self._concat(pieces), first[len(first) - count :])
        if self.found[at].shape != (value.height, value.width, value.channels):
            raise Unreadable("a map of another shape than it says")
        return at

    def _slice(self, segment: Segment) -> int:
        source = self.maps.get(segment.node)
        if source is None:
            raise Unreadable("a value from nowhere")
        height, width, channels = self.found[source].shape
        if (segment.start, segment.stop) == (0, channels):
            return source
        shape = (height, width, segment.width)
        return self._put("slice", (source,), (segment.start, segment.stop), shape)

    def _concat(self, pieces: list[int]) -> int:
        if len(pieces) == 1:
            return pieces[0]
        shapes = [self.found[p].shape for p in pieces]
        if len({s[:2] for s in shapes}) != 1:
            raise Unreadable("maps of different sizes side by side")
        shape = (*shapes[0][:2], sum(s[2] for s in shapes))
        return self._put("concat", tuple(pieces), (), shape)

    def _steps(self, at: int, steps: Iterable[Step]) -> int:
        for step in steps:
            at = self._step(at, step)
        return at

    def _step(self, at: int, step: Step) -> int:
        height, width, channels = shape = self.found[at].shape
        if step.affine is not None:
            inputs = (at, *[self._statistic(s) for s in step.affine.statistics])
            return self._put("affine", inputs, (), shape, affine=step.affine, start=step.start)
        if step.kind == "pointwise":
            return self._put("pointwise", (at,), (step.detail[1],), shape)
        if step.kind == "pool":
            _, window, strides, (top, bottom, left, right) = step.detail
            rows = (height + top + bottom - window[0]) // strides[0] + 1
            columns = (width + left + right - window[1]) // strides[1] + 1
            return self._put("pool", (at,), step.detail, (rows, columns, channels))
        if step.kind in ("pad", "crop"):
            top, bottom, left, right = step.detail[:4]
            sign = 1 if step.kind == "pad" else -1
            rows, columns = height + sign * (top + bottom), width + sign * (left + right)
            kind: Kind = "pad" if step.kind == "pad" else "crop"
            return self._put(kind, (at,), step.detail, (rows, columns, channels))
        if step.kind in ("dropout", "noise", "stop_gradient"):
            return self._put(step.kind, (at,), step.detail, shape)  # type: ignore[arg-type]
        raise Unreadable(step.kind)

    def _statistic(self, statistic: Statistic) -> int:
        """The map that a batch statistic is the mean of."""
        if statistic.key not in self.statistics:
            self.statistics[statistic.key] = self._value(statistic.value)
        return self.statistics[statistic.key]

    # --- nodes ---

    def _node(self, node: Node) -> int:
        shape = (node.height, node.width, node.channels)
        if node.kind == "input":
            return self._put("input", (), (), shape, node=node)
        inputs = tuple(self._value(value) for value in node.inputs)
        if node.kind in ("conv", "depthwise"):
            return self._convolution(node, inputs, shape)
        if node.kind == "constant":
            assert node.kernel is not None
            inputs = tuple(self._statistic(s) for s in node.kernel.statistics)
            return self._put("constant", inputs, (), shape, node=node)
        if node.kind in ("add", "multiply"):
            return self._put(node.kind, inputs, (), shape)  # type: ignore[arg-type]
        if node.written_as == "Maximum":
            return self._put("maximum", inputs, (), shape)
        if node.kind == "softmax":
            return self._put("softmax", inputs, (bool(node.get("logarithm")),), shape)
        raise Unreadable(f"the operation {node.get('op') or node.written_as or node.kind}")

    def _convolution(self, node: Node, inputs: tuple[int, ...], shape: tuple[int, int, int]) -> int:
        if node.kernel is None:
            raise Unreadable("a convolution without a kernel")
        settings = tuple(node.get(n) for n in ("strides", "padding", "dilations", "groups"))
        inputs = (*inputs, *[self._statistic(s) for s in node.kernel.statistics])
        kind: Kind = "conv" if node.kind == "conv" else "depthwise"
        return self._put(kind, inputs, (node.kernel_shape, *settings), shape, node=node)


def needed(graph: Graph, output: Value) -> set[int]:
    """The nodes that a value depends on, through batch statistics too."""
    wanted: set[int] = set()
    seen: set[str] = set()
    stack = [output]
    while stack:
        for segment in stack.pop().segments:
            found = [s for step in segment.steps if step.affine for s in step.affine.statistics]
            if segment.node not in wanted:
                wanted.add(segment.node)
                node = graph.nodes[segment.node]
                stack += node.inputs
                found += node.kernel.statistics if node.kernel is not None else ()
            for statistic in found:
                if statistic.key not in seen:
                    seen.add(statistic.key)
                    stack.append(statistic.value)
    return wanted


def _shared_steps(segments: Sequence[Segment]) -> int:
    """How many of the last steps of all segments are those of the whole, taken in order."""
    first = segments[0].steps
    count = 0
    while count < min(len(s.steps) for s in segments):
        at = 0
        for segment in segments:
            if not _continues(segment.steps[-1 - count], first[len(first) - 1 - count], at):
                return count
            at += segment.width
        count += 1
    return count


def _continues(step: Step, first: Step, at: int) -> bool:
    """Whether a step is, `at` channels further on, the same as the first segment's."""
    if step.kind != first.kind or step.detail != first.detail:
        return False
    if step.affine is None or first.affine is None:
        return step.affine is first.affine
    return step.affine.key == first.affine.key and step.start == first.start + at


# --- passes --------------------------------------------------------------------------------


def for_inference(program: Program) -> Program:
    """The program less what does nothing at inference, with batch norms inside convolutions.

    A per-channel map goes into the convolution before it where nobody else reads that one.
    """
    return _folded(_without_idle(program))


def _without_idle(program: Program) -> Program:
    instead = {
        number: i.inputs[0]
        for number, i in enumerate(program.instructions)
        if i.kind == "stop_gradient" or (i.kind == "dropout" and i.settings[0] == 0)
    }
    return _replaced(program, {}, instead)


def _folded(program: Program) -> Program:
    readers = Counter(n for i in program.instructions for n in i.inputs)
    changed: dict[int, Instruction] = {}
    instead: dict[int, int] = {}
    for number, i in enumerate(program.instructions):
        if i.kind != "affine" or len(i.inputs) != 1 or readers[i.inputs[0]] != 1:
            continue
        before = program.instructions[i.inputs[0]]
        if before.kind in ("conv", "depthwise"):
            changed[i.inputs[0]] = replace(before, affine=i.affine, start=i.start)
            instead[number] = i.inputs[0]
    return _replaced(program, changed, instead)


def _replaced(
    program: Program, changed: Mapping[int, Instruction], instead: Mapping[int, int]
) -> Program:
    """The program with other instructions, and with some left out for the maps of earlier ones."""
    number: dict[int, int] = {}
    found: list[Instruction] = []
    for old, instruction in enumerate(program.instructions):
        if old in instead:
            number[old] = number[instead[old]]
            continue
        inputs = tuple(number[n] for n in instruction.inputs)
        found.append(replace(changed.get(old, instruction), inputs=inputs))
        number[old] = len(found) - 1
    statistics = {key: number[n] for key, n in program.statistics.items()}
    return Program(tuple(found), statistics)


# --- numbers -------------------------------------------------------------------------------


class Numbers:
    """The numbers that stand for a program's weights, once these are given.

    Args:
        values: Of the network's variables; what batch statistics are made of, where it has images.
    """

    def __init__(self, values: Values) -> None:
        self.values = values
        self._maps: dict[str, tuple[Array, Array]] = {}

    def of(self, instruction: Instruction) -> tuple[Array, ...]:
        """The arrays of an instruction, as it describes them."""
        if instruction.arrays:
            return instruction.arrays
        if instruction.kind == "constant":
            return (self._constant(instruction),)
        if instruction.kind in ("conv", "depthwise"):
            return self._convolution(instruction)
        return () if instruction.affine is None else self._affine(instruction)

    def _affine(self, instruction: Instruction) -> tuple[Array, Array]:
        affine = instruction.affine
        assert affine is not None
        if affine.key not in self._maps:
            self._maps[affine.key] = affine.coefficients(0, len(affine.terms), self.values)
        part = slice(instruction.start, instruction.start + instruction.shape[2])
        factor, offset = self._maps[affine.key]
        return factor[part], offset[part]

    def _convolution(self, instruction: Instruction) -> tuple[Array, ...]:
        node = instruction.node
        assert node is not None and node.kernel is not None
        if math.prod(node.kernel_shape) != node.kernel.size:
            raise Unreadable("a convolution without a kernel")
        work.spend(2 * node.kernel.size)
        kernel = node.kernel.value(self.values).reshape(node.kernel_shape)
        if instruction.affine is None:
            return (kernel,)
        factor, offset = self._affine(instruction)
        wide = factor.reshape(kernel.shape[2:]) if instruction.kind == "depthwise" else factor
        with np.errstate(all="ignore"):
            return (kernel * wide, offset) if np.any(offset) else (kernel * wide,)

    def _constant(self, instruction: Instruction) -> Array:
        """A map that is the same for every image, (1, H, W, C).

        Raises:
            Unreadable: It differs from image to image, or its axes cannot be told.
        """
        assert instruction.node is not None and instruction.node.kernel is not None
        array = np.asarray(instruction.node.kernel.value(self.values), np.float64)
        shape = (1, *instruction.shape)
        if array.size and np.all(array == array.reshape(-1)[0]):
            return np.full(shape, array.reshape(-1)[0])
        if array.ndim == 4 and np.array_equal(array, np.broadcast_to(array[:1], array.shape)):
            try:
                return np.broadcast_to(array[:1], shape)
            except ValueError:
                pass
        raise Unreadable("a constant map")
