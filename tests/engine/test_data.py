import hashlib
import os
import pickle
from pathlib import Path

import numpy as np
import pytest

from grader.engine import cifar10 as module
from grader.engine.cifar10 import BATCHES, TEST_FILE, TRAIN_FILES, parse_batch, read_folder
from grader.engine.data import ImageSet, NoData, find_images
from grader.errors import Cause, InfrastructureError

COUNT = 20


@pytest.fixture(autouse=True)
def _small_batches(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Batches of 20 images, and no data of this machine's own."""
    monkeypatch.setattr(module, "IMAGES_PER_BATCH", COUNT)
    monkeypatch.delenv("GRADER_DATA", raising=False)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "no-keras"))


def rows(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (COUNT, 3072), np.uint8)


def batch(**changes: object) -> bytes:
    fields = {b"data": rows(), b"labels": [i % 10 for i in range(COUNT)]}
    fields |= {name.encode(): value for name, value in changes.items()}
    return pickle.dumps(fields, protocol=4)


def write_batches(folder: Path) -> Path:
    folder.mkdir(parents=True)
    for seed, name in enumerate((*TRAIN_FILES, TEST_FILE)):
        (folder / name).write_bytes(batch(data=rows(seed)))
    return folder


def refusal(raw: bytes) -> str:
    with pytest.raises(InfrastructureError) as caught:
        parse_batch(raw, Path("test_batch"))
    assert caught.value.cause is Cause.INFRA_DATA
    return caught.value.message


def test_a_batch_becomes_rgb_images_with_channels_last() -> None:
    images, labels = parse_batch(batch(), Path("test_batch"))

    assert images.shape == (COUNT, 32, 32, 3)
    assert images.dtype == np.uint8
    assert images[3, 5, 7].tolist() == rows()[3].reshape(3, 32, 32)[:, 5, 7].tolist()
    assert labels.tolist() == [i % 10 for i in range(COUNT)]


def test_a_batch_written_by_the_numpy_of_2009_is_read() -> None:
    # Protocol 2 and the private module's old name, as in the official archive.
    old = pickle.dumps({b"data": rows(), b"labels": [0] * COUNT}, protocol=2)
    old = old.replace(b"numpy._core.multiarray", b"numpy.core.multiarray")

    images, _ = parse_batch(old, Path("test_batch"))

    assert images.shape == (COUNT, 32, 32, 3)


class Calls:
    """Pickles to a call of a harmless function."""

    def __reduce__(self) -> tuple[object, tuple[()]]:
        return os.getpid, ()


def test_a_batch_that_calls_a_function_is_refused_without_calling_it() -> None:
    assert "getpid has no place in a CIFAR-10 batch" in refusal(batch(labels=Calls()))


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"data": rows()[:, :3071]}, "expected data of shape"),
        ({"data": rows()[:-1]}, "expected data of shape"),
        ({"data": rows().astype(np.float32)}, "array of bytes"),
        ({"data": rows().tolist()}, "array of bytes"),
        ({"labels": [0] * (COUNT - 1)}, "whole numbers as labels"),
        ({"labels": [0.5] * COUNT}, "whole numbers as labels"),
        ({"labels": [10] * COUNT}, "labels 0 to 9"),
        ({"labels": [-1] * COUNT}, "labels 0 to 9"),
    ],
)
def test_a_batch_of_anything_else_is_refused(changes: dict[str, object], why: str) -> None:
    assert why in refusal(batch(**changes))


@pytest.mark.parametrize("raw", [b"", b"hello", batch()[:-100], pickle.dumps([1, 2])])
def test_a_damaged_batch_is_refused(raw: bytes) -> None:
    assert "not a whole CIFAR-10 batch" in refusal(raw)


def test_a_folder_becomes_five_training_batches_and_one_for_the_test(tmp_path: Path) -> None:
    folder = write_batches(tmp_path / BATCHES)

    found = read_folder(folder)

    assert found.train_images.shape == (5 * COUNT, 32, 32, 3)
    assert found.test_images.shape == (COUNT, 32, 32, 3)
    assert found.test_images[0, 0, 0].tolist() == rows(5)[0].reshape(3, 1024)[:, 0].tolist()


def test_the_grade_says_which_images_and_that_they_are_not_the_official_ones(
    tmp_path: Path,
) -> None:
    found = read_folder(write_batches(tmp_path / BATCHES))

    images = rows(5).reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
    expected = images.tobytes() + bytes(i % 10 for i in range(COUNT))
    assert found.dataset.sha256 == hashlib.sha256(expected).hexdigest()
    assert not found.dataset.official


def test_a_folder_that_lacks_a_batch_is_refused_not_read_in_part(tmp_path: Path) -> None:
    folder = write_batches(tmp_path / BATCHES)
    (folder / "data_batch_4").unlink()

    with pytest.raises(InfrastructureError, match="data_batch_4"):
        find_images(tmp_path)


def test_a_class_has_one_image_set_until_a_file_of_it_changes(tmp_path: Path) -> None:
    folder = write_batches(tmp_path / BATCHES)

    first = find_images(tmp_path)
    again = find_images(tmp_path)
    (folder / TEST_FILE).write_bytes((folder / "data_batch_1").read_bytes())
    changed = find_images(tmp_path)

    assert isinstance(first, ImageSet)
    assert again is first
    assert isinstance(changed, ImageSet)
    assert (changed.test_images == first.train_images[:COUNT]).all()


def test_nobody_writes_into_the_images_of_a_class(tmp_path: Path) -> None:
    found = read_folder(write_batches(tmp_path / BATCHES))

    with pytest.raises(ValueError, match="read-only"):
        found.test_images[0] = 0


@pytest.mark.parametrize("below", [BATCHES, f"{BATCHES}-target/{BATCHES}", "."])
def test_data_is_found_in_each_layout(tmp_path: Path, below: str) -> None:
    write_batches(tmp_path / "data" / below)

    assert isinstance(find_images(tmp_path / "data"), ImageSet)


def test_keras_s_cache_is_looked_at_where_no_folder_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    write_batches(tmp_path / "datasets" / f"{BATCHES}-target" / BATCHES)

    assert isinstance(find_images(), ImageSet)


def test_a_folder_that_is_named_is_the_only_place_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    write_batches(tmp_path / "datasets" / BATCHES)

    found = find_images(tmp_path / "misspelt")

    assert isinstance(found, NoData)
    assert "misspelt" in found.reason


def test_the_environment_names_a_folder_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_batches(tmp_path / "data" / BATCHES)
    monkeypatch.setenv("GRADER_DATA", str(tmp_path / "data"))

    found = find_images()

    assert isinstance(found, ImageSet)
    assert found.source == str(tmp_path / "data" / BATCHES)


def test_no_data_anywhere_is_a_reason_not_an_error() -> None:
    found = find_images()

    assert isinstance(found, NoData)
    assert "GRADER_DATA" in found.reason


@pytest.mark.parametrize("name", module.ARCHIVE_NAMES)
def test_an_archive_that_is_not_the_official_one_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"not the archive")

    with pytest.raises(InfrastructureError, match="sha256: expected 6d958be0"):
        find_images(tmp_path)


@pytest.mark.data
def test_the_cifar_10_of_this_machine_has_all_images_and_balanced_labels(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.undo()
    found = find_images()
    if isinstance(found, NoData):
        pytest.skip(found.reason)

    assert found.train_images.shape == (50_000, 32, 32, 3)
    assert found.test_images.shape == (10_000, 32, 32, 3)
    assert np.bincount(found.train_labels).tolist() == [5000] * 10
    assert np.bincount(found.test_labels).tolist() == [1000] * 10
