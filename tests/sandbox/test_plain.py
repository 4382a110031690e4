"""One's own code in a plain process: the contract of the frames, and an end to everything.

What is harmful is bounded: a loop of some seconds, some hundred megabytes.
"""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from grader.domain import Limits, RunStatus
from grader.errors import Cause, InfrastructureError
from grader.sandbox import memory, plain
from grader.sandbox.contract import Stage, StageResult
from grader.sandbox.frames import FrameParser
from grader.sandbox.plain import PlainSandbox
from grader.sandbox.verdict import Ending, result
from tests.sandbox.conftest import HONEST, LIMITS, STAGES, MiB, Range, settle

pytestmark = pytest.mark.sandbox


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Range]:
    """A plain sandbox; afterwards no process of it is there and no file is left."""
    scratch, trees = tmp_path / "scratch with a space, ö", tmp_path / "trees"
    scratch.mkdir()
    trees.mkdir()
    sandbox = PlainSandbox(stages=STAGES, scratch=scratch)
    yield Range("plain", sandbox, scratch, trees)
    sandbox.close()
    assert settle(lambda: not list(scratch.iterdir())), "a file was left"


def cause(found: StageResult) -> Cause | None:
    return found.run.cause


def test_an_honest_program_is_answered_for(own: Range) -> None:
    found = own.run("def answer(n): return [n, 'x' * 1_000_000]", n=7)

    assert found.complete
    assert found.run.status is RunStatus.DONE
    assert found.run.isolation == "none"
    assert found.json_frames["answer"].startswith(b'[7,"xxx')


def test_what_it_prints_is_its_log_and_not_its_answer(own: Range) -> None:
    source = """
        import os, sys
        print("on import: ö → 𝜃")
        def answer():
            os.write(1, b"past Python\\n")
            print("to errors", file=sys.stderr)
            return sys.stdin.read()
    """

    found = own.run(source)

    assert found.json_frames["answer"] == b'""'
    assert set(found.run.log_tail.splitlines()) == {"on import: ö → 𝜃", "past Python", "to errors"}


def test_its_files_are_a_copy_and_its_home_is_a_folder_of_its_own(own: Range) -> None:
    source = """
        import pathlib, tempfile
        def answer():
            pathlib.Path("beside.txt").write_text("kept")
            home, tree = pathlib.Path.home(), pathlib.Path.cwd()
            own = home == pathlib.Path(tempfile.gettempdir()) and home in tree.parents
            return [open("data/größe.txt").read(), own]
    """
    tree = own.tree(source, {"data/größe.txt": "7 µm".encode()})

    found = own.run_tree(tree, {})

    assert found.json_frames["answer"].decode() == r'["7 \u00b5m",true]'
    assert not (tree / "beside.txt").exists()


@pytest.mark.parametrize(
    ("source", "expected", "said"),
    [
        ("def answer(): raise ValueError('no')", Cause.STUDENT_EXCEPTION, "ValueError: no"),
        ("def answer(): exit(3)", Cause.STUDENT_EXCEPTION, "SystemExit"),
        ("import os\ndef answer(): os._exit(3)", Cause.STUDENT_EXITED, "exit status 3"),
        ("import os\ndef answer(): os.abort()", Cause.STUDENT_EXITED, "SIGABRT"),
        (
            "import ctypes\ndef answer(): ctypes.string_at(0)",
            Cause.STUDENT_EXITED,
            "SIGSEGV",
        ),
    ],
    ids=["raises", "exits", "ends at once", "aborts", "segfaults"],
)
def test_a_program_that_ends_early_says_how(
    own: Range, source: str, expected: Cause, said: str
) -> None:
    found = own.run(source)

    assert cause(found) is expected
    assert said in found.run.message


def test_an_endless_loop_ends_with_the_clock(own: Range) -> None:
    found = own.run("def answer():\n    while True: pass", wall_time_s=0.5)

    assert cause(found) is Cause.STUDENT_TIMEOUT


def test_a_memory_hog_ends_at_its_limit(own: Range) -> None:
    source = """
        import time
        def answer():
            kept = bytearray(b"x") * (300 * 2**20)
            time.sleep(LONG_S)
    """

    found = own.run(source, memory_bytes=200 * MiB)

    assert cause(found) is Cause.STUDENT_OUT_OF_MEMORY
    assert (found.run.peak_memory_bytes or 0) > 200 * MiB


def test_a_flood_is_bounded(own: Range) -> None:
    printed = own.run("def answer():\n    print('x' * 5_000_000)\n    return 1")
    framed = own.run("def answer(): return 'x' * 5_000_000")

    assert len(printed.run.log_tail) == LIMITS.log_bytes
    assert printed.json_frames["answer"] == b"1"
    assert cause(framed) is Cause.STUDENT_OUTPUT_LIMIT


