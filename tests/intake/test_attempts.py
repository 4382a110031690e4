"""A student's attempts in folders of their own, and the folders that a platform puts around all."""

import os
import zipfile
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from grader.intake import collect, discover
from grader.intake.attempts import attempt_of, attempts_of
from grader.intake.bulk import holds_a_class, unpack
from grader.intake.discovery import Discovery
from grader.intake.policy import DEFAULT
from tests.intake.test_bulk import zipped
from tests.intake.test_discovery import tree

ZONE = ZoneInfo("Asia/Kolkata")


def of(tmp_path: Path, *names: str) -> Discovery:
    return discover([tree(tmp_path / "class", *names)], zone=ZONE)


def sources(found: Discovery) -> dict[str, list[str]]:
    """Student → the sources of their submissions, the earliest first."""
    told: dict[str, list[tuple[str, str]]] = {}
    for item in found.items:
        identity = item.identity
        own = told.setdefault(identity.person or identity.student_id, [])
        own.append((identity.student_id, item.source))
    return {who: [source for _, source in sorted(own)] for who, own in told.items()}


# --- attempts -----------------------------------------------------------------------------


def test_the_attempts_of_a_student_are_one_students_and_the_highest_number_is_the_latest(
    tmp_path: Path,
) -> None:
    found = of(tmp_path, "jdoe/10/a.zip", "jdoe/9/a.zip", "jdoe/settings.json", "mroe/1/a.zip")

    assert sources(found) == {"jdoe": ["jdoe/9/a.zip", "jdoe/10/a.zip"], "mroe": ["mroe/1/a.zip"]}
    assert "jdoe/settings.json" in found.notices[-1]


def test_a_class_that_hands_in_anew_is_told_in_one_line(tmp_path: Path) -> None:
    found = of(tmp_path, *(f"s{who:02}/{which}/a.zip" for who in range(40) for which in (1, 2)))

    assert len(found.items) == 80
    (notice,) = found.notices
    assert notice.startswith("40 students have several submissions.")
    assert "s00 (2), s01 (2), s02 (2), s03 (2), s04 (2) and 35 more." in notice


@pytest.mark.parametrize(
    "names",
    [
        ["Jane Doe/DenseNet/Version 2/a.zip", "Jane Doe/DenseNet/Version 10/a.zip"],
        ["Jane Doe/DenseNet/Wersja 1/densenet.py", "Jane Doe/DenseNet/Wersja 2/densenet.py"],
        ["Jane Doe/Révision 1/a.zip", "Jane Doe/Révision 2/a.zip"],
        ["Jane Doe/attempt_1/densenet.ipynb", "Jane Doe/attempt_2/densenet.ipynb"],
    ],
)
def test_attempts_are_known_by_a_word_and_a_number(tmp_path: Path, names: list[str]) -> None:
    found = of(tmp_path, *names, "Max Roe/DenseNet/Version 1/a.zip")

    own = [name.removesuffix("/densenet.py").removesuffix("/densenet.ipynb") for name in names]
    assert sources(found)["Jane_Doe"] == own
    assert sources(found)["Max_Roe"] == ["Max Roe/DenseNet/Version 1/a.zip"]


def test_the_time_in_an_attempts_name_is_its_time_and_reports_beside_it_are_no_attempt(
    tmp_path: Path,
) -> None:
    at = "Jane Doe 77 jdoe/2027-09-30-22-58-41"
    other = "Max Roe 78 mroe/2027-09-30-23-00-00/densenet.py"
    found = of(tmp_path, f"{at}/densenet.py", f"{at}.ceg/grade.txt", other)

    item, _ = found.items
    assert item.source == at
    assert item.identity.received_at == datetime(2027, 9, 30, 17, 28, 41, tzinfo=UTC)
    assert "2027-09-30-22-58-41.ceg" in "\n".join(found.notices)


def test_submittys_timestamp_is_the_time_of_an_attempt(tmp_path: Path) -> None:
    root = tree(tmp_path / "class", "jdoe/1/densenet.py", "mroe/1/densenet.py")
    (root / "jdoe/1/.submit.timestamp").write_text("2027-09-30 22:58:41-0400\n")

    jane, max_ = discover([root], zone=ZONE).items

    assert jane.identity.received_at == datetime(2027, 10, 1, 2, 58, 41, tzinfo=UTC)
    assert max_.identity.received_at is None
    whole = zipped(tmp_path / "all.zip", "jdoe/1/.submit.timestamp", "jdoe/1/.hidden")
    there = [p.name for p in unpack(whole, tmp_path, DEFAULT, ZONE).folder.rglob("*")]
    assert ".submit.timestamp" in there
    assert ".hidden" not in there


