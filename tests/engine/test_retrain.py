"""Retraining stops on time, goes on after a kill, and names what cannot be rebuilt."""

import dataclasses
import json
import signal
import subprocess
import time

import numpy as np
import pytest

from grader.domain import Epoch, StopReason
from grader.engine import child, exchange
from grader.engine import retrain as module
from grader.engine.gpu import Gpu, GpuUnwell
from grader.engine.history import History, Times
from grader.engine.recipe import Images, Optimizer, Recipe
from grader.engine.retrain import (
    Described,
    Place,
    Retrained,
    RetrainJob,
    retrain_in_child,
    summary,
)
from grader.errors import Cause, InfrastructureError, StageFailed
from tests.graph import tracing

RECIPE = Recipe(epochs=3, batch_size=20, validation=0.0, optimizer=Optimizer(learning_rate=0.05))


@pytest.fixture(scope="session")
def tiny_net():
    """The smallest network that is a DenseNet, traced once."""
    return tracing.trace_model(lambda: tracing.dense_net(k=2, layers=1, bottleneck=False))


def retrained(net, data, folder, recipe=RECIPE, **changes):
    job = RetrainJob(**{"recipe": recipe, "budget_s": 60.0} | changes)
    return retrain_in_child(Described(net.record), job, data, Place(folder))


def trained(data, folder, gpu=None, **changes):
    """What comes of a child that only seems to train."""
    job = RetrainJob(**{"recipe": RECIPE, "budget_s": 9.0} | changes)
    return retrain_in_child(Described(b"{}"), job, data, Place(folder, gpu=gpu))


def history(stopped, epochs=2, training_s=30.0):
    return History(
        epochs=tuple(
            Epoch(
                number=n + 1, loss=1.0, train_accuracy=0.5, test_accuracy=0.5, test_loss=1.0,
                learning_rate=0.1, images_per_s=10.0, training_s=10.0 * n,
            )
            for n in range(epochs)
        ),
        stopped=stopped,
        stopped_in_epoch=epochs + 1,
        test_accuracy=0.5,
        times=Times(training_s=training_s),
        recipe_sha256="0" * 64,
        backend="tensorflow",
    )  # fmt: skip


def found(stopped, budget_s=60.0, device="CPU", **changes):
    return Retrained(
        history=history(stopped, **changes), budget_s=budget_s, reference_images_per_s=None,
        notes=(), device=device, version="TensorFlow 2",
    )  # fmt: skip


@pytest.mark.tensorflow
def test_a_network_is_trained_measured_and_its_time_itemised(tiny_net, easy, tmp_path):
    result = retrained(tiny_net, easy, tmp_path)

    assert result.mode == "retrain"
    assert result.images == 40
    assert result.details.stopped == "finished"
    assert len(result.details.epochs) == 3
    assert result.details.epochs[-1].test_accuracy == pytest.approx(result.accuracy)
    assert result.wall_time_s == result.details.times.training_s
    assert result.details.times.compilation_s > 0
    assert not (tmp_path / "data.npz").exists()


@pytest.mark.tensorflow
def test_a_run_that_was_killed_goes_on_after_its_last_epoch(tiny_net, easy, tmp_path):
    recipe = RECIPE.model_copy(update={"epochs": 40})
    killed = []

    def run_and_kill(command, **options):
        if killed:
            return run(command, **options)
        process = subprocess.Popen(command, env=options["env"], stderr=subprocess.DEVNULL)
        checkpoint = tmp_path / "checkpoint" / "checkpoint.npz"
        while not checkpoint.exists() and process.poll() is None:
            time.sleep(0.01)
        process.kill()
        killed.append(process.wait())
        return subprocess.CompletedProcess(command, killed[0], b"", b"")

    run, child.subprocess.run = child.subprocess.run, run_and_kill
    try:
        result = retrained(tiny_net, easy, tmp_path, recipe)
    finally:
        child.subprocess.run = run

    assert killed == [-signal.SIGKILL]
    assert result.details.resumed_at >= 1
    assert len(result.details.epochs) == 40


@pytest.mark.tensorflow
def test_when_the_budget_is_spent_the_last_whole_epoch_is_measured(tiny_net, easy, tmp_path):
    recipe = RECIPE.model_copy(update={"epochs": 1000})

    result = retrained(tiny_net, easy, tmp_path, recipe, budget_s=1.0)

    assert result.details.stopped == "out of time"
    assert result.wall_time_s == pytest.approx(1.0, abs=0.2)
    assert result.details.summary.startswith("stopped after ")
    assert " of 1.0 s, epoch " in result.details.summary


@pytest.mark.tensorflow
def test_a_network_is_retrained_on_images_as_small_as_its_recipe_says(tiny_net, easy, tmp_path):
    small = RECIPE.model_copy(update={"images": Images(sizes=(16, 32), changes_at=(0.5,))})

    assert len(retrained(tiny_net, easy, tmp_path, small).details.epochs) == 3


