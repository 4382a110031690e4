"""Mutations of a record's JSON: what a hostile program would change in an honest answer.

They act on structure, not on bytes, so that most of what comes out still parses and reaches the
code behind the parser. The dice are a `random.Random`, so that hypothesis can draw and shrink them.
"""

from __future__ import annotations

import copy
import random
from collections.abc import Callable
from typing import Any

SIZES = (0, 1, 2, 3, 4, 7, 16, 17, 4096, 4097, 65_535, 65_537, 2**20, 2**26, 2**31)
NUMBERS = (*SIZES, -1, -2, -(2**31), 2**53, 2**63, 2**64, 10**30, 0.5, 1e308, -0.0, 1e-320)
WORDS = (
    "", "nan", "inf", "-inf", "float32", "int32", "resource", "NCHW", "EXPLICIT",
    "\u202e\x00\x1b[31m", "\ud83d\ude00", "\udfff", "9" * 400, "1" * 5000, "__class__",
    "../../x", "x" * 2001,
)  # fmt: skip
OPS = (
    "Placeholder", "Const", "Variable", "VarHandleOp", "ReadVariableOp", "AssignVariableOp",
    "Identity", "IdentityN", "ConcatV2", "Split", "SplitV", "Slice", "StridedSlice", "GatherV2",
    "ReverseV2", "Pad", "PadV2", "Mean", "Sum", "Max", "AvgPool", "MaxPool", "Conv2D",
    "DepthwiseConv2dNative", "MatMul", "Einsum", "FusedBatchNormV3", "Softmax", "Relu", "LeakyRelu",
    "Erf", "Mul", "AddV2", "Sub", "RealDiv", "Pow", "Maximum", "SelectV2", "ClipByValue", "AddN",
    "Reshape", "Squeeze", "Transpose", "Tile", "BroadcastTo", "Fill", "Range", "ZerosLike", "Shape",
    "Pack", "Cast", "StopGradient", "RandomUniform", "L2Loss", "NoSuchOp",
)  # fmt: skip


def mutated(record: Any, dice: random.Random, times: int | None = None) -> Any:
    """A copy of a record with a few things changed."""
    changed = copy.deepcopy(record)
    for _ in range(times if times is not None else dice.randint(1, 4)):
        change: Callable[[Any, random.Random], None] = dice.choice(
            (_any_place, _a_node, _a_node, _a_node, _a_graph, _variables)
        )
        change(changed, dice)
    return changed


def _any_place(record: Any, dice: random.Random) -> None:
    """Follow a random path down, and change what is there."""
    place = record
    for _ in range(12):
        if isinstance(place, dict) and place:
            key: Any = dice.choice(sorted(place))
        elif isinstance(place, list) and place:
            key = dice.randrange(len(place))
        else:
            return
        inner = place[key]
        if not isinstance(inner, dict | list) or not inner or dice.random() < 0.15:
            how = dice.random()
            if how < 0.7:
                place[key] = junk(dice)
            elif how < 0.85:
                del place[key]
            elif isinstance(place, list):
                place.insert(key, copy.deepcopy(inner))
            else:
                place[dice.choice(WORDS)] = copy.deepcopy(inner)
            return
        place = inner


def junk(dice: random.Random, depth: int = 0) -> Any:
    """Something that may or may not be of the type that belongs there."""
    kind = dice.randrange(8 if depth < 2 else 5)
    if kind == 0:
        return dice.choice(WORDS)
    if kind in (1, 2):
        return dice.choice(NUMBERS)
    if kind == 3:
        return dice.choice((None, True, False))
    if kind == 4:
        return dice.choice((float("nan"), float("inf"), -float("inf")))
    if kind == 5:
        return [dice.choice(SIZES) for _ in range(dice.randrange(14))]
    if kind == 6:
        return [junk(dice, depth + 1) for _ in range(dice.randrange(4))]
    return {str(dice.choice(WORDS)): junk(dice, depth + 1) for _ in range(dice.randrange(3))}


def _graphs(record: Any) -> list[dict[str, Any]]:
    graphs = record.get("graphs") if isinstance(record, dict) else None
    found = list(graphs.values()) if isinstance(graphs, dict) else []
    return [g for g in found if isinstance(g, dict) and isinstance(g.get("nodes"), list)]


