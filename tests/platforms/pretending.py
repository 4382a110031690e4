"""A Python that lacks what Python lacks on another system: `python -c "...; pretend('win32')"`.

What a program takes for granted under Linux is not there: it fails where it is used, as it would
on the student's laptop. Programs started from here pretend the same.
"""

import os
import runpy
import signal
import subprocess
import sys
import sysconfig
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
    for name in UNIX_MODULES:
        sys.modules[name] = None  # type: ignore[assignment]
    sys.modules["msvcrt"] = _Msvcrt()  # type: ignore[assignment]
    os.O_BINARY = 0
    subprocess.CREATE_NO_WINDOW = subprocess.CREATE_NEW_PROCESS_GROUP = 1


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

    pretend(sys.argv[1])
    from grader.cli import main

    sys.argv = ["grade", *sys.argv[2:]]
    main()
