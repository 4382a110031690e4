"""Kernels that are parts of a larger variable: told by their values, like everything here.

The numbers that stand for a variable are random, so none occurs twice. A kernel all of whose
numbers are found among those of the variables that it is computed from, at the same places under
both assignments, is a selection of them, however it was cut, turned or put together.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from grader.graph import work
from grader.graph.record import VariableRecord
from grader.graph.symbols import ASSIGNMENTS, MAX_ELEMENTS, Symbol, Unreadable, variable

Places = dict[int, NDArray[Any]]
"""For each variable, the places of its numbers that a kernel takes, in order."""


def places_of(kernel: Symbol, variables: tuple[VariableRecord, ...]) -> Places | None:
    """Which numbers of its variables a kernel is; None where it is computed in another way.

    A number that it takes twice makes it a computed one.
    """
    indices = sorted(kernel.variables)
    total = sum(variables[i].size for i in indices)
    if not indices or kernel.statistics or total > MAX_ELEMENTS:
        return None
    found: NDArray[Any] | None = None
    try:
        for k in ASSIGNMENTS:
            work.spend(4 * (total + kernel.size))
            at = _positions(kernel, [variable(i, tuple(variables[i].shape)) for i in indices], k)
            if at is None or (found is not None and not np.array_equal(at, found)):
                return None
            found = at
    except Unreadable:
        return None
    assert found is not None
    starts = np.cumsum([0, *[variables[i].size for i in indices]])
    return {
        index: found[(found >= low) & (found < high)] - low
        for index, low, high in zip(indices, starts[:-1], starts[1:], strict=True)
    }


def _positions(kernel: Symbol, held: list[Symbol], assignment: int) -> NDArray[Any] | None:
    """Where each number of a kernel stands among those of some variables, each at most once."""
    numbers = np.concatenate([symbol.value(assignment).reshape(-1) for symbol in held])
    wanted = kernel.value(assignment).reshape(-1)
    order = np.argsort(numbers)
    at = np.searchsorted(numbers[order], wanted)
    if np.any(at >= len(numbers)):
        return None
    places = order[at]
    if np.any(numbers[places] != wanted) or len(np.unique(places)) != len(places):
        return None
    return np.asarray(places)
