"""The recorded runs are what `recorded.py` says, and small."""

import hashlib
import json
import lzma

from tests.report.recorded import RUNS, SUBMISSIONS, run_of


def test_the_recorded_runs_are_those_of_the_list_and_small():
    files = {path.name.removesuffix(".json.xz"): path for path in RUNS.iterdir()}

    assert set(files) == set(SUBMISSIONS)
    assert sum(path.stat().st_size for path in files.values()) < 200_000


def test_the_recorded_submissions_are_those_that_would_be_recorded_now(tmp_path):
    for name in ("deviating", "right", "stopped"):
        kept = json.loads(lzma.decompress((RUNS / f"{name}.json.xz").read_bytes()))

        made = SUBMISSIONS[name](tmp_path)

        assert hashlib.sha256(made.read_bytes()).hexdigest() == kept["submission"]["sha256"], name


def test_what_was_asked_is_what_would_be_asked_now(tmp_path):
    for name in ("reference", "deviating", "right"):
        record = run_of(name, tmp_path).record

        answered = {frame.name for frame in record.json_frames}
        assert {f"probe:{probe.id}" for probe in record.probes} <= answered
