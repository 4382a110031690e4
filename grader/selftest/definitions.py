"""A densenet.py as its top-level definitions: found by name, replaced, added. Text alone."""

from __future__ import annotations

import ast

from grader.syntax import module_of

_NAMED = (ast.FunctionDef, ast.ClassDef)


def definitions(text: str) -> dict[str, str]:
    """Every top-level function and class by its name."""
    lines = text.splitlines()
    return {
        node.name: "\n".join(lines[_first_line(node) - 1 : node.end_lineno])
        for node in module_of(text).body
        if isinstance(node, _NAMED)
    }


def with_definitions(text: str, define: str) -> str:
    """Puts each top-level statement of `define` in place of its namesake, or after the imports."""
    if not define:
        return text
    old_nodes = module_of(text).body
    places = {node.name: node for node in old_nodes if isinstance(node, _NAMED)}
    lines = text.splitlines()
    replaced: dict[int, tuple[int, list[str]]] = {}
    added: list[str] = []
    for node in module_of(define).body:
        piece = define.splitlines()[_first_line(node) - 1 : node.end_lineno]
        place = places.get(node.name) if isinstance(node, _NAMED) else None
        if place is None:
            added += ["", "", *piece] if isinstance(node, _NAMED) else piece
        else:
            replaced[_first_line(place)] = (place.end_lineno or 0, piece)
    for first in sorted(replaced, reverse=True):
        last, piece = replaced[first]
        lines[first - 1 : last] = piece
    imports = [
        node for node in module_of(text).body if isinstance(node, ast.Import | ast.ImportFrom)
    ]
    after = imports[-1].end_lineno or 0
    lines[after:after] = added
    return "\n".join(lines) + "\n"


def _first_line(node: ast.stmt) -> int:
    """The line a statement starts on, its decorators included, counted from 1."""
    decorators = node.decorator_list if isinstance(node, _NAMED) else []
    return min([node.lineno, *(decorator.lineno for decorator in decorators)])
