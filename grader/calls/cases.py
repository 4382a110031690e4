"""The calls that are made of a function: the author's, public ones, and ones drawn from the key."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from grader.assignment import Argument, FunctionCheck
from grader.assignment.tables.functions import ImageRange, Size
from grader.calls.draws import Draws
from grader.calls.picture import png
from grader.calls.values import decoded, encoded


@dataclass(frozen=True)
class GivenFile:
    """An image file that lies on disk when the function is called.

    Attributes:
        name: Its name.
        content: Its bytes.
    """

    name: str
    content: bytes


@dataclass(frozen=True)
class AbsentFile:
    """A path where nothing lies: to write to, or not to be found.

    Attributes:
        name: The file's name.
        new: Whether it is to be written.
    """

    name: str
    new: bool


@dataclass(frozen=True)
class Case:
    """One call.

    Attributes:
        check: The check's name.
        number: Among the calls of the check; public ones come first.
        hidden: Whether it was drawn from the course key.
        names: The arguments' names; empty where the author gave none.
        values: The arguments.
    """

    check: str
    number: int
    hidden: bool
    names: tuple[str, ...]
    values: tuple[Any, ...]

    @property
    def id(self) -> str:
        """Names the frame of its answer."""
        return f"{self.check}.{self.number}"

    def request(self, asked: FunctionCheck, function: str, id: str = "") -> dict[str, Any]:
        """The call as the program inside gets it; says nothing of what is expected.

        Args:
            asked: The table.
            function: FILE.py:FUNCTION: the student's, the reference's, or a slip's.
            id: Names the frame of the answer, where it is not the case's own.
        """
        file, _, name = function.rpartition(":")
        return {
            "id": id or self.id,
            "module": Path(file).stem,
            "function": name,
            "arguments": self._encoded,
            "names": list(self.names) if asked.by_name and self.names else None,
            "after": asked.changes_input is not None,
        }

    @cached_property
    def digest(self) -> str:
        """Of what it is called with."""
        return hashlib.sha256(json.dumps(self._encoded, sort_keys=True).encode()).hexdigest()

    @cached_property
    def _encoded(self) -> list[dict[str, Any]]:
        return [_record(value) for value in self.values]

    def kept(self) -> dict[str, Any]:
        """The call as a run keeps it; `Case.read` takes it."""
        names = list(self.names)
        return {
            "number": self.number,
            "hidden": self.hidden,
            "names": names,
            "values": self._encoded,
        }

    @classmethod
    def read(cls, check: str, kept: dict[str, Any]) -> Case:
        """A call out of what a run kept.

        Raises:
            ValueError, KeyError, TypeError: It is none.
        """
        values = tuple(_argument(record) for record in kept["values"])
        return cls(check, kept["number"], kept["hidden"], tuple(kept["names"]), values)

    def words(self, function: str) -> str:
        """The call in words: `crop(image 31×44×3, (3, 5, 20, 14))`."""
        return f"{function}({', '.join(shown(value) for value in self.values)})"


def _record(value: Any) -> dict[str, Any]:
    if isinstance(value, GivenFile):
        data = base64.b64encode(value.content).decode()
        return {"kind": "given_file", "name": value.name, "data": data}
    if isinstance(value, AbsentFile):
        return {"kind": "new_file" if value.new else "missing_file", "name": value.name}
    return encoded(value)


def _argument(record: dict[str, Any]) -> Any:
    if record["kind"] == "given_file":
        return GivenFile(record["name"], base64.b64decode(record["data"]))
    if record["kind"] in ("new_file", "missing_file"):
        return AbsentFile(record["name"], record["kind"] == "new_file")
    return decoded(record)


def shown(value: Any) -> str:
    """A value in a few words."""
    if isinstance(value, GivenFile | AbsentFile):
        return repr(value.name)
    if isinstance(value, np.ndarray):
        if value.size <= 8:
            return f"array({value.tolist()}, {value.dtype})"
        return f"{'×'.join(map(str, value.shape))} array of {value.dtype}"
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def cases_of(asked: FunctionCheck, hidden_seed: bytes | None) -> tuple[Case, ...]:
    """All calls of a check, public ones first.

    Args:
        asked: The table.
        hidden_seed: From the course key and the check's name; None for public ones alone. The
            submission has no part in it, so that the reference answers once for a whole class.
    """
    public = hashlib.sha256(b"public calls\0" + asked.name.encode()).digest()
    drawn = [(public, n, False) for n in range(asked.public)]
    if hidden_seed is not None:
        drawn += [(hidden_seed, n, True) for n in range(asked.drawn)]
    given = [(_given(asked, call), False) for call in asked.calls]
    found = [*given, *[(_drawn(asked, seed, n), hidden) for seed, n, hidden in drawn]]
    names = tuple(argument.name for argument in asked.arguments)
    return tuple(
        Case(asked.name, number, hidden, names, values)
        for number, (values, hidden) in enumerate(found)
    )


def _given(asked: FunctionCheck, call: Sequence[Any]) -> tuple[Any, ...]:
    """A call of the author's: lists become what the argument is."""
    if not asked.arguments:
        return tuple(call)
    return tuple(map(_as_argument, asked.arguments, call))


