"""What this machine can do for grading, and how to get what it lacks.

Each examination is one function that never raises for a lack: a lack is a reading with a fix. Only
what makes grading impossible is "missing"; what makes it slower, weaker or partial is a "note".
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from zoneinfo import TZPATH, ZoneInfo, ZoneInfoNotFoundError, available_timezones

from grader.domain import LAPTOP_RECIPE, Record
from grader.errors import EXIT_GRADED, EXIT_INFRASTRUCTURE, AssignmentError, GraderError

if TYPE_CHECKING:
    from rich.console import Console

    from grader.assignment import DataSource
    from grader.engine.gpu import Device

LONGEST_MIN = 180.0
"""A training that takes longer wants a night, or another machine."""
OLDEST_PYTHON, NEWEST_PYTHON = (3, 11), (3, 13)
"""TensorFlow 2.21 has wheels for these."""
FIRST_YEAR, LAST_YEAR = 2026, 2100
"""A clock outside is wrong: the grader was written in the first."""
DISK_BYTES = 2 * 2**30
"""A class of 200 with its run directories and the unpacked CIFAR-10 took under 1 GiB."""
MEMORY_BYTES = 4 * 2**30
"""One evaluation with TensorFlow took under 3 GiB."""
ASK_TIMEOUT_S = 180.0

Status = Literal["ok", "note", "missing"]


class Reading(Record):
    """What one examination found."""

    name: str
    """What was looked at, one or two words."""
    status: Status
    """ok; note: grading works, with less; missing: grading is impossible."""
    found: str
    """What is there, or what is not."""
    fix: str = ""
    """What to do about a lack, one sentence; empty where nothing lacks."""


def examine(data: Path | None, assignment: Path, device: Device = "auto") -> list[Reading]:
    """Look at this machine.

    Args:
        data: Where the images should be, as given with --data.
        assignment: Folder with assignment.toml.
        device: Where the accuracy is to be computed, as given with --device.

    Returns:
        All readings, in the order they are shown. TensorFlow and JAX are looked at in
        processes of their own.
    """
    source = _images_of(assignment)
    return [
        _python(),
        *_tensorflow(),
        _gpus(device),
        _opencv(),
        _own_code(),
        *_isolation(),
        *([_data(data, source)] if source is not None else []),
        _assignment(assignment),
        _course_key(),
        _disk(),
        _memory(),
        _clock(),
        _zones(),
    ]


# --- software ---------------------------------------------------------------------------------


def _python() -> Reading:
    found = f"{platform.python_version()} on {platform.system()} {platform.machine()}"
    if OLDEST_PYTHON <= sys.version_info[:2] <= NEWEST_PYTHON:
        return Reading(name="Python", status="ok", found=found)
    return Reading(
        name="Python",
        status="missing",
        found=found,
        fix="Install Python 3.11, 3.12 or 3.13 and install the grader there.",
    )


_ASK_TENSORFLOW = """
import json, time, keras, tensorflow as tf
with tf.device("CPU"):
    images, kernel = tf.ones([64, 32, 32, 64]), tf.ones([3, 3, 64, 32])
    convolve = tf.function(lambda: tf.reduce_sum(tf.nn.conv2d(images, kernel, 1, "SAME")))
    times = [time.perf_counter() for _ in range(12) if convolve().numpy()]
best = min(b - a for a, b in zip(times, times[1:]))
print(json.dumps({"versions": f"TensorFlow {tf.__version__}, Keras {keras.__version__}",
                  "rate": 64 * 32 * 32 * 9 * 64 * 32 / best}))
