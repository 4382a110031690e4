"""What a student's exception and prints become: their own lines, and nothing of ours."""

import sys

from grader.inside.tracing import failures, printed

PROGRAM = """\
def convolution(x, width):
    print("width", width)
    return x + wdith


def dense_block(x):
    return convolution(x, 12)
"""


def attempted(tmp_path, text, call):
    path = tmp_path / "densenet.py"
    path.write_text(text)
    module = {}
    exec(compile(text, str(path), "exec"), module)
    return failures.attempt(tmp_path, lambda: module[call]("x"))


def test_an_exception_is_told_by_the_students_own_lines_and_the_name_that_was_meant(tmp_path):
    told = attempted(tmp_path, PROGRAM, "dense_block")["failure"]

    assert told == {
        "type": "NameError",
        "message": "name 'wdith' is not defined. Did you mean: 'width'?",
        "where": "densenet.py, line 3, in convolution",
        "line": "return x + wdith",
        "through": "line 7, in dense_block",
    }


def test_of_a_recursion_each_line_is_told_once(tmp_path):
    text = "def dense_block(x):\n    return dense_block(x)\n"

    told = attempted(tmp_path, text, "dense_block")["failure"]

    assert told["where"] == "densenet.py, line 2, in dense_block"
    assert told["through"] == ""


def test_what_a_call_prints_is_kept_and_goes_on_its_way(tmp_path, capsys):
    assert attempted(tmp_path, PROGRAM, "dense_block")["printed"] == "width 12"
    assert capsys.readouterr().out == "width 12\n"


def test_a_flood_of_prints_keeps_its_end_and_half_characters_are_replaced():
    before = sys.stdout

    with printed.kept() as said:
        print("\ud800" + "x" * 10_000)
        print("the end")

    assert sys.stdout is before
    assert len(said.text) == printed.LENGTH
    assert said.text.endswith("x\nthe end")
    said.text.encode()


def test_an_exception_leaves_standard_output_as_it_was(tmp_path):
    before = sys.stdout

    attempted(tmp_path, PROGRAM, "dense_block")

    assert sys.stdout is before
