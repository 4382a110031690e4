import errno
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from grader.cli import run
from grader.domain import StopReason
from grader.engine.data import ImageSet, NoData
from grader.engine.history import Progress, Written
from grader.engine.recipe import Recipe
from grader.errors import Cause, InfrastructureError, UsageError
from grader.student import train
from grader.student.train import train_submission

pytestmark = pytest.mark.tensorflow

DENSENET = """
import keras
from keras import layers, ops

def build_model():
    inputs = keras.Input((32, 32, 3))
    x = layers.Conv2D(6, 3, strides=4, use_bias=False)(inputs)
    x = layers.ReLU()(layers.BatchNormalization(momentum=0.8)(x))
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, layers.Dense(10, activation="softmax")(x))

def preprocess(images):
    return ops.cast(images, "float32") / 255.0
"""


@pytest.fixture
def folder(tmp_path: Path, easy: ImageSet, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(train, "find_images", lambda *place, **options: easy)
    (tmp_path / "densenet.py").write_text(DENSENET)
    (tmp_path / "recipe.toml").write_text("epochs = 3\nbatch_size = 16\nema = 0.9\n")
    return tmp_path


@pytest.fixture(autouse=True)
def _float32_again() -> Iterator[None]:
    yield
    import keras

    keras.config.set_dtype_policy("float32")


def test_training_writes_weights_that_have_the_accuracy_it_reports(
    folder: Path, easy: ImageSet
) -> None:
    history = train_submission(folder)

    module: dict[str, Any] = {}
    exec(DENSENET, module)
    model = module["build_model"]()
    model.load_weights(folder / "densenet.weights.h5")
    answers = np.asarray(model(easy.test_images.astype(np.float32) / 255)).argmax(-1)
    assert history.test_accuracy == pytest.approx((answers == easy.test_labels).mean())
    assert len(json.loads((folder / "training.json").read_text())["epochs"]) == 3


def test_the_same_call_takes_up_an_interrupted_run(folder: Path) -> None:
    def interrupt(event: object) -> None:
        if isinstance(event, Progress) and event.epoch == 2:
            raise KeyboardInterrupt

    first = train_submission(folder, on_event=interrupt)
    second = train_submission(folder)

    assert first.stopped is StopReason.INTERRUPTED
    assert second.resumed_at == 1
    assert second.epochs[:1] == first.epochs
    assert second.stopped is StopReason.FINISHED


def test_a_changed_densenet_py_or_restart_starts_anew(folder: Path) -> None:
    train_submission(folder)
    restarted = train_submission(folder, restart=True)
    (folder / "densenet.py").write_text(DENSENET.replace("Conv2D(6", "Conv2D(7"))

    assert restarted.resumed_at is None
    assert train_submission(folder).resumed_at is None


@pytest.mark.parametrize(
    ("text", "same"),
    [
        (DENSENET + "# a comment\n", True),
        ('"""About it."""\n' + DENSENET.replace("inputs)", "inputs )"), True),
        (DENSENET + "\nif __name__ == '__main__':\n    build_model().summary()\n", True),
        (DENSENET.replace("Conv2D(6", "Conv2D(7"), False),
        (DENSENET.replace("/ 255.0", "/ 256.0"), False),
        ("import sizes\n" + DENSENET, False),
    ],
)
def test_what_the_code_says_decides_a_run_not_how_it_is_written(
    folder: Path, text: str, same: bool
) -> None:
    (folder / "sizes.py").write_text("maps = 6\n")
    before = train._fingerprint(folder)
    (folder / "densenet.py").write_text(text)

    assert (train._fingerprint(folder) == before) == same


def test_a_module_that_is_imported_decides_with_it(folder: Path) -> None:
    (folder / "sizes.py").write_text("maps = 6\n")
    (folder / "densenet.py").write_text("import sizes\n" + DENSENET)
    before = train._fingerprint(folder)
    (folder / "sizes.py").write_text("maps = 7\n")

    assert train._fingerprint(folder) != before


def interrupt_in(epoch: int) -> Callable[[object], None]:
    def on_event(event: object) -> None:
        if isinstance(event, Progress) and event.epoch == epoch:
            raise KeyboardInterrupt

    return on_event


def test_weights_that_stand_there_are_as_they_were_until_an_epoch_is_finished(
    folder: Path,
) -> None:
    (folder / "densenet.weights.h5").write_bytes(b"trained for a night")
    (folder / "training.json").write_text("its curve")

    history = train_submission(folder, on_event=interrupt_in(1))

    assert history.epochs == ()
    assert (folder / "densenet.weights.h5").read_bytes() == b"trained for a night"
    assert (folder / "training.json").read_text() == "its curve"
    assert not (folder / "densenet.weights.previous.h5").exists()


def test_weights_of_another_run_are_kept_and_its_own_are_not(folder: Path) -> None:
    (folder / "densenet.weights.h5").write_bytes(b"trained for a night")
    events: list[Any] = []

    train_submission(folder, on_event=interrupt_in(2))
    train_submission(folder, on_event=events.append)

    previous = folder / "densenet.weights.previous.h5"
    assert previous.read_bytes() == b"trained for a night"
    assert events[-1] == Written("densenet.weights.h5", None, "training.json")

    own = (folder / "densenet.weights.h5").read_bytes()
    (folder / "densenet.py").write_text(DENSENET.replace("Conv2D(6", "Conv2D(7"))
    train_submission(folder, on_event=events.append)
    assert previous.read_bytes() == own
    assert events[-1] == Written("densenet.weights.h5", previous.name, "training.json")


def test_training_on_from_finished_weights_is_a_new_run_that_goes_on_when_interrupted(
    folder: Path,
) -> None:
    train_submission(folder)
    weights = folder / "densenet.weights.h5"
    first = weights.read_bytes()

    interrupted = train_submission(folder, initial_weights=weights, on_event=interrupt_in(2))
    finished = train_submission(folder, initial_weights=weights)

    assert interrupted.resumed_at is None
    assert finished.resumed_at == 1
    assert finished.epochs[0] == interrupted.epochs[0]
    assert (folder / "densenet.weights.previous.h5").read_bytes() == first


def test_a_folder_that_takes_no_file_is_told_before_anything_is_loaded(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read_only(place: Path, state: Path) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(train, "_try_to_write", read_only)
    monkeypatch.setattr(train, "find_images", None)

    with pytest.raises(UsageError, match="Read-only file system"):
        train_submission(folder)


def test_a_disk_that_fills_up_is_no_error_of_the_grader(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*given: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    (folder / "densenet.weights.h5").write_bytes(b"trained for a night")
    monkeypatch.setattr(train, "_save_weights", full)

    with pytest.raises(UsageError, match="No space left on device"):
        train_submission(folder)

    assert (folder / "densenet.weights.h5").read_bytes() == b"trained for a night"
    assert sorted(path.name for path in (folder / ".training").iterdir()) == ["checkpoint.npz"]


def test_a_notebook_stands_for_densenet_py(folder: Path) -> None:
    (folder / "densenet.py").unlink()
    cell = {"cell_type": "code", "source": DENSENET, "metadata": {}, "outputs": []}
    notebook = {"cells": [cell], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    (folder / "densenet.ipynb").write_text(json.dumps(notebook))

    assert train_submission(folder).stopped is StopReason.FINISHED


def test_a_module_beside_densenet_py_can_be_imported(folder: Path) -> None:
    (folder / "my_sizes.py").write_text("MAPS = 6\n")
    (folder / "densenet.py").write_text("from my_sizes import MAPS\n" + DENSENET)

    assert train_submission(folder).stopped is StopReason.FINISHED


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("def build_model(:", "SyntaxError"),
        ("import no_such_module", "No module named 'no_such_module'"),
        ("x = 1", "build_model"),
        (DENSENET + "raise SystemExit\n", "ends the program"),
        (DENSENET.replace("Dense(10", "Dense(100"), r"Received: \(2, 100\)"),
        ("def build_model():\n    raise NotImplementedError('dense_block is yours')", "is yours"),
        (
            DENSENET + "\nimport numpy\ndef preprocess(x):\n    return numpy.asarray(x) / 255\n",
            "preprocess|numpy|NumPy",
        ),
    ],
)
def test_code_that_cannot_be_trained_is_told_in_one_line(
    folder: Path, code: str, told: str
) -> None:
    (folder / "densenet.py").write_text(code)

    with pytest.raises(UsageError, match=told):
        train_submission(folder)


def test_an_empty_folder_is_told_to_begin_with_init(folder: Path) -> None:
    (folder / "densenet.py").unlink()

    with pytest.raises(UsageError, match="grade init"):
        train_submission(folder)
    with pytest.raises(UsageError, match="nosuch: expected a folder"):
        train_submission(folder / "nosuch")


def test_the_folder_above_names_the_one_that_is_meant(folder: Path) -> None:
    (folder / "mine").mkdir()
    (folder / "densenet.py").rename(folder / "mine" / "densenet.py")

    with pytest.raises(UsageError, match="Is it mine that you mean"):
        train_submission(folder)


def test_no_data_is_the_machine_s_fault_with_a_way_out(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(train, "find_images", lambda *place, **options: NoData("nowhere"))

    with pytest.raises(InfrastructureError, match="nowhere") as caught:
        train_submission(folder)

    assert caught.value.cause is Cause.INFRA_DATA
    assert "--data" in caught.value.help


def test_a_run_with_the_template_s_seed_is_the_same_twice(folder: Path) -> None:
    first = train_submission(folder)
    second = train_submission(folder, restart=True)

    assert first.epochs[-1].loss == second.epochs[-1].loss


@pytest.mark.parametrize(
    "written",
    [
        b"\xef\xbb\xbf" + DENSENET.encode(),
        b"# -*- coding: latin-1 -*-\n# \xe9\n" + DENSENET.encode(),
        b"# \xe9\n" + DENSENET.encode(),
        DENSENET.encode("utf-16"),
        b"import argparse\nargparse.ArgumentParser().parse_args()\n" + DENSENET.encode(),
    ],
    ids=["with a mark", "names its encoding", "latin-1", "UTF-16", "parses arguments"],
)
def test_a_module_that_is_graded_can_be_trained(
    folder: Path, written: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.argv", ["grade", "train", "."])
    (folder / "densenet.py").write_bytes(written)

    network, preprocess = train._network(folder, train._source(folder))

    assert network.output_shape == (None, 10)
    assert callable(preprocess)


def test_a_time_that_does_not_suffice_is_said_before_the_run_and_ends_it(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (folder / "recipe.toml").write_text("epochs = 1000\nbatch_size = 4\n")

    status = run(["train", str(folder), "--minutes", "0.01"])

    told = capfd.readouterr()
    assert status == 0
    assert "in the 0.6 s you gave: " in " ".join(told.err.split())
    assert "out of time" in told.out


def test_what_the_libraries_tell_of_themselves_is_not_shown(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def loud(recipe: Recipe) -> None:
        os.write(2, b"rebuild TensorFlow with the appropriate compiler flags")

    def broken(recipe: Recipe) -> None:
        raise ImportError("no keras")

    monkeypatch.setattr(train, "prepare", loud)
    train._prepare_quietly(Recipe(epochs=1))
    monkeypatch.setattr(train, "prepare", broken)
    with pytest.raises(ImportError, match="no keras"):
        train._prepare_quietly(Recipe(epochs=1))
    os.write(2, b"a warning of the student's own")

    assert capfd.readouterr().err == "a warning of the student's own"


def test_a_good_learning_rate_is_found_and_nothing_is_written(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    before = sorted(folder.iterdir())

    status = run(["train", str(folder), "--find-rate"])

    assert status == 0
    assert "A good highest rate is about" in " ".join(capfd.readouterr().out.split())
    assert sorted(folder.iterdir()) == before
