"""Which files of a working folder the module needs, read from its text; nothing is run."""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Callable, Collection, Iterator

from grader.intake.kinds import KEPT_ENDINGS, is_weights
from grader.intake.paths import Parts
from grader.syntax import module_of

ReadText = Callable[[Parts], str]
"""The text of a Python file; empty where it cannot be read."""

_IMPORTS_BY_NAME = re.compile(r"import_module|__import__|from_file_location|runpy|exec\(")
_LONGEST_NAME = 200


def needed_files(module: Parts, there: Collection[Parts], read: ReadText) -> set[Parts]:
    """The module, the files that it imports, and the data files that these name.

    A package is needed as a whole. A file is named where its name stands as a text in the code,
    as in `open("sizes.json")`; a folder that is named may have been put on `sys.path`. Rather one
    file too many: one that is missing costs points, one that nobody reads costs nothing.

    Args:
        module: The file to begin with.
        there: All files of the folder.
        read: Gives the text of a Python file.
    """
    needed, waiting = {module}, [module]
    while waiting:
        imports, texts = _what_it_names(read(waiting.pop()))
        places = {module[:-1]} | {path[:-1] for path in there if texts & set(path[:-1])}
        found = {path for path in there if _is_imported(path, imports, places)}
        found |= {path for path in there if path[-1] in texts and _is_data(path[-1])}
        waiting += sorted(path for path in found - needed if path[-1].endswith(".py"))
        needed |= found
    return needed


def _what_it_names(source: str) -> tuple[set[str], set[str]]:
    """First names of the modules that a file imports, and last names of the paths in its texts."""
    nodes = list(ast.walk(_parsed(source)))
    texts = {n.value for n in nodes if isinstance(n, ast.Constant) and isinstance(n.value, str)}
    short = {text for text in texts if len(text) <= _LONGEST_NAME}
    imports = {name for node in nodes for name in _imports(node)}
    if _IMPORTS_BY_NAME.search(source):
        imports |= {re.split(r"[./\\]", text)[0] for text in short}
    return imports, {part for text in short for part in re.split(r"[/\\]", text)}


def _parsed(source: str) -> ast.AST:
    try:
        with warnings.catch_warnings(action="ignore"):  # an escape like "\d" is no matter here
            return module_of(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return ast.Module([], [])


def _imports(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name.split(".")[0] for alias in node.names)
    elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
        # One with dots stands inside a package, which is needed as a whole.
        yield node.module.split(".")[0]


def _is_imported(path: Parts, imports: Collection[str], places: Collection[Parts]) -> bool:
    """Whether `import name` in one of the places finds the file, as a module or in a package."""
    if not path[-1].endswith(".py"):
        return False
    beyond = (path[len(place) :] for place in places if path[: len(place)] == place)
    return any(rest and rest[0].removesuffix(".py") in imports for rest in beyond)


def _is_data(name: str) -> bool:
    return name.endswith(KEPT_ENDINGS) and not is_weights(name)
