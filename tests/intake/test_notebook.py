"""A notebook becomes a module: IPython's lines go, Python's stay, line for line."""

import ast
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grader.errors import Cause, SubmissionRejected
from grader.intake.notebook import Converted, convert


def notebook(*cells: str | dict[str, Any], **changes: Any) -> bytes:
    listed = [
        {"cell_type": "code", "metadata": {}, "outputs": [], "source": cell}
        if isinstance(cell, str)
        else cell
        for cell in cells
    ]
    whole = {"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": listed} | changes
    return json.dumps(whole).encode()


def converted(*cells: str) -> Converted:
    return convert(notebook(*cells))


def values(*cells: str) -> dict[str, Any]:
    """What the converted module defines; the cells are this test's own."""
    space: dict[str, Any] = {}
    exec(compile(converted(*cells).source, "densenet.py", "exec"), space)
    return space


def test_cells_follow_each_other_under_their_numbers() -> None:
    text = convert(
        notebook("a = 1", {"cell_type": "markdown", "source": "# Title"}, "b = a + 1\n")
    ).source

    assert text.index("# cell 1\na = 1\n") < text.index("# cell 3\nb = a + 1\n")
    assert "Title" not in text


def test_format_3_is_read() -> None:
    sheet = {"cells": [{"cell_type": "code", "input": ["a = 1\n", "b = 2"]}]}
    text = convert(json.dumps({"nbformat": 3, "worksheets": [sheet]}).encode()).source

    assert "# cell 1\na = 1\nb = 2\n" in text


@pytest.mark.parametrize(
    "line",
    [
        "%matplotlib inline",
        "!pip install keras",
        "!nvidia-smi -L | grep '\"GPU",
        "!echo it's (unbalanced",
        "?model.fit",
        "model.fit?",
        "keras.Model??",
        "files = !ls",
        "a, b = %sql select 1",
        "!pip install \\\n  keras",
    ],
)
def test_lines_of_ipython_are_left_out_with_a_remark(line: str) -> None:
    result = converted(f"a = 1\n{line}\nb = 2\n")

    assert ast.unparse(ast.parse(result.source)) == "a = 1\npass\nb = 2"
    assert len(result.remarks) == 1
    assert result.remarks[0].startswith("cell 1: left out ")


def test_lines_keep_their_numbers() -> None:
    source = converted("%magic \\\n two\n\nx = 1\n").source.split("\n")

    assert source.index("x = 1") - source.index("# cell 1") == 4


def test_a_block_of_only_magics_stays_a_block() -> None:
    space = values("try:\n    !pip install x\n    %y\nexcept ImportError:\n    !z\na = 1\n")

    assert space["a"] == 1


@pytest.mark.parametrize(
    "code",
    [
        "text = '''\n%d items\n!important\n?help\nend?\n'''",
        'text = """\n%%bash\n"""',
        "text = 'one \\\n%two'",
        "x = (7\n  % 4)",
        "x = [1,\n  # a bracket ) in a comment\n  7\n  % 4]",
        "x = 7 \\\n  % 4",
        "s = '%s' % 'a!'  # really?",
        "f = f'{1!r} what?'",
        "s = r'\\\\'; t = 1",
        "s = '''it's \"quoted\" \\''' still'''",
        "s = 'a' \"b # no comment\"\nt = 1 # it's",
        "def f():\n    '''What?'''\n    return 3 != 4",
    ],
)
def test_python_that_looks_like_magic_is_not_touched(code: str) -> None:
    result = converted(code)

    assert result.remarks == ()
    assert ast.dump(ast.parse(result.source)) == ast.dump(ast.parse(code))


def test_a_timed_statement_is_kept() -> None:
    result = converted("%time x = sum((\n  1, 2))\n")

    assert "x = sum((\n  1, 2))" in result.source
    assert result.remarks == ("cell 1: left out the magic %time.",)


@pytest.mark.parametrize("magic", ["%%time", "%%capture out", "%%writefile densenet.py"])
def test_a_cell_magic_around_python_leaves_the_python(magic: str) -> None:
    assert values(f"{magic}\na = 1\n")["a"] == 1


@pytest.mark.parametrize("magic", ["%%bash", "%%html", "%%writefile layers.py", "%%timeit", "%%!"])
def test_a_cell_in_another_language_is_left_out_whole(magic: str) -> None:
    result = converted(f"{magic}\nrm = 1\n", "b = 1")

    assert "rm" not in result.source
    assert result.remarks[0].startswith("cell 1: left out as a whole (%%")


