"""The grade: rubric sum less penalty; errors withhold, doubts review, and neither gives points."""

import math
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from grader.assignment import load_assignment
from grader.domain import (
    CheckResult,
    Dataset,
    GradeStatus,
    MeasuredAccuracy,
    Measurement,
    Outcome,
    Provenance,
    Submission,
    SubmissionRef,
)
from grader.errors import Cause, InfrastructureError, SubmissionRejected
from grader.scoring import (
    apply_deadline,
    apply_rubric,
    exit_status,
    make_grade,
    open_points,
    points_of_checks,
    ungraded,
)
from grader.scoring.grade import Facts

ASSIGNMENT = load_assignment(Path(__file__).parents[1] / "example_assignment.toml")
PROVENANCE = Provenance(grader="0.1.0", assignment_sha256=ASSIGNMENT.sha256)
DUE = ASSIGNMENT.deadline.due
SUBMISSION = Submission(
    student_id="s1",
    source="s1.zip",
    sha256="1" * 64,
    root="/tmp/tree",
    files=(),
    received_at=DUE,
    received_from="lms",
    remarks=("ignored __MACOSX",),
)
RUN = Measurement(
    mode="weights",
    images=10_000,
    of_images=10_000,
    correct=9000,
    wall_time_s=7,
    device="CPU",
    dataset=Dataset(name="cifar10", sha256="0" * 64, official=True),
)
GOOD = MeasuredAccuracy(runs=(RUN,))


def check(name: str, outcome: Outcome = Outcome.PASSED, **fields) -> CheckResult:
    return CheckResult(name=name, group="shape", title=name, outcome=outcome, **fields)


def checks(**outcomes: Outcome) -> list[CheckResult]:
    """One result per check of the rubric but the accuracy; `stem=Outcome.FAILED` sets one."""
    names = [name for name in ASSIGNMENT.rubric if name != "accuracy"]
    return [check(name, outcomes.get(name, Outcome.PASSED)) for name in names]


def grade(results=None, received_at=DUE, received_from="lms", assignment=ASSIGNMENT, **fields):
    deadline = apply_deadline(assignment, "s1", received_at, received_from, {})
    fields = {"measured": GOOD} | fields
    return make_grade(
        assignment,
        SUBMISSION,
        checks() if results is None else results,
        Facts(deadline=deadline, provenance=PROVENANCE, isolation="jail", **fields),
    )


def doubted(why):
    return GOOD.model_copy(update={"review": why})


def rejecting():
    late = ASSIGNMENT.deadline.late.model_copy(
        update={"policy": "reject", "deduction": None, "cap": None}
    )
    deadline = ASSIGNMENT.deadline.model_copy(update={"late": late})
    return ASSIGNMENT.model_copy(update={"deadline": deadline})


def test_all_checks_passed_above_the_threshold_in_time_is_full_marks():
    result = grade()

    assert (result.status, result.score, result.max_score) == (GradeStatus.GRADED, 100, 100)
    assert result.evaluation_note is None
    assert result.remarks == ("ignored __MACOSX",)


def test_a_failed_check_costs_its_points_in_the_rubric():
    result = grade(checks(stem=Outcome.FAILED))

    assert result.score == 97


def test_a_failed_check_with_a_part_right_earns_its_share():
    results = checks()
    results[3] = check("network-shape", Outcome.FAILED, score=0.5, max_score=1.0)

    result = grade(results)

    assert result.checks[3].score == 2
    assert result.score == 98


def test_a_skipped_check_earns_nothing_and_is_no_error():
    assert grade(checks(stem=Outcome.SKIPPED)).score == 97


def test_three_thirds_sum_without_rounding_noise():
    third = {"score": 1 / 3, "max_score": 1.0}
    results = [check(one.name, Outcome.FAILED, **third) for one in checks()]

    result = grade(results)

    assert result.score == points_of_checks(result) == round(result.score, 2)


def test_lateness_takes_its_penalty_off():
    assert grade(received_at=DUE + timedelta(seconds=1)).score == 90


def test_the_score_never_falls_below_zero():
    failed = [check(one.name, Outcome.FAILED) for one in checks()]
    no_weights = {
        "measured": MeasuredAccuracy(note="no weights", cause=Cause.SUBMISSION_MISSING_FILE)
    }

    result = grade(failed, received_at=DUE + timedelta(days=30), **no_weights)

    assert (result.status, result.score) == (GradeStatus.GRADED, 0)


def test_visibility_comes_from_the_rubric():
    line = ASSIGNMENT.rubric["stem"].model_copy(update={"visibility": "hidden"})

    (result,) = apply_rubric({"stem": line}, [check("stem")])

    assert result.visibility == "hidden"


# --- what is not measured -----------------------------------------------------------------


def test_without_evaluation_the_rest_is_graded_and_the_points_stay_open():
    result = grade(measured=MeasuredAccuracy(note="switched off"))

    assert (result.status, result.score, result.max_score) == (GradeStatus.GRADED, 82, 100)
    assert open_points(result) == 18
    assert result.evaluation_note == "switched off"


def test_without_evaluation_and_note_the_grade_still_says_so():
    assert grade(measured=MeasuredAccuracy()).evaluation_note == "no evaluation was made"


def test_a_missing_weights_file_leaves_no_points_open():
    result = grade(
        measured=MeasuredAccuracy(note="no weights file", cause=Cause.SUBMISSION_MISSING_FILE)
    )

    assert result.score == 82
    assert open_points(result) == 0


# --- withheld -----------------------------------------------------------------------------


