"""A plan on Keras's ops: runs under TensorFlow and JAX, on a CPU and on a GPU."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from grader.engine.plan import Instruction, Plan

Array = NDArray[Any]


class KerasRunner:
    """One compiled plan; `predict` gives (N, classes) for the plan's images (N, H, W, C)."""

    def __init__(self, plan: Plan, batch: int, xla: bool | None = None) -> None:
        """Compile for one batch size.

        Args:
            plan: What to run.
            batch: Images in one call.
            xla: Whether TensorFlow compiles with XLA; None: on a GPU, where it gains most.
        """
        import keras

        from grader.engine import measure  # which offers this class

        self.batch, self.classes = batch, plan.classes
        self.name = str(keras.backend.backend())
        self._steps = Steps(plan)
        self._shape, self._type = plan.image_shape, np.dtype(plan.images)
        self.device, self.version = measure.device()
        if self.name == "jax":
            import jax

            self._call = jax.jit(self._steps)
        else:
            import tensorflow as tf

            self._call = tf.function(
                self._steps,
                input_signature=[tf.TensorSpec((batch, *self._shape), plan.images)],
                jit_compile=self.device != "CPU" if xla is None else xla,
                autograph=False,
            )
        self.predict(np.zeros((batch, *self._shape), self._type))

    def predict(self, images: NDArray[Any]) -> NDArray[np.float32]:
        """The network's answers, float32 (N, classes)."""
        answers = np.empty((len(images), self.classes), np.float32)
        for start in range(0, len(images), self.batch):
            part = images[start : start + self.batch]
            count = len(part)
            if count < self.batch:
                rest = np.zeros((self.batch - count, *part.shape[1:]), self._type)
                part = np.concatenate([part, rest])
            answers[start : start + count] = np.asarray(self._call(part))[:count]
        return answers


