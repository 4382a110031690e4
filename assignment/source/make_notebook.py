"""Writes densenet/densenet.ipynb, the nbgrader source of the assignment, from the template.

    python source/make_notebook.py

in the course's folder. The points are those of its assignment.toml. Given code and docstrings are
the template's, so the notebook says what the template says; a test holds that the notebook is
current. The solutions between the marks are taken out by `nbgrader generate_assignment`.
"""

from __future__ import annotations

import ast
import sys
import textwrap
from collections.abc import Mapping
from pathlib import Path

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from grader.assignment import load_assignment
from grader.classroom.gradebook import points_of_groups
from grader.course import KNOWN_CHECKS
from grader.export.nbgrader import OUTSIDE, cell_name
from grader.resources import template_dir

HERE = Path(__file__).parent
NOTEBOOK = HERE / "densenet" / "densenet.ipynb"

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

TEST = 'points_of("{group}", results, {points:g}) if __name__ == "__main__" else None'

ELSEWHERE = """\
## Graded elsewhere

The accuracy of your trained network is measured outside this notebook, and so are checks on further
configurations and the time at which you handed in. What came of it is written here.
"""


def points(course: Path) -> dict[str, float]:
    """Group of checks → its points by a course's assignment.toml."""
    return points_of_groups(load_assignment(course, KNOWN_CHECKS))


def build(template: Path, rubric: Mapping[str, float]) -> nbformat.NotebookNode:
    """The notebook with its solutions.

    Args:
        template: Folder of the student template.
        rubric: Group of checks → points.
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
    for group, most in rubric.items():
        if group == OUTSIDE:
            cells.append(_task(OUTSIDE, ELSEWHERE, most))
        else:
            cells.append(_test(cell_name(group), TEST.format(group=group, points=most), most))
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


def _test(name: str, source: str, most: float) -> nbformat.NotebookNode:
    return _cell(name, source, grade=True, locked=True, points=most)


def _task(name: str, source: str, most: float) -> nbformat.NotebookNode:
    marks = _marks(name, task=True, locked=True, points=most)
    return new_markdown_cell(source, id=name, metadata={"nbgrader": marks})


def _cell(name: str, source: str, **marks: bool | float) -> nbformat.NotebookNode:
    return new_code_cell(source, id=name, metadata={"nbgrader": _marks(name, **marks)})


def _marks(name: str, **marks: bool | float) -> dict[str, object]:
    """nbgrader's metadata of a cell."""
    nbgrader: dict[str, object] = {
        "grade": False,
        "solution": False,
        "locked": False,
        "task": False,
        "grade_id": name,
        "schema_version": 3,
    }
    return nbgrader | marks


def main() -> None:
    """Write the notebook."""
    notebook = build(template_dir(), points(HERE.parent))
    nbformat.validate(notebook)
    NOTEBOOK.parent.mkdir(exist_ok=True)
    nbformat.write(notebook, NOTEBOOK)
    print(NOTEBOOK, file=sys.stderr)


if __name__ == "__main__":
    main()
