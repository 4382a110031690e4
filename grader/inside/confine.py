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
import errno
import glob
import math
import os
import pathlib
import platform
import struct
import sys
import sysconfig
from collections.abc import Container, Iterable, Mapping
from typing import Any

PR_SET_PDEATHSIG = 1
PR_SET_DUMPABLE = 4
PR_SET_KEEPCAPS = 8
PR_SET_SECCOMP = 22
PR_CAPBSET_DROP = 24
PR_SET_CHILD_SUBREAPER = 36
PR_SET_NO_NEW_PRIVS = 38
_CAPABILITY_VERSION = 0x20080522
_CHOWN, _OVERRIDE, _READ_SEARCH, _SETGID, _SETUID = 0, 1, 2, 6, 7
"""CAP_DAC_READ_SEARCH, or where root has not that CAP_DAC_OVERRIDE, is kept when root steps down,
so that a Python below /root can still be read. Landlock is asked besides and moved by neither."""

FIRST_UID, UIDS = 60706, 477
"""Users that nobody is (systemd's table of unused ranges); each run of root's takes one of its
own by chance, so that the limit on processes counts that run alone, in several containers too."""

LANDLOCK_CREATE, LANDLOCK_ADD, LANDLOCK_RESTRICT = 444, 445, 446
_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1, 2, 4, 8
_MAKE_CHAR, _MAKE_SOCK, _MAKE_BLOCK, _IOCTL_DEV = 1 << 6, 1 << 9, 1 << 11, 1 << 15
_FS_BITS_BY_ABI = {1: 13, 2: 14, 3: 15, 4: 15}
"""File rights that each version knows; from 5 on there are 16."""


class Lack(Exception):
    """This kernel or machine cannot give what the jail needs; the text names the piece."""


def libc() -> Any:
    """Return the C library, with errno kept."""
    return ctypes.CDLL(None, use_errno=True)


def prctl(option: int, value: int = 0) -> None:
    """Call prctl and raise on failure."""
    if libc().prctl(option, ctypes.c_ulong(value), 0, 0, 0) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"prctl {option}: {os.strerror(number)}")


# --- what is there ------------------------------------------------------------------------


def landlock_version() -> int:
    """Return the kernel's Landlock version, 0 where there is none."""
    if sys.platform != "linux":
        return 0
    return max(0, int(libc().syscall(LANDLOCK_CREATE, None, ctypes.c_size_t(0), 1)))


def lacks() -> list[str]:
    """Name the pieces of the jail that this machine does not have, in words."""
    if sys.platform != "linux":
        return [f"Linux (this is {sys.platform})"]
    missing = []
    if platform.machine() not in _MACHINES:
        missing.append(f"a processor the system call filter knows (this is {platform.machine()})")
    if landlock_version() < 1:
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
    _check(libc().capget(struct.pack("=Ii", _CAPABILITY_VERSION, 0), data), "capget")
    words = struct.unpack("=6I", data.raw)
    return int(words[1] | words[4] << 32)


def _set_capabilities(mask: int) -> None:
    low, high = mask & 0xFFFFFFFF, mask >> 32
    words = struct.pack("=6I", low, low, 0, high, high, 0)
    _check(libc().capset(struct.pack("=Ii", _CAPABILITY_VERSION, 0), words), "capset")


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


# --- files: Landlock ----------------------------------------------------------------------


OWN_FACTS = ("/proc/self/cmdline",)
"""TensorFlow ends with a failed check where it cannot read this. The kernel may make a file of
/proc anew, and a rule is for the old one, unless it is held open: so these stay open."""


def readable_paths() -> list[str]:
    """List what Python and the libraries read: themselves, the C library, a few facts."""
    names = ("stdlib", "platstdlib", "purelib", "platlib")
    paths = {sysconfig.get_path(name) for name in names}
    paths |= {p for p in sys.path if p.endswith(("site-packages", "dist-packages"))}
    paths |= {
        f"{prefix}/{lib}" for prefix in (sys.prefix, sys.base_prefix) for lib in ("lib", "lib64")
    }
    paths |= {"/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib", "/etc/ld.so.cache"}
    paths |= {"/usr/share/zoneinfo", "/etc/localtime", "/sys/devices/system/cpu"}
    paths |= {"/proc/cpuinfo", "/proc/meminfo", "/dev/zero", "/dev/urandom"}
    return sorted(p for p in paths if p and os.path.exists(p))


