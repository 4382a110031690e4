"""A plan on OpenVINO: the fastest way found on a CPU, and it needs no TensorFlow at all.

Measured beside the others in benchmarks/results/. OpenVINO may abort its process on exit, so it
only runs in a child that nothing else depends on.

Inside, maps are (N, C, H, W), which its kernels are written for.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from grader.engine.plan import Instruction, Plan

Array = NDArray[Any]


class Unsupported(Exception):
    """This runtime has no such operation; another one must run the plan."""


def available() -> bool:
    """Whether OpenVINO is installed."""
    from importlib.util import find_spec

    return find_spec("openvino") is not None


class OpenVinoRunner:
    """One compiled plan; `predict` gives (N, classes) for the plan's images (N, H, W, C)."""

    name = "openvino"
    device = "CPU"

    def __init__(self, plan: Plan, batch: int, threads: int | None = None) -> None:
        """Compile for one batch size.

        Raises:
            Unsupported: The plan holds an operation that has no counterpart there.
        """
        import openvino

        self.version = f"OpenVINO {openvino.__version__.split('-')[0]}"
        self.batch, self.classes = batch, plan.classes
        self.threads = threads or len(os.sched_getaffinity(0))
        self.compiled = openvino.Core().compile_model(
            _model(plan, batch),
            "CPU",
            {
                # On processors that have bfloat16 it would round to it unasked.
                "INFERENCE_PRECISION_HINT": "f32",
                "INFERENCE_NUM_THREADS": self.threads,
                "NUM_STREAMS": self.threads,
                "PERFORMANCE_HINT": "THROUGHPUT",
            },
        )
        self.requests = [self.compiled.create_infer_request() for _ in range(self.threads)]
        self.inputs = [request.get_input_tensor().data for request in self.requests]

    def predict(self, images: NDArray[Any]) -> NDArray[np.float32]:
        """The network's answers, float32 (N, classes)."""
        answers = np.empty((len(images), self.classes), np.float32)
        # Requests in turn, without its queue: a callback into Python has crashed the process.
        waiting: list[int | None] = [None] * len(self.requests)
        for number, start in enumerate(range(0, len(images), self.batch)):
            slot = number % len(self.requests)
            self._take(slot, waiting, answers)
            part = images[start : start + self.batch]
            self.inputs[slot][: len(part)] = part
            self.requests[slot].start_async()
            waiting[slot] = start
        for slot in range(len(self.requests)):
            self._take(slot, waiting, answers)
        return answers

    def _take(self, slot: int, waiting: list[int | None], answers: Array) -> None:
        start = waiting[slot]
        if start is None:
            return
        self.requests[slot].wait()
        part = answers[start : start + self.batch]
        part[:] = self.requests[slot].get_output_tensor().data[: len(part)]
        waiting[slot] = None


def _model(plan: Plan, batch: int) -> Any:
    import openvino
    from openvino import opset13 as ops

    images = ops.parameter([batch, *plan.image_shape], np.dtype(plan.images), name="images")
    maps: list[Any] = []
    for instruction in plan.instructions:
        if instruction.kind == "input":
            as_float = ops.convert(images, "f32")
            order = ops.constant(np.array([0, 3, 1, 2], np.int64))
            maps.append(ops.transpose(as_float, order))
        else:
            inputs = [maps[i] for i in instruction.inputs]
            maps.append(_EMITTERS[instruction.kind](ops, instruction, inputs))
    shape = ops.constant(np.array([batch, plan.classes], np.int64))
    return openvino.Model([ops.reshape(maps[-1], shape, False)], [images], "plan")


def _column(ops: Any, vector: Array) -> Any:
    return ops.constant(vector.reshape(1, -1, 1, 1).astype(np.float32))


def _number(ops: Any, value: float) -> Any:
    return ops.constant(np.array(value, np.float32))


def _slice(ops: Any, instruction: Instruction, inputs: list[Any]) -> Any:
    return _window(ops, inputs[0], 1, *instruction.settings)


def _window(ops: Any, x: Any, axis: int, start: int, stop: int) -> Any:
    one = np.array([1], np.int64)
    return ops.slice(
        x,
        ops.constant(one * start),
        ops.constant(one * stop),
        ops.constant(one),
        ops.constant(one * axis),
    )


def _concat(ops: Any, instruction: Instruction, inputs: list[Any]) -> Any:
    return ops.concat(inputs, 1)


def _affine(ops: Any, instruction: Instruction, inputs: list[Any]) -> Any:
    factor, offset = instruction.arrays
    return ops.add(ops.multiply(inputs[0], _column(ops, factor)), _column(ops, offset))


def _pool(ops: Any, instruction: Instruction, inputs: list[Any]) -> Any:
    mode, size, strides, (top, bottom, left, right) = instruction.settings
    begin, end = [top, left], [bottom, right]
    if mode == "mean":
        return ops.avg_pool(inputs[0], list(strides), begin, end, list(size), True)
    return ops.max_pool(inputs[0], list(strides), [1, 1], begin, end, list(size)).output(0)


