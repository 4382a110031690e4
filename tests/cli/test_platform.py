"""`--from` says who named the submissions of a class folder."""

import json
import subprocess
import sys
import zipfile

import pytest


def students(folder, *words):
    """Who handed in what, of files that are refused before anything runs."""
    subprocess.run(
        [
            sys.executable,
            "-m",
            "grader.cli",
            "class",
            "--json",
            "grades.json",
            "--no-evaluation",
            *words,
        ],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    return {
        grade["student_id"] for grade in json.loads((folder / "grades.json").read_text())["grades"]
    }


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--from", "files"], {"doejane_123_456_submission", "roerichard_LATE_124_457_submission"}),
        (["--from", "canvas"], {"doejane_123", "roerichard_124"}),
    ],
    ids=["files", "canvas"],
)
def test_the_platform_that_is_named_says_what_a_name_means(tmp_path, words, expected):
    (tmp_path / "class").mkdir()
    for name in ("doejane_123_456_submission", "roerichard_LATE_124_457_submission"):
        (tmp_path / "class" / f"{name}.zip").write_text(f"no zip, of {name}\n")

    assert students(tmp_path, *words) == expected


METADATA = """---
submission_7:
  :submitters:
  - :name: Jane Doe
    :sid: '12345'
    :email: jane@uni.edu
  - :name: Max Roe
    :sid: '777'
    :email: max@uni.edu
  :created_at: 2027-09-30 17:28:41.158250000 Z
"""


def test_a_platforms_one_zip_is_graded_as_the_class_that_it_holds(tmp_path):
    with zipfile.ZipFile(tmp_path / "export.zip", "w") as archive:
        archive.writestr("assignment_5_export/submission_metadata.yml", METADATA)
        archive.writestr("assignment_5_export/submission_7/hw.zip", "no zip")
        archive.writestr("assignment_5_export/submission_8/hw.zip", "no zip either")
        archive.writestr("assignment_5_export/notes.pdf", "x")

    ran = subprocess.run(
        [sys.executable, "-m", "grader.cli", "export.zip", "--json", "grades.json"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )

    grades = json.loads((tmp_path / "grades.json").read_text())["grades"]
    found = {g["student_id"]: g["submission"] for g in grades}
    assert found.keys() == {"12345", "777", "submission_8"}
    assert found["12345"]["source"] == found["777"]["source"] == "submission_7/hw.zip"
    assert found["777"]["received_at"] == "2027-09-30T17:28:41.158250Z"
    assert found["777"]["received_from"] == "lms"
    assert "export.zip: read as the submissions of a class" in ran.stderr
    assert "Not graded, as no submission: notes.pdf." in ran.stderr
    assert ran.returncode == 1


def test_a_student_whose_files_are_of_no_use_is_rejected_with_their_names(tmp_path):
    (tmp_path / "class").mkdir()
    (tmp_path / "class" / "doejane_48213_991245_report.pdf").write_text("x")
    (tmp_path / "class" / "roemax_48214_991246_hw.zip").write_text("no zip")

    assert students(tmp_path) == {"doejane_48213", "roemax_48214"}
    (jane, _) = json.loads((tmp_path / "grades.json").read_text())["grades"]
    assert jane["status"] == "rejected"
    assert "densenet.py" in jane["message"]
