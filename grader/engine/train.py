"""Trains any Keras network by a recipe: timed, resumable, stopped early where nothing is learnt.

Property protected: what a run costs is measured by our clock, around the steps alone. Moving data,
compiling, evaluating and writing checkpoints are itemised beside it and charged to nobody. After
each epoch, and every minute within one, the whole state is on disk, so a run that ends for any
reason still has a last good network, and one that goes on gives the curve it would have given.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from grader.domain import Epoch, StopReason
from grader.engine import checkpoint as checkpoints
from grader.engine.ahead import cost, seconds_left, time_steps
from grader.engine.augment import Draws, TrainingImages, draw_epoch
from grader.engine.forecast import Forecast
from grader.engine.fused import fused_batch_norm
from grader.engine.history import (
    EpochDone,
    History,
    OnEvent,
    Progress,
    Started,
    Stopped,
    Times,
)
from grader.engine.images import Images, ImageSet, Labels
from grader.engine.optimizers import decayed_variables, make_optimizer
from grader.engine.recipe import Recipe
from grader.engine.resolution import sizes_by_epoch
from grader.engine.schedule import learning_rates

CALL_AIM_S = 2.0
"""A compiled call is cut to about so many seconds: short enough to show and stop, long enough to
be free of Python."""
STEPS_PER_CALL = 1024
"""Most steps in one call: a whole epoch in batches of 49 or more. Draws are padded to it, or to the
epoch, so that one compiled program serves all."""
KEEP_EVERY_S = 60.0
"""So much of an epoch is lost at most, where the disk is quick."""
KEEP_SHARE = 0.05
"""Most of the time that goes into keeping it."""
CHANCE_EPOCHS = 3
"""A network still at chance after so many epochs past its warm-up is not going to learn."""
CHANCE_ACCURACY = 0.12
"""Ten classes give 0.1; 50,000 guesses stay within 0.107 at five standard errors."""

Preprocess = Callable[[Any], Any]


class Steps(Protocol):
    """What a backend gives: the state of a run and the compiled steps that change it."""

    def train(
        self, draws: Draws, rates: npt.NDArray[np.float32], count: int, size: int
    ) -> tuple[float, int]:
        """Run `count` steps on images of `size` pixels a side.

        Returns:
            The sum of their losses, and how many images were right.

        Raises:
            MemoryError: The device's memory is full.
        """

    def evaluate(
        self, images: npt.NDArray[np.uint8], labels: npt.NDArray[np.int64]
    ) -> tuple[float, float]:
        """Accuracy (0..1) and mean cross-entropy of the model as it is."""

    def averages(self) -> list[tuple[Any, npt.NDArray[np.float32]]]:
        """The averaged variables with their averages; empty without a moving average."""

    def state(self) -> dict[str, checkpoints.Arrays]:
        """Everything that changes during training."""

    def restore(self, state: dict[str, checkpoints.Arrays]) -> None:
        """Put back what `state` gave."""


def divide_by_255(images: Any) -> Any:
    """Bytes to 0..1 as float32: the template's `preprocess`."""
    from keras import ops

    return ops.cast(images, "float32") / 255.0


