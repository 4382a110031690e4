"""The third proof: what was read, computed anew in NumPy, must be what the student's network gave.

Property protected: nobody is graded on a misreading. The canonical graph and the student's weights
are all this interpreter has; where its numbers differ from those the network gave in the sandbox,
the reading was wrong, and the case goes to a person. It knows no TensorFlow.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from grader.graph import work
from grader.graph.canonical import Axes, Graph, Node, Segment, Statistic, Step, Value
from grader.graph.pointwise import X, cost, evaluate
from grader.graph.record import Trace, VariableRecord
from grader.graph.symbols import Symbol, Unreadable, Values

Array = NDArray[Any]

SAMPLE_SEED = 20160825
"""Draws the random images on which the student's network and the rebuilt one must agree."""
TOLERANCE = 1e-4
"""Largest accepted difference, as a share of the largest number expected (at least of 1)."""
HALF_PRECISION_TOLERANCE = {"float16": 2e-2, "bfloat16": 1e-1}
"""The same for a network that computes in such numbers: 11 and 8 bits, some hundred layers."""
MAX_ELEMENTS = 2**27
"""Numbers that all maps of one run may hold together; BC L=190 k=40 holds 2^24 for two images."""
MAX_MULTIPLICATIONS = 2 * 10**11
"""Multiplications of one run; BC L=190 k=40 needs 2·10^10 for two images."""
MAX_WORK = 10**10
"""Numbers that one run may read or make, multiplications aside; BC L=190 k=40 makes 2·10^8."""
CALL = 2000
"""What one call of NumPy costs, counted in numbers."""
MULTIPLICATIONS = 20
"""How many a processor does in the time of one number elsewhere."""
IMPOSSIBLE = (ValueError, TypeError, LookupError, ArithmeticError, AttributeError)
"""What NumPy raises where a description is not of one network."""
MAX_POSITIONS = 4096
"""Places of one kernel or pooling window; each costs one pass over the map."""


@dataclass(frozen=True)
class Agreement:
    """What became of the comparison.

    Attributes:
        holds: Whether the numbers agree; None where there is nothing to compare.
        message: Why not, for a person.
        difference: Largest absolute difference; NaN where the shapes or numbers forbid one.
    """

    holds: bool | None
    message: str = ""
    difference: float = math.nan


def variable_values(variables: Sequence[VariableRecord], frame: bytes) -> list[Array]:
    """The variables' values out of the binary frame that holds them all.

    Args:
        variables: The network's variable table.
        frame: float32, little endian, one variable after another in the table's order.

    Raises:
        ValueError: The frame does not hold exactly these variables.
    """
    sizes = [variable.size for variable in variables]
    if len(frame) != 4 * sum(sizes):
        raise ValueError(f"weights: expected {4 * sum(sizes)} bytes, received {len(frame)}")
    flat = np.frombuffer(frame, "<f4")
    ends = np.cumsum(sizes)
    return [
        flat[end - size : end].reshape(variable.shape)
        for variable, size, end in zip(variables, sizes, ends, strict=True)
    ]


def probe_images(seed: int, batch: int, shape: Sequence[int] = (32, 32, 3)) -> Array:
    """The random images that the sandbox showed the network: uint8 (batch, *shape)."""
    return np.random.default_rng(seed).integers(0, 256, (batch, *shape), dtype=np.uint8)


def prove(
    graph: Graph, values: Sequence[Array], images: Array, expected: Array, tolerance: float
) -> Agreement:
    """Compare what was read with what the network gave.

    Args:
        graph: The canonical graph in inference.
        values: The network's variables.
        images: uint8 (N, H, W, C), as `probe_images` gives.
        expected: float32, what the student's own network gave for them.
        tolerance: See `tolerance_of`.
    """
    try:
        with work.limited(MAX_WORK):
            received = run(graph, values, images)
    except Unreadable as problem:
        return Agreement(None, f"the network cannot be computed from its description: {problem}")
    except IMPOSSIBLE:
        return Agreement(None, "the network cannot be computed from its description")
    return compare(expected, received, tolerance)


def compare(expected: Array, received: Array, tolerance: float = TOLERANCE) -> Agreement:
    """Whether two outputs are the same numbers; fails closed on NaN and other shapes."""
    if expected.shape != received.shape:
        return Agreement(
            False, f"output shape: expected {expected.shape}, received {received.shape}"
        )
    if expected.size == 0:
        return Agreement(False, "the network gave no number at all")
    if not (np.all(np.isfinite(expected)) and np.all(np.isfinite(received))):
        return Agreement(False, "the network gives numbers that are not finite")
    wide = expected.astype(np.float64)
    difference = float(np.max(np.abs(wide - received)))
    scale = max(1.0, float(np.max(np.abs(wide))))
    if not difference <= tolerance * scale:
        return Agreement(
            False,
            f"output on random images: expected a difference of at most {tolerance * scale:.2g}, "
            f"received {difference:.2g}",
            difference,
        )
    return Agreement(True, "", difference)


