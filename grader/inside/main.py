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

In a container (--container) there is no socket: order and request come on standard input, and the
supervisor passes output, log and report on in labelled pieces over standard output. It is the
container's first process, which nothing inside can signal; with --warm that is the zygote.

What crosses: the request on the worker's standard input, frames on its standard output, its log
on its standard error; the order (limits, folder) and the report as one JSON line each on the
socket, which the worker does not have. Once it runs, the worker's descriptors are 0 /dev/null,
1 and 2 the log, one high number the channel, and no other.
"""

from __future__ import annotations

import base64
import contextlib
import gc
import importlib
import json
import os
import pathlib
import select
import shutil
import signal
import socket
import sys
import tempfile
import time
import types
from collections.abc import Iterator, Mapping
from typing import Any, NoReturn

HERE = pathlib.Path(__file__).resolve().parent
PACKAGE = "_inside"
"""Name of this folder here, where it is no part of the grader."""
TICK_S = 0.025
"""How often the supervisor looks: a program that takes 1 GB/s overshoots by 25 MB."""
KILL_S = 10.0
"""For what was killed to be gone; the machine, not the program, makes it take longer."""
SPARE_TASKS = 4096
"""Threads that others of the same user may start during a run of the bare process."""
SUBMISSION = "submission"
"""Name of the program's working folder: its own copy of the student's files, to write in."""


def load(name: str, folder: pathlib.Path = HERE) -> types.ModuleType:
    """Import a module of this folder, or of another one of stages, as part of the package PACKAGE:
    with -I the folder itself is not on the path."""
    package = sys.modules.setdefault(PACKAGE, types.ModuleType(PACKAGE))
    package.__path__ = list(dict.fromkeys([*getattr(package, "__path__", []), str(folder)]))
    return importlib.import_module(f"{PACKAGE}.{name}")


frames = load("frames")
confine = load("confine")
disk = load("disk")
room = load("room")
neighbours = load("neighbours")
syscalls = load("syscalls")


def load_stage(name: str, folder: pathlib.Path) -> types.ModuleType:
    """Import a stage module and what it will need."""
    module = load(name, folder)
    if hasattr(module, "warm"):
        module.warm()
    return module


# --- worker -------------------------------------------------------------------------------


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
        order: {"limits": Limits as a dict, "jail": whether to confine, "alone": whether no file
            that can be read is anybody else's (then without Landlock), "private": the folder to
            make and remove, "tree": the student's files, where they lie on this machine, "seat":
            number among the runs of this moment, None for one alone,
            "container": whether the one around it is a file system of its own, and then
            "tree_bytes": what the student's tree takes of it}. None until it came.
        private: The private folder.
        own_room: Whether that is a file system of its own.
        copied: Bytes of it that are the copy of the student's files, not what the program wrote.
        uid: User to become, None to stay.
        tasks: Threads that this user may have, all others of this user's included; None where
            others count them.
        libraries: What may be read of this machine, and folders that may be listed. The grader's
            own package is left out: where it is installed, a reference solution lies in it.
    """

    def __init__(self, stage: str, stages: pathlib.Path) -> None:
        self.stage = stage
        self.stages = stages
        self.module: types.ModuleType | None = None
        self.order: dict[str, Any] | None = None
        self.private: str | None = None
        self.copied = 0
        self.uid: int | None = None
        self.own_room = False
        self.tasks: int | None = None
        ours = confine.copies(str(HERE.parent))
        self.libraries = confine.carve(confine.readable_paths(), *ours)


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
        confine.prctl(confine.PR_SET_PDEATHSIG, signal.SIGKILL)
        confine.prctl(confine.PR_SET_DUMPABLE, 1)  # the supervisor's watch reads our open files
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
        raise confine.Lack("; ".join(missing))
    if confine.threads() != 1:
        raise confine.Lack("a process with one thread; the libraries started more on import")
    if not alone:
        read, names = job.libraries
        confine.restrict_files([*read, str(HERE), str(job.stages)], names, [str(job.private)])
    confine.restrict_calls(syscalls)


# --- supervisor ---------------------------------------------------------------------------


