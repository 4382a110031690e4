"""What to try about a difference of two networks, in a sentence that a student can act on."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from grader.graph.differ import Aspect, Difference
from grader.graph.links import Entry
from grader.graph.units import Unit

Names = Mapping[int, str]


def help_for(difference: Difference, names: Names) -> str:
    """What to try; "" where the difference is of no consequence."""
    found = HELPS.get(difference.aspect)
    if found is None:
        return FIXED.get(difference.aspect, LOOK)
    return found(difference, names)


LOOK = "Compare this layer and its arguments with the description of the network, one by one."
FIXED: Mapping[Aspect, str] = {
    Aspect.GROUPS: "With g groups, each kernel sees a g-th part of the maps.",
    Aspect.SIZE: "Build the network for images of the size that is asked for.",
    Aspect.OPERATION: "Another operation stands here: take the layer that is asked for.",
    Aspect.SETTINGS: "It is the right operation with other settings: look at its arguments.",
    Aspect.COMPUTED: "Let a layer of Keras's make and train this kernel, unchanged.",
    Aspect.READABLE: "Write it with keras.layers, from one input to one output.",
    Aspect.RECEIVED_MAPS: "Pass on the maps that are asked for: a slice or a split cuts them.",
    Aspect.ORDER: "The order counts here: exchange the inputs.",
    Aspect.CONCATENATION: "Put the tensors into the list of concatenate in the order that is asked "
    "for: usually what came first stands first.",
    Aspect.LOGARITHM: "Use softmax, not its logarithm.",
    Aspect.SHAPE: "Flatten(), or GlobalAveragePooling2D(), takes height and width away before the "
    "last layer; a pooling alone keeps them as 1, 1.",
}


def _argument(difference: Difference, names: Names) -> str:
    """A layer's one argument that is another."""
    unit = difference.wanted
    assert unit is not None
    wanted = f"Give this layer {_arguments(unit, [difference.aspect.value])}"
    if difference.partner is None:
        return f"{wanted}."
    return f"{wanted}: {names[difference.partner]} has it in its place."


def _arguments(unit: Unit, fields: list[str]) -> str:
    """A layer's arguments as Keras has them: "kernel_size=(3, 3), filters=24"."""
    dense = unit.node is not None and unit.node.written_as == "MatMul"
    said = []
    for name in fields:
        value = unit.get(name)
        if name == "maps":
            count = unit.width if unit.node is None else unit.node.channels
            said.append(f"{'units' if dense else 'filters'}={count}")
        elif name == "padding":
            said.append('padding="valid"' if value == (0, 0, 0, 0) else 'padding="same"')
        elif name in KEYWORDS:
            said.append(f"{KEYWORDS[name]}={_number(value)}")
    return " and ".join(filter(None, (", ".join(said[:-1]), *said[-1:]))) or "other arguments"


KEYWORDS = {
    "kernel": "kernel_size", "stride": "strides", "dilation": "dilation_rate", "groups": "groups",
    "multiplier": "depth_multiplier",
}  # fmt: skip


def _number(value: object) -> str:
    if isinstance(value, tuple) and len(set(value)) == 1:
        return str(value[0])
    return str(value)


def _several(difference: Difference, names: Names) -> str:
    wanted, given = difference.wanted, difference.given
    assert wanted is not None and given is not None
    wrong = [f for f, value in wanted.label if given.get(f) != value and f in (*KEYWORDS, "maps")]
    return f"Give this layer {_arguments(wanted, wrong)}; or another layer is missing before it."


def _missing(difference: Difference, names: Names) -> str:
    unit = difference.wanted
    assert unit is not None
    sources = list(dict.fromkeys(names[k.source] for k in unit.inputs if k.source in names))
    if unit.kind in ("add", "multiply", "maximum"):
        layer = {"add": "Add()", "multiply": "Multiply()"}.get(unit.kind, "Maximum()")
        return f"Join {' and '.join(sources[:3])} with {layer} here."
    behind = f" behind {sources[0]}" if sources else ""
    return f"Add this layer{behind}."


