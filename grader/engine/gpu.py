"""Lends GPUs, one run at a time, by UUID under a file lock; a sick one is set aside.

Property protected: two runs never share a GPU, and nobody is graded on one that was full, failing
or left dirty. Locks are the kernel's (flock), so a grader that is killed gives its GPU back; a
quarantine is a file beside the lock, which a person deletes when the GPU is well again.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from grader.errors import Cause, InfrastructureError, UsageError

NEED_BYTES = 4 * 2**30
"""Free memory that a run needs; BC L=100 k=12 at batch 64 trains in 3 GB."""
SLACK_BYTES = 512 * 2**20
"""A GPU that gives back less than it had, beyond this, is dirty."""
IN_USE_SHARE = 0.1
"""More of a GPU's memory than a driver and a desktop take."""
POLL_S = 1.0
Device = Literal["auto", "cpu", "gpu"]
DEVICE_ENVIRONMENT = "GRADER_DEVICE"
"""What --device is where nobody says; the image sets it to what it was built for."""
QUARANTINE = ".quarantine"


class GpuUnwell(InfrastructureError):
    """A leased GPU that computes wrongly; it is set aside when the lease ends.

    Args:
        message: What it did.
    """

    def __init__(self, message: str) -> None:
        super().__init__(Cause.INFRA_GPU, f"the GPU is unwell: {message}", "Look at nvidia-smi.")


@dataclass(frozen=True)
class Gpu:
    """One GPU as the driver describes it.

    Attributes:
        uuid: What CUDA_VISIBLE_DEVICES takes; stays the same whatever the order of the cards.
        name: The model.
        free_bytes: Memory nobody holds.
        total_bytes: Memory in all.
        errors: Uncorrected memory errors since the driver started; 0 where it does not count.
    """

    uuid: str
    name: str
    free_bytes: int
    total_bytes: int
    errors: int

    @property
    def was_in_use(self) -> bool:
        """Whether somebody else held a part of its memory when it was looked at."""
        return self.total_bytes - self.free_bytes > IN_USE_SHARE * self.total_bytes


def lock_folder() -> Path:
    """Where all graders of this machine keep their locks."""
    return Path(os.environ.get("GRADER_GPU_LOCKS", "/var/lock/grader-gpu"))


def asked_for(device: Device) -> str | None:
    """By what a GPU is asked for; None where nothing asks for one.

    Args:
        device: As given with --device or GRADER_DEVICE. With "auto", a container that was started
            for the NVIDIA runtime asks by NVIDIA_VISIBLE_DEVICES.
    """
    if device == "gpu":
        named = os.environ.get(DEVICE_ENVIRONMENT) == "gpu"
        return f"{DEVICE_ENVIRONMENT}=gpu" if named else "--device gpu"
    visible = os.environ.get("NVIDIA_VISIBLE_DEVICES", "")
    if device == "auto" and visible not in ("", "void", "none"):
        return f"NVIDIA_VISIBLE_DEVICES={visible[:80]}"
    return None


NO_GPU_HELP = (
    "In a container: start it with --gpus all, with the NVIDIA Container Toolkit on the host. "
    "Else look at what nvidia-smi says. --device cpu computes on the processor."
)


def require_device(device: Device, backend: str = "auto", nvml: Any = None) -> None:
    """Refuse before anything is graded where a GPU is asked for and none is there.

    Args:
        device: See `asked_for`.
        backend: As given with --backend.
        nvml: The pynvml module; None imports it.

    Raises:
        UsageError: The backend that was named never computes on a GPU.
        InfrastructureError: INFRA_GPU; no GPU is visible.
    """
    asker = asked_for(device)
    if asker is None:
        return
    if backend == "openvino":
        raise UsageError(
            f"--backend openvino computes on the processor, and {asker} asks for a GPU. "
            "Say --device cpu with it."
        )
    if not list_gpus(nvml):
        raise InfrastructureError(
            Cause.INFRA_GPU, f"{asker} asks for a GPU, and none is visible", NO_GPU_HELP
        )


def list_gpus(nvml: Any = None) -> list[Gpu]:
    """All GPUs of this machine, the one with most free memory first; empty without a driver.

    Args:
        nvml: The pynvml module; None imports it.
    """
    nvml = nvml or _pynvml()
    if nvml is None:
        return []
    try:
        nvml.nvmlInit()
    except nvml.NVMLError:
        return []
    try:
        handles = [nvml.nvmlDeviceGetHandleByIndex(i) for i in range(nvml.nvmlDeviceGetCount())]
        return sorted((_describe(nvml, h) for h in handles), key=lambda g: -g.free_bytes)
    except nvml.NVMLError as error:
        raise InfrastructureError(
            Cause.INFRA_GPU, f"the GPU driver does not answer: {error}", "Run nvidia-smi."
        ) from error
    finally:
        nvml.nvmlShutdown()


def _pynvml() -> Any:
    try:
        import pynvml
    except ImportError:
        return None
    return pynvml


