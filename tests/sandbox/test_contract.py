"""What every sandbox promises. One test, one promise, held against every provider.

After each test (conftest): no process survives, no file is left, the next submission passes.
Programs that would do harm under a missing defence are bounded: at most a hundred processes, a
gigabyte, their own files, this machine's loopback, and signals to a process this file started.
"""

from __future__ import annotations

import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import sysconfig
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from grader.domain import RunStatus
from grader.errors import Cause, InfrastructureError
from grader.sandbox.contract import Stage, StageResult
from tests.sandbox.conftest import HONEST, LIMITS, LONG_S, SETTLED_S, MiB, Range, settle, survivors

TRY = """
import os, sys
def refused(attempt):
    try:
        attempt()
    except (OSError, ValueError):
        return True
    return False
"""
CHANNEL = """
import os
def channel():
    found = []
    for fd in range(3, 300):
        try:
            os.fstat(fd)
            os.write(fd, b"")
        except OSError:
            continue
        found.append(fd)
    return found[0]
def frame(name, payload=b"{}", kind=b"J", length=None):
    size = len(payload) if length is None else length
    return (b"GRD1" + kind + bytes([len(name)]) + size.to_bytes(8, "big") + name.encode() + payload)
"""


def answer(result: StageResult) -> Any:
    assert result.run.status is RunStatus.DONE, result.run
    return json.loads(result.json_frames["answer"])


def cause(result: StageResult) -> Cause | None:
    assert (result.run.status is RunStatus.DONE) == (result.run.cause is None)
    return result.run.cause


@pytest.fixture
def victim() -> Iterator[subprocess.Popen[bytes]]:
    """A process of ours that nobody inside may touch."""
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    yield process
    process.kill()
    process.communicate()


# --- an honest program --------------------------------------------------------------------


def test_an_honest_program_is_answered_for(any_range: Range) -> None:
    result = any_range.run("def answer(n): return [n, 'x' * 100000]", n=7)

    assert result.complete
    assert answer(result) == [7, "x" * 100000]
    assert result.run.isolation == any_range.sandbox.isolation
    assert result.run.cpu_time_s is None or result.run.cpu_time_s > 0


def test_an_honest_program_may_use_its_private_folder_and_threads(any_range: Range) -> None:
    source = """
        import os, pathlib, tempfile, threading
        def answer():
            with tempfile.TemporaryDirectory() as folder:
                pathlib.Path(folder, "a").write_text("kept")
                text = pathlib.Path(folder, "a").read_text()
            pathlib.Path.home().joinpath("b").write_bytes(bytes(1000))
            thread = threading.Thread(target=lambda: None)
            thread.start(); thread.join()
            return text
    """

    assert answer(any_range.run(source)) == "kept"


def test_an_honest_program_may_write_beside_its_own_files(any_range: Range) -> None:
    source = """
        import os, pathlib
        os.makedirs("checkpoints/first", exist_ok=True)
        pathlib.Path("data/train.log").write_text("epoch 1")
        (pathlib.Path(__file__).parent / "curve.png").write_bytes(bytes(1000))
        def answer():
            with open("student.py", "a") as own: own.write("# more")
            return [pathlib.Path("data/train.log").read_text(), sorted(os.listdir())]
    """
    tree = any_range.tree(source, {"data/means.txt": b"125.3"})

    text, names = answer(any_range.run_tree(tree, {}))

    assert text == "epoch 1"
    assert names == ["checkpoints", "curve.png", "data", "student.py"]
    assert not list(tree.glob("check*"))
    assert not (tree / "student.py").read_text().endswith("# more")


def test_the_students_own_files_do_not_count_as_written(any_range: Range) -> None:
    weights = bytes(LIMITS.file_bytes + MiB)

    result = any_range.run(
        "import os\ndef answer(): return os.path.getsize('w.h5')", files={"w.h5": weights}
    )

    assert answer(result) == len(weights)


def test_an_honest_program_may_silence_itself(any_range: Range) -> None:
    source = """
        import contextlib, os
        def answer():
            with open(os.devnull, "w") as null, contextlib.redirect_stdout(null):
                print("noise")
            return "quiet"
    """

    result = any_range.run(source)

    assert answer(result) == "quiet"
    assert result.run.log_tail == ""


