"""One mistake is told once: what it makes fail elsewhere is named as following from it."""

import json

import pytest

from grader.checks import CHECKS, run_checks
from grader.checks.causes import with_causes
from grader.domain import CheckResult, Finding, Outcome
from grader.errors import Cause
from grader.graph.evidence import Compared, Evidence, assemble
from grader.graph.record import FailureRecord, ModuleRecord
from tests.graph.writing import (
    BATCH,
    Link,
    Net,
    Style,
    Transition,
    block_probe,
    block_record,
    changed,
    dense,
    dense_net,
    evidence_of,
    network_probe,
    network_record,
    transition_probe,
    transition_record,
    write_block,
)

N, K, SIZE, CHANNELS = 2, 3, 4, 8
BLOCK = block_probe(N, K, True, SIZE, CHANNELS)
SQUEEZE = transition_probe(0.5, SIZE, 15)
NETWORK = network_probe(10, K, 0.5, True, 7, 16)
PLAN = dense_net(1, K, 0.5, True, 7)
RIGHT = {
    "block": block_record(Style(), dense(N, K, True), SIZE, CHANNELS),
    "transition": transition_record(Style(), Transition(7), SIZE, 15),
    "network": network_record(Style(), PLAN, 16),
}


def block(**fields):
    """The right block with another last layer."""
    right = dense(N, K, True)
    layers = (*right.layers[:-1], changed(right.layers[-1], **fields))
    return block_record(Style(), changed(right, layers=layers), SIZE, CHANNELS)


def shared():
    right = dense(N, K, True)
    layers = tuple(changed(layer, kernel_name="the same") for layer in right.layers)
    return block_record(Style(), changed(right, layers=layers), SIZE, CHANNELS)


def raised(where: str, message: str = "no", type: str = "ValueError"):
    return {"failure": {"type": type, "message": message, "where": where, "line": "x = y"}}


def results(hidden=False, **given):
    answers = RIGHT | given

    def asked(probe):
        return probe.model_copy(update={"hidden": hidden})

    evidence = evidence_of(
        (asked(BLOCK), answers["block"]),
        (asked(SQUEEZE), answers["transition"]),
        (asked(NETWORK), answers["network"]),
    )
    return {r.name: r for r in run_checks(CHECKS, evidence)}


def causes(found) -> list[str]:
    ranked = sorted((r for r in found.values() if r.rank), key=lambda r: r.rank)
    return [r.name for r in ranked]


WRONG = {
    "a missing link": ({"block": block(links=(Link(0),))}, "dense-connectivity",
                       {"parameter-count-block"}),
    "a narrow bottleneck": ({"block": block(squeeze=3 * K)}, "bottleneck",
                            {"parameter-count-block"}),
    "a wide layer": ({"block": block(width=K + 1)}, "growth", {"block-shape",
                                                               "parameter-count-block"}),
    "one kernel for all": ({"block": shared()}, "own-weights", {"parameter-count-block"}),
    "rounded up": ({"transition": transition_record(Style(), Transition(8), SIZE, 15)},
                   "transition-layer", {"transition-shape", "parameter-count-transition"}),
}  # fmt: skip


@pytest.mark.parametrize(("given", "cause", "follows"), WRONG.values(), ids=WRONG)
def test_counts_and_shapes_follow_from_the_structure(given, cause, follows):
    found = results(**given)

    assert causes(found) == [cause]
    assert {n for n, r in found.items() if r.follows_from == cause} >= follows


def test_two_mistakes_are_two_causes_the_one_nearer_the_input_first():
    found = results(
        block=block(between=("ReLU", "BN")),
        network=network_record(Style(), changed(PLAN, behind_stem=("ReLU",)), 16),
    )

    assert causes(found) == ["composite-function", "stem"]


def test_an_exception_that_three_functions_meet_at_one_place_is_one_cause():
    place = "densenet.py, line 50, in dense_block"
    found = results(block=raised(place), network=raised(place, "no, said conv2d_9"))

    assert causes(found) == ["block-shape"]
    assert found["network-shape"].follows_from == "block-shape"
    assert found["parameter-count-network"].outcome is Outcome.SKIPPED
    assert found["parameter-count-network"].follows_from == "block-shape"
    assert found["transition-shape"].outcome is Outcome.PASSED


def test_exceptions_at_two_places_are_two_causes():
    found = results(block=raised("densenet.py, line 5, in a"), network=raised("b.py, line 9, in b"))

    assert causes(found) == ["block-shape", "network-shape"]


