"""Several submissions of a student, from the command line to the exports."""

import csv
import json
import shutil

import pytest

from grader.cli import run
from tests.pipeline.test_regrade import Bench
from tests.report.reading import Page


@pytest.fixture
def bench(tmp_path, monkeypatch):
    """A class in which ada has handed in twice, Canvas says when, and ben copied her first."""
    bench = Bench(tmp_path, monkeypatch)
    folder = tmp_path / "class"
    for path in ("ada/first.zip", "ada/second.zip", "ben/submission.zip"):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(tmp_path / "in" / "ada.zip", folder / "ada" / "first.zip")
    shutil.copyfile(tmp_path / "in" / "ben.zip", folder / "ada" / "second.zip")
    shutil.copyfile(tmp_path / "in" / "ada.zip", folder / "ben" / "submission.zip")
    return bench


def graded(bench, *words, ends_in=0):
    status = bench.words("class", "--json", str(bench.folder / "all.json"), "--jobs", "2", *words)
    assert status == ends_in
    grades = json.loads((bench.folder / "all.json").read_text())["grades"]
    return {g["submission"]["source"]: g for g in grades}


def test_the_json_says_which_counts_and_what_takes_its_place(bench):
    grades = graded(bench)

    first, second = grades["ada/first.zip"], grades["ada/second.zip"]
    assert [g["student_id"] for g in grades.values()] == ["ada", "ada", "ben"]
    assert (second["counts"], second["superseded_by"]) == (True, None)
    assert (first["counts"], first["superseded_by"]) == (False, second["submission"]["sha256"])
    assert grades["ben/submission.zip"]["counts"] is True


def test_the_table_and_the_exports_have_each_student_once(bench, capsys):
    graded(bench)
    table = capsys.readouterr().out
    run(["report", str(bench.results)])
    again = capsys.readouterr().out
    sheet = bench.folder / "grades.csv"
    run(["export", str(bench.results), "--to", "csv", "--output", str(sheet)])
    run(["export", str(bench.results), "--to", "feedback", "--output", str(bench.folder / "f")])

    for text in (table, again):
        assert "2 submissions" in text
        assert "superseded: ada, ada/first.zip (100), by ada/second.zip" in text
    rows = list(csv.DictReader(sheet.read_text().splitlines()))
    assert [row["student_id"] for row in rows] == ["ada", "ben"]
    assert {p.name for p in (bench.folder / "f").iterdir()} == {"ada.html", "ben.html"}


def test_one_students_report_names_the_earlier_submission(bench, capsys):
    graded(bench)
    capsys.readouterr()

    run(["report", str(bench.results), "ada"])

    out = capsys.readouterr().out
    assert "ada/second.zip" in out
    assert "superseded: ada, ada/first.zip" in out


def test_a_copied_file_is_named_to_the_instructor_and_costs_nothing(bench, capsys):
    shutil.copyfile(bench.folder / "in" / "ben.zip", bench.folder / "class/ben/submission.zip")
    grades = graded(bench)
    table = capsys.readouterr().out
    run(["export", str(bench.results), "--to", "feedback", "--output", str(bench.folder / "f")])

    assert "the same file: ada, ben" in table
    assert {g["score"] for g in grades.values()} == {100}
    for file in (bench.folder / "f").iterdir():
        other = {"ada.html": "ben", "ben.html": "ada"}[file.name]
        assert other not in Page(file.read_text()).text
        assert "same file" not in file.read_text()


def test_the_same_command_again_gives_the_same_and_records_nothing(bench):
    first = graded(bench)
    runs = len(bench.sandbox.stages)

    assert graded(bench) == first
    assert len(bench.sandbox.stages) == runs == 3


def test_a_submission_that_joins_an_earlier_one_leaves_it_as_it_was(bench):
    second = bench.folder / "class/ada/second.zip"
    later = shutil.move(second, bench.folder / "later.zip")
    graded(bench)
    shutil.move(later, second)
    grades = graded(bench)

    assert len(bench.sandbox.stages) == 3  # ada's first was not read once more
    assert not grades["ada/first.zip"]["counts"]


def test_the_best_counts_where_the_assignment_says_so(bench):
    bench.change('attempt = "latest"', 'attempt = "best"')
    late = "--submitted-at", "2027-12-24T12:00:00Z"
    bench.words("class/ada/second.zip", "--student-id", "ada", *late)

    grades = graded(bench, ends_in=1)  # one is rejected as too late

    assert grades["ada/first.zip"]["counts"]
    assert not grades["ada/second.zip"]["counts"]


def test_another_word_than_latest_or_best_is_refused(bench, capsys):
    bench.change('attempt = "latest"', 'attempt = "first"')

    assert bench.words("class") == 2
    assert "attempt: expected" in capsys.readouterr().err


def test_results_by_two_assignments_are_not_mixed(bench, capsys):
    bench.words("class/ben/submission.zip", "--student-id", "ben")
    bench.change("accuracy = { points = 18", "accuracy = { points = 38")
    bench.words("class/ada/second.zip", "--student-id", "ada")
    capsys.readouterr()

    run(["report", str(bench.results)])

    out = capsys.readouterr().out
    assert "0 to 100: mean 100.0" in out
    assert "0 to 120: mean 120.0" in out
