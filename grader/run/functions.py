"""What the functions of [[functions]] are asked, and what their references gave.

The calls are drawn from the course key alone: they are the same for a whole class, so a reference
answers once. It runs in the sandbox, in a run of its own, never beside a student's code.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from grader import files
from grader.assignment import Assignment, FunctionCheck
from grader.calls.cases import Case, cases_of
from grader.calls.values import Answer, parse_answer
from grader.domain import RunStatus
from grader.errors import AssignmentError, Cause, InfrastructureError, StageFailed
from grader.ledger.key import CourseKey
from grader.run.directory import filling
from grader.run.provenance import reference_digest
from grader.run.published import publish, published
from grader.run.reference import MissingReference, copy_sources
from grader.sandbox.contract import Sandbox, Stage

ANSWERS_FILE = "answers.json"
CALLS_IN_A_RUN = 500
PURPOSE = "functions"
"""Of a seed that is drawn from the course key."""
LIBRARIES = (
    "numpy", "opencv-python", "opencv-python-headless", "tensorflow", "tensorflow-cpu", "keras",
)  # fmt: skip
"""Whose versions decide what a reference gives."""

Answers = Mapping[str, Mapping[str, Any]]
"""FILE.py:FUNCTION → id of a call → the record of its answer."""


@dataclass(frozen=True)
class FunctionReference:
    """The calls of one check, and what is right.

    Attributes:
        cases: The calls.
        answers: What the reference and the slips gave; empty where this machine has neither them
            nor what was published of them.
        digest: Of all that decides what they give.
    """

    cases: tuple[Case, ...]
    answers: Answers = field(default_factory=dict)
    digest: str = ""


def calls_for_sandbox(
    functions: Sequence[FunctionCheck], references: Mapping[str, FunctionReference]
) -> list[dict[str, Any]]:
    """What the program in the sandbox is asked of a student's functions."""
    return [
        case.request(asked, asked.function)
        for asked in functions
        for case in references[asked.name].cases
    ]


def function_references(
    assignment: Assignment,
    key: CourseKey | None,
    sandbox: Sandbox,
    folder: Path,
) -> dict[str, FunctionReference]:
    """The calls of each [[functions]] table with what is right; what is known is not run.

    Args:
        assignment: Names the references.
        key: Draws the hidden calls; None for public ones alone, whose results may have been
            published where the references are not.
        sandbox: Where references run.
        folder: What is known, one folder for each content.

    Raises:
        AssignmentError: A file is missing, or a reference gives no result; names the key.
        InfrastructureError: The machine failed.
    """
    known = published(assignment) if key is None and assignment.functions else {}
    found, open_checks = {}, []
    for asked in assignment.functions:
        seed = key.derive(asked.name, PURPOSE) if key is not None else None
        cases = cases_of(asked, seed)
        found[asked.name] = FunctionReference(cases)
        answers = known.get(asked.name)
        if answers is not None and answers.fit(cases):
            found[asked.name] = FunctionReference(cases, answers.answers, answers.digest)
        elif key is not None or _is_here(asked, assignment):
            open_checks.append(asked)
    return found | _asked(open_checks, found, assignment, sandbox, folder)


def publish_calls(assignment: Assignment, sandbox: Sandbox) -> Path:
    """Call the references in the public calls, and write what they give beside assignment.toml.

    Args:
        assignment: With [[functions]].
        sandbox: Where references run.

    Returns:
        The file.

    Raises:
        AssignmentError: A file is missing, or a reference gives no result; names the key.
        InfrastructureError: The machine failed.
    """
    cases = {a.name: FunctionReference(cases_of(a, None)) for a in assignment.functions}
    with files.scratch("public") as scratch:
        found = _asked(assignment.functions, cases, assignment, sandbox, scratch)
    known = {name: (reference.cases, reference.answers) for name, reference in found.items()}
    return publish(assignment.file.parent, known)


def _asked(
    checks: Sequence[FunctionCheck],
    found: Mapping[str, FunctionReference],
    assignment: Assignment,
    sandbox: Sandbox,
    folder: Path,
) -> dict[str, FunctionReference]:
    """What the references of some checks give, by the check's name."""
    answers: dict[str, FunctionReference] = {}
    for group in _by_folder(checks, assignment).values():
        answers |= _answered(group, found, assignment, sandbox, folder)
    return answers


def _is_here(asked: FunctionCheck, assignment: Assignment) -> bool:
    try:
        asked.reference_files(assignment.file.parent)
    except ValueError:
        return False
    return True


