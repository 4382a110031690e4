"""Networks traced as the sandbox traces them, with weights that are not those of a fresh network.

Loaded by path from the conftest.py of the test folders that use it.
"""

import json
import types
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from grader.graph.canonical import Graph
from grader.graph.numeric import SAMPLE_SEED, probe_images, variable_values
from grader.graph.read.reader import canonicalise
from grader.graph.record import Trace, check_graph, parse_network

SEED = SAMPLE_SEED


@dataclass(frozen=True)
class Traced:
    """One network as the grader gets it, and what it gave in the sandbox."""

    traces: dict[str, Trace]
    graphs: dict[str, Graph]
    values: list[np.ndarray]
    images: np.ndarray
    expected: np.ndarray
    record: bytes
    frames: dict[str, bytes]


class Channel:
    """Keeps what would go through the pipe."""

    def __init__(self):
        self.binary = {}

    def send_json(self, name, content):
        raise AssertionError(name)

    def send_binary(self, name, data):
        self.binary[name] = data


def trace_model(
    build_model, preprocess=None, modes=("inference", "training"), weights=None
) -> Traced:
    """Trace a network behind `preprocess`, as inside/trace.py does in the sandbox.

    Args:
        build_model: Gives the network.
        preprocess: As a submission has it.
        modes: Of the trace.
        weights: File to load; without one, numbers that no fresh network has.
    """
    from grader.inside.tracing import trained

    def scattered():
        model = build_model()
        if weights is None:
            scatter(model)
        return model

    module = types.SimpleNamespace(build_model=scattered, preprocess=preprocess)
    channel = Channel()
    wanted = {"input_shape": [32, 32, 3], "modes": list(modes), "seed": SEED, "weights": None}
    tree = Path("/")
    if weights is not None:
        wanted["weights"], tree = weights.name, weights.parent
    answer = trained.answer(module, wanted, tree, channel)
    text = json.dumps({"failure": None, **answer}).encode()
    record = parse_network(text)
    constants = channel.binary.get("constants:model", b"")
    traces = {
        mode: check_graph(graph, record.variables, constants)
        for mode, graph in record.graphs.items()
    }
    shape = record.sample.shape
    return Traced(
        traces,
        {mode: canonicalise(trace) for mode, trace in traces.items()},
        variable_values(record.variables, channel.binary["weights"]),
        probe_images(SEED, 2),
        np.frombuffer(channel.binary["sample"], "<f4").reshape(shape),
        text,
        channel.binary,
    )


def scatter(model) -> None:
    """Give every batch norm and bias numbers that a wrong reading cannot leave without effect."""
    rng = np.random.default_rng(3)
    if not model.built:
        model(np.zeros((2, 32, 32, 3), np.float32))
    for variable in model.variables:
        if len(variable.shape) == 1 and "float" in str(variable.dtype):
            variable.assign(rng.uniform(0.5, 1.5, variable.shape))


def dense_net(k=4, layers=2, bottleneck=True, head="softmax", dropout=0.0, written="layers"):
    """A small DenseNet in one of several ways of writing it."""
    import keras
    from keras import layers as kl
    from keras import ops

    def relu(x):
        return ops.relu(x) if written == "ops" else kl.ReLU()(x)

    def convolution(x, channels, size):
        x = relu(kl.BatchNormalization()(x))
        if written == "ops" and size == 3:
            x = kl.ZeroPadding2D(1)(x)
            x = kl.Conv2D(channels, 3, use_bias=True)(x)
        elif written == "sums" and x.shape[-1] > 8:
            first = kl.Conv2D(channels, size, padding="same")(x[..., :5])
            x = first + kl.Conv2D(channels, size, padding="same")(x[..., 5:])
        else:
            x = kl.Conv2D(channels, size, padding="same", use_bias=False)(x)
        return kl.Dropout(dropout)(x) if dropout else x

    def block(x):
        everything = [x]
        for _ in range(layers):
            entry = everything[0] if len(everything) == 1 else kl.Concatenate()(everything)
            new = convolution(entry, 4 * k, 1) if bottleneck else entry
            everything.append(convolution(new, k, 3))
        return kl.Concatenate()(everything[::-1] if written == "ops" else everything)

    inputs = keras.Input((32, 32, 3))
    x = kl.Rescaling(1 / 64, offset=-1)(inputs)
    x = kl.Conv2D(2 * k, 3, strides=2, padding="same", use_bias=False)(x)
    for number in range(3):
        x = block(x)
        if number < 2:
            x = convolution(x, x.shape[-1] // 2, 1)
            x = kl.AveragePooling2D(2, 2)(x)
    x = relu(kl.BatchNormalization()(x))
    if head == "flat":
        return keras.Model(inputs, kl.Dense(10)(kl.Flatten()(x)))
    x = kl.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, kl.Dense(10, activation=None if head == "logits" else head)(x))
