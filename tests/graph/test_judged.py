"""An odd operation is told once, at its place and by its name, and hides nothing of the rest."""

import json

import pytest

from grader.checks import CHECKS, run_checks
from grader.domain import Outcome
from tests.graph.writing import (
    BATCH,
    Net,
    Style,
    Tensor,
    Transition,
    block_probe,
    changed,
    dense,
    dense_net,
    evidence_of,
    network_probe,
    transition_probe,
    write_block,
    write_network,
    write_transition,
)

N, K, SIZE, CHANNELS = 3, 4, 8, 9
BLOCK = block_probe(N, K, True, SIZE, CHANNELS)
SQUEEZE = transition_probe(0.5, SIZE, 15)
NETWORK = network_probe(10, K, 0.5, True, 7, 16)
PLAN = dense_net(1, K, 0.5, True, 7)
COUNTS = ("parameter-count-block", "parameter-count-transition", "parameter-count-network")
SHAPES = ("block-shape", "transition-shape", "network-shape")


def told(probe, write, kind=Net, modes=("inference",), **style):
    """(check, place, received) of what is wrong beside the counts, and the outcomes by check."""
    graphs = {}
    for mode in modes:
        net = kind(Style(**style), training=mode == "training")
        graphs[mode] = net.w.graph(write(net))
    shape = {"dense_block": (SIZE, SIZE, CHANNELS), "transition": (SIZE, SIZE, 15)}
    answer = {
        "failure": None,
        "graphs": graphs,
        "variables": net.w.variables,
        "input_shape": [BATCH, *shape.get(probe.function, (16, 16, 3))],
    }
    asked = probe.model_copy(update={"modes": modes})
    results = run_checks(CHECKS, evidence_of((asked, json.dumps(answer).encode())))
    assert not [r for r in results if r.outcome is Outcome.ERROR]
    return [
        (r.name, f.where, f.received)
        for r in results
        if r.outcome is Outcome.FAILED and r.name not in (*COUNTS, *SHAPES)
        for f in r.findings
        if f.severity == "deviation"
    ]


def block(net):
    return write_block(net, net.entry(SIZE, CHANNELS), dense(N, K, True))


def transition(net):
    return write_transition(net, net.entry(SIZE, 15), Transition(7))


class ParametricReLU(Net):
    def relu(self, x):
        w = self.w
        slope = w.variable((x.shape[3],))[0]
        behind = w.unary("Relu", w.unary("Neg", x))
        return w.binary("AddV2", w.unary("Relu", x), w.binary("Mul", w.unary("Neg", slope), behind))


def test_prelu_is_called_prelu():
    found = told(SQUEEZE, transition, ParametricReLU)

    assert found == [("transition-layer", "transition", "BN → PReLU")]


class TrainedSwish(Net):
    def relu(self, x):
        factor = self.w.variable(())[0]
        return self.w.binary("Mul", x, self.w.unary("Sigmoid", self.w.binary("Mul", x, factor)))


class TrainedSwishOfEachMap(Net):
    def relu(self, x):
        factor = self.w.variable((x.shape[3],))[0]
        return self.w.binary("Mul", x, self.w.unary("Sigmoid", self.w.binary("Mul", x, factor)))


@pytest.mark.parametrize("kind", [TrainedSwish, TrainedSwishOfEachMap])
def test_a_swish_that_learns_is_called_so(kind):
    transitions, layers_of_block = told(SQUEEZE, transition, kind), told(BLOCK, block, kind)

    received = "BN → swish with a trained factor"
    assert transitions == [("transition-layer", "transition", received)]
    assert [c for c, _, _ in layers_of_block] == ["composite-function"] * len(layers_of_block)
    assert layers_of_block[0][2].startswith(received)


class Quantised(Net):
    """Rounds the maps before every 3×3 convolution to eight bits."""

    def _conv(self, x, channels, kernel, *rest, **more):
        if kernel == 3:
            x = self.w.unary("FakeQuantWithMinMaxArgs", x, min=0.0, max=6.0)
        return super()._conv(x, channels, kernel, *rest, **more)


def test_a_foreign_operation_costs_its_own_check_only():
    ((check, where, received),) = told(BLOCK, block, Quantised)

    assert (check, received) == ("foreign-ops", "fake quantisation")
    assert where.startswith("dense_block, layer 1 (also dense_block, layer 2")


