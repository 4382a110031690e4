"""Describe a submission: the op graphs of its functions, its variables, its trained weights.

Runs inside the sandbox, beside student code, and judges nothing. It imports densenet.py, calls
its functions on the probes it was asked for, traces the results with `tf.function` (inference and
training) and sends what it found as plain records.
Nothing here is trusted by the other side: every record is validated there.

Standard library, numpy, TensorFlow and Keras only: the rest of `grader` is not importable here.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import inspect
import itertools
import math
import os
import re
import signal
import sys
import tempfile
import threading
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

MAX_NODES = 400_000
"""Nodes after inlining; a larger graph is reported, not sent."""
INLINE_VALUES = 256
"""Constants up to this many elements travel inside the record, larger ones in a binary frame."""
MAX_CONSTANT_BYTES = 64 * 2**20
TEXT = 600
"""Characters kept of any text that student code produced."""
MODES = {"inference": {"training": False}, "training": {"training": True}}
STATE_OPS = {"AssignVariableOp", "AssignAddVariableOp", "AssignSubVariableOp"}
CALLS = {"PartitionedCall", "StatefulPartitionedCall"}


def warm() -> None:
    """Import what every trace needs. Runs no op, so that a forked child is safe."""
    import keras
    import tensorflow as tf
    from tensorflow.python.framework import function_def_to_graph

    _ = (keras.layers.BatchNormalization, tf.function, function_def_to_graph)


def run(request: dict[str, Any], tree: Path, channel: Any) -> None:
    """Answer one request.

    Args:
        request: {"module": "densenet", "probes": [...], "model": {...} or null}.
        tree: The rewritten submission.
        channel: Takes `send_json(name, object)` and `send_binary(name, bytes)`.
    """
    warm()
    tf, keras = _silence()
    channel.send_json("versions", {"tensorflow": tf.__version__, "keras": keras.__version__})
    _greet(request.get("module", "densenet"))
    patience = Patience(request.get("call_s"))
    module, failure = _import(request.get("module", "densenet"), tree, patience)
    described = {"functions": _signatures(module), "others": _others(module)}
    channel.send_json("module", {"failure": failure, **described})
    probes = request.get("probes", [])
    if module is None:
        probes = [probe for probe in probes if probe.get("module")]
    late: dict[str, Any] = {}
    for probe in probes:
        # Who did not come back once is not waited for again: the other functions get their turn.
        answer = late.get(probe["function"]) or _answer(tree, module, probe, channel, patience)
        channel.send_json("probe:" + probe["id"], answer)
        if patience.ran_out:
            late[probe["function"]] = {"failure": answer["failure"]}
            patience.ran_out = False
    if request.get("model") is not None and module is not None:
        wanted = request["model"]
        model = patience.watch(_model) if late else _model
        channel.send_json("model", _attempt(tree, model, module, wanted, tree, channel))


class Patience:
    """Ends a call that does not come back, from within: so it is known where it stands.

    Processor time is what counts, so that a busy machine ends nothing. What is not ended so
    (it sleeps, or does not leave one operation) is ended from outside, with all that follows.

    Args:
        call_s: Seconds of processor time for one call; None for no end.
    """

    LOOKS = 8
    """Looks at the stack before the end: what stands there in all of them holds the loop."""

    def __init__(self, call_s: float | None) -> None:
        on_main = threading.current_thread() is threading.main_thread()
        self.call_s = call_s if on_main and hasattr(signal, "setitimer") else None
        self.ran_out = False
        self._waiting = False
        self._looks = 0
        self._stands: list[Any] = []

    def watch(self, work: Any, times: int = 1) -> Any:
        """The same work, of which a call is ended after `times` the seconds of one."""
        if self.call_s is None:
            return work
        seconds = self.call_s * times

        def watched(*arguments: Any) -> Any:
            self._waiting, self._looks = True, 0
            signal.signal(signal.SIGPROF, lambda number, frame: self._look(frame, seconds))
            # It goes on after the end: student code may catch everything, and loop again.
            signal.setitimer(signal.ITIMER_PROF, seconds / 2, seconds / 2 / self.LOOKS)
            try:
                return work(*arguments)
            except NoAnswer as error:
                self._cut(error.__traceback__)
                raise
            finally:
                self._waiting = False
                signal.setitimer(signal.ITIMER_PROF, 0)
                self._stands = []

        return watched

    def _look(self, frame: Any, seconds: float) -> None:
        if not self._waiting:
            return
        stack = [inner for inner, _ in traceback.walk_stack(frame)][::-1]
        pairs = zip(self._stands, stack, strict=False) if self._looks else ((f, f) for f in stack)
        self._stands = [a for a, b in itertools.takewhile(lambda pair: pair[0] is pair[1], pairs)]
        self._looks += 1
        if self._looks > self.LOOKS:
            self.ran_out = True
            raise NoAnswer(f"no answer after {seconds:g} s of computing: an endless loop?")

    def _cut(self, trace: Any) -> None:
        """Let a traceback end in the function that holds the loop, not in what it calls."""
        while trace is not None and trace.tb_next is not None:
            if not any(trace.tb_next.tb_frame is frame for frame in self._stands):
                if any(trace.tb_frame is frame for frame in self._stands):
                    trace.tb_next = None
                    return
            trace = trace.tb_next


class NoAnswer(BaseException):
    """A call of the student's has used up its time. No `except Exception` holds it up."""


NoAnswer.__name__ = "STUDENT_TIMEOUT"


def _silence() -> tuple[Any, Any]:
    import warnings

    import keras
    import tensorflow as tf

    warnings.simplefilter("ignore")
    tf.get_logger().setLevel("ERROR")
    keras.utils.set_random_seed(0)
    # Graphs are cycles of many small objects that live until the end.
    gc.set_threshold(200_000, 10, 10)
    _keep_written_modes()
    _write_normalisation_as_one_op()
    return tf, keras


