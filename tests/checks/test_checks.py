"""Each check passes, fails and skips as its docstring says, on records of small networks."""

import json
import re

import pytest

from grader.assignment import load_assignment
from grader.checks import CHECKS, Check, Failure, NothingToJudge, run_checks
from grader.checks.contract import failed_import
from grader.domain import Finding, Outcome
from grader.errors import Cause
from grader.graph.evidence import Evidence, assemble
from grader.graph.record import FailureRecord, ModuleRecord
from grader.resources import assignment_dir
from tests.graph.writing import (
    Layer,
    Link,
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
)

N, K, SIZE, CHANNELS = 2, 3, 4, 8
BLOCK = block_probe(N, K, True, SIZE, CHANNELS)
SQUEEZE = transition_probe(0.5, SIZE, 15)
NETWORK = network_probe(10, K, 0.5, True, 7, 16)
RIGHT_BLOCK = block_record(Style(), dense(N, K, True), SIZE, CHANNELS)
RIGHT_TRANSITION = transition_record(Style(), Transition(7), SIZE, 15)
PLAN = dense_net(1, K, 0.5, True, 7)
RIGHT_NETWORK = network_record(Style(), PLAN, 16)


def results(block=RIGHT_BLOCK, transition=RIGHT_TRANSITION, network=RIGHT_NETWORK, hidden=False):
    """All checks on three answers, by name."""

    def asked(probe):
        return probe.model_copy(update={"hidden": hidden})

    evidence = evidence_of(
        (asked(BLOCK), block), (asked(SQUEEZE), transition), (asked(NETWORK), network)
    )
    return {r.name: r for r in run_checks(CHECKS, evidence)}


def block(**fields):
    """The right block with another last layer."""
    right = dense(N, K, True)
    layers = (*right.layers[:-1], changed(right.layers[-1], **fields))
    return block_record(Style(), changed(right, layers=layers), SIZE, CHANNELS)


def transition(**fields):
    return transition_record(Style(), changed(Transition(7), **fields), SIZE, 15)


def network(**fields):
    return network_record(Style(), changed(PLAN, **fields), 16)


def test_right_answers_pass_every_check_that_has_something_to_look_at():
    found = results()

    # Nothing was sent for build_model().
    assert {n for n, r in found.items() if r.outcome is not Outcome.PASSED} == {
        "build-model", "build-model-parameters",
    }  # fmt: skip
    assert found["build-model"].outcome is Outcome.SKIPPED


WRONG = [
    ("block-shape", {"block": block(width=K + 1)}),
    ("transition-shape", {"transition": transition(width=8)}),
    ("network-shape", {"network": network(classes=6)}),
    ("growth", {"block": block(width=K + 1)}),
    ("parameter-count-block", {"block": block(squeeze=4 * K + 1)}),
    ("parameter-count-transition", {"transition": transition(kernel=3)}),
    ("parameter-count-network", {"network": network(stem=8)}),
    ("composite-function", {"block": block(between=("ReLU", "BN"))}),
    ("dense-connectivity", {"block": block(links=(Link(0),))}),
    ("bottleneck", {"block": block(squeeze=3 * K)}),
    ("transition-layer", {"transition": transition(pool="MaxPool")}),
    ("stem", {"network": network(behind_stem=("ReLU",))}),
    ("head", {"network": network(head=changed(PLAN.head, before=("BN",)))}),
    ("block-structure", {"network": network(blocks=(PLAN.blocks[0],) * 2 + (dense(2, K, True),))}),
    ("foreign-ops", {"block": block(before=("BN", "ReLU", "flipped"))}),
]


@pytest.mark.parametrize(("name", "wrong"), WRONG, ids=[name for name, _ in WRONG])
def test_a_check_fails_where_its_rule_is_broken(name, wrong):
    result = results(**wrong)[name]

    assert result.outcome is Outcome.FAILED
    assert result.rationale
    assert result.findings
    assert all(f.where and f.message for f in result.findings)