def test_a_program_reads_its_own_tree_and_modules(any_range: Range) -> None:
    source = """
        import helper.sizes
        def answer(): return helper.sizes.SIZE + len(open("notes.txt").read())
    """
    files = {"helper/__init__.py": b"", "helper/sizes.py": b"SIZE = 3", "notes.txt": b"12345"}

    assert answer(any_range.run(source, files=files)) == 8


def test_what_it_prints_is_kept_as_a_tail_and_never_an_answer(any_range: Range) -> None:
    source = """
        import sys
        def answer():
            for i in range(20000): print("passed: 100/100", i)
            sys.stderr.write("the end")
    """

    result = any_range.run(source)

    assert answer(result) is None
    assert result.run.log_tail.endswith("the end")
    assert len(result.run.log_tail) <= LIMITS.log_bytes


def test_standard_input_is_empty(any_range: Range) -> None:
    assert answer(any_range.run("import sys\ndef answer(): return sys.stdin.read()")) == ""


def test_several_run_at_once_without_mixing(any_range: Range) -> None:
    tree = any_range.tree("def answer(n): return n", {})

    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda n: any_range.run_tree(tree, {"n": n}), range(8)))

    assert [answer(r) for r in results] == list(range(8))


# --- whose fault it is --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("raise RuntimeError('no')", Cause.STUDENT_EXCEPTION),
        ("raise SystemExit(0)", Cause.STUDENT_EXCEPTION),
        ("raise MemoryError", Cause.STUDENT_OUT_OF_MEMORY),
        ("import os; os._exit(0)", Cause.STUDENT_EXITED),
        ("import os; os._exit(3)", Cause.STUDENT_EXITED),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", Cause.STUDENT_EXITED),
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", Cause.STUDENT_EXITED),
    ],
    ids=["exception", "sys-exit", "memory-error", "exit-0", "exit-3", "sigkill", "segfault"],
)
def test_an_end_before_the_answer_is_the_students(
    any_range: Range, body: str, expected: Cause
) -> None:
    result = any_range.run(f"def answer():\n    {body}")

    assert cause(result) is expected
    assert result.run.message
    assert not result.complete


def test_a_message_names_no_path_of_this_machine(any_range: Range) -> None:
    result = any_range.run("def answer(): open('/no/such/folder/file.txt')")

    assert "/no/such" not in result.run.message


def test_a_stage_that_does_not_load_is_never_the_students_fault(any_range: Range) -> None:
    tree = any_range.tree(HONEST, {})

    with pytest.raises(InfrastructureError) as caught:
        any_range.sandbox.run(Stage("broken", tree, {}, LIMITS))
    assert caught.value.cause is Cause.INFRA_TENSORFLOW


# --- limits -------------------------------------------------------------------------------


def test_sleeping_for_ever_ends_in_a_timeout(any_range: Range) -> None:
    source = "import time\ndef answer(): time.sleep(LONG_S)"

    result = any_range.run(source, wall_time_s=0.5)

    assert cause(result) is Cause.STUDENT_TIMEOUT
    assert result.run.wall_time_s < SETTLED_S


def test_ignoring_every_signal_ends_in_a_timeout(any_range: Range) -> None:
    source = """
        import signal, time
        def answer():
            for number in range(1, 65):
                try: signal.signal(number, signal.SIG_IGN)
                except (OSError, ValueError): pass
            time.sleep(LONG_S)
    """

    assert cause(any_range.run(source, wall_time_s=0.5)) is Cause.STUDENT_TIMEOUT


def test_a_patched_clock_does_not_stop_ours(any_range: Range) -> None:
    source = """
        import threading, time
        nap = time.sleep
        def answer():
            time.time = time.monotonic = time.perf_counter = lambda: 0.0
            nap(LONG_S)
    """

    assert cause(any_range.run(source, wall_time_s=0.5)) is Cause.STUDENT_TIMEOUT


def test_a_busy_loop_reaches_the_processor_limit(any_range: Range) -> None:
    source = """
        import signal, time
        signal.signal(signal.SIGXCPU, signal.SIG_IGN)
        def answer():
            while time.process_time() < 30: pass
    """

    assert cause(any_range.run(source, cpu_time_s=1, wall_time_s=120)) is Cause.STUDENT_CPU_LIMIT


