"""Checks of a student's own experiment: a CSV file that a script of theirs wrote, and what they
conclude from it.

The file is data. It is read here, under a bound, and nothing of it is run. Nobody can tell from a
table whether its numbers were measured; what is asked is that it is complete, that its numbers are
possible, and that the conclusion is the one that follows from them.
"""

from __future__ import annotations

import csv
import io
import itertools
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from grader.assignment.tables.experiments import (
    EQUAL,
    LARGER,
    SMALLER,
    Between,
    Conclusion,
    TableCheck,
)
from grader.checks.answers import answer_in
from grader.checks.check import Check, Failure, failure_at
from grader.graph.evidence import Evidence

MAX_BYTES = 2**20
MAX_ROWS = 20_000
SHOWN = 60
"""Characters of a cell that a message quotes."""

Series = tuple[str | float, ...]


@dataclass
class Rows:
    """What was read of a table.

    Attributes:
        series: The values of the columns that name a series → its rows in the order of their count.
    """

    series: dict[Series, list[dict[str, float]]] = field(default_factory=dict)

    def last(self, series: Series, column: str) -> float:
        """The number in the last row of a series."""
        return self.series[series][-1][column]


def table_checks(
    tables: tuple[TableCheck, ...], conclusions: tuple[Conclusion, ...]
) -> tuple[Check, ...]:
    """One check for each table and for each conclusion, in the order of the assignment.

    Without its table a conclusion is not judged, so a wrong line is told once.
    """
    read = {table.name: _Tabled(table) for table in tables}
    return (
        *[Check(one, one.table.group) for one in read.values()],
        *[
            Check(_Concluded(one, read[one.of].table), one.group, (read[one.of],))
            for one in conclusions
        ],
    )


class _Tabled:
    """A check function with the name and the title of its table."""

    def __init__(self, table: TableCheck) -> None:
        self.table = table
        self.__name__ = table.name
        self.__doc__ = table.title

    def __call__(self, evidence: Evidence) -> None:
        read_table(evidence.files, self.table)


class _Concluded:
    """A check function with the name and the question of its conclusion."""

    def __init__(self, conclusion: Conclusion, table: TableCheck) -> None:
        self._conclusion, self._table = conclusion, table
        self.__name__ = conclusion.name
        self.__doc__ = conclusion.question

    def __call__(self, evidence: Evidence) -> None:
        follows(evidence.files, self._conclusion, self._table)


# --- the table ----------------------------------------------------------------------------------


def read_table(files: Mapping[str, bytes], table: TableCheck) -> Rows:
    """The rows of a complete and possible table.

    Args:
        files: The data files of the submission.
        table: What is asked of it.

    Raises:
        Failure: It is missing, cut short, or holds what cannot be.
    """
    found = Rows()
    for line, row in _records(files, table):
        key, numbers = _values(line, row, table)
        rows = found.series.setdefault(key, [])
        if numbers[table.count] != len(rows) + 1:
            raise _failure(
                table, line,
                f"{table.count}: expected {len(rows) + 1}, the next one of {_named(key, table)}. "
                f"Received: {numbers[table.count]:g}",
                f"Within each series {table.count} counts 1, 2, 3, … without a gap.",
            )  # fmt: skip
        rows.append(numbers)
    _complete(found, table)
    return found


def _records(files: Mapping[str, bytes], table: TableCheck) -> Iterator[tuple[int, dict[str, str]]]:
    """Line and cells of each row, by column."""
    content = files.get(table.file)
    if content is None:
        raise Failure(
            f"{table.file} is not in the submission",
            "Run your script, and put the file that it writes beside your code.",
        )
    if len(content) > MAX_BYTES:
        raise Failure(f"{table.file}: expected at most {MAX_BYTES // 2**20} MB", "Write less.")
    try:
        lines = csv.reader(io.StringIO(content.decode("utf-8-sig"), newline=""), strict=True)
        header = [name.strip() for name in next(lines, [])]
        _has_columns(header, table)
        for number, cells in enumerate(lines, start=1):
            if number > MAX_ROWS:
                raise Failure(f"{table.file}: expected at most {MAX_ROWS:,} rows", "Write less.")
            if any(cell.strip() for cell in cells):
                yield lines.line_num, _by_column(lines.line_num, header, cells, table)
    except UnicodeDecodeError as error:
        raise Failure(f"{table.file}: expected UTF-8 text", "Save it as CSV in UTF-8.") from error
    except csv.Error as error:
        raise Failure(f"{table.file}: no CSV file: {error}", "Write it with csv.writer.") from error


def _has_columns(header: list[str], table: TableCheck) -> None:
    missing = [name for name in table.columns if name not in header]
    if missing:
        wanted = ",".join(table.columns)
        other = "; its columns stand apart by semicolons" if ";" in "".join(header) else ""
        raise _failure(
            table, 1, f"expected the columns {wanted}. Received: no {', '.join(missing)}{other}",
            f"Let the first line be {wanted}",
        )  # fmt: skip
    if len(set(header)) < len(header):
        raise _failure(table, 1, "expected each column once", "Rename the one that is there twice.")


def _by_column(line: int, header: list[str], cells: list[str], table: TableCheck) -> dict[str, str]:
    if len(cells) != len(header):
        raise _failure(
            table, line, f"expected {len(header)} cells. Received: {len(cells)}",
            "Each row has one cell for each column; a number has a point and no comma in it.",
        )  # fmt: skip
    return dict(zip(header, (cell.strip() for cell in cells), strict=True))


