"""Batch norms that act in training only: put back at inference, so that the rest can be read there.

A network whose batch norms are skipped at inference is right in everything else. Each of them is
told as skipped, and its place is read as if it had the one of training.
"""

from __future__ import annotations

from dataclasses import replace

from grader.graph.canonical import Graph, Node, Segment, Step, Value
from grader.graph.trainable import RANDOM, apart, sort_of


def with_skipped_norms(inference: Graph, training: Graph) -> tuple[Graph, frozenset[int]]:
    """The graph of inference with the batch norms that only training has.

    Args:
        inference: As judged.
        training: As judged.

    Returns:
        That graph, and the convolutions that receive one of those batch norms.
    """
    same = {n.trained: n for n in training.nodes if n.kind == "conv" and n.trained}
    nodes = list(inference.nodes)
    for node in inference.nodes:
        other = same.get(node.trained) if node.kind == "conv" else None
        nodes[node.index] = node if other is None else _restored(node, other)
    changed = frozenset(a.index for a, b in zip(nodes, inference.nodes, strict=True) if a is not b)
    if not changed:
        return inference, changed
    return Graph(nodes, inference.output, inference.updates, inference.trouble), changed


def _restored(mine: Node, theirs: Node) -> Node:
    """A convolution with the batch norms that it receives in training; the same where it has."""
    has_one = any(_is_norm(s) for v in mine.inputs for g in v.segments for s in g.steps)
    if has_one or len(mine.inputs) != len(theirs.inputs):
        return mine
    values = [_value(a, b) for a, b in zip(mine.inputs, theirs.inputs, strict=True)]
    inputs = tuple(v for v in values if v is not None)
    return replace(mine, inputs=inputs) if len(inputs) == len(values) else mine


def _value(mine: Value, theirs: Value) -> Value | None:
    if [s.width for s in mine.segments] != [s.width for s in theirs.segments]:
        return None
    pairs = zip(mine.segments, theirs.segments, strict=True)
    segments = tuple(s for s in (_segment(a, b) for a, b in pairs) if s is not None)
    return replace(mine, segments=segments) if len(segments) == len(mine.segments) else None


def _segment(mine: Segment, theirs: Segment) -> Segment | None:
    """A segment with the steps of training, where these are its own and a batch norm; else None."""
    steps = [s for s in apart(theirs) if s.kind not in RANDOM]
    others = [s for s in steps if not _is_norm(s)]
    if len(others) == len(steps):
        return None
    alike = [sort_of(s) for s in others] == [sort_of(s) for s in apart(mine)]
    return replace(mine, steps=tuple(steps)) if alike else None


def _is_norm(step: Step) -> bool:
    return step.affine is not None and any(p.kind == "batch_norm" for p in step.affine.parts)
