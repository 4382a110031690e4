"""TensorFlow ops → canonical graph: what each op does, never what it is called by the student.

`canonicalise(trace)` walks the ops once, in order. Each tensor becomes one of

    Symbol   the same for every image (variables, constants, batch statistics)
    Value    depends on the image: channel segments (canonical.py)
    Noise    random, depends on neither (dropout masks)

An op without a rule here, or used in a way the rules do not cover, becomes a `foreign` node that
carries its name; the walk goes on, so that everything else is still read.

Source of the op semantics: TensorFlow's op definitions (tf.raw_ops).
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import Any

import numpy as np

from grader.graph import work
from grader.graph.canonical import (
    Affine,
    Atom,
    Axes,
    Graph,
    Node,
    Segment,
    Statistic,
    Step,
    Term,
    Value,
)
from grader.graph.pointwise import FUNCTIONS, SLOW, Tree, X, classify, substitute
from grader.graph.record import VARIABLES, Op, Trace
from grader.graph.symbols import (
    MAX_DEPTH,
    Symbol,
    Unreadable,
    allowed,
    constant,
    digest,
    expression,
    followed,
    opaque,
    variable,
    without_gradient,
)

MAX_SEGMENTS = 4096
"""Segments of one value; a value in more pieces is not followed channel by channel."""
MAX_STEPS = 64
MAX_TERMS = 64
"""Additions and multiplications in a row; a batch norm has at most five."""
MAX_PIECES = 2_000_000
"""Segments of all values of one graph together. BC L=250 k=24 has a tenth of it; beyond, nothing
is followed any more, so that no trace takes the machine's memory."""
MAX_VALUE = 2**25
"""Numbers of one map; two images of BC L=190 k=40 have 2^22, two of 224×224 some 2^23."""
MAX_CHANNELS = 2**22
IMAGE_CHANNELS = 4
"""An input of more is no image but maps, as a dense block gets them."""
MAX_PADDED = 2**25
"""Numbers of one map with the padding of the convolution or pooling that reads it."""
MAX_SUMS = 2000
"""Sums of one graph that are looked at as one convolution; each look goes over the graph."""
MALFORMED = (ValueError, TypeError, LookupError, ArithmeticError, AttributeError)
"""What an op raises here that TensorFlow would not have made: it is hostile, and has no place."""


@dataclass(frozen=True)
class Noise:
    """A random tensor.

    Attributes:
        shape: Its static shape.
        threshold: What it was compared with: it is zeros and ones.
        factor: What it was multiplied by since then.
        raised: What was added to it; rounded down, it is zeros and ones as well.
    """

    shape: tuple[int, ...] | None
    threshold: float | None = None
    factor: float = 1.0
    raised: float | None = None


Tensor = Symbol | Value | Noise


def canonicalise(trace: Trace) -> Graph:
    """Read one traced function.

    Args:
        trace: Checked record of the op graph.

    Returns:
        Its canonical graph: what cannot be read is a foreign node or is named in `trouble`.

    Raises:
        StageFailed: STUDENT_BAD_OUTPUT; to read it takes more work than any network is worth.
    """
    with work.limited():
        return _Reader(trace).read()


