"""Behind the run directory no TensorFlow is needed: JAX evaluates and trains in its place."""

import importlib.util
import subprocess
import sys

import pytest

from grader.engine import child
from grader.engine.devices import keras_backend
from grader.engine.evaluate import evaluate_in_child, runtimes
from grader.engine.plan import make_plan
from grader.engine.recipe import Optimizer, Recipe
from grader.engine.retrain import Described, Place, RetrainJob, retrain_in_child
from grader.errors import Cause, InfrastructureError
from grader.graph.numeric import run
from tests.graph import tracing

needs_jax = pytest.mark.skipif(
    importlib.util.find_spec("jax") is None, reason="JAX is not installed: pip install jax"
)
WITHOUT = """
import runpy, sys
for name in {names!r}:
    sys.modules[name] = None
sys.argv = sys.argv[1:]
runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
"""


@pytest.fixture
def without(monkeypatch):
    """Makes packages impossible to import, here and in the processes that compute."""
    run_it = subprocess.run

    def hide(*names):
        def blocked(command, **options):
            python, _, _, *words = command
            return run_it([python, "-P", "-c", WITHOUT.format(names=names), *words], **options)

        monkeypatch.setattr(child.subprocess, "run", blocked)
        for name in names:
            monkeypatch.setitem(sys.modules, name, None)

    return hide


@pytest.mark.parametrize(
    ("hidden", "tried"),
    [
        ((), ("openvino", "tensorflow", "jax")),
        (("tensorflow",), ("openvino", "jax")),
        (("tensorflow", "openvino"), ("jax",)),
        (("openvino", "jax"), ("tensorflow",)),
    ],
)
def test_a_processor_takes_the_fastest_that_is_installed(monkeypatch, hidden, tried):
    monkeypatch.setattr("grader.engine.evaluate.installed", lambda name: name not in hidden)

    assert runtimes() == tried


def test_on_a_gpu_jax_computes_unless_another_is_asked_for():
    assert [keras_backend(asked, gpu=True) for asked in ("auto", "jax", "tensorflow", "xla")] == [
        "jax", "jax", "tensorflow", "tensorflow",
    ]  # fmt: skip
    assert runtimes("auto", gpu=True) == ("jax",)
    assert runtimes("tensorflow", gpu=True) == ("tensorflow",)


def test_a_gpu_without_jax_is_the_machines_fault_and_told_how_to_mend(monkeypatch):
    monkeypatch.setitem(sys.modules, "jax", None)

    with pytest.raises(InfrastructureError, match="JAX, which computes on it") as caught:
        runtimes("auto", gpu=True)

    assert caught.value.cause is Cause.INFRA_GPU
    assert "[gpu]" in caught.value.help
    assert keras_backend("auto", gpu=False) == "tensorflow"


@needs_jax
@pytest.mark.tensorflow
def test_without_tensorflow_jax_evaluates_to_the_last_image(small_dense_net, easy, without):
    plan = make_plan(small_dense_net.graphs["inference"], small_dense_net.values)
    own = run(small_dense_net.graphs["inference"], small_dense_net.values, easy.test_images)
    without("tensorflow", "openvino")

    found = evaluate_in_child(plan, easy, time_budget_s=60)

    assert found.details.runtime == "jax"
    assert found.correct == int((own.argmax(-1) == easy.test_labels).sum())


@needs_jax
@pytest.mark.tensorflow
def test_without_tensorflow_jax_trains_the_network_that_was_read(easy, tmp_path, without):
    net = tracing.trace_model(lambda: tracing.dense_net(k=2, layers=1, bottleneck=False))
    recipe = Recipe(epochs=2, batch_size=20, optimizer=Optimizer(learning_rate=0.05))
    without("tensorflow")

    found = retrain_in_child(
        Described(net.record),
        RetrainJob(recipe=recipe, budget_s=60.0),
        easy,
        Place(tmp_path, keras_backend("auto", gpu=False)),
    )

    assert found.images == 40
    assert "JAX" in found.device
    assert [epoch.number for epoch in found.details.epochs] == [1, 2]
