"""Checks of the kind "the same network as", one for each [[networks]] table of assignment.toml.

They are made from the assignment, as CHECKS cannot know them; what they do is one pure function.
"""

from __future__ import annotations

from collections.abc import Iterable

from grader.assignment import NetworkCheck
from grader.checks.check import Check, Failure, NothingToJudge
from grader.checks.contract import RUN_IT, SAME_CALL, failed_call
from grader.domain import Finding
from grader.graph.compare import Terms, same_network
from grader.graph.evidence import Accepted, Compared, Evidence, NetworkAnswer
from grader.graph.record import FailureRecord

MISSING = "Missing"
"""The type of the exception by which the program in the sandbox says that nothing is there."""
MAX_FINDINGS = 20


def network_checks(networks: Iterable[NetworkCheck]) -> tuple[Check, ...]:
    """One check for each network that has a reference, in the order of the assignment."""
    return tuple(Check(_SameNetworkAs(network), network.group) for network in networks)


class _SameNetworkAs:
    """A check function with the name and the title of its table."""

    def __init__(self, network: NetworkCheck) -> None:
        self._name = network.name
        self._terms = Terms.of(network.must_match, network.may_differ)
        self.__name__ = network.name
        self.__doc__ = network.title or f"{network.function} computes the reference's network."

    def __call__(self, evidence: Evidence) -> list[Finding]:
        return same_network_as(evidence, self._name, self._terms)


def same_network_as(evidence: Evidence, name: str, terms: Terms) -> list[Finding]:
    """The student's function computes the same network as a reference, in every call.

    Args:
        evidence: What was read.
        name: Which of its comparisons is meant.
        terms: What has to be the same beside the function.

    Returns:
        Remarks: what is written otherwise and makes no difference.

    Raises:
        Failure: It is another network, or none.
        NothingToJudge: The reference is not on this machine; only `grade check` goes on without.
    """
    compared = evidence.compared[name]
    failed = [a for a in compared.answers if a.mine is None]
    if failed:
        finding = _no_network(compared, failed[0])
        raise Failure(finding.message, finding.help, [finding])
    if not compared.references:
        raise NothingToJudge("its reference is the course's: it is compared when it is graded")
    found = _nearest(compared, terms)
    deviations = [f for f in found if f.severity == "deviation"][:MAX_FINDINGS]
    remarks = [f for f in found if f.severity == "remark"]
    if deviations:
        raise Failure(deviations[0].message, deviations[0].help, [*deviations, *remarks])
    return remarks


def _nearest(compared: Compared, terms: Terms) -> list[Finding]:
    """The findings against the reference that is met, or that lacks the least."""
    best: list[Finding] | None = None
    for reference in compared.references:
        found = _against(compared, reference, terms)
        if best is None or _wrong(found) < _wrong(best):
            best = found
        if not _wrong(best):
            break
    return best or []


def _wrong(found: list[Finding]) -> int:
    return sum(finding.severity == "deviation" for finding in found)


def _against(compared: Compared, reference: Accepted, terms: Terms) -> list[Finding]:
    """What differs from one reference, in all calls; the same difference is told once."""
    kept: dict[tuple[str, str, str], Finding] = {}
    source = f"the reference: {reference.title}" if reference.title else "the reference"
    for answer, wanted in zip(compared.answers, reference.networks, strict=True):
        assert answer.mine is not None
        for finding in same_network(answer.mine, wanted, terms):
            told = {"asked": answer.asked, "source": source}
            place = f"{finding.line} {finding.code}" if finding.line else finding.where
            key = (finding.severity, place, finding.what or finding.message)
            kept.setdefault(key, finding.model_copy(update=told))
    return list(kept.values())


def _no_network(compared: Compared, answer: NetworkAnswer) -> Finding:
    """Why a call gave none."""
    assert answer.failure is not None
    failure = answer.failure
    finding = failed_call(compared.function, failure)
    if failure.type == MISSING:
        finding = _not_there(compared.function, failure)
    elif failure.where.endswith(", in <module>") or failure.type.endswith("SyntaxError"):
        file = failure.where.partition(",")[0]
        known = (
            finding.help
            if finding.help not in ("", SAME_CALL)
            else RUN_IT.replace("densenet.py", file)
        )
        finding = finding.model_copy(update={"help": known})
    return finding.model_copy(update={"asked": answer.asked})


def _not_there(function: str, failure: FailureRecord) -> Finding:
    """A file or function that is not in the submission."""
    return Finding(
        where=function,
        message=f"{function}: expected a function, received {failure.message}",
        what="it is missing",
        expected="a function of this name",
        received=failure.message,
        help="Give file and function exactly the names that the assignment says, and hand it in.",
    )