def _describe(nvml: Any, handle: Any) -> Gpu:
    memory = nvml.nvmlDeviceGetMemoryInfo(handle)
    try:
        errors = nvml.nvmlDeviceGetTotalEccErrors(
            handle, nvml.NVML_MEMORY_ERROR_TYPE_UNCORRECTED, nvml.NVML_VOLATILE_ECC
        )
    except nvml.NVMLError:  # cards without error correction do not count
        errors = 0
    return Gpu(
        uuid=_text(nvml.nvmlDeviceGetUUID(handle)),
        name=_text(nvml.nvmlDeviceGetName(handle)),
        free_bytes=int(memory.free),
        total_bytes=int(memory.total),
        errors=int(errors),
    )


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value


def not_seen(gpu: str) -> InfrastructureError:
    """A GPU was lent and the runtime computed on the processor: no accuracy of that is a grade."""
    return InfrastructureError(
        Cause.INFRA_GPU,
        f"the driver shows GPU {gpu}, and the runtime does not see it",
        "Bring the NVIDIA driver up to date (grade doctor says what is seen), install "
        '"densenet-grader[gpu]", or compute on the processor with --device cpu.',
    )


@contextmanager
def lease(
    *,
    folder: Path | None = None,
    need_bytes: int = NEED_BYTES,
    wait_s: float = 0.0,
    nvml: Any = None,
) -> Iterator[Gpu]:
    """Hold one GPU for the length of the block; nobody else who asks here gets it.

    Args:
        folder: Where the locks lie; None for `lock_folder`.
        need_bytes: Free memory the run needs.
        wait_s: How long to wait while all are taken.
        nvml: The pynvml module; None imports it.

    Raises:
        InfrastructureError: INFRA_GPU; there is none, all are taken, full or set aside, or the one
            that was held came back dirty.
    """
    place = folder or lock_folder()
    place.mkdir(parents=True, exist_ok=True)
    gpu, lock = _acquire(place, need_bytes, wait_s, nvml)
    try:
        yield gpu
        _check_after(place, gpu, nvml)
    except GpuUnwell as problem:
        _set_aside(place, gpu, problem.message)
        raise
    finally:
        os.close(lock)


def _acquire(place: Path, need_bytes: int, wait_s: float, nvml: Any) -> tuple[Gpu, int]:
    deadline = time.monotonic() + wait_s
    while True:
        reasons = []
        for gpu in list_gpus(nvml):
            lock, reason = _try(place, gpu, need_bytes, nvml)
            if lock is not None:
                return gpu, lock
            reasons.append(f"{gpu.name} {gpu.uuid[:12]}: {reason}")
        if time.monotonic() >= deadline:
            text = "; ".join(reasons) or "this machine has no NVIDIA GPU, or no driver"
            raise InfrastructureError(
                Cause.INFRA_GPU, f"no GPU can be had: {text}", f"Wait, or look into {place}."
            )
        time.sleep(min(POLL_S, max(0.0, deadline - time.monotonic())))


def _try(place: Path, gpu: Gpu, need_bytes: int, nvml: Any) -> tuple[int | None, str]:
    """Lock one GPU and look at it again; the descriptor, or why not."""
    import fcntl

    if (place / f"{_file(gpu)}{QUARANTINE}").exists():
        return None, "set aside"
    lock = os.open(place / f"{_file(gpu)}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        return None, "taken"
    now = next((g for g in list_gpus(nvml) if g.uuid == gpu.uuid), None)
    if now is None or now.errors > 0:
        os.close(lock)
        _set_aside(place, gpu, "it has uncorrected memory errors" if now else "it is gone")
        return None, "set aside"
    if now.free_bytes < need_bytes:
        os.close(lock)
        return None, f"full: {now.free_bytes / 2**30:.1f} GiB free of {_gib(now)}"
    return lock, ""


def _gib(gpu: Gpu) -> str:
    return f"{gpu.total_bytes / 2**30:.0f} GiB"


def _file(gpu: Gpu) -> str:
    return "".join(c for c in gpu.uuid if c.isalnum() or c == "-")


def _check_after(place: Path, gpu: Gpu, nvml: Any) -> None:
    """A GPU must come back as it was lent; memory is given back within about a second."""
    problem = ""
    for attempt in range(3):
        now = next((g for g in list_gpus(nvml) if g.uuid == gpu.uuid), None)
        problem = _difference(gpu, now)
        if not problem:
            return
        if attempt < 2:
            time.sleep(POLL_S / 2)
    _set_aside(place, gpu, problem)
    raise InfrastructureError(
        Cause.INFRA_GPU,
        f"{gpu.name} {gpu.uuid}: {problem}; it was set aside",
        f"Look at it with nvidia-smi, then delete {place / (_file(gpu) + QUARANTINE)}.",
    )


def _difference(before: Gpu, after: Gpu | None) -> str:
    if after is None:
        return "it is gone"
    if after.errors > before.errors:
        return f"{after.errors - before.errors} uncorrected memory errors"
    held = before.free_bytes - after.free_bytes
    if held > SLACK_BYTES:
        return f"{held / 2**30:.1f} GiB of its memory were not given back"
    return ""


def _set_aside(place: Path, gpu: Gpu, reason: str) -> None:
    stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    text = f"{stamp} {gpu.name}: {reason}\n"
    (place / f"{_file(gpu)}{QUARANTINE}").write_text(text, encoding="utf-8")
