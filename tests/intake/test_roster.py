"""A class's list of students: whatever table it comes in, the same people by every id."""

from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from grader.errors import UsageError
from grader.intake import discover
from grader.intake.roster import Roster, load_roster
from tests.intake.test_discovery import tree

ZONE = ZoneInfo("Asia/Kolkata")

ROSTERS = {
    "own": "student_id,name,email,section,canvas\njdoe,Jane Doe,jane@uni.edu,A,48213\n",
    "canvas": (
        "Student,ID,SIS User ID,SIS Login ID,Section,DenseNet (77)\n"
        "    Points Possible,,,,,100.00\n"
        '"Doe, Jane",48213,jdoe,jane@uni.edu,A,\n'
        '"Student, Test",99,,abcdef0123,A,\n'
    ),
    "moodle": (
        "Identifier,Full name,ID number,Email address,Groups,Status\n"
        "Participant 48213,Jane Doe,jdoe,jane@uni.edu,A,Submitted\n"
    ),
    "gradescope": "First Name,Last Name,SID,Email,Section\nJane,Doe,jdoe,jane@uni.edu,A\n",
    "brightspace": (
        "OrgDefinedId,Username,Last Name,First Name,Email,End-of-Line Indicator\n"
        "#jdoe,#48213,Doe,Jane,jane@uni.edu,#\n"
    ),
    "sakai": (
        "DenseNet,Points\n\n"
        '"Display ID","ID","Last Name","First Name","grade","Submission date","Late submission"\n'
        '"jdoe","48213","Doe","Jane","","Sep 30, 2027 10:58 PM","On time"\n'
    ),
    "github": "identifier,github_username,github_id,name\njdoe,jane-codes,48213,Jane Doe\n",
}


def read(tmp_path: Path, text: str, encoding: str = "utf-8") -> Roster:
    file = tmp_path / "roster.csv"
    file.write_bytes(text.encode(encoding))
    return load_roster(file, ZONE)


@pytest.mark.parametrize("text", ROSTERS.values(), ids=ROSTERS)
def test_the_tables_of_platforms_and_of_courses_name_one_student(tmp_path: Path, text: str) -> None:
    roster = read(tmp_path, text)

    (jane,) = roster.students
    assert jane.name in ("Jane Doe", "Doe, Jane")
    ids = {"jdoe", "48213"} & set(jane.ids)
    for name in (*ids, "Jane_Doe", "doejane", "doejane_48213", jane.email or "jdoe"):
        assert roster.of(name) == jane, name
    assert roster.of("roe") is None


@pytest.mark.parametrize("name", ["jane@uni.edu_3_densenet", "jdoe_3", "jdoe-2"])
def test_a_name_that_begins_with_an_id_is_that_students(tmp_path: Path, name: str) -> None:
    roster = read(tmp_path, ROSTERS["own"])

    assert roster.of(name) == roster.students[0]
    assert roster.of("jdoe_smith") is None


def test_an_id_that_was_recorded_without_the_roster_is_found_in_it(tmp_path: Path) -> None:
    roster = read(tmp_path, ROSTERS["own"])

    assert roster.recorded("Doe_Jane_jdoe_6123") == roster.students[0]
    assert roster.recorded("doejane_48213") == roster.students[0]
    assert roster.recorded("Jane_Smith") is None
    assert roster.missing(["Doe_Jane_jdoe_6123"]) == ()


def test_the_courses_own_id_is_the_student_id(tmp_path: Path) -> None:
    ids = {name: read(tmp_path, text).students[0].student_id for name, text in ROSTERS.items()}

    assert set(ids.values()) == {"jdoe"}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_editors_and_spreadsheets_make_no_difference(
    tmp_path: Path, encoding: str, separator: str
) -> None:
    text = 'Student_ID ,NAME,E-Mail\r\n="007",José Doe,jose@uni.edu\r\n,,\r\n'.replace(
        ",", separator
    )

    (jose,) = read(tmp_path, text, encoding).students

    assert (jose.student_id, jose.name, jose.email) == ("007", "José Doe", "jose@uni.edu")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "roster.csv: expected a first line"),
        ("name,section\nJane,A\n", "roster.csv, line [12]: expected a column with an id"),
        ("student_id,name\njdoe,Jane\n,Max\n", "roster.csv, line 3: student_id: expected an id"),
        (
            "student_id,name\njdoe,Jane\nroe,Max\njdoe,Jan\n",
            r"line 4: student_id: .*'jdoe' again, which stands in line 2",
        ),
        ("student_id,name\njdoe,Doe, Jane\n", "line 2: expected at most 2 values"),
        ('student_id,name\njdoe,"Jane\n', "not valid CSV"),
        ("student_id,name\n", "expected a line for each student"),
        ("student_id,received_at\njdoe,soon\n", "line 2: time of receipt: .*Received: 'soon'"),
    ],
)
def test_a_bad_roster_is_told_by_file_and_line(tmp_path: Path, text: str, expected: str) -> None:
    with pytest.raises(UsageError, match=expected):
        read(tmp_path, text)


