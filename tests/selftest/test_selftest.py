"""`grade selftest` on results that are known: what counts as misjudged, and what is shown.

Nothing is traced here; `grade selftest` itself is the long test.
"""

import io
from collections import Counter

import pytest
from rich.console import Console

from grader.assignment import load_assignment
from grader.checks import CHECKS
from grader.domain import CheckResult, Finding, Isolation, Outcome, Run, RunStatus
from grader.errors import Cause, UsageError
from grader.resources import assignment_dir
from grader.sandbox.contract import Sandbox, StageResult
from grader.selftest.catalogue import Mutant, catalogue
from grader.selftest.run import QUICK, Case, choose, sample, selftest, summary, verdict_on
from grader.selftest.show import render


def case(kind, where="stem"):
    if kind in ("reference", "template"):
        return Case(kind, kind, lambda folder: folder.mkdir())
    loses = ("stem",) if kind == "wrong" else ()
    mutant = Mutant("a-mutant", kind=kind, why="Something differs.", loses=loses, where=where)
    return Case("a-mutant", kind, lambda folder: folder.mkdir(), mutant)


def result(name, outcome, *findings):
    return CheckResult(name=name, group="architecture", title="", outcome=outcome,
                       findings=findings)  # fmt: skip


def finding(where, severity="deviation"):
    return Finding(where=where, message="a thing: expected X, received Y", severity=severity)


GOOD = result("head", Outcome.PASSED)
KILLED = result("stem", Outcome.FAILED, finding("stem"))
KILLED_ELSEWHERE = result("head", Outcome.FAILED, finding("head"))
SKIPPED = result("head", Outcome.SKIPPED)
BROKEN = result("growth", Outcome.ERROR)
REMARKED = result("head", Outcome.PASSED, finding("head", "remark"))


@pytest.mark.parametrize(
    ("kind", "results", "sound"),
    [
        ("wrong", [GOOD, KILLED], True),
        ("wrong", [GOOD], False),
        ("wrong", [GOOD, SKIPPED], False),
        ("wrong", [KILLED_ELSEWHERE], False),
        ("wrong", [KILLED, KILLED_ELSEWHERE], True),
        ("wrong", [KILLED, BROKEN], False),
        ("right", [GOOD], True),
        ("right", [KILLED], False),
        ("right", [SKIPPED], False),
        ("right", [BROKEN], False),
        ("remark", [REMARKED], True),
        ("remark", [KILLED], False),
        ("reference", [GOOD], True),
        ("reference", [KILLED], False),
        ("template", [KILLED], True),
        ("template", [GOOD], False),
    ],
)
def test_the_judge_is_wrong_where_a_wrong_one_survives_or_a_right_one_is_refused(
    kind, results, sound
):
    found = summary([verdict_on(case(kind), results)])

    assert found.sound is sound


def test_a_selftest_of_nothing_is_no_pass():
    assert summary([]).sound is False


def test_a_place_that_is_not_named_and_another_check_are_counted():
    found = summary([verdict_on(case("wrong"), [KILLED_ELSEWHERE])])

    assert (found.other_check, found.located, found.locatable) == (1, 0, 1)
    assert not found.sound


def test_a_remark_that_is_not_made_is_counted():
    found = summary([verdict_on(case("remark"), [GOOD]), verdict_on(case("remark"), [REMARKED])])

    assert (found.remark_made, found.remark_missing) == (1, 1)


def test_the_sample_is_the_same_every_time_and_reaches_every_check_and_family():
    chosen = sample(catalogue())

    assert Counter(m.kind for m in chosen) == QUICK
    assert chosen == sample(catalogue())
    assert {name for m in chosen for name in m.loses} == {check.name for check in CHECKS}
    assert {m.family for m in chosen} == {m.family for m in catalogue()}


def test_a_sample_of_everything_is_everything_once():
    chosen = sample(catalogue(), dict.fromkeys(QUICK, len(catalogue())))

    assert sorted(m.name for m in chosen) == sorted(m.name for m in catalogue())


def test_reference_and_template_are_always_among_the_chosen():
    for cases in (choose(), choose(everything=True)):
        assert [c.kind for c in cases[:2]] == ["reference", "template"]

    assert len(choose(everything=True)) == len(catalogue()) + 2


def test_names_choose_exactly_those():
    assert [c.name for c in choose(["template", "stem-relu"])] == ["template", "stem-relu"]


def test_an_unknown_name_is_a_usage_error_that_says_it():
    with pytest.raises(UsageError, match="no-such-mutant"):
        choose(["no-such-mutant"])


def test_survivors_refusals_and_missed_places_are_shown_by_name():
    found = summary(
        [
            verdict_on(case("wrong"), [GOOD]),
            verdict_on(case("reference"), [KILLED]),
            verdict_on(case("wrong"), [KILLED_ELSEWHERE]),
        ]
    )
    console = Console(file=io.StringIO(), width=120)

    console.print(render(found))
    text = console.file.getvalue()

    assert "Survived a-mutant. Something differs." in text
    assert "Refused reference. stem" in text
    assert "Not located: a-mutant. expected stem, received head" in text
    assert "Not all found: a-mutant. passed stem; failed head" in text
    assert "3 of 3 misjudged" in text


class DeadSandbox(Sandbox):
    """Ends every program before it has answered."""

    isolation: Isolation = "none"

    def __init__(self):
        self.requests = []

    def available(self):
        return None

    def run(self, stage):
        self.requests.append(stage.request)
        ended = Run(status=RunStatus.FAILED, cause=Cause.STUDENT_EXITED, message="it ended",
                    isolation="none", wall_time_s=0.1)  # fmt: skip
        return StageResult(ended, {}, {}, False)


def test_a_judge_that_gets_no_answer_refuses_the_right_ones():
    sandbox = DeadSandbox()
    heard = []

    found = selftest(
        choose(["reference-solution", "stem-relu"]),
        load_assignment(assignment_dir()),
        sandbox,
        on_verdict=heard.append,
    )

    assert not found.sound
    assert [v.sound for v in found.verdicts] == [False, False]
    assert heard == list(found.verdicts)


def test_every_case_is_asked_the_same_public_and_hidden_probes():
    sandbox = DeadSandbox()

    selftest(choose(["relu-twice", "stem-relu"]), load_assignment(assignment_dir()), sandbox)

    assert sandbox.requests[0] == sandbox.requests[1]
    names = {probe["id"] for probe in sandbox.requests[0]["probes"]}
    asked = load_assignment(assignment_dir()).probes
    assert f"block-{len(asked.blocks)}" in names
    assert f"network-{len(asked.networks)}" in names
