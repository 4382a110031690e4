"""What comes from the sandbox is hostile until it has passed record.py."""

import json

import pytest

from grader.errors import Cause, StageFailed
from grader.graph import record as records
from grader.graph import work
from grader.graph.evidence import read_subject
from grader.graph.read.reader import canonicalise
from grader.graph.record import check_graph, parse_module, parse_network
from tests.graph.writing import (
    BATCH,
    Net,
    Style,
    Writer,
    block_probe,
    block_record,
    complaints,
    dense,
    evidence_of,
)


def record(nodes, variables=(), inputs=(0,), outputs=((0, 0),)):
    graph = {
        "nodes": nodes,
        "inputs": list(inputs),
        "outputs": [list(o) for o in outputs],
        "updates": [],
    }
    return {"failure": None, "graphs": {"inference": graph}, "variables": list(variables)}


def checked(content):
    parsed = parse_network(json.dumps(content).encode())
    return check_graph(parsed.graphs["inference"], parsed.variables)


PLACEHOLDER = ["Placeholder", "x", [], {}, [["float32", [2, 4, 4, 3]]]]
VARIABLE = {"name": "v", "shape": [3], "dtype": "float32", "trainable": True, "owned": True}


def constant(**fields):
    return ["Const", "c", [], {"value": {"dtype": "float32", **fields}}, [["float32", [1]]]]


def test_an_ordinary_record_is_accepted():
    trace = checked(record([PLACEHOLDER, ["Relu", "r", [[0, 0]], {}, [["float32", None]]]]))

    assert [op.op for op in trace.ops] == ["Placeholder", "Relu"]


@pytest.mark.parametrize(
    "content",
    [
        record([["Relu", "r", [[0, 0]], {}, [["float32", [2]]]]]),
        record([PLACEHOLDER, ["Add", "a", [[2, 0]], {}, [["float32", [2]]]], PLACEHOLDER]),
        record([PLACEHOLDER, ["Relu", "r", [[0, 1]], {}, [["float32", [2]]]]]),
        record([PLACEHOLDER], outputs=[(3, 0)]),
        record([PLACEHOLDER], outputs=[(0, 7)]),
        record([PLACEHOLDER], inputs=[9]),
        record([["Placeholder", "x", [], {}, [["float32", [2**31, 2**31]]]]]),
        record([PLACEHOLDER, ["Variable", "v", [], {"variable": 5}, [["resource", []]]]]),
        record([PLACEHOLDER, ["Variable", "v", [], {"variable": -1}, [["resource", []]]]]),
        record([PLACEHOLDER], variables=[{**VARIABLE, "shape": [2**20, 2**20]}]),
        record([PLACEHOLDER, constant(shape=[1], values=["many"])]),
        record([PLACEHOLDER, constant(shape=[3], values=[1.0])]),
        record([PLACEHOLDER, constant(shape=[-1], values=[1.0])]),
        record([PLACEHOLDER, constant(shape=[4], offset=0)]),
        record([PLACEHOLDER, constant(shape=[1], offset=2**40)]),
    ],
    ids=[
        "an op that needs itself", "a cycle", "an output that is not there", "no such output",
        "no such output of a node", "no such input", "a shape of 2^62", "a variable not listed",
        "a variable before the first", "a variable of 2^40", "a word for a number",
        "too few values", "a negative size", "no frame", "outside its frame",
    ],
)  # fmt: skip
def test_an_impossible_record_is_bad_output(content):
    with pytest.raises(StageFailed) as failure:
        checked(content)

    assert failure.value.cause is Cause.STUDENT_BAD_OUTPUT


