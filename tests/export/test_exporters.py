"""Other programs' formats: each as its program reads it, harmless whatever the student wrote."""

import csv
import io
import json
import re
from xml.etree import ElementTree as ET

import pytest

from grader.errors import UsageError
from grader.export import (
    write_canvas,
    write_csv,
    write_gradescope,
    write_junit,
    write_moodle,
)
from grader.export.csv import COLUMNS, safe_cell
from grader.export.gradebook import Why
from grader.intake.roster import load_roster

CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def all_grades(examples):
    return [one() for one in (*examples.ALL, examples.hostile)]


def table(file) -> list[list[str]]:
    return list(csv.reader(io.StringIO(file.read_bytes().decode("utf-8"), newline="")))


# --- Gradescope ---------------------------------------------------------------------------


def gradescope(grade, folder):
    write_gradescope(grade, folder / "results.json")
    return json.loads((folder / "results.json").read_text(encoding="utf-8"))


def test_gradescope_gets_the_score_after_the_penalty_and_a_test_for_each_check(examples, tmp_path):
    grade = examples.deviating()

    results = gradescope(grade, tmp_path)

    assert results["score"] == grade.score == 45
    assert len(results["tests"]) == len(grade.checks)
    first = results["tests"][0]
    assert (first["score"], first["max_score"], first["status"]) == (4, 4, "passed")
    assert "dense_block, layer 3" in str(results["tests"])


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [("visible", "visible"), ("hidden", "hidden"), ("after_due", "after_due_date")],
)
def test_gradescope_gets_each_checks_visibility_in_its_own_words(examples, tmp_path, ours, theirs):
    grade = examples.full_marks()
    hidden = grade.checks[0].model_copy(update={"visibility": ours})

    results = gradescope(grade.model_copy(update={"checks": (hidden,)}), tmp_path)

    assert results["tests"][0]["visibility"] == theirs


@pytest.mark.parametrize("name", ["under_review", "withheld"])
def test_gradescope_gets_no_score_where_nobody_earned_or_lost_any(examples, tmp_path, name):
    results = gradescope(getattr(examples, name)(), tmp_path)

    assert "score" not in results
    assert "tests" not in results
    assert results["output"]


def test_gradescope_gets_zero_and_the_reason_for_a_rejected_submission(examples, tmp_path):
    results = gradescope(examples.rejected(), tmp_path)

    assert results["score"] == 0
    assert "Received: a RAR archive" in results["output"]


def test_gradescope_gets_no_control_codes(examples, tmp_path):
    write_gradescope(examples.hostile(), tmp_path / "results.json")

    text = json.loads((tmp_path / "results.json").read_text(encoding="utf-8"))
    assert not CONTROL.search(str(text))


# --- JUnit --------------------------------------------------------------------------------


def test_junit_counts_what_failed_and_what_could_not_be_run(examples, tmp_path):
    grades = all_grades(examples)
    write_junit(grades, tmp_path / "junit.xml")

    root = ET.parse(tmp_path / "junit.xml").getroot()

    assert root.tag == "testsuites"
    assert len(root) == len(grades)
    for count, element in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        told = sum(int(suite.get(count)) for suite in root)
        assert told == len(root.findall(f".//{element}")) > 0
        assert root.get(count) in (None, str(told))
    assert int(root.get("tests")) == len(root.findall(".//testcase"))


# Jenkins's junit-10.xsd: attributes that are required, that may stand there, and what lies within.
RESULT = ((), ("type", "message"), ())
XSD = {
    "testsuites": ((), ("name", "time", "tests", "failures", "errors"), ("testsuite",)),
    "testsuite": (
        ("name", "tests", "failures", "errors"),
        ("group", "time", "skipped", "timestamp", "hostname", "id", "package", "file", "log"),
        ("testsuite", "properties", "testcase", "system-out", "system-err"),
    ),
    "properties": ((), (), ("property",)),
    "property": (("name", "value"), (), ()),
    "testcase": (
        ("name",),
        ("time", "classname", "group"),
        ("skipped", "error", "failure", "system-out", "system-err"),
    ),
    "failure": RESULT,
    "error": RESULT,
    "skipped": RESULT,
}


