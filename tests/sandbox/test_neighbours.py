"""Nobody is blamed for what others on the machine took: time, memory, threads."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from grader.domain import Limits
from grader.errors import Cause, InfrastructureError
from grader.inside import confine, supervisor
from grader.inside.neighbours import Neighbours, held_up
from grader.sandbox import pump, turns
from grader.sandbox.contract import Disturbed, Stage, StageResult
from grader.sandbox.frames import FrameParser, encode
from grader.sandbox.pump import PATIENCE, Conversation
from grader.sandbox.verdict import Ending, result
from tests.sandbox.conftest import LIMITS, SETTLED_S, MiB, Range, settle
from tests.workers import FIRST_SEAT

# --- how long others kept a run from running ----------------------------------------------


@pytest.mark.parametrize(
    ("ran_together", "threads", "expected"),
    [
        (0.1, [(0.0, 0.1, 0.9)], 0.9),
        (1.0, [(0.0, 1.0, 0.0)], 0.0),
        (0.0, [(0.0, 0.0, 0.0)], 0.0),
        (0.1, [(0.0, 0.0, 0.0), (0.0, 0.1, 0.9)], 0.9),
        (5.2, [(5.0, 0.2, 0.8)], 0.8),
        (1.0, [(0.0, 0.02, 0.98)] * 50, 0.0),
        (0.1, [(0.0, 0.002, 0.998)] * 50, 0.9),
        (0.005, [(0.0, 0.0001, 0.0049)] * 50, 0.0),
        (1.0, [(0.0, 0.0, 0.9)], 0.0),
        (1.0, [], 0.0),
    ],
    ids=[
        "starved",
        "running",
        "asleep",
        "its helper is starved",
        "starved when it began late",
        "its threads wait for each other",
        "its threads wait for others",
        "its threads wake up together",
        "it waits for threads that have ended",
        "ended",
    ],
)
def test_only_what_others_took_is_counted(
    ran_together: float, threads: list[tuple[float, float, float]], expected: float
) -> None:
    assert held_up(ran_together, threads) == pytest.approx(expected, abs=0.003)


# --- our clock ----------------------------------------------------------------------------


class Clock:
    """Stands in for the time."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(pump, "time", made)
    return made


def started() -> Conversation:
    talk = Conversation(Limits(wall_time_s=10))
    talk.hear_output(encode("ready", {}))
    return talk


def test_a_program_that_nobody_holds_up_has_its_time_and_no_more(clock: Clock) -> None:
    talk = started()
    clock.now += 10

    assert talk.seconds_left == 0
    talk.out_of_time()
    assert talk.ending.stopped is not None
    assert talk.ending.stopped[0] is Cause.STUDENT_TIMEOUT


def test_time_that_others_took_is_given_back(clock: Clock) -> None:
    talk = started()
    talk.hear_held(4.0)
    clock.now += 10

    assert talk.seconds_left == pytest.approx(4)
    clock.now += 4
    talk.out_of_time()
    assert talk.ending.stopped is not None
    assert talk.ending.stopped[0] is Cause.STUDENT_TIMEOUT


def test_what_others_took_before_the_program_began_is_not_given_to_it(clock: Clock) -> None:
    talk = Conversation(Limits(wall_time_s=10))
    talk.hear_held(60.0)
    talk.hear_output(encode("ready", {}))
    talk.hear_held(61.0)

    assert talk.seconds_left == pytest.approx(11)


def test_a_program_that_others_hold_up_for_ever_is_the_machines_fault(clock: Clock) -> None:
    talk = started()
    talk.hear_held(1000.0)
    clock.now += 10 * PATIENCE

    assert talk.seconds_left == 0
    talk.out_of_time()
    with pytest.raises(Disturbed) as caught:
        result(talk.finish(), talk.parser, Limits(), "jail")
    assert caught.value.cause is Cause.INFRA_BUSY


def test_a_start_that_takes_too_long_is_the_machines_fault(clock: Clock) -> None:
    talk = Conversation(Limits(wall_time_s=10))
    clock.now += pump.START_S
    talk.out_of_time()

    with pytest.raises(Disturbed) as caught:
        result(talk.finish(), talk.parser, Limits(), "jail")
    assert caught.value.cause is Cause.INFRA_BUSY


# --- what was lacking ---------------------------------------------------------------------


