"""Programs that lie about their network: what comes over the pipe is made up.

A lie is the text of a function `forge(name)` that gives the record for a frame, in plain Python.
The gallery sends it from inside the sandbox, in place of what the grader's own program found there;
`test_lies.py` also hands it to the reader itself, to hold what reading it costs.
"""

from __future__ import annotations

from textwrap import dedent
from typing import Any

from grader.errors import Cause
from tests.hostile.cases import Case, Graded, Recipe
from tests.hostile.programs import FUNCTIONS, RIGHT, STUBS, handed_in

MAKING = """
IMAGE = ["Placeholder", "x", [], {}, [["float32", [2, 4, 4, 8]]]]
SAME = {"strides": [1, 1, 1, 1], "padding": "SAME", "data_format": "NHWC"}

def op(kind, inputs, shape=None, **attributes):
    return [kind, kind, [[i, 0] for i in inputs], attributes, [["float32", shape]]]

def const(values, shape, dtype="float32"):
    value = {"dtype": dtype, "shape": shape, "values": values}
    return ["Const", "c", [], {"value": value}, [[dtype, shape]]]

def variable(index):
    return ["Variable", "v", [], {"variable": index}, [["resource", []]]]

def row(*shape, **changes):
    return {"name": "v", "shape": list(shape), "dtype": "float32", "trainable": True,
            "owned": True, **changes}

def ask(name):
    # The input is made by the program that traces: of another size, it answers nothing.
    IMAGE[4][0][1] = [2, 32, 32, 3] if name == "model" else [2, 4, 4, 8]

def record(nodes, variables=(), **changes):
    graph = {"nodes": nodes, "inputs": [0], "outputs": [[len(nodes) - 1, 0]], "updates": []}
    return {"failure": None, "graphs": {"inference": graph, "training": graph},
            "variables": list(variables), "input_shape": IMAGE[4][0][1], **changes}
"""
"""What a lie is written with."""

CHANGING = "CHANGES_ALL = True"
"""Every answer is meddled with, not only that of one block and of `build_model()`."""

SENDING = """
import sys
CHANGES_ALL = globals().get("CHANGES_ALL", False)
_frame = sys._getframe()
while "channel" not in _frame.f_locals:
    _frame = _frame.f_back
_kind = type(_frame.f_locals["channel"])
_send = _kind.send_json

def _forged(self, name, found):
    if name in ("probe:block-0", "model"):
        ask(name)
        found = forge(name, found)
    elif name.startswith("probe:") and CHANGES_ALL:
        found = forge(name, found)
    _send(self, name, found)

_kind.send_json = _forged
"""
"""Finds the channel by walking the frames, and puts the lie in front of it."""

