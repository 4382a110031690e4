"""The grader is killed, or its disk fails: the same command finishes the work, nothing is lost."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from grader import files
from grader.errors import Cause, InfrastructureError
from grader.ledger.lease import hold

ROOT = Path(__file__).parents[2]
KILLED = (sys.executable, "-m", "tests.pipeline.killed")
ALL_OF_THE_FIRST = 80
"""Changes to the disk until the first submission is graded and recorded."""

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there is no fork on Windows")


@pytest.fixture(scope="module")
def steps() -> list[dict[str, Any]]:
    """What stands after the second run, for each step at which the first was killed."""
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # flushing it costs nothing
    with tempfile.TemporaryDirectory(dir=memory, prefix="grader-test-") as base:
        command = [*KILLED, base, str(ALL_OF_THE_FIRST), "5"]
        ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr[-2000:]
    return [json.loads(line) for line in ran.stdout.splitlines()]


@pytest.mark.parametrize("what", ["grades", "events", "problems", "files", "beside", "json"])
def test_killed_at_any_step_the_same_command_leaves_what_one_run_leaves(
    steps: list[dict[str, Any]], what: str
) -> None:
    whole = steps[0]

    different = {s["step"]: s[what] for s in steps if s[what] != whole[what]}
    assert different == {}
    assert len(steps) > ALL_OF_THE_FIRST


def test_every_grade_is_there_once_and_sealed(steps: list[dict[str, Any]]) -> None:
    for step in steps:
        assert [name for name, *_ in step["grades"]] == ["ada", "ben", "eve"]
        assert (step["events"], step["problems"]) == (3, [])
        assert step["statuses"][1] == 1  # one of the three is rejected


def test_what_was_finished_is_not_done_again(steps: list[dict[str, Any]]) -> None:
    assert (steps[0]["runs"], steps[0]["measures"]) == (2, 2)  # the second command added none

    for step in steps:
        # Killed between the end of the work and its record, one piece is done twice; so it may be
        # of the submission that was being read meanwhile.
        assert step["runs"] + step["measures"] <= 6, step["step"]


# --- leftovers ----------------------------------------------------------------------------


def forked(work: Any) -> None:
    """Run in a fork that ends by itself: its number is nobody's any more."""
    child = os.fork()
    if child == 0:
        try:
            work()
        finally:
            os._exit(0)
    os.waitpid(child, 0)


def test_what_a_dead_process_left_is_swept_and_the_living_are_spared(tmp_path: Path) -> None:
    forked(lambda: (tmp_path / f"grade-intake{files.mark()}a").mkdir())
    mine = tmp_path / f"grade-intake{files.mark()}b"
    mine.mkdir()
    (tmp_path / "grade-of-mine").mkdir()

    swept = files.sweep(tmp_path, "grade-")

    assert swept == 1
    assert {p.name for p in tmp_path.iterdir()} == {"grade-of-mine", mine.name}


def test_what_an_earlier_process_of_the_same_number_left_is_swept(tmp_path: Path) -> None:
    """As after `docker run`, where the grader is always process 1."""
    (tmp_path / files.mark().replace(files._START, "0" * 8)).touch()

    assert files.sweep(tmp_path, "") == 1


def test_what_another_machine_is_writing_is_spared_for_a_day(tmp_path: Path) -> None:
    young, old = (tmp_path / f".x.new-{'0' * 8}-1-{'0' * 8}-{n}" for n in ("young", "old"))
    young.touch()
    old.touch()
    os.utime(old, (time.time() - 2 * files.STALE_S,) * 2)

    assert files.sweep(tmp_path, ".x") == 1
    assert list(tmp_path.iterdir()) == [young]


def test_a_half_written_file_is_swept_by_the_next_that_writes_it(tmp_path: Path) -> None:
    forked(lambda: (tmp_path / f".grade.json{files.mark()}x").write_bytes(b"half"))

    files.write_atomically(tmp_path / "grade.json", b"whole")

    assert [p.name for p in tmp_path.iterdir()] == ["grade.json"]