def _keep_written_modes() -> None:
    """Let a layer that was called with `training=...` keep it inside a functional model.

    Keras overrides such an argument with the model's own mode (functional.operation_fn), so that
    a normalisation that is hard-wired to one mode would look like any other in a trace.
    """
    from keras.src.models import functional

    given = functional.operation_fn

    def operation_fn(operation: Any, **context: Any) -> Any:
        inject = given(operation, **context)

        def call(*arguments: Any, **keywords: Any) -> Any:
            if keywords.get("training") is not None:
                return operation(*arguments, **keywords)
            return inject(*arguments, **keywords)

        return call

    functional.operation_fn = operation_fn
    _forget_default_modes()


def _forget_default_modes() -> None:
    """Keep apart a mode that was written and one that is only the default of a layer's `call`.

    Keras stores `training=False` with every layer whose `call` has that default (Dropout, and many
    a layer of one's own); for such a layer the model's mode holds.
    """
    from keras.src.layers import layer

    given = getattr(layer.Layer, "_resolve_and_populate_arg", None)
    if given is None:
        return

    def resolve(self: Any, name: str, call_spec: Any, context: Any, keywords: Any) -> None:
        written = name in call_spec.user_arguments_dict or context.get_value(name) is not None
        given(self, name, call_spec, context, keywords)
        if not written:
            keywords.pop(name, None)

    layer.Layer._resolve_and_populate_arg = resolve


# --- cheaper traces -------------------------------------------------------------------------


def _write_normalisation_as_one_op() -> None:
    """Let Keras's own BatchNormalization trace as one op where it stands for some thirty.

    A network of the paper is half batch norm, and tracing is most of what a submission costs. The
    class itself only, with all its parts, on float32 maps, channels last: whatever else calls
    itself a normalisation is written op by op. Eagerly Keras's own code runs, so the sample that
    the other side holds its reading against does not rest on this. The op moves its variance by the
    sample's, n / (n - 1) times the batch's: a moving average all the same.
    """
    import tensorflow as tf
    from keras import ops
    from keras.src.layers.normalization.batch_normalization import BatchNormalization

    given = BatchNormalization.call
    parts = (BatchNormalization._moments, ops.batch_normalization, ops.cast)

    def call(self: Any, inputs: Any, training: Any = None, mask: Any = None) -> Any:
        plain = (
            type(self) is BatchNormalization
            and mask is None
            and self.scale
            and self.center
            and not getattr(self, "renorm", False)
            and self.axis in (-1, 3)
            and isinstance(training, bool | None)
            and not tf.executing_eagerly()
            and isinstance(inputs, tf.Tensor)
            and inputs.shape.rank == 4
            and inputs.dtype == tf.float32
            and all(isinstance(v.value, tf.Variable) for v in self.variables)
            and all(v.dtype == "float32" for v in self.variables)
            and parts == (BatchNormalization._moments, ops.batch_normalization, ops.cast)
            and not vars(self).keys() & {"call", "_moments"}
        )
        if not plain:
            return given(self, inputs, training, mask)
        updated = bool(training and self.trainable)
        mean, variance = self.moving_mean.value, self.moving_variance.value
        normalised = tf.raw_ops.FusedBatchNormV3(
            x=inputs,
            scale=self.gamma.value,
            offset=self.beta.value,
            mean=mean,
            variance=variance,
            epsilon=self.epsilon,
            exponential_avg_factor=1.0 - self.momentum,
            is_training=updated,
        )
        if updated:
            tf.raw_ops.AssignVariableOp(resource=mean.handle, value=normalised.batch_mean)
            tf.raw_ops.AssignVariableOp(resource=variance.handle, value=normalised.batch_variance)
        return normalised.y

    BatchNormalization.call = call


@contextlib.contextmanager
def _without_values() -> Iterator[None]:
    """Leave Keras's variables without values: a graph needs shapes alone.

    Drawing and copying initial values is a fifth of a trace. Reading such a variable raises; one
    that a student keeps for `build_model()` gets its value there, from `_give_values`.
    """
    import tensorflow as tf
    from keras.src.backend.tensorflow.core import Variable
    from tensorflow.python.ops.resource_variable_ops import UninitializedVariable

    given = Variable._initialize_with_initializer

    def initialise(self: Any, initializer: Any) -> None:
        self.left_out = initializer
        self._initialize(
            UninitializedVariable(
                trainable=self.trainable,
                shape=self._shape,
                dtype=tf.as_dtype(self._dtype),
                name=self.name,
            )
        )

    Variable._initialize_with_initializer = initialise
    try:
        yield
    finally:
        Variable._initialize_with_initializer = given


def _give_values(model: Any) -> None:
    """Draw the initial values that `_without_values` left out."""
    for variable in getattr(model, "variables", None) or []:
        initializer = getattr(variable, "left_out", None)
        if initializer is not None:
            variable.assign(initializer(tuple(variable.shape), dtype=variable.dtype))
            variable.left_out = None


@contextlib.contextmanager
def _uncompiled() -> Iterator[None]:
    """Run a `tf.function` of the student's as plain Python while a network is built or traced.

    Keras builds on symbolic tensors, before there are variables: a function traced then has their
    initial values for good in place of them, and is used again for every later tensor.
    """
    import tensorflow as tf

    tf.config.run_functions_eagerly(True)
    try:
        yield
    finally:
        tf.config.run_functions_eagerly(False)


# --- the student's module ------------------------------------------------------------------


def _greet(name: str) -> None:
    """Let a module find what it would find on its author's machine: its own command line, which
    holds no arguments to be parsed, and a folder of Keras's that it may write to."""
    from keras.src.backend import config

    sys.argv[:] = [f"{name}.py"]
    config._KERAS_DIR = os.path.join(os.path.expanduser("~"), ".keras")
    with contextlib.suppress(OSError):  # where it is missing, Keras would turn to /tmp
        os.makedirs(config._KERAS_DIR, exist_ok=True)


def _import(name: str, tree: Path, patience: Patience) -> tuple[Any, dict[str, Any] | None]:
    if str(tree) not in sys.path:
        sys.path.append(str(tree))
    importlib.invalidate_caches()
    try:
        return patience.watch(importlib.import_module, times=3)(name), None
    except BaseException as error:  # student code may raise anything, SystemExit included
        return None, _failure(error, tree)


