"""What a sandbox costs per submission, start to finish, each beside the bare process.

    python -m benchmarks.sandbox [--runs 3] [--stage trace|empty]

`trace` describes the reference solution with the real libraries; `empty` runs an empty program and
shows the sandbox alone. Cold starts everything for each submission; warm is what a class gets.
Times are medians in seconds; the first warm run, which loads the libraries, stands apart.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from grader.domain import RunStatus
from grader.errors import InfrastructureError
from grader.sandbox import open_sandbox
from grader.sandbox.contract import Sandbox, Stage

REFERENCE = Path(__file__).parents[1] / "reference_solution"
TRACE: dict[str, Any] = {
    "module": "densenet",
    "probes": [],
    "model": {
        "input_shape": [32, 32, 3],
        "modes": ["inference", "training"],
        "weights": None,
        "seed": 1,
    },
}


def timed(sandbox: Sandbox, stage: Stage) -> float:
    """Return the seconds one run takes, start to finish."""
    start = time.perf_counter()
    result = sandbox.run(stage)
    seconds = time.perf_counter() - start
    if result.run.status is not RunStatus.DONE:
        raise SystemExit(f"{sandbox.isolation}: {result.run.message}\n{result.run.log_tail}")
    return seconds


def main() -> None:
    """Measure every sandbox this machine has and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--stage", choices=("trace", "empty"), default="trace")
    options = parser.parse_args()
    table = Table("sandbox", "start", "first s", "median s", "beside the bare process")
    bare: dict[bool, float] = {}
    with tempfile.TemporaryDirectory() as empty:
        stage = Stage("trace", REFERENCE, TRACE)
        if options.stage == "empty":
            stage = Stage("selfcheck", Path(empty), {})
        for warm in (False, True):
            for kind in ("process", "jail", "docker"):
                start = "warm" if warm else "cold"
                try:
                    sandbox = open_sandbox(kind, warm=warm)
                except InfrastructureError as error:
                    table.add_row(kind, start, "-", "-", error.message)
                    continue
                seconds = [timed(sandbox, stage) for _ in range(options.runs + warm)]
                sandbox.close()
                middle = statistics.median(seconds[1:] if warm else seconds)
                bare.setdefault(warm, middle)
                added = f"{middle - bare[warm]:+.2f}"
                table.add_row(kind, start, f"{seconds[0]:.2f}", f"{middle:.2f}", added)
    Console().print(table)


if __name__ == "__main__":
    main()
