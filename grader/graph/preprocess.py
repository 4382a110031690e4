"""`preprocess` apart from the network: what becomes of an image before it is looked at.

Property protected: any function of one image is measured, whatever it computes, and the network
behind it is read as if the images had come that way. Scaling stays part of the network's own
graph, as a layer that scales would. All else is computed here, in NumPy and by nothing of the
student's, a few images at a time, and the proof by numbers covers it like the rest.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from grader.errors import Cause, StageFailed
from grader.graph import work
from grader.graph.ops import compute, typed
from grader.graph.pointwise import FUNCTIONS
from grader.graph.read.reader import canonicalise
from grader.graph.record import VARIABLES, Op, Trace
from grader.graph.symbols import Unreadable

Array = NDArray[Any]

LARGEST = 4
"""What it gives may be so many times as large as an image: twice as high and wide."""
WORK = 10**8
"""Numbers that a call may read or make: some thousand for each byte of an image."""
OWN_NUMBERS = 4 * 32 * 32 * 3
"""Numbers that it may hold: a mean image and its deviation, tables for each channel. What learns
to see needs more, and belongs into the network."""
NARROW = ("uint8", "int8", "uint16", "int16")
"""Types that an image's bytes may leave by arithmetic."""
SECONDS = 300.0
"""For all images of an evaluation; standardising them takes some five."""


def split(traces: Mapping[str, Trace]) -> tuple[dict[str, Trace], Program | None]:
    """Take `preprocess` off a network, where it is more than scaling.

    Args:
        traces: Of `build_model()` behind it, by mode.

    Returns:
        The traces that are read as the network's, and what comes before it; None where that is
        in the traces still.
    """
    found = {mode: _parted(trace) for mode, trace in traces.items()}
    first = found.get("inference")
    if first is None or any(parts is None for parts in found.values()) or _only_scales(first[0]):
        return dict(traces), None
    networks = {mode: parts[1] for mode, parts in found.items() if parts is not None}
    return networks, Program(first[0])


def _parted(trace: Trace) -> tuple[Trace, Trace] | None:
    """What leads to the network's entry, and what follows from it; None where it has none."""
    if trace.entry is None or trace.entry[0] in trace.inputs or len(trace.inputs) != 1:
        return None
    before = replace(trace, ops=trace.ops[: trace.entry[0] + 1], outputs=(trace.entry,), updates=())
    node, output = trace.entry
    image = Op("Placeholder", "preprocessed", (), {}, (trace.ops[node].outputs[output],))
    ops = (*trace.ops[:node], image, *trace.ops[node + 1 :])
    after = replace(trace, ops=ops, inputs=(node,), entry=None)
    for op in after.ops[node + 1 :]:
        if any(at == node and which != output for at, which in op.inputs):
            return None
    return _without_unused(before), _without_unused(_entered_at(after, node, output))


def _entered_at(trace: Trace, node: int, output: int) -> Trace:
    """The trace with `output` of a node, which has one output now, called its first."""

    def first(pairs: tuple[tuple[int, int], ...]) -> tuple[tuple[int, int], ...]:
        return tuple(
            (at, 0) if (at, which) == (node, output) else (at, which) for at, which in pairs
        )

    ops = tuple(replace(op, inputs=first(op.inputs)) for op in trace.ops)
    return replace(trace, ops=ops, outputs=first(trace.outputs))


def _without_unused(trace: Trace) -> Trace:
    """The trace with the ops alone that its outputs, inputs and updates need, numbered anew."""
    wanted: set[int] = set()
    stack = [*(node for node, _ in trace.outputs), *trace.inputs, *trace.updates]
    while stack:
        node = stack.pop()
        if node not in wanted:
            wanted.add(node)
            stack += [before for before, _ in trace.ops[node].inputs]
    number = {old: new for new, old in enumerate(sorted(wanted))}

    def renumbered(pairs: tuple[tuple[int, int], ...]) -> tuple[tuple[int, int], ...]:
        return tuple((number[at], which) for at, which in pairs)

    ops = [trace.ops[old] for old in sorted(wanted)]
    return replace(
        trace,
        ops=tuple(replace(op, inputs=renumbered(op.inputs)) for op in ops),
        inputs=tuple(number[node] for node in trace.inputs),
        outputs=renumbered(trace.outputs),
        updates=tuple(number[node] for node in trace.updates),
        entry=None,
    )


