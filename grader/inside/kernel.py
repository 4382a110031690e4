"""Calls to the kernel that Python has no names for."""

from __future__ import annotations

import ctypes
import os
from typing import Any

PR_SET_PDEATHSIG = 1
PR_SET_DUMPABLE = 4
PR_SET_KEEPCAPS = 8
PR_SET_SECCOMP = 22
PR_CAPBSET_DROP = 24
PR_SET_CHILD_SUBREAPER = 36
PR_SET_NO_NEW_PRIVS = 38


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


def check(result: int, what: str) -> int:
    """Return what a call of the C library gave; raise where it failed."""
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
    return result
