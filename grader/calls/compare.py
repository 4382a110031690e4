"""Whether a call gave what the reference gave; else the first difference, and where it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from grader.assignment import FunctionCheck
from grader.calls import causes
from grader.calls.cases import Case
from grader.calls.picture import is_image, pictures
from grader.calls.values import Answer, Other
from grader.domain import Thumbnail

QUICK_S = 0.2
"""Processor time of a call that is never too slow."""
SHOWN = 120


@dataclass(frozen=True)
class Difference:
    """The first difference between what a call gave and what the reference gave.

    Attributes:
        what: What differs: "shape", "value at row 3, column 7".
        expected: As the reference has it.
        received: As the student has it.
        more: How much else differs, for the message.
        cause: The slip that explains it, where it is recognised: "height and width are swapped".
        help: What to try.
        pictures: Of two images, and of where they differ.
    """

    what: str
    expected: str
    received: str
    more: str = ""
    cause: str = ""
    help: str = ""
    pictures: tuple[Thumbnail, ...] = ()


def difference(
    asked: FunctionCheck, case: Case, expected: Answer, received: Answer
) -> Difference | None:
    """The first difference of a call; None where there is none.

    Args:
        asked: What is looked at, and how closely.
        case: The call.
        expected: What the reference gave.
        received: What the student's function gave, exceptions included.
    """
    if expected.failure is not None or received.failure is not None:
        return _raised(expected, received)
    rule = _Rule(asked)
    return (
        _result(rule, case, expected, received)
        or _files(rule, case, expected.files or {}, received.files or {})
        or _after(rule, case, expected, received)
        or _memory(asked, received)
        or _time(asked, expected, received)
    )


def _result(rule: _Rule, case: Case, expected: Answer, received: Answer) -> Difference | None:
    if expected.result is None and (expected.files or rule.asked.changes_input):
        return None  # it is called for what it does; what it returns beside that is nobody's
    found = rule.differ(expected.result, received.result, "")
    if found is None:
        return None
    return _explained(found, rule, case, expected.result, received.result)


def _raised(expected: Answer, received: Answer) -> Difference | None:
    if expected.failure is None:
        assert received.failure is not None
        told = f"{received.failure.type}: {received.failure.message}".removesuffix(": ")
        return Difference("", "a result", told)
    wanted = expected.failure.type
    if received.failure is None:
        return Difference("exception", wanted, in_words(received.result), help=f"raise {wanted}.")
    if wanted in received.raised:
        return None
    return Difference("exception", wanted, received.failure.type)


def _files(
    rule: _Rule, case: Case, expected: Mapping[int, Any], received: Mapping[int, Any]
) -> Difference | None:
    for number, value in expected.items():
        place = f"the file {case.values[number].name}"
        mine = received.get(number)
        if mine is None and value is not None:
            return Difference(
                place,
                in_words(value),
                "no such file",
                help="Write to the path that the function receives, not to another one.",
            )
        found = rule.differ(value, mine, place)
        if found is not None:
            return _explained(found, rule, case, value, mine)
    return None


def _after(rule: _Rule, case: Case, expected: Answer, received: Answer) -> Difference | None:
    if rule.asked.changes_input is None:
        return None
    after = received.after or ()
    for number, given in enumerate(case.values):
        if not isinstance(given, np.ndarray | list):
            continue
        mine = after[number] if number < len(after) else None
        wanted = given
        if rule.asked.changes_input and expected.after is not None:
            wanted = expected.after[number]
        name = case.names[number] if case.names else f"argument {number + 1}"
        exact = not rule.asked.changes_input
        found = replace(rule, exact=exact).differ(wanted, mine, f"{name} after the call")
        if found is None:
            continue
        if rule.asked.changes_input:
            return _unchanged(found, name, given, mine) or _explained(
                found, rule, case, wanted, mine
            )
        return replace(
            found,
            what=f"{name} after the call",
            expected="as it was",
            received=f"changed; {found.more}" if found.more else "changed",
            more="",
            cause=f"the function changes {name}, which belongs to the caller",
            help=f"Work on a copy: {name} = {name}.copy().",
        )
    return None


def _unchanged(found: Difference, name: str, given: Any, mine: Any) -> Difference | None:
    if not np.array_equal(given, mine):
        return None
    return replace(
        found,
        cause=f"the function leaves {name} as it was",
        help=f"Write into it, {name}[...] = ..., and make no new one.",
    )


def _memory(asked: FunctionCheck, received: Answer) -> Difference | None:
    wanted = asked.shares_memory
    if wanted is None or wanted == received.shares:
        return None
    view, copy = "a view of the argument", "an array of its own"
    if wanted:
        return Difference("memory of the result", view, copy, help="Slice it, without a copy.")
    return Difference(
        "memory of the result",
        copy,
        view,
        cause="who changes the result changes the argument too",
        help="A slice is a view: end it with .copy().",
    )


def _time(asked: FunctionCheck, expected: Answer, received: Answer) -> Difference | None:
    if asked.slower_at_most is None:
        return None
    allowed = max(QUICK_S, asked.slower_at_most * expected.seconds)
    if received.seconds <= allowed:
        return None
    return Difference(
        "processor time",
        f"at most {allowed:.1f} s",
        f"{received.seconds:.1f} s",
        help="Let NumPy do what a loop over pixels does now.",
    )


def _explained(
    found: Difference, rule: _Rule, case: Case, expected: Any, received: Any
) -> Difference:
    """With its cause, where that can be told, and with pictures."""
    named = causes.cause(expected, received, case.values, rule.equal)
    cause, help = named or (found.cause, found.help)
    images = is_image(expected) and is_image(received)
    shown = pictures(expected, received) if images else ()
    return replace(found, cause=cause, help=help, pictures=shown)


@dataclass(frozen=True)
class _Rule:
    """How closely values are compared.

    Attributes:
        asked: The table.
        exact: Whether nothing may be off.
    """

    asked: FunctionCheck
    exact: bool = False

    def equal(self, expected: Any, received: Any) -> bool:
        """Whether there is no difference."""
        return self.differ(expected, received, "") is None

    def differ(self, expected: Any, received: Any, place: str) -> Difference | None:
        """The first difference of two values.

        Args:
            expected: The reference's.
            received: The student's.
            place: Which value: "" for the result itself.
        """
        if isinstance(received, np.ndarray) and received.ndim == 0:
            received = received[()]
        if isinstance(expected, np.ndarray) and expected.ndim == 0:
            expected = expected[()]
        if self.asked.types == "any":
            expected, received = _freely(expected), _freely(received)
        if not self._same_kind(expected, received):
            return self._of_kinds(expected, received, place)
        if isinstance(expected, np.ndarray):
            return self._arrays(expected, received, place)
        if isinstance(expected, list | tuple):
            return self._several(expected, received, place)
        if isinstance(expected, dict):
            return self._tables(expected, received, place)
        if _is_number(expected) and not isinstance(expected, bool):
            same = self._off(np.asarray(expected), np.asarray(received)).any() == np.False_
        else:
            same = expected == received
        if same:
            return None
        return Difference(_named(place, "value"), in_words(expected), in_words(received))

    def _same_kind(self, expected: Any, received: Any) -> bool:
        if self.asked.types == "same" and not self.exact:
            return type(expected) is type(received)
        if _is_number(expected) and _is_number(received):
            if isinstance(expected, bool) or isinstance(received, bool):
                return isinstance(expected, bool) and isinstance(received, bool)
            whole = not _is_whole(expected) or _is_whole(received)
            return whole or self.asked.types == "any"
        kinds: tuple[Any, ...] = (np.ndarray, list | tuple, dict, str, type(None))
        return any(isinstance(expected, k) and isinstance(received, k) for k in kinds)

    def _of_kinds(self, expected: Any, received: Any, place: str) -> Difference:
        what = _named(place, "type" if place else "type of the result")
        return Difference(what, in_words(expected), in_words(received))

    def _several(self, expected: Any, received: Any, place: str) -> Difference | None:
        if len(expected) != len(received):
            what = _named(place, "length")
            return Difference(what, str(len(expected)), str(len(received)))
        for i, (mine, theirs) in enumerate(zip(expected, received, strict=True)):
            found = self.differ(mine, theirs, f"{place or 'result'}[{i}]")
            if found is not None:
                return found
        return None

    def _tables(self, expected: Any, received: Any, place: str) -> Difference | None:
        for key in expected:
            if key not in received:
                return Difference(_named(place, "keys"), repr(key), in_words(list(received)))
            found = self.differ(expected[key], received[key], f"{place or 'result'}[{key!r}]")
            if found is not None:
                return found
        extra = [key for key in received if key not in expected]
        if extra:
            return Difference(_named(place, "keys"), in_words(list(expected)), in_words(extra[0]))
        return None

    def _arrays(
        self, expected: NDArray[Any], received: NDArray[Any], place: str
    ) -> Difference | None:
        if expected.shape != received.shape:
            what = _named(place, "shape")
            return Difference(what, str(expected.shape), str(received.shape))
        if not self._same_dtype(expected.dtype, received.dtype):
            what = _named(place, "dtype")
            return Difference(what, expected.dtype.name, received.dtype.name)
        off = self._off(expected, received)
        if not off.any():
            return None
        first = tuple(int(i) for i in np.unravel_index(int(off.argmax()), off.shape))
        count = int(off.sum())
        return Difference(
            _named(place, f"value at {_where(first, expected)}"),
            in_words(expected[first]),
            in_words(received[first]),
            more=f"{count} of {off.size} values differ",
        )

    def _same_dtype(self, expected: np.dtype[Any], received: np.dtype[Any]) -> bool:
        if self.asked.types == "any":
            return True
        if self.asked.types == "same":
            return expected == received
        return _dtype_kind(expected) == _dtype_kind(received)

    def _off(self, expected: NDArray[Any], received: NDArray[Any]) -> NDArray[np.bool_]:
        """Where values are too far apart."""
        tolerance = self._tolerance(expected)
        if tolerance == 0 and expected.dtype.kind in "iu" and received.dtype.kind in "iu":
            return (
                expected.astype(object) != received.astype(object)
                if _wide(expected, received)
                else np.asarray(expected.astype(np.int64) != received.astype(np.int64))
            )
        a, b = expected.astype(np.float64), received.astype(np.float64)
        with np.errstate(invalid="ignore", over="ignore"):
            near = (a == b) | (np.isnan(a) & np.isnan(b)) | (np.abs(a - b) <= tolerance)
        return np.asarray(~near)

    def _tolerance(self, expected: NDArray[Any]) -> float:
        if self.exact:
            return 0.0
        if self.asked.tolerance is not None:
            return self.asked.tolerance
        if expected.dtype.kind in "iub":
            return 0.0
        finite = np.abs(expected[np.isfinite(expected)].astype(np.float64))
        return 1e-5 * float(finite.max(initial=0.0)) + 1e-9


def _wide(*arrays: NDArray[Any]) -> bool:
    """Whether a value may be beyond int64."""
    return any(array.dtype == np.uint64 or array.dtype == object for array in arrays)


def _freely(value: Any) -> Any:
    """A value without its type, where values alone count."""
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, list | tuple) and value:
        try:
            array = np.asarray(value)
        except ValueError:
            return value
        return array if array.dtype.kind in "iufb" else value
    return value


def _is_number(value: Any) -> bool:
    return isinstance(value, bool | int | float | np.number)


def _is_whole(value: Any) -> bool:
    return isinstance(value, int | np.integer)


def _dtype_kind(dtype: np.dtype[Any]) -> str:
    if dtype == np.uint8:
        return "uint8"
    return {"i": "int", "u": "int"}.get(dtype.kind, dtype.kind)


def _named(place: str, what: str) -> str:
    return f"{place}, {what}" if place else what


def _where(index: tuple[int, ...], array: NDArray[Any]) -> str:
    """A place in an array, in words where it is an image."""
    if is_image(array):
        names = ("row", "column", "channel")
        return ", ".join(f"{name} {i}" for name, i in zip(names, index, strict=False))
    return f"index {list(index)}"


def in_words(value: Any) -> str:
    """A value as a person reads it."""
    if isinstance(value, Other):
        return value.type
    if isinstance(value, np.ndarray):
        return f"an array of shape {value.shape} and dtype {value.dtype.name}"
    if isinstance(value, np.floating | float):
        return f"{float(value):.6g}"
    if isinstance(value, np.integer):
        return str(int(value))
    if isinstance(value, list | tuple) and not all(_is_number(v) or v is None for v in value):
        parts = ", ".join(in_words(item) for item in value)
        text = f"[{parts}]" if isinstance(value, list) else f"({parts})"
    else:
        text = repr(_plainly(value))
    return text if len(text) <= SHOWN else f"{text[: SHOWN - 3]}..."


def _plainly(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, list | tuple):
        return type(value)(_plainly(item) for item in value)
    return value
