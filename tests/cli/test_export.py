"""`grade export` and `grade report RESULTS STUDENT`, as the shell sees them."""

import csv
import json
from xml.etree import ElementTree as ET

import pytest

from tests import examples
from tests.cli.shell import grade

SHEET = "Student,ID,SIS Login ID,DenseNet (77)\n    Points Possible,,,100\nRoe,11,s1234567,\n"


@pytest.fixture
def recorded(tmp_path):
    """A file of grades: full marks, and one with points lost."""
    from grader.export.json import write_json

    write_json([examples.full_marks(), examples.deviating()], tmp_path / "told.json")
    return tmp_path


def test_a_table_is_written_beside_where_one_stands(recorded):
    ran = grade("export", "told.json", "--to", "csv", cwd=recorded)

    assert (ran.returncode, ran.stdout) == (0, "grades.csv: 2 grades\n")
    rows = list(csv.reader((recorded / "grades.csv").read_text(encoding="utf-8").splitlines()))
    assert [row[0] for row in rows] == ["student_id", "s1234567", "s2345678"]


@pytest.mark.parametrize("kind", ["json", "junit"])
def test_one_file_for_all_is_written_where_it_is_asked_for(recorded, kind):
    ran = grade("export", "told.json", "--to", kind, "--output", "out/all", cwd=recorded)

    assert ran.returncode == 0
    text = (recorded / "out" / "all").read_text(encoding="utf-8")
    found = len(json.loads(text)["grades"]) if kind == "json" else len(ET.fromstring(text))
    assert found == 2


def test_a_sheet_is_filled_in_beside_itself_and_says_who_is_left_out(recorded):
    (recorded / "book.csv").write_text(SHEET, encoding="utf-8")

    ran = grade(
        "export", "told.json", "--to", "canvas", "--into", "book.csv", "--column", "DenseNet",
        cwd=recorded,
    )  # fmt: skip

    assert ran.stdout == "book-graded.csv: 1 grades\nleft out: s2345678: not in the sheet\n"
    assert (recorded / "book-graded.csv").read_text(encoding="utf-8").endswith("s1234567,100\n")
    assert (recorded / "book.csv").read_text(encoding="utf-8") == SHEET


@pytest.mark.parametrize("kind", ["gradescope", "autolab", "prairielearn", "feedback"])
def test_each_student_gets_a_file_that_names_no_other(recorded, kind):
    ran = grade("export", "told.json", "--to", kind, cwd=recorded)

    assert ran.returncode == 0
    files = {file.stem: file.read_text(encoding="utf-8") for file in (recorded / kind).iterdir()}
    assert files.keys() == {"s1234567", "s2345678"}
    assert "s2345678" not in files["s1234567"]


@pytest.mark.parametrize("kind", ["classroom50", "gradescope"])
def test_a_platform_without_a_word_for_review_is_not_told_and_the_student_is_named(recorded, kind):
    from grader.export.json import write_json

    write_json([examples.full_marks(), examples.under_review()], recorded / "told.json")

    classroom = ["--classroom", "dl/densenet"] if kind == "classroom50" else []
    ran = grade("export", "told.json", "--to", kind, *classroom, cwd=recorded)

    assert ran.stdout.startswith(f"{kind}: 1 grades\nleft out: ")
    (file,) = (recorded / kind).iterdir()
    told = json.loads(file.read_text(encoding="utf-8"))
    assert told["score"] == 100
    assert told.get("classroom", "dl") == "dl"


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--to", "classroom50"], "needs --classroom CLASSROOM/ASSIGNMENT"),
        (["--to", "csv", "--classroom", "a/b"], "no other format takes it"),
        (["--to", "canvas"], "--to canvas needs --into SHEET"),
        (["--to", "canvas", "--into", "book.csv"], "--to canvas needs --column"),
        (["--to", "csv", "--into", "book.csv"], "are for canvas and moodle"),
        (["--to", "csv", "--pseudonyms"], "--to csv: expected no --pseudonyms"),
        (["--to", "html", "--partial"], "--to html: expected no --partial"),
    ],
)
def test_an_option_that_is_missing_or_of_another_format_is_named(recorded, words, expected):
    ran = grade("export", "told.json", *words, cwd=recorded)

    assert ran.returncode == 2
    assert expected in ran.stderr


