"""Checks of the kind "a question of the paper", one for each [[answers]] table of assignment.toml.

A student's answers.toml is data: it is parsed here, under a bound, and nothing in it is run.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from typing import Any

from grader.assignment import Assignment, Question
from grader.assignment.tables.answers import ANSWERS_FILE, Answer
from grader.checks.check import Check, Failure, NothingToJudge, failure_at
from grader.graph.evidence import Evidence

MAX_BYTES = 65_536
"""Of answers.toml."""


def answer_checks(assignment: Assignment) -> tuple[Check, ...]:
    """One check for each question, in the order of the assignment."""
    return tuple(Check(_Answered(q, assignment.key), q.group) for q in assignment.answers)


class _Answered:
    """A check function with the name and the title of its question."""

    def __init__(self, question: Question, key: Mapping[str, Answer] | None) -> None:
        self._question, self._key = question, key
        self.__name__ = question.name
        self.__doc__ = question.question

    def __call__(self, evidence: Evidence) -> None:
        answered(evidence.files, self._question, self._key)


def answered(
    files: Mapping[str, bytes], question: Question, key: Mapping[str, Answer] | None
) -> None:
    """The submission answers a question as the course does.

    Args:
        files: The data files of the submission.
        question: Which.
        key: The course's own answers; None where this machine does not have them.

    Raises:
        Failure: There is no answer, it is of another kind, or it is not right.
        NothingToJudge: It is of the right kind, and nobody here knows the right one.
    """
    place, line, value = answer_in(files, question.name, question.example)
    try:
        mine = question.read(value)
    except ValueError as problem:
        raise failure_at(place, line, str(problem), f"Write it as {question.example}.") from problem
    if key is None:
        raise NothingToJudge("the right answer is the course's: it is compared when it is graded")
    why = question.why_wrong(mine, key[question.name])
    if why is not None:
        raise failure_at(place, line, f"your answer is {value!r}; {why}", f"See {question.where}.")


def answer_in(files: Mapping[str, bytes], name: str, example: str) -> tuple[str, int, Any]:
    """Where an answer stands, in words and as a line, and what it is.

    Args:
        files: The data files of the submission.
        name: Which.
        example: How one is written.

    Raises:
        Failure: There is none.
    """
    found, value = _find(name, _answers(files))
    if value is None or value == "":
        raise Failure(f"{name} has no answer in {ANSWERS_FILE}", f"Write {example}.")
    line = _line_of(found, files[ANSWERS_FILE])
    return (f"{ANSWERS_FILE}, line {line}" if line else ANSWERS_FILE), line, value


def _answers(files: Mapping[str, bytes]) -> dict[str, Any]:
    content = files.get(ANSWERS_FILE)
    if content is None:
        raise Failure(
            f"{ANSWERS_FILE} is not in the submission",
            "Put it beside your code; `grade init` writes it, with the questions.",
        )
    if len(content) > MAX_BYTES:
        raise Failure(
            f"{ANSWERS_FILE}: expected at most {MAX_BYTES // 1024} KB. Received: more than that",
            "Leave nothing but the answers in it.",
        )
    try:
        return tomllib.loads(content.decode("utf-8-sig").replace("\r\n", "\n"))
    except UnicodeDecodeError as error:
        raise Failure(f"{ANSWERS_FILE}: expected UTF-8 text", "Save it as UTF-8.") from error
    except (ValueError, RecursionError) as error:
        raise Failure(
            f"{ANSWERS_FILE} cannot be read: {str(error) or 'it is nested too deeply'}",
            "Correct that line. Words and formulas stand in double quotes.",
        ) from error


def _find(name: str, written: Mapping[str, Any]) -> tuple[str, Any]:
    """The answer under the question's name; in a notebook a name may have no hyphen."""
    for each in (name, name.replace("-", "_")):
        if each in written:
            return each, written[each]
    return name, None


def _line_of(name: str, content: bytes) -> int:
    """The line that a key stands in; 0 where it is not found."""
    pattern = re.compile(rf"[ \t]*[\"']?{re.escape(name)}[\"']?[ \t]*=")
    lines = content.decode("utf-8-sig", "replace").splitlines()
    return next((n for n, line in enumerate(lines, start=1) if pattern.match(line)), 0)