def _by_folder(
    checks: Sequence[FunctionCheck], assignment: Assignment
) -> dict[Path, list[FunctionCheck]]:
    """Checks by the folder in which their references lie; those of one folder share a run.

    Raises:
        MissingReference: A file is not there.
    """
    found: dict[Path, list[FunctionCheck]] = {}
    for asked in checks:
        try:
            places = asked.reference_files(assignment.file.parent)
        except ValueError as problem:
            raise MissingReference(f"{_key(assignment, asked)}: {problem}") from problem
        if len({file.parent for file in places}) > 1:
            raise AssignmentError(
                f"{_key(assignment, asked)}: expected the reference and the slips in one folder."
            )
        found.setdefault(places[0].parent, []).append(asked)
    return found


def _key(assignment: Assignment, asked: FunctionCheck) -> str:
    return f"{assignment.file}: functions.{assignment.functions.index(asked)}.same_as"


def _answered(
    group: Sequence[FunctionCheck],
    found: Mapping[str, FunctionReference],
    assignment: Assignment,
    sandbox: Sandbox,
    folder: Path,
) -> dict[str, FunctionReference]:
    calls = [call for asked in group for call in _calls(asked, found[asked.name].cases)]
    with files.scratch("reference") as scratch:
        tree = scratch / "files"
        tree.mkdir()
        for asked in group:
            for file in asked.reference_files(assignment.file.parent):
                copy_sources(file, tree)
        digest = reference_digest(
            tree, [request for _, request in calls], sandbox.isolation, LIBRARIES
        )
        kept = folder / digest
        if not kept.is_dir():
            requests = [request for _, request in calls]
            given = dict(_run(requests, tree, assignment, sandbox))
            for asked in group:
                _see_that_it_answers(asked, found[asked.name].cases, given, assignment)
            with filling(kept) as partial:
                (partial / ANSWERS_FILE).write_text(json.dumps(given), encoding="utf-8")
    try:
        given = json.loads((kept / ANSWERS_FILE).read_bytes())
    except (OSError, ValueError) as error:
        raise InfrastructureError(
            Cause.INFRA_DISK, f"{kept} cannot be read: {error}", "Delete it, and grade again."
        ) from error
    return {
        asked.name: FunctionReference(
            found[asked.name].cases, _sorted(asked, found[asked.name].cases, given), digest
        )
        for asked in group
    }


def _calls(asked: FunctionCheck, cases: Sequence[Case]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each call of the reference and of the slips."""
    for number, function in enumerate(asked.functions()):
        for case in cases:
            yield function, case.request(asked, function, _id(case, number))


def _id(case: Case, number: int) -> str:
    return f"{case.id}.{number}"


def _sorted(asked: FunctionCheck, cases: Sequence[Case], given: Mapping[str, Any]) -> Answers:
    return {
        function: {case.id: given[_id(case, number)] for case in cases}
        for number, function in enumerate(asked.functions())
    }


def _run(
    calls: Sequence[dict[str, Any]], tree: Path, assignment: Assignment, sandbox: Sandbox
) -> Iterator[tuple[str, Any]]:
    """The answer to each call; those that did not come are left out.

    Raises:
        InfrastructureError: The machine failed.
        AssignmentError: What came is no answer.
    """
    for start in range(0, len(calls), CALLS_IN_A_RUN):
        part = list(calls[start : start + CALLS_IN_A_RUN])
        request = {"module": part[0]["module"], "calls": part}
        result = sandbox.run(Stage("call", tree, request, assignment.limits))
        run = result.run
        if run.cause is not None and run.cause.is_infrastructure:
            raise InfrastructureError(run.cause, run.message)
        if run.status is RunStatus.FAILED and "module" not in result.json_frames:
            raise AssignmentError(f"{assignment.file}: the references of functions: {run.message}")
        for call in part:
            data = result.json_frames.get("call:" + call["id"])
            if data is not None:
                yield call["id"], json.loads(data)


def _see_that_it_answers(
    asked: FunctionCheck,
    cases: Sequence[Case],
    given: Mapping[str, Any],
    assignment: Assignment,
) -> None:
    """Refuse a reference without a result, and a slip that is no function.

    Raises:
        AssignmentError: Names the key, the call and what was raised.
    """
    for number, function in enumerate(asked.functions()):
        for case in cases:
            answer = read_answer(given.get(_id(case, number)))
            if answer is not None and answer.imported and answer.found:
                if answer.failure is None or number > 0 or (asked.may_raise and answer.raised):
                    continue
            why = "no answer" if answer is None else f"no function {function}"
            if answer is not None and answer.failure is not None:
                why = f"{answer.failure.type}: {answer.failure.message} {answer.failure.where}"
            raise AssignmentError(
                f"{_key(assignment, asked)}: expected a result of {function}, called as "
                f"{case.words(function.rpartition(':')[2])}. Received: {why.strip()}. "
                "Call it yourself; where an exception is what is right, add may_raise = true."
            )


def read_answer(record: Any) -> Answer | None:
    """The answer of a reference; None where there is none."""
    try:
        return None if record is None else parse_answer(json.dumps(record).encode())
    except StageFailed:
        return None
