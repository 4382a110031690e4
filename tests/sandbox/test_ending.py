"""A stage ends by our clock, nothing of it stays, and what was written counts, whatever it does.

After each test (conftest): no process or thread survives, no file is left, the next submission
passes. Where a defence is missing these programs still end by themselves: they sleep for at most
half a minute, and write at most 48 MiB below their own folder.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import textwrap
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from grader import files
from grader.errors import Cause, InfrastructureError
from grader.sandbox import pump
from grader.sandbox.contract import Stage
from grader.sandbox.docker import _engine
from grader.sandbox.jail import UncheckedJail
from grader.sandbox.process import ProcessSandbox
from tests.sandbox.conftest import (
    HONEST,
    LIMITS,
    SETTLED_S,
    STAGES,
    Range,
    our_containers,
    settle,
    survivors,
)

EXIT_OF_ONE_THREAD = (
    "ctypes.CDLL(None).syscall({'x86_64': 60, 'aarch64': 93}[os.uname().machine], 0)"
)
"""Ends the calling thread alone; the process goes on as long as another thread lives."""


# --- what lives on ------------------------------------------------------------------------


@pytest.mark.parametrize("threads", [1, 5])
def test_a_program_whose_main_thread_has_ended_is_over(any_range: Range, threads: int) -> None:
    source = f"""
        import ctypes, os, threading, time
        def answer():
            for _ in range({threads}):
                threading.Thread(target=time.sleep, args=(LONG_S,), daemon=True).start()
            {EXIT_OF_ONE_THREAD}
    """

    result = any_range.run(source, wall_time_s=2 * SETTLED_S)

    assert result.run.cause is Cause.STUDENT_EXITED
    assert "main thread" in result.run.message
    assert result.run.wall_time_s < SETTLED_S


def test_what_threads_without_a_main_thread_write_is_gone_too(any_range: Range) -> None:
    source = f"""
        import ctypes, os, pathlib, threading, time
        def go_on():
            end = time.monotonic() + LONG_S
            while time.monotonic() < end:
                for number in range(1000):
                    (pathlib.Path.home() / str(number)).touch()
        def answer():
            threading.Thread(target=go_on, daemon=True).start()
            time.sleep(0.1)
            {EXIT_OF_ONE_THREAD}
    """

    assert any_range.run(source).run.cause is Cause.STUDENT_EXITED


@pytest.mark.parametrize("name", ["process", "process-warm", "jail", "jail-warm"])
def test_a_supervisor_that_hangs_is_killed_when_its_time_is_over(
    ranges: Callable[[str], Range], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pump, "STOP_S", 0.5)
    found = ranges(name)
    stopped: list[int] = []

    def stop_the_supervisor() -> None:
        assert settle(lambda: bool(survivors(found.scratch)))
        stat = Path(f"/proc/{survivors(found.scratch)[0]}/stat").read_text()
        stopped.append(int(stat.rpartition(")")[2].split()[1]))
        os.kill(stopped[0], signal.SIGSTOP)

    stopper = threading.Thread(target=stop_the_supervisor)
    stopper.start()
    result = found.run("import time\ndef answer(): time.sleep(LONG_S)", wall_time_s=2)
    stopper.join()

    killed = settle(lambda: not Path(f"/proc/{stopped[0]}").exists())
    if not killed:  # nobody else would
        os.kill(stopped[0], signal.SIGKILL)
    assert result.run.cause is Cause.STUDENT_TIMEOUT
    assert killed
    assert settle(lambda: not survivors(found.scratch))
    assert list(found.scratch.iterdir()) == []


# --- what stays on disk -------------------------------------------------------------------

NESTED = """
    for number in range(1500):
        os.mkdir("d"); os.chdir("d")
"""
LONG = """
    for number in range(25):
        os.mkdir("d" * 250); os.chdir("d" * 250)
    open("file", "w").close()
"""
UNREADABLE = """
    os.mkdir("d", 0o300)
    open("d/file", "w").close()
    os.mkdir("d/e", 0o300)
    os.mkdir("d/e/f", 0o000)
"""
READ_ONLY = """
    os.umask(0)
    os.makedirs("d/e")
    open("d/e/file", "w").close()
    os.mkdir("g", 0o700)
    os.rename("d", "g/d")
    os.mkdir("h", 0o500)
