"""What is rewritten to cost less gives the same numbers, and nothing else is rewritten."""

import numpy as np
import pytest

from grader.engine import runner_openvino
from grader.engine.faster import faster, joined_once
from grader.engine.plan import Plan, make_plan
from grader.graph import numeric
from grader.graph.program import Instruction, Program
from tests.graph.writing import Style, agrees, canonical, dense_net, network_record

RNG = np.random.default_rng(5)
IMAGES = RNG.integers(0, 256, (2, 8, 8, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def plan():
    """A bottleneck DenseNet with three blocks of four layers."""
    record = network_record(Style(), dense_net(4, 3, 0.5, True, 10), 8)
    values = [RNG.uniform(0.5, 1.5, v["shape"]).astype(np.float32) for v in record["variables"]]
    return make_plan(canonical(record), values)


def answers(instructions):
    return numeric.compute(Program(tuple(instructions)), [], IMAGES)


def transition(*, side=1, stride=1, pool=("mean", (2, 2), (2, 2), (0, 0, 0, 0)), rows=4, more=()):
    """Images, a convolution with a bias, a pooling, and what reads them beside."""
    kernel = RNG.normal(size=(side, side, 3, 5)).astype(np.float32)
    edge = side // 2
    width = 8 // stride
    settings = ((side, side, 3, 5), (stride, stride), (edge,) * 4, (1, 1), 1)
    convolution = Instruction(
        "conv", (0,), settings, (width, width, 5), arrays=(kernel, np.arange(5, dtype=np.float32))
    )
    return Plan(
        (
            Instruction("input", shape=(8, 8, 3)),
            convolution,
            Instruction("pool", (1,), pool, (rows, rows, 5)),
            *more,
        ),
        5,
    )


def test_a_dense_net_pools_before_it_convolves_and_gives_the_same(plan):
    quick = faster(plan)

    after = [quick.instructions[i.inputs[0]].kind for i in quick.instructions if i.kind == "pool"]
    assert after == ["pointwise"] * 3
    assert quick.multiplications < plan.multiplications
    assert agrees(answers(plan.instructions), answers(quick.instructions))


def test_a_dense_layers_input_is_the_one_before_and_what_is_new(plan):
    joined = joined_once(plan.instructions)

    assert {len(i.inputs) for i in joined if i.kind == "concat"} == {2}
    assert max(len(i.inputs) for i in plan.instructions) > 2
    assert np.array_equal(answers(plan.instructions), answers(joined))


@pytest.mark.parametrize(
    "pool",
    [
        ("mean", (2, 2), (2, 2), (0, 0, 0, 0)),
        ("mean", (3, 3), (2, 2), (0, 1, 0, 1)),
        ("mean", (3, 3), (2, 2), (1, 1, 1, 1)),
    ],
    ids=["plain", "padded at the end", "padded"],
)
def test_any_mean_goes_first_the_bias_stays(pool):
    slow = transition(pool=pool)

    quick = faster(slow)

    assert [i.kind for i in quick.instructions] == ["input", "pool", "conv"]
    assert agrees(answers(slow.instructions), answers(quick.instructions))


@pytest.mark.parametrize(
    "other",
    [
        transition(pool=("max", (2, 2), (2, 2), (0, 0, 0, 0))),
        transition(side=3),
        transition(stride=2, rows=2),
        transition(pool=("mean", (3, 3), (1, 1), (1, 1, 1, 1)), rows=8),
        transition(more=(Instruction("slice", (1,), (0, 5), (8, 8, 5)),)),
    ],
    ids=["a maximum", "3×3", "with a stride", "no smaller map", "read elsewhere too"],
)
def test_what_is_no_such_pair_stays_as_it_is(other):
    assert faster(other).instructions == other.instructions


class Fake:
    """In place of a compiled plan: each batch size has its cost, on a clock of its own."""

    clock = 0.0
    costs = {1: 3.0, 2: 2.0, 4: 1.0, 8: 4.0}  # noqa: RUF012
    compile_s = 0.1

    def __init__(self, plan, batch, threads):
        self.batch, self.threads = batch, 2
        Fake.clock += Fake.compile_s

    def predict(self, images):
        Fake.clock += self.costs[self.batch] / 100


@pytest.fixture
def fastest(monkeypatch):
    monkeypatch.setattr(runner_openvino, "OpenVinoRunner", Fake)
    for name in ("perf_counter", "process_time"):
        monkeypatch.setattr(runner_openvino.time, name, lambda: Fake.clock)
    return runner_openvino.fastest


def test_the_batch_that_costs_least_here_is_taken(plan, fastest):
    assert fastest(plan, 8).batch == 4
    assert fastest(plan, 2).batch == 2


def test_a_network_that_compiles_slowly_is_compiled_once(plan, fastest, monkeypatch):
    monkeypatch.setattr(Fake, "compile_s", 2 * runner_openvino.TRIAL_S)

    assert fastest(plan, 8).batch == 1
