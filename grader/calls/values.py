"""Values as plain data. What leaves the sandbox is hostile bytes until it has passed through here.

The other end is `grader/inside/values.py`.
"""

from __future__ import annotations

import base64
import math
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from grader.errors import Cause, StageFailed

MAX_ANSWER_BYTES = 2**25
"""Of the answer to one call; an array inside has 2^23 bytes at most, base64 a third more."""
MAX_ARRAY_BYTES = 2**23
NUMBERS = frozenset(
    {"uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "int64"}
    | {"float16", "float32", "float64"}
)
"""NumPy's types of numbers."""

Text = Annotated[str, Field(max_length=2**20)]
Line = Annotated[str, Field(max_length=2000)]
Name = Annotated[str, Field(max_length=200)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class FailureRecord(_Strict):
    """An exception in student code: its type, message, and place in the student's files."""

    type: Line
    message: Line
    where: Line
    line: Line = ""
    """What stands at that place."""
    through: Line = ""
    """Places of the student's that were passed before it, outermost first."""


class NoneRecord(_Strict):
    """None."""

    kind: Literal["none"]


class BoolRecord(_Strict):
    """True or False."""

    kind: Literal["bool"]
    value: bool


class IntRecord(_Strict):
    """A whole number, in digits, and the name of its type."""

    kind: Literal["int"]
    value: Annotated[str, Field(pattern=r"^-?[0-9]{1,80}$")]
    type: Name = "int"


class FloatRecord(_Strict):
    """A number in Python's hexadecimal form, and the name of its type."""

    kind: Literal["float"]
    value: Annotated[str, Field(max_length=40)]
    type: Name = "float"


class StrRecord(_Strict):
    """A text."""

    kind: Literal["str"]
    value: Text


class SeveralRecord(_Strict):
    """A list or a tuple."""

    kind: Literal["list", "tuple"]
    items: Annotated[list[ValueRecord], Field(max_length=10_000)]


class DictRecord(_Strict):
    """A dictionary."""

    kind: Literal["dict"]
    items: Annotated[list[tuple[ValueRecord, ValueRecord]], Field(max_length=10_000)]


class ArrayRecord(_Strict):
    """An array, its values as base64."""

    kind: Literal["array"]
    dtype: Literal[
        "bool", "uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "int64",
        "float16", "float32", "float64",
    ]  # fmt: skip
    shape: Annotated[list[Annotated[int, Field(ge=0, le=2**23)]], Field(max_length=8)]
    data: Annotated[str, Field(max_length=2**24)]


class OtherRecord(_Strict):
    """Something that has no form here."""

    kind: Literal["other"]
    type: Name


ValueRecord = Annotated[
    NoneRecord
    | BoolRecord
    | IntRecord
    | FloatRecord
    | StrRecord
    | SeveralRecord
    | DictRecord
    | ArrayRecord
    | OtherRecord,
    Field(discriminator="kind"),
]
SeveralRecord.model_rebuild()
DictRecord.model_rebuild()
_VALUE: TypeAdapter[Any] = TypeAdapter(ValueRecord)


class AnswerRecord(_Strict):
    """What one call gave."""

    failure: FailureRecord | None
    printed: Line = ""
    """The end of what the call printed."""
    imported: bool = True
    """Whether the function's module could be imported; else the failure says why."""
    found: bool = True
    """Whether the module has the function."""
    raised: Annotated[list[Name], Field(max_length=20)] = []
    """The exception's type and those it is derived from; empty where the call was ended."""
    result: ValueRecord | None = None
    seconds: Annotated[float, Field(ge=0, le=1e6, allow_inf_nan=False)] = 0.0
    """Of processor time."""
    shares: bool = False
    """Whether the result shares memory with an argument."""
    after: Annotated[list[ValueRecord], Field(max_length=16)] | None = None
    """The arguments as the function left them."""
    files: dict[Annotated[str, Field(pattern=r"^[0-9]{1,2}$")], ValueRecord] = {}
    """What lies in the files that were to be written, by the argument's number."""


@dataclass(frozen=True)
class Other:
    """A result that is none of the values known here.

    Attributes:
        type: The name of its type; hostile text.
    """

    type: str


@dataclass(frozen=True)
class Answer:
    """What one call gave, as Python values.

    Attributes:
        failure: Why there is no result.
        imported: Whether the function's module could be imported.
        found: Whether the module has the function.
        raised: The exception's type and those it is derived from.
        result: The value.
        seconds: Of processor time.
        shares: Whether the result shares memory with an argument.
        after: The arguments as they were left; None where that was not asked.
        files: Argument's number → what was written there; None for nothing.
        printed: The end of what the call printed.
    """

    failure: FailureRecord | None
    imported: bool = True
    found: bool = True
    raised: tuple[str, ...] = ()
    result: Any = None
    seconds: float = 0.0
    shares: bool = False
    after: tuple[Any, ...] | None = None
    files: dict[int, Any] | None = None
    printed: str = ""


def parse_answer(data: bytes) -> Answer:
    """Read the answer to one call.

    Raises:
        StageFailed: STUDENT_BAD_OUTPUT, where the bytes are not such a record.
    """
    if len(data) > MAX_ANSWER_BYTES:
        raise _impossible("too long")
    try:
        record = AnswerRecord.model_validate_json(data)
        if record.failure is None and record.result is None:
            raise _impossible("neither a result nor an exception")
        return Answer(
            record.failure,
            record.imported,
            record.found,
            tuple(record.raised),
            None if record.result is None else _value(record.result),
            record.seconds,
            record.shares,
            None if record.after is None else tuple(map(_value, record.after)),
            {int(number): _value(file) for number, file in record.files.items()},
            record.printed,
        )
    except (ValidationError, RecursionError, ValueError, OverflowError) as error:
        raise _impossible("not well formed") from error


def decoded(record: dict[str, Any]) -> Any:
    """A value out of a record that this machine has written: see `encoded`.

    Raises:
        ValueError: It is none.
    """
    return _value(_VALUE.validate_python(record))


def _impossible(what: str) -> StageFailed:
    return StageFailed(Cause.STUDENT_BAD_OUTPUT, f"the answer of a call was {what}")


def _value(record: Any) -> Any:
    """The Python value of a record."""
    if isinstance(record, ArrayRecord):
        return _array(record)
    if isinstance(record, IntRecord):
        return _numpy_number(record.type, int(record.value))
    if isinstance(record, FloatRecord):
        return _numpy_number(record.type, float.fromhex(record.value))
    if isinstance(record, SeveralRecord):
        items = [_value(item) for item in record.items]
        return tuple(items) if record.kind == "tuple" else items
    if isinstance(record, DictRecord):
        return {_key(key): _value(value) for key, value in record.items}
    if isinstance(record, OtherRecord):
        return Other(record.type)
    return None if isinstance(record, NoneRecord) else record.value


def _key(record: Any) -> Any:
    """A dictionary's key: a plain one, or one that equals no other."""
    known = isinstance(record, BoolRecord | IntRecord | FloatRecord | StrRecord)
    return _value(record) if known else Other(f"key {record!r}"[:200])


def _numpy_number(type: str, value: float) -> Any:
    """A number, as NumPy's where it was one."""
    return np.dtype(type).type(value) if type in NUMBERS else value


def _array(record: ArrayRecord) -> np.ndarray[Any, Any]:
    dtype = np.dtype(record.dtype)
    data = base64.b64decode(record.data, validate=True)
    if len(data) != math.prod(record.shape) * dtype.itemsize or len(data) > MAX_ARRAY_BYTES:
        raise ValueError("an array's values do not fill its shape")
    if record.dtype == "bool" and data.strip(b"\0\1"):
        raise ValueError("a truth value that is none")
    return np.frombuffer(data, dtype).reshape(record.shape)


def encoded(value: Any) -> dict[str, Any]:
    """A value as a record, on its way into the sandbox."""
    if value is None:
        return {"kind": "none"}
    if isinstance(value, bool | str):
        return {"kind": type(value).__name__, "value": value}
    if isinstance(value, int):
        return {"kind": "int", "value": str(value)}
    if isinstance(value, float):
        return {"kind": "float", "value": value.hex()}
    if isinstance(value, np.ndarray):
        data = base64.b64encode(np.ascontiguousarray(value).tobytes()).decode()
        shape = list(value.shape)
        return {"kind": "array", "dtype": value.dtype.name, "shape": shape, "data": data}
    items = [encoded(item) for item in value]
    return {"kind": "tuple" if isinstance(value, tuple) else "list", "items": items}
