"""`--roster` of grade, report and export: who the students are, and who is missing."""

import csv
import json
import shutil

import pytest

from grader.export.json import write_json
from grader.resources import assignment_dir
from tests import examples
from tests.cli.shell import grade

ROSTER = (
    "student_id;name;email;section;canvas\ns1234567;José Doe;jose@uni.edu;A;11\ngone;Max;m@u;B;12\n"
)


@pytest.fixture
def course(tmp_path):
    write_json([examples.full_marks(), examples.deviating()], tmp_path / "told.json")
    (tmp_path / "roster.csv").write_bytes(ROSTER.encode("cp1252"))
    return tmp_path


def test_the_table_names_the_students_and_who_is_missing(course):
    ran = grade("report", "told.json", "--roster", "roster.csv", cwd=course)

    assert "José Doe" in ran.stdout
    (line,) = [line for line in ran.stdout.splitlines() if line.strip().startswith("gone")]
    assert {"missing", "Max"} <= set(line.split())
    assert "nothing handed in: 1 of the roster: gone" in ran.stdout


def test_csv_and_json_have_names_and_a_line_for_who_is_missing(course):
    for kind in ("csv", "json"):
        ran = grade("export", "told.json", "--to", kind, "--roster", "roster.csv", cwd=course)
        assert ran.returncode == 0

    text = (course / "grades.csv").read_text(encoding="utf-8")
    lines = list(csv.DictReader(text.splitlines()))
    assert [(line["student_id"], line["status"], line["name"]) for line in lines] == [
        ("s1234567", "graded", "José Doe"),
        ("s2345678", "graded", ""),
        ("gone", "missing", "Max"),
    ]
    told = json.loads((course / "grades.json").read_text(encoding="utf-8"))
    assert told["missing"] == ["gone"]
    assert told["students"][0] == {
        "student_id": "s1234567", "name": "José Doe", "email": "jose@uni.edu", "section": "A",
    }  # fmt: skip


def test_a_sheet_is_filled_by_an_id_that_only_the_roster_knows(course):
    (course / "book.csv").write_text("Student,ID,D (7)\n    Points Possible,,100\nX,11,\n")

    ran = grade(
        "export", "told.json", "--to", "canvas", "--into", "book.csv", "--column", "D",
        "--roster", "roster.csv", cwd=course,
    )  # fmt: skip

    assert ran.stdout.startswith("book-graded.csv: 1 grades\n")
    assert (course / "book-graded.csv").read_text().endswith("X,11,100\n")


def test_a_roster_where_none_is_read_and_a_bad_line_are_told(course):
    ran = grade("export", "told.json", "--to", "junit", "--roster", "roster.csv", cwd=course)
    assert (ran.returncode, "--roster is for" in ran.stderr) == (2, True)

    (course / "roster.csv").write_text("student_id,name\na,A\n,B\n")
    ran = grade("report", "told.json", "--roster", "roster.csv", cwd=course)
    assert (ran.returncode, "roster.csv, line 3: student_id" in ran.stderr) == (2, True)


@pytest.mark.parametrize("extended", ["doejane_48213", "s1234567", "jose@uni.edu"])
def test_a_class_bears_the_courses_ids_and_extensions_are_found_under_either(tmp_path, extended):
    shutil.copytree(assignment_dir(), tmp_path / "course")
    (tmp_path / "course" / "assignment.toml").write_text(
        (assignment_dir() / "assignment.toml")
        .read_text(encoding="utf-8")
        .replace("[deadline]", '[deadline]\nextensions = "extensions.csv"', 1),
        encoding="utf-8",
    )
    for file in ("extensions.csv",):
        lines = f"student_id,due\n{extended},2099-10-05T23:00:00\n"
        (tmp_path / "course" / file).write_text(lines)
    (tmp_path / "roster.csv").write_text(ROSTER.replace(";11", ";48213"), encoding="utf-8")
    (tmp_path / "class").mkdir()
    (tmp_path / "class" / "doejane_48213_991245_hw.zip").write_text("no zip")
    (tmp_path / "class" / "roe_48214_991246_hw.zip").write_text("no zip either")

    ran = grade(
        "class", "--assignment", "course", "--roster", "roster.csv", "--json", "all.json",
        "--no-evaluation", cwd=tmp_path,
    )  # fmt: skip

    told = json.loads((tmp_path / "all.json").read_text(encoding="utf-8"))
    assert [each["student_id"] for each in told["grades"]] == ["s1234567", "roe_48214"]
    assert told["missing"] == ["gone"]
    assert "Not in the roster: roe_48214." in ran.stderr
    assert "extensions:" not in ran.stderr
