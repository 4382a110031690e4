"""The command that measures finished runs, on the machine that is good at it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from grader.cli.options import TOOLS, Assignment, Backend, Data, Device, app
from grader.cli.screen import options_from, say, tell
from grader.errors import EXIT_GRADED, EXIT_INFRASTRUCTURE, InfrastructureError, UsageError

if TYPE_CHECKING:
    from grader.domain import MeasuredAccuracy


@app.command(group=TOOLS)
def evaluate(
    *paths: Annotated[
        Path, Parameter(help="Run directories, or results folders with all runs in them.")
    ],
    assignment: Assignment = None,
    data: Data = None,
    backend: Backend = "auto",
    device: Device = "auto",
) -> int:
    """Measure the accuracy of finished runs; no student code runs, and no grade is made.

    What is measured stays in the run directories, and 'grade regrade' makes grades of it.
    """
    from grader.pipeline import evaluate_run

    options = options_from(assignment=assignment, data=data, backend=backend, device=device)
    failed = False
    for run in _runs(paths):
        try:
            tell(f"{run}  {_told(evaluate_run(run, options))}")
        except InfrastructureError as error:
            failed = True
            say(f"{run}  not measured: {error.message} {error.help}".rstrip())
    return EXIT_INFRASTRUCTURE if failed else EXIT_GRADED


def _runs(paths: tuple[Path, ...]) -> list[Path]:
    """The run directories at the paths.

    Raises:
        UsageError: There is none.
    """
    from grader.run.directory import RUNS
    from grader.run.folder import RUN_FILE

    found = []
    for path in paths:
        below = sorted(file.parent for file in (path / RUNS).glob(f"*/{RUN_FILE}"))
        if not below and not (path / RUN_FILE).is_file():
            raise UsageError(f"{path}: expected a run directory, or a results folder with runs.")
        found += below or [path]
    if not found:
        raise UsageError("evaluate: expected run directories, such as results/runs/*.")
    return found


def _told(measured: MeasuredAccuracy) -> str:
    if not measured.runs:
        return f"not measured: {measured.note}"
    best = measured.runs[0]
    return f"{best.accuracy:.2%}  {best.correct:,} of {best.images:,}  on {best.device}"