@pytest.mark.parametrize(
    ("settings", "versions"),
    [
        ('{"active_version": 1, "history": [{"version": 2}]}', ["1"]),
        ('{"active_version": 2}', ["2"]),
        ('{"active_version": 0}', ["1", "2"]),
        ('{"active_version": 9}', ["1", "2"]),
        ('{"active_version": [1]}', ["1", "2"]),
        ("[" * 100_000, ["1", "2"]),
        ("[1]", ["1", "2"]),
    ],
)
def test_the_version_that_a_student_chose_at_submitty_is_the_one(
    tmp_path: Path, settings: str, versions: list[str]
) -> None:
    root = tree(
        tmp_path / "class", "jdoe/1/densenet.py", "jdoe/2/densenet.py", "mroe/1/densenet.py"
    )
    (root / "jdoe/user_assignment_settings.json").write_text(settings)

    found = discover([root], zone=ZONE)

    assert [i.source for i in found.items] == [*(f"jdoe/{v}" for v in versions), "mroe"]
    if len(versions) == 1:
        (other,) = {"1", "2"} - set(versions)
        assert f"as their students chose another version: jdoe/{other}." in found.notices[-1]


def test_the_choice_comes_along_in_a_zip_of_the_class(tmp_path: Path) -> None:
    names = ["jdoe/1/densenet.py", "jdoe/2/densenet.py", "mroe/1/densenet.py", "tpoe/1/densenet.py"]
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        for name in names:
            archive.writestr(f"hw1/{name}", "x = 1\n")
        archive.writestr("hw1/jdoe/user_assignment_settings.json", '{"active_version": 1}')

    folder = unpack(tmp_path / "all.zip", tmp_path / "out", DEFAULT, ZONE).folder

    assert "jdoe/2" not in [item.source for item in discover([folder], zone=ZONE).items]


def test_a_late_attempt_is_a_doubt(tmp_path: Path) -> None:
    names = [f"Doe, Jane/Revision {which}/a.zip" for which in ("1 - On time", "2 - Late")]
    found = of(tmp_path, *names, "Roe, Max/Revision 1 - On time/a.zip")

    first, second, _ = sorted(found.items, key=lambda item: item.source)
    assert first.identity.doubt is None
    assert "as late" in (second.identity.doubt or "")


def test_what_ilias_marks_as_late_is_a_doubt(tmp_path: Path) -> None:
    names = ["Doe_Jane_jdoe_6/Late Submission - a.zip", "Roe_Max_mroe_7/a.zip"]
    names += ["Zola_E_zo_8/Verspaetete Abgabe - a.zip", "Li_W_li_9/late.zip"]

    doubts = {item.source[:3]: bool(item.identity.doubt) for item in of(tmp_path, *names).items}

    assert doubts == {"Doe": True, "Li_": False, "Roe": False, "Zol": True}


def test_no_file_time_makes_an_earlier_attempt_the_later_one(tmp_path: Path) -> None:
    root = tree(tmp_path / "class", "jdoe/1/densenet.py", "jdoe/2/densenet.py", "mroe/1/a.zip")
    os.utime(root / "jdoe/1/densenet.py", (2_000_000_000, 2_000_000_000))
    os.utime(root / "jdoe/2/densenet.py", (1_000_000_000, 1_000_000_000))

    *items, _ = sorted(discover([root], zone=ZONE).items, key=lambda item: item.source)
    times = [collect(item, tmp_path / item.identity.student_id).received_at for item in items]

    assert times == [datetime.fromtimestamp(1_000_000_000, UTC)] * 2


@pytest.mark.parametrize(
    "names",
    [
        ["mal/2027-09-01-10-00-00/densenet.py", "jan/densenet.py", "mia/a.zip"],
        ["mal/2027-09-01-10-00-00/densenet.py"],
        [f"{who}_7_assignsubmission_file_/2027-09-01-10-00-00/densenet.py" for who in ("M", "J")],
    ],
)
def test_a_time_that_a_student_chose_for_a_folder_is_not_believed(
    tmp_path: Path, names: list[str]
) -> None:
    items = of(tmp_path, *names).items

    assert all(item.identity.received_at is None for item in items)
    assert len(items) == len(names)


@pytest.mark.parametrize(
    "name", ["block1", "data", "v", "1a", "2027-13-41-99-99-99", "final 2", "dense 3", "12345"]
)
def test_a_students_own_folder_is_no_attempt(name: str) -> None:
    assert attempt_of(Path(name)) is None


