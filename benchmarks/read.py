"""CPU of one submission, split by stage: trace, parse, canonicalise, read, checks.

    python -m benchmarks.read [--runs 3] [--markdown benchmarks/results/read.md]

DenseNet-BC, k = 12, L = 22 and L = 100, as `build_model()`, with all probes of the assignment,
public and hidden. Warm: the libraries of the traced program are loaded once for all submissions,
and the grader's own modules are loaded. Times are medians of processor seconds: of the traced
program as its supervisor measured them, of the grader as this process did.
"""

from __future__ import annotations

import argparse
import gc
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any
from unittest import mock

from rich.console import Console
from rich.table import Table

from grader.assignment import load_assignment
from grader.checks import CHECKS, run_checks
from grader.domain import RunStatus
from grader.graph import evidence
from grader.graph.numeric import SAMPLE_SEED
from grader.graph.probes import Probe, hidden_probes, public_probes
from grader.resources import assignment_dir
from grader.sandbox import open_sandbox
from grader.sandbox.contract import Sandbox, Stage, StageResult
from grader.selftest.reference import REFERENCE

DEPTHS = (22, 100)
STAGES = ("trace", "parse", "canonicalise", "read", "checks")
TARGETS = {22: 1.5, 100: 5.0}


def submission(depth: int, folder: Path) -> Path:
    """A right submission whose build_model() has this depth."""
    old = "return build_densenet(depth=22, growth_rate=12)"
    assert old in REFERENCE
    text = REFERENCE.replace(old, f"return build_densenet(depth={depth}, growth_rate=12)")
    tree = folder / f"L{depth}"
    tree.mkdir()
    (tree / "densenet.py").write_text(text, encoding="utf-8")
    return tree


def traced(sandbox: Sandbox, tree: Path, probes: list[Probe]) -> StageResult:
    """What the sandbox gives for one submission."""
    request: dict[str, Any] = {
        "module": "densenet",
        "probes": [p.request() for p in probes],
        "model": {
            "input_shape": [32, 32, 3],
            "modes": ["inference", "training"],
            "seed": SAMPLE_SEED,
            "weights": None,
        },
    }
    result = sandbox.run(Stage("trace", tree, request))
    if result.run.status is not RunStatus.DONE:
        raise SystemExit(f"{result.run.message}\n{result.run.log_tail}")
    return result


class Clock:
    """Processor seconds of named calls, each without the named calls inside it."""

    def __init__(self) -> None:
        self.seconds = dict.fromkeys(STAGES, 0.0)
        self._inner = [0.0]

    def timing(self, stage: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function, with its time counted for a stage."""

        def call(*arguments: Any, **keywords: Any) -> Any:
            self._inner.append(0.0)
            start = time.process_time()
            try:
                return function(*arguments, **keywords)
            finally:
                taken = time.process_time() - start
                self.seconds[stage] += taken - self._inner.pop()
                self._inner[-1] += taken

        return call


def judged(result: StageResult, probes: list[Probe]) -> dict[str, float]:
    """Seconds of the trusted side by stage."""
    clock = Clock()
    names = (("parse", "parse_network"), ("parse", "check_graph"), ("canonicalise", "canonicalise"))
    gc.collect()
    timed = {name: clock.timing(stage, getattr(evidence, name)) for stage, name in names}
    with mock.patch.dict(vars(evidence), timed):
        found = clock.timing("read", evidence.assemble)(
            result.json_frames, result.binary_frames, probes
        )
        results = clock.timing("checks", run_checks)(CHECKS, found)
    failed = [r.name for r in results if r.outcome.value != "passed"]
    if failed:
        raise SystemExit(f"a right submission failed {failed}")
    return clock.seconds


def measured(depth: int, runs: int, sandbox: Sandbox, folder: Path) -> dict[str, float]:
    """Median seconds by stage."""
    assignment = load_assignment(assignment_dir())
    probes = [*public_probes(assignment.probes), *hidden_probes(assignment.probes, b"benchmark")]
    tree = submission(depth, folder)
    traced(sandbox, tree, probes)
    rows = []
    for _ in range(runs):
        result = traced(sandbox, tree, probes)
        rows.append({**judged(result, probes), "trace": result.run.cpu_time_s or float("nan")})
    return {stage: statistics.median(row[stage] for row in rows) for stage in STAGES}


def processor() -> str:
    """The processor's name, where Linux tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((x.split(":")[1].strip() for x in lines if x.startswith("model name")), "")


def installed(package: str) -> str:
    """Name and version of a package, nothing where it is not there."""
    try:
        return f"{package} {version(package)}"
    except PackageNotFoundError:
        return ""


def markdown(table: dict[int, dict[str, float]], runs: int) -> str:
    """The result as it is kept in benchmarks/results."""
    packages = ", ".join(filter(None, map(installed, ("tensorflow", "tensorflow-cpu", "keras"))))
    lines = [
        "# CPU of one submission, by stage",
        "",
        "`python -m benchmarks.read`: DenseNet-BC, k = 12, all public and hidden probes, warm.",
        f"Median of {runs} runs, processor seconds.",
        "",
        f"Machine: {processor()}, {os.cpu_count()} CPUs, {platform.system()}, "
        f"Python {platform.python_version()}, {packages}. Load while measuring: "
        f"{os.getloadavg()[0]:.1f}.",
        "",
        "| | " + " | ".join(f"L = {depth}" for depth in table) + " |",
        "|---|" + "---:|" * len(table),
    ]
    for stage in STAGES:
        lines.append(f"| {stage} | " + " | ".join(f"{t[stage]:.2f}" for t in table.values()) + " |")
    own = [sum(t[s] for s in STAGES if s != "trace") for t in table.values()]
    lines.append("| trusted side | " + " | ".join(f"{s:.2f}" for s in own) + " |")
    lines.append("| all | " + " | ".join(f"{sum(t.values()):.2f}" for t in table.values()) + " |")
    lines.append("| target | " + " | ".join(f"{TARGETS[d]:.1f}" for d in table) + " |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--sandbox", choices=("jail", "docker", "process"), default="process")
    parser.add_argument("--markdown", type=Path)
    options = parser.parse_args()
    sandbox = open_sandbox(options.sandbox, warm=True)
    try:
        with tempfile.TemporaryDirectory() as folder:
            found = {d: measured(d, options.runs, sandbox, Path(folder)) for d in DEPTHS}
    finally:
        sandbox.close()
    table = Table("stage", *[f"L = {depth}" for depth in found])
    for stage in STAGES:
        table.add_row(stage, *[f"{t[stage]:.2f}" for t in found.values()])
    table.add_row("all", *[f"{sum(t.values()):.2f}" for t in found.values()])
    Console().print(table)
    if options.markdown:
        options.markdown.write_text(markdown(found, options.runs), encoding="utf-8")


if __name__ == "__main__":
    main()