def fit(
    model: Any,
    recipe: Recipe,
    data: ImageSet,
    *,
    preprocess: Preprocess = divide_by_255,
    on_event: OnEvent = lambda event: None,
    checkpoint_dir: Path | None = None,
    budget_s: float | None = None,
    evaluate_every: int = 1,
    fingerprint: str = "",
    start: str | None = "",
    measure_at_end: bool = True,
    look_ahead: bool = False,
) -> History:
    """Train `model` in place and leave in it the weights of the last good epoch.

    The model must have been built under the recipe's precision and seed (`prepare`).

    Args:
        model: A built `keras.Model`: images as `preprocess` gives them → logits or probabilities.
        recipe: How to train.
        data: Trains on the training images but for the part that the recipe holds back, which each
            epoch is measured on; without such a part, that is done on the test images. They decide
            nothing.
        preprocess: uint8 (N, height, width, channels) → the model's input; must work on tensors.
        on_event: Told of everything that happens, between compiled calls.
        checkpoint_dir: Where the state is kept. A run found there with the same recipe, shapes,
            fingerprint and start is taken up. None keeps nothing.
        budget_s: Seconds of training steps allowed; None for no limit.
        evaluate_every: Measure after every so many epochs and after the last.
        fingerprint: Names the code that must be equal for a run to be taken up.
        start: Names the weights that the run begins with; None for those of the run that is there.
        measure_at_end: Whether the test images are measured on where the last epoch was not.
        look_ahead: Whether a few steps are timed first, and a `Forecast` is told.

    Returns:
        The curve, the reason of the end, and where the time went.

    Raises:
        OSError: A checkpoint cannot be written; found out before the first step where possible.
    """
    data, held_back = data.held_back(recipe.validation)
    with fused_batch_norm(model), logits_of(model) as from_logits:
        shapes = ",".join(str(tuple(v.shape)) for v in model.weights)
        run = _Run(
            model=model,
            recipe=recipe,
            data=data,
            held_back=held_back,
            make_steps=lambda: make_steps(model, recipe, preprocess, data, from_logits),
            on_event=on_event,
            keep=checkpoints.Keep(
                checkpoint_dir,
                {
                    "code": fingerprint,
                    "recipe": recipe.model_dump(mode="json"),
                    "network": shapes,
                    "start": start,
                },
            ),
            budget_s=budget_s,
            evaluate_every=evaluate_every,
            measure_at_end=measure_at_end,
            look_ahead=look_ahead,
        )
        history = run.to_the_end()
    on_event(Stopped(history))
    return history


def prepare(recipe: Recipe) -> None:
    """Set the seed and the precision that a model must be built under to be trained by `recipe`."""
    import keras

    keras.utils.set_random_seed(recipe.seed)
    keras.config.set_dtype_policy(recipe.precision)


def make_steps(
    model: Any, recipe: Recipe, preprocess: Preprocess, data: ImageSet, from_logits: bool
) -> Steps:
    """The steps of a run on the backend that Keras has.

    Args:
        model: As `fit` takes it, inside `logits_of`.
        recipe: As `fit` takes it.
        preprocess: As `fit` takes it.
        data: Without the images that are held back.
        from_logits: What `logits_of` gave.
    """
    import keras

    steps: Any
    if keras.backend.backend() == "jax":
        from grader.engine.steps_jax import JaxSteps as steps
    else:
        from grader.engine.steps_tensorflow import TensorFlowSteps as steps
    made: Steps = steps(
        model,
        make_optimizer(recipe.optimizer, model, recipe.precision),
        recipe,
        preprocess,
        TrainingImages(
            data.train_images, data.train_labels, recipe.augmentation, len(data.classes)
        ),
        from_logits=from_logits,
        decayed=decayed_variables(recipe.optimizer, model),
    )
    return made


@contextmanager
def logits_of(model: Any) -> Iterator[bool]:
    """For the length of the block, a last Dense layer's softmax is left off.

    Cross-entropy on logits keeps its gradient where a probability has rounded to 0.

    Yields:
        Whether the model now gives logits.
    """
    import keras

    last: Any = model.layers[-1] if model.layers else None
    plain = isinstance(last, keras.layers.Dense | keras.layers.Activation)
    if plain and last.activation is keras.activations.softmax:
        last.activation = keras.activations.linear
        try:
            yield True
        finally:
            last.activation = keras.activations.softmax
    else:
        yield not _gives_probabilities(model)


def _gives_probabilities(model: Any) -> bool:
    """Whether the answers to two noise images are non-negative and sum to 1."""
    noise = np.random.default_rng(0).random((2, *model.input_shape[1:]), dtype=np.float32)
    answer = checkpoints.copy_of(model(noise, training=False)).astype(np.float64)
    return bool((answer >= 0).all() and np.allclose(answer.sum(-1), 1, atol=1e-3))


class _Stop(Exception):
    """Ends the loop from inside; never leaves `fit`."""

    def __init__(self, reason: StopReason, advice: str) -> None:
        super().__init__(advice)
        self.reason, self.advice = reason, advice


class _Clock:
    """Adds up seconds by kind, over all sittings of a run."""

    def __init__(self) -> None:
        self.spent: dict[str, float] = {}

    @contextmanager
    def charge(self, kind: str) -> Iterator[None]:
        start = time.perf_counter()
        try:
            yield
        finally:
            self.add(kind, time.perf_counter() - start)

    def add(self, kind: str, seconds: float) -> None:
        self.spent[kind] = self.spent.get(kind, 0.0) + seconds

    @property
    def training_s(self) -> float:
        return self.spent.get("training_s", 0.0)


