"""The submission has what the assignment asks for, and its functions can be called."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence

from grader import paper
from grader.checks.causes import WITHOUT_A_RESULT
from grader.checks.check import Failure, NothingToJudge, Unanswered
from grader.domain import Finding
from grader.errors import Cause
from grader.graph.evidence import Evidence
from grader.graph.network import Network
from grader.graph.record import FailureRecord
from grader.graph.rules import rulings

NEEDED = ("dense_block", "transition", "build_densenet", "build_model")
STUB = "Fill in the stub: it still raises NotImplementedError."
FORBIDDEN = (
    "The sandbox has no network and no files but yours, and starts no programs: keep downloads, "
    "training and plots out of the functions and behind `if __name__ == '__main__':`."
)
FORBIDDEN_TYPES = {"PermissionError", "URLError", "gaierror", "ConnectionError", "BlockingIOError"}
RAW_TENSORFLOW = (
    "Raw tf.* functions do not take Keras tensors in Keras 3: use keras.ops, a layer, or put the "
    "call inside the call() of a layer of your own."
)
ARGUMENTS = {
    "dense_block": ("x", "num_layers", "growth_rate", "bottleneck", "dropout_rate"),
    "transition": ("x", "compression", "dropout_rate"),
}
"""What the template's build_densenet passes without names, in its order."""
ONE_TENSOR = "Give back what the template's docstring says, and nothing beside it."
NO_GPU = (
    "There is no GPU here, so the list of GPUs is empty: put `if gpus:` before what needs one, as "
    "on any machine without."
)
ONLY_HERE = (
    "Only the standard library, NumPy, TensorFlow and Keras are installed: remove the import, or "
    "move what needs it under `if __name__ == '__main__':`."
)
RUN_IT = "`python densenet.py` stops at the same place."
OUT_OF_THE_WAY = "move this line under `if __name__ == '__main__':`."
IMPORT_HELP = {
    "EOFError": f"Nobody types anything in while it is graded: {OUT_OF_THE_WAY}",
    "SystemExit": f"It ends the program, and the module must reach its end: {OUT_OF_THE_WAY}",
    "TabError": "Indent with spaces only: let the editor change every tab to four spaces.",
}
RETURN_X = (
    "A function gave a keras.Model where a tensor is expected: `return x`, the tensor, in place of "
    "`return keras.Model(...)`."
)
OF_OURS = re.compile(r"\w+\.<locals>\.call\(.*should not modify its Python input arguments", re.S)
"""TensorFlow's text about the function that traces, which is no code of the student's."""
LAYERS = (
    "Activation", "Add", "AveragePooling2D", "BatchNormalization", "Concatenate", "Conv2D", "Dense",
    "Dropout", "Flatten", "GlobalAveragePooling2D", "Input", "Layer", "MaxPooling2D", "Multiply",
    "ReLU", "Rescaling", "Softmax", "ZeroPadding2D",
)  # fmt: skip
"""Names of keras.layers that a DenseNet is written with, and that are mistyped."""
IMPORTS = {
    "keras": "import keras", "layers": "from keras import layers", "ops": "from keras import ops",
    "tf": "import tensorflow as tf", "np": "import numpy as np", "math": "import math",
}  # fmt: skip
"""What a DenseNet is written with, and how each comes into the file."""
ENDLESS = "An endless loop? What ends it has to change inside it; and nothing may wait or train."
SAME_CALL = "Make the same call yourself and see where it stops."
OTHER_CALLS = (
    "Call it with other arguments than the public ones: other sizes, widths and depths, with "
    "bottlenecks and without."
)
OLDER_CODE = (
    (
        r"name 'get_ipython' is not defined",
        "This is Jupyter's export of a notebook, where only Jupyter has get_ipython(): delete that "
        "line, or hand in the notebook itself.",
    ),
    (
        r"list index out of range\n.*(GPU|gpu|physical_devices|set_memory_growth|logical_device)"
        r"|\nassert .*(GPU|gpu)|GPU device not found|/(device:)?GPU:[0-9]",
        NO_GPU,
    ),
    (
        r"only available when eager execution is enabled|disable_(v2_behavior|eager_execution)",
        "Remove disable_v2_behavior() and disable_eager_execution(): they turn TensorFlow 2 into "
        "TensorFlow 1, in which Keras 3 does not work.",
    ),
    (
        r"The function is not implemented\. Rebuild the library with",
        "There is no screen here: keep cv2.imshow and cv2.waitKey under "
        "`if __name__ == '__main__':`.",
    ),
    (r"KerasTensor .* TensorFlow function", RAW_TENSORFLOW),
    (
        r"module 'tensorflow' has no attribute|tensorflow\.contrib|not available with Keras 3",
        "This is code for TensorFlow 1, which is not what runs here: write it with keras.layers.",
    ),
    (
        r"No module named 'keras\.|cannot import name .* from '(keras|tensorflow\.keras)",
        "Older Keras had this; Keras 3 has its layers in keras.layers and no merge(): "
        "use Concatenate().",
    ),
    (
        r"Unrecognized keyword arguments passed to",
        "Keras 3 has no such argument. Its names are kernel_initializer, kernel_regularizer, "
        "padding, strides and use_bias; of a Model, inputs and outputs.",
    ),
    (
        r"module 'keras\.(api\.)?backend' has no attribute",
        "Keras 3 has little left in keras.backend: use keras.ops, and x.shape for sizes.",
    ),
    (
        r"'Tracked(List|Dict|Set)' object has no attribute",
        "In Keras 3 a list of layers stays a list: go through it itself, not through its .layers.",
    ),
    (
        r"'(Functional|Model|Sequential)' object has no attribute '(shape|dtype|ndim|_keras_\w+)'",
        RETURN_X,
    ),
    (
        r"module 'keras[\w.]*' has no attribute",
        "Keras 3 has no such name any more: look in keras.layers and keras.ops.",
    ),
    (
        r"'tuple' object has no attribute '(as_list|rank|dims)'"
        r"|'KerasTensor' object has no attribute '(get_shape|_keras_shape)'",
        "The sizes of a Keras tensor are a plain tuple, x.shape: its maps are x.shape[-1].",
    ),
    (
        r"(?s)KerasTensor cannot be used as a boolean.*\n[^\n]*\b[A-Z]\w*\([a-z_]\w*[,)]",
        "A layer is made first, then called: `layers.ReLU()(x)` in place of `layers.ReLU(x)`.",
    ),
    (r"positional argument: 'pool_size'", "Keras 3 wants the window: AveragePooling2D(2)."),
    (r"positional argument: 'rate'", "Keras 3 has no p here: Dropout(0.2)."),
    (
        r"requires inputs with matching shapes except for the concatenation axis.*?"
        r"\((\w+, \d+, \d+), \d+\), \(\1, \d+\)"
        r"|same shape except on the `axis` dim.*? \((\w+, \d+, \d+), \d+\),.*? \(\2, \d+\)",
        "The maps are of one height and width, so it is the axis that is wrong: the channels are "
        "joined, axis=-1. Concatenate() does that; ops.concatenate needs axis=-1 said.",
    ),
    (
        r"requires inputs with matching shapes except for the concatenation axis"
        r"|same shape except on the `axis` dim",
        "Only maps of one size can be concatenated, along the channels: stride 1 and "
        'padding="same". Conv2D(k, 3, 3) is a kernel of 3 with stride 3.',
    ),
    (
        r"Only input tensors may be passed as positional arguments",
        "Keras 3 takes tensors only by position: pass the mode by name, "
        "`layer(x, training=training)`.",
    ),
    (
        r"missing a required argument: 'training'",
        "Give it a default, `def call(self, x, training=None)`: Keras fills the mode in.",
    ),
    (
        r"is incompatible with the layer: expected axis",
        "One layer was called on maps of two widths: create a new layer for every place where the "
        "paper has one.",
    ),
    (
        r"Computed output size would be zero or negative",
        "A window is larger than the map it gets. Fix nothing to one size of image: "
        "GlobalAveragePooling2D pools any map.",
    ),
    (
        r"is incompatible with the layer: expected shape=",
        "The network is built for one size of image: use the argument input_shape.",
    ),
    (
        r"invalid dimension '[0-9.]+' of type|number of filters must be .* filters=[0-9]*\.",
        "Filters are whole: use int(...).",
    ),
    (
        r"tf\.Variables? .*non-first call|tried to create variables|singleton tf\.Variable"
        r"|should not modify its Python input arguments",
        "A layer is made inside call(), anew in each call: make layers in `__init__` or `build`, "
        "keep them as attributes, and only use them in call().",
    ),
    (
        r"is not a valid root scope name",
        "Keras 3 names a layer by its class: let no class of layers begin with an underscore.",
    ),
    (r"^it gives nothing", "The last line of a function has to `return` what it has made."),
    (
        WITHOUT_A_RESULT,
        "Something is None here: a function that you call may lack its `return`. "
        "`list.append(x)` and the batch size, x.shape[0], are None as well.",
    ),
    (
        r"'list' object has no attribute '(shape|dtype|ndim)'",
        "A list stands where a tensor belongs. Concatenate takes a list of tensors, "
        "`Concatenate()(maps)`; every other layer takes one tensor.",
    ),
    (r"^it gives ", ONE_TENSOR),
    (r"^it takes \(", "Keep all arguments that the assignment names, in its order."),
)
"""What Keras 3, TensorFlow 2 and this machine say to code that was written for others, in their
message or in the line where it stopped, and what to do about it."""


