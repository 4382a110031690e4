"""From paths to submissions: each one once, none forgotten, nothing else."""

from pathlib import Path

import pytest

from grader.errors import UsageError
from grader.intake import discover


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
    return [str(path.relative_to(root)) for path in discover(paths or (root,))]


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


def test_hidden_files_clutter_and_results_are_not_submissions(tmp_path: Path) -> None:
    tree(tmp_path, "a.zip", ".b.zip", ".c/densenet.py", "__MACOSX/a.zip", "results/ledger.jsonl")

    assert found(tmp_path) == ["a.zip"]


def test_the_folders_of_moodle_stand_for_the_zips_in_them(tmp_path: Path) -> None:
    tree(tmp_path, "Jane Doe_1_assignsubmission_file_/hw.zip")

    assert found(tmp_path) == ["Jane Doe_1_assignsubmission_file_/hw.zip"]


def test_the_folders_of_nbgrader_stand_for_themselves(tmp_path: Path) -> None:
    tree(tmp_path, "submitted/jane/hw3/densenet.ipynb", "submitted/jane/hw3/timestamp.txt")

    assert found(tmp_path, tmp_path / "submitted") == ["submitted/jane"]


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
