"""`grade selftest`: the judge is judged by submissions whose verdict is known beforehand.

Every submission of the catalogue goes the ordinary way, through intake, sandbox and hidden probes
to a grade. What must lose points and does not is a survivor; what must not and does is refused.
"""

from __future__ import annotations

import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from grader.domain import Finding, Grade, GradeStatus, Outcome, Record
from grader.errors import UsageError
from grader.pipeline import GradeOptions, grade_paths
from grader.resources import reference_dir, template_dir
from grader.scoring.accuracy import ACCURACY
from grader.selftest.catalogue import Mutant, catalogue, write

if TYPE_CHECKING:
    from rich.console import RenderableType

REFERENCE = Mutant("reference-solution", kind="right", why="The solution that ships.")
TEMPLATE = Mutant(
    "student-template",
    why="The stubs as they are handed out.",
    kills={"block-shape", "transition-shape", "network-shape"},
)
KINDS = ("wrong", "right", "remark")


class Verdict(Record):
    """What became of one submission of the catalogue."""

    name: str
    """The mutant's."""
    kind: str
    """wrong, right or remark."""
    failed: tuple[str, ...]
    """Checks that took points."""
    complaint: str = ""
    """What is not as it must be; empty where the judge was right."""
    found: bool
    """Whether points were lost, whatever should have been."""


@dataclass(frozen=True)
class Selftest:
    """All verdicts.

    Attributes:
        verdicts: In the order of the catalogue.
    """

    verdicts: tuple[Verdict, ...]

    @property
    def passed(self) -> bool:
        """Whether the judge was right about every one, and there was one."""
        return bool(self.verdicts) and not self.complaints

    @property
    def complaints(self) -> tuple[Verdict, ...]:
        """Where the judge was wrong."""
        return tuple(verdict for verdict in self.verdicts if verdict.complaint)

    def count(self, kind: str, found: bool) -> int:
        """Submissions of a kind that lost points, or did not."""
        return sum(v.kind == kind and v.found is found for v in self.verdicts)

    def kills(self) -> Counter[str]:
        """How many wrong submissions each check took points from."""
        return Counter(name for v in self.verdicts if v.kind == "wrong" for name in v.failed)

    def to_json(self) -> dict[str, Any]:
        """For a program: the confusion table and every verdict."""
        return {
            "schema_version": 1,
            "passed": self.passed,
            "confusion": {
                kind: {"lost": self.count(kind, True), "full": self.count(kind, False)}
                for kind in KINDS
            },
            "kills": dict(self.kills().most_common()),
            "verdicts": [verdict.model_dump(mode="json") for verdict in self.verdicts],
        }


def choose(names: Sequence[str] = (), every: int = 1) -> tuple[Mutant, ...]:
    """The submissions to run.

    Args:
        names: Only these; all where empty.
        every: Only every n-th of each kind, for a quick look.

    Raises:
        UsageError: The catalogue has no such name.
    """
    everything = (REFERENCE, TEMPLATE, *catalogue())
    unknown = sorted(set(names) - {mutant.name for mutant in everything})
    if unknown:
        raise UsageError(f"selftest: no submission of the catalogue is named {', '.join(unknown)}.")
    if names:
        return tuple(mutant for mutant in everything if mutant.name in names)
    return tuple(
        mutant
        for kind in KINDS
        for mutant in [each for each in everything if each.kind == kind][::every]
    )