def _signatures(module: Any) -> dict[str, Any]:
    """The contract's functions as found: their parameters' names, or null where absent."""
    found: dict[str, Any] = {}
    for name in ("dense_block", "transition", "build_densenet", "build_model", "preprocess"):
        function = getattr(module, name, None)
        if not callable(function):
            found[name] = None
            continue
        try:
            parameters = inspect.signature(function).parameters.values()
            found[name] = [
                [p.name, str(p.kind.name), p.default is not inspect.Parameter.empty]
                for p in parameters
            ]
        except (TypeError, ValueError):
            found[name] = []
    return found


def _others(module: Any) -> list[str]:
    """Names of the module's functions, for a message that says which one was meant."""
    names = getattr(module, "__dict__", {})
    kind = type(_others)  # isinstance() may be answered by student code
    own = [n for n, v in dict(names).items() if type(n) is str and type(v) is kind]
    return [name[:80] for name in own if name.isidentifier()][:200]


def _attempt(tree: Path, work: Any, *arguments: Any) -> dict[str, Any]:
    try:
        return {"failure": None, **work(*arguments)}
    except BaseException as error:  # reported as data: the other probes still get their turn
        return {"failure": _failure(error, tree)}


def _failure(error: BaseException, tree: Path) -> dict[str, Any]:
    """What went wrong and where in the student's own files; no path of this machine."""
    where = line = text = ""
    try:
        where, line = _place(error, tree)
        told = (error.msg if isinstance(error, SyntaxError) else None) or str(error)
        text = _without_our_paths(_own_words(told), tree)
    except Exception:  # an exception's own __str__ is student code
        text = ""
    record = {
        "type": type(error).__name__[:80],
        "message": text[:TEXT],
        "where": where[:200],
        "line": line[:200],
    }
    # Half characters, as file names can hold them, are no JSON that the other side takes.
    return {key: value.encode("utf-8", "replace").decode() for key, value in record.items()}


def _place(error: BaseException, tree: Path) -> tuple[str, str]:
    """The last place in the student's own files that an exception passed, and the line there.

    A line that is no Python was passed by nobody: the exception names its place itself.

    Returns:
        Two texts, both empty where there is no such place.
    """
    where = line = ""
    for frame in traceback.extract_tb(error.__traceback__):
        if own := _own_file(frame.filename, tree):
            where, line = f"{own}, line {frame.lineno}, in {frame.name}", frame.line or ""
    if isinstance(error, SyntaxError) and (own := _own_file(error.filename or "", tree)):
        where, line = f"{own}, line {error.lineno}", error.text or ""
    return where, line.strip()


def _own_file(name: str, tree: Path) -> str:
    """The name of a file of the student's, below their folder; "" for any other.

    Python's own frames are no files: "<frozen os>" would be one of the working folder.
    """
    root, path = os.path.realpath(tree), os.path.realpath(name)
    inside = path.startswith(root + os.sep) and os.path.isfile(path)
    return os.path.relpath(path, root) if inside else ""


def _without_our_paths(text: str, tree: Path) -> str:
    """A text with the student's files named as they are at home: relative to their folder."""
    for folder in (os.path.realpath(tree), str(tree)):
        text = text.replace(folder + os.sep, "")
    return text.replace(os.path.expanduser("~"), "~")


def _own_words(text: str) -> str:
    """What an exception says, out of the wrapping that Keras adds for each layer it passes.

    What went wrong stands last in that wrapping, behind hundreds of characters that name layers
    and arguments; TEXT would keep the wrapping and cut off the cause.
    """
    text = re.sub(r"\x1b\[[0-9;]*m| at 0x[0-9a-f]+", "", text)
    text = re.sub(r"/\S*/site-packages/", "", text)
    text = text.rpartition("Error encountered:\n\n")[2]
    text = text.partition("\n\nArguments received by ")[0]
    text = re.sub(r"^(Exception encountered when calling [^\n]*\n\n)+", "", text)
    return text.partition(" You are likely doing something like:\n")[0].strip()


# --- probes --------------------------------------------------------------------------------


def _answer(
    tree: Path, module: Any, probe: dict[str, Any], channel: Any, patience: Patience
) -> dict[str, Any]:
    """The answer to one probe; with values for all variables where the code asks for them."""
    # A network of the course's may be as large as it likes.
    work = _probe if probe.get("module") else patience.watch(_probe)
    with _without_values():
        answer = _attempt(tree, work, module, probe, channel)
    if answer["failure"] is not None and not patience.ran_out:
        answer = _attempt(tree, work, module, probe, channel)
    return answer


def _probe(module: Any, probe: dict[str, Any], channel: Any) -> dict[str, Any]:
    """Build what one probe asks for and trace it in every mode it names."""
    import keras

    keras.utils.set_random_seed(0)
    if probe.get("module"):
        module = importlib.import_module(probe["module"])
    function = getattr(module, probe["function"])
    keywords = {name: _tuples(value) for name, value in probe.get("keywords", {}).items()}
    batch, gave = probe.get("batch", 2), ""
    if probe.get("gives_model"):
        with _uncompiled():
            model = function(**keywords)
        if not callable(model) or hasattr(model, "shape"):
            raise TypeError(f"expected a model, received {type(model).__name__}")
        shape = list(probe.get("input_shape") or _own_shape(model))
    elif probe["function"] == "build_densenet":
        with _uncompiled():
            model = _one(_call(function, [], keywords), "network")
        shape = list(keywords["input_shape"])
    else:
        shape = list(probe["input_shape"])
        entry = keras.Input(shape=tuple(shape), name="probe_input")
        with _uncompiled():
            output = _one(_call(function, [entry], keywords), "tensor")
            gave = "keras.Model" if isinstance(output, keras.Model) else ""
            model = _as_model(entry, output)
    size = [_batch(model, batch), *shape]
    return {"gave": gave, **_describe(model, size, probe["modes"], probe["id"], channel)}


