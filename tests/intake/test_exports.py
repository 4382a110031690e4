"""What learning platforms give to download: whose each submission is, and when it came."""

from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from grader.intake import discover
from grader.intake.discovery import Discovery
from grader.intake.gradescope import read_metadata
from grader.intake.items import Item
from tests.intake.test_discovery import tree

ZONE = ZoneInfo("Asia/Kolkata")


def found(*paths: Path) -> dict[str, Item]:
    return {item.identity.student_id: item for item in of(*paths).items}


def of(*paths: Path) -> Discovery:
    return discover(paths, zone=ZONE)


def notices(*paths: Path) -> str:
    return "\n".join(of(*paths).notices)


# --- Canvas -------------------------------------------------------------------------------


def test_where_canvas_marks_who_is_late_the_others_are_in_time_whatever_a_copy_says(
    tmp_path: Path,
) -> None:
    tree(tmp_path, "doe_48213_991245_a.zip", "roe_LATE_48214_991246_b.zip")

    students = found(tmp_path)

    assert students["doe_48213"].identity.in_time
    assert students["roe_48214"].identity.doubt
    assert students["doe_48213"].identity.known_as == ("48213", "doe")


def test_where_canvas_marks_nobody_a_missing_mark_says_nothing(tmp_path: Path) -> None:
    tree(tmp_path, "doe_48213_991245_a.zip", "roe_48214_991246_b.zip")

    assert not any(item.identity.in_time for item in found(tmp_path).values())


def test_of_two_archives_from_canvas_the_one_with_the_higher_number_is_the_later(
    tmp_path: Path,
) -> None:
    tree(tmp_path, "doe_48213_99999_a.zip", "doe_48213_100000_a-1.zip", "roe_48214_100001_a.zip")

    students = found(tmp_path)

    assert list(students) == ["doe_48213-1", "doe_48213-2", "roe_48214"]
    assert students["doe_48213-2"].path.name == "doe_48213_100000_a-1.zip"
    assert students["doe_48213-2"].identity.person == "doe_48213"


def test_who_handed_in_nothing_of_use_is_a_submission_that_will_be_told_so(tmp_path: Path) -> None:
    tree(tmp_path, "doe_48213_991245_report.pdf", "doe_48213_991246_data.csv")
    tree(tmp_path, "roe_48214_991247_a.zip", "roe_48214_991248_report.pdf")

    students = found(tmp_path)

    assert students.keys() == {"doe_48213", "roe_48214"}
    assert {name for name, _ in students["doe_48213"].files} == {"report.pdf", "data.csv"}
    assert "Not graded, as no submission: roe_48214_991248_report.pdf." in notices(tmp_path)


def test_the_small_numbers_of_a_small_canvas_are_read_where_canvas_is_known(
    tmp_path: Path,
) -> None:
    tree(tmp_path, "o_brien_12345_9_a_1_2.zip", "doe_7_8_densenet.py", "LATE_anon_x7Ab2_9_s.zip")

    items = discover([tmp_path], zone=ZONE, platform="canvas").items

    assert {i.identity.student_id for i in items} == {"o_brien_12345", "doe_7", "anon_x7Ab2"}


# --- Moodle -------------------------------------------------------------------------------


def test_a_flat_download_of_moodle_puts_a_persons_files_together(tmp_path: Path) -> None:
    start = "Jane Doe_48213_assignsubmission"
    tree(tmp_path, f"{start}_file_densenet.py", f"{start}_file_densenet.weights.h5")
    tree(
        tmp_path,
        f"{start}_onlinetext_onlinetext.html",
        "Participant_77_assignsubmission_file_a.zip",
    )

    students = found(tmp_path)

    assert students.keys() == {"Jane_Doe_48213", "Participant_77"}
    assert students["Jane_Doe_48213"].source == f"{start}_file_densenet.py"
    assert [n for n, _ in students["Jane_Doe_48213"].files] == [
        "densenet.py",
        "densenet.weights.h5",
    ]
    assert students["Jane_Doe_48213"].identity.known_as == ("48213", "Jane_Doe")
    assert "onlinetext.html" in notices(tmp_path)


def test_the_text_beside_a_file_of_moodle_is_no_submission_and_is_named(tmp_path: Path) -> None:
    start = "Jane Doe_48213_assignsubmission"
    tree(tmp_path, f"{start}_file/hw/densenet.py", f"{start}_onlinetext/onlinetext.html")

    assert found(tmp_path).keys() == {"Jane_Doe_48213"}
    assert "assignsubmission_onlinetext" in notices(tmp_path)


# --- Blackboard ---------------------------------------------------------------------------

