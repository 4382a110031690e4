"""Trains the rebuilt network by the student's recipe, under a budget, in a process of its own.

Property protected: the student is charged for training steps alone, by our clock, and always gets
the score of the last whole epoch: when the time, the memory or the machine ends the run, what was
reached is measured. No student code runs; the recipe is data.

    DIR/model.json, constants.bin, data.npz, job.json, checkpoint/  →  see `grader.engine.exchange`
"""

from __future__ import annotations

import os
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import model_validator

from grader.domain import Details, Measurement, Record, Spent, StopReason
from grader.engine import devices, exchange
from grader.engine.child import KILLED, Ended, child_environment
from grader.engine.devices import processor
from grader.engine.evaluate import count
from grader.engine.exchange import Answers, Labels, Status, confidence_of, labels_of
from grader.engine.gpu import Gpu, GpuUnwell, not_seen
from grader.engine.history import History, Progress
from grader.engine.images import ImageSet
from grader.engine.pictures import write_pictures
from grader.engine.plan import Unrebuildable
from grader.engine.recipe import Optimizer, Recipe, RecipeError
from grader.errors import Cause, InfrastructureError, StageFailed

MODEL, CONSTANTS, DATA, CHECKPOINT = "model.json", "constants.bin", "data.npz", "checkpoint"
TEST = "test"
"""Name of the only image set."""
CALIBRATION_S = 8.0
"""Seconds for which the reference network is trained to measure a device."""
REFERENCE = "BC L=40 k=12, batch 64"
"""The network that a reference epoch is an epoch of."""
OUTSIDE_S = 1800.0
"""Allowed for imports, compilation and evaluations, which are not charged."""
BATCH = 250
WATCH_S = 0.1
"""Between two looks at the memory that is held."""


class RetrainJob(Record):
    """What the child is asked for."""

    recipe: Recipe
    budget_s: float | None = None
    """Seconds of training steps; None where it is given in reference epochs."""
    reference_epochs: float | None = None
    """The budget as epochs of the reference network on this device."""
    deterministic: bool = False
    """Only kernels that give the same result each time."""
    memory_bytes: int | None = None
    """Memory of this machine that the training may take, on a CPU; None for all."""

    @model_validator(mode="after")
    def _one_budget(self) -> Self:
        if (self.budget_s is None) == (self.reference_epochs is None):
            raise ValueError("budget: expected seconds or reference epochs, and not both")
        return self


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
    beside: Spent = Spent()
    """Seconds beside those of the history."""
    others_share: float | None = None
    """Share of the processor that other programs took while steps ran; None where not known."""


# --- the parent ----------------------------------------------------------------------------


@dataclass(frozen=True)
class Described:
    """A network as the sandbox described it.

    Attributes:
        record: The run's "model" frame.
        constants: Its "constants:model" frame.
    """

    record: bytes
    constants: bytes = b""


@dataclass(frozen=True)
class Place:
    """Where a training runs.

    Attributes:
        folder: Holds the checkpoint and the exchange with the child.
        backend: "tensorflow" or "jax".
        gpu: The GPU that is leased; None keeps to the CPU.
    """

    folder: Path
    backend: str = "tensorflow"
    gpu: Gpu | None = None


def retrain_in_child(
    network: Described, job: RetrainJob, data: ImageSet, place: Place
) -> Measurement:
    """Train and measure a network; a run that was interrupted in the place's folder is taken up.

    Args:
        network: What is trained.
        job: How it is trained. On a GPU no limit of memory is kept.
        data: What it is trained and measured on.
        place: Where.

    Raises:
        StageFailed: The network cannot be rebuilt (names the operation), or needs more memory
            than it may take.
        InfrastructureError: The child failed before there was anything to measure, or somebody
            interrupted it.
    """
    folder = place.folder
    if place.gpu is not None:
        job = job.model_copy(update={"memory_bytes": None})
    folder.mkdir(parents=True, exist_ok=True)
    try:
        (folder / MODEL).write_bytes(network.record)
        (folder / CONSTANTS).write_bytes(network.constants)
        _write_data(folder / DATA, data)
        retrained, answers, ended_by = _to_the_end(job, place)
        _refuse_unmeasurable(retrained, job, place.gpu)
    except OSError as error:
        raise InfrastructureError(
            Cause.INFRA_DISK, f"the training could not write its files: {error}"
        ) from error
    finally:
        (folder / DATA).unlink(missing_ok=True)
    labels = answers.labels[TEST]
    found = _measurement(retrained, labels, data, job.recipe, ended_by)
    names = write_pictures(
        folder,
        confusion=found.details.confusion,
        classes=data.classes,
        epochs=found.details.epochs,
        mistakes=(data.test_images, data.test_labels, labels, answers.confidence),
    )
    details = found.details.model_copy(update={"pictures": names})
    return found.model_copy(update={"details": details})


