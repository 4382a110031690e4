"""Which line of a ledger was changed by whoever has no key."""

from __future__ import annotations

import hashlib
from enum import StrEnum
from pathlib import Path

from grader.domain import LEDGER, Record
from grader.errors import InfrastructureError
from grader.ledger.book import HEAD, Head, of_other_key, read_head, unrecorded
from grader.ledger.durable import disk_error
from grader.ledger.key import CourseKey, load_or_create_key
from grader.ledger.record import GENESIS, Entry, line_sha256, read_line


class ProblemKind(StrEnum):
    """What is wrong."""

    CHANGED = "changed"
    DROPPED = "dropped"
    ADDED = "added"
    GRADE_CHANGED = "grade-changed"
    GRADE_MISSING = "grade-missing"
    UNRECORDED = "unrecorded"
    RUN_CHANGED = "run-changed"
    HEAD = "head"
    OTHER_KEY = "other-key"
    INTERRUPTED = "interrupted"
    """A write that was cut off, by kill or power; the next run mends it. No sign of tampering."""


class Problem(Record):
    """One thing that is not as it was written."""

    kind: ProblemKind
    line: int | None
    """Line of ledger.jsonl as it is now, from 1; for DROPPED the line before which it stood."""
    message: str
    """One sentence for a person."""


def verify(results_dir: Path, key: CourseKey | None = None) -> list[Problem]:
    """Compare the record of a results folder with its seals. Reads only.

    Args:
        results_dir: The results folder.
        key: The course key; this machine's if None.

    Returns:
        What is wrong, in order of lines; empty where all is as it was written.

    Raises:
        InfrastructureError: INFRA_DISK: it cannot be read.
    """
    key = key if key is not None else load_or_create_key()
    content = _read(results_dir / LEDGER)
    *lines, torn = content.split(b"\n")
    head, problems = _head(results_dir, key, written=bool(content))
    entries = [read_line(line, key) for line in lines]
    if lines and not any(entries) and of_other_key(lines[0], key):
        message = f"{LEDGER} was written with another course key than {key.id}."
        return [Problem(kind=ProblemKind.OTHER_KEY, line=1, message=message)]
    good, found = _walk(lines, entries, head)
    problems = found + problems
    if torn:
        message = f"line {len(lines) + 1} is a piece of a line: the last write was cut off."
        kind = ProblemKind.INTERRUPTED
        problems.append(Problem(kind=kind, line=len(lines) + 1, message=message))
    problems += _grades(results_dir, good)
    if not problems:
        problems = _unrecorded(results_dir, good, head)
    return problems


def _unrecorded(
    results_dir: Path, good: list[tuple[int, Entry]], head: Head | None
) -> list[Problem]:
    """Grades without a line, where the lines that are left hold together."""
    lost = unrecorded(results_dir, [entry for _, entry in good])
    caught_up = len(good) == (head.count if head else 0)
    if len(lost) == 1 and caught_up:
        message = f"{lost[0]} is not recorded yet: its run was cut off."
        return [Problem(kind=ProblemKind.INTERRUPTED, line=None, message=message)]
    return [
        Problem(
            kind=ProblemKind.UNRECORDED,
            line=None,
            message=f"{file} has no line in {LEDGER}: it was added, or its line was taken away.",
        )
        for file in lost
    ]


def _walk(
    lines: list[bytes], entries: list[Entry | None], head: Head | None
) -> tuple[list[tuple[int, Entry]], list[Problem]]:
    """Follow the chain. Between two good entries, the lines that are not sealed stand for the
    ones that are missing: as many as are missing were changed, the others were added."""
    good: list[tuple[int, Entry]] = []
    problems: list[Problem] = []
    strangers: list[int] = []
    seq, last = 0, GENESIS
    for number, (line, entry) in enumerate(zip(lines, entries, strict=True), start=1):
        if entry is None:
            strangers.append(number)
        elif entry.seq <= seq or (
            entry.seq == seq + 1 and not strangers and entry.previous != last
        ):
            message = f"line {number} was added: a copy of record {entry.seq} or of another ledger."
            problems.append(Problem(kind=ProblemKind.ADDED, line=number, message=message))
        else:
            problems += _between(strangers, range(seq + 1, entry.seq), number)
            good.append((number, entry))
            strangers, seq, last = [], entry.seq, line_sha256(line)
    missing = range(seq + 1, (head.count if head else seq) + 1)
    return good, problems + _between(strangers, missing, len(lines) + 1)


def _between(strangers: list[int], missing: range, before: int) -> list[Problem]:
    changed, added = strangers[: len(missing)], strangers[len(missing) :]
    dropped = missing[len(strangers) :]
    return [
        *(
            Problem(kind=ProblemKind.CHANGED, line=n, message=f"line {n} was changed.")
            for n in changed
        ),
        *(
            Problem(
                kind=ProblemKind.ADDED,
                line=n,
                message=f"line {n} was added: it does not carry the seal.",
            )
            for n in added
        ),
        *(
            Problem(
                kind=ProblemKind.DROPPED,
                line=before,
                message=f"record {n} was dropped; it stood before line {before}.",
            )
            for n in dropped
        ),
    ]


def _head(results_dir: Path, key: CourseKey, *, written: bool) -> tuple[Head | None, list[Problem]]:
    try:
        head = read_head(results_dir, key)
    except InfrastructureError as error:
        return None, [Problem(kind=ProblemKind.HEAD, line=None, message=f"{error.message}.")]
    lines = _read(results_dir / LEDGER).count(b"\n")
    if head is None and lines > 1:
        message = f"{HEAD} is missing, so lines dropped from the end cannot be seen."
        return None, [Problem(kind=ProblemKind.HEAD, line=None, message=message)]
    return head, []


def _grades(results_dir: Path, good: list[tuple[int, Entry]]) -> list[Problem]:
    problems = []
    for number, entry in good:
        path = results_dir / entry.grade_file
        if not path.is_file():
            kind, what = ProblemKind.GRADE_MISSING, "is missing"
        elif hashlib.sha256(_read(path)).hexdigest() != entry.grade_sha256:
            kind, what = ProblemKind.GRADE_CHANGED, "was changed"
        else:
            continue
        message = f"{entry.grade_file}, the grade of line {number}, {what}."
        problems.append(Problem(kind=kind, line=number, message=message))
    return problems


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""
    except OSError as error:
        raise disk_error(path.name, error) from error