@pytest.mark.parametrize(
    "data",
    [
        b"", b"null", b"[]", b"{}", b'{"failure": 3}', b'{"failure": null, "surprise": 1}',
        b'{"failure": null, "graphs": {"inference": {"nodes": NaN}}}',
        b'{"failure": null, "variables": [{"name": "v", "shape": [-3], "dtype": "f", '
        b'"trainable": true, "owned": true}]}',
        b'{"failure": null, "input_shape": [1e400]}',
        b"[" * 100_000,
        b"\xff\xfe",
    ],
)  # fmt: skip
def test_what_is_no_network_record_is_bad_output(data):
    with pytest.raises(StageFailed) as failure:
        parse_network(data)

    assert failure.value.cause is Cause.STUDENT_BAD_OUTPUT


def test_a_module_record_with_a_number_for_a_function_is_bad_output():
    with pytest.raises(StageFailed):
        parse_module(b'{"failure": null, "functions": {"dense_block": 3}}')


def test_not_a_number_as_a_constant_is_read_as_one_and_refused_later():
    w = Writer()
    x = w.image((BATCH, 4, 4, 3))
    bad = w.constant(["nan"], ())
    graph = w.canonical(w.binary("AddV2", x, bad))

    assert graph.output is not None


def malformed():
    """Ops that TensorFlow would never have made."""
    image = ["Placeholder", "x", [], {}, [["float32", [2, 4, 4, 3]]]]
    handle = ["Variable", "v", [], {"variable": 0}, [["resource", []]]]
    read = ["ReadVariableOp", "r", [[1, 0]], {}, [["float32", [3, 3, 0, 5]]]]
    plain = {"strides": [1, 1, 1, 1], "padding": "SAME"}
    out = [["float32", [2, 4, 4, 5]]]
    zeros = ["Const", "c", [], {"value": {"dtype": "int32", "shape": [4], "values": [0] * 4}}]
    zeros.append([["int32", [4]]])
    noise = ["RandomUniform", "n", [], {}, [["float32", [2]]]]
    yield [image, handle, read, ["Conv2D", "c", [[0, 0], [2, 0]], plain, out]]
    yield [image, handle, read, ["Conv2D", "c", [[0, 0], [2, 0]], {}, out]]
    yield [image, handle, read, ["Conv2D", "c", [[0, 0]], plain, out]]
    yield [image, zeros, ["Reshape", "r", [[0, 0], [1, 0]], {}, [["float32", None]]]]
    yield [image, zeros, ["StridedSlice", "s", [[0, 0], [1, 0], [1, 0], [1, 0]], {}, out]]
    yield [image, ["FusedBatchNormV3", "b", [[0, 0]] * 5, {"is_training": False}, out * 6]]
    yield [image, noise, ["ReverseV2", "g", [[0, 0], [1, 0]], {}, out]]
    yield [image, noise, ["Pad", "g", [[0, 0], [1, 0]], {}, out]]
    yield [image, ["AvgPool", "p", [[0, 0]], {"ksize": "2", "strides": None}, out]]
    yield [image, ["AvgPool", "p", [[0, 0]], {"ksize": [1, 0, 0, 1], "strides": [1] * 4}, out]]
    yield [image, ["ConcatV2", "c", [[0, 0]], {}, out]]
    yield [image, ["Relu", "r", [], {}, []]]
    yield [image, ["Split", "s", [[0, 0], [0, 0]], {}, out]]
    yield [image, ["MatMul", "m", [[0, 0], [0, 0]], {}, out]]


@pytest.mark.parametrize("nodes", list(malformed()))
def test_an_op_that_tensorflow_would_not_make_is_no_crash(nodes):
    variables = [{**VARIABLE, "shape": [3, 3, 0, 5]}]
    outputs = [(len(nodes) - 1, 0)] if nodes[-1][4] else [(0, 0)]

    graph = canonicalise(checked(record(nodes, variables, outputs=outputs)))

    assert graph.output is None or graph.output.channels >= 0


def test_a_broken_answer_to_one_probe_is_that_probe_s_failure():
    probe = block_probe(2, 3, True, 4, 5)

    evidence = evidence_of((probe, b'{"failure": null, "graphs": 3}'))

    assert evidence.networks[0].failure.type == Cause.STUDENT_BAD_OUTPUT


