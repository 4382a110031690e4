"""What a process computes on, processor or GPU: which it is, and whether it is well."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from grader.errors import Cause, InfrastructureError

PROBE_S = 1.0
"""A GPU is tried for so long before and after it is used."""
PROBE_SIDE = 1024
"""Of the matrices of the trial: large enough to use all of a GPU."""


def installed(package: str) -> bool:
    """Whether a package is there; it is not imported."""
    return find_spec(package) is not None


def keras_backend(asked: str, gpu: bool) -> str:
    """Keras's backend for what is trained, and on a GPU for what is evaluated.

    Args:
        asked: As given with --backend.
        gpu: Whether a GPU computes. Then it is JAX unless another one is asked for.

    Raises:
        InfrastructureError: There is a GPU, and nobody asked for anything but JAX, which is not
            installed.
    """
    if asked in ("tensorflow", "xla"):
        return "tensorflow"
    if asked == "jax":
        return "jax"
    if gpu and not installed("jax"):
        raise InfrastructureError(
            Cause.INFRA_GPU,
            "there is a GPU, and JAX, which computes on it, is not installed",
            'pip install "densenet-grader[gpu]". Or compute on the processor with --device cpu, or '
            "by a TensorFlow that has CUDA with --backend tensorflow.",
        )
    return "jax" if gpu or not installed("tensorflow") else "tensorflow"


def cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def processor() -> str:
    """The processor's name and the cores this process may use."""
    name = "CPU"
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        name = next(
            line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")
        )
    except (OSError, StopIteration):
        pass
    count = cores()
    return f"{name}, {count} core{'s' if count != 1 else ''}"


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
