"""What every test runs with: no key, no colours and no terminal of the person who runs them."""

from types import ModuleType
from typing import Any

import pytest


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