def _whole_node(node: Any) -> bool:
    kinds = (str, str, list, dict, list)
    return (
        isinstance(node, list)
        and len(node) == 5
        and all(isinstance(part, kind) for part, kind in zip(node, kinds, strict=True))
    )


def _a_node(record: Any, dice: random.Random) -> None:
    graphs = _graphs(record)
    if not graphs or not (nodes := dice.choice(graphs)["nodes"]):
        return
    at = dice.randrange(len(nodes))
    node = nodes[at]
    if not _whole_node(node):
        return
    _, _, inputs, attributes, outputs = node
    how = dice.randrange(10)
    if how == 0:
        node[0] = dice.choice(OPS)
    elif how == 1:
        nodes[at][2] = [[dice.randrange(max(at, 1)), 0] for _ in range(dice.randrange(6))]
    elif how == 2 and inputs:
        inputs[dice.randrange(len(inputs))] = [
            dice.choice((0, at - 1, at, at + 1, dice.randrange(len(nodes)))),
            dice.choice((0, 0, 0, 1, 6)),
        ]
    elif how == 3 and inputs:
        inputs *= dice.choice((2, 3, 40))
    elif how == 4 and outputs:
        outputs[dice.randrange(len(outputs))] = ["float32", _shape(dice)]
    elif how == 5 and outputs:
        _one_size(outputs, dice)
    elif how == 6 and attributes:
        attributes[dice.choice(sorted(attributes))] = junk(dice)
    elif how == 7 and isinstance(attributes.get("value"), dict):
        _a_constant(attributes["value"], dice)
    elif how == 8:
        nodes[at] = [dice.choice(OPS), "new", inputs, attributes, outputs]
    else:
        nodes.insert(at, copy.deepcopy(node))


def _shape(dice: random.Random) -> Any:
    return dice.choice((None, [dice.choice(SIZES) for _ in range(dice.randrange(6))]))


def _one_size(outputs: list[Any], dice: random.Random) -> None:
    described = dice.choice(outputs)
    if isinstance(described, list) and len(described) == 2 and isinstance(described[1], list):
        shape = described[1]
        if shape:
            shape[dice.randrange(len(shape))] = dice.choice((-1, *SIZES))


def _a_constant(value: dict[str, Any], dice: random.Random) -> None:
    how = dice.randrange(4)
    values = value.get("values")
    if how == 0:
        value["shape"] = _shape(dice) or []
    elif how == 1 and isinstance(values, list) and values:
        values[dice.randrange(len(values))] = dice.choice((*NUMBERS, *WORDS))
    elif how == 2:
        value["dtype"] = dice.choice(WORDS)
    else:
        value.pop("values", None)
        value["offset"] = dice.choice(SIZES)


def _a_graph(record: Any, dice: random.Random) -> None:
    graphs = _graphs(record)
    if not graphs:
        return
    graph = dice.choice(graphs)
    count = len(graph["nodes"])
    how = dice.randrange(6)
    if how == 0:
        graph["outputs"] = [[dice.randrange(max(count, 1)), 0] for _ in range(dice.randrange(3))]
    elif how == 1:
        graph["inputs"] = [dice.randrange(max(count, 1)) for _ in range(dice.randrange(3))]
    elif how == 2:
        graph["updates"] = [dice.randrange(max(count, 1)) for _ in range(dice.randrange(3))]
    elif how == 3 and count > 1:
        start = dice.randrange(count)
        del graph["nodes"][start : start + dice.randint(1, 3)]
    elif how == 4:
        record["graphs"] = dict(
            zip(record["graphs"], reversed(record["graphs"].values()), strict=True)
        )
    elif count > 1:
        a, b = dice.randrange(count), dice.randrange(count)
        graph["nodes"][a], graph["nodes"][b] = graph["nodes"][b], graph["nodes"][a]


def _variables(record: Any, dice: random.Random) -> None:
    table = record.get("variables") if isinstance(record, dict) else None
    if not isinstance(table, list) or not table:
        return
    row = dice.choice(table)
    how = dice.randrange(5)
    if how == 0:
        table.pop()
    elif how == 1:
        dice.shuffle(table)
    elif how == 2 and isinstance(row, dict):
        row["shape"] = [dice.choice(SIZES) for _ in range(dice.randrange(6))]
    elif how == 3 and isinstance(row, dict):
        row["trainable"] = not row.get("trainable")
    elif isinstance(row, dict):
        row["dtype"] = dice.choice(WORDS)
