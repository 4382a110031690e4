"""What all tables of assignment.toml have in common, and the types of their fields."""

from __future__ import annotations

import re
from typing import Annotated, ClassVar, Literal

from pydantic import ConfigDict, Field, StringConstraints, field_validator

from grader.assignment.mistakes import mistake, short
from grader.domain import Record

FILE_NAME = "assignment.toml"
ACCURACY = "accuracy"
"""The name that the measured accuracy has in the rubric and in the grade."""
NEEDS_ZONE = "needs_zone"
"""Type of the error that only follows from a wrong zone; it is not reported beside its cause."""

_CHECK_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", re.ASCII)
Attempt = Literal["latest", "best"]
Points = Annotated[float, Field(ge=0, le=10_000)]
Seconds = Annotated[float, Field(gt=0)]
NonEmpty = Annotated[str, StringConstraints(min_length=1, strip_whitespace=True)]


class Table(Record):
    """Base of all tables of the file: no coercion ("4" is not 4), no NaN, no unknown keys."""

    model_config = ConfigDict(strict=True, allow_inf_nan=False)


class OwnCheck(Table):
    """A check that a table of assignment.toml makes, without code."""

    table: ClassVar[str]
    """The table's name in the file."""
    name: str
    """The check's name in [rubric] and in the grade, such as "alexnet"."""
    group: NonEmpty
    """The heading of the report under which it stands: a course topic."""

    @field_validator("name")
    @classmethod
    def _name_is_one_of_a_check(cls, written: str) -> str:
        if not _CHECK_NAME.fullmatch(written):
            raise mistake(
                f"expected small letters and digits with hyphens. Received: {short(written)}",
                'Write it as "resnet-block".',
            )
        return written
