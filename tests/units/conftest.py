"""One warm sandbox for all units."""

import importlib.util
from collections.abc import Iterator

import pytest

from grader.sandbox.process import ProcessSandbox


class Shared(ProcessSandbox):
    """Stays open when a command that took it closes it."""

    def close(self) -> None:
        """Nothing: the fixture closes it."""


@pytest.fixture(scope="session")
def workshops() -> Iterator[ProcessSandbox]:
    """The sandbox that the tests here share."""
    if importlib.util.find_spec("keras") is None:
        pytest.skip("Keras is not installed")
    sandbox = Shared(warm=True)
    yield sandbox
    ProcessSandbox.close(sandbox)
