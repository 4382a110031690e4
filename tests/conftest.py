"""What every test runs with: no key, no colours and no terminal of the person who runs them."""

import os
import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest

from tests.costs import Costs
from tests.workers import FIRST_SEAT, PARALLEL, share_of, turn_of

SANDBOXES = {"ranges", "workshops"}
"""Fixtures that open one."""


def pytest_configure(config: pytest.Config) -> None:
    """Add what reports the costs of each test, and say how hypothesis draws."""
    config.pluginmanager.register(Costs())
    if "GRADER_KILL_MATRIX" not in os.environ:  # which saves half a second for each defence
        _draw_the_same_in_each_run()


def _draw_the_same_in_each_run() -> None:
    """No example has to be over in time either: on a busy machine none may be.

    `tests.bounded.within` holds code to processor time.
    """
    from hypothesis import HealthCheck, settings

    settings.register_profile(
        "tests", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
    )
    settings.load_profile("tests")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what asks for a sandbox; where processes share the tests, begin with the longest."""
    for item in items:
        if not SANDBOXES.isdisjoint(getattr(item, "fixturenames", ())):
            item.add_marker("sandbox")
    if PARALLEL:
        items.sort(key=turn_of)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """With `--dist loadfile` a file is run by one process, but for those whose tests are shared."""
    if config.getoption("dist") != "loadfile":
        return None
    from xdist.scheduler import LoadFileScheduling

    class Shares(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return share_of(nodeid)

    return Shares(config, log)


@pytest.fixture(autouse=True)
def nothing_read_before() -> None:
    """No test finds a network that another one read, perhaps by other rules."""
    known = sys.modules.get("grader.graph.known")
    if known is not None:
        known.KEPT.clear()


@pytest.fixture(autouse=True, scope="session")
def _a_core_of_its_own() -> Iterator[None]:
    """Sandboxes take cores by their number in this process: number them onwards in each other."""
    if FIRST_SEAT == 0:
        yield
        return
    from grader.sandbox import process

    as_it_is = process.ProcessSandbox._order
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            process.ProcessSandbox,
            "_order",
            lambda self, stage, private, seat: as_it_is(
                self, stage, private, None if seat is None else seat + FIRST_SEAT
            ),
        )
        yield


@pytest.fixture(autouse=True, scope="session")
def _no_settings_of_this_user(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADER_KEY_FILE", str(tmp_path_factory.mktemp("key") / "course.key"))
        patch.setenv("COLUMNS", "80")
        for name in ("NO_COLOR", "FORCE_COLOR", "CLICOLOR_FORCE", "TTY_COMPATIBLE"):
            patch.delenv(name, raising=False)
        yield


@pytest.fixture(scope="session")
def examples() -> ModuleType:
    """The example grades."""
    from tests import examples

    return examples


@pytest.fixture(scope="session")
def small_dense_net() -> Any:
    """A small DenseNet, traced once for all tests."""
    from tests.graph import tracing

    return tracing.trace_model(lambda: tracing.dense_net(), lambda images: images / 255)


@pytest.fixture(scope="session")
def easy():
    """160 + 40 images whose class is their colour: learnt in a few steps."""
    import numpy as np

    from grader.engine.data import ImageSet

    rng = np.random.default_rng(0)
    colours = rng.integers(0, 256, (10, 3))

    def images(count):
        labels = np.arange(count) % 10
        noise = rng.normal(0, 10, (count, 32, 32, 3))
        pixels = colours[labels][:, None, None] + noise
        return pixels.clip(0, 255).astype(np.uint8), labels.astype(np.int64)

    return ImageSet(*images(160), *images(40), source="made up", official=False)
