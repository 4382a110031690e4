"""Give up powers before student code runs: privileges, files, system calls, resources.

Standard library only, and nothing here can be undone by the process it was done to. Landlock says
which files there are, seccomp which system calls, rlimits how much. All three bind one thread and
what it starts later, so they are applied while there is one.

Landlock and seccomp are called through `ctypes`: the bindings on PyPI for the first are young
(0.x, one author each) and those for the second have no build for the Pythons and machines this
runs on, and a boundary of two hundred lines is better read here than pinned elsewhere.
"""

from __future__ import annotations

import contextlib
import ctypes
import math
import os
import pathlib
import platform
import struct
import sys
from collections.abc import Container, Mapping

from . import landlock, seccomp
from .kernel import (
    PR_CAPBSET_DROP,
    PR_SET_KEEPCAPS,
    PR_SET_NO_NEW_PRIVS,
    check,
    libc,
    prctl,
)

_CAPABILITY_VERSION = 0x20080522
_CHOWN, _OVERRIDE, _READ_SEARCH, _SETGID, _SETUID = 0, 1, 2, 6, 7
"""CAP_DAC_READ_SEARCH, or where root has not that CAP_DAC_OVERRIDE, is kept when root steps down,
so that a Python below /root can still be read. Landlock is asked besides and moved by neither."""

FIRST_UID, UIDS = 60706, 477
"""Users that nobody is (systemd's table of unused ranges); each run of root's takes one of its
own by chance, so that the limit on processes counts that run alone, in several containers too."""


# --- what is there ------------------------------------------------------------------------


def lacks() -> list[str]:
    """Name the pieces of the jail that this machine does not have, in words."""
    if sys.platform != "linux":
        return [f"Linux (this is {sys.platform})"]
    missing = []
    if platform.machine() not in seccomp.MACHINES:
        missing.append(f"a processor the system call filter knows (this is {platform.machine()})")
    if landlock.version() < 1:
        missing.append("Landlock (Linux 5.13 or newer, with landlock in the lsm= list)")
    if not pathlib.Path("/proc/sys/kernel/seccomp/actions_avail").exists():
        missing.append("seccomp filters (CONFIG_SECCOMP_FILTER)")
    return missing


# --- privileges ---------------------------------------------------------------------------


def own_uid(taken: Container[int]) -> int | None:
    """Choose the user that a run started by root becomes.

    A container may have given root less than it takes to become another and still read what is
    root's: then, as for everyone who is not root, there is none to become.
    """
    if os.geteuid() != 0 or _kept_capability() is None:
        return None
    first = int.from_bytes(os.urandom(4), "big")
    users = [FIRST_UID + (first + n) % UIDS for n in range(UIDS)]
    return next((uid for uid in users if uid not in taken), users[0])


def step_down(uid: int | None) -> None:
    """Give up root and every capability but one for reading, for good.

    Args:
        uid: User to become; None to stay, without any capability.
    """
    prctl(PR_SET_NO_NEW_PRIVS, 1)
    kept = _kept_capability() if os.geteuid() == 0 else None
    for capability in range(64):
        with contextlib.suppress(OSError):
            prctl(PR_CAPBSET_DROP, capability)
    if uid is None or kept is None:
        _set_capabilities(0)
        return
    prctl(PR_SET_KEEPCAPS, 1)
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)
    _set_capabilities(1 << kept)


def _kept_capability() -> int | None:
    permitted = _permitted_capabilities()
    has = {number: bool(permitted >> number & 1) for number in range(8)}
    if not (has[_CHOWN] and has[_SETUID] and has[_SETGID]):
        return None
    return _READ_SEARCH if has[_READ_SEARCH] else _OVERRIDE if has[_OVERRIDE] else None


def _permitted_capabilities() -> int:
    data = ctypes.create_string_buffer(24)
    check(libc().capget(struct.pack("=Ii", _CAPABILITY_VERSION, 0), data), "capget")
    words = struct.unpack("=6I", data.raw)
    return int(words[1] | words[4] << 32)


def _set_capabilities(mask: int) -> None:
    low, high = mask & 0xFFFFFFFF, mask >> 32
    words = struct.pack("=6I", low, low, 0, high, high, 0)
    check(libc().capset(struct.pack("=Ii", _CAPABILITY_VERSION, 0), words), "capset")


# --- resources ----------------------------------------------------------------------------


def limit_resources(
    limits: Mapping[str, float], tasks_of_user: int | None, *, container: bool
) -> None:
    """Set the limits that hold from the start.

    Args:
        limits: The fields of `grader.domain.Limits`.
        tasks_of_user: Threads that this user may have: the kernel counts them all together. None
            where something else counts.
        container: Whether a kernel that does not know a limit may be a container's own.
    """
    import resource

    _lower(resource.RLIMIT_CORE, 0)
    _lower(resource.RLIMIT_NOFILE, 256)
    _lower(resource.RLIMIT_FSIZE, int(limits["file_bytes"]))
    if hasattr(resource, "RLIMIT_NPROC") and tasks_of_user is not None:
        _lower(resource.RLIMIT_NPROC, tasks_of_user)
    for name in ("RLIMIT_MSGQUEUE", "RLIMIT_RTPRIO", "RLIMIT_SIGPENDING"):
        if hasattr(resource, name):
            try:
                _lower(getattr(resource, name), 64 if name == "RLIMIT_SIGPENDING" else 0)
            except ValueError:  # gVisor's kernel sets none of the three, and is a container's own
                if not container:
                    raise


def be_killed_first() -> None:
    """Let the kernel take this process before any other where memory runs out."""
    with contextlib.suppress(OSError):  # no such thing but on Linux
        pathlib.Path("/proc/self/oom_score_adj").write_text("1000")


def take_one_core(seat: int) -> None:
    """Stay on one processor core, so that many threads here take no other run's time.

    Args:
        seat: Number of this run among those of this moment; others have other numbers.
    """
    if hasattr(os, "sched_setaffinity"):
        cores = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {cores[seat % len(cores)]})


def limit_use(limits: Mapping[str, float], statm: int | None) -> None:
    """Set the limits counted from now on: processor time and address space.

    The libraries' own start-up is not the student's: it stays outside both.

    Args:
        limits: The fields of `grader.domain.Limits`.
        statm: /proc/self/statm, opened while it still could be; None where there is none.
    """
    import resource

    spent = resource.getrusage(resource.RUSAGE_SELF)
    cpu = math.ceil(spent.ru_utime + spent.ru_stime + float(limits["cpu_time_s"]))
    _lower(resource.RLIMIT_CPU, cpu, cpu + 1)
    if statm is not None:
        pages = int(os.pread(statm, 100, 0).split()[0])
        space = pages * resource.getpagesize() + int(limits["memory_bytes"])
        _lower(resource.RLIMIT_AS, space)


def _lower(which: int, soft: int, hard: int | None = None) -> None:
    import resource

    _, ceiling = resource.getrlimit(which)
    wanted = soft if hard is None else hard
    if ceiling != resource.RLIM_INFINITY:
        wanted = min(wanted, ceiling)
    resource.setrlimit(which, (min(soft, wanted), wanted))


def threads() -> int:
    """Return how many threads this process has; Linux only."""
    return len(os.listdir("/proc/self/task"))