def test_a_roster_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        load_roster(tmp_path / "none.csv")


@pytest.mark.parametrize(
    ("header", "written"),
    [
        ("received_at", "2027-09-30T22:58:00"),
        ("submission_timestamp", "2027-09-30 17:28:00 UTC".replace(" UTC", "+00:00")),
        ("Last modified (submission)", '"Thursday, 30 September 2027, 10:58 PM"'),
    ],
)
def test_a_time_of_receipt_comes_along(tmp_path: Path, header: str, written: str) -> None:
    (student,) = read(tmp_path, f"student_id,{header}\njdoe,{written}\n").students

    assert student.received_at == datetime(2027, 9, 30, 17, 28, tzinfo=UTC)


def test_a_name_that_two_students_have_means_neither(tmp_path: Path) -> None:
    roster = read(tmp_path, "student_id,name\na,Jane Doe\nb,Jane Doe\n")

    assert roster.of("Jane_Doe") is None
    assert roster.find(["Jane_Doe", "b"]) == roster.students[1]
    assert roster.find(["a", "b"]) is None


# --- in a class ---------------------------------------------------------------------------


def test_submissions_bear_the_courses_id_and_keep_the_platforms(tmp_path: Path) -> None:
    roster = read(tmp_path, ROSTERS["own"] + "mroe,Max Roe,max@uni.edu,B,48214\n")
    tree(tmp_path / "class", "doejane_48213_991245_a.zip", "stranger_5000_991246_b.zip")

    found = {i.identity.student_id: i for i in discover([tmp_path / "class"], roster=roster).items}

    assert found.keys() == {"jdoe", "stranger_5000"}
    assert found["jdoe"].identity.known_as[0] == "doejane_48213"
    assert "48213" in found["jdoe"].identity.known_as
    assert [s.student_id for s in roster.missing(found)] == ["mroe"]


def test_two_names_of_one_student_are_two_submissions_of_that_student(tmp_path: Path) -> None:
    roster = read(tmp_path, ROSTERS["own"])
    tree(tmp_path / "class", "jdoe.zip", "Jane Doe/submission.zip")

    people = {i.identity.person for i in discover([tmp_path / "class"], roster=roster).items}

    assert people == {"jdoe"}


def test_the_rosters_time_counts_where_nothing_else_tells_and_one_submission_is_meant(
    tmp_path: Path,
) -> None:
    roster = read(
        tmp_path, "student_id,received_at\ndoe,2027-09-30T22:58:00\nroe,2027-09-30T22:58:00\n"
    )
    tree(tmp_path / "class", "doe.zip", "roe.zip", "roe/submission.zip")

    discovery = discover([tmp_path / "class"], roster=roster)
    found = {item.identity.student_id: item for item in discovery.items}

    assert "the roster's time of receipt was not used: roe." in "\n".join(discovery.notices)
    assert found["doe"].identity.received_from == "lms"
    assert found["roe-1"].identity.received_at is None


@pytest.mark.parametrize(
    "name",
    ["rocket1_77001_991245_hw.zip", "Rocket 1/submission.zip", "hw-rocket-1/.git/HEAD"],
)
def test_what_a_group_of_the_roster_handed_in_is_each_members(tmp_path: Path, name: str) -> None:
    roster = read(
        tmp_path, "student_id,name,group\njdoe,Jane,Rocket 1\nmroe,Max,Rocket 1\nlee,Li,\n"
    )
    tree(tmp_path / "hw-submissions", name)

    items = discover([tmp_path / "hw-submissions"], roster=roster).items

    assert [item.identity.student_id for item in items] == ["jdoe", "mroe"]
    assert len({item.path for item in items}) == 1
    assert "Handed in by a group: jdoe, mroe." in items[1].identity.remarks
    assert [s.student_id for s in roster.missing(["jdoe", "mroe"])] == ["lee"]