def test_one_student_is_found_by_a_part_of_the_name(recorded):
    ran = grade("report", "told.json", "234567", "--quiet", cwd=recorded)
    assert "several students are named so. Received: s1234567, s2345678" in ran.stderr

    ran = grade("report", "told.json", "s23", "--quiet", cwd=recorded)
    assert (ran.returncode, ran.stdout.split()[0]) == (0, "s2345678")

    ran = grade("report", "told.json", "chen", cwd=recorded)
    assert (ran.returncode, "no student is named so" in ran.stderr) == (2, True)


def test_pages_are_written_for_each_student_and_for_the_class(recorded):
    ran = grade("export", "told.json", "--to", "html", cwd=recorded)

    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout == "html: 2 students' pages, and index.html for those who grade\n"
    written = sorted(f.relative_to(recorded).as_posix() for f in recorded.rglob("*.html"))
    assert written == [
        "html/index.html",
        "html/students/s1234567.html",
        "html/students/s2345678.html",
    ]


def test_the_class_page_is_headed_by_the_assignments_title(recorded):
    from grader.resources import assignment_dir

    ran = grade(
        "export", "told.json", "--to", "html", "--assignment", assignment_dir(), cwd=recorded
    )

    assert ran.returncode == 0
    assert "<h1>DenseNet on CIFAR-10</h1>" in (recorded / "html" / "index.html").read_text("utf-8")


def test_the_class_page_names_who_is_on_the_roster_and_who_is_missing(recorded):
    (recorded / "roster.csv").write_text(
        "student_id,name\ns1234567,Ada <b>Roe</b>\nzoe,Zoe Doe\n", encoding="utf-8"
    )
    words = ("export", "told.json", "--to", "html", "--roster", "roster.csv")

    ran = grade(*words, cwd=recorded)

    assert (ran.returncode, ran.stderr) == (0, "")
    index = (recorded / "html" / "index.html").read_text("utf-8")
    assert "Ada &lt;b&gt;Roe&lt;/b&gt;" in index
    assert "Nothing handed in" in index
    assert "Zoe Doe" in index
    pages = (recorded / "html" / "students").glob("*.html")
    assert not [page for page in pages if "Doe" in page.read_text("utf-8")]
    ran = grade(*words, "--pseudonyms", cwd=recorded)
    assert (ran.returncode, "expected no --roster" in ran.stderr) == (2, True)


@pytest.mark.parametrize(
    ("words", "name", "start"),
    [
        ([], "Jane Doe_48213_assignsubmission_file_feedback.html", "<!DOCTYPE html>"),
        (["--as", "page"], "Jane Doe_48213_assignsubmission_file_feedback.html", "<!DOCTYPE html>"),
        (["--as", "text"], "Jane Doe_48213_assignsubmission_file_feedback.txt", "Score: 100 / 100"),
    ],
)
def test_feedback_is_a_page_or_text_under_the_name_that_moodle_takes_back(
    recorded, words, name, start
):
    from grader.export.json import write_json

    one = examples.full_marks()
    source = "Jane Doe_48213_assignsubmission_file_/submission.zip"
    told = one.submission.model_copy(update={"source": source})
    write_json([one.model_copy(update={"submission": told})], recorded / "told.json")

    ran = grade("export", "told.json", "--to", "feedback", *words, cwd=recorded)

    assert (ran.returncode, ran.stdout) == (0, "feedback: 1 grades\n")
    (file,) = (recorded / "feedback").iterdir()
    assert file.name == name
    assert file.read_text("utf-8").startswith(start)


def test_a_hostile_name_writes_no_file_elsewhere(recorded):
    from grader.export.json import write_json

    write_json(
        [examples.full_marks().model_copy(update={"student_id": "../../owned"})],
        recorded / "told.json",
    )
    before = set(recorded.parent.rglob("*owned*"))

    for kind in ("feedback", "gradescope", "autolab", "prairielearn", "html"):
        assert grade("export", "told.json", "--to", kind, cwd=recorded).returncode == 0

    written = set(recorded.parent.rglob("*owned*")) - before
    assert len(written) == 5
    assert all(recorded in file.parents for file in written)
