"""Training as a person watches it: a live line, one row per epoch, what came of it at the end.

On a terminal the line moves; into a file or a pipe goes one plain row per epoch.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn
from rich.text import Text

from grader.domain import LAPTOP_RECIPE, WEIGHTS, Epoch, StopReason
from grader.engine.forecast import Forecast
from grader.engine.history import (
    Abandoned,
    EpochDone,
    Event,
    History,
    Loading,
    Started,
    Stopped,
    Times,
    Written,
)
from grader.engine.history import Progress as StepProgress
from grader.report.words import percent, running_time, sparkline
from grader.student.outlook import outlook

MORE_EPOCHS = (
    f"More epochs, or a larger network in build_model(), reach more; {LAPTOP_RECIPE} names a "
    "network that is enough. Then grade train again."
)
FEWER_EPOCHS = (
    "In this time fewer epochs reach more, as the learning rate then falls to its end; or give "
    "more minutes."
)
"""What to do where the accuracy does not suffice: as a rule, and where the time ran out."""


class TrainingDisplay:
    """Consumes the events of `fit`; a context manager, so that the terminal is left in order.

    Args:
        console: Where the progress goes.
        results: Where that goes which is left at the end; the same by default.
        threshold: The accuracy that the assignment wants surpassed, 0..1; None where it wants none.
    """

    def __init__(
        self, console: Console, results: Console | None = None, threshold: float | None = None
    ) -> None:
        self.console = console
        self.results = results or console
        self.threshold = threshold
        self.reached: float | None = None
        self.stopped = StopReason.FINISHED
        self.epochs = 0
        self.steps = 0
        self.task: TaskID | None = None
        self.live = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=None),
            TextColumn("{task.fields[figures]}"),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )

    def __enter__(self) -> TrainingDisplay:
        self.live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.live.stop()

    def __call__(self, event: Event) -> None:
        """Show one event."""
        if isinstance(event, Loading):
            self._print("Loads the libraries, compiles, and times a few steps.")
        elif isinstance(event, Forecast):
            self._say(outlook(event, self.threshold))
        elif isinstance(event, Started):
            self._start(event)
        elif isinstance(event, StepProgress):
            self._move(event)
        elif isinstance(event, EpochDone):
            self._row(event.epoch)
        elif isinstance(event, Stopped):
            self._end(event.history)
        elif isinstance(event, Written):
            self._written(event)

    def draw(self, epochs: Sequence[Epoch], path: Path) -> None:
        """Write the curve, which is worth no failure: the weights are in their place."""
        try:
            draw_curve(epochs, path)
        except (OSError, ImportError) as error:
            self._print(f"{path.name} could not be drawn: {error}")
            return
        self._result(f"curve    {path.name}")

    def next_steps(self) -> None:
        """What is still needed, and what comes next; the last lines."""
        for line in what_next(self.reached, self.threshold, self.stopped):
            self._result(line)

    def _say(self, lines: Sequence[str]) -> None:
        for line in lines:
            self._print(line)

    def _start(self, event: Started) -> None:
        self.epochs, self.steps = event.recipe.epochs, event.steps_per_epoch
        rule, epochs = event.recipe.optimizer, "epoch" if self.epochs == 1 else "epochs"
        self._print(
            f"{event.parameters:,} weights, {self.epochs} {epochs} of {self.steps} steps, "
            f"batch {event.recipe.batch_size}, {rule.name} at {rule.learning_rate:g}, "
            f"{event.recipe.schedule.name}, {event.recipe.precision}"
        )
        if len(event.recipe.images.sizes) > 1 and not event.epochs:
            self._print(rises_late(event.recipe.images.sizes))
        if event.abandoned is not None:
            self._print(given_up(event.abandoned))
        if event.step:
            place = f"epoch {len(event.epochs) + 1}, after step {event.step} of {self.steps}"
            self._print(f"goes on in {place}:")
        elif event.epochs:
            self._print(f"goes on after epoch {event.epochs[-1].number}:")
        unseen = "held back" if event.recipe.validation else "test"
        self._print(_ROW.format("epoch", "loss", "training", unseen, "rate", "images/s", "time"))
        for epoch in event.epochs:
            self._row(epoch)
        self.task = self.live.add_task("compiles", total=self.steps, figures="")

    def _move(self, event: StepProgress) -> None:
        if self.task is None:
            return
        figures = f"loss {event.loss:.3f}  accuracy {event.accuracy:.1%}"
        if event.images_per_s is not None and event.remaining_s is not None:
            figures += (
                f"  {event.images_per_s:.0f} images/s  {running_time(event.remaining_s)} left"
            )
        self.live.update(
            self.task,
            completed=event.step,
            description=f"epoch {event.epoch}/{self.epochs}",
            figures=figures,
        )

    def _row(self, epoch: Epoch) -> None:
        self._print(
            _ROW.format(
                f"{epoch.number}/{self.epochs}",
                f"{epoch.loss:.3f}",
                f"{epoch.train_accuracy:.1%}",
                "–" if epoch.unseen_accuracy is None else f"{epoch.unseen_accuracy:.2%}",
                f"{epoch.learning_rate:.2g}",
                f"{epoch.images_per_s:.0f}",
                running_time(epoch.training_s),
            )
        )

    def _end(self, history: History) -> None:
        self.live.stop()
        unseen = [e.unseen_accuracy for e in history.epochs if e.unseen_accuracy is not None]
        if len(unseen) > 1:
            which = history.epochs[-1].unseen_images
            self._print(f"{which} {sparkline(unseen)}  {unseen[0]:.1%} → {unseen[-1]:.1%}")
        self._print(split(history.times))
        self._result(verdict(history))
        if not history.epochs:
            self._result("No epoch was finished, so no weights were written.")
        self.reached, self.stopped = history.test_accuracy, history.stopped

    def _written(self, event: Written) -> None:
        kept = f"; those of an earlier run are in {event.previous}" if event.previous else ""
        self._result(f"weights  {event.weights}{kept}")
        self._result(f"numbers  {event.history}")

    def _print(self, line: str) -> None:
        _whole(self.console, line)

    def _result(self, line: str) -> None:
        _whole(self.results, line)


def _whole(console: Console, line: str) -> None:
    """A line, which a terminal breaks between words and a file has whole."""
    console.print(Text(line), soft_wrap=not console.is_terminal)


def rises_late(sizes: Sequence[int]) -> str:
    """Why the accuracy seems low for long, where training begins on small images."""
    *small, full = sizes
    first = ", then ".join(map(str, small))
    return (
        f"trains on images of {first} and at last {full} pixels; accuracy is measured at {full}, "
        "so it stays low until then"
    )


def given_up(run: Abandoned) -> str:
    """What becomes of a run that was there, and how to go on with it or from it."""
    changes = "; ".join(run.changes)
    if not run.epochs:
        return f"The run that was here had finished no epoch. This is a new one: {changes}."
    return (
        f"The run that was here had finished {run.epochs} epoch{'s' if run.epochs > 1 else ''}. "
        f"This is a new one, from the start: {changes}. To go on with the old one, press Ctrl-C, "
        "take the change back and run grade train again. To begin with its weights: "
        f"grade train --initial-weights {WEIGHTS}"
    )


_ROW = "{:>7}  {:>6}  {:>8}  {:>9}  {:>7}  {:>8}  {:>9}"


def verdict(history: History) -> str:
    """One line: how the run ended, where it stands, and what to do."""
    standing = _standing(history) or "not measured"
    if history.stopped is StopReason.FINISHED:
        return f"finished after epoch {history.stopped_in_epoch}: {standing}"
    time = f"after {running_time(history.times.training_s)}"
    if history.budget_s is not None:
        time += f" of {running_time(history.budget_s)}"
    place = f"epoch {history.stopped_in_epoch}"
    return f"stopped {time}, {place}: {history.stopped.value}. {standing}. {history.advice}".strip()


def _standing(history: History) -> str:
    """The accuracies of the weights that are kept; empty where none was measured."""
    last = history.epochs[-1] if history.epochs else None
    held_back = None if last is None else last.validation_accuracy
    figures = ((held_back, "held-back images"), (history.test_accuracy, "the test images"))
    return ", ".join(f"{share:.2%} on {what}" for share, what in figures if share is not None)


def what_next(
    reached: float | None, threshold: float | None, stopped: StopReason = StopReason.FINISHED
) -> list[str]:
    """What the accuracy lacks, and the command that comes next.

    Args:
        reached: On the test images, 0..1; None where it was not measured.
        threshold: What has to be surpassed; None for nothing.
        stopped: Why the training ended.
    """
    if stopped is StopReason.INTERRUPTED:
        return ["Next: grade train goes on with it. grade pack takes the weights as they are now."]
    lines = []
    if threshold is not None and reached is not None:
        more = FEWER_EPOCHS if stopped is StopReason.OUT_OF_TIME else MORE_EPOCHS
        asked = f"More than {percent(threshold)} on the test images is asked for"
        lines.append(f"{asked}: reached." if reached > threshold else f"{asked}. {more}")
    lines.append("Next: grade check, where it has not passed yet; then grade pack.")
    return lines


def split(times: Times) -> str:
    """One line: where the seconds went."""
    beside = {
        "data": times.data_s,
        "compilation": times.compilation_s,
        "evaluation": times.evaluation_s,
        "checkpoints": times.checkpoint_s,
    }
    parts = ", ".join(f"{name} {running_time(seconds)}" for name, seconds in beside.items())
    return f"training {running_time(times.training_s)}; not counted: {parts}"


def draw_curve(epochs: Sequence[Epoch], path: Path) -> None:
    """Write loss and accuracies by epoch as a picture; PNG or SVG by the path's ending."""
    from matplotlib.figure import Figure

    numbers = [epoch.number for epoch in epochs]
    tested = [epoch for epoch in epochs if epoch.unseen_accuracy is not None]
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.add_subplot()
    axes.plot(numbers, [100 * e.train_accuracy for e in epochs], label="training, augmented")
    unseen = [100 * e.unseen_accuracy for e in tested if e.unseen_accuracy is not None]
    label = epochs[-1].unseen_images if epochs else "test"
    axes.plot([e.number for e in tested], unseen, marker="o", markersize=3, label=label)
    axes.set(xlabel="epoch", ylabel="accuracy in %")
    axes.grid(alpha=0.3)
    loss = axes.twinx()
    loss.plot(numbers, [e.loss for e in epochs], color="grey", linestyle=":", label="loss")
    loss.set(ylabel="training loss")
    lines = [*axes.get_lines(), *loss.get_lines()]
    axes.legend(lines, [str(line.get_label()) for line in lines], loc="center right")
    figure.savefig(path)
