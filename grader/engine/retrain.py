"""Trains the rebuilt network by the student's recipe, under a budget, in a process of its own.

Property protected: the student is charged for training steps alone, by our clock, and always gets
the score of the last whole epoch: when the time, the memory or the machine ends the run, what was
reached is measured. No student code runs; the recipe is data.

    DIR/model.json, constants.bin, data.npz, job.json, checkpoint/    →    labels.npy, result.json
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from grader.domain import Evaluation, Record
from grader.engine.data import CLASS_NAMES, Cifar10
from grader.engine.evaluate import ONE_AT_A_TIME, child_environment, count, processor
from grader.engine.history import History, Progress, StopReason
from grader.engine.pictures import write_pictures
from grader.engine.plan import Unrebuildable
from grader.engine.recipe import Optimizer, Recipe
from grader.engine.rule import is_met, wilson_interval
from grader.errors import Cause, InfrastructureError, StageFailed

MODEL, CONSTANTS, DATA, JOB, RESULT, LABELS = (
    "model.json", "constants.bin", "data.npz", "job.json", "result.json", "labels.npy"
)  # fmt: skip
CHECKPOINT = "checkpoint"
UNREBUILDABLE_STATUS = 66
CALIBRATION_S = 8.0
"""Seconds for which the reference network is trained to measure a device."""
REFERENCE = "BC L=40 k=12, batch 64"
"""The network that a reference epoch is an epoch of."""
OUTSIDE_S = 1800.0
"""Allowed for imports, compilation and evaluations, which are not charged."""
BATCH = 250


class RetrainJob(Record):
    """What the child is asked for."""

    recipe: Recipe
    budget_s: float | None
    """Seconds of training steps; None where it is given in reference epochs."""
    reference_epochs: float | None = None
    """The budget as epochs of the reference network on this device."""


class Retrained(Record):
    """What the child found; the labels lie beside it."""

    history: History
    budget_s: float
    """Seconds, after calibration."""
    reference_images_per_s: float | None
    """Of the reference network on this device; None where it was not measured."""
    notes: tuple[str, ...]
    """What of the student's training graph could not be taken over."""
    device: str
    version: str


# --- the parent ----------------------------------------------------------------------------


def retrain_in_child(
    model_record: bytes,
    constants: bytes,
    recipe: Recipe,
    data: Cifar10,
    *,
    threshold: float,
    budget_s: float | None,
    folder: Path,
    reference_epochs: float | None = None,
    backend: str = "tensorflow",
    gpu: str | None = None,
) -> Evaluation:
    """Train and measure a network; a run that was interrupted in `folder` is taken up.

    Args:
        model_record: The run's "model" frame.
        constants: The run's "constants:model" frame.
        recipe: The student's recipe, as read by `parse_recipe`.
        data: CIFAR-10.
        threshold: Accuracy that must be exceeded.
        budget_s: Seconds of training steps allowed; None where reference_epochs gives it.
        folder: Holds the checkpoint and the exchange with the child.
        reference_epochs: Budget in epochs of the reference network on this device.
        backend: "tensorflow" or "jax".
        gpu: UUID of a leased GPU; None keeps to the CPU.

    Raises:
        StageFailed: The network cannot be rebuilt; names the operation.
        InfrastructureError: The child failed before there was anything to measure.
    """
    if (budget_s is None) == (reference_epochs is None):
        raise ValueError("budget: expected seconds or reference epochs, and not both")
    folder.mkdir(parents=True, exist_ok=True)
    try:
        (folder / MODEL).write_bytes(model_record)
        (folder / CONSTANTS).write_bytes(constants)
        _write_data(folder / DATA, data)
        job = RetrainJob(recipe=recipe, budget_s=budget_s, reference_epochs=reference_epochs)
        retrained, labels, ended_by = _to_the_end(folder, job, backend, gpu)
    except OSError as error:
        raise InfrastructureError(
            Cause.INFRA_DISK, f"the training could not write its files: {error}"
        ) from error
    finally:
        (folder / DATA).unlink(missing_ok=True)
    found = _evaluation(retrained, labels, data, threshold, recipe, ended_by)
    names = write_pictures(
        folder,
        confusion=found.details["confusion"],
        classes=CLASS_NAMES,
        epochs=found.details["epochs"],
        threshold=threshold,
    )
    return found.model_copy(update={"details": {**found.details, "pictures": names}})


def _write_data(path: Path, data: Cifar10) -> None:
    with path.open("wb") as stream:
        np.savez(
            stream,
            train_images=data.train_images,
            train_labels=data.train_labels,
            test_images=data.test_images,
            test_labels=data.test_labels,
        )


