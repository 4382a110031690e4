"""Downloads of platforms without a reader of their own: told apart by rules that hold for many.

Layouts as in the sources: ILIAS `ilExSubmission`, Canvas `content_zipper.rb`, Moodle
`assign::download_submissions`; Google Classroom's and Artemis's as their scripts' users list them.
"""

from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from grader.intake import discover
from grader.intake.bulk import holds_a_class
from grader.intake.discovery import Discovery
from grader.intake.policy import DEFAULT
from grader.intake.roster import load_roster
from tests.intake.test_bulk import zipped
from tests.intake.test_discovery import tree

ZONE = ZoneInfo("Asia/Kolkata")
ROSTER = """student_id,name,email,login,canvas_id,group
1001,Jane Doe,jane.doe@uni.edu,jdoe,77,Team 1
1002,Max van der Roe,max@uni.edu,mroe,78,Team 1
1003,Émile Zola,zola@uni.edu,ezola,79,Team 2
"""


def ids(found: Discovery) -> list[str]:
    return [item.identity.person or item.identity.student_id for item in found.items]


def of(tmp_path: Path, *names: str, roster: str | None = ROSTER) -> Discovery:
    tree(tmp_path / "class", *names)
    if roster is None:
        return discover([tmp_path / "class"], zone=ZONE)
    (tmp_path / "roster.csv").write_text(roster, encoding="utf-8")
    known = load_roster(tmp_path / "roster.csv", ZONE)
    return discover([tmp_path / "class"], zone=ZONE, roster=known)


NAMED = {
    "ilias": ["Doe_Jane_jdoe_6123/submission.zip", "van der Roe_Max_mroe_6124/densenet.py"],
    "artemis": [f"dn-{who}-12-student-submission.repository/a.py" for who in ("jdoe", "mroe")],
    "openolat": ["Doe_Jane_jdoe/submission.zip", "Roe_Max_van_der_mroe/submission.zip"],
    "vpl": ["Jane Doe 77 jdoe/densenet.py", "Max van der Roe 78 mroe/densenet.py"],
    "by address": ["HW1_jane.doe@uni.edu_1.zip", "HW1_max@uni.edu_2.zip"],
    "by number": ["hw3-1001.zip", "hw3-1002.zip"],
    "moodle, of groups": [
        "Team 1-Jane Doe_48_assignsubmission_file_/a.zip",
        "Team 1-Max van der Roe_49_assignsubmission_file_/a.zip",
    ],
}


@pytest.mark.parametrize("names", NAMED.values(), ids=NAMED)
def test_the_roster_tells_whose_a_name_of_any_platform_is(tmp_path: Path, names: list[str]) -> None:
    found = of(tmp_path, *names)

    assert sorted(ids(found)) == ["1001", "1002"]
    assert "in which one student of the roster stands" in "\n".join(found.notices)


def test_a_name_of_two_students_is_left_as_it_is_and_named(tmp_path: Path) -> None:
    found = of(tmp_path, "Jane Doe and Émile Zola.zip", "mroe.zip")

    assert ids(found) == ["Jane_Doe_and_Émile_Zola", "1002"]
    assert "Jane_Doe_and_Émile_Zola (1001, 1003)" in "\n".join(found.notices)


def test_a_team_whose_members_names_stand_in_its_own_counts_for_each(tmp_path: Path) -> None:
    roster = ROSTER.replace(",Team 1", ",").replace(",Team 2", ",")
    found = of(
        tmp_path,
        "Team 7 (Doe, Jane - van der Roe, Max)/a.zip",
        "Team 8 (Zola, Émile)/a.zip",
        roster=roster,
    )

    assert sorted(ids(found)) == ["1001", "1002", "1003"]
    assert "Handed in by a group: 1001, 1002." in found.items[0].identity.remarks
    assert "Teams, whose work counts for each: Team" in "\n".join(found.notices)


@pytest.mark.parametrize(
    ("roster", "name"),
    [
        ("student_id,name\n1,Jane Doe\n2,Jane Doe\n3,Max Roe\n", "Team 7 (Jane Doe)"),
        ("student_id,name\n1,Jane Doe\n2,Doe Roe\n3,Max Poe\n", "Team 3 Jane Doe Roe"),
    ],
    ids=["of one name", "overlapping"],
)
def test_a_team_in_which_one_could_be_somebody_else_is_left_as_it_is(
    tmp_path: Path, roster: str, name: str
) -> None:
    found = of(tmp_path, f"{name}/a.zip", "Max Poe/a.zip", roster=roster)

    assert not {"1", "2"} & set(ids(found))
    assert "were left as they are" in "\n".join(found.notices)


def test_nobody_gets_the_work_of_a_stranger(tmp_path: Path) -> None:
    names = ["Jane Smith/densenet.py", "Doe, Max/densenet.py", "hw-77.zip", "2027-10-01.zip"]

    assert not {"1001", "1002", "1003"} & set(ids(of(tmp_path, *names)))


# --- Google Classroom ---------------------------------------------------------------------


@pytest.mark.parametrize("hyphen", [" - ", "_-_"])
def test_the_title_behind_a_name_in_google_classroom_is_no_part_of_it(
    tmp_path: Path, hyphen: str
) -> None:
    names = [f"Jane Doe{hyphen}submission.zip", f"Jean-Luc Roe{hyphen}submission (1).zip"]
    names += [f"Émile Zola{hyphen}densenet.py", f"Émile Zola{hyphen}densenet.weights.h5"]
    found = of(tmp_path, *names, roster=None)

    assert ids(found) == ["Jane_Doe", "Jean-Luc_Roe", "Émile_Zola"]
    assert [name for name, _ in found.items[2].files] == ["densenet.py", "densenet.weights.h5"]
    assert "Google Classroom" in found.notices[0]
    assert holds_a_class(zipped(tmp_path / "drive.zip", *names), DEFAULT)


