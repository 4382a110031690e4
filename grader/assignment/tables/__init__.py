"""The tables of assignment.toml, and the file as a whole; every key is explained at its field."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import Field, field_validator, model_validator

from grader.assignment.mistakes import mistake, short
from grader.assignment.tables.answers import ANSWERS_FILE, KEY_FILE, Answer, Question
from grader.assignment.tables.base import (
    ACCURACY,
    FILE_NAME,
    NEEDS_ZONE,
    Attempt,
    NonEmpty,
    OwnCheck,
    Points,
    Seconds,
    Table,
)
from grader.assignment.tables.data import DataSource
from grader.assignment.tables.experiments import Conclusion, TableCheck
from grader.assignment.tables.functions import Argument, FunctionCheck, Slip
from grader.assignment.tables.networks import Call, NetworkCheck, Reference
from grader.assignment.tables.probes import (
    BlockProbe,
    HiddenProbes,
    NetworkProbe,
    Probes,
    TransitionProbe,
)
from grader.assignment.tables.rules import (
    Deadline,
    EvaluationRule,
    LatePolicy,
    RubricLine,
    TimeBudgets,
)
from grader.domain import MODULE, Limits, Sha256
from grader.errors import AssignmentError

_MODULE = re.compile(r"[^/\\:.\x00-\x1f]+\.py")


class Contents(Table):
    """What stands in assignment.toml."""

    title: NonEmpty
    """The assignment's name, for reports."""
    module: str = MODULE
    """The file that every submission must have at its top; or the notebook of that name. Left out
    where only [[networks]] asks for something: any of the files that it names will do, ""."""
    deadline: Deadline
    """Due date and late policy."""
    evaluation: EvaluationRule | None = None
    """How accuracy is measured and judged; left out: it is not asked for."""
    attempt: Attempt = "latest"
    """Which of a student's submissions counts: the latest received, or the one with most points."""
    time_budgets: TimeBudgets
    """Wall-clock budgets."""
    limits: Limits = Limits()
    """What student code may use in the sandbox; its wall time is time_budgets.trace_s."""
    probes: Probes | None = None
    """Configurations that the functions of a DenseNet are called with; left out: the assignment
    asks for no DenseNet, and none of its checks is run."""
    networks: Annotated[tuple[NetworkCheck, ...], Field(strict=False)] = ()
    """Checks of the kind "the same network as"."""
    answers: Annotated[tuple[Question, ...], Field(strict=False)] = ()
    """Questions, answered in answers.toml; the key is reference/answers.toml beside this file."""
    functions: Annotated[tuple[FunctionCheck, ...], Field(strict=False)] = ()
    """Checks of the kind "gives what the reference gives"."""
    tables: Annotated[tuple[TableCheck, ...], Field(strict=False)] = ()
    """CSV files that a student's own experiment wrote."""
    conclusions: Annotated[tuple[Conclusion, ...], Field(strict=False)] = ()
    """What follows from these, answered in answers.toml."""
    data: DataSource | None = None
    """Where the images come from; needed with [evaluation]."""
    rubric: dict[str, RubricLine] = Field(min_length=1)
    """Check name → points and visibility; names exactly the checks that exist."""

    @property
    def own_checks(self) -> tuple[OwnCheck, ...]:
        """The checks that tables of this file make, in the order of the report."""
        return (
            *self.networks,
            *self.functions,
            *self.answers,
            *self.tables,
            *self.conclusions,
        )

    @property
    def data_files(self) -> tuple[str, ...]:
        """Files at the top of a submission that are read as data."""
        answers = (ANSWERS_FILE,) if self.answers or self.conclusions else ()
        return (*answers, *dict.fromkeys(table.file for table in self.tables))

    def key_of(self, check: OwnCheck) -> str:
        """Where a check stands in the file, such as networks.0."""
        return f"{check.table}.{getattr(self, check.table).index(check)}"

    @model_validator(mode="before")
    @classmethod
    def _networks_alone_need_no_module(cls, table: Any) -> Any:
        others = {"module", "probes", "evaluation", "functions", "answers"}
        if isinstance(table, Mapping) and "networks" in table and not others & set(table):
            return {**table, "module": ""}
        return table

    @field_validator("module")
    @classmethod
    def _module_can_be_imported(cls, written: str) -> str:
        if written and not _MODULE.fullmatch(written):
            raise mistake(
                f"expected the name of a Python file. Received: {short(written)}",
                'Write it as "alexnet.py".',
            )
        return written

    @field_validator("limits", mode="before")
    @classmethod
    def _wall_time_is_written_once(cls, written: Any) -> Any:
        if isinstance(written, Mapping) and "wall_time_s" in written:
            raise mistake(
                "expected no wall_time_s here",
                "The wall time of the sandbox is time_budgets.trace_s.",
            )
        return written

    @model_validator(mode="after")
    def _something_is_asked(self) -> Self:
        if self.probes is None and not self.own_checks:
            raise mistake(
                "expected [probes], [[networks]], [[functions]], [[answers]] or [[tables]]: "
                "nothing is asked for",
                "Take [probes] from the assignment that ships, or add one of the other tables.",
            )
        if self.probes is not None and self.module != MODULE:
            raise mistake(
                f"module: expected {MODULE!r} with [probes], whose functions stand in it",
                "Leave module out, or leave [probes] out.",
            )
        if self.evaluation is not None and self.data is None:
            raise mistake("data: missing; [evaluation] needs it", "Add it, or leave both out.")
        names = [check.name for check in self.own_checks]
        for check in self.own_checks:
            if names.count(check.name) > 1 or check.name == ACCURACY:
                raise mistake(
                    f"{self.key_of(check)}.name: expected a name of its own. "
                    f"Received: {check.name!r}"
                )
        return self

    @model_validator(mode="after")
    def _conclusions_have_a_table(self) -> Self:
        for i, conclusion in enumerate(self.conclusions):
            problem = conclusion.problem_with(self.tables)
            if problem is not None:
                raise mistake(f"conclusions.{i}.{problem}")
        return self

    @model_validator(mode="after")
    def _rubric_gives_points(self) -> Self:
        if not sum(line.points for line in self.rubric.values()) > 0:
            raise mistake("rubric: expected more than 0 points in all", "Give checks points.")
        return self


