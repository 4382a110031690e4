"""The platforms that a bundle can be written for."""

from __future__ import annotations

from collections.abc import Mapping

from grader.bundle import autolab, classroom50, codabench, gradescope, prairielearn
from grader.bundle.platform import Platform

PLATFORMS: Mapping[str, Platform] = {
    "gradescope": gradescope.PLATFORM,
    "codabench": codabench.PLATFORM,
    "autolab": autolab.PLATFORM,
    "prairielearn": prairielearn.PLATFORM,
    "classroom50": classroom50.PLATFORM,
}
