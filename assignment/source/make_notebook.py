"""Writes the nbgrader sources of the course: one notebook for each unit, the DenseNet's the last.

    python source/make_notebook.py

in the course's folder. The points are those of each assignment.toml. Given code and docstrings are
the template's, so a notebook says what the template says; a test holds that the notebooks are
current. The solutions between the marks are taken out by `nbgrader generate_assignment`. Those of a
unit are its reference, each function with the helpers that it needs inside it.
"""

from __future__ import annotations

import ast
import sys
import textwrap
from collections.abc import Collection, Mapping
from pathlib import Path

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from grader.assignment import load_assignment
from grader.assignment.tables.answers import ANSWERS_FILE
from grader.assignment.units import REFERENCE, TEMPLATE, Unit, densenet, units
from grader.classroom.gradebook import points_of_groups
from grader.course import KNOWN_CHECKS
from grader.export.nbgrader import OUTSIDE, cell_name
from grader.resources import template_dir
from grader.student.template import contents

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


# --- the units of the course --------------------------------------------------------------------

UNIT_INTRODUCTION = """\
# {title}

What is asked, by when, and what it is worth stands in the assignment sheet. Write the functions
below, and hand in this notebook{files}.

The grader reads this notebook's cells as a module: keep training and data out of it, or below
`if __name__ == "__main__":`.
"""
QUESTIONS = """\
## Questions

Fill in the answers in the next cell. Its first line stays: run the cell, and it writes
`answers.toml` beside the notebook. The cell is read as data.
"""


def build_unit(unit: Unit) -> nbformat.NotebookNode:
    """The notebook of a unit with its solutions."""
    rules = load_assignment(unit.folder, KNOWN_CHECKS)
    template = (unit.folder / TEMPLATE / unit.module).read_text("utf-8")
    solution = ast.parse((unit.folder / REFERENCE / unit.module).read_text("utf-8"))
    files = [name for name in rules.data_files if name != ANSWERS_FILE]
    told = f", with {' and '.join(files)} beside it" if files else ""
    introduction = UNIT_INTRODUCTION.format(title=rules.title, files=told)
    cells = [new_markdown_cell(introduction, id="introduction"), *_code_of(template, solution)]
    if ANSWERS_FILE in rules.data_files:
        asked = f"%%writefile {ANSWERS_FILE}\n{contents(unit)[ANSWERS_FILE].decode().rstrip()}"
        cells += [new_markdown_cell(QUESTIONS, id="questions"),
                  new_code_cell(asked, id="answers")]  # fmt: skip
    cells += [new_markdown_cell(TESTS, id="tests"), _locked("run-checks", FIRST_TEST.rstrip())]
    for group, most in points_of_groups(rules).items():
        name = cell_name(group)
        if group == OUTSIDE:
            cells.append(_task(OUTSIDE, ELSEWHERE, most))
        else:
            cells.append(_test(name, TEST.format(group=group, points=most), most))
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    return new_notebook(cells=cells, metadata={"kernelspec": kernel})


def _code_of(template: str, solution: ast.Module) -> list[nbformat.NotebookNode]:
    """The template's code: imports and what is given as they stand, stubs with their solutions."""
    top = ast.parse(template).body
    given = [node for node in top if not isinstance(node, ast.FunctionDef | ast.Expr)]
    lines = [ast.get_source_segment(template, node) or "" for node in given]
    cells = [_locked("imports", "\n".join(lines))]
    functions = [node for node in top if isinstance(node, ast.FunctionDef)]
    stubs = {function.name for function in functions if _is_stub(function)}
    for function in functions:
        source = ast.get_source_segment(template, function) or ""
        if function.name in stubs:
            cells.append(_solution(function.name, _answered(function, source, solution, stubs)))
        else:
            cells.append(new_code_cell(source, id=function.name.replace("_", "-")))
    return cells


def _is_stub(function: ast.FunctionDef) -> bool:
    return isinstance(function.body[-1], ast.Raise)


def _answered(
    stub: ast.FunctionDef, source: str, solution: ast.Module, stubs: Collection[str]
) -> str:
    """A stub with the marked solution in place of its `raise`: helpers first, then the body."""
    named = {_name_of(node): node for node in solution.body if _name_of(node)}
    own = named[stub.name]
    assert isinstance(own, ast.FunctionDef)
    asked = {name for name in _names_in(own) if name in named}
    body = [node for node in own.body if not _is_text(node)]
    helpers = [named[name] for name in _helpers(asked, named, set(stubs))]
    lines = source.splitlines()[: stub.body[-1].lineno - stub.lineno]
    inside = "\n".join(ast.unparse(node) for node in (*helpers, *body))
    return "\n".join(
        [*lines, "    ### BEGIN SOLUTION", textwrap.indent(inside, "    "), "    ### END SOLUTION"]
    )


def _helpers(wanted: set[str], named: Mapping[str, ast.stmt], seen: set[str]) -> list[str]:
    """The reference's own names that are needed, and those that these need, in its order."""
    waiting = list(wanted)
    found = set[str]()
    while waiting:
        name = waiting.pop()
        if name not in found | seen:
            found.add(name)
            waiting += [n for n in _names_in(named[name]) if n in named]
    return [name for name in named if name in found]


def _names_in(node: ast.AST) -> set[str]:
    return {inner.id for inner in ast.walk(node) if isinstance(inner, ast.Name)}


def _name_of(node: ast.stmt) -> str:
    """What a statement at the top of a module defines."""
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return node.name
    target = node.targets[0] if isinstance(node, ast.Assign) else None
    return target.id if isinstance(target, ast.Name) else ""


def _is_text(node: ast.stmt) -> bool:
    """A docstring, or the comment below a constant."""
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def notebooks() -> dict[Path, nbformat.NotebookNode]:
    """Every notebook of the course, by its place."""
    units_ = [unit for unit in units(HERE.parent) if unit != densenet(HERE.parent)]
    named = {HERE / unit.topic / f"{Path(unit.module).stem}.ipynb": unit for unit in units_}
    return {
        NOTEBOOK: build(template_dir(), points(HERE.parent)),
        **{place: build_unit(unit) for place, unit in named.items()},
    }


def main() -> None:
    """Write the notebooks."""
    for place, notebook in notebooks().items():
        nbformat.validate(notebook)
        place.parent.mkdir(exist_ok=True)
        nbformat.write(notebook, place)
        print(place, file=sys.stderr)


if __name__ == "__main__":
    main()
