"""What an operation that has no place in a DenseNet is called, in words that a student knows."""

from __future__ import annotations

from grader.graph.canonical import Node

NAMES = {
    "FakeQuantWithMinMaxArgs": "fake quantisation",
    "FakeQuantWithMinMaxVars": "fake quantisation",
    "FakeQuantWithMinMaxVarsPerChannel": "fake quantisation",
    "QuantizeAndDequantizeV2": "fake quantisation",
    "QuantizeAndDequantizeV4": "fake quantisation",
    "Round": "rounding",
    "Rint": "rounding",
    "Floor": "rounding",
    "PyFunc": "Python code that TensorFlow cannot look into (numpy_function)",
    "EagerPyFunc": "Python code that TensorFlow cannot look into (py_function)",
    "LRN": "local response normalisation",
    "L2Normalize": "a normalisation of its length",
    "Add": "a sum",
    "AddV2": "a sum",
    "AddN": "a sum",
    "Sub": "a difference",
    "Mul": "a product",
    "RealDiv": "a division",
    "DivNoNan": "a division",
    "Pow": "a power",
    "Conv2D": "a convolution that is none of the paper's",
    "Conv2DBackpropInput": "a transposed convolution",
    "Conv3D": "a 3-D convolution",
    "MatMul": "a matrix product",
    "BatchMatMulV2": "a matrix product",
    "Einsum": "an einsum",
    "FusedBatchNormV3": "a batch normalisation",
    "StridedSlice": "a part of the map",
    "Slice": "a part of the map",
    "GatherV2": "a part of the map",
    "Transpose": "another order of the axes",
    "Reshape": "another shape of the map",
    "Pack": "maps stacked along a new axis",
    "Unpack": "maps taken apart along an axis",
    "TopKV2": "a choice of the largest numbers",
    "XlaDynamicUpdateSlice": "numbers written into a map",
    "TensorScatterUpdate": "numbers written into a map",
    "SpaceToDepth": "places put into channels",
    "DepthToSpace": "channels put into places",
    "MirrorPad": "a reflecting padding",
    "ReverseV2": "a reversal of the map",
    "Roll": "a shift of the map",
    "SelectV2": "a choice between two branches",
    "Select": "a choice between two branches",
    "Maximum": "the larger of two branches",
    "Minimum": "the smaller of two branches",
    "ResizeBilinear": "a resizing of the map",
    "ResizeNearestNeighbor": "a resizing of the map",
    "ResizeBicubic": "a resizing of the map",
}
"""What a student would call an operation; the names of the others stand in no student's code."""


def name_of(node: Node) -> str:
    """An odd node in words that a student knows."""
    if node.kind == "softmax":
        return "a softmax over the maps"
    if node.kind == "depthwise":
        return "a depthwise convolution"
    if node.kind == "add":
        return "a sum of maps"
    if node.kind == "multiply":
        return "a product of two branches"
    if node.kind == "constant":
        return "maps that do not depend on the image"
    named = NAMES.get(node.written_as, "")
    reason = str(node.get("reason") or "")
    if reason and named:
        return f"{named} ({reason})"
    return named or reason or "an operation of another kind"
