"""A process that computes ends with the grader that started it, and waits for its turn."""

import os
import signal
import subprocess
import sys
import threading

import pytest

from grader.engine import child
from grader.engine.child import Ended, child_environment, run_child

CHILD = """
import sys, time
from grader.engine.child import stay_with_parent
stay_with_parent()
print("ready", flush=True)
time.sleep(60)
"""
PARENT = f"""
import os, subprocess, sys
child = {CHILD!r}
environment = {{**os.environ, "GRADER_PARENT": str(os.getpid())}}
subprocess.run([sys.executable, "-c", child], env=environment)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child of its parent's end")
def test_a_grader_that_is_killed_leaves_nothing_that_goes_on_computing():
    with subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE) as parent:
        assert parent.stdout.readline() == b"ready\n"

        os.kill(parent.pid, signal.SIGKILL)

        # The pipe ends when the last process that could write into it has ended.
        assert parent.stdout.read() == b""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child of its parent's end")
def test_a_child_whose_grader_is_gone_already_does_not_begin(tmp_path):
    environment = {**os.environ, child.PARENT: "1"}

    ended = subprocess.run([sys.executable, "-c", CHILD], env=environment, capture_output=True)

    assert ended.returncode == 1
    assert ended.stdout == b""


def test_two_computations_on_the_same_cores_wait_for_each_other(tmp_path, monkeypatch):
    inside, most = [], []
    both = threading.Barrier(2)

    def compute(command, **options):
        inside.append(command)
        most.append(len(inside))
        os.sched_yield()
        inside.pop()
        return subprocess.CompletedProcess(command, 0, b"", b"")

    def one():
        both.wait()
        run_child("module", tmp_path, child_environment("tensorflow", None), 1.0)

    monkeypatch.setattr(child.subprocess, "run", compute)
    threads = [threading.Thread(target=one) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert most == [1, 1]


def test_a_child_that_hangs_has_no_status(tmp_path, monkeypatch):
    def hangs(command, **options):
        raise subprocess.TimeoutExpired(command, options["timeout"])

    monkeypatch.setattr(child.subprocess, "run", hangs)

    ended = run_child("module", tmp_path, child_environment("tensorflow", None), 1.0)

    assert ended == Ended(None, "", ended.queue_s)


def test_the_last_words_of_a_child_are_its_own_and_not_tensorflows(tmp_path, monkeypatch):
    said = (
        b"WARNING: All log messages before absl::InitializeLog() is called are written\n"
        b"I0000 00:00:1795643811.543995    3837 port.cc:153] oneDNN custom operations are on.\n"
        b"ValueError: a shape of 3\n"
    )

    def fails(command, **options):
        return subprocess.CompletedProcess(command, 1, b"", said)

    monkeypatch.setattr(child.subprocess, "run", fails)

    ended = run_child("module", tmp_path, child_environment("tensorflow", None), 1.0)

    assert (ended.status, ended.tail) == (1, "ValueError: a shape of 3")


@pytest.mark.parametrize(
    ("runtime", "backend"), [("jax", "jax"), ("openvino", "tensorflow"), ("xla", "tensorflow")]
)
def test_backend_and_device_are_chosen_by_the_environment(runtime, backend):
    chosen = child_environment(runtime, "GPU-1", deterministic=True)

    assert chosen["KERAS_BACKEND"] == backend
    assert chosen["CUDA_VISIBLE_DEVICES"] == "GPU-1"
    assert "--xla_gpu_deterministic_ops=true" in chosen["XLA_FLAGS"]
    assert child_environment(runtime, None)["CUDA_VISIBLE_DEVICES"] == ""
    assert "deterministic" not in child_environment(runtime, None)["XLA_FLAGS"]
