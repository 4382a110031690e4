"""How matrix products and einsums are read: as fully connected layers."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from grader.graph.canonical import Atom, Graph, Segment, Tensor, Value
from grader.graph.read.axes import axis_of, standard_axes
from grader.graph.read.spellings import product_of_patches
from grader.graph.read.tensors import Read, Rule, value_of
from grader.graph.read.windows import reduced
from grader.graph.record import Op
from grader.graph.symbols import Symbol, Unreadable, expression


def product(graph: Graph, op: Op, arguments: list[Tensor]) -> Read:
    """A fully connected layer: a convolution of one place, or of the whole map."""
    value = value_of(arguments[0])
    if op.op == "Einsum" and len(arguments) == 1:
        return _einsum_of_one(op, value)
    kernel = arguments[1]
    if not isinstance(kernel, Symbol) or len(kernel.shape) != 2:
        raise Unreadable("of two branches")
    if op.op == "Einsum":
        kernel = _einsum_kernel(op, kernel, len(value.axes))
    if op.attributes.get("transpose_a") or op.attributes.get("adj_x"):
        raise Unreadable("with the maps turned")
    if op.attributes.get("transpose_b") or op.attributes.get("adj_y"):
        kernel = _transposed(kernel)
    if (patches := product_of_patches(graph, value, kernel)) is not None:
        return patches
    *places, last = value.axes
    whole = standard_axes(value.batch, value.height, value.width, value.channels)
    if last == whole[3]:
        shape = (1, 1, kernel.shape[0], kernel.shape[1])
        height, width = value.height, value.width
    elif last == (*whole[1], *whole[2], *whole[3]) and places == [whole[0]]:
        shape = (value.height, value.width, value.channels, kernel.shape[1])
        height = width = 1
    elif places == [whole[0]] and sorted(last, key=_role) == sorted(
        (*whole[1], *whole[2], *whole[3]), key=_role
    ):
        # A map that was turned before it was flattened: the kernel's rows stand in that order.
        kernel = _rows_in_order(kernel, last)
        shape = (value.height, value.width, value.channels, kernel.shape[1])
        height = width = 1
    else:
        raise Unreadable("a fully connected layer over other axes than the channels")
    if kernel.shape[0] != math.prod(shape[:3]):
        raise Unreadable("a kernel of another width than its input")
    node = graph.add(
        "conv",
        (value,),
        channels=kernel.shape[1],
        height=height,
        width=width,
        kernel=kernel,
        kernel_shape=shape,
        detail=(
            ("strides", (1, 1)),
            ("padding", (0, 0, 0, 0)),
            ("dilations", (1, 1)),
            ("groups", 1),
        ),
        written_as="MatMul",
        name=op.name,
    )
    axes = (*places, axis_of("C", node.channels))
    return Value(axes, value.batch, height, width, (Segment(node.index, 0, node.channels),))


def _role(atom: Atom) -> str:
    return atom.role


def _rows_in_order(kernel: Symbol, atoms: tuple[Atom, ...]) -> Symbol:
    """The kernel of a flattened map whose axes stood in another order, by height, width, channels.

    Args:
        kernel: (positions, out), the positions in the order of `atoms`.
        atoms: Height, width and channels, each whole, in any order.
    """
    sizes = [atom.size for atom in atoms]
    order = sorted(range(len(atoms)), key=lambda i: "HWC".index(atoms[i].role))
    out = kernel.shape[1]
    return expression(
        f"rows in order {sizes} {order}",
        [kernel],
        lambda v: v.reshape(*sizes, out).transpose(*order, len(sizes)).reshape(-1, out),
        kernel.shape,
        keeps_variable=True,
    )


def _transposed(kernel: Symbol) -> Symbol:
    return expression(
        "transpose[1, 0]", [kernel], np.transpose, kernel.shape[::-1], keeps_variable=True
    )


def _einsum_of_one(op: Op, value: Value) -> Value:
    """A sum over axes, and another order of those that stay: "abcd->ad"."""
    letters, _, output = str(op.attributes.get("equation", "")).replace(" ", "").partition("->")
    given = [letter for letter in letters if letter in output]
    if (
        not letters.isalpha()
        or len(set(letters)) != len(letters)
        or len(letters) != len(value.axes)
    ):
        raise Unreadable("an einsum of one tensor")
    if sorted(given) != sorted(output):
        raise Unreadable("an einsum of one tensor")
    summed = {i for i, letter in enumerate(letters) if letter not in output}
    result = reduced("Sum", value, summed, keep=False) if summed else value
    return replace(result, axes=tuple(result.axes[given.index(letter)] for letter in output))


def _einsum_kernel(op: Op, kernel: Symbol, rank: int) -> Symbol:
    """The kernel of an einsum that contracts the last axis: "abcd,de->abce".

    Raises:
        Unreadable: Another einsum.
    """
    equation = str(op.attributes.get("equation", "")).replace(" ", "")
    inputs, _, output = equation.partition("->")
    left, _, right = inputs.partition(",")
    left, output = left.replace("...", "~~~"[:rank]), output.replace("...", "~~~"[:rank])
    if len(right) != 2 or not left or left[:-1] != output[:-1]:
        raise Unreadable("no fully connected layer")
    if right == left[-1] + output[-1]:
        return kernel
    if right == output[-1] + left[-1]:
        return _transposed(kernel)
    raise Unreadable("no fully connected layer")


RULES: dict[str, Rule] = {
    "MatMul": product,
    "BatchMatMulV2": product,
    "BatchMatMul": product,
    "Einsum": product,
}
