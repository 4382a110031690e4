"""`--from` says who named the submissions of a class folder."""

import json
import subprocess
import sys

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
