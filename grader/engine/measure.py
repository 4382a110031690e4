"""The child process that runs a plan on images and times it: `python -m grader.engine.measure DIR`.

Property protected: what happens here (an abort inside a runtime, memory that runs out, a driver
that hangs) ends this process and nothing else. It sees images and a plan; no label, no student, no
file but those of its folder. What it found is in place, whole, before it ends.

    DIR/plan.npz, job.json, images-NAME.npy    →    DIR/labels-NAME.npy, confidence.npy, result.json
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from grader.domain import Record
from grader.engine.child import stay_with_parent
from grader.engine.plan import Plan

Runtime = Literal["openvino", "tensorflow", "xla", "jax"]
JOB, RESULT, PLAN, CONFIDENCE = "job.json", "result.json", "plan.npz", "confidence.npy"
NOT_A_NUMBER = -1
"""The label of an image for which the network gave a NaN or an infinity: never right."""
CHUNK = 500
"""Images between two looks at the clock, at most: a runtime works on several at a time."""
LOOK_S = 1.0
"""Chunks grow as long as they take less, so that a slow network too is stopped on time."""
UNSUPPORTED_STATUS, MEMORY_STATUS, UNWELL_STATUS = 64, 65, 67
"""Exit statuses: the runtime lacks an operation; memory ran out; the GPU computes wrongly."""
BUSY = 4.0
"""A computation goes on for so many seconds by the clock for each that it may be charged."""
START_S = 180.0
"""Allowed for starting Python, importing and compiling; not charged to the student."""
PROBE_S = 1.0
"""A GPU is tried for so long before and after it is used."""
PROBE_SIDE = 1024
"""Of the matrices of the trial: large enough to use all of a GPU."""


class Job(Record):
    """What the child is asked for."""

    runtime: Runtime
    batch: int
    """Images in one call."""
    threads: int | None = None
    """None for as many as there are cores."""
    sets: tuple[str, ...] = ("test",)
    """Names of the image sets; the first is the one that is timed against the budget."""
    stop_after_s: float
    """Seconds charged, for all sets together, after which what is left is left undone."""


class Measured(Record):
    """What the child found; the labels lie beside it."""

    runtime: str
    version: str
    device: str
    batch: int
    threads: int | None
    images: int
    """Of the first set; fewer than asked for where the time was over."""
    times: dict[str, float]
    """Seconds: import_s, data_s, compilation_s, evaluation_s (the first set, by the clock),
    charged_s (what of that was this process's), further_s."""

    @property
    def charged_s(self) -> float:
        """Seconds that the first set is charged."""
        return self.times.get("charged_s", self.times["evaluation_s"])


class Runner(Protocol):
    """A compiled plan."""

    version: str
    device: str

    def predict(self, images: NDArray[Any]) -> NDArray[np.float32]:
        """Answers (N, classes) for images (N, H, W, C)."""


def open_runner(plan: Plan, job: Job) -> Runner:
    """Compile the plan for the runtime that the job names."""
    if job.runtime == "openvino":
        from grader.engine.runner_openvino import OpenVinoRunner

        return OpenVinoRunner(plan, job.batch, job.threads)
    from grader.engine.runner_keras import KerasRunner

    return KerasRunner(plan, job.batch, {"tensorflow": None, "xla": True}.get(job.runtime))


def measure(
    plan: Plan, job: Job, sets: dict[str, NDArray[Any]]
) -> tuple[Measured, dict[str, NDArray[np.int64]], NDArray[np.float32]]:
    """Run a plan on image sets.

    Args:
        plan: What to run.
        job: How.
        sets: Images by name, in the job's order.

    Returns:
        What was measured, labels (N,) int64 by name of the set, and how sure the network was of
        those of the first set, (N,) float32.
    """
    times: dict[str, float] = {}
    start = time.perf_counter()
    _import(job.runtime)
    times["import_s"] = _lap(start)
    start = time.perf_counter()
    runner = open_runner(plan, job)
    if runner.device != "CPU":
        try_device()
    # The first call still allocates; it is no part of what a network costs.
    first = sets[job.sets[0]]
    runner.predict(first[: job.batch])
    times["compilation_s"] = _lap(start)
    clock = Clock(job, runner.device)
    answers = _predict(runner, first, job, clock)
    times["evaluation_s"], times["charged_s"] = clock.spent_s, clock.charged_s
    found = {job.sets[0]: labels_of(answers)}
    for name in job.sets[1:]:
        # What one set leaves of the time is all that the next one has; none is left for ever.
        found[name] = labels_of(_predict(runner, sets[name], job, clock))
    times["further_s"] = clock.spent_s - times["evaluation_s"]
    if runner.device != "CPU":
        try_device()
    measured = Measured(
        runtime=job.runtime,
        version=runner.version,
        device=runner.device,
        batch=job.batch,
        threads=job.threads,
        images=len(answers),
        times=times,
    )
    return measured, found, confidence_of(answers)


@dataclass
class Clock:
    """The one clock of all image sets.

    Attributes:
        job: When time is over.
        device: What computes.
        spent_s: Seconds by the clock.
        worked_s: Processor seconds of all threads together.
    """

    job: Job
    device: str
    spent_s: float = 0.0
    worked_s: float = 0.0

    @property
    def charged_s(self) -> float:
        """Seconds charged so far."""
        return charge(self.spent_s, self.worked_s, self.device, self.job.threads)

    @property
    def is_over(self) -> bool:
        """Whether nothing more may be begun."""
        stop = self.job.stop_after_s
        return self.charged_s > stop or self.spent_s > BUSY * stop

    def run(self, work: Callable[[], Any]) -> tuple[Any, float]:
        """What a call gives, and its seconds."""
        start, busy = time.perf_counter(), time.process_time()
        result = work()
        taken = _lap(start)
        self.spent_s += taken
        self.worked_s += time.process_time() - busy
        return result, taken


def _predict(runner: Runner, images: NDArray[Any], job: Job, clock: Clock) -> NDArray[Any]:
    """Answers; fewer than images where the time was over."""
    parts = [np.zeros((0, 1), np.float32)]
    chunk, largest = job.batch, max(job.batch, CHUNK // job.batch * job.batch)
    begin = 0
    while begin < len(images) and not clock.is_over:
        shown = images[begin : begin + chunk]
        part, taken = clock.run(partial(runner.predict, shown))
        parts.append(part)
        begin += chunk
        if taken < LOOK_S:
            chunk = min(2 * chunk, largest)
    return np.concatenate(parts[1:] or parts)


def charge(spent_s: float, worked_s: float, device: str, threads: int | None = None) -> float:
    """Seconds to charge for a computation: those it would have taken with the cores for itself.

    On a machine that other programs use too, the clock runs on while a computation waits for a
    core. Processor seconds, shared out evenly over its threads, do not.

    Args:
        spent_s: Seconds by the clock.
        worked_s: Processor seconds of all threads together.
        device: "CPU", or a GPU, which is leased to one run and so is charged by the clock.
        threads: Threads that computed; None for one a core.
    """
    if device != "CPU":
        return spent_s
    return min(spent_s, worked_s / min(threads or cores(), cores()))


def cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class Unwell(Exception):
    """The device gave a wrong result."""


def try_device(seconds: float = PROBE_S, multiply: Callable[[Any, Any], Any] | None = None) -> None:
    """Multiply matrices of small whole numbers for a second, and compare with the true product.

    Such products are exact in every float type that a GPU may choose, so one bit of difference
    is a fault.

    Args:
        seconds: How long.
        multiply: The product on the device; None for Keras's.

    Raises:
        Unwell: A result is wrong.
    """
    if multiply is None:
        from keras import ops

        multiply = ops.matmul
    rng = np.random.default_rng(0)
    a, b = rng.integers(-4, 5, (2, PROBE_SIDE, PROBE_SIDE)).astype(np.float32)
    true = a @ b
    end = time.perf_counter() + seconds
    while True:
        found = np.asarray(multiply(a, b))
        if not np.array_equal(found, true):
            wrong = int(np.count_nonzero(found != true))
            raise Unwell(f"{wrong} of {true.size} numbers of a matrix product are wrong")
        if time.perf_counter() >= end:
            return


def labels_of(answers: NDArray[np.float32]) -> NDArray[np.int64]:
    """The class with the largest number; `NOT_A_NUMBER` where a number is none.

    argmax would take a NaN for the largest, so that a network which gives one for class 3 would be
    right on every image of class 3.
    """
    finite = np.all(np.isfinite(answers), axis=1)
    return np.where(finite, np.argmax(answers, axis=1), NOT_A_NUMBER).astype(np.int64)


def confidence_of(answers: NDArray[np.float32]) -> NDArray[np.float32]:
    """The probability (0..1) of the likeliest class, from probabilities or logits."""
    wide = np.nan_to_num(answers.astype(np.float64), nan=0.0, posinf=1e30, neginf=-1e30)
    if wide.size and np.all(wide >= 0) and np.allclose(wide.sum(1), 1, atol=1e-3):
        return np.asarray(wide.max(1), np.float32)
    shifted = np.exp(wide - wide.max(1, keepdims=True))
    return np.asarray(1 / shifted.sum(1), np.float32)


def _lap(start: float) -> float:
    return time.perf_counter() - start


def _import(runtime: Runtime) -> None:
    """Import what a runtime needs, so that it can be timed apart."""
    if runtime == "openvino":
        import openvino  # noqa: F401
    else:
        prepare_devices()


def prepare_devices(*, deterministic: bool = False) -> None:
    """Import the backend; let TensorFlow take GPU memory as it needs it, not all at once.

    Args:
        deterministic: Only kernels that give the same result each time; a seed must be set.
    """
    import keras

    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        for gpu in tf.config.list_physical_devices("GPU"):
            tf.config.experimental.set_memory_growth(gpu, True)
        if deterministic:
            tf.config.experimental.enable_op_determinism()


def device() -> tuple[str, str]:
    """The device that Keras computes on ("CPU" or a GPU's name), and the backend's version."""
    import keras

    if keras.backend.backend() == "jax":
        import jax

        first = jax.devices()[0]
        kind = "CPU" if first.platform == "cpu" else str(first.device_kind)
        return kind, f"JAX {jax.__version__}"
    import tensorflow as tf

    gpus = tf.config.list_physical_devices("GPU")
    details = tf.config.experimental.get_device_details(gpus[0]) if gpus else {}
    return str(details.get("device_name", "GPU" if gpus else "CPU")), f"TensorFlow {tf.__version__}"


def limit_processor(job: Job) -> None:
    """Let the kernel end this process when it has worked for longer than any job may.

    Compiling, and one call of a network, cannot be stopped from within. What ends by this limit was
    slow by itself, however busy the machine is: SIGXCPU is never the machine's fault.
    """
    if sys.platform == "win32":
        return
    import resource

    seconds = int(cores() * (START_S + job.stop_after_s))
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    own = seconds if hard == resource.RLIM_INFINITY else min(seconds, hard)
    resource.setrlimit(resource.RLIMIT_CPU, (own, hard))
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))


