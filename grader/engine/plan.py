"""A canonical graph and its weights as a short list of plain instructions, ready to be run fast.

Property protected: what is measured is the network that was read, with the numbers that came out
of the sandbox, and nothing else; a plan is arrays and small integers, so it can be written to disk
and run in a process that knows neither graph, student nor label.

Whatever follows from the weights alone is computed here, once: batch norms become one factor and
one offset a channel, and those that follow a convolution which nobody else reads go into its
kernel.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from grader.errors import Cause, StageFailed
from grader.graph import work
from grader.graph.canonical import Graph, Node, Segment, Step, Value
from grader.graph.numeric import (
    IMPOSSIBLE,
    MAX_ELEMENTS,
    MAX_MULTIPLICATIONS,
    MAX_WORK,
    constant_map,
)
from grader.graph.pointwise import X, size
from grader.graph.symbols import Unreadable, Values

Array = NDArray[Any]
Kind = Literal[
    "input", "slice", "concat", "affine", "pointwise", "pool", "pad", "crop", "conv", "depthwise",
    "add", "multiply", "maximum", "softmax", "constant",
]  # fmt: skip
MAX_INSTRUCTIONS = 20_000
"""BC L=250 needs some 1,300."""
MAX_NUMBERS = 2**27
"""Of all arrays of a plan; the weights that come out of the sandbox are 2^26 at most."""
FORMAT = 1


class Unrebuildable(StageFailed):
    """The network cannot be rebuilt; the message names the operation that stands in the way."""

    def __init__(self, operation: str) -> None:
        super().__init__(
            Cause.STUDENT_FORBIDDEN_OP,
            f"the network cannot be rebuilt: {operation} has no place in it",
        )
        self.operation = operation


@dataclass(frozen=True)
class Instruction:
    """One step of a plan; its result is a map (N, H, W, C) with the instruction's number.

    Attributes:
        kind: What it does.
        inputs: Numbers of the instructions whose maps it reads.
        settings: Plain parameters: slice (start, stop); pointwise (tree); pool (mode, size,
            strides, padding); pad (top, bottom, left, right, value); crop (top, bottom, left,
            right); conv and depthwise (strides, padding, dilations, groups); softmax (logarithm).
        arrays: float32: affine (factor, offset); conv (kernel (rows, columns, in, out), offset);
            constant (1, H, W, C).
        shape: (H, W, C) of the result.
    """

    kind: Kind
    inputs: tuple[int, ...] = ()
    settings: tuple[Any, ...] = ()
    arrays: tuple[Array, ...] = ()
    shape: tuple[int, int, int] = (1, 1, 1)


@dataclass(frozen=True)
class Plan:
    """Instructions in order; the last one gives one number a class.

    Attributes:
        instructions: Each reads only earlier ones.
        classes: Numbers per image.
        images: Type of the images: bytes, or what `preprocess` made of them.
    """

    instructions: tuple[Instruction, ...]
    classes: int
    images: Literal["uint8", "float32"] = "uint8"

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(H, W, C) of the images."""
        return self.instructions[0].shape

    @property
    def multiplications(self) -> int:
        """Multiply-adds of all convolutions for one image."""
        # A depthwise kernel (rows, columns, in, multiplier) reads one map for each that it gives.
        read = {"conv": 3, "depthwise": 2}
        return sum(
            math.prod(i.shape) * math.prod(i.arrays[0].shape[: read[i.kind]])
            for i in self.instructions
            if i.kind in read
        )

    def save(self, path: Path) -> None:
        """Write it as one .npz file: arrays, and JSON for the rest."""
        rows = [[i.kind, i.inputs, i.settings, len(i.arrays), i.shape] for i in self.instructions]
        head = {"format": FORMAT, "classes": self.classes, "images": self.images}
        text = json.dumps({**head, "instructions": rows})
        arrays = [a for i in self.instructions for a in i.arrays]
        named = {f"a{number}": array for number, array in enumerate(arrays)}
        with path.open("wb") as stream:
            np.savez(
                stream,
                plan=np.frombuffer(text.encode(), np.uint8),
                **named,  # type: ignore[arg-type]
            )

    @classmethod
    def load(cls, path: Path) -> Plan:
        """Read what `save` wrote.

        Raises:
            ValueError: It is not such a file.
        """
        with np.load(path, allow_pickle=False) as archive:
            head = json.loads(archive["plan"].tobytes())
            if head["format"] != FORMAT:
                raise ValueError(f"plan format: expected {FORMAT}, received {head['format']}")
            arrays = (archive[f"a{number}"] for number in range(len(archive.files) - 1))
            instructions = []
            for kind, inputs, settings, count, shape in head["instructions"]:
                own = tuple(next(arrays) for _ in range(count))
                instructions.append(
                    Instruction(kind, tuple(inputs), _frozen(settings), own, tuple(shape))
                )
        return cls(tuple(instructions), head["classes"], head["images"])


