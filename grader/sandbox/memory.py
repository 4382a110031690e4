"""How much memory a process takes, on every system, and how ours gives back what it took."""

from __future__ import annotations

import ctypes
import gc
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_PAGE = 4096
_ASK_S = 2.0
_COLLECT_AFTER = 1_000_000
"""New objects after which Python looks for cycles among the youngest; its own number is 700."""


def memory_of(process: subprocess.Popen[bytes]) -> int:
    """Bytes that a process has in memory now; 0 where it cannot be told."""
    system: str = sys.platform
    try:
        if system == "win32":
            return _on_windows(int(vars(process)["_handle"]))
        if system == "linux":
            pages = Path(f"/proc/{process.pid}/statm").read_text(encoding="ascii").split()[1]
            return int(pages) * _PAGE
        return _as_ps_says(process.pid)
    except (OSError, ValueError, LookupError, AttributeError, subprocess.SubprocessError):
        return 0


@contextmanager
def seldom_collected() -> Iterator[None]:
    """Look for cycles of dead objects seldom, and not among what stands when the block begins.

    Reading a network makes many objects and few cycles: looking for them took a sixth of its time
    (measured). `give_memory_back` looks after each submission.
    """
    before = gc.get_threshold()
    gc.freeze()
    gc.set_threshold(_COLLECT_AFTER, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()


def give_memory_back() -> None:
    """Free dead cycles, and return to the system what the C library would keep.

    After some networks glibc kept 200 MB, for ever (measured; trimmed, 321 MB became 105).
    """
    gc.collect(1)  # What a reading made is young still, unless another one ended meanwhile.
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # musl has none, and keeps nothing
        if trim is not None:
            trim(0)


def _as_ps_says(pid: int) -> int:
    """`ps` of macOS and of every other Unix: kibibytes."""
    command = ["ps", "-o", "rss=", "-p", str(pid)]
    told = subprocess.run(command, capture_output=True, timeout=_ASK_S, check=True)
    return int(told.stdout) * 1024


class _Counters(ctypes.Structure):
    """PROCESS_MEMORY_COUNTERS of psapi.h."""

    _fields_ = [
        ("cb", ctypes.c_uint32),
        ("PageFaultCount", ctypes.c_uint32),
        ("PeakWorkingSetSize", ctypes.c_size_t),
        ("WorkingSetSize", ctypes.c_size_t),
        ("QuotaPeakPagedPoolUsage", ctypes.c_size_t),
        ("QuotaPagedPoolUsage", ctypes.c_size_t),
        ("QuotaPeakNonPagedPoolUsage", ctypes.c_size_t),
        ("QuotaNonPagedPoolUsage", ctypes.c_size_t),
        ("PagefileUsage", ctypes.c_size_t),
        ("PeakPagefileUsage", ctypes.c_size_t),
    ]


def _on_windows(handle: int) -> int:
    """What it has promised or in memory, whichever is more: Windows pages out what is not used."""
    counters = _Counters(cb=ctypes.sizeof(_Counters))
    ask = ctypes.windll.kernel32.K32GetProcessMemoryInfo  # type: ignore[attr-defined]
    if not ask(ctypes.c_void_p(handle), ctypes.byref(counters), counters.cb):
        return 0
    return max(int(counters.WorkingSetSize), int(counters.PagefileUsage))