"""
"""Versions, and the multiplications a second in a convolution on the processor, best of eleven."""
_ASK_JAX = """
import json, jax
print(json.dumps([d.device_kind for d in jax.devices() if d.platform != "cpu"]))
"""


def _tensorflow() -> list[Reading]:
    """TensorFlow with Keras, which student code runs with, and how fast it trains here."""
    told, why = _ask(_ASK_TENSORFLOW)
    if told is not None:
        found = Reading(name="TensorFlow", status="ok", found=str(told["versions"]))
        return [found, _training(told["rate"])]
    lacks = Reading(
        name="TensorFlow",
        status="missing",
        found=f"cannot be imported: {why}",
        fix=_HAS_NO_TENSORFLOW.get((sys.platform, platform.machine()))
        or 'pip install "densenet-grader[cpu]", or [gpu] with an NVIDIA GPU under Linux. Without '
        "it no student code runs here; grade evaluate, regrade and report do, with JAX.",
    )
    return [lacks]


def _training(rate: float) -> Reading:
    """The recipe that this processor can train by, and about how long it takes.

    Args:
        rate: Multiplications a second in a convolution.
    """
    from grader.engine.cost import LAPTOP, TRAINED

    minutes = LAPTOP / (rate * TRAINED) / 60
    about = f"{minutes:.0f} min" if minutes < 100 else f"{minutes / 60:.0f} hours"
    found = f"about {about} on the processor by {LAPTOP_RECIPE}; a GPU is faster by far"
    if minutes <= LONGEST_MIN:
        return Reading(name="Training", status="ok", found=found)
    return Reading(
        name="Training",
        status="note",
        found=found,
        fix="Train over night, on another machine, or on a GPU in Google Colab"
        " (colab.research.google.com).",
    )


_HAS_NO_TENSORFLOW = {
    ("darwin", "x86_64"): "TensorFlow 2.21 has no build for Macs with an Intel processor. Work in "
    "Google Colab (colab.research.google.com), or on another machine.",
    ("win32", "ARM64"): "TensorFlow 2.21 has no build for Windows on ARM. Work in WSL 2 "
    "(wsl --install), or in Google Colab (colab.research.google.com).",
}
"""What `sys.platform` and `platform.machine()` say where no TensorFlow can be installed."""


def _ask(program: str) -> tuple[Any, str]:
    """What a program with heavy imports prints, in a process of its own; or why it does not."""
    environment = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3", "KERAS_BACKEND": "tensorflow"}
    try:
        asked = subprocess.run(
            [sys.executable, "-I", "-c", program],
            capture_output=True,
            encoding="utf-8",
            errors="replace",  # what libraries say, in whatever encoding this system has
            timeout=ASK_TIMEOUT_S,
            env=environment,
            check=True,
        )
        return json.loads(asked.stdout.splitlines()[-1]), ""
    except subprocess.CalledProcessError as error:
        return None, (error.stderr.strip().splitlines() or [f"exit status {error.returncode}"])[-1]
    except (OSError, subprocess.TimeoutExpired, ValueError, IndexError) as error:
        return None, str(error)


def _gpus(device: Device = "auto") -> Reading:
    """The GPUs that JAX sees, which computes on them."""
    from grader.engine.devices import installed

    has_driver = shutil.which("nvidia-smi") is not None
    seen = _ask(_ASK_JAX)[0] if has_driver and installed("jax") else None
    with_cuda = installed("jax_cuda13_plugin") or installed("jax_cuda12_plugin")
    return _gpu(seen or [], with_cuda, device)


def _gpu(gpus: Sequence[str], built_with_cuda: bool, device: Device = "auto") -> Reading:
    """The GPUs; one that is asked for and not there is no matter of speed."""
    from grader.engine.gpu import NO_GPU_HELP, asked_for

    if gpus:
        return Reading(name="GPU", status="ok", found=", ".join(gpus))
    asker = asked_for(device)
    if asker is not None and not shutil.which("nvidia-smi"):
        found = f"{asker} asks for one, and none is visible"
        return Reading(name="GPU", status="missing", found=found, fix=NO_GPU_HELP)
    if not shutil.which("nvidia-smi"):
        return Reading(name="GPU", status="note", found="none; evaluation runs on the CPU")
    fix = (
        "Bring the NVIDIA driver up to date (CUDA 13 wants 580 or newer), or in a container start "
        "it with --gpus all."
        if built_with_cuda
        else 'pip install "densenet-grader[gpu]".'
    )
    return Reading(
        name="GPU",
        status="note" if asker is None else "missing",
        found="a driver is here, but JAX sees no GPU",
        fix=fix,
    )


def _opencv() -> Reading:
    from importlib.metadata import PackageNotFoundError, version

    for package in ("opencv-python-headless", "opencv-python"):
        try:
            return Reading(name="OpenCV", status="ok", found=f"{package} {version(package)}")
        except PackageNotFoundError:
            continue
    return Reading(
        name="OpenCV",
        status="note",
        found="not installed; reports come without pictures",
        fix='pip install "densenet-grader[server]", or [student] on a desktop.',
    )


# --- isolation --------------------------------------------------------------------------------


_READY = {
    "jail": "holds: Landlock and seccomp were tried on this kernel",
    "docker": "the engine answers and has the image",
}


def _provider(kind: Literal["docker", "jail"]) -> Reading:
    """Ask a sandbox provider itself; it knows what it needs and how to get it."""
    from grader.sandbox import open_sandbox

    try:
        open_sandbox(kind).close()
    except GraderError as error:
        lack = f"{error} {getattr(error, 'help', '')}".strip()
        return Reading(name=kind, status="note", found="not available", fix=lack)
    return Reading(name=kind, status="ok", found=_READY[kind])


def _own_code() -> Reading:
    """Where `check`, `train` and `pack` run the code of whoever wrote it."""
    from grader.sandbox import sandbox_for_own_code

    found = {
        "plain": "grade check, train and pack run it in a plain process, which needs no sandbox",
        "process": "grade check and pack run it in a process with limits",
        "auto": "grade check and pack run it in the sandbox of the grading",
    }
    return Reading(name="own code", status="ok", found=found[sandbox_for_own_code()])


def _isolation() -> list[Reading]:
    """The sandboxes, and which of them --sandbox auto takes for other people's code."""
    from grader.sandbox import open_sandbox

    kinds: list[Literal["docker", "jail"]] = ["docker"]
    if sys.platform == "linux":
        kinds.insert(0, "jail")
    each = [_provider(kind) for kind in kinds]
    try:
        sandbox = open_sandbox("auto")
    except GraderError as error:
        found = "none: grade refuses to run other people's code here"
        fix = _SANDBOX_ELSEWHERE.get(sys.platform) or getattr(error, "help", "")
        return [*each, Reading(name=ISOLATION, status="note", found=found, fix=fix)]
    sandbox.close()
    found = f"--sandbox auto takes {sandbox.isolation}"
    return [*each, Reading(name=ISOLATION, status="ok", found=found)]


