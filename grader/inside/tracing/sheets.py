"""Records as they are copied: the example of a kind, and the sheet that layers are written on."""

from __future__ import annotations

import functools
from typing import Any

from . import cheaper, records
from .constants import Constants
from .kinds import ITS_OWN, LEAST, MADE, SIZES, Call, Kept, Unlike
from .variables import Variables


class Example:
    """The record of one layer at the sizes of the marks.

    Attributes:
        front: Its inputs and variables.
        ops: What it computes, in order.
        attributes: Which attribute of the layer each variable at the front is.
    """

    def __init__(self, call: Call, kept: Kept, training: bool) -> None:
        import tensorflow as tf
        from tensorflow.python.framework.func_graph import func_graph_from_py_func

        with cheaper.without_values():
            layer, named = _stand_in(call)
        apply = kept.operation_fn(layer, training=training)

        def alone(*tensors: Any) -> Any:
            return apply(list(tensors) if call.listed else tensors[0], **call.keywords)

        self.marks = call.marks()
        specs = tuple(tf.TensorSpec(shape, tf.float32) for shape in self.marks)
        with cheaper.uncompiled():
            graph = func_graph_from_py_func(
                "network", alone, specs, {}, add_control_dependencies=False
            )
        variables, constants = Variables(), Constants()
        for variable in named.values():
            variables.add(variable.value, variable)
        writer = records.Writer(variables, constants)
        self.inputs, bound = writer.enter(graph)
        self.front = len(writer.nodes)
        writer.walk(graph, bound)
        (output,) = graph.outputs
        self.nodes, self.updates = writer.nodes, set(writer.updates)
        self.output = bound[id(output)]
        self.made = [int(n) for n in output.shape]
        self.names = [name.partition("/")[2] or name for _, name, *_ in self.nodes]
        self.attributes = dict(enumerate(named))
        self._check(constants)

    def is_like(self, other: Example) -> bool:
        """Whether another one is equal up to the names of its ops."""
        mine, theirs = (
            ([[op, *rest] for op, _, *rest in e.nodes], e.output, e.updates, e.attributes)
            for e in (self, other)
        )
        return mine == theirs

    def _check(self, constants: Constants) -> None:
        """Refuse a record in which there is a size that cannot be told from another."""
        known = {n for shape in (*self.marks, self.made) for n in shape if n >= LEAST} | {MADE}
        told = known | ITS_OWN
        shapes = [self.nodes[i][4][0][1] for i in self.inputs]
        if constants.chunks or shapes != self.marks or self.nodes[self.output[0]][4][0][0] != FLOAT:
            raise Unlike
        for number, (op, _, _, attributes, outputs) in enumerate(self.nodes):
            if op == "Variable" and attributes["variable"] not in self.attributes:
                raise Unlike
            if number < self.front and op not in ("Variable", "Placeholder"):
                raise Unlike
            inner = attributes["value"].get("values", []) if op == "Const" else _whole(attributes)
            allowed = told if op == "Const" else set()
            numbers = [n for n in inner if isinstance(n, int)]
            if any(n >= LEAST and n not in allowed for n in numbers) or any(
                n >= LEAST and n not in known for _, shape in outputs for n in shape or []
            ):
                raise Unlike


FLOAT = "float32"


def _whole(attributes: dict[str, Any]) -> list[Any]:
    """All numbers in the attributes of an op."""
    lists = (value if isinstance(value, list) else [value] for value in attributes.values())
    return [number for numbers in lists for number in numbers]


def _stand_in(call: Call) -> tuple[Any, dict[str, Any]]:
    """A layer with all attributes of another but its sizes, and its variables by attribute."""
    import keras

    layer = object.__new__(type(call.layer))
    own = vars(layer)
    own.update(vars(call.layer))
    own["_input_spec"] = None
    for name in ("filters", "units"):
        if name in own:
            own[name] = MADE
    named = call.variables()
    for name, marks in SIZES.get(call.class_name, {}).items():
        if name in named:
            shape = [n if m is None else m for n, m in zip(named[name].shape, marks, strict=True)]
            named[name] = own[name] = keras.Variable(
                "zeros", shape=tuple(shape), dtype=FLOAT, name=name.strip("_")
            )
    return layer, named


