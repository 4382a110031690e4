"""The student's files as modules: plain sources, and after the standard library."""

from __future__ import annotations

import os
import pathlib
import sys
from typing import Any


def add_tree_to_path(tree: pathlib.Path) -> None:
    """Make the student's modules importable: after the standard library, before site-packages.

    So a student's `random.py` shadows nothing, and a `utils.py` of theirs wins over a package of
    that name that happens to be installed here, as it did on their machine.
    """
    sys.path_hooks.insert(0, TreeFinder(tree))
    first_site = next(
        (i for i, p in enumerate(sys.path) if "site-packages" in p or "dist-packages" in p),
        len(sys.path),
    )
    sys.path.insert(first_site, str(tree))


class TreeFinder:
    """Path hook for the student's tree: plain `.py` sources only.

    A stale or forged `.pyc`, a native module and a cache folder in the tree are not looked at.
    """

    def __init__(self, tree: pathlib.Path) -> None:
        self._tree = str(tree)

    def __call__(self, path: str) -> Any:
        """Return a finder for a folder of the tree, refuse every other."""
        from importlib.machinery import FileFinder, SourceFileLoader

        if path != self._tree and not path.startswith(self._tree + os.sep):
            raise ImportError
        return FileFinder(path, (_uncached(SourceFileLoader), [".py"]))


def _uncached(base: type[Any]) -> type[Any]:
    def get_code(self: Any, fullname: str) -> Any:
        path = self.get_filename(fullname)
        return self.source_to_code(self.get_data(path), path)

    return type("UncachedLoader", (base,), {"get_code": get_code})