def test_a_link_among_the_leftovers_is_removed_and_not_followed(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.mkdir()
    (kept / "file").touch()
    (tmp_path / "sweep").mkdir()
    forked(lambda: (tmp_path / f"sweep/x{files.mark()}l").symlink_to(kept))

    assert files.sweep(tmp_path / "sweep", "x") == 1
    assert (kept / "file").exists()


# --- the evaluation's process -------------------------------------------------------------

CHILD = """
import os, time
from grader.engine.child import stay_with_parent
stay_with_parent()
grader = os.getppid()
print(os.getpid(), flush=True)
while os.getppid() == grader: time.sleep(0.01)
time.sleep(1)
print("outlived")
"""
GRADER = """
import subprocess, sys
from grader.engine.child import child_environment
subprocess.run([sys.executable, "-c", sys.argv[1]], env=child_environment("tensorflow", None))
"""


def test_the_evaluation_does_not_outlive_a_killed_grader() -> None:
    command = [sys.executable, "-c", GRADER, CHILD]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as grader:
        assert grader.stdout is not None
        assert int(grader.stdout.readline()) > 0

        grader.kill()
        rest = grader.stdout.read()  # ends when the child has closed it as well

    assert rest == ""


# --- the disk and the clock ---------------------------------------------------------------


def grade(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """The real command in a process of its own, its sandbox answering from hand-written graphs."""
    return subprocess.run(
        [*KILLED, "--command", folder, *words],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def state(ran: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    assert ran.returncode == 1, ran.stderr  # one of the three is rejected
    found: dict[str, Any] = json.loads(ran.stdout.splitlines()[-1])
    return found


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A results folder on a disk of 128 KiB, where this process may mount one."""
    place = tmp_path / "results"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=128k", "tmpfs", str(place)]
    if shutil.which("mount") is None or os.geteuid() != 0:
        pytest.skip("only root mounts a small disk")
    if subprocess.run(command, capture_output=True, check=False).returncode != 0:
        pytest.skip("no file system can be mounted here")
    yield place
    subprocess.run(["umount", str(place)], check=True)


@pytest.mark.parametrize("free_bytes", [0, 65536])
def test_a_full_disk_is_named_and_the_same_command_finishes_when_there_is_room(
    tmp_path: Path, small_disk: Path, free_bytes: int
) -> None:
    (small_disk / "ballast").write_bytes(bytes(131072 - free_bytes))

    full = grade(tmp_path)
    (small_disk / "ballast").unlink()
    subprocess.run(["mount", "-o", "remount,size=4m", str(small_disk)], check=True)
    after = state(grade(tmp_path))

    assert full.returncode == 3
    assert "No space left on" in full.stderr
    assert "Traceback" not in full.stderr
    assert [name for name, *_ in after["grades"]] == ["ada", "ben", "eve"]
    assert [status for _, status, _ in after["grades"]] == ["graded", "graded", "rejected"]
    assert after["problems"] == []


def test_a_read_only_results_folder_is_named_before_anything_runs(
    tmp_path: Path, small_disk: Path
) -> None:
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)

    ran = grade(tmp_path)

    assert ran.returncode == 3
    assert "read-only; choose another one with --results" in ran.stderr
    assert not (tmp_path / "log").exists()


def test_a_file_system_without_locks_is_refused_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_locks(*_: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr("fcntl.flock", no_locks)

    with pytest.raises(InfrastructureError) as caught, hold(tmp_path / "results", print):
        pass
    assert caught.value.cause is Cause.INFRA_DISK
    assert "no locks" in caught.value.help
    assert "--results" in caught.value.help


def test_a_clock_that_jumps_moves_no_grade(tmp_path: Path) -> None:
    before = state(grade(tmp_path))

    after = [state(grade(tmp_path, "--clock", day)) for day in ("1999-01-01", "2055-01-01")]

    assert after == [before, before]
