"""Kinds of layer: what two layers have in common whose records differ in sizes alone."""

from __future__ import annotations

import types
from typing import Any

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
        compared: Id of a probe whose network is traced as well → the modes.
        proved: Kinds of layers, with the mode, of which a copy was held against a trace.
    """

    def __init__(self, *, plain: bool, compared: dict[str, list[str]]) -> None:
        import keras
        from keras.src.models import functional

        self.on = not plain and keras.__version__.startswith(KERAS)
        self.compared = compared
        self.proved: set[Any] = set()
        self.examples: dict[Any, Any] = {}
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


class Call:
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


def policy(given: Any) -> tuple[str, str, str]:
    """What a policy of types says."""
    return given.name, given.compute_dtype, given.variable_dtype


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
            found.append((name, *policy(value)))
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