@pytest.mark.parametrize("make", ["bytearray(32 << 20)", "shared(32 << 20)"])
def test_taking_memory_reaches_the_memory_limit(any_range: Range, make: str) -> None:
    source = f"""
        import mmap
        def shared(size):
            block = mmap.mmap(-1, size)
            for i in range(0, size, 4096): block[i] = 1
            return block
        def answer():
            try:
                kept = [{make} for _ in range(32)]
            except OSError as error:  # mmap says it so
                raise MemoryError from error
    """

    result = any_range.run(source, memory_bytes=256 * MiB)

    assert cause(result) is Cause.STUDENT_OUT_OF_MEMORY


def test_reserving_more_than_there_is_fails_at_once(any_range: Range) -> None:
    source = """
        import mmap
        def answer():
            try: return len(mmap.mmap(-1, 4 << 30, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS))
            except OSError as error: raise MemoryError from error
    """

    result = any_range.run(source)

    assert cause(result) is Cause.STUDENT_OUT_OF_MEMORY
    assert result.run.wall_time_s < SETTLED_S


def test_the_memory_of_all_processes_together_counts(any_range: Range) -> None:
    source = """
        import os, time
        def answer():
            for _ in range(4):
                if os.fork() == 0:
                    kept = bytearray(os.urandom(1) * (96 << 20)); time.sleep(LONG_S); os._exit(0)
            time.sleep(LONG_S)
    """

    result = any_range.run(source, memory_bytes=256 * MiB)

    # The jail lets no process be made; so does the one in a warm container.
    assert cause(result) in (Cause.STUDENT_OUT_OF_MEMORY, Cause.STUDENT_EXCEPTION)


def test_the_kernel_holds_the_limits_too(any_range: Range) -> None:
    source = """
        import resource
        def answer():
            return {n[7:]: resource.getrlimit(getattr(resource, n))[1]
                    for n in dir(resource) if n.startswith("RLIMIT_")}
    """

    held = answer(any_range.run(source))

    assert held["CORE"] == 0
    assert held["FSIZE"] == LIMITS.file_bytes
    assert 0 < held["NOFILE"] <= 256
    assert 0 < held["CPU"] <= LIMITS.cpu_time_s + 10
    assert 0 < held["AS"] <= 16 * 2**30
    shared_user = any_range.sandbox.isolation == "jail" and os.getuid() != 0
    counted = not shared_user and any_range.sandbox.isolation != "docker"
    assert 0 < held["NPROC"] < 10_000 or not counted


def test_one_large_file_reaches_the_disk_limit(any_range: Range) -> None:
    source = """
        import pathlib
        def answer():
            with open(pathlib.Path.home() / "big", "wb") as file:
                for _ in range(64): file.write(bytes(1 << 20))
    """

    assert cause(any_range.run(source)) is Cause.STUDENT_DISK_LIMIT


def test_many_files_together_reach_the_disk_limit(any_range: Range) -> None:
    source = """
        import pathlib, time
        def answer():
            for i in range(32): (pathlib.Path.home() / str(i)).write_bytes(bytes(1 << 20))
            time.sleep(LONG_S)
    """

    assert cause(any_range.run(source)) is Cause.STUDENT_DISK_LIMIT


def test_files_without_a_name_count_for_the_disk_limit(any_range: Range) -> None:
    source = """
        import os, pathlib, time
        def answer():
            kept = []
            for i in range(32):
                file = open(pathlib.Path.home() / str(i), "wb")
                os.unlink(file.name)
                file.write(bytes(1 << 20)); file.flush(); kept.append(file)
            time.sleep(LONG_S)
    """

    assert cause(any_range.run(source)) is Cause.STUDENT_DISK_LIMIT


def test_a_hundred_threads_reach_the_process_limit(any_range: Range) -> None:
    source = """
        import threading, time
        def answer():
            try:
                for _ in range(100):
                    threading.Thread(target=time.sleep, args=(LONG_S,), daemon=True).start()
            except RuntimeError: pass
            time.sleep(LONG_S)
    """

    assert (
        cause(any_range.run(source, processes=40, memory_bytes=8192 * MiB))
        is Cause.STUDENT_PROCESS_LIMIT
    )


def test_a_fork_bomb_gets_nowhere(any_range: Range) -> None:
    source = """
        import os, time
        def answer():
            for _ in range(100):
                if os.fork() == 0:
                    time.sleep(LONG_S); os._exit(0)
            time.sleep(LONG_S)
    """

    result = any_range.run(source, processes=20)

    assert cause(result) in (Cause.STUDENT_PROCESS_LIMIT, Cause.STUDENT_EXCEPTION)


