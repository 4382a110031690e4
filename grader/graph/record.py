"""The trace as it comes from the sandbox: hostile bytes until they have passed through here.

What this module protects: nothing behind it meets an index out of range, a cycle, a NaN where a
count belongs or a shape that would allocate a terabyte.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from grader.errors import Cause, StageFailed

MAX_NODES = 400_000
MAX_RANK = 12
MAX_ELEMENTS = 2**31
"""Elements of one tensor; a shape beyond it is a lie about this task."""
MAX_VARIABLE_ELEMENTS = 2**28

Text = Annotated[str, Field(max_length=2000)]
Dim = Annotated[int, Field(ge=-1, le=2**31)]
Shape = Annotated[list[Dim], Field(max_length=MAX_RANK)]
Scalar = bool | int | float | str
Index = Annotated[int, Field(ge=0, lt=MAX_NODES)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class ConstantRecord(_Strict):
    """A constant: its values, or where they stand in the binary frame, or neither (strings)."""

    dtype: Text
    shape: Shape
    values: Annotated[list[Scalar], Field(max_length=4096)] | None = None
    offset: Annotated[int, Field(ge=0)] | None = None


class VariableRecord(_Strict):
    """One variable of a traced network."""

    name: Text
    shape: list[Annotated[int, Field(ge=0, le=2**31)]]
    dtype: Text
    trainable: bool
    owned: bool
    """Whether the model lists it among its variables."""

    @property
    def size(self) -> int:
        """Elements."""
        return math.prod(self.shape)


class FailureRecord(_Strict):
    """An exception in student code: its type, message, and place in the student's files."""

    type: Text
    message: Text
    where: Text


NodeRecord = tuple[
    Text,
    Text,
    Annotated[list[tuple[Index, Annotated[int, Field(ge=0, le=100_000)]]], Field(max_length=10000)],
    dict[Text, ConstantRecord | Scalar | list[Scalar] | None],
    Annotated[list[tuple[Text, Shape | None]], Field(max_length=10000)],
]


class GraphRecord(_Strict):
    """One traced function."""

    nodes: Annotated[list[NodeRecord], Field(max_length=MAX_NODES)]
    inputs: list[Index]
    outputs: list[tuple[Index, int]]
    updates: list[Index]


class NetworkRecord(_Strict):
    """What one probe, or `build_model()`, gave."""

    failure: FailureRecord | None
    graphs: dict[Literal["inference", "training"], GraphRecord] = {}
    variables: Annotated[list[VariableRecord], Field(max_length=100_000)] = []
    input_shape: list[Annotated[int, Field(ge=0, le=2**20)]] = []
    preprocess: dict[Text, Scalar | None] = {}
    weights: dict[Text, Any] = {}
    sample: dict[Text, Any] = {}


class ModuleRecord(_Strict):
    """How the import of the student's module went, and which functions it has."""

    failure: FailureRecord | None
    functions: dict[Text, list[tuple[Text, Text, bool]] | None]


@dataclass(frozen=True, slots=True)
class Op:
    """One operation of a traced graph, checked.

    Attributes:
        op: TensorFlow's op type.
        name: The student's name for it; hostile text, for display only.
        inputs: (node, output) pairs; nodes come before this one.
        attributes: Plain attributes; constants as arrays.
        outputs: (dtype, shape or None) pairs.
    """

    op: str
    name: str
    inputs: tuple[tuple[int, int], ...]
    attributes: dict[str, Any]
    outputs: tuple[tuple[str, tuple[int, ...] | None], ...]


@dataclass(frozen=True, slots=True)
class Trace:
    """One traced function, checked: acyclic, indices in range, shapes bounded."""

    ops: tuple[Op, ...]
    inputs: tuple[int, ...]
    outputs: tuple[tuple[int, int], ...]
    updates: tuple[int, ...]
    variables: tuple[VariableRecord, ...]


_NETWORK = TypeAdapter(NetworkRecord)
_MODULE = TypeAdapter(ModuleRecord)


def parse_network(data: bytes) -> NetworkRecord:
    """Read one network record.

    Raises:
        StageFailed: STUDENT_BAD_OUTPUT, where the bytes are not such a record.
    """
    return _parse(_NETWORK, data)


