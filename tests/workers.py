"""Several processes that run tests at the same time (`pytest -n 2`), and what they share."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

PARALLEL = "PYTEST_XDIST_WORKER" in os.environ
WORKER = os.environ.get("PYTEST_XDIST_WORKER", "gw0")
"""The name of this one."""
FIRST_SEAT = int(WORKER.removeprefix("gw"))
"""The processor core of this process's first sandbox: another one in each."""
SHARED = ("tests/sandbox/test_contract.py", "tests/sandbox/test_kill_matrix.py")
"""Long files without anything that is dear to make: their tests go to whichever process is free.

Every other file is run by one process, since its tests share what they have made."""


def share_of(test: str) -> str:
    """What one process runs as a whole: a file, or a single test of those in `SHARED`.

    Args:
        test: Its full name for pytest.
    """
    file = test.partition("::")[0]
    return test if file in SHARED else file


def turn_of(item: pytest.Item) -> int:
    """Long files first, and last what is shared by tests: it fills what the files left."""
    if item.nodeid.startswith(SHARED):
        return 2
    return 0 if "slow" in item.keywords else 1


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
