"""The real stage with the real libraries, in each sandbox, on the reference solution."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from grader.sandbox.contract import Sandbox, Stage, StageResult
from grader.sandbox.jail import JailSandbox

REFERENCE = Path(__file__).parents[2] / "reference_solution"
MODES = ["inference", "training"]
REQUEST: dict[str, Any] = {
    "module": "densenet",
    "probes": [],
    "model": {"input_shape": [32, 32, 3], "modes": MODES, "weights": None, "seed": 1},
}

pytestmark = pytest.mark.tensorflow


@pytest.fixture(scope="module")
def jail() -> Iterator[Sandbox]:
    sandbox = JailSandbox(warm=True)
    lack = sandbox.available()
    if lack is not None:
        pytest.skip(lack)
    yield sandbox
    sandbox.close()


def trace(sandbox: Sandbox, tree: Path, weights: str | None = None) -> StageResult:
    model = {**REQUEST["model"], "weights": weights}
    return sandbox.run(Stage("trace", tree, {**REQUEST, "model": model}))


def test_the_reference_solution_is_traced_and_run_in_the_warm_jail(jail: Sandbox) -> None:
    result = trace(jail, REFERENCE)

    assert result.complete, result.run
    assert b'"failure":null' in result.json_frames["model"]
    assert {"weights", "sample"} <= set(result.binary_frames)


def test_a_second_run_of_the_warm_jail_gives_the_same(jail: Sandbox) -> None:
    first, second = trace(jail, REFERENCE), trace(jail, REFERENCE)

    assert [json.loads(f) for f in first.json_frames.values()] == [
        json.loads(f) for f in second.json_frames.values()
    ]
    assert first.binary_frames == second.binary_frames


@pytest.mark.parametrize("name", ["model.weights.h5", "model.keras"])
def test_weights_of_both_kinds_are_read_in_the_jail(
    jail: Sandbox, tmp_path: Path, name: str
) -> None:
    source = """
import keras
def build_model():
    inputs = keras.Input((32, 32, 3))
    x = keras.layers.GlobalAveragePooling2D()(inputs)
    return keras.Model(inputs, keras.layers.Dense(10, activation="softmax")(x))
def preprocess(images): return images / 255
"""
    (tmp_path / "densenet.py").write_text(source)
    save = "m.save_weights" if name.endswith("h5") else "m.save"
    script = f"import densenet; m = densenet.build_model(); {save}({name!r})"
    subprocess.run([sys.executable, "-c", script], cwd=tmp_path, check=True, capture_output=True)
    tmp_path.chmod(0o755)

    result = trace(jail, tmp_path, name)

    assert b'"loaded":true' in result.json_frames["model"]


def test_a_loop_ends_its_own_function_and_the_others_are_asked(
    jail: Sandbox, tmp_path: Path
) -> None:
    (tmp_path / "densenet.py").write_text(
        "import keras\n"
        "def dense_block(x, num_layers, growth_rate, bottleneck=True, dropout_rate=0.0):\n"
        "    while num_layers:\n"
        "        len(range(num_layers))\n"
        "def transition(x, compression=0.5, dropout_rate=0.0):\n"
        "    return keras.layers.AveragePooling2D(2)(x)\n"
    )
    shape = {"input_shape": [4, 4, 8], "modes": ["inference"]}
    block = {"function": "dense_block", "keywords": {"num_layers": 2, "growth_rate": 3}, **shape}
    pooled = {"function": "transition", "keywords": {"compression": 0.5}, **shape}
    probes = [{"id": "a", **block}, {"id": "b", **block}, {"id": "c", **pooled}]
    request = {**REQUEST, "probes": probes, "model": None, "call_s": 4.0}

    answers = jail.run(Stage("trace", tmp_path, request)).json_frames

    first, second, other = (json.loads(answers[f"probe:{name}"])["failure"] for name in "abc")
    assert first["type"] == "STUDENT_TIMEOUT"
    assert first["where"].endswith(", in dense_block")
    assert second == first
    assert other is None
