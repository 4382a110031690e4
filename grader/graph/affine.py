"""y = A·x + B, channel by channel: what batch norms, biases and scalings come down to.

However it was written, such a map is a row of terms. `Affine.parts` recognises its pieces by their
values: the longest batch norm first, then trained offsets and factors, then numbers.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from grader.graph import work
from grader.graph.symbols import (
    ASSIGNMENTS,
    Symbol,
    Unreadable,
    Values,
    digest,
    stand_in,
    unreached,
)

if TYPE_CHECKING:
    from grader.graph.canonical import Statistic

Array = NDArray[Any]
TOLERANCE = 1e-6
LARGEST_EPSILON = 10.0
"""Any epsilon is a batch norm's; a larger one drowns every variance and is something else."""

OUTSIDE = "epsilon outside the root"
UNBIASED = "the unbiased variance"
VARIANTS = (OUTSIDE, UNBIASED)
"""Ways to normalise that differ from the plain formula and are batch norms all the same."""


@dataclass(frozen=True)
class Term:
    """One multiplication or addition of a per-channel vector (or a number for all channels).

    Attributes:
        operation: "multiply" or "add".
        symbol: The vector, shape (channels,) or ().
        origin: The symbol as the network has it, before broadcasting; for its bare variable.
        applied_to: Key of the value it is applied to, where batch statistics stand in it: they
            have to be that value's.
    """

    operation: str
    symbol: Symbol
    origin: Symbol
    applied_to: str = ""

    @property
    def key(self) -> str:
        """Equal for equal terms."""
        return f"{self.operation}:{self.symbol.key}"


@dataclass(frozen=True)
class Part:
    """One recognised piece of an affine map.

    Attributes:
        kind: "batch_norm", "bias" (a trained offset), "scale" (a trained factor), "constant"
            (numbers: y = a·x + b) or "other".
        statistics: For a batch norm: "moving" or "batch".
        roles: For a batch norm: the variable index by role (mean, variance, gamma, beta); for a
            bias or scale: {"offset"/"factor": index}.
        epsilon: For a batch norm.
        factor: For a constant: a, per channel or one number.
        offset: For a constant: b.
        normalises: For a batch norm over batch statistics: key of the value they are taken of.
        variant: For a batch norm: how it differs from the plain formula, "" where it does not;
            see `VARIANTS`.
        note: For another: what it is, for a person.
    """

    kind: str
    statistics: str = ""
    roles: tuple[tuple[str, int], ...] = ()
    epsilon: float = 0.0
    factor: Array | None = None
    offset: Array | None = None
    normalises: str = ""
    variant: str = ""
    note: str = ""

    def role(self, name: str) -> int | None:
        """The variable that plays a role."""
        return dict(self.roles).get(name)

    def numbers(self, start: int, width: int) -> tuple[Array, Array]:
        """a and b of a constant, for some of its channels."""
        assert self.factor is not None
        assert self.offset is not None
        return self.factor[start : start + width], self.offset[start : start + width]


Piece = tuple[Part, int, int]
"""A part, its first term and one past its last."""


