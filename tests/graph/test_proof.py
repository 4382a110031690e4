"""The trace and what was read of it give the same numbers, and a rule that misreads is found.

Graphs are written by hand. A rule of the reader is replaced by one that reads something else; the
proof, which computes the trace by another table, has to say so.
"""

from dataclasses import replace

import numpy as np
import pytest

from grader.graph import beside, proof
from grader.graph.canonical import Segment, Step, Value
from grader.graph.ops import ONE, SEVERAL
from grader.graph.pointwise import FUNCTIONS
from grader.graph.proof import why_not_proved
from grader.graph.read import reader
from grader.graph.read.values import with_step
from grader.graph.record import check_graph, parse_network
from grader.graph.symbols import constant, expression
from tests.graph.writing import (
    BATCH,
    JOINS,
    NORMS,
    PADS,
    RELUS,
    Net,
    Style,
    Transition,
    block_record,
    dense,
    dense_net,
    json,
    network_record,
    transition_record,
)

MODES = ("inference", "training")


def reasons(record):
    """By mode: why the reading of a record is not proved."""
    parsed = parse_network(json.dumps(record).encode())
    traces = {m: check_graph(g, parsed.variables) for m, g in parsed.graphs.items()}
    graphs = {mode: reader.canonicalise(trace) for mode, trace in traces.items()}
    assert all(graph.output is not None for graph in graphs.values())
    return {mode: why_not_proved(trace, graphs[mode]) for mode, trace in traces.items()}


def proved(record):
    return set(reasons(record).values()) == {None}


def written(build, channels=6, size=4, training=False, **style):
    """The record of a few ops between an input and a convolution."""
    net = Net(Style(**style), training=training)
    x = build(net, net.entry(size, channels))
    return net.w.record(net.conv(x, 4, 3) if len(x.shape) == 4 else x)


STYLES = [
    *[{"norm": norm, "channels_first": first} for norm in NORMS for first in (False, True)],
    *[{"relu": relu} for relu in RELUS],
    *[{"pad": pad} for pad in PADS],
    *[{"join": join} for join in JOINS],
    {"sums": True, "bias": True},
    {"pointwise_as_matmul": True},
    {"pool": "mean"},
    {"identities": True, "twice_relu": True},
]


@pytest.mark.parametrize("style", STYLES, ids=str)
def test_the_paper_in_any_style_is_proved(style):
    style = Style(**style)

    assert proved(block_record(style, dense(3, 4, True), 6, 9, MODES))
    assert proved(transition_record(style, Transition(7), 8, 14, MODES))


@pytest.mark.parametrize("bottleneck", [False, True])
def test_a_whole_network_is_proved(bottleneck):
    plan = dense_net(2, 4, 0.5, bottleneck, 10)

    assert proved(network_record(Style(), plan, 16, MODES))


def dropped(kind, spelling, rate=0.3):
    """Dropout, written out."""

    def build(net, x):
        w = net.w
        n, _, _, channels = x.shape
        shape = (n, 1, 1, channels) if kind == "spatial" else x.shape
        drawn = w.op("RandomUniform", [w.integers(shape)], shape)
        kept = w.op("GreaterEqual", [drawn, w.number(rate)], shape, dtype="bool")
        scaled = w.binary("Mul", x, w.number(1 / (1 - rate)))
        if spelling == "select":
            return w.op("SelectV2", [kept, scaled, w.number(0.0)], x.shape)
        mask = w.op("Cast", [kept], shape, SrcT="bool", DstT="float32")
        if spelling == "scaled behind":
            return w.binary("Mul", w.binary("Mul", x, mask), w.number(1 / (1 - rate)))
        return w.binary("Mul", scaled, mask)

    return build


@pytest.mark.parametrize("spelling", ["select", "scaled before", "scaled behind"])
@pytest.mark.parametrize("kind", ["elementwise", "spatial"])
def test_dropout_is_proved_with_the_numbers_that_were_drawn(kind, spelling):
    build = dropped(kind, spelling)

    assert proved(written(lambda net, x: net.relu(net.norm(build(net, x))), channels=40, size=6))


