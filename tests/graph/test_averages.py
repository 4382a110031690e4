"""Whether a moving average follows what its batch norm measures; op lists written by hand."""

import json
from dataclasses import replace

import pytest

from grader.graph.averages import Follows, follows_batch, momentum_of
from tests.graph.writing import (
    BATCH,
    Net,
    Style,
    Tensor,
    Transition,
    Writer,
    block_probe,
    dense,
    evidence_of,
    transition_probe,
    write_block,
    write_transition,
)

EPSILON = 1e-3


def trained(update):
    """The graph of a batch norm in training whose average is set to what `update` writes."""
    w = Writer()
    x = w.image((BATCH, 4, 4, 6))
    axes = w.integers([0, 1, 2])
    mean = w.op("Mean", [x, axes], (6,), keep_dims=False)
    squares = w.binary("SquaredDifference", x, mean)
    variance = w.op("Mean", [squares, axes], (6,), keep_dims=False)
    average, handle = w.variable((6,), trainable=False)
    name, new = update(w, average, mean, variance)
    w.op(name, [handle, new], outputs=[])
    w.updates.append(len(w.nodes) - 1)
    root = w.unary("Rsqrt", w.binary("AddV2", variance, w.number(EPSILON)))
    return w.canonical(w.binary("Mul", w.binary("Sub", x, mean), root))


def averaged(update, role="mean"):
    """What is known of whether the average follows the batch."""
    graph = trained(update)
    affine = graph.output.segments[0].steps[0].affine
    return follows_batch(graph.updates[0], 0, role, affine.parts[0], affine)


def moved(w, average, batch, kept, added):
    """average · kept + batch · added."""
    left = w.binary("Mul", average, w.number(kept))
    return w.binary("AddV2", left, w.binary("Mul", batch, w.number(added)))


@pytest.mark.parametrize(
    "update",
    [
        lambda w, a, m, v: ("AssignVariableOp", moved(w, a, m, 0.9, 0.1)),
        lambda w, a, m, v: ("AssignVariableOp", m),
        lambda w, a, m, v: (
            "AssignSubVariableOp",
            w.binary("Mul", w.binary("Sub", a, m), w.number(0.1)),
        ),
        lambda w, a, m, v: (
            "AssignAddVariableOp",
            w.binary("Mul", w.binary("Sub", m, a), w.number(0.1)),
        ),
    ],
    ids=["momentum", "the batch's alone", "taken off", "added"],
)
def test_a_mean_that_is_moved_towards_the_batch_follows_it_however_it_is_written(update):
    assert averaged(update) is Follows.YES


@pytest.mark.parametrize(
    "update",
    [
        lambda w, a, m, v: ("AssignVariableOp", moved(w, a, v, 0.9, 0.1)),
        lambda w, a, m, v: ("AssignVariableOp", moved(w, a, m, 0.9, 0.9)),
        lambda w, a, m, v: ("AssignVariableOp", moved(w, a, m, 0.9, 0.2)),
        lambda w, a, m, v: ("AssignVariableOp", w.binary("Mul", a, w.number(0.9))),
        lambda w, a, m, v: ("AssignVariableOp", a),
        lambda w, a, m, v: ("AssignAddVariableOp", w.binary("Mul", m, w.number(0.1))),
    ],
    ids=[
        "the variance",
        "a sum that grows",
        "twice the mean",
        "less and less",
        "itself",
        "a sum without end",
    ],
)
def test_a_mean_that_is_set_to_something_else_does_not_follow(update):
    assert averaged(update) is Follows.NO


def test_a_variance_may_be_the_samples():
    def update(w, average, mean, variance):
        return "AssignVariableOp", moved(w, average, variance, 0.9, 0.1 * 32 / 31)

    assert averaged(update, "variance") is Follows.YES


def unheard_of(w, average, mean, variance):
    return "AssignVariableOp", w.op("Unheard", [mean], (6,))


def test_an_update_that_cannot_be_computed_is_neither_right_nor_wrong():
    assert averaged(unheard_of) is Follows.UNREAD


def test_an_average_of_something_else_than_the_norm_normalises_cannot_be_read():
    graph = trained(lambda w, a, m, v: ("AssignVariableOp", m))
    affine = graph.output.segments[0].steps[0].affine
    another = replace(affine.parts[0], normalises="another value")

    assert follows_batch(graph.updates[0], 0, "mean", another, affine) is Follows.UNREAD


