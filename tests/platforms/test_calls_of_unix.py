"""No module that runs everywhere calls what only Unix has, or only where it has asked."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.platforms.pretending import MACOS_LACKS, ROOT, UNIX_MODULES, WINDOWS_LACKS

LINUX_ALONE = (
    "grader/inside/", "grader/sandbox/docker.py", "grader/sandbox/jail.py",
    "grader/sandbox/process.py", "grader/sandbox/pump.py", "grader/sandbox/zygote.py",
    "grader/cluster.py",
)  # fmt: skip
"""What grades other people's code."""
SIGNALS_OF_UNIX = {"SIGKILL", "SIGHUP", "SIGALRM", "SIGPROF", "SIGUSR1", "SIGUSR2", "SIGXCPU"}
ASKED = {
    ("grader/sandbox/plain.py", "os.killpg"): "end_with_children asks for the system",
    ("grader/sandbox/plain.py", "signal.SIGKILL"): "end_with_children asks for the system",
    ("grader/engine/devices.py", "os.sched_getaffinity"): "cores asks whether it is there",
    ("grader/engine/child.py", "signal.SIGKILL"): "stay_with_parent asks for the system",
    ("grader/engine/gpu.py", "fcntl"): "CUDA's wheels exist for Linux alone",
    ("grader/engine/gpu.py", "os.O_CLOEXEC"): "CUDA's wheels exist for Linux alone",
    ("grader/engine/measure.py", "resource"): "limit_processor asks for the system",
    ("grader/engine/retrain.py", "os.sysconf"): "only where /proc/stat can be read",
    ("grader/doctor.py", "os.sysconf"): "an AttributeError is answered",
    ("grader/ledger/durable.py", "fcntl"): "asks for the system",
    ("grader/ledger/lease.py", "fcntl"): "asks for the system",
}
"""Where it is called all the same → why it does no harm there."""


def calls_of_unix(file: Path) -> Iterator[str]:
    """What a file names that Windows or macOS lacks."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            lacking = {"os": {*WINDOWS_LACKS, *MACOS_LACKS}, "signal": SIGNALS_OF_UNIX}
            if node.attr in lacking.get(node.value.id, ()):
                yield f"{node.value.id}.{node.attr}"
        elif isinstance(node, ast.Import | ast.ImportFrom):
            first = [a.name for a in node.names] if isinstance(node, ast.Import) else [node.module]
            yield from (str(name) for name in first if name in UNIX_MODULES)


def found() -> set[tuple[str, str]]:
    files = {file.relative_to(ROOT).as_posix(): file for file in (ROOT / "grader").rglob("*.py")}
    everywhere = {name: f for name, f in files.items() if not name.startswith(LINUX_ALONE)}
    return {(name, call) for name, file in everywhere.items() for call in calls_of_unix(file)}


def test_what_unix_alone_has_is_called_where_it_was_asked_for() -> None:
    assert found() - ASKED.keys() == set()
    assert ASKED.keys() - found() == set()


@pytest.mark.parametrize(
    "line", ["os.fork()", "signal.SIGKILL", "import fcntl", "from pwd import getpwnam"]
)
def test_such_a_call_is_seen(line: str, tmp_path: Path) -> None:
    (tmp_path / "x.py").write_text(f"def f():\n    {line}\n")

    assert len(list(calls_of_unix(tmp_path / "x.py"))) == 1
