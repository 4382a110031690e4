"""What the program in the sandbox says of code that raises, or gives what nobody asked for."""

import importlib
import signal
import sys

import pytest

from grader.inside.tracing import calls, failures, student
from grader.inside.tracing.patience import Patience

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
    assert failures._own_words(text) == words


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
        calls.one(given, "tensor")

    assert str(refused.value) == said


def test_one_thing_is_given_on():
    assert calls.one("a network", "network") == "a network"


def failure_of(folder, monkeypatch, source, **more):
    """The account of a module's import that fails."""
    for name, text in {"densenet_here": source, **more}.items():
        (folder / f"{name}.py").write_text(text)
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.chdir(folder)
    module, told = student.load("densenet_here", folder, Patience(None))
    assert module is None
    return told["failure"]


@pytest.mark.parametrize(
    ("source", "told"),
    [
        (
            "import os\nos.makedirs('densenet_here.py/checkpoints')\n",
            {
                "type": "NotADirectoryError",
                "message": "[Errno 20] Not a directory: 'densenet_here.py/checkpoints'",
                "where": "densenet_here.py, line 2, in <module>",
                "line": "os.makedirs('densenet_here.py/checkpoints')",
            },
        ),
        (
            "for i in range(3)\n    pass\n",
            {
                "type": "SyntaxError",
                "message": "expected ':'",
                "where": "densenet_here.py, line 1",
                "line": "for i in range(3)",
            },
        ),
        (
            "import os\nopen(os.path.join(os.path.dirname(__file__), 'no', 'data.npy'))\n",
            {
                "type": "FileNotFoundError",
                "message": "[Errno 2] No such file or directory: 'no/data.npy'",
                "where": "densenet_here.py, line 2, in <module>",
                "line": "open(os.path.join(os.path.dirname(__file__), 'no', 'data.npy'))",
            },
        ),
        (
            "import ast\nast.parse('1 +')\n",
            {
                "type": "SyntaxError",
                "message": "invalid syntax",
                "where": "densenet_here.py, line 2, in <module>",
                "line": "ast.parse('1 +')",
            },
        ),
        ("import sys\nsys.exit()\n", {"type": "SystemExit", "message": ""}),
    ],
    ids=["Python's own frames", "no Python", "their files", "another text", "an exit"],
)
def test_an_exception_is_placed_in_the_students_own_files_once(tmp_path, monkeypatch, source, told):
    failure = failure_of(tmp_path, monkeypatch, source)

    assert {key: failure[key] for key in told} == told


def test_a_module_finds_its_own_command_line_and_a_folder_of_keras_that_it_may_write_to(
    tmp_path, monkeypatch
):
    from keras.src.backend import config

    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(sys, "argv", ["main.py", "trace", "--control", "5"])
    monkeypatch.setattr(config, "_KERAS_DIR", "/dev/null/nowhere")

    student.greet("densenet")

    assert sys.argv == ["densenet.py"]
    assert config.keras_home() == str(tmp_path / ".keras")
    assert (tmp_path / ".keras").is_dir()


def test_a_line_that_is_no_python_is_placed_in_the_file_it_stands_in(tmp_path, monkeypatch):
    failure = failure_of(
        tmp_path, monkeypatch, "import densenet_parts\n", densenet_parts="x = 1\ndef f(:\n"
    )

    assert (failure["where"], failure["line"]) == ("densenet_parts.py, line 2", "def f(:")


LOOPING = """
def spin(n):
    return sum(range(n))

def dense_block(x):
    while x:
        spin(1000)
    return x

def stubborn(ends):
    for _ in range(3):
        try:
            while True:
                spin(1000)
        except BaseException:
            ends.append(1)
    return ends
"""


@pytest.fixture
def loops(tmp_path, monkeypatch):
    (tmp_path / "loops_here.py").write_text(LOOPING)
    monkeypatch.syspath_prepend(tmp_path)
    yield importlib.import_module("loops_here")
    sys.modules.pop("loops_here")


def test_a_call_that_does_not_come_back_is_ended_and_its_loop_is_named(loops, tmp_path):
    patience = Patience(0.2)

    failure = failures.attempt(tmp_path, patience.watch(loops.dense_block), 1)["failure"]

    assert patience.ran_out
    assert failure["type"] == "STUDENT_TIMEOUT"
    assert failure["where"] in [f"loops_here.py, line {n}, in dense_block" for n in (6, 7)]
    assert "endless loop?" in failure["message"]


def test_a_loop_that_catches_everything_is_ended_again(loops):
    assert Patience(0.1).watch(loops.stubborn)([]) == [1, 1, 1]


def test_a_call_that_comes_back_is_left_alone(loops):
    patience = Patience(0.2)

    assert [patience.watch(loops.spin)(10) for _ in range(3)] == [45, 45, 45]
    assert not patience.ran_out
    assert signal.getitimer(signal.ITIMER_PROF)[0] == 0
