"""A long class with the grader killed in the middle, again and again: is every record right?

    python -m benchmarks.soak [--students 1000] [--kills 10] [--folder DIR] [--markdown FILE]

A class of every kind of submission (`benchmarks/soak_class.py`) is graded by `grade` in the
sandbox, two at a time. At random moments the group of its processes is killed with SIGKILL, and the
same command is started again. At the end each submission must have one record with the outcome it
must have, memory must not have grown, and nothing may be left: no process, no mount, no file.

Then, from the same results: the same command for an unchanged class, and `grade regrade` by a
changed rubric.

The grader sees a /tmp and a /dev/shm of its own, so that what it leaves there is seen; and runs in
a control group, which knows all processes that came of it. So this needs Linux and root.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import platform
import random
import re
import signal
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.classroom import Meter
from benchmarks.soak_class import SHARES, Expected, write_assignment, write_class
from grader.domain import LEDGER, Grade
from grader.ledger.standing import standing

BIN = Path(sys.executable).parent
OWN_MOUNTS = 'mount --bind "$0" /tmp && mount --bind "$1" /dev/shm && shift && exec "$@"'
KILLED_WITHIN = 0.7
"""The kills fall into this part of the class, so that memory is seen over a long stretch."""
LOOK_S, GONE_S = 1.0, 60.0
AGAIN = 300
"""Size of the class that is graded once more, unchanged."""
LONG = 200
"""A class from which on memory is judged."""
GROWN = 1.1
"""Memory is flat where the last quarter's median is at most so many times the second's; the first
is the start."""
MEGABYTE = 2**20


@dataclass(frozen=True)
class Place:
    """The folder of a soak, and the command that runs in it."""

    folder: Path

    @property
    def results(self) -> Path:
        """The results folder."""
        return self.folder / "results"

    @property
    def rooms(self) -> tuple[Path, Path]:
        """What the grader sees as /tmp and /dev/shm."""
        return self.folder / "tmp", self.folder / "shm"

    def start(self, meter: Meter, *words: str) -> subprocess.Popen[bytes]:
        """`grade` with these words, in a session of its own."""
        own = ["unshare", "--mount", "sh", "-c", OWN_MOUNTS, *map(str, self.rooms)]
        with (self.folder / "printed.txt").open("ab") as printed:
            return subprocess.Popen(
                [*own, str(BIN / "grade"), *words],
                cwd=self.folder,
                env={
                    **os.environ,
                    "GRADER_KEY_FILE": str(self.folder / "course.key"),
                    "TMPDIR": "/tmp",
                    "TF_CPP_MIN_LOG_LEVEL": "3",
                },
                stdin=subprocess.DEVNULL,
                stdout=printed,
                stderr=printed,
                preexec_fn=meter.join,
                start_new_session=True,
            )

    def grade(self, meter: Meter, folder: str) -> subprocess.Popen[bytes]:
        """Grade a class."""
        rules = ("--assignment", "assignment", "--results", "results")
        return self.start(meter, folder, *rules, "--no-evaluation", "--jobs", "2")

    def records(self) -> int:
        """How many grades are recorded."""
        try:
            with contextlib.closing(
                sqlite3.connect(f"file:{self.results / LEDGER}?mode=ro", uri=True)
            ) as database:
                (count,) = database.execute("SELECT count(*) FROM event").fetchone()
                return int(count)
        except sqlite3.Error:  # not made yet, or being made
            return 0


# --- watching ----------------------------------------------------------------------------------


@dataclass
class Watch:
    """Memory of the processes that came of the grader, looked at once a second.

    Attributes:
        grader: Bytes that the grader itself holds, at each look.
        others: The same of all its other processes together.
    """

    meter: Meter
    main: int
    grader: list[int] = field(default_factory=list)
    others: list[int] = field(default_factory=list)
    _over: threading.Event = field(default_factory=threading.Event)

    @contextlib.contextmanager
    def looking(self) -> Iterator[None]:
        """Look until the block is left."""
        thread = threading.Thread(target=self._look, daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._over.set()
            thread.join()

    def _look(self) -> None:
        while not self._over.wait(LOOK_S):
            memory = {pid: own_memory(pid) for pid in processes(self.meter)}
            self.grader.append(memory.pop(self.main, 0))
            self.others.append(sum(memory.values()))


def processes(meter: Meter) -> list[int]:
    """All processes that came of what was started in the group."""
    return [int(pid) for pid in (meter.group / "cgroup.procs").read_text().split()]


def own_memory(pid: int) -> int:
    """Bytes of a process, what it shares divided among those that share it; 0 of one that ended."""
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return 0
    found = re.search(r"^Pss:\s+(\d+) kB", text, re.MULTILINE)
    return int(found[1]) * 1024 if found else 0


def quarters(looks: Sequence[int]) -> list[float]:
    """The median of each quarter, in megabytes."""
    size = max(1, len(looks) // 4)
    parts = [looks[start * size : (start + 1) * size] for start in range(4)]
    return [statistics.median(part) / MEGABYTE for part in parts if part]


# --- killing -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Kill:
    """When to kill: not before so many records, nor before so many seconds of this start."""

    records: int
    seconds: float


def moments(students: int, kills: int, chance: random.Random) -> list[Kill]:
    """Random moments; every fourth comes while the grader starts again after the one before."""
    found: list[Kill] = []
    for number, at in enumerate(
        sorted(chance.choices(range(int(students * KILLED_WITHIN)), k=kills))
    ):
        early = number % 4 == 3
        found.append(Kill(0 if early else at, chance.uniform(0.5, 12.0)))
    return found


@dataclass
class Told:
    """What is known of a soak when it is over."""

    students: int
    seed: int
    kills: list[str] = field(default_factory=list)
    gone_s: list[float] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    outcomes: Counter[str] = field(default_factory=Counter)
    clock_s: float = 0.0
    processor_s: float = 0.0
    grader: list[float] = field(default_factory=list)
    others: list[float] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)


def soak(place: Place, meter: Meter, told: Told, plan: Sequence[Kill]) -> None:
    """Grade the class, killed at each of the moments and started again, until it is done."""
    begun = time.monotonic()
    for kill in plan:
        started = time.monotonic()
        running = place.grade(meter, "class")
        while running.poll() is None and not _due(kill, place, time.monotonic() - started):
            time.sleep(0.1)
        if running.poll() is not None:
            told.faults.append(f"ended by itself with status {running.returncode} before {kill}")
            break
        os.killpg(running.pid, signal.SIGKILL)
        running.wait()
        told.kills.append(f"{place.records()} ({time.monotonic() - started:.0f} s)")
        told.gone_s.append(_gone(meter, told))
        print(f"killed at {told.kills[-1]}, all gone after {told.gone_s[-1]:.1f} s", flush=True)
    last = place.grade(meter, "class")
    watch = Watch(meter, last.pid)
    with watch.looking():
        status = last.wait()
    if status != 1:  # some were rejected
        told.faults.append(f"the last run ended with status {status}, expected 1")
    told.grader, told.others = quarters(watch.grader), quarters(watch.others)
    told.clock_s, told.processor_s = time.monotonic() - begun, meter.seconds()


def _due(kill: Kill, place: Place, seconds: float) -> bool:
    return seconds >= kill.seconds and place.records() >= kill.records


def _gone(meter: Meter, told: Told) -> float:
    """Wait for the killed grader's processes to be gone. Returns how long it took, in seconds."""
    began = time.monotonic()
    while processes(meter):
        if time.monotonic() - began > GONE_S:
            told.faults.append(f"still there {GONE_S:g} s after a kill: {_names(meter)}")
            _end(meter)
            break
        time.sleep(0.05)
    return time.monotonic() - began


