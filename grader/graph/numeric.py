"""The third proof: what was read, computed anew in NumPy, must be what the student's network gave.

Property protected: nobody is graded on a misreading. The canonical graph and the student's weights
are all this interpreter has; where its numbers differ from those the network gave in the sandbox,
the reading was wrong, and the case goes to a person. It knows no TensorFlow.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np
from numpy.typing import NDArray

from grader.graph import work
from grader.graph.canonical import Atom, Graph, Statistic, Value
from grader.graph.maps import CALL, convolve, in_groups, pool, softmax
from grader.graph.pointwise import X, cost, evaluate
from grader.graph.program import Instruction, Numbers, Program, lower
from grader.graph.record import Trace, VariableRecord
from grader.graph.symbols import Unreadable, Values

Array = NDArray[Any]

SAMPLE_SEED = 20160825
"""Draws the random images on which the student's network and the rebuilt one must agree."""
TOLERANCE = 1e-4
"""Largest accepted difference, as a share of the largest number expected (at least of 1)."""
HALF_PRECISION_TOLERANCE = {"float16": 2e-2, "bfloat16": 1e-1}
"""The same for a network that computes in such numbers: 11 and 8 bits, some hundred layers."""
MAX_WORK = 10**10
"""Numbers that one run may read or make, multiplications aside; BC L=190 k=40 makes 2·10^8."""
IMPOSSIBLE = (ValueError, TypeError, LookupError, ArithmeticError, AttributeError)
"""What NumPy raises where a description is not of one network."""


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
    program = lower(graph)
    assert graph.output is not None
    return arranged(compute(program, values, images, dtype), graph.output)


def compute(
    program: Program, values: Sequence[Array], images: Array, dtype: type = np.float32
) -> Array:
    """What a program gives for some images; see `run`. (N, H, W, C), as every map in it."""
    return _Run(program, values, images, dtype).result()


class _Run:
    """One program for one batch of images; all maps are (N, H, W, C)."""

    def __init__(
        self, program: Program, values: Sequence[Array], images: Array, dtype: type
    ) -> None:
        self.program, self.dtype = program, dtype
        self.images: Array = np.asarray(images, dtype)
        self.numbers = Numbers(Values(values, self._positions))
        self.maps: dict[int, Array] = {}

    def result(self) -> Array:
        """The map of the last instruction."""
        self.program.refuse_giants(len(self.images))
        until = self.program.last_readers()
        with np.errstate(all="ignore"):
            for number, instruction in enumerate(self.program.instructions):
                self.maps[number] = self._map(instruction)
                for read in instruction.inputs:
                    if until[read] == number:
                        self.maps.pop(read, None)
        return self.maps[len(self.program.instructions) - 1]

    def _map(self, instruction: Instruction) -> Array:
        shape = (len(self.images), *instruction.shape)
        work.spend(CALL + 2 * math.prod(shape))
        if instruction.kind == "input":
            return self._shown(shape)
        arrays: list[Array] = [a.astype(self.dtype) for a in self.numbers.of(instruction)]
        if instruction.kind == "constant":
            return np.broadcast_to(arrays[0], shape)
        emit = EMITTERS.get(instruction.kind, _random)
        try:
            found = emit(instruction, arrays, *[self.maps[n] for n in instruction.inputs])
        except ValueError as error:
            raise Unreadable("maps of shapes that do not fit") from error
        if found.shape != shape:
            raise Unreadable("a map of another shape than it says")
        return found.astype(self.dtype, copy=False)

    def _shown(self, shape: tuple[int, ...]) -> Array:
        if self.images.size != math.prod(shape) or (
            self.images.ndim == 4 and self.images.shape != shape
        ):
            raise Unreadable(f"an input of shape {shape} for images {self.images.shape}")
        return self.images.reshape(shape)

    def _positions(self, statistic: Statistic) -> Array:
        found = self.maps[self.program.statistics[statistic.key]]
        return found.reshape(-1, found.shape[3]).astype(np.float64)


# --- instructions --------------------------------------------------------------------------


def _random(i: Instruction, arrays: list[Array], x: Array) -> Array:
    if i.kind == "dropout" and i.settings[0] == 0:
        return x
    raise Unreadable("random numbers")


def _affine(i: Instruction, arrays: list[Array], x: Array, *statistics: Array) -> Array:
    factor, offset = arrays
    return np.asarray(x * factor + offset)


