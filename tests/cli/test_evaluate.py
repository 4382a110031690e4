"""`grade evaluate`: finished runs are measured, and nothing else happens."""

import pytest

from grader.cli import run
from grader.domain import Dataset, MeasuredAccuracy, Measurement
from grader.errors import Cause, InfrastructureError
from grader.run import evaluation
from tests.pipeline.test_pipeline import RECEIVED, Replay, submission_zip

MEASURED = MeasuredAccuracy(
    runs=(
        Measurement(
            mode="weights",
            images=10_000,
            of_images=10_000,
            correct=8_573,
            wall_time_s=7.1,
            device="a GPU of the test",
            dataset=Dataset(name="cifar10", sha256="0" * 64, official=True),
        ),
    )
)


@pytest.fixture
def results(tmp_path, monkeypatch):
    """A results folder with two runs that were graded without their accuracy."""
    monkeypatch.setattr("grader.sandbox.open_sandbox", lambda *a, **k: Replay())
    for name in ("asha", "ben"):
        submission_zip(tmp_path / "in" / f"{name}.zip", name)
    words = [tmp_path / "in", "--results", tmp_path / "results", "--no-evaluation", "--quiet"]
    assert run([str(word) for word in words] + ["--submitted-at", RECEIVED.isoformat()]) == 0
    return tmp_path / "results"


@pytest.fixture
def measuring(monkeypatch):
    """Measures nothing; keeps of which runs it was asked."""
    asked = []

    def measured(run, assignment, instruments, *, scratch):
        asked.append(run.path)
        return MEASURED

    monkeypatch.setattr(evaluation, "measured_in", measured)
    monkeypatch.setattr("grader.pipeline.measured_in", measured)
    return asked


def said(capsys):
    """What stood on standard output, in one line for each run."""
    return [line for line in capsys.readouterr().out.splitlines() if "results" in line]


def test_all_runs_of_a_results_folder_are_measured_once(results, measuring, capsys):
    capsys.readouterr()

    assert run(["evaluate", str(results)]) == 0
    lines = said(capsys)
    assert run(["evaluate", str(results)]) == 0

    assert len(measuring) == 2
    assert len(lines) == 2
    assert all("85.73%  8,573 of 10,000  on a GPU of the test" in line for line in lines)


def test_what_another_machine_measured_stands_where_no_instrument_is_named(
    results, measuring, monkeypatch, capsys, tmp_path
):
    monkeypatch.setenv("GRADER_DATA", str(tmp_path))  # nothing can be measured here
    monkeypatch.setattr("grader.pipeline.require_device", lambda *asked: None)
    assert run(["evaluate", str(results), "--device", "gpu"]) == 0
    again = [str(results.parent / "in"), "--results", str(results), "--quiet"]
    again += ["--submitted-at", RECEIVED.isoformat()]

    assert run(again) == 0
    assert len(measuring) == 2
    assert capsys.readouterr().out.count("85.73%") >= 2

    assert run([*again, "--device", "cpu"]) == 0
    assert capsys.readouterr().out.count("CIFAR-10 is not in") == 2


def test_a_regrade_takes_what_was_measured(results, measuring, capsys):
    run(["evaluate", str(results)])
    one = next(path for path in (results / "runs").iterdir() if path.is_dir())
    capsys.readouterr()

    assert run(["regrade", str(one), "--quiet"]) == 0
    assert "85.73%" in capsys.readouterr().out


def test_what_fails_on_this_machine_does_not_stop_the_others(results, measuring, monkeypatch):
    def broken(run, assignment, instruments, *, scratch):
        measuring.append(run.path)
        raise InfrastructureError(Cause.INFRA_GPU, "the driver does not answer", "Run nvidia-smi.")

    monkeypatch.setattr("grader.pipeline.measured_in", broken)

    assert run(["evaluate", str(results)]) == 3
    assert len(measuring) == 2


def test_a_folder_without_runs_is_refused(tmp_path, capsys):
    assert run(["evaluate", str(tmp_path)]) == 2
    assert "expected a run directory, or a results folder with runs" in capsys.readouterr().err
