"""All that trusted code does with the frames of a run, in one call; no TensorFlow, no sandbox."""

from __future__ import annotations

import contextlib
import gzip
import json
import math
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from grader.checks import CHECKS, run_checks
from grader.domain import CheckResult, Outcome
from grader.engine.accuracy import _agreement, _plan, _values
from grader.errors import StageFailed
from grader.graph.evidence import Evidence, assemble
from grader.graph.probes import Probe
from tests.graph.record_traces import PROBES
from tests.graph.writing import model_answer

GRAPHS = Path(__file__).parents[1] / "graph"


@cache
def _trace(name: str) -> str:
    return gzip.decompress((GRAPHS / "traces" / f"{name}.json.gz").read_bytes()).decode()


@cache
def _model() -> str:
    return json.dumps(model_answer())


NAMES = tuple(sorted(p.name.removesuffix(".json.gz") for p in (GRAPHS / "traces").glob("*.gz")))


def frames(name: str) -> tuple[dict[str, Any], dict[str, bytes]]:
    """The records of one recorded run, decoded, and its binary frames; `model` added to them.

    The recorded runs have no `build_model()`; one that was written by hand stands for it.
    """
    content = json.loads(_trace(name))
    records = content["json"]
    model = json.loads(_model())
    model["weights"] = {"file": "w.weights.h5", "loaded": True}
    model["sample"] = {"shape": [2, 10], "failure": None}
    records["model"] = model
    return records, {n: bytes(b) for n, b in content["binary"].items()}


def encoded(record: Any) -> bytes:
    """JSON as a hostile program could write it; lone surrogates go through as they are."""
    return json.dumps(record).encode()


def read(
    json_frames: Mapping[str, bytes],
    binary_frames: Mapping[str, bytes],
    probes: Sequence[Probe] | None = None,
) -> tuple[Evidence, tuple[CheckResult, ...]] | StageFailed:
    """Evidence and checks, and the model's plan and proof; or the one refusal that is allowed.

    Raises:
        Exception: Whatever trusted code let through; always a fault of ours.
    """
    asked = list(PROBES if probes is None else probes)
    try:
        evidence = assemble(json_frames, binary_frames, asked)
    except StageFailed as refused:
        return refused
    results = run_checks(CHECKS, evidence)
    for result in results:
        if result.outcome is Outcome.ERROR:
            raise AssertionError(f"{result.name}: {result.rationale}")
    _prove(evidence)
    return evidence, results


def _prove(evidence: Evidence) -> None:
    model = evidence.model
    if model is None or model.record is None or model.graph is None:
        return
    size = sum(v.size for v in model.record.variables)
    if size > 2**22:
        return
    shape = model.record.sample.shape
    answers = bytes(4 * min(math.prod(shape or (0,)), 2**20))
    sent = {"weights": np.ones(size, "<f4").tobytes(), "sample": answers}
    with contextlib.suppress(StageFailed):
        values = _values(model.record, sent)
        _plan(model, values)
        _agreement(model, model.record, sent, values)
