"""Grades in the words of Autolab, PrairieLearn and Classroom 50, held to what each reads."""

import json
import math
import re

import pytest

from grader.domain import GradeStatus, Override
from grader.export.command import export
from grader.export.platforms import (
    feedback_name,
    is_decided,
    to_autolab,
    to_classroom50,
    to_prairielearn,
)
from grader.report.visibility import for_student
from tests import examples

DECIDED = {
    "full": examples.full_marks,
    "deviating": examples.deviating,
    "unmeasured": examples.without_evaluation,
    "rejected": examples.rejected,
    "hostile": examples.hostile,
}
each = pytest.mark.parametrize("grade", [make() for make in DECIDED.values() if is_decided(make())])


def with_unseen_checks(grade):
    """The same, with every second check kept from students."""
    checks = [
        check.model_copy(update={"visibility": "hidden" if number % 2 else "visible"})
        for number, check in enumerate(grade.checks)
    ]
    return grade.model_copy(update={"checks": tuple(checks)})


def test_what_a_person_has_to_decide_on_is_told_to_no_platform():
    assert [is_decided(g) for g in (examples.under_review(), examples.withheld())] == [False, False]


# --- Autolab: the last line of the driver is read as JSON; a line before it is for the page -----


@each
def test_autolab_reads_the_scores_from_the_last_line(grade):
    *before, page, last = to_autolab(grade).rstrip("\n").split("\n")

    assert before == []
    told, stages = json.loads(last), json.loads(page)
    assert all(
        isinstance(value, float) and math.isfinite(value) for value in told["scores"].values()
    )
    score = grade.score if grade.status is GradeStatus.GRADED else 0
    assert math.fsum(told["scores"].values()) == pytest.approx(score)
    assert stages["_presentation"] == "semantic"
    for stage in stages["stages"]:
        for result in stages[stage].values():
            assert result["passed"] is True or isinstance(result["hint"], str)


def test_autolab_counts_lateness_as_a_problem_of_its_own():
    grade = examples.deviating()

    scores = json.loads(to_autolab(grade).splitlines()[-1])["scores"]

    assert scores["lateness"] == -grade.deadline.penalty < 0


@pytest.mark.parametrize("score", [0.0, 37.5, 100.0])
def test_autolabs_total_is_what_the_staff_has_set(score):
    late = examples.deviating()
    decided = Override(
        score=score, why="heard", by="staff", at=examples.DUE,
        computed_status=late.status, computed_score=late.score,
    )  # fmt: skip

    told = to_autolab(late.model_copy(update={"score": score, "override": decided}))

    scores = json.loads(told.splitlines()[-1])["scores"]
    assert math.fsum(scores.values()) == pytest.approx(score)


# --- PrairieLearn: externalGraderCommon.ts, and the limits of its documentation -----------------


@each
def test_prairielearn_reads_a_share_and_tests_that_all_have_points(grade):
    told = json.loads(json.dumps(to_prairielearn(grade), allow_nan=False).replace("\0", "\ufffd"))

    assert isinstance(told["score"], float)
    assert 0 <= told["score"] <= 1
    if not told["gradable"]:
        assert all(isinstance(line, str) and line for line in told["format_errors"])
        return
    assert told["score"] == pytest.approx(grade.score / grade.max_score)
    assert all({"name", "points", "max_points"} <= test.keys() for test in told["tests"])
    assert len(json.dumps(told)) < 2**20


def test_a_late_submission_is_a_nought_and_a_broken_one_costs_prairielearns_student_no_attempt():
    from grader.errors import Cause

    broken = examples.rejected()
    late = broken.model_copy(update={"cause": Cause.SUBMISSION_LATE, "message": "Too late."})

    assert to_prairielearn(broken)["gradable"] is False
    assert (to_prairielearn(late)["gradable"], to_prairielearn(late)["score"]) == (True, 0.0)
    assert "Too late." in to_prairielearn(late)["message"]


# --- Classroom 50: validate_result of its collect_scores.py -------------------------------------


