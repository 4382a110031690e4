"""The selftest's own judgement: what it calls right, and what it complains of."""

import pytest

from grader.domain import (
    CheckResult,
    Finding,
    Grade,
    GradeStatus,
    Outcome,
    Provenance,
    SubmissionRef,
)
from grader.errors import UsageError
from grader.selftest.catalogue import catalogue
from grader.selftest.judging import Selftest, choose, judge
from grader.selftest.mutant import Mutant

WRONG = Mutant("stem-relu", why="…", kills={"stem"}, where="stem")
RIGHT = Mutant("as-layers", why="…", kind="right")
REMARK = Mutant("pool-first", why="…", kind="remark")


def check(name, outcome=Outcome.PASSED, *findings):
    return CheckResult(
        name=name, group="architecture", title=name, outcome=outcome, findings=findings
    )


def deviation(where):
    return Finding(where=where, message="…")


def remark(where):
    return Finding(where=where, message="…", severity="remark")


def grade(*checks, status=GradeStatus.GRADED):
    return Grade(
        student_id="x",
        submission=SubmissionRef(source="x"),
        status=status,
        score=0,
        max_score=100,
        checks=checks,
        provenance=Provenance(grader="0", assignment_sha256="0" * 64),
    )


def test_a_wrong_network_that_loses_the_right_check_at_the_right_place_is_judged_right():
    verdict = judge(WRONG, grade(check("stem", Outcome.FAILED, deviation("stem"))))

    assert (verdict.found, verdict.complaint) == (True, "")


COMPLAINTS = {
    "a survivor": (WRONG, grade(check("stem")), "survived"),
    "a wrong check": (WRONG, grade(check("head", Outcome.FAILED)), "lost another check"),
    "a wrong place": (
        WRONG,
        grade(check("stem", Outcome.FAILED, deviation("head"))),
        "not located",
    ),
    "a place only remarked on": (
        WRONG,
        grade(check("stem", Outcome.FAILED, remark("stem"))),
        "not located",
    ),
    "a refused right one": (RIGHT, grade(check("stem", Outcome.FAILED)), "refused"),
    "a right one that was not looked at": (RIGHT, grade(check("stem", Outcome.SKIPPED)), "refused"),
    "a missing remark": (REMARK, grade(check("stem")), "no remark"),
    "a withheld grade": (RIGHT, grade(status=GradeStatus.WITHHELD), "not graded"),
    "a wrong one sent to review": (WRONG, grade(status=GradeStatus.REVIEW), "not graded"),
}


@pytest.mark.parametrize(("mutant", "given", "told"), COMPLAINTS.values(), ids=COMPLAINTS)
def test_it_complains_of(mutant, given, told):
    assert judge(mutant, given).complaint.startswith(told)


def test_a_remark_costs_nothing_and_is_expected_where_the_catalogue_says_so():
    verdict = judge(REMARK, grade(check("stem", Outcome.PASSED, remark("stem"))))

    assert (verdict.found, verdict.complaint) == (False, "")


def test_no_submission_at_all_is_not_a_pass():
    assert not Selftest(()).passed


def test_one_complaint_fails_the_selftest():
    good = judge(RIGHT, grade(check("stem")))
    bad = judge(WRONG, grade(check("stem")))

    assert Selftest((good,)).passed
    assert not Selftest((good, bad)).passed


def test_everything_is_the_catalogue_the_reference_and_the_template():
    names = [mutant.name for mutant in choose()]

    assert len(names) == len(set(names)) == len(catalogue()) + 2


def test_a_quick_look_still_holds_every_kind():
    kinds = {mutant.kind for mutant in choose(every=50)}

    assert kinds == {"wrong", "right", "remark"}


def test_an_unknown_name_is_a_usage_error_that_names_it():
    with pytest.raises(UsageError, match="no-such"):
        choose(["no-such"])
