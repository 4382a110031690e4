"""Makes tests/graph/writing.py importable: networks as records, without TensorFlow."""

import importlib.util
import sys
from pathlib import Path

if "writing" not in sys.modules:
    path = Path(__file__).parents[1] / "graph" / "writing.py"
    spec = importlib.util.spec_from_file_location("writing", path)
    sys.modules["writing"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(sys.modules["writing"])