def test_a_daemon_does_not_outlive_its_program(any_range: Range) -> None:
    source = """
        import os, time
        def answer():
            try:
                if os.fork() == 0:
                    os.setsid()
                    if os.fork() == 0: time.sleep(LONG_S)
                    os._exit(0)
                os.wait()
            except PermissionError: pass
            return "gone"
    """

    assert answer(any_range.run(source)) == "gone"


def test_children_holding_the_pipe_do_not_delay_the_end(any_range: Range) -> None:
    source = """
        import os, time
        def answer():
            try:
                if os.fork() == 0: time.sleep(LONG_S)
            except PermissionError: pass
    """

    result = any_range.run(source, wall_time_s=2 * SETTLED_S)

    assert result.complete
    assert result.run.wall_time_s < SETTLED_S


def test_a_zombie_is_taken_away(any_range: Range) -> None:
    source = """
        import os
        def answer():
            try:
                if os.fork() == 0: os._exit(0)
            except PermissionError: pass
    """

    assert any_range.run(source).complete


# --- the pipe -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("os.write(channel(), b'score: 100')", Cause.STUDENT_BAD_OUTPUT),
        ("os.write(channel(), frame('answer', b'1'))", Cause.STUDENT_BAD_OUTPUT),
        ("os.write(channel(), frame('end') + frame('more'))", Cause.STUDENT_BAD_OUTPUT),
        ("os.write(channel(), frame('ready'))", Cause.STUDENT_BAD_OUTPUT),
        ("os.write(channel(), frame('x', b'', b'B', 2**60))", Cause.STUDENT_OUTPUT_LIMIT),
        ("os.write(channel(), frame('x')[:9]); os._exit(0)", Cause.STUDENT_EXITED),
        ("os.close(channel())", Cause.STUDENT_EXITED),
        ("hidden = channel(); os.dup2(os.open(os.devnull, 1), hidden)", Cause.STUDENT_EXITED),
    ],
    ids=["text", "answer-twice", "after-end", "second-ready", "huge-length", "half-a-frame",
         "closed", "redirected"],
)  # fmt: skip
def test_a_forged_stream_is_no_answer(any_range: Range, body: str, expected: Cause) -> None:
    result = any_range.run(f"{CHANNEL}\ndef answer():\n    {body}\n    return 1")

    assert cause(result) is expected


def test_a_flood_of_frames_reaches_the_output_limit(any_range: Range) -> None:
    source = f"""{CHANNEL}
def answer():
    fd = channel()
    for i in range(64):
        data = memoryview(frame(f"f{{i}}", bytes(1 << 20), b"B"))
        while data: data = data[os.write(fd, data):]
"""

    assert cause(any_range.run(source)) is Cause.STUDENT_OUTPUT_LIMIT


def test_a_flood_of_text_does_not_fill_our_memory(any_range: Range) -> None:
    source = """
        import os
        def answer():
            for _ in range(64): os.write(1, b"x" * (1 << 20))
    """

    result = any_range.run(source)

    assert result.complete
    assert len(result.run.log_tail) <= LIMITS.log_bytes


def test_a_program_that_never_takes_its_request_does_not_block_us(any_range: Range) -> None:
    source = "def answer(big): return len(big)"

    assert answer(any_range.run(source, big="x" * 3_000_000)) == 3_000_000


def test_handlers_at_exit_do_not_run(any_range: Range) -> None:
    source = """
        import atexit, os, threading, time
        def answer():
            atexit.register(lambda: os.write(1, b"too late"))
            threading.Thread(target=time.sleep, args=(30,)).start()
            return 1
    """

    result = any_range.run(source)

    assert answer(result) == 1
    assert "too late" not in result.run.log_tail


# --- importing ----------------------------------------------------------------------------


def test_a_module_named_like_a_standard_one_shadows_nothing(any_range: Range) -> None:
    names = ("json", "random", "socket", "struct", "colorsys", "sitecustomize")
    files = {f"{name}.py": b"raise RuntimeError('shadowed')" for name in names}
    source = "import json, random, socket, struct, colorsys\ndef answer(): return json.dumps([1])"

    assert answer(any_range.run(source, files=files)) == "[1]"