def _names(meter: Meter) -> list[str]:
    found = []
    for pid in processes(meter):
        with contextlib.suppress(OSError):
            found.append(Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")[:120])
    return found


def _end(meter: Meter) -> None:
    """End what is left; all of it is ours."""
    for pid in processes(meter):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


# --- looking at what came of it ----------------------------------------------------------------


def judge(place: Place, expected: Mapping[str, Expected], told: Told) -> None:
    """Each submission has one record, with the outcome that it must have."""
    grades: dict[str, Grade] = {g.student_id: g for g in standing(place.results).grades}
    for name in sorted(expected.keys() - grades.keys()):
        told.faults.append(f"{name} ({expected[name].what}): no record")
    told.faults += [
        f"{name}: a record of nobody" for name in sorted(grades.keys() - expected.keys())
    ]
    for name, grade in grades.items():
        if name in expected:
            wanted = expected[name]
            told.outcomes[wanted.kind] += 1
            told.faults += [f"{name} ({wanted.what}): {fault}" for fault in wanted.faults(grade)]
    if place.records() != len(expected):
        told.faults.append(f"{place.records()} events for {len(expected)} submissions")


def verify(place: Place, meter: Meter, told: Told) -> None:
    """`grade verify` finds every record and run as it was written."""
    status = place.start(meter, "verify", "results").wait()
    if status != 0:
        told.faults.append(f"grade verify ended with status {status}")


def look_for_leftovers(place: Place, meter: Meter, told: Told) -> None:
    """Nothing is left of it: no process, group, mount or file."""
    _gone(meter, told)
    told.faults += [f"left: group {group}" for group in meter.group.iterdir() if group.is_dir()]
    mounts = Path("/proc/self/mountinfo").read_text().splitlines()
    told.faults += [f"left: mount {line}" for line in mounts if str(place.folder) in line]
    for room in place.rooms:
        told.faults += [f"left: {path}" for path in room.iterdir()]
    unfinished = [p for p in place.results.rglob("*") if ".new-" in p.name or ".partial" in p.name]
    told.faults += [f"left: {path}" for path in unfinished]


def flat(told: Told) -> None:
    """Memory has not grown; of a short class it cannot be told, as it fills while it starts."""
    if told.students < LONG:
        return
    for name, found in (("the grader", told.grader), ("its processes", told.others)):
        if len(found) == 4 and found[3] > GROWN * found[1]:
            told.faults.append(f"memory of {name} grew: {_megabytes(found)}")


# --- the same class again, and another rubric --------------------------------------------------


def again(place: Place, meter: Meter, told: Told) -> None:
    """An unchanged class, graded again by the same command."""
    part = place.folder / "again"
    part.mkdir()
    names = sorted(path.name for path in (place.folder / "class").iterdir())[:AGAIN]
    for name in names:
        (place.folder / "class" / name).rename(part / name)
    records, spent = place.records(), meter.seconds()
    clock = _timed(place.grade(meter, "again"))
    told.lines.append(
        f"The same command for an unchanged class of {len(names)}: {clock:.1f} s, "
        f"{meter.seconds() - spent:.1f} s of processor time, "
        f"{place.records() - records} new records."
    )


def by_another_rubric(place: Place, meter: Meter, told: Told) -> None:
    """`grade regrade` of everything, after points have moved from one check to another."""
    changed = place.folder / "changed"
    changed.mkdir()
    text = (place.folder / "assignment/assignment.toml").read_text()
    for check, points in {"block-shape": 5, "network-shape": 3}.items():
        text, found = re.subn(rf"(?m)^({check} = .*points = )4", rf"\g<1>{points}", text)
        assert found == 1, check
    (changed / "assignment.toml").write_text(text)
    spent = meter.seconds()
    clock = _timed(place.start(meter, "regrade", "results", "--assignment", "changed"))
    told.lines.append(
        f"`grade regrade` of all {told.students} by a changed rubric: {clock:.1f} s, "
        f"{1000 * clock / told.students:.0f} ms for each submission, "
        f"{meter.seconds() - spent:.1f} s of processor time."
    )


def _timed(running: subprocess.Popen[bytes]) -> float:
    began = time.monotonic()
    running.wait()
    return time.monotonic() - began


# --- telling -----------------------------------------------------------------------------------


def _megabytes(found: Sequence[float]) -> str:
    return " → ".join(f"{each:.0f}" for each in found) + " MB"


def report(told: Told) -> str:
    """What is written of a soak."""
    kinds = ", ".join(f"{told.outcomes[kind]} {kind}" for kind in SHARES)
    verdict = "Nothing was found wrong." if not told.faults else f"{len(told.faults)} faults:"
    lines = [
        f"## {told.students} submissions, {len(told.kills)} kills",
        "",
        f"{kinds}; seed {told.seed}. {platform.machine()}, {os.cpu_count()} cores, load "
        f"{os.getloadavg()[0]:.1f} at the end: {told.clock_s:.0f} s, "
        f"{told.processor_s:.0f} s of processor time.",
        "",
        f"**{verdict}**",
        *(f"- {fault}" for fault in told.faults),
        "",
        f"Killed with so many records (and seconds after that start): {', '.join(told.kills)}. "
        f"All processes were gone within {max(told.gone_s, default=0.0):.1f} s.",
        "",
        "Memory in the last stretch, median of each quarter: "
        f"the grader {_megabytes(told.grader)}, all its processes {_megabytes(told.others)}.",
        "",
        *(line + "\n" for line in told.lines),
    ]
    return "\n".join(lines)


def main() -> int:
    """Run, and write what came of it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--students", type=int, default=1000)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--seed", type=int, default=11)
    parser.add_argument("--folder", type=Path, help="an empty one, not below /tmp; it stays")
    parser.add_argument("--markdown", type=Path, help="add the result to this file")
    options = parser.parse_args()
    told = Told(options.students, options.seed)
    with contextlib.ExitStack() as stack:
        folder = options.folder or stack.enter_context(
            tempfile.TemporaryDirectory(prefix="soak-", dir="/var/tmp")
        )
        meter = stack.enter_context(contextlib.closing(Meter()))
        run(Place(Path(folder).absolute()), meter, told, options.kills)
    print(report(told))
    if options.markdown:
        with options.markdown.open("a", encoding="utf-8") as file:
            file.write(report(told))
    return 1 if told.faults else 0


def run(place: Place, meter: Meter, told: Told, kills: int) -> None:
    """All of it."""
    for room in place.rooms:
        room.mkdir(parents=True)
    write_assignment(place.folder / "assignment")
    expected = write_class(place.folder / "class", told.students, told.seed)
    soak(place, meter, told, moments(told.students, kills, random.Random(told.seed)))
    flat(told)
    judge(place, expected, told)
    verify(place, meter, told)
    again(place, meter, told)
    by_another_rubric(place, meter, told)
    look_for_leftovers(place, meter, told)


if __name__ == "__main__":
    raise SystemExit(main())
