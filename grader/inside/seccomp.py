"""seccomp: which system calls there are for a thread, and for what it starts later.

The tables stand in `syscalls.py`, the rules for single arguments here.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct
from collections.abc import Iterable
from typing import Any

from .kernel import PR_SET_SECCOMP, Lack, libc

MACHINES = {"x86_64": (0xC000003E, 0), "aarch64": (0xC00000B7, 1)}
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
    architecture, column = MACHINES[machine]
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
    if platform.machine() not in MACHINES:
        raise Lack(f"a system call filter for {platform.machine()}")
    program = filter_program(platform.machine(), os.getpid(), tables)
    code = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *i) for i in program))
    header = ctypes.create_string_buffer(struct.pack("@HP", len(program), ctypes.addressof(code)))
    if libc().prctl(PR_SET_SECCOMP, 2, header, 0, 0) != 0:
        raise Lack(f"seccomp filters ({os.strerror(ctypes.get_errno())})")