def test_native_and_compiled_modules_of_the_tree_are_not_loaded(any_range: Range) -> None:
    source = """
        import importlib
        def answer():
            found = []
            for name in ("native", "compiled"):
                try: importlib.import_module(name)
                except ImportError: found.append(name)
            return found
    """
    files = {"native.cpython-311-x86_64-linux-gnu.so": b"\x7fELF", "native.so": b"\x7fELF",
             "compiled.pyc": b"\xa7\r\r\n" + bytes(12)}  # fmt: skip

    assert answer(any_range.run(source, files=files)) == ["native", "compiled"]


def test_a_stale_cache_does_not_stand_in_for_the_source(any_range: Range) -> None:
    import marshal

    code = compile("VALUE = 'forged'", "helper.py", "exec")
    head = b"\xa7\r\r\n" + (1).to_bytes(4, "little") + bytes(8)  # unchecked, hash-based
    cache = f"__pycache__/helper.{sys.implementation.cache_tag}.pyc"
    files = {"helper.py": b"VALUE = 'source'", cache: head + marshal.dumps(code)}

    assert (
        answer(any_range.run("import helper\ndef answer(): return helper.VALUE", files=files))
        == "source"
    )


# --- nothing passes from one to the next --------------------------------------------------


def test_nothing_passes_from_one_program_to_the_next(any_range: Range) -> None:
    first = """
        import builtins, json, os, pathlib, random, sys
        def answer():
            builtins.left = sys.left = os.environ["LEFT"] = "left"
            random.seed = len
            pathlib.Path.home().joinpath("left").write_text("left")
            sys.modules["left"] = json
    """
    second = """
        import builtins, os, pathlib, random, sys
        def answer():
            return [hasattr(builtins, "left"), hasattr(sys, "left"), "LEFT" in os.environ,
                    random.seed is len, "left" in sys.modules, os.listdir(pathlib.Path.home())]
    """
    any_range.run(first)

    assert answer(any_range.run(second)) == [False, False, False, False, False, ["submission"]]


def test_the_environment_holds_nothing_of_ours(any_range: Range) -> None:
    found = answer(any_range.run("import os\ndef answer(): return dict(os.environ)"))

    assert "GRADER_TEST_SECRET" not in found
    assert "the course key" not in json.dumps(found)
    assert not Path(found["KERAS_HOME"]).exists()


def test_only_the_log_and_the_channel_are_open(any_range: Range) -> None:
    source = """
        import os, stat
        def answer():
            found = []
            for fd in range(3, 1024):
                try: mode = os.fstat(fd).st_mode
                except OSError: continue
                try: os.write(fd, b"")
                except OSError: continue
                found.append(stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode))
            return [len(found), os.fstat(1) == os.fstat(2)]
    """

    assert answer(any_range.run(source)) == [1, True]


# --- isolation: providers that isolate ----------------------------------------------------


def test_there_is_no_network(closed_range: Range) -> None:
    source = f"""{TRY}
import socket
def answer(port):
    def connect(family, kind, address):
        with socket.socket(family, kind) as s:
            s.settimeout(2); s.connect(address); s.send(b"hello")
    tries = [
        lambda: connect(socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", port)),
        lambda: connect(socket.AF_INET, socket.SOCK_DGRAM, ("127.0.0.1", port)),
        lambda: connect(socket.AF_INET6, socket.SOCK_STREAM, ("::1", port)),
        lambda: connect(socket.AF_UNIX, socket.SOCK_STREAM, "\\0grader-test"),
        lambda: socket.getaddrinfo("localhost", "http") and connect(
            socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", port)),
    ]
    return [refused(t) for t in tries]
"""
    with socket.socket() as tcp, socket.socket(type=socket.SOCK_DGRAM) as udp:
        tcp.bind(("127.0.0.1", 0))
        port = tcp.getsockname()[1]
        tcp.listen()
        udp.bind(("127.0.0.1", port))
        tcp.setblocking(False)
        udp.setblocking(False)
        found = answer(closed_range.run(source, port=port))

        sent_into_the_void = not found.pop(1)  # a container's own loopback takes a datagram
        assert found == [True] * 4
        assert not sent_into_the_void or closed_range.name.startswith("docker")
        for server in (tcp, udp):
            with pytest.raises(BlockingIOError):
                server.recv(1) if server is udp else server.accept()


