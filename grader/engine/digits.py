"""Reads MNIST and Fashion-MNIST as Keras caches them, and image sets of a course's own (.npz)."""

from __future__ import annotations

import gzip
import hashlib
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from grader.engine.images import ImageSet, read_once
from grader.errors import Cause, InfrastructureError
from grader.syntax import READING

MNIST_FILE = "mnist.npz"
MNIST_SHA256 = "731c5ac602752760c8e48fbffcf8c3b850d9dc2a2aedcf2cc48468fc17b673d1"
"""Of the file. Source: keras/src/datasets/mnist.py."""
MNIST_TEST_SHA256 = "c3f9adf9c66efb572b1f9326c3a511b45910c7173b97be66ceceeeeaef6b802b"
"""Of its test images and labels as bytes, one after the other: the same images packed anew."""
DIGITS = tuple(str(digit) for digit in range(10))
FASHION_FOLDER = "fashion-mnist"
FASHION_MD5 = {
    "train-images-idx3-ubyte.gz": "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
    "train-labels-idx1-ubyte.gz": "25c81989df183df01b3e8a0aad5dffbe",
    "t10k-images-idx3-ubyte.gz": "bef4ecab320f06d8554ea6380940ec79",
    "t10k-labels-idx1-ubyte.gz": "bb300cfdad3c16e7a12a480ee83cd310",
}
"""Source: torchvision/datasets/mnist.py."""
CLOTHES = (
    "T-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag",
    "ankle boot",
)  # fmt: skip
ARRAYS = ("x_train", "y_train", "x_test", "y_test")
"""Of a .npz, as Keras names them."""
MAX_FILE_BYTES = 2 * 2**30
MAX_ARRAY_BYTES = 2**31
"""Of one array, unpacked; the reading would need more memory than machines have."""

Array = np.ndarray[Any, Any]


def read_mnist(place: Path) -> ImageSet | None:
    """MNIST from a folder that holds mnist.npz, or from that file; None where it is not there.

    Raises:
        InfrastructureError: INFRA_DATA; it is damaged.
    """
    file = place if place.is_file() else place / MNIST_FILE
    return read_once(_mnist, file, [file]) if file.is_file() else None


def _mnist(file: Path) -> ImageSet:
    found = _image_set(file, _npz, "mnist", DIGITS)
    if found.test_images.shape != (10_000, 28, 28, 1):
        raise _damaged(file, f"expected 10000 images of 28×28, received {found.test_images.shape}")
    official = found.dataset.sha256 == MNIST_TEST_SHA256 or _sha256(file) == MNIST_SHA256
    return replace(found, official=official)


def read_fashion(place: Path) -> ImageSet | None:
    """Fashion-MNIST from a folder that is or holds Keras's; None where it is not there.

    Raises:
        InfrastructureError: INFRA_DATA; a file is missing or damaged.
    """
    for folder in (place / FASHION_FOLDER, place):
        if (folder / "t10k-images-idx3-ubyte.gz").is_file():
            return read_once(_fashion, folder, [folder / name for name in FASHION_MD5])
    return None


def _fashion(folder: Path) -> ImageSet:
    found = _image_set(folder, _idx_files, "fashion_mnist", CLOTHES)
    official = all(_md5(folder / name) == md5 for name, md5 in FASHION_MD5.items())
    return replace(found, official=official)


def read_own(file: Path, sha256: str, classes: tuple[str, ...]) -> ImageSet:
    """An image set of a course's own: a .npz with x_train, y_train, x_test and y_test.

    Args:
        file: The file.
        sha256: What its bytes must have.
        classes: The name of each label; empty: the labels are numbers.

    Raises:
        InfrastructureError: INFRA_DATA; it is another file, or holds something else.
    """
    return read_once(_own, file, [file], sha256, classes)


def _own(file: Path, sha256: str, classes: tuple[str, ...]) -> ImageSet:
    found = _sha256(file)
    if found != sha256:
        raise _damaged(file, f"sha256: expected {sha256}, received {found}")
    return replace(_image_set(file, _npz, file.name, classes), official=True)


def _image_set(
    place: Path, read: Callable[[Path], Mapping[str, Array]], name: str, classes: tuple[str, ...]
) -> ImageSet:
    try:
        arrays = read(place)
        x_train, x_test = (_images(arrays[n]) for n in ("x_train", "x_test"))
        y_train, y_test = (
            _labels(arrays[n], x) for n, x in (("y_train", x_train), ("y_test", x_test))
        )
        many = int(max(y_train.max(), y_test.max())) + 1
        classes = classes or tuple(map(str, range(many)))
        if many > len(classes) or x_train.shape[1:] != x_test.shape[1:]:
            raise ValueError(f"expected labels 0 to {len(classes) - 1}, images of one size")
    # A damaged file raises nearly anything: OSError, EOFError, KeyError, BadZipFile, zlib.error.
    except Exception as error:
        raise _damaged(place, f"{type(error).__name__}: {error}") from error
    return ImageSet(x_train, y_train, x_test, y_test, str(place), False, name, classes)


def _npz(file: Path) -> Mapping[str, Array]:
    with zipfile.ZipFile(file) as archive:
        if max(member.file_size for member in archive.infolist()) > MAX_ARRAY_BYTES:
            raise ValueError("an array is larger than 2 GiB")
    with READING, np.load(file, allow_pickle=False) as arrays:
        return {name: arrays[name] for name in ARRAYS}


def _idx_files(folder: Path) -> Mapping[str, Array]:
    files = ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1")
    return {n: _idx(folder / f"{f}-ubyte.gz") for n, f in zip(ARRAYS, files, strict=True)}


def _idx(file: Path) -> Array:
    """One IDX file of bytes. Format: yann.lecun.org/exdb/mnist."""
    with gzip.open(file, "rb") as stream:
        kind, axes = stream.read(4)[2:]
        shape = [int.from_bytes(stream.read(4), "big") for _ in range(axes)]
        size = int(np.prod(shape))
        if kind != 8 or not 0 < size <= MAX_ARRAY_BYTES:
            raise ValueError("expected an IDX file of bytes")
        return np.frombuffer(stream.read(size), np.uint8).reshape(shape)


def _images(array: Array) -> Array:
    """(N, height, width, channels), uint8; a grey image has one channel."""
    if array.dtype != np.uint8 or array.ndim not in (3, 4) or not len(array):
        raise ValueError(f"expected images as bytes, received {array.dtype} {array.shape}")
    return np.ascontiguousarray(array if array.ndim == 4 else array[..., None])


def _labels(array: Array, images: Array) -> Array:
    flat = array.reshape(-1)
    if flat.dtype.kind not in "iu" or len(flat) != len(images) or flat.min() < 0:
        raise ValueError(f"expected {len(images)} whole numbers as labels")
    return flat.astype(np.int64)


def _sha256(file: Path) -> str:
    return _digest(file, "sha256")


def _md5(file: Path) -> str:
    return _digest(file, "md5")


def _digest(file: Path, method: str) -> str:
    try:
        with file.open("rb") as stream:
            return hashlib.file_digest(stream, method).hexdigest()
    except OSError as error:
        raise _damaged(file, error.strerror or "cannot be read") from error


def _damaged(place: Path, why: str) -> InfrastructureError:
    return InfrastructureError(
        Cause.INFRA_DATA,
        f"{place}: not a whole image set: {why}",
        "Delete it, and copy or download it anew.",
    )
