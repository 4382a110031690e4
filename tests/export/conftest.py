"""The example grades of tests/examples.py, as a fixture."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture(scope="session")
def examples() -> ModuleType:
    """tests/examples.py; tests are no package, so it is loaded by its path."""
    if "grade_examples" not in sys.modules:
        path = Path(__file__).parents[1] / "examples.py"
        spec = importlib.util.spec_from_file_location("grade_examples", path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        sys.modules["grade_examples"] = module
    return sys.modules["grade_examples"]
