"""Landlock: which files there are for a thread, and for what it starts later."""

from __future__ import annotations

import ctypes
import glob
import os
import struct
import sys
import sysconfig
from collections.abc import Iterable

from .kernel import Lack, check, libc

LANDLOCK_CREATE, LANDLOCK_ADD, LANDLOCK_RESTRICT = 444, 445, 446
_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1, 2, 4, 8
_MAKE_CHAR, _MAKE_SOCK, _MAKE_BLOCK, _IOCTL_DEV = 1 << 6, 1 << 9, 1 << 11, 1 << 15
_FS_BITS_BY_ABI = {1: 13, 2: 14, 3: 15, 4: 15}
"""File rights that each version knows; from 5 on there are 16."""


def version() -> int:
    """Return the kernel's Landlock version, 0 where there is none."""
    if sys.platform != "linux":
        return 0
    return max(0, int(libc().syscall(LANDLOCK_CREATE, None, ctypes.c_size_t(0), 1)))


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
    known = version()
    if known < 1:
        raise Lack("Landlock")
    rights = (1 << _FS_BITS_BY_ABI.get(known, 16)) - 1
    attributes = [rights]
    if known >= 4:
        attributes.append(3)  # bind and connect over TCP: nowhere
    if known >= 6:
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
        check(libc().syscall(LANDLOCK_RESTRICT, ruleset, 0), "landlock_restrict_self")
    finally:
        os.close(ruleset)


def _landlock(number: int, attributes: bytes, flags: int) -> int:
    size = ctypes.c_size_t(len(attributes))
    return check(libc().syscall(number, attributes, size, flags), "landlock_create_ruleset")


def _allow_beneath(ruleset: int, path: str, rights: int, *, pin: bool = False) -> None:
    if not os.path.isdir(path):
        rights &= _READ_FILE | _WRITE_FILE
    fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        rule = struct.pack("=Qi", rights, fd)
        check(libc().syscall(LANDLOCK_ADD, ruleset, 1, rule, 0), "landlock_add_rule")
    finally:
        if not pin:
            os.close(fd)