"""


@pytest.mark.parametrize(
    "make", [NESTED, LONG, UNREADABLE, READ_ONLY], ids=["nested", "long", "unreadable", "read-only"]
)
def test_any_folders_that_a_program_leaves_are_removed(any_range: Range, make: str) -> None:
    source = f"import os\ndef answer():\n    os.chdir(os.environ['HOME'])\n{make}\n    return 42"

    result = any_range.run(source)

    # Where they cannot be counted they count as a full disk.
    assert result.run.cause in (None, Cause.STUDENT_DISK_LIMIT), result.run.message


@pytest.mark.parametrize("name", ["process", "jail-warm"])
def test_a_run_s_folder_is_swept_should_everybody_be_killed(
    ranges: Callable[[str], Range], name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = ranges(name).run("import os\ndef answer(): return os.environ['HOME']")
    folder = Path(json.loads(result.json_frames["answer"])).name
    left = tmp_path / folder.replace(f"-{os.getpid()}-", f"-{2**31 - 1}-")
    (left / "d").mkdir(parents=True, mode=0o300)
    (tmp_path / folder).mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))

    files.sweep_scratch()

    assert [path.name for path in tmp_path.iterdir()] == [folder]


def test_a_folder_that_cannot_be_removed_is_named(
    ranges: Callable[[str], Range], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: str) -> None:
        raise OSError("busy")

    monkeypatch.setattr("grader.inside.disk.remove", refuse)
    monkeypatch.setattr("grader.sandbox.process._GONE_S", 0.1)

    with pytest.warns(RuntimeWarning, match="grade-run.*could not be removed: busy"):
        ranges("process").run(HONEST)


def test_a_warm_container_that_something_is_left_in_is_thrown_away(
    ranges: Callable[[str], Range], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = ranges("docker-warm")
    take_report = pump.Conversation._take_report
    which = "import os\ndef answer(): return os.stat('/proc/1').st_ino"
    first = found.run(which).json_frames["answer"]
    assert found.run(which).json_frames["answer"] == first

    with monkeypatch.context() as patch:
        patch.setattr(
            pump.Conversation,
            "_take_report",
            lambda talk, report: take_report(talk, {**report, "left": "OSError: busy"}),
        )
        assert found.run(which).complete

    assert found.run(which).json_frames["answer"] != first


# --- what was written ---------------------------------------------------------------------

HIDE = """
    import ctypes, os, socket, time
    libc = ctypes.CDLL(None)
    libc.mmap.restype = ctypes.c_void_p
    libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long]
    ours, theirs = socket.socketpair()
    def answer():
        os.chdir(os.environ["HOME"])
        for number in range(12):
            file = os.open("file", os.O_RDWR | os.O_CREAT)
            os.unlink("file")
            os.write(file, bytes(1 << 20))
            {hide}
            os.close(file)
        time.sleep(LONG_S)
"""


def test_a_file_that_is_mapped_alone_reaches_the_disk_limit(any_range: Range) -> None:
    source = HIDE.format(hide="libc.mmap(None, 4096, 1, 2, file, 0)")

    result = any_range.run(source, wall_time_s=2 * SETTLED_S)

    assert result.run.cause is Cause.STUDENT_DISK_LIMIT, result.run
    assert result.run.wall_time_s < SETTLED_S


def test_no_file_is_kept_on_its_way_between_sockets(closed_range: Range) -> None:
    result = closed_range.run(HIDE.format(hide='socket.send_fds(ours, [b"x"], [file])'))

    assert result.run.cause is Cause.STUDENT_EXCEPTION, result.run
    assert "PermissionError" in result.run.message


def test_a_path_longer_than_the_kernel_takes_counts(any_range: Range) -> None:
    source = """
        import os, time
        def answer():
            os.chdir(os.environ["HOME"])
            for number in range(20):
                os.mkdir("d" * 250); os.chdir("d" * 250)
            for number in range(12):
                with open(str(number), "wb") as file: file.write(bytes(1 << 20))
            time.sleep(LONG_S)
    """

    result = any_range.run(source, wall_time_s=2 * SETTLED_S)

    assert result.run.cause is Cause.STUDENT_DISK_LIMIT, result.run
    assert result.run.wall_time_s < SETTLED_S


def test_a_jailed_run_has_a_file_system_of_its_own(ranges: Callable[[str], Range]) -> None:
    # As root, and for an ordinary user where the machine allows user namespaces.
    source = """
        import os
        def answer():
            home = os.environ["HOME"]
            return [os.stat(home).st_dev, os.statvfs(home).f_blocks * os.statvfs(home).f_frsize]
    """
    found = ranges("jail")
    device, size = json.loads(found.run(source).json_frames["answer"])

    if os.getuid() != 0 and device == found.scratch.stat().st_dev:
        pytest.skip("this machine allows no user namespaces")
    assert device != found.scratch.stat().st_dev
    assert size < 3 * LIMITS.file_bytes


WRITES_A_LITTLE = """
    import os, tempfile
    def answer():
        with tempfile.TemporaryFile() as file:
            file.write(bytes(4 << 20))
        return 42
