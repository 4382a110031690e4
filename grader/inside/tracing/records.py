"""A traced graph as plain data."""

from __future__ import annotations

from typing import Any

from .constants import Constants, finite
from .failures import TEXT
from .variables import Variables

MAX_NODES = 400_000
"""Nodes after inlining; a larger graph is reported, not sent."""


STATE_OPS = {"AssignVariableOp", "AssignAddVariableOp", "AssignSubVariableOp"}


CALLS = {"PartitionedCall", "StatefulPartitionedCall"}


def record_of(graph: Any, variables: Variables, constants: Constants, eaten: Any) -> dict[str, Any]:
    """A function's graph as plain data, calls inlined, ops that nothing needs left out.

    Args:
        graph: What was traced.
        variables: Where its variables are numbered.
        constants: Where its large constants are kept.
        eaten: The tensor in it that `preprocess` gave to the network.

    Returns:
        {"nodes": [[op, name, [[node, output]...], attributes, [[dtype, shape]...]]...],
        "inputs": [node...], "outputs": [[node, output]...], "updates": [node...],
        "entry": [node, output] of `eaten`, or null}.
    """
    writer = Writer(variables, constants)
    inputs, bound = writer.enter(graph)
    writer.walk(graph, bound)
    outputs = [list(bound[id(tensor)]) for tensor in graph.outputs if id(tensor) in bound]
    record = {
        "nodes": writer.nodes,
        "inputs": inputs,
        "outputs": outputs,
        "updates": writer.updates,
        "entry": None,
    }
    if getattr(eaten, "graph", None) is graph:
        record["entry"] = list(bound[id(eaten.op.outputs[eaten.value_index])])
    return pruned(record)


class Writer:
    """Writes ops in the order they were made, inlining function calls."""

    def __init__(self, variables: Variables, constants: Constants) -> None:
        self.nodes: list[list[Any]] = []
        self.updates: list[int] = []
        self._variables = variables
        self._constants = constants
        self._functions: dict[str, Any] = {}

    def enter(self, graph: Any) -> tuple[list[int], dict[int, tuple[int, int]]]:
        """Emit what a graph is given: its inputs, and what it captures.

        Returns:
            The inputs' nodes, and what was emitted for each of those tensors.
        """
        captured = {id(inner): outer for outer, inner in graph.captures}
        bound: dict[int, tuple[int, int]] = {}
        inputs = []
        for tensor in graph.inputs:
            if id(tensor) in captured:
                outer = captured[id(tensor)]
                bound[id(tensor)] = self.capture(outer, list(graph.variables), tensor)
            else:
                at = self.emit("Placeholder", tensor.op.name, [], {}, [tensor])
                inputs.append(at)
                bound[id(tensor)] = (at, 0)
        return inputs, bound

    def emit(
        self, op: str, name: str, inputs: list[tuple[int, int]], attributes: Any, outputs: Any
    ) -> int:
        """Write one node. Returns its number."""
        if len(self.nodes) >= MAX_NODES:
            raise RuntimeError(f"the network has more than {MAX_NODES} operations")
        described = [[t.dtype.base_dtype.name, _shape(t)] for t in outputs]
        self.nodes.append([op, name[:200], [list(i) for i in inputs], attributes, described])
        return len(self.nodes) - 1

    def capture(self, outer: Any, graph_variables: list[Any], inner: Any) -> tuple[int, int]:
        """A captured tensor: a variable, or a constant that lives outside the graph."""
        if outer.dtype.name == "resource":
            index = self._variables.of_capture(outer, graph_variables)
            return self.emit("Variable", inner.op.name, [], {"variable": index}, [inner]), 0
        attributes = {"value": self._constants.encode(outer.numpy())}
        return self.emit("Const", inner.op.name, [], attributes, [inner]), 0

    def walk(self, graph: Any, bound: dict[int, tuple[int, int]]) -> None:
        """Emit the ops of `graph`; `bound` maps its tensors to what was emitted for them."""
        for op in graph.get_operations():
            if op.outputs and all(id(tensor) in bound for tensor in op.outputs):
                continue
            inputs = [bound[id(tensor)] for tensor in op.inputs]
            if op.type in CALLS and self._inline(graph, op, inputs, bound):
                continue
            at = self.emit(op.type, op.name, inputs, self._attributes(op), op.outputs)
            if op.type in STATE_OPS:
                self.updates.append(at)
            for position, tensor in enumerate(op.outputs):
                bound[id(tensor)] = (at, position)

    def _inline(
        self, graph: Any, op: Any, inputs: list[tuple[int, int]], bound: dict[int, Any]
    ) -> bool:
        from tensorflow.python.framework import function_def_to_graph

        name = op.get_attr("f").name
        if name not in self._functions:
            for definition in graph.as_graph_def().library.function:
                if definition.signature.name == name:
                    with graph.as_default():
                        self._functions[name] = function_def_to_graph.function_def_to_graph(
                            definition, structured_outputs=None
                        )
        inner = self._functions.get(name)
        if inner is None:
            return False
        local = {id(tensor): at for tensor, at in zip(inner.inputs, inputs, strict=False)}
        self.walk(inner, local)
        for tensor, result in zip(op.outputs, inner.outputs, strict=False):
            bound[id(tensor)] = local[id(result)]
        return True

    def _attributes(self, op: Any) -> dict[str, Any]:
        if op.type == "Const":
            import tensorflow as tf

            return {"value": self._constants.encode(tf.make_ndarray(op.get_attr("value")))}
        found: dict[str, Any] = {}
        for key, value in op.node_def.attr.items():
            kind = value.WhichOneof("value")
            if key.startswith("_") or kind in (None, "func", "tensor", "placeholder"):
                continue
            if kind == "s":
                found[key] = value.s.decode("utf-8", "replace")[:TEXT]
            elif kind == "type":
                found[key] = _dtype_name(value.type)
            elif kind == "shape":
                found[key] = [int(d.size) for d in value.shape.dim]
            elif kind == "list":
                found[key] = [int(v) for v in value.list.i] or [
                    finite(float(v)) for v in value.list.f
                ]
            else:
                plain = getattr(value, kind)
                found[key] = finite(plain) if isinstance(plain, float) else plain
        return found


def _dtype_name(number: int) -> str:
    import tensorflow as tf

    try:
        return str(tf.dtypes.as_dtype(number).name)
    except TypeError:
        return str(number)


def _shape(tensor: Any) -> list[int] | None:
    shape = tensor.shape
    if shape.rank is None:
        return None
    return [-1 if n is None else int(n) for n in shape]


def pruned(record: dict[str, Any]) -> dict[str, Any]:
    """Leave out what neither an output nor a variable's update needs; renumber."""
    nodes = record["nodes"]
    wanted = set(record["inputs"]) | set(record["updates"])
    stack = [node for node, _ in record["outputs"]] + record["updates"]
    wanted.update(stack)
    while stack:
        for node, _ in nodes[stack.pop()][2]:
            if node not in wanted:
                wanted.add(node)
                stack.append(node)
    order = sorted(wanted)
    number = {old: new for new, old in enumerate(order)}
    kept = []
    for old in order:
        op, name, inputs, attributes, outputs = nodes[old]
        kept.append([op, name, [[number[n], i] for n, i in inputs], attributes, outputs])
    return {
        "nodes": kept,
        "inputs": [number[n] for n in record["inputs"]],
        "outputs": [[number[n], i] for n, i in record["outputs"]],
        "updates": [number[n] for n in record["updates"]],
        "entry": [number[record["entry"][0]], record["entry"][1]]
        if record["entry"] is not None and record["entry"][0] in number
        else None,
    }