def test_what_it_has_started_ends_with_it(own: Range) -> None:
    source = """
        import subprocess, sys, time
        def answer():
            subprocess.Popen([sys.executable, "-c", "import time; time.sleep(LONG_S)"])
            time.sleep(LONG_S)
    """
    began = time.monotonic()

    found = own.run(source, wall_time_s=1)

    assert cause(found) is Cause.STUDENT_TIMEOUT
    assert time.monotonic() - began < 30, "its pipes were held open"


def test_libraries_that_do_not_load_are_the_machines_fault(tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("import nothing_of_this_name")
    sandbox = PlainSandbox(stages=tmp_path, scratch=tmp_path)

    with pytest.raises(InfrastructureError, match="nothing_of_this_name"):
        sandbox.run(Stage("broken", tmp_path, {}, LIMITS))


# --- warm, interrupted, stopped -----------------------------------------------------------


def test_a_warm_one_has_the_next_process_ready_and_ends_it_in_the_end(tmp_path: Path) -> None:
    sandbox = PlainSandbox(warm=True, stages=STAGES, scratch=tmp_path / "scratch")
    own = Range("plain", sandbox, tmp_path / "scratch", tmp_path)
    sandbox.prepare("play")
    first = sandbox._spares["play"]

    answers = [own.run(HONEST).json_frames["answer"] for _ in range(2)]

    assert answers == [b"42", b"42"]
    assert first.ended
    last = sandbox._spares["play"]
    assert not last.ended
    sandbox.close()
    assert last.ended


def test_an_interrupt_ends_the_run_and_the_next_one_runs(tmp_path: Path) -> None:
    sandbox = PlainSandbox(stages=STAGES, scratch=tmp_path / "scratch")
    own = Range("plain", sandbox, tmp_path / "scratch", tmp_path)
    began, raised = threading.Event(), []
    source = "import time\ndef answer():\n    time.sleep(LONG_S)"

    def run() -> None:
        began.set()
        try:
            own.run(source)
        except InfrastructureError as error:
            raised.append(error.cause)

    thread = threading.Thread(target=run)
    thread.start()
    began.wait()
    while thread.is_alive():
        sandbox.interrupt()
        thread.join(0.05)

    assert raised == [Cause.INFRA_INTERRUPTED]
    assert own.run(HONEST).json_frames["answer"] == b"42"
    sandbox.stop()
    with pytest.raises(InfrastructureError):
        own.run(HONEST)


def test_a_process_whose_grader_is_gone_ends_by_itself(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "student.py").write_text("import time\ndef answer(): time.sleep(1000)")
    code = f"""
import os, sys, threading
from pathlib import Path
from grader.domain import Limits
from grader.sandbox.contract import Stage
from grader.sandbox.plain import PlainSandbox
sandbox = PlainSandbox(stages=Path({str(STAGES)!r}), scratch=Path({str(tmp_path)!r}))
threading.Thread(target=sandbox.run, args=[Stage("play", Path({str(tree)!r}), {{}}, Limits())],
                 daemon=True).start()
while not sandbox._running: pass
child = next(iter(sandbox._running))
while not hasattr(child, "talk"): pass
print(child._process.pid, flush=True)
os._exit(0)
"""
    told = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    pid = int(told.stdout)

    assert settle(lambda: not _is_program(pid))


def _is_program(pid: int) -> bool:
    try:
        return b"--plain" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


# --- by the means of other systems --------------------------------------------------------


def test_windows_says_how_a_program_crashed() -> None:
    parser = FrameParser(2**16)
    parser.control["ready"] = b"{}"

    found = result(Ending(status=0xC0000005), parser, Limits(), "none")

    assert found.run.cause is Cause.STUDENT_EXITED
    assert "an access violation" in found.run.message


def test_memory_is_told_by_ps_where_there_is_no_proc(monkeypatch: pytest.MonkeyPatch) -> None:
    command = [sys.executable, "-c", "print(flush=True); input()"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        here = memory.memory_of(process)
        monkeypatch.setattr("sys.platform", "darwin")
        as_ps_says = memory.memory_of(process)
        monkeypatch.setattr("sys.platform", "win32")
        unknown = memory.memory_of(process)
        process.communicate(b"\n")

    assert here > MiB
    assert as_ps_says > MiB
    assert unknown == 0


def test_windows_ends_a_process_with_its_children(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    class Process:
        pid = 7

        def kill(self) -> None:
            asked.append("kill")

    monkeypatch.setattr("sys.platform", "win32")
    monkeypatch.setattr(plain.subprocess, "CREATE_NO_WINDOW", 1, raising=False)
    monkeypatch.setattr(plain.subprocess, "CREATE_NEW_PROCESS_GROUP", 2, raising=False)
    monkeypatch.setattr(plain.subprocess, "run", lambda command, **_: asked.append(command))

    plain.end_with_children(Process())  # type: ignore[arg-type]

    assert asked == [["taskkill", "/F", "/T", "/PID", "7"], "kill"]
