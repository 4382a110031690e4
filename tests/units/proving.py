"""Solutions of a unit as text, each judged in a moment: no sandbox, one process for all of them.

A catalogue is a text. Each case begins with a line of its own and holds functions that take the
place of the reference's:

    == right: NAME
    == wrong: NAME | the checks that it loses | what the first of them says

What is wrong must lose exactly its checks and be told so; what is right must lose nothing.
"""

import contextlib
import json
import re
import sys
from dataclasses import dataclass
from pathlib import Path

from grader.assignment import load_assignment
from grader.calls.called import Call, Called
from grader.calls.cases import cases_of
from grader.calls.values import parse_answer
from grader.checks import run_checks
from grader.checks.functions import function_checks
from grader.domain import Outcome
from grader.graph.evidence import Evidence
from grader.inside import call
from grader.inside.tracing.patience import Patience
from grader.resources import assignment_dir

KEY = b"a course key"


@dataclass(frozen=True)
class Solution:
    """One case of a catalogue."""

    right: bool
    name: str
    loses: tuple[str, ...]
    told: str
    code: str


def catalogue(file):
    """The cases of a catalogue."""
    parts = re.split(r"^== (right|wrong): (.*)$", file.read_text(encoding="utf-8"), flags=re.M)
    for kind, head, code in zip(parts[1::3], parts[2::3], parts[3::3], strict=True):
        name, loses, told = (*head.split(" | "), "", "")[:3]
        yield Solution(kind == "right", name.strip(), tuple(loses.split()), told.strip(), code)


class Unit:
    """A unit whose functions are called in this process.

    Args:
        name: Of its folder.
        scratch: A folder for the solutions.
    """

    def __init__(self, name, scratch):
        self.folder = assignment_dir() / "units" / name
        self.scratch = scratch
        self.assignment = load_assignment(self.folder)
        self.checks = function_checks(self.assignment.functions)
        self.cases = {a.name: cases_of(a, KEY) for a in self.assignment.functions}
        self.reference = (self.folder / "reference" / self.assignment.module).read_text("utf-8")
        self._number = 0
        self.right = [self.answers(self.reference, n) for n in range(self._most_slips() + 1)]

    def _most_slips(self):
        return max(len(asked.slips) for asked in self.assignment.functions)

    def answers(self, text, number=-1):
        """What a module gives in all calls: the student's functions, or those of a number among
        the reference and its slips."""
        calls = [
            case.request(asked, asked.function if number < 0 else asked.functions()[number])
            for asked in self.assignment.functions
            if number < len(asked.functions())
            for case in self.cases[asked.name]
        ]
        return _called_here(text, self.assignment.module, calls, self._fresh())

    def _fresh(self):
        self._number += 1
        tree = self.scratch / f"solution-{self._number}"
        tree.mkdir()
        return tree

    def judged(self, text):
        """The checks' results on a module, by name."""
        return self._judged(self.answers(text))

    def judged_slip(self, number):
        """The checks' results where each function makes the mistake of one of its slips."""
        answers = self.right[0] | self.right[number + 1]
        return self._judged(answers)

    def _judged(self, mine):
        called = {a.name: Called(tuple(self._calls(a, mine))) for a in self.assignment.functions}
        evidence = Evidence(None, (), None, called=called)
        return {result.name: result for result in run_checks(self.checks, evidence)}

    def _calls(self, asked, mine):
        for case in self.cases[asked.name]:
            right, *slips = (self.right[n].get(case.id) for n in range(len(asked.functions())))
            yield Call(case, mine[case.id], right, tuple(slips))


class _Kept:
    """A channel that keeps what is sent."""

    def __init__(self):
        self.answers = {}

    def send_json(self, name, content):
        self.answers[name.removeprefix("call:")] = parse_answer(json.dumps(content).encode())


def _called_here(text, module, calls, tree):
    (tree / module).write_text(text, encoding="utf-8")
    name, before = Path(module).stem, sys.dont_write_bytecode
    sys.modules.pop(name, None)
    sys.dont_write_bytecode = True
    kept = _Kept()
    path = list(sys.path)
    sys.path.insert(0, str(tree))
    try:
        requests = [{**asked, "module": name} for asked in calls]
        with contextlib.chdir(tree):
            call.answer(requests, tree, kept, Patience(None), {})
    finally:
        sys.path[:], sys.dont_write_bytecode = path, before
        sys.modules.pop(name, None)
    return kept.answers


def lost(results):
    """The names of the checks that did not pass."""
    return tuple(r.name for r in results.values() if r.outcome is not Outcome.PASSED)
