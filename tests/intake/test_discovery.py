"""From paths to submissions: each one once, none forgotten, nothing else."""

from collections.abc import Callable
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from grader.errors import UsageError
from grader.intake import discover
from grader.intake.names import Platform
from grader.ledger.database import opened


def tree(root: Path, *names: str) -> Path:
    for name in names:
        place = root / name
        if name.endswith("/"):
            place.mkdir(parents=True, exist_ok=True)
        else:
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(b"x")
    return root


def found(root: Path, *paths: Path) -> list[str]:
    return [str(item.path.relative_to(root)) for item in discover(paths or (root,)).items]


def test_a_file_is_itself_whatever_it_is(tmp_path: Path) -> None:
    tree(tmp_path, "a.rar")

    assert found(tmp_path, tmp_path / "a.rar") == ["a.rar"]


@pytest.mark.parametrize("name", ["densenet.py", "densenet.ipynb"])
def test_a_folder_with_the_module_is_one_submission(tmp_path: Path, name: str) -> None:
    tree(tmp_path, f"s1/{name}", "s1/old/densenet.py", "s1/submission.zip")

    assert found(tmp_path, tmp_path / "s1") == ["s1"]


def test_the_one_top_folder_of_a_folder_is_the_submission(tmp_path: Path) -> None:
    tree(tmp_path, "unpacked/hw/densenet.py", "unpacked/__MACOSX/x")

    assert found(tmp_path, tmp_path / "unpacked") == ["unpacked/hw"]


def test_a_class_folder_is_its_zips_and_folders_in_order(tmp_path: Path) -> None:
    tree(tmp_path, "b.zip", "a/densenet.py", "c/hw/densenet.ipynb", "d.ZIP", "grades.csv")

    assert found(tmp_path) == ["a", "b.zip", "c", "d.ZIP"]


def test_a_folder_without_the_module_is_told_so_not_forgotten(tmp_path: Path) -> None:
    tree(tmp_path, "a.zip", "empty/", "misnamed/DenseNet.py", "wrong.rar")

    assert found(tmp_path) == ["a.zip", "empty", "misnamed", "wrong.rar"]


def test_hidden_files_and_clutter_are_not_submissions(tmp_path: Path) -> None:
    tree(tmp_path, "a.zip", ".b.zip", ".c/densenet.py", "__MACOSX/a.zip", "._b.zip")

    assert found(tmp_path) == ["a.zip"]


def test_the_folders_of_moodle_stand_for_the_zips_in_them(tmp_path: Path) -> None:
    tree(tmp_path, "Jane Doe_1_assignsubmission_file_/hw.zip")

    assert found(tmp_path) == ["Jane Doe_1_assignsubmission_file_/hw.zip"]


def test_the_folders_of_nbgrader_stand_for_themselves(tmp_path: Path) -> None:
    tree(tmp_path, "submitted/jane/hw3/densenet.ipynb", "submitted/jane/hw3/timestamp.txt")

    assert found(tmp_path, tmp_path / "submitted") == ["submitted/jane/hw3"]


def test_a_loose_module_counts_where_a_platform_named_it(tmp_path: Path) -> None:
    tree(tmp_path, "a.zip", "doe_48213_991245_densenet.py", "rename_all.py")

    assert found(tmp_path) == ["a.zip", "doe_48213_991245_densenet.py"]


def test_each_submission_comes_once_in_the_order_given(tmp_path: Path) -> None:
    tree(tmp_path, "a.zip", "b.zip")

    paths = (tmp_path / "b.zip", tmp_path, tmp_path / "b.zip")

    assert found(tmp_path, *paths) == ["b.zip", "a.zip"]


@pytest.mark.parametrize("names", [[], ["notes.txt"], [".hidden/densenet.py"]])
def test_a_folder_with_nothing_to_grade_is_an_error_of_usage(
    tmp_path: Path, names: list[str]
) -> None:
    tree(tmp_path / "class", *names)
    (tmp_path / "class").mkdir(exist_ok=True)

    with pytest.raises(UsageError, match="nothing of the kind"):
        discover([tmp_path / "class"])


def test_a_path_that_is_not_there_is_an_error_of_usage(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="nothing of that name"):
        discover([tmp_path / "missing.zip"])


# --- whose they are -----------------------------------------------------------------------

ZONE = ZoneInfo("Asia/Kolkata")


def students(*paths: Path, platform: Platform | None = None) -> dict[str, str]:
    """student_id → source."""
    return {
        item.identity.student_id: item.source
        for item in discover(paths, zone=ZONE, platform=platform).items
    }


def notices(*paths: Path) -> str:
    return "\n".join(discover(paths, zone=ZONE).notices)


