"""The answer to one probe."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from . import calls, cheaper, failures, held, networks, places
from .patience import Patience


def answer(
    tree: Path, module: Any, probe: dict[str, Any], channel: Any, patience: Patience
) -> dict[str, Any]:
    """The answer to one probe; with values for all variables where the code asks for them."""
    arguments: tuple[Any, ...] = (module, probe, channel)
    work = patience.watch(_probe)
    if "file" in probe:
        # A network of the course's may be as large as it likes, but not take all the time.
        work, arguments = patience.watch(_of_course, times=2), (tree, probe, channel)
    with cheaper.without_values():
        answer = failures.attempt(tree, work, *arguments)
    if answer["failure"] is not None and not patience.ran_out:
        answer = failures.attempt(tree, work, *arguments)
    return answer


def _of_course(tree: Path, probe: dict[str, Any], channel: Any) -> dict[str, Any]:
    """Build what a course asks for, a tensor's block or a model, and trace it in every mode."""
    import keras

    keras.utils.set_random_seed(0)
    places.forget()
    function = held.function_of(tree, probe["file"], probe["function"])
    keywords = {name: calls.tuples(value) for name, value in probe["arguments"]}
    call = calls.bound if probe.get("bound") else _by_name
    first: list[Any] = []
    if not probe["gives_model"]:
        first = [keras.Input(shape=tuple(probe["input_shape"]), name="probe_input")]
    with cheaper.uncompiled():
        given = call(function, [] if isinstance(function, type) else first, keywords)
        what = "tensor" if first else "model"
        result, beside = calls.chosen(given, probe["output"], what)
        model = _as_model(first[0], result) if first else _a_model(result)
    shape = list(probe["input_shape"] or _own_shape(model))
    size = [networks.batch_of(model, probe.get("batch", 2)), *shape]
    told = networks.describe(model, size, probe["modes"], probe["id"], channel)
    return {"beside": beside, "layers": {**places.noted(), **places.of_function(function)}, **told}


def _by_name(function: Any, first: list[Any], keywords: dict[str, Any]) -> Any:
    return function(*first, **keywords)


def _a_model(given: Any) -> Any:
    if not callable(given) or hasattr(given, "shape"):
        raise TypeError(f"expected a model, received {type(given).__name__}")
    return given


def _probe(module: Any, probe: dict[str, Any], channel: Any) -> dict[str, Any]:
    """Build what one probe asks for and trace it in every mode it names."""
    import keras

    keras.utils.set_random_seed(0)
    function = getattr(module, probe["function"])
    keywords = {name: calls.tuples(value) for name, value in probe.get("keywords", {}).items()}
    batch, gave = probe.get("batch", 2), ""
    if probe["function"] == "build_densenet":
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