def _as_argument(argument: Argument, value: Any) -> Any:
    if argument.image is not None and isinstance(value, list):
        return np.array(value, argument.image.dtype)
    if argument.array is not None and isinstance(value, list | int | float):
        return np.array(value, argument.array.dtype)
    if argument.box_in is not None and isinstance(value, list):
        return tuple(value)
    if argument.new_file is not None or argument.missing_file is not None:
        return AbsentFile(str(value), argument.new_file is not None)
    return value


def _drawn(asked: FunctionCheck, seed: bytes, number: int) -> tuple[Any, ...]:
    draws = Draws(seed + number.to_bytes(4, "big"))
    sizes = {name: draws.integer(*most) for name, most in asked.sizes.items()}
    drawing = _Drawing(draws, sizes, number)
    for argument in asked.arguments:
        drawing.values[argument.name] = drawing.draw(argument)
    return tuple(drawing.values.values())


class _Drawing:
    """One call while it is drawn.

    Args:
        draws: The stream.
        sizes: Sizes that several arguments share.
        number: Of the call: choices are gone through in turn, so that public calls show them all.
    """

    def __init__(self, draws: Draws, sizes: dict[str, int], number: int) -> None:
        self.draws, self.sizes, self.number = draws, sizes, number
        self.values: dict[str, Any] = {}
        self.chosen = 0

    def draw(self, argument: Argument) -> Any:
        return getattr(self, f"_{argument.kind}")(argument)

    def _size(self, size: Size) -> int:
        if isinstance(size, str):
            return self.sizes[size]
        return self.draws.integer(*size) if isinstance(size, tuple) else size

    def _image(self, argument: Argument) -> NDArray[Any]:
        assert argument.image is not None
        return self._scene(argument.image)

    def _scene(self, asked: ImageRange) -> NDArray[Any]:
        height, width = self._size(asked.height), self._size(asked.width)
        pixels = scene(self.draws, height, width, asked.channels)
        if asked.channels == 1:
            pixels = pixels[:, :, 0]
        return pixels if asked.dtype == "uint8" else (pixels / 255).astype(asked.dtype)

    def _array(self, argument: Argument) -> NDArray[Any]:
        asked = argument.array
        assert asked is not None
        shape = [self._size(size) for size in asked.shape]
        if asked.dtype.startswith("float"):
            values = asked.low + (asked.high - asked.low) * self.draws.fractions(*shape)
            return np.round(values, 3).astype(asked.dtype)
        return self.draws.integers(round(asked.low), round(asked.high), *shape).astype(asked.dtype)

    def _integer(self, argument: Argument) -> int:
        assert argument.integer is not None
        return self._size(argument.integer)

    def _number(self, argument: Argument) -> float:
        assert argument.number is not None
        least, most = argument.number
        return round(least + (most - least) * self.draws.fraction(), 3)

    def _choice(self, argument: Argument) -> Any:
        assert argument.choice is not None
        # Several arguments with choices do not go in step.
        turn = self.number + self.chosen * (self.number // len(argument.choice))
        self.chosen += 1
        return argument.choice[turn % len(argument.choice)]

    def _box_in(self, argument: Argument) -> tuple[int, ...]:
        height, width = self.values[str(argument.box_in)].shape[:2]
        left, right = self._part(width)
        top, bottom = self._part(height)
        sides = {
            "left": left, "right": right, "top": top, "bottom": bottom,
            "width": right - left, "height": bottom - top,
        }  # fmt: skip
        return tuple(sides[name] for name in argument.box_as)

    def _part(self, size: int) -> tuple[int, int]:
        """A part of a side: it touches neither end where there is room."""
        edge = 1 if size >= 6 else 0
        length = self.draws.integer(max(1, size // 4), max(1, size // 2))
        start = self.draws.integer(edge, size - length - edge)
        return start, start + length

    def _image_file(self, argument: Argument) -> GivenFile:
        asked = argument.image_file
        assert asked is not None
        pixels = self._scene(asked)
        return GivenFile(asked.name, _file(asked.name, pixels))

    def _missing_file(self, argument: Argument) -> AbsentFile:
        return AbsentFile(str(argument.missing_file), new=False)

    def _new_file(self, argument: Argument) -> AbsentFile:
        return AbsentFile(str(argument.new_file), new=True)


def _file(name: str, pixels: NDArray[Any]) -> bytes:
    if name.endswith(".png"):
        return png(pixels)
    import io

    target = io.BytesIO()
    np.save(target, pixels)
    return target.getvalue()


def scene(draws: Draws, height: int, width: int, channels: int) -> NDArray[np.uint8]:
    """An image on which every slip shows: no two channels, sides or corners are alike.

    Args:
        draws: The stream.
        height: Rows.
        width: Columns.
        channels: Values of a pixel.
    """
    down = np.linspace(0.0, 1.0, height)[:, None, None]
    right = np.linspace(0.0, 1.0, width)[None, :, None]
    corners = draws.integers(20, 235, 3, channels).astype(np.float64)
    pixels = corners[0] + (corners[1] - corners[0]) * down + (corners[2] - corners[0]) * right
    for _ in range(4):
        top, left = draws.integer(0, height - 1), draws.integer(0, width - 1)
        tall, wide = draws.integer(1, max(1, height // 2)), draws.integer(1, max(1, width // 2))
        pixels[top : top + tall, left : left + wide] = draws.integers(0, 255, channels)
    noise = draws.integers(-8, 8, height, width, channels)
    clipped: NDArray[np.uint8] = np.clip(np.rint(pixels + noise), 0, 255).astype(np.uint8)
    return clipped
