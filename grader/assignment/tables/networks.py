"""The table [[networks]]: a function of the submission, and the reference it should equal."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, PlainSerializer, field_validator, model_validator

from grader.assignment.mistakes import mistake, short
from grader.assignment.tables.base import FILE_NAME, NonEmpty, OwnCheck, Table

MAX_ARGUMENTS = 32
MAX_CALLS = 16
MAX_REFERENCES = 8

_FUNCTION = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_FILE = re.compile(r"[^/\\:\x00-\x1f]+\.py")

MustMatch = Literal["initialisers", "output-shape", "order", "idle-bias", "epsilon", "last-step"]
MayDiffer = Literal["bias", "dropout"]
Shape = Annotated[tuple[int, ...], Field(strict=False)]
Arguments = Annotated[
    dict[str, Any],
    BeforeValidator(lambda given: dict(given) if isinstance(given, list) else given),
    PlainSerializer(lambda given: [[name, given[name]] for name in given], when_used="json"),
]
"""Arguments by name, in their order: it counts, and the keys of a record have none."""


def _is_shape(shape: tuple[int, ...] | None) -> tuple[int, ...] | None:
    if shape is not None and (len(shape) not in (1, 3) or not all(0 < n <= 4096 for n in shape)):
        raise mistake(
            f"expected height, width and channels, each up to 4096. Received: {list(shape)}",
            "Write it as [227, 227, 3].",
        )
    return shape


def _are_plain(written: dict[str, Any]) -> dict[str, Any]:
    wrong = [key for key in written if not key.isidentifier()]
    if wrong or len(written) > MAX_ARGUMENTS:
        received = short(wrong or len(written))
        raise mistake(f"expected up to {MAX_ARGUMENTS} arguments' names. Received: {received}")
    odd = next((value for value in written.values() if not _plain(value)), None)
    if odd is not None:
        raise mistake(
            f"expected numbers, texts, booleans or lists of them. Received: {short(odd)}",
            "A date, a table or an infinite number cannot be passed on.",
        )
    return {key: _tuples(value) for key, value in written.items()}


def _plain(value: object) -> bool:
    if isinstance(value, list | tuple):
        return all(_plain(inner) for inner in value)
    if isinstance(value, float):
        return math.isfinite(value)
    return isinstance(value, bool | int | str)


def _tuples(value: Any) -> Any:
    """Lists as tuples, at any depth: a function asks for a shape as a tuple."""
    return tuple(_tuples(inner) for inner in value) if isinstance(value, list | tuple) else value


class Call(Table):
    """One call of the student's function and of the reference."""

    arguments: Arguments = Field(default_factory=dict)
    """What this call is made with, beside the arguments that all calls share."""
    input_shape: Shape | None = None
    """Height, width and channels of the input of this call; left out: the table's."""

    _shape = field_validator("input_shape")(_is_shape)
    _arguments = field_validator("arguments")(_are_plain)

    @property
    def text(self) -> str:
        """The arguments, for a message."""
        return ", ".join(f"{name}={value!r}" for name, value in self.arguments.items())


class Reference(Table):
    """One network that is accepted."""

    function: str
    """FILE.py:FUNCTION beside assignment.toml."""
    arguments: Arguments = Field(default_factory=dict)
    """What only the reference is called with, such as stem = 64: the students' are never told."""
    title: NonEmpty | None = None
    """What tells it from the other accepted ones, such as "a stem of 64 maps"."""

    _arguments = field_validator("arguments")(_are_plain)

    @field_validator("function")
    @classmethod
    def is_a_function_of_a_file(cls, written: str) -> str:
        """A place as it should be written.

        Raises:
            PydanticCustomError: It is none.
        """
        path, _, function = written.rpartition(":")
        *folders, file = path.split("/")
        inside = all(part and not part.startswith(".") for part in folders) and "\\" not in path
        if not (inside and _FILE.fullmatch(file) and _FUNCTION.fullmatch(function)):
            raise mistake(
                f"expected FILE.py:FUNCTION. Received: {short(written)}",
                'Write a reference as "reference/alexnet.py:build".',
            )
        return written

    @property
    def path(self) -> str:
        """Its file, below the folder of assignment.toml."""
        return self.function.rpartition(":")[0]

    def file(self, folder: Path) -> Path:
        """The file of the reference.

        Args:
            folder: Where assignment.toml lies.

        Raises:
            ValueError: There is no such file.
        """
        file = folder / self.path
        if not file.is_file():
            raise ValueError(
                f"expected a Python file beside {FILE_NAME}. Received: {self.function!r}, no such "
                "file. Put it there, or correct the name."
            )
        return file