def agrees(expected: Array, received: Array, tolerance: float = TOLERANCE) -> bool:
    """Whether two outputs are the same numbers; false for NaN and for other shapes."""
    return compare(expected, received, tolerance).holds is True


def tolerance_of(trace: Trace) -> float:
    """How closely a network can be met: less closely where it computes in half precision."""
    types = {dtype for op in trace.ops for dtype, _ in op.outputs}
    return max([TOLERANCE, *[t for name, t in HALF_PRECISION_TOLERANCE.items() if name in types]])


def run(graph: Graph, values: Sequence[Array], images: Array, dtype: type = np.float32) -> Array:
    """What the network gives for some images.

    Args:
        graph: A canonical graph; batch statistics are taken of the images given.
        values: One array for each variable of the network's table.
        images: (N, H, W, C), any numbers.
        dtype: What convolutions compute in.

    Returns:
        The output, in the shape the network gives it.

    Raises:
        Unreadable: Names the operation that cannot be computed.
    """
    if graph.output is None:
        raise Unreadable("no output")
    return _Run(graph, values, images, dtype).output(graph.output)


class _Run:
    """The maps of all nodes for one batch of images; each is (N, H, W, C)."""

    def __init__(self, graph: Graph, values: Sequence[Array], images: Array, dtype: type) -> None:
        self.graph, self.dtype = graph, dtype
        self.images: Array = np.asarray(images, dtype)
        self.values = Values(values, self._positions)
        self.coefficients: dict[str, tuple[Array, Array]] = {}
        self.maps: dict[int, Array] = {}
        order = sorted(_needed(graph))
        self._refuse_giants([graph.nodes[index] for index in order])
        with np.errstate(all="ignore"):
            for index in order:
                self.maps[index] = self._node(graph.nodes[index])

    def _refuse_giants(self, nodes: list[Node]) -> None:
        images = len(self.images)
        elements = sum(images * n.channels * n.height * n.width for n in nodes)
        products = sum(
            images * n.height * n.width * n.channels * math.prod(n.kernel_shape[:3])
            for n in nodes
            if n.kind == "conv"
        )
        if elements > MAX_ELEMENTS or products > MAX_MULTIPLICATIONS:
            raise Unreadable("a network too large to be computed twice")

    def output(self, value: Value) -> Array:
        """A value in the axes that the network gives it."""
        return arranged(self.value(value), value)

    # --- values ---

    def value(self, value: Value) -> Array:
        """A value as (N, H, W, C)."""
        with np.errstate(all="ignore"):
            pieces = [self._segment(segment) for segment in value.segments]
        work.spend(sum(piece.size for piece in pieces))
        whole = pieces[0] if len(pieces) == 1 else np.concatenate(pieces, axis=3)
        if whole.shape[1:] != (value.height, value.width, value.channels):
            raise Unreadable("a map of another shape than it says")
        return whole

    def _positions(self, statistic: Statistic) -> Array:
        value = self.value(statistic.value)
        return value.reshape(-1, value.shape[3]).astype(np.float64)

    def _segment(self, segment: Segment) -> Array:
        source = self.maps.get(segment.node)
        if source is None:
            raise Unreadable("a value from nowhere")
        x = source[..., segment.start : segment.stop]
        for step in segment.steps:
            x = self._step(x, step, segment.width)
        return x

    def _step(self, x: Array, step: Step, width: int) -> Array:
        work.spend(CALL + 2 * x.size)
        if step.affine is not None:
            factor, offset = self._affine(step)
            part = slice(step.start, step.start + width)
            return x * factor[part] + offset[part]
        if step.kind == "pointwise":
            return self._pointwise(x, step.detail[1])
        if step.kind == "pool":
            return pool(x, *step.detail)
        if step.kind == "pad":
            top, bottom, left, right, fill = step.detail
            return np.pad(x, ((0, 0), (top, bottom), (left, right), (0, 0)), constant_values=fill)
        if step.kind == "crop":
            top, bottom, left, right = step.detail
            return x[:, top : x.shape[1] - bottom, left : x.shape[2] - right]
        if step.kind == "stop_gradient" or (step.kind == "dropout" and step.detail[0] == 0):
            return x
        raise Unreadable("random numbers" if step.kind in ("noise", "dropout") else step.kind)

    def _affine(self, step: Step) -> tuple[Array, Array]:
        affine = step.affine
        assert affine is not None
        if affine.key not in self.coefficients:
            factor, offset = affine.coefficients(0, len(affine.terms), self.values)
            self.coefficients[affine.key] = (factor.astype(self.dtype), offset.astype(self.dtype))
        return self.coefficients[affine.key]

    def _pointwise(self, x: Array, tree: Any) -> Array:
        if tree == ("Relu", X):
            return np.maximum(x, 0)
        work.spend(4 * cost(tree) * x.size)
        return evaluate(tree, x.astype(np.float64)).astype(self.dtype)

    # --- nodes ---

    def _node(self, node: Node) -> Array:
        if node.kind == "input":
            return self._input(node)
        if node.kind in ("conv", "depthwise"):
            return self._convolution(node)
        if node.kind in ("add", "multiply") or node.written_as == "Maximum":
            return self._combined(node)
        if node.kind == "softmax":
            return _softmax(self.value(node.inputs[0]), bool(node.get("logarithm")))
        if node.kind == "constant":
            return self._constant(node)
        raise Unreadable(f"the operation {node.get('op') or node.written_as or node.kind}")

    def _input(self, node: Node) -> Array:
        shape = (len(self.images), node.height, node.width, node.channels)
        if self.images.size != math.prod(shape) or (
            self.images.ndim == 4 and self.images.shape != shape
        ):
            raise Unreadable(f"an input of shape {shape} for images {self.images.shape}")
        return self.images.reshape(shape)

    def _kernel(self, node: Node) -> Array:
        if node.kernel is None or math.prod(node.kernel_shape) != node.kernel.size:
            raise Unreadable("a convolution without a kernel")
        return node.kernel.value(self.values).reshape(node.kernel_shape).astype(self.dtype)

    def _convolution(self, node: Node) -> Array:
        x, kernel = self.value(node.inputs[0]), self._kernel(node)
        arguments = (node.get("strides"), node.get("padding"), node.get("dilations"))
        if node.kind == "depthwise":
            return convolve(x, kernel, *arguments, depthwise=True)
        groups = int(node.get("groups"))
        work.spend(CALL * groups * math.prod(kernel.shape[:2]))
        parts = np.split(x, groups, axis=3)
        kernels = np.split(kernel, groups, axis=3)
        maps = [convolve(a, b, *arguments) for a, b in zip(parts, kernels, strict=True)]
        return maps[0] if groups == 1 else np.concatenate(maps, axis=3)

    def _combined(self, node: Node) -> Array:
        values = [self.value(value) for value in node.inputs]
        work.spend(2 * sum(value.size for value in values))
        function = {"add": np.add, "multiply": np.multiply}.get(node.kind, np.maximum)
        try:
            result = values[0]
            for other in values[1:]:
                result = function(result, other)
        except ValueError as error:
            raise Unreadable("maps of shapes that do not fit") from error
        return result

    def _constant(self, node: Node) -> Array:
        assert node.kernel is not None
        return constant_map(node, node.kernel, self.values, len(self.images)).astype(self.dtype)


