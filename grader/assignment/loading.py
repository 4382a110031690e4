"""Reads assignment.toml, and says everything that is wrong with it at once."""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Collection
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from grader.assignment.mistakes import explain, near_to
from grader.assignment.tables import (
    ACCURACY,
    FILE_NAME,
    NEEDS_ZONE,
    Assignment,
    Contents,
)
from grader.assignment.tables.answers import KEY_FILE, Answer, read_key
from grader.assignment.units import mistyped
from grader.errors import AssignmentError


def load_assignment(path: Path | str, known_checks: Collection[str] | None = None) -> Assignment:
    """Read and validate an assignment.

    Args:
        path: The file, or the folder that holds assignment.toml.
        known_checks: Names of the checks that the grader has; the rubric must name exactly those
            that the assignment asks for. None leaves that to a later caller.

    Returns:
        The assignment, with its sandbox limits' wall time set from time_budgets.trace_s.

    Raises:
        AssignmentError: Anything wrong with it: file, key, value and what to do.
    """
    path = Path(path)
    file = path / FILE_NAME if path.is_dir() else path
    content = _read(file, path.name)
    table = _parse(content, file)
    try:
        contents = Contents.model_validate(table)
    except ValidationError as error:
        details = error.errors(include_url=False)
        mistakes = [explain(detail, Contents) for detail in details if detail["type"] != NEEDS_ZONE]
        raise _refusal(file, mistakes) from error
    if known_checks is not None:
        others = known_checks if contents.probes is not None else ()
        mistakes = _names_taken(contents, others)
        mistakes += _rubric_mistakes(contents.rubric, asked_for(contents, known_checks))
        if mistakes:
            raise _refusal(file, mistakes)
    fields = {name: getattr(contents, name) for name in Contents.model_fields}
    wall_time = {"wall_time_s": contents.time_budgets.trace_s}
    fields["limits"] = contents.limits.model_copy(update=wall_time)
    digest = hashlib.sha256(content).hexdigest()
    return Assignment(**fields, sha256=digest, file=file, key=_key(contents, file))


def _key(contents: Contents, file: Path) -> dict[str, Answer] | None:
    """The course's own answers, where something is asked and they are here."""
    try:
        return read_key(file.parent / KEY_FILE, contents.answers) if contents.answers else None
    except ValueError as problem:
        raise _refusal(file, [str(problem)]) from problem


def asked_for(contents: Contents, known_checks: Collection[str]) -> list[str]:
    """The names of the checks that an assignment asks for, in order.

    Args:
        contents: The assignment.
        known_checks: Names of the checks that the grader has.
    """
    densenet = [n for n in known_checks if n != ACCURACY] if contents.probes is not None else []
    accuracy = [ACCURACY] if contents.evaluation is not None else []
    return [*densenet, *[check.name for check in contents.own_checks], *accuracy]


def _names_taken(contents: Contents, known: Collection[str]) -> list[str]:
    return [
        f"{contents.key_of(check)}.name: expected a name that no other check has. "
        f"Received: {check.name!r}. Choose another."
        for check in contents.own_checks
        if check.name in known
    ]


def _read(file: Path, word: str) -> bytes:
    try:
        return file.read_bytes()
    except FileNotFoundError as error:
        raise AssignmentError(
            f"{file}: no such file.{mistyped(word)} Give a unit of the course, or the "
            "folder of the assignment, with --assignment."
        ) from error
    except OSError as error:
        raise AssignmentError(f"{file}: cannot be read ({error.strerror}).") from error


def _parse(content: bytes, file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(content.decode("utf-8-sig"))  # Notepad writes a byte order mark
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise AssignmentError(
            f"{file}, line {line}: not UTF-8 text. Save the file as UTF-8."
        ) from error
    except ValueError as error:  # no valid TOML, or a number of thousands of digits
        raise AssignmentError(f"{file}: not valid TOML: {error}. Correct that line.") from error
    except RecursionError as error:
        raise AssignmentError(f"{file}: tables are nested too deeply.") from error


def _rubric_mistakes(rubric: Collection[str], known: Collection[str]) -> list[str]:
    """One line for each check the rubric names but nobody asked for, or that it forgets."""
    unknown = [
        f"rubric.{name}: expected the name of a check. Received: {name!r}.{near_to(name, known)}"
        for name in rubric
        if name not in known
    ]
    forgotten = [
        f"rubric.{name}: missing; every check needs its points. "
        f'Add {name} = {{ points = 0, visibility = "visible" }}.'
        for name in known
        if name not in rubric
    ]
    return unknown + forgotten


def _refusal(file: Path, mistakes: Collection[str]) -> AssignmentError:
    lines = "".join(f"\n  {mistake}" for mistake in mistakes)
    count = "1 mistake" if len(mistakes) == 1 else f"{len(mistakes)} mistakes"
    return AssignmentError(f"{file}: {count}{lines}")