class NetworkCheck(OwnCheck):
    """One check of the kind "the same network as": a function of the submission, a reference."""

    table = "networks"
    function: str
    """The student's function as FILE.py:FUNCTION, the file at the top of the submission; or as
    FUNCTION alone, in whichever file it stands."""
    same_as: Annotated[
        tuple[Reference, ...], Field(strict=False, min_length=1, max_length=MAX_REFERENCES)
    ]
    """The function whose network it should be, as FILE.py:FUNCTION beside assignment.toml; or a
    list of them, of which any is accepted."""
    arguments: Arguments = Field(default_factory=dict)
    """What both functions are called with, in the order in which the sheet names them; a list
    arrives as a tuple. A student who gave them other names gets them by position."""
    input_shape: Shape | None = None
    """Height, width and channels (or only channels) of the input; needed where the model does not
    say its own, and with takes_tensor."""
    calls: Annotated[tuple[Call, ...], Field(strict=False, max_length=MAX_CALLS)] = ()
    """Several calls, each with its own arguments and input shape; left out: one."""
    takes_tensor: bool = False
    """Whether the functions take a tensor first and give one, as a block does; else they give a
    model."""
    output: Annotated[int, Field(ge=0, lt=16)] | None = None
    """Which of several results is the network, counted from 0; those beside it are compared as
    numbers. Left out: there is one result."""
    must_match: Annotated[tuple[MustMatch, ...], Field(strict=False)] = ()
    """What is compared beside the network itself: initialisers, output-shape, order (of
    concatenation), idle-bias (before a batch norm), epsilon, last-step (softmax or logits)."""
    may_differ: Annotated[tuple[MayDiffer, ...], Field(strict=False)] = ()
    """What is not compared, though it changes the network: bias, dropout."""
    group: NonEmpty = "networks"
    """The heading of the report under which it stands: a course topic."""
    title: NonEmpty | None = None
    """The line that the student reads; left out: which function computes the same network."""

    _shape = field_validator("input_shape")(_is_shape)
    _arguments = field_validator("arguments")(_are_plain)

    @field_validator("function")
    @classmethod
    def _function_at_the_top(cls, written: str) -> str:
        file, colon, function = written.rpartition(":")
        if "/" in written:
            raise mistake(
                f"expected a file at the top of the submission. Received: {written!r}",
                "Write it as alexnet.py:build.",
            )
        if not _FUNCTION.fullmatch(function) or (colon and not _FILE.fullmatch(file)):
            raise mistake(
                f"expected FILE.py:FUNCTION or FUNCTION. Received: {short(written)}",
                'Write it as "alexnet.py:build", or as "build" where any file may hold it.',
            )
        return written

    @field_validator("same_as", mode="before")
    @classmethod
    def _one_or_several(cls, written: Any) -> Any:
        if isinstance(written, str):
            Reference.is_a_function_of_a_file(written)
        several = written if isinstance(written, list | tuple) else [written]
        return tuple({"function": each} if isinstance(each, str) else each for each in several)

    @model_validator(mode="after")
    def _a_tensor_has_a_shape(self) -> Self:
        if self.takes_tensor and any(call.input_shape is None for call in self.asked):
            raise mistake(
                "expected input_shape with takes_tensor", "Add input_shape = [32, 32, 16]."
            )
        return self

    @property
    def file(self) -> str:
        """The student's file; empty where any may hold the function."""
        return self.function.rpartition(":")[0]

    @property
    def function_name(self) -> str:
        """The student's function, without its file."""
        return self.function.rpartition(":")[2]

    @property
    def asked(self) -> tuple[Call, ...]:
        """The calls that are made, each with all its arguments."""
        return tuple(
            Call(
                arguments={**self.arguments, **call.arguments},
                input_shape=call.input_shape or self.input_shape,
            )
            for call in self.calls or (Call(),)
        )