def module_contract(evidence: Evidence) -> list[Finding]:
    """densenet.py imports, and has the functions the assignment asks for."""
    if evidence.module is None:
        raise Failure(
            f"densenet.py was not imported to its end: {evidence.message or 'the program ended'}",
            "`python densenet.py` shows what it does on import: no training, no endless loop.",
        )
    if evidence.module.failure is not None:
        failure = evidence.module.failure
        finding = failed_import(failure).model_copy(update={"printed": evidence.module.printed})
        raise Failure("densenet.py cannot be imported", finding.help, [finding])
    missing = [n for n in NEEDED if evidence.module.functions.get(n) is None]
    if missing:
        findings = [_missing_function(name, evidence.module.others) for name in missing]
        raise Failure(
            "densenet.py lacks " + ", ".join(missing),
            "Keep the names and arguments of the template.",
            findings,
            share=1 - len(missing) / len(NEEDED),
        )
    functions = evidence.module.functions
    given = {name: [argument for argument, *_ in functions.get(name) or ()] for name in ARGUMENTS}
    found = [_in_another_order(name, arguments) for name, arguments in given.items()]
    return [remark for remark in found if remark is not None]


def _in_another_order(name: str, given: Sequence[str]) -> Finding | None:
    """A remark on arguments that have changed places."""
    kept = [a for a in given if a in ARGUMENTS[name]]
    wanted = [a for a in ARGUMENTS[name] if a in kept]
    if kept == wanted:
        return None
    what, expected, received = f"the arguments of {name}", ", ".join(wanted), ", ".join(kept)
    return Finding(
        where="densenet.py",
        message=f"{what}: expected {expected}, received {received}",
        what=what,
        expected=expected,
        received=received,
        help="No harm where they are passed by name; the template's build_densenet passes none so.",
        severity="remark",
    )


