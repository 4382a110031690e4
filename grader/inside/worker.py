"""The worker: from the request to the end frame. Once it runs the student's code, it is hostile."""

from __future__ import annotations

import base64
import contextlib
import os
import pathlib
import signal
import sys
import tempfile
import types
from collections.abc import Mapping
from typing import Any, NoReturn

from . import confine, frames, kernel, landlock, seccomp, syscalls
from .job import HERE, SUBMISSION, Job, load_stage
from .tree import add_tree_to_path


def work(job: Job, fds: tuple[int, ...]) -> NoReturn:
    """Be the worker: from the request to the end frame.

    Whatever fails before "ready" is the machine's fault, after it the student's.
    """
    status = 1
    try:
        envelope = frames.read_frame(fds[0], frames.REQUEST)
        channel = frames.Channel(arrange_descriptors(fds[1], fds[2]))
        try:
            tree = lay_out(job, envelope)
            module = enter(job, tree)
            channel.send_json(frames.READY, {})
            add_tree_to_path(tree)
            module.run(dict(envelope["request"]), tree, channel)
            channel.send_json(frames.END, {})
            status = 0
        except BaseException as error:
            # Not a verdict: the grader reads it to say what happened.
            report = {"type": type(error).__name__, "message": str(error)[:2000]}
            channel.send_json(frames.CRASH, report)
    finally:
        with contextlib.suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(status)  # no atexit, no threads, no destructors of the student's


def arrange_descriptors(output_fd: int, log_fd: int) -> int:
    """Give the student's code a null input and the log, and hide the channel.

    Returns:
        The descriptor of the channel.
    """
    import fcntl

    channel = fcntl.fcntl(output_fd, fcntl.F_DUPFD_CLOEXEC, 100)
    log = fcntl.fcntl(log_fd, fcntl.F_DUPFD_CLOEXEC, 100)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.closerange(3, channel)
    os.closerange(channel + 1, 65536)
    return channel


def lay_out(job: Job, envelope: Mapping[str, Any]) -> pathlib.Path:
    """Return the program's working folder; in a container, where nobody could copy it, fill it."""
    tree = pathlib.Path(str(job.private), SUBMISSION)
    for name, data in (envelope.get("files") or {}).items():
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_bytes(base64.b64decode(data))
    return tree


def enter(job: Job, tree: pathlib.Path) -> types.ModuleType:
    """Confine this process and import the stage. Returns the stage module."""
    os.chdir(tree)
    assert job.order is not None
    os.environ["HOME"] = os.environ["TMPDIR"] = str(job.private)
    tempfile.tempdir = None
    limits = job.order["limits"]
    confine.be_killed_first()
    if job.order.get("seat") is not None:
        confine.take_one_core(int(job.order["seat"]))
    statm = os.open("/proc/self/statm", os.O_RDONLY) if sys.platform == "linux" else None
    confine.limit_resources(limits, job.tasks, container=bool(job.order.get("container")))
    if job.order["jail"]:
        confine.step_down(job.uid)
    if sys.platform == "linux":  # after the change of user, which would undo it
        kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGKILL)
        kernel.prctl(kernel.PR_SET_DUMPABLE, 1)  # the supervisor's watch reads our open files
    if job.order["jail"]:
        imprison(job)
    module = job.module or load_stage(job.stage, job.stages)
    confine.limit_use(limits, statm)
    if statm is not None:
        os.close(statm)
    return module


def imprison(job: Job) -> None:
    """Give up files and system calls, in this order: the first needs the second's."""
    assert job.order is not None
    alone = job.order.get("alone")
    missing = [] if alone else confine.lacks()
    if missing:
        raise kernel.Lack("; ".join(missing))
    if confine.threads() != 1:
        raise kernel.Lack("a process with one thread; the libraries started more on import")
    if not alone:
        read, names = job.libraries
        landlock.restrict_files([*read, str(HERE), str(job.stages)], names, [str(job.private)])
    seccomp.restrict_calls(syscalls)
