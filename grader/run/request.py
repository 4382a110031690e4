"""What one run asks of one submission: probes, public and hidden, and what is compared."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from grader.assignment import Assignment, NetworkCheck
from grader.checks import MODEL, asked_functions
from grader.domain import MODULE, Limits, Submission
from grader.graph.network import MODEL_MODES
from grader.graph.numeric import SAMPLE_SEED
from grader.graph.probes import Probe, hidden_probes, public_probes
from grader.ledger.key import CourseKey
from grader.run.directory import run_directory
from grader.run.functions import FunctionReference, calls_for_sandbox
from grader.run.provenance import inside_digest, version_of
from grader.run.record import INPUT_SHAPE, Questions
from grader.run.reference import ReferenceTrace, network_probe
from grader.sandbox.contract import Sandbox, Stage, StageResult

CALLS_IN_TIME = 5
"""Of the stage's time one call may take this part: where two functions and the network that calls
them never come back, there is time for the others. An honest call takes a few seconds."""
TRACE_SETTING = "GRADER_TRACE"
"""Set to `plain`, no layer's record is a copy of another's."""
PROGRAMS = ("tensorflow", "tensorflow-cpu", "keras")
"""Packages whose versions decide what a run gives."""


@dataclass(frozen=True)
class RunRequest:
    """What a run asks of one submission, and with what.

    Attributes:
        assignment: Module, probes, networks, limits.
        submission: Of whom it is asked.
        retrain: Whether the command line asks to train here.
        key: Draws the hidden probes; None asks public ones alone.
        references: What [[networks]] compares with, by the check's name.
        functions: What [[functions]] calls and what is right, by the check's name.
    """

    assignment: Assignment
    submission: Submission
    retrain: bool = False
    key: CourseKey | None = None
    references: Mapping[str, ReferenceTrace] = field(default_factory=dict)
    functions: Mapping[str, FunctionReference] = field(default_factory=dict)

    @property
    def questions(self) -> Questions:
        """What names the run, of all that the assignment says."""
        return Questions.of(self.assignment, retrain=self.retrain)

    @property
    def probes(self) -> list[Probe]:
        """Public ones, and those that nobody knows beforehand."""
        asked, key = self.assignment.probes, self.key
        if asked is None:
            return []
        probes = public_probes(asked)
        if key is not None:
            probes += hidden_probes(asked, key.derive(self.submission.sha256, "probes"))
        needed = asked_functions(self.assignment)
        return [probe for probe in probes if probe.function in needed]

    @property
    def for_sandbox(self) -> dict[str, Any]:
        """What the program in the sandbox is asked."""
        asked = trace_request(self.probes, self.submission.weights, self.assignment)
        calls = calls_for_sandbox(self.assignment.functions, self.functions)
        return {**asked, "calls": calls} if calls else asked

    def directory(self, results_dir: Path, isolation: str) -> Path:
        """Where the run belongs: named by all that decides what it gives, and by nothing else.

        Args:
            results_dir: The results folder.
            isolation: What the sandbox keeps from student code.
        """
        return run_directory(
            results_dir,
            self.submission.sha256,
            self.submission.student,
            self.questions.model_dump_json(),
            json.dumps(self.for_sandbox, sort_keys=True),
            self.key.id if self.key is not None else "public",
            isolation,
            inside_digest(),
            *[str(version_of(package)) for package in PROGRAMS],
            *[self.references[name].digest for name in sorted(self.references)],
            *[self.functions[name].digest for name in sorted(self.functions)],
        )


def trace_request(
    probes: Sequence[Probe], weights: str | None = None, assignment: Assignment | None = None
) -> dict[str, Any]:
    """What the program in the sandbox is asked.

    Args:
        probes: Public and hidden ones alike; nothing tells them apart inside.
        weights: The student's weights file, below the tree.
        assignment: Names the module and further networks; None for a DenseNet alone.
    """
    networks = assignment.networks if assignment is not None else ()
    module = assignment.module if assignment is not None else MODULE
    model = assignment is None or assignment.evaluation or MODEL in asked_functions(assignment)
    data = assignment.data if assignment is not None else None
    whole = assignment.limits.wall_time_s if assignment is not None else None
    return {
        "module": Path(module).stem if module else None,
        "call_s": whole / CALLS_IN_TIME if whole is not None else None,
        "plain": os.environ.get(TRACE_SETTING) == "plain",
        "compared": _compared(probes),
        "probes": [
            *[p.request() for p in probes],
            *[probe for n in networks for probe in network_probes(n)],
        ],
        "model": None
        if not model
        else {
            "input_shape": list(data.shape if data is not None else INPUT_SHAPE),
            "modes": list(MODEL_MODES),
            "seed": SAMPLE_SEED,
            "weights": weights,
        },
    }


def _compared(probes: Sequence[Probe]) -> dict[str, list[str]]:
    """Which hidden answers are traced as well as copied, and in which modes.

    A network, in each mode in which it has a kind of layer that was not compared before. In
    training that costs as much as all other answers, for its dropout: so a transition comes first,
    which has in it what does something else in training.
    """
    hidden = [p for p in probes if p.hidden and "training" in p.modes]
    networks = [p.id for p in hidden if p.network][:1]
    transitions = [p.id for p in hidden if p.transition][:1]
    return {
        **{name: ["training"] for name in transitions},
        **{name: ["inference", "training"] for name in networks},
    }


def traced(sandbox: Sandbox, tree: Path, request: dict[str, Any], limits: Limits) -> StageResult:
    """What the program in the sandbox gives.

    Most of it is copied there, layer by layer (`grader/inside/tracing/copies.py`), and two answers
    are traced as well. Where they differ, a copy was wrong: all is asked for once more, traced.
    The notes of it stay among the frames.
    """
    stage = "call" if is_quick(request) else "trace"
    result = sandbox.run(Stage(stage, tree, request, limits))
    notes = {name: b for name, b in result.json_frames.items() if name.startswith("copies:")}
    if not any(b'"alike":false' in note for note in notes.values()):
        return result
    again = sandbox.run(Stage("trace", tree, {**request, "plain": True}, limits))
    return replace(again, json_frames={**again.json_frames, **notes})


def is_quick(request: Mapping[str, Any]) -> bool:
    """Whether nothing is asked that needs TensorFlow."""
    return bool(request.get("calls")) and not request["probes"] and request["model"] is None


def network_id(network: NetworkCheck, call: int) -> str:
    """Names the frames of one call of a function that has a reference."""
    return f"network-{network.name}.{call}"


def network_probes(network: NetworkCheck) -> list[dict[str, Any]]:
    """What the program in the sandbox is asked of the student's function, call by call."""
    return [
        {
            **network_probe(network, call, network_id(network, number)),
            "file": network.file,
            "function": network.function_name,
            "bound": True,
        }
        for number, call in enumerate(network.asked)
    ]