def _pad(ops: Any, instruction: Instruction, inputs: list[Any]) -> Any:
    top, bottom, left, right, value = instruction.settings
    begin = ops.constant(np.array([0, 0, top, left], np.int64))
    end = ops.constant(np.array([0, 0, bottom, right], np.int64))
    return ops.pad(inputs[0], begin, end, "constant", _number(ops, value))


def _crop(ops: Any, instruction: Instruction, inputs: list[Any]) -> Any:
    top, _, left, _ = instruction.settings
    height, width, _ = instruction.shape
    rows = _window(ops, inputs[0], 2, top, top + height)
    return _window(ops, rows, 3, left, left + width)


def _convolution(ops: Any, instruction: Instruction, inputs: list[Any]) -> Any:
    kernel, offset = instruction.arrays
    strides, (top, bottom, left, right), dilations, groups = instruction.settings
    arguments = (list(strides), [top, left], [bottom, right], list(dilations))
    if instruction.kind == "depthwise":
        rows, columns, channels, multiplier = kernel.shape
        weights = kernel.transpose(2, 3, 0, 1).reshape(channels, multiplier, 1, rows, columns)
        result = ops.group_convolution(inputs[0], ops.constant(_own(weights)), *arguments)
    elif groups > 1:
        rows, columns, each, out = kernel.shape
        weights = kernel.transpose(3, 2, 0, 1).reshape(groups, out // groups, each, rows, columns)
        result = ops.group_convolution(inputs[0], ops.constant(_own(weights)), *arguments)
    else:
        weights = kernel.transpose(3, 2, 0, 1)
        result = ops.convolution(inputs[0], ops.constant(_own(weights)), *arguments)
    return ops.add(result, _column(ops, offset)) if np.any(offset) else result


def _own(array: Array) -> Array:
    return np.ascontiguousarray(array, np.float32)


def _combined(name: str) -> Callable[..., Any]:
    def emit(ops: Any, instruction: Instruction, inputs: list[Any]) -> Any:
        result = inputs[0]
        for other in inputs[1:]:
            result = getattr(ops, name)(result, other)
        return result

    return emit


def _softmax(ops: Any, instruction: Instruction, inputs: list[Any]) -> Any:
    return (ops.log_softmax if instruction.settings[0] else ops.softmax)(inputs[0], 1)


def _constant(ops: Any, instruction: Instruction, inputs: list[Any]) -> Any:
    return ops.constant(_own(instruction.arrays[0].transpose(0, 3, 1, 2)))


def _pointwise(ops: Any, instruction: Instruction, inputs: list[Any]) -> Any:
    return _tree(ops, instruction.settings[0], inputs[0])


def _tree(ops: Any, tree: Any, x: Any) -> Any:
    if tree[0] == "x":
        return x
    if tree[0] == "number":
        return _number(ops, tree[1])
    if tree[0] == "LeakyRelu":
        return ops.prelu(_tree(ops, tree[1], x), _number(ops, tree[2]))
    emit = _FUNCTIONS.get(tree[0])
    if emit is None:
        raise Unsupported(tree[0])
    return emit(ops, *[_tree(ops, part, x) for part in tree[1:]])


_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "Relu": lambda ops, a: ops.relu(a),
    "Relu6": lambda ops, a: ops.clamp(a, 0.0, 6.0),
    "Elu": lambda ops, a: ops.elu(a, 1.0),
    "Sigmoid": lambda ops, a: ops.sigmoid(a),
    "Tanh": lambda ops, a: ops.tanh(a),
    "Softplus": lambda ops, a: ops.softplus(a),
    "Softsign": lambda ops, a: ops.softsign(a),
    "Exp": lambda ops, a: ops.exp(a),
    "Log": lambda ops, a: ops.log(a),
    "Erf": lambda ops, a: ops.erf(a),
    "Erfc": lambda ops, a: ops.subtract(_number(ops, 1.0), ops.erf(a)),
    "Abs": lambda ops, a: ops.absolute(a),
    "Neg": lambda ops, a: ops.negative(a),
    "Square": lambda ops, a: ops.multiply(a, a),
    "Sqrt": lambda ops, a: ops.sqrt(a),
    "Rsqrt": lambda ops, a: ops.divide(_number(ops, 1.0), ops.sqrt(a)),
    "Reciprocal": lambda ops, a: ops.divide(_number(ops, 1.0), a),
    "Add": lambda ops, a, b: ops.add(a, b),
    "AddV2": lambda ops, a, b: ops.add(a, b),
    "Sub": lambda ops, a, b: ops.subtract(a, b),
    "Mul": lambda ops, a, b: ops.multiply(a, b),
    "RealDiv": lambda ops, a, b: ops.divide(a, b),
    "Maximum": lambda ops, a, b: ops.maximum(a, b),
    "Minimum": lambda ops, a, b: ops.minimum(a, b),
    "Pow": lambda ops, a, b: ops.power(a, b),
}
"""Functions of one number that OpenVINO has; with any other, another runtime takes over."""

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
