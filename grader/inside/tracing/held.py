"""Which of the student's files holds a function, and that file as a module, whatever its name."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import sys
import warnings
from pathlib import Path
from typing import Any

MOST_FILES = 200
_failed: dict[Path, BaseException] = {}


class Missing(Exception):
    """A file or a function that is not in the submission; says what is."""


def function_of(tree: Path, file: str, name: str) -> Any:
    """A function of the submission.

    Args:
        tree: The submission.
        file: Its file below the tree; empty where any may hold it.
        name: The function.

    Raises:
        Missing: There is no such file or function.
        BaseException: What the file raised when it was imported.
    """
    path = tree / file if file else tree / _holder(tree, name)
    if not path.is_file():
        raise Missing(_instead_of(tree, file, name))
    module = _module(path)
    if not callable(getattr(module, name, None)):
        found = ", ".join(_defined(path)[:12]) or "none"
        raise Missing(f"{path.name} has no function {name}; its functions: {found}")
    return getattr(module, name)


def _module(path: Path) -> Any:
    """A file as a module: the one that others import by its name, where Python finds it so."""
    if path in _failed:
        raise _failed[path]
    try:
        return _import(path)
    except BaseException as error:
        _failed[path] = error
        raise


def _import(path: Path) -> Any:
    stem = path.stem
    found = importlib.util.find_spec(stem) if "." not in stem else None
    if found is not None and found.origin and Path(found.origin).resolve() == path.resolve():
        return importlib.import_module(stem)
    # "code.py" or "5.dense.py": another module has its name, or no import can name it.
    spec = importlib.util.spec_from_file_location(f"submission {stem}", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def _holder(tree: Path, name: str) -> str:
    """The file that defines a function; of several the one that is called like it."""
    holders = [path.name for path in _files(tree) if name in _defined(path)]
    if not holders:
        raise Missing(_instead_of(tree, "", name))
    plain = [file for file in holders if _plain(name) in _plain(file)]
    if len(holders) > 1 and len(plain) != 1:
        raise Missing(f"{name}: several files define it: {', '.join(holders[:6])}")
    return (plain if len(plain) == 1 else holders)[0]


def _plain(name: str) -> str:
    return "".join(c for c in name.removesuffix(".py").casefold() if c.isalpha())


def _instead_of(tree: Path, file: str, name: str) -> str:
    """What there is in place of a file or a function."""
    holders = [path.name for path in _files(tree) if name in _defined(path)]
    if file and holders:
        return f"no file {file}; {name} stands in {', '.join(holders[:3])}"
    there = ", ".join(path.name for path in _files(tree)[:12]) or "none"
    return f"no file {file}; there are: {there}" if file else f"no file defines {name}: {there}"


def _files(tree: Path) -> list[Path]:
    return sorted(path for path in tree.glob("*.py") if path.is_file())[:MOST_FILES]


def _defined(path: Path) -> list[str]:
    """The functions and classes at the top of a file, as it is written; nothing is run."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            body = ast.parse(path.read_bytes()).body
    except (SyntaxError, ValueError, RecursionError, MemoryError, OSError):
        return []
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    names = [node.name for node in body if isinstance(node, kinds)]
    for node in body:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Lambda):
            names += [target.id for target in node.targets if isinstance(target, ast.Name)]
    return names