class WithoutAxis(Net):
    """Normalises along the height."""

    def norm(self, x, name=None, kind="BN"):
        w, n = self.w, x.shape[1]
        gamma, beta = (w.reshaped(w.variable((n,))[0], (1, n, 1, 1)) for _ in range(2))
        return w.binary("AddV2", w.binary("Mul", x, gamma), beta)


def test_a_norm_along_another_axis_is_told_once_by_its_axis():
    found = told(SQUEEZE, transition, WithoutAxis)

    assert found == [
        ("transition-layer", "transition", "a normalisation along the height (axis 1) → ReLU")
    ]


class SlicedPooling(Net):
    """The mean of four strided slices."""

    scale = 0.25

    def pool(self, x, window=2, kind="AvgPool", stride=None):
        w, half = self.w, self.size(x) // 2
        end, step = w.integers([0] * 4), w.integers([1, 2, 2, 1])
        parts = [
            w.op("StridedSlice", [x, w.integers([0, i, j, 0]), end, step],
                 (BATCH, half, half, x.shape[3]), begin_mask=9, end_mask=15)
            for i in (0, 1) for j in (0, 1)
        ]  # fmt: skip
        total = parts[0]
        for part in parts[1:]:
            total = w.binary("AddV2", total, part)
        return w.binary("Mul", total, w.number(self.scale))


def test_the_mean_of_four_strided_slices_is_average_pooling():
    assert told(SQUEEZE, transition, SlicedPooling) == []


class StackedPooling(SlicedPooling):
    """The same slices, stacked and averaged."""

    stacked_along = 0
    reduction = "Mean"
    scale = 1.0

    def pool(self, x, window=2, kind="AvgPool", stride=None):
        w, half = self.w, self.size(x) // 2
        end, step = w.integers([0] * 4), w.integers([1, 2, 2, 1])
        shape = (BATCH, half, half, x.shape[3])
        parts = [
            w.op("StridedSlice", [x, w.integers([0, i, j, 0]), end, step], shape,
                 begin_mask=9, end_mask=15)
            for i in (0, 1) for j in (0, 1)
        ]  # fmt: skip
        at = self.stacked_along % 5
        stack = w.op("Pack", parts, (*shape[:at], 4, *shape[at:]), axis=self.stacked_along, N=4)
        axes = w.integers([self.stacked_along])
        total = w.op(self.reduction, [stack, axes], shape, keep_dims=False)
        return w.binary("Mul", total, w.number(self.scale))


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"stacked_along": 3},
        {"stacked_along": -1},
        {"stacked_along": 1, "reduction": "Sum", "scale": 0.25},
    ],
    ids=str,
)
def test_the_mean_of_a_stack_of_slices_is_average_pooling(fields):
    assert told(SQUEEZE, transition, type("Stacked", (StackedPooling,), fields)) == []


def test_the_largest_of_a_stack_of_slices_is_not():
    found = told(SQUEEZE, transition, type("Stacked", (StackedPooling,), {"reduction": "Max"}))

    assert {check for check, _, _ in found} & {"transition-layer", "foreign-ops"}


def test_their_sum_is_not():
    kind = type("Sum", (SlicedPooling,), {"scale": 1.0})

    ((check, _, received),) = told(SQUEEZE, transition, kind)

    assert check == "transition-layer"
    assert "a factor 4" in received


def test_a_product_with_a_gate_hides_no_link():
    class Gated(Net):
        def conv(self, x, channels, kernel, *rest, **more):
            y = super().conv(x, channels, kernel, *rest, **more)
            if kernel != 3:
                return y
            w = self.w
            small = w.op("Mean", [y, w.integers([1, 2])], (BATCH, 1, 1, channels), keep_dims=True)
            gate = w.unary("Sigmoid", super().conv(small, channels, 1))
            return w.binary("Mul", y, gate)

    found = told(BLOCK, block, Gated)

    assert {check for check, _, _ in found} == {"foreign-ops"}