def judged(ending: Ending, *frames: tuple[str, Any]) -> StageResult:
    parser = FrameParser(2**20)
    for name, payload in (("ready", {}), *frames):
        parser.feed(encode(name, payload))
    return result(ending, parser, LIMITS, "jail")


NO_THREAD = b"pthread_create() failed"
DEATHS = [
    (Ending(status=-signal.SIGABRT, log=NO_THREAD, shortages=("threads",)), Cause.INFRA_BUSY),
    (Ending(status=-signal.SIGKILL, shortages=("memory",)), Cause.INFRA_MEMORY),
    (Ending(status=-signal.SIGABRT, log=b"bad_alloc", shortages=("promises",)), Cause.INFRA_MEMORY),
]


@pytest.mark.parametrize(("ending", "expected"), DEATHS, ids=["thread", "killed", "refused"])
def test_what_others_had_taken_is_the_machines_fault(ending: Ending, expected: Cause) -> None:
    with pytest.raises(Disturbed) as caught:
        judged(ending)
    assert caught.value.cause is expected


@pytest.mark.parametrize("ending", [ending for ending, _ in DEATHS], ids=["thread", "kill", "mem"])
def test_without_a_lack_that_we_saw_the_program_is_not_believed(ending: Ending) -> None:
    outcome = judged(Ending(status=ending.status, log=ending.log))

    assert outcome.run.cause in (Cause.STUDENT_EXITED, Cause.STUDENT_OUT_OF_MEMORY)


@pytest.mark.parametrize("reason", ["memory", "processes", "disk"])
def test_who_reached_a_limit_of_his_own_is_not_excused_by_a_lack(reason: str) -> None:
    ending = Ending(
        status=-signal.SIGKILL, log=NO_THREAD, reason=reason, shortages=("memory", "threads")
    )

    assert judged(ending).run.cause is not None


def test_a_thread_that_was_refused_is_seen_in_a_whole_answer_too() -> None:
    failed = {"failure": {"type": "RuntimeError", "message": "can't start new thread"}}
    frames = ("module", failed), ("end", {})

    assert judged(Ending(status=0), *frames).run.cause is None
    with pytest.raises(Disturbed):
        judged(Ending(status=0, shortages=("threads",)), *frames)


def system(root: Path, **files: str) -> Path:
    """Make a /proc and a /sys."""
    for name, text in files.items():
        path = root / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


CALM = {
    "proc__vmstat": "pgfault 7\noom_kill 3\n",
    "proc__meminfo": "MemTotal: 1000 kB\nMemAvailable: 900 kB\nCommitLimit: 500 kB\n"
    "Committed_AS: 499 kB\n",
    "proc__sys__vm__overcommit_memory": "0\n",
    "proc__self__cgroup": "0::/a/b\n",
    "sys__fs__cgroup__a__pids.events": "max 4\n",
}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, []),
        ({"proc__vmstat": "oom_kill 4\n"}, ["memory"]),
        ({"proc__meminfo": "MemTotal: 1000 kB\nMemAvailable: 99 kB\n"}, ["memory"]),
        ({"proc__sys__vm__overcommit_memory": "2\n"}, ["promises"]),
        ({"sys__fs__cgroup__a__pids.events": "max 5\n"}, ["threads"]),
    ],
    ids=["nothing", "killed", "scarce", "promised", "threads"],
)
def test_a_lack_is_what_the_kernel_says(
    tmp_path: Path, change: dict[str, str], expected: list[str]
) -> None:
    others = Neighbours(system(tmp_path, **CALM))
    system(tmp_path, **change)

    assert others.shortages() == expected


def test_a_kernel_that_tells_nothing_saw_no_lack(tmp_path: Path) -> None:
    others = Neighbours(tmp_path)

    assert others.shortages() == []
    assert not others.look([os.getpid()])


# --- once more, alone ---------------------------------------------------------------------

STAGE = Stage("play", Path("."), {})


def test_a_disturbed_run_is_repeated_once_and_alone() -> None:
    seats: list[int | None] = []

    def run(stage: Stage, seat: int | None) -> StageResult:
        seats.append(seat)
        raise Disturbed(Cause.INFRA_BUSY, "busy")

    def repeat() -> None:
        with pytest.raises(Disturbed):
            turns.undisturbed(run, STAGE)

    with turns.TURNS.beside_others() as first:
        other = threading.Thread(target=repeat)
        other.start()
        assert settle(lambda: turns.TURNS._waiting_to_be_alone == 1)
        assert seats == [first + 1], "it waits until nobody else runs"
    other.join()

    assert seats == [first + 1, None]


