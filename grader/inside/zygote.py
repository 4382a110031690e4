"""The parents of supervisors: they import the libraries once, and only ever fork."""

from __future__ import annotations

import contextlib
import gc
import json
import os
import select
import signal
import socket
import sys

from . import kernel, room
from .job import Job, load_stage
from .lines import SocketLine, StreamLine
from .supervisor import supervise


def serve(job: Job, grader: socket.socket) -> None:
    """Be the zygote: import once, then fork a supervisor for each message until the end.

    A message is one byte with four descriptors: request, output, log, the supervisor's socket.
    """
    with contextlib.suppress(OSError):
        room.allowed()
    try:
        job.module = load_stage(job.stage, job.stages)
    except BaseException as error:
        grader.sendall(json.dumps({"error": f"{type(error).__name__}: {error}"}).encode() + b"\n")
        return
    if sys.platform == "linux":
        kernel.prctl(kernel.PR_SET_DUMPABLE, 0)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel takes in ended supervisors
    _keep_pages_shared()
    grader.sendall(json.dumps({"error": None}).encode() + b"\n")
    while True:
        message, fds, _, _ = socket.recv_fds(grader, 1, 4)
        if not message:
            return
        if os.fork() == 0:
            grader.close()
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            supervise(job, SocketLine(socket.socket(fileno=fds[3]), (fds[0], fds[1], fds[2])))
            os._exit(0)
        for fd in fds:
            os.close(fd)


def _keep_pages_shared() -> None:
    """Let a child leave alone what stands in this process: its collector, and the C library.

    Free pieces of memory are joined by whoever asks for a large one next: here, not in each child.
    """
    gc.collect()
    gc.freeze()
    trim = getattr(kernel.libc(), "malloc_trim", None)  # musl has none
    if trim is not None:
        trim(0)


def serve_container(job: Job, *, warm: bool) -> None:
    """Be the first process of a container.

    Cold: supervise one run. Warm: import once, then fork a supervisor for each order, so that
    the request of one run never is in the memory that the next is forked from.
    """
    stdin, stdout = os.dup(0), os.dup(1)
    null = os.open(os.devnull, os.O_RDWR)
    for fd in (0, 1, 2):
        os.dup2(null, fd)
    os.close(null)
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # without handlers, nothing inside can signal it
    kernel.prctl(kernel.PR_SET_DUMPABLE, 0)
    if not warm:
        supervise(job, StreamLine(stdin, stdout))
        return
    try:
        job.module = load_stage(job.stage, job.stages)
    except BaseException as error:
        line = StreamLine(stdin, stdout)
        line.order()
        line.report({"error": f"{type(error).__name__}: {error}", "import": True})
        return
    _keep_pages_shared()
    while True:
        select.select([stdin], [], [])
        supervisor = os.fork()
        if supervisor == 0:
            supervise(job, StreamLine(stdin, stdout))
            os._exit(0 if job.order is not None else 1)
        _, status = os.waitpid(supervisor, 0)
        if status != 0:  # no order came: the grader is gone
            return


def forget_settings() -> None:
    """Start anew without the image's settings for `grade`, which every process of it inherits.

    A variable that is only deleted stands in /proc/self/environ for good.
    """
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GRADER_")}
    if len(kept) < len(os.environ):
        os.execve(sys.executable, sys.orig_argv, kept)