@pytest.mark.tensorflow
def test_a_network_for_one_size_only_is_not_retrained_on_small_images(easy, tmp_path):
    def build():
        import keras
        from keras import layers as kl

        inputs = keras.Input((32, 32, 3))
        x = kl.AveragePooling2D(12, strides=12)(kl.Conv2D(2, 3)(inputs))
        return keras.Model(inputs, kl.Dense(10)(kl.GlobalAveragePooling2D()(x)))

    net = tracing.trace_model(build)
    small = RECIPE.model_copy(update={"images": Images(sizes=(8, 32), changes_at=(0.5,))})

    with pytest.raises(StageFailed, match=r"images\.sizes") as caught:
        retrained(net, easy, tmp_path, small)

    assert caught.value.cause is Cause.STUDENT_FORBIDDEN_OP


@pytest.mark.tensorflow
def test_a_network_that_cannot_be_rebuilt_is_not_trained_and_the_operation_is_named(easy, tmp_path):
    def build():
        import keras
        from keras import layers as kl

        inputs = keras.Input((32, 32, 3))
        x = kl.Lambda(lambda t: keras.ops.sort(t, axis=1))(kl.Conv2D(2, 3)(inputs))
        return keras.Model(inputs, kl.Dense(10)(kl.GlobalAveragePooling2D()(x)))

    net = tracing.trace_model(build)

    with pytest.raises(StageFailed, match="cannot be rebuilt: the operation") as caught:
        retrained(net, easy, tmp_path)

    assert caught.value.cause is Cause.STUDENT_FORBIDDEN_OP


def test_a_child_that_dies_before_its_first_epoch_is_the_machines_fault(
    easy, tmp_path, monkeypatch
):
    def dies(command, **options):
        return subprocess.CompletedProcess(command, -9, b"", b"")

    monkeypatch.setattr(child.subprocess, "run", dies)

    with pytest.raises(InfrastructureError) as caught:
        trained(easy, tmp_path, budget_s=1.0)

    assert caught.value.cause is Cause.INFRA_MEMORY


def test_a_child_that_dies_twice_is_measured_where_it_stood(easy, tmp_path, monkeypatch):
    budgets = []

    def dies_twice(command, **options):
        job = json.loads((tmp_path / "job.json").read_text())
        budgets.append(job["budget_s"])
        (tmp_path / "checkpoint").mkdir(exist_ok=True)
        (tmp_path / "checkpoint" / "checkpoint.npz").touch()
        if len(budgets) < 3:
            return subprocess.CompletedProcess(command, 139, b"", b"")
        leaves(tmp_path, easy, found(StopReason.OUT_OF_TIME))
        return subprocess.CompletedProcess(command, 0, b"", b"")

    monkeypatch.setattr(child.subprocess, "run", dies_twice)

    result = trained(easy, tmp_path)

    assert budgets == [9.0, 9.0, 0.0]
    assert result.correct == 40
    assert "status 139; last whole epoch 2: 100.0%" in result.details.summary


def leaves(folder, data, result):
    """What a child leaves whose network knows every test image."""
    sure = np.ones(len(data.test_labels), np.float32)
    exchange.leave(folder, result, exchange.Answers({"test": data.test_labels}, sure))


def ended_with(monkeypatch, folder, data, result):
    """The child gives this result, whatever it is asked."""

    def ends(command, **options):
        leaves(folder, data, result)
        return subprocess.CompletedProcess(command, 0, b"", b"")

    monkeypatch.setattr(child.subprocess, "run", ends)


def test_a_training_that_somebody_interrupted_is_no_grade(easy, tmp_path, monkeypatch):
    ended_with(monkeypatch, tmp_path, easy, found(StopReason.INTERRUPTED))

    with pytest.raises(InfrastructureError, match="interrupted") as caught:
        trained(easy, tmp_path)

    assert caught.value.cause is Cause.INFRA_INTERRUPTED


def gpu(free_gib):
    return Gpu("GPU-1", "NVIDIA H200", free_gib * 2**30, 141 * 2**30, 0)


@pytest.mark.parametrize(("device", "text"), [(None, "8 GiB"), (gpu(140), "141 GiB")])
def test_a_batch_that_is_too_large_is_the_students_and_says_what_to_change(
    easy, tmp_path, monkeypatch, device, text
):
    on = "CPU" if device is None else "GPU"
    ended_with(monkeypatch, tmp_path, easy, found(StopReason.OUT_OF_MEMORY, device=on, epochs=0))

    with pytest.raises(StageFailed, match=f"more memory than {text}: a smaller batch_size .now 20"):
        trained(easy, tmp_path, gpu=device, memory_bytes=8 * 2**30)


def test_a_gpu_that_others_had_filled_is_the_machines_fault(easy, tmp_path, monkeypatch):
    ended_with(monkeypatch, tmp_path, easy, found(StopReason.OUT_OF_MEMORY, device="GPU", epochs=0))

    with pytest.raises(InfrastructureError, match="only 20 of 141 GiB were free") as caught:
        trained(easy, tmp_path, gpu=gpu(20))

    assert caught.value.cause is Cause.INFRA_GPU