@pytest.mark.parametrize("behind", [True, False], ids=["of answers", "of logits"])
def test_the_mean_of_two_classifiers_is_one_mistake_of_the_head(behind):
    def write(net):
        w, bare = net.w, changed(PLAN, head=changed(PLAN.head, softmax=0))
        first = write_network(net, 16, bare)
        pooled = Tensor(*w.nodes[first.node - 3][2][0], (BATCH, 12))
        second = w.op("MatMul", [pooled, w.variable((12, 7))[0]], (BATCH, 7))
        second = w.op("BiasAdd", [second, w.variable((7,))[0]], (BATCH, 7))
        answers = [w.unary("Softmax", x) if behind else x for x in (first, second)]
        mean = w.binary("Mul", w.binary("AddV2", *answers), w.number(0.5))
        return mean if behind else w.unary("Softmax", mean)

    found = told(NETWORK, write)

    assert [(check, where) for check, where, _ in found] == [("head", "head")]
    assert "two classifiers" in found[0][2]


def test_a_second_classifier_is_the_heads_and_costs_nothing_else():
    def write(net):
        w = net.w
        bare = changed(PLAN, head=changed(PLAN.head, softmax=0))
        x = write_network(net, 16, bare)
        image = Tensor(w.inputs[0], 0, (BATCH, 16, 16, 3))
        small = w.op("Mean", [image, w.integers([1, 2])], (BATCH, 3), keep_dims=False)
        second = w.op("MatMul", [small, w.variable((3, 7))[0]], (BATCH, 7))
        gate = w.variable(())[0]
        total = w.binary("AddV2", w.unary("Softmax", x), w.binary("Mul", second, gate))
        return total

    found = told(NETWORK, write)

    assert [(check, where) for check, where, _ in found] == [("head", "head")]
    assert "two classifiers" in found[0][2]


# --- training -------------------------------------------------------------------------------


BOTH = ("inference", "training")


class Augmented(Net):
    """Turns the image by a random angle in training, through a branch and a convolution."""

    def entry(self, size, channels):
        x = super().entry(size, channels)
        if not self.training:
            return x
        w = self.w
        turned = w.op("ImageProjectiveTransformV3", [x, w.integers([size, size])], x.shape)
        blur = w.constant([1.0] * 27, (3, 3, 3, 1))
        kept = w.op("DepthwiseConv2dNative", [x, blur], x.shape, strides=[1] * 4, padding="SAME",
                    data_format="NHWC")  # fmt: skip
        return w.binary("AddV2", turned, kept)


def test_augmentation_that_vanishes_at_inference_vanishes():
    found = told(NETWORK, lambda net: write_network(net, 16, PLAN), Augmented, BOTH)

    assert found == []


class Skipping(Net):
    """Normalises in training only."""

    def norm(self, x, name=None, kind="BN"):
        y = super().norm(x, name, kind)
        return y if self.training else x


@pytest.mark.parametrize("style", [{}, {"bias": True}], ids=str)
@pytest.mark.parametrize(
    ("probe", "write"),
    [(BLOCK, block), (SQUEEZE, transition), (NETWORK, lambda net: write_network(net, 16, PLAN))],
    ids=["block", "transition", "network"],
)
def test_a_norm_that_is_skipped_at_inference_is_one_mistake(probe, write, style):
    found = told(probe, write, Skipping, BOTH, **style)

    assert [check for check, _, _ in found] == ["training-behaviour"]
    assert found[0][2] == "none: it acts in training only"


def test_one_that_is_skipped_hides_no_other_mistake():
    class Twice(Skipping):
        def conv(self, x, channels, kernel, *rest, **more):
            y = super().conv(x, channels, kernel, *rest, **more)
            return y if self.training or kernel != 3 else self.w.unary("Relu", y)

    found = told(BLOCK, block, Twice, BOTH)

    assert {check for check, _, _ in found} > {"training-behaviour"}


class Stopping(Net):
    """No gradient passes any link."""

    def join(self, parts):
        return super().join([self.w.unary("StopGradient", part) for part in parts])


