"""A plan on ONNX Runtime, for comparison only: the grader itself does not use it.

Maps are (N, C, H, W), as in the OpenVINO runner. Only what a DenseNet holds is written out.
"""

from __future__ import annotations

import os

import numpy as np


class OnnxRunner:
    """One compiled plan; `predict` gives (N, classes) for uint8 images (N, H, W, C)."""

    def __init__(self, plan, batch: int) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = len(os.sched_getaffinity(0))
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
        self.session = onnxruntime.InferenceSession(
            model_of(plan, batch).SerializeToString(), options, ["CPUExecutionProvider"]
        )
        self.batch, self.classes = batch, plan.classes

    def predict(self, images):
        """The network's answers, float32 (N, classes)."""
        answers = np.empty((len(images), self.classes), np.float32)
        for start in range(0, len(images), self.batch):
            part = images[start : start + self.batch]
            count = len(part)
            if count < self.batch:
                rest = np.zeros((self.batch - count, *part.shape[1:]), np.uint8)
                part = np.concatenate([part, rest])
            answers[start : start + count] = self.session.run(None, {"images": part})[0][:count]
        return answers


def model_of(plan, batch: int):
    """The plan as an ONNX model for one batch size."""
    from onnx import TensorProto, helper, numpy_helper

    nodes, constants = [], []

    def constant(array) -> str:
        name = f"c{len(constants)}"
        constants.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def node(kind: str, inputs: list[str], **attributes) -> str:
        name = f"m{len(nodes)}"
        nodes.append(helper.make_node(kind, inputs, [name], **attributes))
        return name

    def column(vector) -> str:
        return constant(vector.reshape(1, -1, 1, 1).astype(np.float32))

    def instruction(i, x: list[str]) -> str:
        if i.kind == "input":
            return node(
                "Transpose",
                [node("Cast", ["images"], to=TensorProto.FLOAT)],
                perm=[0, 3, 1, 2],
            )
        if i.kind == "affine":
            factor, offset = i.arrays
            return node("Add", [node("Mul", [x[0], column(factor)]), column(offset)])
        if i.kind == "pointwise" and i.settings[0] == ("Relu", ("x",)):
            return node("Relu", x)
        if i.kind == "concat":
            return node("Concat", x, axis=1)
        if i.kind == "slice":
            ends = [constant(np.array([n], np.int64)) for n in (*i.settings, 1)]
            return node("Slice", [x[0], *ends])
        if i.kind == "pool":
            mode, size, strides, (top, bottom, left, right) = i.settings
            kind = "AveragePool" if mode == "mean" else "MaxPool"
            pads = [top, left, bottom, right]
            return node(kind, x, kernel_shape=list(size), strides=list(strides), pads=pads)
        if i.kind == "conv":
            kernel, *offset = i.arrays
            _, strides, (top, bottom, left, right), dilations, groups = i.settings
            weights = [constant(kernel.transpose(3, 2, 0, 1)), *map(constant, offset)]
            return node(
                "Conv", [x[0], *weights], strides=list(strides), pads=[top, left, bottom, right],
                dilations=list(dilations), group=groups,
            )  # fmt: skip
        if i.kind == "softmax":
            return node("Softmax", x, axis=1)
        raise NotImplementedError(i.kind)

    maps: list[str] = []
    for i in plan.instructions:
        maps.append(instruction(i, [maps[n] for n in i.inputs]))
    shape = constant(np.array([batch, plan.classes], np.int64))
    last = node("Reshape", [maps[-1], shape])
    graph = helper.make_graph(
        nodes,
        "plan",
        [helper.make_tensor_value_info("images", TensorProto.UINT8, [batch, *plan.image_shape])],
        [helper.make_tensor_value_info(last, TensorProto.FLOAT, [batch, plan.classes])],
        constants,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
