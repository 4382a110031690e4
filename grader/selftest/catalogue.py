"""All mutants, family by family."""

from functools import cache
from pathlib import Path

from grader.checks import CHECKS
from grader.selftest.mutant import Mutant, MutantError, write
from grader.selftest.parse import read_family

__all__ = ["FAMILIES", "Mutant", "MutantError", "catalogue", "read_catalogue", "write"]

FAMILIES = Path(__file__).with_name("families")
"""A file for each family; `grader/selftest/parse.py` says how to read it."""


@cache
def catalogue() -> tuple[Mutant, ...]:
    """Every mutant that ships."""
    return read_catalogue(FAMILIES)


def read_catalogue(folder: Path) -> tuple[Mutant, ...]:
    """Every mutant of the families in a folder.

    Raises:
        MutantError: A line has no meaning, or a name is taken; it says which.
    """
    checks = {check.name for check in CHECKS}
    named: dict[str, Mutant] = {}
    for file in sorted(folder.glob("*.txt")):
        for mutant in read_family(file, checks):
            if mutant.name in named:
                raise MutantError(
                    f"{file.name}: expected a name that is not taken. "
                    f"Received: {mutant.name}, as in {named[mutant.name].family}.txt"
                )
            named[mutant.name] = mutant
    return tuple(named.values())