def test_two_dropouts_of_one_map_are_read_as_one_and_proved():
    build = dropped("elementwise", "select")

    assert proved(written(lambda net, x: net.w.concatenated([build(net, x), build(net, x)], 3)))


@pytest.mark.parametrize(
    "word", ["Elu", "Sigmoid", "LeakyRelu", "half", "shifted", "max pool", "turned", "softmax",
             "flipped", "Square"]
)  # fmt: skip
def test_what_no_densenet_has_is_proved_too(word):
    assert proved(written(lambda net, x: net.activated(x, ["BN", word, "ReLU"])))


def test_an_op_without_a_place_stands_for_itself_and_what_follows_is_proved(monkeypatch):
    def build(net, x):
        return net.relu(net.norm(net.w.unary("Bucketize", x)))

    assert proved(written(build))

    monkeypatch.setitem(reader.RULES, "Relu", lambda graph, op, arguments: arguments[0])
    assert not proved(written(build))


def test_an_op_of_unknown_meaning_cannot_be_read_as_something(monkeypatch):
    monkeypatch.setitem(reader.RULES, "Bucketize", lambda graph, op, arguments: arguments[0])

    assert not proved(written(lambda net, x: net.w.unary("Bucketize", x)))


# --- misreadings -----------------------------------------------------------------------------


def changed(name, change):
    """The rule of an op, for which `change` makes another op of it first."""
    rule = reader.RULES[name]
    return lambda graph, op, arguments: rule(graph, *change(op, arguments))


def first(graph, op, arguments):
    return arguments[0]


def with_attributes(**attributes):
    return lambda op, arguments: (
        replace(op, attributes={**op.attributes, **attributes}),
        arguments,
    )


def as_op(name):
    return lambda op, arguments: (replace(op, op=name), arguments)


def turned(op, arguments):
    return op, [*arguments[:-1][::-1], arguments[-1]]


def swapped(op, arguments):
    return op, arguments[::-1]


def negated_kernel(op, arguments):
    kernel = arguments[1]
    return op, [arguments[0], expression("negative", [kernel], np.negative, kernel.shape)]


def shifted_start(op, arguments):
    begin = arguments[1].constant
    return op, [arguments[0], constant(begin + (begin > 0)), *arguments[2:]]


def shifted_padding(op, arguments):
    amounts = arguments[1].constant
    return op, [arguments[0], constant(amounts + np.array([[1, -1]]) * (amounts > 0))]


def untransposed(op, arguments):
    order = arguments[1].constant
    return op, [arguments[0], constant(order[[0, 2, 1, 3]])]


def other_rate(rule):
    def read(graph, op, arguments):
        value = rule(graph, op, arguments)
        if not isinstance(value, Value) or value.segments[0].steps[-1].kind != "dropout":
            return value
        shorter = [replace(s, steps=s.steps[:-1]) for s in value.segments]
        rate, kind = value.segments[0].steps[-1].detail
        step = Step("dropout", (rate / 2, kind))
        return with_step(replace(value, segments=tuple(shorter)), lambda at, s: step)

    return read


def of_whole_maps(rule):
    def read(graph, op, arguments):
        value = rule(graph, op, arguments)
        steps = value.segments[0].steps if isinstance(value, Value) else ()
        if not steps or steps[-1].kind != "dropout":
            return value
        shorter = [replace(s, steps=s.steps[:-1]) for s in value.segments]
        step = Step("dropout", (steps[-1].detail[0], "spatial"))
        return with_step(replace(value, segments=tuple(shorter)), lambda at, s: step)

    return read


def norm(net, x):
    return net.norm(x)


def relu(net, x):
    return net.relu(x)


def pool(net, x):
    return net.pool(x)