def _missing_function(name: str, others: Sequence[str]) -> Finding:
    near = nearest(name, others)
    received = f"nothing of that name; there is {near}" if near else "nothing"
    return Finding(
        where="densenet.py",
        message=f"{name}: expected a function, received {received}",
        what=f"{name} is missing",
        expected="a function",
        received=received,
        help=f"Call {near} by the name {name}."
        if near
        else "Keep the names and arguments of the template.",
    )


def older_code(failure: FailureRecord) -> str:
    """What to do about an exception that code for other versions or machines meets; else ""."""
    told = f"{failure.message}\n{failure.line}"
    return next((help for said, help in OLDER_CODE if re.search(said, told)), "")


def failed_import(failure: FailureRecord) -> Finding:
    """Why the module cannot be imported: the exception's own text, and its line in their file."""
    received = _told(failure)
    where = failure.where or "densenet.py"
    return Finding(
        where=where,
        message=f"{where}: expected a module that can be imported, received {received}",
        expected="a module that can be imported",
        received=received,
        help=_import_help(failure),
        place=failure.where,
        line=_line_number(failure.where),
        code=failure.line,
    )


def _line_number(where: str) -> int:
    """The line of a place as the program inside words it: "densenet.py, line 49, in f"."""
    named = re.search(r", line ([0-9]{1,7})(?:, in .*)?$", where)
    return int(named[1]) if named else 0


