"""All architectures, traced once for all tests, by the stage that traces submissions."""

import importlib.util
import re
import shutil
from pathlib import Path

import pytest

from grader.domain import Limits
from grader.graph.compare import Subject
from grader.graph.read.reader import canonicalise
from grader.graph.record import check_graph, parse_network
from grader.sandbox.contract import Stage
from grader.sandbox.process import ProcessSandbox

SOURCE = Path(__file__).parent / "architectures.py"
FAMILIES = ("alexnet", "vgg", "basic", "bottleneck", "mobilenet", "maxout", "densenet121")


def names_of_all() -> list[str]:
    functions = re.findall(r"^def (\w+)\(", SOURCE.read_text(encoding="utf-8"), re.MULTILINE)
    return [name for name in functions if name in FAMILIES or "__" in name]


class Counted(ProcessSandbox):
    """One warm sandbox for all tests here: TensorFlow is imported once. Counts its runs."""

    def __init__(self):
        super().__init__(warm=True)
        self.asked = []

    def run(self, stage):
        self.asked.append(stage)
        return super().run(stage)

    def close(self):
        """What a command opened it also closes; this one stays warm for the next."""


@pytest.fixture(scope="session")
def warm():
    """The sandbox that the tests here share."""
    if importlib.util.find_spec("keras") is None:
        pytest.skip("Keras is not installed")
    sandbox = Counted()
    yield sandbox
    ProcessSandbox.close(sandbox)


@pytest.fixture
def sandbox(warm, monkeypatch):
    """Every command that opens a sandbox gets the shared one."""
    monkeypatch.setattr("grader.sandbox.open_sandbox", lambda *a, **k: warm)
    monkeypatch.setattr("grader.comparison.open_sandbox", lambda *a, **k: warm)
    warm.asked.clear()
    return warm


@pytest.fixture(scope="session")
def networks(warm, tmp_path_factory) -> dict[str, Subject]:
    """Every network of architectures.py by its name."""
    tree = tmp_path_factory.mktemp("architectures")
    shutil.copy(SOURCE, tree)
    probes = [
        {
            "id": name,
            "file": SOURCE.name,
            "function": name,
            "arguments": [],
            "output": None,
            "gives_model": True,
            "input_shape": [32, 32, 3] if name.startswith("vgg") else None,
            "modes": ["inference"] if "121" in name else ["inference", "training"],
        }
        for name in names_of_all()
    ]
    request = {"module": None, "probes": probes, "model": None}
    limits = Limits(wall_time_s=900, cpu_time_s=900)
    result = warm.run(Stage("trace", tree, request, limits))
    assert result.complete, result.run
    return {probe["id"]: read(result, probe["id"]) for probe in probes}


def read(result, name: str) -> Subject:
    record = parse_network(result.json_frames[f"probe:{name}"])
    assert record.failure is None, (name, record.failure)
    constants = result.binary_frames.get(f"constants:{name}", b"")
    graphs = {
        mode: canonicalise(check_graph(graph, record.variables, constants))
        for mode, graph in record.graphs.items()
    }
    return Subject(graphs, record.variables)