@pytest.mark.parametrize(
    ("probe", "write"), [(BLOCK, block), (NETWORK, lambda net: write_network(net, 16, PLAN))]
)
def test_wherever_a_gradient_is_stopped_the_help_says_so(probe, write):
    graphs = {}
    for mode in BOTH:
        net = Stopping(Style(), training=mode == "training")
        graphs[mode] = net.w.graph(write(net))
    shape = (SIZE, SIZE, CHANNELS) if probe is BLOCK else (16, 16, 3)
    answer = {"failure": None, "graphs": graphs, "variables": net.w.variables}
    answer["input_shape"] = [BATCH, *shape]
    asked = probe.model_copy(update={"modes": BOTH})
    (network,) = evidence_of((asked, json.dumps(answer).encode())).networks

    helps = {d.finding.help for d in network.deviations if d.finding.severity == "deviation"}

    assert helps == {"Take the stop_gradient away: what stands behind it is not trained."}


class AlwaysDropping(Net):
    def conv(self, x, channels, kernel, *rest, **more):
        y = super().conv(x, channels, kernel, *rest, **more)
        if kernel != 3 or channels != K:
            return y
        w = self.w
        drawn = w.op("StatelessRandomUniformV2", [], y.shape)
        kept = w.op("GreaterEqual", [drawn, w.number(0.1)], y.shape, dtype="bool")
        scaled = w.binary("Mul", y, w.number(1 / 0.9))
        return w.op("SelectV2", [kept, scaled, w.number(0.0)], y.shape)


@pytest.mark.parametrize("modes", [("inference",), BOTH])
def test_dropout_that_is_always_on_costs_training_behaviour_alone(modes):
    ((check, where, received),) = told(BLOCK, block, AlwaysDropping, modes)

    assert check == "training-behaviour"
    assert where.startswith("dense_block, layer 1")
    assert "at inference too" in received


# --- the head -------------------------------------------------------------------------------


def unpooled(net):
    """A network whose classifier is a 1×1 convolution that nothing pools."""
    x = net.conv(net.entry(16, 3), PLAN.stem, 3)
    for i, piece in enumerate(PLAN.blocks):
        x = write_block(net, x, piece)
        x = write_transition(net, x, PLAN.transitions[i]) if i < 2 else x
    return net.conv(net.activated(x, ("BN", "ReLU")), 7, 1)


def test_a_classifier_for_each_place_is_told_by_head():
    ((check, where, received),) = told(NETWORK, unpooled)

    assert (check, where) == ("head", "head")
    assert "each place of the map" in received


# --- normalisations of one's own ------------------------------------------------------------


class OwnNorm(Net):
    """A batch norm in plain operations, in both modes."""

    outside = False
    unbiased = 1.0

    def norm(self, x, name=None, kind="BN"):
        w, n = self.w, x.shape[3]
        gamma, beta = (w.variable((n,))[0] for _ in range(2))
        (mean, first), (variance, second) = (w.variable((n,), trainable=False) for _ in range(2))
        if self.training:
            axes = w.integers([0, 1, 2])
            mean = w.op("Mean", [x, axes], (n,), keep_dims=False)
            squares = w.binary("SquaredDifference", x, w.op("StopGradient", [mean], (n,)))
            variance = w.op("Mean", [squares, axes], (n,), keep_dims=False)
            for handle, new in ((first, mean), (second, variance)):
                w.op("AssignVariableOp", [handle, new], outputs=[])
                w.updates.append(len(w.nodes) - 1)
            count = BATCH * x.shape[1] * x.shape[2]
            factor = count / (count - 1) if self.unbiased == "right" else self.unbiased
            variance = w.binary("Mul", variance, w.number(factor))
        if self.outside:
            spread = w.binary("AddV2", w.unary("Sqrt", variance), w.number(1e-3))
        else:
            spread = w.unary("Sqrt", w.binary("AddV2", variance, w.number(1e-3)))
        y = w.binary("RealDiv", w.binary("Sub", x, mean), spread)
        return w.binary("AddV2", w.binary("Mul", y, gamma), beta)


@pytest.mark.parametrize("fields", [{"outside": True}, {"unbiased": "right"}], ids=str)
def test_a_batch_norm_by_a_formula_next_to_the_papers_costs_nothing(fields):
    assert told(SQUEEZE, transition, type("Own", (OwnNorm,), fields), BOTH) == []


def test_one_by_another_variance_is_told_in_words():
    found = told(SQUEEZE, transition, type("Own", (OwnNorm,), {"unbiased": 2.0}), BOTH)

    assert [check for check, _, _ in found] == ["training-behaviour"]
    assert "by other numbers than the batch's mean and variance" in found[0][2]
