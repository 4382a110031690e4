"""A mutant: one small, named, documented difference from the reference submission.

They are written as text in `grader/selftest/families/`; `grader/selftest/parse.py` says how.
Nothing of them is imported or run here.
"""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from typing import Literal

from grader.errors import UsageError
from grader.selftest.definitions import with_definitions
from grader.selftest.places import Place, in_place
from grader.selftest.reference import REFERENCE

Kind = Literal["wrong", "right", "remark"]


class MutantError(UsageError):
    """A mutant cannot be made: what it says has no meaning, or does not fit the reference."""


@dataclass(frozen=True)
class Edit:
    """One text in place of another."""

    old: str
    """Stands in the text exactly once."""
    new: str
    at: str = ""
    """File and line it was read from, for messages."""


@dataclass(frozen=True)
class Mutant:
    """One submission of the catalogue."""

    name: str
    """Kebab-case, unique in the catalogue."""
    _: KW_ONLY
    family: str = ""
    """The file that it stands in, without its ending."""
    kind: Kind = "wrong"
    """'wrong' must lose a check, 'right' must lose none, 'remark' none, but with a remark."""
    why: str
    """One sentence: what differs and, for a wrong mutant, from which rule of the paper."""
    loses: tuple[str, ...] = ()
    """The checks whose rules it breaks: each must fail. `verdicts.json` has all that fail."""
    where: str = ""
    """What one place that is named must contain; empty where no single place is wrong."""
    edits: tuple[Edit, ...] = ()
    """Edits of the reference, in their order."""
    define: str = ""
    """Top-level definitions: one named as in the reference replaces it, others are added."""
    piece: str = ""
    """Definitions that several mutants share; they come before the edits."""
    place: Place | None = None
    """Where alone the mistake is made; None: wherever the edited code is used."""
    raises: bool = False
    """True where importing or building the submission fails, which is its point."""
    runs_on_cpu: bool = True
    """False for a network that can be traced but not run on a CPU (channels first)."""

    def source(self, reference: str = REFERENCE) -> str:
        """Returns the text of this mutant's module.

        Args:
            reference: What it differs from; a network of another unit has its own.

        Raises:
            MutantError: An edit's old text does not stand in the text exactly once, a definition
                is not Python, or the mistake is not made where it says.
        """
        try:
            text = with_definitions(reference, self.piece)
            for edit in self.edits:
                text = _edited(text, edit)
            text = with_definitions(text, self.define)
            return text if self.place is None else in_place(reference, text, self.place)
        except (SyntaxError, ValueError) as problem:
            raise MutantError(f"{self.family}.txt, {self.name}: {problem}") from None


def _edited(text: str, edit: Edit) -> str:
    count = text.count(edit.old)
    if count != 1:
        raise MutantError(
            f"{edit.at}: expected text that stands once in the reference. "
            f"Received, {count} times: {edit.old!r}"
        )
    return text.replace(edit.old, edit.new)


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