@pytest.mark.parametrize(("doubtful", "runs"), [(False, 1), (True, 2)])
def test_an_end_that_nobody_can_explain_is_tried_again(doubtful: bool, runs: int) -> None:
    outcome = judged(Ending(status=-signal.SIGKILL if doubtful else 3))
    assert outcome.doubtful is doubtful
    seen = []

    def run(stage: Stage, seat: int | None) -> StageResult:
        seen.append(seat)
        return outcome

    assert turns.undisturbed(run, STAGE) is outcome
    assert len(seen) == runs


def test_a_failure_of_ours_is_not_tried_again() -> None:
    seen = []

    def run(stage: Stage, seat: int | None) -> StageResult:
        seen.append(seat)
        raise InfrastructureError(Cause.INFRA_SANDBOX, "no")

    with pytest.raises(InfrastructureError):
        turns.undisturbed(run, STAGE)
    assert seen == [0]


def test_who_waits_to_be_alone_goes_before_those_that_come_later() -> None:
    made, order = turns.Turns(), []

    def alone() -> None:
        with made.alone():
            order.append("alone")

    def beside() -> None:
        with made.beside_others():
            order.append("beside")

    with made.beside_others():
        first = threading.Thread(target=alone)
        first.start()
        assert settle(lambda: made._waiting_to_be_alone == 1)
        second = threading.Thread(target=beside)
        second.start()
    first.join()
    second.join()

    assert order == ["alone", "beside"]


# --- in the sandbox -----------------------------------------------------------------------

BURN = """
import os, time
os.sched_setaffinity(0, {%d})
end = time.monotonic() + %g
print(flush=True)
while time.monotonic() < end: pass
"""


@pytest.fixture
def burners() -> Iterator[None]:
    """Eight programs that take the core of the first seat for as long as the test lasts."""
    cores = sorted(os.sched_getaffinity(0))
    program = BURN % (cores[FIRST_SEAT % len(cores)], 2 * SETTLED_S)
    command = [sys.executable, "-c", program]
    started = [
        subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True) for _ in range(8)
    ]
    for process in started:
        assert process.stdout is not None
        process.stdout.readline()
    yield
    for process in started:
        process.kill()
        process.communicate()


NEEDS = """
import time
def answer(seconds):
    while time.process_time() < seconds: pass
    return "done"
"""


@pytest.mark.parametrize("name", ["jail", "process"])
def test_a_starved_program_is_not_out_of_time(
    ranges: Callable[[str], Range], burners: None, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    # However busy the machine is, nobody loses patience: see above for who does.
    monkeypatch.setattr(pump, "PATIENCE", 1000)
    needs, allowed = 0.5, 2.5
    assert needs * (8 + 1) > allowed, "with its share of the core alone it would be out of time"

    outcome = ranges(name).run(NEEDS, wall_time_s=allowed, seconds=needs)

    assert outcome.json_frames == {"answer": b'"done"'}
    assert outcome.run.cause is None


def test_a_program_that_sleeps_beside_busy_ones_is_out_of_time(
    ranges: Callable[[str], Range], burners: None
) -> None:
    outcome = ranges("jail").run("import time\ndef answer(): time.sleep(LONG_S)", wall_time_s=1)

    assert outcome.run.cause is Cause.STUDENT_TIMEOUT
    assert outcome.run.wall_time_s < SETTLED_S


@pytest.mark.parametrize("name", ["jail", "process"])
def test_a_program_with_many_busy_threads_is_not_held_up_by_itself(
    ranges: Callable[[str], Range], name: str
) -> None:
    source = """
        import hashlib, threading, time
        end = time.monotonic() + LONG_S
        def burn():
            while time.monotonic() < end: hashlib.pbkdf2_hmac("sha256", b"x", b"y", 10000)
        def answer():
            for _ in range(40): threading.Thread(target=burn, daemon=True).start()
            time.sleep(LONG_S)
    """
    limits = {"wall_time_s": 2 * SETTLED_S, "cpu_time_s": 1, "memory_bytes": 4096 * MiB}

    outcome = ranges(name).run(source, **limits)

    assert outcome.run.cause is Cause.STUDENT_CPU_LIMIT


def test_a_program_stays_on_the_core_of_its_seat(ranges: Callable[[str], Range]) -> None:
    source = """
        import os
        def answer():
            before = os.sched_getaffinity(0)
            try: os.sched_setaffinity(0, set(range(64)))
            except OSError: pass
            return [len(before), before == os.sched_getaffinity(0)]
    """

    assert json.loads(ranges("jail").run(source).json_frames["answer"]) == [1, True]


def test_the_kernel_takes_the_program_first_where_memory_runs_out(
    ranges: Callable[[str], Range],
) -> None:
    source = "def answer(): return open('/proc/self/oom_score_adj').read()"

    assert json.loads(ranges("process").run(source).json_frames["answer"]) == "1000\n"


# --- whose threads count ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("order", "uid", "expected"),
    [
        ({"jail": True}, 60706, 64),
        ({"jail": True}, None, None),
        ({"jail": False, "container": True}, None, None),
        ({"jail": True, "container": True}, None, None),
    ],
    ids=["own user", "a user whom others are too", "container", "warm container"],
)
def test_the_kernel_counts_threads_only_of_a_user_of_the_runs_own(
    order: dict[str, Any], uid: int | None, expected: int | None
) -> None:
    job: Any = SimpleNamespace(order={"limits": {"processes": 64}, **order}, uid=uid)

    assert supervisor.tasks_allowed(job) == expected


