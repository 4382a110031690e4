"""What the calls of one check gave, beside what is right."""

from __future__ import annotations

from dataclasses import dataclass

from grader.assignment import FunctionCheck
from grader.assignment.tables import Slip
from grader.calls.cases import Case
from grader.calls.compare import Difference, difference
from grader.calls.values import Answer


@dataclass(frozen=True)
class Call:
    """One call.

    Attributes:
        case: What it was called with.
        received: What the student's function gave, exceptions included.
        expected: What the reference gave; None where this machine does not know.
        slips: What each function with a typical mistake gave; None where it gave nothing.
    """

    case: Case
    received: Answer
    expected: Answer | None = None
    slips: tuple[Answer | None, ...] = ()


@dataclass(frozen=True)
class Called:
    """All calls of one check.

    Attributes:
        calls: In order, public ones first.
    """

    calls: tuple[Call, ...]

    def differences(self, asked: FunctionCheck) -> list[tuple[Call, Difference]]:
        """The calls that gave something else than the reference, each with its first difference.

        Args:
            asked: How closely they are compared.
        """
        found = [
            (call, difference(asked, call.case, call.expected, call.received))
            for call in self.calls
            if call.expected is not None
        ]
        return [(call, differs) for call, differs in found if differs is not None]

    def slip(self, asked: FunctionCheck) -> Slip | None:
        """The typical mistake that gives in every call what the student gave.

        Args:
            asked: Names the mistakes, and says how closely results are compared.
        """
        for number, slip in enumerate(asked.slips):
            pairs = [(call, call.slips[number]) for call in self.calls if call.slips]
            if pairs and all(_like(asked, call, answer) for call, answer in pairs):
                return slip
        return None


def _like(asked: FunctionCheck, call: Call, slip: Answer | None) -> bool:
    return slip is not None and difference(asked, call.case, slip, call.received) is None
