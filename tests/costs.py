"""What each test costs in seconds of processor time, the processes it starts included.

Processor time depends less on what else runs on a machine than time on the clock does. Containers
are no processes of ours: what they use is not counted, only waited for.
"""

from __future__ import annotations

import os
import time
from collections import defaultdict
from collections.abc import Generator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

SHOWN = 20
BRIEF_S = 0.05
"""A test that is over sooner has not used processes that live longer than itself."""


class Meter:
    """Reads what this process and all below it have used, between one test and the next."""

    def __init__(self) -> None:
        self._at = time.monotonic()
        self._own = _own()
        self._living = _living()

    def since_the_last(self) -> float:
        """Seconds of processor time since this was last asked."""
        at, own, living = time.monotonic(), _own(), self._living
        if max(at - self._at, own - self._own) > BRIEF_S:
            living = _living()
        used = own - self._own + living - self._living
        self._at, self._own, self._living = at, own, living
        return used


def _own() -> float:
    """Of this process and of those it started that have ended."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def _living() -> float:
    """Of the processes below this one that have not ended; 0 where there is no /proc."""
    if not os.path.isdir("/proc/self"):
        return 0.0
    parents, ticks = {}, {}
    for entry in filter(str.isdigit, os.listdir("/proc")):
        with suppress(OSError):  # it ended meanwhile
            fields = Path(f"/proc/{entry}/stat").read_text().rpartition(")")[2].split()
            parents[int(entry)] = int(fields[1])
            ticks[int(entry)] = sum(map(int, fields[11:15]))
    below = {os.getpid()}
    while more := {child for child, parent in parents.items() if parent in below} - below:
        below |= more
    return sum(ticks[pid] for pid in below - {os.getpid()}) / os.sysconf("SC_CLK_TCK")


class Costs:
    """The plugin: measures in the process that runs a test, adds up in the one that reports."""

    def __init__(self) -> None:
        self._meter = Meter()
        self._processor: dict[str, float] = {}
        self._clock: dict[str, float] = defaultdict(float)

    def pytest_collection_finish(self) -> None:
        """Leave out what came before the first test."""
        self._meter.since_the_last()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, call: pytest.CallInfo[None]) -> Generator[Any, Any, Any]:
        """Add what a test cost to its last report."""
        report = yield
        if call.when == "teardown":
            report.user_properties.append(("processor_s", self._meter.since_the_last()))
        return report

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Add up, where the reports arrive."""
        self._clock[report.nodeid] += report.duration
        for name, value in report.user_properties:
            if name == "processor_s":
                self._processor[report.nodeid] = value

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Show it below a long run."""
        if len(self._processor) <= SHOWN:
            return
        terminalreporter.section("processor time")
        for line in self.summary():
            terminalreporter.write_line(line)

    def summary(self) -> list[str]:
        """The dearest tests and files, with seconds of processor time and on the clock."""
        files: dict[str, float] = defaultdict(float)
        waits: dict[str, float] = defaultdict(float)
        for test, seconds in self._processor.items():
            files[test.partition("::")[0]] += seconds
            waits[test.partition("::")[0]] += self._clock[test]
        lines = [f"{sum(files.values()):8.1f} s  {sum(waits.values()):8.1f} s on the clock  all"]
        for costs, clock in ((files, waits), (self._processor, self._clock)):
            lines.append("")
            for name in sorted(costs, key=lambda name: -costs[name])[:SHOWN]:
                lines.append(f"{costs[name]:8.1f} s  {clock[name]:8.1f} s on the clock  {name}")
        return lines
