"""The tables of assignment.toml: due date, late policy, rubric, probes, limits, data."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import date, datetime
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import (
    AwareDatetime,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from grader.assignment.mistakes import mistake, short
from grader.assignment.times import aware_time, zone_named
from grader.domain import MODULE, Limits, Record, Sha256, Visibility
from grader.paper import layers_per_block

FILE_NAME = "assignment.toml"
ACCURACY = "accuracy"
"""The name that the measured accuracy has in the rubric and in the grade."""
MAX_ARGUMENTS = 32

NEEDS_ZONE = "needs_zone"
"""Type of the error that only follows from a wrong zone; it is not reported beside its cause."""

Attempt = Literal["latest", "best"]
Points = Annotated[float, Field(ge=0, le=10_000)]
Seconds = Annotated[float, Field(gt=0)]
NonEmpty = Annotated[str, StringConstraints(min_length=1, strip_whitespace=True)]


class Table(Record):
    """Base of all tables of the file: no coercion ("4" is not 4), no NaN, no unknown keys."""

    model_config = ConfigDict(strict=True, allow_inf_nan=False)


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


class BlockProbe(Table):
    """Arguments for one call of `dense_block`."""

    channels: int = Field(gt=0, le=4096)
    """Feature maps that enter the block."""
    num_layers: int = Field(gt=0, le=64)
    """Dense layers."""
    growth_rate: int = Field(gt=0, le=512)
    """k, maps that each layer adds."""
    bottleneck: bool = True
    """Whether layers have the 1×1 convolution to 4k maps."""
    dropout_rate: float = Field(default=0.0, ge=0, lt=1)
    """Share of activations set to zero in training; asked for where it is above 0."""
    size: int = Field(default=8, gt=1, le=256)
    """Height and width of the input, in pixels."""


class TransitionProbe(Table):
    """Arguments for one call of `transition`."""

    channels: int = Field(gt=0, le=4096)
    """Feature maps that enter the transition layer."""
    compression: float = Field(gt=0, le=1)
    """θ, the share of the maps that is kept."""
    dropout_rate: float = Field(default=0.0, ge=0, lt=1)
    """Share of activations set to zero in training; asked for where it is above 0."""
    size: int = Field(default=8, gt=1, le=256)
    """Height and width of the input, in pixels."""


class NetworkProbe(Table):
    """Arguments for one call of `build_densenet`."""

    depth: int = Field(gt=0, le=400)
    """L; 6n + 4 with bottlenecks, else 3n + 4."""
    growth_rate: int = Field(gt=0, le=512)
    """k."""
    compression: float = Field(default=0.5, gt=0, le=1)
    """θ."""
    bottleneck: bool = True
    """Whether layers are bottleneck layers."""
    num_classes: int = Field(default=10, gt=1, le=10_000)
    """Classes of the softmax."""
    dropout_rate: float = Field(default=0.0, ge=0, lt=1)
    """Share of activations set to zero in training; asked for where it is above 0."""
    size: int = Field(default=32, gt=7, le=256)
    """Height and width of the images, in pixels; they have three colours."""

    @model_validator(mode="after")
    def _depth_is_possible(self) -> Self:
        try:
            layers_per_block(self.depth, self.bottleneck)
        except ValueError as error:
            raise mistake(str(error)) from error
        return self


_PLACE = re.compile(
    r"([A-Za-z0-9_-]+/)*[A-Za-z_][A-Za-z0-9_]*\.py:[A-Za-z_][A-Za-z0-9_]*", re.ASCII
)
_CHECK_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", re.ASCII)
_MODULE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\.py", re.ASCII)


class NetworkCheck(Table):
    """One check of the kind "the same network as": a function of the submission, a reference."""

    name: str
    """The check's name in [rubric] and in the grade, such as "alexnet"."""
    function: str
    """The student's function as FILE.py:FUNCTION, the file at the top of the submission."""
    same_as: str
    """The function whose network it should be, as FILE.py:FUNCTION beside assignment.toml."""
    arguments: dict[str, Any] = Field(default_factory=dict)
    """Keywords that both functions are called with; a list arrives as a tuple."""
    input_shape: Annotated[tuple[int, ...], Field(strict=False)] | None = None
    """Height, width and channels (or only channels) of the input; needed where the model does not
    say its own, and with takes_tensor."""
    takes_tensor: bool = False
    """Whether the functions take a tensor first and give one, as a block does; else they give a
    model."""
    group: NonEmpty = "networks"
    """The heading of the report under which it stands: a course topic."""
    title: NonEmpty | None = None
    """The line that the student reads; left out: which function computes the same network."""

    @field_validator("name")
    @classmethod
    def _name_is_one_of_a_check(cls, written: str) -> str:
        if not _CHECK_NAME.fullmatch(written):
            raise mistake(
                f"expected small letters and digits with hyphens. Received: {short(written)}",
                'Write it as "resnet-block".',
            )
        return written

    @field_validator("function", "same_as")
    @classmethod
    def _place_is_a_function_of_a_file(cls, written: str) -> str:
        if not _PLACE.fullmatch(written):
            raise mistake(
                f"expected FILE.py:FUNCTION. Received: {short(written)}",
                'Write it as "alexnet.py:build", a reference as "reference/alexnet.py:build".',
            )
        return written

    @field_validator("function")
    @classmethod
    def _function_at_the_top(cls, written: str) -> str:
        if "/" in written:
            raise mistake(
                f"expected a file at the top of the submission. Received: {written!r}",
                "Write it as alexnet.py:build.",
            )
        return written

    @field_validator("input_shape")
    @classmethod
    def _shape_is_one_of_images(cls, shape: tuple[int, ...] | None) -> tuple[int, ...] | None:
        if shape is not None and (
            len(shape) not in (1, 3) or not all(0 < n <= 4096 for n in shape)
        ):
            raise mistake(
                f"expected height, width and channels, each up to 4096. Received: {list(shape)}",
                "Write it as [227, 227, 3].",
            )
        return shape

    @field_validator("arguments")
    @classmethod
    def _arguments_are_plain(cls, written: dict[str, Any]) -> dict[str, Any]:
        wrong = [key for key in written if not key.isidentifier()]
        if wrong or len(written) > MAX_ARGUMENTS:
            received = short(wrong or len(written))
            raise mistake(f"expected up to {MAX_ARGUMENTS} arguments' names. Received: {received}")
        odd = next((value for value in written.values() if not _plain(value)), None)
        if odd is not None:
            raise mistake(
                f"expected numbers, texts, booleans or lists of them. Received: {short(odd)}",
                "A date, a table or an infinite number cannot be passed on.",
            )
        return {key: _tuples(value) for key, value in written.items()}

    @model_validator(mode="after")
    def _a_tensor_has_a_shape(self) -> Self:
        if self.takes_tensor and self.input_shape is None:
            raise mistake(
                "expected input_shape with takes_tensor", "Add input_shape = [32, 32, 16]."
            )
        return self

    def reference_file(self, folder: Path) -> Path:
        """The file of the reference.

        Args:
            folder: Where assignment.toml lies.

        Raises:
            ValueError: There is no such file.
        """
        file = folder / self.same_as.rpartition(":")[0]
        if not file.is_file():
            raise ValueError(
                f"expected a Python file beside {FILE_NAME}. Received: {self.same_as!r}, no such "
                "file. Put it there, or correct the name."
            )
        return file


