"""Questions of a paper: what counts as an answer, which is right, what a wrong one says."""

import pytest
from pydantic import ValidationError

from grader.assignment import Question
from grader.assignment.formula import FormulaError, parse_formula
from grader.assignment.tables.answers import read_key, sheet
from grader.checks import Failure, NothingToJudge
from grader.checks.answers import MAX_BYTES, answered


def question(kind="number", **more):
    needed = {
        "choice": {"choices": ["a filter", "a layer", "Max-pooling"]},
        "formula": {"variables": {"n": [16, 64], "f": [1, 7], "s": [1, 3]}},
    }
    fields = {"name": "asked", "kind": kind, "question": "How many?", "where": "section 3.1"}
    return Question(**{**fields, **needed.get(kind, {}), **more})


def judged(asked, written, key):
    """The failure's words for one answer; None where it is right."""
    content = written if "=" in written and "\n" in written else f"asked = {written}\n"
    try:
        answered({"answers.toml": content.encode()}, asked, {"asked": asked.read(key)})
    except Failure as no:
        return f"{no.rationale}. {no.help}"
    return None


RIGHT = {
    "a number": (question(), "34944", 34944),
    "a number as a product": (question(), '"11*11*3*96 + 96"', 34944),
    "a number with a fraction": (question(), "0.5", 0.5),
    "a number within its tolerance": (question(tolerance=0.5), "17.4", 17),
    "a number within its share": (question(relative=0.05), "6.2e7", 60_000_000),
    "a letter": (question("choice"), '"b"', "b"),
    "a letter in capitals, in brackets": (question("choice"), '" (B)"', "b"),
    "a choice in full": (question("choice"), '"max pooling"', "c"),
    "a list": (question("list"), "[3, 2]", [3, 2]),
    "words, however they are written": (
        question("list", ordered=False),
        '["Local response normalisation", "RELU"]',
        ["relu", "LRN|local-response normalisation"],
    ),
    "a formula": (question("formula"), '"floor((n - f)/s) + 1"', "(n - f) // s + 1"),
    "a formula with its left side": (question("formula"), '"out = (n-f)//s + 1"', "(n-f)//s + 1"),
    "a formula in signs of print": (question("formula"), '"⌊(n − f) ÷ s⌋ + 1"', "(n-f)//s + 1"),
    "a formula of numpy": (question("formula"), '"np.floor((n-f)/s + 1)"', "(n-f)//s + 1"),
    "Windows line ends": (question(), "# mine\r\nasked = 5\r\n", 5),
    "a name with an underscore": (question(name="how-many"), "how_many = 5\n", 5),
}
WRONG = {
    "another number": (question(), "34848", 34944, "your answer is 34848; it is not right. See"),
    "a number out of its share": (question(relative=0.05), "6.4e7", 6e7, "it is not right"),
    "true is no number": (question(), "true", 1, "expected a number. Received: True"),
    "a word is no number": (question(), '"many"', 1, "expected a number. Received: 'many'"),
    "a number of a thousand digits": (question(), "9" * 1000, 1, "expected a number"),
    "no number at all": (question(), "nan", 1, "expected a number. Received: nan"),
    "another letter": (question("choice"), '"a"', "b", "your answer is 'a'; it is not right"),
    "two letters": (question("choice"), '"ab"', "a", "expected one of the letters a, b, c"),
    "a letter that is no choice": (question("choice"), '"d"', "a", "one of the letters a, b, c"),
    "a list in another order": (question("list"), "[2, 3]", [3, 2], "it is not right"),
    "a list of another length": (question("list"), "[3]", [3, 2], "it has 1 entries, which is"),
    "one entry twice": (question("list", ordered=False), "[3, 3]", [3, 2], "it is not right"),
    "a list that is none": (question("list"), "3", [3, 2], "expected a list such as"),
    "a formula without the floor": (
        question("formula"), '"(n - f)/s + 1"', "(n - f)//s + 1", "which is not right"),
    "a formula with another name": (
        question("formula"), '"(n - k)//s"', "(n - f)//s", "'k' is not known"),
    "a formula without a value": (
        question("formula"), '"n / (s - s)"', "(n - f)//s", "it has no value"),
    "a formula that cannot be read": (
        question("formula"), '"2(n - f"', "n", "Write each multiplication with *"),
    "a call of something": (
        question("formula"), "\"__import__('os').system('true')\"", "n", "is not known"),
    "an attribute": (question("formula"), '"n.__class__"', "n", "cannot stand in a formula"),
    "a power that never ends": (question("formula"), '"9**9**9**9"', "n", "it has no value"),
    "no answer yet": (question(), '""', 5, "asked has no answer in answers.toml. Write asked = "),
    "no TOML": (question(), "asked = about five\n", 5, "answers.toml cannot be read"),
    "nested without end": (question(), "asked = " + "[" * 5000 + "\n", 5, "cannot be read"),
    "not text": (question(), "asked = 5\n# \udcff", 5, "expected UTF-8"),
}  # fmt: skip


