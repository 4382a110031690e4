"""Builds every mutant of the catalogue in Keras and says which do not do what they claim.

    nice -n 10 python tests/selftest/build_catalogue.py [NAME ...]

Each mutant's `dense_block` (with and without bottleneck), `transition`, `build_densenet` and
`build_model` are built and run on a small batch. Where the shapes of the weights allow it, the
reference's weights are put into the mutant's network and its outputs, in inference and in
training mode, are compared: equal for the right ones, different for the wrong ones.
"""

import inspect
import os
import sys
import time
import traceback
import types
from collections.abc import Callable

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")

import keras
import numpy as np
import tensorflow as tf

from grader.selftest.catalogue import catalogue
from grader.selftest.mutant import Mutant
from grader.selftest.reference import REFERENCE

tf.config.threading.set_intra_op_parallelism_threads(1)
tf.config.threading.set_inter_op_parallelism_threads(1)


OUTPUTS = ("plain call", "inference", "training", "statistics", "gradients")


def load(source: str) -> types.ModuleType:
    """Runs a densenet.py and returns it as a module."""
    keras.utils.set_random_seed(1)
    keras.config.set_dtype_policy("float32")  # a mutant before it may have changed it
    module = types.ModuleType("densenet")
    sys.modules["densenet"] = module
    exec(compile(source, "densenet.py", "exec"), module.__dict__)
    return module


def networks(module: types.ModuleType) -> dict[str, Callable[[], keras.Model]]:
    """What is built and compared: blocks, a transition and networks at odd widths."""
    small = {"num_classes": 7, "input_shape": (16, 16, 3)}

    def part(call: Callable[[keras.KerasTensor], keras.KerasTensor]) -> keras.Model:
        x = keras.Input((8, 8, 10))
        return keras.Model(x, call(x))

    return {
        "block-bc": lambda: part(lambda x: module.dense_block(x, 3, 5, bottleneck=True)),
        "block-basic": lambda: part(lambda x: module.dense_block(x, 6, 5, bottleneck=False)),
        "transition": lambda: part(lambda x: module.transition(x, 0.3)),
        "bc-22-theta": lambda: module.build_densenet(22, 5, 0.3, True, **small),
        "bc-22": lambda: module.build_densenet(22, 6, 0.5, True, **small),
        "basic-22": lambda: module.build_densenet(22, 5, 1.0, False, **small),
        "build-model": lambda: module.build_model(),
        "bc-40": lambda: module.build_densenet(40, 4, 0.5, True, **small),
        "c-40": lambda: module.build_densenet(40, 4, 0.7, False, **small),
    }


def functional(model: keras.Model, side: int) -> keras.Model:
    """A subclassed model as a functional one, which tells its shapes."""
    if isinstance(model, keras.Sequential) or hasattr(model, "operations"):
        return model
    x = keras.Input((side, side, 3))
    return keras.Model(x, model(x))


def randomise(model: keras.Model, seed: int) -> None:
    """Gives every weight a value that no two layers share; variances stay positive."""
    random = np.random.default_rng(seed)
    for weight in model.weights:
        if weight.dtype == "float32":
            scale = random.uniform(0.5, 1.5, weight.shape)  # biases, BN scales and statistics
            if len(weight.shape) > 1:
                fan_in = np.prod(weight.shape[:-1])
                scale = (scale - 1.0) * (0.5 if len(weight.shape) == 2 else 5.0) / fan_in**0.5
            weight.assign({"gamma": 3.0, "moving_variance": 9.0}.get(weight.name, 1.0) * scale)


def outputs(model: keras.Model, batch: int) -> list[np.ndarray]:
    """What the network gives in a plain call, at inference, in training, and leaves behind.

    The plain call comes first: only it sees `layer(x, training=...)` in a functional model. Last
    are the moving statistics after the call in training mode and the gradient of the weights.
    """
    shape = [batch, *model.inputs[0].shape[1:]]
    random = np.random.default_rng(0)
    x = random.uniform(-1, 1, shape).astype("float32")
    kept = [w.numpy() for w in model.weights]
    found = [np.asarray(model(x), "float32")]
    for weight, value in zip(model.weights, kept, strict=True):
        weight.assign(value)
    found.append(np.asarray(model(x, training=False), "float32"))
    with tf.GradientTape() as tape:
        y = tf.cast(model(x, training=True), "float32")
        loss = tf.reduce_mean(y * random.uniform(0, 1, y.shape).astype("float32"))
    gradients = tape.gradient(loss, [w.value for w in model.trainable_weights])
    statistics = [w.numpy().ravel() for w in model.non_trainable_weights if "seed" not in w.name]
    norms = [0.0 if g is None else float(tf.norm(g)) for g in gradients]
    return [*found, y.numpy(), np.concatenate([*statistics, [0.0]]), np.asarray(norms)]


