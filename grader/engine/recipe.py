"""Reads `recipe.toml`: how a network is trained, as strict and bounded data.

Property protected: a recipe is only numbers and words from closed lists, so a student's recipe can
be run by our engine in retrain mode without running anything of the student's. An unknown key or
a number outside its bounds is refused with the file, the key, the value and what to do.
"""

from __future__ import annotations

import hashlib
import json
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from grader.domain import RECIPE
from grader.errors import UsageError
from grader.intake.text import as_utf8

MAX_RECIPE_BYTES = 64 * 1024
"""A recipe of 60 lines is 3 kB; more than this is not a recipe."""

OptimizerName = Literal[
    "sgd", "adam", "adamw", "nadam", "adamax", "rmsprop", "adagrad", "adadelta", "lion", "lamb"
]
ScheduleName = Literal["constant", "step", "cosine", "one_cycle"]
Precision = Literal["float32", "mixed_bfloat16", "mixed_float16"]
Excluded = Literal["batch_norm", "bias"]
FULL_SIZE = 32
"""Side in pixels of CIFAR-10's images."""
ImageSize = Annotated[int, Field(ge=8, le=FULL_SIZE, multiple_of=4)]
"""Both poolings of a DenseNet halve it without a remainder."""


class RecipeError(UsageError):
    """A recipe that cannot be used; the text says where, what was found, and what to do."""


class _Strict(BaseModel):
    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        strict=True,
        allow_inf_nan=False,
        use_attribute_docstrings=True,
    )


class Optimizer(_Strict):
    """The rule that turns gradients into new weights."""

    name: OptimizerName = "sgd"
    """One of Keras's optimizers, in lower case."""

    learning_rate: Annotated[float, Field(gt=0, le=10)] = 0.1
    """The highest rate of the run; the schedule scales it."""

    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.9
    """For sgd and rmsprop only."""

    nesterov: bool = True
    """For sgd only."""

    beta_1: Annotated[float, Field(ge=0, lt=1)] = 0.9
    """For the adam family, lion and lamb only."""

    beta_2: Annotated[float, Field(ge=0, lt=1)] = 0.999
    """For the adam family, lion and lamb only."""

    rho: Annotated[float, Field(ge=0, lt=1)] = 0.9
    """For rmsprop and adadelta only."""

    epsilon: Annotated[float, Field(gt=0, le=1)] = 1e-7
    """Added to a denominator; not used by sgd and lion."""

    clip_norm: Annotated[float, Field(ge=0, le=1000)] = 0.0
    """The gradient's global norm is cut to this; 0 leaves it alone."""

    weight_decay: Annotated[float, Field(ge=0, le=1)] = 0.0
    """How strongly weights are pulled to zero; 1e-4 in the paper."""

    weight_decay_kind: Literal["auto", "l2", "decoupled"] = "auto"
    """l2 adds to the gradient (the paper's), decoupled shrinks the weights by rate × decay.

    auto: decoupled for adamw, lion and lamb, l2 for the others.
    """

    weight_decay_excludes: tuple[Excluded, ...] = ("batch_norm", "bias")
    """Kinds of weights that are not decayed."""

    @property
    def decay_is_decoupled(self) -> bool:
        """Whether the decay is applied beside the gradient instead of through it."""
        if self.weight_decay_kind == "auto":
            return self.name in ("adamw", "lion", "lamb")
        return self.weight_decay_kind == "decoupled"


class Schedule(_Strict):
    """How the learning rate changes over the run."""

    name: ScheduleName = "constant"
    """constant; step: divided at milestones; cosine: down; one_cycle: up, then down."""

    warmup_epochs: Annotated[float, Field(ge=0, le=100)] = 0.0
    """The rate grows in a straight line from `initial_factor` over so many epochs."""

    milestones: Annotated[tuple[float, ...], Field(max_length=20)] = (0.5, 0.75)
    """step only: at these shares of the run the rate is multiplied by `factor`."""

    factor: Annotated[float, Field(gt=0, le=1)] = 0.1
    """step only: what the rate is multiplied by at each milestone."""

    peak_at: Annotated[float, Field(gt=0, lt=1)] = 0.25
    """one_cycle only: the share of the run at which the rate is highest."""

    shape: Literal["linear", "cosine"] = "linear"
    """one_cycle only: how the rate falls after the peak."""

    initial_factor: Annotated[float, Field(ge=0, le=1)] = 0.1
    """The first rate of a warm-up or a cycle, as a share of `learning_rate`."""

    final_factor: Annotated[float, Field(ge=0, le=1)] = 0.0
    """The last rate of cosine and one_cycle, as a share of `learning_rate`."""

    @model_validator(mode="after")
    def _milestones_rise(self) -> Schedule:
        inside = all(0 < m < 1 for m in self.milestones)
        if not inside or list(self.milestones) != sorted(set(self.milestones)):
            raise ValueError("milestones must rise and lie between 0 and 1, as in [0.5, 0.75]")
        return self


class Augmentation(_Strict):
    """Random changes to the training images; the test images are never changed."""

    flip: bool = False
    """Mirror half of the images left to right."""

    alternate_flips: bool = False
    """With flip only: draw the half once, and mirror the other half in every second epoch, so that
    no image is seen twice alike in a row."""

    pad_crop: Annotated[int, Field(ge=0, le=16)] = 0
    """Shift by up to so many pixels each way; the border gets the mean colour. 4 in the paper."""

    cutout: Annotated[int, Field(ge=0, le=32)] = 0
    """Side in pixels of a square set to the mean colour; 0 for none."""

    mixup: Annotated[float, Field(ge=0, le=10)] = 0.0
    """Parameter of the Beta distribution that mixes pairs of images; 0 for none."""

    @model_validator(mode="after")
    def _flips_that_alternate_are_flips(self) -> Augmentation:
        if self.alternate_flips and not self.flip:
            raise ValueError("alternate_flips goes with flip = true only")
        return self


