"""Bounds that a test may hold code to: of processor time, which no other program takes away."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """Fail where this thread ran longer; waiting for a processor does not count."""
    before = time.thread_time()
    yield
    used = time.thread_time() - before
    assert used <= seconds, f"expected at most {seconds:g} s of processor time, used {used:.2f} s"
