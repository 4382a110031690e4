"""What students get: complete, never written over their work, and as the contract says."""

import ast
import errno
from pathlib import Path

import pytest

from grader.cli import run
from grader.errors import UsageError
from grader.intake.notebook import convert
from grader.resources import template_dir
from grader.student.template import write_template

HANDED_OUT = {
    "assignment.md",
    "README.md",
    "densenet.py",
    "recipe.laptop.toml",
    "recipe.paper.toml",
    "recipe.toml",
    "test_densenet.py",
}
CONTRACT = {
    "dense_block": "x, num_layers, growth_rate, bottleneck=True, dropout_rate=0.0",
    "transition": "x, compression=0.5, dropout_rate=0.0",
    "build_densenet": "depth=40, growth_rate=12, compression=0.5, bottleneck=True, "
    "num_classes=10, input_shape=(32, 32, 3), dropout_rate=0.0",
    "build_model": "",
    "preprocess": "images",
}
STUBS = {"dense_block", "transition"}


def functions_of(folder: Path) -> dict[str, ast.FunctionDef]:
    tree = ast.parse((folder / "densenet.py").read_text(encoding="utf-8"))
    return {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}


def is_stub(function: ast.FunctionDef) -> bool:
    statements = [node for node in function.body if not isinstance(node, ast.Expr)]
    return len(statements) == 1 and isinstance(statements[0], ast.Raise)


def test_init_writes_the_template_and_nothing_else(tmp_path):
    folder = tmp_path / "mine" / "densenet"

    written = write_template(folder)
    assert {path.name for path in written} == HANDED_OUT
    assert {path.name for path in folder.iterdir()} == HANDED_OUT


def test_the_notebook_stands_in_the_modules_place_and_is_the_same_module(tmp_path):
    written = write_template(tmp_path, notebook=True)

    assert {path.name for path in written} == HANDED_OUT - {"densenet.py"} | {"densenet.ipynb"}
    told = convert((tmp_path / "densenet.ipynb").read_bytes()).source
    assert "SOLUTION" not in told
    given = (template_dir() / "densenet.py").read_text(encoding="utf-8")
    body = [ast.unparse(node) for node in ast.parse(given).body]
    assert [ast.unparse(node) for node in ast.parse(told).body][: len(body)] == body


def test_init_writes_a_notebook_where_it_is_asked_for(tmp_path):
    assert run(["init", str(tmp_path / "mine"), "--notebook"]) == 0

    assert (tmp_path / "mine" / "densenet.ipynb").is_file()
    assert not (tmp_path / "mine" / "densenet.py").exists()


def test_init_never_writes_over_what_is_there(tmp_path):
    mine = tmp_path / "densenet.py"
    mine.write_text("my work\n")

    with pytest.raises(UsageError, match=r"already has densenet\.py"):
        write_template(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["densenet.py"]
    assert mine.read_text() == "my work\n"


def test_init_leaves_other_files_of_the_folder_alone(tmp_path):
    (tmp_path / "notes.txt").write_text("mine\n")

    write_template(tmp_path)
    assert (tmp_path / "notes.txt").read_text() == "mine\n"


def test_init_into_a_file_is_a_usage_error(tmp_path, capsys):
    file = tmp_path / "densenet"
    file.write_text("")

    status = run(["init", str(file)])
    assert status == 2
    assert "expected a folder" in capsys.readouterr().err


def test_init_where_nothing_can_be_written_is_a_usage_error(tmp_path, monkeypatch):
    def read_only(*_given, **_named):
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(Path, "mkdir", read_only)

    with pytest.raises(UsageError, match=r"mine: cannot be written: Read-only file system"):
        write_template(tmp_path / "mine")


def test_init_names_the_readme_to_read_next(tmp_path, capsys):
    status = run(["init", str(tmp_path / "new")])

    assert status == 0
    assert "README.md" in capsys.readouterr().out


@pytest.mark.parametrize("name", CONTRACT)
def test_the_template_has_the_functions_of_the_contract_documented(name):
    function = functions_of(template_dir())[name]

    assert ast.unparse(function.args) == CONTRACT[name]
    assert ast.get_docstring(function)


def test_the_two_stubs_are_left_to_the_student_and_nothing_else_is():
    stubs = {name for name, function in functions_of(template_dir()).items() if is_stub(function)}

    assert stubs == STUBS


@pytest.mark.parametrize("name", sorted(STUBS))
def test_a_stub_gives_shapes_the_section_and_an_example(name):
    text = ast.get_docstring(functions_of(template_dir())[name])

    assert all(word in text for word in ("Returns:", "section 3", "Example:", "shape (1,"))