def test_junit_satisfies_the_schema_of_jenkins(examples, tmp_path):
    write_junit(all_grades(examples), tmp_path / "junit.xml")

    for element in ET.parse(tmp_path / "junit.xml").iter():
        required, optional, children = XSD[element.tag]
        assert set(required) <= set(element.keys()) <= {*required, *optional}, element.attrib
        assert {child.tag for child in element} <= set(children)


def test_junit_says_where_a_check_failed(examples, tmp_path):
    write_junit([examples.deviating()], tmp_path / "junit.xml")

    case = ET.parse(tmp_path / "junit.xml").find(".//testcase[@name='dense-connectivity']")

    assert case.get("classname") == "architecture"
    assert "it receives the block's input" in case.find("failure").get("message")
    assert "dense_block, layer 3 (also dense_block, layer 4)" in case.find("failure").text


def test_junit_of_a_withheld_grade_is_an_error_with_its_cause(examples, tmp_path):
    write_junit([examples.withheld()], tmp_path / "junit.xml")

    error = ET.parse(tmp_path / "junit.xml").find(".//testcase[@name='submission']/error")

    assert error.get("type") == "INFRA_ENGINE"


# --- CSV ----------------------------------------------------------------------------------


def test_the_csv_has_a_line_for_each_grade_and_no_score_where_there_is_none(examples, tmp_path):
    write_csv(all_grades(examples), tmp_path / "grades.csv")

    header, *rows = table(tmp_path / "grades.csv")

    assert tuple(header) == COLUMNS
    scores = {row[0]: row[2] for row in rows}
    assert scores["s1234567"] == "100"
    assert scores["s5678901"] == "0"
    assert scores["s4567890"] == scores["s6789012"] == scores["s7890123"] == ""
    assert dict(zip(header, rows[2], strict=True))["open_points"] == "18"


@pytest.mark.parametrize(
    "text",
    [
        "=1+1",
        "+1",
        "-1",
        "@SUM(A1)",
        "\t=1",
        "\r\n=1",
        " =1",
        "＝1",
        "\x1b[0m=1",
        '=cmd|"/c calc"!A1',
        "|x",
        "%0A=1",
    ],
)
def test_no_cell_is_a_formula(text):
    assert safe_cell(text).startswith("'")


def test_a_cell_with_quotes_commas_and_line_ends_stays_one_cell(examples, tmp_path):
    grade = examples.rejected().model_copy(update={"message": 'a,"b"\n=c'})
    write_csv([grade], tmp_path / "grades.csv")

    header, row = table(tmp_path / "grades.csv")

    assert row[header.index("message")] == 'a,"b" =c'


def test_no_hostile_text_makes_a_formula_or_a_control_code(examples, tmp_path):
    grade = examples.hostile().model_copy(update={"student_id": "=1+1", "message": "@x"})
    write_csv([grade], tmp_path / "grades.csv")

    _, row = table(tmp_path / "grades.csv")

    assert not CONTROL.search("".join(row))
    assert not any(cell.startswith(("=", "+", "@")) for cell in row)


# --- Canvas and Moodle --------------------------------------------------------------------

CANVAS = (
    "\ufeffStudent,ID,SIS User ID,SIS Login ID,Section,DenseNet (77),Other (78)\r\n"
    "    Points Possible,,,,,100,10\r\n"
    '"Roe, Jo",11,u1,s1234567,A,,7\r\n'
    '"Doe, Al",12,u2,s4567890,A,33,8\r\n'
    '"Poe, Ed",13,u3,s0000000,A,44,9\r\n'
)


