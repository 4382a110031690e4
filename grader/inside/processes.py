"""The processes of a run: which there are, what they use, and that none outlives it."""

from __future__ import annotations

import contextlib
import os
import pathlib
import signal
import sys
import time
from collections.abc import Iterator
from typing import Any

KILL_S = 10.0
"""For what was killed to be gone; the machine, not the program, makes it take longer."""


def descendants() -> Iterator[int]:
    """Yield every process that came of this one: as their subreaper, none can leave us."""
    waiting = [os.getpid()]
    while waiting:
        parent = waiting.pop()
        for child in _children(parent):
            yield child
            waiting.append(child)


def _children(parent: int) -> list[int]:
    found: list[int] = []
    with contextlib.suppress(OSError):
        for task in os.listdir(f"/proc/{parent}/task"):
            try:
                text = pathlib.Path(f"/proc/{parent}/task/{task}/children").read_text()
            except FileNotFoundError:
                return _children_by_parent(parent)
            found += [int(pid) for pid in text.split()]
    return found


def _children_by_parent(parent: int) -> list[int]:
    """Look at every process, where the kernel (gVisor's, or one without CONFIG_PROC_CHILDREN) keeps
    no list of children: without one nothing would be counted and nothing killed."""
    found = []
    for entry in _processes():
        with contextlib.suppress(OSError, IndexError, ValueError):
            text = pathlib.Path(f"/proc/{entry}/stat").read_text()
            if int(text.rpartition(")")[2].split()[1]) == parent:
                found.append(int(entry))
    return found


def _processes() -> list[str]:
    try:
        return [name for name in os.listdir("/proc") if name.isdigit()]
    except OSError:
        return []


def users() -> set[int]:
    """Return who has a process on this machine, as far as can be seen."""
    return {uid for uid, _ in tasks_by_user()}


def tasks_by_user() -> Iterator[tuple[int, int]]:
    """Yield the user and the number of threads of each process."""
    for entry in _processes():
        with contextlib.suppress(OSError):
            tasks = len(os.listdir(f"/proc/{entry}/task"))
            yield os.stat(f"/proc/{entry}").st_uid, tasks


def use_of(pids: list[int]) -> tuple[int, int]:
    """Return the resident memory in bytes and the number of threads of these processes."""
    memory = tasks = 0
    for pid in pids:
        with contextlib.suppress(OSError, ValueError, IndexError):
            tasks += len(os.listdir(f"/proc/{pid}/task"))
            memory += memory_of(pid, alone=len(pids) == 1)
    return memory, tasks


def memory_of(pid: int, *, alone: bool) -> int:
    """Return the resident memory of a process; what forks share is split between them."""
    if not alone:
        with contextlib.suppress(OSError):
            for line in pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                if line.startswith("Pss:"):
                    return int(line.split()[1]) * 1024
    for task in os.listdir(f"/proc/{pid}/task"):  # one that has ended says 0, the others go on
        pages = int(pathlib.Path(f"/proc/{pid}/task/{task}/statm").read_bytes().split()[1])
        if pages:
            return pages * os.sysconf("SC_PAGE_SIZE")
    return 0


def end_of(pid: int) -> list[int]:
    """Return a descriptor that is readable when a child has ended; none where the kernel (gVisor's,
    macOS's) has no such thing: then its end is seen at the next look."""
    with contextlib.suppress(AttributeError, OSError):
        return [os.pidfd_open(pid)]
    return []


def main_thread_ended(pid: int) -> bool:
    """Whether the main thread of a process has ended by itself.

    Where a signal ends all threads, the main one may be gone first: the kernel says so in the last
    field.
    """
    with contextlib.suppress(OSError, IndexError, ValueError):
        text = pathlib.Path(f"/proc/{pid}/stat").read_text()
        facts = text.rpartition(")")[2].split()
        return facts[0] in "ZX" and not os.WIFSIGNALED(int(facts[49]))
    return False


def kill_descendants(worker: int | None = None) -> tuple[int, Any]:
    """Kill until nothing is left, by pid, and take in all that ended.

    A process shows as a zombie as soon as its main thread has ended, though others may go on: so
    nothing counts as ended before the kernel has let us take it in. Until then its number is
    nobody else's.

    Args:
        worker: A child whose end the caller wants to know.

    Returns:
        Its wait status and use; without a worker the status says nothing.

    Raises:
        TimeoutError: Some would not end.
    """
    if worker is not None and sys.platform != "linux":
        with contextlib.suppress(OSError):
            os.killpg(worker, signal.SIGKILL)
    end: tuple[int, Any] = (0, None)
    give_up = time.monotonic() + KILL_S
    while True:
        for pid in list(descendants()):
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        try:
            while (taken := os.wait4(-1, os.WNOHANG))[0]:
                if taken[0] == worker:
                    end = taken[1:]
        except ChildProcessError:
            return end
        if time.monotonic() > give_up:
            raise TimeoutError(f"processes of the run did not end within {KILL_S:g} s")
        time.sleep(0.002)
