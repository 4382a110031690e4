"""Golden verdicts on real traces, recorded by record_traces.py; no TensorFlow here."""

import gzip
import json
from pathlib import Path

import pytest

from grader.checks import CHECKS, run_checks
from grader.domain import Outcome
from grader.graph.evidence import assemble
from tests.graph.record_traces import GOLDEN, PROBES

HERE = Path(__file__).parent


def verdict(name):
    """(evidence, names of failed checks) of one recorded submission."""
    content = json.loads(gzip.decompress((HERE / "traces" / f"{name}.json.gz").read_bytes()))
    frames = {n: json.dumps(f).encode() for n, f in content["json"].items()}
    evidence = assemble(frames, {n: bytes(b) for n, b in content["binary"].items()}, list(PROBES))
    results = run_checks(CHECKS, evidence)
    assert not [r for r in results if r.outcome is Outcome.ERROR]
    return evidence, {r.name for r in results if r.outcome is Outcome.FAILED}


@pytest.mark.parametrize("name", [n for n, checks in GOLDEN.items() if not checks])
def test_a_right_network_loses_no_check(name):
    evidence, failed = verdict(name)

    assert failed == set()
    assert [n.failure for n in evidence.networks] == [None, None, None]


@pytest.mark.parametrize("name", [n for n, checks in GOLDEN.items() if checks])
def test_a_wrong_network_loses_exactly_the_checks_it_should(name):
    _, failed = verdict(name)

    assert failed == set(GOLDEN[name].split())


def test_the_reference_is_read_as_the_paper_draws_it():
    evidence, _ = verdict("reference")

    reading = evidence.networks[2].readings["inference"]
    assert [len(block.layers) for block in reading.blocks] == [1, 1, 1]
    assert [t.last.channels for t in reading.transitions] == [4, 3]
    assert reading.where[reading.classifier.last.index] == "head"


def test_every_batch_norm_is_read_with_the_statistics_of_its_mode():
    from grader.graph.steps import words

    evidence, _ = verdict("own-bn-by-mean-of-squares")

    read = {
        mode: {
            word.part.statistics
            for unit in reading.blocks[0].layers
            for node in unit.convolutions
            for segment in node.inputs[0].segments
            for word in words(segment)
            if word.kind == "BN"
        }
        for mode, reading in evidence.networks[0].readings.items()
    }
    assert read == {"inference": {"moving"}, "training": {"batch"}}


def test_the_recorded_traces_are_those_of_the_list_and_small():
    files = {path.name.removesuffix(".json.gz"): path for path in (HERE / "traces").iterdir()}

    assert set(files) == set(GOLDEN)
    assert sum(path.stat().st_size for path in files.values()) < 300_000
