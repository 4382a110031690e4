"""The Linux jail: the embedded default, without root and without an engine.

Landlock leaves it Python's own files and the submission to read and one private folder to write;
seccomp leaves it threads, files and time; rlimits and the supervisor hold the amounts. What is
applied and in which order stands in `grader/inside/worker.py`. Where the kernel lacks a piece it
refuses by name: a weaker jail is never offered as the jail.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

from grader.domain import Isolation, Limits
from grader.errors import InfrastructureError
from grader.sandbox.contract import Stage
from grader.sandbox.process import ProcessSandbox
from grader.sandbox.program import STAGES

_FIX = "Use Docker (--sandbox docker), or --sandbox process to grade without isolation."


class JailSandbox(ProcessSandbox):
    """Runs a stage confined by the kernel. Arguments as for `ProcessSandbox`."""

    isolation: Isolation = "jail"
    _jail = True

    def __init__(
        self, *, warm: bool = False, stages: Path = STAGES, scratch: Path | None = None
    ) -> None:
        super().__init__(warm=warm, stages=stages, scratch=scratch)
        self._lack: str | None = None
        self._tried = False

    def available(self) -> str | None:
        """None where a jailed process was seen to be refused what the jail forbids."""
        if not self._tried:
            self._lack = jail_lack(self._scratch)
            self._tried = True
        return self._lack


class UncheckedJail(JailSandbox):
    """The jail without asking first whether it holds: for that question itself, and for tests."""

    def available(self) -> str | None:
        """None, always."""
        return None


def jail_lack(scratch: Path | None = None) -> str | None:
    """Try the jail once.

    Args:
        scratch: Where private folders are made.

    Returns:
        None when it holds, else one sentence: what is missing, and what to do.
    """
    if sys.platform != "linux":
        return f"the jail needs Linux (this is {sys.platform}). {_FIX}"
    sandbox = UncheckedJail(scratch=scratch)
    try:
        with tempfile.TemporaryDirectory(dir=scratch) as tree:
            limits = Limits(wall_time_s=20, memory_bytes=2**30, output_bytes=2**16)
            outcome = sandbox.run(Stage("selfcheck", Path(tree), {}, limits))
    except InfrastructureError as error:
        return f"{error.message}. {_FIX}"
    if not outcome.complete:
        return f"the jail does not run here: {outcome.run.message}. {_FIX}"
    held = json.loads(outcome.json_frames["held"])
    open_doors = [name for name, refused in held.items() if not refused]
    if open_doors:
        return f"the jail does not hold here: {', '.join(open_doors)} not refused. {_FIX}"
    return None
