"""From what was seen outside to a cause and a sentence.

Only three witnesses are heard: our own clock and counters, the supervisor's report (or the
container engine's), and whether the stream was a complete answer. What the program inside says of
itself is used for the wording at most.
"""

from __future__ import annotations

import errno
import json
import re
import signal
from dataclasses import dataclass

from grader.domain import Isolation, Limits, Run, RunStatus
from grader.errors import Cause, InfrastructureError
from grader.sandbox.contract import Disturbed, StageResult
from grader.sandbox.frames import CRASH, FrameParser

_FULL = (f"[Errno {errno.ENOSPC}]", f"[Errno {errno.EFBIG}]", f"[Errno {errno.EDQUOT}]")
_NO_THREAD = (b"start new thread", b"pthread_create", b"Resource temporarily unavailable")
_NO_MEMORY = (b"MemoryError", b"bad_alloc", b"out of memory", b"Cannot allocate memory")
_NO_ROOM = (b"No space left on device", b"No usable temporary directory", b"quota exceeded")

_NONE = 10_000


def _number(name: str) -> int:
    """The number of a signal; where this system lacks it, one that no process ends by."""
    return int(getattr(signal, name, _NONE))


_ABORT, _KILL, _SEGMENT, _BUS = map(_number, ("SIGABRT", "SIGKILL", "SIGSEGV", "SIGBUS"))
_CALL, _CPU, _SIZE = map(_number, ("SIGSYS", "SIGXCPU", "SIGXFSZ"))
_UNEXPLAINED = (-_ABORT, -_KILL)
"""What the kernel or a library does to a program that lacks something; it may do so itself too."""
_WINDOWS = {
    0xC0000005: "an access violation",
    0xC00000FD: "a stack overflow",
    0xC0000409: "an abort",
    0xC0000374: "a damaged heap",
}
"""Exit statuses of Windows that are what a signal is elsewhere."""
_TEXT = 300
_MiB = 2**20


@dataclass
class Ending:
    """What was seen of one run.

    Attributes:
        wall_time_s: By our clock, from "ready" to the end.
        stopped: The cause and sentence for which we ended it ourselves.
        status: Exit status (negative: signal) of the worker, None when unknown.
        reason: "memory", "processes", "disk" or "main thread" where the supervisor or the engine
            saw a limit reached, or threads without a main one.
        left: What of the run could not be removed, in words.
        cpu_time_s: Processor time of the worker.
        peak_memory_bytes: Of all its processes.
        held_s: How long others kept it from running, as the supervisor counted.
        shortages: What others left too little of, as the supervisor saw.
        infra: What failed on our side, in words; no verdict on the student then.
        infra_cause: Its cause.
        log: The kept end of what the program printed.
    """

    wall_time_s: float = 0.0
    stopped: tuple[Cause, str] | None = None
    status: int | None = None
    reason: str | None = None
    left: str | None = None
    cpu_time_s: float | None = None
    peak_memory_bytes: int | None = None
    held_s: float = 0.0
    shortages: tuple[str, ...] = ()
    infra: str | None = None
    infra_cause: Cause = Cause.INFRA_SANDBOX
    log: bytes = b""


def result(
    ending: Ending, parser: FrameParser, limits: Limits, isolation: Isolation
) -> StageResult:
    """Judge how a stage ended.

    Args:
        ending: What was seen.
        parser: The frames that came.
        limits: What it was allowed.
        isolation: For the record.

    Returns:
        The run and its frames.

    Raises:
        InfrastructureError: It failed before student code ran, or the sandbox failed.
        Disturbed: Others on this machine may have caused the end.
    """
    # What our clock and counters had decided stands, whatever failed after it.
    if ending.infra is not None and not (ending.stopped and parser.ready):
        raise InfrastructureError(ending.infra_cause, ending.infra)
    if not parser.ready:
        raise _not_started(ending, parser)
    fault = _fault(ending, parser, limits)
    _refuse_what_others_caused(fault, ending, parser)
    run = Run(
        status=RunStatus.DONE if fault is None else RunStatus.FAILED,
        cause=fault and fault[0],
        message=fault[1] if fault else "",
        isolation=isolation,
        wall_time_s=round(ending.wall_time_s, 3),
        cpu_time_s=ending.cpu_time_s,
        peak_memory_bytes=ending.peak_memory_bytes,
        log_tail=ending.log.decode("utf-8", "replace"),
    )
    doubtful = ending.reason is None and ending.stopped is None and ending.status in _UNEXPLAINED
    return StageResult(run, parser.json_frames, parser.binary_frames, parser.complete, doubtful)


def _refuse_what_others_caused(
    fault: tuple[Cause, str] | None, ending: Ending, parser: FrameParser
) -> None:
    """Blame nobody for a thread, for memory or for a disk that others had taken.

    The program may say that it lacked something; only where the supervisor saw the lack too, and
    no limit of the program's own was reached, is it believed.

    Raises:
        Disturbed: INFRA_BUSY, INFRA_MEMORY or INFRA_DISK.
    """
    if fault is not None and fault[0].is_infrastructure:
        raise Disturbed(*fault)
    # One that is being killed has no main thread any more for a moment, too.
    if ending.reason not in (None, "main thread") or ending.stopped is not None:
        return
    if "threads" in ending.shortages and _says(_NO_THREAD, ending, parser):
        raise Disturbed(Cause.INFRA_BUSY, "this machine refused the program a thread")
    if "promises" in ending.shortages and _says(_NO_MEMORY, ending, parser):
        raise Disturbed(Cause.INFRA_MEMORY, "this machine refused the program memory it may have")
    if "disk" in ending.shortages and _says(_NO_ROOM, ending, parser):
        raise Disturbed(
            Cause.INFRA_DISK, "this machine's disk has no room for what a program may write"
        )
    if "memory" in ending.shortages and ending.status == -_KILL:
        raise Disturbed(Cause.INFRA_MEMORY, "the program was killed: this machine lacked memory")


