"""How a function of a course is found and called, whatever it and its arguments are named.

No TensorFlow: what is called are plain functions.
"""

import numpy as np
import pytest

from grader.inside.tracing import calls, held

ASKED = {"nb_filters": 6, "growth_rate": 3, "layers": 2}


@pytest.mark.parametrize(
    "function",
    [
        lambda x, nb_filters, growth_rate, layers: (nb_filters, growth_rate, layers),
        lambda x, a, b, c: (a, b, c),
        lambda x, k, layers, nb_filters: (nb_filters, k, layers),
        lambda x, *, layers, n, k: (n, k, layers),
        lambda x, n, k, /, layers=9, dropout=0.0: (n, k, layers),
        lambda x, *rest: rest,
        lambda x, **named: tuple(named.values()),
    ],
)
def test_arguments_go_by_name_and_what_has_another_name_by_position(function):
    assert calls.bound(function, ["x"], ASKED) == (6, 3, 2)


def test_an_argument_without_a_place_is_said_to_be_so():
    def block(x, growth_rate, layers):
        return x

    with pytest.raises(TypeError, match=r"it takes \(x, growth_rate, layers\), and has no place"):
        calls.bound(block, ["x"], ASKED)


@pytest.mark.parametrize(
    ("given", "network", "beside"),
    [
        (("x", 64), "x", [[1, 64]]),
        (["x", np.int64(64), (1, 2.5), "stem"], "x", [[1, 64], [2, [1, 2.5]], [3, "stem"]]),
        (("x", float("nan"), None), "x", [[1, "nan"], [2, None]]),
        (("x", object()), "x", [[1, "a object"]]),
        ("x", "x", None),
    ],
)
def test_the_network_is_picked_and_the_values_beside_it_are_plain(given, network, beside):
    assert calls.chosen(given, 0, "tensor") == (network, beside)


def test_a_result_that_is_not_there_is_named_by_its_place():
    with pytest.raises(TypeError, match="it gives 2 results: expected the tensor at place 3"):
        calls.chosen((1, 2), 2, "tensor")


FILES = {
    "5-dense block.py": "from helper import one\ndef dense_block(x):\n    return one()\n",
    "helper.py": "import os\ndef one():\n    return 1\n",
    "7-net.v2.py": "net = lambda: __import__('5-dense block').dense_block(0)\n",
    "code.py": "def tokenize():\n    return 'mine'\n",
    "broken.py": "def (:\n",
    "dense_block_old.py": "def one_more():\n    return 2\n",
}


@pytest.fixture
def tree(tmp_path, monkeypatch):
    for name, text in FILES.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(held, "_failed", {})
    return tmp_path


@pytest.mark.parametrize(
    ("file", "name", "gives"),
    [
        ("5-dense block.py", "dense_block", 1),
        ("", "one", 1),
        ("", "one_more", 2),
        ("7-net.v2.py", "net", 1),
    ],
)
def test_a_function_is_found_in_a_file_of_any_name_or_in_any_file(tree, file, name, gives):
    function = held.function_of(tree, file, name)

    assert (function(0) if name == "dense_block" else function()) == gives


def test_a_file_with_the_name_of_a_module_of_python_is_the_students_own(tree):
    import code

    assert held.function_of(tree, "code.py", "tokenize")() == "mine"
    assert not hasattr(code, "tokenize")


@pytest.mark.parametrize(
    ("file", "name", "said"),
    [
        ("dense.py", "dense_block", "no file dense.py; dense_block stands in 5-dense block.py"),
        ("dense.py", "nothing", "no file dense.py; there are: 5-dense block.py, 7-net.v2.py"),
        ("", "nothing", "no file defines nothing: 5-dense block.py"),
        ("helper.py", "two", "helper.py has no function two; its functions: one"),
    ],
)
def test_what_is_not_there_is_told_with_what_is(tree, file, name, said):
    with pytest.raises(held.Missing) as missing:
        held.function_of(tree, file, name)

    assert str(missing.value).startswith(said)