NOTE = """Name: Jane Doe (jane_doe)
Assignment: HW 3
Date Submitted: Wednesday, September 30, 2026 9:58:41 PM EDT
Current Mark: Needs Grading

Submission Field:
There is no student submission text data for this assignment.

Comments:
Trained twice.
The second run is better.

Files:
\tOriginal filename: densenet.zip
\tFilename: HW 3_jane_doe_attempt_2026-09-30-21-58-41_densenet.zip
"""


def test_blackboards_note_tells_a_login_with_an_underscore_and_the_students_words(
    tmp_path: Path,
) -> None:
    attempt = "HW 3_jane_doe_attempt_2026-09-30-21-58-41"
    tree(tmp_path, f"{attempt}_densenet.zip", "HW 3_roe_attempt_2026-09-30-21-00-00_a.zip")
    (tmp_path / f"{attempt}.txt").write_text(NOTE)

    students = found(tmp_path)

    assert students.keys() == {"jane_doe", "roe"}
    identity = students["jane_doe"].identity
    assert identity.known_as == ("Jane_Doe",)
    assert identity.remarks == ("The student wrote: Trained twice. The second run is better.",)
    assert identity.received_at == datetime(2026, 10, 1, 1, 58, 41, tzinfo=UTC)
    assert students["roe"].identity.received_at == datetime(2026, 9, 30, 15, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("line", "when"),
    [
        ("Wednesday, September 30, 2026 9:58:41 PM IST", "2026-09-30T16:28:41+00:00"),
        ("Wednesday, 30 September 2026 21:58:41 UTC", "2026-09-30T21:58:41+00:00"),
        ("Wednesday, September 30, 2026 at 9:58:41 PM EDT", "2026-09-30T16:28:41+00:00"),
        ("Wednesday, September 30, 2026 9:58:41 PM", "2026-09-30T16:28:41+00:00"),
        ("Wednesday, September 30, 2026 9:58:41 PM AEST", None),
    ],
)
def test_the_zone_of_blackboards_note_counts_or_is_a_doubt(
    tmp_path: Path, line: str, when: str | None
) -> None:
    attempt = "HW_roe_attempt_2026-09-30-21-58-41"
    tree(tmp_path, f"{attempt}_a.zip")
    (tmp_path / f"{attempt}.txt").write_text(
        f"Name: Max Roe (roe)\nAssignment: HW\nDate Submitted: {line}\n\nComments:\n"
        "Date Submitted: Monday, August 3, 2026 9:00:00 AM EDT\n"
    )

    identity = found(tmp_path)["roe"].identity

    assert identity.received_at == (datetime.fromisoformat(when) if when else None)
    assert (identity.doubt is None) == (when is not None)


def test_an_attempt_of_blackboard_that_is_a_note_alone_is_named(tmp_path: Path) -> None:
    tree(tmp_path, "HW_roe_attempt_2026-09-30-21-00-00_a.zip")
    tree(
        tmp_path, "HW_roe_attempt_2026-09-30-21-00-00.txt", "HW_max_attempt_2026-09-30-22-00-00.txt"
    )

    told = notices(tmp_path)

    assert "HW_max_attempt" in told
    assert "HW_roe_attempt" not in told


def test_attempts_of_blackboard_are_in_the_order_in_which_they_came(tmp_path: Path) -> None:
    tree(tmp_path, "HW_roe_attempt_2026-09-30-21-00-00_z.zip")
    tree(tmp_path, "HW_roe_attempt_2026-10-01-08-00-00_a.zip")

    students = found(tmp_path)

    assert students["roe-2"].path.name.endswith("_a.zip")
    assert students["roe-1"].identity.person == "roe"


# --- Brightspace --------------------------------------------------------------------------


def test_two_people_of_one_name_in_brightspace_are_not_taken_for_one(tmp_path: Path) -> None:
    tree(tmp_path, "12-34 - Jane Doe - Sep 30, 2027 1058 PM/densenet.py")
    tree(tmp_path, "12-35 - Jane Doe - Sep 30, 2027 1059 PM/densenet.py")

    students = found(tmp_path)

    assert students.keys() == {"Jane_Doe-1", "Jane_Doe-2"}
    assert all(item.identity.person is None for item in students.values())
    assert "several people" in notices(tmp_path)


def test_loose_files_of_two_people_of_one_name_stay_apart(tmp_path: Path) -> None:
    when = "Jane Doe - Sep 30, 2027 1058 PM"
    tree(tmp_path, f"12-34 - {when} - densenet.py", f"12-35 - {when} - densenet.py")

    assert [len(item.files) for item in found(tmp_path).values()] == [1, 1]