@pytest.mark.parametrize("name", [one.name for one in checks()])
def test_any_check_in_error_withholds_the_grade(name):
    result = grade(checks(**{name: Outcome.ERROR}))

    assert (result.status, result.score) == (GradeStatus.WITHHELD, 0)
    assert result.cause is Cause.INFRA_GRADER_BUG
    assert name in result.message


@pytest.mark.parametrize("cause", [cause for cause in Cause if cause.is_infrastructure])
def test_any_infrastructure_cause_withholds_the_grade(cause):
    result = grade(cause=cause, message="the engine is gone")

    assert (result.status, result.score, result.cause) == (GradeStatus.WITHHELD, 0, cause)
    assert result.message == "the engine is gone"


@pytest.mark.parametrize("cause", [cause for cause in Cause if not cause.is_infrastructure])
def test_no_cause_of_the_students_withholds_the_grade(cause):
    result = grade(cause=cause, message="it stopped")

    assert (result.status, result.cause) == (GradeStatus.GRADED, cause)


def test_an_evaluation_that_the_machine_lost_withholds_the_grade():
    result = grade(measured=MeasuredAccuracy(note="GPU lost", cause=Cause.INFRA_GPU))

    assert (result.status, result.score, result.cause) == (
        GradeStatus.WITHHELD,
        0,
        Cause.INFRA_GPU,
    )


def test_a_check_of_the_rubric_without_result_withholds_the_grade():
    result = grade(checks()[1:])

    assert result.status is GradeStatus.WITHHELD
    assert "module-contract: the check gave no result" in result.message


def test_a_check_with_two_results_withholds_the_grade():
    result = grade([*checks(), check("stem")])

    assert result.status is GradeStatus.WITHHELD
    assert "stem: the check gave two results" in result.message


@pytest.mark.parametrize(
    ("score", "max_score"),
    [
        (math.nan, 1.0),
        (1.0, math.nan),
        (math.inf, 1.0),
        (math.inf, math.inf),
        (-1.0, 1.0),
        (2.0, 1.0),
        (1.0, 1.0),
    ],
)
def test_a_failed_check_whose_score_is_no_share_withholds_the_grade(score, max_score):
    results = checks()
    results[0] = check("module-contract", Outcome.FAILED, score=score, max_score=max_score)

    result = grade(results)

    assert (result.status, result.score) == (GradeStatus.WITHHELD, 0)
    assert math.isfinite(result.checks[0].score)


# --- review and lateness ------------------------------------------------------------------


def test_a_doubt_sends_the_grade_to_review_without_points():
    result = grade(measured=doubted("the rebuilt network gives other outputs than the student's"))

    assert (result.status, result.score) == (GradeStatus.REVIEW, 0)
    assert "rebuilt network" in result.message
    assert points_of_checks(result) == 100


def test_withheld_goes_before_review_and_lateness():
    result = grade(
        checks(stem=Outcome.ERROR),
        received_at=DUE + timedelta(days=1),
        assignment=rejecting(),
        measured=doubted("doubt"),
    )

    assert result.status is GradeStatus.WITHHELD


def test_a_late_submission_under_a_rejecting_policy_is_rejected():
    result = grade(received_at=DUE + timedelta(seconds=1), assignment=rejecting())

    assert (result.status, result.score) == (GradeStatus.REJECTED, 0)
    assert result.cause is Cause.SUBMISSION_LATE


def test_lateness_by_a_files_time_alone_is_for_a_person_to_decide():
    result = grade(
        received_at=DUE + timedelta(seconds=1),
        received_from="file-time",
        assignment=rejecting(),
    )

    assert (result.status, result.score) == (GradeStatus.REVIEW, 0)
    assert "--submitted-at" in result.help


def test_the_same_run_graded_twice_gives_the_identical_grade():
    assert grade().model_dump_json() == grade().model_dump_json()


# --- nothing graded -----------------------------------------------------------------------


def reference() -> SubmissionRef:
    return SubmissionRef(source="x.zip", received_at=datetime(2027, 9, 1, tzinfo=UTC))


def test_a_refused_archive_is_rejected_with_its_cause():
    error = SubmissionRejected(Cause.SUBMISSION_BAD_ARCHIVE, "not a zip", "Use grade pack.")

    result = ungraded(
        error,
        assignment=ASSIGNMENT,
        student_id="s1",
        submission=reference(),
        provenance=PROVENANCE,
    )

    assert (result.status, result.score, result.max_score) == (GradeStatus.REJECTED, 0, 100)
    assert (result.cause, result.message, result.help) == (
        Cause.SUBMISSION_BAD_ARCHIVE,
        "not a zip",
        "Use grade pack.",
    )


def test_a_failed_machine_withholds():
    result = ungraded(
        InfrastructureError(Cause.INFRA_DISK, "disk full"),
        assignment=ASSIGNMENT,
        student_id="s1",
        submission=reference(),
        provenance=PROVENANCE,
    )

    assert result.status is GradeStatus.WITHHELD


def test_the_exit_status_names_the_worst_that_happened():
    graded = grade()
    zero = grade([check(one.name, Outcome.FAILED) for one in checks()])
    rejected = grade(received_at=DUE + timedelta(days=1), assignment=rejecting())
    withheld = grade(cause=Cause.INFRA_ENGINE)

    assert exit_status([]) == 0
    assert exit_status([graded, zero]) == 0
    assert exit_status([graded, rejected]) == 1
    assert exit_status([rejected, withheld, graded]) == 3