ARGUMENTS: dict[str, dict[str, Any]] = {
    "dense_block": {
        "num_layers": 4, "growth_rate": 12, "bottleneck": True, "dropout_rate": 0.0
    },
    "transition": {"compression": 0.5, "dropout_rate": 0.0},
    "build_densenet": {
        "depth": 40, "growth_rate": 12, "compression": 0.5, "bottleneck": True,
        "num_classes": 10, "input_shape": (32, 32, 3), "dropout_rate": 0.0,
    },
}  # fmt: skip
"""The contract's arguments in their order, with their defaults."""


def _call(function: Any, first: list[Any], keywords: dict[str, Any]) -> Any:
    """Call a function of the contract by name, or by position where it renamed its arguments."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return function(*first, **keywords)
    names = {p.name for p in parameters}
    order = ARGUMENTS.get(getattr(function, "__name__", ""), {})
    takes_any = any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters)
    if takes_any or set(keywords) <= names or not set(keywords) <= set(order):
        return function(*first, **keywords)
    last = max(list(order).index(name) for name in keywords)
    by_position = [keywords.get(name, default) for name, default in list(order.items())[: last + 1]]
    return function(*first, *by_position)


def _tuples(value: Any) -> Any:
    """Lists as tuples, at any depth: a shape travels as a list."""
    return tuple(_tuples(inner) for inner in value) if isinstance(value, list) else value


def _one(given: Any, what: str) -> Any:
    """What a function gave, where it is one thing: Keras takes several tensors for a network.

    Raises:
        TypeError: It gave several things, or nothing.
    """
    if given is None:
        raise TypeError(f"it gives nothing: `return` the {what}")
    if isinstance(given, list | tuple | dict | set):
        kinds = ", ".join(type(part).__name__ for part in list(given)[:4])
        raise TypeError(
            f"it gives a {type(given).__name__} of {len(given)} ({kinds}): return one {what} alone"
        )
    return given


def _own_shape(model: Any) -> list[int]:
    """The size of the images a model was built for."""
    inputs = list(getattr(model, "inputs", None) or [])
    if len(inputs) > 1:
        raise ValueError(f"expected a model of one input, received one of {len(inputs)}")
    if not inputs or any(n is None for n in inputs[0].shape[1:]):
        raise ValueError("the size of its input is not known; the input shape has to be given")
    return [int(n) for n in inputs[0].shape[1:]]


def _as_model(entry: Any, output: Any) -> Any:
    import keras

    if isinstance(output, keras.Model) or (callable(output) and not hasattr(output, "shape")):
        # The function gave a layer or a model in place of a tensor: apply it.
        output = output(entry)
    return keras.Model(entry, output)


def _batch(model: Any, wanted: int) -> int:
    """The batch size a model insists on, else the one wanted."""
    try:
        return int(model.inputs[0].shape[0] or wanted)
    except (AttributeError, IndexError, TypeError, ValueError):
        return wanted


def _describe(
    model: Any,
    shape: list[int],
    modes: list[str],
    name: str,
    channel: Any,
    entry: Any = None,
    variables: Any = None,
) -> dict[str, Any]:
    """Trace `model` (after `entry`, if given) and list its variables.

    Returns:
        {"graphs": {mode: graph}, "variables": [...], "input_shape": [...]}.
    """
    import tensorflow as tf

    dtype = _input_dtype(model) if entry is None else tf.uint8
    variables = variables or Variables()
    with _uncompiled():
        _build(model, shape, entry)
    variables.own(model)
    constants = Constants()
    graphs: dict[str, Any] = {}
    for mode in modes:
        keywords = MODES[mode]
        if keywords and not _takes_training(model):
            keywords = {}

        eaten: list[Any] = []

        def call(images: Any, keywords: dict[str, Any] = keywords, eaten: list[Any] = eaten) -> Any:
            eaten[:] = [images if entry is None else entry(images)]
            return model(eaten[0], **keywords)

        graph = _traced(call, tf.TensorSpec(shape, dtype))
        # Nothing was eaten where a program has put another graph in place of this one.
        graphs[mode] = _graph(graph, variables, constants, next(iter(eaten), None))
    table = variables.table()
    if constants.chunks:
        channel.send_binary("constants:" + name, b"".join(constants.chunks))
    return {"graphs": graphs, "variables": table, "input_shape": shape}


def _input_dtype(model: Any) -> Any:
    """The type of the images a model asks for; float32 where it does not say."""
    import tensorflow as tf

    try:
        return tf.as_dtype(model.inputs[0].dtype)
    except (AttributeError, IndexError, TypeError):
        return tf.float32


def _traced(call: Any, images: Any) -> Any:
    """The graph of `call`, with the student's own functions written into it.

    A function kept as a call of its own loses the shapes of what is in it. What is only needed to
    run a graph (an order of its side effects, a compiled function) is left out where that works.
    """
    import tensorflow as tf
    from tensorflow.python.framework.func_graph import func_graph_from_py_func

    def refuse(*arguments: Any, **keywords: Any) -> Any:
        raise RuntimeError("a variable that is made in a call, which tf.function knows to keep")

    def alone(images: Any) -> Any:
        with tf.variable_creator_scope(refuse):
            return call(images)

    try:
        with _uncompiled():
            return func_graph_from_py_func(
                "network", alone, (images,), {}, add_control_dependencies=False
            )
    except Exception:  # e.g. a loop over tensors, which only a tf.function of its own can write
        return tf.function(call, autograph=False).get_concrete_function(images).graph


def _takes_training(model: Any) -> bool:
    import keras

    return isinstance(model, keras.layers.Layer)


def _build(model: Any, shape: list[int], entry: Any) -> None:
    """Create the variables of a model that is not built yet, without running its ops."""
    import keras

    if getattr(model, "built", True) and getattr(model, "inputs", None):
        return
    size = tuple(shape[1:])
    try:
        model(keras.Input(shape=size, batch_size=shape[0]))
    except Exception:  # some subclassed models only take real tensors
        import tensorflow as tf

        images = tf.zeros(shape, _input_dtype(model) if entry is None else tf.uint8)
        model(images if entry is None else entry(images))


# --- variables -----------------------------------------------------------------------------


class Variables:
    """The variables of one model, numbered; those a graph captures and those it owns."""

    def __init__(self) -> None:
        self.items: list[Any] = []
        self.owned: set[int] = set()
        self.trained: set[int] = set()
        self._by_handle: dict[int, int] = {}
        self._lists_its_own = False

    def own(self, model: Any) -> None:
        """Number the model's own weights first, in Keras's order.

        Keras trains and saves what a model lists, nothing else: a weight that was made inside a
        Lambda is used, and keeps its first value for ever.
        """
        self._lists_its_own = getattr(model, "trainable_variables", None) is not None
        for variable in list(getattr(model, "variables", None) or []):
            self.owned.add(self.add(getattr(variable, "value", variable), variable))
        for variable in list(getattr(model, "trainable_variables", None) or []):
            self.trained.add(self.add(getattr(variable, "value", variable), variable))

    def add(self, variable: Any, keras_variable: Any = None) -> int:
        """The number of a variable; a new one if it was not seen before."""
        handle = id(variable.handle)
        if handle not in self._by_handle:
            self._by_handle[handle] = len(self.items)
            self.items.append((variable, keras_variable))
            listed = keras_variable is not None or self._lists_its_own
            if not listed and getattr(variable, "trainable", False):
                self.trained.add(self._by_handle[handle])
        return self._by_handle[handle]

    def of_capture(self, tensor: Any, graph_variables: list[Any]) -> int | None:
        """The number of the variable behind a captured resource."""
        if id(tensor) in self._by_handle:
            return self._by_handle[id(tensor)]
        for variable in graph_variables:
            if variable.handle is tensor:
                return self.add(variable)
        return None

    def table(self) -> list[dict[str, Any]]:
        """One row a variable: name, shape, dtype, trainable, owned by the model or not."""
        rows = []
        for index, (variable, keras_variable) in enumerate(self.items):
            name = getattr(keras_variable, "path", None) or getattr(variable, "name", "")
            rows.append(
                {
                    "name": str(name)[:200],
                    "shape": [int(n) for n in variable.shape],
                    "dtype": variable.dtype.name,
                    "trainable": index in self.trained,
                    "owned": index in self.owned,
                }
            )
        return rows


class Constants:
    """Large constants, sent once as bytes; the records point into them."""

    def __init__(self) -> None:
        self.chunks: list[bytes] = []
        self.size = 0

    def encode(self, array: Any) -> dict[str, Any]:
        """A constant as a record: dtype, shape, and its values or where they stand."""
        import numpy as np

        record: dict[str, Any] = {"dtype": str(array.dtype), "shape": list(array.shape)}
        if array.dtype.kind not in "biuf" and array.dtype.name != "bfloat16":
            return record
        if array.size <= INLINE_VALUES:
            values = array.astype(np.float64) if array.dtype.kind not in "biu" else array
            record["values"] = [_finite(v) for v in values.ravel().tolist()]
            return record
        data = np.ascontiguousarray(array, dtype=np.float32).tobytes()
        if self.size + len(data) <= MAX_CONSTANT_BYTES:
            record["offset"] = self.size
            self.chunks.append(data)
            self.size += len(data)
        return record


def _finite(value: Any) -> Any:
    if isinstance(value, float) and value != value:
        return "nan"
    if value in (float("inf"), float("-inf")):
        return "inf" if value > 0 else "-inf"
    return value


# --- graphs --------------------------------------------------------------------------------


def _graph(graph: Any, variables: Variables, constants: Constants, eaten: Any) -> dict[str, Any]:
    """A function's graph as plain data, calls inlined, ops that nothing needs left out.

    Args:
        graph: What was traced.
        variables: Where its variables are numbered.
        constants: Where its large constants are kept.
        eaten: The tensor in it that `preprocess` gave to the network.

    Returns:
        {"nodes": [[op, name, [[node, output]...], attributes, [[dtype, shape]...]]...],
        "inputs": [node...], "outputs": [[node, output]...], "updates": [node...],
        "entry": [node, output] of `eaten`, or null}.
    """
    writer = _Writer(variables, constants)
    captured = {id(inner): outer for outer, inner in graph.captures}
    bound: dict[int, tuple[int, int]] = {}
    inputs = []
    for tensor in graph.inputs:
        if id(tensor) in captured:
            bound[id(tensor)] = writer.capture(captured[id(tensor)], list(graph.variables), tensor)
        else:
            at = writer.emit("Placeholder", tensor.op.name, [], {}, [tensor])
            inputs.append(at)
            bound[id(tensor)] = (at, 0)
    writer.walk(graph, bound)
    outputs = [list(bound[id(tensor)]) for tensor in graph.outputs if id(tensor) in bound]
    record = {
        "nodes": writer.nodes,
        "inputs": inputs,
        "outputs": outputs,
        "updates": writer.updates,
        "entry": None,
    }
    if getattr(eaten, "graph", None) is graph:
        record["entry"] = list(bound[id(eaten.op.outputs[eaten.value_index])])
    return _pruned(record)


class _Writer:
    """Writes ops in the order they were made, inlining function calls."""

    def __init__(self, variables: Variables, constants: Constants) -> None:
        self.nodes: list[list[Any]] = []
        self.updates: list[int] = []
        self._variables = variables
        self._constants = constants
        self._functions: dict[str, Any] = {}

    def emit(
        self, op: str, name: str, inputs: list[tuple[int, int]], attributes: Any, outputs: Any
    ) -> int:
        if len(self.nodes) >= MAX_NODES:
            raise RuntimeError(f"the network has more than {MAX_NODES} operations")
        described = [[t.dtype.base_dtype.name, _shape(t)] for t in outputs]
        self.nodes.append([op, name[:200], [list(i) for i in inputs], attributes, described])
        return len(self.nodes) - 1

    def capture(self, outer: Any, graph_variables: list[Any], inner: Any) -> tuple[int, int]:
        """A captured tensor: a variable, or a constant that lives outside the graph."""
        if outer.dtype.name == "resource":
            index = self._variables.of_capture(outer, graph_variables)
            return self.emit("Variable", inner.op.name, [], {"variable": index}, [inner]), 0
        attributes = {"value": self._constants.encode(outer.numpy())}
        return self.emit("Const", inner.op.name, [], attributes, [inner]), 0

    def walk(self, graph: Any, bound: dict[int, tuple[int, int]]) -> None:
        """Emit the ops of `graph`; `bound` maps its tensors to what was emitted for them."""
        for op in graph.get_operations():
            if op.outputs and all(id(tensor) in bound for tensor in op.outputs):
                continue
            inputs = [bound[id(tensor)] for tensor in op.inputs]
            if op.type in CALLS and self._inline(graph, op, inputs, bound):
                continue
            at = self.emit(op.type, op.name, inputs, self._attributes(op), op.outputs)
            if op.type in STATE_OPS:
                self.updates.append(at)
            for position, tensor in enumerate(op.outputs):
                bound[id(tensor)] = (at, position)

    def _inline(
        self, graph: Any, op: Any, inputs: list[tuple[int, int]], bound: dict[int, Any]
    ) -> bool:
        from tensorflow.python.framework import function_def_to_graph

        name = op.get_attr("f").name
        if name not in self._functions:
            for definition in graph.as_graph_def().library.function:
                if definition.signature.name == name:
                    with graph.as_default():
                        self._functions[name] = function_def_to_graph.function_def_to_graph(
                            definition, structured_outputs=None
                        )
        inner = self._functions.get(name)
        if inner is None:
            return False
        local = {id(tensor): at for tensor, at in zip(inner.inputs, inputs, strict=False)}
        self.walk(inner, local)
        for tensor, result in zip(op.outputs, inner.outputs, strict=False):
            bound[id(tensor)] = local[id(result)]
        return True

    def _attributes(self, op: Any) -> dict[str, Any]:
        if op.type == "Const":
            import tensorflow as tf

            return {"value": self._constants.encode(tf.make_ndarray(op.get_attr("value")))}
        found: dict[str, Any] = {}
        for key, value in op.node_def.attr.items():
            kind = value.WhichOneof("value")
            if key.startswith("_") or kind in (None, "func", "tensor", "placeholder"):
                continue
            if kind == "s":
                found[key] = value.s.decode("utf-8", "replace")[:TEXT]
            elif kind == "type":
                found[key] = _dtype_name(value.type)
            elif kind == "shape":
                found[key] = [int(d.size) for d in value.shape.dim]
            elif kind == "list":
                found[key] = [int(v) for v in value.list.i] or [
                    _finite(float(v)) for v in value.list.f
                ]
            else:
                plain = getattr(value, kind)
                found[key] = _finite(plain) if isinstance(plain, float) else plain
        return found


def _dtype_name(number: int) -> str:
    import tensorflow as tf

    try:
        return str(tf.dtypes.as_dtype(number).name)
    except TypeError:
        return str(number)


def _shape(tensor: Any) -> list[int] | None:
    shape = tensor.shape
    if shape.rank is None:
        return None
    return [-1 if n is None else int(n) for n in shape]


def _pruned(record: dict[str, Any]) -> dict[str, Any]:
    """Leave out what neither an output nor a variable's update needs; renumber."""
    nodes = record["nodes"]
    wanted = set(record["inputs"]) | set(record["updates"])
    stack = [node for node, _ in record["outputs"]] + record["updates"]
    wanted.update(stack)
    while stack:
        for node, _ in nodes[stack.pop()][2]:
            if node not in wanted:
                wanted.add(node)
                stack.append(node)
    order = sorted(wanted)
    number = {old: new for new, old in enumerate(order)}
    kept = []
    for old in order:
        op, name, inputs, attributes, outputs = nodes[old]
        kept.append([op, name, [[number[n], i] for n, i in inputs], attributes, outputs])
    return {
        "nodes": kept,
        "inputs": [number[n] for n in record["inputs"]],
        "outputs": [[number[n], i] for n, i in record["outputs"]],
        "updates": [number[n] for n in record["updates"]],
        "entry": [number[record["entry"][0]], record["entry"][1]]
        if record["entry"] is not None and record["entry"][0] in number
        else None,
    }


