"""Layers of Keras's own are traced once; all others like them are copies of that record.

The reason is cost: a submission is 13 networks of some 500 layers, nearly all of eight classes of
Keras's, and to trace each of them was more than half of what reading a submission costs. So the
first layer of a kind is traced, alone, at sizes that no network has (its marks). Each other one is
that record with its own sizes and variables in place of the marks. What a layer computes is
written down nowhere here: it is what Keras traces, with every attribute of the layer's own.

A network is copied whole or traced whole. It is traced wherever anything is out of the ordinary: a
class that is not in CLASSES or has been changed, an attribute that is not known here, another type
than float32, a nested model, another version than KERAS. `GRADER_TRACE=plain` switches it all off.
In each submission one hidden network is both copied and traced: where they differ, the other side
asks once more, for plain traces.

Nothing here is a wall: student code can change this process as it likes, with this file or
without. The sample of the trained network is what its record is held against.
"""

from __future__ import annotations

import functools
import types
from typing import Any

from . import cheaper, records
from .constants import Constants
from .variables import Variables

KERAS = "3.15."
"""The versions whose layers and functional models are known to be as this file takes them."""
BATCH, HEIGHT, WIDTH, MADE, CHANNELS = 2003, 4001, 4003, 7001, 5003
"""The marks: sizes of an example. The channels of its n-th input are CHANNELS + 2 n; a layer that
has its own number of channels makes MADE."""
LEAST = 200
"""Numbers from here on in an example are marks, or what a layer makes of them; others are its own.
"""
ITS_OWN = {2**31 - 2}
"""Larger numbers that are no sizes all the same: what seeds of random numbers are kept below."""
SIZES: dict[str, dict[str, tuple[int | None, ...]]] = {
    "Conv2D": {"_kernel": (None, None, CHANNELS, MADE), "bias": (MADE,)},
    "Dense": {"_kernel": (CHANNELS, MADE), "bias": (MADE,)},
    "BatchNormalization": dict.fromkeys(
        ("gamma", "beta", "moving_mean", "moving_variance"), (CHANNELS,)
    ),
}
"""The variables of a class and their marks; None is a size that belongs to its kind."""
CLASSES = (
    *SIZES, "Activation", "AveragePooling2D", "Concatenate", "Dropout", "GlobalAveragePooling2D",
    "MaxPooling2D", "ReLU",
)  # fmt: skip
"""Classes of keras.layers whose records change with sizes in their shapes alone."""
NOT_OF_THE_KIND = {
    "_auto_config", "_build_shapes_dict", "_call_context_args", "_call_has_context_arg",
    "_call_signature", "_called", "_inbound_nodes", "_input_spec", "_layers", "_lock", "_loss_ids",
    "_metrics", "_non_trainable_variables", "_outbound_nodes", "_parent_path", "_path",
    "_saved_model_arg_spec", "_saved_model_inputs_spec", "_seed_generators", "_tracked", "_tracker",
    "_trainable_variables", "beta_constraint", "beta_initializer", "beta_regularizer",
    "bias_constraint", "bias_initializer", "bias_regularizer", "build", "call_signature_parameters",
    "filters", "gamma_constraint", "gamma_initializer", "gamma_regularizer", "kernel_constraint",
    "kernel_initializer", "kernel_regularizer", "moving_mean_initializer",
    "moving_variance_initializer", "name", "quantize", "seed", "units",
}  # fmt: skip
"""Attributes that say which layer it is, how it was built or how it is trained: no op is theirs."""


class Unlike(Exception):
    """Something is not as it is known here: the network is traced whole."""


class Kept:
    """What is kept from before student code: the classes as they were, and the examples.

    Attributes:
        on: Whether anything is copied.
        compared: Id of the probe whose network is traced as well.
    """

    def __init__(self, *, plain: bool, compared: str | None) -> None:
        import keras
        from keras.src.models import functional

        self.on = not plain and keras.__version__.startswith(KERAS)
        self.compared = compared
        self.examples: dict[Any, _Example | None] = {}
        self.classes = {getattr(keras.layers, name): name for name in CLASSES}
        self.functional = functional
        self.operation_fn = functional.operation_fn
        self.activations = {
            value
            for value in vars(keras.activations).values()
            if isinstance(value, types.FunctionType)
        }
        watched = {
            base
            for top in (*self.classes, functional.Functional, keras.random.SeedGenerator)
            for base in top.__mro__
            if base.__module__.startswith("keras.")
        }
        self._as_it_was = {base: dict(vars(base)) for base in watched}

    def unchanged(self) -> bool:
        """Whether Keras's classes are what they were before student code was imported."""
        return self.functional.operation_fn is self.operation_fn and all(
            len(kept) == len(vars(base)) and all(vars(base).get(k) is v for k, v in kept.items())
            for base, kept in self._as_it_was.items()
        )


