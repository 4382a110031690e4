"""What a student is given: the template, and the public checks as pytest sees them."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from grader.errors import InfrastructureError, UsageError
from grader.resources import template_dir

if TYPE_CHECKING:
    from grader.domain import CheckResult, Finding, Grade
    from grader.sandbox import Kind


WHY_LENGTH = 300
"""Characters of a text of Keras's that a remark quotes."""


def write_template(folder: Path) -> list[Path]:
    """Copy the template into a folder. Nothing that stands there is ever replaced.

    Args:
        folder: New or existing.

    Returns:
        The files written.

    Raises:
        UsageError: The folder is a file, holds a file of the template's names already, or cannot
            be written to.
    """
    source = template_dir()
    names = sorted(path.name for path in source.iterdir() if _handed_out(path))
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder}: expected a folder, found a file. Name another.")
    taken = [name for name in names if (folder / name).exists()]
    if taken:
        raise UsageError(
            f"{folder} already has {', '.join(taken)}. Nothing was written; name a new folder."
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return [Path(shutil.copyfile(source / name, folder / name)) for name in names]
    except OSError as error:
        raise UsageError(
            f"{folder}: cannot be written: {error.strerror or error}. Name another folder."
        ) from error


def _handed_out(path: Path) -> bool:
    return path.is_file() and path.suffix in {".py", ".toml", ".md"}


def public_checks() -> list[str]:
    """Names of the checks that `grade check` shows, in the order of the report."""
    from grader.assignment import load_assignment
    from grader.checks import CHECKS
    from grader.report.visibility import is_after_due, is_shown
    from grader.resources import assignment_dir

    assignment = load_assignment(assignment_dir())
    after_due = is_after_due(assignment)
    shown = {n for n, line in assignment.rubric.items() if is_shown(line.visibility, after_due)}
    return [check.name for check in CHECKS if check.name in shown]


def sandbox_for_own_code() -> Kind:
    """Where a student's own code runs on the student's own machine.

    The sandbox of the grading where there is one, so that a call it forbids is noticed early; else
    the plain process, as if the student had started it.
    """
    from grader.sandbox import open_sandbox

    try:
        open_sandbox("auto").close()
    except InfrastructureError:
        return "process"
    return "auto"


def remarks_on_packed(archive: Path, weights: str | None) -> list[str]:
    """What to look at before a zip is handed in: a recipe that is none, weights that do not fit.

    The weights are loaded where a grading loads them, into the student's own `build_model()`.

    Args:
        archive: What `pack` wrote.
        weights: The weights file in it that counts.
    """
    import zipfile

    from grader.engine.recipe import RecipeError, parse_recipe
    from grader.intake.kinds import RECIPE

    remarks = []
    with zipfile.ZipFile(archive) as packed:
        if RECIPE in packed.namelist():
            try:
                parse_recipe(packed.read(RECIPE))
            except RecipeError as error:
                remarks.append(str(error))
    if weights is not None:
        remarks += _remark_on_weights(archive, weights)
    return remarks


def _remark_on_weights(archive: Path, weights: str) -> list[str]:
    from grader import files
    from grader.assignment import load_assignment
    from grader.intake import collect
    from grader.pipeline import trace_request
    from grader.resources import assignment_dir
    from grader.sandbox import open_sandbox
    from grader.sandbox.contract import Stage

    limits = load_assignment(assignment_dir()).limits
    try:
        with files.scratch("pack") as scratch:
            collect(archive, scratch / "tree")
            room = open_sandbox(sandbox_for_own_code())
            try:
                request = trace_request([], weights)
                result = room.run(Stage("trace", scratch / "tree", request, limits))
            finally:
                room.close()
    except InfrastructureError as error:
        return [f"{weights} was not tried with build_model() here: {error}"]
    return _said_of_weights(result.json_frames.get("model", b"{}"), weights)


def _said_of_weights(frame: bytes, weights: str) -> list[str]:
    """What the program in the sandbox says of loading; own code has no reason to lie."""
    import json

    told = json.loads(frame)
    loading = told.get("weights")
    if not loading:
        return [f"{weights} was not tried: build_model() gives no network. grade check says why."]
    if loading.get("loaded"):
        return []
    why = str(loading.get("failure", {}).get("message", ""))[:WHY_LENGTH].strip()
    return [
        f"{weights} does not fit build_model(): {why} Train again, or make build_model() the "
        "network that was trained; the accuracy earns nothing as it is."
    ]


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


def run_public_checks(folder: Path | str) -> dict[str, PublicResult]:
    """Check a submission's folder once.

    Args:
        folder: With densenet.py or densenet.ipynb.

    Returns:
        Every public check by name.

    Raises:
        SubmissionRejected: The folder holds nothing that can be checked.
        InfrastructureError: This machine could not check it.
    """
    from grader.pipeline import GradeOptions, check_folder
    from grader.resources import assignment_dir

    options = GradeOptions(
        assignment_dir=assignment_dir(), evaluate=False, sandbox=sandbox_for_own_code()
    )
    grade = check_folder(Path(folder).resolve(), options)
    results = {check.name: _as_test(check) for check in grade.checks}
    missing = PublicResult("error", _why_unchecked(grade))
    return {name: results.get(name, missing) for name in public_checks()}


def _as_test(check: CheckResult) -> PublicResult:
    said = {words for f in check.findings for words in (f.message, f.help)}
    lines = [f"{check.name}: {check.title}"]
    lines += [f"It follows from {check.follows_from}: mend that first."] * bool(check.follows_from)
    lines += [words for words in (check.rationale, check.help) if words and words not in said]
    lines += [_in_words(finding) for finding in check.findings]
    explanation = "\n".join(line for line in lines if line)
    return PublicResult(check.outcome.value, explanation, check.group, check.score)


def points_of(group: str, results: Mapping[str, PublicResult]) -> float:
    """Points of one group, for a cell of the nbgrader notebook; prints why others are missing.

    Args:
        group: shape, parameters or architecture.
        results: From `run_public_checks`.

    Raises:
        RuntimeError: The checks were not run, so that there are no points to give.
    """
    if results and not any(result.group for result in results.values()):
        raise RuntimeError(next(iter(results.values())).explanation)
    of_group = [result for result in results.values() if result.group == group]
    for result in of_group:
        if result.outcome != "passed":
            print(result.explanation, end="\n\n")
    return sum(result.points for result in of_group)


def _in_words(finding: Finding) -> str:
    source = f" ({finding.source})" if finding.source else ""
    where = "" if finding.place else f"{finding.where}: "
    said = f"{where}{finding.message}{source}"
    lines = (said, finding.code, finding.help, finding.call or finding.asked)
    return "\n    ".join(line for line in lines if line)


def _why_unchecked(grade: Grade) -> str:
    return grade.message or "The check was not run; `grade check` says why."
