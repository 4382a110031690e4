import math
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from grader.domain import StopReason
from grader.engine import train
from grader.engine.augment import draw_epoch
from grader.engine.checkpoint import copy_of
from grader.engine.data import ImageSet
from grader.engine.forecast import Forecast
from grader.engine.history import EpochDone, History, Progress, Started, Stopped
from grader.engine.optimizers import decayed_variables, make_optimizer
from grader.engine.recipe import Augmentation, Images, Optimizer, Recipe, Schedule
from grader.engine.train import fit, logits_of

pytestmark = pytest.mark.tensorflow

Build = Callable[..., Any]


def recipe(**changes: Any) -> Recipe:
    fields: dict[str, Any] = {
        "epochs": 4,
        "batch_size": 16,
        "validation": 0.0,
        "optimizer": Optimizer(learning_rate=0.05),
        "augmentation": Augmentation(flip=True, pad_crop=2),
    }
    return Recipe(**{**fields, **changes})


def curve(history: History) -> list[tuple[float, float | None]]:
    return [(epoch.loss, epoch.test_accuracy) for epoch in history.epochs]


def test_a_network_learns_what_can_be_learnt(tiny: Build, easy: ImageSet) -> None:
    model = tiny()

    history = fit(model, recipe(epochs=20), easy)

    assert history.stopped is StopReason.FINISHED
    assert history.test_accuracy is not None
    assert history.test_accuracy > 0.9
    assert history.epochs[-1].loss < history.epochs[0].loss


def test_the_accuracy_reported_is_the_one_the_returned_weights_have(
    tiny: Build, easy: ImageSet
) -> None:
    model = tiny()

    history = fit(model, recipe(ema=0.9), easy)

    answers = np.asarray(model(easy.test_images.astype(np.float32) / 255)).argmax(-1)
    assert history.test_accuracy == pytest.approx((answers == easy.test_labels).mean())


def test_held_back_images_are_measured_each_epoch_and_the_test_images_once_at_the_end(
    tiny: Build, easy: ImageSet
) -> None:
    model, count = tiny(), round(0.25 * len(easy.train_images))

    history = fit(model, recipe(epochs=3, validation=0.25), easy)

    last = easy.train_images[-count:].astype(np.float32) / 255
    answers = np.asarray(model(last)).argmax(-1)
    right = (answers == easy.train_labels[-count:]).mean()
    assert [e.test_accuracy for e in history.epochs] == [None, None, None]
    assert history.epochs[-1].validation_accuracy == pytest.approx(right)
    answers = np.asarray(model(easy.test_images.astype(np.float32) / 255)).argmax(-1)
    assert history.test_accuracy == pytest.approx((answers == easy.test_labels).mean())


def test_nothing_is_learnt_from_held_back_images(tiny: Build, easy: ImageSet) -> None:
    kept = len(easy.train_images) - round(0.25 * len(easy.train_images))
    spoiled = easy.train_images.copy()
    spoiled[kept:] = 0
    models = [tiny(), tiny()]

    for model, images in zip(models, (easy.train_images, spoiled), strict=True):
        data = replace(easy, train_images=images)
        fit(model, recipe(epochs=2, validation=0.25), data)

    for one, other in zip(*(model.get_weights() for model in models), strict=True):
        assert (one == other).all()


def test_two_runs_with_the_same_seed_give_the_same_weights(tiny: Build, easy: ImageSet) -> None:
    models = [tiny(dropout=0.2), tiny(dropout=0.2)]

    curves = [curve(fit(model, recipe(ema=0.9), easy)) for model in models]

    assert curves[0] == curves[1]
    for one, other in zip(*(model.get_weights() for model in models), strict=True):
        assert (one == other).all()


class Killed(BaseException):
    """Stands for a kill -9: nothing of the trainer's runs after it but what the system does."""


def killed_after(epoch: int) -> Callable[[object], None]:
    def on_event(event: object) -> None:
        if isinstance(event, Progress) and event.epoch > epoch:
            raise Killed

    return on_event


