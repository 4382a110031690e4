"""Starts the processes that compute, one at a time on the CPU, and lets none outlive the grader.

Property protected: a grader that is killed leaves nothing behind that goes on computing or writes
into a run directory which the next grader has taken up.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from contextlib import nullcontext
from pathlib import Path
from typing import NamedTuple

import grader

ONE_AT_A_TIME = threading.Lock()
"""Two computations on the same cores would each be charged for the other."""
PARENT = "GRADER_PARENT"
"""The process id without which a child has nobody to compute for."""
TAIL_BYTES = 600
_CHATTER = re.compile(r"[IW]\d{4} |[IW]0000 |WARNING: All log messages before absl")


class Ended(NamedTuple):
    """How a child ended."""

    status: int | None
    """Exit status, negative for a signal; None where it hung and was ended."""
    tail: str
    """The last it said on standard error."""
    queue_s: float
    """Seconds it waited for its turn; charged to nobody."""


def run_child(module: str, folder: Path, environment: dict[str, str], timeout_s: float) -> Ended:
    """Run `python -m MODULE FOLDER` to its end.

    Args:
        module: Its `__main__` calls `stay_with_parent` first.
        folder: The exchange with it.
        environment: By `child_environment`; a GPU in it is leased, so nobody waits for the CPU.
        timeout_s: Seconds after which it hangs.
    """
    start = time.perf_counter()
    on_gpu = bool(environment["CUDA_VISIBLE_DEVICES"])
    with nullcontext() if on_gpu else ONE_AT_A_TIME:
        queue_s = time.perf_counter() - start
        try:
            ended = subprocess.run(
                [sys.executable, "-P", "-m", module, str(folder)],
                env={**environment, PARENT: str(os.getpid())},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                timeout=timeout_s,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return Ended(None, "", queue_s)
    return Ended(ended.returncode, _tail(ended.stderr), queue_s)


def _tail(stderr: bytes) -> str:
    """The last that was said, without what TensorFlow says of itself at each start."""
    lines = stderr.decode("utf-8", "replace").splitlines()
    return "\n".join(line for line in lines if not _CHATTER.match(line)).strip()[-TAIL_BYTES:]


def child_environment(
    runtime: str, gpu: str | None, *, deterministic: bool = False
) -> dict[str, str]:
    """The environment of a child that computes: this one, with the backend and device chosen.

    Args:
        runtime: "jax" chooses JAX, everything else TensorFlow.
        gpu: UUID of a leased GPU; None keeps to the CPU.
        deterministic: Only kernels that give the same result each time.
    """
    flags = os.environ.get("XLA_FLAGS", "")
    if deterministic:
        # TensorFlow is told by a call; XLA reads it here.
        flags = f"{flags} --xla_gpu_deterministic_ops=true".strip()
    return {
        **os.environ,
        # -P keeps the working folder off the path; this puts the grader itself on it.
        "PYTHONPATH": str(Path(grader.__file__).parents[1]),
        "TF_CPP_MIN_LOG_LEVEL": os.environ.get("TF_CPP_MIN_LOG_LEVEL", "2"),
        "KERAS_BACKEND": "jax" if runtime == "jax" else "tensorflow",
        "CUDA_VISIBLE_DEVICES": gpu or "",
        # A GPU that is not lent is not looked for, and of one that is, JAX takes what it needs.
        **({} if gpu else {"JAX_PLATFORMS": "cpu"}),
        "XLA_PYTHON_CLIENT_PREALLOCATE": os.environ.get("XLA_PYTHON_CLIENT_PREALLOCATE", "false"),
        "XLA_FLAGS": flags,
    }


KILLED = -getattr(signal, "SIGKILL", 9)
"""The status of a child that the system ended; Windows has no such signal, nor such a status."""


def stay_with_parent() -> None:
    """In the child: end with the grader that started this, however that ends.

    Only Linux can promise it; elsewhere a child goes on to its own end.
    """
    if sys.platform != "linux":
        return
    from grader.inside import kernel

    kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGKILL)
    # It may have died before the kernel was asked to tell.
    if str(os.getppid()) != os.environ.get(PARENT, str(os.getppid())):
        os._exit(1)
