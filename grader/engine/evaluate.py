"""Measures the accuracy of a submitted network on the test images: timed and counted.

Property protected: the accuracy is that of the network that was read, with the weights that came
out of the sandbox, counted by this process; labels never leave it. A machine that fails is an
InfrastructureError and never a low score.
"""

from __future__ import annotations

import math
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from grader.domain import Details, Measurement
from grader.engine import exchange, measure
from grader.engine.child import KILLED, Ended, child_environment
from grader.engine.devices import cores, installed, keras_backend, processor
from grader.engine.exchange import Answers, Status
from grader.engine.gpu import GpuUnwell, not_seen
from grader.engine.images import ImageSet
from grader.engine.looks import draw, further_sets, judge_looks, on_suspicion
from grader.engine.measure import Job, Measured, Runtime
from grader.engine.pictures import write_pictures
from grader.engine.plan import Plan
from grader.errors import Cause, InfrastructureError, StageFailed

OUT_OF_PROCESSOR_TIME = -24
"""How a child ends by SIGXCPU, which has this number on every Unix; see `limit_processor`."""
TEST_IMAGES = 10_000
"""Of CIFAR-10."""
OVERTIME = 2.0
"""The evaluation goes on to so many times its budget, so that the report can say by how much."""
BUSY = measure.BUSY
BATCH: dict[str, int] = {"openvino": 8, "tensorflow": 32, "xla": 32, "jax": 32}
"""Measured on two cores: benchmarks/results/. OpenVINO takes what is fastest up to this."""
GPU_BATCH = 500
Prepare = Callable[[NDArray[np.uint8]], Iterator[NDArray[np.float32]]]
"""Gives images (N, H, W, C) as a network wants them, some at a time."""
MAX_BATCH_BYTES = 2**28
"""The largest map of one batch."""
FASTEST = 1e11
"""Multiplications a second that no core exceeds: two AVX-512 units of 16 at 3 GHz make 9.6e10."""


_fastest: dict[tuple[str, str, int | None, str | None], int] = {}
"""Runtime, network, threads and GPU → images in one call that were fastest. A class hands in few
different networks, and to try costs a twentieth of an evaluation."""


def runtimes(backend: str = "auto", gpu: bool = False) -> tuple[Runtime, ...]:
    """The runtimes to try, the first that works wins.

    Args:
        backend: "auto", or one by name: "openvino", "tensorflow", "xla" or "jax".
        gpu: Whether a GPU computes.

    Raises:
        InfrastructureError: There is a GPU, and nothing that computes on it.
    """
    if backend != "auto":
        return (_runtime(backend),)
    if gpu:
        return (_runtime(keras_backend(backend, gpu)),)
    found = [_runtime(name) for name in ("openvino", "tensorflow", "jax") if installed(name)]
    return tuple(found) or ("tensorflow",)


def _runtime(name: str) -> Runtime:
    known: dict[str, Runtime] = {
        "openvino": "openvino", "tensorflow": "tensorflow", "xla": "xla", "jax": "jax"
    }  # fmt: skip
    if name not in known:
        raise ValueError(f"backend: expected one of {', '.join(known)}. Received: {name!r}.")
    return known[name]