def run_selftest(
    mutants: Iterable[Mutant],
    options: GradeOptions,
    on_grade: Callable[[Grade], None] = lambda grade: None,
) -> Selftest:
    """Grade submissions of the catalogue and compare with what must come out.

    Args:
        mutants: From `choose`.
        options: assignment_dir, sandbox and jobs; the results go to a folder that is removed.
        on_grade: Called with each grade.

    Returns:
        All verdicts.
    """
    chosen = {mutant.name: mutant for mutant in mutants}
    with tempfile.TemporaryDirectory(prefix="grade-selftest-") as scratch:
        class_folder = Path(scratch) / "class"
        for mutant in chosen.values():
            _write(mutant, class_folder / mutant.name)
        own = GradeOptions(
            assignment_dir=options.assignment_dir,
            results_dir=Path(scratch) / "results",
            evaluate=False,
            sandbox=options.sandbox,
            jobs=options.jobs,
        )
        grades = grade_paths([class_folder], own, on_grade)
    by_name = {Path(grade.submission.source).name: grade for grade in grades}
    return Selftest(tuple(judge(mutant, by_name[name]) for name, mutant in chosen.items()))


def _write(mutant: Mutant, folder: Path) -> None:
    if mutant is REFERENCE:
        shutil.copytree(reference_dir(), folder)
    elif mutant is TEMPLATE:
        shutil.copytree(template_dir(), folder)
    else:
        write(mutant, folder)


def judge(mutant: Mutant, grade: Grade) -> Verdict:
    """Compare one grade with what the catalogue says must come out."""
    checks = [check for check in grade.checks if check.name != ACCURACY]
    failed = tuple(c.name for c in checks if c.outcome is Outcome.FAILED)
    findings = [finding for check in checks for finding in check.findings]
    found = any(check.outcome is not Outcome.PASSED for check in checks)
    if grade.status is not GradeStatus.GRADED:
        complaint = f"not graded: {grade.status.value}, {grade.message}"
    elif mutant.kind == "wrong":
        complaint = _about_wrong(mutant, failed, findings)
    else:
        complaint = _about_right(mutant, found, checks, findings)
    return Verdict(
        name=mutant.name, kind=mutant.kind, failed=failed, complaint=complaint, found=found
    )


def _about_wrong(mutant: Mutant, failed: Sequence[str], findings: Sequence[Finding]) -> str:
    wanted = " or ".join(sorted(mutant.kills))
    if not failed:
        return f"survived: expected {wanted} to fail, received full marks"
    if not set(failed) & set(mutant.kills):
        return f"lost another check: expected {wanted}, received {', '.join(failed)}"
    places = [finding.where for finding in findings if finding.severity == "deviation"]
    if mutant.where and not any(mutant.where in place for place in places):
        return f"not located: expected {mutant.where!r}, received {sorted(set(places))[:4]}"
    return ""


def _about_right(
    mutant: Mutant, found: bool, checks: Sequence[Any], findings: Sequence[Finding]
) -> str:
    if found:
        lost = [check.name for check in checks if check.outcome is not Outcome.PASSED]
        return f"refused: expected full marks, received a no from {', '.join(lost)}"
    if mutant.kind == "remark" and not any(f.severity == "remark" for f in findings):
        return "no remark: expected one, received none"
    return ""


def render_selftest(selftest: Selftest) -> RenderableType:
    """The confusion table, which check took points from how many, and every complaint."""
    from rich import box
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    confusion = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in ("", "points lost", "full marks"):
        confusion.add_column(heading, justify="left" if not heading else "right")
    words = {"wrong": "wrong networks", "right": "right networks", "remark": "right, with a remark"}
    for kind in KINDS:
        lost, full = selftest.count(kind, True), selftest.count(kind, False)
        confusion.add_row(words[kind], str(lost), str(full))

    kills = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    kills.add_column("check")
    kills.add_column("wrong networks it took points from", justify="right")
    for name, number in selftest.kills().most_common():
        kills.add_row(name, str(number))

    complaints = [
        Text.assemble((verdict.name, "bold"), "  ", verdict.complaint)
        for verdict in selftest.complaints
    ]
    end = "The judge was right about all." if selftest.passed else f"{len(complaints)} complaints."
    style = "bold green" if selftest.passed else "bold red"
    summary = Text(f"{len(selftest.verdicts)} submissions. {end}", style)
    return Group(confusion, kills, *complaints, summary)