def test_shared_kernels_fail_own_weights():
    right = dense(N, K, True)
    layers = tuple(changed(layer, kernel_name="the same") for layer in right.layers)
    shared = block_record(Style(), changed(right, layers=layers), SIZE, CHANNELS)

    assert results(block=shared)["own-weights"].outcome is Outcome.FAILED


def test_a_norm_with_statistics_that_are_never_updated_fails_training_behaviour():
    both = block_record(Style(), dense(N, K, True), SIZE, CHANNELS, ("inference", "training"))
    frozen = json.loads(json.dumps(both))
    frozen["graphs"]["training"] = frozen["graphs"]["inference"]

    assert results(block=both)["training-behaviour"].outcome is Outcome.PASSED
    assert results(block=frozen)["training-behaviour"].outcome is Outcome.FAILED


def test_a_mode_that_was_asked_for_and_is_missing_is_no_pass():
    asked = BLOCK.model_copy(update={"modes": ("inference", "training")})
    evidence = evidence_of((asked, RIGHT_BLOCK))

    found = {r.name: r for r in run_checks(CHECKS, evidence)}

    assert found["block-shape"].outcome is Outcome.FAILED


def test_a_wrong_block_costs_no_check_of_the_transition():
    found = results(block=block(between=("ReLU", "BN")))

    assert found["transition-layer"].outcome is Outcome.PASSED
    assert found["transition-shape"].outcome is Outcome.PASSED


def test_a_shape_right_in_one_of_two_probes_earns_half():
    other = block_probe(1, K, True, SIZE, CHANNELS).model_copy(update={"id": "block-1"})
    evidence = evidence_of((BLOCK, RIGHT_BLOCK), (other, RIGHT_BLOCK))

    found = {r.name: r for r in run_checks(CHECKS, evidence)}

    assert found["block-shape"].outcome is Outcome.FAILED
    assert found["block-shape"].score == 0.5


def test_a_stub_is_said_to_be_a_stub():
    failure = {"type": "NotImplementedError", "message": "dense_block", "where": "densenet.py"}
    own = failure | {"line": "raise NotImplementedError('dense_block')"}

    found = results(block={"failure": own})
    others = results(block={"failure": failure | {"line": "x = layer(x)"}})

    assert found["block-shape"].outcome is Outcome.FAILED
    assert "stub" in found["block-shape"].findings[0].help
    assert "stub" not in others["block-shape"].findings[0].help
    assert found["composite-function"].outcome is not Outcome.ERROR


OLDER = [
    ("A KerasTensor cannot be used as input to a TensorFlow function.", "keras.ops"),
    ("module 'tensorflow' has no attribute 'layers'", "TensorFlow 1"),
    ("`batch_normalization` is not available with Keras 3.", "TensorFlow 1"),
    ("cannot import name 'merge' from 'keras.layers'", "Concatenate()"),
    ("No module named 'keras.layers.core'", "keras.layers"),
    ("Unrecognized keyword arguments passed to Conv2D: {'init': 'he_normal'}", "use_bias"),
    ("module 'keras.backend' has no attribute 'image_dim_ordering'", "keras.ops"),
    ("'TrackedList' object has no attribute 'layers'", ".layers"),
    ("__init__() missing 1 required positional argument: 'pool_size'", "AveragePooling2D(2)"),
    ("Only input tensors may be passed as positional arguments. The following: True", "by name"),
    (
        "Only input tensors may be passed as positional arguments. The following argument value "
        "should be passed as a keyword argument: <Conv2D name=conv2d, built=False>",
        "call it",
    ),
    ("missing a required argument: 'training'", "training=None"),
    ("of layer 'conv2d' is incompatible with the layer: expected axis -1 of", "a new layer"),
    ("Found invalid dimension '30.0' of type '<class 'numpy.float64'>'.", "int("),
    ("The number of filters must be evenly divisible. Received: groups=1, filters=7.5.", "whole"),
    ("module 'keras._tf_keras.keras.layers' has no attribute 'experimental'", "any more"),
    ("'tuple' object has no attribute 'as_list'", "x.shape[-1]"),
    ("'KerasTensor' object has no attribute 'get_shape'", "a plain tuple"),
    ("Dropout.__init__() missing 1 required positional argument: 'rate'", "Dropout(0.2)"),
    (
        "A `Concatenate` layer requires inputs with matching shapes except for the concatenation "
        "axis. Received: input_shape=[(None, 8, 8, 6), (None, 3, 3, 4)]",
        "stride 3",
    ),
    ("Computed output size would be zero or negative.", "GlobalAveragePooling2D"),
    (
        "Input 0 of layer 'functional' is incompatible with the layer: expected shape=(None, 32, "
        "32, 3), found shape=(2, 16, 16, 3)",
        "input_shape",
    ),
    ("'_block' is not a valid root scope name.", "underscore"),
    ("it gives a tuple of 2 (KerasTensor, int): return one tensor alone", "docstring"),
    ("URL fetch failure on https://example.org/weights.h5", "no network"),
    ("name 'get_ipython' is not defined", "hand in the notebook itself"),
    ("numpy() is only available when eager execution is enabled.", "disable_v2_behavior()"),
    ("GPU device not found", "`if gpus:`"),
]


