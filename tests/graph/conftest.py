"""Makes tests/graph/tracing.py and writing.py importable for the tests beside them."""

import importlib.util
import sys
from pathlib import Path

import pytest

for name in ("tracing", "writing"):
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, Path(__file__).parent / f"{name}.py")
        sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])


@pytest.fixture(scope="session")
def small_dense_net():
    """A small DenseNet, traced once for all tests."""
    import tracing

    return tracing.trace_model(lambda: tracing.dense_net(), lambda images: images / 255)