def constant_map(node: Node, symbol: Symbol, values: Values, images: int) -> Array:
    """A constant node as (N, H, W, C).

    Raises:
        Unreadable: It differs from image to image, or its axes cannot be told.
    """
    shape = (images, node.height, node.width, node.channels)
    array = np.asarray(symbol.value(values), np.float64)
    if array.size and np.all(array == array.reshape(-1)[0]):
        return np.full(shape, array.reshape(-1)[0])
    if array.ndim == 4 and np.array_equal(array, np.broadcast_to(array[:1], array.shape)):
        try:
            return np.broadcast_to(array[:1], shape)
        except ValueError:
            pass
    raise Unreadable("a constant map")


def _needed(graph: Graph) -> set[int]:
    """The nodes that the output depends on, through batch statistics too."""
    assert graph.output is not None
    wanted: set[int] = set()
    seen: set[str] = set()
    stack = [graph.output]
    while stack:
        for segment in stack.pop().segments:
            for step in segment.steps:
                for statistic in _statistics(step):
                    if statistic.key not in seen:
                        seen.add(statistic.key)
                        stack.append(statistic.value)
            if segment.node not in wanted:
                wanted.add(segment.node)
                stack += graph.nodes[segment.node].inputs
    return wanted


def _statistics(step: Step) -> list[Statistic]:
    if step.affine is None:
        return []
    return [s for term in step.affine.terms for s in term.symbol.statistics]


# --- operations ----------------------------------------------------------------------------


