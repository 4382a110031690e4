"""The judge judged: mutants of the catalogue go the way of submissions, and none may be misread.

Each is traced in the sandbox on the public probes and on hidden ones of a fixed seed, then judged
by CHECKS, like any submission. Neither accuracy nor deadline plays a part. What it loses must be
exactly what `grader/selftest/verdicts.json` says.
"""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import Field

from grader.assignment import Assignment
from grader.checks import CHECKS, Check, run_checks
from grader.domain import CheckResult, Outcome, Record
from grader.errors import UsageError
from grader.graph.evidence import assemble
from grader.graph.probes import Probe, hidden_probes, public_probes
from grader.resources import reference_dir, template_dir
from grader.run.request import trace_request, traced
from grader.sandbox.contract import Sandbox, StageResult
from grader.scoring.grade import apply_rubric
from grader.selftest import frozen
from grader.selftest.catalogue import Mutant, catalogue, write

SEED = hashlib.sha256(b"grade selftest").digest()
"""Draws the hidden probes; fixed, so that two selftests ask the same."""
QUICK = {"wrong": 32, "right": 8, "remark": 4}
"""How many of each kind a quick selftest takes, some of every check and family; two minutes."""

Kind = Literal["wrong", "right", "remark", "reference", "template"]


@dataclass(frozen=True)
class Case:
    """One submission whose verdict is known beforehand.

    Attributes:
        name: A mutant's, or that of a folder that ships.
        kind: What must become of it: "wrong" and "template" lose a check, the others none.
        write: Leaves it in an empty folder.
        mutant: The mutant, where it is one.
    """

    name: str
    kind: Kind
    write: Callable[[Path], object]
    mutant: Mutant | None = None


class Verdict(Record):
    """What the checks said of one case, and whether that is right."""

    name: str
    kind: Kind
    why: str = ""
    """What differs from the paper."""
    failed: tuple[str, ...] = ()
    """Checks that said no."""
    skipped: tuple[str, ...] = ()
    errors: tuple[str, ...] = ()
    """Checks that broke: a fault of the grader, whatever the submission."""
    remarks: int = 0
    expected: tuple[str, ...] = ()
    """Checks whose rule is broken: each must say no."""
    where: str = ""
    """The place that should be named; empty where the mistake has no single place."""
    places: tuple[str, ...] = ()
    """The places that were named."""
    message: str = ""
    """How the sandbox ended, where not well."""
    lines: frozen.Program = Field(default_factory=dict)
    """Exactly what it lost, check by check."""
    changed: tuple[str, ...] | None = None
    """Where that is not what is frozen; None where nothing is, or other questions were asked."""

    @property
    def should_be_refused(self) -> bool:
        """Whether it has to lose a check."""
        return self.kind in ("wrong", "template")

    @property
    def refused(self) -> bool:
        """Whether it was refused. A check that was skipped costs a right one its points, but
        refuses no wrong one."""
        return bool(self.failed if self.should_be_refused else self.failed or self.skipped)

    @property
    def sound(self) -> bool:
        """Whether the judge was right, and did not break."""
        return self.refused == self.should_be_refused and not self.errors and not self.unbroken

    @property
    def unbroken(self) -> tuple[str, ...]:
        """Checks that should have said no, and did not."""
        return tuple(name for name in self.expected if name not in self.failed)

    @property
    def located(self) -> bool | None:
        """Whether the place was named; None where there is none to name."""
        return any(self.where in place for place in self.places) if self.where else None


class Summary(Record):
    """A selftest as `--json` writes it."""

    sound: bool
    """No wrong one survived, no right one was refused, nothing broke, no verdict has changed."""
    asked: str
    """Names the questions and the points; see `frozen.asked_by`."""
    wrong_killed: int
    wrong_survived: int
    right_accepted: int
    right_refused: int
    remark_made: int
    remark_missing: int
    other_check: int
    """Wrong ones that were killed, but not by every check that should."""
    located: int
    locatable: int
    """Wrong ones in one place; `located` of them were found there."""
    changed: int
    """Verdicts that are not the frozen ones."""
    not_frozen: int
    """Verdicts that could not be compared: a new program, or another assignment."""
    verdicts: tuple[Verdict, ...]

    @property
    def misjudged(self) -> int:
        """Wrong ones that survived, right ones that were refused, and those that broke a check."""
        return sum(not v.sound for v in self.verdicts)