MADE_UP: dict[str, str] = {
    "a million operations": """
        def forge(name, found=None):
            nodes = [IMAGE, *[["Relu", "", [], {}, []]] * 10**6]
            return record(nodes)
        """,
    "an operation that needs itself": """
        def forge(name, found=None):
            return record([IMAGE, op("Relu", [1])])
        """,
    "two operations that need each other": """
        def forge(name, found=None):
            return record([IMAGE, op("AddV2", [0, 2]), op("AddV2", [0, 1])])
        """,
    "an operation that needs a later one": """
        def forge(name, found=None):
            return record([IMAGE, op("Relu", [2]), op("Relu", [0])])
        """,
    "a map of negative size": """
        def forge(name, found=None):
            return record([IMAGE, op("Relu", [0], [2, -4, 4, 8])])
        """,
    "a map of 2^93 numbers": """
        def forge(name, found=None):
            return record([IMAGE, op("Relu", [0], [2**31, 2**31, 2**31])])
        """,
    "a map of 2^24 channels": """
        def forge(name, found=None):
            into = IMAGE[4][0][1][3]
            kernel = [variable(0), op("ReadVariableOp", [1], [1, 1, into, 2**24])]
            wide = op("Conv2D", [0, 2], **SAME)
            turned = op("ReverseV2", [3, 4])
            return record([IMAGE, *kernel, wide, const([3], [1], "int32"), turned],
                          [row(1, 1, into, 2**24)])
        """,
    "a convolution of stride 0": """
        def forge(name, found=None):
            kernel = [variable(0), op("ReadVariableOp", [1], [3, 3, 8, 4])]
            still = op("Conv2D", [0, 2], [2, 4, 4, 4], **{**SAME, "strides": [1, 0, 0, 1]})
            return record([IMAGE, *kernel, still], [row(3, 3, 8, 4)])
        """,
    "strides that are no numbers": """
        def forge(name, found=None):
            kernel = [variable(0), op("ReadVariableOp", [1], [3, 3, 8, 4])]
            for strides in (["nan"] * 4, "1111", None, [1, float("nan"), float("inf"), 1]):
                kernel.append(op("Conv2D", [0, 2], [2, 4, 4, 4], **{**SAME, "strides": strides}))
            return record([IMAGE, *kernel], [row(3, 3, 8, 4)])
        """,
    "an epsilon that is no number": """
        def forge(name, found=None):
            rows = []
            for i in range(4):
                rows += [variable(i), op("ReadVariableOp", [2 * i + 1], [8])]
            norm = op("FusedBatchNormV3", [0, 2, 4, 6, 8], [2, 4, 4, 8],
                      epsilon=float("nan"), is_training=False, data_format="NHWC")
            return record([IMAGE, *rows, norm], [row(8)] * 4)
        """,
    "a constant of eight terabytes": """
        def forge(name, found=None):
            many = const([2**20, 2**20], [2], "int32")
            return record([IMAGE, many, const([0.0], []), op("Fill", [1, 2], [8]),
                           op("AddV2", [0, 3], [2, 4, 4, 8])])
        """,
    "a range of a billion numbers": """
        def forge(name, found=None):
            ends = [const([n], []) for n in (0.0, 1e9, 1.0)]
            return record([IMAGE, *ends, op("Range", [1, 2, 3], [8]), op("AddV2", [0, 4])])
        """,
    "constants that grow by repeating": """
        def forge(name, found=None):
            nodes = [IMAGE, const([1.0] * 64, [64]), const([1024], [1], "int32")]
            for i in range(8):
                nodes.append(op("Tile", [1 if i == 0 else len(nodes) - 1, 2], [64 * 1024 ** (i + 1)]
                                if i < 2 else [8]))
            return record([*nodes, op("AddV2", [0, len(nodes) - 1])])
        """,
    "a padding of a terabyte, cut off again": """
        def forge(name, found=None):
            wide = const([0, 0, 2**19, 2**19, 2**19, 2**19, 0, 0], [4, 2], "int32")
            ends = [const([0, n, n, 0], [4], "int32") for n in (2**19, 2**19 + 4, 1)]
            return record([IMAGE, wide, op("Pad", [0, 1]), *ends,
                           op("StridedSlice", [2, 3, 4, 5], [2, 4, 4, 8], begin_mask=9,
                              end_mask=9)])
        """,
    "a padding below nothing": """
        def forge(name, found=None):
            thin = const([0, 0, -3, 0, 0, 0, 0, 0], [4, 2], "int32")
            return record([IMAGE, thin, op("Pad", [0, 1])])
        """,
    "a window with a padding of a terabyte": """
        def forge(name, found=None):
            pads = [0, 0, 2**19, 2**19, 2**19, 2**19, 0, 0]
            return record([IMAGE, op("MaxPool", [0], None, ksize=[1, 2, 2, 1],
                                     strides=[1, 2**18, 2**18, 1], padding="EXPLICIT",
                                     explicit_paddings=pads, data_format="NHWC")])
        """,
    "a variable that is not in the table": """
        def forge(name, found=None):
            handle = ["VarHandleOp", "v", [], {"variable": 10**9}, [["resource", []]]]
            read = op("ReadVariableOp", [1], None)
            return record([IMAGE, handle, read, op("MatMul", [0, 2])], [row(8)])
        """,
    "a variable of another shape than the table says": """
        def forge(name, found=None):
            return record([IMAGE, variable(0), op("ReadVariableOp", [1], [8]),
                           op("Mul", [0, 2], [2, 4, 4, 8])], [row(4)])
        """,
    "a variable with ten thousand axes": """
        def forge(name, found=None):
            return record([IMAGE, op("Relu", [0])], [row(*[2] * 10**4)])
        """,
    "a read without a result": """
        def forge(name, found=None):
            read = ["ReadVariableOp", "r", [[1, 0]], {}, []]
            return record([IMAGE, variable(0), read, op("Relu", [0])], [row(8)])
        """,
    "no operations at all": """
        def forge(name, found=None):
            graph = {"nodes": [], "inputs": [], "outputs": [], "updates": []}
            return record([IMAGE], graphs={"inference": graph, "training": graph})
        """,
    "nothing but a constant": """
        def forge(name, found=None):
            return record([const([1.0] * 8, [8]), op("Relu", [0], [8])])
        """,
    "JSON nested a hundred thousand deep": """
        def forge(name, found=None):
            deep = {}
            for _ in range(900):
                deep = {"": deep}
            return record([IMAGE], preprocess={"deep": deep})
        """,
    "integers of ten thousand digits": """
        def forge(name, found=None):
            sys.set_int_max_str_digits(0)
            return record([IMAGE, const([10**10_000], [1], "int64")], preprocess={"n": 10**10_000})
        """,
    "integers written as words": """
        def forge(name, found=None):
            return record([IMAGE, const(["9" * 1900] * 4, [4], "int32"), op("Reshape", [0, 1])])
        """,
    "types that do not belong": """
        def forge(name, found=None):
            return record([IMAGE, op("Relu", [0])], input_shape="4", weights=[],
                          sample={"failure": "x"})
        """,
    "a sample of four billion images": """
        def forge(name, found=None):
            return record([IMAGE, op("Relu", [0])], input_shape=[2**20] * 4,
                          sample={"shape": [2**20] * 4, "failure": None})
        """,
    "names with control characters": """
        def forge(name, found=None):
            name = "[bold]\\x1b]0;\\x07\\u202e\\ud83d\\ude00"
            return record([IMAGE, op(name, [0], [2, 4, 4, 8])])
        """,
    "results of other ranks": """
        def forge(name, found=None):
            nodes = [IMAGE, variable(0), op("ReadVariableOp", [1], [3, 3, 8, 4])]
            shapes = ([2], [], [2, 4], [1] * 12, None)
            nodes += [op("Conv2D", [0, 2], shape, **SAME) for shape in shapes]
            nodes += [op(kind, [i], [2, 4]) for kind in ("AvgPool", "Softmax") for i in range(3, 8)]
            return record([*nodes, op("AddN", list(range(3, len(nodes))))], [row(3, 3, 8, 4)])
        """,
    "arguments that are missing": """
        def forge(name, found=None):
            kinds = ("ConcatV2", "Split", "Conv2D", "MatMul", "FusedBatchNormV3", "SelectV2",
                     "Mean", "Transpose", "StridedSlice", "Pad", "GatherV2", "Einsum", "AddN",
                     "Cast", "Reshape")
            return record([IMAGE, *[op(kind, inputs) for kind in kinds for inputs in ([], [0])]])
        """,
    "a map joined with itself forty times": """
        def forge(name, found=None):
            nodes = [IMAGE, const([3], [], "int32")]
            for i in range(40):
                last = 0 if i == 0 else len(nodes) - 1
                nodes.append(op("ConcatV2", [last, last, 1]))
            return record(nodes)
        """,
    "two hundred joins of five thousand parts": """
        def forge(name, found=None):
            nodes = [IMAGE, const([3], [], "int32")]
            for i in range(200):
                nodes.append(op("ConcatV2", [0 if i == 0 else len(nodes) - 1] * 5000 + [1]))
            return record(nodes)
        """,
    "channels picked one by one, over and over": """
        def forge(name, found=None):
            into = IMAGE[4][0][1][3]
            back = const(list(range(4095, -1, -1)), [4096], "int32")
            nodes = [IMAGE, back, const([3], [], "int32"), variable(0)]
            nodes.append(op("ReadVariableOp", [3], [1, 1, into, 4096]))
            nodes.append(op("Conv2D", [0, 4], **SAME))
            for _ in range(500):
                nodes.append(op("GatherV2", [len(nodes) - 1, 1, 2]))
            return record(nodes, [row(1, 1, into, 4096)])
        """,
    "statistics of statistics": """
        def forge(name, found=None):
            nodes = [IMAGE, const([0, 1, 2], [3], "int32")]
            last = 0
            for _ in range(600):
                nodes.append(op("Mean", [last, 1], [8], keep_dims=False))
                nodes.append(op("Sub", [last, len(nodes) - 1]))
                last = len(nodes) - 1
                if len(nodes) % 40 == 0:
                    nodes.append(op("Relu", [last]))
                    last = len(nodes) - 1
            kernel = [variable(0), op("ReadVariableOp", [len(nodes)], [1, 1, 8, 4])]
            nodes += kernel
            return record([*nodes, op("Conv2D", [last, len(nodes) - 1], **SAME)], [row(1, 1, 8, 4)])
        """,
    "a sum of sums of all variables": """
        def forge(name, found=None):
            nodes, last = [IMAGE], None
            for i in range(3000):
                nodes += [variable(i), op("ReadVariableOp", [len(nodes)], [8])]
                nodes.append(op("AddN", [len(nodes) - 1] + ([last] if last else []), [8]))
                last = len(nodes) - 1
            return record([*nodes, op("AddV2", [0, last])], [row(8)] * 3000)
        """,
    "products of large constant matrices": """
        def forge(name, found=None):
            nodes = [IMAGE, const([2048, 2048], [2], "int32"), const([1.0], [])]
            nodes.append(op("Fill", [1, 2], [2048, 2048]))
            nodes += [op("MatMul", [len(nodes) - 1 + i, 3], [2048, 2048]) for i in range(400)]
            return record([*nodes, op("AddV2", [0, len(nodes) - 1])])
        """,
    "a thousand convolutions of one another": """
        def forge(name, found=None):
            nodes = [IMAGE, variable(0), op("ReadVariableOp", [1], [1, 1, 8, 8])]
            for i in range(1000):
                nodes.append(op("Conv2D", [0 if i == 0 else len(nodes) - 1, 2], **SAME))
            return record(nodes, [row(1, 1, 8, 8)])
        """,
    "thousands of operations with names of their own": """
        def forge(name, found=None):
            nodes = [IMAGE, *[op("Op" + str(i) + "x" * 80, [i]) for i in range(5000)]]
            for node in nodes[1:]:
                node[4] = [["float32", [2, 4, 4, 8]]]
            return record(nodes)
        """,
}
"""Lies out of nothing, by what they claim."""


