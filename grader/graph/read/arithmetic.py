"""How arithmetic, functions of numbers, dropout and choices are read."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from grader.graph.affine import Affine
from grader.graph.canonical import Graph, Noise, Segment, Step, Tensor, Value
from grader.graph.pointwise import FUNCTIONS, Tree, X, classify, substitute
from grader.graph.read.axes import channel_axis
from grader.graph.read.sums import one_convolution
from grader.graph.read.tensors import Read, Rule, one_number, symbol_of, value_of
from grader.graph.read.values import (
    affine_step,
    common_affine,
    constant_value,
    is_zero,
    pointwise_step,
    strip_pointwise,
    with_step,
    without_last_step,
    without_numbers,
)
from grader.graph.record import Op
from grader.graph.symbols import Symbol, Unreadable, constant, expression


def arithmetic(graph: Graph, op: Op, arguments: list[Tensor]) -> Read:
    """Plus, minus, times and divided by."""
    a, b = arguments
    if isinstance(a, Noise) or isinstance(b, Noise):
        return _with_noise(op, a, b)
    if isinstance(a, Value) and isinstance(b, Value):
        return _two_values(graph, op, a, b)
    if op.op == "BiasAdd":
        value, offset = value_of(a), symbol_of(b)
        if op.attributes.get("data_format") == "NCHW" or _is_mistaken_for_channels_last(
            value, offset
        ):
            shape = (offset.size, *(1,) * (len(value.axes) - 2))
            offset = expression("column", [offset], lambda v: v.reshape(shape), shape, True)
        return affine_step(value, "add", offset)
    value, symbol = _image_first(a, b)
    if op.op in ("Add", "AddV2"):
        return _settled(affine_step(value, "add", symbol))
    if op.op in ("Mul", "MulNoNan"):
        return _settled(_scaled(graph, value, symbol))
    if op.op == "Sub":
        if value is a:
            return affine_step(value, "add", _negative(symbol))
        return affine_step(_scaled(graph, value, constant(np.array(-1.0))), "add", symbol)
    if value is a:
        inverse = expression("inverse", [symbol], lambda v: 1.0 / v, symbol.shape)
        return _settled(_scaled(graph, value, inverse))
    base, tree = strip_pointwise(value)
    if symbol.constant is not None:
        number = ("number", one_number(symbol))
        return pointwise_step(graph, base, substitute(("RealDiv", number, X), tree))
    raise Unreadable("divides by what depends on the image")


def _image_first(a: Tensor, b: Tensor) -> tuple[Value, Symbol]:
    """The one of two that depends on the image, and the other, which does not."""
    return (a, symbol_of(b)) if isinstance(a, Value) else (value_of(b), symbol_of(a))


def _is_mistaken_for_channels_last(value: Value, bias: Symbol) -> bool:
    """Whether Keras took a channels-first map for a channels-last one when it added a bias.

    It tells the layout by the sizes alone (keras/src/backend/tensorflow/numpy.py, `add`), so that
    a channels-first map that is as wide as it has channels has its columns offset. The layer that
    was written is a convolution with a bias, and is read as one.
    """
    if len(value.axes) < 3 or channel_axis(value) != 1:
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


def _with_noise(op: Op, a: Tensor, b: Tensor) -> Value:
    value, noise = (a, b) if isinstance(a, Value) else (b, a)
    if not isinstance(value, Value) or not isinstance(noise, Noise):
        raise Unreadable("random numbers")
    if op.op in ("Mul", "MulNoNan") and noise.threshold is not None:
        return dropout(value, noise)
    return with_step(value, lambda at, s: Step("noise", (op.op,)))


def _without_last_term(value: Value, affine: Affine) -> Value:
    """The value before the last term of the affine map that all its segments end in."""
    shorter = Affine(affine.terms[:-1], affine.channels)
    trimmed = without_last_step(value)
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
    last = None if scaled else common_affine(value)
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


def _two_values(graph: Graph, op: Op, a: Value, b: Value) -> Value:
    operation = {"AddV2": "Add", "BiasAdd": "Add", "Div": "RealDiv"}.get(op.op, op.op)
    same = _pointwise_of_two(graph, operation, a, b)
    if same is not None:
        return same
    if operation in ("Add", "Sub"):
        if is_zero(graph, b) and a.shape == op.outputs[0][1]:
            return a
        if is_zero(graph, a) and operation == "Add" and b.shape == op.outputs[0][1]:
            return b
    if operation == "Sub":
        b = affine_step(b, "multiply", constant(np.array(-1.0)))
        operation = "Add"
    kinds = {"Add": "add", "Mul": "multiply", "MulNoNan": "multiply"}
    if operation not in kinds:
        raise Unreadable("both depend on the image")
    whole = one_convolution(graph, (a, b)) if operation == "Add" else None
    if whole is not None:
        return whole
    return _combined(graph, kinds[operation], (a, b), op)


def _combined(graph: Graph, kind: str, values: tuple[Value, ...], op: Op) -> Value:
    """An element-wise node of several values; the widest gives the axes."""
    widest = max(values, key=lambda v: math.prod(v.shape))
    if widest.shape != op.outputs[0][1]:
        raise Unreadable("of maps of different sizes")
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
    """The value, and what it is a function of one number of: nothing taken off, some, or all."""
    found = [(value, X)]
    base, tree = strip_pointwise(value)
    if tree != X:
        found.append((base, tree))
    inner, outer = without_numbers(base)
    if outer != X:
        found.append((inner, substitute(tree, outer)))
    return found


def function_of_one(graph: Graph, op: Op, arguments: list[Tensor]) -> Read:
    """A function of one number."""
    value = value_of(arguments[0])
    if op.op == "Exp" and (probabilities := _of_a_logarithm(graph, value)) is not None:
        return probabilities
    base, tree = strip_pointwise(value)
    outer: Tree = (op.op, X)
    if op.op == "LeakyRelu":
        outer = ("LeakyRelu", X, float(op.attributes.get("alpha", 0.2)))
    return pointwise_step(graph, base, substitute(outer, tree))


def _of_a_logarithm(graph: Graph, value: Value) -> Value | None:
    """exp(log_softmax(x)) is softmax(x)."""
    node = graph.nodes[value.segments[0].node]
    plain = len(value.segments) == 1 and not value.segments[0].steps
    if not plain or node.kind != "softmax" or not node.get("logarithm"):
        return None
    same = graph.add(
        "softmax",
        node.inputs,
        channels=node.channels,
        height=node.height,
        width=node.width,
        detail=(("logarithm", False),),
        written_as=node.written_as,
        name=node.name,
    )
    return replace(value, segments=(replace(value.segments[0], node=same.index),))


def function_of_two(graph: Graph, op: Op, arguments: list[Tensor]) -> Read:
    """A function of two numbers, of which at most one depends on the image."""
    a, b = arguments
    if isinstance(a, Value) and isinstance(b, Value):
        same = _pointwise_of_two(graph, op.op, a, b)
        if same is None:
            if op.op == "Maximum":
                return _combined(graph, "foreign", (a, b), op)
            raise Unreadable("both depend on the image")
        return same
    if isinstance(a, Noise) or isinstance(b, Noise):
        raise Unreadable("random numbers")
    value, other = _image_first(a, b)
    if op.op == "SquaredDifference":
        shifted = affine_step(value, "add", _negative(other))
        return with_step(shifted, lambda at, s: Step("pointwise", ("square", ("Square", X), ())))
    if other.constant is None:
        raise Unreadable("a function with trained parameters")
    number: Tree = ("number", one_number(other))
    outer: Tree = (op.op, X, number) if value is a else (op.op, number, X)
    base, tree = strip_pointwise(value)
    return pointwise_step(graph, base, substitute(outer, tree))


def select(graph: Graph, op: Op, arguments: list[Tensor]) -> Read:
    """A choice between two tensors: dropout, a constant condition, or a function of one number."""
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
        raise Unreadable("other places of two branches")
    values = [a for a in arguments if isinstance(a, Value)]
    bases = [strip_pointwise(v) for v in values]
    base = min((b for b, _ in bases), key=lambda v: sum(len(s.steps) for s in v.segments))
    trees: list[Tree] = []
    for argument in arguments:
        if isinstance(argument, Symbol):
            trees.append(("number", one_number(argument)))
            continue
        for stripped, tree in _strippings(value_of(argument)):
            if stripped.key == base.key:
                trees.append(tree)
                break
        else:
            raise Unreadable("a choice between two branches")
    return pointwise_step(graph, base, ("SelectV2", *trees))


def clip(graph: Graph, op: Op, arguments: list[Tensor]) -> Read:
    """Numbers held between two bounds."""
    low, high = (one_number(a) for a in arguments[1:3])
    base, tree = strip_pointwise(value_of(arguments[0]))
    outer: Tree = ("Minimum", ("Maximum", X, ("number", low)), ("number", high))
    return pointwise_step(graph, base, substitute(outer, tree))


def add_n(graph: Graph, op: Op, arguments: list[Tensor]) -> Read:
    """A sum of several maps."""
    values = tuple(a for a in arguments if isinstance(a, Value))
    if len(values) != len(arguments):
        raise Unreadable("maps and numbers that are the same for every image")
    if len(values) == 1:
        return values[0]
    whole = one_convolution(graph, values)
    return _combined(graph, "add", values, op) if whole is None else whole


RULES: dict[str, Rule] = {
    "Add": arithmetic,
    "AddV2": arithmetic,
    "Sub": arithmetic,
    "Mul": arithmetic,
    "RealDiv": arithmetic,
    "Div": arithmetic,
    "BiasAdd": arithmetic,
    "DivNoNan": arithmetic,
    "MulNoNan": arithmetic,
    "Relu": function_of_one,
    "Relu6": function_of_one,
    "Elu": function_of_one,
    "Selu": function_of_one,
    "Sigmoid": function_of_one,
    "Tanh": function_of_one,
    "Softplus": function_of_one,
    "Softsign": function_of_one,
    "Exp": function_of_one,
    "Expm1": function_of_one,
    "Log": function_of_one,
    "Log1p": function_of_one,
    "Erf": function_of_one,
    "Erfc": function_of_one,
    "Abs": function_of_one,
    "Neg": function_of_one,
    "Sign": function_of_one,
    "Square": function_of_one,
    "Sqrt": function_of_one,
    "Rsqrt": function_of_one,
    "Reciprocal": function_of_one,
    "Inv": function_of_one,
    "Sin": function_of_one,
    "Cos": function_of_one,
    "LogicalNot": function_of_one,
    "LeakyRelu": function_of_one,
    "Maximum": function_of_two,
    "Minimum": function_of_two,
    "Pow": function_of_two,
    "SquaredDifference": function_of_two,
    "Greater": function_of_two,
    "GreaterEqual": function_of_two,
    "Less": function_of_two,
    "LessEqual": function_of_two,
    "Equal": function_of_two,
    "NotEqual": function_of_two,
    "LogicalAnd": function_of_two,
    "LogicalOr": function_of_two,
    "Select": select,
    "SelectV2": select,
    "ClipByValue": clip,
    "AddN": add_n,
}
