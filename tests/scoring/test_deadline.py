"""The deadline counts from the time of receipt alone, to the second, in every zone."""

import inspect
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from grader.assignment import Assignment, load_assignment
from grader.scoring import apply_deadline, describe_policy

SHIPPED = Path(__file__).parents[1] / "example_assignment.toml"
KOLKATA = ZoneInfo("Asia/Kolkata")
DUE = datetime(2027, 9, 30, 23, 0, 0, tzinfo=KOLKATA)


def assignment(due: str = "2027-09-30T23:00:00", zone: str = "Asia/Kolkata", **late) -> Assignment:
    """The shipped assignment with another due date or late policy."""
    shipped = load_assignment(SHIPPED)
    deadline = shipped.deadline.model_dump() | {"due": due, "zone": zone}
    if late:
        deadline["late"] = late
    table = {name: getattr(shipped, name) for name in Assignment.model_fields}
    return Assignment.model_validate(table | {"deadline": deadline})


def late_by(seconds: float, **late):
    received = DUE + timedelta(seconds=seconds)
    return apply_deadline(assignment(**late), "s1", received, "argument", {})


PER_HOUR = {"policy": "per_hour", "deduction": 2.0, "unit": "points"}


def test_the_second_before_the_deadline_is_in_time():
    result = late_by(-1, **PER_HOUR)

    assert (result.seconds_late, result.penalty, result.rejected) == (0, 0, False)


def test_the_second_of_the_deadline_is_in_time():
    result = late_by(0, **PER_HOUR)

    assert (result.seconds_late, result.penalty) == (0, 0)


def test_the_last_fraction_of_the_deadlines_second_is_in_time():
    assert late_by(0.999999, **PER_HOUR).seconds_late == 0


def test_the_second_after_the_deadline_is_late_and_costs_a_started_hour():
    result = late_by(1, **PER_HOUR)

    assert (result.seconds_late, result.penalty) == (1, 2)


@pytest.mark.parametrize(("seconds", "points"), [(3600, 2), (3601, 4), (7200, 4), (7201, 6)])
def test_each_started_hour_costs(seconds, points):
    assert late_by(seconds, **PER_HOUR).penalty == points


@pytest.mark.parametrize(("seconds", "points"), [(1, 10), (86400, 10), (86401, 20), (10**7, 50)])
def test_each_started_day_costs_a_percentage_up_to_the_cap(seconds, points):
    result = late_by(seconds, policy="per_day", deduction=10.0, unit="percent", cap=50.0)

    assert result.penalty == points


def test_a_penalty_without_cap_never_exceeds_the_maximum_score():
    assert late_by(10**9, **PER_HOUR).penalty == 100


def test_rejecting_begins_with_the_first_late_second():
    assert late_by(0, policy="reject").rejected is False
    assert late_by(1, policy="reject").rejected is True
    assert late_by(1, policy="reject").penalty == 0


def test_the_grace_costs_nothing_and_past_it_lateness_counts_from_the_due_time():
    inside = late_by(600, grace_minutes=10.0, **PER_HOUR)
    outside = late_by(601, grace_minutes=10.0, **PER_HOUR)
    second_hour = late_by(3601, grace_minutes=10.0, **PER_HOUR)

    assert (inside.seconds_late, inside.penalty) == (600, 0)
    assert outside.penalty == 2
    assert second_hour.penalty == 4


def test_the_grace_also_delays_rejection():
    assert late_by(600, policy="reject", grace_minutes=10.0).rejected is False
    assert late_by(601, policy="reject", grace_minutes=10.0).rejected is True


def test_the_same_instant_in_another_zone_is_the_same_lateness():
    received = datetime(2027, 9, 30, 17, 30, 1, tzinfo=UTC)

    assert apply_deadline(assignment(), "s1", received, "lms", {}).seconds_late == 1