def _values(
    line: int, row: Mapping[str, str], table: TableCheck
) -> tuple[Series, dict[str, float]]:
    """The series that a row belongs to, and its numbers."""
    key = tuple(_one_of(line, name, row[name], known, table) for name, known in table.keys.items())
    numbers = {
        name: _number(line, name, row[name], between, table)
        for name, between in table.numbers.items()
    }
    anything = Between(lowest=1, highest=MAX_ROWS)
    numbers[table.count] = _number(line, table.count, row[table.count], anything, table)
    return key, numbers


def _one_of(
    line: int, name: str, cell: str, known: tuple[str | float, ...], table: TableCheck
) -> str | float:
    for value in known:
        if cell.casefold() == str(value).casefold() or _as_number(cell) == value:
            return value
    wanted = " or ".join(_shown(value) for value in known)
    raise _failure(
        table, line, f"{name}: expected {wanted}. Received: {_quoted(cell)}",
        "Write the value as it stands here, and no other series into this file.",
    )  # fmt: skip


def _number(line: int, name: str, cell: str, between: Between, table: TableCheck) -> float:
    value = _as_number(cell)
    if value is None or not between.lowest <= value <= between.highest:
        wanted = f"a number from {between.lowest:g} to {between.highest:g}"
        percent = between.highest == 1 and value is not None and 1 < value <= 100
        raise _failure(
            table, line, f"{name}: expected {wanted}. Received: {_quoted(cell)}",
            "Divide by 100: it is a fraction, not percent." if percent else
            "Mend what writes the file; a number has a point and no unit.",
        )  # fmt: skip
    return value


def _as_number(cell: str) -> float | None:
    """A finite number as people and programs write it."""
    try:
        value = float(cell) if len(cell) <= SHOWN and "_" not in cell else math.nan
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _complete(found: Rows, table: TableCheck) -> None:
    """Every series is there, is long enough, as long as the others, and falls where it has to."""
    missing = [key for key in itertools.product(*table.keys.values()) if key not in found.series]
    if missing:
        raise _failure(
            table, 0, f"expected rows of {_named(missing[0], table)}. Received: none",
            f"{len(missing)} of the series are missing: run your script for all of them.",
        )  # fmt: skip
    lengths = {len(rows) for rows in found.series.values()}
    if min(lengths) < table.rows or len(lengths) > 1:
        shortest = min(found.series, key=lambda key: len(found.series[key]))
        raise _failure(
            table, 0,
            f"{_named(shortest, table)}: expected {max(table.rows, *lengths)} rows. "
            f"Received: {min(lengths)}",
            f"Each series has as many rows as the others, and at least {table.rows}.",
        )  # fmt: skip
    for key, rows in found.series.items():
        if table.falls is not None and not rows[-1][table.falls] < rows[0][table.falls]:
            raise _failure(
                table, 0,
                f"{table.falls} of {_named(key, table)}: expected a last value below the first. "
                f"Received: {rows[0][table.falls]:g}, then {rows[-1][table.falls]:g}",
                "A network that is trained gets better at what it is trained on. Is the column the "
                "one that its name says, and are the rows in order?",
            )  # fmt: skip


# --- the conclusion -----------------------------------------------------------------------------


def follows(files: Mapping[str, bytes], conclusion: Conclusion, table: TableCheck) -> None:
    """The answer is the one that follows from the student's own numbers.

    Args:
        files: The data files of the submission.
        conclusion: What is asked.
        table: The table that it is read from.

    Raises:
        Failure: There is no answer or no table, or they disagree.
    """
    place, line, answer = answer_in(files, conclusion.name, f'{conclusion.name} = "{LARGER}"')
    word = str(answer).strip().casefold()
    if word not in (LARGER, SMALLER, EQUAL):
        told = f"expected one of {LARGER}, {SMALLER}, {EQUAL}. Received: {_quoted(str(answer))}"
        raise failure_at(
            place, line, told, f'Write {conclusion.name} = "{LARGER}", or another of them.'
        )
    rows = read_table(files, table)
    first, second = (
        rows.last(tuple(series[name] for name in table.keys), conclusion.column)
        for series in (conclusion.first, conclusion.second)
    )
    if not _agrees(word, first - second, conclusion.equal_within):
        told = (
            f"your answer is {word!r}; {table.file} ends with {first:g} for "
            f"{_of(conclusion.first)} and {second:g} for {_of(conclusion.second)}"
        )
        raise failure_at(place, line, told, "Read the answer from your own numbers.")


def _agrees(word: str, difference: float, equal_within: float) -> bool:
    if word == EQUAL:
        return abs(difference) <= equal_within
    return difference > 0 if word == LARGER else difference < 0


# --- words --------------------------------------------------------------------------------------


def _failure(table: TableCheck, line: int, message: str, help: str) -> Failure:
    return failure_at(f"{table.file}, line {line}" if line else table.file, line, message, help)


def _named(key: Series, table: TableCheck) -> str:
    return _of(dict(zip(table.keys, key, strict=True)))


def _of(series: Mapping[str, str | float]) -> str:
    return ", ".join(f"{name} {_shown(value)}" for name, value in series.items())


def _shown(value: str | float) -> str:
    return value if isinstance(value, str) else f"{value:g}"


def _quoted(cell: str) -> str:
    return repr(cell if len(cell) <= SHOWN else f"{cell[:SHOWN]}…")
