"""What a training run tells while it runs and leaves when it is over."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from grader.domain import Epoch, Record, StopReason
from grader.engine.forecast import Forecast
from grader.engine.recipe import Recipe


class Times(Record):
    """Where a run's seconds went; only `training_s` is charged to the student."""

    data_s: float = 0.0
    """Moving the images to the device and drawing each epoch's order and augmentation."""
    compilation_s: float = 0.0
    """The first call: tracing, compiling and one step."""
    training_s: float = 0.0
    """All other steps."""
    evaluation_s: float = 0.0
    """Measuring on held-back images and the test images."""
    checkpoint_s: float = 0.0
    """Writing checkpoints."""


class History(Record):
    """What a run gave; its model holds the weights of the last good epoch."""

    epochs: tuple[Epoch, ...]
    """In order, those before an interrupt too."""
    stopped: StopReason
    """Why the run ended."""
    stopped_in_epoch: int
    """The epoch under way at the end (1 is the first); the last one for a finished run."""
    advice: str = ""
    """What to change, where the run ended early."""
    test_accuracy: float | None
    """Of the weights that the model now holds, 0..1; None where it was not measured."""
    times: Times
    """Where the seconds went, all sittings together."""
    budget_s: float | None = None
    """Training seconds that were allowed; None for no limit."""
    resumed_at: int | None = None
    """The epoch after which an earlier run was taken up; None for a fresh one."""
    recipe_sha256: str
    """Hash of the recipe's values."""
    backend: str
    """Keras's backend."""
    run_id: str = ""
    """The same over all sittings of a run, and of no other."""


@dataclass(frozen=True)
class Loading:
    """Folder, recipe and images are there; what takes a while begins."""


@dataclass(frozen=True)
class Abandoned:
    """A stored run that is not gone on with, since something that decides it is another now."""

    epochs: int
    """How many it had finished."""
    changes: tuple[str, ...]
    """What is another now, each a clause."""


@dataclass(frozen=True)
class Started:
    """The run begins."""

    recipe: Recipe
    """How it trains."""
    steps_per_epoch: int
    """Whole batches in one epoch."""
    parameters: int
    """All weights of the network."""
    epochs: tuple[Epoch, ...] = ()
    """What an earlier run had done, when it is taken up."""
    step: int = 0
    """Steps that it had done in the epoch under way."""
    abandoned: Abandoned | None = None
    """The run that lies there and is left for this one."""


@dataclass(frozen=True)
class Progress:
    """Some steps are done."""

    epoch: int
    """1 is the first."""
    step: int
    """Steps done in this epoch."""
    loss: float
    """Mean over the epoch so far."""
    accuracy: float
    """Of augmented training images over the epoch so far, 0..1."""
    images_per_s: float | None
    """Over the epoch so far; None until a step was timed."""
    remaining_s: float | None
    """Estimate for the rest of the run, training alone; None until a step was timed."""


@dataclass(frozen=True)
class EpochDone:
    """An epoch is measured and on disk."""

    epoch: Epoch
    """Its figures."""


@dataclass(frozen=True)
class Stopped:
    """The run is over."""

    history: History
    """All of it."""


@dataclass(frozen=True)
class Written:
    """The weights are in their place."""

    weights: str
    """Name of the file."""
    previous: str | None
    """Name of the file that now holds the weights of an earlier run, which stood there."""
    history: str
    """Name of the file with the run's figures."""


Event = Loading | Forecast | Started | Progress | EpochDone | Stopped | Written
OnEvent = Callable[[Event], None]