# --- the trained network -------------------------------------------------------------------


def _model(module: Any, wanted: dict[str, Any], tree: Path, channel: Any) -> dict[str, Any]:
    """Trace `build_model()` behind `preprocess`, load the weights, send them and a sample.

    The sample is what the student's own network gives on random images: the other side must
    get the same from its rebuilt network.
    """
    import keras

    keras.utils.set_random_seed(0)
    with _uncompiled():
        model = _one(module.build_model(), "network")
    shape = list(wanted["input_shape"])
    batch = _batch(model, wanted.get("batch", 2))
    preprocess = getattr(module, "preprocess", None)
    entry, note = _traceable(preprocess, [batch, *shape])
    with _uncompiled():
        _build(model, [batch, *shape], entry)
    _give_values(model)
    # Before it is described: a Normalization takes its mean and variance into the graph then.
    weights = _load(model, wanted.get("weights"), tree)
    variables = Variables()
    record = _describe(model, [batch, *shape], wanted["modes"], "model", channel, entry, variables)
    record["preprocess"], record["weights"] = note, weights
    values = [_float32(variable) for variable, _ in variables.items]
    channel.send_binary("weights", b"".join(v.tobytes() for v in values))
    record["sample"] = _sample(model, preprocess, wanted, [batch, *shape], tree, channel)
    return record