def _pointwise(i: Instruction, arrays: list[Array], x: Array) -> Array:
    (tree,) = i.settings
    if tree == ("Relu", X):
        return np.asarray(np.maximum(x, 0))
    work.spend(4 * cost(tree) * x.size)
    return evaluate(tree, x.astype(np.float64))


def _pad(i: Instruction, arrays: list[Array], x: Array) -> Array:
    top, bottom, left, right, fill = i.settings
    return np.pad(x, ((0, 0), (top, bottom), (left, right), (0, 0)), constant_values=fill)


def _crop(i: Instruction, arrays: list[Array], x: Array) -> Array:
    top, bottom, left, right = i.settings
    return x[:, top : x.shape[1] - bottom, left : x.shape[2] - right]


def _depthwise(i: Instruction, arrays: list[Array], x: Array, *statistics: Array) -> Array:
    _, strides, padding, dilations, _ = i.settings
    found = convolve(x, arrays[0], strides, padding, dilations, depthwise=True)
    return np.asarray(found + arrays[1]) if arrays[1:] else found


def _convolution(i: Instruction, arrays: list[Array], x: Array, *statistics: Array) -> Array:
    _, strides, padding, dilations, groups = i.settings
    found = in_groups(x, arrays[0], strides, padding, dilations, groups)
    return np.asarray(found + arrays[1]) if arrays[1:] else found


def _all(function: Callable[[Array, Array], Array]) -> Callable[..., Array]:
    return lambda i, arrays, *maps: reduce(function, maps)


EMITTERS: dict[str, Callable[..., Array]] = {
    "slice": lambda i, arrays, x: x[..., i.settings[0] : i.settings[1]],
    "concat": lambda i, arrays, *maps: np.concatenate(maps, axis=3),
    "affine": _affine,
    "pointwise": _pointwise,
    "pool": lambda i, arrays, x: pool(x, *i.settings),
    "pad": _pad,
    "crop": _crop,
    "stop_gradient": lambda i, arrays, x: x,
    "conv": _convolution,
    "depthwise": _depthwise,
    "add": _all(np.add),
    "multiply": _all(np.multiply),
    "maximum": _all(np.maximum),
    "softmax": lambda i, arrays, x: softmax(x, i.settings[0]),
}
"""What each instruction is in NumPy: (instruction, its arrays, maps) → map."""


def arranged(whole: Array, value: Value) -> Array:
    """(N, H, W, C) in the axes of a value, for any number of images.

    Raises:
        Unreadable: The axes hold something other than positions of the four.
    """
    atoms, lengths = _split_axes(value, len(whole))
    sizes = dict(zip("NHWC", whole.shape, strict=True))
    known = all(atom.role in sizes for atom in atoms)
    for role, size in sizes.items() if known else ():
        held = math.prod(n for a, n in lengths.items() if a.role == role)
        if held != size:
            raise Unreadable("an output whose axes cannot be told")
    split = whole.reshape([lengths[a] for a in atoms])
    order = [atoms.index(a) for axis in value.axes for a in axis]
    shape = [math.prod(lengths[a] for a in axis) for axis in value.axes]
    return split.transpose(order).reshape(shape)


def as_map(array: Array, value: Value) -> Array:
    """What `arranged` undoes: a tensor in the axes of a value as (N, H, W, C).

    Raises:
        Unreadable: The axes hold something other than positions of the four.
    """
    atoms, lengths = _split_axes(value, value.batch)
    shape = (value.batch, value.height, value.width, value.channels)
    if math.prod(lengths.values()) != math.prod(shape) or array.size != math.prod(shape):
        raise Unreadable("a value whose axes cannot be told")
    order = [a for axis in value.axes for a in axis]
    split = array.reshape([lengths[a] for a in order])
    return split.transpose([order.index(a) for a in atoms]).reshape(shape)


def _split_axes(value: Value, images: int) -> tuple[list[Atom], dict[Atom, int]]:
    """The atoms of a value in the order of (N, H, W, C), and the length of each."""
    atoms = sorted(
        {a for axis in value.axes for a in axis},
        key=lambda a: ("NHWC".find(a.role), a.role, -a.stride),
    )
    whole = value.batch
    return atoms, {a: images if a.role == "N" and a.size == whole else a.size for a in atoms}
