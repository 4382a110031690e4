"""Behind an accuracy stand its run, its time and its errors; what a run lacks is left out."""

import numpy as np
import pytest
from rich.console import Console

from grader.domain import Details, Epoch
from grader.engine.cifar10 import CLASSES
from grader.report.measured import measured_rows
from grader.scoring import judged


@pytest.fixture
def measured(examples):
    """An evaluation with the given details."""

    def build(mode="weights", **details):
        return judged(examples.ASSIGNMENT, examples.measured(8612).runs).model_copy(
            update={"mode": mode, "details": Details.model_validate(details)}
        )

    return build


def lines(measured):
    console = Console(width=80, color_system=None)
    with console.capture() as capture:
        for label, text in measured_rows(measured):
            console.print(f"{label}|", text)
    return capture.get()


def confusion():
    table = np.diag([900] * 10)
    table[3, 5], table[5, 3] = 89, 77
    return table.tolist()


def test_an_evaluation_without_details_adds_nothing(measured):
    assert lines(measured()) == ""


def test_the_commonest_mistakes_are_named_and_all_are_in_the_table(measured):
    shown = lines(measured(confusion=confusion(), classes=list(CLASSES)))

    assert "cat as dog 89, dog as cat 77" in shown
    assert "cat" in shown
    assert shown.count("900") == 10
    assert max(map(len, shown.splitlines())) <= 62


def test_a_retraining_says_how_it_ended_and_shows_its_curve(measured):
    shares = (0.5, None, 0.7, 0.86)
    epochs = tuple(Epoch.model_construct(test_accuracy=share) for share in shares)

    shown = lines(measured("retrain", summary="stopped after 14.2 of 15.0 min", epochs=epochs))

    assert "stopped after 14.2 of 15.0 min" in shown
    assert "50.0% → 86.0%" in shown


def test_time_that_is_not_charged_is_itemised(measured):
    times = {"import_s": 4.0, "compilation_s": 12.0, "evaluation_s": 30.0, "data_s": 0.0}

    weights = lines(measured(times=times))
    retrain = lines(measured("retrain", times=times))

    assert "imports 4.0 s, compilation 12.0 s" in weights
    assert "evaluation" not in weights
    assert "evaluation 30.0 s" in retrain


def test_time_in_a_queue_is_itemised_and_an_instant_of_it_is_not(measured):
    assert "queue 2 min 05 s" in lines(measured(times={"queue_s": 125.0}))
    assert lines(measured(times={"queue_s": 0.01})) == ""


def test_a_training_that_ended_early_says_what_to_do(measured):
    shown = lines(
        measured("retrain", summary="stopped after 3.1 s (diverged)", advice="Warm up longer.")
    )

    assert "(diverged)" in shown
    assert "advice| Warm up longer." in shown


def test_a_training_that_was_taken_up_or_shared_its_cores_says_so(measured):
    shown = lines(measured("retrain", summary="finished in 9.0 s", resumed_at=3, others_share=0.45))
    quiet = lines(measured("retrain", summary="finished in 9.0 s", others_share=0.02))

    assert "taken up after epoch 3" in shown
    assert "other programs held 45% of the processor" in " ".join(shown.split())
    assert "other programs" not in quiet


def test_what_of_the_training_graph_was_left_out_is_said(measured):
    assert "note| noise is left out" in lines(measured("retrain", notes=["noise is left out"]))


def test_several_seeds_are_shown_with_the_rule_that_decided(measured):
    seeds = [{"seed": 1, "accuracy": 0.848}, {"seed": 2, "accuracy": 0.853}]

    shown = lines(measured("retrain", seeds=seeds, decided_by="mean"))

    assert "84.80% (seed 1), 85.30% (seed 2); the mean counts" in shown


def test_a_class_name_is_never_markup(measured):
    shown = lines(measured(confusion=[[1, 2], [0, 1]], classes=["[red]a", "b"]))

    assert "[red]a as b 2" in shown
