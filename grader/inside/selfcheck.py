"""A stage without a student: try what the jail forbids and say what held.

`JailSandbox.available` runs it once, so that "the jail works here" is something seen, not guessed
from version numbers. Every attempt is harmless where the jail does not hold.
"""

from __future__ import annotations

import os
import pathlib
import socket
from collections.abc import Callable
from typing import Any


def run(request: dict[str, Any], tree: pathlib.Path, channel: Any) -> None:
    """Send one frame "held": what was tried → whether it was refused."""
    attempts: dict[str, Callable[[], None]] = {
        "reading other files": lambda: os.close(os.open("/etc/passwd", os.O_RDONLY)),
        "writing outside its folder": lambda: _make_folder(tree.parent.parent),
        "the network": lambda: socket.socket().close(),
        "new processes": _fork,
        "signals": lambda: os.kill(os.getppid(), 0),
    }
    channel.send_json("held", {name: _refused(attempt) for name, attempt in attempts.items()})


def _make_folder(outside: pathlib.Path) -> None:
    folder = outside / f".selfcheck-{os.getpid()}"
    folder.mkdir()
    folder.rmdir()


def _fork() -> None:
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)


def _refused(attempt: Callable[[], None]) -> bool:
    try:
        attempt()
    except OSError:
        return True
    return False