def test_no_two_runs_are_the_same_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(confine.os, "geteuid", lambda: 0)
    monkeypatch.setattr(confine, "_kept_capability", lambda: 2)
    all_but_one = set(range(confine.FIRST_UID, confine.FIRST_UID + confine.UIDS)) - {60800}

    assert confine.own_uid(all_but_one) == 60800


# --- nothing is heard of others, and nobody is held up ------------------------------------

LISTENS = """
import ctypes, fcntl, os, time
def refused(attempt):
    try: return attempt() in (-1, None)
    except OSError: return True
libc = ctypes.CDLL(None, use_errno=True)
def answer(pid):
    read = open(os.__file__)
    clock, box = (~pid) << 3 | 2, ctypes.create_string_buffer(64)
    tries = {
        "group": lambda: os.getpgid(pid), "session": lambda: os.getsid(pid),
        "nice": lambda: os.getpriority(os.PRIO_PROCESS, pid),
        "cores": lambda: os.sched_getaffinity(pid), "policy": lambda: os.sched_getscheduler(pid),
        "clock": lambda: time.clock_gettime(clock), "there": lambda: time.clock_getres(clock),
        "timer": lambda: libc.timer_create(clock, None, box),
        "lease": lambda: fcntl.fcntl(read, 1024, fcntl.F_RDLCK),
        "notify": lambda: fcntl.fcntl(os.open(os.path.dirname(os.__file__), os.O_RDONLY), 1026, 1),
        "who locks": lambda: fcntl.fcntl(read, fcntl.F_GETLK, bytes(32)),
        "capabilities": lambda: libc.capget(ctypes.create_string_buffer(8), box),
    }
    heard = [name for name, attempt in tries.items() if not refused(attempt)]
    fcntl.flock(read, fcntl.LOCK_EX | fcntl.LOCK_NB)  # an honest program may, and holds up nobody
    fcntl.lockf(read, fcntl.LOCK_SH | fcntl.LOCK_NB)
    return heard
"""


@pytest.mark.parametrize("name", ["jail", "jail-warm", "docker-warm"])
def test_nothing_is_heard_of_other_processes(ranges: Callable[[str], Range], name: str) -> None:
    # In a container the first process is another one too.
    pid = 1 if name.startswith("docker") else os.getpid()

    outcome = ranges(name).run(LISTENS, pid=pid)

    assert json.loads(outcome.json_frames["answer"]) == []


def test_a_lock_on_a_file_that_all_may_read_is_not_taken(ranges: Callable[[str], Range]) -> None:
    source = """
        import fcntl, os
        def answer():
            with open(os.__file__) as file:
                return fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    """
    # Whoever asks for our lock in earnest is refused: the program's request was never made.
    with open(os.__file__) as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        outcome = ranges("jail").run(source)

    assert outcome.json_frames["answer"] == b"null"
