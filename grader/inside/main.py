"""The program that starts inside the sandbox: `python -I -B main.py STAGE`.

Theory of operation. Three processes, one inside the other, all of this file:

    grader ══ socket ══► supervisor ─ fork ─► worker                       cold
    grader ══ socket ══► zygote ─ fork ─► supervisor ─ fork ─► worker      warm: --warm

The *worker* confines itself, imports the stage module, says "ready", puts the student's tree on
the path and runs the stage. From then on it is hostile. The *supervisor* never is: it holds the
private folder, watches memory, disk and processes, takes in every orphan (subreaper), and when
the worker ends, a limit is reached or the grader goes away (its end of the socket closes,
whatever the reason), it kills all that is left, removes the folder and reports how the worker
ended. The *zygote* has imported the stage's libraries once and only ever forks; it runs no student
code and never a TensorFlow operation (a fork after one hangs).

Without --control (in a container, where the engine supervises) the worker runs alone.

What crosses: the request on the worker's standard input, frames on its standard output, its log
on its standard error; the order (limits, folder) and the report as one JSON line each on the
socket, which the worker does not have. Once it runs, the worker's descriptors are 0 /dev/null,
1 and 2 the log, one high number the channel, and no other.
"""

from __future__ import annotations

import contextlib
import gc
import importlib.util
import json
import os
import pathlib
import select
import shutil
import signal
import socket
import stat
import sys
import tempfile
import time
import types
from collections.abc import Iterator, Mapping
from typing import Any, NoReturn

HERE = pathlib.Path(__file__).resolve().parent
TICK_S = 0.025
"""How often the supervisor looks: a program that takes 1 GB/s overshoots by 25 MB."""
DISK_ENTRIES = 10_000
"""More files than this count as a full disk; it also bounds the time a look takes."""


def load(name: str, folder: pathlib.Path = HERE) -> types.ModuleType:
    """Import a module of this folder by path: with -I the folder itself is not on the path."""
    spec = importlib.util.spec_from_file_location(f"_inside_{name}", folder / f"{name}.py")
    if spec is None or spec.loader is None:
        raise ImportError(f"{name}: no such stage")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


frames = load("frames")
confine = load("confine")
syscalls = load("syscalls")


def load_stage(name: str, folder: pathlib.Path) -> types.ModuleType:
    """Import a stage module and what it will need."""
    module = load(name, folder)
    if hasattr(module, "warm"):
        module.warm()
    return module


# --- worker -------------------------------------------------------------------------------


def arrange_descriptors(request_fd: int, output_fd: int, log_fd: int) -> int:
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


class TreeFinder:
    """Path hook for the student's tree: plain `.py` sources only.

    A stale or forged `.pyc`, a native module and a cache folder in the tree are not looked at.
    """

    def __init__(self, tree: pathlib.Path) -> None:
        self._tree = str(tree)

    def __call__(self, path: str) -> Any:
        """Return a finder for a folder of the tree, refuse every other."""
        from importlib.machinery import FileFinder, SourceFileLoader

        if path != self._tree and not path.startswith(self._tree + os.sep):
            raise ImportError
        return FileFinder(path, (_uncached(SourceFileLoader), [".py"]))


def _uncached(base: type[Any]) -> type[Any]:
    def get_code(self: Any, fullname: str) -> Any:
        path = self.get_filename(fullname)
        return self.source_to_code(self.get_data(path), path)

    return type("UncachedLoader", (base,), {"get_code": get_code})


def add_tree_to_path(tree: pathlib.Path) -> None:
    """Make the student's modules importable: after the standard library, before site-packages.

    So a student's `random.py` shadows nothing, and a `utils.py` of theirs wins over a package of
    that name that happens to be installed here, as it did on their machine.
    """
    sys.path_hooks.insert(0, TreeFinder(tree))
    first_site = next(
        (i for i, p in enumerate(sys.path) if "site-packages" in p or "dist-packages" in p),
        len(sys.path),
    )
    sys.path.insert(first_site, str(tree))