class _Reader:
    def __init__(self, trace: Trace) -> None:
        self.trace = trace
        self.entries = frozenset(trace.inputs)
        self.graph = Graph()
        self.tensors: dict[tuple[int, int], Tensor] = {}
        self.resources: dict[int, int | None] = {}
        self.pieces = 0
        self.sums = 0

    # --- the walk ---

    def read(self) -> Graph:
        for position, op in enumerate(self.trace.ops):
            for output, tensor in enumerate(self._outputs(position, op)):
                self.tensors[position, output] = tensor
                if isinstance(tensor, Value):
                    self.pieces += sum(1 + len(s.steps) // 8 for s in tensor.segments)
        self._finish()
        return self.graph

    def _finish(self) -> None:
        outputs = [self.tensors.get(o) for o in self.trace.outputs]
        values = [t for t in outputs if isinstance(t, Value)]
        if len(outputs) == 1 and values:
            self.graph.output = values[0]
        elif len(outputs) > 1:
            self.graph.trouble.append(f"{len(outputs)} outputs")
            self.graph.output = values[0] if values else None
        else:
            self.graph.trouble.append("the output does not depend on the input")

    def _outputs(self, position: int, op: Op) -> list[Tensor]:
        work.spend_pieces(1 + len(op.inputs) + len(op.outputs))
        if op.op == "Placeholder" or position in self.entries:
            return [self._input(op)]
        if op.op in VARIABLES:
            self.resources[position] = op.attributes.get("variable")
            return [opaque((), "resource", position)]
        if op.op in ("ReadVariableOp", "ResourceGather") and op.inputs and op.outputs:
            return [self._read_variable(op)]
        if op.op.startswith("Assign") and op.inputs:
            self._update(op)
            return []
        arguments = [self.tensors.get(i, NOTHING) for i in op.inputs]
        work.spend_pieces(sum(len(a.segments) for a in arguments if isinstance(a, Value)))
        if self.pieces > MAX_PIECES:
            return self._foreign(op, arguments, "a network too large to follow")
        try:
            result = self._apply(op, arguments)
        except Unreadable as problem:
            return self._foreign(op, arguments, str(problem))
        except MALFORMED:
            # A malformed op of a hostile trace: it has no meaning, so it has no place.
            return self._foreign(op, arguments, "")
        results = result if isinstance(result, list) else [result]
        for tensor, (_, shape) in zip(results, op.outputs, strict=False):
            if not isinstance(tensor, Value):
                continue
            if not _is_possible(tensor):
                return self._foreign(op, arguments, "a map of an impossible size")
            if shape is not None and -1 not in shape and tensor.shape != shape:
                return self._foreign(op, arguments, "its shape is not what it computes")
        return results

    def _input(self, op: Op) -> Tensor:
        shape = op.outputs[0][1] if op.outputs else None
        if shape is None or len(shape) not in (2, 4) or not _fits(shape):
            self.graph.trouble.append("an input whose shape cannot be read")
            return opaque(shape or (), "input", op.name)
        batch, height, width, channels = shape if len(shape) == 4 else (shape[0], 1, 1, shape[1])
        node = self.graph.add(
            "input", (), channels=channels, height=height, width=width, name=op.name
        )
        whole = (Segment(node.index, 0, channels),)
        axes = standard_axes(batch, height, width, channels)
        if len(shape) == 2:
            axes = (axes[0], axes[3])
        return Value(axes, batch, height, width, whole)

    def _read_variable(self, op: Op) -> Symbol:
        index = self.resources.get(op.inputs[0][0])
        shape = op.outputs[0][1]
        if index is None or op.op != "ReadVariableOp":
            return opaque(shape or (), "unknown variable", op.name)
        if shape is None:  # inside a compiled function
            shape = tuple(self.trace.variables[index].shape)
        if tuple(self.trace.variables[index].shape) != shape:
            return opaque(shape, "variable of another shape", index)
        return variable(index, shape)

    def _update(self, op: Op) -> None:
        index = self.resources.get(op.inputs[0][0])
        if index is None:
            return
        new = self.tensors.get(op.inputs[-1])
        if isinstance(new, Symbol) and op.op in CHANGES:
            old = variable(index, tuple(self.trace.variables[index].shape))
            new = expression(op.op, [old, new], CHANGES[op.op], old.shape)
        self.graph.updates[index] = new if isinstance(new, Symbol) else None

    def _foreign(self, op: Op, arguments: list[Tensor], reason: str) -> list[Tensor]:
        """Outputs of an op that has no place: opaque symbols, noise, or a foreign node."""
        values = tuple(a for a in arguments if isinstance(a, Value))
        if not values:
            if any(isinstance(a, Noise) for a in arguments) or op.op in RANDOM:
                return [Noise(shape) for _, shape in op.outputs]
            symbols = [a for a in arguments if isinstance(a, Symbol)]
            keys = [a.key for a in symbols]
            variables = followed(symbols) or frozenset()
            return [
                replace(opaque(shape or (), op.op, op.name, i, *keys), variables=variables)
                for i, (_, shape) in enumerate(op.outputs)
            ]
        kernel = next((a for a in arguments if isinstance(a, Symbol) and a.variables), None)
        settings = _settings(op, arguments)
        results: list[Tensor] = []
        for i, (_, shape) in enumerate(op.outputs):
            if shape is None or len(shape) < 1 or not _fits(shape):
                results.append(opaque(shape or (), op.op, op.name, i))
                continue
            batch, height, width, channels = _as_map(shape, values[0].batch)
            node = self.graph.add(
                "foreign",
                values,
                channels=channels,
                height=height,
                width=width,
                kernel=kernel,
                detail=(("op", op.op), ("reason", reason), ("output", i), ("settings", settings)),
                written_as=op.op,
                name=op.name,
            )
            results.append(
                Value(
                    _axes_of(shape, batch, height, width, channels),
                    batch,
                    height,
                    width,
                    (Segment(node.index, 0, channels),),
                )
            )
        return results

    # --- one op ---

    def _apply(self, op: Op, arguments: list[Tensor]) -> Tensor | list[Tensor]:
        if op.op in RANDOM:
            return [Noise(shape) for _, shape in op.outputs]
        values = any(isinstance(a, Value) for a in arguments)
        if not values and any(isinstance(a, Noise) for a in arguments):
            return self._noise(op, arguments)
        if not values:
            return self._symbolic(op, [a for a in arguments if isinstance(a, Symbol)])
        rule = RULES.get(op.op)
        if rule is None:
            raise Unreadable("")
        result: Tensor | list[Tensor] = rule(self, op, arguments)
        return result

    def _noise(self, op: Op, arguments: list[Tensor]) -> list[Tensor]:
        """Arithmetic on random numbers: zeros and ones are told, and a factor behind them."""
        drawn = next(a for a in arguments if isinstance(a, Noise))
        numbers = [a.constant for a in arguments if isinstance(a, Symbol) and a.size == 1]
        number = float(numbers[0].reshape(())) if numbers and numbers[0] is not None else None
        if op.op in ("GreaterEqual", "Greater", "Less", "LessEqual") and number is not None:
            drawn = Noise(None, number)
        elif op.op in ("Add", "AddV2"):
            drawn = Noise(None, raised=number)
        elif op.op == "Floor" and drawn.raised is not None:
            drawn = Noise(None, 1.0 - drawn.raised)
        elif op.op in ("Mul", "RealDiv", "Div") and number is not None:
            factor = drawn.factor * number if op.op == "Mul" else drawn.factor / number
            drawn = replace(drawn, factor=factor)
        elif op.op not in ("Cast", "Identity", "Reshape", "BroadcastTo"):
            drawn = Noise(None, drawn.threshold)
        return [replace(drawn, shape=shape) for _, shape in op.outputs]

    def _symbolic(self, op: Op, arguments: list[Symbol]) -> Tensor | list[Tensor]:
        """An op on variables and constants only."""
        if op.op == "Const":
            value = op.attributes.get("value")
            shape = op.outputs[0][1] or ()
            return opaque(shape, "constant", op.name) if value is None else constant(value, True)
        shapes = [shape for _, shape in op.outputs]
        if op.op in IDENTITIES and arguments:
            return [_without_gradient(arguments[0]) if op.op in STOPS else arguments[0]]
        if len(shapes) != 1 or shapes[0] is None or any(n < 0 for n in shapes[0]):
            raise Unreadable("")
        shape = shapes[0]
        name = op.op + repr(sorted((k, repr(v)) for k, v in op.attributes.items()))
        if op.op == "Cast":
            kind = _cast_kind(op)
            if kind == "float":
                return expression("", arguments, _CASTS[kind], shape, keeps_variable=True)
            return without_gradient(expression(f"cast to {kind}", arguments, _CASTS[kind], shape))
        if op.op == "Reshape":
            return expression(
                f"reshape{shape}",
                arguments[:1],
                lambda a: np.reshape(a, shape),
                shape,
                keeps_variable=True,
            )
        if op.op in ("Squeeze", "ExpandDims"):
            return expression(
                f"reshape{shape}",
                arguments[:1],
                lambda a: np.reshape(a, shape),
                shape,
                keeps_variable=True,
            )
        if op.op == "Transpose" and arguments[1].constant is not None:
            order = [int(i) for i in arguments[1].constant]
            return expression(
                f"transpose{order}",
                arguments[:1],
                lambda a: np.transpose(a, order),
                shape,
                keeps_variable=True,
            )
        function = NUMPY.get(op.op)
        if function is None and op.op in FUNCTIONS:
            pointwise = FUNCTIONS[op.op]
            function = _elementwise(op.op, pointwise)
        if function is None:
            raise Unreadable("")
        checked = function
        result = expression(name, arguments, lambda *a: checked(op, *a), shape)
        return without_gradient(result) if op.op in FLAT else result


def _fits(shape: tuple[int, ...]) -> bool:
    """Whether a map may have this shape."""
    return all(n >= 1 for n in shape) and math.prod(shape) <= MAX_VALUE


def _is_possible(value: Value) -> bool:
    sizes = (value.batch, value.height, value.width, value.channels)
    pieces = all(s.width >= 1 for s in value.segments)
    return pieces and value.channels <= MAX_CHANNELS and _fits(sizes) and _fits(value.shape)


NOTHING = opaque((), "nothing")
"""What an op receives that reads the output of one without outputs."""


def _settings(op: Op, arguments: list[Tensor]) -> tuple[str, str]:
    """What tells two uses of a foreign op apart: its attributes, and a key of its constants."""
    kept = [
        f"{name} {value:g}" if isinstance(value, float) else f"{name} {value}"
        for name, value in sorted(op.attributes.items())
        if not _names_a_type(value)
    ]
    constants = [
        (i, a.key)
        for i, a in enumerate(arguments)
        if isinstance(a, Symbol) and a.constant is not None
    ]
    return ", ".join(kept)[:300], digest(kept, constants)


def _names_a_type(value: Any) -> bool:
    return isinstance(value, str) and value.startswith(("float", "bfloat", "half", "int", "uint"))


# --- axes ----------------------------------------------------------------------------------


def _axis(role: str, size: int) -> tuple[Atom, ...]:
    return (Atom(role, 1, size),) if size > 1 or role == "N" else ()


def standard_axes(batch: int, height: int, width: int, channels: int) -> Axes:
    """(batch, height, width, channels)."""
    return (_axis("N", batch), _axis("H", height), _axis("W", width), _axis("C", channels))


def _as_map(shape: tuple[int, ...], batch: int) -> tuple[int, int, int, int]:
    if len(shape) == 4:
        return shape[0], shape[1], shape[2], shape[3]
    if len(shape) == 2:
        return shape[0], 1, 1, shape[1]
    return batch, 1, 1, max(1, math.prod(shape) // max(batch, 1))


def _axes_of(shape: tuple[int, ...], batch: int, height: int, width: int, channels: int) -> Axes:
    axes = standard_axes(batch, height, width, channels)
    if len(shape) == 4:
        return axes
    if len(shape) == 2:
        return (axes[0], axes[3])
    return tuple((Atom(f"X{i}", 1, n),) if n > 1 else () for i, n in enumerate(shape))


def _roles(value: Value, layout: str = "NHWC") -> bool:
    """Whether the value's axes are those of `layout`, each whole and in order."""
    standard = dict(
        zip(
            "NHWC",
            standard_axes(value.batch, value.height, value.width, value.channels),
            strict=True,
        )
    )
    return value.axes == tuple(standard[letter] for letter in layout)


def _channel_axis(value: Value) -> int:
    """Which axis holds the channels, whole and in order.

    Raises:
        Unreadable: None does.
    """
    whole = _axis("C", value.channels)
    if whole:
        for i, axis in enumerate(value.axes):
            if axis == whole:
                return i
    elif len(value.axes) == 4:
        return 3 if value.axes[1] == _axis("H", value.height) else 1
    elif len(value.axes) == 2:
        return 1
    raise Unreadable("channels are no axis of their own")


def _normalised(axis: int, rank: int) -> int:
    if not -rank <= axis < rank:
        raise Unreadable("an axis out of range")
    return axis % rank


def reshape_axes(axes: Axes, shape: tuple[int, ...]) -> Axes:
    """The atoms after a row-major reshape.

    Raises:
        Unreadable: The new axes cut across the old ones.
    """
    atoms = [a for axis in axes for a in axis]
    result: list[tuple[Atom, ...]] = []
    for position, length in enumerate(shape):
        held: list[Atom] = []
        remaining = length
        while atoms and (remaining > 1 or (atoms[0].size == 1 and position == 0)):
            atom = atoms.pop(0)
            if remaining % atom.size == 0:
                held.append(atom)
                remaining //= atom.size
            elif atom.size % remaining == 0:
                inner = atom.size // remaining
                held.append(Atom(atom.role, atom.stride * inner, remaining))
                atoms.insert(0, Atom(atom.role, atom.stride, inner))
                remaining = 1
            else:
                raise Unreadable("a reshape that cuts across height, width and channels")
        if remaining != 1:
            raise Unreadable("a reshape that does not fit")
        result.append(_merged(held))
    if atoms:
        raise Unreadable("a reshape that does not fit")
    return tuple(result)


def _merged(atoms: list[Atom]) -> tuple[Atom, ...]:
    merged: list[Atom] = []
    for atom in atoms:
        before = merged[-1] if merged else None
        if (
            before is not None
            and before.role == atom.role
            and before.stride == atom.stride * atom.size
        ):
            merged[-1] = Atom(atom.role, atom.stride, before.size * atom.size)
        else:
            merged.append(atom)
    return tuple(merged)


# --- values --------------------------------------------------------------------------------


def with_step(value: Value, step: Callable[[int, Segment], Step], **changes: Any) -> Value:
    """The value with one more step on each segment; `step(first_channel, segment)` makes it."""
    segments = []
    at = 0
    for segment in value.segments:
        if len(segment.steps) >= MAX_STEPS:
            raise Unreadable("too many operations in a row")
        segments.append(replace(segment, steps=(*segment.steps, step(at, segment))))
        at += segment.width
    return replace(value, segments=tuple(segments), **changes)


def _elementwise(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """A function of numbers, over arrays that may grow by broadcasting only so far."""

    def apply(op: Op, *arrays: Any) -> Any:
        shape = allowed(np.broadcast_shapes(*[np.shape(a) for a in arrays]))
        work.spend(SLOW.get(name, 1) * math.prod(shape))
        return function(*arrays)

    return apply


def _joined(segments: list[Segment]) -> tuple[Segment, ...]:
    """Neighbours that continue each other become one segment."""
    joined: list[Segment] = []
    for segment in segments:
        if joined and _continues(joined[-1], segment):
            joined[-1] = replace(joined[-1], stop=segment.stop)
        else:
            joined.append(segment)
    if len(joined) > MAX_SEGMENTS:
        raise Unreadable("too many pieces")
    return tuple(joined)


def _continues(a: Segment, b: Segment) -> bool:
    if a.node != b.node or a.stop != b.start or len(a.steps) != len(b.steps):
        return False
    for one, other in zip(a.steps, b.steps, strict=True):
        if one.kind != other.kind or one.detail != other.detail:
            return False
        if one.affine is not None:
            if other.affine is None or one.affine.key != other.affine.key:
                return False
            if one.start + a.width != other.start:
                return False
    return True


def channel_slice(value: Value, start: int, stop: int) -> tuple[Segment, ...]:
    """Segments of channels start..stop."""
    found = []
    at = 0
    work.spend(work.PIECE // 8 * len(value.segments))
    for segment in value.segments:
        low, high = max(start - at, 0), min(stop - at, segment.width)
        if low < high:
            found.append(_part(segment, low, high))
        at += segment.width
    return tuple(found)


def _part(segment: Segment, low: int, high: int) -> Segment:
    steps = tuple(
        replace(s, start=s.start + low) if s.affine is not None else s for s in segment.steps
    )
    return Segment(segment.node, segment.start + low, segment.start + high, steps)


def _with_channels(value: Value, segments: tuple[Segment, ...]) -> Value:
    """The value with other segments; its channel axis takes their width."""
    axis = _channel_axis(value)
    width = sum(s.width for s in segments)
    axes = list(value.axes)
    axes[axis] = _axis("C", width)
    return replace(value, axes=tuple(axes), segments=segments)


def _channel_vector(value: Value, symbol: Symbol) -> Symbol:
    """A symbol that is broadcast against a value, as one number or one number a channel.

    Raises:
        Unreadable: It also varies over positions or images.
    """
    rank = len(value.axes)
    if len(symbol.shape) > rank:
        if any(n != 1 for n in symbol.shape[: len(symbol.shape) - rank]):
            raise Unreadable("a constant of more axes")
    if symbol.size == 1:
        return expression("scalar", [symbol], lambda a: np.reshape(a, ()), ())
    shape = (1,) * max(rank - len(symbol.shape), 0) + symbol.shape[-rank:]
    wide = [i for i, n in enumerate(shape) if n != 1]
    axis = _channel_axis(value)
    if wide == [axis] and shape[axis] == value.channels:
        channels = value.channels
        return expression("vector", [symbol], lambda a: np.reshape(a, (channels,)), (channels,))
    if symbol.constant is not None and all(
        n in (1, m) for n, m in zip(shape, value.shape, strict=True)
    ):
        flat = symbol.constant.reshape(shape)
        other = tuple(i for i in range(rank) if i != axis)
        first = flat[tuple(slice(0, 1) if i in other else slice(None) for i in range(rank))]
        if np.array_equal(flat, np.broadcast_to(first, flat.shape)):
            vector = first.reshape(-1)
            return constant(vector if vector.size > 1 else vector.reshape(()))
    raise Unreadable("adds or multiplies numbers that differ from place to place")


def affine_step(value: Value, operation: str, symbol: Symbol) -> Value:
    """The value times, or plus, a per-channel symbol; composes with an affine map before it."""
    vector = _channel_vector(value, symbol)
    if vector.constant is not None:
        uniform = np.unique(vector.constant)
        if len(uniform) == 1:
            vector = constant(uniform[0].reshape(()).astype(np.float64))
            if operation == "multiply" and uniform[0] == 1:
                return value
            if operation == "add" and uniform[0] == 0:
                return value
    term = Term(operation, vector, symbol, value.key if vector.statistics else "")
    last = _common_affine(value)
    if last is not None and len(last.terms) >= MAX_TERMS:
        raise Unreadable("too many operations in a row")
    if last is not None:
        whole = Affine((*last.terms, term), value.channels)
        trimmed = replace(
            value, segments=tuple(replace(s, steps=s.steps[:-1]) for s in value.segments)
        )
        return with_step(trimmed, lambda at, _: Step("affine", affine=whole, start=at))
    whole = Affine((term,), value.channels)
    return with_step(value, lambda at, _: Step("affine", affine=whole, start=at))


def _common_affine(value: Value) -> Affine | None:
    """The affine map that is the last step of all segments and covers them in order."""
    common = None
    at = 0
    for segment in value.segments:
        last = segment.steps[-1] if segment.steps else None
        if last is None or last.affine is None or last.affine.channels != value.channels:
            return None
        if last.start != at or (common is not None and common.key != last.affine.key):
            return None
        common = last.affine
        at += segment.width
    return common


def _uniform(step: Step) -> tuple[float, float] | None:
    """a, b where an affine step is a·x + b with the same numbers for all channels."""
    if step.affine is None:
        return None
    a, b = 1.0, 0.0
    for term in step.affine.terms:
        if term.symbol.constant is None or term.symbol.shape != ():
            return None
        number = float(term.symbol.constant)
        a, b = (a * number, b * number) if term.operation == "multiply" else (a, b + number)
    return a, b


def strip_pointwise(value: Value) -> tuple[Value, Tree]:
    """Take off the trailing functions of one number that all segments share.

    Returns:
        The value before them, and them as one tree.
    """
    tree: Tree = X
    while value.segments and all(s.steps for s in value.segments):
        lasts = [s.steps[-1] for s in value.segments]
        first = lasts[0]
        if first.kind == "pointwise" and all(
            s.kind == "pointwise" and s.detail == first.detail for s in lasts
        ):
            inner: Tree = first.detail[1]
        elif all(s.kind == "affine" for s in lasts):
            pairs = [_uniform(s) for s in lasts]
            if pairs[0] is None or any(p != pairs[0] for p in pairs):
                break
            inner = ("Add", ("Mul", X, ("number", pairs[0][0])), ("number", pairs[0][1]))
        else:
            break
        tree = substitute(tree, inner)
        value = replace(
            value, segments=tuple(replace(s, steps=s.steps[:-1]) for s in value.segments)
        )
    return value, tree


def pointwise_step(graph: Graph, base: Value, tree: Tree) -> Value:
    """Apply a function of one number, by its simplest name."""
    name, numbers = classify(tree)
    if name == "identity":
        return base
    if name == "affine":
        if numbers[0] == 0.0:
            return constant_value(graph, base, constant(np.array(numbers[1])))
        value = affine_step(base, "multiply", constant(np.array(numbers[0])))
        return affine_step(value, "add", constant(np.array(numbers[1])))
    if name == "relu":
        tree = ("Relu", X)
    step = Step("pointwise", (name, tree, numbers))
    return with_step(base, lambda at, segment: step)


def constant_value(graph: Graph, like: Value, symbol: Symbol) -> Value:
    """A value of the same shape that no longer depends on the image."""
    node = graph.add(
        "constant",
        (),
        channels=like.channels,
        height=like.height,
        width=like.width,
        kernel=symbol,
        detail=(("zero", symbol.is_zero()),),
    )
    return replace(like, segments=(Segment(node.index, 0, like.channels),))


def is_zero(graph: Graph, value: Value) -> bool:
    """Whether a value is zero everywhere, whatever the image."""
    return all(
        graph.nodes[s.node].kind == "constant" and bool(graph.nodes[s.node].get("zero"))
        for s in value.segments
    )


# --- rules ---------------------------------------------------------------------------------

Rule = Callable[[_Reader, Op, list[Any]], Any]
RULES: dict[str, Rule] = {}


def rule(*names: str) -> Callable[[Rule], Rule]:
    """Register the reading of some ops."""

    def register(function: Rule) -> Rule:
        for name in names:
            RULES[name] = function
        return function

    return register


def _value(argument: Any) -> Value:
    if not isinstance(argument, Value):
        raise Unreadable("an unexpected argument")
    return argument


def _number(argument: Any) -> np.ndarray[Any, Any]:
    if not isinstance(argument, Symbol) or argument.constant is None:
        raise Unreadable("an argument that is not constant")
    return argument.constant


def _one_number(argument: Any) -> float:
    """The number that fills a constant, e.g. one made by `zeros_like`."""
    array = _number(argument)
    if array.size < 1 or np.any(array != array.flat[0]):
        raise Unreadable("numbers that differ from place to place")
    return float(array.flat[0])


def _integers(argument: Any) -> list[int]:
    return [int(n) for n in np.asarray(_number(argument)).reshape(-1)]


IDENTITIES = {
    "Identity", "StopGradient", "PreventGradient", "EnsureShape", "CheckNumerics", "Snapshot",
    "PlaceholderWithDefault", "IdentityN",
}  # fmt: skip
STOPS = {"StopGradient", "PreventGradient"}
CHANGES: dict[str, Callable[..., Any]] = {
    "AssignAddVariableOp": np.add,
    "AssignSubVariableOp": np.subtract,
}
"""Assignments that say by how much, not to what."""


FLAT = {
    "Ceil", "Equal", "Floor", "FloorDiv", "Greater", "GreaterEqual", "Less", "LessEqual",
    "NotEqual", "Rint", "Round", "Sign",
}  # fmt: skip
"""Steps: their slope is zero wherever there is one, so that nothing behind them is trained."""


def _without_gradient(symbol: Symbol) -> Symbol:
    """A variable behind a stopped gradient is never trained: it is a computed number."""
    if symbol.bare is not None:
        symbol = expression("stop gradient", [symbol], lambda a: a, symbol.shape)
    return without_gradient(symbol)


@rule("Identity", "PreventGradient", "EnsureShape", "CheckNumerics", "Snapshot")
def _identity(reader: _Reader, op: Op, arguments: list[Any]) -> Any:
    return arguments[0]


@rule("IdentityN")
def _identities(reader: _Reader, op: Op, arguments: list[Any]) -> Any:
    return arguments


@rule("StopGradient")
def _stop_gradient(reader: _Reader, op: Op, arguments: list[Any]) -> Any:
    return with_step(_value(arguments[0]), lambda at, s: Step("stop_gradient"))


@rule("Cast")
def _cast_value(reader: _Reader, op: Op, arguments: list[Any]) -> Any:
    value = _value(arguments[0])
    target = str(op.attributes.get("DstT", op.outputs[0][0]))
    source = str(op.attributes.get("SrcT", "float32"))
    if target.startswith(("float", "bfloat", "double", "half")):
        return value
    if source == target or (source == "uint8" and target in ("int16", "int32", "int64")):
        return value
    if target in ("uint8", "int16", "int32", "int64") and _is_image(reader, value):
        return value
    raise Unreadable(f"rounds to {target}")


def _is_image(reader: _Reader, value: Value) -> bool:
    """Whether a value is the image as it came: bytes, whatever type they travel in."""
    return value.channels <= IMAGE_CHANNELS and all(
        reader.graph.nodes[s.node].kind == "input" and not s.steps for s in value.segments
    )


@rule("Shape", "Size", "Rank")
def _shape(reader: _Reader, op: Op, arguments: list[Any]) -> Any:
    shape = _value(arguments[0]).shape
    if op.op == "Shape":
        return constant(np.array(shape, np.int64))
    return constant(np.array(math.prod(shape) if op.op == "Size" else len(shape), np.int64))


@rule("ZerosLike", "OnesLike")
def _like(reader: _Reader, op: Op, arguments: list[Any]) -> Any:
    shape = _value(arguments[0]).shape
    if math.prod(shape) > 2**22:
        raise Unreadable("")
    return constant((np.zeros if op.op == "ZerosLike" else np.ones)(shape))


# arithmetic


@rule("Add", "AddV2", "Sub", "Mul", "RealDiv", "Div", "BiasAdd", "DivNoNan", "MulNoNan")
def _arithmetic(reader: _Reader, op: Op, arguments: list[Any]) -> Any:
    a, b = arguments
    if isinstance(a, Noise) or isinstance(b, Noise):
        return _with_noise(op, a, b)
    if isinstance(a, Value) and isinstance(b, Value):
        return _two_values(reader, op, a, b)
    if op.op == "BiasAdd":
        value = _value(a)
        if op.attributes.get("data_format") == "NCHW" or _is_mistaken_for_channels_last(value, b):
            tail = (1,) * (len(value.axes) - 2)
            b = expression("column", [b], lambda v: v.reshape(-1, *tail), (b.size, *tail), True)
        return affine_step(value, "add", b)
    value, symbol = (a, b) if isinstance(a, Value) else (b, a)
    if op.op in ("Add", "AddV2"):
        return _settled(affine_step(value, "add", symbol))
    if op.op in ("Mul", "MulNoNan"):
        return _settled(_scaled(reader.graph, value, symbol))
    if op.op == "Sub":
        if value is a:
            return affine_step(value, "add", _negative(symbol))
        return affine_step(_scaled(reader.graph, value, constant(np.array(-1.0))), "add", symbol)
    if value is a:
        inverse = expression("inverse", [symbol], lambda v: 1.0 / v, symbol.shape)
        return _settled(_scaled(reader.graph, value, inverse))
    base, tree = strip_pointwise(value)
    if symbol.constant is not None:
        number = ("number", _one_number(symbol))
        return pointwise_step(reader.graph, base, substitute(("RealDiv", number, X), tree))
    raise Unreadable("divides by what depends on the image")


def _is_mistaken_for_channels_last(value: Value, bias: Symbol) -> bool:
    """Whether Keras took a channels-first map for a channels-last one when it added a bias.

    It tells the layout by the sizes alone (keras/src/backend/tensorflow/numpy.py, `add`), so that
    a channels-first map that is as wide as it has channels has its columns offset. The layer that
    was written is a convolution with a bias, and is read as one.
    """
    if len(value.axes) < 3 or _channel_axis(value) != 1:
        return False
    return value.shape[-1] == value.channels == bias.size


def _settled(value: Value) -> Value:
    """The value with a ReLU in place of steps that together are one: (x + |x|) / 2."""
    if not any(s.kind == "pointwise" for g in value.segments[:1] for s in g.steps[-3:-1]):
        return value
    base, tree = strip_pointwise(value)
    if tree == X or classify(tree)[0] != "relu":
        return value
    return with_step(base, lambda at, segment: Step("pointwise", ("relu", ("Relu", X), ())))


def _negative(symbol: Symbol) -> Symbol:
    """-s; a bare variable stays one, since a trained offset may have either sign."""
    return expression("negative", [symbol], np.negative, symbol.shape, keeps_variable=True)


def _scaled(graph: Graph, value: Value, symbol: Symbol) -> Value:
    if symbol.is_zero():
        return constant_value(graph, value, constant(np.array(0.0)))
    return _scaled_dropout(value, symbol) or affine_step(value, "multiply", symbol)


def _with_noise(op: Op, a: Any, b: Any) -> Any:
    value, noise = (a, b) if isinstance(a, Value) else (b, a)
    if not isinstance(value, Value) or not isinstance(noise, Noise):
        raise Unreadable("random numbers")
    if op.op in ("Mul", "MulNoNan") and noise.threshold is not None:
        return dropout(value, noise)
    return with_step(value, lambda at, s: Step("noise", (op.op,)))


def _without_last_term(value: Value, affine: Affine) -> Value:
    """The value before the last term of the affine map that all its segments end in."""
    shorter = Affine(affine.terms[:-1], affine.channels)
    trimmed = replace(value, segments=tuple(replace(s, steps=s.steps[:-1]) for s in value.segments))
    if not shorter.terms:
        return trimmed
    return with_step(trimmed, lambda at, _: Step("affine", affine=shorter, start=at))


def dropout(value: Value, noise: Noise) -> Value:
    """Random zeros; the factor 1/(1 - rate), before or behind them, belongs to the step."""
    spatial = noise.shape is not None and 1 in noise.shape[1:-1]
    kind = "spatial" if spatial else "elementwise"
    rate = noise.threshold if noise.threshold is not None else -1.0
    scaled = noise.factor > 1
    rate = 1.0 - 1.0 / noise.factor if scaled else rate
    last = None if scaled else _common_affine(value)
    term = last.terms[-1] if last is not None else None
    if last is not None and term is not None and term.operation == "multiply":
        number = term.symbol.constant
        if number is not None and number.shape == () and number > 1:
            rate, scaled = 1.0 - 1.0 / float(number), True
            value = _without_last_term(value, last)
    detail = (round(rate, 6), kind if scaled else f"{kind}, not scaled")
    return with_step(value, lambda at, s: Step("dropout", detail))


def _scaled_dropout(value: Value, symbol: Symbol) -> Value | None:
    """The value where a factor behind random zeros makes up for them, else None."""
    lasts = [s.steps[-1] if s.steps else None for s in value.segments]
    first = lasts[0] if lasts else None
    if first is None or first.kind != "dropout" or any(s != first for s in lasts):
        return None
    rate, kind = first.detail
    if not kind.endswith(", not scaled") or symbol.constant is None or symbol.size != 1:
        return None
    kept = 1.0 / float(symbol.constant.reshape(()))
    if not 0 < kept < 1 or min(abs(kept - rate), abs(kept - 1 + rate)) > 1e-5:
        return None
    step = Step("dropout", (round(1.0 - kept, 6), kind.removesuffix(", not scaled")))
    segments = tuple(replace(s, steps=(*s.steps[:-1], step)) for s in value.segments)
    return replace(value, segments=segments)


def _two_values(reader: _Reader, op: Op, a: Value, b: Value) -> Value:
    operation = {"AddV2": "Add", "BiasAdd": "Add", "Div": "RealDiv"}.get(op.op, op.op)
    same = _pointwise_of_two(reader.graph, operation, a, b)
    if same is not None:
        return same
    if operation in ("Add", "Sub"):
        if is_zero(reader.graph, b) and a.shape == op.outputs[0][1]:
            return a
        if is_zero(reader.graph, a) and operation == "Add" and b.shape == op.outputs[0][1]:
            return b
    if operation == "Sub":
        b = affine_step(b, "multiply", constant(np.array(-1.0)))
        operation = "Add"
    kinds = {"Add": "add", "Mul": "multiply", "MulNoNan": "multiply"}
    if operation not in kinds:
        raise Unreadable("")
    whole = _one_convolution(reader, (a, b)) if operation == "Add" else None
    if whole is not None:
        return whole
    return _combined(reader.graph, kinds[operation], (a, b), op)


def _combined(graph: Graph, kind: str, values: tuple[Value, ...], op: Op) -> Value:
    """An element-wise node of several values; the widest gives the axes."""
    widest = max(values, key=lambda v: math.prod(v.shape))
    if widest.shape != op.outputs[0][1]:
        raise Unreadable("")
    ordered = tuple(sorted(values, key=lambda v: v.key))
    node = graph.add(
        kind,
        ordered,
        channels=widest.channels,
        height=widest.height,
        width=widest.width,
        written_as=op.op,
        name=op.name,
    )
    return replace(widest, segments=(Segment(node.index, 0, widest.channels),))


def _one_convolution(reader: _Reader, values: tuple[Value, ...]) -> Value | None:
    """A sum of convolutions as one convolution of all that they receive, where it is one.

    conv([a, b]) = conv_a(a) + conv_b(b), with kernels side by side: the same function with the same
    weights. Each has to be as the others are, with a kernel and a bias of its own, and nothing else
    may have taken its maps: a convolution that others see is a layer, not a part of one.
    """
    nodes = [reader.graph.nodes[value.segments[0].node] for value in values if value.segments]
    if any(node.kind != "conv" for node in nodes):
        return None
    offsets = [_bias_alone(value) for value in values]
    if len(nodes) != len(values) or any(offset is None for offset in offsets):
        return None
    first = nodes[0]
    own = [variable for node in nodes for variable in node.trained]
    alike = all(
        node.trained
        and value.axes == values[0].axes
        and (value.segments[0].start, value.segments[0].stop) == (0, node.channels)
        and _geometry(node) == _geometry(first)
        and _side_by_side(node.inputs[0], first.inputs[0])
        for node, value in zip(nodes, values, strict=True)
    )
    if not alike or len(set(own)) != len(own) or first.get("groups") != 1:
        return None
    reader.sums += 1
    if reader.sums > MAX_SUMS or _are_used(reader.graph, {node.index for node in nodes}):
        return None
    segments = _joined([s for node in nodes for s in node.inputs[0].segments])
    entry = _with_channels(first.inputs[0], segments)
    rows, columns, _, out = first.kernel_shape
    kernels = [_as_kernel(node.kernel, node.kernel_shape) for node in nodes if node.kernel]
    shape = (rows, columns, entry.channels, out)
    node = reader.graph.add(
        "conv",
        (entry,),
        channels=out,
        height=first.height,
        width=first.width,
        kernel=expression("side by side", kernels, lambda *k: np.concatenate(k, axis=2), shape),
        kernel_shape=shape,
        detail=(*[pair for pair in first.detail if pair[0] != "summed"], ("summed", tuple(own))),
        written_as=first.written_as,
        name=first.name,
    )
    value = replace(values[0], segments=(Segment(node.index, 0, out),))
    biases = [symbol for offset in offsets for symbol in offset or ()]
    if not biases:
        return value
    bias = biases[0]
    for other in biases[1:]:
        bias = expression("biases", [bias, other], np.add, bias.shape, keeps_variable=True)
    axis = _channel_axis(value)
    column = tuple(out if i == axis else 1 for i in range(len(value.axes)))
    bias = expression("column", [bias], lambda v: v.reshape(column), column, keeps_variable=True)
    return affine_step(value, "add", bias)


def _side_by_side(a: Value, b: Value) -> bool:
    """Whether two values can be concatenated over their channels."""
    try:
        axis = _channel_axis(b)
        return len(a.axes) == len(b.axes) and axis == _channel_axis(a) and _lies_like(a, b, axis)
    except Unreadable:
        return False


def _bias_alone(value: Value) -> tuple[Symbol, ...] | None:
    """The trained offset behind one whole node; empty for none, None where anything else stands
    there."""
    if len(value.segments) != 1:
        return None
    steps = value.segments[0].steps
    if not steps:
        return ()
    affine = steps[0].affine
    if len(steps) > 1 or affine is None or len(affine.terms) != 1:
        return None
    term = affine.terms[0]
    own = term.operation == "add" and term.origin.bare is not None and term.symbol.statistics == ()
    if not own or term.origin.size != value.channels:
        return None
    shape = (value.channels,)
    return (expression("vector", [term.origin], lambda v: v.reshape(shape), shape, True),)


def _geometry(node: Node) -> tuple[Any, ...]:
    """What convolutions have to share so that their sum is one."""
    rows, columns, _, out = node.kernel_shape
    settings = [node.get(name) for name in ("strides", "padding", "dilations", "groups")]
    entry = node.inputs[0]
    return (
        rows, columns, out, node.height, node.width, entry.height, entry.width, entry.batch,
        *settings,
    )  # fmt: skip


def _are_used(graph: Graph, nodes: set[int]) -> bool:
    """Whether anything receives one of some nodes already."""
    return any(s.node in nodes for n in graph.nodes for v in n.inputs for s in v.segments)


def _as_kernel(kernel: Symbol, shape: tuple[int, ...]) -> Symbol:
    """A kernel in four axes; that of a fully connected layer has two."""
    if kernel.shape == shape:
        return kernel
    return expression(f"kernel {shape}", [kernel], lambda v: v.reshape(shape), shape)


def _pointwise_of_two(graph: Graph, operation: str, a: Value, b: Value) -> Value | None:
    """f(x) ∘ g(x) of the same x is a function of one number."""
    if a.axes != b.axes or operation not in FUNCTIONS:
        return None
    # An affine step that both share must not hide the base they have in common.
    for left, f in _strippings(a):
        for right, g in _strippings(b):
            if left.key == right.key:
                return pointwise_step(graph, left, (operation, f, g))
    return None


def _strippings(value: Value) -> list[tuple[Value, Tree]]:
    base, tree = strip_pointwise(value)
    return [(value, X), (base, tree)] if tree != X else [(value, X)]


@rule(
    "Relu", "Relu6", "Elu", "Selu", "Sigmoid", "Tanh", "Softplus", "Softsign", "Exp", "Expm1",
    "Log", "Log1p", "Erf", "Erfc", "Abs", "Neg", "Sign", "Square", "Sqrt", "Rsqrt", "Reciprocal",
    "Inv", "Sin", "Cos", "LogicalNot", "LeakyRelu",
)  # fmt: skip
def _unary(reader: _Reader, op: Op, arguments: list[Any]) -> Any:
    base, tree = strip_pointwise(_value(arguments[0]))
    outer: Tree = (op.op, X)
    if op.op == "LeakyRelu":
        outer = ("LeakyRelu", X, float(op.attributes.get("alpha", 0.2)))
    return pointwise_step(reader.graph, base, substitute(outer, tree))


@rule(
    "Maximum", "Minimum", "Pow", "SquaredDifference", "Greater", "GreaterEqual", "Less",
    "LessEqual", "Equal", "NotEqual", "LogicalAnd", "LogicalOr",
)  # fmt: skip
def _binary(reader: _Reader, op: Op, arguments: list[Any]) -> Any:
    a, b = arguments
    if isinstance(a, Value) and isinstance(b, Value):
        same = _pointwise_of_two(reader.graph, op.op, a, b)
        if same is None:
            if op.op == "Maximum":
                return _combined(reader.graph, "foreign", (a, b), op)
            raise Unreadable("")
        return same
    value, other = (a, b) if isinstance(a, Value) else (b, a)
    if not isinstance(other, Symbol):
        raise Unreadable("")
    if op.op == "SquaredDifference":
        shifted = affine_step(value, "add", _negative(other))
        return with_step(shifted, lambda at, s: Step("pointwise", ("square", ("Square", X), ())))
    if other.constant is None:
        raise Unreadable("a function with trained parameters")
    number: Tree = ("number", _one_number(other))
    outer: Tree = (op.op, X, number) if value is a else (op.op, number, X)
    base, tree = strip_pointwise(value)
    return pointwise_step(reader.graph, base, substitute(outer, tree))


@rule("Select", "SelectV2")
def _select(reader: _Reader, op: Op, arguments: list[Any]) -> Any:
    condition, yes, no = arguments
    if isinstance(condition, Noise):
        kept, other = (yes, no) if isinstance(yes, Value) else (no, yes)
        if isinstance(kept, Value) and isinstance(other, Symbol) and other.is_zero():
            return dropout(kept, condition)
        raise Unreadable("a random choice")
    if isinstance(condition, Symbol):
        if condition.constant is None:
            raise Unreadable("a choice that depends on a variable")
        if np.all(condition.constant):
            return yes
        if not np.any(condition.constant):
            return no
        raise Unreadable("")
    values = [a for a in arguments if isinstance(a, Value)]
    bases = [strip_pointwise(v) for v in values]
    base = min((b for b, _ in bases), key=lambda v: sum(len(s.steps) for s in v.segments))
    trees: list[Tree] = []
    for argument in arguments:
        if isinstance(argument, Symbol):
            trees.append(("number", _one_number(argument)))
            continue
        for stripped, tree in _strippings(argument):
            if stripped.key == base.key:
                trees.append(tree)
                break
        else:
            raise Unreadable("a choice between two branches")
    return pointwise_step(reader.graph, base, ("SelectV2", *trees))


@rule("ClipByValue")
def _clip(reader: _Reader, op: Op, arguments: list[Any]) -> Any:
    low, high = (_one_number(a) for a in arguments[1:3])
    base, tree = strip_pointwise(_value(arguments[0]))
    outer: Tree = ("Minimum", ("Maximum", X, ("number", low)), ("number", high))
    return pointwise_step(reader.graph, base, substitute(outer, tree))


@rule("AddN")
def _add_n(reader: _Reader, op: Op, arguments: list[Any]) -> Any:
    values = tuple(a for a in arguments if isinstance(a, Value))
    if len(values) != len(arguments):
        raise Unreadable("")
    if len(values) == 1:
        return values[0]
    whole = _one_convolution(reader, values)
    return _combined(reader.graph, "add", values, op) if whole is None else whole


# layout


@rule("ResizeBilinear", "ResizeNearestNeighbor", "ResizeBicubic")
def _resize(reader: _Reader, op: Op, arguments: list[Any]) -> Any:
    value = _value(arguments[0])
    if not _roles(value, "NHWC") or value.shape != op.outputs[0][1]:
        raise Unreadable("resizes the map")
    return value


@rule("Reshape")
def _reshape(reader: _Reader, op: Op, arguments: list[Any]) -> Any:
    value = _value(arguments[0])
    shape = op.outputs[0][1]
    if shape is None or -1 in shape:
        given = _integers(arguments[1])
        known = math.prod(n for n in given if n != -1)
        total = math.prod(value.shape)
        shape = tuple(total // known if n == -1 else n for n in given)
    return replace(value, axes=reshape_axes(value.axes, shape))


@rule("Squeeze", "ExpandDims")
def _resize_rank(reader: _Reader, op: Op, arguments: list[Any]) -> Any:
    value = _value(arguments[0])
    shape = op.outputs[0][1]
    if shape is None:
        raise Unreadable("")
    return replace(value, axes=reshape_axes(value.axes, shape))


@rule("Transpose")
def _transpose(reader: _Reader, op: Op, arguments: list[Any]) -> Any:
    value = _value(arguments[0])
    order = _integers(arguments[1])
    if sorted(order) != list(range(len(value.axes))):
        raise Unreadable("")
    return replace(value, axes=tuple(value.axes[i] for i in order))


@rule("Tile")
def _tile(reader: _Reader, op: Op, arguments: list[Any]) -> Any:
    if any(n != 1 for n in _integers(arguments[1])):
        raise Unreadable("repeats its input")
    return arguments[0]


@rule("BroadcastTo")
def _broadcast(reader: _Reader, op: Op, arguments: list[Any]) -> Any:
    if _value(arguments[0]).shape != op.outputs[0][1]:
        raise Unreadable("repeats its input")
    return arguments[0]


@rule("ConcatV2", "Concat")
def _concat(reader: _Reader, op: Op, arguments: list[Any]) -> Any:
    if op.op == "Concat":
        arguments = [*arguments[1:], arguments[0]]
    *parts, axis = arguments
    values = [p for p in parts if isinstance(p, Value)]
    first = values[0]
    where = _normalised(_integers(axis)[0], len(first.axes))
    channel_axes = {_channel_axis(v) for v in values if v.channels > 1}
    if channel_axes and channel_axes != {where}:
        raise Unreadable("concatenates over another axis than the channels")
    segments: list[Segment] = []
    for part in parts:
        if isinstance(part, Value):
            if not _lies_like(part, first, where):
                raise Unreadable("concatenates maps of another size or turned ones")
            segments += part.segments
        else:
            segments += _constant_channels(reader.graph, first, part, where)
    axes = list(first.axes)
    axes[where] = _axis("C", sum(s.width for s in segments))
    return replace(first, axes=tuple(axes), segments=_joined(segments))


def _lies_like(part: Value, first: Value, axis: int) -> bool:
    """Whether two values differ in nothing but their channels, which lie along `axis`."""
    if (part.height, part.width) != (first.height, first.width):
        return False
    rest = zip(part.axes, first.axes, strict=True)
    return all(a == b for i, (a, b) in enumerate(rest) if i != axis)


def _constant_channels(graph: Graph, like: Value, part: Any, axis: int) -> tuple[Segment, ...]:
    if not isinstance(part, Symbol) or len(part.shape) != len(like.axes):
        raise Unreadable("")
    width = part.shape[axis]
    node = graph.add(
        "constant",
        (),
        channels=width,
        height=like.height,
        width=like.width,
        kernel=part,
        detail=(("zero", part.is_zero()),),
    )
    return (Segment(node.index, 0, width),)


@rule("Split", "SplitV", "Unpack")
def _split(reader: _Reader, op: Op, arguments: list[Any]) -> Any:
    if op.op == "Unpack":
        raise Unreadable("")
    value = _value(arguments[1] if op.op == "Split" else arguments[0])
    axis = _integers(arguments[0] if op.op == "Split" else arguments[2])[0]
    if _normalised(axis, len(value.axes)) != _channel_axis(value):
        raise Unreadable("splits over another axis than the channels")
    results = []
    at = 0
    for _, shape in op.outputs:
        if shape is None or len(shape) != len(value.axes):
            raise Unreadable("")
        width = shape[_channel_axis(value)]
        results.append(_with_channels(value, channel_slice(value, at, at + width)))
        at += width
    return results


@rule("StridedSlice", "Slice")
def _slice(reader: _Reader, op: Op, arguments: list[Any]) -> Any:
    value = _value(arguments[0])
    if op.op == "Slice":
        begin, size = _integers(arguments[1]), _integers(arguments[2])
        windows = [
            (b, n if s == -1 else b + s, 1)
            for b, s, n in zip(begin, size, value.shape, strict=True)
        ]
        return _windowed(value, windows)
    windows, shape = _slice_windows(op, arguments, value.shape)
    result = _windowed(value, windows)
    if shape is not None and result.shape != shape:
        result = replace(result, axes=reshape_axes(result.axes, shape))
    return result


def _slice_windows(
    op: Op, arguments: list[Any], shape: tuple[int, ...]
) -> tuple[list[tuple[int, int, int]], tuple[int, ...] | None]:
    """(start, stop, step) for each axis of the input, after NumPy's rules for the masks."""
    begin, end, strides = (_integers(a) for a in arguments[1:4])
    masks = {
        name: int(op.attributes.get(f"{name}_mask", 0) or 0)
        for name in ("begin", "end", "ellipsis", "new_axis", "shrink_axis")
    }
    windows: list[tuple[int, int, int]] = []
    entries = len(begin)
    new_axes = bin(masks["new_axis"] & ((1 << entries) - 1)).count("1")
    for i in range(entries):
        if masks["new_axis"] >> i & 1:
            continue
        if masks["ellipsis"] >> i & 1:
            missing = len(shape) - (entries - 1 - new_axes)
            windows += [(0, n, 1) for n in shape[len(windows) : len(windows) + missing]]
            continue
        size = shape[len(windows)]
        if masks["shrink_axis"] >> i & 1:
            start = begin[i] % size
            windows.append((start, start + 1, 1))
            continue
        low = None if masks["begin"] >> i & 1 else begin[i]
        high = None if masks["end"] >> i & 1 else end[i]
        start, stop, step = slice(low, high, strides[i]).indices(size)
        windows.append((start, stop, step))
    windows += [(0, n, 1) for n in shape[len(windows) :]]
    return windows, op.outputs[0][1]


def _windowed(value: Value, windows: list[tuple[int, int, int]]) -> Value:
    """A window of each axis: channels are followed, a crop of the map is a step."""
    shape = value.shape
    cut = [i for i, (w, n) in enumerate(zip(windows, shape, strict=True)) if w != (0, n, 1)]
    if not cut:
        return value
    if len(cut) == 1 and value.channels > 1 and cut[0] == _channel_axis(value):
        start, stop, step = windows[cut[0]]
        if step == 1:
            return _with_channels(value, _joined(list(channel_slice(value, start, stop))))
        return _with_channels(value, _gathered(value, range(start, stop, step)))
    layout = "NHWC" if _roles(value, "NHWC") else "NCHW" if _roles(value, "NCHW") else ""
    spatial = {layout.index("H"), layout.index("W")} if layout else set()
    if not layout or not set(cut) <= spatial or any(windows[i][2] != 1 for i in cut):
        raise Unreadable("takes a part of the map")
    rows, columns = windows[layout.index("H")], windows[layout.index("W")]
    height, width = rows[1] - rows[0], columns[1] - columns[0]
    detail = (rows[0], value.height - rows[1], columns[0], value.width - columns[1])
    axes = standard_axes(value.batch, height, width, value.channels)
    axes = tuple(axes["NHWC".index(letter)] for letter in layout)
    return _moved(value, Step("crop", detail), axes, height, width)


def _moved(value: Value, step: Step, axes: Axes, height: int, width: int) -> Value:
    return with_step(value, lambda at, s: step, axes=axes, height=height, width=width)


def _gathered(value: Value, indices: Sequence[int]) -> tuple[Segment, ...]:
    if len(indices) > MAX_SEGMENTS:
        raise Unreadable("")
    work.spend_pieces(len(indices))
    ends = list(accumulate(s.width for s in value.segments))
    pieces: list[Segment] = []
    for index in indices:
        if not 0 <= index < ends[-1]:
            raise Unreadable("picks channels that are not there")
        at = bisect_right(ends, index)
        segment = value.segments[at]
        low = index - (ends[at] - segment.width)
        pieces.append(_part(segment, low, low + 1))
    return _joined(pieces)


@rule("GatherV2", "ReverseV2")
def _gather(reader: _Reader, op: Op, arguments: list[Any]) -> Any:
    value = _value(arguments[0])
    axis = _normalised(_integers(arguments[-1])[0], len(value.axes))
    if axis != _channel_axis(value) or (op.op == "ReverseV2" and arguments[1].size != 1):
        raise Unreadable("picks places of the map")
    if op.op == "ReverseV2":
        indices: Sequence[int] = range(value.channels)[::-1]
    else:
        indices = _integers(arguments[1])
        if arguments[1].shape != (len(indices),):
            raise Unreadable("")
    return _with_channels(value, _gathered(value, indices))


@rule("Pad", "PadV2", "MirrorPad")
def _pad(reader: _Reader, op: Op, arguments: list[Any]) -> Any:
    value = _value(arguments[0])
    amounts = np.asarray(_number(arguments[1])).astype(int).reshape(-1, 2)
    if not amounts.any():
        return value
    if op.op == "MirrorPad":
        raise Unreadable("reflecting padding")
    fill = float(_number(arguments[2]).reshape(-1)[0]) if op.op == "PadV2" else 0.0
    layout = "NHWC" if _roles(value, "NHWC") else "NCHW" if _roles(value, "NCHW") else ""
    if not layout:
        raise Unreadable("padding")
    by = {letter: amounts[i] for i, letter in enumerate(layout)}
    if by["N"].any() or (by["C"].any() and (by["H"].any() or by["W"].any())):
        raise Unreadable("padding")
    if amounts.min() < 0:
        raise Unreadable("padding")
    if by["C"].any():
        zeros = constant(np.full((1, 1, 1, 1), fill))
        pieces: list[Segment] = []
        for amount, before in ((by["C"][0], True), (by["C"][1], False)):
            if amount:
                like = replace(value, segments=(Segment(0, 0, int(amount)),))
                filler = constant_value(reader.graph, like, zeros).segments
                pieces = [*filler, *pieces] if before else [*pieces, *filler]
            if before:
                pieces = [*pieces, *value.segments]
        return _with_channels(value, tuple(pieces))
    top, bottom, left, right = (int(n) for n in (*by["H"], *by["W"]))
    height, width = value.height + top + bottom, value.width + left + right
    axes = standard_axes(value.batch, height, width, value.channels)
    axes = tuple(axes["NHWC".index(letter)] for letter in layout)
    return _moved(value, Step("pad", (top, bottom, left, right, fill)), axes, height, width)


# reductions and pooling


@rule("Mean", "Sum", "Max", "Min", "Prod")
def _reduce(reader: _Reader, op: Op, arguments: list[Any]) -> Any:
    value = _value(arguments[0])
    rank = len(value.axes)
    over = {_normalised(a, rank) for a in _integers(arguments[1])}
    if any(a.role == "N" for i in over for a in value.axes[i]):
        return _statistic(op, value, [a for i in sorted(over) for a in value.axes[i]])
    return _reduced(op.op, value, over, bool(op.attributes.get("keep_dims", False)))


def _reduced(operation: str, value: Value, over: set[int], keep: bool) -> Value:
    """The mean, sum or maximum over some tensor axes, as pooling of neighbouring places."""
    atoms = [a for i in sorted(over) for a in value.axes[i]]
    kept: list[tuple[Atom, ...]] = [
        () if i in over else axis for i, axis in enumerate(value.axes) if keep or i not in over
    ]
    roles = {a.role for a in atoms}
    if not atoms:
        return replace(value, axes=tuple(kept))
    if not roles <= {"H", "W"} or operation in ("Min", "Prod"):
        raise Unreadable("a mean over channels" if "C" in roles else "a reduction")
    rows, columns = (_inner(atoms, role) for role in "HW")
    step = Step(
        "pool",
        ("max" if operation == "Max" else "mean", (rows, columns), (rows, columns), (0, 0, 0, 0)),
    )
    height, width = value.height // rows, value.width // columns
    scale = {"H": rows, "W": columns}
    axes: Axes = tuple(
        _merged(
            [replace(a, stride=a.stride // scale[a.role]) if a.role in scale else a for a in axis]
        )
        for axis in kept
    )
    result = _pooled(value, step, axes, height, width)
    if operation == "Sum":
        return affine_step(result, "multiply", constant(np.array(float(rows * columns))))
    return result


def _inner(atoms: list[Atom], role: str) -> int:
    """How many neighbouring positions of one role are reduced together."""
    mine = [a for a in atoms if a.role == role]
    if not mine:
        return 1
    if len(mine) != 1 or mine[0].stride != 1:
        raise Unreadable("a reduction over places that are not neighbours")
    return mine[0].size


def _statistic(op: Op, value: Value, atoms: list[Atom]) -> Symbol:
    """Mean over batch, height and width: one number a channel."""
    whole = {a for axis in standard_axes(value.batch, value.height, value.width, 1) for a in axis}
    if op.op not in ("Mean", "Sum") or set(atoms) != whole:
        raise Unreadable("statistics over other axes than batch, height and width")
    shape = op.outputs[0][1]
    if shape is None or math.prod(shape) != value.channels:
        raise Unreadable("")
    depth = _depth(value)
    count = value.batch * value.height * value.width if op.op == "Sum" else 1
    steps = max((len(s.steps) for s in value.segments), default=0)
    statistic = Statistic(value, value.key, steps, digest("statistic", value.key))

    def compute(assignment: int) -> Any:
        return statistic.sample(assignment).mean(axis=0).reshape(shape) * count

    variables: frozenset[int] = frozenset()
    return Symbol(
        "statistic",
        shape,
        digest("statistic", value.key, count, shape),
        variables,
        (statistic,),
        compute,
        depth=depth,
    )


def _depth(value: Value) -> int:
    """How long the chain of operations is that statistics of a value are computed through.

    Raises:
        Unreadable: Too long to be followed.
    """
    affine = [s.affine for segment in value.segments for s in segment.steps if s.affine]
    work.spend(sum(len(a.terms) for a in affine))
    depth = 1 + max((t.symbol.depth for a in affine for t in a.terms), default=0)
    if depth > MAX_DEPTH:
        raise Unreadable("too many operations in a row")
    return depth


def _pooled(value: Value, step: Step, axes: Axes, height: int, width: int) -> Value:
    """Pooling as a step; two mean poolings in a row that do not overlap are one."""
    mode, size, strides, padding = step.detail
    lasts = [s.steps[-1] if s.steps else None for s in value.segments]
    first = lasts[0]
    plain = size == strides and padding == (0, 0, 0, 0)
    if (
        plain
        and first is not None
        and first.kind == "pool"
        and all(s is not None and s.key == first.key for s in lasts)
        and first.detail[0] == mode
        and first.detail[1] == first.detail[2]
        and first.detail[3] == (0, 0, 0, 0)
    ):
        total = (first.detail[1][0] * size[0], first.detail[1][1] * size[1])
        step = Step("pool", (mode, total, total, (0, 0, 0, 0)))
        value = replace(
            value, segments=tuple(replace(s, steps=s.steps[:-1]) for s in value.segments)
        )
    return _moved(value, step, axes, height, width)


@rule("AvgPool", "MaxPool", "MaxPoolV2")
def _pool(reader: _Reader, op: Op, arguments: list[Any]) -> Any:
    value = _value(arguments[0])
    layout = str(op.attributes.get("data_format", "NHWC"))
    if layout not in ("NHWC", "NCHW") or not _roles(value, layout):
        raise Unreadable("pools over other axes than height and width")
    sizes, strides = op.attributes["ksize"], op.attributes["strides"]
    rows, columns = layout.index("H"), layout.index("W")
    if any(sizes[i] != 1 or strides[i] != 1 for i in range(4) if i not in (rows, columns)):
        raise Unreadable("pools over channels")
    window = (int(sizes[rows]), int(sizes[columns]))
    stride = (int(strides[rows]), int(strides[columns]))
    pads, height, width = _padding(value, op, window, stride, (1, 1))
    mode = "mean" if op.op == "AvgPool" else "max"
    step = Step("pool", (mode, window, stride, pads))
    axes = standard_axes(value.batch, height, width, value.channels)
    axes = tuple(axes["NHWC".index(letter)] for letter in layout)
    if window == (1, 1) and stride == (1, 1):
        return value
    return _pooled(value, step, axes, height, width)


def _padding(
    value: Value,
    op: Op,
    window: tuple[int, int],
    strides: tuple[int, int],
    dilations: tuple[int, int],
) -> tuple[tuple[int, int, int, int], int, int]:
    """(top, bottom, left, right) and the size after the window moved over the map."""
    kind = str(op.attributes.get("padding", "VALID"))
    given = op.attributes.get("explicit_paddings") or []
    layout = str(op.attributes.get("data_format", "NHWC"))
    pads: list[int] = []
    sizes: list[int] = []
    if any(n < 1 for n in (*window, *strides, *dilations)):
        raise Unreadable("")
    for i, size in enumerate((value.height, value.width)):
        reach = (window[i] - 1) * dilations[i] + 1
        if kind == "SAME":
            out = -(-size // strides[i])
            total = max((out - 1) * strides[i] + reach - size, 0)
            before, after = total // 2, total - total // 2
        elif kind == "EXPLICIT" and len(given) == 8:
            at = layout.index("HW"[i])
            before, after = int(given[2 * at]), int(given[2 * at + 1])
        else:
            before = after = 0
        pads += [before, after]
        sizes.append((size + before + after - reach) // strides[i] + 1)
    if min(sizes) < 1:
        raise Unreadable("a window larger than the map")
    _refuse_padding(value, pads)
    return (pads[0], pads[1], pads[2], pads[3]), sizes[0], sizes[1]


def _refuse_padding(value: Value, pads: Sequence[int]) -> None:
    """A map that is nearly all padding would take any memory when it is computed."""
    top, bottom, left, right = pads
    padded = (value.height + top + bottom) * (value.width + left + right)
    if min(pads) < 0 or value.batch * padded * value.channels > MAX_PADDED:
        raise Unreadable("a padding of an impossible size")


# convolutions


@rule("Conv2D", "DepthwiseConv2dNative")
def _convolution(reader: _Reader, op: Op, arguments: list[Any]) -> Any:
    value, kernel = _value(arguments[0]), arguments[1]
    if not isinstance(kernel, Symbol):
        raise Unreadable("a kernel that depends on the image")
    if len(kernel.shape) != 4:
        raise Unreadable("a kernel of other axes")
    layout = str(op.attributes.get("data_format", "NHWC"))
    if layout not in ("NHWC", "NCHW") or not _roles(value, layout):
        raise Unreadable("a convolution over other axes than height and width")
    rows, columns = layout.index("H"), layout.index("W")
    strides = (int(op.attributes["strides"][rows]), int(op.attributes["strides"][columns]))
    spread = op.attributes.get("dilations") or [1, 1, 1, 1]
    dilations = (int(spread[rows]), int(spread[columns]))
    window = (kernel.shape[0], kernel.shape[1])
    own, height, width = _padding(value, op, window, strides, dilations)
    value, before = _padding_before(value, layout)
    top, bottom, left, right = (a + b for a, b in zip(before, own, strict=True))
    pads = (top, bottom, left, right)
    _refuse_padding(value, pads)
    depthwise = op.op != "Conv2D"
    channels = kernel.shape[2] * kernel.shape[3] if depthwise else kernel.shape[3]
    groups = 1
    if not depthwise:
        groups, rest = divmod(value.channels, kernel.shape[2])
        if rest or groups < 1 or channels % groups:
            raise Unreadable("a kernel of another width than its input")
    elif kernel.shape[2] != value.channels:
        raise Unreadable("a kernel of another width than its input")
    if depthwise and pads == (0, 0, 0, 0) and dilations == (1, 1):
        mean = _mean_by_weights(value, kernel, strides, layout, height, width)
        if mean is not None:
            return mean
    node = reader.graph.add(
        "depthwise" if depthwise else "conv",
        (value,),
        channels=channels,
        height=height,
        width=width,
        kernel=kernel,
        kernel_shape=tuple(kernel.shape),
        detail=(
            ("strides", strides),
            ("padding", pads),
            ("dilations", dilations),
            ("groups", groups),
        ),
        written_as=op.op,
        name=op.name,
    )
    axes = standard_axes(value.batch, height, width, channels)
    axes = tuple(axes["NHWC".index(letter)] for letter in layout)
    return Value(axes, value.batch, height, width, (Segment(node.index, 0, channels),))


def _mean_by_weights(
    value: Value,
    kernel: Symbol,
    strides: tuple[int, int],
    layout: str,
    height: int,
    width: int,
) -> Value | None:
    """A depthwise convolution whose weights are one constant: average pooling, scaled."""
    if (
        kernel.constant is None
        or kernel.shape[3] != 1
        or np.any(kernel.constant != kernel.constant.flat[0])
    ):
        return None
    window = (kernel.shape[0], kernel.shape[1])
    axes = standard_axes(value.batch, height, width, value.channels)
    axes = tuple(axes["NHWC".index(letter)] for letter in layout)
    step = Step("pool", ("mean", window, strides, (0, 0, 0, 0)))
    weight = float(kernel.constant.flat[0]) * window[0] * window[1]
    return affine_step(
        _pooled(value, step, axes, height, width), "multiply", constant(np.array(weight))
    )


def _padding_before(value: Value, layout: str) -> tuple[Value, tuple[int, int, int, int]]:
    """Zero padding written out before a convolution belongs to the convolution."""
    lasts = [s.steps[-1] if s.steps else None for s in value.segments]
    first = lasts[0] if lasts else None
    if (
        first is None
        or first.kind != "pad"
        or first.detail[4] != 0.0
        or any(s is None or s.key != first.key for s in lasts)
    ):
        return value, (0, 0, 0, 0)
    top, bottom, left, right, _ = first.detail
    height, width = value.height - top - bottom, value.width - left - right
    axes = standard_axes(value.batch, height, width, value.channels)
    return (
        Value(
            tuple(axes["NHWC".index(letter)] for letter in layout),
            value.batch,
            height,
            width,
            tuple(replace(s, steps=s.steps[:-1]) for s in value.segments),
        ),
        (top, bottom, left, right),
    )


@rule("MatMul", "BatchMatMulV2", "BatchMatMul", "Einsum")
def _matmul(reader: _Reader, op: Op, arguments: list[Any]) -> Any:
    value = _value(arguments[0])
    if op.op == "Einsum" and len(arguments) == 1:
        return _einsum_of_one(op, value)
    kernel = arguments[1]
    if not isinstance(kernel, Symbol) or len(kernel.shape) != 2:
        raise Unreadable("a product of two values")
    if op.op == "Einsum":
        kernel = _einsum_kernel(op, kernel, len(value.axes))
    if op.attributes.get("transpose_a") or op.attributes.get("adj_x"):
        raise Unreadable("")
    if op.attributes.get("transpose_b") or op.attributes.get("adj_y"):
        kernel = _transposed(kernel)
    *places, last = value.axes
    whole = standard_axes(value.batch, value.height, value.width, value.channels)
    if last == whole[3]:
        shape = (1, 1, kernel.shape[0], kernel.shape[1])
        height, width = value.height, value.width
    elif last == (*whole[1], *whole[2], *whole[3]) and places == [whole[0]]:
        shape = (value.height, value.width, value.channels, kernel.shape[1])
        height = width = 1
    elif places == [whole[0]] and sorted(last, key=_role) == sorted(
        (*whole[1], *whole[2], *whole[3]), key=_role
    ):
        # A map that was turned before it was flattened: the kernel's rows stand in that order.
        kernel = _rows_in_order(kernel, last)
        shape = (value.height, value.width, value.channels, kernel.shape[1])
        height = width = 1
    else:
        raise Unreadable("a fully connected layer over other axes than the channels")
    if kernel.shape[0] != math.prod(shape[:3]):
        raise Unreadable("a kernel of another width than its input")
    node = reader.graph.add(
        "conv",
        (value,),
        channels=kernel.shape[1],
        height=height,
        width=width,
        kernel=kernel,
        kernel_shape=shape,
        detail=(
            ("strides", (1, 1)),
            ("padding", (0, 0, 0, 0)),
            ("dilations", (1, 1)),
            ("groups", 1),
        ),
        written_as="MatMul",
        name=op.name,
    )
    axes = (*places, _axis("C", node.channels))
    return Value(axes, value.batch, height, width, (Segment(node.index, 0, node.channels),))


def _role(atom: Atom) -> str:
    return atom.role


def _rows_in_order(kernel: Symbol, atoms: tuple[Atom, ...]) -> Symbol:
    """The kernel of a flattened map whose axes stood in another order, by height, width, channels.

    Args:
        kernel: (positions, out), the positions in the order of `atoms`.
        atoms: Height, width and channels, each whole, in any order.
    """
    sizes = [atom.size for atom in atoms]
    order = sorted(range(len(atoms)), key=lambda i: "HWC".index(atoms[i].role))
    out = kernel.shape[1]
    return expression(
        f"rows in order {sizes} {order}",
        [kernel],
        lambda v: v.reshape(*sizes, out).transpose(*order, len(sizes)).reshape(-1, out),
        kernel.shape,
        keeps_variable=True,
    )


def _transposed(kernel: Symbol) -> Symbol:
    return expression(
        "transpose[1, 0]", [kernel], np.transpose, kernel.shape[::-1], keeps_variable=True
    )


def _einsum_of_one(op: Op, value: Value) -> Value:
    """A sum over axes, and another order of those that stay: "abcd->ad"."""
    letters, _, output = str(op.attributes.get("equation", "")).replace(" ", "").partition("->")
    given = [letter for letter in letters if letter in output]
    if (
        not letters.isalpha()
        or len(set(letters)) != len(letters)
        or len(letters) != len(value.axes)
    ):
        raise Unreadable("an einsum of one tensor")
    if sorted(given) != sorted(output):
        raise Unreadable("an einsum of one tensor")
    summed = {i for i, letter in enumerate(letters) if letter not in output}
    result = _reduced("Sum", value, summed, keep=False) if summed else value
    return replace(result, axes=tuple(result.axes[given.index(letter)] for letter in output))


def _einsum_kernel(op: Op, kernel: Symbol, rank: int) -> Symbol:
    """The kernel of an einsum that contracts the last axis: "abcd,de->abce".

    Raises:
        Unreadable: Another einsum.
    """
    equation = str(op.attributes.get("equation", "")).replace(" ", "")
    inputs, _, output = equation.partition("->")
    left, _, right = inputs.partition(",")
    left, output = left.replace("...", "~~~"[:rank]), output.replace("...", "~~~"[:rank])
    if len(right) != 2 or not left or left[:-1] != output[:-1]:
        raise Unreadable("an einsum that is no fully connected layer")
    if right == left[-1] + output[-1]:
        return kernel
    if right == output[-1] + left[-1]:
        return _transposed(kernel)
    raise Unreadable("an einsum that is no fully connected layer")


# normalisation and softmax


@rule("FusedBatchNormV3", "FusedBatchNormV2", "FusedBatchNorm")
def _fused_batch_norm(reader: _Reader, op: Op, arguments: list[Any]) -> Any:
    value, gamma, beta, mean, variance = arguments[:5]
    epsilon = float(op.attributes.get("epsilon", 1e-4))
    if op.attributes.get("data_format") == "NCHW":
        if not _roles(value, "NCHW"):
            raise Unreadable("")
    elif not _roles(value, "NHWC"):
        raise Unreadable("")
    if op.attributes.get("is_training", True):
        steps = max((len(s.steps) for s in value.segments), default=0)
        statistic = Statistic(value, value.key, steps, digest("statistic", value.key))
        shape, depth = (value.channels,), _depth(value)

        def moment(name: str) -> Symbol:
            return Symbol(
                "statistic",
                shape,
                digest("fused", name, value.key),
                statistics=(statistic,),
                compute=lambda k: getattr(statistic.sample(k), name)(axis=0),
                depth=depth,
            )

        share = float(op.attributes.get("exponential_avg_factor", 1.0))

        def moved(old: Symbol, batch: Symbol) -> Symbol:
            return expression(
                f"moved by {share}", [old, batch], lambda o, b: (1 - share) * o + share * b, shape
            )

        olds, batch = (mean, variance), (moment("mean"), moment("var"))
        averages = batch if share == 1.0 else tuple(map(moved, olds, batch))
        mean, variance = batch
    else:
        averages = (mean, variance)
    scale = expression(
        f"fused scale {epsilon}",
        [gamma, variance],
        lambda g, v: g / np.sqrt(v + epsilon),
        gamma.shape,
    )
    shift = expression("fused shift", [beta, mean, scale], lambda b, m, s: b - m * s, beta.shape)
    if op.attributes.get("data_format") == "NCHW":
        column = (value.channels, 1, 1)
        scale = expression("column", [scale], lambda v: v.reshape(column), column)
        shift = expression("column", [shift], lambda v: v.reshape(column), column)
    result = affine_step(affine_step(value, "multiply", scale), "add", shift)
    rest = [opaque(s or (), op.name, i) for i, (_, s) in enumerate(op.outputs[3:])]
    return [result, *averages, *rest]


@rule("Softmax", "LogSoftmax")
def _softmax(reader: _Reader, op: Op, arguments: list[Any]) -> Any:
    value = _value(arguments[0])
    if _channel_axis(value) != len(value.axes) - 1:
        raise Unreadable("a softmax over another axis than the classes")
    node = reader.graph.add(
        "softmax",
        (value,),
        channels=value.channels,
        height=value.height,
        width=value.width,
        detail=(("logarithm", op.op == "LogSoftmax"),),
        written_as=op.op,
        name=op.name,
    )
    return replace(value, segments=(Segment(node.index, 0, value.channels),))


# --- numbers -------------------------------------------------------------------------------

RANDOM = {
    "StatelessRandomUniformV2", "StatelessRandomUniform", "StatelessRandomNormalV2",
    "StatelessRandomNormal", "RandomUniform", "RandomStandardNormal", "RandomUniformInt",
    "StatelessRandomUniformFullIntV2", "StatelessRandomUniformIntV2", "TruncatedNormal",
    "StatelessTruncatedNormalV2", "StatelessRandomGetKeyCounter", "StatelessRandomGetAlg",
    "StatelessRandomGetKeyCounterAlg", "RandomShuffle", "Multinomial", "StatelessMultinomial",
    "RngReadAndSkip", "StatelessRandomGammaV3", "RandomGamma",
}  # fmt: skip


_CASTS: dict[str, Callable[[Any], Any]] = {
    "int": lambda a: np.asarray(a).astype(np.int64),
    "bool": lambda a: np.asarray(a).astype(bool),
    "float": lambda a: np.asarray(a).astype(np.float64),
}


def _cast_kind(op: Op) -> str:
    target = str(op.attributes.get("DstT", ""))
    if target.startswith(("int", "uint")):
        return "int"
    return "bool" if target == "bool" else "float"


def _axis_list(axis: Any) -> tuple[int, ...]:
    return tuple(int(a) for a in np.asarray(axis).reshape(-1))


def _reduction(function: Callable[..., Any]) -> Callable[..., Any]:
    return lambda op, a, axis: function(
        a, axis=_axis_list(axis), keepdims=bool(op.attributes.get("keep_dims", False))
    )


def _numpy_slice(op: Op, a: Any, *bounds: Any) -> Any:
    windows, shape = _slice_windows(op, [None, *[constant(b) for b in bounds]], np.shape(a))
    taken = np.asarray(a)[tuple(slice(*_window(w)) for w in windows)]
    return taken if shape is None else taken.reshape(shape)


def _window(window: tuple[int, int, int]) -> tuple[int | None, int | None, int]:
    start, stop, step = window
    return start, None if step < 0 and stop < 0 else stop, step


def _grown(a: Any, amounts: Any) -> tuple[int, ...]:
    """The shape of an array behind a padding."""
    return tuple(n + int(low) + int(high) for n, (low, high) in zip(a.shape, amounts, strict=True))


def _concatenated(op: Op, *parts: Any) -> Any:
    allowed((sum(np.size(a) for a in parts),))
    return np.concatenate(parts[:-1], axis=int(parts[-1]))


def _packed(op: Op, *parts: Any) -> Any:
    allowed((sum(np.size(a) for a in parts),))
    return np.stack(parts, axis=int(op.attributes.get("axis", 0) or 0))


def _tiled(op: Op, a: Any, multiples: Any) -> Any:
    times = [int(n) for n in multiples]
    allowed([n * m for n, m in zip(a.shape, times, strict=True)])
    return np.tile(a, times)


def _range(op: Op, start: Any, stop: Any, step: Any) -> Any:
    allowed((max(0, math.ceil((float(stop) - float(start)) / float(step))),))
    return np.arange(start, stop, step)


def _taken(op: Op, a: Any, indices: Any, axis: Any) -> Any:
    where = int(axis) % a.ndim
    allowed((np.size(indices) * a.size // max(a.shape[where], 1),))
    return np.take(a, np.asarray(indices, int), axis=where)


def _product(op: Op, a: Any, b: Any) -> Any:
    a = a.T if op.attributes.get("transpose_a") else a
    b = b.T if op.attributes.get("transpose_b") else b
    if a.ndim != 2 or b.ndim != 2:
        raise Unreadable("a product of other axes")
    allowed((a.shape[0], b.shape[1]))
    # BLAS does some ten of these in the time of one number elsewhere.
    work.spend(a.shape[0] * a.shape[1] * b.shape[1] // 10)
    return np.matmul(a, b)


def _padded(op: Op, a: Any, amounts: Any, fill: Any = 0.0) -> Any:
    allowed(_grown(a, amounts))
    return np.pad(a, np.asarray(amounts, int), constant_values=float(fill))


NUMPY: dict[str, Callable[..., Any]] = {
    "Shape": lambda op, a: np.array(np.shape(a), np.int64),
    "Size": lambda op, a: np.array(np.size(a)),
    "Rank": lambda op, a: np.array(np.ndim(a)),
    "ConcatV2": _concatenated,
    "Pack": _packed,
    "StridedSlice": _numpy_slice,
    "Slice": lambda op, a, b, s: a[
        tuple(slice(int(i), None if n == -1 else int(i + n)) for i, n in zip(b, s, strict=True))
    ],
    "Mean": _reduction(np.mean),
    "Sum": _reduction(np.sum),
    "Prod": _reduction(np.prod),
    "Max": _reduction(np.max),
    "Min": _reduction(np.min),
    "All": _reduction(np.all),
    "Any": _reduction(np.any),
    "Fill": lambda op, dims, v: np.full(allowed(dims), v),
    "ZerosLike": lambda op, a: np.zeros_like(a),
    "OnesLike": lambda op, a: np.ones_like(a),
    "Tile": _tiled,
    "BroadcastTo": lambda op, a, s: np.broadcast_to(a, allowed(s)),
    "Range": _range,
    "GatherV2": _taken,
    "ReverseV2": lambda op, a, axis: np.flip(a, _axis_list(axis)),
    "MatMul": _product,
    "PadV2": _padded,
    "Pad": _padded,
    "BiasAdd": _elementwise("BiasAdd", np.add),
    "L2Loss": lambda op, a: np.sum(np.square(a)) / 2,
    "Softmax": lambda op, a: np.exp(a) / np.sum(np.exp(a), axis=-1, keepdims=True),
}
"""Ops on variables and constants beyond the functions of one number."""