def _frozen(value: Any) -> Any:
    """JSON's lists as tuples."""
    return tuple(_frozen(v) for v in value) if isinstance(value, list) else value


def make_plan(graph: Graph, values: Sequence[Array]) -> Plan:
    """Lower a canonical graph (inference) with given weights.

    Args:
        graph: As `canonicalise` gives it.
        values: One array for each variable of the network's table.

    Raises:
        Unrebuildable: Names the operation in the way.
    """
    if graph.output is None:
        raise Unrebuildable("an output that does not depend on the images")
    try:
        with work.limited(MAX_WORK):
            return _Planner(graph, values).plan(graph.output)
    except Unreadable as problem:
        raise Unrebuildable(str(problem) or "an operation") from problem
    except IMPOSSIBLE as problem:
        raise Unrebuildable("an operation that cannot be what it says") from problem


@dataclass
class _Planner:
    graph: Graph
    arrays: Sequence[Array]
    found: list[Instruction] = field(default_factory=list)
    known: dict[Any, int] = field(default_factory=dict)
    maps: dict[int, int] = field(default_factory=dict)
    folded: dict[int, Step] = field(default_factory=dict)
    numbers: int = 0

    def __post_init__(self) -> None:
        self.values = Values(self.arrays)

    def plan(self, output: Value) -> Plan:
        wanted = sorted(self.graph.ancestors())
        nodes = [self.graph.nodes[index] for index in wanted]
        self._refuse_giants(nodes)
        self._choose_folds(nodes, output)
        # The images come first, whatever else the graph holds.
        for node in sorted(nodes, key=lambda n: n.kind != "input"):
            if node.kind == "input":
                if self.found:
                    raise Unreadable("a second input")
                self.maps[node.index] = self._put(
                    "input", shape=(node.height, node.width, node.channels)
                )
        if not self.found:
            raise Unreadable("an output that does not depend on the images")
        for node in nodes:
            if node.kind != "input":
                self.maps[node.index] = self._node(node)
        last = self._value(output)
        if self.found[last].shape[:2] != (1, 1):
            raise Unreadable("an output that is a map")
        if last != len(self.found) - 1:
            self._append(Instruction("slice", (last,), (0, output.channels), (),
                                     (1, 1, output.channels)))  # fmt: skip
        return Plan(tuple(self.found), output.channels)

    def _refuse_giants(self, nodes: list[Node]) -> None:
        elements = sum(n.channels * n.height * n.width for n in nodes)
        products = sum(
            n.height * n.width * n.channels * math.prod(n.kernel_shape[:3])
            for n in nodes
            if n.kind == "conv"
        )
        if elements > MAX_ELEMENTS or products > MAX_MULTIPLICATIONS:
            raise Unreadable("a network of such a size")

    def _choose_folds(self, nodes: list[Node], output: Value) -> None:
        """Convolutions whose one reader begins with a per-channel map take it into the kernel."""
        readers: Counter[int] = Counter()
        first: dict[int, Segment] = {}
        for value in [v for n in nodes for v in n.inputs] + [output]:
            for segment in value.segments:
                readers[segment.node] += 1
                first[segment.node] = segment
        for node in nodes:
            reader = first.get(node.index)
            if node.kind not in ("conv", "depthwise") or readers[node.index] != 1:
                continue
            if reader is None or reader.width != node.channels or not reader.steps:
                continue
            if reader.steps[0].affine is not None:
                self.folded[node.index] = reader.steps[0]

    # --- instructions ---

    def _append(self, instruction: Instruction) -> int:
        if len(self.found) >= MAX_INSTRUCTIONS:
            raise Unreadable("a network of so many operations")
        self.numbers += sum(a.size for a in instruction.arrays)
        if self.numbers > MAX_NUMBERS:
            raise Unreadable("a network of so many weights")
        self.found.append(instruction)
        return len(self.found) - 1

    def _put(
        self,
        kind: Kind,
        inputs: tuple[int, ...] = (),
        settings: tuple[Any, ...] = (),
        arrays: tuple[Array, ...] = (),
        shape: tuple[int, int, int] = (1, 1, 1),
        key: Any = None,
    ) -> int:
        """An instruction; the one that is there already where an equal one is."""
        identity = (kind, inputs, settings, key)
        if (key is not None or not arrays) and identity in self.known:
            return self.known[identity]
        number = self._append(
            Instruction(kind, inputs, settings, tuple(_float32(a) for a in arrays), shape)
        )
        self.known[identity] = number
        return number

    # --- values ---

    def _value(self, value: Value) -> int:
        """A value; the last steps, where all segments share them, are applied to the whole."""
        segments = [self._unfolded(s) for s in value.segments]
        count = _shared_steps(segments)
        pieces = [self._steps(self._slice(s), s.steps[: len(s.steps) - count]) for s in segments]
        first = segments[0].steps
        return self._steps(self._concat(pieces), first[len(first) - count :])

    def _unfolded(self, segment: Segment) -> Segment:
        if segment.node in self.folded:
            return Segment(segment.node, segment.start, segment.stop, segment.steps[1:])
        return segment

    def _slice(self, segment: Segment) -> int:
        source = self.maps[segment.node]
        height, width, channels = self.found[source].shape
        if (segment.start, segment.stop) == (0, channels):
            return source
        return self._put(
            "slice", (source,), (segment.start, segment.stop), (), (height, width, segment.width)
        )

    def _concat(self, pieces: list[int]) -> int:
        if len(pieces) == 1:
            return pieces[0]
        shapes = [self.found[p].shape for p in pieces]
        if len({s[:2] for s in shapes}) != 1:
            raise Unreadable("maps of different sizes side by side")
        height, width, _ = shapes[0]
        shape = (height, width, sum(s[2] for s in shapes))
        return self._put("concat", tuple(pieces), (), (), shape)

    def _steps(self, at: int, steps: tuple[Step, ...]) -> int:
        for step in steps:
            at = self._step(at, step)
        return at

    def _step(self, at: int, step: Step) -> int:
        height, width, channels = self.found[at].shape
        if step.affine is not None:
            factor, offset = self._coefficients(step, channels)
            key = (step.affine.key, step.start)
            return self._put("affine", (at,), (), (factor, offset), (height, width, channels), key)
        if step.kind == "pointwise":
            _refuse_long(step.detail[1])
            return self._put("pointwise", (at,), (step.detail[1],), (), (height, width, channels))
        if step.kind == "pool":
            _, window, strides, (top, bottom, left, right) = step.detail
            shape = (
                (height + top + bottom - window[0]) // strides[0] + 1,
                (width + left + right - window[1]) // strides[1] + 1,
                channels,
            )
            return self._put("pool", (at,), step.detail, (), shape)
        if step.kind in ("pad", "crop"):
            top, bottom, left, right = step.detail[:4]
            sign = 1 if step.kind == "pad" else -1
            shape = (height + sign * (top + bottom), width + sign * (left + right), channels)
            kind: Kind = "pad" if step.kind == "pad" else "crop"
            return self._put(kind, (at,), step.detail, (), shape)
        if step.kind == "stop_gradient" or (step.kind == "dropout" and step.detail[0] == 0):
            return at
        raise Unreadable("a random operation at inference")

    def _coefficients(self, step: Step, width: int) -> tuple[Array, Array]:
        assert step.affine is not None
        with np.errstate(all="ignore"):
            factor, offset = step.affine.coefficients(0, len(step.affine.terms), self.values)
        part = slice(step.start, step.start + width)
        return factor[part], offset[part]

    # --- nodes ---

    def _node(self, node: Node) -> int:
        shape = (node.height, node.width, node.channels)
        if node.kind == "constant":
            assert node.kernel is not None
            image = constant_map(node, node.kernel, self.values, 1)
            return self._put("constant", (), (), (image,), shape, node.kernel.key)
        inputs = tuple(self._value(value) for value in node.inputs)
        if node.kind in ("conv", "depthwise"):
            return self._convolution(node, inputs, shape)
        if node.kind == "add":
            return self._put("add", inputs, (), (), shape)
        if node.kind == "multiply":
            return self._put("multiply", inputs, (), (), shape)
        if node.written_as == "Maximum" and len(inputs) == 2:
            return self._put("maximum", inputs, (), (), shape)
        if node.kind == "softmax":
            return self._put("softmax", inputs, (bool(node.get("logarithm")),), (), shape)
        raise Unreadable(f"the operation {node.get('op') or node.written_as or node.kind}")

    def _convolution(self, node: Node, inputs: tuple[int, ...], shape: tuple[int, int, int]) -> int:
        if node.kernel is None or node.kernel.size != math.prod(node.kernel_shape):
            raise Unreadable("a convolution without a kernel")
        work.spend(2 * node.kernel.size)
        kernel = node.kernel.value(self.values).reshape(node.kernel_shape).astype(np.float64)
        offset = np.zeros(node.channels)
        if node.index in self.folded:
            factor, offset = self._coefficients(self.folded[node.index], node.channels)
            if node.kind == "depthwise":
                kernel = kernel * factor.reshape(kernel.shape[2:])
            else:
                kernel = kernel * factor
        settings = tuple(node.get(n) for n in ("strides", "padding", "dilations", "groups"))
        kind: Kind = "conv" if node.kind == "conv" else "depthwise"
        return self._put(kind, inputs, settings, (kernel, offset), shape)


def _shared_steps(segments: list[Segment]) -> int:
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


def _refuse_long(tree: Any) -> None:
    if tree != ("Relu", X) and size(tree) > 60:
        raise Unreadable("an activation of so many operations")


def _float32(array: Array) -> Array:
    with np.errstate(over="ignore"):
        return np.ascontiguousarray(array, np.float32)
