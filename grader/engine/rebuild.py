"""The student's network built anew as a trainable Keras model, from its canonical graphs alone.

Property protected: what is trained here is the network that was read, and no student code runs.
The model is made of Keras's own layers, so the trainer treats it like any other: batch norms use
batch statistics in training and update their averages, dropout acts where the training graph has
it. What cannot be said in such layers is named, never guessed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from grader.engine.plan import Unrebuildable
from grader.engine.runner_keras import KerasFunctions, same_padding
from grader.graph.affine import Affine, Part
from grader.graph.averages import momentum_of
from grader.graph.canonical import Graph
from grader.graph.pointwise import X, apply
from grader.graph.program import Instruction, Numbers, Program, lower
from grader.graph.record import VariableRecord
from grader.graph.symbols import Symbol, Unreadable, Values, variable
from grader.graph.trainable import with_random_steps

Array = NDArray[Any]

DEFAULT_MOMENTUM = 0.99
"""Keras's, for a moving average whose update could not be read."""


@dataclass(frozen=True)
class Rebuilt:
    """A network built anew.

    Attributes:
        model: Keras model: images (N, H, W, C), 0..255 in any float type → (N, classes).
        notes: What of the student's training graph could not be taken over.
        weights: (Keras weight, symbol of the graph that it stands for), for pouring values in.
    """

    model: Any
    notes: tuple[str, ...]
    weights: tuple[tuple[Any, Symbol], ...]

    def pour(self, values: Sequence[Array]) -> None:
        """Set the weights to those of the network's variables."""
        given = Values(values)
        for weight, symbol in self.weights:
            weight.assign(np.reshape(symbol.value(given), weight.shape))


def images_as_floats(images: Any) -> Any:
    """The `preprocess` of a rebuilt network: the student's own is part of it."""
    from keras import ops

    return ops.cast(images, "float32")


def rebuild(
    inference: Graph,
    training: Graph | None,
    variables: Sequence[VariableRecord],
    values: Sequence[Array] | None = None,
) -> Rebuilt:
    """Build a network anew.

    Args:
        inference: Its canonical graph in inference.
        training: And in training, for dropout and the momentum of batch norms.
        variables: Its table of variables.
        values: Their values; None leaves Keras's fresh He weights.

    Raises:
        Unrebuildable: Names the operation in the way.
    """
    try:
        graph, notes = with_random_steps(inference, training)
        built = _Builder(lower(graph), training, variables, notes).build()
        if values is not None:
            built.pour(values)
    except Unreadable as problem:
        raise Unrebuildable(str(problem) or "an operation") from problem
    return built


