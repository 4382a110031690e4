"""The table [[networks]]: a function of the submission, and the reference it should equal."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import Field, field_validator, model_validator

from grader.assignment.mistakes import mistake, short
from grader.assignment.tables.base import FILE_NAME, NonEmpty, OwnCheck

MAX_ARGUMENTS = 32

_PLACE = re.compile(
    r"([A-Za-z0-9_-]+/)*[A-Za-z_][A-Za-z0-9_]*\.py:[A-Za-z_][A-Za-z0-9_]*", re.ASCII
)


class NetworkCheck(OwnCheck):
    """One check of the kind "the same network as": a function of the submission, a reference."""

    table = "networks"
    function: str
    """The student's function as FILE.py:FUNCTION, the file at the top of the submission."""
    same_as: str
    """The function whose network it should be, as FILE.py:FUNCTION beside assignment.toml."""
    arguments: dict[str, Any] = Field(default_factory=dict)
    """Keywords that both functions are called with; a list arrives as a tuple."""
    input_shape: Annotated[tuple[int, ...], Field(strict=False)] | None = None
    """Height, width and channels (or only channels) of the input; needed where the model does not
    say its own, and with takes_tensor."""
    takes_tensor: bool = False
    """Whether the functions take a tensor first and give one, as a block does; else they give a
    model."""
    group: NonEmpty = "networks"
    """The heading of the report under which it stands: a course topic."""
    title: NonEmpty | None = None
    """The line that the student reads; left out: which function computes the same network."""

    @field_validator("function", "same_as")
    @classmethod
    def _place_is_a_function_of_a_file(cls, written: str) -> str:
        if not _PLACE.fullmatch(written):
            raise mistake(
                f"expected FILE.py:FUNCTION. Received: {short(written)}",
                'Write it as "alexnet.py:build", a reference as "reference/alexnet.py:build".',
            )
        return written

    @field_validator("function")
    @classmethod
    def _function_at_the_top(cls, written: str) -> str:
        if "/" in written:
            raise mistake(
                f"expected a file at the top of the submission. Received: {written!r}",
                "Write it as alexnet.py:build.",
            )
        return written

    @field_validator("input_shape")
    @classmethod
    def _shape_is_one_of_images(cls, shape: tuple[int, ...] | None) -> tuple[int, ...] | None:
        if shape is not None and (
            len(shape) not in (1, 3) or not all(0 < n <= 4096 for n in shape)
        ):
            raise mistake(
                f"expected height, width and channels, each up to 4096. Received: {list(shape)}",
                "Write it as [227, 227, 3].",
            )
        return shape

    @field_validator("arguments")
    @classmethod
    def _arguments_are_plain(cls, written: dict[str, Any]) -> dict[str, Any]:
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

    @model_validator(mode="after")
    def _a_tensor_has_a_shape(self) -> Self:
        if self.takes_tensor and self.input_shape is None:
            raise mistake(
                "expected input_shape with takes_tensor", "Add input_shape = [32, 32, 16]."
            )
        return self

    def reference_file(self, folder: Path) -> Path:
        """The file of the reference.

        Args:
            folder: Where assignment.toml lies.

        Raises:
            ValueError: There is no such file.
        """
        file = folder / self.same_as.rpartition(":")[0]
        if not file.is_file():
            raise ValueError(
                f"expected a Python file beside {FILE_NAME}. Received: {self.same_as!r}, no such "
                "file. Put it there, or correct the name."
            )
        return file


def _plain(value: object) -> bool:
    if isinstance(value, list):
        return all(_plain(inner) for inner in value)
    if isinstance(value, float):
        return math.isfinite(value)
    return isinstance(value, bool | int | str)


def _tuples(value: Any) -> Any:
    """Lists as tuples, at any depth: a function asks for a shape as a tuple."""
    return tuple(_tuples(inner) for inner in value) if isinstance(value, list) else value
