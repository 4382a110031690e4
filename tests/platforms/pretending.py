"""A Python that lacks what Python lacks on another system: `python -c "...; pretend('win32')"`.

What a program takes for granted under Linux is not there: it fails where it is used, as it would
on the student's laptop. Programs started from here pretend the same.
"""

import functools
import os
import runpy
import select
import shutil
import signal
import subprocess
import sys
import sysconfig
from collections.abc import Callable
from pathlib import Path

UNIX_MODULES = ("fcntl", "resource", "pwd", "grp", "termios", "tty", "pty", "syslog", "readline")
WINDOWS_LACKS = (
    "fork", "forkpty", "killpg", "setsid", "getuid", "geteuid", "getgid", "getegid", "getgroups",
    "setgroups", "setresuid", "setresgid", "chown", "lchown", "fchown", "fchmod", "mkfifo",
    "statvfs", "fstatvfs", "sysconf", "getloadavg", "uname", "pread", "pwrite", "wait", "wait4",
    "waitid", "nice", "sched_getaffinity", "sched_setaffinity", "set_blocking", "O_NOFOLLOW",
    "O_DIRECTORY", "O_CLOEXEC", "O_NONBLOCK",
)  # fmt: skip
MACOS_LACKS = ("sched_getaffinity", "sched_setaffinity", "setresuid", "setresgid", "memfd_create")
WINDOWS_SIGNALS = ("SIGABRT", "SIGFPE", "SIGILL", "SIGINT", "SIGSEGV", "SIGTERM")
ROOT = Path(__file__).resolve().parents[2]


def pretend(system: str) -> None:
    """Lack what a system lacks, from here on and in every Python that is started."""
    sysconfig.get_config_vars()  # this Python's own, which it looks up by its system's name
    sys.addaudithook(_without_proc)
    if system == "win32":
        _without_posix()
    else:
        _without(os, *MACOS_LACKS)
        # A fork after frameworks were loaded ends a program on macOS.
        _without(os, "fork", "forkpty")
    _pass_on(system)
    sys.platform = system


def _without(module: object, *names: str) -> None:
    for name in names:
        if hasattr(module, name):
            delattr(module, name)


def _without_posix() -> None:
    kill = signal.SIGKILL

    def end(process: subprocess.Popen) -> None:
        if process.poll() is None:
            os.kill(process.pid, kill)

    subprocess.Popen.kill = subprocess.Popen.terminate = end
    _without(os, *WINDOWS_LACKS)
    known = [n for n in dir(signal) if n.startswith("SIG") and not n.startswith("SIG_")]
    _without(signal, *[name for name in known if name not in WINDOWS_SIGNALS])
    _without(signal, "setitimer", "getitimer", "ITIMER_PROF", "ITIMER_REAL", "pthread_kill")
    _without(select, "poll", "epoll")
    _with_files_of_windows()
    for name in UNIX_MODULES:
        sys.modules[name] = None  # type: ignore[assignment]
    sys.modules["msvcrt"] = _Msvcrt()  # type: ignore[assignment]
    os.O_BINARY = 0
    subprocess.CREATE_NO_WINDOW = subprocess.CREATE_NEW_PROCESS_GROUP = 1


def _with_files_of_windows() -> None:
    """No file is renamed over another or removed while it is open; no links, no descriptors of
    folders."""
    os.symlink = _refuse_links
    os.rename = _rename
    os.supports_dir_fd = set()
    shutil._use_fd_functions = False
    for name in ("open", "stat", "lstat", "unlink", "remove", "rmdir", "mkdir", "chmod"):
        setattr(os, name, _without_folders(getattr(os, name)))
    sys.addaudithook(_keep_open_files)


def _refuse_links(*arguments: object, **keywords: object) -> None:
    raise OSError(22, "A required privilege is not held by the client")


_as_unix_renames = os.rename


def _rename(source: object, target: object, **keywords: object) -> None:
    if os.path.lexists(target):
        raise FileExistsError(17, "Cannot create a file when that file already exists", str(target))
    _as_unix_renames(source, target)


def _without_folders(function: Callable) -> Callable:
    @functools.wraps(function)
    def call(*arguments: object, **keywords: object) -> object:
        if keywords.pop("dir_fd", None) is not None:
            raise NotImplementedError("dir_fd unavailable on this platform")
        return function(*arguments, **keywords)

    return call


def _keep_open_files(event: str, arguments: tuple) -> None:
    """What is open cannot be removed, renamed or replaced, as Python opens it on Windows."""
    if event not in ("os.remove", "os.rename"):
        return
    wanted = [os.path.realpath(os.fsdecode(path)) for path in arguments[:2] if _is_path(path)]
    for descriptor in range(3, 256):
        try:
            held = os.readlink(f"/proc/self/fd/{descriptor}")
        except OSError:
            continue
        if held in wanted and os.path.isfile(held):
            raise PermissionError(13, "The process cannot access the file", held)


def _is_path(value: object) -> bool:
    return isinstance(value, str | bytes | os.PathLike)


class _Msvcrt:
    """What of it the program calls."""

    LK_LOCK = LK_NBLCK = LK_UNLCK = 0

    @staticmethod
    def setmode(fd: int, flags: int) -> int:
        return flags

    @staticmethod
    def locking(fd: int, mode: int, size: int) -> None:
        os.fstat(fd)


def _without_proc(event: str, arguments: tuple) -> None:
    if event in ("open", "os.listdir", "os.scandir") and str(arguments[0]).startswith("/proc"):
        raise FileNotFoundError(arguments[0])


def _pass_on(system: str) -> None:
    """Start each Python of ours with the same lacks; numbers of Windows mean nothing here."""
    start = subprocess.Popen.__init__

    def started(self, command, *arguments, creationflags=0, **keywords):
        if command[0] == sys.executable and "-c" not in command:
            at = next(i for i, word in enumerate(command) if word.endswith(".py"))
            said = f"import sys; sys.path.insert(0, {str(ROOT)!r});"
            said += "from tests.platforms.pretending import start; start()"
            command = [*command[:at], "-c", said, system, *command[at:]]
        start(self, command, *arguments, **keywords)

    subprocess.Popen.__init__ = started


def start() -> None:
    """In such a Python: load the libraries as they are built for Linux, then pretend."""
    system, program, *words = sys.argv[1:]
    if "trace" in words:
        import keras  # noqa: F401
        import tensorflow  # noqa: F401
    sys.path.remove(str(ROOT))
    pretend(system)
    sys.argv = [program, *words]
    runpy.run_path(program, run_name="__main__")


if __name__ == "__main__":
    import rich.console
    import rich.live
    import rich.progress  # noqa: F401

    if "train" in sys.argv:
        import h5py  # noqa: F401
        import keras  # noqa: F401
        import matplotlib.figure  # noqa: F401
        import tensorflow  # noqa: F401

    pretend(sys.argv[1])
    from grader.cli import main

    sys.argv = ["grade", *sys.argv[2:]]
    main()
