"""[[tables]] and [[conclusions]]: what a student's own experiment wrote to a CSV file, and what
follows from it."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import BeforeValidator, Field, field_validator, model_validator

from grader.assignment.mistakes import mistake, short
from grader.assignment.tables.base import NonEmpty, OwnCheck, Table

LARGER, SMALLER, EQUAL = "larger", "smaller", "equal"
"""How the end of one series may compare with another's."""

_FILE = re.compile(r"[A-Za-z0-9_-]+\.csv", re.ASCII)
_Words = Annotated[tuple[str, ...], Field(strict=False)]
_Numbers = Annotated[tuple[float, ...], Field(strict=False)]


class Between(Table):
    """A column of numbers."""

    lowest: float
    highest: float

    @model_validator(mode="after")
    def _has_room(self) -> Self:
        if not self.lowest < self.highest:
            raise mistake("expected lowest below highest", "Write { lowest = 0, highest = 1 }.")
        return self


def _of_one_kind(written: Any) -> Any:
    """A list of words stays; one of numbers becomes floats; anything else is left to be refused."""
    if isinstance(written, list):
        if all(isinstance(value, int | float) and not isinstance(value, bool) for value in written):
            return tuple(float(value) for value in written)
        return tuple(written)
    return written


Column = Annotated[Literal["count"] | Between | _Words | _Numbers, BeforeValidator(_of_one_kind)]
"""What stands in a column: a count 1, 2, 3, … within each series; a number in a range; or one of
the words or numbers that are listed, each of which names a series."""


class TableCheck(OwnCheck):
    """A CSV file that the student's own script wrote.

    The columns with a list of values cut the table into series, one for each combination. Each has
    to be there. The rows of a series are counted by the column that is a count.
    """

    table: ClassVar[str] = "tables"
    title: NonEmpty
    """What the check says of itself in the report."""
    file: str
    """The file's name, such as "degradation.csv"."""
    columns: dict[str, Column] = Field(min_length=1, max_length=20)
    """Name → what stands there: "count", { lowest = 0, highest = 1 }, or a list of values."""
    rows: int = Field(default=1, ge=1, le=10_000)
    """How many rows each series has at least."""
    falls: str | None = None
    """A column of numbers whose last value in each series is below the first."""

    @field_validator("file")
    @classmethod
    def _file_is_a_csv(cls, written: str) -> str:
        if not _FILE.fullmatch(written):
            raise mistake(
                f"expected the name of a CSV file. Received: {short(written)}",
                'Write it as "degradation.csv".',
            )
        return written

    @model_validator(mode="after")
    def _columns_fit_together(self) -> Self:
        if [*self.columns.values()].count("count") != 1 or not self.keys:
            raise mistake(
                "columns: expected one column that is a count, and one with a list of values",
                'Add epoch = "count" and depth = [20, 32].',
            )
        if self.falls is not None and self.falls not in self.numbers:
            raise mistake(f"falls: expected a column of numbers. Received: {self.falls!r}")
        return self

    @property
    def count(self) -> str:
        """The column that counts the rows of a series."""
        return next(name for name, column in self.columns.items() if column == "count")

    @property
    def keys(self) -> dict[str, tuple[str | float, ...]]:
        """The columns that name a series, with their values."""
        return {n: column for n, column in self.columns.items() if isinstance(column, tuple)}

    @property
    def numbers(self) -> dict[str, Between]:
        """The columns of numbers, with their ranges."""
        return {n: column for n, column in self.columns.items() if isinstance(column, Between)}


class Conclusion(OwnCheck):
    """What a student reads from the own table: how the ends of two series compare.

    The answer stands in answers.toml under the check's name: "larger", "smaller" or "equal".
    """

    table: ClassVar[str] = "conclusions"
    of: str
    """The name of the [[tables]] check whose file is read."""
    question: NonEmpty
    """As the student reads it: is the first larger than the second?"""
    column: str
    """The column of numbers that is compared."""
    first: dict[str, str | float]
    """The series whose last row is compared, such as { kind = "plain", depth = 32 }."""
    second: dict[str, str | float]
    """The series that it is compared with."""
    equal_within: float = Field(default=0.0, ge=0)
    """A difference up to this much may be called equal as well."""

    @field_validator("first", "second", mode="before")
    @classmethod
    def _numbers_are_floats(cls, written: Any) -> Any:
        if not isinstance(written, Mapping):
            return written
        return {
            name: float(v) if isinstance(v, int) and not isinstance(v, bool) else v
            for name, v in written.items()
        }

    def problem_with(self, tables: tuple[TableCheck, ...]) -> str | None:
        """Why it cannot be read from the tables that there are; None where it can."""
        source = next((table for table in tables if table.name == self.of), None)
        if source is None:
            return f"of: expected the name of a [[tables]] check. Received: {self.of!r}"
        if self.column not in source.numbers:
            return f"column: expected a column of numbers of {self.of}. Received: {self.column!r}"
        for key, series in (("first", self.first), ("second", self.second)):
            known = source.keys
            if series.keys() != known.keys() or any(v not in known[n] for n, v in series.items()):
                return f"{key}: expected one value for each of {', '.join(known)}"
        return None


def sheet(conclusions: tuple[Conclusion, ...]) -> str:
    """Their part of answers.toml as it is handed out: each question, its answer left open."""
    lines = []
    for conclusion in conclusions:
        lines += [f"# {line}" for line in textwrap.wrap(conclusion.question, 90)]
        equal = conclusion.equal_within
        may = f" ({EQUAL}: within {equal:g})" if equal else ""
        lines += [f'# Expected: one of "{LARGER}", "{SMALLER}", "{EQUAL}"{may}.']
        lines += [f'{conclusion.name} = ""', ""]
    return "\n".join(lines)