def _to_the_end(
    folder: Path, job: RetrainJob, backend: str, gpu: str | None
) -> tuple[Retrained, NDArray[np.int64], str]:
    """Run the child; where it dies it is taken up once, then its last checkpoint is measured."""
    attempts = (job, job, job.model_copy(update={"budget_s": 0.0, "reference_epochs": None}))
    ended_by = ""
    for number, attempt in enumerate(attempts):
        status, tail = _run_child(folder, attempt, backend, gpu)
        if (folder / RESULT).is_file():
            return (*_result(folder), ended_by if number == len(attempts) - 1 else "")
        if status == UNREBUILDABLE_STATUS:
            raise StageFailed(Cause.STUDENT_FORBIDDEN_OP, tail.splitlines()[-1])
        ended_by = f"the training process ended with status {status}"
        if not (folder / CHECKPOINT / "checkpoint.npz").is_file():
            break
    killed = status == -signal.SIGKILL
    raise InfrastructureError(
        Cause.INFRA_MEMORY if killed else Cause.INFRA_GPU if gpu else Cause.INFRA_TENSORFLOW,
        f"{ended_by}. {tail}",
        "Run grade doctor, then grade again.",
    )


def _run_child(folder: Path, job: RetrainJob, backend: str, gpu: str | None) -> tuple[int, str]:
    (folder / RESULT).unlink(missing_ok=True)
    (folder / JOB).write_text(job.model_dump_json(), encoding="utf-8")
    budget = job.budget_s if job.budget_s is not None else 24 * 3600.0
    try:
        with ONE_AT_A_TIME if gpu is None else nullcontext():
            ended = subprocess.run(
                [sys.executable, "-P", "-m", "grader.engine.retrain", str(folder)],
                env=child_environment(backend, gpu),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                timeout=3 * budget + OUTSIDE_S,
                check=False,
            )
    except subprocess.TimeoutExpired as error:
        return -signal.SIGALRM, f"it hung and was ended after {error.timeout:.0f} s"
    return ended.returncode, ended.stderr.decode("utf-8", "replace").strip()[-600:]


def _result(folder: Path) -> tuple[Retrained, NDArray[np.int64]]:
    try:
        retrained = Retrained.model_validate_json((folder / RESULT).read_bytes())
        return retrained, np.load(folder / LABELS, allow_pickle=False)
    except (ValidationError, ValueError, OSError) as error:
        raise InfrastructureError(
            Cause.INFRA_GRADER_BUG, f"the training's result cannot be read: {error}"
        ) from error


def _evaluation(
    found: Retrained,
    labels: NDArray[np.int64],
    data: Cifar10,
    threshold: float,
    recipe: Recipe,
    ended_by: str,
) -> Evaluation:
    history = found.history
    confusion, correct, no_answer = count(labels, data.test_labels)
    images = len(data.test_labels)
    seconds = history.times.training_s
    accuracy = correct / images
    return Evaluation(
        mode="retrain",
        accuracy=accuracy,
        interval_95=wilson_interval(correct, images),
        images=images,
        correct=correct,
        threshold=threshold,
        met=is_met(accuracy, threshold, seconds, found.budget_s, "retrain"),
        wall_time_s=seconds,
        time_budget_s=found.budget_s,
        device=f"{processor() if found.device == 'CPU' else found.device}, {found.version}",
        dataset=data.dataset,
        details={
            "summary": summary(found, accuracy, ended_by),
            "stopped": str(history.stopped),
            "advice": history.advice,
            "epochs": [epoch.model_dump() for epoch in history.epochs],
            "times": history.times.model_dump(),
            "resumed_at": history.resumed_at,
            "seed": recipe.seed,
            "recipe_sha256": recipe.sha256,
            "notes": list(found.notes),
            "reference_images_per_s": found.reference_images_per_s,
            "classes": list(CLASS_NAMES),
            "confusion": confusion.tolist(),
            "no_answer": no_answer,
        },
    )


def summary(found: Retrained, accuracy: float, ended_by: str = "") -> str:
    """The run in a line: "stopped after 14.2 of 15.0 min, epoch 23: 86.1%"."""
    history = found.history
    spent, budget = history.times.training_s, found.budget_s
    unit, scale = ("min", 60.0) if max(spent, budget) >= 120 else ("s", 1.0)
    time = f"{spent / scale:.1f} of {budget / scale:.1f} {unit}"
    epoch = history.epochs[-1].number if history.epochs else 0
    reached = f"epoch {epoch}: {accuracy:.1%}"
    if ended_by:
        return f"{ended_by}; last whole {reached}"
    if history.stopped is StopReason.FINISHED:
        return f"finished in {time}, {reached}"
    why = "" if history.stopped is StopReason.OUT_OF_TIME else f" ({history.stopped})"
    return f"stopped after {time}{why}, {reached}"


# --- the child -----------------------------------------------------------------------------