def test_the_courses_id_in_a_name_of_brightspace_is_known(tmp_path: Path) -> None:
    tree(tmp_path, "123-45 - n0123456 - Jane-Ann Doe- Sep 30, 2027 1058 PM - a.zip")
    tree(tmp_path, "124-45 - Max Roe - 30 septembre 2027 22 h 58 - a.zip")

    students = found(tmp_path)

    assert students.keys() == {"n0123456", "Max_Roe"}
    assert students["n0123456"].identity.known_as == ("123-45", "Jane-Ann_Doe")
    assert all(item.identity.received_at is not None for item in students.values())


def test_two_submissions_of_one_number_in_brightspace_are_one_persons(tmp_path: Path) -> None:
    tree(tmp_path, "12-34 - Jane Doe - Sep 30, 2027 1058 PM/densenet.py")
    tree(tmp_path, "12-34 - Jane Doe - Sep 30, 2027 1059 PM/densenet.py")

    assert {i.identity.person for i in found(tmp_path).values()} == {"Jane_Doe"}


# --- Sakai --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "when"),
    [
        ("20270930172841123", datetime(2027, 9, 30, 17, 28, 41, tzinfo=UTC)),
        ("2027-09-30T17:28:41.123Z", datetime(2027, 9, 30, 17, 28, 41, 123000, tzinfo=UTC)),
        ("Sep 30, 2027 10:58 pm", datetime(2027, 9, 30, 17, 28, tzinfo=UTC)),
        ("yesterday", None),
        ("20271345000000000", None),
    ],
)
def test_the_folders_of_sakai_give_login_and_time_or_a_doubt(
    tmp_path: Path, written: str, when: datetime | None
) -> None:
    root = tmp_path / "Homework 1"
    tree(root, "Doe, Jane(jdoe)/Submission attachment(s)/submission.zip", "grades.csv")
    tree(root, "Doe, Jane(jdoe)/comments.txt", "Doe, Jane(jdoe)/feedbackText.html")
    tree(root, "Roe, Max(mroe)/Submission attachment(s)/densenet.py")
    (root / "Doe, Jane(jdoe)" / "timestamp.txt").write_text(written)

    students = found(tmp_path)

    assert students.keys() == {"jdoe", "mroe"}
    identity = students["jdoe"].identity
    assert identity.received_at == when
    assert (identity.doubt is None) == (when is not None)
    assert identity.known_as[0].startswith("Doe_Jane")
    assert students["mroe"].source == "Roe, Max(mroe)/Submission attachment(s)"


def test_a_groups_folder_of_sakai_is_each_members(tmp_path: Path) -> None:
    group = "Doe, Jane(jdoe); Roe, Max(mroe); Li,(liwei)"
    tree(tmp_path, f"{group}/Submission attachment(s)/a.zip", "Zola, É(ezola)/timestamp.txt")
    (tmp_path / group / "timestamp.txt").write_text("20270930172841123")

    students = found(tmp_path)

    assert students.keys() == {"jdoe", "mroe", "liwei", "ezola"}
    for login in ("jdoe", "mroe", "liwei"):
        assert students[login].identity.received_at is not None
        assert students[login].path.name == "a.zip"
    assert students["mroe"].identity.known_as[0].startswith("Roe_Max")


def test_files_side_by_side_from_sakai_are_of_all_who_handed_them_in(tmp_path: Path) -> None:
    both = "Doe, Jane(jdoe); Roe, Max(mroe)_Submission attachment(s)_"
    tree(tmp_path, f"{both}densenet.py", f"{both}densenet.weights.h5")

    students = found(tmp_path)

    assert students.keys() == {"jdoe", "mroe"}
    assert [len(item.files) for item in students.values()] == [2, 2]


def test_sakais_anonymous_folders_and_those_in_another_language_are_read(tmp_path: Path) -> None:
    tree(tmp_path / "a", "d3f-91 anonymous/Submission attachment(s)/a.zip", "grades.csv")
    tree(tmp_path / "a", "a77-02 anonymous/Submission attachment(s)/densenet.py")
    (tmp_path / "a" / "d3f-91 anonymous" / "timestamp.txt").write_text("20270930172841123")
    tree(tmp_path / "b", "Doe, Jane(jdoe)/timestamp.txt", "Doe, Jane(jdoe)/Pièces jointes/a.zip")

    anonymous, french = found(tmp_path / "a"), found(tmp_path / "b")

    assert anonymous.keys() == {"d3f-91_anonymous", "a77-02_anonymous"}
    assert anonymous["d3f-91_anonymous"].identity.received_at is not None
    assert french["jdoe"].path.name == "a.zip"