def test_a_future_import_comes_first() -> None:
    assert values("a = 1", "from __future__ import annotations\nb = 2")["b"] == 2


def test_a_cell_cannot_choose_the_encoding_of_the_file() -> None:
    assert values("# -*- coding: utf-7 -*-\na = '+AGE-'")["a"] == "+AGE-"


def test_a_carriage_return_cannot_hide_a_line() -> None:
    result = converted("# comment\r!ls\ra = 1")

    assert ast.unparse(ast.parse(result.source)) == "pass\na = 1"


def test_training_at_import_is_noticed() -> None:
    result = converted("(x, y), _ = keras.datasets.cifar10.load_data()", "model.fit(x, y)")

    assert result.remarks[0].startswith("cell 1 calls load_data() whenever it is imported")
    assert result.remarks[1].startswith("cell 2 calls fit() whenever it is imported")


@pytest.mark.parametrize(
    "code",
    [
        "def train():\n    model.fit(x)\n",
        "if __name__ == '__main__':\n    model.fit(x)\n",
        "class A:\n    def f(self):\n        self.model.fit(1)\n",
        "text = 'model.fit(x)'",
        "# model.fit(x)",
    ],
)
def test_training_that_does_not_run_at_import_is_not_noticed(code: str) -> None:
    assert converted(code).remarks == ()


def test_training_in_a_loop_at_import_is_noticed() -> None:
    assert converted("for _ in range(3):\n    model.fit(x)\n").remarks


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"not json",
        b"\xff\xfe",
        b"[]",
        b"{}",
        b'{"nbformat": 5, "cells": []}',
        b'{"nbformat": 4}',
        b'{"nbformat": 4, "cells": {}}',
        b'{"nbformat": 4, "cells": [1]}',
        b'{"nbformat": 3, "worksheets": [1]}',
        b'{"nbformat": 4, "cells": []}',
        b'{"nbformat": 4, "cells": [{"cell_type": "code", "source": 1}]}',
        b'{"nbformat": 4, "cells": [{"cell_type": "code", "source": ["a", 1]}]}',
        b'{"nbformat": 4, "cells": [{"cell_type": "code", "source": "a\\u0000"}]}',
        b'{"nbformat": 4, "cells": [{"cell_type": "code", "source": "\\ud800"}]}',
        b'{"nbformat": 4, "x": ' + b"[" * 100_000,
        b'{"nbformat": 4, "x": ' + b"9" * 100_000 + b"}",
        notebook("a = 1", metadata={"kernelspec": {"language": "R"}}),
        notebook("a = 1", metadata={"language_info": {"name": "julia"}}),
        notebook("a = 1\n" * 400_000),
    ],
)
def test_what_is_no_python_notebook_is_refused(content: bytes) -> None:
    with pytest.raises(SubmissionRejected) as caught:
        convert(content)

    assert caught.value.cause is Cause.SUBMISSION_BAD_NOTEBOOK
    assert caught.value.message.startswith("densenet.ipynb: ")
    assert caught.value.help


@pytest.mark.parametrize(
    "evil", ["'" * 200_000, "'\\\n" * 100_000, "(" * 200_000, "%" * 200_000, "a = " * 100_000,
             " " * 200_000 + "x", "'''" + "\\" * 200_000, "\"'" * 100_000]
)  # fmt: skip
@pytest.mark.timeout(20)
def test_text_made_to_be_slow_is_not(evil: str) -> None:
    assert converted(evil, "a = 1").source


@given(st.lists(st.text(max_size=60), max_size=4))
def test_any_text_in_cells_is_read_or_refused(cells: list[str]) -> None:
    empty = not any(cell.replace("\r", "\n").strip() for cell in cells)
    odd = any("\0" in cell or any("\ud800" <= c <= "\udfff" for c in cell) for cell in cells)

    if empty or odd:
        with pytest.raises(SubmissionRejected):
            converted(*cells)
    else:
        assert converted(*cells).source.startswith("# densenet.py, read from")


@given(
    st.lists(
        st.sampled_from(
            [
                "x = 1",
                "s = '''\n%a\n'''",
                "%m",
                "!s",
                "y = (1\n% 2)",
                "def f():\n    '%%'",
                "",
                "x?",
            ]
        ),
        max_size=8,
    )
)
def test_mixed_cells_always_become_python(lines: list[str]) -> None:
    ast.parse(converted("\n".join(lines), "a = 1").source)
