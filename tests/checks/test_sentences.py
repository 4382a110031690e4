"""A known slip is told in a sentence that names it."""

import json

import pytest

from grader.checks import CHECKS, run_checks
from grader.checks.contract import failed_call, failed_import
from grader.graph.axes import with_wrong_axis
from grader.graph.evidence import assemble
from grader.graph.record import FailureRecord, Op, Trace, VariableRecord
from grader.graph.rules.deviation import deviation
from grader.graph.rules.rulings import ORDER
from tests.graph.writing import (
    Link,
    Style,
    block_probe,
    block_record,
    changed,
    dense,
    evidence_of,
    network_probe,
)

K, SIZE, CHANNELS = 3, 4, 8
MIXED = (
    "A `Concatenate` layer requires inputs with matching shapes except for the concatenation axis. "
    "Received: input_shape=[(None, 8, 8, 24), (None, {0}, {0}, 12)]"
)
SLIPS = {
    "joined along the height": ("ValueError", MIXED.format(8), "it is the axis that is wrong"),
    "maps of two sizes": ("ValueError", MIXED.format(4), "Only maps of one size"),
    "ops.concatenate without axis": (
        "ValueError",
        "Every value in `xs` must have the same shape except on the `axis` dim. But found element "
        "of shape (None, 8, 8, 12),  which is different from the first element's shape "
        "(None, 8, 8, 24).",
        "ops.concatenate needs axis=-1",
    ),
    "a small letter": ("AttributeError", "module 'keras.layers' has no attribute 'Relu'", "ReLU?"),
    "a small letter, imported": (
        "ImportError", "cannot import name 'BatchNormalisation' from 'keras.layers'",
        "Did you mean BatchNormalization?",
    ),
    "a layer without its module": (
        "NameError", "name 'Conv2d' is not defined", "Did you mean Conv2D?",
    ),
    "a name that older Keras had": (
        "AttributeError", "module 'keras.layers' has no attribute 'Convolution2DTranspose'",
        "Keras 3 has no such name any more",
    ),
    "a layer for a tensor": (
        "ValueError",
        "Only input tensors may be passed as positional arguments. The following argument value "
        "should be passed as a keyword argument: <Concatenate name=concatenate_1, built=False>",
        "call it, `Concatenate(...)(x)`",
    ),
    "None for a tensor": (
        "TypeError", "'NoneType' object is not subscriptable", "may lack its `return`",
    ),
    "None for a tensor, said by Keras": (
        "ValueError", "Inputs to a layer should be tensors. Got 'None' (of type ",
        "may lack its `return`",
    ),
    "no return": ("TypeError", "it gives nothing: `return` the tensor", "has to `return`"),
    "two results": ("TypeError", "it gives a tuple of 2 (KerasTensor, int)", "nothing beside it"),
    "a list for a tensor": (
        "AttributeError", "'list' object has no attribute 'shape'", "a list of tensors",
    ),
    "a module that is not imported": (
        "NameError", "name 'layers' is not defined", "`from keras import layers`",
    ),
    "a layer that is not imported": (
        "NameError", "name 'ReLU' is not defined", "Write layers.ReLU",
    ),
    "the shape of a model": (
        "AttributeError", "'Functional' object has no attribute 'shape'", "`return x`",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("type", "message", "told"), SLIPS.values(), ids=SLIPS)
def test_an_exception_is_answered_by_what_was_meant(type, message, told):
    failure = FailureRecord(type=type, message=message, where="densenet.py, line 9, in dense_block")

    assert told in failed_call("dense_block", failure).help


@pytest.mark.parametrize("line", ["x = layers.Add()([x, y])", "x = x + y", "x = sum(maps)"])
@pytest.mark.parametrize(
    "message",
    [
        "Inputs have incompatible shapes. Received shapes (8, 8, 17) and (8, 8, 5)",
        "Cannot broadcast shape, the failure dim has value 17, which cannot be broadcasted to 5.",
    ],
)
def test_maps_that_are_added_are_to_be_joined(line, message):
    failure = FailureRecord(
        type="ValueError", message=message, where="densenet.py, line 9, in f", line=line
    )

    assert "DenseNet adds no maps" in failed_call("dense_block", failure).help
    assert "DenseNet" not in failed_call("resnet.py:block", failure).help


def test_what_a_function_gives_is_told_without_an_exception_of_ours():
    failure = FailureRecord(type="TypeError", message="it gives nothing: `return` it", where="")

    assert failed_call("dense_block", failure).received == "it gives nothing: `return` it"


def test_a_layer_made_in_each_call_is_told_without_the_graders_own_function():
    message = (
        "_whole.<locals>.call(images: 'Any', keywords: 'dict[str, Any]' = {'training': False}) -> "
        "'Any' should not modify its Python input arguments. Modifying a copy is allowed."
    )
    finding = failed_call(
        "build_model", FailureRecord(type="ValueError", message=message, where="")
    )

    assert finding.received == "ValueError: a layer makes new weights in each call"
    assert "make layers in `__init__`" in finding.help


@pytest.mark.parametrize(
    ("type", "message", "told"),
    [
        ("ModuleNotFoundError", "No module named 'torch'", "torch is not here."),
        ("ModuleNotFoundError", "No module named 'google.colab'", "google.colab is not here."),
        ("EOFError", "EOF when reading a line", "Nobody types anything in"),
        ("SystemExit", "0", "the module must reach its end"),
        ("TabError", "inconsistent use of tabs and spaces in indentation", "spaces only"),
        ("SyntaxError", "expected ':'", ""),
    ],
)
def test_an_import_error_is_helped_where_there_is_more_to_say(type, message, told):
    failure = FailureRecord(
        type=type, message=message, where="densenet.py, line 9, in <module>", line="import torch"
    )
    finding = failed_import(failure)

    assert finding.received == f"{type}: {message}"
    assert (finding.line, finding.code) == (9, "import torch")
    assert told in finding.help
    assert bool(told) == bool(finding.help)


def contract(others):
    functions = {name: [] for name in ("transition", "build_densenet", "build_model")}
    module = {"failure": None, "functions": functions | {"dense_block": None}, "others": others}
    evidence = assemble({"module": json.dumps(module).encode()}, {}, [])
    return run_checks(CHECKS, evidence)[0].findings[0]


def test_a_function_of_nearly_the_name_is_said_to_be_there():
    assert contract(["conv", "denseblock"]).received == (
        "nothing of that name; there is denseblock"
    )
    assert contract(["conv", "bottleneck_layer"]).received == "nothing"


def test_arguments_that_changed_places_are_remarked_on():
    functions = {name: [] for name in ("transition", "build_densenet", "build_model")}
    names = ("x", "growth_rate", "num_layers")
    block = [[name, "POSITIONAL_OR_KEYWORD", False] for name in names]
    module = {"failure": None, "functions": functions | {"dense_block": block}}
    evidence = assemble({"module": json.dumps(module).encode()}, {}, [])
    contract = run_checks(CHECKS, evidence)[0]

    assert contract.outcome.value == "passed"
    assert [f.message for f in contract.findings] == [
        "the arguments of dense_block: expected x, num_layers, growth_rate, "
        "received x, growth_rate, num_layers"
    ]


def test_a_class_that_is_given_the_tensor_is_told_to_be_made_first():
    failure = FailureRecord(
        type="TypeError", message="A symbolic KerasTensor cannot be used as a boolean.",
        where="densenet.py, line 9, in f", line="x = layers.ReLU(x)",
    )  # fmt: skip

    assert "`layers.ReLU()(x)`" in failed_call("dense_block", failure).help


def block_of(layers, **fields):
    right = dense(4, K, True)
    given = changed(right, layers=right.layers[:layers], output=(Link(0), Link(1)))
    return {**block_record(Style(), given, SIZE, CHANNELS), **fields}


def test_one_layer_in_place_of_four_asks_for_the_return_inside_the_loop():
    evidence = evidence_of((block_probe(4, K, True, SIZE, CHANNELS), block_of(1)))
    found = {r.name: r for r in run_checks(CHECKS, evidence)}

    assert found["block-structure"].findings[0].help.endswith("or the concatenation behind it?")
    assert found["parameter-count-block"].findings[0].help.endswith("Mend that first.")


def test_a_model_in_place_of_a_tensor_is_told_of_the_function_that_gave_it():
    failure = {"type": "AttributeError", "message": "no shape", "where": "densenet.py, line 65"}
    evidence = evidence_of(
        (block_probe(4, K, True, SIZE, CHANNELS), block_of(4, gave="keras.Model")),
        (network_probe(10, K, 0.5, True, 7, 16), {"failure": failure}),
    )
    found = {r.name: r for r in run_checks(CHECKS, evidence)}

    assert found["network-shape"].findings[0].message == (
        "dense_block gives a keras.Model; expected a tensor: return x"
    )


def scaled(shape, *more: Op) -> Trace:
    """A trained vector laid along one axis."""
    variable = VariableRecord(name="gamma", shape=[8], dtype="float32", trainable=True, owned=True)
    return Trace(
        (
            Op("Variable", "", (), {"variable": 0}, (("resource", ()),)),
            Op("ReadVariableOp", "", ((0, 0),), {}, (("float32", (8,)),)),
            Op("Reshape", "", ((1, 0),), {}, (("float32", shape),)),
            *more,
        ),
        (), (), (), (variable,),
    )  # fmt: skip


WRONG = [deviation(ORDER, "layer 1", "nothing", then="3×3 convolution")]


@pytest.mark.parametrize(
    ("shape", "told"),
    [
        ((1, 8, 1, 1), "normalises along the height (axis 1)"),
        ((1, 1, 8, 1), "normalises along the width (axis 2)"),
    ],
)
def test_a_norm_over_another_axis_is_the_first_cause(shape, told):
    first, *rest = with_wrong_axis(WRONG, scaled(shape), "dense_block")

    assert first.finding.received == told
    assert first.finding.expected == "the channels (axis -1)"
    assert first.wrecks
    assert rest == WRONG


def test_channels_that_stand_last_or_were_moved_are_no_wrong_axis():
    moved = Op("Transpose", "", (), {}, (("float32", (2, 8, 4, 4)),))

    assert with_wrong_axis(WRONG, scaled((1, 1, 1, 8)), "dense_block") == WRONG
    assert with_wrong_axis(WRONG, scaled((1, 8, 1, 1), moved), "dense_block") == WRONG
    assert with_wrong_axis([], scaled((1, 8, 1, 1)), "dense_block") == []