@pytest.mark.parametrize(("message", "advice"), OLDER, ids=[advice for _, advice in OLDER])
def test_what_keras_says_of_older_code_is_told_with_what_to_do(message, advice):
    failure = {"type": "ValueError", "message": message, "where": "densenet.py, line 3"}

    found = results(block={"failure": failure})["block-shape"].findings[0]

    assert message in found.message
    assert advice in found.help


@pytest.mark.parametrize(
    ("type", "message", "line"),
    [
        ("IndexError", "list index out of range", "config.set_memory_growth(gpus[0], True)"),
        (
            "IndexError",
            "list index out of range",
            "gpu = tf.config.list_physical_devices('GPU')[0]",
        ),
        ("AssertionError", "", "assert len(tf.config.list_physical_devices('GPU')) > 0"),
        ("RuntimeError", "Could not satisfy device specification '/device:GPU:0'.", ""),
    ],
)
def test_code_that_needs_a_gpu_is_told_that_there_is_none(type, message, line):
    failure = {"type": type, "message": message, "where": "densenet.py, line 3", "line": line}

    assert "`if gpus:`" in results(block={"failure": failure})["block-shape"].findings[0].help


def test_an_index_out_of_range_elsewhere_has_nothing_to_do_with_a_gpu():
    failure = {"type": "IndexError", "message": "list index out of range", "where": "densenet.py"}

    found = results(block={"failure": failure | {"line": "x = maps[3]"}})

    assert "GPU" not in found["block-shape"].findings[0].help


def test_a_module_that_cannot_be_imported_fails_once():
    failure = {"type": "ModuleNotFoundError", "message": "No module named 'keras.layers.core'"}
    module = {"failure": {**failure, "where": "densenet.py, line 1"}, "functions": {}}

    evidence = assemble({"module": json.dumps(module).encode()}, {}, [BLOCK, SQUEEZE, NETWORK])
    found = run_checks(CHECKS, evidence)

    assert [r.name for r in found if r.outcome is Outcome.FAILED] == ["module-contract"]
    assert not [r.name for r in found if r.outcome is Outcome.PASSED]
    assert "keras.layers" in found[0].help


def test_checks_with_nothing_to_look_at_are_skipped_and_say_so():
    failure = {"failure": {"type": "ValueError", "message": "no", "where": ""}}

    found = results(failure, failure, failure)

    assert found["composite-function"].outcome is Outcome.SKIPPED
    assert "nothing that could be looked at" in found["composite-function"].rationale
    assert found["composite-function"].score == 0.0


HIDDEN = [name for name, _ in WRONG if name != "block-structure"]


