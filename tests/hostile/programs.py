"""The networks that hostile submissions pretend to be, or hide behind; and what they can lose.

`RIGHT` earns everything, `STUBS` nothing but the contract: a case is one of them with something
done to it. What succeeds has to become visible: `only_if` is right only where the attack worked.
"""

from __future__ import annotations

import re
import tempfile
from pathlib import Path
from textwrap import dedent

from grader.assignment import Assignment, load_assignment
from grader.checks import CHECKS
from grader.resources import assignment_dir, reference_dir
from tests.hostile.cases import Recipe, folder_of

NOTHING: frozenset[str] = frozenset()
EVERYTHING = frozenset(check.name for check in CHECKS)
"""No check passes."""
FUNCTIONS = EVERYTHING - {"module-contract"}
"""densenet.py was imported, and that was all."""
MODEL = frozenset({"build-model", "build-model-parameters"})
"""Only what `build_model()` decides."""

RIGHT = re.sub(
    r"build_densenet\(depth=13, growth_rate=32",
    "build_densenet(depth=7, growth_rate=4",
    # In words of its own, for a copy of the reference goes to review.
    re.sub(r"\bnew\b", "fresh", (reference_dir() / "densenet.py").read_text()),
)
"""As the reference solution, with a network that is traced in half a second."""

STUBS = """
def dense_block(x, num_layers, growth_rate, bottleneck=True, dropout_rate=0.0):
    raise NotImplementedError

def transition(x, compression=0.5, dropout_rate=0.0):
    raise NotImplementedError

def build_densenet(depth=40, growth_rate=12, compression=0.5, bottleneck=True, num_classes=10,
                   input_shape=(32, 32, 3), dropout_rate=0.0):
    raise NotImplementedError

def build_model():
    raise NotImplementedError

def preprocess(images):
    return images / 255
"""


SMALLER = {
    r"^cpu_time_s = .*$": "cpu_time_s = 60",
    r"^memory_bytes = .*$": "memory_bytes = 2_147_483_648",
    r"^output_bytes = .*$": "output_bytes = 16_777_216",
    r"^file_bytes = .*$": "file_bytes = 8_388_608",
    r"^processes = .*$": "processes = 100",
    r"^hidden = .*$": "hidden = { blocks = 1, transitions = 1, networks = 1 }",
    r"(?s:^blocks = \[.*?^\]$)": "blocks = [{ channels = 8, num_layers = 2, growth_rate = 4, "
    "bottleneck = true, size = 4 }]",
    r"(?s:^transitions = \[.*?^\]$)": "transitions = [{ channels = 12, compression = 0.5, "
    "size = 4 }]",
    r"(?s:^networks = \[.*?^\]$)": "networks = [{ depth = 7, growth_rate = 4, compression = 1.0, "
    "bottleneck = false, size = 16 }]",
}
"""The real assignment with less to trace and lower limits."""


def small_assignment_text() -> str:
    """The small assignment as a file."""
    text = (assignment_dir() / "assignment.toml").read_text()
    for pattern, instead in SMALLER.items():
        text, found = re.subn(pattern, instead, text, flags=re.M)
        assert found == 1, pattern
    return text


def small_assignment() -> Assignment:
    """The small assignment as the grader reads it."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "assignment.toml").write_text(small_assignment_text())
        return load_assignment(Path(folder))


def handed_in(source: str, **files: bytes) -> Recipe:
    """A submission whose densenet.py is this; further files by name, "." written as "__"."""
    beside = {name.replace("__", "."): content for name, content in files.items()}
    return folder_of({"densenet.py": source.encode(), **beside})


def first(*code: str, then: str = STUBS) -> Recipe:
    """These pieces run on import, before the rest is there."""
    return handed_in(_joined(*code, then))


def last(*code: str, after: str = STUBS) -> Recipe:
    """These pieces run on import, when all functions are there."""
    return handed_in(_joined(after, *code))


def only_if(code: str) -> Recipe:
    """Right where `code`, run on import, sets `worked`; else every function raises.

    What the code raises itself counts as a failed attack, so that the outcome is one and the same
    whatever the defence says.
    """
    attack = f"""
worked = False
try:
{_indented(dedent(code))}
except BaseException as error:
    why = repr(error)
if not worked:
    def _refused(*arguments, **keywords):
        raise RuntimeError("the attack failed")
    dense_block = transition = build_densenet = build_model = _refused
"""
    return handed_in(RIGHT + attack)


def _indented(code: str) -> str:
    return "".join("    " + line + "\n" for line in code.strip("\n").splitlines())


def _joined(*code: str) -> str:
    return "\n".join(dedent(piece) for piece in code)
