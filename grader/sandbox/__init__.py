"""Run untrusted code: one contract, several providers.

`open_sandbox` chooses the provider; `contract.Sandbox` says what every one of them promises;
`tests/sandbox/test_contract.py` holds them all to it.
"""

from __future__ import annotations

from typing import Literal

from grader.errors import Cause, InfrastructureError
from grader.sandbox.contract import Sandbox

Kind = Literal["auto", "docker", "jail", "process"]


def open_sandbox(kind: Kind = "auto", *, warm: bool = False) -> Sandbox:
    """Open a sandbox that works on this machine.

    Args:
        kind: "jail", "docker" or "process" by name, or "auto": the jail where it holds, else
            Docker. Never the bare process unless asked for by name.
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

    The sandbox of the grading where there is one, so that a call it forbids is noticed early; else
    the plain process, as if the student had started it.
    """
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
        "Use --sandbox process to grade without isolation; the grade is then marked so.",
    )


def _make(kind: str, warm: bool) -> Sandbox:
    if kind == "docker":
        from grader.sandbox.docker import DockerSandbox

        return DockerSandbox(warm=warm)
    if kind == "jail":
        from grader.sandbox.jail import JailSandbox

        return JailSandbox(warm=warm)
    from grader.sandbox.process import ProcessSandbox

    return ProcessSandbox(warm=warm)
