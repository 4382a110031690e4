"""The child process that runs a plan on images and times it: `python -m grader.engine.measure DIR`.

Property protected: what happens here (an abort inside a runtime, memory that runs out, a driver
that hangs) ends this process and nothing else. It sees images and a plan; no label, no student, no
file but those of its folder. What it found is in place, whole, before it ends.

    DIR/plan.npz, job.json, images-NAME.npy    →    see `grader.engine.exchange`
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from grader.domain import Record, Spent
from grader.engine.devices import Unwell, cores, prepare_devices, try_device
from grader.engine.exchange import (
    Answers,
    Status,
    confidence_of,
    job_in,
    labels_of,
    leave,
    main,
)
from grader.engine.faster import faster
from grader.engine.plan import Plan

Runtime = Literal["openvino", "tensorflow", "xla", "jax"]
PLAN = "plan.npz"
CHUNK = 500
"""Images between two looks at the clock, at most: a runtime works on several at a time."""
GPU_CALLS = 20
"""Batches between two looks at the clock on a GPU: it has the next one at hand when one is done."""
LOOK_S = 1.0
"""Chunks grow as long as they take less, so that a slow network too is stopped on time."""
BUSY = 4.0
"""A computation goes on for so many seconds by the clock for each that it may be charged."""
START_S = 180.0
"""Allowed for starting Python, importing and compiling; not charged to the student."""


class Job(Record):
    """What the child is asked for."""

    runtime: Runtime
    batch: int
    """Images in one call; for OpenVINO at most, where it is tried how many are fastest."""
    tried: bool = False
    """Whether so many were fastest for such a network before: then no others are tried."""
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
    times: Spent
    """evaluation_s is the first set's, further_s that of the others."""

    @property
    def charged_s(self) -> float:
        """Seconds that the first set is charged."""
        charged = self.times.charged_s
        return self.times.evaluation_s if charged is None else charged


class Runner(Protocol):
    """A compiled plan."""

    batch: int
    version: str
    device: str

    def predict(self, images: NDArray[Any]) -> NDArray[np.float32]:
        """Answers (N, classes) for images (N, H, W, C)."""


def images_file(name: str) -> str:
    """Where an image set lies in the exchange."""
    return f"images-{name}.npy"


def open_runner(plan: Plan, job: Job) -> Runner:
    """Compile the plan for the runtime that the job names."""
    plan = faster(plan)
    if job.runtime == "openvino":
        from grader.engine.runner_openvino import OpenVinoRunner, fastest

        make = OpenVinoRunner if job.tried else fastest
        return make(plan, job.batch, job.threads)
    from grader.engine.runner_keras import KerasRunner

    return KerasRunner(plan, job.batch, {"tensorflow": None, "xla": True}.get(job.runtime))


def run_plan(plan: Plan, job: Job, sets: dict[str, NDArray[Any]]) -> tuple[Measured, Answers]:
    """Run a plan on image sets.

    Args:
        plan: What to run.
        job: How.
        sets: Images by name, in the job's order.

    Returns:
        What was measured, and what the network said.
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
    runner.predict(first[: runner.batch])
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
        batch=runner.batch,
        threads=job.threads,
        images=len(answers),
        times=Spent(**times),
    )
    return measured, Answers(found, confidence_of(answers))


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
    most = CHUNK if runner.device == "CPU" else GPU_CALLS * runner.batch
    chunk, largest = runner.batch, max(runner.batch, most // runner.batch * runner.batch)
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


def _lap(start: float) -> float:
    return time.perf_counter() - start


def _import(runtime: Runtime) -> None:
    """Import what a runtime needs, so that it can be timed apart."""
    if runtime == "openvino":
        import openvino  # noqa: F401
    else:
        prepare_devices()


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
    job = job_in(folder, Job)
    limit_processor(job)
    plan = Plan.load(folder / PLAN)
    sets = {name: np.load(folder / images_file(name), allow_pickle=False) for name in job.sets}
    data_s = _lap(start)
    try:
        measured, answers = run_plan(plan, job, sets)
    except MemoryError as error:
        print(f"out of memory: {error}", file=sys.stderr)
        return Status.MEMORY
    # Each runtime has its own exceptions for what it lacks and for memory; names tell them apart.
    except Exception as error:
        print(f"{type(error).__name__}: {error}"[-2000:], file=sys.stderr)
        kinds = {
            "Unsupported": Status.UNSUPPORTED,
            "ResourceExhaustedError": Status.MEMORY,
            Unwell.__name__: Status.UNWELL,
        }
        return kinds.get(type(error).__name__, 1)
    times = measured.times.model_copy(update={"data_s": data_s})
    return leave(folder, measured.model_copy(update={"times": times}), answers)


if __name__ == "__main__":
    main(_main)