@dataclass
class _Tally:
    """Sums over the epoch under way."""

    steps: int = 0
    right: int = 0
    timed_steps: int = 0
    loss: float = 0.0
    seconds: float = 0.0

    def add(self, steps: int, loss: float, right: int, seconds: float | None) -> None:
        self.steps, self.loss, self.right = self.steps + steps, self.loss + loss, self.right + right
        if seconds is not None:
            self.timed_steps, self.seconds = self.timed_steps + steps, self.seconds + seconds

    @property
    def steps_per_s(self) -> float | None:
        return self.timed_steps / self.seconds if self.seconds > 0 else None


class _Run:
    """One run, from its first step or its checkpoint to its end."""

    def __init__(
        self,
        *,
        model: Any,
        recipe: Recipe,
        data: ImageSet,
        held_back: tuple[Images, Labels] | None,
        make_steps: Callable[[], Steps],
        on_event: OnEvent,
        keep: checkpoints.Keep,
        budget_s: float | None,
        evaluate_every: int,
        measure_at_end: bool,
        look_ahead: bool,
    ) -> None:
        self.model, self.recipe, self.data, self.on_event = model, recipe, data, on_event
        self.keep, self.budget_s, self.evaluate_every = keep, budget_s, evaluate_every
        self.held_back = held_back
        self.measure_at_end, self.look_ahead = measure_at_end, look_ahead
        self.clock = _Clock()
        with self.clock.charge("data_s"):
            self.steps = make_steps()
        examples = len(data.train_images)
        self.batch = min(recipe.batch_size, examples)
        self.steps_per_epoch = examples // self.batch
        self.steps_per_call = min(STEPS_PER_CALL, self.steps_per_epoch)
        self.rates = learning_rates(recipe, self.steps_per_epoch)
        self.epochs: list[Epoch] = []
        self.resumed_at: int | None = None
        self.sizes = sizes_by_epoch(recipe)
        self.step_s: dict[int, float] = {}
        """Seconds of a step by size of the images, once measured."""
        self._compiled: set[int] = set()
        self._under_way = _Tally()
        self._kept_step = 0
        self._keep_next_at = 0.0

    def to_the_end(self) -> History:
        good = self._take_up()
        if len(self.epochs) < self.recipe.epochs:
            with self.clock.charge("checkpoint_s"):
                self.keep.try_out(good)
        if self.look_ahead and len(self.epochs) < self.recipe.epochs:
            self._look_ahead()
        self._announce()
        self._keep_next_at = time.perf_counter() + KEEP_EVERY_S
        reason, advice = StopReason.FINISHED, ""
        number = len(self.epochs)
        try:
            for number in range(len(self.epochs), self.recipe.epochs):
                self._epoch(number)
                good = self._keep_epoch()
                self._stop_at_chance()
        except _Stop as stop:
            reason, advice = stop.reason, stop.advice
        except MemoryError:
            reason = StopReason.OUT_OF_MEMORY
            advice = "The device's memory is full: a smaller batch_size or network needs less."
        except KeyboardInterrupt:
            reason, advice = StopReason.INTERRUPTED, self._how_to_go_on()
        if not self._may_keep_a_part(reason):
            self.steps.restore(good)
        self._use_averages()
        return History(
            epochs=tuple(self.epochs),
            stopped=reason,
            stopped_in_epoch=min(number + 1, self.recipe.epochs),
            advice=advice,
            test_accuracy=self._final_accuracy(reason),
            times=Times(**self.clock.spent),
            budget_s=self.budget_s,
            resumed_at=self.resumed_at,
            recipe_sha256=self.recipe.sha256,
            backend=_backend(),
            run_id=self.keep.run["id"],
        )

    def _may_keep_a_part(self, reason: StopReason) -> bool:
        """A part of the first epoch is better than no training; later the whole epochs count."""
        return reason is StopReason.OUT_OF_TIME and not self.epochs

    def _final_accuracy(self, reason: StopReason) -> float | None:
        if self.epochs and self.epochs[-1].test_accuracy is not None:
            return self.epochs[-1].test_accuracy
        if reason in (StopReason.OUT_OF_MEMORY, StopReason.INTERRUPTED) or not self.measure_at_end:
            return None
        return self._measure(*self._test_set)[0]

    @property
    def _test_set(self) -> tuple[Images, Labels]:
        return self.data.test_images, self.data.test_labels

    def _take_up(self) -> dict[str, checkpoints.Arrays]:
        """Go on where a stored run stopped; returns the state after its last whole epoch."""
        found = self.keep.load()
        if found is not None:
            self._restore(found)
        good = self.steps.state()
        within = self.keep.load_within(len(self.epochs))
        if within is not None:
            self._restore(within)
            self._under_way = _Tally(**within.meta["under_way"])
            self._kept_step = self._under_way.steps
        return good

    def _restore(self, found: checkpoints.Checkpoint) -> None:
        self.steps.restore(found.groups)
        self.epochs = [Epoch.model_validate(epoch) for epoch in found.meta["epochs"]]
        self.clock.spent = dict(found.meta["spent"])
        self.resumed_at = len(self.epochs)

    def _look_ahead(self) -> None:
        """Time a few steps at each size to come, and tell what the run will take and reach."""
        sizes, examples = self.sizes[len(self.epochs) :], len(self.data.train_images)
        with self.clock.charge("compilation_s"):
            self.step_s = time_steps(self.steps, self.recipe, examples, sizes, self.steps_per_call)
        self._compiled = set(self.step_s)
        measured = len((self.held_back or self._test_set)[0]) / self.batch / self.evaluate_every
        seconds = seconds_left(self.step_s, sizes, self.steps_per_epoch, measured)
        seconds -= self._under_way.steps * self.step_s[sizes[0]]
        whole = cost(self.model, self.recipe, self.steps_per_epoch * self.batch)
        self.on_event(Forecast(self.recipe, seconds, whole, self.budget_s))

    def _announce(self) -> None:
        self.on_event(
            Started(
                self.recipe,
                self.steps_per_epoch,
                sum(math.prod(v.shape) for v in self.model.weights),
                tuple(self.epochs),
                self._kept_step,
                self.keep.abandoned,
            )
        )

    def _how_to_go_on(self) -> str:
        """What is true of the same command after an interrupt now."""
        done = len(self.epochs)
        if self.keep.folder is None:
            return ""
        if self._kept_step:
            return f"The same command goes on in epoch {done + 1}, after step {self._kept_step}."
        if done:
            return f"The same command goes on after epoch {done}."
        return "Nothing is kept of so short a run: the same command begins anew."

    def _keep_epoch(self) -> dict[str, checkpoints.Arrays]:
        """Write the state to disk; returns it, as the last good one."""
        with self.clock.charge("checkpoint_s"):
            state = self.steps.state()
            self.keep.save(state, self._so_far())
            self._kept_step = 0
        self.on_event(EpochDone(self.epochs[-1]))
        return state

    def _keep_within(self, tally: _Tally) -> None:
        """Write the state of the epoch under way, every minute or so; a slow disk less often."""
        start = time.perf_counter()
        if start < self._keep_next_at:
            return
        with self.clock.charge("checkpoint_s"):
            meta = {**self._so_far(), "under_way": asdict(tally)}
            if self.keep.save_within(self.steps.state(), meta):
                self._kept_step = tally.steps
        took = time.perf_counter() - start
        self._keep_next_at = start + took + max(KEEP_EVERY_S, took / KEEP_SHARE)

    def _so_far(self) -> dict[str, Any]:
        return {"epochs": [e.model_dump() for e in self.epochs], "spent": self.clock.spent}

    def _epoch(self, number: int) -> None:
        with self.clock.charge("data_s"):
            draws = draw_epoch(self.recipe, number, len(self.data.train_images))
        tally, self._under_way = self._under_way, _Tally()
        size = self.sizes[number]
        first = number * self.steps_per_epoch
        while tally.steps < self.steps_per_epoch:
            self._stop_when_out_of_time(size)
            stop = min(tally.steps + self._steps_in_next_call(size), self.steps_per_epoch)
            part = draws.slice(tally.steps, stop, self.steps_per_call)
            rates = np.resize(self.rates[first + tally.steps : first + stop], self.steps_per_call)
            self._call(part, rates, stop - tally.steps, size, tally)
            self._show(number, tally)
            if tally.steps < self.steps_per_epoch:
                self._keep_within(tally)
        self._finish(number, tally, float(self.rates[first + tally.steps - 1]))

    def _steps_in_next_call(self, size: int) -> int:
        if size not in self.step_s:
            # The first call compiles, the second is measured.
            return 1
        aim = CALL_AIM_S
        if self.budget_s is not None:
            # The nearer the end, the shorter the calls, so that it is met to about a step.
            aim = min(aim, 0.7 * (self.budget_s - self.clock.training_s))
        return max(1, min(self.steps_per_call, int(aim / self.step_s[size])))

    def _call(
        self,
        draws: Draws,
        rates: npt.NDArray[np.float32],
        count: int,
        size: int,
        tally: _Tally,
    ) -> None:
        """Run some steps, and charge them unless they compiled."""
        compiles = size not in self._compiled
        start = time.perf_counter()
        loss, right = self.steps.train(draws, rates, count, size)
        took = time.perf_counter() - start
        self.clock.add("compilation_s" if compiles else "training_s", took)
        if not compiles:
            self.step_s[size] = took / count
        self._compiled.add(size)
        tally.add(count, loss, right, None if compiles else took)
        if not math.isfinite(loss):
            raise _Stop(
                StopReason.DIVERGED,
                "The loss is no longer a number: take a third of the learning rate, or warm up.",
            )

    def _show(self, number: int, tally: _Tally) -> None:
        speed = tally.steps_per_s
        # A step costs as the number of pixels; the epochs to come may have larger images.
        later = sum(size**2 for size in self.sizes[number + 1 :]) / self.sizes[number] ** 2
        left = (1 + later) * self.steps_per_epoch - tally.steps
        remaining = left / speed if speed else None
        if remaining is not None and self.budget_s is not None:
            remaining = min(remaining, max(0.0, self.budget_s - self.clock.training_s))
        self.on_event(
            Progress(
                epoch=number + 1,
                step=tally.steps,
                loss=tally.loss / tally.steps,
                accuracy=tally.right / (tally.steps * self.batch),
                images_per_s=speed * self.batch if speed else None,
                remaining_s=remaining,
            )
        )

    def _finish(self, number: int, tally: _Tally, rate: float) -> None:
        """Measure what the epoch gave and note it."""
        due = number + 1 == self.recipe.epochs or (number + 1) % self.evaluate_every == 0
        accuracy, loss = self._measure_averages() if due else (None, None)
        apart = self.held_back is not None
        self.epochs.append(
            Epoch(
                number=number + 1,
                loss=tally.loss / tally.steps,
                train_accuracy=tally.right / (tally.steps * self.batch),
                test_accuracy=None if apart else accuracy,
                test_loss=None if apart else loss,
                validation_accuracy=accuracy if apart else None,
                learning_rate=rate,
                images_per_s=(tally.steps_per_s or 0.0) * self.batch,
                training_s=self.clock.training_s,
            )
        )

    def _measure(self, images: Images, labels: Labels) -> tuple[float, float]:
        with self.clock.charge("evaluation_s"):
            return self.steps.evaluate(images, labels)

    def _measure_averages(self) -> tuple[float, float]:
        """Measure the moving averages where there are any, then go on with the weights."""
        kept = [(variable, checkpoints.copy_of(variable)) for variable, _ in self.steps.averages()]
        self._use_averages()
        result = self._measure(*(self.held_back or self._test_set))
        for variable, value in kept:
            variable.assign(value)
        return result

    def _use_averages(self) -> None:
        for variable, average in self.steps.averages():
            variable.assign(average)

    def _stop_when_out_of_time(self, size: int) -> None:
        if self.budget_s is None:
            return
        # Half a step more or less: whichever ends nearer to the budget.
        if self.clock.training_s + self.step_s.get(size, 0.0) / 2 >= self.budget_s:
            raise _Stop(
                StopReason.OUT_OF_TIME, "Fewer epochs or a smaller network fit into the budget."
            )

    def _stop_at_chance(self) -> None:
        last = self.epochs[-1]
        learning = last.number - math.ceil(self.recipe.schedule.warmup_epochs)
        if learning >= CHANCE_EPOCHS and not last.train_accuracy > CHANCE_ACCURACY:
            raise _Stop(
                StopReason.AT_CHANCE,
                "The network answers no better than by chance: look at preprocess(), the last"
                " layer and the learning rate.",
            )


def _backend() -> str:
    import keras

    return str(keras.backend.backend())