class Images(_Strict):
    """How large the images are that the network trains on, as a schedule."""

    sizes: Annotated[tuple[ImageSize, ...], Field(max_length=8)] = (FULL_SIZE,)
    """Sides in pixels, one after the other; at 16 a step costs a quarter of one at 32."""

    changes_at: tuple[float, ...] = ()
    """At these shares of the epochs the next size begins; one number less than `sizes`."""

    @model_validator(mode="after")
    def _sizes_rise_to_the_full_one(self) -> Images:
        sizes, changes = list(self.sizes), list(self.changes_at)
        if not sizes or sizes != sorted(set(sizes)) or sizes[-1] != FULL_SIZE:
            raise ValueError(
                f"sizes must rise and end with {FULL_SIZE}, the size that is graded,"
                " as in [16, 24, 32]"
            )
        if len(changes) != len(sizes) - 1:
            raise ValueError(
                f"changes_at must hold one number less than sizes, here {len(sizes) - 1}"
            )
        if not all(0 < c < 1 for c in changes) or changes != sorted(set(changes)):
            raise ValueError("changes_at must rise and lie between 0 and 1, as in [0.5, 0.8]")
        return self


class Recipe(_Strict):
    """Everything that decides a training run besides the network and the images."""

    epochs: Annotated[int, Field(ge=1, le=1000)] = 12
    """Passes over the 50,000 training images."""

    batch_size: Annotated[int, Field(ge=1, le=4096)] = 128
    """Images in one step."""

    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    """Decides initial weights, order of the images, augmentation and dropout."""

    precision: Precision = "float32"
    """The type of the arithmetic; the weights are always float32."""

    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Share of each label spread evenly over all classes."""

    ema: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Decay per step of a moving average of the weights, which is then what is kept; 0 for none."""

    validation: Annotated[float, Field(ge=0, le=0.5)] = 0.1
    """Share of the training images, the last ones, that is not trained on: each epoch is measured
    on them, and the test images are looked at once, at the end. 0 for none."""

    optimizer: Optimizer = Optimizer()
    """The `[optimizer]` table."""

    schedule: Schedule = Schedule()
    """The `[schedule]` table."""

    augmentation: Augmentation = Augmentation()
    """The `[augmentation]` table."""

    images: Images = Images()
    """The `[images]` table."""

    @property
    def sha256(self) -> str:
        """Hash of the values (not of the file's text): equal recipes have equal hashes."""
        text = json.dumps(self.model_dump(mode="json"), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()


def load_recipe(path: Path) -> Recipe:
    """Read and check one recipe file.

    Args:
        path: a TOML file of at most `MAX_RECIPE_BYTES` bytes.

    Raises:
        RecipeError: the file is missing, too large, not TOML, or holds something not allowed.
    """
    try:
        with path.open("rb") as stream:
            raw = stream.read(MAX_RECIPE_BYTES + 1)
    except OSError as error:
        raise RecipeError(
            f"{path.name}: cannot be read ({error.strerror}). Put it beside densenet.py."
        ) from error
    return parse_recipe(raw, path.name)


def parse_recipe(raw: bytes, name: str = RECIPE) -> Recipe:
    """Check the text of a recipe; `name` is what messages call the file.

    Raises:
        RecipeError: as for `load_recipe`.
    """
    if len(raw) > MAX_RECIPE_BYTES:
        raise RecipeError(
            f"{name}: expected at most {MAX_RECIPE_BYTES} bytes, received more. "
            "A recipe is some twenty lines; start again from the template's."
        )
    try:
        values = _with_tuples(tomllib.loads(as_utf8(raw)[0].decode("utf-8-sig")))
    # A ValueError is no valid TOML or UTF-8, or a number of thousands of digits.
    except (ValueError, RecursionError) as error:
        raise RecipeError(f"{name}: not valid TOML: {error}. Correct that line.") from error
    try:
        return Recipe.model_validate(values)
    except ValidationError as error:
        raise RecipeError(_explain(error, name)) from error


def _with_tuples(value: Any) -> Any:
    """TOML has only lists, strict pydantic takes only tuples for tuples."""
    if isinstance(value, dict):
        return {key: _with_tuples(item) for key, item in value.items()}
    return tuple(_with_tuples(item) for item in value) if isinstance(value, list) else value


def _explain(error: ValidationError, name: str) -> str:
    return "\n".join(_explain_one(dict(problem), name) for problem in error.errors())


def _explain_one(problem: dict[str, Any], name: str) -> str:
    key = ".".join(str(part) for part in problem["loc"])
    if problem["type"] == "extra_forbidden":
        known = ", ".join(_table_at(problem["loc"][:-1]).model_fields)
        return f"{name}: {key}: unknown key. Remove it or correct its name; known here: {known}."
    found = _short(problem["input"])
    where = f"{name}: {key}" if key else name
    expected = problem["msg"].replace("Input should be", "expected", 1)
    return f"{where}: {expected}. Received: {found}. Change the value."


def _table_at(loc: tuple[int | str, ...]) -> type[BaseModel]:
    tables: dict[str, type[BaseModel]] = {
        "optimizer": Optimizer,
        "schedule": Schedule,
        "augmentation": Augmentation,
        "images": Images,
    }
    return tables.get(str(loc[0]), Recipe) if loc else Recipe


def _short(value: object) -> str:
    text = ascii(value)
    return text if len(text) <= 80 else text[:77] + "..."