def compared(name: str, model: keras.Model, reference: keras.Model) -> str:
    """Says whether two networks give the same with the same weights."""
    count = sum(int(np.prod(w.shape)) for w in model.trainable_weights)
    expected = sum(int(np.prod(w.shape)) for w in reference.trainable_weights)
    verdict = f"{name}: count {count - expected:+d}" if count != expected else f"{name}: count ="
    if model.output_shape[1:] != reference.output_shape[1:]:
        return f"{verdict}, shape {model.output_shape[1:]}"
    ours = [w for w in reference.weights if "seed" not in w.name]
    theirs = [w for w in model.weights if "seed" not in w.name]
    if [squeezed(w) for w in ours] != [squeezed(w) for w in theirs]:
        return f"{verdict}, weights unmatched"
    randomise(reference, 3)
    for theirs_, ours_ in zip(theirs, ours, strict=True):
        theirs_.assign(np.reshape(ours_.numpy(), theirs_.shape))
    said = []
    batch = model.inputs[0].shape[0] or 2
    for what, one, other in zip(
        OUTPUTS, outputs(model, batch), outputs(reference, batch), strict=True
    ):
        spread = float(np.std(other, axis=0).mean()) if other.ndim > 1 else float(np.std(other))
        same = one.shape == other.shape and np.allclose(one, other, 1e-4, 2e-3 * spread + 1e-7)
        said.append(f"{what} {'=' if same else 'differs'}")
    return f"{verdict}, {', '.join(said)}"


def arguments(model: keras.Model) -> str:
    """Names layers that a functional model calls with training=True or False written out."""
    found = set()
    for operation in getattr(model, "operations", ()):
        for node in operation._inbound_nodes:
            flag = node.arguments.kwargs.get("training")
            default = inspect.signature(operation.call).parameters.get("training")
            if default and flag is not None and flag != default.default:
                found.add(f"training={flag} differs")
    return ", ".join(sorted(found))


def squeezed(weight: keras.Variable) -> list[int]:
    """A weight's shape without its sides of 1, which 1x1 kernels have or have not."""
    return [side for side in weight.shape if side != 1]


def examine(mutant: Mutant, reference: dict[str, keras.Model]) -> tuple[bool, list[str]]:
    """Returns whether the mutant does what it claims, and what was seen.

    A wrong mutant is not built further once a network with every part of it stands, unless it
    claims the right count.
    """
    claims_count = "same count" in mutant.why or "same shape and count" in mutant.why
    lines: list[str] = []
    try:
        for name, build in networks(load(mutant.source())).items():
            model = functional(build(), 32 if name == "build-model" else 16)
            if not mutant.runs_on_cpu:
                lines.append(f"{name}: {len(model.weights)} weights")
                continue
            line = compared(name, model, reference[name])
            if "weights unmatched" in line or ", shape" in line:
                model(np.zeros([2 if s is None else s for s in model.inputs[0].shape], "float32"))
            lines.append(f"{line} {arguments(model)}")
            done = name in ("bc-22-theta", "build-model") and any(map(is_different, lines))
            if mutant.kind == "wrong" and not mutant.raises and done:
                if name == "build-model" or not claims_count:
                    break
    except Exception as error:
        where = traceback.extract_tb(error.__traceback__)[-1]
        text = f"{type(error).__name__}: {str(error)[:300]} ({where.filename}:{where.lineno})"
        return mutant.raises, [*lines, text]
    if mutant.raises:
        return False, ["did not raise"]
    if mutant.kind == "wrong":
        broken = claims_count and any("count =" not in line for line in lines)
        return not broken and any(map(is_different, lines)), lines
    random = any(word in mutant.name for word in ("dropout", "augmentation", "crop"))
    allowed = ALLOWED.get(mutant.name, ("plain call differs", *_TRAINED) if random else ())
    return not any(
        what in line and what not in allowed
        for line in lines
        for what in ("shape", *(f"{output} differs" for output in OUTPUTS))
    ), lines


_ALL = tuple(f"{output} differs" for output in OUTPUTS)
_TRAINED = ("training differs", "statistics differs", "gradients differs")
ALLOWED = {
    "transition-without-relu": _ALL,
    "head-logits": _ALL,
    "concatenate-step-by-step-new-first": _ALL,
    "concatenate-reversed": _ALL,
    "rescaling-inside": _ALL,
    "normalization-layer-inside": _ALL,
    "normalization-layer-adapted": _ALL,
    "model-inside-a-model": _ALL,
    "standardised-by-ops-inside": _ALL,
    "bn-momentum": ("statistics differs",),
    "bn-epsilon": _ALL,
    "mixed-precision": _ALL,
    "input-shape-ignored": _ALL,
    "input-size-free": _ALL,
    "mixed-precision-everywhere": _ALL,
}
"""Outputs in which a right mutant may differ from the reference, as its point is a number, or the
size of an image that nobody asks for."""


def is_different(line: str) -> bool:
    """Whether a line tells of another network."""
    return any(what in line for what in ("differs", "count +", "count -", "shape", "unmatched"))


def main(names: list[str]) -> int:
    """Examines the named mutants, or all; NAME: stands for all from NAME on."""
    reference = {name: build() for name, build in networks(load(REFERENCE)).items()}
    mutants = list(catalogue())
    if names and names[0].endswith(":"):
        first = next(i for i, mutant in enumerate(mutants) if mutant.name == names[0][:-1])
        mutants, names = mutants[first:], []
    failed = 0
    for mutant in mutants:
        if names and mutant.name not in names:
            continue
        start = time.process_time()
        ok, lines = examine(mutant, reference)
        failed += not ok
        verdict = "ok  " if ok else "FAIL"
        print(verdict, mutant.kind, mutant.name, f"{time.process_time() - start:.1f}s", flush=True)
        for line in lines if not ok or names or mutant.kind != "wrong" else lines[-1:]:
            print("      ", line, flush=True)
        keras.backend.clear_session()
    return failed


if __name__ == "__main__":
    sys.exit(1 if main(sys.argv[1:]) else 0)
