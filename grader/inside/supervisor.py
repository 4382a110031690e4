"""The supervisor: gives a worker its folder, watches it, ends it, and says how it ended."""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import signal
import sys
from collections.abc import Mapping
from typing import Any

from . import confine, disk, kernel, neighbours, processes, room
from .job import SUBMISSION, Job
from .lines import Line
from .worker import work

TICK_S = 0.025
"""How often the supervisor looks: a program that takes 1 GB/s overshoots by 25 MB."""
SPARE_TASKS = 4096
"""Threads that others of the same user may start during a run of the bare process."""


def supervise(job: Job, line: Line) -> None:
    """Be the supervisor of one worker: `main.py` says how the processes belong together."""
    with contextlib.suppress(OSError):
        os.setsid()
    if sys.platform == "linux":
        kernel.prctl(kernel.PR_SET_CHILD_SUBREAPER, 1)
        kernel.prctl(kernel.PR_SET_DUMPABLE, 0)
    report: dict[str, Any] = {"status": None, "reason": None}
    try:
        job.order = line.order()
        job.uid = confine.own_uid(processes.users()) if job.order["jail"] else None
        job.tasks = tasks_allowed(job)
        job.private = str(job.order["private"])
        os.mkdir(job.private, 0o700)
        try:
            make_room(job)
            furnish(job)
            report.update(_watch(job, line))
        finally:
            processes.kill_descendants()
            report["left"] = clean_up(job)
    except Exception as error:
        report["error"] = f"{type(error).__name__}: {error}"
        report["errno"] = getattr(error, "errno", None)
    line.report(report)


def tasks_allowed(job: Job) -> int | None:
    """Return how many threads the kernel may let the run's user have; None for no such limit.

    The kernel counts all of a user's threads on all the machine, so in the jail only a user of the
    run's own is limited: else a browser could take an honest program's threads. There the filter
    allows threads and no processes, and the watch counts them. In a container the engine counts.
    The bare process can fork, faster than the watch may look.
    """
    assert job.order is not None
    allowed = int(job.order["limits"]["processes"])
    if job.order.get("container"):
        return None
    if job.order["jail"]:
        return None if job.uid is None else allowed
    own = sum(tasks for uid, tasks in processes.tasks_by_user() if uid == os.getuid())
    return own + allowed + SPARE_TASKS


def make_room(job: Job) -> None:
    """Give the run a file system of its own, where there is none yet and this machine lets us.

    It has twice the room that may be used, so that the watch sees the limit reached; where a
    machine has not been asked to isolate, nothing about it is changed.
    """
    assert job.order is not None
    if not job.order["jail"] or job.order.get("container"):
        return
    tree = disk.use(str(job.order["tree"]), []) + 2**20
    size = tree + 2 * int(job.order["limits"]["file_bytes"])
    job.own_room = room.make(str(job.private), size, job.uid)


def furnish(job: Job) -> None:
    """Put a copy of the student's files into the private folder, and give all of it to the worker.

    A log, a picture or a checkpoint that a program writes beside its own files does no harm: it
    lies here, counts as what the run wrote, and goes with the folder.
    """
    assert job.order is not None
    private, tree = str(job.private), job.order.get("tree")
    own = os.path.join(private, SUBMISSION)
    if tree is None:
        os.mkdir(own)
    else:
        shutil.copytree(tree, own, symlinks=True, copy_function=shutil.copyfile)
        job.copied = 0
        job.copied = disk_of_run(job, [])
    if job.uid is not None:
        for folder, _, names in os.walk(private):
            for path in (folder, *[os.path.join(folder, name) for name in names]):
                os.chown(path, job.uid, job.uid, follow_symlinks=False)


def clean_up(job: Job) -> str | None:
    """Remove all that the run wrote. Returns what is left, in words."""
    assert job.order is not None
    private = str(job.private)
    try:
        if job.own_room:
            room.leave(private)
        disk.remove(private)
        if job.order.get("container"):
            disk.clear(os.path.dirname(private))
    except OSError as error:
        return f"{type(error).__name__}: {error}"
    return None