def test_canvas_gets_its_own_table_back_with_the_scores_filled_in(examples, tmp_path):
    (tmp_path / "in.csv").write_text(CANVAS, encoding="utf-8")

    filled = write_canvas(
        all_grades(examples)[:5], tmp_path / "in.csv", "DenseNet", tmp_path / "out.csv"
    )

    header, possible, roe, doe, poe = table(tmp_path / "out.csv")
    assert header[5] == "DenseNet (77)"
    assert possible[5] == "100"
    assert roe == ["Roe, Jo", "11", "u1", "s1234567", "A", "100", "7"]
    assert doe[5] == "33", "under review: the cell keeps what it held"
    assert poe[5] == "44"
    assert filled.filled == ("s1234567",)
    assert dict(filled.left) == {
        "s4567890": Why.NO_SCORE,
        "s2345678": Why.NOT_IN_SHEET,
        "s3456789": Why.OPEN,
        "s5678901": Why.NOT_IN_SHEET,
    }
    assert filled.without == 1


@pytest.mark.parametrize(
    ("content", "column", "expected"),
    [
        (CANVAS, "DenseNet 2", "no column"),
        (CANVAS.replace("Other (78)", "DenseNet (79)"), "DenseNet", "2 columns"),
        (CANVAS.replace("ID", "Nr"), "DenseNet", "expected one of the columns SIS Login ID"),
        ("", "DenseNet", "the table is empty"),
        ("a\nb,c\n", "DenseNet", "row 2: expected at most 1 cells"),
    ],
)
def test_a_table_that_is_not_canvass_is_refused(examples, tmp_path, content, column, expected):
    (tmp_path / "in.csv").write_text(content, encoding="utf-8")

    with pytest.raises(UsageError, match=expected):
        write_canvas([examples.full_marks()], tmp_path / "in.csv", column, tmp_path / "out.csv")

    assert not (tmp_path / "out.csv").exists()


def test_two_grades_of_one_student_are_left_to_a_person(examples, tmp_path):
    (tmp_path / "in.csv").write_text(CANVAS, encoding="utf-8")

    filled = write_canvas(
        [examples.full_marks()] * 2, tmp_path / "in.csv", "DenseNet", tmp_path / "out.csv"
    )

    assert filled.left == (("s1234567", Why.SEVERAL),)
    assert table(tmp_path / "out.csv")[2][5] == ""


def test_an_id_that_two_students_have_is_of_none(examples, tmp_path):
    (tmp_path / "in.csv").write_text(CANVAS.replace("13,u3", "s1234567,u3"), encoding="utf-8")

    filled = write_canvas(
        [examples.full_marks()], tmp_path / "in.csv", "DenseNet", tmp_path / "out.csv"
    )

    assert filled.left == (("s1234567", Why.NOT_IN_SHEET),)


def test_a_download_of_canvas_fills_the_row_of_its_user_number(examples, tmp_path):
    (tmp_path / "in.csv").write_text(CANVAS, encoding="utf-8")
    grade = examples.full_marks().model_copy(update={"student_id": "doeal_12"})

    filled = write_canvas([grade], tmp_path / "in.csv", "DenseNet", tmp_path / "out.csv")

    assert filled.filled == ("doeal_12",)
    assert table(tmp_path / "out.csv")[3][5] == "100"


NO_SIS = (
    "Student,ID,Section,DenseNet (77)\r\n"
    "    Points Possible,,,100\r\n"
    '"Roe, Jo",12,A,\r\n'
    '"Doe, Al",31,A,\r\n'
)


