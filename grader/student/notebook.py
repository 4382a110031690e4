"""`grade init --notebook`: the template's module as the cells of a notebook."""

from __future__ import annotations

import ast
import itertools
import json
from typing import Any

from grader.syntax import module_of

TITLE = """\
# {title}

Write the functions whose cells still raise `NotImplementedError`. The grader reads these cells as a
module: keep training and data out of it, or below `if __name__ == "__main__":`."""
CHECK = """\
# Save the notebook first: it is read from disk. Read as a module, this cell does nothing.
if __name__ == "__main__":
    from grader.student.checks import run_public_checks

    for name, result in run_public_checks(".").items():
        print(result.outcome, name)
        if result.outcome == "failed":
            print(result.explanation, end="\\n\\n")"""


def as_notebook(source: str, title: str) -> bytes:
    """A module as a notebook: a cell for what stands before its functions, one for each function.

    Args:
        source: The module's text.
        title: The assignment's.
    """
    cells = [_cell("markdown", TITLE.format(title=title))]
    cells += [_cell("code", text) for text in _parts(source)]
    cells.append(_cell("code", CHECK))
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    whole = {
        "cells": cells,
        "metadata": {"kernelspec": kernel},
        "nbformat": 4,
        "nbformat_minor": 4,
    }
    return (json.dumps(whole, indent=1, ensure_ascii=False) + "\n").encode()


def _parts(source: str) -> list[str]:
    """The module's text, cut before each function and class."""
    lines = source.splitlines()
    kinds = (ast.FunctionDef, ast.ClassDef)
    starts = [
        min([node.lineno, *(d.lineno for d in node.decorator_list)]) - 1
        for node in module_of(source).body
        if isinstance(node, kinds)
    ]
    cuts = sorted({0, *starts, len(lines)})
    texts = ["\n".join(lines[a:b]).strip("\n") for a, b in itertools.pairwise(cuts)]
    return [text for text in texts if text]


def _cell(kind: str, text: str) -> dict[str, Any]:
    cell: dict[str, Any] = {
        "cell_type": kind,
        "metadata": {},
        "source": text.splitlines(keepends=True),
    }
    return cell if kind == "markdown" else {**cell, "execution_count": None, "outputs": []}
