"""The platforms that a bundle can be written for."""

from __future__ import annotations

from collections.abc import Mapping

from grader.bundle import codabench, gradescope
from grader.bundle.platform import Platform

PLATFORMS: Mapping[str, Platform] = {
    "gradescope": gradescope.PLATFORM,
    "codabench": codabench.PLATFORM,
}
