"""The public checks, as pytest and a notebook of the course see them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from grader.domain import CheckResult, Finding, Grade


def public_checks(assignment_dir: Path | None = None) -> list[str]:
    """Names of the checks that `grade check` shows, in the order of the report.

    Args:
        assignment_dir: Folder of assignment.toml; None for the assignment that ships.
    """
    from grader.assignment import load_assignment
    from grader.checks import checks_of
    from grader.report.visibility import is_after_due, is_shown
    from grader.resources import assignment_dir as shipped

    assignment = load_assignment(assignment_dir or shipped())
    after_due = is_after_due(assignment)
    shown = {n for n, line in assignment.rubric.items() if is_shown(line.visibility, after_due)}
    return [check.name for check in checks_of(assignment) if check.name in shown]


@dataclass(frozen=True)
class PublicResult:
    """One check as a test sees it.

    Attributes:
        outcome: "passed", "failed", "skipped" or "error".
        explanation: For a person: why it did not pass, each place, what to try.
        group: shape, parameters or architecture; empty where the check was not run.
        points: Earned, by the rubric.
    """

    outcome: str
    explanation: str
    group: str = ""
    points: float = 0.0


def course_above(folder: Path) -> Path | None:
    """nbgrader's course that a submission lies in, where it has an assignment.toml of its own.

    Only folders above the submission count: what lies in it is the student's.
    """
    for above in folder.resolve().parents:
        if all((above / name).is_file() for name in ("assignment.toml", "nbgrader_config.py")):
            return above
    return None


def run_public_checks(folder: Path | str) -> dict[str, PublicResult]:
    """Check a submission's folder once, by the rubric of nbgrader's course where it lies in one.

    Args:
        folder: With the module of a unit of the course, or its notebook.

    Returns:
        Every public check by name.

    Raises:
        SubmissionRejected: The folder holds nothing that can be checked.
        InfrastructureError: This machine could not check it.
    """
    from grader.assignment.units import unit_in
    from grader.course import GradeOptions
    from grader.pipeline import check_folder
    from grader.sandbox import sandbox_for_own_code

    course = unit_in(Path(folder), course_above(Path(folder))).folder
    options = GradeOptions(assignment_dir=course, evaluate=False, sandbox=sandbox_for_own_code())
    grade = check_folder(Path(folder).resolve(), options)
    results = {check.name: _as_test(check) for check in grade.checks}
    missing = PublicResult("error", _why_unchecked(grade))
    return {name: results.get(name, missing) for name in public_checks(course)}


def _as_test(check: CheckResult) -> PublicResult:
    said = {words for f in check.findings for words in (f.message, f.help)}
    lines = [f"{check.name}: {check.title}"]
    lines += [f"It follows from {check.follows_from}: mend that first."] * bool(check.follows_from)
    lines += [words for words in (check.rationale, check.help) if words and words not in said]
    lines += [_in_words(finding) for finding in check.findings]
    explanation = "\n".join(line for line in lines if line)
    return PublicResult(check.outcome.value, explanation, check.group, check.score)


def points_of(group: str, results: Mapping[str, PublicResult], most: float | None = None) -> float:
    """Points of one group, for a cell of the nbgrader notebook; prints why others are missing.

    Args:
        group: shape, parameters or architecture.
        results: From `run_public_checks`.
        most: What the cell counts to: with more, nbgrader would refuse the whole notebook.

    Raises:
        RuntimeError: The checks were not run, so that there are no points to give.
    """
    if results and not any(result.group for result in results.values()):
        raise RuntimeError(next(iter(results.values())).explanation)
    of_group = [result for result in results.values() if result.group == group]
    for result in of_group:
        if result.outcome != "passed":
            print(result.explanation, end="\n\n")
    earned = float(sum(result.points for result in of_group))
    return earned if most is None else min(earned, most)


def _in_words(finding: Finding) -> str:
    source = f" ({finding.source})" if finding.source else ""
    where = "" if finding.place else f"{finding.where}: "
    said = f"{where}{finding.message}{source}"
    lines = (said, finding.code, finding.help, finding.call or finding.asked)
    return "\n    ".join(line for line in lines if line)


def _why_unchecked(grade: Grade) -> str:
    return grade.message or "The check was not run; `grade check` says why."
