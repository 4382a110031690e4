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
        ("s1234567.zip", "s1234567", "files"),
        ("jane.doe@uni.edu.zip", "jane.doe@uni.edu", "files"),
        ("Jane Doe.zip", "Jane_Doe", "files"),
        ("archive.tar.gz", "archive", "files"),
        ("doejane_48213_991245_densenet-2.zip", "doejane_48213", "canvas"),
        ("doejane_LATE_48213_991245_densenet.zip", "doejane_48213", "canvas"),
        ("lastname_firstname_12345_678_densenet.zip", "lastname_firstname_12345", "canvas"),
        ("Jane Doe_48213_assignsubmission_file_/hw.zip", "Jane_Doe_48213", "moodle"),
        ("Jane Doe_48213_assignsubmission_file_hw.zip", "Jane_Doe_48213", "moodle"),
        ("hw3_jdoe_attempt_2026-09-30-21-58-41_x.zip", "jdoe", "blackboard"),
        ("LATE_anon_k3jx9_67895_densenet.zip", "anon_k3jx9", "canvas"),
        ("Participant_77_assignsubmission_file/hw.zip", "Participant_77", "moodle"),
        ("submission_48213/hw.zip", "submission_48213", "gradescope"),
        ("12-34 - Jane Doe - Sep 30, 2027 1058 PM/hw.zip", "Jane_Doe", "brightspace"),
        ("12-34 - Jane Doe - Sep 30, 2027 1058 PM - hw.zip", "Jane_Doe", "brightspace"),
        ("submitted/jdoe/hw3/densenet.zip", "jdoe", "nbgrader"),
        ("अनन्या.zip", "अनन्या", "files"),
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
    assert identify(tmp_path / "hw_j_attempt_2026-13-41-99-99-99_x.zip").platform == "files"


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


ZONE = ZoneInfo("Asia/Kolkata")

logins = st.from_regex(r"[a-z]{1,8}", fullmatch=True)
people = st.from_regex(r"[A-Z][a-z]{1,6}( [A-Z][a-z]{1,6}){0,2}", fullmatch=True)
numbers = st.integers(100, 10**7).map(str)
times = st.datetimes(datetime(2000, 1, 1), datetime(2099, 1, 1))
prefixes = st.one_of(
    st.builds("{}_{}{}_{}_".format, logins, st.sampled_from(["", "LATE_"]), numbers, numbers),
    st.builds("{}anon_{}_{}_".format, st.sampled_from(["", "LATE_"]), logins, numbers),
    st.builds("{}_{}_question_{}_{}_".format, logins, numbers, numbers, numbers),
    st.builds("{}_{}_assignsubmission_file_".format, people, numbers),
    st.builds("{}_{}_assignsubmission_file{}/".format, people, numbers, st.sampled_from(["", "_"])),
    st.builds("hw3_{}_attempt_{:%Y-%m-%d-%H-%M-%S}_".format, logins, times),
    st.builds("submission_{}/".format, numbers),
    st.builds("{}-{} - {} - {:%b %d, %Y %I%M %p}/".format, numbers, numbers, people, times),
    st.builds("{}-{} - {} - {:%b %d, %Y %I%M %p} - ".format, numbers, numbers, people, times),
    st.builds("submitted/{}/hw3/".format, logins),
    st.builds("{}@uni.edu_{}_".format, logins, numbers),
)
chosen = st.lists(st.one_of(prefixes, st.text(max_size=12)), max_size=4).map("".join)


@given(prefixes, chosen.filter(lambda text: "\0" not in text and ".." not in text))
def test_nothing_that_a_student_chooses_says_who_or_when(prefix: str, text: str) -> None:
    assert identify(Path(prefix + text), ZONE) == identify(Path(prefix + "x.zip"), ZONE)


@pytest.mark.parametrize(
    ("name", "student_id", "remarks"),
    [
        ("hw3_mal_attempt_2027-10-05-21-58-41_x_eve_attempt_2027-09-01-10-00-00_d.zip", "mal", 0),
        ("mal_LATE_48213_991246_x_eve_attempt_2027-09-01-10-00-00.zip", "mal_48213", 1),
        ("mal_LATE_48213_991247_x_Eve Doe_77_assignsubmission_file_.zip", "mal_48213", 1),
        ("Mal M_48_assignsubmission_file_/Eve Doe_77_assignsubmission_file_.zip", "Mal_M_48", 0),
        ("submission_48213/x_eve_attempt_2027-09-01-10-00-00.zip", "submission_48213", 0),
    ],
)
def test_a_second_platforms_part_in_the_students_own_name_is_not_read(
    name: str, student_id: str, remarks: int
) -> None:
    identity = identify(Path(name), ZONE)

    assert identity.student_id == student_id
    assert len(identity.remarks) == remarks
    assert identity.received_at is None or identity.received_at.month == 10


