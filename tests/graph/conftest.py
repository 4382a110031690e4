"""Makes tests/graph/tracing.py importable for the tests beside it."""

import importlib.util
import sys
from pathlib import Path

import pytest

if "tracing" not in sys.modules:
    spec = importlib.util.spec_from_file_location("tracing", Path(__file__).parent / "tracing.py")
    sys.modules["tracing"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(sys.modules["tracing"])


@pytest.fixture(scope="session")
def small_dense_net():
    """A small DenseNet, traced once for all tests."""
    import tracing

    return tracing.trace_model(lambda: tracing.dense_net(), lambda images: images / 255)
