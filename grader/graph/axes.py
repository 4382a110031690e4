"""A batch norm over another axis than the channels: one slip that makes all behind it unreadable.

Keras writes such a norm with its scale and offset reshaped to stand along that axis.
"""

from __future__ import annotations

from grader.graph.judged import ALONG
from grader.graph.record import Op, Trace
from grader.graph.rules.deviation import Deviation, deviation
from grader.graph.rules.rulings import WRONG_AXIS

AXES = {1: "height", 2: "width"}
TOLD_BY = ("composite-function", "transition-layer", "head")
"""The checks that such a norm fails; the first one that fails says it."""


def with_wrong_axis(found: list[Deviation], trace: Trace, name: str) -> list[Deviation]:
    """The deviations of a network, led by the axis of its norms where that is what is wrong.

    Args:
        found: What the rules say of it.
        trace: The network in inference.
        name: Its function, which the message names as the place.
    """
    if any(ALONG in d.finding.received for d in found):
        return found  # told at its own place
    failed = [d.check for d in found if d.finding.severity == "deviation"]
    check = next((c for c in TOLD_BY if c in failed), None)
    axis = _wrong_axis(trace) if check is not None else None
    if check is None or axis is None:
        return found
    ruling = WRONG_AXIS.in_check(check, WRONG_AXIS.source)
    received = f"normalises along the {AXES[axis]} (axis {axis})"
    cause = deviation(ruling, name, received, cause=-1)
    return [cause, *found]


def _wrong_axis(trace: Trace) -> int | None:
    """The axis along which trained numbers of one dimension are laid; None for the channels.

    Where maps are transposed, the channels may stand there by intention.
    """
    if any(op.op == "Transpose" for op in trace.ops):
        return None
    return next((axis for op in trace.ops if (axis := _laid_along(op, trace))), None)


def _laid_along(op: Op, trace: Trace) -> int | None:
    if op.op != "Reshape" or not _is_trained(op, trace):
        return None
    shape = op.outputs[0][1] if op.outputs else None
    if shape is None or len(shape) != 4:
        return None
    long = [axis for axis, size in enumerate(shape) if size != 1]
    return long[0] if len(long) == 1 and long[0] in AXES else None


def _is_trained(op: Op, trace: Trace) -> bool:
    """Whether an operation takes a trained variable of one dimension, as it is."""
    if not op.inputs:
        return False
    read = trace.ops[op.inputs[0][0]]
    if read.op == "ReadVariableOp" and read.inputs:
        read = trace.ops[read.inputs[0][0]]
    index = read.attributes.get("variable")
    if not isinstance(index, int) or not 0 <= index < len(trace.variables):
        return False
    variable = trace.variables[index]
    return variable.trainable and len(variable.shape) == 1
