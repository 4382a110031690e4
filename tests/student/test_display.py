import io
from pathlib import Path

import pytest
from rich.console import Console

from grader.domain import Epoch, StopReason
from grader.engine.history import (
    Abandoned,
    EpochDone,
    History,
    Progress,
    Started,
    Stopped,
    Times,
    Written,
)
from grader.engine.recipe import Recipe
from grader.report.words import running_time, sparkline
from grader.student.display import TrainingDisplay, draw_curve, given_up, verdict, what_next


def epoch(number: int, accuracy: float | None = 0.5) -> Epoch:
    return Epoch(
        number=number,
        loss=1.5 / number,
        train_accuracy=0.4,
        test_accuracy=accuracy,
        test_loss=None if accuracy is None else 1.2,
        learning_rate=0.1,
        images_per_s=123.4,
        training_s=100.0 * number,
    )


def history(stopped: StopReason = StopReason.FINISHED, **changes: object) -> History:
    fields = {
        "epochs": (epoch(1, 0.5), epoch(2, 0.861)),
        "stopped": stopped,
        "stopped_in_epoch": 2,
        "test_accuracy": 0.861,
        "times": Times(training_s=852.0, compilation_s=3.0),
        "recipe_sha256": "0" * 64,
        "backend": "tensorflow",
    }
    return History.model_validate({**fields, **changes})


def shown(*events: object, terminal: bool = False, width: int = 80) -> str:
    stream = io.StringIO()
    console = Console(file=stream, width=width, force_terminal=terminal, color_system=None)
    with TrainingDisplay(console) as display:
        for event in events:
            display(event)  # type: ignore[arg-type]
    return stream.getvalue()


START = Started(Recipe(epochs=2), 390, 233138)
STEP = Progress(epoch=1, step=39, loss=1.9, accuracy=0.31, images_per_s=150.0, remaining_s=3725.0)


def test_into_a_file_goes_one_plain_row_per_epoch() -> None:
    text = shown(START, STEP, EpochDone(epoch(1)), EpochDone(epoch(2, 0.861)), Stopped(history()))

    lines = [line.split() for line in text.splitlines()]
    assert ["1/2", "1.500", "40.0%", "50.00%", "0.1", "123", "1", "min", "40", "s"] in lines
    assert "\x1b" not in text
    assert "finished after epoch 2: 86.10% on the test images" in text
    assert "not counted: data 0.0 s, compilation 3.0 s" in text


def test_on_a_terminal_epoch_loss_accuracy_speed_and_time_left_move() -> None:
    text = shown(START, STEP, terminal=True, width=100)

    assert "epoch 1/2" in text
    assert "loss 1.900  accuracy 31.0%  150 images/s  1 h 02 min left" in text


def test_before_a_step_was_timed_no_speed_is_claimed() -> None:
    step = Progress(epoch=1, step=1, loss=2.3, accuracy=0.1, images_per_s=None, remaining_s=None)

    assert "images/s  " not in shown(START, step, terminal=True).split("time")[-1]


def test_a_run_that_goes_on_shows_what_it_had_done() -> None:
    text = shown(Started(Recipe(epochs=2), 390, 233138, (epoch(1),)))

    assert "goes on after epoch 1" in text
    assert "50.00%" in text


def test_a_run_that_goes_on_within_an_epoch_says_where() -> None:
    text = shown(Started(Recipe(epochs=2), 390, 233138, (epoch(1),), 120))

    assert "goes on in epoch 2, after step 120 of 390" in text


def test_a_run_that_is_given_up_is_named_with_why_and_how_to_go_on() -> None:
    given = Abandoned(7, ("epochs was 4 and is 8",))

    text = shown(Started(Recipe(epochs=2), 390, 233138, abandoned=given))

    assert "had finished 7 epochs" in text
    assert "epochs was 4 and is 8" in text
    assert "--initial-weights densenet.weights.h5" in text
    assert "--initial-weights" not in given_up(Abandoned(0, ("it began with other weights",)))


def test_what_was_written_and_what_was_kept_is_said() -> None:
    text = shown(Written("a.h5", "b.h5", "c.json"))

    assert "weights  a.h5; those of an earlier run are in b.h5\nnumbers  c.json\n" in text
    assert "No epoch was finished" in shown(
        Stopped(history(StopReason.INTERRUPTED, epochs=(), test_accuracy=None))
    )


def held_back(number: int, share: float) -> Epoch:
    return epoch(number, None).model_copy(update={"validation_accuracy": share})


def test_held_back_images_are_shown_in_place_of_the_test_images() -> None:
    epochs = (held_back(1, 0.51), held_back(2, 0.87))

    text = shown(START, *map(EpochDone, epochs), Stopped(history(epochs=epochs)))

    assert "held back" in next(line for line in text.splitlines() if "epoch  " in line)
    assert "87.00%" in text
    assert "held back ▁█  51.0% → 87.0%" in text
    assert "finished after epoch 2: 87.00% on held-back images, 86.10% on the test images" in text