@dataclass(frozen=True)
class Affine:
    """y = A·x + B with per-channel A and B, as the terms that were applied in turn."""

    terms: tuple[Term, ...]
    channels: int

    @cached_property
    def key(self) -> str:
        """Equal for equal maps."""
        return digest("affine", self.channels, *[t.key for t in self.terms])

    @cached_property
    def stopped(self) -> frozenset[int | str]:
        """The variables (indices) and batch statistics (keys) in it that no gradient reaches."""
        return unreached([t.symbol for t in self.terms])

    @cached_property
    def statistics(self) -> tuple[Statistic, ...]:
        """The batch statistics that stand in it."""
        found = {s.key: s for term in self.terms for s in term.symbol.statistics}
        return tuple(found.values())

    def coefficients(self, start: int, stop: int, assignment: int | Values) -> tuple[Array, Array]:
        """A and B of terms[start:stop] as vectors of `channels` numbers."""
        work.spend(self.channels * (2 + stop - start))
        factor = np.ones(self.channels)
        offset = np.zeros(self.channels)
        with np.errstate(all="ignore"):
            for term in self.terms[start:stop]:
                vector = term.symbol.known(assignment)
                if term.operation == "multiply":
                    factor, offset = factor * vector, offset * vector
                else:
                    offset = offset + vector
        return factor, offset

    @cached_property
    def parts(self) -> tuple[Part, ...]:
        """The map as recognised pieces, the longest batch norm first."""
        return tuple(part for part, _, _ in self._pieces)

    def apart(self) -> tuple[Affine, ...]:
        """The map as maps of one recognised piece each, less those that change nothing."""
        return tuple(Affine(self.terms[at:stop], self.channels) for _, at, stop in self._pieces)

    @cached_property
    def _pieces(self) -> tuple[Piece, ...]:
        found: list[Piece] = []
        at, count = 0, len(self.terms)
        while at < count:
            for stop in range(min(count, at + 12), at, -1):
                part = self._normalisation(at, stop)
                if part is not None:
                    break
            else:
                part, stop = self._single(at), at + 1
            found.append((part, at, stop))
            at = stop
        return tuple(_fold(found))

    def _single(self, at: int) -> Part:
        term = self.terms[at]
        multiplies = term.operation == "multiply"
        if term.symbol.constant is not None:
            vector = np.broadcast_to(term.symbol.constant, (self.channels,)).astype(np.float64)
            ones, zeros = np.ones(self.channels), np.zeros(self.channels)
            return (
                Part("constant", factor=vector, offset=zeros)
                if multiplies
                else Part("constant", factor=ones, offset=vector)
            )
        if term.origin.bare is not None and not term.symbol.statistics:
            role = "factor" if multiplies else "offset"
            index = term.origin.bare[0]
            return Part("scale" if multiplies else "bias", roles=((role, index),))
        return Part("other", note=_note(term))

    def _normalisation(self, start: int, stop: int) -> Part | None:
        """terms[start:stop] as one batch norm, if they are one, tested by value."""
        variables: set[int] = set()
        statistics: dict[str, Any] = {}
        for term in self.terms[start:stop]:
            if term.symbol.kind == "opaque" or term.symbol.shape not in ((), (self.channels,)):
                return None
            variables |= term.symbol.variables
            for statistic in term.symbol.statistics:
                statistics[statistic.key] = statistic
        if len(variables) > 4 or len(statistics) > 2 or not (variables or statistics):
            return None
        try:
            maps = [self.coefficients(start, stop, k) for k in ASSIGNMENTS]
        except (Unreadable, ValueError):
            return None
        if statistics:
            return self._batch_statistics(start, stop, variables, statistics, maps)
        return self._moving_statistics(start, stop, variables, maps)

    def _moving_statistics(
        self, start: int, stop: int, variables: set[int], maps: list[tuple[Array, Array]]
    ) -> Part | None:
        if len(variables) < 2:
            return None
        values = self._stand_ins(variables)
        # Keras makes scale, offset, mean and variance in this order: that guess comes first.
        for variance, mean in itertools.permutations(sorted(variables, reverse=True), 2):
            rest = sorted(variables - {mean, variance})
            for gamma, beta in _assignments(rest):
                for variant in ("", OUTSIDE):
                    epsilon = _epsilon(
                        maps,
                        [values[mean][k] for k in ASSIGNMENTS],
                        [values[variance][k] for k in ASSIGNMENTS],
                        None if gamma is None else values[gamma],
                        None if beta is None else values[beta],
                        variant,
                    )
                    if epsilon is not None:
                        roles = _roles(mean, variance, gamma, beta)
                        return Part("batch_norm", "moving", roles, epsilon, variant=variant)
        return None

    def _stand_ins(self, variables: set[int]) -> dict[int, list[Array]]:
        return {i: [stand_in(i, (self.channels,), k) for k in ASSIGNMENTS] for i in variables}

    def _batch_statistics(
        self,
        start: int,
        stop: int,
        variables: set[int],
        statistics: dict[str, Any],
        maps: list[tuple[Array, Array]],
    ) -> Part | None:
        values = self._stand_ins(variables)
        shortest = min(statistics.values(), key=lambda s: s.steps)
        applied_to = {t.applied_to for t in self.terms[start:stop] if t.applied_to}
        if shortest.of not in applied_to:
            return None  # normalised by what another value has
        try:
            moments = [shortest.moments(k) for k in ASSIGNMENTS]
        except Unreadable:
            return None
        means = [mean for mean, _ in moments]
        for gamma, beta in _assignments(sorted(variables)):
            for variant in ("", *VARIANTS):
                share = shortest.unbiased if variant == UNBIASED else 1.0
                epsilon = _epsilon(
                    maps,
                    means,
                    [variance * share for _, variance in moments],
                    None if gamma is None else values[gamma],
                    None if beta is None else values[beta],
                    variant,
                )
                if epsilon is not None:
                    roles = _roles(None, None, gamma, beta)
                    return Part(
                        "batch_norm", "batch", roles, epsilon, None, None, shortest.of, variant
                    )
        return None


