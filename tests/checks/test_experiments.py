"""A student's own table is read as data, and a conclusion has to follow from it."""

from collections.abc import Callable

import pytest

from grader.assignment.tables.experiments import Conclusion, TableCheck
from grader.checks.check import Failure, run_checks
from grader.checks.experiments import MAX_BYTES, follows, read_table, table_checks
from grader.graph.evidence import Evidence
from grader.report.causes import cause_words, causes_of

TABLE = TableCheck.model_validate(
    {
        "name": "experiment",
        "group": "the experiment",
        "title": "The table is whole.",
        "file": "runs.csv",
        "rows": 2,
        "falls": "error",
        "columns": {
            "kind": ["plain", "residual"],
            "depth": [20, 32],
            "epoch": "count",
            "error": {"lowest": 0.0, "highest": 1.0},
        },
    }
)
CONCLUSION = Conclusion.model_validate(
    {
        "name": "degradation",
        "group": "the experiment",
        "question": "Is it larger?",
        "of": "experiment",
        "column": "error",
        "first": {"kind": "plain", "depth": 32},
        "second": {"kind": "plain", "depth": 20},
        "equal_within": 0.005,
    }
)
HEADER = "kind,depth,epoch,error"
ROWS = (
    "plain,20,1,0.80", "plain,20,2,0.60", "plain,32,1,0.90", "plain,32,2,0.70",
    "residual,20,1,0.80", "residual,20,2,0.50", "residual,32,1,0.80", "residual,32,2,0.45",
)  # fmt: skip
CSV = "\n".join((HEADER, *ROWS)) + "\n"


def failure(check: Callable[[], object]) -> str:
    with pytest.raises(Failure) as caught:
        check()
    return str(caught.value)


def read(text: str | bytes):
    content = text.encode() if isinstance(text, str) else text
    return read_table({"runs.csv": content}, TABLE)


@pytest.mark.parametrize(
    "text",
    [
        CSV,
        CSV.replace("\n", "\r\n"),
        "\ufeff" + CSV,
        CSV.replace("plain", "Plain").replace(",20,", ", 20.0,"),
        CSV + "\n\n",
        CSV.replace("0.90", "9e-1"),
        # The networks trained side by side, and further columns.
        "\n".join(f"{row},1" for row in (HEADER, *sorted(ROWS, key=lambda row: row.split(",")[2]))),
        "error,epoch,depth,kind\n" + "\n".join(",".join(reversed(row.split(","))) for row in ROWS),
        CSV.replace("plain", '"plain"'),
    ],
    ids=["as written", "CRLF", "byte order mark", "capitals and floats", "empty lines", "exponents",
         "by epoch, with a column more", "another order", "quotes"],
)  # fmt: skip
def test_a_whole_table_is_read_however_it_is_written(text):
    assert read(text).last(("plain", 32.0), "error") == 0.7


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "expected the columns kind,depth,epoch,error. Received: no kind"),
        (CSV.replace(",error", ",err"), "no error"),
        (CSV.replace(",", ";"), "stand apart by semicolons"),
        (CSV.replace("depth", "kind"), "no depth"),
        (f"{HEADER},error\n", "each column once"),
        (HEADER, "expected rows of kind plain, depth 20. Received: none"),
        (CSV.replace("plain,32,2,0.70\n", ""), "depth 32: expected 2 rows. Received: 1"),
        (CSV.replace("plain,32,2", "plain,32,3"), "epoch: expected 2, the next one of kind plain"),
        (CSV.replace("plain,32,2", "plain,32,1"), "epoch: expected 2"),
        (CSV.replace("plain,32,1", "plain,32,0"), "epoch: expected a number from 1"),
        (CSV.replace("0.90", "90"), "error: expected a number from 0 to 1. Received: '90'"),
        (CSV.replace("0.90", "nan"), "Received: 'nan'"),
        (CSV.replace("0.90", "10%"), "Received: '10%'"),
        (CSV.replace("0.90", "0,90"), "expected 4 cells. Received: 5"),
        (CSV.replace("plain,32,1", "plain,56,1"), "depth: expected 20 or 32. Received: '56'"),
        (CSV.replace("residual,20", "resnet,20"), "kind: expected plain or residual"),
        (CSV.replace("0.70", "0.90"), "error of kind plain, depth 32: expected a last value below"),
        (CSV.encode() + b"\xff", "expected UTF-8 text"),
        (CSV + '"', "no CSV file"),
        (b"x" * (MAX_BYTES + 1), "expected at most 1 MB"),
        (CSV.replace("0.90", "9" * 200_000), "no CSV file: field larger"),
        (CSV.replace("0.90", "9" * 5_000), "…"),
    ],
)  # fmt: skip
def test_a_table_that_is_not_whole_or_cannot_be_is_told(text, told):
    assert told in failure(lambda: read(text))