class Steps:
    """The plan as a function of images, over `keras.ops`; maps are (N, H, W, C)."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan

    def __call__(self, images: Any) -> Any:
        """Float answers (N, classes) for uint8 images."""
        from keras import ops

        maps: list[Any] = []
        for instruction in self.plan.instructions:
            if instruction.kind == "input":
                maps.append(ops.cast(images, "float32"))
            else:
                inputs = [maps[i] for i in instruction.inputs]
                maps.append(_EMITTERS[instruction.kind](ops, instruction, inputs))
        return ops.reshape(maps[-1], (-1, self.plan.classes))


def _slice(ops: Any, instruction: Instruction, inputs: list[Any]) -> Any:
    start, stop = instruction.settings
    return inputs[0][..., start:stop]


def _concat(ops: Any, instruction: Instruction, inputs: list[Any]) -> Any:
    return ops.concatenate(inputs, axis=-1)


def _affine(ops: Any, instruction: Instruction, inputs: list[Any]) -> Any:
    factor, offset = instruction.arrays
    return inputs[0] * factor + offset


def _pool(ops: Any, instruction: Instruction, inputs: list[Any]) -> Any:
    mode, size, strides, padding = instruction.settings
    x = inputs[0]
    rows, columns = x.shape[1:3]
    if mode == "mean" and size == (rows, columns) and padding == (0, 0, 0, 0):
        return ops.mean(x, axis=(1, 2), keepdims=True)
    pool = ops.average_pool if mode == "mean" else ops.max_pool
    if padding == (0, 0, 0, 0):
        return pool(x, size, strides, "valid")
    if mode == "max":
        return pool(_padded(ops, x, padding, -np.inf), size, strides, "valid")
    # The mean does not count the padding: sum over the window, over the number of real places.
    ones = _padded(ops, ops.ones_like(x[:1, :, :, :1]), padding, 0.0)
    share = pool(ones, size, strides, "valid")
    return pool(_padded(ops, x, padding, 0.0), size, strides, "valid") / share


def _padded(ops: Any, x: Any, padding: tuple[int, int, int, int], value: float) -> Any:
    top, bottom, left, right = padding
    widths = ((0, 0), (top, bottom), (left, right), (0, 0))
    return ops.pad(x, widths, constant_values=value) if any(padding) else x


def _pad(ops: Any, instruction: Instruction, inputs: list[Any]) -> Any:
    return _padded(ops, inputs[0], instruction.settings[:4], instruction.settings[4])


def _crop(ops: Any, instruction: Instruction, inputs: list[Any]) -> Any:
    top, _, left, _ = instruction.settings
    height, width, _ = instruction.shape
    return inputs[0][:, top : top + height, left : left + width]


def _convolution(ops: Any, instruction: Instruction, inputs: list[Any]) -> Any:
    kernel, offset = instruction.arrays
    strides, padding, dilations, groups = instruction.settings
    x, way = inputs[0], "valid"
    if same_padding(x.shape[1:3], kernel.shape[:2], strides, padding, dilations):
        way = "same"
    else:
        x = _padded(ops, x, padding, 0.0)
    if instruction.kind == "depthwise":
        result = ops.depthwise_conv(x, kernel, strides, way, dilation_rate=dilations)
    elif groups > 1:
        # One after another: TensorFlow has no grouped convolution on a CPU.
        parts = ops.split(x, groups, axis=-1)
        kernels = np.split(kernel, groups, axis=3)
        result = ops.concatenate(
            [
                ops.conv(a, k, strides, way, dilation_rate=dilations)
                for a, k in zip(parts, kernels, strict=True)
            ],
            axis=-1,
        )
    else:
        result = ops.conv(x, kernel, strides, way, dilation_rate=dilations)
    return result + offset if np.any(offset) else result


def same_padding(
    shape: tuple[int, ...],
    window: tuple[int, ...],
    strides: tuple[int, int],
    padding: tuple[int, int, int, int],
    dilations: tuple[int, int],
) -> bool:
    """Whether a padding is the one that TensorFlow calls "same"; it saves a copy of the map."""
    pads: list[int] = []
    for i, size in enumerate(shape):
        reach = (window[i] - 1) * dilations[i] + 1
        total = max((-(-size // strides[i]) - 1) * strides[i] + reach - size, 0)
        pads += [total // 2, total - total // 2]
    return tuple(pads) == tuple(padding)


def _combined(name: str) -> Callable[..., Any]:
    def emit(ops: Any, instruction: Instruction, inputs: list[Any]) -> Any:
        result = inputs[0]
        for other in inputs[1:]:
            result = getattr(ops, name)(result, other)
        return result

    return emit


def _softmax(ops: Any, instruction: Instruction, inputs: list[Any]) -> Any:
    return (ops.log_softmax if instruction.settings[0] else ops.softmax)(inputs[0], axis=-1)


def _constant(ops: Any, instruction: Instruction, inputs: list[Any]) -> Any:
    return ops.convert_to_tensor(instruction.arrays[0])


def _pointwise(ops: Any, instruction: Instruction, inputs: list[Any]) -> Any:
    return apply_tree(ops, instruction.settings[0], inputs[0])


def apply_tree(ops: Any, tree: Any, x: Any) -> Any:
    """A function of one number, as `grader.graph.pointwise` writes it, over `keras.ops`."""
    if tree[0] == "x":
        return x
    if tree[0] == "number":
        return ops.cast(tree[1], x.dtype)
    if tree[0] == "LeakyRelu":
        return ops.leaky_relu(apply_tree(ops, tree[1], x), tree[2])
    parts = [apply_tree(ops, part, x) for part in tree[1:]]
    return FUNCTIONS[tree[0]](ops, *parts)


def _flag(ops: Any, condition: Any) -> Any:
    return ops.cast(condition, "float32")


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "Relu": lambda ops, a: ops.relu(a),
    "Relu6": lambda ops, a: ops.relu6(a),
    "Elu": lambda ops, a: ops.elu(a),
    "Selu": lambda ops, a: ops.selu(a),
    "Sigmoid": lambda ops, a: ops.sigmoid(a),
    "Tanh": lambda ops, a: ops.tanh(a),
    "Softplus": lambda ops, a: ops.softplus(a),
    "Softsign": lambda ops, a: ops.softsign(a),
    "Exp": lambda ops, a: ops.exp(a),
    "Expm1": lambda ops, a: ops.expm1(a),
    "Log": lambda ops, a: ops.log(a),
    "Log1p": lambda ops, a: ops.log1p(a),
    "Erf": lambda ops, a: ops.erf(a),
    "Erfc": lambda ops, a: 1.0 - ops.erf(a),
    "Abs": lambda ops, a: ops.abs(a),
    "Neg": lambda ops, a: -a,
    "Sign": lambda ops, a: ops.sign(a),
    "Square": lambda ops, a: a * a,
    "Sqrt": lambda ops, a: ops.sqrt(a),
    "Rsqrt": lambda ops, a: ops.rsqrt(a),
    "Reciprocal": lambda ops, a: 1.0 / a,
    "Inv": lambda ops, a: 1.0 / a,
    "Sin": lambda ops, a: ops.sin(a),
    "Cos": lambda ops, a: ops.cos(a),
    "Floor": lambda ops, a: ops.floor(a),
    "Ceil": lambda ops, a: ops.ceil(a),
    "Round": lambda ops, a: ops.round(a),
    "LogicalNot": lambda ops, a: 1.0 - a,
    "Add": lambda ops, a, b: a + b,
    "AddV2": lambda ops, a, b: a + b,
    "Sub": lambda ops, a, b: a - b,
    "Mul": lambda ops, a, b: a * b,
    "RealDiv": lambda ops, a, b: a / b,
    "Div": lambda ops, a, b: a / b,
    "DivNoNan": lambda ops, a, b: ops.divide_no_nan(a, b),
    "MulNoNan": lambda ops, a, b: ops.where(b == 0, ops.zeros_like(a * b), a * b),
    "Maximum": lambda ops, a, b: ops.maximum(a, b),
    "Minimum": lambda ops, a, b: ops.minimum(a, b),
    "Pow": lambda ops, a, b: ops.power(a, b),
    "SquaredDifference": lambda ops, a, b: ops.square(a - b),
    "FloorDiv": lambda ops, a, b: ops.floor_divide(a, b),
    "FloorMod": lambda ops, a, b: ops.mod(a, b),
    "Greater": lambda ops, a, b: _flag(ops, a > b),
    "GreaterEqual": lambda ops, a, b: _flag(ops, a >= b),
    "Less": lambda ops, a, b: _flag(ops, a < b),
    "LessEqual": lambda ops, a, b: _flag(ops, a <= b),
    "Equal": lambda ops, a, b: _flag(ops, ops.equal(a, b)),
    "NotEqual": lambda ops, a, b: _flag(ops, ops.not_equal(a, b)),
    "LogicalAnd": lambda ops, a, b: a * b,
    "LogicalOr": lambda ops, a, b: ops.maximum(a, b),
    "Select": lambda ops, c, a, b: ops.where(c != 0, a, b),
    "SelectV2": lambda ops, c, a, b: ops.where(c != 0, a, b),
    "ClipByValue": lambda ops, a, low, high: ops.clip(a, low, high),
}
"""The same names as in `grader.graph.pointwise.FUNCTIONS`; a test holds them equal."""

_EMITTERS: dict[str, Callable[..., Any]] = {
    "slice": _slice,
    "concat": _concat,
    "affine": _affine,
    "pointwise": _pointwise,
    "pool": _pool,
    "pad": _pad,
    "crop": _crop,
    "conv": _convolution,
    "depthwise": _convolution,
    "add": _combined("add"),
    "multiply": _combined("multiply"),
    "maximum": _combined("maximum"),
    "softmax": _softmax,
    "constant": _constant,
}
