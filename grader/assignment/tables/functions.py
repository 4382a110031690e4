"""[[functions]]: a function of the submission gives what a reference gives, on drawn inputs."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from grader.assignment.mistakes import mistake, short
from grader.assignment.tables.base import FILE_NAME, NonEmpty, OwnCheck, Table

_PLACE = re.compile(
    r"([A-Za-z0-9_-]+/)*[A-Za-z_][A-Za-z0-9_]*\.py:[A-Za-z_][A-Za-z0-9_]*", re.ASCII
)
_FILE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]*(\.[A-Za-z0-9]+)+", re.ASCII)
_SIDES = ("left", "top", "right", "bottom", "width", "height")
MAX_SIDE = 1024
MAX_ELEMENTS = 2**21
"""Of one array that is drawn; 1024×1024 pixels of two channels."""

Pair = Annotated[tuple[int, int], Field(strict=False)]
Size = int | str | Pair
"""A number, the least and the most, or the name of one of `sizes`."""
Dtype = Literal["uint8", "int32", "int64", "float32", "float64", "bool"]


class ImageRange(Table):
    """Images that are drawn: coloured areas with hard edges and some noise, nowhere symmetric."""

    height: Size = (16, 40)
    """Rows: a number, [least, most], or the name of one of `sizes`."""
    width: Size = (16, 40)
    """Columns."""
    channels: Literal[1, 3, 4] = 3
    """Values of a pixel; 1 gives an array of two axes, as OpenCV does."""
    dtype: Literal["uint8", "float32", "float64"] = "uint8"
    """uint8 from 0 to 255, floats from 0 to 1."""


class ImageFile(ImageRange):
    """An image file that lies on disk when the function is called; it receives the path."""

    name: str = "photo.png"
    """The file's name: .png or .npy."""

    @model_validator(mode="after")
    def _can_be_written(self) -> Self:
        kind = self.name.rpartition(".")[2]
        if not _FILE_NAME.fullmatch(self.name) or kind not in ("png", "npy"):
            raise mistake(
                f"expected the name of a .png or .npy file. Received: {short(self.name)}",
                'Write it as "photo.png".',
            )
        if kind == "png" and self.dtype != "uint8":
            raise mistake('expected dtype = "uint8" in a .png file', "Leave dtype out.")
        return self


class ArrayRange(Table):
    """Arrays that are drawn, each value by itself."""

    shape: Annotated[
        tuple[Size, ...],
        Field(strict=False, min_length=1, max_length=5),
    ]
    """Each axis as a number, [least, most], or the name of one of `sizes`."""
    dtype: Dtype = "float64"
    """Type of the values."""
    low: float = -1.0
    """Least value."""
    high: float = 1.0
    """Greatest value."""

    @model_validator(mode="after")
    def _low_is_below_high(self) -> Self:
        if not self.low <= self.high:
            raise mistake(f"expected low <= high. Received: {self.low:g} and {self.high:g}")
        return self


KINDS = (
    "image", "array", "integer", "number", "choice", "box_in", "image_file", "missing_file",
    "new_file",
)  # fmt: skip


class Argument(Table):
    """One argument of a function, and what is drawn for it."""

    name: str
    """Its name in messages, and where arguments are passed by name."""
    image: ImageRange | None = None
    """An image as an array."""
    array: ArrayRange | None = None
    """An array of numbers."""
    integer: str | Pair | None = None
    """A whole number from [least, most], or the name of one of `sizes`."""
    number: Annotated[tuple[float, float], Field(strict=False)] | None = None
    """A number from [least, most], with three decimals."""
    choice: Annotated[tuple[Any, ...], Field(strict=False, min_length=1)] | None = None
    """One of these values; one call after another takes the next."""
    box_in: str | None = None
    """The name of an image argument: a box that lies within it."""
    box_as: Annotated[tuple[str, ...], Field(strict=False, min_length=1)] = _SIDES[:4]
    """What a box is told by, as a tuple; right and bottom are the first column and row outside."""
    image_file: ImageFile | None = None
    """The path of an image file that lies on disk."""
    missing_file: str | None = None
    """The path of a file that is not there, with this name."""
    new_file: str | None = None
    """A path to write to, with this name: what lies there afterwards is compared."""

    @property
    def kind(self) -> str:
        """Which of `KINDS` it is."""
        return next(kind for kind in KINDS if getattr(self, kind) is not None)

    @field_validator("name")
    @classmethod
    def _name_is_an_identifier(cls, written: str) -> str:
        if not written.isidentifier():
            raise mistake(f"expected the name of an argument. Received: {short(written)}")
        return written

    @field_validator("integer", "number")
    @classmethod
    def _least_before_most(cls, written: Any) -> Any:
        if isinstance(written, tuple) and not written[0] <= written[1]:
            raise mistake(f"expected [least, most]. Received: {list(written)}")
        return written

    @field_validator("choice")
    @classmethod
    def _choices_are_plain(cls, written: tuple[Any, ...] | None) -> tuple[Any, ...] | None:
        return None if written is None else tuple(plain(value) for value in written)

    @field_validator("box_as")
    @classmethod
    def _box_has_sides(cls, written: tuple[str, ...]) -> tuple[str, ...]:
        odd = next((side for side in written if side not in _SIDES), None)
        if odd is not None:
            raise mistake(f"expected some of {', '.join(_SIDES)}. Received: {short(odd)}")
        return written

    @field_validator("missing_file", "new_file")
    @classmethod
    def _file_has_a_plain_name(cls, written: str | None) -> str | None:
        if written is not None and not _FILE_NAME.fullmatch(written):
            raise mistake(
                f"expected the name of a file. Received: {short(written)}", 'Write it as "out.png".'
            )
        return written

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        given = [kind for kind in KINDS if getattr(self, kind) is not None]
        if len(given) != 1:
            raise mistake(
                f"expected one of {', '.join(KINDS)}. Received: {' and '.join(given) or 'none'}",
                f"Write it as {{ name = {self.name!r}, integer = [1, 9] }}.",
            )
        return self