class Sheet:
    """One record as it is written: inputs and variables at the front, then the ops."""

    def __init__(self, shape: list[int], variables: Variables, constants: Constants) -> None:
        self._front: list[list[Any]] = []
        self._ops: list[list[Any]] = []
        self._updates: list[Any] = []
        self._places: dict[int, Any] = {}
        self._variables = variables
        self._constants = constants

    def begin_with(self, entry: Any, shape: list[int]) -> tuple[bool, int, int]:
        """Write the images, and what `preprocess` makes of them. Returns where that stands."""
        if entry is None:
            self._front.append(["Placeholder", "images", [], {}, [[FLOAT, shape]]])
            return False, 0, 0
        (output,) = entry.outputs
        if output.dtype.name != FLOAT or output.shape.as_list() != shape:
            raise Unlike
        writer = records.Writer(self._variables, self._constants)
        _, bound = writer.enter(entry)
        front = len(writer.nodes)
        writer.walk(entry, bound)
        place = functools.partial(_place, front=front)
        for number, (op, name, inputs, attributes, outputs) in enumerate(writer.nodes):
            read = [(*place(node), n) for node, n in inputs]
            section = self._front if number < front else self._ops
            section.append([op, name, read, attributes, outputs])
            if op == "Variable":
                self._places[attributes["variable"]] = place(number)
        self._updates += [place(number) for number in writer.updates]
        node, n = bound[id(output)]
        return (*place(node), n)

    def copy(self, call: Call, example: Example, inputs: list[Any]) -> tuple[bool, int, int]:
        """Write a layer. Returns where its output stands."""
        sizes = _in_place_of_marks(call, example)
        at: dict[int, tuple[bool, int]] = {}
        bound = dict(zip(example.inputs, inputs, strict=True))
        variables = call.variables()
        for number, (op, _, read, attributes, outputs) in enumerate(example.nodes):
            if number in bound:
                continue
            name = f"{call.layer.name}/{example.names[number]}"[:200]
            if op == "Variable":
                variable = variables[example.attributes[attributes["variable"]]]
                at[number] = self._variable(variable, name, outputs)
                continue
            if op == "Const" and "values" in attributes["value"]:
                values = [_sized(n, sizes) for n in attributes["value"]["values"]]
                attributes = {"value": {**attributes["value"], "values": values}}
            shapes = [
                [dtype, None if shape is None else [sizes.get(n, n) for n in shape]]
                for dtype, shape in outputs
            ]
            taken = [bound[i] if i in bound else (*at[i], n) for i, n in read]
            self._ops.append([op, name, taken, attributes, shapes])
            at[number] = (True, len(self._ops) - 1)
            if number in example.updates:
                self._updates.append(at[number])
        node, n = example.output
        return bound[node] if node in bound else (*at[node], n)

    def _variable(self, variable: Any, name: str, outputs: Any) -> tuple[bool, int]:
        number = self._variables.known(variable.value)
        if number is None:
            raise Unlike
        if number not in self._places:
            self._front.append(["Variable", name, [], {"variable": number}, outputs])
            self._places[number] = (False, len(self._front) - 1)
        place: tuple[bool, int] = self._places[number]
        return place

    def record(self, output: tuple[bool, int, int], eaten: tuple[bool, int, int]) -> dict[str, Any]:
        """The record, without what nothing needs."""
        front = len(self._front)
        if front + len(self._ops) > records.MAX_NODES:
            raise Unlike

        def at(place: Any) -> int:
            return int(place[1]) + (front if place[0] else 0)

        nodes = [
            [op, name, [[at(place), place[2]] for place in read], attributes, outputs]
            for op, name, read, attributes, outputs in (*self._front, *self._ops)
        ]
        return records.pruned(
            {
                "nodes": nodes,
                "inputs": [0],
                "outputs": [[at(output), output[2]]],
                "updates": [at(place) for place in self._updates],
                "entry": [at(eaten), eaten[2]],
            }
        )


def _place(number: int, front: int) -> tuple[bool, int]:
    return (True, number - front) if number >= front else (False, number)


def _sized(number: Any, sizes: dict[int, int]) -> Any:
    return sizes.get(number, number) if type(number) is int else number


def _in_place_of_marks(call: Call, example: Example) -> dict[int, int]:
    """The size for each mark.

    Raises:
        Unlike: A mark would stand for two sizes.
    """
    sizes = call.sizes()
    for marks, shape in zip((*example.marks, example.made), call.shapes, strict=True):
        if len(marks) != len(shape):
            raise Unlike
        for mark, size in zip(marks, shape, strict=True):
            if sizes.setdefault(mark, size) != size:
                raise Unlike
    return sizes