class SocketLine:
    """The supervisor's line to the grader: a socket for order and report.

    Args:
        control: The socket.
        fds: The worker's request, output and log, which lead to the grader directly.
    """

    def __init__(self, control: socket.socket, fds: tuple[int, int, int]) -> None:
        self._control = control
        self.fds = fds

    @property
    def hangup(self) -> int:
        """Readable when the grader wants an end or is gone."""
        return self._control.fileno()

    def order(self) -> dict[str, Any]:
        """Say whom to kill should this process hang, and wait for what the grader wants."""
        self._control.sendall(json.dumps({"supervisor": os.getpid()}).encode() + b"\n")
        line = bytearray()
        while not line.endswith(b"\n"):
            piece = self._control.recv(1)
            if not piece:
                raise EOFError("the grader went away before it gave an order")
            line += piece
        order: dict[str, Any] = json.loads(line)
        return order

    def leave_to_worker(self) -> None:
        """Drop what is the supervisor's, in the worker."""
        self._control.close()

    def leave_to_supervisor(self) -> None:
        """Drop what is the worker's, in the supervisor."""
        for fd in self.fds:
            os.close(fd)

    def sources(self) -> list[int]:
        """List what there is to pass on: nothing, the pipes lead to the grader."""
        return []

    def pass_on(self, fd: int) -> None:
        """Pass on what came from one of the sources."""

    def tell_held(self, seconds: float) -> None:
        """Say how long others have kept the worker from running so far."""
        with contextlib.suppress(OSError):
            self._control.sendall(b"held %.3f\n" % seconds)

    def report(self, report: Mapping[str, Any]) -> None:
        """Say how the worker ended."""
        with contextlib.suppress(OSError):
            self._control.sendall(json.dumps(report).encode() + b"\n")


class StreamLine:
    """The supervisor's line out of a container: frames in, labelled pieces out.

    Args:
        stdin: The order, then the request, one frame each; afterwards its end means hang up.
        stdout: Where pieces go: one letter (O output, L log, H held up, R report), four bytes
            length, data.
    """

    def __init__(self, stdin: int, stdout: int) -> None:
        self.hangup = stdin
        self._out = stdout
        request, self._request = os.pipe()
        output_read, output = os.pipe()
        log_read, log = os.pipe()
        self.fds: tuple[int, ...] = (request, output, log)
        self._letters = {output_read: b"O", log_read: b"L"}

    def order(self) -> dict[str, Any]:
        """Wait for what the grader wants."""
        return dict(frames.read_frame(self.hangup, "order"))

    def leave_to_worker(self) -> None:
        """Drop what is the supervisor's, in the worker."""
        for fd in (*self._letters, self._request):
            os.close(fd)

    def leave_to_supervisor(self) -> None:
        """Drop what is the worker's, in the supervisor, and pass the request on."""
        self._close_theirs()
        with contextlib.suppress(OSError):
            frames.copy_frame(self.hangup, self._request)
        os.close(self._request)

    def sources(self) -> list[int]:
        """List the pipes that are open still."""
        return list(self._letters)

    def pass_on(self, fd: int) -> None:
        """Pass on what came from one of the pipes."""
        data = os.read(fd, 2**16)
        if data:
            self._send(self._letters[fd], data)
        else:
            os.close(fd)
            del self._letters[fd]

    def tell_held(self, seconds: float) -> None:
        """Say how long others have kept the worker from running so far."""
        self._send(b"H", b"%.3f" % seconds)

    def report(self, report: Mapping[str, Any]) -> None:
        """Say how the worker ended, after all it has said itself."""
        self._close_theirs()
        for fd in list(self._letters):
            while fd in self._letters:
                self.pass_on(fd)
        self._send(b"R", json.dumps(report).encode())

    def _close_theirs(self) -> None:
        for fd in self.fds:
            os.close(fd)
        self.fds = ()

    def _send(self, letter: bytes, data: bytes) -> None:
        rest = memoryview(letter + len(data).to_bytes(4, "big") + data)
        with contextlib.suppress(OSError):  # the grader is gone, and so are we soon
            while rest:
                rest = rest[os.write(self._out, rest) :]


Line = SocketLine | StreamLine


