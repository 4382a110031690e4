"""Several processes that run tests at the same time (`pytest -n 2`), and what they share."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PARALLEL = "PYTEST_XDIST_WORKER" in os.environ
WORKER = os.environ.get("PYTEST_XDIST_WORKER", "gw0")
"""The name of this one."""
FIRST_SEAT = int(WORKER.removeprefix("gw"))
"""The processor core of this process's first sandbox: another one in each."""


@contextmanager
def one_at_a_time(what: str) -> Iterator[None]:
    """Hold up the others that do the same: the second build of an image reuses the first's layers.

    Args:
        what: Its name, for all processes of this machine.
    """
    import fcntl

    path = Path(tempfile.gettempdir()) / f"densenet-grader-test-{what}.lock"
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
