"""Writes densenet/densenet.ipynb, the nbgrader source of the assignment, from the template.

    python assignment/source/make_notebook.py

Given code and docstrings are the template's, so the notebook says what the template says; a test
holds that the notebook is current. The solutions between the marks are taken out by
`nbgrader generate_assignment`.
"""

from __future__ import annotations

import ast
import sys
import textwrap
from pathlib import Path

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

HERE = Path(__file__).parent
NOTEBOOK = HERE / "densenet" / "densenet.ipynb"

POINTS = {"shape": 20, "parameters": 17, "architecture": 45}
"""As in assignment.toml; a test holds them together. Accuracy is graded outside the notebook."""

INTRODUCTION = """\
# DenseNet on CIFAR-10

Implement `dense_block` and `transition` of Huang, Liu, van der Maaten and Weinberger, "Densely
Connected Convolutional Networks" (arXiv 1608.06993); sections are named in the docstrings. Train
the network on CIFAR-10, save its weights beside this notebook as `densenet.weights.h5`, and hand in
both. What is asked, by when, and what it is worth stands in the assignment sheet.

The grader reads this notebook's cells as a module: keep training and data out of it, or below
`if __name__ == "__main__":`.
"""

TESTS = """\
## Public checks

Save the notebook, then run these cells: they read it from disk, check it as `grade check` does, and
show the points. Where a check fails, it names the layer, what was expected and what was found.
"""

SOLUTIONS = {
    "dense_block": """\
    def convolution(y, maps, size):
        y = layers.BatchNormalization()(y)
        y = layers.ReLU()(y)
        y = layers.Conv2D(maps, size, padding="same", use_bias=False)(y)
        return layers.Dropout(dropout_rate)(y) if dropout_rate else y

    for _ in range(num_layers):
        new = convolution(x, 4 * growth_rate, 1) if bottleneck else x
        x = layers.Concatenate()([x, convolution(new, growth_rate, 3)])
    return x
""",
    "transition": """\
    maps = int(compression * x.shape[-1])
    x = layers.BatchNormalization()(x)
    x = layers.ReLU()(x)
    x = layers.Conv2D(maps, 1, use_bias=False)(x)
    x = layers.Dropout(dropout_rate)(x) if dropout_rate else x
    return layers.AveragePooling2D(2)(x)
""",
}

FIRST_TEST = """\
# Read as a module, this cell does nothing.
if __name__ == "__main__":
    from grader.student.checks import points_of, run_public_checks

    results = run_public_checks(".")
"""

TEST = 'points_of("{group}", results) if __name__ == "__main__" else None'


def build(template: Path) -> nbformat.NotebookNode:
    """The notebook with its solutions.

    Args:
        template: Folder of the student template.
    """
    text = (template / "densenet.py").read_text(encoding="utf-8")
    functions = {
        node.name: node for node in ast.parse(text).body if isinstance(node, ast.FunctionDef)
    }
    cells = [
        new_markdown_cell(INTRODUCTION, id="introduction"),
        _locked("imports", "import keras\nfrom keras import layers, ops"),
    ]
    for name, function in functions.items():
        source = ast.get_source_segment(text, function) or ""
        if name in SOLUTIONS:
            cells.append(_solution(name, _solved(name, function, source)))
        else:
            cells.append(new_code_cell(source, id=name.replace("_", "-")))
    cells += [new_markdown_cell(TESTS, id="tests"), _locked("run-checks", FIRST_TEST.rstrip())]
    for group, points in POINTS.items():
        cells.append(_test(group, TEST.format(group=group), points))
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    return new_notebook(cells=cells, metadata={"kernelspec": kernel})


def _solved(name: str, function: ast.FunctionDef, source: str) -> str:
    """The stub with its `raise` replaced by the marked solution."""
    lines = source.splitlines()
    stub = function.body[-1]
    kept = lines[: stub.lineno - function.lineno]
    solution = textwrap.indent(textwrap.dedent(SOLUTIONS[name]).rstrip(), "    ")
    return "\n".join([*kept, "    ### BEGIN SOLUTION", solution, "    ### END SOLUTION"])


def _solution(name: str, source: str) -> nbformat.NotebookNode:
    return _cell(name.replace("_", "-"), source, solution=True)


def _locked(name: str, source: str) -> nbformat.NotebookNode:
    return _cell(name, source, locked=True)


def _test(name: str, source: str, points: int) -> nbformat.NotebookNode:
    return _cell(name, source, grade=True, locked=True, points=points)


def _cell(name: str, source: str, **marks: bool | int) -> nbformat.NotebookNode:
    nbgrader = {
        "grade": False,
        "solution": False,
        "locked": False,
        "task": False,
        "grade_id": name,
        "schema_version": 3,
    }
    return new_code_cell(source, id=name, metadata={"nbgrader": nbgrader | marks})


def main() -> None:
    """Write the notebook."""
    notebook = build(HERE.parents[1] / "student_template")
    nbformat.validate(notebook)
    NOTEBOOK.parent.mkdir(exist_ok=True)
    nbformat.write(notebook, NOTEBOOK)
    print(NOTEBOOK, file=sys.stderr)


if __name__ == "__main__":
    main()