def lying(text: str) -> Recipe:
    """A submission that answers with a lie, whatever its functions would give."""
    return handed_in(STUBS + MAKING + dedent(text) + SENDING)


def forged(name: str) -> dict[str, Any]:
    """The functions of a lie, for the reader alone; nothing is sent."""
    room: dict[str, Any] = {}
    exec("import sys\n" + MAKING + dedent(MADE_UP[name]), room)
    return room


def meddling(text: str) -> Recipe:
    """A right network whose records are changed by `forge(name, found)` on their way out."""
    return handed_in(RIGHT + MAKING + CHANGING + "\n" + dedent(text) + SENDING)


def case(name: str, make: Recipe, expect: Graded, why: str) -> Case:
    return Case(name, "graph", make, expect, why)


IMPOSSIBLE = "the description of the network is not possible"
MALFORMED = "the description of the network was not well formed"
ANOTHER = "the program gave the answer to another question"
COUNTS = frozenset({"build-model-parameters", *(f"parameter-count-{what}" for what in
                    ("block", "transition", "network"))})  # fmt: skip
READ = "expected"
"""The lie is read as a network, and is none of the paper's."""
CLAIMS: tuple[tuple[str, str, str], ...] = (
    ("a million operations", "", "the reader holds every one of them at once"),
    ("an operation that needs itself", IMPOSSIBLE, "a walk along the graph never ends"),
    ("two operations that need each other", IMPOSSIBLE, "a walk along the graph never ends"),
    ("an operation that needs a later one", IMPOSSIBLE, "the reader looks up what is not there"),
    ("a map of negative size", MALFORMED, "sizes that are multiplied have any sign"),
    ("a map of 2^93 numbers", IMPOSSIBLE, "a map is made that no machine can hold"),
    ("a map of 2^24 channels", READ, "channels are numbered one by one, a gigabyte of them"),
    ("a convolution of stride 0", READ, "a size is divided by nothing"),
    ("an epsilon that is no number", READ, "a comparison with NaN is false both ways"),
    ("a constant of eight terabytes", READ, "the reader makes the constant that is described"),
    ("a padding of a terabyte, cut off again", READ, "what lies between two small maps is made"),
    ("a variable that is not in the table", IMPOSSIBLE, "a list ends before its index"),
    ("a read without a result", READ, "a list that is empty is taken to have a first entry"),
    ("no operations at all", ANOTHER, "a network without an input is taken to have one"),
    ("JSON nested a hundred thousand deep", MALFORMED, "a parser that recurses runs out of stack"),
    ("integers of ten thousand digits", MALFORMED, "arithmetic on them takes longer than anything"),
    ("types that do not belong", MALFORMED, "a method is called on what has no methods"),
    ("names with control characters", READ, "what the student named reaches the terminal"),
    ("a map joined with itself forty times", READ, "a trillion channels are followed one by one"),
    ("statistics of statistics", READ, "each level is computed through all others"),
)
"""Name, what the student reads, and what a reader without the defence would do."""


