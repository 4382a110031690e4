"""Checks of the kind "the same network as", one for each [[networks]] table of assignment.toml.

They are made from the assignment, as CHECKS cannot know them; what they do is one pure function.
"""

from __future__ import annotations

from collections.abc import Iterable

from grader.assignment import NetworkCheck
from grader.checks.check import Check, Failure, NothingToJudge
from grader.checks.contract import failed_call
from grader.domain import Finding
from grader.graph.compare import same_network
from grader.graph.evidence import Evidence


def network_checks(networks: Iterable[NetworkCheck]) -> tuple[Check, ...]:
    """One check for each network that has a reference, in the order of the assignment."""
    return tuple(Check(_SameNetworkAs(network), network.group) for network in networks)


class _SameNetworkAs:
    """A check function with the name and the title of its table."""

    def __init__(self, network: NetworkCheck) -> None:
        self._name = network.name
        self.__name__ = network.name
        self.__doc__ = network.title or f"{network.function} computes the reference's network."

    def __call__(self, evidence: Evidence) -> list[Finding]:
        return same_network_as(evidence, self._name)


def same_network_as(evidence: Evidence, name: str) -> list[Finding]:
    """The student's function computes the same network as the reference.

    Args:
        evidence: What was read.
        name: Which of its comparisons is meant.

    Returns:
        Remarks: what is written otherwise and makes no difference.

    Raises:
        Failure: It is another network, or none.
        NothingToJudge: The reference is not on this machine; only `grade check` goes on without.
    """
    compared = evidence.compared[name]
    if compared.mine is None:
        assert compared.failure is not None
        finding = failed_call(compared.function, compared.failure)
        finding = finding.model_copy(update={"asked": compared.asked})
        raise Failure(finding.message, finding.help, [finding])
    if compared.reference is None:
        raise NothingToJudge("its reference is the course's: it is compared when it is graded")
    found = same_network(compared.mine, compared.reference)
    deviations = [f for f in found if f.severity == "deviation"]
    remarks = [f for f in found if f.severity == "remark"]
    if deviations:
        raise Failure(deviations[0].message, deviations[0].help, [*deviations, *remarks])
    return remarks