@pytest.mark.parametrize(("name", "wrong"), [w for w in WRONG if w[0] in HIDDEN], ids=HIDDEN)
def test_a_finding_of_a_hidden_probe_shows_no_number(name, wrong):
    result = results(**wrong, hidden=True)[name]

    shown = [f"{f.message} {f.expected} {f.received}" for f in result.findings]
    shown += [result.rationale]
    kernels = re.compile(r"\d×\d")
    assert result.outcome is Outcome.FAILED
    assert not [text for text in shown if re.search(r"\d", kernels.sub("", text))]


def test_convolution_biases_pass_and_are_no_deviation():
    biased = block_record(Style(bias=True), dense(N, K, True), SIZE, CHANNELS)

    found = results(block=biased)

    assert found["parameter-count-block"].outcome is Outcome.PASSED
    assert found["composite-function"].outcome is Outcome.PASSED


def test_a_missing_module_record_fails_the_contract():
    evidence = Evidence(None, (), None, None, "the program ended")

    found = {r.name: r for r in run_checks(CHECKS, evidence)}

    assert found["module-contract"].outcome is Outcome.FAILED
    assert not any(r.outcome is Outcome.PASSED for r in found.values())
    assert not any(r.outcome is Outcome.ERROR for r in found.values())


def test_a_function_that_is_missing_fails_the_contract_in_part():
    module = {
        "failure": None,
        "functions": {
            "dense_block": [],
            "transition": [],
            "build_densenet": [],
            "build_model": None,
        },
    }

    evidence = assemble({"module": json.dumps(module).encode()}, {}, [])
    result = run_checks(CHECKS, evidence)[0]

    assert (result.outcome, result.score) == (Outcome.FAILED, 0.75)
    assert "build_model" in result.rationale


# --- run_checks itself ---

NOTHING = Evidence(ModuleRecord(failure=None, functions={}), (), None)


def crashes(evidence):
    """A check with a fault of its own."""
    raise ZeroDivisionError("ours")


def says_no(evidence):
    """A check that says no."""
    raise Failure("no", "try", [Finding(where="x", message="m")], share=0.25)


def boasts(evidence):
    """A failed check that claims more than all."""
    raise Failure("no", share=float("nan"))


def has_nothing(evidence):
    """A check without anything to look at."""
    raise NothingToJudge("nothing came")


def remarks(evidence):
    """A check that passes with a remark."""
    return [Finding(where="x", message="m", severity="remark")]


def needs_the_other(evidence):
    """A check that stands on another."""


def test_a_check_that_crashes_is_an_error_and_earns_nothing():
    (result,) = run_checks([Check(crashes, "g")], NOTHING)

    assert (result.outcome, result.score) == (Outcome.ERROR, 0.0)
    assert "ZeroDivisionError" in result.rationale


def test_a_failed_check_keeps_its_share():
    (result,) = run_checks([Check(says_no, "g")], NOTHING)

    assert (result.outcome, result.score, result.help) == (Outcome.FAILED, 0.25, "try")


def test_a_share_that_is_no_number_is_none():
    (result,) = run_checks([Check(boasts, "g")], NOTHING)

    assert result.score == 0.0


def test_a_remark_costs_nothing():
    (result,) = run_checks([Check(remarks, "g")], NOTHING)

    assert (result.outcome, result.score, len(result.findings)) == (Outcome.PASSED, 1.0, 1)


@pytest.mark.parametrize("before", [crashes, says_no, has_nothing])
def test_a_check_is_skipped_where_what_it_builds_on_did_not_pass(before):
    checks = [Check(before, "g"), Check(needs_the_other, "g", (before,))]

    outcome = run_checks(checks, NOTHING)[1].outcome

    assert outcome is Outcome.SKIPPED


def test_every_check_has_points_and_a_line_to_read():
    rubric = load_assignment(assignment_dir()).rubric

    names = [c.name for c in CHECKS]
    assert len(set(names)) == len(names)
    assert set(names) < set(rubric)
    assert all(c.title.endswith(".") and len(c.title) < 100 for c in CHECKS)


def test_a_layer_written_by_hand_is_the_paper_s():
    assert dense(1, K, True).layers == (Layer((Link(0),), K, 4 * K),)