@dataclass
class _Builder:
    """Makes a Keras layer, or none, of each instruction; a layer that is used twice is one."""

    program: Program
    training: Graph | None
    variables: Sequence[VariableRecord]
    notes: list[str]
    layers: dict[Any, Any] = field(default_factory=dict)
    weights: dict[int, tuple[Any, Symbol]] = field(default_factory=dict)
    owners: dict[int, Any] = field(default_factory=dict)

    def build(self) -> Rebuilt:
        import keras

        instructions = self.program.instructions
        self.entry = keras.Input(self.program.image().shape)
        maps = [self.entry]
        for i in instructions[1:]:
            maps.append(EMITTERS[i.kind](self, i, *[maps[n] for n in i.inputs]))
        model = keras.Model(self.entry, self._output(instructions[-1], maps[-1]))
        return Rebuilt(model, tuple(dict.fromkeys(self.notes)), tuple(self.weights.values()))

    def _output(self, last: Instruction, x: Any) -> Any:
        import keras

        if last.shape[:2] != (1, 1):
            raise Unreadable("an output that is a map")
        if last.kind == "softmax":
            # Its layer stays the model's last one, where the trainer takes the softmax off.
            return x._keras_history.operation.input
        return keras.layers.Reshape(last.shape[2:])(x)

    # --- without weights ---

    def slice(self, i: Instruction, x: Any) -> Any:
        start, stop = i.settings
        return _plain(x, lambda t: t[..., start:stop])

    def concat(self, i: Instruction, *maps: Any) -> Any:
        import keras

        return keras.layers.Concatenate()(list(maps))

    def pointwise(self, i: Instruction, x: Any) -> Any:
        import keras

        (tree,) = i.settings
        if tree == ("Relu", X):
            return keras.layers.ReLU()(x)
        return _plain(x, lambda t: apply(tree, t, KerasFunctions(keras.ops)))

    def crop(self, i: Instruction, x: Any) -> Any:
        import keras

        top, bottom, left, right = i.settings
        return keras.layers.Cropping2D(((top, bottom), (left, right)))(x)

    def noise(self, i: Instruction, x: Any) -> Any:
        self.notes.append("random noise in training is left out")
        return x

    def stop_gradient(self, i: Instruction, x: Any) -> Any:
        import keras

        return _plain(x, keras.ops.stop_gradient)

    def merge(self, i: Instruction, *maps: Any) -> Any:
        import keras

        kinds = {
            "add": keras.layers.Add,
            "multiply": keras.layers.Multiply,
            "maximum": keras.layers.Maximum,
        }
        return kinds[i.kind]()(list(maps))

    def pad(self, i: Instruction, x: Any) -> Any:
        import keras

        top, bottom, left, right, fill = i.settings
        sides = ((top, bottom), (left, right))
        if fill == 0:
            return keras.layers.ZeroPadding2D(sides)(x)
        widths = ((0, 0), *sides, (0, 0))
        return _plain(x, lambda t: keras.ops.pad(t, widths, constant_values=fill))

    def pool(self, i: Instruction, x: Any) -> Any:
        from keras import layers

        mode, size, strides, padding = i.settings
        if mode == "mean" and size == tuple(x.shape[1:3]) and not any(padding):
            return layers.GlobalAveragePooling2D(keepdims=True)(x)
        way = "valid"
        if any(padding):
            if not same_padding(x.shape[1:3], size, strides, padding, (1, 1)):
                raise Unreadable("pooling with such a padding")
            way = "same"
        pool = layers.AveragePooling2D if mode == "mean" else layers.MaxPooling2D
        return pool(size, strides, way)(x)

    def dropout(self, i: Instruction, x: Any) -> Any:
        from keras import layers

        rate, kind = i.settings
        if not 0 <= rate < 1:
            raise Unreadable("dropout with an unreadable rate")
        kinds = {"spatial": layers.SpatialDropout2D, "elementwise": layers.Dropout}
        if kind not in kinds:
            raise Unreadable(f"dropout of another kind: {kind}")
        return kinds[kind](rate)(x)

    def softmax(self, i: Instruction, x: Any) -> Any:
        import keras

        name = "log_softmax" if i.settings[0] else "softmax"
        if tuple(x.shape[1:3]) == (1, 1):
            flat = keras.layers.Reshape((x.shape[-1],))(x)
            x = keras.layers.Activation(name, dtype="float32")(flat)
            return keras.layers.Reshape((1, 1, x.shape[-1]))(x)
        return keras.layers.Activation(name)(x)

    def constant(self, i: Instruction, *statistics: Any) -> Any:
        assert i.node is not None and i.node.kernel is not None
        if i.node.kernel.sources:
            raise Unreadable("a map of trained numbers")
        image = Numbers(Values(())).of(i)[0].astype(np.float32)

        def fill(t: Any) -> Any:
            from keras import ops

            return ops.zeros_like(t[:, :1, :1, :1]) + ops.cast(image, t.dtype)

        return _plain(self.entry, fill)

    # --- layers with weights ---

    def _trainable(self, index: int | None) -> bool:
        return index is not None and self.variables[index].trainable

    def _own(self, index: int, layer: Any) -> None:
        """Note that a variable lives in a layer; in two different ones it cannot."""
        if self.owners.setdefault(index, layer) is not layer:
            raise Unreadable("a weight that is used in two different ways")

    def _keep(self, weight: Any, symbol: Symbol) -> None:
        self.weights[id(weight)] = (weight, symbol)

    def affine(self, i: Instruction, x: Any, *statistics: Any) -> Any:
        """One recognised piece of a per-channel map."""
        affine, width = i.affine, i.shape[2]
        assert affine is not None
        (part,) = affine.parts
        if part.kind == "batch_norm":
            return self._batch_norm(part, affine, width)(x)
        if part.kind in ("bias", "scale"):
            return self._trained(part, affine, width)(x)
        if part.kind == "constant":
            factor, offset = part.numbers(i.start, width)
            return _plain(x, lambda t: _scaled(factor, offset, t))
        raise Unreadable("a scaling that is no batch normalisation")

    def _batch_norm(self, part: Part, affine: Affine, width: int) -> Any:
        import keras

        if affine.channels != width or part.statistics != "moving":
            raise Unreadable("a part of a batch normalisation")
        if part.variant:
            raise Unreadable(f"a batch normalisation with {part.variant}")
        roles = {name: part.role(name) for name in ("gamma", "beta", "mean", "variance")}
        key = ("BN", *roles.values(), part.epsilon)
        if key in self.layers:
            return self.layers[key]
        layer = keras.layers.BatchNormalization(
            momentum=self._momentum(roles["mean"]),
            epsilon=part.epsilon,
            center=roles["beta"] is not None,
            scale=roles["gamma"] is not None,
            trainable=self._learns(roles),
        )
        layer.build((None, None, None, width))
        names = {"gamma": "gamma", "beta": "beta", "mean": "moving_mean",
                 "variance": "moving_variance"}  # fmt: skip
        for role, index in roles.items():
            if index is not None:
                self._own(index, layer)
                self._keep(getattr(layer, names[role]), variable(index, (width,)))
        self.layers[key] = layer
        return layer

    def _learns(self, roles: dict[str, int | None]) -> bool:
        """Whether a batch norm takes batch statistics in training."""
        updated = self.training is None or roles["mean"] in self.training.updates
        gains = [roles[n] for n in ("gamma", "beta") if roles[n] is not None]
        return updated and (not gains or any(self._trainable(i) for i in gains))

    def _momentum(self, mean: int | None) -> float:
        if self.training is None or mean is None:
            return DEFAULT_MOMENTUM
        found = momentum_of(self.training.updates.get(mean), mean)
        return DEFAULT_MOMENTUM if found is None else found

    def _trained(self, part: Part, affine: Affine, width: int) -> Any:
        """A trained offset or factor."""
        ((role, index),) = part.roles
        term = next(
            t for t in affine.terms if t.origin.bare is not None and t.origin.bare[0] == index
        )
        if term.symbol.shape not in ((), (affine.channels,)):
            raise Unreadable("a trained number of another shape")
        if term.symbol.shape and affine.channels != width:
            raise Unreadable("a part of a trained offset or factor")
        key = (role, index, term.symbol.key)
        if key not in self.layers:
            layer = _trained_layer()(role, trainable=self._trainable(index))
            layer.build((None, *(term.symbol.shape or (1,))))
            self._own(index, layer)
            self._keep(layer.bias if role == "offset" else layer.factor, term.symbol)
            self.layers[key] = layer
        return self.layers[key]

    def convolution(self, i: Instruction, x: Any, *statistics: Any) -> Any:
        import keras

        node = i.node
        assert node is not None
        if node.kernel is None or not node.trained:
            raise Unreadable("a kernel that is computed from other weights")
        shape, strides, padding, dilations, groups = i.settings
        way = "valid"
        if any(padding):
            if same_padding(x.shape[1:3], shape[:2], strides, padding, dilations):
                way = "same"
            else:
                top, bottom, left, right = padding
                x = keras.layers.ZeroPadding2D(((top, bottom), (left, right)))(x)
        key = (i.kind, node.kernel.key, way, *i.settings[1:])
        if key not in self.layers:
            common = {
                "strides": strides,
                "padding": way,
                "dilation_rate": dilations,
                "use_bias": False,
                "trainable": all(self._trainable(index) for index in node.trained),
            }
            layer = (
                keras.layers.DepthwiseConv2D(
                    shape[:2], depth_multiplier=shape[3], depthwise_initializer="he_normal",
                    **common,
                )
                if i.kind == "depthwise"
                else keras.layers.Conv2D(
                    shape[3], shape[:2], groups=groups, kernel_initializer="he_normal", **common
                )
            )  # fmt: skip
            layer.build((None, *x.shape[1:]))
            for index in node.trained:
                self._own(index, layer)
            self._keep(layer.kernel, node.kernel)
            self.layers[key] = layer
        return self.layers[key](x)