def test_one_folder_of_another_kind_makes_them_all_a_students_own(tmp_path: Path) -> None:
    assert attempts_of([Path("1"), Path("2"), Path("data")]) == []
    assert sources(of(tmp_path, "jan/1/x.npz", "jan/2/x.npz", "mia.zip"))["jan"] == ["jan"]
    (tmp_path / "other").mkdir()
    assert len(of(tmp_path / "other", "jan/densenet.py", "jan/1/a.zip", "mia.zip").items) == 2


# --- the folders around a class -----------------------------------------------------------

TEAMS = [
    "Submitted files/Jane Doe/DenseNet/Version 1/a.zip",
    "Working files/Jane Doe/DenseNet/a.zip",
]
WRAPPED = {
    "teams": [*TEAMS, "Submitted files/Max Roe/DenseNet/Version 1/a.zip"],
    "submitty": ["submissions/hw1/Jane Doe/1/a.zip", "submissions/hw1/Max Roe/1/a.zip"],
    "markus": [f"A1_repo/{who}/A1/densenet.py" for who in ("Jane Doe", "Max Roe", "T")],
    "teams, packed": [
        f"DenseNet/{name}" for name in (*TEAMS, "Submitted files/Max Roe/DenseNet/Version 1/a.zip")
    ],
    "archives": ["HW 3/Jane Doe/a.zip", "HW 3/Max Roe/b.zip"],
    "archives alone": ["HW 3/Jane Doe.zip", "HW 3/Max Roe.zip", "HW 3/T.zip"],
    "named archives": ["dn-submissions/Jane Doe.zip", "dn-submissions/Max Roe.zip"],
    "repositories": ["dn-submissions/Jane Doe/densenet.py", "dn-submissions/Max Roe/densenet.py"],
}


@pytest.mark.parametrize("names", WRAPPED.values(), ids=WRAPPED)
def test_the_folders_around_a_class_are_no_student(tmp_path: Path, names: list[str]) -> None:
    found = of(tmp_path, *names, f"{names[0].partition('/')[0]}/notes.txt")

    assert sources(found).keys() - {"T"} == {"Jane_Doe", "Max_Roe"}
    assert "each folder or archive in it is read as one student's" in found.notices[0]
    assert "notes.txt" in "\n".join(found.notices)


@pytest.mark.parametrize("names", WRAPPED.values(), ids=WRAPPED)
def test_a_zip_of_them_is_a_class(tmp_path: Path, names: list[str]) -> None:
    three = [*names, *(name.replace("Max", "Tom") for name in names if "Max" in name)]

    assert holds_a_class(zipped(tmp_path / "download.zip", *three), DEFAULT)


def test_a_file_beside_the_students_folders_makes_no_difference(tmp_path: Path) -> None:
    names = [*WRAPPED["teams"], "Submitted files/readme.txt"]

    assert holds_a_class(zipped(tmp_path / "download.zip", *names), DEFAULT)


@pytest.mark.parametrize(
    "names",
    [
        ["densenet.zip", "weights.zip", "report.zip"],
        ["densenet.zip", "densenet (1).zip", "densenet-final.zip"],
        ["try 1.zip", "try 2.zip", "version 3.zip"],
        ["a.zip", "b.zip", "c.zip", "train.py"],
        ["final.zip"],
    ],
)
def test_archives_of_one_student_are_no_class(tmp_path: Path, names: list[str]) -> None:
    inside = of(tmp_path / "one", *(f"Jane Doe/{name}" for name in names))
    within = of(tmp_path / "two", *(f"submissions/Jane Doe/{name}" for name in names))

    assert sources(inside).keys() == {"Jane_Doe"}
    assert sources(within).keys() == {"Jane_Doe"}


def test_archives_named_by_numbers_are_several_students(tmp_path: Path) -> None:
    found = of(tmp_path, *(f"HW 3/s{number}.zip" for number in (1234567, 2345678, 3456789)))

    assert len(sources(found)) == 3


def test_the_one_student_of_a_class_keeps_their_folders(tmp_path: Path) -> None:
    one = of(tmp_path, "alice/old/densenet.py", "alice/new/densenet.py")
    assert sources(one) == {"alice": ["alice"]}

    root = tmp_path / "class"
    (root / "alice" / "third").mkdir()
    (root / "alice" / "third" / "densenet.py").write_bytes(b"x")
    assert len(discover([root]).items) == 3
    assert len(discover([root], platform="folders").items) == 1