class Slip(Table):
    """A typical mistake: a function that makes it. A student whose results are its results is told
    so."""

    like: str
    """The function with the mistake, as FILE.py:FUNCTION beside assignment.toml."""
    says: NonEmpty
    """What is wrong, as the student reads it: "The padding counts on one side only"."""
    help: str = ""
    """What to try, without the answer."""

    @field_validator("like")
    @classmethod
    def _place_is_a_function(cls, written: str) -> str:
        return _place(written)


class FunctionCheck(OwnCheck):
    """One check of the kind "gives what the reference gives", by values."""

    table = "functions"
    group: NonEmpty = "functions"
    """The heading of the report under which it stands: a course topic."""
    title: NonEmpty | None = None
    """The line that the student reads; left out: which function gives what is asked."""
    function: str
    """The student's function as FILE.py:FUNCTION, the file at the top of the submission."""
    same_as: str
    """The function that gives what is right, as FILE.py:FUNCTION beside assignment.toml."""
    arguments: Annotated[tuple[Argument, ...], Field(strict=False, max_length=16)] = ()
    """What is drawn for each argument, in the function's order."""
    by_name: bool = False
    """Whether arguments are passed by name; students may then not rename them."""
    sizes: dict[str, Pair] = Field(default_factory=dict)
    """Sizes that several arguments share: name → [least, most]."""
    calls: Annotated[
        tuple[Annotated[tuple[Any, ...], Field(strict=False)], ...],
        Field(strict=False, max_length=32),
    ] = ()
    """Calls with values of the author's, each a list of arguments; they are public."""
    public: int = Field(default=2, ge=0, le=16)
    """Calls that are drawn once and for all: those of `grade check`."""
    drawn: int = Field(default=3, ge=0, le=32)
    """Calls that are drawn from the course key, the same for the whole class."""
    tolerance: float | None = Field(default=None, ge=0)
    """How far a value may be off. Left out: whole numbers not at all, others by 1e-5 of the
    largest."""
    types: Literal["alike", "same", "any"] = "alike"
    """alike: whole numbers stay whole, images stay uint8, all floats are alike. same: exactly the
    reference's types. any: values alone count."""
    changes_input: bool | None = None
    """false: the arguments must be left as they are. true: they must become what the reference
    makes of them. Left out: nobody looks."""
    shares_memory: bool | None = None
    """true: the result must be a view of an argument. false: it must not. Left out: nobody
    looks."""
    slower_at_most: float | None = Field(default=None, ge=1, le=10_000)
    """Processor time, as a multiple of the reference's; anything below 0.2 s a call is quick
    enough."""
    may_raise: bool = False
    """Whether the reference may raise an exception, which is then what is right."""
    partial: bool = False
    """Whether each right call earns its share; else all or nothing."""
    slips: Annotated[tuple[Slip, ...], Field(strict=False, max_length=16)] = ()
    """Typical mistakes that a student is told by name."""

    @field_validator("function", "same_as")
    @classmethod
    def _place_is_a_function(cls, written: str) -> str:
        return _place(written)

    @field_validator("function")
    @classmethod
    def _function_at_the_top(cls, written: str) -> str:
        if "/" in written:
            raise mistake(
                f"expected a file at the top of the submission. Received: {written!r}",
                "Write it as images.py:crop.",
            )
        return written

    @field_validator("sizes")
    @classmethod
    def _sizes_are_ranges(cls, written: dict[str, tuple[int, int]]) -> dict[str, tuple[int, int]]:
        for name, (least, most) in written.items():
            if not name.isidentifier() or not 0 < least <= most <= MAX_SIDE:
                raise mistake(
                    f"expected NAME = [least, most], from 1 to {MAX_SIDE}. "
                    f"Received: {name} = [{least}, {most}]"
                )
        return written

    @field_validator("calls")
    @classmethod
    def _calls_are_plain(cls, written: tuple[Any, ...]) -> tuple[Any, ...]:
        return tuple(tuple(plain(value) for value in call) for call in written)

    @model_validator(mode="after")
    def _something_is_called(self) -> Self:
        if not self.calls and not self.public + self.drawn:
            raise mistake("expected public, drawn or calls above 0: nothing is called")
        names = [argument.name for argument in self.arguments]
        if len(set(names)) < len(names):
            raise mistake(f"arguments: expected different names. Received: {', '.join(names)}")
        for call in self.calls:
            if self.arguments and len(call) != len(self.arguments):
                raise mistake(
                    f"calls: expected {len(self.arguments)} values, one for each argument. "
                    f"Received: {short(list(call))}"
                )
        return self

    @model_validator(mode="after")
    def _sizes_are_known(self) -> Self:
        for argument in self.arguments:
            for size in sizes_of(argument):
                self._look_at(argument, size)
            if argument.box_in is not None and not self._is_image(argument.box_in):
                raise mistake(
                    f"arguments: box_in: expected the name of an image that stands before "
                    f"{argument.name}. Received: {argument.box_in!r}"
                )
        return self

    def _look_at(self, argument: Argument, size: Size) -> None:
        if isinstance(size, str) and size not in self.sizes:
            raise mistake(
                f"arguments: {argument.name}: expected one of sizes "
                f"({', '.join(self.sizes) or 'there are none'}). Received: {size!r}",
                f"Add sizes = {{ {size} = [3, 9] }}.",
            )
        if argument.integer is not None or isinstance(size, str):
            return
        least, most = size if isinstance(size, tuple) else (size, size)
        if not 0 < least <= most <= MAX_SIDE:
            raise mistake(
                f"arguments: {argument.name}: expected a size from 1 to {MAX_SIDE}. "
                f"Received: {short(size)}"
            )

    def _is_image(self, name: str) -> bool:
        known = next((a for a in self.arguments if a.name == name), None)
        return known is not None and known.image is not None

    def functions(self) -> tuple[str, ...]:
        """The reference, and the functions with typical mistakes."""
        return (self.same_as, *(slip.like for slip in self.slips))

    def reference_files(self, folder: Path) -> tuple[Path, ...]:
        """The files of the reference and of the slips, each once.

        Args:
            folder: Where assignment.toml lies.

        Raises:
            ValueError: One is not there.
        """
        names = dict.fromkeys(place.rpartition(":")[0] for place in self.functions())
        for name in names:
            if not (folder / name).is_file():
                raise ValueError(
                    f"expected a Python file beside {FILE_NAME}. Received: {name!r}, no such "
                    "file. Put it there, or correct the name."
                )
        return tuple(folder / name for name in names)


def sizes_of(argument: Argument) -> tuple[Size, ...]:
    """The sizes that an argument is drawn by."""
    image = argument.image or argument.image_file
    if image is not None:
        return image.height, image.width
    if argument.array is not None:
        return argument.array.shape
    return () if argument.integer is None else (argument.integer,)


def plain(value: Any) -> Any:
    """A value as a function can be called with it: lists stay lists.

    Raises:
        PydanticCustomError: It is a date, a table or no finite number.
    """
    if isinstance(value, list | tuple):
        return [plain(inner) for inner in value]
    if isinstance(value, float) and not abs(value) < float("inf"):
        raise mistake(f"expected a finite number. Received: {value}")
    if not isinstance(value, bool | int | float | str):
        raise mistake(
            f"expected numbers, texts, booleans or lists of them. Received: {short(value)}"
        )
    return value


def _place(written: str) -> str:
    if not _PLACE.fullmatch(written):
        raise mistake(
            f"expected FILE.py:FUNCTION. Received: {short(written)}",
            'Write it as "images.py:crop", a reference as "reference/images.py:crop".',
        )
    return written