def convolve(
    x: Array,
    kernel: Array,
    strides: tuple[int, int],
    padding: tuple[int, int, int, int],
    dilations: tuple[int, int],
    depthwise: bool = False,
) -> Array:
    """A convolution, as one matrix product for each place of the kernel.

    Args:
        x: (N, H, W, C).
        kernel: (rows, columns, C, out); depthwise (rows, columns, C, multiplier).
        strides: Down and across.
        padding: Zeros at top, bottom, left, right.
        dilations: Down and across.
        depthwise: Whether each channel is convolved by itself.

    Returns:
        (N, H', W', out).
    """
    rows, columns, _, out = kernel.shape
    if rows * columns > MAX_POSITIONS:
        raise Unreadable("a convolution with a giant kernel")
    total: Array | None = None
    for i, j, window in windows(x, (rows, columns), strides, padding, dilations, 0.0):
        places = window.size // max(window.shape[3], 1)
        made = places * out * (window.shape[3] if depthwise else 1)
        work.spend(CALL + window.size + 2 * made)
        if not depthwise:
            work.spend(window.size * out // MULTIPLICATIONS)
        if depthwise:
            part = window[..., None] * kernel[i, j]
            part = part.reshape(*window.shape[:3], -1)
        else:
            part = (window.reshape(-1, window.shape[3]) @ kernel[i, j]).reshape(
                *window.shape[:3], out
            )
        total = part if total is None else total + part
    assert total is not None
    return total


def windows(
    x: Array,
    size: tuple[int, int],
    strides: tuple[int, int],
    padding: tuple[int, int, int, int],
    dilations: tuple[int, int],
    fill: float,
) -> Any:
    """For each place of a window, what lies under it as the window moves over the map.

    Yields:
        (row, column, part of the map), the part (N, H', W', C).
    """
    top, bottom, left, right = padding
    work.spend(2 * x.size)
    x = np.pad(x, ((0, 0), (top, bottom), (left, right), (0, 0)), constant_values=fill)
    height = (x.shape[1] - (size[0] - 1) * dilations[0] - 1) // strides[0] + 1
    width = (x.shape[2] - (size[1] - 1) * dilations[1] - 1) // strides[1] + 1
    for i in range(size[0]):
        for j in range(size[1]):
            row, column = i * dilations[0], j * dilations[1]
            yield (
                i,
                j,
                x[
                    :,
                    row : row + (height - 1) * strides[0] + 1 : strides[0],
                    column : column + (width - 1) * strides[1] + 1 : strides[1],
                ],
            )


def pool(
    x: Array,
    mode: str,
    size: tuple[int, int],
    strides: tuple[int, int],
    padding: tuple[int, int, int, int],
) -> Array:
    """Mean (padding not counted) or maximum under a moving window; (N, H', W', C)."""
    plain = size == strides and padding == (0, 0, 0, 0)
    if plain and x.shape[1] % size[0] == 0 and x.shape[2] % size[1] == 0:
        n, height, width, channels = x.shape
        blocks = x.reshape(n, height // size[0], size[0], width // size[1], size[1], channels)
        return np.asarray(blocks.mean(axis=(2, 4)) if mode == "mean" else blocks.max(axis=(2, 4)))
    if size[0] * size[1] > MAX_POSITIONS:
        raise Unreadable("pooling with a giant window")
    if mode == "max":
        return _gathered(np.maximum, windows(x, size, strides, padding, (1, 1), -math.inf))
    ones = np.ones((1, *x.shape[1:3], 1), x.dtype)
    total = _gathered(np.add, windows(x, size, strides, padding, (1, 1), 0.0))
    count = _gathered(np.add, windows(ones, size, strides, padding, (1, 1), 0.0))
    return np.asarray(total / count)


def _gathered(function: Any, parts: Iterable[tuple[int, int, Array]]) -> Array:
    """One function over what lies under all places of a window, one place at a time."""
    result: Array | None = None
    for _, _, part in parts:
        work.spend(CALL + 2 * part.size)
        result = part if result is None else function(result, part)
    assert result is not None
    return result


def _softmax(x: Array, logarithm: bool) -> Array:
    shifted = x - x.max(axis=3, keepdims=True)
    total = np.exp(shifted).sum(axis=3, keepdims=True)
    return np.asarray(shifted - np.log(total) if logarithm else np.exp(shifted) / total)


def arranged(whole: Array, value: Value) -> Array:
    """(N, H, W, C) in the axes of a value, for any number of images.

    Raises:
        Unreadable: The axes hold something other than positions of the four.
    """
    sizes = dict(zip("NHWC", whole.shape, strict=True))
    batch = value.batch

    def length(role: str, size: int) -> int:
        return len(whole) if role == "N" and size == batch else size

    atoms = sorted(
        {a for axis in value.axes for a in axis}, key=lambda a: ("NHWC".find(a.role), -a.stride)
    )
    for role, size in sizes.items():
        held = math.prod(length(role, a.size) for a in atoms if a.role == role)
        if held != size:
            raise Unreadable("an output whose axes cannot be told")
    split = whole.reshape([length(a.role, a.size) for a in atoms])
    order = [atoms.index(a) for axis in value.axes for a in axis]
    return split.transpose(order).reshape(_lengths(value.axes, length))


def _lengths(axes: Axes, length: Any) -> list[int]:
    return [math.prod(length(a.role, a.size) for a in axis) for axis in axes]