def test_other_files_cannot_be_read(closed_range: Range, tmp_path: Path) -> None:
    secret = tmp_path / "labels.npy"
    secret.write_text("secret")
    tmp_path.chmod(0o755)
    secret.chmod(0o644)
    source = f"""{TRY}
def answer(path):
    near = os.path.relpath(path)
    paths = [path, "/proc/self/root" + path, near, "/proc/self/cwd/" + near]
    os.symlink(path, os.path.join(os.environ["HOME"], "link"))
    paths.append(os.path.join(os.environ["HOME"], "link"))
    return [refused(lambda p=p: open(p).close()) for p in paths]
"""

    assert answer(closed_range.run(source, path=str(secret))) == [True] * 5


@pytest.mark.parametrize("name", ["grader/paper.py", "reference_solution/densenet.py"])
def test_the_grader_and_its_reference_solution_cannot_be_read(
    closed_range: Range, name: str
) -> None:
    source = f"{TRY}\ndef answer(path): return refused(lambda: open(path).close())"
    path = Path(__file__).parents[2] / name

    assert path.exists()
    assert answer(closed_range.run(source, path=str(path))) is True


def test_no_copy_of_the_reference_solution_can_be_read(closed_range: Range) -> None:
    # An editable install leaves the code in its checkout, and the data in site-packages.
    installed = Path(sysconfig.get_path("purelib")) / "grader"
    files = [str(path) for path in installed.rglob("reference_solution/*") if path.is_file()]
    source = f"{TRY}\ndef answer(paths): return [refused(lambda: open(p).close()) for p in paths]"

    if not files:
        pytest.skip(f"{installed}: no reference solution is installed there")
    assert all(answer(closed_range.run(source, paths=files)))


@pytest.mark.parametrize("path", ["/root", "/home", "/tmp", "/run", "/work"])
def test_no_folder_of_this_machine_can_be_listed(closed_range: Range, path: str) -> None:
    source = """
        import os
        def answer(path):
            try: return os.listdir(path)
            except OSError: return []
    """
    there = set(os.listdir(path)) if os.path.isdir(path) else set()

    found = answer(closed_range.run(source, path=path))

    assert there & set(found) <= {"lock"}  # /run/lock is in every Debian image


def test_nothing_can_be_written_outside_the_private_folder(
    closed_range: Range, tmp_path: Path
) -> None:
    target = tmp_path / "target"
    target.write_text("whole")
    tmp_path.chmod(0o777)
    target.chmod(0o666)
    before = target.stat()
    source = f"""{TRY}
def answer(path, folder):
    made = os.path.join(os.environ["HOME"], "made")
    open(made, "w").close()
    tries = [
        lambda: open(path, "w"), lambda: open(path, "a"), lambda: os.truncate(path, 0),
        lambda: os.open(path, os.O_RDONLY | os.O_TRUNC), lambda: os.unlink(path),
        lambda: os.rename(path, path + "2"), lambda: os.chmod(path, 0),
        lambda: os.link(path, made + "2"), lambda: os.rename(made, folder + "/moved"),
        lambda: os.mkdir(folder + "/new"), lambda: os.mkfifo(folder + "/fifo"),
        lambda: os.symlink("/", folder + "/link"), lambda: os.chown(path, 1, 1),
        lambda: os.utime(path, (0, 0)),
        lambda: os.setxattr(path, "user.x", b"1"),
    ]
    return [refused(t) for t in tries]
"""

    found = answer(closed_range.run(source, path=str(target), folder=str(tmp_path)))

    assert found == [True] * 15
    assert [p.name for p in tmp_path.iterdir()] == ["target"]
    assert target.read_text() == "whole"
    assert (target.stat().st_mode, target.stat().st_mtime) == (before.st_mode, before.st_mtime)


@pytest.mark.parametrize("where", ["/dev/shm", "/tmp", "/var/tmp"])
def test_nothing_can_be_left_for_the_next_run(closed_range: Range, where: str) -> None:
    name = f"{where}/left-by-a-test-{secrets.token_hex(4)}"
    source = "def answer(name): open(name, 'w').close()"

    closed_range.run(source, name=name)

    left = Path(name).exists()
    Path(name).unlink(missing_ok=True)
    assert not left


def test_its_own_tree_and_the_libraries_stay_as_they_are(closed_range: Range) -> None:
    source = f"""{TRY}
import json
def answer(tree):
    folders = (os.path.dirname(json.__file__), tree)
    return [refused(lambda f=f: open(f + "/left-by-a-test", "w").close()) for f in folders]
"""
    tree = closed_range.tree(source, {})

    assert answer(closed_range.run_tree(tree, {"tree": str(tree)})) == [True, True]
    assert [p.name for p in tree.iterdir()] == ["student.py"]


