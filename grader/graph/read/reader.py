"""TensorFlow ops → canonical graph: what each op does, never what it is called by the student.

`canonicalise(trace)` walks the ops once, in order. Each tensor becomes one of

    Symbol   the same for every image (variables, constants, batch statistics)
    Value    depends on the image: channel segments (canonical.py)
    Noise    random, depends on neither (dropout masks)

An op without a rule, or used in a way the rules do not cover, becomes a `foreign` node that
carries its name; the walk goes on, so that everything else is still read.

The rules stand in the tables of the modules that `RULES` joins. Source of the op semantics:
TensorFlow's op definitions (tf.raw_ops).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np

from grader.graph import work
from grader.graph.canonical import Graph, Noise, Segment, Tensor, Value
from grader.graph.ops import FLAT, IDENTITIES, RANDOM, STOPS, meaning_of
from grader.graph.read import arithmetic, layout, norms, products, spellings, windows
from grader.graph.read.axes import as_map, axes_of, standard_axes
from grader.graph.read.tensors import NOTHING, Rule, fits, is_possible
from grader.graph.record import VARIABLES, Op, Trace
from grader.graph.symbols import (
    Symbol,
    Unreadable,
    constant,
    digest,
    expression,
    followed,
    opaque,
    variable,
    without_gradient,
)

MAX_PIECES = 2_000_000
"""Segments of all values of one graph together. BC L=250 k=24 has a tenth of it; beyond, nothing
is followed any more, so that no trace takes the machine's memory."""

RULES: dict[str, Rule] = {
    **layout.RULES,
    **arithmetic.RULES,
    **windows.RULES,
    **spellings.RULES,
    **products.RULES,
    **norms.RULES,
}
"""Op type → how it is read where it receives what depends on the image."""

MALFORMED = (ValueError, TypeError, LookupError, ArithmeticError, AttributeError)
"""What an op raises here that TensorFlow would not have made: it is hostile, and has no place."""


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
        self.tensors = self.graph.tensors
        self.resources: dict[int, int | None] = {}
        self.pieces = 0

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
            return [_resource(position)]
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
            return self._foreign(op, arguments)
        results = result if isinstance(result, list) else [result]
        for tensor, (_, shape) in zip(results, op.outputs, strict=False):
            if not isinstance(tensor, Value):
                continue
            if not is_possible(tensor):
                return self._foreign(op, arguments, "a map of an impossible size")
            if shape is not None and -1 not in shape and tensor.shape != shape:
                return self._foreign(op, arguments, "its shape is not what it computes")
        return results

    def _input(self, op: Op) -> Tensor:
        shape = op.outputs[0][1] if op.outputs else None
        if shape is None or len(shape) not in (2, 4) or not fits(shape):
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

    def _foreign(self, op: Op, arguments: list[Tensor], reason: str = "") -> list[Tensor]:
        """Outputs of an op that has no place: opaque symbols, noise, or a foreign node.

        Args:
            op: The operation.
            arguments: What it receives.
            reason: How it is used that has no place, for a person; "" where its name says it all.
        """
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
            if shape is None or len(shape) < 1 or not fits(shape):
                results.append(opaque(shape or (), op.op, op.name, i))
                continue
            batch, height, width, channels = as_map(shape, values[0].batch)
            node = self.graph.add(
                "foreign",
                values,
                channels=channels,
                height=height,
                width=width,
                kernel=kernel,
                detail=(
                    ("op", op.op),
                    ("reason", reason),
                    ("output", i),
                    ("settings", settings),
                    ("axis", op.attributes.get("axis")),
                ),
                written_as=op.op,
                name=op.name,
            )
            results.append(
                Value(
                    axes_of(shape, batch, height, width, channels),
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
        return self._foreign(op, arguments) if rule is None else rule(self.graph, op, arguments)

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
            raise Unreadable("a result whose shape is not known")
        shape = shapes[0]
        name = op.op + repr(sorted((k, repr(v)) for k, v in op.attributes.items()))
        if op.op == "Cast":
            kind = _cast_kind(op)
            if kind == "float":
                return expression("", arguments, _CASTS[kind], shape, keeps_variable=True)
            return without_gradient(expression(f"cast to {kind}", arguments, _CASTS[kind], shape))
        if op.op in ("Reshape", "Squeeze", "ExpandDims"):
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
        function = meaning_of(op.op)
        if function is None:
            raise Unreadable("an operation that is not known")
        checked = function
        result = expression(name, arguments, lambda *a: checked(op, *a), shape)
        return without_gradient(result) if op.op in FLAT else result


@lru_cache(maxsize=4096)
def _resource(position: int) -> Symbol:
    return opaque((), "resource", position)


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


CHANGES: dict[str, Callable[..., Any]] = {
    "AssignAddVariableOp": np.add,
    "AssignSubVariableOp": np.subtract,
}
"""Assignments that say by how much, not to what."""


def _without_gradient(symbol: Symbol) -> Symbol:
    """A variable behind a stopped gradient is never trained: it is a computed number."""
    if symbol.bare is not None:
        symbol = expression("stop gradient", [symbol], lambda a: a, symbol.shape)
    return without_gradient(symbol)


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