def _plain(value: object) -> bool:
    if isinstance(value, list):
        return all(_plain(inner) for inner in value)
    if isinstance(value, float):
        return math.isfinite(value)
    return isinstance(value, bool | int | str)


def _tuples(value: Any) -> Any:
    """Lists as tuples, at any depth: a function asks for a shape as a tuple."""
    return tuple(_tuples(inner) for inner in value) if isinstance(value, list) else value


class HiddenProbes(Table):
    """How many probes are drawn from the course key and the submission's hash."""

    blocks: int = Field(ge=0, le=20)
    """Calls of `dense_block`."""
    transitions: int = Field(ge=0, le=20)
    """Calls of `transition`."""
    networks: int = Field(ge=0, le=10)
    """Calls of `build_densenet`."""


class Probes(Table):
    """The configurations that the student's functions are called with."""

    hidden: HiddenProbes
    """How many nobody knows beforehand."""
    blocks: Annotated[tuple[BlockProbe, ...], Field(strict=False, min_length=1)]
    """Public probes of `dense_block`."""
    transitions: Annotated[tuple[TransitionProbe, ...], Field(strict=False, min_length=1)]
    """Public probes of `transition`."""
    networks: Annotated[tuple[NetworkProbe, ...], Field(strict=False, min_length=1)]
    """Public probes of `build_densenet`."""


class DataSource(Table):
    """The data set, and the hashes by which the official one is recognised."""

    name: Literal["cifar10"]
    """Which data set."""
    archive_md5: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")]
    """MD5 of the official archive, as its authors publish it."""
    archive_sha256: Sha256
    """SHA-256 of the official archive."""
    test_sha256: Sha256 | None = None
    """SHA-256 of the official test images and labels as arrays (uint8, N×32×32×3 then N)."""


class Contents(Table):
    """What stands in assignment.toml."""

    title: NonEmpty
    """The assignment's name, for reports."""
    module: str = MODULE
    """The file that every submission must have at its top; or the notebook of that name."""
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
    data: DataSource | None = None
    """Where the images come from; needed with [evaluation]."""
    rubric: dict[str, RubricLine] = Field(min_length=1)
    """Check name → points and visibility; names exactly the checks that exist."""

    @field_validator("module")
    @classmethod
    def _module_can_be_imported(cls, written: str) -> str:
        if not _MODULE.fullmatch(written):
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
        if self.probes is None and not self.networks:
            raise mistake(
                "expected [probes] or [[networks]]: nothing is asked for",
                "Take [probes] from the assignment that ships, or add a [[networks]] table.",
            )
        if self.probes is not None and self.module != MODULE:
            raise mistake(
                f"module: expected {MODULE!r} with [probes], whose functions stand in it",
                "Leave module out, or leave [probes] out.",
            )
        if self.evaluation is not None and self.data is None:
            raise mistake("data: missing; [evaluation] needs it", "Add it, or leave both out.")
        names = [network.name for network in self.networks]
        for name in names:
            if names.count(name) > 1 or name == ACCURACY:
                raise mistake(f"networks: expected names of their own. Received: {name!r}")
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

    @property
    def max_score(self) -> float:
        """Points of all checks together."""
        return sum(line.points for line in self.rubric.values())

    @property
    def extensions_file(self) -> Path | None:
        """The CSV of per-student due dates, beside the assignment's file."""
        name = self.deadline.extensions
        return None if name is None else self.file.parent / name
