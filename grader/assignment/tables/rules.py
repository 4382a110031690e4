"""The tables of when and how it is judged: due date, late policy, rubric, evaluation, budgets."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import AwareDatetime, Field, ValidationInfo, field_validator, model_validator
from pydantic_core import PydanticCustomError

from grader.assignment.mistakes import mistake
from grader.assignment.tables.base import NEEDS_ZONE, NonEmpty, Points, Seconds, Table
from grader.assignment.times import aware_time, zone_named
from grader.domain import Visibility


class LatePolicy(Table):
    """What a late submission costs."""

    policy: Literal["reject", "per_hour", "per_day"]
    """reject: not graded. per_hour, per_day: a deduction for each started hour or day."""
    grace_minutes: float = Field(default=0.0, ge=0)
    """Minutes after the due time that cost nothing; past them lateness counts from the due time."""
    deduction: float | None = Field(default=None, gt=0)
    """Taken off for each started hour or day; not for reject."""
    unit: Literal["points", "percent"] = "points"
    """What `deduction` and `cap` count: points, or percent of the assignment's maximum score."""
    cap: float | None = Field(default=None, gt=0)
    """The most that lateness can cost, in `unit`; without it, all points."""

    @model_validator(mode="after")
    def _deduction_belongs_to_the_policy(self) -> Self:
        if self.policy == "reject":
            if self.deduction is not None or self.cap is not None:
                raise mistake(
                    'expected no deduction and no cap with policy = "reject"',
                    "Remove them, or choose per_hour or per_day.",
                )
        elif self.deduction is None:
            raise mistake(
                f'expected a deduction with policy = "{self.policy}"',
                'Add deduction = 10 and unit = "percent", or choose reject.',
            )
        if self.unit == "percent" and max(self.deduction or 0, self.cap or 0) > 100:
            raise mistake("expected at most 100 percent", "Lower deduction or cap.")
        return self


class Deadline(Table):
    """Until when submissions count, and what happens after."""

    zone: str
    """IANA time zone of the course, such as "Asia/Kolkata"; a due date without it is refused."""
    due: AwareDatetime
    """Last second that is in time, local to `zone`, such as "2027-09-30T23:00:00"."""
    extensions: NonEmpty | None = None
    """CSV file beside assignment.toml with the columns student_id,due; None without extensions."""
    late: LatePolicy
    """What a late submission costs."""

    @field_validator("zone")
    @classmethod
    def _zone_exists(cls, name: str) -> str:
        try:
            return zone_named(name).key
        except ValueError as error:
            raise mistake(str(error)) from error

    @field_validator("due", mode="before")
    @classmethod
    def _due_is_an_instant(cls, written: Any, info: ValidationInfo) -> datetime:
        if isinstance(written, date) and not isinstance(written, datetime):
            written = written.isoformat()  # TOML knows dates without a time
        if not isinstance(written, str | datetime):
            written = str(written)
        if "zone" not in info.data:
            raise PydanticCustomError(NEEDS_ZONE, "cannot be read without its time zone")
        try:
            moment = aware_time(written, zone_named(info.data["zone"]))
        except ValueError as error:
            raise mistake(str(error)) from error
        if moment.microsecond:
            raise mistake("expected a whole second", "Leave the fraction out.")
        return moment

    @property
    def zone_info(self) -> ZoneInfo:
        """The zone itself."""
        return ZoneInfo(self.zone)


class RubricLine(Table):
    """What one check is worth and who sees it."""

    points: Points
    """Points for passing the check; 0 shows it without counting it."""
    visibility: Visibility = "visible"
    """visible, hidden (never shown to students), or after_due (shown once the date has passed)."""


class EvaluationRule(Table):
    """How accuracy is measured and judged."""

    mode: Literal["weights", "retrain"]
    """weights: the student's trained weights. retrain: our engine trains by the recipe."""
    threshold: float = Field(gt=0, lt=1)
    """Accuracy that must be exceeded (strictly), as a fraction: 0.85 for 85%."""
    retrain_s: Seconds | None = None
    """Training time in seconds in retrain mode, by our clock."""
    retrain_reference_epochs: float | None = Field(default=None, gt=0, le=1000)
    """Training time as epochs of the reference network (BC L=40 k=12, batch 64) on the same
    device, so that a slow one and a fast one give the same amount of training."""
    borderline: float = Field(default=0.0, ge=0, le=0.1)
    """Retrain mode: an accuracy this near to the threshold is decided by further seeds; 0.007 is
    the 95% interval of 10,000 images at 85%."""
    seeds: int = Field(default=1, ge=1, le=9)
    """Retrain mode: at most so many trainings, where the first one is borderline."""
    decide: Literal["mean", "best"] = "mean"
    """Retrain mode: which accuracy of several trainings counts."""
    deterministic: bool = False
    """Retrain mode: only kernels that give the same result each time; its price is in
    benchmarks/results/seeds.md."""
    retrain_memory_bytes: int = Field(default=8 * 2**30, ge=2**30)
    """Retrain mode on a CPU: memory that a training may take; past it, it fails as too large."""
    linear_from: float | None = Field(default=None, ge=0, lt=1)
    """Points below the threshold: none at this accuracy, rising in a straight line towards all at
    the threshold. Left out: none."""

    def trainings_for(self, accuracy: float) -> int:
        """How many trainings decide, where the first one gave this accuracy."""
        return self.seeds if abs(accuracy - self.threshold) <= self.borderline else 1

    @model_validator(mode="after")
    def _retrain_has_a_budget(self) -> Self:
        budgets = [b for b in (self.retrain_s, self.retrain_reference_epochs) if b is not None]
        if self.mode == "retrain" and not budgets:
            raise mistake(
                'expected retrain_s with mode = "retrain"',
                "Add the training time in seconds, such as retrain_s = 900.",
            )
        if len(budgets) == 2:
            raise mistake(
                "expected retrain_s or retrain_reference_epochs, and not both",
                "Take one of them out.",
            )
        return self

    @model_validator(mode="after")
    def _rule_can_be_followed(self) -> Self:
        if self.linear_from is not None and not self.linear_from < self.threshold:
            raise mistake(
                f"expected linear_from below the threshold of {self.threshold:g}",
                "Lower it, or leave it out.",
            )
        if self.seeds > 1 and not self.borderline:
            raise mistake(
                "expected borderline with seeds above 1", "Add borderline = 0.007, or take 1 seed."
            )
        return self


class TimeBudgets(Table):
    """Wall-clock budgets by our clock, in seconds."""

    trace_s: Seconds
    """For the student's program to describe itself in the sandbox; becomes limits.wall_time_s."""
    evaluation_s: Seconds
    """For the evaluation on the test set; past it the accuracy does not count."""
