"""A plan on Keras's ops: runs under TensorFlow and JAX, on a CPU and on a GPU."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from grader.engine.devices import device
from grader.engine.plan import Plan
from grader.graph.pointwise import apply
from grader.graph.program import Instruction

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

        self.batch, self.classes = batch, plan.classes
        self.name = str(keras.backend.backend())
        self._shape, self._type = plan.image_shape, np.dtype(plan.images)
        self.device, self.version = device()

        def answers(images: Any) -> Any:
            return answers_of(plan, images)

        if self.name == "jax":
            import jax

            # A GPU would round the factors of float32 products to 10 bits unasked.
            with jax.default_matmul_precision("highest"):
                shape = jax.ShapeDtypeStruct((batch, *self._shape), self._type)
                self._call = jax.jit(answers).lower(shape).compile()
        else:
            import tensorflow as tf

            self._call = tf.function(
                answers,
                input_signature=[tf.TensorSpec((batch, *self._shape), plan.images)],
                jit_compile=self.device != "CPU" if xla is None else xla,
                autograph=False,
            )
        self.predict(np.zeros((batch, *self._shape), self._type))

    def predict(self, images: NDArray[Any]) -> NDArray[np.float32]:
        """The network's answers, float32 (N, classes)."""
        answers = np.empty((len(images), self.classes), np.float32)
        given: list[tuple[int, int, Any]] = []
        for start in range(0, len(images), self.batch):
            part = images[start : start + self.batch]
            count = len(part)
            if count < self.batch:
                rest = np.zeros((self.batch - count, *part.shape[1:]), self._type)
                part = np.concatenate([part, rest])
            given.append((start, count, self._call(part)))
        # JAX goes on to the next batch meanwhile; it waits where its numbers are asked for.
        for start, count, found in given:
            answers[start : start + count] = np.asarray(found)[:count]
        return answers


def answers_of(plan: Plan, images: Any) -> Any:
    """Float answers (N, classes) of a plan for its images, over `keras.ops`."""
    from keras import ops

    maps: list[Any] = []
    for instruction in plan.instructions:
        if instruction.kind == "input":
            maps.append(ops.cast(images, "float32"))
        else:
            inputs = [maps[i] for i in instruction.inputs]
            maps.append(EMITTERS[instruction.kind](ops, instruction, inputs))
    return ops.reshape(maps[-1], (-1, plan.classes))


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
    kernel, *offset = instruction.arrays
    _, strides, padding, dilations, groups = instruction.settings
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
    return result + offset[0] if offset else result


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
    return apply(instruction.settings[0], inputs[0], KerasFunctions(ops))


class KerasFunctions:
    """`keras.ops` as a library for `grader.graph.pointwise`: it has NumPy's names already."""

    def __init__(self, ops: Any) -> None:
        self.ops = ops
        self.natives: dict[str, Callable[..., Any]] = {
            "Relu": ops.relu,
            "Relu6": ops.relu6,
            "LeakyRelu": ops.leaky_relu,
            "Elu": ops.elu,
            "Selu": ops.selu,
            "Sigmoid": ops.sigmoid,
            "Softplus": ops.softplus,
            "Softsign": ops.softsign,
            "Rsqrt": ops.rsqrt,
            "DivNoNan": ops.divide_no_nan,
        }

    def number(self, value: float, like: Any) -> Any:
        """The number in the type of `like`."""
        return self.ops.cast(value, like.dtype)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.ops, name)


EMITTERS: dict[str, Callable[..., Any]] = {
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
