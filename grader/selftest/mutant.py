"""A mutant: one small, named, documented difference from the reference submission.

Adding one takes three lines in a `wrong_*.py`, `right.py` or `remark.py`:

    Mutant("stem-relu", kills={"stem"}, where="stem", why="An activation after the stem.",
           replace=[("x = conv(inputs, stem, 3)",
                     "x = layers.ReLU()(conv(inputs, stem, 3))")]),

This module and its neighbours hold source text only: none of it is imported or run here.
"""

import ast
from collections.abc import Collection, Sequence
from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from typing import Literal

from grader.selftest.reference import REFERENCE

Kind = Literal["wrong", "right", "remark"]
Edit = tuple[str, str] | tuple[str, str, int]


class MutantError(ValueError):
    """A mutant cannot be made from the reference: an edit or a definition does not fit."""


@dataclass(frozen=True)
class Mutant:
    """One submission of the catalogue."""

    name: str
    """Kebab-case, unique in the catalogue."""
    _: KW_ONLY
    kind: Kind = "wrong"
    """'wrong' must lose a check, 'right' must lose none, 'remark' none, but with a remark."""
    why: str
    """One sentence: what differs and, for a wrong mutant, from which rule of the paper."""
    kills: Collection[str] = frozenset()
    """Names of checks of which at least one must fail; empty unless `kind` is 'wrong'."""
    where: str = ""
    """What the `where` of one finding must contain; empty where no single place is wrong."""
    replace: Sequence[Edit] = ()
    """Edits of the reference: old text, new text, how often the old text stands there (1)."""
    define: str = ""
    """Top-level definitions: one named as in the reference replaces it, others are added."""
    text: str = ""
    """The whole of densenet.py, in place of the reference."""
    raises: bool = False
    """True where importing or building the submission fails, which is its point."""
    runs_on_cpu: bool = True
    """False for a network that can be traced but not run on a CPU (channels first)."""

    def source(self) -> str:
        """Returns the text of this mutant's densenet.py.

        Raises:
            MutantError: an edit's old text does not stand in the text as often as stated.
        """
        text = self.text or REFERENCE
        for edit in self.replace:
            text = self._edited(text, edit)
        return _with_definitions(text, self.define) if self.define else text

    def _edited(self, text: str, edit: Edit) -> str:
        old, new, expected = edit if len(edit) == 3 else (*edit, 1)
        received = text.count(old)
        if received != expected:
            raise MutantError(
                f"{self.name}: expected {expected} times in the reference, "
                f"received {received} times: {old!r}"
            )
        return text.replace(old, new)


def write(mutant: Mutant, folder: Path) -> Path:
    """Writes the mutant as a submission.

    Args:
        mutant: the mutant.
        folder: where densenet.py goes; made if it is missing.

    Returns:
        The path of the densenet.py written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "densenet.py"
    path.write_text(mutant.source(), encoding="utf-8")
    return path


def _with_definitions(text: str, define: str) -> str:
    """Puts each top-level statement of `define` in place of its namesake, or after the imports."""
    old_nodes = ast.parse(text).body
    places = {node.name: node for node in old_nodes if isinstance(node, _NAMED)}
    lines = text.splitlines()
    replaced: dict[int, tuple[int, list[str]]] = {}
    added: list[str] = []
    for node in ast.parse(define).body:
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
        node for node in ast.parse(text).body if isinstance(node, ast.Import | ast.ImportFrom)
    ]
    after = imports[-1].end_lineno or 0
    lines[after:after] = added
    return "\n".join(lines) + "\n"


_NAMED = (ast.FunctionDef, ast.ClassDef)


def _first_line(node: ast.stmt) -> int:
    """The line a statement starts on, its decorators included, counted from 1."""
    decorators = node.decorator_list if isinstance(node, _NAMED) else []
    return min([node.lineno, *(decorator.lineno for decorator in decorators)])