@each
def test_classroom50_takes_the_record(grade):
    told = json.loads(json.dumps(to_classroom50(grade, "dl-2027", "densenet"), allow_nan=False))

    assert told["schema"] == "classroom50/result/v1"
    assert (told["classroom"], told["assignment"]) == ("dl-2027", "densenet")
    assert told["submission"].startswith("submit/")
    for field in ("submission", "commit", "release", "review", "datetime"):
        assert isinstance(told[field], str)
        assert told[field]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", told["datetime"])
    for record in (told, *told["tests"]):
        for field in ("score", "max-score"):
            assert type(record[field]) is int
            assert record[field] >= 0
        assert record["score"] <= record["max-score"]
    for test in told["tests"]:
        assert isinstance(test["test-name"], str)
        assert test["test-name"]
        assert type(test["passed"]) is bool


def test_half_a_point_is_not_lost_to_whole_numbers():
    grade = examples.full_marks().model_copy(update={"score": 87.5})

    assert to_classroom50(grade, "a", "b")["score"] == 88


def test_the_runners_own_links_are_kept():
    links = {"submission": "submit/x", "commit": "c", "release": "r", "review": "v"}

    told = to_classroom50(examples.full_marks(), "a", "b", links)

    assert {name: told[name] for name in links} == links


# --- all ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "write",
    [
        lambda g: to_autolab(g).splitlines()[0],
        lambda g: json.dumps(to_prairielearn(g)),
        lambda g: json.dumps(to_classroom50(g, "a", "b")),
    ],
    ids=["autolab", "prairielearn", "classroom50"],
)
def test_checks_that_students_do_not_see_are_in_no_students_text(write):
    grade = with_unseen_checks(examples.deviating())

    text = write(grade)

    unseen = {c.name for c in grade.checks} - {c.name for c in for_student(grade, False).checks}
    titles = {c.title for c in grade.checks if c.name in unseen}
    assert unseen
    assert not [name for name in unseen if f'"{name}"' in text]
    assert not [title for title in titles if title in text]


def test_nobodys_feedback_replaces_anothers(tmp_path):
    """A group's submission has one name; "Ada" and "ada" are one file on Windows and macOS."""
    grade = examples.full_marks()
    of_group = grade.submission.model_copy(update={"source": "team1_48213_991245_a.zip"})
    grades = [
        grade.model_copy(update={"student_id": name, "submission": submission})
        for name, submission in (
            ("jdoe", of_group), ("mroe", of_group), ("Ada", grade.submission),
            ("ada", grade.submission),
        )
    ]  # fmt: skip

    export(grades, "feedback", output=tmp_path)

    names = sorted(file.name for file in tmp_path.iterdir())
    assert len({name.casefold() for name in names}) == len(names) == 4
    assert {"team1_48213_991245_feedback.txt", "mroe.txt", "Ada.txt"} < set(names)


@pytest.mark.parametrize(
    ("source", "name"),
    [
        (
            "Jane Doe_48213_assignsubmission_file_/submission.zip",
            "Jane Doe_48213_assignsubmission_file_feedback.txt",
        ),
        (
            "Jane Doe_48213_assignsubmission_file_hw.zip",
            "Jane Doe_48213_assignsubmission_file_feedback.txt",
        ),
        ("doejane_LATE_48213_991245_a.zip", "doejane_LATE_48213_991245_feedback.txt"),
        ("alice/submission.zip", "s1234567.txt"),
        ("../x_1_assignsubmission_file_/a", "s1234567.txt"),
    ],
)
def test_feedback_bears_the_name_that_moodle_and_canvas_take_back(source, name):
    grade = examples.full_marks()
    told = grade.submission.model_copy(update={"source": source})

    found = feedback_name(grade.model_copy(update={"submission": told}), "txt")

    assert found == name
    if "assignsubmission" in found:  # Moodle's importziplib.php: explode("_", "/name", 5)
        parts = f"/{found}".split("_", 4)
        assert (len(parts), parts[1], parts[2:4]) == (5, "48213", ["assignsubmission", "file"])
