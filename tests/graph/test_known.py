"""A network that computes the same is read and proved once, and everybody finds their own names."""

import copy
import gzip
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from grader.checks import CHECKS, run_checks
from grader.errors import StageFailed
from grader.graph import known, proof, work
from grader.graph.evidence import assemble, read_subject
from grader.graph.known import read_once, why_not_proved
from grader.graph.record import check_graph, parse_network
from tests.graph.record_traces import GOLDEN, PROBES
from tests.graph.writing import Style, block_record, dense

BOTH = ("inference", "training")
TRACES = Path(__file__).parent / "traces"


@pytest.fixture
def read(monkeypatch):
    """The traces that were read whole, in order."""
    found = []
    whole = known.canonicalise

    def noted(trace):
        found.append(trace)
        return whole(trace)

    monkeypatch.setattr(known, "canonicalise", noted)
    return found


def block():
    return block_record(Style(), dense(2, 4, True), 6, 5, BOTH)


def traces_of(record):
    parsed = parse_network(json.dumps(record).encode())
    return {mode: check_graph(graph, parsed.variables) for mode, graph in parsed.graphs.items()}


def proved(record):
    network = read_once(traces_of(record))
    assert why_not_proved(network) is None
    return network


def renamed(record):
    """The same record; every op has another name, and so has every variable."""
    other = copy.deepcopy(record)
    for graph in other["graphs"].values():
        for node in graph["nodes"]:
            node[1] = f"theirs/{node[1]}"
    for variable in other["variables"]:
        variable["name"] = f"theirs/{variable['name']}"
    return other


def test_the_same_network_is_read_and_proved_once(read, monkeypatch):
    first = proved(block())
    monkeypatch.setattr(proof, "why_not_proved", lambda *_: pytest.fail("it was proved before"))

    again = proved(block())

    assert len(read) == len(BOTH)
    assert [n.key for n in (first, again)] == [first.key] * 2
    assert again.graphs["training"].updates.keys() == first.graphs["training"].updates.keys()


def test_under_other_names_it_is_the_same_network_and_has_its_own_names(read):
    proved(block())

    again = proved(renamed(block()))

    assert len(read) == len(BOTH)
    names = [node.name for graph in again.graphs.values() for node in graph.nodes]
    assert names
    assert all(name.startswith("theirs/") for name in names)
    kept = proved(block())
    assert not any(n.name.startswith("theirs/") for n in kept.graphs["inference"].nodes)


def test_attributes_count_in_any_order(read):
    proved(block())
    other = block()
    for node in other["graphs"]["inference"]["nodes"]:
        node[3] = dict(reversed(node[3].items()))

    proved(other)

    assert len(read) == len(BOTH)


def convolution(record, mode="inference"):
    return next(n for n in record["graphs"][mode]["nodes"] if n[0] == "Conv2D")


def number(record):
    """A constant that counts, as it stands in the record."""
    return next(
        node[3]["value"]
        for node in record["graphs"]["inference"]["nodes"]
        if node[0] == "Const" and isinstance(node[3]["value"], dict)
    )


def with_other_padding(record):
    convolution(record)[3]["padding"] = "VALID"


def with_other_training(record):
    convolution(record, "training")[3]["padding"] = "VALID"


def with_other_constant(record):
    constant = number(record)
    constant["values"] = [value + 1 for value in constant["values"]]


def with_constant_of_another_type(record):
    number(record)["dtype"] = "float32"


def with_other_input(record):
    inputs = convolution(record)[2]
    inputs[1] = inputs[0]


def with_other_shape(record):
    convolution(record)[4][0][1] = None


def with_frozen_variable(record):
    record["variables"][0]["trainable"] = False


def with_variable_of_nobody(record):
    record["variables"][0]["owned"] = False


def with_smaller_variable(record):
    record["variables"][0]["shape"] = [1]


def with_other_output(record):
    graph = record["graphs"]["inference"]
    graph["outputs"] = [[graph["outputs"][0][0] - 1, 0]]


def without_an_update(record):
    record["graphs"]["training"]["updates"].pop()


def with_two_ops_of_one_name(record):
    nodes = record["graphs"]["inference"]["nodes"]
    nodes[1][1] = nodes[0][1]


def with_one_mode(record):
    del record["graphs"]["training"]


CHANGES = [
    with_other_padding, with_other_training, with_other_constant, with_constant_of_another_type,
    with_other_input, with_other_shape, with_frozen_variable, with_variable_of_nobody,
    with_smaller_variable, with_other_output, without_an_update, with_two_ops_of_one_name,
    with_one_mode,
]  # fmt: skip


