"""Ctrl-C is answered at once and ends the program within seconds, whatever runs."""

import os
import signal
import subprocess
import sys
import threading
import zipfile
from pathlib import Path

import pytest

from grader.ledger import Ledger, verify
from grader.ledger.key import load_or_create_key

ROOT = Path(__file__).parents[2]
BUSY = """
import sys, threading
from pathlib import Path
import grader.sandbox
from grader.cli import main
from tests.pipeline.killed import Counted

class Busy(Counted):
    def run(self, stage):
        print("running", flush=True)
        ended.wait()
        return super().run(stage)

    def stop(self):
        if mode == "ends when it is told":
            print("told to stop", flush=True)
            ended.set()

mode, *sys.argv[1:] = sys.argv[1:]
ended = threading.Event()
grader.sandbox.open_sandbox = lambda *_, **__: Busy(Path("log"))
main()
"""
WORDS = ("in", "--results", "results", "--no-evaluation", "--jobs", "1")
AT_WORK = """
import sys, time
import grader.pipeline, grader.regrading
from grader.cli import main, screen

def work(*_, **__):
    while True:
        try:
            print("running", flush=True)
            time.sleep(60)
        except KeyboardInterrupt:
            if mode == "ends":
                raise

mode, *sys.argv[1:] = sys.argv[1:]
screen.GRACE_S = 60 if mode == "ends" else 0.2
grader.pipeline.evaluate_run = grader.pipeline.regrade = grader.regrading.regrade_results = work
main()
"""

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals are POSIX's")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A class of two; the sandbox is busy with the first until it is told to stop, or for good."""
    (tmp_path / "in").mkdir()
    for student in ("ada", "ben"):
        with zipfile.ZipFile(tmp_path / "in" / f"{student}.zip", "w") as archive:
            archive.writestr("densenet.py", f"# {student}\n")
    return tmp_path


def interrupted(
    folder: Path, mode: str, times: int = 1, words: tuple[str, ...] = WORDS, program: str = BUSY
) -> tuple[int, str, str]:
    """The real command, interrupted while it works: status, output, errors."""
    settings = {"PYTHONPATH": str(ROOT), "GRADER_KEY_FILE": str(folder / "course.key")}
    with subprocess.Popen(
        [sys.executable, "-c", program, mode, *words],
        cwd=folder,
        env=os.environ | settings,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        try:
            return answer_of(process, times)
        finally:
            process.kill()


def answer_of(process: subprocess.Popen[str], times: int) -> tuple[int, str, str]:
    assert process.stdout is not None
    assert process.stderr is not None
    assert process.stdout.readline() == "running\n"
    said = ""
    for _ in range(times):
        process.send_signal(signal.SIGINT)
        while "Interrupted: ending what runs" not in said:  # at once, before anything ends
            line = process.stderr.readline()
            assert line, f"ended without an answer: {said}"
            said += line
    # Not by communicate(): it misses what came along with the line that was read above.
    never = threading.Timer(100, process.kill)
    never.start()
    out, rest = process.stdout.read(), process.stderr.read()
    never.cancel()
    return process.wait(), out, said + rest


def test_what_runs_is_told_to_stop_and_ends_in_order(folder: Path) -> None:
    status, out, said = interrupted(folder, "ends when it is told")

    assert status == 130
    assert "told to stop" in out
    assert "the same command goes on from there" in said


@pytest.mark.parametrize("times", [1, 2])
def test_what_does_not_stop_is_left_and_the_program_ends_all_the_same(
    folder: Path, times: int
) -> None:
    status, _, said = interrupted(folder, "never ends", times)

    assert status == 130
    assert "Traceback" not in said
    assert verify(folder / "results", load_or_create_key(folder / "course.key")) == []


def test_nothing_of_an_interrupted_submission_is_recorded(folder: Path) -> None:
    interrupted(folder, "never ends", 2)

    assert Ledger(folder / "results", load_or_create_key(folder / "course.key")).current() == ()


@pytest.mark.parametrize("mode", ["ends", "never ends"])
@pytest.mark.parametrize("words", [("regrade", "results"), ("evaluate", "run")], ids=" ".join)
def test_commands_that_work_from_disk_are_interrupted_as_grade_is(
    tmp_path: Path, words: tuple[str, ...], mode: str
) -> None:
    for file in ("results/ledger.sqlite", "run/run.json"):
        (tmp_path / file).parent.mkdir()
        (tmp_path / file).write_text("{}")

    status, _, said = interrupted(tmp_path, mode, words=words, program=AT_WORK)

    assert status == 130
    assert "Traceback" not in said
    assert ("the same command goes on from there" in said) == (mode == "ends")