ISOLATION = "isolation"
_SANDBOX_ELSEWHERE = {
    "win32": "To grade other people's work, install the grader in WSL 2 (wsl --install), or start "
    "Docker and build its image. Your own work needs neither.",
    "darwin": "To grade other people's work, start Docker and build its image. Your own work needs "
    "none.",
}


# --- data and configuration -------------------------------------------------------------------


def _images_of(folder: Path) -> DataSource | None:
    """The images that an assignment measures on; those of the one that ships where it is wrong."""
    from grader.assignment import load_assignment
    from grader.engine.data import CIFAR10

    try:
        return load_assignment(folder).data
    except GraderError:
        return CIFAR10


def _data(folder: Path | None, source: DataSource) -> Reading:
    from grader.engine.data import NoData, find_images, title_of

    name = title_of(source)
    try:
        found = find_images(folder, source)
    except GraderError as error:
        return Reading(name=name, status="note", found=str(error), fix=getattr(error, "help", ""))
    if isinstance(found, NoData):
        return Reading(
            name=name,
            status="note",
            found=f"{found.reason} The accuracy cannot be measured.",
            fix="Put it into a folder and name that with --data or GRADER_DATA, or let Keras "
            "download it with grade fetch on a machine that is connected.",
        )
    kind = "the official images" if found.official else "not bit for bit the official images"
    return Reading(name=name, status="ok", found=f"{found.source}: {kind}")


def _assignment(folder: Path) -> Reading:
    from grader.assignment import load_assignment
    from grader.checks import CHECKS
    from grader.classroom.extensions import load_extensions
    from grader.scoring.accuracy import ACCURACY

    try:
        assignment = load_assignment(folder, [*(check.name for check in CHECKS), ACCURACY])
        assignment.require_key()
        for i, network in enumerate(assignment.networks):
            try:
                for reference in network.same_as:
                    reference.file(assignment.file.parent)
            except ValueError as lack:
                raise AssignmentError(f"{assignment.file}: networks.{i}.same_as: {lack}") from lack
        for i, asked in enumerate(assignment.functions):
            try:
                asked.reference_files(assignment.file.parent)
            except ValueError as lack:
                raise AssignmentError(f"{assignment.file}: functions.{i}.same_as: {lack}") from lack
        load_extensions(assignment)
    except GraderError as error:
        return Reading(name="assignment", status="missing", found=str(error), fix="Mend the file.")
    due = assignment.deadline.due
    return Reading(
        name="assignment", status="ok", found=f"{assignment.title}, due {due.isoformat()}"
    )


# --- machine ----------------------------------------------------------------------------------