@pytest.mark.parametrize(
    ("roster", "roe", "doe"),
    [
        ("student_id,name\n12,Al Doe\n77,Jo Roe\n", "", ""),
        ("student_id,name,canvas_id\n12,Al Doe,31\n77,Jo Roe,12\n", "", "100"),
        ("student_id,canvas_id\n12,31\n77,12\n", "", "100"),
        ("student_id,name\n12,Jo Roe\n77,Al Doe\n", "100", ""),
        ("student_id,name,moodle_number\n12,Jo Roe,55\n77,Al Doe,12\n", "100", ""),
    ],
    ids=["another's name", "both ids and names", "both ids", "own name", "own name, shared id"],
)
def test_a_course_s_id_that_is_another_s_number_on_canvas_fills_no_other_row(
    examples, tmp_path, roster, roe, doe
):
    (tmp_path / "in.csv").write_text(NO_SIS, encoding="utf-8")
    (tmp_path / "roster.csv").write_text(roster, encoding="utf-8")
    known = load_roster(tmp_path / "roster.csv")
    grade = examples.full_marks().model_copy(update={"student_id": "12"})

    write_canvas([grade], tmp_path / "in.csv", "DenseNet", tmp_path / "out.csv", roster=known)

    assert [row[3] for row in table(tmp_path / "out.csv")[2:]] == [roe, doe]


@pytest.mark.parametrize(("score", "cell"), [(100, "100"), (60, "33")])
def test_one_row_that_two_ids_mean_is_left_to_a_person_where_their_scores_differ(
    examples, tmp_path, score, cell
):
    (tmp_path / "in.csv").write_text(CANVAS, encoding="utf-8")
    first = examples.full_marks().model_copy(update={"student_id": "doeal_12"})
    second = first.model_copy(update={"student_id": "s4567890", "score": score})

    filled = write_canvas([first, second], tmp_path / "in.csv", "DenseNet", tmp_path / "out.csv")

    assert table(tmp_path / "out.csv")[3][5] == cell
    assert dict(filled.left) == ({} if cell == "100" else dict.fromkeys(
        ("doeal_12", "s4567890"), Why.SEVERAL
    ))  # fmt: skip


def test_who_is_in_no_roster_gets_no_row_of_somebody_in_it(examples, tmp_path):
    (tmp_path / "in.csv").write_text(CANVAS, encoding="utf-8")
    (tmp_path / "roster.csv").write_text("student_id,name\nu2,Al Doe\n", encoding="utf-8")
    grade = examples.full_marks().model_copy(update={"student_id": "12"})

    filled = write_canvas(
        [grade], tmp_path / "in.csv", "DenseNet", tmp_path / "out.csv",
        roster=load_roster(tmp_path / "roster.csv"),
    )  # fmt: skip

    assert filled.left == (("12", Why.NOT_IN_SHEET),)


def test_who_is_excused_stays_excused(examples, tmp_path):
    (tmp_path / "in.csv").write_text(CANVAS.replace("A,,7", "A,EX,7"), encoding="utf-8")

    filled = write_canvas(
        [examples.full_marks()], tmp_path / "in.csv", "DenseNet", tmp_path / "out.csv"
    )

    assert filled.left == (("s1234567", Why.EXCUSED),)
    assert table(tmp_path / "out.csv")[2][5] == "EX"


def test_open_points_are_filled_in_only_when_asked_for(examples, tmp_path):
    (tmp_path / "in.csv").write_text(CANVAS.replace("s1234567", "s3456789"), encoding="utf-8")
    grades = [grade for grade in all_grades(examples) if grade.student_id == "s3456789"]

    for partial, expected in ((False, ""), (True, f"{grades[0].score:g}")):
        write_canvas(grades, tmp_path / "in.csv", "DenseNet", tmp_path / "out.csv", partial=partial)
        assert table(tmp_path / "out.csv")[2][5] == expected


def test_a_sheet_of_another_maximum_is_refused(examples, tmp_path):
    (tmp_path / "in.csv").write_text(CANVAS.replace(",100,10", ",10,10"), encoding="utf-8")

    with pytest.raises(UsageError, match="a maximum of 100 points"):
        write_canvas([examples.full_marks()], tmp_path / "in.csv", "DenseNet", tmp_path / "out.csv")


MOODLE = (
    "Identifier,Full name,Email address,Status,Grade,Maximum Grade,Feedback comments\r\n"
    "Participant s2345678,Jo Roe,jo@x.org,Submitted,,100.00,\r\n"
    "Participant 9,Al Doe,s7890123,Submitted,5,100.00,kept\r\n"
)