def parse_module(data: bytes) -> ModuleRecord:
    """Read the module record.

    Raises:
        StageFailed: STUDENT_BAD_OUTPUT, where the bytes are not such a record.
    """
    return _parse(_MODULE, data)


_Parsed = TypeVar("_Parsed")


def _parse(adapter: TypeAdapter[_Parsed], data: bytes) -> _Parsed:
    try:
        return adapter.validate_json(data)
    except (ValidationError, RecursionError) as error:
        raise StageFailed(
            Cause.STUDENT_BAD_OUTPUT, "the description of the network was not well formed"
        ) from error


def check_graph(
    graph: GraphRecord, variables: list[VariableRecord], constants: bytes = b""
) -> Trace:
    """Check one graph record and resolve its constants.

    Args:
        graph: As parsed.
        variables: The network's variable table.
        constants: The binary frame that large constants point into (float32).

    Returns:
        The trace, safe to walk.

    Raises:
        StageFailed: STUDENT_BAD_OUTPUT, naming what is impossible.
    """
    ops: list[Op] = []
    for position, (op, name, inputs, attributes, outputs) in enumerate(graph.nodes):
        for node, output in inputs:
            _require(node < position, f"node {position} depends on a later one")
            _require(output < len(ops[node].outputs), f"node {position} has no such input")
        for _, shape in outputs:
            _require(
                shape is None or math.prod(max(n, 1) for n in shape) <= MAX_ELEMENTS,
                f"node {position} claims an impossible shape",
            )
        resolved: dict[str, Any] = {
            key: _array(value, constants) if isinstance(value, ConstantRecord) else value
            for key, value in attributes.items()
        }
        if op == "Variable":
            index = resolved.get("variable")
            known = isinstance(index, int) and 0 <= index < len(variables)
            _require(known or index is None, "a variable is not in the table")
        ops.append(
            Op(
                op,
                name,
                tuple(inputs),
                resolved,
                tuple((d, None if s is None else tuple(s)) for d, s in outputs),
            )
        )
    for variable in variables:
        _require(variable.size <= MAX_VARIABLE_ELEMENTS, "a variable is impossibly large")
    for node, output in graph.outputs:
        _require(node < len(ops) and output < len(ops[node].outputs), "an output is missing")
    for node in (*graph.inputs, *graph.updates):
        _require(node < len(ops), "an input is missing")
    return Trace(
        tuple(ops),
        tuple(graph.inputs),
        tuple(graph.outputs),
        tuple(graph.updates),
        tuple(variables),
    )


def _require(holds: bool, message: str) -> None:
    if not holds:
        raise StageFailed(
            Cause.STUDENT_BAD_OUTPUT, f"the description of the network is not possible: {message}"
        )


def _array(record: ConstantRecord, constants: bytes) -> NDArray[Any] | None:
    """The constant's values; None where it has none that a network could use."""
    size = math.prod(record.shape)
    _require(all(n >= 0 for n in record.shape) and size <= MAX_ELEMENTS, "a constant's shape")
    if record.values is not None:
        _require(len(record.values) == size, "a constant's values do not fill its shape")
        if record.dtype.startswith(("int", "uint")):
            integers = [v for v in record.values if isinstance(v, int)]
            _require(
                len(integers) == size and all(abs(v) < 2**64 for v in integers),
                "an integer constant that is none",
            )
            wide = np.uint64 if any(v >= 2**63 for v in integers) else np.int64
            return np.array(integers, wide).reshape(record.shape)
        if record.dtype == "bool":
            return np.array([bool(v) for v in record.values]).reshape(record.shape)
        try:
            return np.array([float(v) for v in record.values]).reshape(record.shape)
        except (ValueError, OverflowError):
            _require(False, "a constant that is no number")
    if record.offset is not None:
        stop = record.offset + 4 * size
        _require(stop <= len(constants), "a constant lies outside its frame")
        flat = np.frombuffer(constants[record.offset : stop], "<f4")
        return flat.astype(np.float64).reshape(record.shape)
    return None
