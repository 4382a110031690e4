"""Python's syntax trees, made by one thread at a time.

Property protected: a submission is not withheld for a fault of Python's. Before 3.13 all threads
count the depth of the tree that they build in one place, so that two at a time can end in
`SystemError: AST constructor recursion depth mismatch` (python/cpython#106905).
"""

from __future__ import annotations

import ast
import threading

READING = threading.RLock()
"""Held by whoever builds a tree; NumPy does, for the first line of each file that it loads."""


def module_of(source: str | bytes) -> ast.Module:
    """The tree of a file. Raises as `ast.parse` does."""
    with READING:
        return ast.parse(source)


def expression_of(source: str) -> ast.expr:
    """The tree of an expression. Raises as `ast.parse` does."""
    with READING:
        return ast.parse(source, mode="eval").body
