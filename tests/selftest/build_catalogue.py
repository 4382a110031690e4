"""Builds every mutant of the catalogue in Keras and says which do not do what they claim.

    nice -n 10 python tests/selftest/build_catalogue.py [NAME ...]

Each mutant's `dense_block` (with and without bottleneck), `transition`, `build_densenet` and
`build_model` are built and run on a small batch. Where the shapes of the weights allow it, the
reference's weights are put into the mutant's network and its outputs, in inference and in
training mode, are compared: equal for the right ones, different for the wrong ones.
"""

import os
import sys
import time
import traceback
import types

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")

import keras  # noqa: E402
import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402

from grader.selftest.catalogue import catalogue  # noqa: E402
from grader.selftest.mutant import Mutant  # noqa: E402
from grader.selftest.reference import REFERENCE  # noqa: E402

tf.config.threading.set_intra_op_parallelism_threads(1)
tf.config.threading.set_inter_op_parallelism_threads(1)


def load(source: str) -> types.ModuleType:
    """Runs a densenet.py and returns it as a module."""
    module = types.ModuleType("densenet")
    sys.modules["densenet"] = module
    exec(compile(source, "densenet.py", "exec"), module.__dict__)
    return module


def networks(module: types.ModuleType) -> dict[str, keras.Model]:
    """Builds what is compared: blocks, a transition and networks at odd widths."""
    keras.utils.set_random_seed(1)
    made = {}
    for name, call in {
        "block-bc": lambda x: module.dense_block(x, 3, 5, bottleneck=True),
        "block-basic": lambda x: module.dense_block(x, 6, 5, bottleneck=False),
        "transition": lambda x: module.transition(x, 0.3),
    }.items():
        x = keras.Input((8, 8, 10))
        made[name] = keras.Model(x, call(x))
    small = dict(num_classes=7, input_shape=(16, 16, 3))
    made["bc-22"] = module.build_densenet(22, 6, 0.5, True, **small)
    made["bc-22-theta"] = module.build_densenet(22, 5, 0.3, True, **small)
    made["basic-22"] = module.build_densenet(22, 5, 1.0, False, **small)
    made["build-model"] = module.build_model()
    return made


def randomise(model: keras.Model, seed: int) -> None:
    """Gives every weight a value that no two layers share; variances stay positive."""
    random = np.random.default_rng(seed)
    for weight in model.weights:
        if weight.dtype == "float32":
            scale = random.uniform(0.5, 1.5, weight.shape)
            weight.assign(scale if len(weight.shape) == 1 else scale * 0.2 - 0.2)


def outputs(model: keras.Model) -> list[np.ndarray]:
    """The network's outputs in inference and in training mode."""
    shape = [2 if side is None else side for side in model.inputs[0].shape]
    x = np.random.default_rng(0).uniform(-1, 1, shape).astype("float32")
    return [np.asarray(model(x, training=training), "float32") for training in (False, True)]


def compared(name: str, model: keras.Model, reference: keras.Model) -> str:
    """Says whether two networks give the same with the same weights."""
    count = sum(int(np.prod(w.shape)) for w in model.trainable_weights)
    expected = sum(int(np.prod(w.shape)) for w in reference.trainable_weights)
    verdict = f"{name}: count {count - expected:+d}" if count != expected else f"{name}: count ="
    if model.output_shape[1:] != reference.output_shape[1:]:
        return f"{verdict}, shape {model.output_shape[1:]}"
    ours = [w for w in reference.weights if "seed" not in w.name]
    theirs = [w for w in model.weights if "seed" not in w.name]
    if [w.shape for w in ours] != [w.shape for w in theirs]:
        return f"{verdict}, weights unmatched"
    randomise(reference, 3)
    for theirs_, ours_ in zip(theirs, ours, strict=True):
        theirs_.assign(ours_)
    inference, training = outputs(model)
    inference_, training_ = outputs(reference)
    same = [
        np.allclose(inference, inference_, atol=1e-4, rtol=1e-3),
        np.allclose(training, training_, atol=1e-4, rtol=1e-3),
    ]
    return f"{verdict}, inference {'=' if same[0] else 'differs'}, training {'=' if same[1] else 'differs'}"


def examine(mutant: Mutant, reference: dict[str, keras.Model]) -> tuple[bool, list[str]]:
    """Returns whether the mutant does what it claims, and what was seen."""
    try:
        made = networks(load(mutant.source()))
        for name, model in made.items() if mutant.runs_on_cpu else ():
            outputs(model)
        lines = (
            [compared(n, m, reference[n]) for n, m in made.items()] if mutant.runs_on_cpu else []
        )
    except Exception as error:
        where = traceback.extract_tb(error.__traceback__)[-1]
        text = f"{type(error).__name__}: {str(error)[:300]} ({where.filename}:{where.lineno})"
        return mutant.raises, [text]
    if mutant.raises:
        return False, ["did not raise"]
    differs = any(
        "differs" in line or "count +" in line or "count -" in line or "shape" in line
        for line in lines
    )
    unmatched = any("unmatched" in line for line in lines)
    if mutant.kind == "wrong":
        return differs or unmatched, lines
    return not any("differs" in line or "shape" in line for line in lines), lines


def main(names: list[str]) -> int:
    """Examines the named mutants, or all."""
    reference = networks(load(REFERENCE))
    failed = 0
    for mutant in catalogue():
        if names and mutant.name not in names:
            continue
        start = time.process_time()
        ok, lines = examine(mutant, reference)
        failed += not ok
        verdict = "ok  " if ok else "FAIL"
        print(verdict, mutant.kind, mutant.name, f"{time.process_time() - start:.1f}s", flush=True)
        for line in lines if not ok or names or mutant.kind != "wrong" else lines[:0]:
            print("      ", line)
        keras.backend.clear_session()
    return failed


if __name__ == "__main__":
    sys.exit(1 if main(sys.argv[1:]) else 0)
