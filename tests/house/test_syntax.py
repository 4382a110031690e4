"""Threads that read Python at the same time do not disturb each other."""

import gc
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from grader.engine.exchange import _array
from grader.syntax import expression_of, module_of
from tests.house.test_rooms import MODULES, PACKAGE

ROUNDS = 80
SOURCE = "\n".join(f"def f{n}(x):\n    return [x + {n}, (x * 2)[0]]" for n in range(200))


@pytest.fixture
def busy_collector():
    """A collector that lets another thread run in the middle of a tree, as finalizers do."""

    def give_way(phase, info):
        time.sleep(0)

    before = gc.get_threshold()
    gc.callbacks.append(give_way)
    gc.set_threshold(50, 5, 5)
    yield
    gc.set_threshold(*before)
    gc.callbacks.remove(give_way)


def behind(frames, work):
    """The work, so many calls deep: how deep a thread is decides what it counts from."""
    return work() if frames == 0 else behind(frames - 1, work)


def test_two_threads_make_trees_at_the_same_time(busy_collector, tmp_path):
    np.save(tmp_path / "array.npy", np.zeros(3))
    failed = []

    def read(frames):
        for _ in range(ROUNDS):
            try:
                behind(frames, lambda: module_of(SOURCE))
                behind(frames, lambda: expression_of("1 + (2 * x)"))
                behind(frames, lambda: _array(tmp_path / "array.npy"))
            except SystemError as error:
                failed.append(str(error))

    threads = [threading.Thread(target=read, args=(frames,)) for frames in (1, 12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert failed == []


@pytest.mark.parametrize(
    "module", [m for m in MODULES if m.relative_to(PACKAGE) != Path("syntax.py")], ids=str
)
def test_nobody_makes_a_tree_but_there(module):
    if "inside" in module.relative_to(PACKAGE).parts:
        return  # a process of its own, with the standard library alone
    text = module.read_text(encoding="utf-8")

    assert "ast.parse" not in text
    assert "literal_eval" not in text
