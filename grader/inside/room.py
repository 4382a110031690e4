"""A file system of a run's own: little, in memory, and gone with the last process in it.

What a program writes there is counted by the kernel, whatever becomes of the names, and a disk that
is everybody's is neither filled nor missed. Root makes one; an ordinary user makes one in a user
namespace, where the machine allows such. The program in it has no capability in that namespace.
"""

from __future__ import annotations

import ctypes
import os
import sys
from typing import Any

MAX_ENTRIES = 11_500
"""Files and folders that fit in: more than the watch lets a run have, with a submission's own."""
_NEW_FILE_SYSTEMS, _NEW_USERS = 0x20000, 0x10000000
_NO_SETUID, _NO_DEVICES, _NO_PROGRAMS, _ALL_BELOW, _PRIVATE = 2, 4, 8, 16384, 1 << 18
_DETACH = 2
_SET_DUMPABLE = 4


def make(folder: str, size: int, uid: int | None) -> bool:
    """Put a file system over a folder, seen by this process and its children alone.

    Args:
        folder: An empty one.
        size: Bytes that fit in.
        uid: Whose it is; None for the user of this process.

    Returns:
        Whether this machine lets us. Where it does not, the folder is as it was.
    """
    if not allowed():
        return False
    try:
        _make(folder, size, uid)
    except OSError:  # no more of them fit on this machine just now
        return False
    return True


_tried: list[bool] = []


def allowed() -> bool:
    """Whether this machine lets us make one: tried in a child, until it has worked once.

    What a process knows its forks know too, and one that has imported TensorFlow is slow to fork:
    so it is asked for before.
    """
    if sys.platform == "linux" and not _tried and _works():
        _tried.append(True)
    return bool(_tried)


def _works() -> bool:
    """Try it on this module's folder, in a child: half of it done could not be undone here."""
    child = os.fork()
    if child == 0:
        try:
            _make(os.path.dirname(os.path.abspath(__file__)), 2**20, None)
            os._exit(0)
        finally:
            os._exit(1)
    return os.waitpid(child, 0)[1] == 0


def leave(folder: str) -> None:
    """Take the file system away, with all that is in it."""
    _checked(_libc().umount2(os.fsencode(folder), _DETACH), "umount")


def _make(folder: str, size: int, uid: int | None) -> None:
    me, group = os.getuid(), os.getgid()
    if os.geteuid() == 0:
        _checked(_libc().unshare(_NEW_FILE_SYSTEMS), "unshare")
    else:
        _checked(_libc().unshare(_NEW_FILE_SYSTEMS | _NEW_USERS), "unshare")
        _stay(me, group)
    _mount("none", "/", None, _ALL_BELOW | _PRIVATE, "")
    mine = f"size={size},nr_inodes={MAX_ENTRIES},mode=0700"
    owner = f",uid={uid},gid={uid}" if uid is not None else ""
    _mount("none", folder, "tmpfs", _NO_SETUID | _NO_DEVICES | _NO_PROGRAMS, mine + owner)


def _stay(uid: int, gid: int) -> None:
    """Be the same user and group in a new user namespace."""
    _checked(_libc().prctl(_SET_DUMPABLE, 1, 0, 0, 0), "prctl")  # else the files are root's
    facts = {"uid_map": f"{uid} {uid} 1", "setgroups": "deny", "gid_map": f"{gid} {gid} 1"}
    for name, text in facts.items():
        fd = os.open(f"/proc/self/{name}", os.O_WRONLY)
        try:
            os.write(fd, text.encode())
        finally:
            os.close(fd)
    _checked(_libc().prctl(_SET_DUMPABLE, 0, 0, 0, 0), "prctl")


def _mount(source: str, target: str, kind: str | None, flags: int, options: str) -> None:
    names = [None if name is None else os.fsencode(name) for name in (source, target, kind)]
    result = _libc().mount(*names, ctypes.c_ulong(flags), options.encode() or None)
    _checked(result, "mount")


def _libc() -> Any:
    return ctypes.CDLL(None, use_errno=True)


def _checked(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