def _write_data(path: Path, data: ImageSet) -> None:
    with path.open("wb") as stream:
        np.savez(
            stream,
            train_images=data.train_images,
            train_labels=data.train_labels,
            test_images=data.test_images,
            test_labels=data.test_labels,
            classes=np.array(data.classes),
        )


def _refuse_unmeasurable(found: Retrained, job: RetrainJob, gpu: Gpu | None) -> None:
    """A run that somebody interrupted, or that never took a step for want of memory."""
    history = found.history
    if history.stopped is StopReason.INTERRUPTED:
        raise InfrastructureError(
            Cause.INFRA_INTERRUPTED, "the training was interrupted", "Grade again: it goes on."
        )
    if history.stopped is StopReason.OUT_OF_MEMORY and not history.epochs:
        raise _too_large(job, gpu)


def _too_large(job: RetrainJob, gpu: Gpu | None) -> StageFailed | InfrastructureError:
    """Whose fault it is that the memory did not suffice."""
    if gpu is not None and gpu.was_in_use:
        return InfrastructureError(
            Cause.INFRA_GPU,
            f"the training ran out of memory on {gpu.name}, of which only"
            f" {gpu.free_bytes / 2**30:.0f} of {gpu.total_bytes / 2**30:.0f} GiB were free",
            "See with nvidia-smi who holds it, then grade again.",
        )
    allowed = gpu.total_bytes if gpu is not None else job.memory_bytes
    limit = "" if allowed is None else f" than {allowed / 2**30:.0f} GiB"
    return StageFailed(
        Cause.STUDENT_OUT_OF_MEMORY,
        f"the training needs more memory{limit}: a smaller batch_size (now"
        f" {job.recipe.batch_size}) or a smaller network needs less",
    )


def _to_the_end(job: RetrainJob, place: Place) -> tuple[Retrained, Answers, str]:
    """Run the child; where it dies it is taken up once, then its last checkpoint is measured."""
    folder, gpu = place.folder, place.gpu
    attempts = (job, job, job.model_copy(update={"budget_s": 0.0, "reference_epochs": None}))
    ended_by = ""
    for number, attempt in enumerate(attempts):
        ended, hung_s = _run_child(attempt, place)
        status, tail = ended.status, ended.tail
        if exchange.has_result(folder):
            found, answers = exchange.result_in(folder, Retrained, (TEST,))
            if gpu is not None and found.device == "CPU":
                raise not_seen(gpu.uuid)
            beside = found.beside.model_copy(update={"queue_s": ended.queue_s})
            found = found.model_copy(update={"beside": beside})
            return found, answers, ended_by if number == len(attempts) - 1 else ""
        if status == Status.REFUSED:
            raise StageFailed(Cause.STUDENT_FORBIDDEN_OP, exchange.refusal_in(folder))
        if status == Status.UNWELL:
            raise GpuUnwell(tail)
        ended_by = _how(ended, hung_s)
        if not (folder / CHECKPOINT / "checkpoint.npz").is_file():
            if status == Status.MEMORY:
                raise _too_large(job, gpu)
            break
    killed = status == KILLED
    raise InfrastructureError(
        Cause.INFRA_MEMORY if killed else Cause.INFRA_GPU if gpu else Cause.INFRA_TENSORFLOW,
        f"{ended_by}. {tail}",
        "Run grade doctor, then grade again.",
    )


def _how(ended: Ended, hung_s: float) -> str:
    """How a child ended that left no result."""
    if ended.status is None:
        return f"the training process hung and was ended after {hung_s:.0f} s"
    if ended.status == Status.MEMORY:
        return "the training needed more memory than it may take"
    return f"the training process ended with status {ended.status}"


def _run_child(job: RetrainJob, place: Place) -> tuple[Ended, float]:
    """How the child ended, and the seconds after which it would have been taken to hang."""
    budget = job.budget_s if job.budget_s is not None else 24 * 3600.0
    timeout_s = 3 * budget + OUTSIDE_S
    uuid = place.gpu.uuid if place.gpu is not None else None
    environment = child_environment(place.backend, uuid, deterministic=job.deterministic)
    ended = exchange.ask("grader.engine.retrain", place.folder, job, environment, timeout_s)
    return ended, timeout_s


