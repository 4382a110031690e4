"""CPU of one submission, split by stage: trace, and what the grader itself does.

    python -m benchmarks.read [--runs 3] [--markdown benchmarks/results/read.md]

DenseNet-BC, k = 12, L = 22, 40 (as the template leaves it) and 100, as `build_model()`, with all
probes of the assignment, public and hidden, through `grade_one` as `grade FOLDER --no-evaluation`
calls it. Warm: the libraries of the traced program are loaded once for all submissions, and the
grader's own modules are loaded. Times are medians of processor seconds: of the traced program as
its supervisor measured them, of the grader as this process did. The supervisor itself is not in it.
Each size is traced in turn with every layer traced and nothing left out (GRADER_TRACE=plain), so
that the two rows can be compared on a busy machine as well.
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
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any
from unittest import mock

from rich.console import Console
from rich.table import Table

from grader.course import Course, GradeOptions, open_course
from grader.domain import RunStatus
from grader.graph import evidence, known, network
from grader.ledger import CourseKey
from grader.pipeline import grade_one
from grader.resources import assignment_dir
from grader.run import reading
from grader.run.request import TRACE_SETTING
from grader.sandbox.contract import Stage, StageResult
from grader.selftest.reference import REFERENCE

DEPTHS = (22, 40, 100)
READING = {
    "parse": ((network, "parse_network"), (network, "check_graph")),
    "canonicalise": ((known, "canonicalise"),),
    "prove": ((evidence, "_first_unproved"),),
    "read": ((reading, "assemble"),),
}
"""The stages of the grader's own and the calls that are counted for them, each without the others
inside it; "rest" is what else it does: unpacking, talking to the sandbox, writing, judging."""
STAGES = ("trace", *READING, "rest")
TARGETS = {22: 1.6, 40: 1.8, 100: 2.8}


def submission(depth: int, folder: Path) -> Path:
    """A right submission whose build_model() has this depth."""
    old = "return build_densenet(depth=22, growth_rate=12)"
    assert old in REFERENCE
    text = REFERENCE.replace(old, f"return build_densenet(depth={depth}, growth_rate=12)")
    tree = folder / f"L{depth}"
    tree.mkdir()
    (tree / "densenet.py").write_text(text, encoding="utf-8")
    return tree


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


def graded(tree: Path, course: Course) -> dict[str, float]:
    """Seconds of one submission by stage, graded as if nothing of it were known."""
    clock, run = Clock(), course.sandbox.run
    known.KEPT.clear()

    def watched(stage: Stage) -> StageResult:
        result = run(stage)
        if result.run.status is not RunStatus.DONE:
            raise SystemExit(f"{result.run.message}\n{result.run.log_tail}")
        clock.seconds["trace"] += result.run.cpu_time_s or float("nan")
        return result

    with (
        tempfile.TemporaryDirectory() as results,
        mock.patch.object(course.sandbox, "run", watched),
    ):
        for stage, calls in READING.items():
            for module, name in calls:
                timed = clock.timing(stage, getattr(module, name))
                mock.patch.object(module, name, timed).start()
        try:
            gc.collect()
            options = replace(course.options, results_dir=Path(results))
            grade = clock.timing("rest", grade_one)(tree, replace(course, options=options))
        finally:
            mock.patch.stopall()
    wrong = [c.name for c in grade.checks if c.outcome.value == "failed"]
    if wrong or not grade.checks:
        raise SystemExit(f"a right submission failed {wrong}")
    return clock.seconds


def measured(depth: int, runs: int, course: Course, folder: Path) -> list[dict[str, float]]:
    """Median seconds by stage: as a rule, and with every layer traced; in turn."""
    tree = submission(depth, folder)
    graded(tree, course)
    rows: list[list[dict[str, float]]] = [[], []]
    for _ in range(runs):
        for way, setting in enumerate(({}, {TRACE_SETTING: "plain"})):
            with mock.patch.dict(os.environ, setting):
                rows[way].append(graded(tree, course))
    return [{s: statistics.median(row[s] for row in way) for s in STAGES} for way in rows]


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


def markdown(table: dict[int, list[dict[str, float]]], runs: int) -> str:
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
    for name, cells in rows(table):
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def rows(table: dict[int, list[dict[str, float]]]) -> list[tuple[str, list[str]]]:
    """The lines of the table: its name, and a cell for each depth."""
    usual = [way[0] for way in table.values()]
    plain = [way[1] for way in table.values()]
    own = [{s: n for s, n in t.items() if s != "trace"} for t in usual]

    def cells(numbers: list[float]) -> list[str]:
        return [f"{n:.2f}" for n in numbers]

    return [
        *[(stage, cells([t[stage] for t in usual])) for stage in STAGES],
        ("the grader's own, together", cells([sum(t.values()) for t in own])),
        ("all", cells([sum(t.values()) for t in usual])),
        ("target", cells([TARGETS[depth] for depth in table])),
        ("trace, GRADER_TRACE=plain", cells([t["trace"] for t in plain])),
        (
            "trace, part of that",
            cells([u["trace"] / p["trace"] for u, p in zip(usual, plain, strict=True)]),
        ),
    ]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--sandbox", choices=("jail", "docker", "process"), default="jail")
    parser.add_argument("--markdown", type=Path)
    options = parser.parse_args()
    asked = GradeOptions(assignment_dir(), evaluate=False, sandbox=options.sandbox)
    key = CourseKey.of(bytes(range(32)))
    with tempfile.TemporaryDirectory() as folder, open_course(asked, key, runs=2) as course:
        found = {d: measured(d, options.runs, course, Path(folder)) for d in DEPTHS}
    table = Table("stage", *[f"L = {depth}" for depth in found])
    for name, cells in rows(found):
        table.add_row(name, *cells)
    Console().print(table)
    if options.markdown:
        options.markdown.write_text(markdown(found, options.runs), encoding="utf-8")


if __name__ == "__main__":
    main()
