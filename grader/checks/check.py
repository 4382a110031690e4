"""What a check is: a function of the evidence whose docstring is the line a student reads.

A check returns None when it passes. Saying no is `raise Failure(...)`; a check that has nothing
to look at raises `NothingToJudge`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from grader.checks.causes import with_causes
from grader.domain import CheckResult, Finding, Outcome
from grader.graph.evidence import Evidence


class Failure(Exception):
    """The check says no.

    Args:
        rationale: Why, one or two sentences.
        help: What to try.
        findings: Where exactly.
        share: How much of it is right, 0 to 1: partial credit.
    """

    def __init__(
        self,
        rationale: str,
        help: str = "",
        findings: Sequence[Finding] = (),
        share: float = 0.0,
    ) -> None:
        super().__init__(rationale)
        self.rationale = rationale
        self.help = help
        self.findings = tuple(findings)
        self.share = share


def failure_at(place: str, line: int, message: str, help: str) -> Failure:
    """The check says no to what stands at one place of a file.

    Args:
        place: In words: "answers.toml, line 4".
        line: The number of that line; 0 where it is the file as a whole.
        message: What was expected there and what was received.
        help: What to try.
    """
    return Failure(message, help, [Finding(where=place, message=message, help=help, line=line)])


class Unanswered(Failure):
    """All that was answered is right, but some calls gave nothing: those earn nothing.

    Args:
        rationale: How many, one sentence.
        about: The functions that were called.
        share: The calls that were answered, 0 to 1.
    """

    def __init__(self, rationale: str, *about: str, share: float) -> None:
        super().__init__(rationale, share=share)
        self.about = about


class NothingToJudge(Exception):
    """What the check looks at could not be had; another check says why.

    Args:
        rationale: Why, one sentence.
        about: The functions, or the checks, that it could not look at.
    """

    def __init__(self, rationale: str, *about: str) -> None:
        super().__init__(rationale)
        self.about = about


CheckFunction = Callable[[Evidence], Sequence[Finding] | None]


@dataclass(frozen=True)
class Check:
    """One entry of CHECKS.

    Attributes:
        function: The check; returns remarks, if it has any.
        group: shape, parameters, architecture.
        depends_on: Checks that must have passed for this one to make sense.
        asks: Functions of the contract that have to be called for it; the answers to others change
            nothing of its outcome.
    """

    function: CheckFunction
    group: str
    depends_on: tuple[CheckFunction, ...] = ()
    asks: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """As the rubric names it."""
        return name_of(self.function)

    @property
    def title(self) -> str:
        """First line of the docstring."""
        return (inspect.getdoc(self.function) or self.name).splitlines()[0]


def name_of(function: CheckFunction) -> str:
    """module_contract → module-contract."""
    return str(function.__name__).replace("_", "-")


def run_checks(checks: Sequence[Check], evidence: Evidence) -> tuple[CheckResult, ...]:
    """Run all checks in their order; each dependency stands before what needs it.

    Args:
        checks: Usually `grader.checks.CHECKS`.
        evidence: What the trace showed.

    Returns:
        One result a check; the score is a share of 1 (the rubric gives the points). Each that did
        not pass is a cause, with its rank, or follows from one.
    """
    outcomes: dict[str, Outcome] = {}
    about: dict[str, tuple[str, ...]] = {}
    results = []
    for check in checks:
        result = _run(check, evidence, outcomes, about)
        outcomes[check.name] = result.outcome
        results.append(result)
    return with_causes(results, evidence, about)


def _run(
    check: Check,
    evidence: Evidence,
    outcomes: dict[str, Outcome],
    about: dict[str, tuple[str, ...]],
) -> CheckResult:
    base = CheckResult(
        name=check.name,
        group=check.group,
        title=check.title,
        outcome=Outcome.PASSED,
        score=1.0,
        max_score=1.0,
    )
    for needed in check.depends_on:
        if outcomes.get(name_of(needed)) is not Outcome.PASSED:
            about[check.name] = (name_of(needed),)
            return base.model_copy(
                update={
                    "outcome": Outcome.SKIPPED,
                    "score": 0.0,
                    "rationale": f"it builds on {name_of(needed)}, which did not pass",
                }
            )
    try:
        remarks = check.function(evidence)
    except Failure as no:
        share = no.share if 0.0 <= no.share < 1.0 else 0.0
        if isinstance(no, Unanswered):
            about[check.name] = no.about
        return base.model_copy(
            update={
                "outcome": Outcome.FAILED,
                "score": share,
                "rationale": no.rationale,
                "help": no.help or None,
                "findings": no.findings,
            }
        )
    except NothingToJudge as nothing:
        about[check.name] = nothing.about
        return base.model_copy(
            update={"outcome": Outcome.SKIPPED, "score": 0.0, "rationale": str(nothing)}
        )
    except Exception as error:  # a fault of a check is the grader's, never the student's
        return base.model_copy(
            update={
                "outcome": Outcome.ERROR,
                "score": 0.0,
                "rationale": f"the check itself failed: {type(error).__name__}: {error}",
            }
        )
    return base.model_copy(update={"findings": tuple(remarks or ())})