def _import_help(failure: FailureRecord) -> str:
    """What to do; nothing where the line and the exception's own text say it."""
    known = _known_help(failure) or _missing_module(failure) or IMPORT_HELP.get(failure.type, "")
    return known or ("" if failure.where else RUN_IT)


def _told(failure: FailureRecord) -> str:
    """An exception as Python tells it; what the sandbox says of itself, without our own word."""
    if failure.type in set(Cause):
        return failure.message
    if OF_OURS.match(failure.message):
        return f"{failure.type}: a layer makes new weights in each call"
    if re.match("it (gives|takes) ", failure.message):
        return failure.message
    return f"{failure.type}: {failure.message}".removesuffix(": ")


def _missing_module(failure: FailureRecord) -> str:
    named = re.fullmatch(r"No module named '([\w.]+)'", failure.message)
    return f"{named[1]} is not here. {ONLY_HERE}" if named else ""


def _known_help(failure: FailureRecord) -> str:
    """What to do about an exception whose cause is known; else ""."""
    if failure.type == "NotImplementedError" and failure.line.startswith("raise"):
        return STUB
    if failure.type == Cause.STUDENT_TIMEOUT:
        return ENDLESS
    if lacking := _not_imported(failure):
        return lacking
    if meant := _meant(failure):
        return f"Did you mean {meant}?"
    if known := _passed_on(failure) or older_code(failure):
        return known
    if failure.type in FORBIDDEN_TYPES or failure.message.startswith("URL fetch failure"):
        return FORBIDDEN
    if failure.type == "MemoryError":
        return "It needs more memory than the grader gives; build the network, do not train it."
    return ""


def _not_imported(failure: FailureRecord) -> str:
    """What to write for a name that nothing in the file has defined; "" for another's name."""
    said = re.match(r"name '(\w+)' is not defined", failure.message)
    name = said[1] if said else ""
    if name in LAYERS:
        return f"Write layers.{name}: the layers of Keras stand in keras.layers."
    return f"Write `{IMPORTS[name]}` at the top of the file." if name in IMPORTS else ""


def _adds_maps(failure: FailureRecord) -> bool:
    """Whether maps of two widths were to be added; in another network than a DenseNet they may."""
    differ = re.search(r"incompatible shapes|annot broadcast shape", failure.message)
    return bool(differ and re.search(r"[Aa]dd\(|\bsum\(|\+", failure.line))


def _passed_on(failure: FailureRecord) -> str:
    """Which layer was handed to another one in place of a tensor; "" where none was."""
    said = re.search(r"Only input tensors may .*<(\w+) name=\w+, built=", failure.message, re.S)
    called = f"call it, `{said[1]}(...)(x)`" if said else ""
    return f"A layer is passed on in place of what it gives: {called}." if said else ""


def _meant(failure: FailureRecord) -> str:
    """The layer whose name was nearly written; else ""."""
    said = re.search(
        r"module 'keras[\w.]*' has no attribute '(\w+)'"
        r"|cannot import name '(\w+)' from '(?:tensorflow\.)?keras"
        r"|name '([A-Z]\w+)' is not defined",
        failure.message,
    )
    written = next((name for name in said.groups() if name), "") if said else ""
    return nearest(written, LAYERS)


def nearest(written: str, names: Sequence[str]) -> str:
    """The name that another one is a slip of: another case, an underscore, a letter; else ""."""

    def plain(name: str) -> str:
        return name.replace("_", "").lower()

    known = {plain(name): name for name in names if name != written}
    near = difflib.get_close_matches(plain(written), known, n=1, cutoff=0.8) if written else []
    return known[near[0]] if near else ""