def supervise(job: Job, line: Line) -> None:
    """Be the supervisor of one worker: see the module's docstring."""
    with contextlib.suppress(OSError):
        os.setsid()
    if sys.platform == "linux":
        confine.prctl(confine.PR_SET_CHILD_SUBREAPER, 1)
        confine.prctl(confine.PR_SET_DUMPABLE, 0)
    report: dict[str, Any] = {"status": None, "reason": None}
    try:
        job.order = line.order()
        job.uid = confine.own_uid(users()) if job.order["jail"] else None
        job.tasks = tasks_allowed(job)
        job.private = str(job.order["private"])
        os.mkdir(job.private, 0o700)
        try:
            make_room(job)
            furnish(job)
            report.update(_watch(job, line))
        finally:
            kill_descendants()
            report["left"] = clean_up(job)
    except Exception as error:
        report["error"] = f"{type(error).__name__}: {error}"
        report["errno"] = getattr(error, "errno", None)
    line.report(report)


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
    others = neighbours.Neighbours()
    worker = os.fork()
    if worker == 0:
        with contextlib.suppress(OSError):
            os.setsid()
        line.leave_to_worker()
        work(job, line.fds)
    line.leave_to_supervisor()
    assert job.order is not None
    limits, peak, reason = job.order["limits"], 0, None
    ended, alone = end_of(worker), False
    while True:
        readable, _, _ = select.select([line.hangup, *ended, *line.sources()], [], [], TICK_S)
        for fd in set(readable) & set(line.sources()):
            line.pass_on(fd)
        alone = main_thread_ended(worker)
        pid, status, usage = os.wait4(worker, os.WNOHANG)
        if pid:
            alone = False
            break
        pids = list(descendants())
        if others.look(pids):
            line.tell_held(others.held_s)
        memory, tasks = use_of(pids)
        peak = max(peak, memory)
        reason = over(limits, memory, tasks, disk_of_run(job, pids))
        if reason or alone or line.hangup in readable:
            status, usage = kill_descendants(worker)
            break
    kill_descendants()
    for fd in ended:
        os.close(fd)
    if reason is None:
        reason = over(limits, 0, 0, disk_of_run(job, []))
    # On the way to an ordinary end too the main thread may be gone before the others.
    if reason is None and alone and os.waitstatus_to_exitcode(status) == -signal.SIGKILL:
        reason = "main thread"
    scale = 1 if sys.platform == "darwin" else 1024
    return {
        "status": status,
        "reason": reason,
        "shortages": [*others.shortages(), *(["disk"] if disk_is_short(job) else [])],
        "cpu_time_s": usage.ru_utime + usage.ru_stime,
        "peak_memory_bytes": max(peak, usage.ru_maxrss * scale),
    }


def end_of(pid: int) -> list[int]:
    """Return a descriptor that is readable when a child has ended; none where the kernel (gVisor's,
    macOS's) has no such thing: then its end is seen at the next look."""
    with contextlib.suppress(AttributeError, OSError):
        return [os.pidfd_open(pid)]
    return []


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


def over(limits: Mapping[str, Any], memory: int, tasks: int, disk: int) -> str | None:
    """Name the limit that is reached, if one is."""
    if tasks >= limits["processes"]:
        return "processes"
    if memory > limits["memory_bytes"]:
        return "memory"
    if disk >= limits["file_bytes"]:
        return "disk"
    return None


def use_of(pids: list[int]) -> tuple[int, int]:
    """Return the resident memory in bytes and the number of threads of these processes."""
    memory = tasks = 0
    for pid in pids:
        with contextlib.suppress(OSError, ValueError, IndexError):
            tasks += len(os.listdir(f"/proc/{pid}/task"))
            memory += memory_of(pid, alone=len(pids) == 1)
    return memory, tasks


def memory_of(pid: int, *, alone: bool) -> int:
    """Return the resident memory of a process; what forks share is split between them."""
    if not alone:
        with contextlib.suppress(OSError):
            for line in pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                if line.startswith("Pss:"):
                    return int(line.split()[1]) * 1024
    for task in os.listdir(f"/proc/{pid}/task"):  # one that has ended says 0, the others go on
        pages = int(pathlib.Path(f"/proc/{pid}/task/{task}/statm").read_bytes().split()[1])
        if pages:
            return pages * os.sysconf("SC_PAGE_SIZE")
    return 0


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
    own = sum(tasks for uid, tasks in _tasks_by_user() if uid == os.getuid())
    return own + allowed + SPARE_TASKS


def users() -> set[int]:
    """Return who has a process on this machine, as far as can be seen."""
    return {uid for uid, _ in _tasks_by_user()}


def _tasks_by_user() -> Iterator[tuple[int, int]]:
    """Yield the user and the number of threads of each process."""
    for entry in _processes():
        with contextlib.suppress(OSError):
            tasks = len(os.listdir(f"/proc/{entry}/task"))
            yield os.stat(f"/proc/{entry}").st_uid, tasks


