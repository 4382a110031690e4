"""Run untrusted code: one contract, several providers.

`open_sandbox` chooses the provider; `contract.Sandbox` says what every one of them promises;
`tests/sandbox/test_contract.py` holds them all to it.
"""

from __future__ import annotations

import atexit
import sys
from typing import Literal

from grader.errors import Cause, InfrastructureError
from grader.sandbox.contract import Sandbox

Kind = Literal["auto", "docker", "jail", "process", "plain"]
"""The last is for one's own code alone, and no option of the command line names it."""


def open_sandbox(kind: Kind = "auto", *, warm: bool = False) -> Sandbox:
    """Open a sandbox that works on this machine.

    Args:
        kind: "jail", "docker", "process" or "plain" by name, or "auto": the jail where it holds,
            else Docker. Never a process without a wall unless asked for by name.
        warm: Load the libraries once and fork them for each submission; for many submissions.

    Returns:
        A sandbox; close it when done.

    Raises:
        InfrastructureError: What was asked for cannot be had here; says what is missing.
    """
    if kind == "auto":
        return _first_that_works(warm)
    sandbox = _make(kind, warm)
    lack = sandbox.available()
    if lack is not None:
        sandbox.close()
        raise InfrastructureError(Cause.INFRA_SANDBOX, f"--sandbox {kind}: {lack}")
    return sandbox


def sandbox_for_own_code() -> Kind:
    """Where a student's own code runs on the student's own machine.

    Under Linux the sandbox of the grading where there is one, so that a call it forbids is noticed
    early. Elsewhere a plain process, as if the student had started it.
    """
    return strongest_or_bare() if sys.platform == "linux" else "plain"


def open_for_own_code(kind: Kind = "auto") -> Sandbox:
    """Open where one's own code runs, and let it import its libraries from now on.

    They take seconds; a command calls this first, so that its own modules are loaded meanwhile.

    Args:
        kind: By name, or "auto": see `sandbox_for_own_code`.

    Returns:
        A warm sandbox. It is closed at the latest when this program ends.
    """
    try:
        wanted = "plain" if kind == "auto" and sys.platform != "linux" else kind
        room = open_sandbox(wanted, warm=True)
    except InfrastructureError:
        if kind != "auto":
            raise
        room = open_sandbox("process", warm=True)
    atexit.register(room.close)
    room.prepare("trace")
    return room


def strongest_or_bare() -> Kind:
    """The sandbox of the grading where there is one, else the bare process, which is none."""
    try:
        open_sandbox("auto").close()
    except InfrastructureError:
        return "process"
    return "auto"


def _first_that_works(warm: bool) -> Sandbox:
    lacks = []
    for kind in ("jail", "docker"):
        sandbox = _make(kind, warm)
        lack = sandbox.available()
        if lack is None:
            return sandbox
        sandbox.close()
        lacks.append(f"{kind}: {lack}")
    raise InfrastructureError(
        Cause.INFRA_SANDBOX,
        "no sandbox on this machine. " + " ".join(lacks),
        _WITHOUT.get(sys.platform, _WITHOUT["linux"]),
    )


_WITHOUT = {
    "linux": "Use --sandbox process to grade without isolation; the grade is then marked so.",
    "win32": "Grade in WSL 2 (wsl --install), or start Docker. grade check, for your own work, "
    "needs neither.",
    "darwin": "Start Docker. grade check, for your own work, needs none.",
}
"""What to do where no sandbox works."""


def _make(kind: str, warm: bool) -> Sandbox:
    if kind == "docker":
        from grader.sandbox.docker import DockerSandbox

        return DockerSandbox(warm=warm)
    if kind == "jail":
        from grader.sandbox.jail import JailSandbox

        return JailSandbox(warm=warm)
    if kind == "plain":
        from grader.sandbox.plain import PlainSandbox

        return PlainSandbox(warm=warm)
    from grader.sandbox.process import ProcessSandbox

    return ProcessSandbox(warm=warm)
