"""What the program in the sandbox says of code that raises, or gives what nobody asked for."""

import importlib
import sys

import pytest

from grader.inside import trace

WRAPPED = (
    "Exception encountered when calling Block.call().\n\n\x1b[1mCould not automatically infer the "
    "output shape / dtype of 'block' (of type Block). Either the `Block.call()` method is "
    "incorrect, or you need to implement the `Block.compute_output_spec()` method. Error "
    "encountered:\n\n{}\x1b[0m\n\nArguments received by Block.call():\n  • args=('<x>',)"
)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("no such thing", "no such thing"),
        (WRAPPED.format("'list' has no layers"), "'list' has no layers"),
        (
            "Exception encountered when calling A.call().\n\n"
            "Exception encountered when calling B.call().\n\nwrong width"
            "\n\nArguments received by B.call():\n  • x\n\nArguments received by A.call():\n  • x",
            "wrong width",
        ),
        ("<L2 object at 0x7ff579117650> is odd", "<L2 object> is odd"),
        (
            "cannot import name 'merge' (/usr/lib/python3/site-packages/keras/layers.py)",
            "cannot import name 'merge' (keras/layers.py)",
        ),
    ],
)
def test_an_exception_is_told_in_its_own_words(text, words):
    assert trace._own_words(text) == words


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (None, "it gives nothing: `return` the tensor"),
        ((1.0, 14), "it gives a tuple of 2 (float, int): return one tensor alone"),
        ([], "it gives a list of 0 (): return one tensor alone"),
    ],
)
def test_what_is_not_one_tensor_is_refused_with_what_it_is(given, said):
    with pytest.raises(TypeError) as refused:
        trace._one(given, "tensor")

    assert str(refused.value) == said


def test_one_thing_is_given_on():
    assert trace._one("a network", "network") == "a network"


def imported(tree, monkeypatch, source):
    """What is told of a module that cannot be imported."""
    (tree / "handed_in.py").write_text(source)
    monkeypatch.syspath_prepend(tree)
    monkeypatch.delitem(sys.modules, "handed_in", raising=False)
    monkeypatch.setattr(sys, "argv", ["main.py", "trace", "--control", "5"])
    try:
        importlib.import_module("handed_in")
    except BaseException as error:
        return trace._failure(error, tree)
    return None


def test_a_syntax_error_is_told_once_with_its_line(tmp_path, monkeypatch):
    told = imported(tmp_path, monkeypatch, "x = 1\nfor _ in range(2)\n    pass\n")

    assert told == {
        "type": "SyntaxError",
        "message": "expected ':'",
        "where": "handed_in.py, line 2",
    }


def test_a_frozen_module_is_not_the_students_file(tmp_path, monkeypatch):
    (tmp_path / "taken").write_text("")
    monkeypatch.chdir(tmp_path)  # as in the sandbox: "<frozen os>" would be a path below the tree

    told = imported(tmp_path, monkeypatch, "import os\n\nos.makedirs('taken')\n")

    assert told["where"] == "handed_in.py, line 3, in <module>"