def _only_scales(before: Trace) -> bool:
    """Whether it is the image with a factor and an offset a channel, which a network may hold."""
    if any(op.op in FUNCTIONS and op.outputs[0][0] in NARROW for op in before.ops):
        return False  # 200 + 100 is 44 there
    graph = canonicalise(before)
    if graph.output is None or graph.trouble or len(graph.nodes) != 1:
        return False
    steps = [step for segment in graph.output.segments for step in segment.steps]
    return all(step.kind == "affine" for step in steps)


def trouble(note: Mapping[str, object]) -> tuple[str, str, str] | None:
    """What stands in the way of measuring a network behind its `preprocess`.

    Args:
        note: What the sandbox noted of it.

    Returns:
        What was expected of it, what was received, and what to do; None where nothing does.
    """
    if note.get("of_batch"):
        return (
            "each image by itself",
            "numbers that change with the other images of the batch",
            "Take mean and deviation of each image, over the axes (1, 2, 3) with keepdims=True, or"
            " write down those of the training images.",
        )
    if note.get("random"):
        return (
            "the same numbers for the same image",
            "other numbers each time",
            "Leave augmentation to the recipe, or to layers of build_model().",
        )
    if not note.get("traced", True) and not note.get("known", note.get("affine", True)):
        return (
            "operations of keras.ops or tf, or NumPy that scales, reorders or standardises",
            "NumPy code of another kind",
            "Write it with keras.ops: NumPy code is seen from outside only, by what it gives.",
        )
    return None


@dataclass(frozen=True)
class Program:
    """What `preprocess` does with a batch of images.

    Attributes:
        trace: From the images to what the network is given.
    """

    trace: Trace

    @property
    def batch(self) -> int:
        """Images that it takes at a time."""
        shape = self._shape(self.trace.inputs[0], 0)
        return shape[0] if shape else 1

    def all(self, images: Array, values: Sequence[Array]) -> Iterator[Array]:
        """What it gives for many images, (batch, H, W, C) float32 at a time.

        Raises:
            StageFailed: It cannot be computed, or takes too long.
        """
        stop = time.monotonic() + SECONDS
        for start in range(0, len(images), self.batch):
            part = images[start : start + self.batch]
            missing = self.batch - len(part)
            whole = np.concatenate([part, np.repeat(part[-1:], missing, axis=0)])
            yield self(whole, values)[: len(part)]
            if time.monotonic() > stop:
                raise _not_computed(f"it takes more than {SECONDS:.0f} s for the images")

    def __call__(self, images: Array, values: Sequence[Array]) -> Array:
        """What it gives for one batch.

        Args:
            images: uint8 (batch, H, W, C).
            values: One array for each variable of the network's table.

        Raises:
            StageFailed: It cannot be computed; says why.
        """
        self._refuse_a_network()
        try:
            with work.limited(WORK), np.errstate(all="ignore"):
                found = np.asarray(self._run(images, values), np.float32)
        except Unreadable as problem:
            raise _not_computed(str(problem)) from problem
        except (ValueError, TypeError, LookupError, ArithmeticError, AttributeError) as error:
            raise _not_computed("its operations do not fit together") from error
        if found.ndim != 4 or len(found) != len(images):
            raise _not_computed(f"expected images (N, H, W, C), received the shape {found.shape}")
        if found.size > LARGEST * images.size:
            raise _not_computed("what it gives is more than twice as high and wide as the images")
        return found

    def _refuse_a_network(self) -> None:
        """Accuracy is of the network that was read: nothing may be learnt in front of it."""
        held = 0
        for op in self.trace.ops:
            held += int(np.size(op.attributes["value"])) if op.op == "Const" else 0
            if op.op in VARIABLES and op.attributes.get("variable") is not None:
                held += self.trace.variables[op.attributes["variable"]].size
        if held > OWN_NUMBERS:
            raise _not_computed(
                f"it holds {held:,} numbers of its own; what is learnt belongs into build_model()"
            )

    def _run(self, images: Array, values: Sequence[Array]) -> Array:
        tensors: dict[tuple[int, int], Any] = {}
        for position, op in enumerate(self.trace.ops):
            if position in self.trace.inputs:
                results = [images]
            elif op.op in VARIABLES:
                results = [values[op.attributes["variable"]]]
            else:
                results = compute(op, [tensors[at] for at in op.inputs])
            for which, (result, (dtype, _)) in enumerate(zip(results, op.outputs, strict=False)):
                tensors[position, which] = typed(result, dtype)
        return np.asarray(tensors[self.trace.outputs[0]])

    def _shape(self, node: int, output: int) -> tuple[int, ...] | None:
        return self.trace.ops[node].outputs[output][1]


def _not_computed(why: str) -> StageFailed:
    return StageFailed(Cause.STUDENT_FORBIDDEN_OP, f"preprocess cannot be measured: {why}")
