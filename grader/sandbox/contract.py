"""The sandbox contract: run one stage of untrusted code and bring back bytes, nothing else.

Theory of operation. A provider starts `python -I -B` (its own process, container or jail) with
the program `grader/inside/<stage>.py`. The request goes in as one frame on standard input. The
program answers with frames on a pipe; everything it prints goes to a log that is only shown.
The provider counts every byte and keeps the clock. Whatever happens inside, `run` returns a
`Run`; it raises only when the sandbox itself failed, which is never the student's fault.

A frame is: 4 bytes magic b"GRD1", 1 byte kind (b"J" JSON, b"B" binary), 1 byte name length,
8 bytes payload length (big endian), the name (ASCII), the payload. The stream ends with a frame
named "end" of kind J whose payload is "{}". A stream without it is not an answer.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from grader.domain import Isolation, Limits, Run
from grader.errors import InfrastructureError

MAGIC = b"GRD1"
KIND_JSON = b"J"
KIND_BINARY = b"B"
END = "end"


@dataclass(frozen=True)
class Stage:
    """One program to run inside, and what it gets.

    Attributes:
        name: Module in grader/inside, e.g. "trace".
        tree: The rewritten submission, readable inside; nothing else of the host is.
        request: Plain data for the program; sent as the first frame on its standard input.
        limits: What it may use.
    """

    name: str
    tree: Path
    request: Mapping[str, Any]
    limits: Limits = field(default_factory=Limits)


@dataclass(frozen=True)
class StageResult:
    """How the stage ended and the frames it gave.

    Attributes:
        run: Status, cause, times.
        json_frames: Payload bytes of the JSON frames by name, unparsed, in order of arrival.
        binary_frames: Payload bytes of the binary frames by name.
        complete: Whether the end frame arrived. Incomplete frames are kept for explanation only.
    """

    run: Run
    json_frames: Mapping[str, bytes]
    binary_frames: Mapping[str, bytes]
    complete: bool
    doubtful: bool = False
    """Whether others may have caused this end, though nothing of it was seen."""


class Disturbed(InfrastructureError):
    """Others on this machine kept a run from its time, memory or threads."""


class Sandbox(ABC):
    """One way to run a stage. Providers: docker, the Linux jail, the bare process; plain."""

    isolation: Isolation

    @abstractmethod
    def run(self, stage: Stage) -> StageResult:
        """Run one stage to its end or to a limit.

        Args:
            stage: The program, its tree, request and limits.

        Returns:
            How it ended and what it sent. Every fault of the program inside is a cause in the
            `Run`, never an exception.

        Raises:
            InfrastructureError: The sandbox itself failed (engine gone, kernel lacks a piece,
                disk full), or others on this machine disturbed the run though it had been
                repeated alone. Never the student's fault.
        """

    @abstractmethod
    def available(self) -> str | None:
        """None when this provider can run here, else one sentence saying what is missing and
        how to get it."""

    def prepare(self, stage: str) -> None:  # noqa: B027 - most providers have nothing to prepare
        """Begin to load what a stage will need, and do not wait for it.

        Args:
            stage: Name of the stage module.
        """

    def interrupt(self) -> None:  # noqa: B027 - what a provider cannot end, ends by itself
        """End what runs, from any thread. That `run` raises; the next one runs."""

    def stop(self) -> None:  # noqa: B027 - what a provider cannot end, ends with this process
        """End what runs, and start nothing more; from any thread. `run` then raises."""

    def close(self) -> None:  # noqa: B027 - most providers keep nothing warm
        """End whatever the provider keeps warm. Safe to call twice."""
