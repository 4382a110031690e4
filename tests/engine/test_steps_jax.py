"""The same run under JAX, in a process of its own: Keras takes its backend once, at import."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytestmark = [
    pytest.mark.tensorflow,
    pytest.mark.skipif(
        importlib.util.find_spec("jax") is None, reason="JAX is not installed: pip install jax"
    ),
]

PROGRAM = """
import json, sys
from pathlib import Path
import keras, numpy as np
from keras import layers
from grader.engine.data import ImageSet
from grader.engine.recipe import parse_recipe
from grader.engine import steps_jax
from grader.engine.train import fit

steps_jax.EVALUATION_BATCH = 16  # of the 40 test images: two whole batches, and a rest
if "as on a GPU" in sys.argv:
    steps_jax.WITHOUT_LOOPS = set()
folder = Path(sys.argv[1])
given = np.load(folder / "given.npz")
data = ImageSet(given["x"], given["y"], given["x"][:40], given["y"][:40], "made up", False)
inputs = keras.Input((32, 32, 3))
x = layers.Conv2D(6, 3, strides=4, padding="same", use_bias=False)(inputs)
x = layers.BatchNormalization(momentum=0.8)(x)
x = layers.ReLU()(x)
x = layers.GlobalAveragePooling2D()(x)
model = keras.Model(inputs, layers.Dense(10, activation="softmax")(x))
model.set_weights([given[f"w{i}"] for i in range(len(model.weights))])
recipe = parse_recipe((folder / "recipe.toml").read_bytes())

def run(**more):
    return fit(model, recipe, data, **more)

class Killed(BaseException):
    pass

def kill(event):
    if getattr(event, "step", 0) and event.epoch == 3:
        raise Killed

if "killed" in sys.argv:
    try:
        run(checkpoint_dir=folder / "state", on_event=kill)
    except Killed:
        pass
history = run(checkpoint_dir=folder / "state") if "killed" in sys.argv else run()
curve = [[e.loss, e.test_accuracy] for e in history.epochs]
weights = [np.asarray(w).ravel().tolist() for w in model.get_weights()]
print(json.dumps([history.backend, history.resumed_at, curve, weights]))
"""

RECIPE = """
epochs = 4
batch_size = 16
ema = 0.9
validation = 0.0
label_smoothing = 0.1
[optimizer]
learning_rate = 0.05
weight_decay = 1e-3
[schedule]
name = "one_cycle"
[images]
sizes = [16, 24, 32]
changes_at = [0.3, 0.6]
[augmentation]
flip = true
alternate_flips = true
pad_crop = 2
cutout = 6
mixup = 0.2
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    labels = np.arange(160) % 10
    pixels = rng.integers(0, 256, (10, 3))[labels][:, None, None] + rng.normal(
        0, 10, (160, 32, 32, 3)
    )
    shapes = [(3, 3, 3, 6), (6,), (6,), (6,), (6,), (6, 10), (10,)]
    weights = [rng.normal(0, 0.3, shape).astype(np.float32) for shape in shapes]
    weights[4] = np.ones(6, np.float32)
    np.savez(
        tmp_path / "given.npz",
        x=pixels.clip(0, 255).astype(np.uint8),
        y=labels,
        **{f"w{i}": w for i, w in enumerate(weights)},
    )
    (tmp_path / "recipe.toml").write_text(RECIPE)
    return tmp_path


def run(folder: Path, backend: str, *more: str) -> Any:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(folder), *more],
        env={**os.environ, "KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "2"},
        cwd=Path(__file__).parents[2],
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()[-2000:]
    return json.loads(done.stdout.splitlines()[-1])


def test_jax_gives_tensorflow_s_curve_and_weights(folder: Path) -> None:
    ours, _, our_curve, our_weights = run(folder, "jax")
    theirs, _, their_curve, their_weights = run(folder, "tensorflow")

    assert (ours, theirs) == ("jax", "tensorflow")
    np.testing.assert_allclose(our_curve, their_curve, rtol=1e-3, atol=1e-3)
    for one, other in zip(our_weights, their_weights, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-2, atol=1e-3)


def test_a_killed_run_goes_on_under_jax_and_gives_the_same_weights(folder: Path) -> None:
    _, _, whole_curve, whole_weights = run(folder, "jax")

    _, resumed_at, curve, weights = run(folder, "jax", "killed")

    assert resumed_at == 2
    assert curve == whole_curve
    assert weights == whole_weights


def test_many_steps_in_one_call_give_what_one_by_one_gives(folder: Path) -> None:
    _, _, curve, weights = run(folder, "jax")

    _, _, looped_curve, looped_weights = run(folder, "jax", "as on a GPU")

    np.testing.assert_allclose(looped_curve, curve, rtol=1e-3, atol=1e-3)
    for one, other in zip(looped_weights, weights, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-2, atol=1e-3)
