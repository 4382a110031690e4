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

from grader.calls.values import FailureRecord as FailureRecord
from grader.errors import Cause, StageFailed
from grader.graph import work

MAX_NODES = 400_000
MAX_RANK = 12
MAX_ELEMENTS = 2**31
"""Elements of one tensor; a shape beyond it is a lie about this task."""
MAX_VARIABLE_ELEMENTS = 2**28
MAX_RECORD_BYTES = 2**25
"""Of one network's record; BC L=250 k=24 has 2^21."""
MAX_MODULE_BYTES = 2**20
MAX_INPUTS = 64
"""Entries of a graph's lists of inputs and outputs; a network here has one of each."""
MAX_OUTPUTS = 4096
"""Of one operation; one that splits a network of the paper into its maps has 2000."""
MAX_CONSTANT_ELEMENTS = 2**24
"""Of all constants of a graph together: what the honest program sends at most (64 MiB)."""

Text = Annotated[str, Field(max_length=2000)]
Dim = Annotated[int, Field(ge=-1, le=2**31)]
Shape = Annotated[list[Dim], Field(max_length=MAX_RANK)]
Whole = Annotated[int, Field(ge=-(2**63), lt=2**64)]
"""An integer as TensorFlow has them: one of a million digits would be worked on for hours."""
Scalar = bool | Whole | float | Text
Index = Annotated[int, Field(ge=0, lt=MAX_NODES)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class ConstantRecord(_Strict):
    """A constant: its values, or where they stand in the binary frame, or neither (strings)."""

    dtype: Text
    shape: Shape
    values: Annotated[list[Scalar], Field(max_length=4096)] | None = None
    offset: Annotated[int, Field(ge=0, le=2**40)] | None = None


class VariableRecord(_Strict):
    """One variable of a traced network."""

    name: Text
    shape: Annotated[list[Annotated[int, Field(ge=0, le=2**31)]], Field(max_length=MAX_RANK)]
    dtype: Text
    trainable: bool
    owned: bool
    """Whether the model lists it among its variables."""
    initialiser: Text = ""
    """What it begins with, less the seed; empty where it is not known."""

    @property
    def size(self) -> int:
        """Elements."""
        return math.prod(self.shape)


NodeRecord = tuple[
    Text,
    Text,
    Annotated[list[tuple[Index, Annotated[int, Field(ge=0, le=100_000)]]], Field(max_length=10000)],
    dict[Text, ConstantRecord | Scalar | list[Scalar] | None],
    Annotated[list[tuple[Text, Shape | None]], Field(max_length=MAX_OUTPUTS)],
]


class GraphRecord(_Strict):
    """One traced function."""

    nodes: Annotated[list[NodeRecord], Field(max_length=MAX_NODES)]
    inputs: Annotated[list[Index], Field(max_length=MAX_INPUTS)]
    outputs: Annotated[
        list[tuple[Index, Annotated[int, Field(ge=0, le=100_000)]]], Field(max_length=MAX_INPUTS)
    ]
    updates: Annotated[list[Index], Field(max_length=MAX_NODES)]
    entry: tuple[Index, Annotated[int, Field(ge=0, le=100_000)]] | None = None
    """What `preprocess` gave to the network, where the graph begins with it."""


class WeightsRecord(_Strict):
    """Which weights file was asked for, and whether the network took it."""

    file: Text | None = None
    loaded: bool = False
    failure: FailureRecord | None = None


class SampleRecord(_Strict):
    """The shape of what the network gave on random images, or why it gave nothing."""

    shape: Annotated[list[Annotated[int, Field(ge=0, le=2**20)]], Field(max_length=4)] | None = None
    failure: FailureRecord | None = None


class NetworkRecord(_Strict):
    """What one probe, or `build_model()`, gave."""

    failure: FailureRecord | None
    beside: (
        Annotated[list[tuple[int, Scalar | list[Scalar | None] | None]], Field(max_length=16)]
        | None
    ) = []
    """Place and value of what a function gave beside the network; None where it gave the network
    alone, and more was asked for."""
    layers: Annotated[dict[Text, tuple[Text, Text]], Field(max_length=5001)] = {}
    """Layer, or "()" for the function → its place in the student's files, "net.py, line 12", and
    what stands there."""
    gave: Text = ""
    """What a function gave where it was no tensor: "keras.Model"."""
    printed: Text = ""
    """The end of what the call printed."""
    graphs: dict[Literal["inference", "training"], GraphRecord] = {}
    variables: Annotated[list[VariableRecord], Field(max_length=100_000)] = []
    input_shape: Annotated[
        list[Annotated[int, Field(ge=0, le=2**20)]], Field(max_length=MAX_RANK)
    ] = []
    preprocess: dict[Text, Scalar | None] = {}
    weights: WeightsRecord = WeightsRecord()
    sample: SampleRecord = SampleRecord()


class ModuleRecord(_Strict):
    """How the import of the student's module went, and which functions it has."""

    failure: FailureRecord | None
    functions: dict[Text, list[tuple[Text, Text, bool]] | None]
    others: Annotated[list[Text], Field(max_length=200)] = []
    """Names of further functions in it, of which one may be a slip of the contract's."""
    printed: Text = ""
    """The end of what the import printed."""


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
    entry: tuple[int, int] | None = None


VARIABLES = ("Variable", "VarHandleOp")
"""Ops that stand for a row of the variable table."""

_NETWORK = TypeAdapter(NetworkRecord)
_MODULE = TypeAdapter(ModuleRecord)


def parse_network(data: bytes) -> NetworkRecord:
    """Read one network record.

    Raises:
        StageFailed: STUDENT_BAD_OUTPUT, where the bytes are not such a record.
    """
    return _parse(_NETWORK, data, MAX_RECORD_BYTES)


def parse_module(data: bytes) -> ModuleRecord:
    """Read the module record.

    Raises:
        StageFailed: STUDENT_BAD_OUTPUT, where the bytes are not such a record.
    """
    return _parse(_MODULE, data, MAX_MODULE_BYTES)


_Parsed = TypeVar("_Parsed")


def _parse(adapter: TypeAdapter[_Parsed], data: bytes, limit: int) -> _Parsed:
    if len(data) > limit:
        raise StageFailed(
            Cause.STUDENT_BAD_OUTPUT,
            f"the description of the network: expected at most {limit} bytes, received {len(data)}",
        )
    work.spend(work.CHARACTER * len(data))
    # Whatever JSON holds, a list, a table or one more entry of either begins with one of these.
    work.keep_pieces(sum(map(data.count, (b"[", b"{", b","))))
    try:
        return adapter.validate_json(data)
    except (ValidationError, RecursionError, UnicodeError) as error:
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
    given = _Constants(constants)
    for position, (op, name, inputs, attributes, outputs) in enumerate(graph.nodes):
        for node, output in inputs:
            if node >= position:
                raise _impossible(f"node {position} depends on a later one")
            if output >= len(ops[node].outputs):
                raise _impossible(f"node {position} has no such input")
        for _, shape in outputs:
            if shape is not None and math.prod([max(n, 1) for n in shape]) > MAX_ELEMENTS:
                raise _impossible(f"node {position} claims an impossible shape")
        resolved: dict[str, Any] = {
            key: given.array(value) if isinstance(value, ConstantRecord) else value
            for key, value in attributes.items()
        }
        if op in VARIABLES:
            index = resolved.get("variable")
            known = type(index) is int and 0 <= index < len(variables)
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
    for node, output in [*graph.outputs, *([graph.entry] if graph.entry is not None else [])]:
        _require(node < len(ops) and output < len(ops[node].outputs), "an output is missing")
    for node in (*graph.inputs, *graph.updates):
        _require(node < len(ops), "an input is missing")
    return Trace(
        tuple(ops),
        tuple(graph.inputs),
        tuple(graph.outputs),
        tuple(graph.updates),
        tuple(variables),
        graph.entry,
    )


def _require(holds: bool, message: str) -> None:
    if not holds:
        raise _impossible(message)


def _impossible(message: str) -> StageFailed:
    return StageFailed(
        Cause.STUDENT_BAD_OUTPUT, f"the description of the network is not possible: {message}"
    )


class _Constants:
    """Resolves a graph's constants; together they are no larger than an honest program sends.

    Args:
        frame: The binary frame that large constants point into (float32).
    """

    def __init__(self, frame: bytes) -> None:
        self._frame = frame
        self._elements = 0

    def array(self, record: ConstantRecord) -> NDArray[Any] | None:
        """The constant's values; None where it has none that a network could use."""
        size = math.prod(record.shape)
        _require(all(n >= 0 for n in record.shape) and size <= MAX_ELEMENTS, "a constant's shape")
        if record.values is None and record.offset is None:
            return None
        self._elements += size
        _require(self._elements <= MAX_CONSTANT_ELEMENTS, "constants of more than 64 MiB")
        work.spend(size)
        work.keep(size)
        if record.values is not None:
            return _inline(record, record.values, size)
        assert record.offset is not None
        stop = record.offset + 4 * size
        _require(stop <= len(self._frame), "a constant lies outside its frame")
        flat = np.frombuffer(self._frame, "<f4", size, record.offset) if size else np.zeros(0)
        return flat.astype(np.float64).reshape(record.shape)


def _inline(record: ConstantRecord, values: list[Scalar], size: int) -> NDArray[Any]:
    _require(len(values) == size, "a constant's values do not fill its shape")
    if record.dtype.startswith(("int", "uint")):
        integers = [v for v in values if isinstance(v, int)]
        _require(len(integers) == size, "an integer constant that is none")
        wide = np.uint64 if any(v >= 2**63 for v in integers) else np.int64
        _require(wide is np.int64 or min(integers) >= 0, "an integer constant that is none")
        return np.array(integers, wide).reshape(record.shape)
    if record.dtype == "bool":
        return np.array([bool(v) for v in values], bool).reshape(record.shape)
    try:
        return np.array([float(v) for v in values], np.float64).reshape(record.shape)
    except (ValueError, OverflowError) as error:
        raise _impossible("a constant that is no number") from error
