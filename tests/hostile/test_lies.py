"""Reading a lie costs no more than an honest network may, and blames nobody but the liar.

The work that one submission may cost is made small here, so that a lie that uses it up is fast;
that work stands for time is held by `test_a_unit_of_work_is_short`.
"""

from __future__ import annotations

import json
import time
import tracemalloc
from collections.abc import Iterator
from typing import Any

import pytest

from grader.assignment import BlockProbe
from grader.domain import Outcome
from grader.errors import Cause
from grader.graph import work
from grader.graph.evidence import Evidence, assemble
from grader.graph.probes import Probe
from tests.fuzz import reading
from tests.graph import record_traces
from tests.hostile.lies import MADE_UP, forged

LIMIT = 10**8
"""Enough for every honest probe of the tests."""
SECONDS = 6.0
"""Of processor time, with tracemalloc: a tenth of it on a quiet machine."""
MEMORY = 400 * 2**20
USED_UP = {
    "channels picked one by one, over and over",
    "products of large constant matrices",
    "two hundred joins of five thousand parts",
    "a sum of sums of all variables",
    "a thousand convolutions of one another",
    "thousands of operations with names of their own",
}
"""Lies that are refused for the work they cost, and for nothing else."""


@pytest.fixture(autouse=True)
def _little_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(work, "LIMIT", LIMIT)


PROBE = Probe(
    id="block-0",
    function="dense_block",
    hidden=False,
    block=BlockProbe(channels=8, num_layers=2, growth_rate=4, bottleneck=True, size=4),
)


def told(name: str) -> dict[str, bytes]:
    """The frames of a run that tells one lie about a block and about `build_model()`."""
    room = forged(name)
    found = {"module": json.dumps(reading.frames("reference")[0]["module"]).encode()}
    for frame in ("probe:block-0", "model"):
        room["ask"](frame)
        found[frame] = json.dumps(room["forge"](frame)).encode()
    return found


@pytest.fixture
def watched() -> Iterator[None]:
    """Fails a test whose trusted part takes too much of the processor or of memory."""
    tracemalloc.start()
    started = time.process_time()
    yield
    seconds = time.process_time() - started
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert seconds < SECONDS
    assert peak < MEMORY


@pytest.mark.timeout(120)
@pytest.mark.parametrize("name", MADE_UP)
def test_a_lie_is_read_in_bounded_time_and_memory_and_earns_nothing(
    name: str, request: pytest.FixtureRequest
) -> None:
    frames = told(name)
    request.getfixturevalue("watched")

    outcome = reading.read(frames, {}, [PROBE])

    assert isinstance(outcome, tuple)
    evidence, results = outcome
    lost = {r.name for r in results if r.outcome is not Outcome.PASSED}
    assert {"build-model", "build-model-parameters"} <= lost
    findings = [f for result in results for f in result.findings]
    assert all(len(f.message) < 4000 and len(f.where) < 4000 for f in findings)
    assert refused_for_its_work(evidence) == (name in USED_UP)


def refused_for_its_work(evidence: Evidence) -> bool:
    model = evidence.model
    return (
        model is not None
        and model.failure is not None
        and model.failure.type == Cause.STUDENT_BAD_OUTPUT
        and " to read than any network of the paper" in model.failure.message
    )


def test_one_lie_leaves_the_other_probes_their_verdict() -> None:
    records, binary = reading.frames("reference")
    records["probe:block"] = forged("an operation that needs itself")["forge"]("probe:block")
    frames = {key: json.dumps(value).encode() for key, value in records.items()}

    outcome = reading.read(frames, binary)

    assert isinstance(outcome, tuple)
    evidence, _ = outcome
    failures = [n.failure and n.failure.type for n in evidence.networks]
    assert failures == [Cause.STUDENT_BAD_OUTPUT, None, None]


def test_a_name_told_twice_counts_once_and_with_its_last_value() -> None:
    records, _ = reading.frames("reference")
    text = json.dumps(records["probe:block"])
    twice = text[:-1] + ', "failure": {"type": "E", "message": "", "where": ""}}'

    evidence = assemble({"probe:block": twice.encode()}, {}, list(probes()[:1]))

    assert evidence.networks[0].failure is not None
    assert evidence.networks[0].failure.type == "E"


def probes() -> Any:
    return record_traces.PROBES


@pytest.mark.parametrize("name", reading.NAMES)
def test_an_honest_network_takes_a_small_part_of_the_work_it_may(name: str) -> None:
    records, binary = reading.frames(name)
    frames = {key: json.dumps(value).encode() for key, value in records.items()}

    with work.limited() as count:
        assemble(frames, binary, list(probes()))

    assert count.limit - count.left < LIMIT / 2


def test_a_unit_of_work_is_short() -> None:
    frame = told("channels picked one by one, over and over")["model"]
    started = time.process_time()

    evidence = assemble({"model": frame}, {}, [])

    seconds = time.process_time() - started
    assert refused_for_its_work(evidence)
    # 50 ns a unit at the very most, so that LIMIT as it is stands for minutes, never for hours.
    assert seconds < 50e-9 * LIMIT
