"""The graph that is trained: that of inference, with what only training has in its place.

Both graphs describe the same network. That of inference has batch norms with moving averages, as
Keras's layer has them; that of training has the dropout.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from grader.graph.affine import TOLERANCE, Part
from grader.graph.canonical import Graph, Node, Segment, Step, Value

RANDOM = ("dropout", "noise")


def with_random_steps(inference: Graph, training: Graph | None) -> tuple[Graph, list[str]]:
    """The graph of inference with the dropout of training, and each piece of a map as its own step.

    Returns:
        That graph, and what of the training graph could not be taken over.
    """
    mine, theirs = _nodes(inference), [] if training is None else _nodes(training)
    alike = [_likeness(n) for n in mine] == [_likeness(n) for n in theirs]
    pairs = {a.index: b for a, b in zip(mine, theirs, strict=True)} if alike else {}
    changed = Graph(list(inference.nodes))
    for node in mine:
        others = pairs[node.index].inputs if pairs else (None,) * len(node.inputs)
        inputs = tuple(_merged(v, o) for v, o in zip(node.inputs, others, strict=True))
        changed.nodes[node.index] = replace(node, inputs=inputs)
    if inference.output is not None:
        other = training.output if pairs and training is not None else None
        changed.output = _merged(inference.output, other)
    left_out = "what the network does only in training (augmentation, random layers) is left out"
    return changed, [left_out] if theirs and not alike else []


def _nodes(graph: Graph) -> list[Node]:
    return [graph.nodes[i] for i in sorted(graph.ancestors())]


def _likeness(node: Node) -> tuple[Any, ...]:
    kernel = node.kernel.key if node.kernel is not None else ""
    settings = node.detail if node.kind in ("conv", "depthwise", "softmax") else ()
    return node.kind, kernel, node.channels, node.height, node.width, settings


def _merged(mine: Value, theirs: Value | None) -> Value:
    others: Sequence[Segment | None] = () if theirs is None else theirs.segments
    if len(others) != len(mine.segments):
        others = [None] * len(mine.segments)
    segments = [
        replace(segment, steps=_merged_steps(segment, other))
        for segment, other in zip(mine.segments, others, strict=True)
    ]
    return replace(mine, segments=tuple(segments))


def _merged_steps(mine: Segment, theirs: Segment | None) -> tuple[Step, ...]:
    """The steps of inference with the random ones of training between them."""
    kept = [step for step in apart(mine) if step.kind not in RANDOM]
    if theirs is None:
        return tuple(kept)
    others = apart(theirs)
    if [sort_of(s) for s in others if s.kind not in RANDOM] != [sort_of(s) for s in kept]:
        return tuple(kept)
    waiting = iter(kept)
    return tuple(s if s.kind in RANDOM else next(waiting) for s in others)


def apart(segment: Segment) -> list[Step]:
    """The steps of a segment, with a per-channel map for each of its recognised pieces."""
    found: list[Step] = []
    for step in segment.steps:
        if step.affine is None:
            found.append(step)
            continue
        pieces = [replace(step, affine=affine) for affine in step.affine.apart()]
        found += [piece for piece in pieces if not _changes_nothing(piece, segment.width)]
    return found


def _changes_nothing(step: Step, width: int) -> bool:
    (part,) = step.affine.parts if step.affine is not None else (Part("other"),)
    if part.kind != "constant":
        return False
    factor, offset = part.numbers(step.start, width)
    return bool(np.allclose(factor, 1, rtol=0, atol=TOLERANCE) and np.allclose(offset, 0))


def sort_of(step: Step) -> tuple[Any, ...]:
    """Equal for steps that correspond in the two graphs, whatever their statistics are of."""
    if step.affine is None:
        return step.kind, step.detail
    return "affine", *[part.kind for part in step.affine.parts]