PASSED_ON = {
    "no result": (
        raised("", "it gives nothing: `return` the tensor", "TypeError"),
        raised("densenet.py, line 9, in transition", "'NoneType' object has no attribute 'shape'"),
    ),
    "two results": (
        raised(
            "", "it gives a tuple of 2 (KerasTensor, int): return one tensor alone", "TypeError"
        ),
        raised("densenet.py, line 9, in transition", "'tuple' object has no attribute 'shape'"),
    ),
    "a name that is not defined": (
        raised("densenet.py, line 5, in a", "name 'layers' is not defined", "NameError"),
        raised("densenet.py, line 9, in b", "name 'layers' is not defined", "NameError"),
    ),
}


@pytest.mark.parametrize(("block", "network"), PASSED_ON.values(), ids=PASSED_ON)
def test_what_one_function_gives_by_mistake_is_one_cause_wherever_it_is_met(block, network):
    assert causes(results(block=block, network=network)) == ["block-shape"]


def test_a_function_that_is_missing_is_missed_by_those_that_call_it():
    named = {"transition": [], "build_densenet": [], "build_model": [], "dense_block": None}
    frames = {"module": json.dumps({"failure": None, "functions": named}).encode()}
    lost = {
        BLOCK.id: raised("", "module 'densenet' has no attribute 'dense_block'", "AttributeError"),
        SQUEEZE.id: RIGHT["transition"],
        NETWORK.id: raised("a.py, line 9, in f", "name 'dense_block' is not defined", "NameError"),
    }
    frames |= {f"probe:{name}": json.dumps(record).encode() for name, record in lost.items()}
    evidence = assemble(frames, {}, [BLOCK, SQUEEZE, NETWORK])

    assert causes({r.name: r for r in run_checks(CHECKS, evidence)}) == ["module-contract"]


def test_two_names_that_are_not_defined_are_two_causes():
    found = results(
        block=raised("densenet.py, line 5, in a", "name 'layers' is not defined", "NameError"),
        network=raised("densenet.py, line 9, in b", "name 'depht' is not defined", "NameError"),
    )

    assert causes(found) == ["block-shape", "network-shape"]


def test_maps_that_a_transition_does_not_halve_are_no_mistake_of_the_blocks():
    whole = changed(Transition(7), pool=None)
    plan = changed(PLAN, transitions=tuple(changed(t, pool=None) for t in PLAN.transitions))
    found = results(
        transition=transition_record(Style(), whole, SIZE, 15),
        network=network_record(Style(), plan, 16),
    )

    assert found["block-structure"].outcome is Outcome.FAILED
    assert causes(found) == ["transition-layer"]


def test_the_relu_that_all_layers_begin_with_is_not_one_of_the_stem():
    turned = ("ReLU", "BN")
    blocks = tuple(
        changed(b, layers=tuple(changed(layer, before=turned) for layer in b.layers))
        for b in dense_net(N, K, 0.5, True, 7).blocks
    )
    squeeze, plan = Transition(7, before=turned), dense_net(N, K, 0.5, True, 7)
    transitions = tuple(changed(t, before=turned) for t in plan.transitions)
    plan = changed(plan, blocks=blocks, transitions=transitions)
    answers = (
        (BLOCK, block_record(Style(), blocks[0], SIZE, CHANNELS)),
        (SQUEEZE, transition_record(Style(), squeeze, SIZE, 15)),
        (network_probe(16, K, 0.5, True, 7, 16), network_record(Style(), plan, 16)),
    )
    found = {r.name: r for r in run_checks(CHECKS, evidence_of(*answers))}

    assert found["stem"].outcome is Outcome.FAILED
    assert found["stem"].follows_from == "composite-function"


class Fixed(Net):
    """Normalises by the batch, always."""

    def norm(self, x, name=None, kind="BN"):
        self.training, mode = True, self.training
        try:
            return super().norm(x, name, kind)
        finally:
            self.training = mode


def answer_of(net_of, write):
    """The record of what is written in both modes."""
    graphs = {}
    for mode in ("inference", "training"):
        net = net_of(Style(), training=mode == "training")
        graphs[mode] = net.w.graph(write(net, net.entry(SIZE, CHANNELS)))
    record = {"failure": None, "graphs": graphs, "variables": net.w.variables}
    return record | {"input_shape": [BATCH, SIZE, SIZE, CHANNELS]}