def _says(words: tuple[bytes, ...], ending: Ending, parser: FrameParser) -> bool:
    told = (ending.log, *parser.control.values(), *parser.json_frames.values())
    return any(word in text for word in words for text in told)


def _not_started(ending: Ending, parser: FrameParser) -> InfrastructureError:
    kind, message = _crash(parser)
    if kind == "Lack":
        return InfrastructureError(
            Cause.INFRA_SANDBOX,
            f"the jail: this machine lacks {message}",
            "Use --sandbox docker, or --sandbox process to grade without isolation.",
        )
    if kind in ("ImportError", "ModuleNotFoundError"):
        return InfrastructureError(
            Cause.INFRA_TENSORFLOW,
            f"the libraries did not load: {message}",
            "Install them with the extra cpu or gpu; see grade doctor.",
        )
    if ending.stopped and ending.stopped[0].is_infrastructure:
        return Disturbed(*ending.stopped)
    told = f"{kind}: {message}" if kind else _ended(ending.status)
    log = ending.log[-_TEXT:].decode("utf-8", "replace").strip()
    return InfrastructureError(
        Cause.INFRA_SANDBOX,
        f"the stage ended before student code ran ({told})" + (f": {log}" if log else ""),
        "See grade doctor.",
    )


def _fault(ending: Ending, parser: FrameParser, limits: Limits) -> tuple[Cause, str] | None:
    if ending.reason is not None:
        return _reached(ending.reason, limits)
    if ending.stopped is not None:
        return ending.stopped
    if ending.status is not None and ending.status < 0:
        return _by_signal(ending, limits)
    kind, message = _crash(parser)
    if kind == "MemoryError":
        return _reached("memory", limits)
    # A full private folder may be told by the program before the watch has counted it.
    if kind == "OSError" and message.startswith(_FULL):
        return _reached("disk", limits)
    if kind:
        return Cause.STUDENT_EXCEPTION, f"the program ended with {kind}: {message}"
    if not parser.complete:
        return Cause.STUDENT_EXITED, f"the program {_ended(ending.status)} before it had answered"
    if ending.status not in (0, None):
        return Cause.STUDENT_EXITED, f"the program {_ended(ending.status)} after its answer"
    return None


def _by_signal(ending: Ending, limits: Limits) -> tuple[Cause, str]:
    number = -(ending.status or 0)
    if number == _CALL:
        return (
            Cause.STUDENT_FORBIDDEN_CALL,
            "the program made a system call that the sandbox forbids, and was ended",
        )
    spent = ending.cpu_time_s or 0.0
    if number == _CPU or (number == _KILL and spent >= limits.cpu_time_s):
        return (
            Cause.STUDENT_CPU_LIMIT,
            f"processor time: expected at most {limits.cpu_time_s:g} s, received more",
        )
    if number == _SIZE:
        return _reached("disk", limits)
    if number in (_ABORT, _SEGMENT, _BUS) and _out_of_memory(ending, limits):
        return _reached("memory", limits)
    return Cause.STUDENT_EXITED, f"the program {_ended(ending.status)} before it had answered"


def _out_of_memory(ending: Ending, limits: Limits) -> bool:
    # C++ code ends with SIGABRT where an allocation fails; it may say so on its way out.
    near = (ending.peak_memory_bytes or 0) > 0.8 * limits.memory_bytes
    return near or b"bad_alloc" in ending.log or b"out of memory" in ending.log.lower()


def _reached(reason: str, limits: Limits) -> tuple[Cause, str]:
    if reason == "memory":
        allowed = f"{limits.memory_bytes // _MiB} MiB"
        return Cause.STUDENT_OUT_OF_MEMORY, f"memory: expected at most {allowed}, received more"
    if reason == "main thread":
        return (
            Cause.STUDENT_EXITED,
            "the program's main thread ended before it had answered, and left others running",
        )
    if reason == "processes":
        return (
            Cause.STUDENT_PROCESS_LIMIT,
            f"processes and threads: expected fewer than {limits.processes}, received more",
        )
    allowed = f"{limits.file_bytes // _MiB} MiB"
    return Cause.STUDENT_DISK_LIMIT, f"files: expected less than {allowed}, received more"


def _crash(parser: FrameParser) -> tuple[str, str]:
    try:
        told = json.loads(parser.control.get(CRASH, b"{}"))
        kind, message = str(told.get("type", "")), str(told.get("message", ""))
    except (ValueError, AttributeError, RecursionError):
        return "", ""
    kind = re.sub(r"[^A-Za-z0-9_]", "", kind)[:80]
    return kind, re.sub(r"(?<![\w.])/[^\s'\"]*/", "", message)[:_TEXT]


def _ended(status: int | None) -> str:
    if status is None:
        return "ended"
    if status < 0:
        try:
            return f"was ended by signal {signal.Signals(-status).name}"
        except ValueError:
            return f"was ended by signal {-status}"
    if (how := _WINDOWS.get(status)) is not None:
        return f"was ended by {how}"
    return f"ended with exit status {status}"


def interrupted() -> InfrastructureError:
    """A run that the grader itself ended."""
    help = "The same command goes on from there."
    return InfrastructureError(Cause.INFRA_INTERRUPTED, "the grader was interrupted", help)