class Job:
    """What the supervisor decided for its worker.

    Attributes:
        stage: Name of the stage module.
        stages: Folder it lies in.
        module: It, where it is imported already.
        order: {"limits": Limits as a dict, "jail": whether to confine, "tmp": where the private
            folder is made}; None where a container does all that.
        private: The private folder, None in a container.
        uid: User to become, None to stay.
        tasks: Threads that user has already.
        libraries: What may be read of this machine, and folders that may be listed. The grader's
            own package is left out: where it is installed, a reference solution lies in it.
    """

    def __init__(self, stage: str, stages: pathlib.Path) -> None:
        self.stage = stage
        self.stages = stages
        self.module: types.ModuleType | None = None
        self.order: dict[str, Any] | None = None
        self.private: str | None = None
        self.uid: int | None = None
        self.tasks = 0
        self.libraries = confine.carve(confine.readable_paths(), str(HERE.parent))


def work(job: Job, fds: tuple[int, int, int]) -> NoReturn:
    """Be the worker: from the request to the end frame.

    Whatever fails before "ready" is the machine's fault, after it the student's.
    """
    status = 1
    try:
        envelope = frames.read_request(fds[0])
        channel = frames.Channel(arrange_descriptors(*fds))
        try:
            tree = pathlib.Path(envelope["tree"])
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


def enter(job: Job, tree: pathlib.Path) -> types.ModuleType:
    """Confine this process and import the stage. Returns the stage module."""
    os.chdir(tree)
    if sys.platform == "linux":
        confine.prctl(confine.PR_SET_DUMPABLE, 1)  # the supervisor's watch reads our open files
    if job.order is None:
        return job.module or load_stage(job.stage, job.stages)
    os.environ["HOME"] = os.environ["TMPDIR"] = str(job.private)
    tempfile.tempdir = None
    limits = job.order["limits"]
    statm = os.open("/proc/self/statm", os.O_RDONLY) if sys.platform == "linux" else None
    confine.limit_resources(limits, job.tasks)
    if job.order["jail"]:
        imprison(job, tree)
    module = job.module or load_stage(job.stage, job.stages)
    confine.limit_use(limits, statm)
    if statm is not None:
        os.close(statm)
    return module


def imprison(job: Job, tree: pathlib.Path) -> None:
    """Give up privileges, files and system calls, in this order: each needs the ones before."""
    missing = confine.lacks()
    if missing:
        raise confine.Lack("; ".join(missing))
    if confine.threads() != 1:
        raise confine.Lack("a process with one thread; the libraries started more on import")
    confine.step_down(job.uid)
    confine.prctl(confine.PR_SET_PDEATHSIG, signal.SIGKILL)
    read, names = job.libraries
    confine.restrict_files(
        [*read, str(tree), str(HERE), str(job.stages)], names, [str(job.private)]
    )
    confine.restrict_calls(syscalls)


# --- supervisor ---------------------------------------------------------------------------


def supervise(job: Job, control: socket.socket, fds: tuple[int, int, int]) -> NoReturn:
    """Be the supervisor of one worker: see the module's docstring."""
    with contextlib.suppress(OSError):
        os.setsid()
    if sys.platform == "linux":
        confine.prctl(confine.PR_SET_CHILD_SUBREAPER, 1)
        confine.prctl(confine.PR_SET_DUMPABLE, 0)
    report: dict[str, Any] = {"status": None, "reason": None}
    try:
        job.order = json.loads(_read_line(control))
        job.uid = confine.own_uid() if job.order["jail"] else None
        job.tasks = tasks_of_user(job.uid if job.uid is not None else os.getuid())
        job.private = tempfile.mkdtemp(prefix="grader-", dir=job.order["tmp"])
        try:
            if job.uid is not None:
                os.chown(job.private, job.uid, job.uid)
            report.update(_watch(job, control, fds))
        finally:
            kill_descendants()
            shutil.rmtree(job.private, ignore_errors=True)
    except Exception as error:
        report["error"] = f"{type(error).__name__}: {error}"
        report["errno"] = getattr(error, "errno", None)
    with contextlib.suppress(OSError):
        control.sendall(json.dumps(report).encode() + b"\n")
    os._exit(0)