def test_moodle_gets_scores_and_escaped_feedback(examples, tmp_path):
    (tmp_path / "in.csv").write_text(MOODLE, encoding="utf-8")

    filled = write_moodle(
        [examples.deviating(), examples.withheld()], tmp_path / "in.csv", tmp_path / "out.csv"
    )

    _, roe, doe = table(tmp_path / "out.csv")
    assert roe[4] == "45"
    assert "earlier layers&#x27; maps, as they are. 0 / 10" in roe[6]
    assert doe[4:] == ["5", "100.00", "kept"]
    assert (filled.filled, filled.left) == (("s2345678",), (("s7890123", Why.NO_SCORE),))


def test_moodles_sheet_of_another_language_is_filled_in_as_it_stands(examples, tmp_path):
    sheet = (
        "\ufeffKennung;Vollständiger Name;Bewertung;Beste Bewertung\r\n"
        "Teilnehmer/in 123456;Jane Doe;;100,00\r\n"
        "Teilnehmer/in 7;Al Doe;3,5;100,00\r\n"
    )
    (tmp_path / "in.csv").write_bytes(sheet.encode())
    grade = examples.full_marks().model_copy(
        update={"student_id": "Jane_Doe_123456", "score": 87.5}
    )

    filled = write_moodle([grade], tmp_path / "in.csv", tmp_path / "out.csv", column="Bewertung")

    assert filled.filled == ("Jane_Doe_123456",)
    expected = sheet.replace("Jane Doe;;", "Jane Doe;87,5;")
    assert (tmp_path / "out.csv").read_bytes().decode() == expected


def test_a_grade_that_moodle_has_locked_is_left_alone(examples, tmp_path):
    sheet = (
        "Identifier,Full name,Grade,Maximum Grade,Grade can be changed\r\n"
        "Participant 1234567,Jo Roe,5,100.00,No\r\n"
    )
    (tmp_path / "in.csv").write_bytes(sheet.encode())
    grade = examples.full_marks().model_copy(update={"student_id": "Jo_Roe_1234567"})

    filled = write_moodle([grade], tmp_path / "in.csv", tmp_path / "out.csv")

    assert filled.left == (("Jo_Roe_1234567", Why.LOCKED),)
    assert (tmp_path / "out.csv").read_bytes().decode() == sheet


def test_moodle_gets_no_html_from_a_student(examples, tmp_path):
    (tmp_path / "in.csv").write_text(MOODLE, encoding="utf-8")
    grade = examples.hostile().model_copy(update={"student_id": "s2345678"})

    write_moodle([grade], tmp_path / "in.csv", tmp_path / "out.csv")

    comments = table(tmp_path / "out.csv")[1][6]
    assert "&lt;script&gt;" in comments
    assert set(re.findall(r"<[^>]*>?", comments)) == {"<br>"}
    assert len(comments) < 10_000


def test_feedback_says_nothing_of_hidden_checks(examples, tmp_path):
    (tmp_path / "in.csv").write_text(MOODLE, encoding="utf-8")
    grade = examples.deviating()
    hidden = tuple(check.model_copy(update={"visibility": "hidden"}) for check in grade.checks)

    write_moodle(
        [grade.model_copy(update={"checks": hidden})], tmp_path / "in.csv", tmp_path / "out.csv"
    )

    comments = table(tmp_path / "out.csv")[1][6]
    assert "late" in comments
    assert not [told for told in ("45", "100", "ccuracy", "dense_block") if told in comments]


def test_a_worksheet_without_grades_is_refused(examples, tmp_path):
    (tmp_path / "in.csv").write_text("Identifier,Full name\n1,x\n", encoding="utf-8")

    with pytest.raises(UsageError, match="expected one column 'Grade'"):
        write_moodle([examples.full_marks()], tmp_path / "in.csv", tmp_path / "out.csv")