def test_a_folder_per_student_gives_the_folders_name(tmp_path: Path) -> None:
    tree(tmp_path, "alice/submission.zip", "bob/submission.zip", "mallory/alice.zip")

    expected = {"alice": "alice/submission.zip", "bob": "bob/submission.zip"}
    assert students(tmp_path) == expected | {"mallory": "mallory/alice.zip"}
    assert students(*sorted(tmp_path.iterdir())).keys() == {"alice", "bob", "mallory"}
    assert students(*sorted(tmp_path.glob("*/*.zip"))).keys() == {"alice", "bob", "mallory"}


def test_one_students_folder_or_archive_that_is_named_gives_the_folders_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree(tmp_path, "alice/submission.zip", "bob/densenet.py")

    assert students(tmp_path / "alice") == {"alice": "submission.zip"}
    assert students(tmp_path / "alice" / "submission.zip") == {"alice": "submission.zip"}
    monkeypatch.chdir(tmp_path / "bob")
    assert students(Path(".")) == {"bob": "bob"}


def test_names_are_read_alike_for_a_whole_class(tmp_path: Path) -> None:
    forged = "hw3_alice_attempt_2027-09-01-10-00-00_x"
    tree(tmp_path, "alice.zip", "bob.zip", f"{forged}.zip")

    found = discover([tmp_path], zone=ZONE)

    assert [item.identity.student_id for item in found.items] == ["alice", "bob", forged]
    assert all(item.identity.received_at is None for item in found.items)


def test_a_name_that_the_platform_did_not_write_is_remarked_on(tmp_path: Path) -> None:
    tree(tmp_path, "doe_48213_991245_a.zip", "roe_48214_991246_b.zip", "late_by_mail.zip")

    found = {i.identity.student_id: i.identity for i in discover([tmp_path]).items}

    assert found.keys() == {"doe_48213", "roe_48214", "late_by_mail"}
    assert "Canvas" in found["late_by_mail"].remarks[0]
    assert "Canvas" in notices(tmp_path)


def test_the_command_line_says_how_names_are_read(tmp_path: Path) -> None:
    name = "HW_10_2027_jdoe_attempt_2027-09-30-10-00-00_x.zip"
    tree(tmp_path, name, "a/b.zip")

    assert "jdoe" in students(tmp_path, platform="blackboard")
    assert "b" in students(tmp_path, platform="files")
    assert students(tmp_path / name, platform="files").keys() == {name.removesuffix(".zip")}


def test_brightspace_folders_give_person_and_time(tmp_path: Path) -> None:
    tree(tmp_path, "1-2 - Jane Doe - Sep 30, 2027 1058 PM/submission.zip", "index.html")

    (item,) = discover([tmp_path], zone=ZONE).items

    assert item.identity.student_id == "Jane_Doe"
    assert str(item.identity.received_at) == "2027-09-30 22:58:00+05:30"


def test_a_platforms_folder_that_is_named_itself_speaks_for_what_lies_in_it(
    tmp_path: Path,
) -> None:
    folder = "Mal M_48_assignsubmission_file_"
    tree(tmp_path, f"{folder}/Eve_77_assignsubmission_file_x.zip", f"{folder}/Eve_77_2.zip")

    assert students(tmp_path / folder).keys() == {"Mal_M_48-1", "Mal_M_48-2"}


def test_the_export_of_gradescope_is_entered(tmp_path: Path) -> None:
    tree(tmp_path, "assignment_5_export/submission_7/densenet.py", "assignment_5_export/m.yml")

    assert students(tmp_path).keys() == {"submission_7"}


def test_two_submissions_of_one_id_are_both_kept_and_told_apart(tmp_path: Path) -> None:
    tree(tmp_path, "a/alice.zip", "b/alice.zip", "alice-1.zip")
    first, second = tmp_path / "a" / "alice.zip", tmp_path / "b" / "alice.zip"

    found = discover([first, second, tmp_path / "alice-1.zip"], platform="files")

    ids = [item.identity.student_id for item in found.items]
    assert ids == ["alice-2", "alice-3", "alice-1"]
    assert [item.identity.person for item in found.items] == ["alice", "alice", None]
    assert [item.source for item in found.items][:2] == ["a/alice.zip", "b/alice.zip"]
    assert "alice: 2 submissions" in "\n".join(found.notices)


def test_two_names_of_one_file_are_two_submissions(tmp_path: Path) -> None:
    tree(tmp_path, "alice.zip")
    (tmp_path / "bob.zip").symlink_to(tmp_path / "alice.zip")

    assert students(tmp_path).keys() == {"alice", "bob"}


# --- loose files --------------------------------------------------------------------------