def selftest(
    cases: Sequence[Case],
    assignment: Assignment,
    sandbox: Sandbox,
    *,
    jobs: int = 1,
    checks: Sequence[Check] = CHECKS,
    on_verdict: Callable[[Verdict], None] = lambda verdict: None,
) -> Summary:
    """Judge cases whose verdict is known.

    Args:
        cases: From `choose`.
        assignment: Its probes and limits are taken.
        sandbox: Where the cases are traced.
        jobs: Cases at the same time.
        checks: The checks that are tested.
        on_verdict: Called with each verdict when it is made.

    Raises:
        InfrastructureError: The sandbox itself failed.
    """
    if assignment.probes is None:
        raise UsageError(f"{assignment.file}: expected [probes]; the catalogue is of DenseNets.")
    probes = public_probes(assignment.probes) + hidden_probes(assignment.probes, SEED)
    asked = frozen.asked_by(assignment, probes)
    kept = frozen.read()
    known = kept.catalogue if kept.asked == asked else {}

    def one(case: Case) -> Verdict:
        with tempfile.TemporaryDirectory(prefix="grade-selftest-") as scratch:
            tree = Path(scratch) / "submission"
            case.write(tree)
            request = trace_request(probes)
            result = traced(sandbox, tree, request, assignment.limits)
        results = checked(result, assignment, probes, checks)
        verdict = verdict_on(case, results, result.run.message, known.get(case.name))
        on_verdict(verdict)
        return verdict

    with ThreadPoolExecutor(max_workers=jobs) as pool:
        return summary(list(pool.map(one, cases)), asked)


def checked(
    result: StageResult,
    assignment: Assignment,
    probes: Sequence[Probe],
    checks: Sequence[Check] = CHECKS,
) -> tuple[CheckResult, ...]:
    """What the checks say of one trace, with the assignment's points."""
    evidence = assemble(
        result.json_frames,
        result.binary_frames,
        list(probes),
        result.run.cause,
        result.run.message,
    )
    results = run_checks(checks, evidence)
    names = {result.name for result in results}
    rubric = {name: line for name, line in assignment.rubric.items() if name in names}
    scored = apply_rubric(rubric, results)
    return (*scored, _misread(evidence.unproved)) if evidence.unproved else scored


def _misread(reason: str) -> CheckResult:
    """A reading that is not proved: the grader's own error, whatever the checks say."""
    return CheckResult(
        name="proof",
        group="reading",
        title="What was read is what was traced.",
        outcome=Outcome.ERROR,
        rationale=reason,
    )


def verdict_on(
    case: Case,
    results: Sequence[CheckResult],
    message: str = "",
    known: frozen.Program | None = None,
) -> Verdict:
    """The checks' results beside what they should be.

    Args:
        case: What was judged.
        results: One for each check.
        message: How the sandbox ended, where not well.
        known: What is frozen of it.
    """

    def ended(outcome: Outcome) -> tuple[str, ...]:
        return tuple(r.name for r in results if r.outcome is outcome)

    findings = [f for r in results for f in r.findings]
    mutant = case.mutant
    lines = frozen.lines_of(results)
    return Verdict(
        name=case.name,
        kind=case.kind,
        why=mutant.why if mutant is not None else "",
        failed=ended(Outcome.FAILED),
        skipped=ended(Outcome.SKIPPED),
        errors=ended(Outcome.ERROR),
        remarks=sum(f.severity == "remark" for f in findings),
        expected=mutant.loses if mutant is not None else (),
        where=mutant.where if mutant is not None else "",
        places=tuple(dict.fromkeys(f.where for f in findings if f.severity != "remark")),
        message=message,
        lines=lines,
        changed=None if known is None else tuple(frozen.difference(known, lines)),
    )