def expected_of(name: str, says: str) -> Graded:
    if name == "a million operations":
        return Graded(FUNCTIONS, Cause.STUDENT_OUTPUT_LIMIT, says="answer: expected at most")
    cause = Cause.STUDENT_BAD_OUTPUT if says == ANOTHER else None
    return Graded(FUNCTIONS, cause, says=says)


LIES: tuple[Case, ...] = (
    *[case(name, lying(MADE_UP[name]), expected_of(name, says), why)
      for name, says, why in CLAIMS],
    case("one answer for every question", meddling("""
        kept = {}
        def forge(name, found):
            return kept.setdefault(name.rstrip("0123456789"), found)
        """), Graded(FUNCTIONS, Cause.STUDENT_BAD_OUTPUT, says=ANOTHER),
        "a network that is right for one configuration passes for a program that reads its input"),
    case("the inference graph told for training too", meddling("""
        def forge(name, found):
            graphs = found.get("graphs") or {}
            if "training" in graphs:
                graphs["training"] = graphs["inference"]
            return found
        """), Graded(frozenset({"training-behaviour"}), says="moving averages"),
        "a network that never learns its statistics passes for one that does"),
    case("one kernel for every convolution", meddling("""
        def forge(name, found):
            for graph in (found.get("graphs") or {}).values():
                reads = [n for n in graph["nodes"] if n[0] == "Variable"]
                kernels = [n for n in reads
                           if len(found["variables"][n[3]["variable"]]["shape"]) == 4]
                seen = {}
                for node in kernels:
                    shape = str(found["variables"][node[3]["variable"]]["shape"])
                    node[3]["variable"] = seen.setdefault(shape, node[3]["variable"])
            return found
        """), Graded(frozenset({"own-weights"}), says="weights of its own"),
        "a network with half the weights of the paper's passes"),
    case("constants posing as trained kernels", meddling("""
        def forge(name, found):
            for graph in (found.get("graphs") or {}).values():
                for node in graph["nodes"]:
                    if node[0] == "ReadVariableOp" and len(node[4][0][1] or []) == 4:
                        shape = node[4][0][1]
                        node[0], node[2] = "Const", []
                        node[3] = {"value": {"dtype": "float32", "shape": shape}}
            return found
        """), Graded(frozenset({"own-weights", "build-model"}),
               says="numbers that are never trained"),
        "numbers that were put in by hand pass for a training"),
    case("a table of variables that are all frozen", meddling("""
        def forge(name, found):
            for variable in found.get("variables", []):
                variable["trainable"] = False
            return found
        """), Graded(COUNTS | {"own-weights", "training-behaviour"}, says="one that is frozen"),
        "the count of what is trained is taken from whoever is counted"),
    case("variables that nobody uses", meddling("""
        def forge(name, found):
            if "variables" in found:
                found["variables"].append(row(7, 7, 64, 64))
            return found
        """), Graded(COUNTS | {"own-weights", "build-model"},
               says="weights that the output does not depend on"),
        "a count is made to fit by adding what is not there"),
)  # fmt: skip