def _float32(variable: Any) -> Any:
    import numpy as np

    value = variable.numpy()
    return (
        np.zeros(value.shape, np.float32) if value.dtype.kind in "OSU" else value.astype(np.float32)
    )


def _traceable(preprocess: Any, shape: list[int]) -> tuple[Any, dict[str, Any]]:
    """`preprocess` as a function of tensors; where it is NumPy code, one that gives the same.

    Returns:
        The function to trace through, and a note: "traced", "missing" where there is none,
        "known" whether NumPy code could be followed, and how it treats images (`_habits`).
    """
    import tensorflow as tf

    def identity(images: Any) -> Any:
        return tf.cast(images, tf.float32)

    if preprocess is None:
        return identity, {"traced": True, "missing": True}
    habits = _habits(preprocess, shape[1:])
    try:
        tf.function(
            lambda x: tf.convert_to_tensor(preprocess(x)), autograph=False
        ).get_concrete_function(tf.TensorSpec(shape, tf.uint8))
    except Exception:  # NumPy code
        entry, known = _sampled(preprocess, shape[1:])
        return entry or identity, {"traced": False, "known": known, **habits}
    return (lambda images: tf.convert_to_tensor(preprocess(images))), {"traced": True, **habits}


def _habits(preprocess: Any, size: list[int]) -> dict[str, Any]:
    """Whether what becomes of an image depends on the others of its batch, or on chance."""
    import numpy as np

    images = np.random.default_rng(1).integers(64, 192, (2, *size), dtype=np.uint8)
    darker, lighter = (np.stack([images[0], other]) for other in (images[1] // 4, images[1] + 63))
    try:
        first, again, *others = (
            np.asarray(preprocess(batch.copy()), np.float64)[0]
            for batch in (images, images, darker, lighter)
        )
    except Exception:  # it fails where it is called for good, and is told there
        return {}
    if not np.array_equal(first, again, equal_nan=True):
        return {"random": True}
    alike = [np.allclose(first, other, rtol=1e-4, atol=1e-6, equal_nan=True) for other in others]
    return {"of_batch": not all(alike)}


# --- a preprocess of NumPy code, by what it gives -------------------------------------------


def _sampled(preprocess: Any, size: list[int]) -> tuple[Any, bool]:
    """A function of tensors that gives what NumPy code gives for images.

    The other side holds the network's own answers against it, so a wrong guess is no harm.

    Returns:
        The function, None where the code gives no images of this size; and whether it gave the
        same on further images.
    """
    import numpy as np

    def give(images: Any) -> Any:
        return np.asarray(preprocess(np.array(images, np.uint8)), np.float64)

    first = None
    for guess in (_by_pixel, _by_table, _by_image):
        try:
            found = guess(give, size)
        except Exception:  # it takes no such images, or gives none
            continue
        first = first or found
        if found is not None and _gives_the_same(found, give, size):
            return found, True
    return first, False


def _pictures(seed: int, size: list[int], count: int) -> Any:
    """Noise of many a brightness and contrast, channel by channel: uint8 (count, *size)."""
    import numpy as np

    rng = np.random.default_rng(seed)
    low = rng.uniform(0, 120, (count, 1, 1, size[-1]))
    high = low + rng.uniform(8, 135, (count, 1, 1, size[-1]))
    return rng.uniform(low, high, (count, *size)).astype(np.uint8)


def _gives_the_same(found: Any, give: Any, size: list[int]) -> bool:
    import numpy as np

    images = np.concatenate([_pictures(3, size, 6), 255 - _pictures(4, size, 2)])
    expected, received = give(images), np.asarray(found(images), np.float64)
    if expected.shape != received.shape:
        return False
    scale = 1e-5 * max(1.0, float(np.max(np.abs(expected))))
    return bool(np.allclose(expected, received, rtol=1e-5, atol=scale))


def _by_pixel(give: Any, size: list[int]) -> Any:
    """A factor and an offset for each byte of an image, or each channel: scaling, a mean image."""
    import numpy as np
    import tensorflow as tf

    zero, white = give(np.zeros((1, *size))), give(np.full((1, *size), 255))
    factor, offset = (white - zero) / 255, zero
    if factor.shape != (1, *size):
        return None
    if all(np.allclose(a, a[:, :1, :1], rtol=1e-6, atol=1e-9) for a in (factor, offset)):
        factor, offset = factor[0, 0, 0], offset[0, 0, 0]  # a layer of a network might do it
    a, b = tf.constant(factor, tf.float32), tf.constant(offset, tf.float32)
    return lambda images: tf.cast(images, tf.float32) * a + b


def _by_table(give: Any, size: list[int]) -> Any:
    """Any function of each channel of a pixel, added up: channels in another order, or mixed."""
    import numpy as np
    import tensorflow as tf

    black = give(np.zeros((1, *size)))[0, 0, 0]
    tables = []
    for channel in range(size[-1]):
        ramp = np.zeros((256, *size), np.uint8)
        ramp[..., channel] = np.arange(256)[:, None, None]
        tables.append(give(ramp)[:, 0, 0, :] - black)
    tables[0] = tables[0] + black
    known = [tf.constant(table, tf.float32) for table in tables]

    def look_up(images: Any) -> Any:
        numbers = tf.cast(images, tf.int32)
        return tf.add_n([tf.gather(table, numbers[..., c]) for c, table in enumerate(known)])

    return look_up


def _by_image(give: Any, size: list[int]) -> Any:
    """A factor and an offset that come from an image's own mean, spread, least or largest."""
    import numpy as np
    from keras import ops

    images = _pictures(2, size, 24).astype(np.float32)
    given = give(images)
    for axes in ((1, 2, 3), (1, 2)):
        factor, offset = _straight_line(images.astype(np.float64), given, axes)
        own = {name: np.ravel(_statistic(name, images, axes)) for name in (*SPREADS, *CENTRES)}
        spread = _first_fit({n: ((1 / factor) ** power, [own[n]]) for n, power in SPREADS.items()})
        centre = _first_fit(
            {n: (offset, [factor * own[n], factor]) for n in CENTRES}, np.abs(given).max()
        )
        if spread is not None and centre is not None:
            break
    else:
        return None
    (width, (base, slope)), (middle, (shift, by, moved)) = spread, centre

    def normalise(images: Any) -> Any:
        x = ops.cast(images, "float32")
        size = ops.power(base + slope * _statistic(width, x, axes), 1 / SPREADS[width])
        return (x + by * _statistic(middle, x, axes) + moved) / size + shift

    return normalise


SPREADS = {"deviation": 1, "variance": 2, "range": 1, "highest": 1, "average": 1, "length": 1}
"""What an image may be divided by, or this power of what."""
CENTRES = ("average", "lowest")
"""What may be taken off it."""


def _statistic(name: str, x: Any, axes: tuple[int, ...]) -> Any:
    from keras import ops

    return {
        "deviation": lambda: ops.std(x, axes, keepdims=True),
        "variance": lambda: ops.var(x, axes, keepdims=True),
        "range": lambda: ops.max(x, axes, keepdims=True) - ops.min(x, axes, keepdims=True),
        "highest": lambda: ops.max(x, axes, keepdims=True),
        "lowest": lambda: ops.min(x, axes, keepdims=True),
        "average": lambda: ops.mean(x, axes, keepdims=True),
        "length": lambda: ops.sqrt(ops.sum(ops.square(x), axes, keepdims=True)),
    }[name]()


def _straight_line(x: Any, y: Any, axes: tuple[int, ...]) -> tuple[Any, Any]:
    """The factor and offset from x to y within each group; NaN where no line leads there."""
    import numpy as np

    mx, my = x.mean(axes, keepdims=True), y.mean(axes, keepdims=True)
    factor = ((x - mx) * (y - my)).mean(axes, keepdims=True) / np.square(x - mx).mean(
        axes, keepdims=True
    )
    offset = my - factor * mx
    missed = np.abs(factor * x + offset - y).max(axes, keepdims=True)
    factor = np.where(missed < 1e-4 * np.abs(y).max(), factor, np.nan)
    return np.ravel(factor), np.ravel(offset)


def _first_fit(
    choices: dict[str, tuple[Any, list[Any]]], scale: float = 0.0
) -> tuple[str, Any] | None:
    """The first choice whose numbers are a constant and a weighted sum of its columns.

    Args:
        choices: By name, the numbers and the columns.
        scale: What the numbers are small beside, if not beside the largest of them.

    Returns:
        Its name, and the weights, those of the constant first; None where there is none.
    """
    import numpy as np

    for name, (wanted, columns) in choices.items():
        table = np.stack([np.ones_like(wanted), *columns], axis=1).astype(np.float64)
        if not (np.all(np.isfinite(wanted)) and np.all(np.isfinite(table))):
            continue
        weights = np.linalg.lstsq(table, wanted, rcond=None)[0]
        allowed = 1e-5 * max(scale, np.abs(wanted).max())
        if np.allclose(table @ weights, wanted, rtol=1e-5, atol=allowed):
            return name, [float(weight) for weight in weights]
    return None


def _load(model: Any, weights: str | None, tree: Path) -> dict[str, Any]:
    """Load the student's weights file, here where it can do no harm."""
    if weights is None:
        return {"file": None, "loaded": False}
    try:
        with _named_by_content(tree / weights) as file:
            model.load_weights(str(file))
    except BaseException as error:  # a broken file is a finding, not an abort
        failure = _failure(error, tree)
        failure["message"] = (_numbers(model, weights, tree) + failure["message"])[:TEXT]
        return {"file": weights, "loaded": False, "failure": failure}
    return {"file": weights, "loaded": True}


def _numbers(model: Any, weights: str, tree: Path) -> str:
    """How many numbers a file holds that does not fit, beside those of the network; "" if equal.

    Of an optimizer's state nothing is counted: a whole model was saved with it.
    """
    import h5py

    found = [0]

    def count(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset) and not name.startswith("optimizer"):
            found[0] += int(item.size)

    try:
        with h5py.File(tree / weights, "r") as file:
            file.visititems(count)
    except Exception:  # it is no such file; Keras's own words say so
        return ""
    asked = sum(math.prod(v.shape) for v in model.weights)
    if found[0] == asked:
        return ""
    return f"{Path(weights).name} holds {found[0]:,} numbers, build_model() has {asked:,}. "


@contextlib.contextmanager
def _named_by_content(file: Path) -> Iterator[Path]:
    """A weights file under the ending that tells Keras how it is laid out.

    Keras goes by the ending alone, while Keras 2 wrote its own layout into *.weights.h5 as well.
    """
    ending = _ending(file)
    if file.name.endswith(ending) and not (ending == ".h5" and file.name.endswith(".weights.h5")):
        yield file
        return
    with tempfile.TemporaryDirectory() as folder:
        link = Path(folder) / f"network{ending}"
        link.symlink_to(file)
        yield link


def _ending(file: Path) -> str:
    import h5py

    with file.open("rb") as content:
        if content.read(2) == b"PK":
            return ".keras"
    try:
        with h5py.File(file, "r") as found:
            old = "layer_names" in found.attrs or "model_weights" in found
    except OSError:  # no such file at all: Keras says what is wrong with it
        return "".join(file.suffixes[-1:])
    return ".h5" if old else ".weights.h5"


def _sample(
    model: Any, preprocess: Any, wanted: dict[str, Any], shape: list[int], tree: Path, channel: Any
) -> dict[str, Any]:
    """What the network gives on random images, with its loaded weights, in inference mode."""
    import numpy as np

    images = np.random.default_rng(wanted["seed"]).integers(0, 256, shape, dtype=np.uint8)
    try:
        eaten = preprocess(images) if preprocess is not None else images.astype(np.float32)
        keywords = {"training": False} if _takes_training(model) else {}
        result = np.asarray(model(eaten, **keywords), dtype=np.float32)
    except BaseException as error:  # e.g. channels-first convolutions do not run on a CPU
        return {"shape": None, "failure": _failure(error, tree)}
    channel.send_binary("sample", np.ascontiguousarray(result).tobytes())
    return {"shape": list(result.shape), "failure": None}