"""


@pytest.fixture
def full_disk(tmp_path: Path) -> Iterator[Path]:
    """A folder on a disk of 24 MiB that others have filled but for 2 MiB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    made = ["mount", "-t", "tmpfs", "-o", "size=24m", "none", str(disk)]
    if os.getuid() != 0 or subprocess.run(made, capture_output=True).returncode != 0:
        pytest.skip("no disk can be made here")
    try:
        (disk / "others").write_bytes(bytes(22 << 20))
        yield disk
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=True)


@pytest.mark.parametrize("kind", [ProcessSandbox, UncheckedJail])
def test_a_disk_that_others_filled_is_not_the_programs_fault(
    kind: type[ProcessSandbox], full_disk: Path, tmp_path: Path
) -> None:
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / "student.py").write_text(textwrap.dedent(WRITES_A_LITTLE))
    sandbox = kind(stages=STAGES, scratch=full_disk)
    stage = Stage("play", tmp_path / "tree", {}, LIMITS)

    if kind is UncheckedJail:  # it has a file system of its own
        assert sandbox.run(stage).json_frames == {"answer": b"42"}
        return
    with pytest.raises(InfrastructureError, match="disk") as caught:
        sandbox.run(stage)
    assert caught.value.cause is Cause.INFRA_DISK


def test_a_program_that_says_so_has_no_full_disk(any_range: Range) -> None:
    result = any_range.run("def answer(): raise OSError(28, 'No space left on device')")

    assert result.run.cause is Cause.STUDENT_DISK_LIMIT


# --- who ends whom ------------------------------------------------------------------------


def test_a_program_cannot_touch_its_supervisor(closed_range: Range) -> None:
    source = """
        import os, resource, signal
        def answer():
            supervisor = os.getppid() or 1
            tries = [
                lambda: resource.prlimit(supervisor, resource.RLIMIT_CPU),
                lambda: resource.prlimit(supervisor, resource.RLIMIT_CORE, (0, 0)),
                lambda: os.setpriority(os.PRIO_PROCESS, supervisor, 1),
                lambda: os.sched_setaffinity(supervisor, os.sched_getaffinity(0)),
                lambda: os.sched_setscheduler(supervisor, os.SCHED_OTHER, os.sched_param(0)),
                lambda: os.kill(supervisor, 0),
                lambda: os.pidfd_open(supervisor),
            ]
            held = []
            for number, attempt in enumerate(tries):
                try: attempt(); held.append(number)
                except OSError: pass
            return held
    """

    assert json.loads(closed_range.run(source).json_frames["answer"]) == []


def test_a_container_that_ends_by_itself_is_the_programs_end(
    ranges: Callable[[str], Range], monkeypatch: pytest.MonkeyPatch
) -> None:
    # What ends it is not known here. A grade that could be withheld so would be withheld at will.
    found = ranges("docker")
    client = _engine()
    before = set(our_containers())
    hear = pump.Conversation.hear_output

    def hear_and_kill(talk: pump.Conversation, data: bytes) -> None:
        hear(talk, data)
        if talk.parser.ready:
            for identity in set(our_containers()) - before:
                client.api.kill(identity)

    monkeypatch.setattr(pump.Conversation, "hear_output", hear_and_kill)
    result = found.run("import time\ndef answer(): time.sleep(LONG_S)", wall_time_s=15)
    client.close()

    assert result.run.cause is Cause.STUDENT_EXITED
    assert "container" in result.run.message
