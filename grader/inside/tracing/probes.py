"""The answer to one probe."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

from . import calls, cheaper, failures, networks
from .patience import Patience


def answer(
    tree: Path, module: Any, probe: dict[str, Any], channel: Any, patience: Patience
) -> dict[str, Any]:
    """The answer to one probe; with values for all variables where the code asks for them."""
    # A network of the course's may be as large as it likes.
    work = _probe if probe.get("module") else patience.watch(_probe)
    with cheaper.without_values():
        answer = failures.attempt(tree, work, module, probe, channel)
    if answer["failure"] is not None and not patience.ran_out:
        answer = failures.attempt(tree, work, module, probe, channel)
    return answer


def _probe(module: Any, probe: dict[str, Any], channel: Any) -> dict[str, Any]:
    """Build what one probe asks for and trace it in every mode it names."""
    import keras

    keras.utils.set_random_seed(0)
    if probe.get("module"):
        module = importlib.import_module(probe["module"])
    function = getattr(module, probe["function"])
    keywords = {name: calls.tuples(value) for name, value in probe.get("keywords", {}).items()}
    batch, gave = probe.get("batch", 2), ""
    if probe.get("gives_model"):
        with cheaper.uncompiled():
            model = function(**keywords)
        if not callable(model) or hasattr(model, "shape"):
            raise TypeError(f"expected a model, received {type(model).__name__}")
        shape = list(probe.get("input_shape") or _own_shape(model))
    elif probe["function"] == "build_densenet":
        with cheaper.uncompiled():
            model = calls.one(calls.call(function, [], keywords), "network")
        shape = list(keywords["input_shape"])
    else:
        shape = list(probe["input_shape"])
        entry = keras.Input(shape=tuple(shape), name="probe_input")
        with cheaper.uncompiled():
            output = calls.one(calls.call(function, [entry], keywords), "tensor")
            gave = "keras.Model" if isinstance(output, keras.Model) else ""
            model = _as_model(entry, output)
    size = [networks.batch_of(model, batch), *shape]
    return {"gave": gave, **networks.describe(model, size, probe["modes"], probe["id"], channel)}


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