def _note(term: Term) -> str:
    """What a multiplication or addition is that is no part of a batch norm."""
    if term.symbol.statistics:
        return "a normalisation by other numbers than the batch's mean and variance"
    kind = "factor" if term.operation == "multiply" else "offset"
    if term.symbol.variables and term.symbol.shape == ():
        return f"a trained {kind}, the same for all maps"
    return f"a {kind} that is computed from trained weights"


def _assignments(rest: list[int]) -> Iterable[tuple[int | None, int | None]]:
    """Which of at most two variables is gamma and which beta."""
    if not rest:
        yield None, None
    elif len(rest) == 1:
        yield rest[0], None
        yield None, rest[0]
    elif len(rest) == 2:
        yield rest[0], rest[1]
        yield rest[1], rest[0]


def _roles(
    mean: int | None, variance: int | None, gamma: int | None, beta: int | None
) -> tuple[tuple[str, int], ...]:
    pairs = (("mean", mean), ("variance", variance), ("gamma", gamma), ("beta", beta))
    return tuple((name, index) for name, index in pairs if index is not None)


def _epsilon(
    maps: list[tuple[Array, Array]],
    means: list[Array],
    variances: list[Array],
    gammas: list[Array] | None,
    betas: list[Array] | None,
    variant: str,
) -> float | None:
    """The epsilon that makes A = γ/√(σ² + ε) and B = β - μA hold, or None if none does.

    Where it stands outside the root, A = γ/(σ + ε).
    """
    found = None
    for k, (factor, offset) in enumerate(maps):
        gamma = np.ones_like(factor) if gammas is None else gammas[k]
        beta = np.zeros_like(offset) if betas is None else betas[k]
        if means[k].shape != factor.shape or variances[k].shape != factor.shape:
            return None
        # Most guesses of the roles fail in the first channel already.
        first = float(beta[0] - means[k][0] * factor[0])
        if not math.isclose(offset[0], first, rel_tol=1e-4, abs_tol=10 * TOLERANCE):
            return None
        if not np.all(factor > 0):
            return None
        if variant == OUTSIDE:
            epsilon = gamma / factor - np.sqrt(variances[k])
        else:
            epsilon = (gamma / factor) ** 2 - variances[k]
        centre = float(epsilon[0])
        if not -TOLERANCE <= centre <= LARGEST_EPSILON or not all_close(epsilon, centre, 1e-7):
            return None
        if found is not None and not math.isclose(found, centre, rel_tol=1e-5, abs_tol=1e-7):
            return None
        if not all_close(offset, beta - means[k] * factor, TOLERANCE):
            return None
        found = centre
    return found


def all_close(a: Array, b: Array | float, atol: float) -> bool:
    """As `np.allclose`, in a tenth of its time; what is not finite is close to nothing."""
    with np.errstate(invalid="ignore", over="ignore"):
        difference = np.abs(a - b)
        return bool(((difference <= atol + 1e-5 * np.abs(b)) & np.isfinite(difference)).all())


def _fold(pieces: list[Piece]) -> list[Piece]:
    """Compose neighbouring constants; drop those that change nothing."""
    folded: list[Piece] = []
    for part, at, stop in pieces:
        if part.kind == "constant" and folded and folded[-1][0].kind == "constant":
            before, at, _ = folded.pop()
            assert before.factor is not None and before.offset is not None
            assert part.factor is not None and part.offset is not None
            part = Part(
                "constant",
                factor=before.factor * part.factor,
                offset=before.offset * part.factor + part.offset,
            )
        folded.append((part, at, stop))
    return [piece for piece in folded if not _changes_nothing(piece[0])]


def _changes_nothing(part: Part) -> bool:
    return (
        part.kind == "constant"
        and part.factor is not None
        and part.offset is not None
        and bool(np.allclose(part.factor, 1.0, rtol=0, atol=TOLERANCE))
        and bool(np.allclose(part.offset, 0.0, atol=TOLERANCE))
    )
