"""Reads CIFAR-10, from its six batches or from its archive.

The batches are pickles, which can run code when loaded, so nothing but the numpy names that such a
file needs is resolved.
"""

from __future__ import annotations

import hashlib
import io
import pickle
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from grader.engine.images import Images, ImageSet, Labels, read_once
from grader.errors import Cause, InfrastructureError

BATCHES = "cifar-10-batches-py"
ARCHIVE_NAMES = (
    "cifar-10-python.tar.gz",
    "cifar-10-batches-py-target_archive",  # Keras 3
    "cifar-10-batches-py.tar.gz",  # Keras 2
)
OFFICIAL_ARCHIVE_SHA256 = "6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce"
"""Of cifar-10-python.tar.gz. Source: keras/src/datasets/cifar10.py."""
OFFICIAL_BATCHES_MD5 = {
    "data_batch_1": "c99cafc152244af753f735de768cd75f",
    "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
    "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
    "data_batch_4": "634d18415352ddfa80567beed471001a",
    "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
    "test_batch": "40351d587109b95175f43aff81a1287e",
}
"""Source: torchvision/datasets/cifar.py. MD5 tells these files from others by accident; against a
forger there is the archive's SHA-256."""
TRAIN_FILES = tuple(f"data_batch_{number}" for number in range(1, 6))
TEST_FILE = "test_batch"
CLASSES = (
    "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck",
)  # fmt: skip
IMAGES_PER_BATCH = 10_000
MAX_BATCH_BYTES = 64 * 1024**2
"""An official batch is 31 MB."""


def read(place: Path) -> ImageSet | None:
    """Read the first of the known layouts that is there.

    Args:
        place: A folder that is or holds `cifar-10-batches-py`, or holds the official archive; or
            the archive itself.

    Returns:
        The images; None where no layout is there.

    Raises:
        InfrastructureError: INFRA_DATA; it was found, and is damaged.
    """
    if place.is_file():
        return read_once(read_archive, place, [place])
    for folder in (place / BATCHES, place, place / f"{BATCHES}-target" / BATCHES):
        if (folder / TEST_FILE).is_file():
            return read_once(read_folder, folder, [folder / name for name in _FILES])
    for name in ARCHIVE_NAMES:
        if (place / name).is_file():
            return read_once(read_archive, place / name, [place / name])
    return None


def read_folder(folder: Path) -> ImageSet:
    """Read and check the six batches of one `cifar-10-batches-py` folder.

    Raises:
        InfrastructureError: INFRA_DATA; a batch is missing, damaged or not what it should be.
    """
    return _assemble(((name, _bytes_of(folder / name)) for name in _FILES), str(folder))


def read_archive(path: Path) -> ImageSet:
    """Read and check the six batches straight out of the official archive, unpacking nothing.

    Raises:
        InfrastructureError: INFRA_DATA; the archive is not the official one to the last bit.
    """
    with path.open("rb") as stream:
        found = hashlib.file_digest(stream, "sha256").hexdigest()
    if found != OFFICIAL_ARCHIVE_SHA256:
        raise _damaged(
            path, f"sha256: expected {OFFICIAL_ARCHIVE_SHA256}, received {found}", "archive"
        )
    with tarfile.open(path, "r:gz") as archive:
        members = {Path(member.name).name: member for member in archive.getmembers()}
        files = [(name, _member(archive, members[name])) for name in _FILES]
    return _assemble(iter(files), str(path))


_FILES = (*TRAIN_FILES, TEST_FILE)


def _bytes_of(path: Path) -> bytes:
    try:
        with path.open("rb") as stream:
            raw = stream.read(MAX_BATCH_BYTES + 1)
    except OSError as error:
        raise _damaged(path, error.strerror or "cannot be read") from error
    if len(raw) > MAX_BATCH_BYTES:
        raise _damaged(path, f"expected at most {MAX_BATCH_BYTES} bytes, received more")
    return raw


def _member(archive: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    stream = archive.extractfile(member)
    return stream.read() if stream else b""


def _assemble(files: Iterator[tuple[str, bytes]], source: str) -> ImageSet:
    parts, official = [], True
    for name, raw in files:
        md5 = hashlib.md5(raw, usedforsecurity=False).hexdigest()
        official = official and md5 == OFFICIAL_BATCHES_MD5[name]
        parts.append(parse_batch(raw, Path(source) / name))
    return ImageSet(
        train_images=np.concatenate([images for images, _ in parts[:-1]]),
        train_labels=np.concatenate([labels for _, labels in parts[:-1]]),
        test_images=parts[-1][0],
        test_labels=parts[-1][1],
        source=source,
        official=official,
        name="cifar10",
        classes=CLASSES,
    )


def parse_batch(raw: bytes, path: Path) -> tuple[Images, Labels]:
    """One pickled batch as images (10000, 32, 32, 3), uint8 RGB, and labels (10000,), int64, 0..9.

    Args:
        raw: The file's bytes.
        path: What messages call it.

    Raises:
        InfrastructureError: INFRA_DATA; not what a batch should be.
    """
    try:
        rows, labels = _fields(_NumpyOnly(io.BytesIO(raw), encoding="bytes").load())
    # A damaged pickle raises nearly anything: UnpicklingError, EOFError, IndexError, KeyError, ...
    except Exception as error:
        raise _damaged(path, f"{type(error).__name__}: {error}") from error
    images = rows.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
    return np.ascontiguousarray(images), labels


class _NumpyOnly(pickle.Unpickler):
    """Resolves what a pickled array of bytes needs, and nothing else."""

    ALLOWED = frozenset(
        {
            ("numpy", "ndarray"),
            ("numpy", "dtype"),
            ("numpy.core.multiarray", "_reconstruct"),
            ("numpy._core.multiarray", "_reconstruct"),
            ("numpy.core.numeric", "_frombuffer"),
            ("numpy._core.numeric", "_frombuffer"),
            ("_codecs", "encode"),
        }
    )

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) in self.ALLOWED:
            # The official files name numpy's old private modules.
            return super().find_class(module.replace("numpy.core", "numpy._core"), name)
        raise pickle.UnpicklingError(f"{module}.{name} has no place in a CIFAR-10 batch")


def _fields(batch: Any) -> tuple[Images, Labels]:
    rows, labels = batch[b"data"], np.asarray(batch[b"labels"])
    if not isinstance(rows, np.ndarray) or rows.dtype != np.uint8:
        raise ValueError("expected data as an array of bytes")
    if rows.shape != (IMAGES_PER_BATCH, 3072):
        raise ValueError(f"expected data of shape (10000, 3072), received {rows.shape}")
    if labels.shape != (IMAGES_PER_BATCH,) or labels.dtype.kind not in "iu":
        raise ValueError("expected 10000 whole numbers as labels")
    if not (labels.min() >= 0 and labels.max() < len(CLASSES)):
        raise ValueError("expected labels 0 to 9")
    return rows, labels.astype(np.int64)


def _damaged(path: Path, why: str, what: str = "batch") -> InfrastructureError:
    return InfrastructureError(
        Cause.INFRA_DATA,
        f"{path}: not a whole CIFAR-10 {what}: {why}",
        "Delete it and unpack or download CIFAR-10 anew.",
    )