def test_loose_files_of_one_student_of_canvas_are_one_submission(tmp_path: Path) -> None:
    tree(
        tmp_path,
        "doe_48213_991245_densenet-1.py",
        "doe_48213_991246_densenet.weights.h5",
        "roe_48214_991247_x.zip",
        "roe_48214_991248_report.pdf",
    )

    doe, roe = discover([tmp_path]).items

    assert [name for name, _ in doe.files] == ["densenet.py", "densenet.weights.h5"]
    assert (doe.identity.student_id, roe.identity.student_id) == ("doe_48213", "roe_48214")
    assert "roe_48214_991248_report.pdf" in notices(tmp_path)
    assert "weights" not in notices(tmp_path)


def test_a_loose_module_or_notebook_is_a_submission_and_other_files_are_named(
    tmp_path: Path,
) -> None:
    tree(tmp_path, "tom_densenet.py", "tom_recipe.toml", "uma.ipynb", "a.zip", "tool.py", "b.csv")

    found = {item.identity.student_id: item for item in discover([tmp_path]).items}

    assert found.keys() == {"a", "tom", "uma"}
    assert [name for name, _ in found["tom"].files] == ["densenet.py", "recipe.toml"]
    assert [name for name, _ in found["uma"].files] == ["densenet.ipynb"]
    assert "Not graded, as no submission: b.csv, tool.py." in notices(tmp_path)


@pytest.mark.parametrize("newer", ["densenet.py", "densenet-1.py"])
def test_of_two_files_of_one_name_the_one_that_came_later_counts(
    tmp_path: Path, newer: str
) -> None:
    tree(tmp_path, "doe_48213_991245_densenet.py", f"doe_48213_991246_{newer}")
    tree(tmp_path, "doe_48213_991247_blocks-1.py")

    (item,) = discover([tmp_path]).items

    files = dict(item.files)
    assert files.keys() == {"densenet.py", "blocks.py"}
    assert "991246" in files["densenet.py"].name
    assert "991245" in item.identity.remarks[0]


# --- nbgrader -----------------------------------------------------------------------------


def test_the_assignment_of_the_module_is_taken_from_a_course_with_several(tmp_path: Path) -> None:
    tree(tmp_path, "submitted/alice/densenet/densenet.py", "submitted/alice/hw1/a.ipynb")
    tree(tmp_path, "submitted/bob/densenet/densenet.zip", "submitted/carl/hw1/a.ipynb")
    root = tmp_path / "submitted"

    assert students(root) == {"alice": "alice/densenet", "bob": "bob/densenet/densenet.zip"}
    assert "densenet is graded" in notices(root)
    assert "carl" in notices(root)
    (tmp_path / "nbgrader_config.py").touch()
    assert students(tmp_path).keys() == {"alice", "bob"}


def test_the_assignment_that_holds_the_module_is_taken_where_none_has_its_name(
    tmp_path: Path,
) -> None:
    tree(tmp_path, "submitted/alice/ps2/densenet.py", "submitted/alice/ps1/a.ipynb")

    assert students(tmp_path / "submitted") == {"alice": "alice/ps2"}


def test_assignments_that_nothing_tells_apart_are_an_error_of_usage(tmp_path: Path) -> None:
    tree(tmp_path, "submitted/alice/ps2/a.py", "submitted/alice/ps1/a.py")

    with pytest.raises(UsageError, match="ps1, ps2"):
        discover([tmp_path / "submitted"])


def test_a_class_folder_that_is_called_submitted_is_a_class_folder(tmp_path: Path) -> None:
    tree(tmp_path, "submitted/alice.zip", "submitted/bob/submission.zip")

    assert students(tmp_path / "submitted").keys() == {"alice", "bob"}


# --- results ------------------------------------------------------------------------------


def test_a_submission_that_holds_a_ledger_is_graded(tmp_path: Path) -> None:
    tree(tmp_path, "alice/densenet.py", "alice/ledger.sqlite", "bob/ledger.sqlite", "bob/runs/x")

    assert students(tmp_path).keys() == {"alice", "bob"}


def of_earlier_versions(results: Path) -> None:
    line = b'{"grade_file": "grades/x.json", "mac": "0", "seq": 1}\n'
    (results / "ledger.jsonl").write_bytes(line)


def of_this_version(results: Path) -> None:
    with opened(results, to_write=True):
        pass


@pytest.mark.parametrize("write", [of_earlier_versions, of_this_version])
def test_a_results_folder_is_recognised_and_said(
    tmp_path: Path, write: Callable[[Path], None]
) -> None:
    tree(tmp_path, "alice.zip", "results/runs/x.json")
    write(tmp_path / "results")

    assert students(tmp_path).keys() == {"alice"}
    assert "results is a results folder" in notices(tmp_path)
    with pytest.raises(UsageError, match="grade report"):
        discover([tmp_path / "results"])
