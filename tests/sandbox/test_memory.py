"""What the grader's own process holds of memory, after it has read something large."""

import gc
import subprocess
import sys
import weakref

import pytest

from grader.sandbox.memory import give_memory_back, seldom_collected

READS_MUCH = """
from pathlib import Path
from grader.sandbox.memory import give_memory_back

def held():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096

before = held()
pieces = [bytes(range(256)) * 256 for _ in range(1600)]
last = pieces.pop()
del pieces
kept = held() - before
give_memory_back()
print(kept, held() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="glibc keeps what is freed")
def test_what_was_freed_is_given_back():
    told = subprocess.check_output([sys.executable, "-c", READS_MUCH], text=True)

    kept, left = map(int, told.split())
    assert kept > 80 * 2**20
    assert left < 10 * 2**20


@pytest.mark.parametrize("system", ["win32", "darwin"])
def test_another_system_is_left_alone(monkeypatch, system):
    monkeypatch.setattr(sys, "platform", system)
    monkeypatch.setattr("grader.sandbox.memory.ctypes.CDLL", None)

    give_memory_back()


def test_the_collector_is_as_it_was_behind_the_block_and_cycles_are_freed_in_it():
    class Node:
        pass

    before = gc.get_threshold()

    with seldom_collected():
        assert gc.get_threshold()[0] > before[0]
        node = Node()
        node.itself = node
        gone = weakref.ref(node)
        del node
        give_memory_back()
        assert gone() is None

    assert gc.get_threshold() == before