def summary(verdicts: Sequence[Verdict], asked: str = "") -> Summary:
    """Count verdicts, the folders that ship among those of their kind."""
    wrong = [v for v in verdicts if v.should_be_refused]
    right = [v for v in verdicts if not v.should_be_refused]
    remark = [v for v in verdicts if v.kind == "remark"]
    locatable = [v for v in wrong if v.where]
    return Summary(
        sound=bool(verdicts) and all(v.sound and not v.changed for v in verdicts),
        asked=asked,
        wrong_killed=sum(v.refused for v in wrong),
        wrong_survived=sum(not v.refused for v in wrong),
        right_accepted=sum(not v.refused for v in right),
        right_refused=sum(v.refused for v in right),
        remark_made=sum(v.remarks > 0 for v in remark),
        remark_missing=sum(v.remarks == 0 for v in remark),
        other_check=sum(v.refused and bool(v.unbroken) for v in wrong),
        located=sum(bool(v.located) for v in locatable),
        locatable=len(locatable),
        changed=sum(bool(v.changed) for v in verdicts),
        not_frozen=sum(v.changed is None for v in verdicts),
        verdicts=tuple(verdicts),
    )


def freeze(found: Summary) -> None:
    """Make what was found what counts from now on.

    Args:
        found: Of the assignment that ships.

    Raises:
        UsageError: Other questions were asked than before, and not of the whole catalogue.
    """
    names = {case.name for case in choose(everything=True)}
    programs = {v.name: v.lines for v in found.verdicts}
    if frozen.read().asked != found.asked and not names <= set(programs):
        raise UsageError(
            "--freeze: the probes or the points have changed, and every verdict with them. "
            "Freeze the whole catalogue: --all."
        )
    frozen.freeze("catalogue", programs, known=names, asked=found.asked)


# --- which cases ---------------------------------------------------------------------------


def choose(names: Iterable[str] = (), *, everything: bool = False) -> list[Case]:
    """The cases of one selftest: those named, or all, or a sample that reaches every check.

    Args:
        names: Of mutants, or "reference-solution", "template".
        everything: The whole catalogue instead of the sample.

    Raises:
        UsageError: A name is not in the catalogue.
    """
    mutants = {m.name: m for m in catalogue()}
    shipped = {case.name: case for case in _shipped()}
    wanted = list(dict.fromkeys(names))
    unknown = [n for n in wanted if n not in mutants and n not in shipped]
    if unknown:
        raise UsageError(
            f"selftest: expected names of the catalogue. Received: {', '.join(unknown)}. "
            "They stand in grader/selftest/families/."
        )
    if wanted:
        return [shipped[n] if n in shipped else case_of(mutants[n]) for n in wanted]
    chosen = list(mutants.values()) if everything else sample(list(mutants.values()))
    return [*shipped.values(), *map(case_of, chosen)]


def sample(mutants: Sequence[Mutant], sizes: Mapping[str, int] = QUICK) -> list[Mutant]:
    """Some mutants of each kind, the same ones every time, from as many checks and families as fit.

    Args:
        mutants: Which to draw from.
        sizes: How many of each kind.
    """
    chosen: list[Mutant] = []
    for kind, size in sizes.items():
        chosen += _drawn([mutant for mutant in mutants if mutant.kind == kind], size)
    return chosen


def _drawn(mutants: Sequence[Mutant], size: int) -> list[Mutant]:
    """Each from the check or family of which the fewest are there, of these the rarest."""
    groups: defaultdict[str, list[Mutant]] = defaultdict(list)
    for mutant in sorted(mutants, key=lambda m: hashlib.sha256(m.name.encode()).digest()):
        for group in _groups_of(mutant):
            groups[group].append(mutant)
    drawn: list[Mutant] = []
    counts: Counter[str] = Counter()
    while groups and len(drawn) < size:
        key = min(groups, key=lambda k: (counts[k], k.endswith(".txt"), len(groups[k]), k))
        drawn.append(groups[key][0])
        for group in _groups_of(drawn[-1]):
            counts[group] += 1
            groups[group].remove(drawn[-1])
            if not groups[group]:
                del groups[group]
    return drawn


def _groups_of(mutant: Mutant) -> set[str]:
    return {f"{mutant.family}.txt", *mutant.loses}


def case_of(mutant: Mutant) -> Case:
    """A mutant as a case of the selftest."""
    return Case(mutant.name, mutant.kind, lambda folder: write(mutant, folder), mutant)


def _shipped() -> list[Case]:
    """The two folders that ship: one must pass everything, the other must not."""

    def from_folder(source: Path) -> Callable[[Path], object]:
        def copy(folder: Path) -> None:
            folder.mkdir(parents=True)
            shutil.copyfile(source / "densenet.py", folder / "densenet.py")

        return copy

    return [
        Case("reference-solution", "reference", from_folder(reference_dir())),
        Case("template", "template", from_folder(template_dir())),
    ]