def _watch(job: Job, line: Line) -> dict[str, Any]:
    """Start the worker and see it to its end. Returns how that came about."""
    others = neighbours.Neighbours()  # it counts from before the worker is there
    worker = os.fork()
    if worker == 0:
        with contextlib.suppress(OSError):
            os.setsid()
        line.leave_to_worker()
        work(job, line.fds)
    line.leave_to_supervisor()
    watch = Watch(job, line, worker, others)
    while watch.end is None:
        watch.look()
    return watch.report(*watch.end)


class Watch:
    """What is seen of a worker.

    Attributes:
        end: Its wait status and use, once it has ended.
    """

    def __init__(self, job: Job, line: Line, worker: int, others: neighbours.Neighbours) -> None:
        assert job.order is not None
        self.end: tuple[int, Any] | None = None
        self._job, self._line, self._worker, self._others = job, line, worker, others
        self._limits = job.order["limits"]
        self._ended = processes.end_of(worker)
        self._peak = 0
        self._alone = False
        self._reason: str | None = None

    def look(self) -> None:
        """Wait a moment; see whether the worker has ended, or end it."""
        line = self._line
        readable, _, _ = select.select([line.hangup, *self._ended, *line.sources()], [], [], TICK_S)
        for fd in set(readable) & set(line.sources()):
            line.pass_on(fd)
        alone = processes.main_thread_ended(self._worker)
        pid, status, usage = os.wait4(self._worker, os.WNOHANG)
        if pid:
            self.end = status, usage
            return
        self._count()
        if self._reason or alone or line.hangup in readable:
            self.end = processes.kill_descendants(self._worker)
            self._alone = alone

    def _count(self) -> None:
        """See what is used, and which limit is reached."""
        pids = list(processes.descendants())
        if self._others.look(pids):
            self._line.tell_held(self._others.held_s)
        memory, tasks = processes.use_of(pids)
        self._peak = max(self._peak, memory)
        self._reason = over(self._limits, memory, tasks, disk_of_run(self._job, pids))

    def report(self, status: int, usage: Any) -> dict[str, Any]:
        """How the worker ended, once nothing of it is left."""
        processes.kill_descendants()
        for fd in self._ended:
            os.close(fd)
        reason = self._reason or over(self._limits, 0, 0, disk_of_run(self._job, []))
        # On the way to an ordinary end too the main thread may be gone before the others.
        killed = os.waitstatus_to_exitcode(status) == -signal.SIGKILL
        if reason is None and self._alone and killed:
            reason = "main thread"
        short = ["disk"] if disk_is_short(self._job) else []
        scale = 1 if sys.platform == "darwin" else 1024
        return {
            "status": status,
            "reason": reason,
            "shortages": [*self._others.shortages(), *short],
            "cpu_time_s": usage.ru_utime + usage.ru_stime,
            "peak_memory_bytes": max(self._peak, usage.ru_maxrss * scale),
        }


def over(limits: Mapping[str, Any], memory: int, tasks: int, disk: int) -> str | None:
    """Name the limit that is reached, if one is."""
    if tasks >= limits["processes"]:
        return "processes"
    if memory > limits["memory_bytes"]:
        return "memory"
    if disk >= limits["file_bytes"]:
        return "disk"
    return None


def disk_of_run(job: Job, pids: list[int]) -> int:
    """Return the bytes that a run has taken on disk, beside the student's own files.

    Where it has a file system of its own, that is all of it, whatever became of the names.
    """
    assert job.order is not None
    private = str(job.private)
    if job.order.get("container"):
        around = int(disk.use_of_all(os.path.dirname(private)))
        return max(0, around - int(job.order["tree_bytes"]))
    used = disk.use_of_all(private) if job.own_room else disk.use(private, pids)
    return max(0, int(used) - job.copied)


def disk_is_short(job: Job) -> bool:
    """Whether a disk that is everybody's has less room left than a run may use."""
    assert job.order is not None
    if job.own_room or job.order.get("container"):
        return False
    return bool(disk.left(str(job.private)) < job.order["limits"]["file_bytes"])
