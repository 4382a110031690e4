"""Moving averages of a batch norm: whether training moves them towards those of the batch.

At inference a batch norm has nothing but these averages, so a mean that follows another number,
or does not follow at all, is another function. An update is tested by its value, like everything
on this side (symbols.py): new = a·old + d·batch must hold for all channels and assignments, with
a + d near 1. The variance may be the sample's, n / (n - 1) times the batch's. In bfloat16 a
momentum of 0.99 is 0.9883.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum

import numpy as np

from grader.graph.affine import Affine, Array, Part, all_close
from grader.graph.canonical import Graph, Node, Statistic
from grader.graph.steps import words
from grader.graph.symbols import ASSIGNMENTS, Symbol, Unreadable, variable

LARGEST_RATIO = {"mean": 1.2, "variance": 2.0}
"""Of d and 1 - a. For the variance n / (n - 1) of the smallest batch that has one, two numbers; for
the mean what rounding a momentum of 0.99 to bfloat16 makes of 1."""
TOLERANCE = 1e-4


class Follows(StrEnum):
    """Whether a moving average follows the batch; a person looks where it cannot be read."""

    YES = "it follows the batch"
    NO = "it follows something else"
    UNREAD = "how it moves cannot be read"


def follows_batch(
    update: Symbol | None, index: int, role: str, norm: Part, affine: Affine
) -> Follows:
    """Whether a moving average is moved towards what its batch norm measures in training.

    Args:
        update: What training sets the average to; None where that depends on single images.
        index: The variable that holds the average.
        role: "mean" or "variance".
        norm: That batch norm in training.
        affine: The map it is a piece of.
    """
    if update is None:
        return Follows.NO
    statistics = [s for t in affine.terms for s in t.symbol.statistics]
    measured = next((s for s in statistics if s.of == norm.normalises), None)
    if measured is None:
        return Follows.UNREAD
    try:
        found = moved(update, index, role, measured)
    except (Unreadable, ValueError):
        return Follows.UNREAD
    return Follows.NO if found is None or not _towards(*found, role) else Follows.YES


def norms_of(graph: Graph) -> Iterator[tuple[Node | None, Part, Affine]]:
    """Every batch norm of a network, with what receives it (None: the output)."""
    received = [(node, value) for node in graph.nodes for value in node.inputs]
    output = [(None, graph.output)] if graph.output is not None else []
    seen: set[tuple[int | None, Part]] = set()
    for node, value in (*received, *output):
        for word in (w for segment in value.segments for w in words(segment)):
            part, affine, at = word.part, word.step.affine, None if node is None else node.index
            if word.kind == "BN" and part is not None and affine is not None:
                if (at, part) not in seen:
                    seen.add((at, part))
                    yield node, part, affine


def identity(node: Node | None, part: Part) -> tuple[int | None, ...]:
    """What tells a batch norm in both modes: its trained scale and offset, else its receiver's.

    Args:
        node: What receives it; None for the output.
        part: The batch norm.
    """
    gains = part.role("gamma"), part.role("beta")
    if gains != (None, None) or node is None:
        return gains
    return None, None, *node.trained


def answers(inference: Graph, training: Graph) -> dict[int, Follows]:
    """Whether each moving average that is updated in training follows its batch, by its variable.

    Batch norms of which training has no counterpart are left out: there the two modes differ.
    """
    measured = {identity(n, part): (part, affine) for n, part, affine in norms_of(training)}
    return {
        index: follows_batch(training.updates[index], index, role, *norm)
        for node, part, _ in norms_of(inference)
        if (norm := measured.get(identity(node, part))) is not None
        for role, index in part.roles
        if role in ("mean", "variance") and index in training.updates
    }


def _towards(kept: float, added: float, role: str) -> bool:
    """Whether kept·old + added·batch moves an average towards the batch's."""
    share, ratio = 1.0 - kept, LARGEST_RATIO[role]
    moves = -TOLERANCE <= kept < 1.0 - 1e-7
    return moves and share / ratio - TOLERANCE <= added <= share * ratio + TOLERANCE


def momentum_of(update: Symbol | None, index: int) -> float | None:
    """m where training sets a moving mean to m·old + (1 - m)·batch; None where it does not.

    Args:
        update: What training sets the mean to.
        index: The variable that holds it.
    """
    if update is None or not update.statistics:
        return None
    measured = min(update.statistics, key=lambda s: s.steps)
    try:
        found = moved(update, index, "mean", measured)
    except (Unreadable, ValueError):
        return None
    kept, added = found or (-1.0, 0.0)
    steady = 0 <= round(kept, 6) < 1 and np.isclose(kept + added, 1.0, atol=1e-5)
    return round(kept, 6) if steady else None


def moved(update: Symbol, index: int, role: str, measured: Statistic) -> tuple[float, float] | None:
    """a and d of an update to a·old + d·batch; None where it is no such update.

    Raises:
        Unreadable: The update cannot be computed here.
        ValueError: It has another shape than what is measured.
    """
    rows: list[Array] = []
    results: list[Array] = []
    for k in ASSIGNMENTS:
        batch = measured.moments(k)[0 if role == "mean" else 1]
        old = variable(index, update.shape).value(k).reshape(batch.shape)
        rows.append(np.stack([old, batch], axis=1))
        results.append(update.value(k).reshape(batch.shape))
    terms, new = np.concatenate(rows), np.concatenate(results)
    (kept, added), *_ = np.linalg.lstsq(terms, new, rcond=None)
    if not all_close(terms @ np.array([kept, added]), new, TOLERANCE):
        return None
    return float(kept), float(added)