def test_other_processes_cannot_be_looked_at(
    closed_range: Range, victim: subprocess.Popen[bytes]
) -> None:
    source = f"""{TRY}
def answer(pid):
    names = ("environ", "cmdline", "maps", "mem", "stat", "status", "fd")
    paths = [f"/proc/{{p}}/{{n}}" for p in (pid, os.getppid()) for n in names]
    return [p for p in paths if not refused(lambda: os.close(os.open(p, os.O_RDONLY)))]
"""

    found = answer(closed_range.run(source, pid=victim.pid))

    # In a container a parent's number is that of its own first process, and its public facts show.
    assert [p for p in found if f"/{victim.pid}/" in p or "environ" in p or "mem" in p] == []


def test_no_signal_leaves(closed_range: Range, victim: subprocess.Popen[bytes]) -> None:
    source = f"""{TRY}
import fcntl, signal
def answer(pid):
    read, write = os.pipe()
    tries = [
        lambda: os.kill(pid, signal.SIGTERM), lambda: os.kill(pid, 0),
        lambda: os.killpg(pid, 0), lambda: fcntl.fcntl(read, fcntl.F_SETOWN, pid),
    ]
    return [refused(t) for t in tries]
"""

    found = answer(closed_range.run(source, pid=victim.pid))

    assert found == [True] * 4
    assert victim.poll() is None


CALLS = {
    "ptrace": "libc.ptrace(16, pid, 0, 0)",
    "process_vm_readv": "libc.process_vm_readv(pid, None, 0, None, 0, 0)",
    "unshare": "libc.unshare(0x10000000)",
    "mount": "libc.mount(b'none', b'/tmp', b'tmpfs', 0, None)",
    "setns": "libc.setns(0, 0)",
    "bpf": "libc.syscall(321, 0, None, 0)",
    "keyctl": "libc.syscall(250, 0, 0)",
    "perf_event_open": "libc.syscall(298, None, 0, -1, -1, 0)",
    "io_uring_setup": "libc.syscall(425, 1, None)",
    "userfaultfd": "libc.syscall(323, 0)",
    "chroot": "libc.chroot(b'/')",
    "clock_settime": "libc.syscall(227, 0, None)",
    "execve": "libc.execve(b'/bin/true', None, None)",
    "x32": "libc.syscall(0x40000000 | 39)",
}


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="numbers of x86-64")
@pytest.mark.parametrize("call", CALLS)
def test_a_dangerous_system_call_fails_or_ends_the_program(
    closed_range: Range, victim: subprocess.Popen[bytes], call: str
) -> None:
    source = f"""
        import ctypes
        libc = ctypes.CDLL(None, use_errno=True)
        def answer(pid): return [{CALLS[call]}, ctypes.get_errno()]
    """

    result = closed_range.run(source, pid=victim.pid)

    if cause(result) is None:
        returned, _ = answer(result)
        assert returned == -1
    else:
        assert cause(result) is Cause.STUDENT_FORBIDDEN_CALL
    assert victim.poll() is None


def test_no_program_can_be_started(closed_range: Range) -> None:
    source = f"""{TRY}
import subprocess
def answer():
    tries = [
        lambda: subprocess.run([sys.executable, "-c", ""]),
        lambda: subprocess.run(["/bin/sh", "-c", "true"]),
        lambda: os.execv("/bin/sh", ["sh", "-c", "exit 0"]),
        lambda: os.posix_spawn("/bin/sh", ["sh"], {{}}),
    ]
    return [refused(t) for t in tries]
"""
    assert answer(closed_range.run(source)) == [True] * 4


def test_the_program_is_not_root_and_has_no_powers(closed_range: Range) -> None:
    source = """
        import os
        def answer():
            try: os.setuid(0); back = True
            except OSError: back = False
            return [os.getuid() == 0, back]
    """
    if os.getuid() != 0 and closed_range.sandbox.isolation == "jail":
        pytest.skip("not root to begin with")

    assert answer(closed_range.run(source)) == [False, False]


# --- when we end --------------------------------------------------------------------------

SCRIPT = """
import sys
from pathlib import Path
from grader.sandbox.contract import Stage
from grader.sandbox.process import ProcessSandbox
stages, scratch, tree, warm = sys.argv[1:]
sandbox = ProcessSandbox(warm=warm == "warm", stages=Path(stages), scratch=Path(scratch))
sandbox.run(Stage("play", Path(tree), {}))
"""