NAMED_ONE_BY_ONE = {
    "google": ["Jane Doe - densenet.py", "Jane Doe - densenet.weights.h5", "Max Roe - densenet.py"],
    "canvas": ["doe_48213_991245_densenet.py", "doe_48213_991246_w.h5", "roe_48214_991247_a.zip"],
    "none": ["jan_densenet.py", "jan_recipe.toml", "mia_densenet.py"],
}


@pytest.mark.parametrize("names", NAMED_ONE_BY_ONE.values(), ids=NAMED_ONE_BY_ONE)
def test_the_files_that_a_shell_names_one_by_one_are_read_as_their_folder(
    tmp_path: Path, names: list[str]
) -> None:
    whole = of(tmp_path, *names, roster=None)
    found = discover(sorted((tmp_path / "class").iterdir()), zone=ZONE)

    assert ids(found) == ids(whole)
    assert [item.files for item in found.items] == [item.files for item in whole.items]


def test_files_of_two_folders_are_not_put_together(tmp_path: Path) -> None:
    tree(tmp_path, "a/jan_densenet.py", "b/jan_densenet.py", "b/jan_recipe.toml")

    found = discover(sorted(tmp_path.glob("*/*")), zone=ZONE)

    assert [len(item.files) for item in found.items] == [1, 2]


def test_two_files_of_one_name_in_google_classroom_may_be_two_peoples_and_that_is_said(
    tmp_path: Path,
) -> None:
    names = ["Jane Doe - submission.zip", "Jane Doe - submission (1).zip", "A B - submission.zip"]
    found = of(tmp_path, *names, roster=None)

    assert ids(found) == ["A_B", "Jane_Doe", "Jane_Doe"]
    assert "If they are of several people of that name, use --from files." in found.notices[-1]


@pytest.mark.parametrize(
    "names",
    [["Doe - Jane.zip", "Doe - Max.zip"], ["hw1 - jan.zip", "hw1 - mia.zip"], ["a - b.zip"]],
)
def test_a_hyphen_alone_is_not_google_classrooms(tmp_path: Path, names: list[str]) -> None:
    found = of(tmp_path, *names, roster=None)

    assert ids(found) == [name.removesuffix(".zip").replace(" ", "_") for name in names]


# --- Autolab, PrairieLearn and GitHub Classroom ------------------------------------------


def test_the_versions_of_one_address_in_autolab_are_one_students(tmp_path: Path) -> None:
    names = ["jane_d@uni.edu_9_a.zip", "jane_d@uni.edu_10_a.zip", "max@uni.edu_1_densenet.py"]
    found = of(tmp_path, *names, "max@uni.edu_1_densenet.weights.h5", roster=None)

    assert ids(found) == ["jane_d@uni.edu", "jane_d@uni.edu", "max@uni.edu"]
    last = {item.identity.student_id: item.path.name for item in found.items}["jane_d@uni.edu-2"]
    assert last == "jane_d@uni.edu_10_a.zip"
    assert len(found.items[2].files) == 2
    assert holds_a_class(zipped(tmp_path / "all.zip", *names), DEFAULT)


def test_the_submissions_of_prairielearn_are_told_apart_by_variant_and_number(
    tmp_path: Path,
) -> None:
    start = "jane@uni.edu_1_units/densenet".replace("/", "_")
    names = [f"{start}_1_{number}_densenet.py" for number in (9, 10)]
    names += [f"{start}_1_10_recipe.toml", "max@uni.edu_1_units_densenet_1_1_densenet.py"]
    found = of(tmp_path, *names, roster=None)

    assert ids(found) == ["jane@uni.edu", "jane@uni.edu", "max@uni.edu"]
    files = {item.identity.student_id: [name for name, _ in item.files] for item in found.items}
    assert files["jane@uni.edu-2"] == ["densenet.py", "recipe.toml"]
    assert "PrairieLearn" in found.notices[0]


def test_a_folder_of_clones_is_github_classrooms_without_gits_own_folders(tmp_path: Path) -> None:
    names = ["dn-submissions/dn-jane-doe/densenet.py", "dn-submissions/dn-max/densenet.py"]

    assert ids(of(tmp_path, *names, roster=None)) == ["jane-doe", "max"]


# --- Canvas and Moodle --------------------------------------------------------------------


def test_the_group_of_canvas_is_each_members_though_one_members_number_stands_there(
    tmp_path: Path,
) -> None:
    found = of(tmp_path, "team1_77_991245_submission.zip", "team2_LATE_79_991246_submission.zip")

    assert ids(found) == ["1001", "1002", "1003"]


JANE, MAX = "Jane Doe_9_assignsubmission", "Max van der Roe_8_assignsubmission"
TYPED = {
    "canvas": ["doejane_LATE_77_text.html", "roemax_78_991246_a.zip", "roemax_78_link.html"],
    "moodle": [
        f"{JANE}_onlinetext_/onlinetext.html",
        f"{JANE}_comments_/comments.html",
        f"{MAX}_file_/a.zip",
    ],
    "moodle, flat": [
        f"{JANE}_onlinetext_onlinetext.html",
        f"{MAX}_file_a.zip",
        f"{MAX}_comments_comments.html",
    ],
}


@pytest.mark.parametrize("names", TYPED.values(), ids=TYPED)
def test_who_typed_and_attached_nothing_is_no_missing_student(
    tmp_path: Path, names: list[str]
) -> None:
    assert ids(of(tmp_path, *names)) == ["1001", "1002"]