def copies(package: str) -> list[str]:
    """Find a package wherever it may be read.

    An editable install leaves the code in its checkout and still lays the data that belong to it,
    a reference solution among them, into site-packages.

    Args:
        package: The folder that runs.

    Returns:
        It, and every folder of its name that is a package of a Python whose files may be read.
    """
    name = os.path.basename(package)
    found = {package}
    for path in map(glob.escape, readable_paths()):
        for place in (path, f"{path}/python*/*-packages"):
            found |= set(glob.glob(f"{place}/{name}"))
    return sorted(found)


def carve(paths: Iterable[str], *excluded: str) -> tuple[list[str], list[str]]:
    """Cover folders without some that lie in them: Landlock's rules only ever add.

    Args:
        paths: Files and folders.
        excluded: Folders that may lie below some of them.

    Returns:
        What to allow whole, and the folders around the holes, whose names alone are needed.
    """
    holes = {os.path.realpath(path) for path in excluded}
    whole: set[str] = set()
    names: set[str] = set()
    waiting = sorted({os.path.realpath(path) for path in paths}, reverse=True)
    while waiting:
        path = waiting.pop()
        if any(_below(path, hole) for hole in holes):
            continue
        if any(_below(path, other) for other in whole):
            continue
        if any(_below(hole, path) for hole in holes):
            names.add(path)
            waiting += [os.path.realpath(os.path.join(path, name)) for name in os.listdir(path)]
        else:
            whole.add(path)
    return sorted(whole), sorted(names)


def _below(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip(os.sep) + os.sep)


def restrict_files(read: Iterable[str], names: Iterable[str], write: Iterable[str]) -> None:
    """Let this thread and its children open nothing but these.

    Args:
        read: Files and folders to read.
        names: Folders to list.
        write: Folders to read, write and create plain files in. Nothing can be executed.

    Raises:
        Lack: The kernel has no Landlock.
    """
    version = landlock_version()
    if version < 1:
        raise Lack("Landlock")
    rights = (1 << _FS_BITS_BY_ABI.get(version, 16)) - 1
    attributes = [rights]
    if version >= 4:
        attributes.append(3)  # bind and connect over TCP: nowhere
    if version >= 6:
        attributes.append(3)  # abstract sockets and signals: not beyond this jail
    ruleset = _landlock(LANDLOCK_CREATE, struct.pack(f"={len(attributes)}Q", *attributes), 0)
    try:
        for path in read:
            _allow_beneath(ruleset, path, _READ_FILE | _READ_DIR)
        for path in names:
            _allow_beneath(ruleset, path, _READ_DIR)
        _allow_beneath(ruleset, os.devnull, _READ_FILE | _WRITE_FILE)
        for path in OWN_FACTS:
            _allow_beneath(ruleset, path, _READ_FILE, pin=True)
        all_but = _EXECUTE | _MAKE_CHAR | _MAKE_SOCK | _MAKE_BLOCK | _IOCTL_DEV
        for path in write:
            _allow_beneath(ruleset, path, rights & ~all_but)
        _check(libc().syscall(LANDLOCK_RESTRICT, ruleset, 0), "landlock_restrict_self")
    finally:
        os.close(ruleset)


def _landlock(number: int, attributes: bytes, flags: int) -> int:
    size = ctypes.c_size_t(len(attributes))
    return _check(libc().syscall(number, attributes, size, flags), "landlock_create_ruleset")


def _allow_beneath(ruleset: int, path: str, rights: int, *, pin: bool = False) -> None:
    if not os.path.isdir(path):
        rights &= _READ_FILE | _WRITE_FILE
    fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        rule = struct.pack("=Qi", rights, fd)
        _check(libc().syscall(LANDLOCK_ADD, ruleset, 1, rule, 0), "landlock_add_rule")
    finally:
        if not pin:
            os.close(fd)


def _check(result: int, what: str) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
    return result


# --- system calls: seccomp ----------------------------------------------------------------

