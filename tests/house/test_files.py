"""A file is short enough to be read, and no two files need each other."""

import ast
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "grader"
MOST_LINES = 600

MODULES = {
    ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): file
    for file in sorted(PACKAGE.rglob("*.py"))
}


def length_of(file: Path) -> int:
    return len(file.read_text(encoding="utf-8").splitlines())


def test_no_file_is_too_long_to_read():
    lengths = {file.relative_to(ROOT).as_posix(): length_of(file) for file in MODULES.values()}

    assert [f"{name}: {lines} lines" for name, lines in lengths.items() if lines > MOST_LINES] == []


def needed_by(name: str, tree: ast.AST) -> Iterator[str]:
    """The modules of the package that a module imports, inside functions too.

    What is imported for its types alone is not needed when the program runs.
    """
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            waiting.extend(node.orelse)
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in MODULES)
        elif isinstance(node, ast.ImportFrom):
            start = node.module or ""
            if node.level:
                package = name if MODULES[name].name == "__init__.py" else name.rpartition(".")[0]
                above = package.split(".")[: len(package.split(".")) + 1 - node.level]
                start = ".".join(filter(None, (*above, node.module)))
            for alias in node.names:
                whole = f"{start}.{alias.name}"
                if whole in MODULES or start in MODULES:
                    yield whole if whole in MODULES else start
        waiting.extend(ast.iter_child_nodes(node))


def circle_in(needs: dict[str, set[str]]) -> list[str]:
    """The modules of one circle; none where there is none."""
    try:
        TopologicalSorter(needs).prepare()
    except CycleError as error:
        return [str(module) for module in error.args[1]]
    return []


def test_no_two_files_need_each_other_not_even_inside_a_function():
    needs = {
        name: set(needed_by(name, ast.parse(file.read_text(encoding="utf-8")))) - {name}
        for name, file in MODULES.items()
    }

    assert circle_in(needs) == []


def test_a_circle_behind_a_function_is_found():
    hidden = "def f():\n    from grader.files import mark\n"

    needs = {
        "grader.files": {"grader.errors"},
        "grader.errors": set(needed_by("grader.errors", ast.parse(hidden))),
    }

    assert circle_in(needs)
