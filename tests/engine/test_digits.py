"""MNIST, Fashion-MNIST and image sets of a course's own: found, read, and refused where damaged."""

import gzip
import hashlib
import os
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from grader.assignment import DataSource
from grader.engine import digits
from grader.engine.data import NoData, find_images
from grader.errors import Cause, InfrastructureError

MNIST = DataSource(name="mnist")
FASHION = DataSource(name="fashion_mnist")


@pytest.fixture(autouse=True)
def _nothing_of_this_machine(request, monkeypatch, tmp_path):
    if "real" not in request.node.name:
        monkeypatch.delenv("GRADER_DATA", raising=False)
        monkeypatch.setenv("KERAS_HOME", str(tmp_path / "no-keras"))


def arrays(count=20, size=(28, 28), **changes):
    rng = np.random.default_rng(0)
    fields = {
        "x_train": rng.integers(0, 256, (2 * count, *size), np.uint8),
        "y_train": np.arange(2 * count, dtype=np.uint8) % 10,
        "x_test": rng.integers(0, 256, (count, *size), np.uint8),
        "y_test": np.arange(count, dtype=np.uint8) % 10,
    }
    return fields | changes


def own(folder, content=None, **changes):
    folder.mkdir(exist_ok=True)
    file = folder / "faces.npz"
    if content is None:
        np.savez(file, **arrays(**changes))
    else:
        file.write_bytes(content)
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    return DataSource(
        name="faces.npz", sha256=digest, image_shape=(28, 28, 1), classes=list("0123456789")
    )


def refusal(folder, source):
    with pytest.raises(InfrastructureError) as caught:
        find_images(folder, source)
    assert caught.value.cause is Cause.INFRA_DATA
    return caught.value.message


def test_the_real_mnist_is_recognised_however_it_was_packed():
    place = Path(os.environ.get("GRADER_DATA", "nowhere"))
    if not (place / "mnist.npz").is_file():
        pytest.skip("no MNIST on this machine")

    found = find_images(None, MNIST)

    assert (found.name, found.official, found.shape) == ("mnist", True, (28, 28, 1))
    assert len(found.train_images) == 60_000
    assert np.bincount(found.test_labels).min() > 800


def test_mnist_that_is_nowhere_is_no_fault(tmp_path):
    found = find_images(tmp_path, MNIST)

    assert found == NoData(f"MNIST is not in {tmp_path}: expected mnist.npz there.")


def test_half_of_mnist_is_damaged(tmp_path):
    np.savez(tmp_path / "mnist.npz", **arrays())

    assert "expected 10000 images" in refusal(tmp_path, MNIST)


def idx(array):
    sizes = b"".join(length.to_bytes(4, "big") for length in array.shape)
    return gzip.compress(bytes([0, 0, 8, array.ndim]) + sizes + array.tobytes())


def fashion(folder, **changes):
    place = folder / "fashion-mnist"
    place.mkdir()
    names = ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1")
    for name, array in zip(names, arrays(**changes).values(), strict=True):
        (place / f"{name}-ubyte.gz").write_bytes(idx(array))
    return place


def test_fashion_mnist_is_read_as_keras_lays_it(tmp_path):
    fashion(tmp_path)

    found = find_images(tmp_path, FASHION)

    assert (found.shape, found.classes[9], found.official) == ((28, 28, 1), "ankle boot", False)
    assert (found.test_images[..., 0] == arrays()["x_test"]).all()


@pytest.mark.parametrize(
    "content",
    [b"", b"\x1f\x8b", gzip.compress(b"\0\0\x0d\x01\0\0\0\1", mtime=0)],
    ids=["empty", "cut off", "of floats"],
)
def test_a_damaged_file_of_fashion_mnist_is_named(tmp_path, content):
    (fashion(tmp_path) / "t10k-labels-idx1-ubyte.gz").write_bytes(content)

    assert "fashion-mnist: not a whole image set" in refusal(tmp_path, FASHION)


def test_a_file_of_the_courses_own_is_read_by_its_hash(tmp_path):
    source = own(tmp_path / "data", size=(16, 8, 3))

    found = find_images(tmp_path / "data", source)

    assert (found.name, found.official, found.shape) == ("faces.npz", True, (16, 8, 3))


def test_another_file_of_that_name_is_refused(tmp_path):
    source = own(tmp_path / "data")
    own(tmp_path / "data", count=21)

    assert "sha256: expected" in refusal(tmp_path / "data", source)


@pytest.mark.parametrize(
    "changes",
    [
        {"x_test": np.zeros((20, 28, 28))},
        {"y_test": np.zeros(19, np.uint8)},
        {"y_train": np.full(40, 10)},
        {"y_test": np.full(20, -1)},
        {"x_test": np.zeros((20, 8, 8), np.uint8)},
        {"x_test": np.array([{"an": "object"}] * 20)},
    ],
)
def test_a_file_that_holds_something_else_is_refused(tmp_path, changes):
    source = own(tmp_path / "data", **changes)

    assert "not a whole image set" in refusal(tmp_path / "data", source)


def test_a_file_that_unpacks_to_too_much_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(digits, "MAX_ARRAY_BYTES", 1000)

    assert "larger than" in refusal(tmp_path / "data", own(tmp_path / "data"))


def test_no_folder_no_file_of_ones_own(tmp_path):
    assert "--data" in find_images(None, own(tmp_path / "data")).reason


@pytest.mark.parametrize(
    "fields",
    [
        {"name": "imagenet"},
        {"name": "../faces.npz"},
        {"name": "faces.npz"},
        {"name": "mnist", "classes": ["one"]},
    ],
)
def test_a_data_set_that_nobody_knows_is_refused(fields):
    with pytest.raises(ValidationError):
        DataSource(**fields)
