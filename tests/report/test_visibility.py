"""What a student may see of a grade: nothing of a hidden check, of one after the due date then."""

import io
import json

import pytest
from rich.console import Console

from grader.domain import CheckResult, GradeStatus, Outcome
from grader.errors import Cause
from grader.export import write_gradescope, write_moodle
from grader.report.feedback import student_lines
from grader.report.terminal import render
from grader.report.visibility import for_student
from grader.scoring import ACCURACY


def a_check(name, outcome=Outcome.FAILED, score=0.0, **fields):
    said = {"rationale": f"{name} says no"} if outcome is Outcome.FAILED else {}
    said |= {"group": "architecture", "title": f"The title of {name}.", "max_score": 4.0}
    return CheckResult(name=name, outcome=outcome, score=score, **(said | fields))


CHECKS = (
    a_check("seen", Outcome.PASSED, 4.0),
    a_check("secret", visibility="hidden", rank=1),
    a_check("later", visibility="after_due", rank=2),
    a_check("partly", score=1.0, rank=3),
    a_check("behind-secret", follows_from="secret"),
    a_check("behind-later", follows_from="later"),
    a_check(
        "skipped",
        Outcome.SKIPPED,
        rationale="it builds on secret, which did not pass",
        follows_from="secret",
    ),
)


@pytest.fixture
def grade(examples):
    """4 points for each of seven checks, five earned; no accuracy, not late."""
    return examples.full_marks().model_copy(
        update={
            "checks": CHECKS,
            "score": 5.0,
            "max_score": 28.0,
            "evaluation": None,
            "deadline": None,
        }
    )


def named(grade, name):
    return next(check for check in grade.checks if check.name == name)


def hide(grade, name, **fields):
    """The grade with one check hidden."""
    checks = [
        c.model_copy(update={"visibility": "hidden"}) if c.name == name else c for c in grade.checks
    ]
    return grade.model_copy(update={"checks": tuple(checks)} | fields)


def screen(grade, **how):
    console = Console(file=io.StringIO(), width=100)
    console.print(render(grade, **how))
    return console.file.getvalue()


def test_a_grade_without_unseen_checks_stays_as_it_is(examples):
    for one in examples.ALL:
        assert for_student(one(), after_due=False) == one()


@pytest.mark.parametrize(
    ("after_due", "unseen", "score", "most"),
    [(False, {"secret", "later"}, 5.0, 20.0), (True, {"secret"}, 5.0, 24.0)],
)
def test_score_and_maximum_are_sums_over_what_is_seen(grade, after_due, unseen, score, most):
    shown = for_student(grade, after_due)

    assert {c.name for c in grade.checks} - {c.name for c in shown.checks} == unseen
    assert (shown.score, shown.max_score) == (score, most)


def test_points_of_an_unseen_check_are_not_in_the_score(grade):
    shown = for_student(hide(grade, "seen"), after_due=False)

    assert (shown.score, shown.max_score) == (1.0, 16.0)


def test_a_penalty_is_taken_off_what_is_seen(grade, examples):
    late = examples.deviating().deadline.model_copy(update={"penalty": 3.0})

    shown = for_student(grade.model_copy(update={"deadline": late}), after_due=False)

    assert shown.score == 2.0


def test_no_cause_and_no_gap_in_their_numbers_tells_of_an_unseen_check(grade):
    before, after = for_student(grade, after_due=False), for_student(grade, after_due=True)

    assert named(before, "partly").rank == 1
    assert named(before, "behind-secret").follows_from is None
    assert named(before, "behind-later").follows_from is None
    assert named(after, "behind-later").follows_from == "later"
    assert (named(after, "later").rank, named(after, "partly").rank) == (1, 2)
    assert "secret" not in named(after, "skipped").rationale


@pytest.mark.parametrize("how", [{}, {"quiet": True}, {"checking": True}])
def test_no_screen_shows_an_unseen_check(grade, how):
    grade = grade.model_copy(
        update={"checks": tuple(c for c in CHECKS if not c.name.startswith("behind"))}
    )
    shown = screen(for_student(grade, after_due=False), **how)

    assert "secret" not in shown
    assert "later" not in shown
    assert "secret" in screen(grade, **how)


def test_an_unseen_accuracy_was_never_measured(examples):
    grade = hide(examples.full_marks(), ACCURACY)
    assert grade.evaluation is not None

    shown = for_student(grade, after_due=True)

    assert shown.evaluation is None
    assert "ccuracy" not in shown.model_dump_json(exclude={"provenance"})
    assert "ccuracy" not in "\n".join(student_lines(grade))
    assert "ccuracy" not in screen(shown, checking=True)


def test_the_reason_for_withholding_names_no_unseen_check(grade):
    broken = a_check("broken", Outcome.ERROR, visibility="hidden", rationale="KeyError")
    withheld = grade.model_copy(
        update={
            "status": GradeStatus.WITHHELD,
            "score": 0.0,
            "cause": Cause.INFRA_GRADER_BUG,
            "message": "broken: KeyError",
            "checks": (*CHECKS, broken),
        }
    )

    shown = for_student(withheld, after_due=False)

    assert shown.status is GradeStatus.WITHHELD
    assert shown.message
    assert "broken" not in shown.message


def test_the_reason_for_a_review_tells_nothing_of_an_unseen_accuracy(examples):
    review = hide(examples.under_review(), ACCURACY)

    shown = for_student(review, after_due=False)

    assert (shown.status, shown.message) == (GradeStatus.REVIEW, None)


def test_a_grade_of_unseen_checks_alone_can_be_shown(grade):
    for check in CHECKS:
        grade = hide(grade, check.name)

    shown = for_student(grade, after_due=True)

    assert (shown.checks, shown.score, shown.max_score) == ((), 0.0, 0.0)
    assert screen(shown)
    assert screen(shown, checking=True)


def test_the_feedback_sums_and_names_what_is_seen(grade):
    before = "\n".join(student_lines(grade))
    after = "\n".join(student_lines(grade, after_due=True))

    assert "5 / 20" in before
    assert "28" not in before
    assert not [c for c in ("title of secret", "from secret", "title of later") if c in before]
    assert "The title of later." in after
    assert "title of secret" not in after


@pytest.mark.parametrize("after_due", [False, True])
def test_moodles_feedback_tells_of_a_check_after_the_due_date(grade, after_due, tmp_path):
    table = tmp_path / "worksheet.csv"
    table.write_text(f"Identifier,Grade,Feedback comments\n{grade.student_id},,\n", "utf-8")

    write_moodle([grade], table, table, after_due=after_due)

    written = table.read_text("utf-8")
    assert ("title of later" in written) == after_due
    assert "title of secret" not in written


def test_what_gradescope_shows_at_once_tells_of_no_unseen_test(grade, tmp_path):
    write_gradescope(grade, tmp_path / "results.json")

    results = json.loads((tmp_path / "results.json").read_text("utf-8"))
    tests = {test["name"].partition(":")[0]: test for test in results["tests"]}
    at_once = [results["output"], *(tests[n]["output"] for n in ("partly", "behind-later"))]
    assert "28" not in results["output"]
    assert "later" not in "\n".join(at_once).replace("behind-later", "")
    assert "secret" not in tests["skipped"]["output"]
    assert set(tests) == {check.name for check in CHECKS}
    assert tests["secret"]["visibility"] == "hidden"
    assert results["score"] == 5