def _main(folder: Path) -> int:
    from grader.engine import measure
    from grader.engine.rebuild import images_as_floats
    from grader.engine.train import fit, prepare

    job = RetrainJob.model_validate_json((folder / JOB).read_bytes())
    with np.load(folder / DATA, allow_pickle=False) as arrays:
        data = Cifar10(**{n: arrays[n] for n in arrays.files}, source="", official=False)
    measure.prepare_devices()
    budget_s, speed = _budget(folder, job, data)
    prepare(job.recipe)
    try:
        built = _rebuilt(folder)
    except Unrebuildable as problem:
        print(problem.message, file=sys.stderr)
        return UNREBUILDABLE_STATUS
    history = fit(
        built.model,
        job.recipe,
        data,
        preprocess=images_as_floats,
        checkpoint_dir=folder / CHECKPOINT,
        budget_s=budget_s,
        fingerprint="retrain",
    )
    np.save(folder / LABELS, predicted_labels(built.model, data.test_images))
    device, version = measure.device()
    text = Retrained(
        history=history,
        budget_s=budget_s,
        reference_images_per_s=speed,
        notes=built.notes,
        device=device,
        version=version,
    ).model_dump_json()
    draft = folder / f".{RESULT}"
    draft.write_text(text, encoding="utf-8")
    draft.replace(folder / RESULT)
    return 0


def _rebuilt(folder: Path) -> Any:
    from grader.engine.rebuild import rebuild
    from grader.graph.canonicalise import canonicalise
    from grader.graph.record import check_graph, parse_network

    record = parse_network((folder / MODEL).read_bytes())
    constants = (folder / CONSTANTS).read_bytes()
    graphs = {
        mode: canonicalise(check_graph(graph, record.variables, constants))
        for mode, graph in record.graphs.items()
    }
    return rebuild(graphs["inference"], graphs.get("training"), record.variables)


def predicted_labels(model: Any, images: NDArray[Any]) -> NDArray[np.int64]:
    """Labels (N,) that a Keras model gives for what it eats, (N, H, W, C)."""
    from grader.engine.measure import labels_of

    parts = []
    for start in range(0, len(images), BATCH):
        part = images[start : start + BATCH].astype(np.float32)
        parts.append(labels_of(np.asarray(model.predict_on_batch(part), np.float32)))
    return np.concatenate(parts)


def _budget(folder: Path, job: RetrainJob, data: Cifar10) -> tuple[float, float | None]:
    """The budget in seconds, and the reference network's speed where it had to be measured.

    A run that is taken up keeps the budget that it began with.
    """
    if job.budget_s is not None:
        return job.budget_s, None
    assert job.reference_epochs is not None
    known = folder / "reference.txt"
    if not known.is_file():
        known.write_text(repr(reference_speed(data)), encoding="utf-8")
    speed = float(known.read_text(encoding="utf-8"))
    return job.reference_epochs * len(data.train_images) / speed, speed


def reference_speed(data: Cifar10, seconds: float = CALIBRATION_S) -> float:
    """Images per second of the reference network's training on this device, compiled."""
    from grader.engine.rebuild import images_as_floats
    from grader.engine.train import fit, prepare

    recipe = Recipe(epochs=1000, batch_size=64, optimizer=Optimizer(learning_rate=0.01))
    prepare(recipe)
    speeds: list[float] = []

    def note(event: Any) -> None:
        if isinstance(event, Progress) and event.images_per_s:
            speeds.append(event.images_per_s)

    fit(
        reference_network(),
        recipe,
        data,
        preprocess=images_as_floats,
        on_event=note,
        budget_s=seconds,
        evaluate_every=1000,
        measure_at_end=False,
    )
    return speeds[-1]


def reference_network(layers: int = 6, growth_rate: int = 12) -> Any:
    """BC L=40 k=12 for bytes as floats, written here so that a reference epoch never changes."""
    import keras
    from keras import layers as kl

    def convolution(x: Any, channels: int, size: int) -> Any:
        x = kl.ReLU()(kl.BatchNormalization()(x))
        return kl.Conv2D(
            channels, size, padding="same", use_bias=False, kernel_initializer="he_normal"
        )(x)

    inputs = keras.Input((32, 32, 3))
    x = kl.Rescaling(1 / 255)(inputs)
    x = kl.Conv2D(2 * growth_rate, 3, padding="same", use_bias=False)(x)
    for block in range(3):
        for _ in range(layers):
            new = convolution(convolution(x, 4 * growth_rate, 1), growth_rate, 3)
            x = kl.Concatenate()([x, new])
        if block < 2:
            x = kl.AveragePooling2D(2)(convolution(x, x.shape[-1] // 2, 1))
    x = kl.GlobalAveragePooling2D()(kl.ReLU()(kl.BatchNormalization()(x)))
    return keras.Model(inputs, kl.Dense(len(CLASS_NAMES), activation="softmax")(x))


if __name__ == "__main__":
    ended = _main(Path(sys.argv[1]))
    sys.stderr.flush()
    os._exit(ended)