def test_late_by_canvas_without_a_time_is_a_doubt(tmp_path: Path) -> None:
    assert "late" in (identify(tmp_path / "doe_LATE_48213_991245_x.zip").doubt or "")
    assert identify(tmp_path / "doe_48213_991245_x.zip").doubt is None


@pytest.mark.parametrize(
    ("written", "when"),
    [
        ("Sep 30, 2027 1058 PM", datetime(2027, 9, 30, 22, 58)),
        ("Oct 1, 2027 905 AM", datetime(2027, 10, 1, 9, 5)),
        ("12 September, 2027 12:05 AM", datetime(2027, 9, 12, 0, 5)),
        ("Sep 30, 2027 22.58", datetime(2027, 9, 30, 22, 58)),
        ("Sep 31, 2027 1058 PM", None),
        ("Sep 30, 2027 2258 PM", None),
        ("30 sept. 2027 22 h 58", datetime(2027, 9, 30, 22, 58)),
        ("1 octobre, 2027 2258", datetime(2027, 10, 1, 22, 58)),
        ("12 juin 2027 0005", datetime(2027, 6, 12, 0, 5)),
        ("12 juil. 2027 9:05", datetime(2027, 7, 12, 9, 5)),
        ("30 de diciembre de 2027 10:58 p. m.", datetime(2027, 12, 30, 22, 58)),
        ("3 août 2027 22.58", datetime(2027, 8, 3, 22, 58)),
        ("30. März 2027 22.58", datetime(2027, 3, 30, 22, 58)),
        ("30 foo 2027 22.58", None),
    ],
)
def test_the_time_of_brightspace_is_read_or_a_doubt(written: str, when: datetime | None) -> None:
    identity = identify(Path(f"12-34 - Jane Doe - {written}/x.zip"), ZONE)

    assert identity.student_id == "Jane_Doe"
    assert identity.received_at == (when.replace(tzinfo=ZONE) if when else None)
    assert (identity.doubt is None) == (when is not None)


@pytest.mark.parametrize(
    ("written", "zone", "when"),
    [
        ("2027-10-01 01:00:00.000000 IST", "Asia/Kolkata", "2027-09-30T19:30:00+00:00"),
        ("2027-10-01 01:00:00 IST", "Asia/Jerusalem", None),
        ("2027-12-01 01:00:00 IST", "Asia/Jerusalem", "2027-11-30T23:00:00+00:00"),
        ("2027-10-31 01:30:00 BST", "Europe/London", "2027-10-31T00:30:00+00:00"),
        ("2027-10-31 01:30:00 GMT", "Europe/London", "2027-10-31T01:30:00+00:00"),
        ("2027-10-01 01:00:00 +04", "Asia/Dubai", "2027-09-30T21:00:00+00:00"),
        ("2027-09-30 22:59:00 -0700", "Asia/Kolkata", "2027-10-01T05:59:00+00:00"),
        ("20271001T055900Z", "Asia/Kolkata", "2027-10-01T05:59:00+00:00"),
        ("2027-10-01 01:00:00 PDT", "Asia/Kolkata", None),
        ("30/09/2027 22:58", "Asia/Kolkata", None),
        ("2027-09-30", "Asia/Kolkata", None),
        ("2027-09-30 22:58:00\n2026-09-30 22:58:00", "Asia/Kolkata", None),
        ("", "Asia/Kolkata", None),
        (" " * 300, "Asia/Kolkata", None),
    ],
)
def test_a_time_of_nbgrader_is_read_in_the_zone_that_it_names_or_is_a_doubt(
    tmp_path: Path, written: str, zone: str, when: str | None
) -> None:
    folder = tmp_path / "submitted" / "jdoe" / "hw3"
    folder.mkdir(parents=True)
    (folder / "timestamp.txt").write_text(written)

    identity = identify(folder, ZoneInfo(zone))

    assert identity.received_at == (datetime.fromisoformat(when) if when else None)
    assert (identity.doubt is None) == (when is not None)
    assert bool(identity.remarks) == (when is None)


def test_a_timestamp_inside_the_submission_is_a_file_of_the_students(tmp_path: Path) -> None:
    folder = tmp_path / "submitted" / "jdoe" / "hw3"
    (folder / "work").mkdir(parents=True)
    (folder / "work" / "timestamp.txt").write_text("2027-09-01 10:00:00 UTC")
    (folder.parent / "timestamp.txt").write_text("2027-09-01 10:00:00 UTC")

    assert identify(folder, ZONE).received_at is None
    assert identify(folder.parent, ZONE).received_at is None


def test_a_timestamp_that_is_a_link_is_a_doubt(tmp_path: Path) -> None:
    folder = tmp_path / "submitted" / "jdoe" / "hw3"
    folder.mkdir(parents=True)
    (tmp_path / "elsewhere").write_text("2027-09-01 10:00:00 UTC")
    (folder / "timestamp.txt").symlink_to(tmp_path / "elsewhere")

    assert identify(folder, ZONE).doubt


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