EMITTERS: dict[str, Callable[..., Any]] = {
    "slice": _Builder.slice,
    "concat": _Builder.concat,
    "affine": _Builder.affine,
    "pointwise": _Builder.pointwise,
    "pool": _Builder.pool,
    "pad": _Builder.pad,
    "crop": _Builder.crop,
    "dropout": _Builder.dropout,
    "noise": _Builder.noise,
    "stop_gradient": _Builder.stop_gradient,
    "conv": _Builder.convolution,
    "depthwise": _Builder.convolution,
    "add": _Builder.merge,
    "multiply": _Builder.merge,
    "maximum": _Builder.merge,
    "softmax": _Builder.softmax,
    "constant": _Builder.constant,
}
"""What each instruction is as a layer."""


def _plain(x: Any, function: Callable[[Any], Any]) -> Any:
    """A function without weights, as a layer."""
    import keras

    return keras.layers.Lambda(function)(x)


def _scaled(factor: Array, offset: Array, t: Any) -> Any:
    from keras import ops

    return t * ops.cast(factor, t.dtype) + ops.cast(offset, t.dtype)


@cache
def _trained_layer() -> Any:
    """The class of a layer that adds, or multiplies by, trained numbers."""
    import keras

    class Trained(keras.layers.Layer):  # type: ignore[misc]  # Keras has no types
        """x + bias, or x · factor."""

        def __init__(self, role: str, trainable: bool) -> None:
            super().__init__(trainable=trainable)
            self.role = role

        def build(self, shape: Any) -> None:
            size = (shape[-1],)
            if self.role == "offset":
                self.bias = self.add_weight(shape=size, initializer="zeros", name="bias")
            else:
                self.factor = self.add_weight(shape=size, initializer="ones", name="factor")
            self.built = True

        def call(self, x: Any) -> Any:
            return x + self.bias if self.role == "offset" else x * self.factor

        def compute_output_shape(self, shape: Any) -> Any:
            return shape

    return Trained
