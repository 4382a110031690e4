"""A network traced in each of its modes: its graphs and its variables."""

from __future__ import annotations

from typing import Any

from . import cheaper, copies, records
from .constants import Constants
from .variables import Variables

MODES = {"inference": {"training": False}, "training": {"training": True}}


def describe(
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
    with cheaper.uncompiled():
        build(model, shape, entry)
    variables.own(model)
    images, constants = tf.TensorSpec(shape, dtype), Constants()
    copier = copies.copier(model, shape)
    graphs = _copied(copier, modes, entry, images, variables, constants)
    if copier is None or graphs is None:
        constants = Constants()
        graphs = _whole(model, modes, entry, images, variables, constants)
    else:
        for mode in copies.compared(name):
            if mode in modes and copier.is_new(MODES[mode]["training"]):
                traced = _whole(model, [mode], entry, images, variables, Constants())
                same = copies.alike(graphs[mode], traced[mode])
                channel.send_json(f"copies:{mode}:{name}", {"alike": same})
    table = variables.table()
    if constants.chunks:
        channel.send_binary("constants:" + name, b"".join(constants.chunks))
    return {"graphs": graphs, "variables": table, "input_shape": shape}


def _copied(
    copier: copies.Copier | None,
    modes: list[str],
    entry: Any,
    images: Any,
    variables: Variables,
    constants: Constants,
) -> dict[str, Any] | None:
    """The records of a network by mode, copied; None where it has to be traced."""
    if copier is None:
        return None
    graphs: dict[str, Any] = {}
    for mode in modes:
        begun = None if entry is None else _traced(entry, images)
        record = copier.record(MODES[mode]["training"], begun, variables, constants)
        if record is None:
            return None
        graphs[mode] = record
    return graphs


def _whole(
    model: Any,
    modes: list[str],
    entry: Any,
    images: Any,
    variables: Variables,
    constants: Constants,
) -> dict[str, Any]:
    """The records of a network by mode, each traced from end to end."""
    graphs: dict[str, Any] = {}
    for mode in modes:
        keywords = MODES[mode] if takes_training(model) else {}
        eaten: list[Any] = []

        def call(images: Any, keywords: dict[str, Any] = keywords, eaten: list[Any] = eaten) -> Any:
            eaten[:] = [images if entry is None else entry(images)]
            return model(eaten[0], **keywords)

        graph = _traced(call, images)
        # Nothing was eaten where a program has put another graph in place of this one.
        graphs[mode] = records.record_of(graph, variables, constants, next(iter(eaten), None))
    return graphs


def _input_dtype(model: Any) -> Any:
    """The type of the images a model asks for; float32 where it does not say."""
    import tensorflow as tf

    try:
        return tf.as_dtype(model.inputs[0].dtype)
    except (AttributeError, IndexError, TypeError):
        return tf.float32


def batch_of(model: Any, wanted: int) -> int:
    """The batch size a model insists on, else the one wanted."""
    try:
        return int(model.inputs[0].shape[0] or wanted)
    except (AttributeError, IndexError, TypeError, ValueError):
        return wanted


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
        with cheaper.uncompiled():
            return func_graph_from_py_func(
                "network", alone, (images,), {}, add_control_dependencies=False
            )
    except Exception:  # e.g. a loop over tensors, which only a tf.function of its own can write
        return tf.function(call, autograph=False).get_concrete_function(images).graph


def takes_training(model: Any) -> bool:
    """Whether a model may be asked for a mode, as every layer of Keras's may."""
    import keras

    return isinstance(model, keras.layers.Layer)


def build(model: Any, shape: list[int], entry: Any) -> None:
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