def _measurement(
    found: Retrained,
    labels: Labels,
    data: ImageSet,
    recipe: Recipe,
    ended_by: str,
) -> Measurement:
    history = found.history
    confusion, correct, no_answer = count(labels, data.test_labels, len(data.classes))
    images = len(data.test_labels)
    seconds = history.times.training_s
    return Measurement(
        mode="retrain",
        images=images,
        of_images=images,
        correct=correct,
        wall_time_s=seconds,
        allowed_s=found.budget_s,
        device=f"{processor() if found.device == 'CPU' else found.device}, {found.version}",
        dataset=data.dataset,
        details=Details(
            summary=summary(found, correct / images, ended_by),
            stopped=history.stopped,
            advice=history.advice,
            epochs=history.epochs,
            times=Spent(**history.times.model_dump(), **found.beside.model_dump()),
            others_share=found.others_share,
            resumed_at=history.resumed_at,
            seed=recipe.seed,
            recipe_sha256=recipe.sha256,
            notes=found.notes,
            reference_images_per_s=found.reference_images_per_s,
            classes=data.classes,
            confusion=confusion,
            no_answer=no_answer,
        ),
    )


def summary(found: Retrained, accuracy: float, ended_by: str = "") -> str:
    """The run in a line: "stopped after 14.2 of 15.0 min, epoch 23: 86.1%"."""
    history = found.history
    spent, budget = history.times.training_s, found.budget_s
    unit, scale = ("min", 60.0) if max(spent, budget) >= 120 else ("s", 1.0)
    time = f"{spent / scale:.1f} of {budget / scale:.1f} {unit}"
    reached = f"{_standing(history)}: {accuracy:.1%}"
    if ended_by:
        return f"{ended_by}; last whole {reached}"
    if history.stopped is StopReason.FINISHED:
        return f"finished in {time}, {reached}"
    why = "" if history.stopped is StopReason.OUT_OF_TIME else f" ({history.stopped})"
    return f"stopped after {time}{why}, {reached}"


def _standing(history: History) -> str:
    """Whose weights were measured."""
    if history.epochs:
        return f"epoch {history.epochs[-1].number}"
    if history.stopped is StopReason.OUT_OF_TIME:
        return "within the first epoch"
    return "no whole epoch, untrained"


# --- the child -----------------------------------------------------------------------------


def _main(folder: Path) -> int:
    from grader.engine.rebuild import images_as_floats
    from grader.engine.train import fit, prepare

    job = exchange.job_in(folder, RetrainJob)
    with np.load(folder / DATA, allow_pickle=False) as arrays:
        fields = {name: arrays[name] for name in arrays.files}
    classes = tuple(map(str, fields.pop("classes")))
    data = ImageSet(**fields, source="", official=False, classes=classes)
    start = time.perf_counter()
    devices.prepare_devices(deterministic=job.deterministic)
    import_s = time.perf_counter() - start
    device, version = devices.device()
    start = time.perf_counter()
    budget_s, speed = _budget(folder, job, data)
    beside = Spent(import_s=import_s, calibration_s=time.perf_counter() - start)
    prepare(job.recipe)
    try:
        built = _rebuilt(folder)
    except Unrebuildable as problem:
        return exchange.refuse(folder, problem.message)
    try:
        if device != "CPU":
            devices.try_device()
        if job.memory_bytes is not None:
            watch_memory(job.memory_bytes)
        load = Load()
        history = fit(
            built.model,
            job.recipe,
            data,
            preprocess=images_as_floats,
            checkpoint_dir=folder / CHECKPOINT,
            budget_s=budget_s,
            fingerprint="retrain",
        )
        others_share = load.others_share() if device == "CPU" else None
        if device != "CPU":
            devices.try_device()
    except devices.Unwell as problem:
        print(problem, file=sys.stderr)
        return Status.UNWELL
    except RecipeError as problem:
        return exchange.refuse(folder, str(problem))
    answers = predict(built.model, data.test_images)
    found = Retrained(
        history=history,
        budget_s=budget_s,
        reference_images_per_s=speed,
        notes=built.notes,
        device=device,
        version=version,
        beside=beside,
        others_share=others_share,
    )
    said = Answers({TEST: labels_of(answers)}, confidence_of(answers))
    return exchange.leave(folder, found, said)


def _rebuilt(folder: Path) -> Any:
    from grader.engine.rebuild import rebuild
    from grader.graph.read.reader import canonicalise
    from grader.graph.record import check_graph, parse_network

    record = parse_network((folder / MODEL).read_bytes())
    constants = (folder / CONSTANTS).read_bytes()
    graphs = {
        mode: canonicalise(check_graph(graph, record.variables, constants))
        for mode, graph in record.graphs.items()
    }
    return rebuild(graphs["inference"], graphs.get("training"), record.variables)


