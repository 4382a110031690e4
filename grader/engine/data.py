"""Finds the images that an assignment names, reads them safely, and says what they were.

Property protected: an accuracy is only ever reported on whole, checked test images; data that is
missing or damaged is said to be so, and never becomes points.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from grader.assignment import DataSource
from grader.engine import cifar10, digits
from grader.engine.images import ImageSet, NoData
from grader.errors import Cause, InfrastructureError

ENVIRONMENT_NAME = "GRADER_DATA"


@dataclass(frozen=True)
class Known:
    """A data set that Keras can download.

    Attributes:
        title: As people call it.
        read: From a folder or file; None where it is not there.
        expected: What a folder has to hold.
        megabytes: Of the download.
    """

    title: str
    read: Callable[[Path], ImageSet | None]
    expected: str
    megabytes: int


KNOWN = {
    "cifar10": Known(
        "CIFAR-10", cifar10.read, f"{cifar10.BATCHES}/ or {cifar10.ARCHIVE_NAMES[0]}", 170
    ),
    "mnist": Known("MNIST", digits.read_mnist, digits.MNIST_FILE, 11),
    "fashion_mnist": Known("Fashion-MNIST", digits.read_fashion, f"{digits.FASHION_FOLDER}/", 30),
}
CIFAR10 = DataSource(name="cifar10")


def find_images(
    folder: Path | None = None, source: DataSource = CIFAR10, *, may_download: bool = False
) -> ImageSet | NoData:
    """Look where a data set may be: the folder given, GRADER_DATA, Keras's cache or download.

    A folder that was named (by argument or GRADER_DATA) is the only place looked at, so that a
    wrong name is noticed.

    Args:
        folder: What `--data` says: a folder, or the file itself.
        source: The table [data] of the assignment.
        may_download: Let Keras fetch it where it is nowhere.

    Raises:
        InfrastructureError: INFRA_DATA; it was found, and is damaged.
    """
    named = folder or _from_environment()
    if source.is_file:
        return _own(source, named)
    known = KNOWN[source.name]
    if named:
        return known.read(named) or NoData(
            f"{known.title} is not in {named}: expected {known.expected} there."
        )
    cache = keras_cache()
    found = known.read(cache)
    if found is None and may_download:
        found = _download(source.name, cache)
    return found or NoData(
        f"{known.title} was not found: neither --data nor {ENVIRONMENT_NAME} names a folder,"
        f" and Keras's cache ({cache}) does not hold it."
    )


def title_of(source: DataSource) -> str:
    """As people call a data set."""
    return source.name if source.is_file else KNOWN[source.name].title


def keras_cache() -> Path:
    """Where Keras keeps data sets, found without importing Keras."""
    home = os.environ.get("KERAS_HOME")
    return (Path(home) if home else Path.home() / ".keras") / "datasets"


def _from_environment() -> Path | None:
    value = os.environ.get(ENVIRONMENT_NAME)
    return Path(value).expanduser() if value else None


def _own(source: DataSource, named: Path | None) -> ImageSet | NoData:
    """A course's own file; nobody but the course has it."""
    assert source.sha256 is not None
    if named is None:
        return NoData(
            f"{source.name} was not looked for: name its folder with --data or {ENVIRONMENT_NAME}."
        )
    file = named if named.is_file() else named / source.name
    if not file.is_file():
        return NoData(f"{source.name} is not in {named}.")
    return digits.read_own(file, source.sha256, source.classes)


def _download(name: str, cache: Path) -> ImageSet | None:
    """Have Keras fetch, verify and unpack it into its cache, then read it from there."""
    import keras

    known = KNOWN[name]
    try:
        getattr(keras.datasets, name).load_data()
    # Whatever the network, the disk or the server did: without data nothing is graded on it.
    except Exception as error:
        raise InfrastructureError(
            Cause.INFRA_DATA,
            f"{known.title} could not be downloaded: {error}",
            f"Put {known.expected} into a folder and name that with --data.",
        ) from error
    return known.read(cache)


__all__ = ["CIFAR10", "ENVIRONMENT_NAME", "KNOWN", "ImageSet", "NoData", "find_images", "title_of"]