@pytest.mark.parametrize("case", RIGHT)
def test_an_answer_is_right_however_it_is_written(case):
    asked, written, key = RIGHT[case]
    content = written if written.endswith("\n") else f"{asked.name} = {written}"

    answered({"answers.toml": content.encode()}, asked, {asked.name: asked.read(key)})


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_answer_is_told_with_the_place_to_look_at(case):
    asked, written, key, said = WRONG[case]
    content = written if "asked" in written else f"asked = {written}"

    with pytest.raises(Failure) as no:
        answered(
            {"answers.toml": content.encode(errors="surrogateescape")},
            asked,
            {"asked": asked.read(key)},
        )

    assert said in f"{no.value.rationale}. {no.value.help}"
    assert no.value.help


@pytest.mark.parametrize("kind", ["number", "choice", "list", "formula"])
def test_no_wrong_answer_tells_the_right_one(kind):
    keys = {"number": 77123, "choice": "c", "list": ["zebra"], "formula": "n + 77123"}
    wrong = {"number": "1", "choice": '"a"', "list": '["x"]', "formula": '"n"'}
    asked = question(kind)
    content = f"asked = {wrong[kind]}".encode()

    with pytest.raises(Failure) as no:
        answered({"answers.toml": content}, asked, {"asked": asked.read(keys[kind])})

    words = no.value.rationale + no.value.help + "".join(map(str, no.value.findings))
    assert "section 3.1" in no.value.help
    assert not any(told in words for told in ("77123", "zebra", "'c'"))


def test_the_line_of_an_answer_is_named():
    asked = question()
    content = b"# first\n\nother = 3\nasked = 4\n"

    with pytest.raises(Failure) as no:
        answered({"answers.toml": content}, asked, {"asked": 5.0})

    (finding,) = no.value.findings
    assert (finding.where, finding.line) == ("answers.toml, line 4", 4)


def test_without_the_file_the_student_is_told_to_add_it():
    with pytest.raises(Failure, match="not in the submission"):
        answered({}, question(), {"asked": 5.0})


def test_a_file_that_is_too_large_is_not_read():
    with pytest.raises(Failure, match="at most 64 KB"):
        answered({"answers.toml": b"#" * (MAX_BYTES + 1)}, question(), {"asked": 5.0})


def test_without_the_key_an_answer_of_the_right_kind_is_left_open():
    with pytest.raises(NothingToJudge):
        answered({"answers.toml": b"asked = 5"}, question(), None)
    with pytest.raises(Failure, match="expected a number"):
        answered({"answers.toml": b"asked = 'five'"}, question(), None)


@pytest.mark.parametrize(
    "fields",
    [
        {"kind": "choice", "choices": []},
        {"kind": "number", "choices": ["one", "two"]},
        {"kind": "choice", "choices": ["one"]},
        {"kind": "formula", "variables": {"n": [5, 1]}},
        {"kind": "formula", "variables": {"2n": [1, 5]}},
    ],
)
def test_a_question_that_cannot_be_asked_is_refused(fields):
    with pytest.raises(ValidationError):
        question(**fields)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "asked: missing. Add asked = 12.5"),
        ("asked = 'x'", "asked: expected a number"),
        ("asked = 1\naskd = 2", "askd: no such question. Did you mean asked?"),
        ("asked = ", "cannot be read"),
    ],
)
def test_a_key_with_a_mistake_is_refused(content, said, tmp_path):
    file = tmp_path / "answers.toml"
    file.write_text(content)

    with pytest.raises(ValueError, match=r"answers\.toml") as no:
        read_key(file, (question(),))

    assert said in str(no.value)


def test_a_key_whose_formula_has_no_value_somewhere_is_refused(tmp_path):
    file = tmp_path / "answers.toml"
    file.write_text('asked = "1/(n - n)"')

    with pytest.raises(ValueError, match="no value"):
        read_key(file, (question("formula"),))


def test_the_sheet_that_is_handed_out_can_be_read_and_answers_nothing():
    questions = tuple(question(kind, name=kind) for kind in ("number", "choice", "formula"))
    content = sheet(questions).encode()

    for each in questions:
        with pytest.raises(Failure, match="has no answer"):
            answered({"answers.toml": content}, each, None)


@pytest.mark.parametrize(
    "text",
    [
        "n" * 500, "-" * 300 + "n", "n if n else n", "lambda: n", "n == 1", "[n]", "'n'", "1j",
        "True", "f(n)", "floor()", "n @ n", "(n := 5)", "f'{n}'", "",
    ],
)  # fmt: skip
def test_what_is_no_formula_is_refused(text):
    with pytest.raises(FormulaError):
        parse_formula(text, ["n"])({"n": 3.0})


def test_a_formula_is_computed():
    assert parse_formula("3*(k*k*c*c) + max(c, 2) - 2^3", ["k", "c"])({"k": 3.0, "c": 4.0}) == 428