def _surplus(difference: Difference, names: Names) -> str:
    return "Take this layer out; if it belongs somewhere else, move it there."


def _steps(difference: Difference, names: Names) -> str:
    wanted, given = difference.expected, difference.received
    assert isinstance(wanted, tuple) and isinstance(given, tuple)
    wanted, given = without_bias(wanted, given)
    lacking, extra = _without(wanted, given), _without(given, wanted)
    if not lacking and not extra:
        if [e.sign for e in wanted] == [e.sign for e in given]:
            return LOOK
        return f"Put them in this order: {', then '.join(e.text for e in wanted)}."
    if len(lacking) == len(extra) == 1 and lacking[0].kind == extra[0].kind:
        return f"Make it {lacking[0].text}."
    said = []
    if extra:
        said.append(f"take out {_texts(extra)}")
    if lacking:
        at = wanted.index(lacking[0])
        before = f" before {wanted[at + 1].text}" if at + 1 < len(wanted) and not extra else ""
        said.append(f"put in {_texts(lacking)}{before}")
    words = " and ".join(said)
    return f"{words[0].upper()}{words[1:]} here."


def without_bias(
    wanted: tuple[Entry, ...], given: tuple[Entry, ...]
) -> tuple[tuple[Entry, ...], tuple[Entry, ...]]:
    """Both sides without their biases, where something else differs too."""
    bare = [tuple(e for e in side if e.kind != "bias") for side in (wanted, given)]
    if [e.sign for e in bare[0]] == [e.sign for e in bare[1]]:
        return wanted, given
    return bare[0], bare[1]


def _without(entries: tuple[Entry, ...], others: tuple[Entry, ...]) -> list[Entry]:
    """The steps that the other side lacks."""
    rest = [e.sign for e in others]
    kept = []
    for entry in entries:
        if entry.sign in rest:
            rest.remove(entry.sign)
        else:
            kept.append(entry)
    return kept


def _texts(entries: list[Entry]) -> str:
    return " and ".join(e.text for e in entries)


def _sources(difference: Difference, names: Names) -> str:
    lacking, too_many = difference.expected, difference.received
    assert isinstance(lacking, tuple) and isinstance(too_many, tuple)
    missed, extra = (", ".join(dict.fromkeys(names[i] for i in side)) for side in (
        lacking, too_many
    ))  # fmt: skip
    if missed and extra:
        return f"Pass on the maps of {missed} in place of those of {extra}."
    if missed:
        return f"Concatenate, or add, the maps of {missed} too."
    return f"Leave out the maps of {extra} here."


def _trained(difference: Difference, names: Names) -> str:
    if difference.expected:
        return "Leave trainable=True: the layer has to be trained."
    return "Set trainable=False: the layer has to stay as it is."


def _own_weights(difference: Difference, names: Names) -> str:
    if difference.received is None:
        return "Make the layer once, and call it in both places."
    return "Make a new layer for each place."


def _initialiser(difference: Difference, names: Names) -> str:
    return f"Give this layer kernel_initializer={difference.expected}."


def _beside(difference: Difference, names: Names) -> str:
    if difference.received == ALONE:
        return "Return the tensor and the value beside it: `return x, value`."
    return "Compute it from the arguments, as the network grows; print it before you return it."


ALONE = "the network alone"
"""What a function gave of which more was asked for."""

HELPS: Mapping[Aspect, Callable[[Difference, Names], str]] = {
    **dict.fromkeys(
        (
            Aspect.KERNEL, Aspect.STRIDE, Aspect.DILATION, Aspect.PADDING, Aspect.MAPS,
            Aspect.MULTIPLIER,
        ),
        _argument,
    ),
    Aspect.SEVERAL: _several,
    Aspect.MISSING: _missing,
    Aspect.SURPLUS: _surplus,
    Aspect.STEPS: _steps,
    Aspect.SOURCES: _sources,
    Aspect.TRAINED: _trained,
    Aspect.OWN_WEIGHTS: _own_weights,
    Aspect.INITIALISER: _initialiser,
    Aspect.BESIDE: _beside,
}  # fmt: skip