def test_an_interrupted_run_says_what_is_known_of_held_back_images() -> None:
    ended = history(StopReason.INTERRUPTED, epochs=(held_back(1, 0.51),), test_accuracy=None)

    assert "interrupted. 51.00% on held-back images." in verdict(ended)


@pytest.mark.parametrize(
    ("reached", "threshold", "first"),
    [
        (0.8571, 0.85, "More than 85% on the test images is asked for: reached."),
        (0.85, 0.85, "More than 85% on the test images is asked for. More epochs, or a"),
        (None, 0.85, "Next: grade check, where it has not passed yet; then grade pack."),
        (0.7, None, "Next: grade check, where it has not passed yet; then grade pack."),
    ],
)
def test_the_last_lines_say_what_is_needed_and_what_comes_next(
    reached: float | None, threshold: float | None, first: str
) -> None:
    lines = what_next(reached, threshold)

    assert lines[0].startswith(first)
    assert lines[-1].endswith("then grade pack.")


@pytest.mark.parametrize(
    ("stopped", "told"),
    [
        (StopReason.FINISHED, "More epochs, or a larger network"),
        (StopReason.OUT_OF_TIME, "In this time fewer epochs reach more"),
        (StopReason.INTERRUPTED, "Next: grade train goes on with it."),
    ],
)
def test_what_to_do_depends_on_how_the_training_ended(stopped: StopReason, told: str) -> None:
    assert told in what_next(0.4, 0.85, stopped)[0]


def test_a_terminal_breaks_lines_between_words() -> None:
    told = shown(Stopped(history()), terminal=True, width=40)

    assert "compilation" in told.split()
    assert max(map(len, told.splitlines())) <= 40


def test_what_came_of_it_goes_where_results_go() -> None:
    progress, results = Console(file=io.StringIO(), width=80), Console(file=io.StringIO(), width=80)
    with TrainingDisplay(progress, results, 0.85) as display:
        for event in (START, EpochDone(epoch(1)), Stopped(history())):
            display(event)
        display(Written("a.h5", None, "c.json"))
        display.next_steps()

    assert "finished after epoch 2" not in progress.file.getvalue()  # type: ignore[attr-defined]
    assert results.file.getvalue().splitlines() == [  # type: ignore[attr-defined]
        "finished after epoch 2: 86.10% on the test images",
        "weights  a.h5",
        "numbers  c.json",
        "More than 85% on the test images is asked for: reached.",
        "Next: grade check, where it has not passed yet; then grade pack.",
    ]


def test_a_curve_that_cannot_be_drawn_costs_nothing(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    stream = io.StringIO()

    TrainingDisplay(Console(file=stream)).draw([epoch(1)], tmp_path / "nowhere" / "x.png")

    assert "x.png could not be drawn" in stream.getvalue()


def test_an_epoch_that_was_not_measured_shows_a_dash_not_a_zero() -> None:
    text = shown(START, EpochDone(epoch(1, None)))

    assert "–" in text
    assert "0.00%" not in text


def test_a_run_out_of_time_says_when_where_and_what_stands() -> None:
    ended = history(
        StopReason.OUT_OF_TIME, budget_s=900.0, stopped_in_epoch=24, advice="Fewer epochs."
    )

    assert verdict(ended) == (
        "stopped after 14 min 12 s of 15 min 00 s, epoch 24: out of time. "
        "86.10% on the test images. Fewer epochs."
    )


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.04, "0.0 s"),
        (59.9, "59.9 s"),
        (60, "1 min 00 s"),
        (245, "4 min 05 s"),
        (3599, "59 min 59 s"),
        (3600, "1 h 00 min"),
        (59.97, "1 min 00 s"),
    ],
)
def test_seconds_are_said_as_a_person_says_them(seconds: float, text: str) -> None:
    assert running_time(seconds) == text


@pytest.mark.parametrize(
    ("values", "bars"),
    [([], ""), ([0.5], "▁"), ([0.5, 0.5], "▁▁"), ([0, 0.5, 1], "▁▅█"), ([1, 0], "█▁")],
)
def test_a_sparkline_runs_from_the_lowest_to_the_highest(values: list[float], bars: str) -> None:
    assert sparkline(values) == bars


@pytest.mark.parametrize(("name", "head"), [("curve.png", b"\x89PNG"), ("curve.svg", b"<?xml")])
def test_the_curve_is_a_picture(tmp_path: Path, name: str, head: bytes) -> None:
    pytest.importorskip("matplotlib")

    draw_curve([epoch(1), epoch(2, None), epoch(3)], tmp_path / name)

    assert (tmp_path / name).read_bytes().startswith(head)