def failed_call(
    where: str, failure: FailureRecord, hidden: bool = False, wanted: str = "a network"
) -> Finding:
    """An exception in student code as a finding: its place in their file, type and text.

    Args:
        where: The function that was called.
        failure: What it raised.
        hidden: Whether nobody may read the arguments.
        wanted: What it should have given.
    """
    help = rulings.ADDED.help if where in NEEDED and _adds_maps(failure) else _known_help(failure)
    if not help and failure.type == "TypeError" and failure.message.startswith(f"{where}() "):
        help = "Keep the arguments' names and order as in the template."
    if not help and not failure.where:  # a place is shown, and below it the call
        help = SAME_CALL
    help = OTHER_CALLS if hidden and help in ("", SAME_CALL) else help
    return Finding(
        where=where,
        message=f"{failure.where or where}: expected {wanted}, received {_told(failure)}",
        what=_told(failure),
        expected=wanted,
        received=_told(failure),
        help=help,
        place=failure.where,
        line=_line_number(failure.where),
        code=failure.line,
        through=failure.through,
    )


def imported(evidence: Evidence) -> None:
    """What stands in the way of every call is said once, by `module_contract`.

    Raises:
        NothingToJudge: densenet.py was imported with an exception.
    """
    if evidence.module is None or evidence.module.failure is not None:
        raise NothingToJudge(
            "densenet.py cannot be imported, so nothing of it could be called", "module-contract"
        )


def reached(evidence: Evidence, function: str) -> None:
    """A function is not blamed for an earlier one that did not come back.

    Raises:
        NothingToJudge: It was never called.
    """
    networks = evidence.of(function)
    if networks and not any(network.reached for network in networks):
        raise NothingToJudge(
            f"{function} was not called: {evidence.stood_in} did not come back", evidence.stood_in
        )


def answered(evidence: Evidence, *functions: str) -> list[Network]:
    """The probes of some functions that gave a graph.

    A function that answers the configurations of the template and none of the hidden ones counts
    as silent: a table of the public answers is no implementation.

    Raises:
        NothingToJudge: None did.
    """
    good = [n for f in functions for n in _good(evidence.of(f))]
    if not good:
        raise NothingToJudge(
            f"{' and '.join(functions)} gave nothing that could be looked at",
            *functions,
            evidence.stood_in,
        )
    return good


def silent_on_hidden(networks: list[Network]) -> bool:
    """Whether hidden configurations were asked of a function, and it answered none of them."""
    hidden = [n for n in networks if n.probe is not None and n.probe.hidden]
    return bool(hidden) and all(n.failure is not None for n in hidden)


def _good(networks: list[Network]) -> list[Network]:
    if silent_on_hidden(networks):
        return []
    return [n for n in networks if n.failure is None]


def all_answered(evidence: Evidence, *functions: str) -> None:
    """What was not answered earns nothing, however right the rest is.

    Args:
        evidence: What the calls gave.
        functions: Those that a check looked at and found nothing wrong in.

    Raises:
        Unanswered: Some of their calls gave no network.
    """
    asked = [n for f in functions for n in evidence.of(f)]
    good = [n for f in functions for n in _good(evidence.of(f))]
    silent = [f for f in functions if len(_good(evidence.of(f))) < len(evidence.of(f))]
    if silent:
        raise Unanswered(
            f"right in the {len(good)} of {len(asked)} calls that were answered, and earns "
            f"that share; {' and '.join(silent)} did not answer the others",
            *silent,
            share=len(good) / len(asked),
        )


def nothing_is_missing(networks: Sequence[Network], layers: int = 1) -> None:
    """Nothing is right about what is not there: where nothing is wrong, there must be something.

    Args:
        networks: In which a check found nothing wrong.
        layers: How many layers their blocks need for it, where so many were asked for.

    Raises:
        NothingToJudge: One has too few layers, or no transition.
    """
    for network in networks:
        reading = network.readings["inference"]
        what, wanted = "layers in a block", min(layers, _asked_layers(network))
        found = max((len(block.layers) for block in reading.blocks), default=0)
        if network.name == "transition":
            what, wanted = "convolutions", 1
            found = sum(unit is not None for unit in reading.transitions)
        if found < wanted:
            raise NothingToJudge(
                f"{network.name}: there is too little to look at. "
                f"{what}: expected {wanted} or more, received {found}",
                network.name,
            )


def _asked_layers(network: Network) -> int:
    probe = network.probe
    if probe is not None and probe.block is not None:
        return probe.block.num_layers
    if probe is not None and probe.network is not None:
        return paper.layers_per_block(probe.network.depth, probe.network.bottleneck)
    return 1