def test_memory_that_ran_out_after_an_epoch_leaves_that_epochs_score(easy, tmp_path, monkeypatch):
    ended_with(monkeypatch, tmp_path, easy, found(StopReason.OUT_OF_MEMORY))

    result = trained(easy, tmp_path, budget_s=60.0)

    assert result.correct == 40
    assert "(out of memory), epoch 2" in result.details.summary


@pytest.mark.tensorflow
def test_a_training_past_its_memory_is_told_apart_from_a_crash(tiny_net, easy, tmp_path):
    # Steps enough that the memory is looked at before the first epoch ends, on any machine.
    large = dataclasses.replace(
        easy,
        train_images=np.repeat(easy.train_images, 180, 0),
        train_labels=np.repeat(easy.train_labels, 180),
    )
    recipe = RECIPE.model_copy(update={"batch_size": 4096})

    with pytest.raises(StageFailed) as caught:
        retrained(tiny_net, large, tmp_path, recipe, memory_bytes=2**28)

    assert caught.value.cause is Cause.STUDENT_OUT_OF_MEMORY


def test_memory_that_grew_too_large_after_an_epoch_leaves_that_epochs_score(
    easy, tmp_path, monkeypatch
):
    budgets = []

    def grows(command, **options):
        budgets.append(json.loads((tmp_path / "job.json").read_text())["budget_s"])
        (tmp_path / "checkpoint").mkdir(exist_ok=True)
        (tmp_path / "checkpoint" / "checkpoint.npz").touch()
        if len(budgets) < 3:
            return subprocess.CompletedProcess(command, 65, b"", b"")
        leaves(tmp_path, easy, found(StopReason.OUT_OF_TIME))
        return subprocess.CompletedProcess(command, 0, b"", b"")

    monkeypatch.setattr(child.subprocess, "run", grows)

    result = trained(easy, tmp_path)

    assert budgets == [9.0, 9.0, 0.0]
    assert "more memory than it may take; last whole epoch 2" in result.details.summary


def test_a_gpu_that_computes_wrongly_is_told_from_a_crash(easy, tmp_path, monkeypatch):
    def ends(command, **options):
        return subprocess.CompletedProcess(command, 67, b"", b"7 numbers are wrong")

    monkeypatch.setattr(child.subprocess, "run", ends)

    with pytest.raises(GpuUnwell, match="7 numbers are wrong"):
        trained(easy, tmp_path, gpu=gpu(140))


def test_a_training_says_how_long_it_took_and_how_long_it_was_allowed(easy, tmp_path, monkeypatch):
    def over(command, **options):
        leaves(tmp_path, easy, found(StopReason.OUT_OF_TIME, training_s=60.1))
        return subprocess.CompletedProcess(command, 0, b"", b"")

    monkeypatch.setattr(child.subprocess, "run", over)

    result = trained(easy, tmp_path, budget_s=60.0)

    assert (result.wall_time_s, result.allowed_s) == (60.1, 60.0)


@pytest.mark.parametrize(
    ("stopped", "text"),
    [
        (StopReason.FINISHED, "finished in 14.2 of 15.0 min, epoch 23: 86.1%"),
        (StopReason.OUT_OF_TIME, "stopped after 14.2 of 15.0 min, epoch 23: 86.1%"),
        (StopReason.DIVERGED, "stopped after 14.2 of 15.0 min (diverged), epoch 23: 86.1%"),
    ],
)
def test_the_run_in_a_line(stopped, text):
    run = found(stopped, budget_s=900.0, epochs=23, training_s=852.0)

    assert summary(run, 0.861) == text


@pytest.mark.parametrize(
    ("stopped", "text"),
    [
        (StopReason.OUT_OF_TIME, "stopped after 30.0 of 30.0 s, within the first epoch: 22.0%"),
        (
            StopReason.DIVERGED,
            "stopped after 30.0 of 30.0 s (diverged), no whole epoch, untrained: 22.0%",
        ),
    ],
)
def test_a_run_without_a_whole_epoch_says_so(stopped, text):
    assert summary(found(stopped, budget_s=30.0, epochs=0), 0.22) == text


def test_a_budget_is_either_seconds_or_reference_epochs():
    with pytest.raises(ValueError, match="not both"):
        RetrainJob(recipe=RECIPE, budget_s=1.0, reference_epochs=1.0)


@pytest.mark.tensorflow
def test_reference_epochs_become_seconds_on_this_device(tiny_net, easy, tmp_path, monkeypatch):
    (tmp_path / "reference.txt").write_text("320.0")

    result = retrained(tiny_net, easy, tmp_path, budget_s=None, reference_epochs=4.0)

    assert result.allowed_s == pytest.approx(4 * 160 / 320)
    assert result.details.reference_images_per_s == 320.0


@pytest.mark.tensorflow
@pytest.mark.slow
def test_the_reference_network_is_timed_on_this_device(easy):
    assert module.reference_speed(easy, seconds=0.5) > 0


@pytest.mark.tensorflow
def test_the_reference_network_is_the_papers():
    model = module.reference_network()

    assert sum(int(np.prod(v.shape)) for v in model.trainable_variables) == 176_122