@pytest.mark.parametrize("name", ["sgd", "adamw"])
def test_a_run_killed_in_an_epoch_goes_on_and_gives_the_curve_it_would_have_given(
    tiny: Build, easy: ImageSet, tmp_path: Path, name: Any
) -> None:
    rules = recipe(
        ema=0.9,
        schedule=Schedule(name="one_cycle"),
        optimizer=Optimizer(name=name, learning_rate=0.01, weight_decay=1e-3),
    )
    whole_model = tiny(dropout=0.2)
    whole = fit(whole_model, rules, easy)
    with pytest.raises(Killed):
        fit(tiny(dropout=0.2), rules, easy, checkpoint_dir=tmp_path, on_event=killed_after(2))
    model = tiny(dropout=0.2, seed=99)

    resumed = fit(model, rules, easy, checkpoint_dir=tmp_path)

    assert resumed.resumed_at == 2
    assert curve(resumed) == curve(whole)
    for one, other in zip(model.get_weights(), whole_model.get_weights(), strict=True):
        assert (one == other).all()


def test_a_run_killed_in_its_first_epoch_goes_on_within_it(
    tiny: Build, easy: ImageSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(train, "KEEP_EVERY_S", 0.0)
    monkeypatch.setattr(train, "KEEP_SHARE", math.inf)
    monkeypatch.setattr(train, "STEPS_PER_CALL", 2)
    monkeypatch.setattr(train, "CALL_AIM_S", 1e9)
    whole_model = tiny(dropout=0.2)
    whole = fit(whole_model, recipe(ema=0.9), easy)

    def kill(event: object) -> None:
        if isinstance(event, Progress) and event.step > 6:
            raise Killed

    with pytest.raises(Killed):
        fit(tiny(dropout=0.2), recipe(ema=0.9), easy, checkpoint_dir=tmp_path, on_event=kill)
    model, events = tiny(dropout=0.2, seed=99), []

    resumed = fit(model, recipe(ema=0.9), easy, checkpoint_dir=tmp_path, on_event=events.append)

    assert events[0].step == 6
    assert curve(resumed) == curve(whole)
    for one, other in zip(model.get_weights(), whole_model.get_weights(), strict=True):
        assert (one == other).all()


@pytest.mark.parametrize(
    ("every_s", "epoch", "told"),
    [
        (1e9, 1, "Nothing is kept of so short a run: the same command begins anew."),
        (0.0, 1, "The same command goes on in epoch 1, after step 6."),
        (1e9, 3, "The same command goes on after epoch 2."),
        (0.0, 3, "The same command goes on in epoch 3, after step 6."),
    ],
)
def test_an_interrupt_says_truly_where_the_same_command_goes_on(
    tiny: Build,
    easy: ImageSet,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    every_s: float,
    epoch: int,
    told: str,
) -> None:
    monkeypatch.setattr(train, "KEEP_EVERY_S", every_s)
    monkeypatch.setattr(train, "KEEP_SHARE", math.inf)
    monkeypatch.setattr(train, "STEPS_PER_CALL", 2)
    monkeypatch.setattr(train, "CALL_AIM_S", 1e9)

    def interrupt(event: object) -> None:
        if isinstance(event, Progress) and event.epoch == epoch and event.step > 6:
            raise KeyboardInterrupt

    history = fit(tiny(), recipe(), easy, checkpoint_dir=tmp_path, on_event=interrupt)
    events: list[Any] = []
    with pytest.raises(Killed):
        fit(tiny(), recipe(), easy, checkpoint_dir=tmp_path, on_event=started_only(events))

    assert history.advice == told
    assert len(events[0].epochs) == len(history.epochs) == epoch - 1
    assert (f"after step {events[0].step}." in told) == (every_s == 0.0)


def started_only(events: list[Any]) -> Callable[[object], None]:
    def on_event(event: object) -> None:
        events.append(event)
        raise Killed

    return on_event


def test_a_place_that_takes_no_checkpoint_is_found_out_before_the_first_step(
    tiny: Build, easy: ImageSet, tmp_path: Path
) -> None:
    (tmp_path / "taken").write_text("a file")
    events: list[Any] = []

    with pytest.raises(OSError, match=r"exists|directory"):
        fit(tiny(), recipe(), easy, checkpoint_dir=tmp_path / "taken", on_event=events.append)

    assert not any(isinstance(event, Progress) for event in events)


def test_a_checkpoint_of_another_recipe_or_network_is_not_taken_up(
    tiny: Build, easy: ImageSet, tmp_path: Path
) -> None:
    fit(tiny(), recipe(epochs=1), easy, checkpoint_dir=tmp_path, fingerprint="one")

    other_recipe = fit(tiny(), recipe(epochs=2), easy, checkpoint_dir=tmp_path, fingerprint="one")
    other_code = fit(tiny(), recipe(epochs=2), easy, checkpoint_dir=tmp_path, fingerprint="two")

    assert other_recipe.resumed_at is None
    assert other_code.resumed_at is None


def test_a_finished_run_taken_up_trains_no_further(
    tiny: Build, easy: ImageSet, tmp_path: Path
) -> None:
    first = fit(tiny(), recipe(), easy, checkpoint_dir=tmp_path)
    model = tiny(seed=99)

    again = fit(model, recipe(), easy, checkpoint_dir=tmp_path)

    assert curve(again) == curve(first)
    assert again.test_accuracy == first.test_accuracy


def test_a_run_past_its_budget_stops_and_keeps_the_last_whole_epoch(
    tiny: Build, easy: ImageSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow_down(monkeypatch, 0.01)
    model = tiny()

    history = fit(model, recipe(epochs=1000), easy, budget_s=1.0)

    assert history.stopped is StopReason.OUT_OF_TIME
    assert 0.9 <= history.times.training_s <= 1.2
    assert history.epochs
    assert history.test_accuracy == history.epochs[-1].test_accuracy
    answers = np.asarray(model(easy.test_images.astype(np.float32) / 255)).argmax(-1)
    assert history.test_accuracy == pytest.approx((answers == easy.test_labels).mean())


def test_a_budget_that_ends_in_the_first_epoch_still_gives_an_accuracy(
    tiny: Build, easy: ImageSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow_down(monkeypatch, 0.01)

    history = fit(tiny(), recipe(batch_size=4), easy, budget_s=0.05)

    assert history.stopped is StopReason.OUT_OF_TIME
    assert history.epochs == ()
    assert history.test_accuracy is not None


def slow_down(monkeypatch: pytest.MonkeyPatch, step_s: float) -> None:
    """The clock the trainer reads gains `step_s` with every step."""
    from grader.engine.steps_tensorflow import TensorFlowSteps

    gained = [0.0]
    real, clock = TensorFlowSteps.train, time.perf_counter

    def slow(self: Any, draws: Any, rates: Any, count: int, size: int) -> Any:
        gained[0] += step_s * count
        return real(self, draws, rates, count, size)

    monkeypatch.setattr(TensorFlowSteps, "train", slow)
    monkeypatch.setattr(train.time, "perf_counter", lambda: clock() + gained[0])


def test_only_steps_are_charged_and_the_rest_is_itemised(
    tiny: Build, easy: ImageSet, tmp_path: Path
) -> None:
    times = fit(tiny(), recipe(), easy, checkpoint_dir=tmp_path).times

    for seconds in times.model_dump().values():
        assert seconds > 0
    assert times.training_s < times.compilation_s


def test_a_loss_that_is_no_number_stops_the_run_with_advice(tiny: Build, easy: ImageSet) -> None:
    def divide_by_zero(images: Any) -> Any:
        from keras import ops

        return ops.cast(images, "float32") / 0.0

    model = tiny()
    before = model.get_weights()

    history = fit(model, recipe(), easy, preprocess=divide_by_zero)

    assert history.stopped is StopReason.DIVERGED
    assert "learning rate" in history.advice
    assert all((a == b).all() for a, b in zip(before, model.get_weights(), strict=True))


def test_a_network_at_chance_after_three_epochs_is_stopped_with_advice(
    tiny: Build, easy: ImageSet
) -> None:
    def blind(images: Any) -> Any:
        from keras import ops

        return 0.0 * ops.cast(images, "float32")

    history = fit(tiny(), recipe(epochs=50), easy, preprocess=blind)

    assert history.stopped is StopReason.AT_CHANCE
    assert len(history.epochs) == 3
    assert "preprocess()" in history.advice


def test_a_warm_up_is_waited_for_before_chance_is_judged(tiny: Build, easy: ImageSet) -> None:
    def blind(images: Any) -> Any:
        from keras import ops

        return 0.0 * ops.cast(images, "float32")

    rules = recipe(epochs=50, schedule=Schedule(warmup_epochs=2.0))

    assert len(fit(tiny(), rules, easy, preprocess=blind).epochs) == 5


def test_an_interrupt_keeps_the_last_whole_epoch_and_says_how_to_go_on(
    tiny: Build, easy: ImageSet
) -> None:
    def on_event(event: object) -> None:
        if isinstance(event, Progress) and event.epoch == 3:
            raise KeyboardInterrupt

    history = fit(tiny(), recipe(), easy, on_event=on_event)

    assert history.stopped is StopReason.INTERRUPTED
    assert len(history.epochs) == 2
    assert history.test_accuracy == history.epochs[-1].test_accuracy


def test_a_full_device_is_told_apart_and_keeps_the_last_whole_epoch(
    tiny: Build, easy: ImageSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    from grader.engine.steps_tensorflow import TensorFlowSteps

    real, calls = TensorFlowSteps._step, []

    def full(self: Any, draws: Any, rate: Any, size: int) -> Any:
        import tensorflow as tf

        calls.append(1)
        raise tf.errors.ResourceExhaustedError(None, None, "out of memory")

    monkeypatch.setattr(TensorFlowSteps, "_step", full)

    history = fit(tiny(), recipe(), easy)

    assert calls
    assert real is not full
    assert history.stopped is StopReason.OUT_OF_MEMORY
    assert "batch_size" in history.advice


def test_events_tell_the_run_from_start_to_stop(tiny: Build, easy: ImageSet) -> None:
    events: list[Any] = []

    history = fit(tiny(), recipe(epochs=2), easy, on_event=events.append)

    assert isinstance(events[0], Started)
    assert events[0].steps_per_epoch == 10
    assert [e.epoch.number for e in events if isinstance(e, EpochDone)] == [1, 2]
    last = [e for e in events if isinstance(e, Progress)][-1]
    assert (last.epoch, last.step, last.remaining_s) == (2, 10, 0.0)
    assert events[-1] == Stopped(history)


def test_the_test_images_decide_nothing(tiny: Build, easy: ImageSet) -> None:
    import dataclasses

    models = [tiny(), tiny()]
    blank = dataclasses.replace(easy, test_images=np.zeros_like(easy.test_images))

    fit(models[0], recipe(), easy)
    fit(models[1], recipe(), blank)

    for one, other in zip(*(model.get_weights() for model in models), strict=True):
        assert (one == other).all()


@pytest.mark.parametrize("head", ["softmax", "logits", "softmax layer"])
def test_logits_and_probabilities_are_told_apart_and_train_alike(
    tiny: Build, easy: ImageSet, head: str
) -> None:
    reference = curve(fit(tiny(head="softmax"), recipe(epochs=2), easy))

    found = curve(fit(tiny(head=head), recipe(epochs=2), easy))

    assert [loss for loss, _ in found] == pytest.approx([loss for loss, _ in reference], rel=1e-4)


def test_a_model_keeps_its_softmax_after_training(tiny: Build, easy: ImageSet) -> None:
    model = tiny()

    fit(model, recipe(epochs=1), easy)

    answer = np.asarray(model(np.zeros((1, 32, 32, 3), np.float32)))
    assert answer.sum() == pytest.approx(1)
    with logits_of(model) as gives_logits:
        assert gives_logits


def test_a_plain_keras_fit_takes_the_same_steps(tiny: Build, easy: ImageSet) -> None:
    import keras

    ours, theirs = tiny(), tiny()
    rules = recipe(epochs=1, batch_size=160, augmentation=Augmentation())
    fit(ours, rules, easy)

    theirs.compile(
        keras.optimizers.SGD(0.05, momentum=0.9, nesterov=True),
        "sparse_categorical_crossentropy",
    )
    theirs.fit(easy.train_images / np.float32(255), easy.train_labels, batch_size=160, verbose=0)

    for one, other in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)


def test_weight_decay_by_the_gradient_shrinks_kernels_and_spares_what_is_excluded(
    tiny: Build, easy: ImageSet
) -> None:
    rules = Optimizer(learning_rate=0.1, momentum=0.0, nesterov=False, weight_decay=0.5)
    plain = rules.model_copy(update={"weight_decay": 0.0})
    models = [tiny(), tiny()]
    start = models[0].get_weights()

    for model, optimizer in zip(models, (rules, plain), strict=True):
        fit(
            model,
            recipe(epochs=1, batch_size=160, optimizer=optimizer, augmentation=Augmentation()),
            easy,
        )

    names = [w.path.split("/")[-1] for w in models[0].weights]
    for name, first, decayed, free in zip(
        names, start, *(m.get_weights() for m in models), strict=True
    ):
        expected = 0.1 * 0.5 * first if name == "kernel" else 0 * first
        np.testing.assert_allclose(free - decayed, expected, atol=1e-5)


def test_without_exceptions_all_trainable_weights_are_decayed(tiny: Build) -> None:
    model = tiny()

    every = decayed_variables(Optimizer(weight_decay_excludes=()), model)
    kernels = decayed_variables(Optimizer(), model)

    assert len(every) == len(model.trainable_variables)
    assert {v.name for v in kernels} == {"kernel"}


@pytest.mark.parametrize(
    "name",
    ["sgd", "adam", "adamw", "nadam", "adamax", "rmsprop", "adagrad", "adadelta", "lion", "lamb"],
)
def test_every_optimizer_takes_steps(tiny: Build, name: Any) -> None:
    rules = Optimizer(name=name, learning_rate=0.01, weight_decay=1e-3, clip_norm=1.0)
    model = tiny()
    before = model.get_weights()
    optimizer = make_optimizer(rules, model)

    optimizer.apply([v * 0 + 0.1 for v in model.trainable_variables], model.trainable_variables)

    after = model.get_weights()
    assert all(np.isfinite(weights).all() for weights in after)
    assert any((a != b).any() for a, b in zip(before, after, strict=True))


@pytest.mark.parametrize("precision", ["mixed_bfloat16", "mixed_float16"])
def test_mixed_precision_trains_float32_weights(
    tiny: Build, easy: ImageSet, precision: Any
) -> None:
    import keras

    rules = recipe(epochs=8, precision=precision)
    try:
        train.prepare(rules)
        model = tiny()
    finally:
        keras.config.set_dtype_policy("float32")

    history = fit(model, rules, easy)

    assert all(w.dtype == "float32" for w in model.weights)
    assert history.epochs[-1].loss < history.epochs[0].loss


def test_mixup_and_cutout_train(tiny: Build, easy: ImageSet) -> None:
    what = Augmentation(flip=True, pad_crop=4, cutout=8, mixup=0.2)

    history = fit(tiny(), recipe(augmentation=what, label_smoothing=0.1), easy)

    assert history.stopped is StopReason.FINISHED


def test_the_moving_average_is_that_of_the_weights_after_each_step(
    tiny: Build, easy: ImageSet
) -> None:
    rules = recipe(ema=0.9)
    model = tiny()
    steps = train.make_steps(model, rules, train.divide_by_255, easy, False)
    expected = [copy_of(v) for v, _ in steps.averages()]
    draws = draw_epoch(rules, 0, len(easy.train_images))

    for taken in range(1, 5):
        steps.train(draws.slice(taken, taken + 1, 1), np.array([0.1], np.float32), 1)
        decay = min(0.9, taken / (taken + 10))
        now = [average for _, average in steps.averages()]
        expected = [
            decay * e + (1 - decay) * copy_of(v)
            for e, (v, _) in zip(expected, steps.averages(), strict=True)
        ]

        for mine, theirs in zip(expected, now, strict=True):
            assert theirs == pytest.approx(mine, abs=1e-6)


def test_looking_ahead_tells_what_is_to_come_and_changes_nothing(
    tiny: Build, easy: ImageSet
) -> None:
    rules = recipe(images=Images(sizes=(16, 32), changes_at=(0.5,)), ema=0.9)
    events: list[object] = []

    plain = fit(tiny(dropout=0.2), rules, easy)
    ahead = fit(
        tiny(dropout=0.2), rules, easy, look_ahead=True, budget_s=1e6, on_event=events.append
    )

    assert curve(ahead) == curve(plain)
    told = events[0]
    assert isinstance(told, Forecast)
    assert told.seconds > 0
    assert told.given_s == 1e6
    assert told.cost is not None
    assert isinstance(events[1], Started)


def test_what_looking_ahead_compiles_is_what_the_run_calls(
    tiny: Build, easy: ImageSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    from grader.engine.steps_tensorflow import TensorFlowSteps

    called: set[tuple[int, ...]] = set()
    real = TensorFlowSteps.train

    def watched(self: Any, draws: Any, rates: Any, count: int, size: int) -> Any:
        called.add((*draws.image.shape, len(rates), size))
        return real(self, draws, rates, count, size)

    monkeypatch.setattr(TensorFlowSteps, "train", watched)

    fit(tiny(), recipe(), easy, look_ahead=True)

    assert len(called) == 1


def test_looking_ahead_counts_what_is_left_of_a_run_that_goes_on(
    tiny: Build, easy: ImageSet, tmp_path: Path
) -> None:
    events: list[object] = []
    fit(tiny(), recipe(), easy, checkpoint_dir=tmp_path)

    fit(tiny(), recipe(), easy, checkpoint_dir=tmp_path, look_ahead=True, on_event=events.append)

    assert isinstance(events[0], Started)  # nothing is left, so nothing is told