def _read_line(control: socket.socket) -> bytes:
    line = bytearray()
    while not line.endswith(b"\n"):
        piece = control.recv(1)
        if not piece:
            raise EOFError("the grader went away before it gave an order")
        line += piece
    return bytes(line)


def _watch(job: Job, control: socket.socket, fds: tuple[int, int, int]) -> dict[str, Any]:
    worker = os.fork()
    if worker == 0:
        with contextlib.suppress(OSError):
            os.setsid()
        control.close()
        work(job, fds)
    for fd in fds:
        os.close(fd)
    assert job.order is not None
    limits, peak, reason = job.order["limits"], 0, None
    ended: list[Any] = [os.pidfd_open(worker)] if hasattr(os, "pidfd_open") else []
    while True:
        readable, _, _ = select.select([control, *ended], [], [], TICK_S)
        pid, status, usage = os.wait4(worker, os.WNOHANG)
        if pid:
            break
        pids = list(descendants())
        memory, tasks = use_of(pids)
        peak = max(peak, memory)
        disk = disk_use(str(job.private)) + unlinked_use(pids)
        reason = over(limits, memory, tasks, disk)
        if reason or control in readable:  # a byte or the socket's end: the grader wants an end
            kill_descendants(keep=worker)
            _, status, usage = os.wait4(worker, 0)
            break
    if reason is None and disk_use(str(job.private)) >= limits["file_bytes"]:
        reason = "disk"
    scale = 1 if sys.platform == "darwin" else 1024
    return {
        "status": status,
        "reason": reason,
        "cpu_time_s": usage.ru_utime + usage.ru_stime,
        "peak_memory_bytes": max(peak, usage.ru_maxrss * scale),
    }


def over(limits: Mapping[str, Any], memory: int, tasks: int, disk: int) -> str | None:
    """Name the limit that is reached, if one is."""
    if memory > limits["memory_bytes"]:
        return "memory"
    if tasks >= limits["processes"]:
        return "processes"
    if disk >= limits["file_bytes"]:
        return "disk"
    return None


def use_of(pids: list[int]) -> tuple[int, int]:
    """Return the resident memory in bytes and the number of threads of these processes."""
    memory = tasks = 0
    page = os.sysconf("SC_PAGE_SIZE")
    for pid in pids:
        with contextlib.suppress(OSError, ValueError, IndexError):
            memory += int(pathlib.Path(f"/proc/{pid}/statm").read_bytes().split()[1]) * page
            tasks += len(os.listdir(f"/proc/{pid}/task"))
    return memory, tasks


def tasks_of_user(uid: int) -> int:
    """Count the threads a user has: the kernel's limit on processes counts them all together."""
    count = 0
    for entry in _processes():
        with contextlib.suppress(OSError):
            if os.stat(f"/proc/{entry}").st_uid == uid:
                count += len(os.listdir(f"/proc/{entry}/task"))
    return count


def _processes() -> list[str]:
    try:
        return [name for name in os.listdir("/proc") if name.isdigit()]
    except OSError:
        return []


def disk_use(folder: str) -> int:
    """Return the bytes below a folder; very many entries count as without end."""
    total = entries = 0
    for base, folders, files in os.walk(folder):
        entries += len(folders) + len(files)
        if entries > DISK_ENTRIES:
            return sys.maxsize
        for name in files:
            with contextlib.suppress(OSError):
                found = os.lstat(os.path.join(base, name))
                if stat.S_ISREG(found.st_mode):
                    total += max(found.st_size, found.st_blocks * 512)
    return total