def test_a_wrong_cell_is_told_with_its_line():
    with pytest.raises(Failure) as caught:
        read(CSV.replace("0.90", "90"))

    (finding,) = caught.value.findings
    assert (finding.where, finding.line) == ("runs.csv, line 4", 4)
    assert finding.help == "Divide by 100: it is a fraction, not percent."


def test_the_headline_of_the_report_says_what_is_wrong_in_the_table():
    (check,) = table_checks((TABLE,), ())
    files = {"runs.csv": CSV.replace("0.90", "90").encode()}

    result = run_checks([check], Evidence(None, (), None, files=files))[0]

    (cause,) = causes_of([result])
    assert cause_words(cause) == (
        "runs.csv, line 4: error: expected a number from 0 to 1. Received: '90'"
    )


def test_a_table_that_was_not_handed_in_is_missed():
    assert "runs.csv is not in the submission" in failure(lambda: read_table({}, TABLE))


def concluded(answer: str, text: str = CSV):
    files = {"runs.csv": text.encode(), "answers.toml": answer.encode()}
    follows(files, CONCLUSION, TABLE)


@pytest.mark.parametrize(
    ("answer", "last"),
    [("larger", "0.70"), ("Larger ", "0.601"), ("smaller", "0.59"), ("equal", "0.604"),
     ("equal", "0.60")],
)  # fmt: skip
def test_a_conclusion_that_follows_from_the_students_numbers_is_right(answer, last):
    concluded(f'degradation = "{answer}"', CSV.replace("0.70", last))


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ('degradation = "smaller"', "runs.csv ends with 0.7 for kind plain"),
        ('degradation = "equal"', "and 0.6 for kind plain, depth 20"),
        ('degradation = "yes"', "expected one of larger, smaller, equal. Received: 'yes'"),
        ("degradation = 0.1", "Received: '0.1'"),
        ('degradation = ""', "degradation has no answer in answers.toml"),
        ("", "degradation has no answer"),
    ],
)  # fmt: skip
def test_a_conclusion_that_does_not_follow_is_told_with_the_numbers(answer, told):
    assert told in failure(lambda: concluded(answer))


def test_no_conclusion_stands_without_its_table():
    assert "no error" in failure(
        lambda: concluded('degradation = "larger"', CSV.replace("error", "e"))
    )


def test_a_wrong_table_is_one_cause_and_its_conclusions_follow_from_it():
    checks = table_checks((TABLE,), (CONCLUSION,))
    files = {"runs.csv": CSV.replace("0.90", "90").encode(),
             "answers.toml": b'degradation = "larger"'}  # fmt: skip

    results = run_checks(checks, Evidence(None, (), None, files=files))

    assert [result.score for result in results] == [0.0, 0.0]
    (cause,) = causes_of(results)
    assert cause.check.name == "experiment"
    assert [check.name for check in cause.follows] == ["degradation"]


@pytest.mark.parametrize(
    ("kind", "change", "told"),
    [
        (TableCheck, {"file": "../runs.csv"}, "expected the name of a CSV file"),
        (TableCheck, {"file": "runs.py"}, "expected the name of a CSV file"),
        (TableCheck, {"columns": {"depth": [20], "epoch": "counted"}}, "columns"),
        (TableCheck, {"columns": {"epoch": "count"}, "falls": None}, "one with a list of values"),
        (TableCheck, {"columns": {"depth": [20], "e": {"lowest": 1.0, "highest": 1.0}}}, "lowest"),
        (TableCheck, {"falls": "kind"}, "falls: expected a column of numbers"),
        (Conclusion, {"first": {"kind": ["plain"]}}, "first"),
    ],
)
def test_a_mistake_in_the_assignment_is_refused(kind, change, told):
    whole = (TABLE if kind is TableCheck else CONCLUSION).model_dump()

    with pytest.raises(ValueError, match=told):
        kind.model_validate({**whole, **change})


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"of": "other"}, "of: expected the name"),
        ({"column": "depth"}, "column: expected a column of numbers"),
        ({"first": {"kind": "plain"}}, "first: expected one value for each of kind, depth"),
        ({"second": {"kind": "plain", "depth": 56}}, "second: expected one value"),
    ],
)
def test_a_conclusion_that_its_table_cannot_give_is_refused(change, told):
    conclusion = Conclusion.model_validate({**CONCLUSION.model_dump(), **change})

    assert told in (conclusion.problem_with((TABLE,)) or "")
