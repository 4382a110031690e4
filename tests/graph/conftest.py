"""Makes tests/graph/tracing.py importable for the tests beside it."""

import importlib.util
import sys
from pathlib import Path

import pytest

spec = importlib.util.spec_from_file_location("tracing", Path(__file__).parent / "tracing.py")
tracing = importlib.util.module_from_spec(spec)
sys.modules["tracing"] = tracing
spec.loader.exec_module(tracing)


@pytest.fixture(scope="session")
def small_dense_net():
    """A small DenseNet, traced once for all tests."""
    return tracing.trace_model(lambda: tracing.dense_net(), lambda images: images / 255)
