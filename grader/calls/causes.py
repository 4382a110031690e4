"""Slips with images, arrays and numbers that a wrong result shows, by name.

Each is one question: would the result be right without this slip? None of them tells the result.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Named = tuple[str, str]
"""What is wrong, and what to try."""
Equal = Callable[[Any, Any], bool]

CHANNELS = (
    "the channels are in the opposite order, as BGR is to RGB",
    "cv2.imread gives BGR; most others want RGB. image[..., ::-1] turns one into the other.",
)
TURNED = (
    "height and width are swapped",
    "A shape is (height, width, channels), an index [row, column]; cv2.resize and cv2's points "
    "want (width, height), (x, y).",
)
SCALED = (
    "the values are 255 times too small",
    "A pixel of uint8 goes from 0 to 255: it is not divided here.",
)
UNSCALED = ("the values are 255 times too large", "Floats go from 0 to 1 here: divide by 255.")
FLOATS = (
    "the values are right, the dtype is not",
    "End with .astype(np.{0}); rounding comes first where values have a fraction.",
)
ROWS = ("the rows are upside down", "Row 0 is the top one.")
COLUMNS = ("the columns are mirrored", "Column 0 is the left one.")
BOTH = ("the result is turned by 180°", "Row 0 and column 0 are at the top left.")
INPUT = ("it is the argument as it came", "Return what was computed, not what was given.")
NEGATIVE = ("the sign is the opposite", "Look at what is taken from what.")
DIVIDED = (
    "it is a float where a whole number is expected",
    "`/` gives a float, `//` a whole number.",
)
ONE_OFF = ("it is off by one", "Count both ends once on paper, for a small example.")
PAIR = ("the values are right, their order is the opposite", "Return them in the order asked for.")


def cause(expected: Any, received: Any, arguments: Sequence[Any], equal: Equal) -> Named | None:
    """The slip that explains a wrong result; None where none does.

    Args:
        expected: What is right.
        received: What is wrong.
        arguments: What the function was called with.
        equal: Whether two values count as the same.
    """
    if isinstance(expected, np.ndarray) and isinstance(received, np.ndarray):
        if expected.dtype.kind not in "iufb" or received.size == 0 or expected.size == 0:
            return None
        return next(_of_arrays(expected, received, arguments, equal), None)
    if isinstance(expected, list | tuple) and isinstance(received, list | tuple):
        backwards = len(received) > 1 and equal(expected, received[::-1])
        return PAIR if backwards else _of_lists(expected, received)
    return _of_numbers(expected, received)


def _of_arrays(
    expected: NDArray[Any], received: NDArray[Any], arguments: Sequence[Any], equal: Equal
) -> Iterator[Named]:
    with np.errstate(all="ignore"):
        # What hardly any image tells apart comes last.
        if _same_values(expected, received, equal):
            yield FLOATS[0], FLOATS[1].format(expected.dtype.name)
        for array in arguments:
            if isinstance(array, np.ndarray) and _identical(array, received):
                yield INPUT
        if expected.ndim == 3 and expected.shape[2] in (3, 4):
            if _is(expected, received[..., ::-1] if received.ndim == 3 else None, equal):
                yield CHANNELS
        yield from _turned(expected, received, equal)
        for named, turned in (
            (ROWS, received[::-1]),
            (COLUMNS, received[:, ::-1] if received.ndim > 1 else None),
            (BOTH, received[::-1, ::-1] if received.ndim > 1 else None),
        ):
            if _is(expected, turned, equal):
                yield named
        yield from _of_scale(expected, received, equal)
        yield from _shifted(expected, received, equal)


def _turned(expected: NDArray[Any], received: NDArray[Any], equal: Equal) -> Iterator[Named]:
    if expected.ndim < 2 or received.ndim != expected.ndim:
        return
    swapped = received.swapaxes(0, 1)
    square = expected.shape[0] == expected.shape[1]
    if _is(expected, swapped, equal) or (not square and swapped.shape == expected.shape):
        yield TURNED


def _of_scale(expected: NDArray[Any], received: NDArray[Any], equal: Equal) -> Iterator[Named]:
    if expected.shape != received.shape:
        return
    wide = received.astype(np.float64)
    if not wide.any() and expected.any():
        yield "every value is 0", "Is the result computed, and not only made with np.zeros?"
        return
    if _is(expected, wide * 255, equal) or _is(expected, np.rint(wide * 255), equal):
        yield SCALED
    if _is(expected, wide / 255, equal):
        yield UNSCALED
    if expected.dtype == np.uint8 and _is(expected, 255 - wide, equal):
        yield "light and dark are swapped", "Look for a 255 - x."
    if _is(expected, -wide, equal):
        yield NEGATIVE


def _shifted(expected: NDArray[Any], received: NDArray[Any], equal: Equal) -> Iterator[Named]:
    """The right values, one row or column off, or one too many or too few."""
    if expected.ndim != received.ndim:
        return
    for axis, name in enumerate(("row", "column")[: expected.ndim]):
        first, last = (_without_one(received, axis, end) for end in (0, -1))
        one, other = (_without_one(expected, axis, end) for end in (0, -1))
        if min(first.shape[axis], one.shape[axis]) < 2:
            continue
        if _is(other, first, equal) or _is(one, last, equal):
            yield f"it is shifted by one {name}", ONE_OFF[1]
        if _is(one, received, equal) or _is(other, received, equal):
            yield f"one {name} is missing at an end", ONE_OFF[1]
        if _is(expected, first, equal) or _is(expected, last, equal):
            yield f"there is one {name} too many", ONE_OFF[1]


def _without_one(array: NDArray[Any], axis: int, end: int) -> NDArray[Any]:
    """An array without the first, or the last, along an axis."""
    kept = slice(1, None) if end == 0 else slice(None, -1)
    return array[(slice(None),) * axis + (kept,)]


def _is(expected: NDArray[Any], turned: NDArray[Any] | None, equal: Equal) -> bool:
    """Whether an array, with the dtype forgiven, is the right one."""
    if turned is None or turned.shape != expected.shape:
        return False
    return equal(expected, turned) or _same_values(expected, turned, equal)


def _same_values(expected: NDArray[Any], received: NDArray[Any], equal: Equal) -> bool:
    """Whether two arrays differ in nothing but their dtype, fractions of a pixel forgiven."""
    if expected.shape != received.shape or expected.dtype == received.dtype:
        return False
    given = received.astype(np.float64)
    if expected.dtype == np.uint8 and np.all((given > -0.5) & (given < 255.5)):
        return equal(expected, np.rint(given).astype(np.uint8))
    held = given.astype(expected.dtype)
    loss = np.abs(held.astype(np.float64) - given)
    small = bool(np.all(loss <= 1e-6 * np.maximum(1, np.abs(given))))
    return small and equal(expected, held)


def _identical(argument: NDArray[Any], received: NDArray[Any]) -> bool:
    return argument.shape == received.shape and bool(np.array_equal(argument, received))


def _of_lists(expected: Any, received: Any) -> Named | None:
    pairs = zip(expected, received, strict=False)
    return next((named for named in (_of_numbers(e, r) for e, r in pairs) if named), None)


def _of_numbers(expected: Any, received: Any) -> Named | None:
    numbers = (int, float, np.number)
    if isinstance(expected, bool) or isinstance(received, bool):
        return None
    if not isinstance(expected, numbers) or not isinstance(received, numbers):
        return None
    whole, mine = float(expected), float(received)
    if isinstance(expected, int | np.integer) and not isinstance(received, int | np.integer):
        return DIVIDED
    if whole == -mine:
        return NEGATIVE
    if isinstance(expected, int | np.integer) and abs(whole - mine) == 1:
        return ONE_OFF
    return None