OF_LAYERS = (
    "growth", "composite-function", "dense-connectivity", "bottleneck", "foreign-ops",
    "training-behaviour", "own-weights",
)  # fmt: skip


def test_a_block_without_layers_has_nothing_right_about_its_layers():
    empty = changed(dense(N, K, True), layers=(), output=(Link(0),))

    found = results(block=block_record(Style(), empty, SIZE, CHANNELS))

    assert not [n for n in OF_LAYERS if found[n].outcome is Outcome.PASSED]
    assert "received 0" in found["composite-function"].rationale


def test_one_layer_shows_no_connectivity():
    found = results(block=block_record(Style(), dense(1, K, True), SIZE, CHANNELS))

    assert found["dense-connectivity"].outcome is Outcome.SKIPPED
    assert found["composite-function"].outcome is Outcome.PASSED


def test_right_answers_to_the_template_s_configurations_alone_show_nothing():
    hidden = BLOCK.model_copy(update={"id": "block-1", "hidden": True})
    raised = {"type": "RuntimeError", "message": "not in the table", "where": ""}
    silent = {"failure": raised, "graphs": {}, "variables": []}

    evidence = evidence_of((BLOCK, RIGHT_BLOCK), (hidden, silent))

    found = {r.name: r for r in run_checks(CHECKS, evidence)}
    assert found["block-shape"].score == 0
    assert {found[n].outcome for n in (*OF_LAYERS, "parameter-count-block")} == {Outcome.SKIPPED}


def test_one_answer_to_another_question_makes_the_other_answers_worthless():
    elsewhere = block_record(Style(), dense(N, K, True), SIZE + 2, CHANNELS)

    evidence = evidence_of((NETWORK, RIGHT_NETWORK), (BLOCK, elsewhere))

    found = run_checks(CHECKS, evidence)
    assert evidence.cause is Cause.STUDENT_BAD_OUTPUT
    assert {r.name for r in found if r.outcome is Outcome.PASSED} == {"module-contract"}


def test_a_module_frame_that_cannot_be_read_earns_nothing_and_rejects_nothing():
    evidence = assemble({"module": b'{"failure": nul'}, {}, [BLOCK])

    found = run_checks(CHECKS, evidence)
    assert evidence.cause is Cause.STUDENT_BAD_OUTPUT
    assert not [r for r in found if r.outcome in (Outcome.PASSED, Outcome.ERROR)]


def test_an_import_error_is_told_by_its_line_and_its_own_text():
    failure = FailureRecord(
        type="SyntaxError", message="expected ':'", where="densenet.py, line 49"
    )

    finding = failed_import(failure)

    assert finding.where == "densenet.py, line 49"
    assert finding.received == "SyntaxError: expected ':'"
    assert "arguments" not in finding.help


def failed_record(message="boom"):
    failure = {"type": "ValueError", "message": message, "where": "densenet.py, line 9", "line": ""}
    record = {"failure": failure, "graphs": {}, "variables": [], "input_shape": []}
    return json.dumps(record).encode()


def test_what_was_not_answered_earns_nothing_and_costs_nothing_of_the_rest():
    other = block_probe(N, K, False, SIZE, CHANNELS).model_copy(update={"id": "block-1"})
    evidence = evidence_of(
        (BLOCK, RIGHT_BLOCK), (other, failed_record()), (SQUEEZE, RIGHT_TRANSITION)
    )

    found = {r.name: r for r in run_checks(CHECKS, evidence)}

    halved = ("composite-function", "dense-connectivity", "bottleneck", "growth", "block-structure")
    assert {found[name].score for name in (*halved, "parameter-count-block")} == {0.5}
    assert found["foreign-ops"].score == found["own-weights"].score == pytest.approx(2 / 3)
    assert found["transition-layer"].outcome is Outcome.PASSED
    assert {found[name].follows_from for name in halved} == {"block-shape"}
    assert "right in the 1 of 2 calls that were answered" in found["growth"].rationale