_kept: list[Kept] = []


def begin(*, plain: bool = False, compared: str | None = None) -> None:
    """Keep what the classes are now; from here on networks are copied, if not `plain`."""
    _kept[:] = [Kept(plain=plain, compared=compared)]


def end() -> None:
    """Trace every network whole from here on."""
    _kept.clear()


def examples() -> int:
    """How many kinds of layer there are examples of."""
    return sum(len(kept.examples) for kept in _kept)


def compared(name: str) -> bool:
    """Whether the network of this name is to be traced as well as copied."""
    return bool(_kept) and _kept[0].compared == name


def copier(model: Any, shape: list[int]) -> Copier | None:
    """What writes the records of a network from copies; None where it has to be traced."""
    if not (_kept and _kept[0].on and _kept[0].unchanged()):
        return None
    try:
        return Copier(model, shape, _kept[0])
    except Exception:  # Unlike, or whatever a changed object gives in place of what is expected
        return None


def alike(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Whether two records are equal up to the names of their ops."""
    plain = [
        {**record, "nodes": [[op, *rest] for op, _, *rest in record["nodes"]]}
        for record in (one, other)
    ]
    return plain[0] == plain[1]


class Copier:
    """Writes the records of one functional network.

    Args:
        model: The network.
        shape: Of its images, the batch first.
        kept: What its layers are held against.

    Raises:
        Unlike: It cannot be copied.
    """

    def __init__(self, model: Any, shape: list[int], kept: Kept) -> None:
        self._kept = kept
        self._model = model
        self._shape = shape
        self._check(model, shape)
        self._calls = [
            _Call(node, kept, shape[0])
            for depth in sorted(model._nodes_by_depth, reverse=True)
            for node in model._nodes_by_depth[depth]
            if not node.is_input
        ]

    def _check(self, model: Any, shape: list[int]) -> None:
        own = vars(model)
        replaced = {name for name, value in own.items() if callable(value)}
        usual = (
            type(model) is self._kept.functional.Functional
            and replaced <= {"build", "quantize"}
            and len(model._inputs) == len(model._outputs) == 1
            and list(model._inputs[0].shape[1:]) == shape[1:]
            and model._inputs[0].dtype == "float32"
            and _policy(own["_dtype_policy"]) == ("float32",) * 3
            and own["activity_regularizer"] is own["_remat_mode"] is None
        )
        if not usual:
            raise Unlike

    def record(
        self, training: bool, entry: Any, variables: Variables, constants: Constants
    ) -> dict[str, Any] | None:
        """The record of one mode; None where the network has to be traced after all.

        Args:
            training: The mode.
            entry: The graph of `preprocess`; None where the network eats the images themselves.
            variables: The network's.
            constants: The network's.
        """
        try:
            examples = [call.example(self._kept, training) for call in self._calls]
            sheet = _Sheet(self._shape, variables, constants)
            eaten = sheet.begin_with(entry, self._shape)
            at = {id(self._model._inputs[0]): eaten}
            for call, example in zip(self._calls, examples, strict=True):
                at[call.output] = sheet.copy(call, example, [at[i] for i in call.inputs])
            return sheet.record(at[id(self._model._outputs[0])], eaten)
        except Exception:
            return None


class _Call:
    """A layer called once: its kind, and the sizes that it is called with.

    Attributes:
        kind: All that two calls have in common whose records differ in sizes and variables alone.
        inputs, output: Which Keras tensors it takes and gives.
        shapes: Of the inputs, then of the output.
    """

    def __init__(self, node: Any, kept: Kept, batch: int) -> None:
        self.layer = node.operation
        self.class_name = kept.classes.get(type(self.layer), "")
        tensors = node.arguments.keras_tensors
        (argument,) = node.arguments.args
        (given,) = node.outputs
        self.listed = isinstance(argument, list | tuple)
        if not self.class_name or (list(argument) if self.listed else [argument]) != tensors:
            raise Unlike
        self.keywords = {name: _plain(v) for name, v in node.arguments.kwargs.items()}
        self.inputs, self.output = [id(t) for t in tensors], id(given)
        self.shapes = [_sizes(t, batch) for t in (*tensors, given)]
        self._check_variables()
        self.kind = (
            type(self.layer),
            self.listed,
            tuple(sorted(self.keywords.items())),
            tuple(len(shape) for shape in self.shapes),
            _attributes(self.layer, self.class_name, kept),
        )

    def marks(self) -> list[list[int]]:
        """The shapes of an example's inputs."""
        inner = {4: [HEIGHT, WIDTH], 2: []}
        return [
            [BATCH, *inner[len(shape)], CHANNELS + 2 * number]
            for number, shape in enumerate(self.shapes[:-1])
        ]

    def sizes(self) -> dict[int, int]:
        """What stands for the marks of the variables."""
        found: dict[int, int] = {}
        for name, marks in SIZES.get(self.class_name, {}).items():
            variable = vars(self.layer).get(name)
            shape = tuple(variable.shape) if variable is not None else ()
            found.update((m, n) for m, n in zip(marks, shape, strict=False) if m is not None)
        return found

    def _check_variables(self) -> None:
        """Refuse variables that do not have the sizes of what they are used on."""
        channels = self.sizes().get(CHANNELS)
        if channels is not None and channels != self.shapes[0][-1]:
            raise Unlike
        made = self.sizes().get(MADE)
        if made is not None and made != self.shapes[-1][-1]:
            raise Unlike

    def variables(self) -> dict[str, Any]:
        """The Keras variables of the layer that its ops may read, by attribute."""
        own = vars(self.layer)
        named = {name: own[name] for name in SIZES.get(self.class_name, {}) if name in own}
        if "seed_generator" in own and own["seed_generator"] is not None:
            named["seed_generator"] = own["seed_generator"].state
        return {name: variable for name, variable in named.items() if variable is not None}

    def example(self, kept: Kept, training: bool) -> _Example:
        """The record of a layer of this kind, traced where there is none yet."""
        mode = training if vars(self.layer)["_call_has_training_arg"] else None
        place = (self.kind, mode)
        if place not in kept.examples:
            kept.examples[place] = None  # should it fail, it is not tried again
            kept.examples[place] = _Example(self, kept, training)
        found = kept.examples[place]
        if found is None:
            raise Unlike
        return found


def _policy(policy: Any) -> tuple[str, str, str]:
    return policy.name, policy.compute_dtype, policy.variable_dtype


def _sizes(tensor: Any, batch: int) -> list[int]:
    """The shape of a Keras tensor, its batch filled in."""
    first, *rest = tensor.shape
    if tensor.dtype != "float32" or tensor.sparse or first not in (None, batch):
        raise Unlike
    if len(rest) not in (1, 3) or not all(type(n) is int for n in rest):
        raise Unlike
    return [batch, *rest]


def _plain(value: Any) -> Any:
    """A value that says all it is: a number, a text, or a tuple of such."""
    if value is None or type(value) in (bool, int, float, str):
        return value
    if isinstance(value, list | tuple) and len(value) < 20:
        return tuple(_plain(part) for part in value)
    raise Unlike


def _attributes(layer: Any, class_name: str, kept: Kept) -> tuple[Any, ...]:
    """All attributes of a layer that decide what it computes.

    Raises:
        Unlike: There is one that is not known.
    """
    import keras

    found: list[Any] = []
    for name, value in vars(layer).items():
        if name in NOT_OF_THE_KIND or name.startswith("_self_"):
            continue
        if name == "_dtype_policy":
            found.append((name, *_policy(value)))
        elif name in SIZES.get(class_name, {}):
            found.append((name, _size_of_its_own(value, SIZES[class_name][name])))
        elif name == "activation" and type(value) is types.FunctionType:
            if value not in kept.activations:
                raise Unlike
            found.append((name, value))
        elif name == "seed_generator" and type(value) is keras.random.SeedGenerator:
            found.append((name, tuple(sorted(vars(value)))))
        else:
            found.append((name, type(value).__name__, _plain(value)))
    return tuple(found)


def _size_of_its_own(variable: Any, marks: tuple[int | None, ...]) -> Any:
    """The sizes of a variable that have no mark; None where there is no variable."""
    import keras

    if variable is None:
        return None
    if type(variable) is not keras.Variable or len(variable.shape) != len(marks):
        raise Unlike
    if variable.dtype != "float32":
        raise Unlike
    return tuple(n for n, mark in zip(variable.shape, marks, strict=True) if mark is None)


class _Example:
    """The record of one layer at the sizes of the marks.

    Attributes:
        front: Its inputs and variables.
        ops: What it computes, in order.
        attributes: Which attribute of the layer each variable at the front is.
    """

    def __init__(self, call: _Call, kept: Kept, training: bool) -> None:
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


def _stand_in(call: _Call) -> tuple[Any, dict[str, Any]]:
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


class _Sheet:
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

    def copy(self, call: _Call, example: _Example, inputs: list[Any]) -> tuple[bool, int, int]:
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


def _in_place_of_marks(call: _Call, example: _Example) -> dict[int, int]:
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