def found_in_block(net_of, write):
    both = BLOCK.model_copy(update={"modes": ("inference", "training")})
    others = ((SQUEEZE, RIGHT["transition"]), (NETWORK, RIGHT["network"]))
    evidence = evidence_of((both, answer_of(net_of, write)), *others)
    return {r.name: r for r in run_checks(CHECKS, evidence)}


def test_statistics_that_are_not_kept_follow_from_the_mode_of_the_batch_norm():
    found = found_in_block(Fixed, lambda net, x: write_block(net, x, dense(N, K, True)))

    assert found["parameter-count-block"].outcome is Outcome.FAILED
    assert causes(found) == ["training-behaviour"]


def residual_block(net, x):
    """Each layer is added to a 1×1 convolution of what it receives."""
    for layer in dense(N, K, True).layers:
        y = net.conv(net.activated(x, layer.before), layer.squeeze, 1)
        y = net.conv(net.activated(y, layer.between), layer.width, 3)
        x = net.w.binary("AddV2", net.conv(x, layer.width, 1), y)
    return x


def test_an_addition_in_place_of_the_concatenation_is_the_first_thing_said():
    found = found_in_block(Net, residual_block)
    told = found["dense-connectivity"].findings[0]

    assert causes(found) == ["dense-connectivity"]
    assert (told.expected, told.what) == (
        "concatenated", "how its maps are joined to the earlier ones",
    )  # fmt: skip


def test_what_a_block_adds_up_is_no_second_classifier():
    assert found_in_block(Net, residual_block)["head"].outcome is Outcome.PASSED


def test_everything_follows_from_an_import_that_failed():
    failure = FailureRecord(type="SyntaxError", message="expected ':'", where="densenet.py, line 4")
    found = run_checks(CHECKS, Evidence(ModuleRecord(failure=failure, functions={}), (), None))

    assert [r.name for r in found if r.rank] == ["module-contract"]
    assert {r.follows_from for r in found if not r.rank} == {"module-contract"}


def test_every_check_that_did_not_pass_is_a_cause_or_follows_from_one():
    right = dense(N, K, True)
    found = results(
        block=block_record(
            Style(),
            changed(right, layers=right.layers[:1], output=(Link(0), Link(1))),
            SIZE,
            CHANNELS,
        )
    )

    for result in found.values():
        told = bool(result.rank) + (result.follows_from in causes(found))
        assert told == (result.outcome is Outcome.FAILED) or result.outcome is Outcome.SKIPPED
    assert found["dense-connectivity"].follows_from == "block-structure"


def test_a_cause_takes_no_point_and_gives_none():
    found = results(block=block(links=(Link(0),)))

    assert {n: r.score for n, r in found.items() if r.outcome is Outcome.PASSED} == dict.fromkeys(
        (n for n, r in found.items() if r.outcome is Outcome.PASSED), 1.0
    )
    assert found["parameter-count-block"].score == 0


class Skipping(Net):
    """Normalises in training only."""

    def norm(self, x, name=None, kind="BN"):
        y = super().norm(x, name, kind)
        return y if self.training else x


def test_what_inference_alone_shows_of_a_skipped_norm_follows_from_it():
    both = ("inference", "training")
    answers = []
    for probe, modes in ((BLOCK, both), (BLOCK.model_copy(update={"id": "block-1"}), both[:1])):
        graphs = {}
        for mode in modes:
            net = Skipping(Style(), training=mode == "training")
            y = write_block(net, net.entry(SIZE, CHANNELS), dense(N, K, True))
            graphs[mode] = net.w.graph(y)
        record = {"failure": None, "graphs": graphs, "variables": net.w.variables}
        record["input_shape"] = [BATCH, SIZE, SIZE, CHANNELS]
        answers.append((probe.model_copy(update={"modes": modes}), json.dumps(record).encode()))
    found = {r.name: r for r in run_checks(CHECKS, evidence_of(*answers))}

    assert found["training-behaviour"].rank
    assert found["composite-function"].follows_from == "training-behaviour"
    assert found["own-weights"].follows_from == "training-behaviour"
    assert found["parameter-count-block"].follows_from == "training-behaviour"


def test_a_finding_says_by_which_call_it_was_seen():
    finding = results(block=block(links=(Link(0),)))["dense-connectivity"].findings[0]

    assert finding.call == (
        'python -c "import keras, densenet as d; print(d.dense_block(keras.Input((4, 4, 8)), '
        'num_layers=2, growth_rate=3, bottleneck=True))"'
    )


