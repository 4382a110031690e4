"""Which positions stand along which axis of a tensor: the algebra of reshapes."""

from __future__ import annotations

import math
from functools import lru_cache

from grader.graph.canonical import Atom, Axes, Value
from grader.graph.symbols import Unreadable


@lru_cache(maxsize=4096)
def axis_of(role: str, size: int) -> tuple[Atom, ...]:
    """One axis that holds a whole role; an axis of one position holds nothing, but the batch."""
    return (Atom(role, 1, size),) if size > 1 or role == "N" else ()


@lru_cache(maxsize=4096)
def standard_axes(batch: int, height: int, width: int, channels: int) -> Axes:
    """(batch, height, width, channels)."""
    return (axis_of("N", batch), axis_of("H", height), axis_of("W", width), axis_of("C", channels))


def as_map(shape: tuple[int, ...], batch: int) -> tuple[int, int, int, int]:
    """A shape as (batch, height, width, channels); one of other axes is one long vector."""
    if len(shape) == 4:
        return shape[0], shape[1], shape[2], shape[3]
    if len(shape) == 2:
        return shape[0], 1, 1, shape[1]
    return batch, 1, 1, max(1, math.prod(shape) // max(batch, 1))


def axes_of(shape: tuple[int, ...], batch: int, height: int, width: int, channels: int) -> Axes:
    """The axes of a tensor whose shape is all that is known of it."""
    axes = standard_axes(batch, height, width, channels)
    if len(shape) == 4:
        return axes
    if len(shape) == 2:
        return (axes[0], axes[3])
    return tuple((Atom(f"X{i}", 1, n),) if n > 1 else () for i, n in enumerate(shape))


def is_laid_out(value: Value, layout: str = "NHWC") -> bool:
    """Whether the value's axes are those of `layout`, each whole and in order."""
    standard = standard_axes(value.batch, value.height, value.width, value.channels)
    return value.axes == tuple(standard["NHWC".index(letter)] for letter in layout)


def channel_axis(value: Value) -> int:
    """Which axis holds the channels, whole and in order.

    Raises:
        Unreadable: None does.
    """
    whole = axis_of("C", value.channels)
    if whole:
        for i, axis in enumerate(value.axes):
            if axis == whole:
                return i
    elif len(value.axes) == 4:
        return 3 if value.axes[1] == axis_of("H", value.height) else 1
    elif len(value.axes) == 2:
        return 1
    raise Unreadable("channels are no axis of their own")


def lies_like(part: Value, first: Value, axis: int) -> bool:
    """Whether two values differ in nothing but their channels, which lie along `axis`."""
    if (part.height, part.width) != (first.height, first.width):
        return False
    rest = zip(part.axes, first.axes, strict=True)
    return all(a == b for i, (a, b) in enumerate(rest) if i != axis)


def normalised(axis: int, rank: int) -> int:
    """An axis counted from the front.

    Raises:
        Unreadable: There is no such axis.
    """
    if not -rank <= axis < rank:
        raise Unreadable("an axis out of range")
    return axis % rank


def reshape_axes(axes: Axes, shape: tuple[int, ...]) -> Axes:
    """The atoms after a row-major reshape.

    Raises:
        Unreadable: The new axes cut across the old ones.
    """
    atoms = [a for axis in axes for a in axis]
    result: list[tuple[Atom, ...]] = []
    for position, length in enumerate(shape):
        held: list[Atom] = []
        remaining = length
        while atoms and (remaining > 1 or (atoms[0].size == 1 and position == 0)):
            atom = atoms.pop(0)
            if remaining % atom.size == 0:
                held.append(atom)
                remaining //= atom.size
            elif atom.size % remaining == 0:
                inner = atom.size // remaining
                held.append(Atom(atom.role, atom.stride * inner, remaining))
                atoms.insert(0, Atom(atom.role, atom.stride, inner))
                remaining = 1
            else:
                raise Unreadable("a reshape that cuts across height, width and channels")
        if remaining != 1:
            raise Unreadable("a reshape that does not fit")
        result.append(merged(held))
    if atoms:
        raise Unreadable("a reshape that does not fit")
    return tuple(result)


def merged(atoms: list[Atom]) -> tuple[Atom, ...]:
    """Neighbouring atoms that continue each other become one."""
    merged: list[Atom] = []
    for atom in atoms:
        before = merged[-1] if merged else None
        if (
            before is not None
            and before.role == atom.role
            and before.stride == atom.stride * atom.size
        ):
            merged[-1] = Atom(atom.role, atom.stride, before.size * atom.size)
        else:
            merged.append(atom)
    return tuple(merged)
