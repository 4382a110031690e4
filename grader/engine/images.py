"""A set of labelled images: what an accuracy is measured on, and what a network is trained on."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from grader.domain import Dataset

Images = npt.NDArray[np.uint8]
Labels = npt.NDArray[np.int64]


@dataclass(frozen=True)
class ImageSet:
    """A whole data set, checked, in memory; its arrays cannot be written to."""

    train_images: Images
    """(N, height, width, channels), uint8; three channels are RGB."""
    train_labels: Labels
    """(N,), int64, from 0."""
    test_images: Images
    """(M, height, width, channels), uint8."""
    test_labels: Labels
    """(M,), int64, from 0."""
    source: str
    """Where it was found; for the operator, not for a student."""
    official: bool
    """Whether it is, to the last bit, what was published or what the assignment names."""
    name: str = "images"
    """Such as "cifar10"."""
    classes: tuple[str, ...] = tuple("0123456789")
    """The name of each label."""

    def __post_init__(self) -> None:
        """Protect the arrays: one set serves a whole class."""
        for array in (self.train_images, self.train_labels, self.test_images, self.test_labels):
            array.setflags(write=False)

    def held_back(self, share: float) -> tuple[ImageSet, tuple[Images, Labels] | None]:
        """The data without the last images of the training set, and these; None for too few."""
        kept = len(self.train_images) - round(share * len(self.train_images))
        if kept == len(self.train_images):
            return self, None
        rest = self.train_images[kept:], self.train_labels[kept:]
        images, labels = self.train_images[:kept], self.train_labels[:kept]
        return replace(self, train_images=images, train_labels=labels), rest

    @cached_property
    def dataset(self) -> Dataset:
        """What the grade says of the images that the accuracy was measured on."""
        digest = hashlib.sha256(self.test_images.tobytes())
        digest.update(self.test_labels.astype(np.uint8).tobytes())
        return Dataset(name=self.name, sha256=digest.hexdigest(), official=self.official)

    @property
    def shape(self) -> tuple[int, ...]:
        """Height, width, channels."""
        return self.test_images.shape[1:]


@dataclass(frozen=True)
class NoData:
    """The images are not on this machine; the accuracy cannot be measured, the rest can."""

    reason: str
    """One plain line: where they were looked for, and what to do."""


def read_once(
    read: Callable[..., ImageSet], place: Path, files: Iterable[Path], *more: Hashable
) -> ImageSet:
    """What was read last, for as long as its files stay as they are: a class has one image set.

    Args:
        read: Reads and checks the set, given `place` and `more`.
        place: What it reads.
        files: All files that it opens.
        more: What else it is given.

    Raises:
        InfrastructureError: As `read` does.
    """
    return _read(read, place, tuple(map(_state, files)), *more)


@lru_cache(maxsize=1)
def _read(
    read: Callable[..., ImageSet], place: Path, states: tuple[object, ...], *more: Hashable
) -> ImageSet:
    return read(place, *more)


def _state(file: Path) -> tuple[int, ...]:
    """Changes with the file; of one that is not there reading it says so."""
    try:
        found = file.stat()
    except OSError:
        return ()
    return found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns
