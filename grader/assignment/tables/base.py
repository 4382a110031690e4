"""What all tables of assignment.toml have in common, and the types of their fields."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ConfigDict, Field, StringConstraints

from grader.domain import Record

FILE_NAME = "assignment.toml"
ACCURACY = "accuracy"
"""The name that the measured accuracy has in the rubric and in the grade."""
NEEDS_ZONE = "needs_zone"
"""Type of the error that only follows from a wrong zone; it is not reported beside its cause."""

Attempt = Literal["latest", "best"]
Points = Annotated[float, Field(ge=0, le=10_000)]
Seconds = Annotated[float, Field(gt=0)]
NonEmpty = Annotated[str, StringConstraints(min_length=1, strip_whitespace=True)]


class Table(Record):
    """Base of all tables of the file: no coercion ("4" is not 4), no NaN, no unknown keys."""

    model_config = ConfigDict(strict=True, allow_inf_nan=False)