def test_a_hidden_configuration_is_named_by_its_kind_alone():
    found = results(
        hidden=True, block=raised("densenet.py, line 5, in dense_block"),
        network=network_record(Style(), changed(PLAN, stem=8), 16),
    )  # fmt: skip
    told = [f for r in found.values() for f in r.findings]

    assert {f.call for f in told} == {""}
    assert {f.asked for f in told} == {"a hidden configuration with bottlenecks"}


def test_a_count_that_a_public_call_shows_is_not_told_of_a_hidden_one():
    wrong = json.dumps(block(before=("ReLU",))).encode()
    hidden = BLOCK.model_copy(update={"id": "block-1", "hidden": True})
    found = {r.name: r for r in run_checks(CHECKS, evidence_of((BLOCK, wrong), (hidden, wrong)))}
    told = found["parameter-count-block"].findings

    assert [bool(f.call) for f in told] == [True]
    assert "layer 2" in told[0].help


def test_the_place_of_an_exception_stands_first():
    place = "densenet.py, line 50, in dense_block"
    finding = results(block=raised(place, "a text " * 60))["block-shape"].findings[0]

    assert finding.message.startswith(place)
    assert (finding.place, finding.line, finding.code) == (place, 50, "x = y")
    assert "arguments" not in finding.help


def stage_that_ended(cause, *answered):
    """A stage in which some probes were answered, in order, before it ended."""
    probes = [BLOCK, SQUEEZE, NETWORK]
    signature = {name: [] for name in ("dense_block", "transition", "build_densenet")}
    functions = {"failure": None, "functions": {**signature, "build_model": []}}
    frames = {"module": json.dumps(functions).encode()}
    for probe, record in zip(probes, answered, strict=False):
        frames["probe:" + probe.id] = json.dumps(record).encode()
    evidence = assemble(frames, {}, probes, cause, "time: expected at most 120 s, received more")
    return {r.name: r for r in run_checks(CHECKS, evidence)}


def test_only_the_function_that_did_not_come_back_is_blamed():
    found = stage_that_ended(Cause.STUDENT_TIMEOUT, RIGHT["block"])

    assert found["block-shape"].outcome is Outcome.PASSED
    assert causes(found) == ["transition-shape"]
    assert found["network-shape"].outcome is Outcome.SKIPPED
    assert found["network-shape"].follows_from == "transition-shape"
    assert "transition did not come back" in found["network-shape"].rationale
    assert found["build-model"].follows_from == "transition-shape"
    assert "STUDENT_TIMEOUT" not in str(found["transition-shape"].findings)


def test_an_end_behind_all_probes_is_build_models():
    found = stage_that_ended(Cause.STUDENT_EXITED, *RIGHT.values())

    assert causes(found) == ["build-model"]


def test_a_call_that_was_never_made_earns_nothing():
    found = stage_that_ended(Cause.STUDENT_EXITED)

    assert {r.score for r in found.values() if r.name != "module-contract"} == {0.0}


def test_a_loop_is_one_cause_in_whichever_of_its_lines_it_was_interrupted():
    found = results(
        block=raised("densenet.py, line 46, in dense_block", "no answer", "STUDENT_TIMEOUT"),
        network=raised("densenet.py, line 47, in dense_block", "no answer", "STUDENT_TIMEOUT"),
    )

    assert causes(found) == ["block-shape"]
    assert "endless loop" in found["block-shape"].findings[0].help


# --- networks that have a reference -----------------------------------------------------------


def compared(name, *lines):
    found = tuple(Finding(where="x", message="x", line=line, code=f"line {line}") for line in lines)
    return CheckResult(
        name=name, group="g", title="t", outcome=Outcome.FAILED, max_score=1, findings=found
    )


@pytest.mark.parametrize(
    ("network", "follows"),
    [((12,), "block"), ((12, 14), "block"), ((12, 14, 40), None), ((0,), None), ((12, 0), None)],
)
def test_a_network_that_fails_for_the_lines_of_its_block_follows_from_it(network, follows):
    known = dict.fromkeys(("block", "network"), Compared("f", (), ()))
    evidence = Evidence(None, (), None, compared=known)

    block, whole = with_causes(
        [compared("block", 12, 14), compared("network", *network)], evidence, {}
    )

    assert (block.follows_from, whole.follows_from) == (None, follows)