def two(net, x):
    return net.w.concatenated([x, net.relu(x)], 3)


def sliced(net, x):
    return net.w.op("Slice", [x, net.w.integers([0, 0, 0, 2]), net.w.integers([2, 4, 4, 3])],
                    (2, 4, 4, 3))  # fmt: skip


def gathered(net, x):
    w = net.w
    return w.op("GatherV2", [x, w.integers([0, 2, 1]), w.number(3, "int32")], (2, 4, 4, 3))


def flat(net, x):
    w = net.w
    return w.op("Mean", [x, w.integers([1, 2])], (BATCH, x.shape[3]), keep_dims=False)


def classified(net, x):
    w, x = net.w, flat(net, x)
    x = w.op("MatMul", [x, w.variable((x.shape[1], 5))[0]], (BATCH, 5))
    return w.unary("Softmax", x)


def biased(net, x):
    bias = net.w.variable((x.shape[3],))[0]
    return net.w.op("BiasAdd", [x, bias], x.shape, data_format="NHWC")


def padded(net, x):
    amounts = net.w.constant([0, 0, 1, 1, 1, 1, 0, 0], (4, 2), "int32")
    return net.w.op("Pad", [x, amounts], (2, 6, 6, x.shape[3]))


def turned_map(net, x):
    return net.w.transposed(x, (0, 2, 1, 3))


def scaled(net, x):
    return net.w.binary("Mul", x, net.w.number(3.0))


def square(net, x):
    return net.w.binary("SquaredDifference", x, net.w.number(0.5))


def twice(net, x):
    return net.w.binary("AddV2", net.conv(x, 6, 3), net.conv(x, 6, 1))


def halves(net, x):
    w = net.w
    return w.op("Split", [w.number(3, "int32"), x], outputs=[(2, 4, 4, 3)] * 2, num_split=2)[1]


def elu(net, x):
    return net.odd(x, "Elu")


def max_pool(net, x):
    return net.odd(x, "max pool")


MISREADINGS = {
    "identity for relu": ("Relu", lambda r: first, relu),
    "relu for identity": ("Elu", lambda r: changed("Relu", as_op("Relu")), elu),
    "another epsilon": (
        "FusedBatchNormV3", lambda r: changed("FusedBatchNormV3", with_attributes(epsilon=0.01)),
        norm,
    ),
    "sum for product": ("Mul", lambda r: changed("Mul", as_op("AddV2")), scaled),
    "difference not squared": ("SquaredDifference", lambda r: changed("Sub", as_op("Sub")), square),
    "no bias": ("BiasAdd", lambda r: first, biased),
    "product for sum": ("AddV2", lambda r: changed("AddV2", as_op("Mul")), twice),
    "concatenated in reverse": ("ConcatV2", lambda r: changed("ConcatV2", turned), two),
    "largest for mean": ("AvgPool", lambda r: changed("AvgPool", as_op("MaxPool")), pool),
    "mean for largest": (
        "MaxPool", lambda r: changed("MaxPool", as_op("AvgPool")), max_pool,
    ),
    "sum for mean": ("Mean", lambda r: changed("Mean", as_op("Sum")), flat),
    "largest for mean of all": ("Mean", lambda r: changed("Mean", as_op("Max")), flat),
    "another kernel": ("Conv2D", lambda r: changed("Conv2D", negated_kernel), relu),
    "another weight": ("MatMul", lambda r: changed("MatMul", negated_kernel), classified),
    "logarithm for softmax": (
        "Softmax", lambda r: changed("Softmax", as_op("LogSoftmax")), classified,
    ),
    "slice one further": ("Slice", lambda r: changed("Slice", shifted_start), sliced),
    "other channels": ("GatherV2", lambda r: changed("GatherV2", shifted_start), gathered),
    "padded aside": ("Pad", lambda r: changed("Pad", shifted_padding), padded),
    "not turned": ("Transpose", lambda r: changed("Transpose", untransposed), turned_map),
    "first half for second": (
        "Split", lambda r: lambda *a: r(*a)[::-1], halves,
    ),
    "dropout of another rate": (
        "SelectV2", other_rate, dropped("elementwise", "select"),
    ),
    "dropout of whole maps": (
        "SelectV2", of_whole_maps, dropped("elementwise", "select"),
    ),
}  # fmt: skip
"""Op → a rule made of the reader's, which is wrong, and ops that it reads."""