def _processes() -> list[str]:
    try:
        return [name for name in os.listdir("/proc") if name.isdigit()]
    except OSError:
        return []


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
            try:
                text = pathlib.Path(f"/proc/{parent}/task/{task}/children").read_text()
            except FileNotFoundError:
                return _children_by_parent(parent)
            found += [int(pid) for pid in text.split()]
    return found


def _children_by_parent(parent: int) -> list[int]:
    """Look at every process, where the kernel (gVisor's, or one without CONFIG_PROC_CHILDREN) keeps
    no list of children: without one nothing would be counted and nothing killed."""
    found = []
    for entry in _processes():
        with contextlib.suppress(OSError, IndexError, ValueError):
            text = pathlib.Path(f"/proc/{entry}/stat").read_text()
            if int(text.rpartition(")")[2].split()[1]) == parent:
                found.append(int(entry))
    return found


def kill_descendants(worker: int | None = None) -> tuple[int, Any]:
    """Kill until nothing is left, by pid, and take in all that ended.

    A process shows as a zombie as soon as its main thread has ended, though others may go on: so
    nothing counts as ended before the kernel has let us take it in. Until then its number is
    nobody else's.

    Args:
        worker: A child whose end the caller wants to know.

    Returns:
        Its wait status and use; without a worker the status says nothing.

    Raises:
        TimeoutError: Some would not end.
    """
    if worker is not None and sys.platform != "linux":
        with contextlib.suppress(OSError):
            os.killpg(worker, signal.SIGKILL)
    end: tuple[int, Any] = (0, None)
    give_up = time.monotonic() + KILL_S
    while True:
        for pid in list(descendants()):
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        try:
            while (taken := os.wait4(-1, os.WNOHANG))[0]:
                if taken[0] == worker:
                    end = taken[1:]
        except ChildProcessError:
            return end
        if time.monotonic() > give_up:
            raise TimeoutError(f"processes of the run did not end within {KILL_S:g} s")
        time.sleep(0.002)


def main_thread_ended(pid: int) -> bool:
    """Whether the main thread of a process has ended by itself.

    Where a signal ends all threads, the main one may be gone first: the kernel says so in the last
    field.
    """
    with contextlib.suppress(OSError, IndexError, ValueError):
        text = pathlib.Path(f"/proc/{pid}/stat").read_text()
        facts = text.rpartition(")")[2].split()
        return facts[0] in "ZX" and not os.WIFSIGNALED(int(facts[49]))
    return False


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
            supervise(job, SocketLine(socket.socket(fileno=fds[3]), (fds[0], fds[1], fds[2])))
            os._exit(0)
        for fd in fds:
            os.close(fd)


def forget_settings() -> None:
    """Start anew without the image's settings for `grade`, which every process of it inherits.

    A variable that is only deleted stands in /proc/self/environ for good.
    """
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GRADER_")}
    if len(kept) < len(os.environ):
        os.execve(sys.executable, sys.orig_argv, kept)


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
    confine.prctl(confine.PR_SET_DUMPABLE, 0)
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
    gc.collect()
    gc.freeze()
    while True:
        select.select([stdin], [], [])
        supervisor = os.fork()
        if supervisor == 0:
            supervise(job, StreamLine(stdin, stdout))
            os._exit(0 if job.order is not None else 1)
        _, status = os.waitpid(supervisor, 0)
        if status != 0:  # no order came: the grader is gone
            return


def main(argv: list[str]) -> None:
    """Start as told on the command line."""
    import argparse

    parser = argparse.ArgumentParser(prog="main.py")
    parser.add_argument("stage")
    parser.add_argument("--stages", type=pathlib.Path, default=HERE)
    how = parser.add_mutually_exclusive_group(required=True)
    how.add_argument("--control", type=int, help="descriptor of the socket to the grader")
    how.add_argument("--container", action="store_true", help="be a container's first process")
    parser.add_argument("--warm", action="store_true", help="be a zygote")
    options = parser.parse_args(argv)
    if options.container:
        forget_settings()
    job = Job(options.stage, options.stages)
    if options.container:
        serve_container(job, warm=options.warm)
    elif options.warm:
        serve(job, socket.socket(fileno=options.control))
    else:
        supervise(job, SocketLine(socket.socket(fileno=options.control), (0, 1, 2)))


if __name__ == "__main__":
    main(sys.argv[1:])
