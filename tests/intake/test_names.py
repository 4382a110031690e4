"""Who handed it in and when, from the names of five platforms, none of it trusted."""

from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grader.intake.names import ID_LENGTH, identify, safe_id


@pytest.mark.parametrize(
    ("path", "student_id", "platform"),
    [
        ("s1234567.zip", "s1234567", "file"),
        ("jane.doe@uni.edu.zip", "jane.doe@uni.edu", "file"),
        ("Jane Doe.zip", "Jane_Doe", "file"),
        ("archive.tar.gz", "archive", "file"),
        ("doejane_48213_991245_densenet-2.zip", "doejane_48213", "canvas"),
        ("doejane_LATE_48213_991245_densenet.zip", "doejane_48213", "canvas"),
        ("lastname_firstname_12345_678_densenet.zip", "lastname_firstname_12345", "canvas"),
        ("Jane Doe_48213_assignsubmission_file_/hw.zip", "Jane_Doe_48213", "moodle"),
        ("Jane Doe_48213_assignsubmission_file_hw.zip", "Jane_Doe_48213", "moodle"),
        ("hw3_jdoe_attempt_2026-09-30-21-58-41_x.zip", "jdoe", "blackboard"),
        ("submission_48213/hw.zip", "submission_48213", "gradescope"),
        ("submitted/jdoe/hw3/densenet.zip", "jdoe", "nbgrader"),
        ("अनन्या.zip", "अनन्या", "file"),
    ],
)
def test_the_platform_and_the_student_are_read(
    tmp_path: Path, path: str, student_id: str, platform: str
) -> None:
    identity = identify(tmp_path / path)

    assert (identity.student_id, identity.platform) == (student_id, platform)


def test_a_late_mark_of_canvas_is_remarked_on(tmp_path: Path) -> None:
    assert "late" in identify(tmp_path / "doe_LATE_48213_991245_x.zip").remarks[0]


def test_a_local_time_without_a_zone_is_not_guessed(tmp_path: Path) -> None:
    path = tmp_path / "hw3_jdoe_attempt_2026-09-30-21-58-41_x.zip"

    assert identify(path).received_at is None
    assert identify(path, ZoneInfo("Asia/Kolkata")).received_at == datetime(
        2026, 9, 30, 16, 28, 41, tzinfo=UTC
    )


def test_an_impossible_time_is_no_time(tmp_path: Path) -> None:
    assert identify(tmp_path / "hw_j_attempt_2026-13-41-99-99-99_x.zip").platform == "file"


@pytest.mark.parametrize(
    ("text", "when"),
    [
        ("2026-09-30 21:58:41.123456 UTC", datetime(2026, 9, 30, 21, 58, 41, 123456, UTC)),
        ("2026-09-30T21:58:41+00:00\n", datetime(2026, 9, 30, 21, 58, 41, 0, UTC)),
        ("2026-09-30 21:58:41", datetime(2026, 9, 30, 21, 58, 41, 0, UTC)),
        ("yesterday", None),
        ("\xff", None),
    ],
)
@pytest.mark.parametrize("item", ["submitted/jdoe", "submitted/jdoe/hw3"])
def test_the_time_of_nbgrader_is_read(
    tmp_path: Path, text: str, when: datetime | None, item: str
) -> None:
    folder = tmp_path / "submitted" / "jdoe" / "hw3"
    folder.mkdir(parents=True)
    (folder / "timestamp.txt").write_bytes(text.encode("latin-1"))

    identity = identify(tmp_path / item)

    assert identity.student_id == "jdoe"
    assert identity.received_at == when
    assert identity.received_from == ("nbgrader" if when else None)


@pytest.mark.parametrize("text", ["", ".", "..", "../..", "=", "-", "\x1b[31m", "/", "@", "\u202e"])
def test_hostile_names_become_short_plain_ids(text: str) -> None:
    result = safe_id(text)

    assert result.startswith(("unknown-", "_")) or result[0].isalnum()
    assert "/" not in result
    assert result.isprintable()


def test_two_students_are_not_made_one() -> None:
    assert safe_id("a/b") != safe_id("a?b")
    assert safe_id("x" * 100) != safe_id("x" * 101)


@given(st.text(st.characters(codec=None), max_size=200))
def test_any_text_becomes_a_safe_id(text: str) -> None:
    result = safe_id(text)

    assert 1 <= len(result) <= ID_LENGTH
    assert result.isprintable()
    assert not set(result) & set("/\\<>&\"'|;=,` \t\n[]")
    assert result[0] not in ".=+-@"
    assert safe_id(result) == result
