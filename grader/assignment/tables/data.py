"""The table [data]: the images that accuracy is measured on."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, StringConstraints, field_validator, model_validator

from grader.assignment.mistakes import mistake, short
from grader.assignment.tables.base import NonEmpty, Table
from grader.domain import Sha256

SHAPES = {"cifar10": (32, 32, 3), "mnist": (28, 28, 1), "fashion_mnist": (28, 28, 1)}
"""Data sets that Keras downloads → height, width and channels of their images."""
CLASSES = 10
"""Of each of them."""


class DataSource(Table):
    """The data set: one that Keras downloads, or a file of the course's own."""

    name: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][\w.-]*$")]
    """cifar10, mnist, fashion_mnist; or the name of a .npz with x_train, y_train, x_test and
    y_test, which lies in the folder that --data names."""
    sha256: Sha256 | None = None
    """SHA-256 of the .npz: an accuracy is measured on this very file and no other."""
    image_shape: Annotated[tuple[int, int, int], Field(strict=False)] | None = None
    """Height, width and channels of the images of a .npz."""
    classes: Annotated[tuple[NonEmpty, ...], Field(strict=False)] = ()
    """The names of the labels of a .npz, from 0."""

    @property
    def is_file(self) -> bool:
        """Whether it is a file of the course's own."""
        return self.name.endswith(".npz")

    @property
    def shape(self) -> tuple[int, int, int]:
        """Height, width and channels of one image."""
        return self.image_shape or SHAPES[self.name]

    @field_validator("name")
    @classmethod
    def _set_is_known(cls, written: str) -> str:
        if written not in SHAPES and not written.endswith(".npz"):
            raise mistake(
                f"expected {', '.join(SHAPES)} or the name of a .npz. Received: {short(written)}"
            )
        return written

    @model_validator(mode="after")
    def _file_is_described(self) -> Self:
        lacking = self.sha256 is None or self.image_shape is None or not self.classes
        if self.is_file and lacking:
            raise mistake(
                f"expected sha256, image_shape and classes with {self.name!r}",
                'Add sha256 = "…", image_shape = [28, 28, 1] and classes = ["cat", "dog"].',
            )
        if not self.is_file and (self.sha256 or self.image_shape or self.classes):
            raise mistake(
                "expected sha256, image_shape and classes with a .npz alone", "Take them out."
            )
        return self