_MACHINES = {"x86_64": (0xC000003E, 0), "aarch64": (0xC00000B7, 1)}
"""machine: (AUDIT_ARCH, column of the tables)"""
_LOAD, _EQUAL, _AT_LEAST, _AND, _RETURN = 0x20, 0x15, 0x35, 0x54, 0x06
_ALLOW, _KILL, _ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
_NUMBER, _ARCHITECTURE, _ARGUMENT = 0, 4, 16
_O_TRUNC, _O_ACCMODE, _O_TMPFILE = 0o1000, 0o3, 0o20000000
_CLONE_THREAD, _CLONE_FILES = 0x10000, 0x400
_CLONE_NAMESPACES = 0x7E020000 | 0x80
_SAFE_IOCTLS = (0x5401, 0x5413, 0x541B, 0x5421, 0x5450, 0x5451)
"""TCGETS (isatty), TIOCGWINSZ, FIONREAD, FIONBIO, FIONCLEX, FIOCLEX"""
_SAFE_PRCTLS = (3, 15, 16, 21, 23, 39, 0x53564D41)
"""GET_DUMPABLE, SET_NAME, GET_NAME, GET_SECCOMP, CAPBSET_READ, GET_NO_NEW_PRIVS, SET_VMA"""
_SAFE_FCNTLS = (0, 1, 2, 3, 4, 1030, 1032)
"""F_DUPFD, F_GETFD, F_SETFD, F_GETFL, F_SETFL, F_DUPFD_CLOEXEC, F_GETPIPE_SZ. The others send
signals, hold up whoever opens a file (leases) or tell of others that do something with one."""
_LOCKS = (6, 7, 37, 38)
"""F_SETLK, F_SETLKW and their like for open files. A lock is answered for and not taken: whatever
an honest program locks is its own, and on a file that all may read a lock is a signal to others."""
_SAFE_FUTEXES = (0, 1, 3, 4, 5, 9, 10)
"""All but those that hand on priorities (PI), which name an owner, and one that is long gone."""
_SOCKET_LEVEL = 1
_SAFE_SETTINGS = (2, 7, 8, 9, 13, 15, 20, 21)
"""SO_REUSEADDR, SNDBUF, RCVBUF, KEEPALIVE, LINGER, REUSEPORT, RCVTIMEO, SNDTIMEO: no filter."""
_SAFE_FACTS = (*_SAFE_SETTINGS, 3, 4, 16, 17, 30, 38, 39)
"""SO_TYPE, ERROR, PASSCRED, PEERCRED, ACCEPTCONN, PROTOCOL, DOMAIN: no handle of a process."""
_OF_A_PROCESS, _OF_A_THREAD, _CLOCK_KINDS = 1 << 31, 4, 3
"""Bits of a clock's number. Of threads the kernel knows but the caller's own."""

Instruction = tuple[int, int, int, int]
"""code, jump if true, jump if false, operand"""


def filter_program(machine: str, pid: int, tables: Any) -> list[Instruction]:
    """Assemble the filter.

    Args:
        machine: As `platform.machine()` says.
        pid: The process it is for; the only one it may signal or limit.
        tables: The module `syscalls`.

    Returns:
        Classic BPF over `struct seccomp_data`.
    """
    architecture, column = _MACHINES[machine]
    program: list[Instruction] = [
        (_LOAD, 0, 0, _ARCHITECTURE),
        (_EQUAL, 1, 0, architecture),
        (_RETURN, 0, 0, _KILL),
        (_LOAD, 0, 0, _NUMBER),
    ]
    if machine == "x86_64":  # the x32 calls are the same calls under other numbers
        program += [(_AT_LEAST, 0, 1, 0x40000000), (_RETURN, 0, 0, _KILL)]
    for name, body in _guards(pid).items():
        number = tables.GUARDED[name][column]
        if number is not None:
            program += [(_EQUAL, 0, len(body), number), *body]
    verdicts = (
        (tables.ALLOWED, _ALLOW),
        (tables.REFUSED, _ERRNO | errno.EPERM),
        (tables.FATAL, _KILL),
    )
    for table, verdict in verdicts:
        numbers = [entry[column] for entry in table.values() if entry[column] is not None]
        for number in numbers:
            program += [(_EQUAL, 0, 1, number), (_RETURN, 0, 0, verdict)]
    return [*program, (_RETURN, 0, 0, _ERRNO | errno.ENOSYS)]


def _guards(pid: int) -> dict[str, list[Instruction]]:
    allow, refuse = (_RETURN, 0, 0, _ALLOW), (_RETURN, 0, 0, _ERRNO | errno.EPERM)
    unknown, as_if_done = (_RETURN, 0, 0, _ERRNO | errno.ENOSYS), (_RETURN, 0, 0, _ERRNO | 0)

    def only(argument: int, values: Iterable[int], otherwise: Instruction = refuse) -> Any:
        body: list[Instruction] = [(_LOAD, 0, 0, _ARGUMENT + 8 * argument)]
        for value in values:
            body += [(_EQUAL, 0, 1, value), allow]
        return [*body, otherwise]

    def option(allowed: Iterable[int]) -> list[Instruction]:
        level = [(_LOAD, 0, 0, _ARGUMENT + 8), (_EQUAL, 1, 0, _SOCKET_LEVEL), refuse]
        return [*level, *only(2, allowed)]

    # A process's clock bears its number, turned round; 0 is the caller.
    own_clocks = [~n << 3 & 0xFFFFFFFF | kind for n in (0, pid) for kind in range(_CLOCK_KINDS)]
    clock: list[Instruction] = [
        (_LOAD, 0, 0, _ARGUMENT),
        (_AND, 0, 0, _OF_A_PROCESS | _OF_A_THREAD),
        (_EQUAL, 1, 0, _OF_A_PROCESS),
        allow,
        *only(0, own_clocks, (_RETURN, 0, 0, _ERRNO | errno.EINVAL)),
    ]

    def open_flags(argument: int) -> list[Instruction]:
        # Landlock before version 3 does not see a truncation without write access.
        load = (_LOAD, 0, 0, _ARGUMENT + 8 * argument)
        return [
            load,
            (_AND, 0, 0, _O_TRUNC | _O_ACCMODE),
            (_EQUAL, 0, 1, _O_TRUNC),
            refuse,
            load,
            (_AND, 0, 0, _O_TMPFILE),  # a file without a name would not be seen by the disk watch
            (_EQUAL, 1, 0, 0),
            (_RETURN, 0, 0, _ERRNO | errno.EOPNOTSUPP),
            allow,
        ]

    return {
        "open": open_flags(1),
        "openat": open_flags(2),
        # Threads, not processes, and with one table of open files, which the disk watch reads.
        "clone": [
            (_LOAD, 0, 0, _ARGUMENT),
            (_AND, 0, 0, _CLONE_THREAD | _CLONE_FILES | _CLONE_NAMESPACES),
            (_EQUAL, 0, 1, _CLONE_THREAD | _CLONE_FILES),
            allow,
            refuse,
        ],
        "close_range": only(2, [0, 4]),  # not 2, which would part the table
        # Its flags lie in memory, out of a filter's sight; the C library falls back to clone.
        "clone3": [(_RETURN, 0, 0, _ERRNO | errno.ENOSYS)],
        "kill": only(0, [pid]),
        "tgkill": only(0, [pid]),
        "prlimit64": only(0, [0, pid]),
        # Of its own threads too it hears of the main one alone; the C library does without.
        "sched_getaffinity": only(0, [0, pid], unknown),
        "sched_getparam": only(0, [0, pid], unknown),
        "sched_getscheduler": only(0, [0, pid], unknown),
        "sched_rr_get_interval": only(0, [0, pid], unknown),
        "getpgid": only(0, [0, pid]),
        "getsid": only(0, [0, pid]),
        "getpriority": [(_LOAD, 0, 0, _ARGUMENT), (_EQUAL, 1, 0, 0), refuse, *only(1, [0, pid])],
        "clock_gettime": clock,
        "clock_getres": clock,
        "clock_nanosleep": clock,
        "timer_create": clock,
        "ioctl": only(1, _SAFE_IOCTLS, (_RETURN, 0, 0, _ERRNO | errno.ENOTTY)),
        "prctl": only(0, _SAFE_PRCTLS),
        "fcntl": [
            (_LOAD, 0, 0, _ARGUMENT + 8),
            *[i for c in _LOCKS for i in ((_EQUAL, 0, 1, c), as_if_done)],
            *only(1, _SAFE_FCNTLS),
        ],
        "flock": [as_if_done],
        "futex": [
            (_LOAD, 0, 0, _ARGUMENT + 8),
            (_AND, 0, 0, 0x7F),
            *[i for c in _SAFE_FUTEXES for i in ((_EQUAL, 0, 1, c), allow)],
            unknown,
        ],
        "setsockopt": option(_SAFE_SETTINGS),
        "getsockopt": option(_SAFE_FACTS),
        "socketpair": [  # a pipe between its own threads: AF_UNIX, SOCK_STREAM
            (_LOAD, 0, 0, _ARGUMENT),
            (_EQUAL, 1, 0, 1),
            refuse,
            (_LOAD, 0, 0, _ARGUMENT + 8),
            (_AND, 0, 0, 0xF),
            (_EQUAL, 0, 1, 1),
            allow,
            refuse,
        ],
    }


def restrict_calls(tables: Any) -> None:
    """Install the system call filter on this thread and what it starts later.

    Args:
        tables: The module `syscalls`.

    Raises:
        Lack: The kernel has no seccomp filters, or the machine is unknown.
    """
    if platform.machine() not in _MACHINES:
        raise Lack(f"a system call filter for {platform.machine()}")
    program = filter_program(platform.machine(), os.getpid(), tables)
    code = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *i) for i in program))
    header = ctypes.create_string_buffer(struct.pack("@HP", len(program), ctypes.addressof(code)))
    if libc().prctl(PR_SET_SECCOMP, 2, header, 0, 0) != 0:
        raise Lack(f"seccomp filters ({os.strerror(ctypes.get_errno())})")


def threads() -> int:
    """Return how many threads this process has; Linux only."""
    return len(os.listdir("/proc/self/task"))
