"""The table [data]: the images that accuracy is measured on."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import StringConstraints

from grader.assignment.tables.base import Table
from grader.domain import Sha256


class DataSource(Table):
    """The data set, and the hashes by which the official one is recognised."""

    name: Literal["cifar10"]
    """Which data set."""
    archive_md5: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")]
    """MD5 of the official archive, as its authors publish it."""
    archive_sha256: Sha256
    """SHA-256 of the official archive."""
    test_sha256: Sha256 | None = None
    """SHA-256 of the official test images and labels as arrays (uint8, N×32×32×3 then N)."""