@pytest.mark.parametrize("change", CHANGES)
def test_whatever_counts_makes_another_network(read, change):
    proved(block())
    read.clear()
    other = block()
    change(other)
    assert other != block()

    read_once(traces_of(other))

    assert read


def test_a_reading_that_is_not_proved_is_not_kept(read, monkeypatch):
    with monkeypatch.context() as broken:
        broken.setattr(proof, "why_not_proved", lambda *_: "other numbers")
        network = read_once(traces_of(block()))
        assert why_not_proved(network) == ("inference", "other numbers")
    read.clear()

    proved(block())

    assert len(read) == len(BOTH)


def test_a_reading_that_nobody_proved_yet_is_not_kept(read):
    read_once(traces_of(block()))
    read_once(traces_of(block()))

    assert len(read) == 2 * len(BOTH)


def test_what_is_remembered_costs_as_much_as_what_is_read():
    def cost():
        with work.limited() as reading:
            network = read_once(traces_of(block()))
        with proof.limited() as proving:
            assert why_not_proved(network) is None
        return reading.cost(), proving.cost()

    first, again = cost(), cost()

    assert again == first
    assert min(first[0].numbers, first[0].pieces, first[1].numbers) > 0


def test_what_is_remembered_may_not_cost_more_than_what_is_read():
    traces = traces_of(block())
    network = proved(block())
    needed = network.reading.numbers // 2

    with work.limited(needed), pytest.raises(StageFailed):
        read_once(traces)
    again = read_once(traces)
    with work.limited(network.proving.numbers // 2):
        assert why_not_proved(again) == ("inference", proof.TOO_MUCH_WORK)


def sized(monkeypatch, size):
    """Nothing is kept yet, and so many bytes are at most."""
    known.KEPT.clear()
    monkeypatch.setattr(known, "MOST_BYTES", size)


def test_no_more_is_kept_than_a_bound(read, monkeypatch):
    small, large = block(), block_record(Style(), dense(3, 4, True), 6, 5, BOTH)
    sizes = [known._bytes(traces_of(record)) for record in (small, large)]
    sized(monkeypatch, max(sizes))
    for record in (small, large, small):
        proved(record)
    assert len(read) == 3 * len(BOTH)  # one at a time has room

    sized(monkeypatch, sum(sizes))
    read.clear()
    for record in (large, small, large):
        proved(record)
    assert len(read) == 2 * len(BOTH)


def test_the_network_that_was_asked_for_last_stays(read, monkeypatch):
    records = [block_record(Style(), dense(n, 4, True), 6, 5, BOTH) for n in (1, 2, 1, 3, 1)]
    sized(monkeypatch, sum(known._bytes(traces_of(records[i])) for i in (1, 3)))

    for record in records:
        proved(record)

    assert len(read) == 3 * len(BOTH)


def test_a_network_of_huge_constants_has_no_room():
    record = block()
    traces = traces_of(record)
    position, op = next(
        (i, op)
        for i, op in enumerate(traces["inference"].ops)
        if isinstance(op.attributes.get("value"), np.ndarray)
    )
    huge = replace(op, attributes={**op.attributes, "value": np.zeros(2**23)})
    ops = traces["inference"].ops
    traces["inference"] = replace(
        traces["inference"], ops=(*ops[:position], huge, *ops[position + 1 :])
    )

    assert known._bytes(traces) > known.MOST_BYTES > 10 * known._bytes(traces_of(record))


# --- whole submissions --------------------------------------------------------------------------


def recorded(name):
    """The frames of a recorded submission."""
    content = json.loads(gzip.decompress((TRACES / f"{name}.json.gz").read_bytes()))
    return content["json"], {n: bytes(b) for n, b in content["binary"].items()}


def judged(json_frames, binary_frames):
    """All that the checks say, and why it is not proved."""
    frames = {n: json.dumps(f).encode() for n, f in json_frames.items()}
    found = assemble(frames, binary_frames, list(PROBES))
    return run_checks(CHECKS, found), found.unproved


@pytest.mark.parametrize("name", GOLDEN)
def test_who_comes_second_is_told_the_same_in_their_own_names(name, read):
    frames, binary = recorded(name)
    others = {
        key: renamed(frame) if frame.get("graphs") else frame for key, frame in frames.items()
    }
    alone = judged(others, binary)
    known.KEPT.clear()
    judged(frames, binary)
    read.clear()

    second = judged(others, binary)

    assert not read
    assert second == alone


def test_a_reference_is_read_once_for_a_class(read):
    data = json.dumps(block()).encode()

    first, again = read_subject(data, b""), read_subject(data, b"")

    assert len(read) == len(BOTH)
    assert (first.unproved, first.shape) == (again.unproved, again.shape)