def test_a_text_that_a_student_typed_into_sakai_is_named(tmp_path: Path) -> None:
    tree(tmp_path, "Roe, Max(mroe)/Submission attachment(s)/densenet.py")
    tree(tmp_path, "Roe, Max(mroe)/Roe, Max(mroe)_submissionText.html", "Doe, J(jd)/timestamp.txt")

    assert "submissionText.html" in notices(tmp_path)
    assert found(tmp_path).keys() == {"mroe", "jd"}


def test_folders_that_end_in_brackets_are_not_sakais_by_that_alone(tmp_path: Path) -> None:
    tree(tmp_path, "alice (1)/densenet.py", "bob (2)/densenet.py")

    assert {name.split("_")[0] for name in found(tmp_path)} == {"alice", "bob"}
    assert "Sakai" not in notices(tmp_path)


# --- Gradescope ---------------------------------------------------------------------------

METADATA = """---
submission_7:
  :submitters:
  - :name: "Jos\\xE9 Doe"
    :sid: '12345'
    :email: jose@uni.edu
  - :name: 'A name that is long enough to be folded by the program that wrote it, see there
      :sid: 666'
    :sid:
    :email: max@uni.edu
  :created_at: 2027-09-30 17:28:41.158250000 Z
  :score: 10.0
  :results:
    tests:
    - output: |
        submission_8:
          :submitters:
          - :name: Eve
      name: x
  :history:
  - :id: 3
    :created_at: 2027-01-01 00:00:00.000000000 Z
    :submitters:
    - :name: Mallory
      :sid: '1'
submission_8:
  :submitters:
  - :name: Roe
    :sid: '777'
    :email: roe@uni.edu
  :created_at: !ruby/object:ActiveSupport::TimeWithZone
    utc: &1 2027-09-30 18:00:00.000000000 Z
    zone: !ruby/object:ActiveSupport::TimeZone
      name: America/Los_Angeles
    time: 2027-09-30 11:00:00.000000000 Z
submission_9:
  :submitters:
  - :name: Gone
    :sid: '9'
    :email: gone@uni.edu
  :created_at: soon
"""


@pytest.fixture
def gradescope(tmp_path: Path) -> Path:
    export = tmp_path / "assignment_5_export"
    tree(export, "submission_7/densenet.py", "submission_8/submission.zip", "submission_10/a.py")
    (export / "submission_metadata.yml").write_text(METADATA, encoding="utf-8")
    return tmp_path


def test_gradescopes_metadata_tells_who_and_when(gradescope: Path) -> None:
    students = found(gradescope)

    assert students.keys() == {"12345", "max@uni.edu", "777", "submission_10"}
    assert students["12345"].identity.known_as == ("jose@uni.edu", "José_Doe", "submission_7")
    assert students["777"].identity.received_at == datetime(2027, 9, 30, 18, tzinfo=UTC)
    assert students["777"].identity.received_from == "lms"
    assert "does not say whose" in students["submission_10"].identity.remarks[0]


def test_a_groups_submission_counts_for_each_of_its_members(gradescope: Path) -> None:
    one, other = (found(gradescope)[name] for name in ("12345", "max@uni.edu"))

    assert one.path == other.path
    assert one.identity.received_at == other.identity.received_at
    assert "Handed in together with 12345." in other.identity.remarks


def test_what_gradescope_names_and_did_not_export_is_told(gradescope: Path) -> None:
    assert "submission_9" in notices(gradescope)
    assert found(gradescope / "assignment_5_export").keys() == found(gradescope).keys()


def test_only_a_submissions_own_lines_are_read_of_the_metadata(tmp_path: Path) -> None:
    (tmp_path / "m.yml").write_text(METADATA, encoding="utf-8")

    read = read_metadata(tmp_path / "m.yml")

    assert [person["sid"] for person in read["submission_7"].people] == ["12345", ""]
    assert read["submission_8"].people[0]["name"] == "Roe"
    assert read["submission_9"].received_at is None
    assert read_metadata(tmp_path / "none.yml") == {}


# --- GitHub Classroom ---------------------------------------------------------------------


def test_repositories_of_github_classroom_are_their_owners(tmp_path: Path) -> None:
    root = tmp_path / "densenet-submissions"
    tree(root, "densenet-jane-doe/.git/HEAD", "densenet-jane-doe/densenet.py")
    tree(root, "densenet-jan/.git/HEAD", "densenet-jan/src/densenet.py", "densenet-jan/README.md")

    assert found(root).keys() == {"jane-doe", "jan"}
    root.rename(tmp_path / "downloaded")
    assert found(tmp_path / "downloaded").keys() == {"jane-doe", "jan"}
