"""Checks of the kind "gives what the reference gives", one for each [[functions]] table."""

from __future__ import annotations

from collections.abc import Iterable

from grader.assignment import FunctionCheck
from grader.calls.called import Call, Called
from grader.calls.compare import Difference
from grader.calls.values import FailureRecord
from grader.checks.check import Check, Failure, NothingToJudge
from grader.checks.contract import failed_call, failed_import, nearest
from grader.domain import Finding
from grader.graph.evidence import Evidence

KEEP_NAMES = "Keep the names of the template."
HIDDEN = "a hidden call"
STUB_TYPE = "NotImplementedError"
"""What a template raises where the student has to write."""


def function_checks(functions: Iterable[FunctionCheck]) -> tuple[Check, ...]:
    """One check for each function that has a reference, in the order of the assignment."""
    return tuple(Check(_GivesTheSame(asked), asked.group) for asked in functions)


class _GivesTheSame:
    """A check function with the name and the title of its table."""

    def __init__(self, asked: FunctionCheck) -> None:
        self._asked = asked
        self.__name__ = asked.name
        self.__doc__ = asked.title or f"{asked.function} gives what is asked."

    def __call__(self, evidence: Evidence) -> list[Finding]:
        return gives_the_same(evidence, self._asked)


def gives_the_same(evidence: Evidence, asked: FunctionCheck) -> list[Finding]:
    """The student's function gives what the reference gives, in every call.

    Args:
        evidence: What was read.
        asked: The table of assignment.toml.

    Returns:
        Nothing to remark.

    Raises:
        Failure: A call gave something else, or nothing.
        NothingToJudge: The module cannot be imported, which the first check says; or what is right
            is not known on this machine, where `grade check` goes on without.
    """
    called = evidence.called[asked.name]
    _imported(evidence, asked)
    _found(evidence, called, asked)
    if all(call.expected is None for call in called.calls):
        _answered(called, asked)
        raise NothingToJudge("its reference is the course's: it is compared when it is graded")
    wrong = called.differences(asked)
    if not wrong:
        return []
    finding = _finding(called, asked, wrong)
    share = _share(called, wrong) if asked.partial else 0.0
    raise Failure(finding.message, finding.help, [finding], share=share)


def _imported(evidence: Evidence, asked: FunctionCheck) -> None:
    """An import that fails is told once, by the first check of that file."""
    file = asked.function.partition(":")[0]
    failure = _import_failure(evidence.called[asked.name])
    if failure is None:
        return
    first = next(n for n, c in evidence.called.items() if _import_failure(c) == failure)
    if first != asked.name:
        raise NothingToJudge(f"{file} cannot be imported, so nothing of it could be called", first)
    finding = failed_import(failure)
    raise Failure(f"{file} cannot be imported", finding.help, [finding])


def _import_failure(called: Called) -> FailureRecord | None:
    return next((c.received.failure for c in called.calls if not c.received.imported), None)


def _found(evidence: Evidence, called: Called, asked: FunctionCheck) -> None:
    if all(call.received.found for call in called.calls):
        return
    file, _, name = asked.function.partition(":")
    others = evidence.module.others if evidence.module is not None else []
    near = nearest(name, others)
    received = f"nothing of that name; there is {near}" if near else "nothing"
    finding = Finding(
        where=file,
        message=f"{name}: expected a function, received {received}",
        what=f"{name} is missing",
        expected="a function",
        received=received,
        help=f"Call {near} by the name {name}." if near else KEEP_NAMES,
    )
    raise Failure(finding.message, finding.help, [finding])


def _answered(called: Called, asked: FunctionCheck) -> None:
    """Without a reference, what raised an exception is known to be wrong all the same."""
    for call in called.calls:
        if call.received.failure is not None and not asked.may_raise:
            finding = _raised(asked, call)
            raise Failure(finding.message, finding.help, [finding])


def _share(called: Called, wrong: list[tuple[Call, Difference]]) -> float:
    """How much is right: of the hidden calls where there are some, since the public results may
    have been copied."""
    hidden = [call for call in called.calls if call.case.hidden] or list(called.calls)
    bad = {call.case.number for call, _ in wrong}
    return 1 - sum(call.case.number in bad for call in hidden) / len(hidden)


def _finding(called: Called, asked: FunctionCheck, wrong: list[tuple[Call, Difference]]) -> Finding:
    call, differs = wrong[0]
    if call.received.failure is not None and (call.expected and call.expected.failure is None):
        return _raised(asked, call)
    stub = call.received.failure is not None and call.received.failure.type == STUB_TYPE
    if stub:
        return _raised(asked, call)
    name, slip = _name(asked), called.slip(asked)
    cause = slip.says if slip is not None else differs.cause
    help = slip.help if slip is not None else differs.help
    hidden = call.case.hidden
    what = differs.what.partition(" at ")[0] + "s" if _tells(differs) else differs.what
    where = f"{name}, {what if hidden else differs.what}"
    shown = not hidden or "dtype" in differs.what
    expected = differs.expected if shown else "what the sheet asks for"
    received = differs.received if shown else "something else"
    count = f" ({len(wrong)} of {len(called.calls)} calls differ)" if len(called.calls) > 1 else ""
    more = f", {differs.more}" if differs.more and not hidden else ""
    told = f": {cause}" if cause else ""
    return Finding(
        where=where,
        message=f"{where}{told}: expected {expected}, received {received}{more}{count}",
        what=cause,
        expected=expected,
        received=received + more,
        help=help or (OTHER_CALLS_OF_A_FUNCTION if hidden else ""),
        asked=HIDDEN if hidden else call.case.words(name),
        pictures=() if hidden else differs.pictures,
        printed=_printed(call),
    )


OTHER_CALLS_OF_A_FUNCTION = (
    "Public calls are right, hidden ones are not: call it with other sizes and values yourself."
)


def _tells(differs: Difference) -> bool:
    """Whether the place in the result is told, which a hidden call keeps to itself."""
    return " at " in differs.what


def _raised(asked: FunctionCheck, call: Call) -> Finding:
    failure = call.received.failure
    assert failure is not None
    name, hidden = _name(asked), call.case.hidden
    finding = failed_call(name, failure, hidden, wanted="a result")
    told = HIDDEN if hidden else call.case.words(name)
    return finding.model_copy(update={"asked": told, "printed": _printed(call)})


def _printed(call: Call) -> str:
    """What a public call printed: a program prints the arguments that it was called with."""
    return "" if call.case.hidden else call.received.printed


def _name(asked: FunctionCheck) -> str:
    return asked.function.partition(":")[2]
