"""The program as the shell sees it: pipes, signals, streams."""

import os
import signal
import subprocess
import sys

import pytest

GRADE = [sys.executable, "-m", "grader.cli"]

WAITS = """
import signal, sys, time, types
from grader.cli import run

signal.signal(signal.SIGINT, signal.default_int_handler)  # tests may run in the background

class Pipeline(types.ModuleType):
    def grade_items(self, items, options, on_grade, progress=None):
        print("ready", flush=True)
        time.sleep(60)

sys.modules["grader.pipeline"] = Pipeline("grader.pipeline")
sys.exit(run(sys.argv[1:]))
"""


def test_a_reader_that_goes_away_leaves_no_traceback():
    # The shell's own pipe: `true` ends without reading a byte.
    ran = subprocess.run(
        ["bash", "-c", f"{' '.join(GRADE)} --help | true"],
        capture_output=True,
        text=True,
        check=False,
    )

    assert ran.stderr == ""


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGINT for one process")
def test_an_interrupt_ends_in_130_and_says_so_at_once_and_at_the_end(tmp_path):
    (tmp_path / "a.zip").write_bytes(b"")
    command = [sys.executable, "-c", WAITS, "a.zip"]
    with subprocess.Popen(
        command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as program:
        started = program.stdout.readline()
        program.send_signal(signal.SIGINT)
        told = program.stderr.read()

    assert started == "ready\n"
    assert program.returncode == 130
    assert "Traceback" not in told
    at_once, at_the_end = told.strip().splitlines()
    assert "ending what runs" in at_once
    assert "the same command goes on from there" in at_the_end


def test_errors_go_to_standard_error_and_leave_standard_output_empty():
    ran = subprocess.run([*GRADE, "none.zip"], capture_output=True, text=True, check=False)

    assert ran.returncode == 2
    assert ran.stdout == ""
    assert "none.zip" in ran.stderr