def predict(model: Any, images: NDArray[Any]) -> NDArray[np.float32]:
    """Answers (N, classes) that a Keras model gives for what it eats, (N, H, W, C)."""
    parts = []
    for start in range(0, len(images), BATCH):
        part = images[start : start + BATCH].astype(np.float32)
        parts.append(np.asarray(model.predict_on_batch(part), np.float32))
    return np.concatenate(parts)


def watch_memory(more_bytes: int) -> None:
    """End this process, with a status that says so, when it holds so much more memory than now.

    A limit of the kernel's would do, but libraries answer a failed allocation with a crash, and
    without any limit the kernel ends whatever is largest on the machine. Only Linux can tell.
    """
    if sys.platform != "linux":
        return
    most = held_bytes() + more_bytes

    def watch() -> None:
        while held_bytes() <= most:
            time.sleep(WATCH_S)
        os._exit(Status.MEMORY)

    threading.Thread(target=watch, name="memory", daemon=True).start()


def held_bytes() -> int:
    """Memory of its own that this process holds."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith("RssAnon:"))


class Load:
    """How much of the processor other programs take from here on; of all cores, 0..1."""

    def __init__(self) -> None:
        self.before = self._now()

    @staticmethod
    def _now() -> tuple[float, float, float] | None:
        """Seconds of all cores that somebody worked, of all cores in all, and of this process."""
        try:
            words = Path("/proc/stat").read_text(encoding="ascii").splitlines()[0].split()[1:9]
        except (OSError, IndexError):
            return None
        ticks = [int(word) / os.sysconf("SC_CLK_TCK") for word in words]
        idle = ticks[3] + ticks[4]
        return sum(ticks) - idle, sum(ticks), time.process_time()

    def others_share(self) -> float | None:
        """None where the kernel does not tell, or too little time has passed to say."""
        after = self._now()
        if self.before is None or after is None or after[1] - self.before[1] < 1.0:
            return None
        worked, whole, own = (b - a for a, b in zip(self.before, after, strict=True))
        return min(1.0, max(0.0, (worked - own) / whole))


def _budget(folder: Path, job: RetrainJob, data: ImageSet) -> tuple[float, float | None]:
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


def reference_speed(data: ImageSet, seconds: float = CALIBRATION_S) -> float:
    """Images per second of the reference network's training on this device, compiled."""
    from grader.engine.rebuild import images_as_floats
    from grader.engine.train import fit, prepare

    recipe = Recipe(
        epochs=1000, batch_size=64, validation=0, optimizer=Optimizer(learning_rate=0.01)
    )
    prepare(recipe)
    speeds: list[float] = []

    def note(event: Any) -> None:
        if isinstance(event, Progress) and event.images_per_s:
            speeds.append(event.images_per_s)

    fit(
        reference_network(data.shape, len(data.classes)),
        recipe,
        data,
        preprocess=images_as_floats,
        on_event=note,
        budget_s=seconds,
        evaluate_every=1000,
        measure_at_end=False,
    )
    return speeds[-1]


def reference_network(
    shape: tuple[int, ...] = (32, 32, 3), classes: int = 10, layers: int = 6, growth_rate: int = 12
) -> Any:
    """BC L=40 k=12 for bytes as floats, written here so that a reference epoch never changes."""
    import keras
    from keras import layers as kl

    def convolution(x: Any, channels: int, size: int) -> Any:
        x = kl.ReLU()(kl.BatchNormalization()(x))
        return kl.Conv2D(
            channels, size, padding="same", use_bias=False, kernel_initializer="he_normal"
        )(x)

    inputs = keras.Input(shape)
    x = kl.Rescaling(1 / 255)(inputs)
    x = kl.Conv2D(2 * growth_rate, 3, padding="same", use_bias=False)(x)
    for block in range(3):
        for _ in range(layers):
            new = convolution(convolution(x, 4 * growth_rate, 1), growth_rate, 3)
            x = kl.Concatenate()([x, new])
        if block < 2:
            x = kl.AveragePooling2D(2)(convolution(x, x.shape[-1] // 2, 1))
    x = kl.GlobalAveragePooling2D()(kl.ReLU()(kl.BatchNormalization()(x)))
    return keras.Model(inputs, kl.Dense(classes, activation="softmax")(x))


if __name__ == "__main__":
    exchange.main(_main)
