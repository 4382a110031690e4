"""Whether what was handed in is the reference solution itself: a person has to look.

Compared is what a student has to write, `dense_block` and `transition` with the module's own
functions that they use, as syntax trees: comments, docstrings, line breaks and order are no
difference. The parts that the template hands out are not compared. Weights are compared by their
file. Nothing is imported or loaded here.
"""

from __future__ import annotations

import ast
import hashlib
from functools import cache
from pathlib import Path

from grader.domain import Submission
from grader.resources import reference_dir, template_dir

WRITTEN = ("dense_block", "transition")
"""What the assignment asks a student to write."""
MODULE = "densenet.py"
WEIGHTS = "densenet.weights.h5"
_Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def likeness(
    submission: Submission, tree: Path, module: str, *, own: bool = False
) -> dict[str, str | None]:
    """What a submission's record says of its likeness to others.

    Args:
        submission: What was handed in.
        tree: Where its files lie, rewritten.
        module: The name of its module.
        own: Whether it is the course's own solution.

    Returns:
        copied (see `like_the_reference`), written_sha256 (None for the template's stubs).
    """
    written = _digest_of(tree / module)
    return {
        "copied": None if own else like_the_reference(submission, tree, module),
        "written_sha256": None if written == _digest_of(template_dir() / MODULE) else written,
    }


def like_the_reference(submission: Submission, tree: Path, module: str) -> str | None:
    """Why a submission should be looked at; None where it is not the reference solution.

    Args:
        submission: What was handed in.
        tree: Where its files lie, rewritten.
        module: The name of its module.

    Returns:
        A sentence, or None, also where this installation has no reference solution.
    """
    source, weights = _reference()
    same = []
    if source is not None and _digest_of(tree / module) == source:
        same.append(f"its {' and '.join(WRITTEN)}")
    files = {file.path: file.sha256 for file in submission.files}
    if weights is not None and files.get(submission.weights or "") == weights:
        same.append("its weights file")
    if not same:
        return None
    return f"{' and '.join(same)} equal the course's reference solution"


@cache
def _reference() -> tuple[str | None, str | None]:
    """Digests of the reference's source and weights file; None for what is not installed."""
    try:
        folder = reference_dir()
        weights = hashlib.sha256((folder / WEIGHTS).read_bytes()).hexdigest()
    except OSError:
        return None, None
    return _digest_of(folder / MODULE), weights


def _digest_of(file: Path) -> str | None:
    """Digest of what a student wrote in a file; None where it is not there, or no Python."""
    try:
        tree = ast.parse(file.read_bytes())
        return digest_of_written(tree)
    except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def digest_of_written(module: ast.Module) -> str | None:
    """Digest of `dense_block` and `transition`, and of what they use; None where one is missing."""
    known = {node.name: node for node in module.body if isinstance(node, _Definition)}
    if not set(WRITTEN) <= known.keys():
        return None
    used: dict[str, str] = {}
    waiting = list(WRITTEN)
    while waiting:
        name = waiting.pop()
        if name in used:
            continue
        used[name] = ast.dump(_without_docstrings(known[name]))
        names = {node.id for node in ast.walk(known[name]) if isinstance(node, ast.Name)}
        waiting += sorted(names & known.keys())
    text = "\n".join(used[name] for name in sorted(used))
    return hashlib.sha256(text.encode()).hexdigest()


def _without_docstrings(definition: _Definition) -> _Definition:
    for node in ast.walk(definition):
        if isinstance(node, _Definition) and ast.get_docstring(node) is not None:
            node.body = node.body[1:]
    return definition
