"""A few operations of a graph, computed from given maps: what one of them makes of a value."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from grader.graph import work
from grader.graph.canonical import Graph, Node, Segment, Statistic, Step, Value
from grader.graph.maps import convolve, pool
from grader.graph.pointwise import evaluate
from grader.graph.symbols import Unreadable, Values

Array = NDArray[Any]
CALL = 2000
"""What one step costs beside its numbers."""
SUMMED: dict[str, Callable[[Any, Any], Any]] = {
    "add": np.add,
    "multiply": np.multiply,
    "foreign": np.maximum,
}


class Trial:
    """The maps of some nodes for one image; each is (1, H, W, C).

    Attributes:
        stopped: Whether a gradient was stopped in what was computed.
    """

    def __init__(
        self,
        graph: Graph,
        values: Sequence[Array],
        maps: dict[int, Array],
        within: Callable[[Node], bool],
    ) -> None:
        """Prepare.

        Args:
            graph: A canonical graph.
            values: One array for each variable of the network's table.
            maps: Those of the nodes that it begins with.
            within: Which other nodes may be computed.
        """
        self.graph = graph
        self.values = Values(values, self._positions)
        self.maps = maps
        self.within = within
        self.stopped = False

    def node(self, index: int) -> Array:
        """The maps of a node.

        Raises:
            Unreadable: It cannot be computed from the given ones.
        """
        if index not in self.maps:
            node = self.graph.nodes[index]
            if not self.within(node):
                raise Unreadable("a value from elsewhere")
            self.maps[index] = self._computed(node)
        return self.maps[index]

    def channels(self, segments: Collection[Segment]) -> Array:
        """Some channels, side by side."""
        return np.concatenate([self._segment(s) for s in segments], axis=3)

    def _positions(self, statistic: Statistic) -> Array:
        whole = self.channels(statistic.value.segments)
        return whole.reshape(-1, whole.shape[3])

    def _segment(self, segment: Segment) -> Array:
        x = self.node(segment.node)[..., segment.start : segment.stop]
        for step in segment.steps:
            x = self._step(x, step, segment.width)
        return x

    def _step(self, x: Array, step: Step, width: int) -> Array:
        work.spend(CALL + 4 * x.size)
        if step.affine is not None:
            affine, part = step.affine, slice(step.start, step.start + width)
            factor, offset = affine.coefficients(0, len(affine.terms), self.values)
            return np.asarray(x * factor[part] + offset[part])
        if step.kind == "pointwise":
            return evaluate(step.detail[1], x)
        if step.kind == "pool":
            return pool(x, *step.detail)
        if step.kind == "pad":
            top, bottom, left, right, fill = step.detail
            edges = ((0, 0), (top, bottom), (left, right), (0, 0))
            return np.pad(x, edges, constant_values=fill)
        if step.kind == "crop":
            top, bottom, left, right = step.detail
            return x[:, top : x.shape[1] - bottom, left : x.shape[2] - right]
        if step.kind in ("dropout", "noise", "stop_gradient"):
            # What is drawn before or within does not change what is made of it.
            self.stopped |= step.kind == "stop_gradient"
            return x
        raise Unreadable(step.kind)

    def _computed(self, node: Node) -> Array:
        values = [self._value(value) for value in node.inputs]
        if node.kind in ("conv", "depthwise") and node.kernel is not None:
            kernel = node.kernel.value(self.values).reshape(node.kernel_shape)
            depthwise = node.kind == "depthwise"
            if depthwise or node.get("groups") == 1:
                settings = (node.get("strides"), node.get("padding"), node.get("dilations"))
                return convolve(values[0], kernel, *settings, depthwise=depthwise)
        if node.kind in ("add", "multiply") or node.written_as == "Maximum":
            work.spend(CALL + 4 * sum(v.size for v in values))
            result = values[0]
            for other in values[1:]:
                result = SUMMED[node.kind](result, other)
            return result
        raise Unreadable(node.kind)

    def _value(self, value: Value) -> Array:
        return self.channels(value.segments)
