"""`grade verify`: what another hand changed in a results folder, in its record or its runs."""

from __future__ import annotations

from pathlib import Path

from grader.domain import LEDGER
from grader.ledger import CourseKey, Ledger, Problem, ProblemKind, verify
from grader.ledger.key import key_to_read
from grader.run.directory import RUNS
from grader.run.folder import RUN_FILE, RunFolder


def verify_results(results_dir: Path, key: CourseKey | None = None) -> list[Problem]:
    """Compare a results folder with its seals. Reads only.

    Args:
        results_dir: The results folder.
        key: The course key; this machine's if None.

    Returns:
        What is wrong with the record, then with the runs; empty where all is as it was written.

    Raises:
        InfrastructureError: INFRA_DISK: it cannot be read.
    """
    key = key if key is not None else key_to_read()
    found = verify(results_dir, key)
    if any(problem.kind is ProblemKind.OTHER_KEY for problem in found):
        return found  # of every run the same would be said
    return found + _without_record(results_dir) + changed_runs(results_dir, key)


def _without_record(results_dir: Path) -> list[Problem]:
    """Finished runs in a folder that has no record of grades at all."""
    runs = list((results_dir / RUNS).glob(f"*-*/{RUN_FILE}"))
    if not runs or Ledger.stands_in(results_dir):
        return []
    message = (
        f"{LEDGER} is missing, and {len(runs)} finished runs are there: it was taken away, or "
        "grading was cut off before the first grade."
    )
    return [Problem(kind=ProblemKind.UNRECORDED, message=message)]


def changed_runs(results_dir: Path, key: CourseKey) -> list[Problem]:
    """What the run directories hold that is not as it was written."""
    found = (results_dir / RUNS).glob("*-*")
    folders = sorted(path for path in found if path.is_dir() and not path.name.startswith("."))
    return [
        Problem(kind=ProblemKind.RUN_CHANGED, message=f"{RUNS}/{folder.name}: {what}.")
        for folder in folders
        for what in RunFolder(folder, key, folder.name).changed_files()
    ]
