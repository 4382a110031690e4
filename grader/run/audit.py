"""`grade verify`: what another hand changed in a results folder, in its record or its runs."""

from __future__ import annotations

from pathlib import Path

from grader.ledger import CourseKey, Problem, ProblemKind, load_or_create_key, verify
from grader.run.directory import RUNS
from grader.run.folder import RunFolder


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
    key = key if key is not None else load_or_create_key()
    return verify(results_dir, key) + changed_runs(results_dir, key)


def changed_runs(results_dir: Path, key: CourseKey) -> list[Problem]:
    """What the run directories hold that is not as it was written."""
    found = (results_dir / RUNS).glob("*-*")
    folders = sorted(path for path in found if path.is_dir() and not path.name.startswith("."))
    return [
        Problem(kind=ProblemKind.RUN_CHANGED, line=None, message=f"{RUNS}/{folder.name}: {what}.")
        for folder in folders
        for what in RunFolder(folder, key, folder.name).changed_files()
    ]