def test_an_average_that_is_set_to_one_pixel_does_not_follow():
    def update(w, average, mean, variance):
        begin, size = w.integers([0, 0, 0, 0]), w.integers([1, 1, 1, 6])
        pixel = w.op("Slice", [Tensor(0, 0, (BATCH, 4, 4, 6)), begin, size], (1, 1, 1, 6))
        return "AssignVariableOp", w.op("Reshape", [pixel, w.integers([6])], (6,))

    assert averaged(update) is Follows.NO


@pytest.mark.parametrize(
    ("kept", "added", "momentum"),
    [(0.9, 0.1, 0.9), (0.0, 1.0, 0.0), (0.9, 0.2, None), (1.5, -0.5, None)],
    ids=["the mean of both", "the batch's alone", "more than both", "away from the batch"],
)
def test_a_momentum_is_the_share_of_the_old_mean_that_is_kept(kept, added, momentum):
    graph = trained(lambda w, a, m, v: ("AssignVariableOp", moved(w, a, m, kept, added)))

    assert momentum_of(graph.updates[0], 0) == momentum


class MovedByTheUnheardOf(Net):
    """Sets the averages to what an operation gives that the grader does not know."""

    unheard = True

    def _norm_in_training(self, x, gamma, beta, handles):
        y = super()._norm_in_training(x, gamma, beta, handles)
        for at in self.w.updates[-2:] if self.unheard else ():
            name, text, (handle, new), *_ = self.w.nodes[at]
            strange = self.w.op("Unheard", [Tensor(*new, (x.shape[3],))], (x.shape[3],))
            self.w.nodes[at] = ["NoOp", text, [], {}, []]
            self.w.op(name, [Tensor(*handle, ()), strange], outputs=[])
            self.w.updates[self.w.updates.index(at)] = len(self.w.nodes) - 1
        return y


class MovedByTheBatch(MovedByTheUnheardOf):
    unheard = False


class WithoutGains(MovedByTheBatch):
    """Normalises by the statistics alone, before the convolution of each of two widths."""

    def norm(self, x, name=None, kind="BN"):
        w, n = self.w, x.shape[3]
        pairs = [w.variable((n,), trainable=False) for _ in range(2)]
        mean, variance = (m for m, _ in pairs)
        if self.training:
            axes = w.integers([0, 1, 2])
            mean = w.op("Mean", [x, axes], (n,), keep_dims=False)
            squares = w.binary("SquaredDifference", x, mean)
            variance = w.op("Mean", [squares, axes], (n,), keep_dims=False)
            for (_, handle), new in zip(pairs, (mean, variance), strict=True):
                w.op("AssignVariableOp", [handle, new], outputs=[])
                w.updates.append(len(w.nodes) - 1)
        root = w.unary("Rsqrt", w.binary("AddV2", variance, w.number(EPSILON)))
        return w.binary("Mul", w.binary("Sub", x, mean), root)


def test_batch_norms_without_a_scale_and_an_offset_are_told_by_what_receives_them():
    graphs = {}
    for mode in ("inference", "training"):
        net = WithoutGains(Style(), training=mode == "training")
        graphs[mode] = net.w.graph(write_block(net, net.entry(4, 9), dense(2, 4, True)))
    answer = {"failure": None, "graphs": graphs, "variables": net.w.variables}
    answer["input_shape"] = [BATCH, 4, 4, 9]
    asked = {"modes": ("inference", "training")}
    probe = block_probe(2, 4, True, 4, 9).model_copy(update=asked)

    assert evidence_of((probe, json.dumps(answer).encode())).unproved == ""


@pytest.mark.parametrize(
    ("kind", "unread"), [(MovedByTheBatch, False), (MovedByTheUnheardOf, True)]
)
def test_a_person_looks_where_it_cannot_be_read_how_averages_move(kind, unread):
    graphs = {}
    for mode in ("inference", "training"):
        net = kind(Style(), training=mode == "training")
        y = write_transition(net, net.entry(8, 15), Transition(7))
        graphs[mode] = net.w.graph(y)
    answer = {"failure": None, "graphs": graphs, "variables": net.w.variables}
    answer["input_shape"] = [BATCH, 8, 8, 15]
    probe = transition_probe(0.5, 8, 15).model_copy(update={"modes": ("inference", "training")})

    unproved = evidence_of((probe, json.dumps(answer).encode())).unproved

    assert ("moves the averages of the batch normalisation at transition" in unproved) is unread
    assert bool(unproved) is unread


def test_a_mean_that_training_leaves_alone_has_no_momentum():
    assert momentum_of(None, 0) is None