def _course_key() -> Reading:
    """Where the course key lies, and its id; never the key, and none is made."""
    from grader.ledger.key import default_key_path, load_key

    try:
        place = default_key_path()
        key = load_key(place)
    except GraderError as error:
        fix = "Restore it from a backup, or name another with GRADER_KEY_FILE."
        return Reading(name="course key", status="missing", found=str(error), fix=fix)
    if key is None:
        return Reading(
            name="course key",
            status="note",
            found=f"none yet; the first grading makes {place}",
            fix="Where the course has one, copy it there; it draws probes and seals grades.",
        )
    return Reading(name="course key", status="ok", found=f"{key.id} in {place}; keep a copy")


def _disk() -> Reading:
    places = {"here": Path.cwd(), "temporary files": Path(tempfile.gettempdir())}
    free = {name: shutil.disk_usage(place).free for name, place in places.items()}
    found = ", ".join(f"{_gib(size)} free {name}" for name, size in free.items())
    if min(free.values()) >= DISK_BYTES:
        return Reading(name="disk", status="ok", found=found)
    return Reading(
        name="disk",
        status="note",
        found=found,
        fix=f"Free {_gib(DISK_BYTES)}, or name another place with --results and TMPDIR.",
    )


def _memory() -> Reading:
    total = _memory_bytes()
    if total is None:
        return Reading(name="memory", status="note", found="this system does not tell")
    if total >= MEMORY_BYTES:
        return Reading(name="memory", status="ok", found=_gib(total))
    return Reading(
        name="memory",
        status="note",
        found=_gib(total),
        fix=f"Grade on a machine with {_gib(MEMORY_BYTES)}, or with --no-evaluation.",
    )


def _memory_bytes() -> int | None:
    """What this process may use: the container's limit where there is one, else the machine's."""
    try:
        total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):  # Windows
        return None
    try:
        limit = int(Path("/sys/fs/cgroup/memory.max").read_text())
    except (OSError, ValueError):  # no control groups, or "max"
        return total
    return min(total, limit)


def _clock() -> Reading:
    now = datetime.now().astimezone()
    found = now.isoformat(timespec="seconds")
    if FIRST_YEAR <= now.year < LAST_YEAR:
        return Reading(name="clock", status="ok", found=found)
    return Reading(
        name="clock",
        status="missing",
        found=f"{found} cannot be right",
        fix="Set the machine's clock: receipt times and deadlines depend on it.",
    )


def _zones() -> Reading:
    try:
        ZoneInfo("Asia/Kolkata")
    except ZoneInfoNotFoundError:
        return Reading(
            name="time zones",
            status="missing",
            found="no zone database",
            fix="pip install tzdata, or install the system's tzdata package.",
        )
    where = next((path for path in TZPATH if Path(path).is_dir()), "the tzdata package")
    return Reading(
        name="time zones", status="ok", found=f"{len(available_timezones())} from {where}"
    )


def _gib(size: int) -> str:
    return f"{size / 2**30:.1f} GiB"


# --- telling ----------------------------------------------------------------------------------

_STYLE = {"ok": "green", "note": "yellow", "missing": "bold red"}


def show(readings: Sequence[Reading], console: Console, as_json: bool) -> int:
    """Print the readings.

    Args:
        readings: From `examine`.
        console: Where to.
        as_json: One JSON object in place of the table.

    Returns:
        The exit status: 0, or 3 where something is missing without which nothing can be graded.
    """
    whole = all(reading.status != "missing" for reading in readings)
    walled = all(r.status == "ok" for r in readings if r.name == ISOLATION)
    if as_json:
        told = {
            "schema_version": 1,
            "can_grade": whole and walled,
            "can_check_own_work": whole,
            "readings": [reading.model_dump() for reading in readings],
        }
        console.file.write(json.dumps(told, indent=2, ensure_ascii=False) + "\n")
    else:
        _print_table(readings, _verdict(whole, walled), console)
    return EXIT_GRADED if whole else EXIT_INFRASTRUCTURE


def _verdict(whole: bool, walled: bool) -> str:
    if not whole:
        return "This machine cannot grade yet."
    if not walled:
        return "This machine can check, train and pack your own work, and grades nobody else's."
    return "This machine can grade."


def _print_table(readings: Sequence[Reading], verdict: str, console: Console) -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, padding=(0, 2, 0, 0), show_header=False)
    for reading in readings:
        words = Text(reading.found)
        if reading.fix:
            words.append(f"\n{reading.fix}", style="italic")
        status = Text(reading.status, style=_STYLE[reading.status])
        table.add_row(status, Text(reading.name, style="bold"), words)
    console.print(table)
    console.print(Text(verdict, style="bold"))
