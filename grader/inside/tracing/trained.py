"""The network of `build_model()`, with its weights and a sample of what it gives."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from . import building, calls, cheaper, failures, networks
from .preprocess import traceable
from .variables import Variables
from .weights import load


def answer(module: Any, wanted: dict[str, Any], tree: Path, channel: Any) -> dict[str, Any]:
    """Trace `build_model()` behind `preprocess`, load the weights, send them and a sample.

    The sample is what the student's own network gives on random images: the other side must
    get the same from its rebuilt network.
    """
    import keras

    keras.utils.set_random_seed(0)
    with cheaper.uncompiled(), building.values_when_asked():
        model = calls.one(module.build_model(), "network")
    shape = list(wanted["input_shape"])
    batch = networks.batch_of(model, wanted.get("batch", 2))
    preprocess = getattr(module, "preprocess", None)
    entry, note = traceable(preprocess, [batch, *shape])
    with cheaper.uncompiled():
        networks.build(model, [batch, *shape], entry)
    cheaper.give_values(model)
    # Before it is described: a Normalization takes its mean and variance into the graph then.
    weights = load(model, wanted.get("weights"), tree)
    variables = Variables()
    record = networks.describe(
        model, [batch, *shape], wanted["modes"], "model", channel, entry, variables
    )
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


def _sample(
    model: Any, preprocess: Any, wanted: dict[str, Any], shape: list[int], tree: Path, channel: Any
) -> dict[str, Any]:
    """What the network gives on random images, with its loaded weights, in inference mode."""
    import numpy as np

    images = np.random.default_rng(wanted["seed"]).integers(0, 256, shape, dtype=np.uint8)
    try:
        eaten = preprocess(images) if preprocess is not None else images.astype(np.float32)
        keywords = {"training": False} if networks.takes_training(model) else {}
        result = np.asarray(model(eaten, **keywords), dtype=np.float32)
    except BaseException as error:  # e.g. channels-first convolutions do not run on a CPU
        return {"shape": None, "failure": failures.failure(error, tree)}
    channel.send_binary("sample", np.ascontiguousarray(result).tobytes())
    return {"shape": list(result.shape), "failure": None}
