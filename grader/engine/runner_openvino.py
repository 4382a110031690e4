"""A plan on OpenVINO: the fastest way found on a CPU, and it needs no TensorFlow at all.

Measured beside the others in benchmarks/results/. OpenVINO may abort its process on exit, so it
only runs in a child that nothing else depends on.

Inside, maps are (N, C, H, W), which its kernels are written for.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from grader.engine.devices import cores
from grader.engine.faster import joined_once
from grader.engine.plan import Plan
from grader.graph.pointwise import SELU, apply
from grader.graph.program import Instruction

Array = NDArray[Any]


BATCHES = (2, 4, 8)
"""Batch sizes that are tried beside 1; larger ones were slower on every processor so far."""
TRIAL_S = 6.0
"""Processor seconds after which no further trial is begun: on a busy machine too all are made."""
TRIAL_IMAGES = 8
"""Shown in one trial, for each thread."""
ROUNDS = 5
"""The best of so many counts: whatever disturbs a trial only makes it slower."""


class Unsupported(Exception):
    """This runtime has no such operation; another one must run the plan."""


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
        self.threads = threads or cores()
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


def fastest(plan: Plan, most: int, threads: int | None = None) -> OpenVinoRunner:
    """The plan compiled for the batch size that costs the least processor time here.

    Small batches stay in the caches, larger ones share the cost of each call: which is better
    depends on the network and the processor, so it is tried, for `TRIAL_S` or so.

    Args:
        plan: What to run.
        most: Images in one call, at most.
        threads: See `OpenVinoRunner`.

    Raises:
        Unsupported: The plan holds an operation that has no counterpart there.
    """
    end = time.process_time() + TRIAL_S
    runners = [OpenVinoRunner(plan, 1, threads)]
    for batch in BATCHES:
        # A slow network is not compiled again: what that takes it never earns back.
        if batch <= most and time.process_time() < end:
            runners.append(OpenVinoRunner(plan, batch, threads))
    if len(runners) == 1:
        return runners[0]
    images = np.zeros((TRIAL_IMAGES * runners[0].threads, *plan.image_shape), plan.images)
    cost = {runner.batch: float("inf") for runner in runners}
    for round_ in range(ROUNDS):
        for runner in runners:
            if round_ and time.process_time() >= end:
                break
            start = time.process_time()
            runner.predict(images)
            cost[runner.batch] = min(cost[runner.batch], time.process_time() - start)
    return min(runners, key=lambda runner: cost[runner.batch])


def _model(plan: Plan, batch: int) -> Any:
    import openvino
    from openvino import opset13 as ops

    images = ops.parameter([batch, *plan.image_shape], np.dtype(plan.images), name="images")
    maps: list[Any] = []
    for instruction in joined_once(plan.instructions):
        if instruction.kind == "input":
            as_float = ops.convert(images, "f32")
            order = ops.constant(np.array([0, 3, 1, 2], np.int64))
            maps.append(ops.transpose(as_float, order))
        else:
            inputs = [maps[i] for i in instruction.inputs]
            maps.append(EMITTERS[instruction.kind](ops, instruction, inputs))
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
    kernel, *offset = instruction.arrays
    _, strides, (top, bottom, left, right), dilations, groups = instruction.settings
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
    return ops.add(result, _column(ops, offset[0])) if offset else result


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
    return apply(instruction.settings[0], inputs[0], OpenVinoFunctions(ops))


class OpenVinoFunctions:
    """OpenVINO's operations as a library for `grader.graph.pointwise`."""

    def __init__(self, ops: Any) -> None:
        self.ops = ops
        self.natives: dict[str, Callable[..., Any]] = {
            "Relu": ops.relu,
            "Relu6": lambda x: ops.clamp(x, 0.0, 6.0),
            "LeakyRelu": lambda x, slope: ops.prelu(x, _number(ops, slope)),
            "Elu": lambda x: ops.elu(x, 1.0),
            "Selu": lambda x: ops.selu(x, _number(ops, SELU[0]), _number(ops, SELU[1])),
            "Sigmoid": ops.sigmoid,
            "Softplus": ops.softplus,
            "Softsign": ops.softsign,
        }

    def number(self, value: float, like: Any) -> Any:
        """The number as a constant."""
        return _number(self.ops, value)

    def where(self, condition: Any, yes: Any, no: Any) -> Any:
        """OpenVINO calls it "select"."""
        return self.ops.select(condition, self._node(yes), self._node(no))

    def __getattr__(self, name: str) -> Any:
        if name not in SAME_NAME:
            raise Unsupported(name)
        function = getattr(self.ops, name)
        return lambda *arguments: function(*[self._node(a) for a in arguments])

    def _node(self, argument: Any) -> Any:
        """Plain numbers would become doubles, which it combines with no other type."""
        return _number(self.ops, argument) if isinstance(argument, int | float) else argument


SAME_NAME = {
    "abs", "ceil", "cos", "divide", "equal", "erf", "exp", "floor", "greater", "greater_equal",
    "less", "less_equal", "log", "maximum", "minimum", "negative", "not_equal", "power", "round",
    "sign", "sin", "sqrt", "subtract", "tanh",
}  # fmt: skip
"""NumPy's functions that OpenVINO has under the same name; with any other, another runtime takes
over. Its `mod` is none of them: it keeps the sign of the first argument, NumPy's that of the
second."""

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
