"""What a test costs is measured with the processes that it starts."""

import os
import subprocess
import sys

import pytest

from tests.costs import Costs, Meter

BUSY = "import time\nwhile time.process_time() < 0.5: pass\n"


def test_a_process_that_has_ended_counts():
    meter = Meter()
    subprocess.run([sys.executable, "-c", BUSY], check=True)

    assert meter.since_the_last() >= 0.4
    assert meter.since_the_last() < 0.4


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="nothing tells what others used")
def test_a_process_that_lives_counts_and_is_not_counted_again_when_it_ends():
    meter = Meter()
    program = [sys.executable, "-c", BUSY + "print(flush=True)\ninput()"]
    with subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        process.stdout.readline()

        assert meter.since_the_last() >= 0.4
    assert meter.since_the_last() < 0.4


def test_the_dearest_tests_and_files_are_named_first():
    costs = Costs()
    costs._processor = {"a.py::cheap": 0.1, "b.py::dear": 2.0, "b.py::cheap": 0.2}
    costs._clock.update({"b.py::dear": 3.0})

    lines = [line.split() for line in costs.summary() if line]

    assert [(line[0], line[-1]) for line in lines] == [
        ("2.3", "all"),
        ("2.2", "b.py"), ("0.1", "a.py"),
        ("2.0", "b.py::dear"), ("0.2", "b.py::cheap"), ("0.1", "a.py::cheap"),
    ]  # fmt: skip