class Assignment(Contents):
    """assignment.toml, validated, with the hash of the bytes it was read from."""

    sha256: Sha256
    """Of the file's bytes."""
    file: Path
    """Where it was read from."""
    key: dict[str, Answer] | None = None
    """The course's own answers to [[answers]]; None where this machine does not have them."""

    @property
    def files(self) -> tuple[str, ...]:
        """The files that [[networks]] names, in its order, each once."""
        return tuple(dict.fromkeys(n.file for n in self.networks if n.file))

    @property
    def max_score(self) -> float:
        """Points of all checks together."""
        return sum(line.points for line in self.rubric.values())

    def require_key(self) -> None:
        """Refuse to grade answers where the course's own are not here.

        Raises:
            AssignmentError: Names the file.
        """
        if self.answers and self.key is None:
            raise AssignmentError(
                f"{self.file}: answers: expected the right ones in {KEY_FILE} beside it. "
                "Received: no such file. Put it there: it has the form of a student's answers."
            )

    @property
    def extensions_file(self) -> Path | None:
        """The CSV of per-student due dates, beside the assignment's file."""
        name = self.deadline.extensions
        return None if name is None else self.file.parent / name


__all__ = [
    "ACCURACY",
    "FILE_NAME",
    "NEEDS_ZONE",
    "Argument",
    "Assignment",
    "Attempt",
    "BlockProbe",
    "Call",
    "Contents",
    "DataSource",
    "Deadline",
    "EvaluationRule",
    "FunctionCheck",
    "HiddenProbes",
    "LatePolicy",
    "NetworkCheck",
    "NetworkProbe",
    "NonEmpty",
    "Points",
    "Probes",
    "Question",
    "Reference",
    "RubricLine",
    "Seconds",
    "Slip",
    "Table",
    "TimeBudgets",
    "TransitionProbe",
]
