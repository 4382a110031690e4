"""The house keeps its order: imports run one way, and heavy libraries stay where they belong."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "grader"

ORDER = (
    "inside",
    "errors",
    "files",
    "syntax",
    "domain",
    "paper",
    "resources",
    "assignment",
    "intake",
    "sandbox",
    "calls",
    "graph",
    "checks",
    "engine",
    "scoring",
    "report",
    "export",
    "ledger",
    "classroom",
    "run",
    "cluster",
    "comparison",
    "course",
    "pipeline",
    "regrading",
    "bundle",
    "selftest",
    "student",
    "doctor",
    "cli",
)
"""A room may import itself and those above it: the way of ARCHITECTURE.md."""

HEAVY = {"tensorflow", "keras", "cv2", "docker", "ray", "nbgrader", "matplotlib", "jax"}
MAY_LOAD_NETWORKS = {"engine", "inside", "selftest", "student"}
"""Rooms with TensorFlow or Keras: ours that rebuilds, the sandboxed program, the catalogue, whose
modules are texts of submissions, and the student's, who trains their own network."""

MODULES = sorted(PACKAGE.rglob("*.py"))


def room_of(module: Path) -> str:
    return module.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports_in(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield "." * node.level + (node.module or "")
            if node.module == "grader":
                yield from (f"grader.{alias.name}" for alias in node.names)


def imports_at_import_time(tree: ast.Module) -> Iterator[str]:
    """Imports outside functions and outside `if TYPE_CHECKING`."""
    waiting: list[ast.AST] = list(tree.body)
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            continue
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield from imports_in(node)
        waiting.extend(ast.iter_child_nodes(node))


def parsed(module: Path) -> ast.Module:
    return ast.parse(module.read_text(encoding="utf-8"))


def test_every_module_lies_in_a_known_room():
    rooms = {room_of(module) for module in MODULES} - {"__init__", "_data"}

    assert rooms <= set(ORDER)


@pytest.mark.parametrize("room", ORDER)
def test_a_room_imports_only_itself_and_rooms_above_it(room):
    allowed = set(ORDER[: ORDER.index(room) + 1])

    wrong = [
        f"{module.relative_to(ROOT)} imports {name}"
        for module in MODULES
        if room_of(module) == room
        for name in imports_in(parsed(module))
        if name.startswith("grader.") and name.split(".")[1] not in allowed | {"__version__"}
    ]

    assert wrong == []


def test_imports_name_the_whole_way_but_beside_student_code_where_the_folder_has_another_name():
    wrong = [
        f"{module.relative_to(ROOT)} imports {name}"
        for module in MODULES
        for name in imports_in(parsed(module))
        if name.startswith(".") and (room_of(module) != "inside" or name.startswith(".."))
    ]

    assert wrong == []


def test_the_program_beside_student_code_imports_nothing_of_the_grader():
    wrong = [
        f"{module.relative_to(ROOT)} imports {name}"
        for module in MODULES
        if room_of(module) == "inside"
        for name in imports_in(parsed(module))
        if name.split(".")[0] == "grader" and not name.startswith("grader.inside")
    ]

    assert wrong == []


def test_no_module_imports_a_heavy_library_when_it_is_imported():
    # The catalogue's reference is the text of a submission; nothing imports it.
    texts = {PACKAGE / "selftest" / "reference.py"}

    wrong = [
        f"{module.relative_to(ROOT)} imports {name}"
        for module in MODULES
        if module not in texts
        for name in imports_at_import_time(parsed(module))
        if name.split(".")[0] in HEAVY
    ]

    assert wrong == []


def test_only_the_engine_and_the_sandboxed_program_load_networks():
    wrong = [
        f"{module.relative_to(ROOT)} imports {name}"
        for module in MODULES
        if room_of(module) not in MAY_LOAD_NETWORKS
        for name in imports_in(parsed(module))
        if name.split(".")[0] in {"tensorflow", "keras"}
    ]

    assert wrong == []


def test_the_architecture_lists_the_rooms_in_their_order():
    text = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")

    listed = [line.split("`")[1] for line in text.splitlines() if line.startswith("| `")]
    assert listed == list(ORDER)