def _main(folder: Path) -> int:
    start = time.perf_counter()
    job = Job.model_validate_json((folder / JOB).read_bytes())
    limit_processor(job)
    plan = Plan.load(folder / PLAN)
    sets = {name: np.load(folder / f"images-{name}.npy", allow_pickle=False) for name in job.sets}
    data_s = _lap(start)
    try:
        measured, labels, confidence = measure(plan, job, sets)
    except MemoryError as error:
        print(f"out of memory: {error}", file=sys.stderr)
        return MEMORY_STATUS
    # Each runtime has its own exceptions for what it lacks and for memory; names tell them apart.
    except Exception as error:
        print(f"{type(error).__name__}: {error}"[-2000:], file=sys.stderr)
        kinds = {
            "Unsupported": UNSUPPORTED_STATUS,
            "ResourceExhaustedError": MEMORY_STATUS,
            "Unwell": UNWELL_STATUS,
        }
        return kinds.get(type(error).__name__, 1)
    for name, array in labels.items():
        np.save(folder / f"labels-{name}.npy", array)
    np.save(folder / CONFIDENCE, confidence)
    times = {"data_s": data_s, **measured.times}
    text = measured.model_copy(update={"times": times}).model_dump_json()
    draft = folder / f".{RESULT}"
    draft.write_text(text, encoding="utf-8")
    draft.replace(folder / RESULT)
    return 0


if __name__ == "__main__":
    stay_with_parent()
    status = _main(Path(sys.argv[1]))
    sys.stderr.flush()
    # A runtime's destructors may abort; there is nothing left that they could save.
    os._exit(status)
