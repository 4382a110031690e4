"""A program with its weights' numbers in it, ready to be run fast.

Property protected: what is measured is the network that was read, with the numbers that came out
of the sandbox, and nothing else; a plan is arrays and small integers, so it can be written to disk
and run in a process that knows neither graph, student nor label.

Whatever follows from the weights alone is computed here, once: batch norms become one factor and
one offset a channel, or are part of a kernel.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from grader.errors import Cause, StageFailed
from grader.graph import work
from grader.graph.canonical import Graph
from grader.graph.numeric import IMPOSSIBLE, MAX_WORK
from grader.graph.pointwise import X, size
from grader.graph.program import Instruction, Numbers, Program, for_inference, lower
from grader.graph.symbols import Unreadable, Values

Array = NDArray[Any]
MAX_NUMBERS = 2**27
"""Of all arrays of a plan; the weights that come out of the sandbox are 2^26 at most."""
LONGEST = 60
"""Operations of one activation."""
FORMAT = 2


class Unrebuildable(StageFailed):
    """The network cannot be rebuilt; the message names the operation that stands in the way."""

    def __init__(self, operation: str) -> None:
        super().__init__(
            Cause.STUDENT_FORBIDDEN_OP,
            f"the network cannot be rebuilt: {operation} has no place in it",
        )
        self.operation = operation


@dataclass(frozen=True)
class Plan:
    """Instructions in order; the last one gives one number a class.

    Attributes:
        instructions: Each reads only earlier ones, and has its arrays.
        classes: Numbers per image.
        images: Type of the images: bytes, or what `preprocess` made of them.
    """

    instructions: tuple[Instruction, ...]
    classes: int
    images: Literal["uint8", "float32"] = "uint8"

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(H, W, C) of the images."""
        return self.instructions[0].shape

    @property
    def multiplications(self) -> int:
        """Multiply-adds of all convolutions for one image."""
        return sum(i.multiplications for i in self.instructions)

    @property
    def shape(self) -> str:
        """Equal for networks that differ in the numbers of their weights alone."""
        rows = [(i.kind, i.inputs, i.settings, i.shape) for i in self.instructions]
        return hashlib.sha256(repr((self.images, rows)).encode()).hexdigest()

    def save(self, path: Path) -> None:
        """Write it as one .npz file: arrays, and JSON for the rest."""
        rows = [[i.kind, i.inputs, i.settings, len(i.arrays), i.shape] for i in self.instructions]
        head = {"format": FORMAT, "classes": self.classes, "images": self.images}
        text = json.dumps({**head, "instructions": rows})
        arrays = [a for i in self.instructions for a in i.arrays]
        named = {f"a{number}": array for number, array in enumerate(arrays)}
        with path.open("wb") as stream:
            np.savez(
                stream,
                plan=np.frombuffer(text.encode(), np.uint8),
                **named,  # type: ignore[arg-type]
            )

    @classmethod
    def load(cls, path: Path) -> Plan:
        """Read what `save` wrote.

        Raises:
            ValueError: It is not such a file.
        """
        with np.load(path, allow_pickle=False) as archive:
            head = json.loads(archive["plan"].tobytes())
            if head["format"] != FORMAT:
                raise ValueError(f"plan format: expected {FORMAT}, received {head['format']}")
            arrays = (archive[f"a{number}"] for number in range(len(archive.files) - 1))
            instructions = []
            for kind, inputs, settings, count, shape in head["instructions"]:
                own = tuple(next(arrays) for _ in range(count))
                instructions.append(
                    Instruction(kind, tuple(inputs), _frozen(settings), tuple(shape), arrays=own)
                )
        return cls(tuple(instructions), head["classes"], head["images"])


def _frozen(value: Any) -> Any:
    """JSON's lists as tuples."""
    return tuple(_frozen(v) for v in value) if isinstance(value, list) else value


def make_plan(graph: Graph, values: Sequence[Array]) -> Plan:
    """Lower a canonical graph (inference) with given weights.

    Args:
        graph: As `canonicalise` gives it.
        values: One array for each variable of the network's table.

    Raises:
        Unrebuildable: Names the operation in the way.
    """
    try:
        with work.limited(MAX_WORK):
            return _weighed(for_inference(lower(graph)), Numbers(Values(values)))
    except Unreadable as problem:
        raise Unrebuildable(str(problem) or "an operation") from problem
    except IMPOSSIBLE as problem:
        raise Unrebuildable("an operation that cannot be what it says") from problem


def _weighed(program: Program, numbers: Numbers) -> Plan:
    """The program with its weights' numbers in place of their names."""
    program.image()
    last = program.instructions[-1]
    if last.shape[:2] != (1, 1):
        raise Unreadable("an output that is a map")
    program.refuse_giants()
    found: list[Instruction] = []
    held = 0
    for i in program.instructions:
        if i.kind in ("dropout", "noise"):
            raise Unreadable("a random operation at inference")
        if i.kind == "pointwise" and i.settings != (("Relu", X),) and size(i.settings[0]) > LONGEST:
            raise Unreadable("an activation of so many operations")
        arrays = tuple(_float32(a) for a in numbers.of(i))
        held += sum(a.size for a in arrays)
        if held > MAX_NUMBERS:
            raise Unreadable("a network of so many weights")
        inputs = i.inputs[:1] if i.affine or i.node else i.inputs
        found.append(Instruction(i.kind, inputs, i.settings, i.shape, arrays=arrays))
    return Plan(tuple(found), last.shape[2])


def _float32(array: Array) -> Array:
    with np.errstate(over="ignore"):
        return np.ascontiguousarray(array, np.float32)