@pytest.mark.parametrize(
    ("received", "seconds_late"),
    [
        # Berlin sets its clocks back at 03:00 on October 31, 2027: 02:xx comes twice.
        ("2027-10-31T02:59:59+02:00", 0),
        ("2027-10-31T02:00:00+01:00", 0),
        ("2027-10-31T02:30:00+01:00", 0),
        ("2027-10-31T02:30:01+01:00", 1),
        ("2027-10-31T03:00:00+01:00", 1800),
    ],
)
def test_the_hour_that_comes_twice_counts_as_two_hours(received, seconds_late):
    given = assignment(due="2027-10-31T02:30:00+01:00", zone="Europe/Berlin")

    result = apply_deadline(given, "s1", datetime.fromisoformat(received), "lms", {})

    assert result.seconds_late == seconds_late


def test_lateness_over_the_october_change_counts_real_hours_and_not_clock_faces():
    given = assignment("2027-10-30T23:00:00", "Europe/Berlin", **PER_HOUR)
    received = datetime(2027, 10, 31, 4, 0, 0, tzinfo=ZoneInfo("Europe/Berlin"))

    result = apply_deadline(given, "s1", received, "lms", {})

    assert result.seconds_late == 6 * 3600
    assert result.penalty == 12


def test_lateness_over_the_march_change_counts_real_hours_and_not_clock_faces():
    given = assignment("2027-03-14T01:30:00", "America/New_York", **PER_HOUR)
    received = datetime(2027, 3, 14, 3, 30, 0, tzinfo=ZoneInfo("America/New_York"))

    result = apply_deadline(given, "s1", received, "lms", {})

    assert result.seconds_late == 3600
    assert result.penalty == 2


def test_a_grade_made_months_later_is_the_same_grade():
    """No clock is read and none can be handed in: grading time is not an argument."""
    arguments = inspect.signature(apply_deadline).parameters
    source = inspect.getsource(inspect.getmodule(apply_deadline))

    assert list(arguments) == [
        "assignment",
        "student_id",
        "received_at",
        "received_from",
        "extensions",
    ]
    assert not any(clock in source for clock in (".now(", ".today(", ".utcnow(", "time.time"))


def test_an_extension_moves_the_due_time_of_its_student_alone():
    own = {"s1": DUE + timedelta(days=2)}
    received = DUE + timedelta(days=1)

    extended = apply_deadline(assignment(), "s1", received, "lms", own)
    other = apply_deadline(assignment(), "s2", received, "lms", own)

    assert (extended.seconds_late, extended.penalty) == (0, 0)
    assert extended.due == own["s1"]
    assert "2027-09-30 23:00:00" in extended.extension
    assert (other.seconds_late, other.penalty, other.extension) == (86400, 10, None)


def test_lateness_after_an_extension_counts_from_the_extended_due_time():
    own = {"s1": DUE + timedelta(days=2)}

    result = apply_deadline(assignment(), "s1", DUE + timedelta(days=2, seconds=5), "lms", own)

    assert (result.seconds_late, result.penalty) == (5, 10)


def test_an_unknown_time_of_receipt_costs_nothing_and_says_so():
    result = apply_deadline(assignment(policy="reject"), "s1", None, None, {})

    assert (result.seconds_late, result.penalty, result.rejected) == (0, 0, False)
    assert "nothing tells when this was received" in result.rule


def test_a_files_time_is_marked_weak():
    weak = apply_deadline(assignment(), "s1", DUE, "file-time", {})
    strong = apply_deadline(assignment(), "s1", DUE, "lms", {})

    assert weak.weak is True
    assert strong.weak is False


def test_a_time_without_zone_is_a_programming_error():
    with pytest.raises(ValueError, match="expected a time with its zone"):
        apply_deadline(assignment(), "s1", datetime(2027, 9, 30), "lms", {})


@pytest.mark.parametrize(
    ("late", "words"),
    [
        ({"policy": "reject"}, "late submissions are not graded"),
        (PER_HOUR, "2 points off per started hour late"),
        (
            {"policy": "per_day", "deduction": 10.0, "unit": "percent", "cap": 50.0},
            "10% of the maximum score off per started day late, at most 50% of the maximum score",
        ),
        (
            {"policy": "per_hour", "deduction": 1.0, "grace_minutes": 10.0},
            "1 point off per started hour late; the first 10 min cost nothing",
        ),
    ],
)
def test_the_rule_is_said_in_words(late, words):
    assert describe_policy(assignment(**late).deadline.late) == words