@pytest.mark.parametrize("name", MISREADINGS)
def test_a_rule_that_misreads_is_found(name, monkeypatch):
    op, wrong, build = MISREADINGS[name]
    record = written(build)
    assert proved(record)

    monkeypatch.setitem(reader.RULES, op, wrong(reader.RULES[op]))

    assert not proved(record)


def test_moving_averages_that_are_read_as_each_other_are_found(monkeypatch):
    record = written(norm, training=True)
    assert proved(record)

    rule = reader.RULES["FusedBatchNormV3"]

    def exchanged(graph, op, arguments):
        y, mean, variance, *rest = rule(graph, op, arguments)
        return [y, variance, mean, *rest]

    monkeypatch.setitem(reader.RULES, "FusedBatchNormV3", exchanged)

    assert not proved(record)


def test_a_window_that_is_read_otherwise_is_found(monkeypatch):
    record = written(lambda net, x: net.conv(x, 6, 3, dilation=1))
    assert proved(record)

    wrong = changed("Conv2D", with_attributes(dilations=[1, 2, 2, 1]))
    monkeypatch.setitem(reader.RULES, "Conv2D", wrong)

    assert not proved(record)


def test_every_op_that_has_a_rule_can_be_computed():
    assert reader.RULES.keys() <= ONE.keys() | SEVERAL.keys() | FUNCTIONS.keys()


def test_an_output_that_is_not_the_traced_one_is_found():
    parsed = parse_network(json.dumps(written(relu)).encode())
    trace = check_graph(parsed.graphs["inference"], parsed.variables)
    graph = reader.canonicalise(trace)
    graph.output = replace(graph.output, segments=(Segment(0, 0, 4),))

    assert why_not_proved(trace, graph) is not None


@pytest.mark.parametrize(
    ("a", "b", "close"),
    [
        ([1.0, np.nan], [1.0, np.nan], True),
        ([1.0, np.nan], [1.0, 2.0], False),
        ([np.inf], [np.inf], True),
        ([np.inf], [-np.inf], False),
        ([1.0], [1.0 + 1e-3], False),
        ([1e6, 1.0], [1e6 + 1.0, 1.0], True),
        ([1.0], [1.0, 1.0], False),
    ],
)
def test_numbers_are_close_but_for_rounding(a, b, close):
    assert beside.are_close(np.array(a), np.array(b)) == close


def test_a_network_too_large_to_be_computed_twice_is_not_called_proved(monkeypatch):
    monkeypatch.setattr(proof, "PROOF_SHARE", 1e-6)

    assert not proved(written(relu))


def test_zeros_of_two_widths_are_two_constants():
    def build(net, x):
        w = net.w
        part = w.op("Slice", [x, w.integers([0] * 4), w.integers([2, 4, 4, 3])], (2, 4, 4, 3))
        zeros = [w.binary("Mul", maps, w.number(0.0)) for maps in (x, part)]
        return w.concatenated([x, *zeros], 3)

    assert proved(written(build))


def test_what_is_no_map_stands_for_itself():
    def build(net, x):
        w = net.w
        odd = w.op("Bucketize", [x], (2, 2, 2, 4, 6))
        turned = w.op("Transpose", [odd, w.integers([0, 3, 1, 2, 4])], (2, 4, 2, 2, 6))
        return w.concatenated([x, w.reshaped(turned, (2, 4, 4, 6))], 3)

    assert proved(written(build))