@pytest.mark.parametrize("start", ["cold", "warm"])
def test_killing_the_grader_ends_the_run_and_removes_its_files(
    ranges: Any, start: str, tmp_path: Path
) -> None:
    from tests.sandbox.conftest import STAGES

    scratch = tmp_path / "scratch"
    scratch.mkdir()
    tree = tmp_path / "tree"
    tree.mkdir()
    source = "(pathlib.Path.home() / 'on').touch(); time.sleep(LONG_S)"
    source = source.replace("LONG_S", str(LONG_S))
    (tree / "student.py").write_text(f"import pathlib, time\ndef answer(): {source}")
    command = [sys.executable, "-c", SCRIPT, str(STAGES), str(scratch), str(tree), start]
    grader = subprocess.Popen(command, cwd=Path(__file__).parents[2])
    running = settle(lambda: any(scratch.glob("*/on")))

    grader.send_signal(signal.SIGKILL)
    grader.wait()

    assert running
    assert settle(lambda: not survivors(scratch))
    assert settle(lambda: list(scratch.iterdir()) == [])


@pytest.mark.parametrize("name", ["process", "process-warm", "jail", "jail-warm"])
def test_killing_the_supervisor_ends_the_run_and_is_not_the_students_fault(
    ranges: Any, name: str
) -> None:
    found: Range = ranges(name)
    tree = found.tree("import time\ndef answer(): time.sleep(LONG_S)", {})

    def kill() -> None:
        settle(lambda: len(survivors(found.scratch)) > 0)
        worker = survivors(found.scratch)[0]
        stat = Path(f"/proc/{worker}/stat").read_text()
        os.kill(int(stat.rpartition(")")[2].split()[1]), signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    with pytest.raises(InfrastructureError) as caught:
        found.run_tree(tree, {})
    killer.join()

    assert caught.value.cause is Cause.INFRA_SANDBOX
    assert settle(lambda: not survivors(found.scratch))
    assert list(found.scratch.iterdir()) == []


def test_a_warm_parent_that_died_is_made_anew(ranges: Any) -> None:
    found: Range = ranges("process-warm")
    found.run(HONEST)
    zygote = found.sandbox._zygotes._zygotes["play"]._process  # type: ignore[attr-defined]

    os.kill(zygote.pid, signal.SIGKILL)
    zygote.wait()

    assert answer(found.run(HONEST)) == 42


def test_no_timeout_of_this_process_reaches_the_sandbox(ranges: Any) -> None:
    """`grade train` gives all sockets one, so that a download that is silent ends."""
    found: Range = ranges("process-warm")
    zygotes = found.sandbox._zygotes  # type: ignore[attr-defined]
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(30.0)
    try:
        zygotes._drop("play")
        parents = []
        for _ in range(2):
            assert answer(found.run(HONEST)) == 42
            parents.append(zygotes._zygotes["play"]._process.pid)
    finally:
        socket.setdefaulttimeout(before)

    assert parents[0] == parents[1], "the warm parent did not wait for its second order"


@pytest.fixture
def interruptible() -> Iterator[None]:
    """An interrupt raises, in tests that run in the background too."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_an_interrupt_ends_the_run(ranges: Any, interruptible: None) -> None:
    found: Range = ranges("process")
    tree = found.tree("import time\ndef answer(): time.sleep(LONG_S)", {})
    main = threading.get_ident()

    def interrupt() -> None:
        settle(lambda: len(survivors(found.scratch)) > 0)
        signal.pthread_kill(main, signal.SIGINT)

    interrupter = threading.Thread(target=interrupt)
    interrupter.start()
    with pytest.raises(KeyboardInterrupt):
        found.run_tree(tree, {}, wall_time_s=2 * SETTLED_S)
    interrupter.join()

    assert settle(lambda: not survivors(found.scratch))
    assert settle(lambda: list(found.scratch.iterdir()) == [])


def test_a_full_disk_is_the_machines_fault(tmp_path: Path) -> None:
    from grader.sandbox.process import ProcessSandbox
    from tests.sandbox.conftest import STAGES

    gone = tmp_path / "not-there"
    sandbox = ProcessSandbox(stages=STAGES, scratch=gone)
    (tmp_path / "student.py").write_text(HONEST)

    with pytest.raises(InfrastructureError):
        sandbox.run(Stage("play", tmp_path, {}))
