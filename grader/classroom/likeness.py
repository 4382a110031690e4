"""Whether what was handed in is the reference solution itself: a person has to look.

Compared is what a student has to write, `dense_block` and `transition` with the module's own
functions that they use, as syntax trees: comments, docstrings, line breaks and order are no
difference. The parts that the template hands out are not compared. Weights are compared by their
numbers, so that a file that was saved anew is still the same. Nothing of a student is imported or
loaded here.
"""

from __future__ import annotations

import ast
import hashlib
from functools import cache
from pathlib import Path
from typing import Any

from grader.domain import MODULE, WEIGHTS, Submission
from grader.resources import reference_dir, template_dir
from grader.syntax import module_of

WRITTEN = ("dense_block", "transition")
"""What the assignment asks a student to write."""
_Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


SAME_KERNELS = 0.5
"""Share of the reference's trained kernels from which on weights are its own, trained further or
not: two trainings have not one kernel in common."""


def likeness(
    submission: Submission, tree: Path, module: str, weights: bytes, *, own: bool = False
) -> dict[str, str | None]:
    """What a submission's record says of its likeness to others.

    Args:
        submission: What was handed in.
        tree: Where its files lie, rewritten.
        module: The name of its module.
        weights: The numbers of its network, float32, as they came out of the sandbox.
        own: Whether it is the course's own solution.

    Returns:
        copied (see `like_the_reference`), written_sha256 (None for the template's stubs),
        weights_sha256 (None where no weights were handed in).
    """
    written = _digest_of(tree / module)
    trained = submission.weights is not None and bool(weights)
    return {
        "copied": None if own else like_the_reference(submission, tree, module, weights),
        "written_sha256": None if written == _digest_of(template_dir() / MODULE) else written,
        "weights_sha256": hashlib.sha256(weights).hexdigest() if trained else None,
    }


def like_the_reference(
    submission: Submission, tree: Path, module: str, weights: bytes
) -> str | None:
    """Why a submission should be looked at; None where it is not the reference solution.

    Args:
        submission: What was handed in.
        tree: Where its files lie, rewritten.
        module: The name of its module.
        weights: The numbers of its network, float32.

    Returns:
        A sentence, or None, also where this installation has no reference solution.
    """
    source = _reference_digest()
    same = []
    if source is not None and _digest_of(tree / module) == source:
        same.append(f"its {' and '.join(WRITTEN)}")
    if submission.weights is not None and _trained_like_the_reference(weights):
        same.append("its trained weights")
    if not same:
        return None
    return f"{' and '.join(same)} equal the course's reference solution"


@cache
def _reference_digest() -> str | None:
    """Digest of the reference's source; None where it is not installed."""
    try:
        return _digest_of(reference_dir() / MODULE)
    except OSError:
        return None


def _trained_like_the_reference(weights: bytes) -> bool:
    kernels = _reference_kernels()
    found = sum(kernel in weights for kernel in kernels)
    return bool(kernels) and found >= SAME_KERNELS * len(kernels)


@cache
def _reference_kernels() -> tuple[bytes, ...]:
    """The reference's trained kernels, float32 each; none where it or h5py is not installed."""
    try:
        import h5py

        kernels: list[bytes] = []

        def keep(_: str, item: Any) -> None:
            if isinstance(item, h5py.Dataset) and len(item.shape) > 1:
                kernels.append(item[()].astype("<f4").tobytes())

        with h5py.File(reference_dir() / WEIGHTS) as file:
            file.visititems(keep)
    except (OSError, ImportError):
        return ()
    return tuple(kernels)


def _digest_of(file: Path) -> str | None:
    """Digest of what a student wrote in a file; None where it is not there, or no Python."""
    try:
        tree = module_of(file.read_bytes())
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