def unlinked_use(pids: list[int]) -> int:
    """Return the bytes of files that are open and have no name any more."""
    found: dict[tuple[int, int], int] = {}
    for pid in pids:
        with contextlib.suppress(OSError):
            for fd in os.listdir(f"/proc/{pid}/fd"):
                with contextlib.suppress(OSError):
                    file = os.stat(f"/proc/{pid}/fd/{fd}")
                    if stat.S_ISREG(file.st_mode) and file.st_nlink == 0:
                        found[file.st_dev, file.st_ino] = max(file.st_size, file.st_blocks * 512)
    return sum(found.values())


def descendants() -> Iterator[int]:
    """Yield every process that came of this one: as their subreaper, none can leave us."""
    waiting = [os.getpid()]
    while waiting:
        parent = waiting.pop()
        for child in _children(parent):
            yield child
            waiting.append(child)


def _children(parent: int) -> list[int]:
    found: list[int] = []
    with contextlib.suppress(OSError):
        for task in os.listdir(f"/proc/{parent}/task"):
            text = pathlib.Path(f"/proc/{parent}/task/{task}/children").read_text()
            found += [int(pid) for pid in text.split()]
    return found


def kill_descendants(keep: int | None = None) -> None:
    """Kill until nothing is left, by pid, and take in all that ended.

    Args:
        keep: A child that the caller waits for; killed too, but not taken in.
    """
    if keep is not None and sys.platform != "linux":
        with contextlib.suppress(OSError):
            os.killpg(keep, signal.SIGKILL)
    give_up = time.monotonic() + 5
    while time.monotonic() < give_up:
        alive = [pid for pid in descendants() if not _is_zombie(pid)]
        for pid in alive:
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        _take_in(keep)
        if not alive:
            return
        time.sleep(0.002)


def _is_zombie(pid: int) -> bool:
    with contextlib.suppress(OSError, IndexError):
        text = pathlib.Path(f"/proc/{pid}/stat").read_text()
        return text.rpartition(")")[2].split()[0] in "ZX"
    return True


def _take_in(keep: int | None) -> None:
    for pid in _children(os.getpid()):
        if pid != keep:
            with contextlib.suppress(OSError):
                os.waitpid(pid, os.WNOHANG)


# --- zygote -------------------------------------------------------------------------------


def serve(job: Job, grader: socket.socket) -> None:
    """Be the zygote: import once, then fork a supervisor for each message until the end.

    A message is one byte with four descriptors: request, output, log, the supervisor's socket.
    """
    try:
        job.module = load_stage(job.stage, job.stages)
    except BaseException as error:
        grader.sendall(json.dumps({"error": f"{type(error).__name__}: {error}"}).encode() + b"\n")
        return
    if sys.platform == "linux":
        confine.prctl(confine.PR_SET_DUMPABLE, 0)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel takes in ended supervisors
    gc.collect()
    gc.freeze()  # the collector of a child then leaves our pages shared
    grader.sendall(json.dumps({"error": None}).encode() + b"\n")
    while True:
        message, fds, _, _ = socket.recv_fds(grader, 1, 4)
        if not message:
            return
        if os.fork() == 0:
            grader.close()
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            supervise(job, socket.socket(fileno=fds[3]), (fds[0], fds[1], fds[2]))
        for fd in fds:
            os.close(fd)


def main(argv: list[str]) -> None:
    """Start as told on the command line."""
    import argparse

    parser = argparse.ArgumentParser(prog="main.py")
    parser.add_argument("stage")
    parser.add_argument("--stages", type=pathlib.Path, default=HERE)
    parser.add_argument("--control", type=int, help="descriptor of the socket to the grader")
    parser.add_argument("--warm", action="store_true", help="be a zygote")
    options = parser.parse_args(argv)
    job = Job(options.stage, options.stages)
    if options.control is None:
        work(job, (0, 1, 2))
    control = socket.socket(fileno=options.control)
    if options.warm:
        serve(job, control)
    else:
        supervise(job, control, (0, 1, 2))


if __name__ == "__main__":
    main(sys.argv[1:])