@pytest.mark.parametrize("step", ["AddV2", "Relu", "Sin", "ConcatV2"])
def test_a_long_chain_of_operations_is_read_in_bounded_time_and_memory(step):
    w = Writer()
    x = w.image((BATCH, 2, 2, 3))
    one, axis = w.constant([1.5], ()), w.number(3, "int32")
    for _ in range(500 if step == "ConcatV2" else 5_000):
        if step == "AddV2":
            x = w.binary("AddV2", x, one)
        elif step == "ConcatV2" and x.shape[3] < 4000:
            x = w.op("ConcatV2", [x, x, axis], (*x.shape[:3], 2 * x.shape[3]))
        else:
            x = w.unary("Relu" if step == "ConcatV2" else step, x)

    graph = w.canonical(x)

    assert sum(len(v.segments) for n in graph.nodes for v in n.inputs) < 100_000


def test_names_of_the_student_never_decide():
    style, block = Style(), dense(2, 3, True)
    plain = block_record(style, block, 4, 6)
    renamed = block_record(style, block, 4, 6)
    for node in renamed["graphs"]["inference"]["nodes"]:
        node[1] = "[bold]batch_norm/ReLU/conv2d\x1b[31m"
    probe = block_probe(2, 3, True, 4, 6)

    first, second = evidence_of((probe, plain)), evidence_of((probe, renamed))

    assert first.deviations == second.deviations == ()


def test_a_network_with_two_outputs_is_not_read_as_one():
    net = Net(Style())
    x = net.entry(4, 3)
    y = net.conv(net.relu(net.norm(x)), 4, 3)
    record = net.w.record(net.join([x, y]), y, input_shape=(BATCH, 4, 4, 3))

    found = complaints(block_probe(1, 4, False, 4, 3), record)

    assert [f.received for name, f in found if name == "foreign-ops"] == ["2 outputs"]


MANY = {
    "outputs": ["Split", "s", [], {}, [["", []]] * 4000],
    "inputs": ["AddN", "a", [[0, 0]] * 8000, {}, [["float32", None]]],
    "constants": constant(shape=[], values=[0.5] * 4000),
    "attributes": ["Add", "a", [], {str(i): None for i in range(8000)}, []],
}


@pytest.mark.parametrize("node", MANY.values(), ids=MANY)
def test_a_record_of_more_objects_than_any_network_has_is_refused_unparsed(monkeypatch, node):
    data = json.dumps(record([PLACEHOLDER, node])).encode()
    monkeypatch.setattr(records, "_NETWORK", None)
    monkeypatch.setattr(work, "KEPT_PIECES", 4000)

    with pytest.raises(StageFailed) as caught:
        parse_network(data)

    assert caught.value.cause is Cause.STUDENT_BAD_OUTPUT
    assert "more memory to read" in caught.value.message


def test_the_objects_of_all_records_of_a_submission_are_counted_together(monkeypatch):
    data = json.dumps(record([PLACEHOLDER] * 100)).encode()
    pieces = sum(map(data.count, (b"[", b"{", b",")))
    monkeypatch.setattr(work, "KEPT_PIECES", 3 * pieces)

    with work.limited():
        for _ in range(3):
            parse_network(data)
        with pytest.raises(StageFailed):
            parse_network(data)


def test_what_is_compared_with_a_reference_is_counted_too(monkeypatch):
    spent = []
    monkeypatch.setattr(work.Work, "spend", lambda _, numbers: spent.append(numbers))
    data = json.dumps(record([PLACEHOLDER])).encode()

    read_subject(data, b"")

    assert spent[0] == work.CHARACTER * len(data)


def test_an_operation_has_a_bounded_number_of_outputs():
    with pytest.raises(StageFailed):
        checked(record([["Split", "s", [], {}, [["float32", None]] * 4097]]))