def batch_for(plan: Plan, runtime: Runtime, gpu: bool = False) -> int:
    """Images in one call: the fastest measured, fewer where maps are very large."""
    largest = max(math.prod(i.shape) for i in plan.instructions)
    room = max(1, MAX_BATCH_BYTES // (4 * largest))
    return min(GPU_BATCH if gpu else BATCH[runtime], room)


def refuse_slow(
    plan: Plan, time_budget_s: float, images: int = TEST_IMAGES, threads: int | None = None
) -> None:
    """Refuse a network that no processor like this one could run in time, before anything runs.

    Args:
        plan: The network.
        time_budget_s: Seconds that all images together may take.
        images: How many are shown.
        threads: Threads of the runtime; None for one a core.

    Raises:
        StageFailed: Says how many multiplications an image it needs, and how many fit.
    """
    used = min(threads or cores(), cores())
    fit = int(time_budget_s * used * FASTEST / max(images, 1))
    if plan.multiplications > fit:
        raise StageFailed(
            Cause.STUDENT_TIMEOUT,
            f"build_model() needs {plan.multiplications:,} multiplications an image; at most"
            f" {fit:,} fit in {time_budget_s:g} s for {images:,} images. Hand in a smaller network:"
            " fewer layers or a smaller growth rate",
        )


def evaluate_in_child(
    plan: Plan,
    data: ImageSet,
    *,
    time_budget_s: float,
    backend: str = "auto",
    folder: Path | None = None,
    gpu: str | None = None,
    images: int | None = None,
    threads: int | None = None,
    prepare: Prepare | None = None,
) -> Measurement:
    """Measure a plan's accuracy on the test images, in a process of its own.

    Args:
        plan: The network with its weights, by `make_plan`.
        data: Its test images are shown; its labels stay here.
        time_budget_s: Seconds that the computation itself may take; it goes on for `OVERTIME` times
            as long.
        backend: See `runtimes`.
        folder: Where the exchange with the child is kept; None for a temporary folder.
        gpu: UUID of a leased GPU; None keeps to the CPU.
        images: Only the first so many test images; None for all.
        threads: Threads of the runtime; None for one a core.
        prepare: What becomes of the images before the plan sees them; None for nothing.

    Raises:
        InfrastructureError: The child failed for reasons of this machine.
        StageFailed: The network is too slow to be measured at all.
    """
    shown = data.test_images[:images]
    if gpu is None:
        refuse_slow(plan, time_budget_s, len(shown), threads)
    samples = draw(data, len(shown))
    ask = partial(
        predict_in_child,
        plan,
        stop_after_s=OVERTIME * time_budget_s,
        backend=backend,
        gpu=gpu,
        threads=threads,
        prepare=prepare,
    )
    answers, measured = ask({"test": shown, **further_sets(data, samples)}, folder=folder)
    labels = answers.labels
    looks = judge_looks(labels, data, samples)
    if looks is not None and looks.suspicions and (further := on_suspicion(data, samples)):
        # It is shown to a person anyway; without these it is told by fewer numbers.
        with suppress(InfrastructureError, StageFailed):
            more, _ = ask(further)
            looks = judge_looks({**labels, **more.labels}, data, samples) or looks
    if looks is None and measured.charged_s <= time_budget_s and len(labels["test"]) == len(shown):
        raise _starved(measured, "not all further images")
    found = counted(
        labels["test"],
        data.test_labels[: len(labels["test"])],
        measured,
        data,
        time_budget_s=time_budget_s,
        asked=len(shown),
        more=Details(multiplications_per_image=plan.multiplications, looks=looks),
    )
    if folder is None:
        return found
    names = _draw(folder, found, answers, data)
    details = found.details.model_copy(update={"pictures": names})
    return found.model_copy(update={"details": details})


def _draw(folder: Path, found: Measurement, answers: Answers, data: ImageSet) -> tuple[str, ...]:
    """Pictures beside the exchange; their names."""
    predicted = answers.labels["test"]
    return write_pictures(
        folder,
        confusion=found.details.confusion,
        classes=data.classes,
        mistakes=(
            data.test_images[: len(predicted)],
            data.test_labels[: len(predicted)],
            predicted,
            answers.confidence,
        ),
    )


def counted(
    predicted: NDArray[np.int64],
    labels: NDArray[np.int64],
    measured: Measured,
    data: ImageSet,
    *,
    time_budget_s: float,
    asked: int,
    more: Details,
) -> Measurement:
    """Count the images right.

    Args:
        predicted: One label an image, (N,); `NOT_A_NUMBER` is never right.
        labels: The true ones, (N,), from 0.
        measured: What the child said of itself.
        data: For the names of the data set and of its classes.
        time_budget_s: Seconds that were allowed.
        asked: Images that were to be shown.
        more: Further details.

    Raises:
        InfrastructureError: Images are missing, and not for the network's slowness.
    """
    confusion, correct, no_answer = count(predicted, labels, len(data.classes))
    images = len(labels)
    seconds, charged = measured.times.evaluation_s, measured.charged_s
    if images < asked and charged <= time_budget_s:
        raise _starved(measured, f"only {images} images")
    return Measurement(
        mode="weights",
        images=images,
        of_images=asked,
        correct=correct,
        wall_time_s=seconds,
        charged_s=charged,
        device=f"{processor() if measured.device == 'CPU' else measured.device}"
        f", {measured.version}",
        dataset=data.dataset,
        details=more.model_copy(
            update={
                "classes": data.classes,
                "confusion": confusion,
                "no_answer": no_answer,
                "images_per_s": images / seconds if seconds > 0 else None,
                "runtime": measured.runtime,
                "batch": measured.batch,
                "times": measured.times,
            }
        ),
    )


def _starved(measured: Measured, shown: str) -> InfrastructureError:
    """The clock ran out while the network itself was quick enough."""
    seconds = measured.times.evaluation_s + measured.times.further_s
    return InfrastructureError(
        Cause.INFRA_INTERRUPTED,
        f"other programs held the processor: in {seconds:.0f} s {shown} could be shown, for"
        f" {measured.charged_s:.0f} s of work on the test images",
        "Run it again when the machine is less busy.",
    )


def count(
    predicted: NDArray[np.int64], labels: NDArray[np.int64], classes: int
) -> tuple[tuple[tuple[int, ...], ...], int, int]:
    """Confusion table (true, predicted), images right, images without an answer."""
    if predicted.shape != labels.shape:
        raise InfrastructureError(
            Cause.INFRA_GRADER_BUG,
            f"the evaluation gave labels of shape {predicted.shape} for {len(labels)} images",
        )
    confusion = np.zeros((classes, classes), np.int64)
    known = (predicted >= 0) & (predicted < classes)
    np.add.at(confusion, (labels[known], predicted[known]), 1)
    table = tuple(tuple(map(int, row)) for row in confusion)
    return table, int(np.trace(confusion)), int(len(labels) - known.sum())


def predict_in_child(
    plan: Plan,
    sets: dict[str, NDArray[np.uint8]],
    *,
    stop_after_s: float,
    backend: str = "auto",
    folder: Path | None = None,
    gpu: str | None = None,
    threads: int | None = None,
    prepare: Prepare | None = None,
) -> tuple[Answers, Measured]:
    """Answers for image sets, from the first runtime that can run the plan.

    Args:
        plan: The network with its weights.
        sets: Images (N, H, W, C) uint8 by name; the first set is the timed one.
        stop_after_s: Seconds of computation, for all sets together, after which what is left is
            left undone.
        backend: See `runtimes`.
        folder: Kept where it is given, else temporary.
        gpu: UUID of a leased GPU.
        threads: Threads of the runtime; None for one a core.
        prepare: See `evaluate_in_child`.

    Raises:
        InfrastructureError: INFRA_TENSORFLOW, INFRA_MEMORY or INFRA_GPU; none could.
        StageFailed: The network used up its processor time; no other runtime is tried.
    """
    place = folder or Path(tempfile.mkdtemp(prefix="grade-evaluation-"))
    try:
        place.mkdir(parents=True, exist_ok=True)
        plan.save(place / measure.PLAN)
        for name, images in sets.items():
            _save(place / measure.images_file(name), images, prepare)
        problem: InfrastructureError | None = None
        for runtime in runtimes(backend, gpu is not None):
            kind = (runtime, plan.shape, threads, gpu)
            batch = _fastest.get(kind) or batch_for(plan, runtime, gpu is not None)
            job = Job(
                runtime=runtime,
                batch=batch,
                tried=kind in _fastest,
                threads=threads,
                sets=tuple(sets),
                stop_after_s=stop_after_s,
            )
            try:
                answers, measured = _ask_child(place, job, gpu)
                _fastest[kind] = measured.batch
                return answers, measured
            except InfrastructureError as error:
                problem = error
        assert problem is not None
        raise problem
    except OSError as error:
        raise InfrastructureError(
            Cause.INFRA_DISK, f"the evaluation could not write its files: {error}"
        ) from error
    finally:
        for name in sets:
            (place / measure.images_file(name)).unlink(missing_ok=True)
        if folder is None:
            shutil.rmtree(place, ignore_errors=True)


def _save(file: Path, images: NDArray[np.uint8], prepare: Prepare | None) -> None:
    """Write the images as the plan takes them, a batch at a time: prepared ones are floats."""
    if prepare is None:
        np.save(file, images)
        return
    found: Any = None
    at = 0
    for part in prepare(images):
        if found is None:
            shape = (len(images), *part.shape[1:])
            found = np.lib.format.open_memmap(file, "w+", np.float32, shape)
        found[at : at + len(part)] = part
        at += len(part)


def _ask_child(place: Path, job: Job, gpu: str | None) -> tuple[Answers, Measured]:
    timeout_s = measure.START_S + (BUSY + 1) * job.stop_after_s
    environment = child_environment(job.runtime, gpu)
    ended = exchange.ask("grader.engine.measure", place, job, environment, timeout_s)
    if not exchange.has_result(place):
        raise _crashed(job, ended, gpu, timeout_s)
    measured, answers = exchange.result_in(place, Measured, job.sets)
    if gpu is not None and measured.device == "CPU":
        raise not_seen(gpu)
    times = measured.times.model_copy(update={"queue_s": ended.queue_s})
    return answers, measured.model_copy(update={"times": times})


def _crashed(
    job: Job, ended: Ended, gpu: str | None, timeout_s: float
) -> InfrastructureError | StageFailed:
    status, tail = ended.status, ended.tail
    if status == OUT_OF_PROCESSOR_TIME:
        return StageFailed(
            Cause.STUDENT_TIMEOUT,
            "build_model() is too slow to be measured: it was still not done after"
            f" {measure.START_S:.0f} s for preparing it and {job.stop_after_s:.0f} s for its"
            " answers. Hand in a smaller network: fewer layers or a smaller growth rate",
        )
    if status is None:
        return InfrastructureError(
            Cause.INFRA_GPU if gpu else Cause.INFRA_TENSORFLOW,
            f"the evaluation with {job.runtime} hung and was ended after {timeout_s:.0f} s",
            "Run it again when the machine is less busy.",
        )
    if status == Status.UNWELL:
        return GpuUnwell(tail)
    if status in (Status.MEMORY, KILLED):
        return InfrastructureError(
            Cause.INFRA_MEMORY,
            f"the evaluation with {job.runtime} ran out of memory at {job.batch} images a step."
            f" {tail}",
            "Free memory on this machine, and run it again.",
        )
    return InfrastructureError(
        Cause.INFRA_GPU if gpu else Cause.INFRA_TENSORFLOW,
        f"the evaluation with {job.runtime} ended with status {status}. {tail}",
        "Run grade doctor, then grade again.",
    )
