"""Inside the sandbox, the functions of a submission are called, and its module is imported once."""

import sys
from typing import Any

import pytest

from grader.inside import call


class Channel:
    """Keeps what is sent."""

    def __init__(self) -> None:
        self.sent: dict[str, Any] = {}

    def send_json(self, name: str, content: Any) -> None:
        self.sent[name] = content


def asked(module: str, function: str, id: str) -> dict[str, Any]:
    return {"id": id, "module": module, "function": function, "arguments": [], "names": None,
            "after": False}  # fmt: skip


@pytest.fixture
def tree(tmp_path, monkeypatch):
    """A folder for modules, of which none stays imported."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        del sys.modules[name]


COUNTED = """
with open("imports", "a") as file:
    file.write("x")
"""


@pytest.mark.parametrize("end", ["def one(): return 1", "raise ValueError('broken')"])
def test_a_module_is_imported_once_whether_it_works_or_fails(tree, end):
    (tree / "counted_module.py").write_text(COUNTED + end)
    channel = Channel()
    calls = [asked("counted_module", "one", id) for id in ("a", "b")]

    call.run({"module": "counted_module", "calls": calls, "call_s": None}, tree, channel)

    assert (tree / "imports").read_text() == "x"
    assert set(channel.sent) == {"module", "call:a", "call:b"}


def test_an_import_that_does_not_end_is_told_and_the_other_module_gets_its_turn(tree):
    (tree / "endless_module.py").write_text(COUNTED + "while True: pass")
    (tree / "other_module.py").write_text("def one(): return 1")
    channel = Channel()
    calls = [asked("other_module", "one", id) for id in ("a", "b")]

    call.run({"module": "endless_module", "calls": calls, "call_s": 0.1}, tree, channel)

    assert "no answer after 0.3 s of computing" in str(channel.sent["module"]["failure"])
    assert [channel.sent[f"call:{id}"]["failure"] for id in ("a", "b")] == [None, None]
    # The first answer was kept as that of a function that does not come back, and given again.
    assert channel.sent["call:a"] is not channel.sent["call:b"]
